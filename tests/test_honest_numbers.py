"""What a review tells, end to end: who decided, what was fixed and broken, how samples are drawn."""

import pytest
import yaml
from review_sheets import fill_in

from workbench import measuring, review, sampling, stages, workflow
from workbench.errors import ParameterError
from workbench.parameters import load_parameters
from workbench.runs import open_store


@pytest.fixture
def store(project):
    return open_store()


@pytest.fixture
def parameters(project):
    return load_parameters("run.yaml")


def test_what_people_decided_stands_in_the_final_table_and_says_so(ran):
    run, store = ran()
    classified, rows = store.load(run.run_id, "classified"), store.load(run.run_id, "rows")
    judged = rows["item_id"].isin(store.validations(run.run_id)["item_id"])
    assert (classified["decided_by"] == "human").equals(judged)
    assert (classified.loc[judged, "category"] == classified.loc[judged, "Verdad"]).all()
    kept = rows["item_id"].notna()
    assert set(classified.loc[kept & ~judged, "decided_by"]) == {"model"}
    assert classified.loc[~kept, "decided_by"].isna().all()
    assert "In the final table people decided" in store.path(run.run_id, "report").read_text()


def test_a_model_that_changes_its_mind_against_a_person_is_asked_about_again(loop, project, store):
    parameters = load_parameters("run.yaml", ["validate.gold_column=null"])
    run = loop(parameters, store)
    fill_in(store.path(run.run_id, "review_sheet", 1))
    run = loop(parameters, store)
    again = store.load(run.run_id, "review_items", 2)
    told = review.true_categories(store.validations(run.run_id))
    predictions = store.load(run.run_id, "predictions", 2).set_index("item_id")["category"]
    assert (again["category"] != again["human_category"]).all()
    assert (again["human_category"] == again["item_id"].map(told)).all()
    assert (again["category"] == again["item_id"].map(predictions)).all()
    fill_in(store.path(run.run_id, "review_sheet", 2))
    loop(parameters, store)
    assert set(again["item_id"]) <= set(store.validations(run.run_id, 2)["item_id"])


def test_history_counts_automatic_and_manual_changes(ran):
    run, store = ran()
    history = store.load(run.run_id, "history")
    first, second = history["iterations"]
    validations = store.validations(run.run_id, 1)
    assert first["changes"] == {"automatic": 0, "manual": int((~validations["is_correct"]).sum())}
    assert second["changes"]["automatic"] == store.load(run.run_id, "comparison", 2)["items_changed"]
    assert [sum(line) for line in zip(*history["category_timeline"].values(), strict=True)] == [24, 24]


def test_two_iterations_are_compared_on_items_that_neither_prompt_was_made_from(ran):
    run, store = ran()
    paired = store.load(run.run_id, "comparison", 2)["paired"]
    validations = store.validations(run.run_id)
    known = validations[(validations["iteration"] == 1) & (validations["pool"] != "holdout")]
    assert paired["n"] == len(validations) - len(known)
    assert not {item["item_id"] for item in paired["fixed_items"] + paired["broken_items"]} & set(known["item_id"])
    assert all(item["text"] for item in paired["fixed_items"] + paired["broken_items"])
    assert workflow.compare(run, store)["paired"] == paired
    assert paired["sentence"] in store.path(run.run_id, "report").read_text()


@pytest.mark.parametrize("strategy", list(sampling.NEEDS))
def test_every_strategy_that_needs_more_than_predictions_takes_a_run_through_two_iterations(
    loop, project, store, strategy
):
    overrides = [f"validate.strategy={strategy}", "validate.sample_size=8", "validate.weight_by=amount"]
    run = loop(load_parameters("run.yaml", overrides), store)
    for iteration in (1, 2):
        sample = store.load(run.run_id, "sample", iteration)
        assert len(sample) == 8
        assert sample["inclusion_probability"].between(0, 1, inclusive="right").all()
    assert stages.next_step(run, store) is None


def test_weighing_by_an_amount_needs_an_amount_column(loop, project, store):
    with pytest.raises(ParameterError, match=r"no ingest\.amount_column"):
        loop(load_parameters("run.yaml", ["validate.weight_by=amount", "ingest.amount_column=null"]), store)


@pytest.mark.parametrize("named", [True, False], ids=["with its item id", "by its text alone"])
def test_an_item_smuggled_into_a_prompt_measures_neither_it_nor_its_descendants(loop, project, store, named):
    parameters = load_parameters("run.yaml", ["run.iterations=3", "validate.sample_size=8"])
    run = workflow.start(parameters, store, run_id="one")
    while (step := stages.next_step(run, store)) != stages.Step("classify", 2):
        options = {"run_id": "one"} if step.stage == "ingest" else {}
        run = getattr(workflow, step.stage)(*([] if options else [run]), parameters, store, **options)
    held = store.validations("one").query("pool == 'holdout'")["item_id"].iloc[0]
    text = store.load("one", "items").set_index("item_id")["cleanConcepto"][held]
    path = store.path("one", "refined_prompt", 1)
    prompt = yaml.safe_load(path.read_text())
    smuggled = {"text": text.upper(), "category": "Otros"} | ({"item_id": held} if named else {})
    path.write_text(yaml.safe_dump({**prompt, "examples": [*prompt["examples"], smuggled]}, allow_unicode=True))
    run = loop(parameters, store)
    clean = yaml.safe_load(store.path("one", "prompt", 3).read_text())
    clean["examples"] = [each for each in clean["examples"] if each["text"].casefold() != text]
    store.path("one", "prompt", 3).write_text(yaml.safe_dump(clean, allow_unicode=True))
    for iteration in (2, 3):
        assert held in measuring.shown_items(run, store, iteration)
        known = store.load("one", "metrics", iteration)["accuracy"]["left_out"][
            "is in the prompt, or nearly the same as an example there"
        ]
        assert known >= 1
    assert held not in {item["item_id"] for item in shared(workflow.compare(run, store, 1, 3))}


def shared(comparison):
    return comparison["paired"]["fixed_items"] + comparison["paired"]["broken_items"]
