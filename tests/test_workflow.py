"""The loop, stage by stage, without notebooks: what each leaves behind and what it refuses."""

import json

import pandas as pd
import pytest
from review_sheets import fill_in

from workbench import delivery, stages, workflow
from workbench.errors import ColumnNotFound, ParameterError, RunExists, UsageError, VerdictError
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store


@pytest.fixture
def store(project):
    return open_store()


@pytest.fixture
def parameters(project):
    return load_parameters("run.yaml")


def test_two_iterations_leave_every_artifact_of_the_design(ran):
    run, _ = ran()
    found = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    assert {
        "run.json",
        "history.json",
        "classified.parquet",
        "classified.xlsx",
        "report.html",
        "ingest/schema.json",
        "ingest/rows.parquet",
        "ingest/items.parquet",
        "ingest/llm_input.json",
        "iteration_001/prompt.yaml",
        "iteration_001/predictions.parquet",
        "iteration_001/metrics.json",
        "iteration_001/sample.parquet",
        "iteration_001/validations.parquet",
        "iteration_001/validations.json",
        "iteration_001/refined_prompt.yaml",
        "iteration_002/comparison.json",
        "iteration_002/predictions.parquet",
    } <= found
    assert "iteration_002/refined_prompt.yaml" not in found


def test_every_original_row_comes_back_in_order_with_its_columns_unchanged(ran, project):
    run, store = ran()
    classified = store.load(run.run_id, "classified")
    original = pd.read_csv(project / "expenses.csv", dtype={"Folio": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(classified[list(original)], original, check_dtype=False)
    assert list(classified)[-5:] == ["category", "reason", "score", "status", "decided_by"]
    cancelled = classified["Estado"] == "Cancelled"
    assert classified.loc[cancelled, "category"].isna().all()
    assert classified.loc[~cancelled, "category"].notna().all()


def test_rows_that_differ_only_in_spelling_share_one_item_and_its_answer(ran):
    run, store = ran()
    rows = store.load(run.run_id, "rows").dropna(subset="item_id")
    assert rows.groupby("item_id").size().eq(2).all()
    items = store.load(run.run_id, "items")
    assert (len(rows), len(items), items["n_rows"].sum()) == (48, 24, 48)
    assert items["amount"].sum() == pytest.approx(rows["Importe"].sum())


def test_items_of_the_dev_and_holdout_pools_never_enter_a_prompt(ran, parameters):
    run, store = ran()
    pools = store.validations(run.run_id).set_index("item_id")["pool"]
    examples = workflow.prompt_of(run, store, 2).examples
    assert {pools[example.item_id] for example in examples} == {"prompt"}
    assert len(examples) <= parameters.refine.max_examples


def test_the_accuracy_of_an_iteration_leaves_out_what_its_prompt_was_made_from(ran):
    run, store = ran()
    accuracy = store.load(run.run_id, "metrics", 2)["accuracy"]
    validations = store.validations(run.run_id)
    before = validations[validations["iteration"] == 1]
    known = len(before[before["pool"] != "holdout"])
    assert sum(accuracy["left_out"].values()) == known
    assert accuracy["n"] == validations["item_id"].nunique() - known


@pytest.mark.parametrize("strategy", ["preserve_all", "aggressive"])
def test_a_twin_of_an_example_does_not_measure_the_prompt(loop, project, store, strategy):
    run = loop(load_parameters("run.yaml", [f"ingest.deduplication={strategy}", "validate.sample_size=20"]), store)
    texts = store.load(run.run_id, "items").set_index("item_id")["cleanConcepto"]
    shown = {example.text for example in workflow.prompt_of(run, store, 2).examples}
    verdicts = store.validations(run.run_id)
    twins = verdicts[verdicts["item_id"].map(texts).isin(shown)]
    accuracy = store.load(run.run_id, "metrics", 2)["accuracy"]
    assert len(shown) > 0
    assert (
        accuracy["left_out"]["is in the prompt, or nearly the same as an example there"] == twins["item_id"].nunique()
    )


def test_a_run_says_where_it_stands_between_stages(project, store, parameters):
    run = workflow.ingest(parameters, store, run_id="one")
    assert run.state == "paused"
    run = workflow.classify(run, parameters, store)
    assert run.state == "paused"


def test_an_item_that_reads_like_a_hand_written_example_does_not_measure_its_prompt(loop, project, store):
    prompt = (project / "prompt.yaml").read_text()
    (project / "prompt.yaml").write_text(prompt + "examples:\n  - {text: Café y PAN, category: Comida}\n")
    parameters = load_parameters("run.yaml", ["validate.sample_size=24", "run.iterations=1"])
    run = loop(parameters, store)
    accuracy = store.load(run.run_id, "metrics", 1)["accuracy"]
    assert (accuracy["n"], accuracy["left_out"]) == (
        22,
        {"is in the prompt, or nearly the same as an example there": 1},
    )


def test_a_validated_item_is_not_drawn_again(ran):
    run, store = ran()
    first, second = (set(store.load(run.run_id, "sample", iteration)["item_id"]) for iteration in (1, 2))
    assert len(first) == len(second) == 10
    assert first.isdisjoint(second)


def test_the_same_parameters_give_the_same_answers(ran, loop, parameters):
    one, store = ran()
    two = loop(parameters, store, "two")
    for name in ("predictions", "sample"):
        for iteration in (1, 2):
            frames = [store.load(run.run_id, name, iteration) for run in (one, two)]
            pd.testing.assert_frame_equal(*frames)


def test_a_run_can_be_rebuilt_from_its_run_json(ran, loop):
    run, store = ran()
    again = loop(load_parameters(run.folder / "run.json"), store, "rebuilt")
    pd.testing.assert_frame_equal(*[store.load(each.run_id, "classified") for each in (run, again)])


def test_without_verdicts_the_run_waits_and_a_filled_in_sheet_lets_it_go_on(loop, project, store):
    parameters = load_parameters("run.yaml", ["validate.gold_column=null"])
    run = loop(parameters, store)
    assert run.state == RunState.AWAITING_REVIEW
    assert stages.next_step(run, store) == workflow.Step("validate", 1)
    fill_in(store.path(run.run_id, "review_sheet", 1))
    run = loop(parameters, store)
    assert run.state == RunState.AWAITING_REVIEW
    assert stages.next_step(run, store) == workflow.Step("validate", 2)
    assert store.load(run.run_id, "metrics", 1)["accuracy"]["n"] == 10


def test_bad_verdicts_are_named_and_the_good_ones_are_kept(loop, project, store):
    parameters = load_parameters("run.yaml", ["validate.gold_column=null"])
    run = loop(parameters, store)
    sample = store.load(run.run_id, "sample", 1)
    verdicts = [{"item_id": item, "is_correct": True} for item in sample["item_id"][:3]]
    verdicts += [{"item_id": "nobody", "is_correct": True}]
    verdicts += [{"item_id": sample["item_id"][4], "is_correct": False, "corrected_category": "Viages"}]
    (project / "verdicts.json").write_text(json.dumps(verdicts))
    with pytest.raises(VerdictError, match="3 verdicts were taken, 2 were not"):
        workflow.validate(run, workflow.with_verdicts(parameters, "verdicts.json"), store)
    assert len(store.validations(run.run_id)) == 3


def test_more_verdicts_are_taken_until_the_next_prompt_is_made_from_them(loop, project, store):
    parameters = load_parameters("run.yaml", ["validate.gold_column=null"])
    run = loop(parameters, store)
    items = store.load(run.run_id, "sample", 1)["item_id"]

    def sheet(name, part):
        (project / name).write_text(json.dumps([{"item_id": item, "is_correct": True} for item in part]))
        return workflow.with_verdicts(parameters, name)

    workflow.validate(run, sheet("first.json", items[:4]), store, iteration=1)
    workflow.validate(run, sheet("second.json", items[4:6]), store, iteration=1, more=True)
    assert len(store.validations(run.run_id, 1)) == len(store.load(run.run_id, "validations", 1)) == 6
    assert stages.next_step(run, store) == workflow.Step("refine", 1)
    with pytest.raises(VerdictError, match="No such file"):
        workflow.validate(run, workflow.with_verdicts(parameters, "third.json"), store, iteration=1, more=True)
    workflow.refine(run, parameters, store)
    with pytest.raises(UsageError, match="takes no more verdicts"):
        workflow.validate(run, sheet("third.json", items[6:8]), store, iteration=1, more=True)
    assert len(store.validations(run.run_id, 1)) == 6


def test_a_prompt_that_nothing_is_learnt_for_stays_and_the_next_iteration_asks_nothing_anew(loop, project, store):
    run = loop(load_parameters("run.yaml", ["refine.max_examples=0", "refine.max_tokens=0"]), store)
    assert run.state == RunState.FINISHED
    assert "keeps the present prompt" in store.facts("one", "refine", 1)["summary"]
    assert store.load("one", "metrics", 2)["processing"]["calls"] == 0
    assert store.load("one", "metrics", 2)["accuracy"]["n"] > 0


def test_a_stage_out_of_order_says_what_comes_first(parameters, store):
    run = workflow.ingest(parameters, store, run_id="one")
    with pytest.raises(UsageError, match="needs classify of iteration 1 first"):
        workflow.validate(run, parameters, store)


def test_a_run_id_is_not_taken_twice_unless_asked_to_resume(parameters, store):
    workflow.start(parameters, store, run_id="one")
    with pytest.raises(RunExists, match="--resume"):
        workflow.start(parameters, store, run_id="one")
    assert workflow.start(parameters, store, run_id="one", resume=True).run_id == "one"


def test_going_on_with_other_parameters_is_refused_and_with_more_iterations_is_not(ran, loop):
    _, store = ran()
    with pytest.raises(ParameterError, match=r"ingest\.pipeline"):
        loop(load_parameters("run.yaml", ["ingest.pipeline=v1"]), store)
    run = loop(load_parameters("run.yaml", ["run.iterations=3"]), store)
    assert store.stage_done(run.run_id, "validate", 3)


def test_parameters_may_still_change_where_nothing_was_made_from_them(loop, project, store):
    with pytest.raises(ColumnNotFound):
        loop(load_parameters("run.yaml", ["ingest.columns=[Conceptos]"]), store)
    run = loop(load_parameters("run.yaml", ["run.iterations=1"]), store)
    assert store.stage_done(run.run_id, "validate", 1)
    loop(load_parameters("run.yaml", ["refine.max_examples=3"]), store)
    with pytest.raises(ParameterError, match=r"refine\.max_examples"):
        loop(load_parameters("run.yaml", ["refine.max_examples=4"]), store)


def test_export_writes_every_kind_of_file(ran, project):
    run, store = ran()
    for suffix in ("xlsx", "csv", "parquet", "json"):
        path, rows = delivery.export(run, store, project / f"out.{suffix}")
        assert rows == 50
        assert path.stat().st_size > 0
    with pytest.raises(UsageError):
        delivery.export(run, store, project / "out.doc")


def test_columns_that_are_called_like_ours_come_back_under_their_own_names(loop, project, store):
    text = (project / "expenses.csv").read_text().replace("Folio,", "item_id,").replace(",Estado,", ",category,")
    (project / "expenses.csv").write_text(text)
    run = loop(load_parameters("run.yaml", ["ingest.filters={category: [Active]}"]), store)
    classified = store.load(run.run_id, "classified")
    assert list(classified)[:4] == ["item_id", "Concepto", "Importe", "category_original"]
    assert classified["item_id"].iloc[0] == "00001"
    assert set(classified["category_original"]) == {"Active", "Cancelled"}
