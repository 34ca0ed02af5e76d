"""A refined prompt in a run: tried on dev before it is taken, made again when people strike, rules from the model."""

import json

import nbformat
import pandas as pd
import pytest
import yaml
from openai_server import KEY, MODEL, OpenAIServer

from workbench import console, measuring, metrics, notebooks, report, stages, workflow
from workbench.errors import ParameterError
from workbench.parameters import load_parameters
from workbench.records import Pool, RunState, pool_of
from workbench.runs import open_store


@pytest.fixture
def store(project):
    return open_store()


def words_in(pool, stem, count):
    """Make up words whose texts fall into a pool."""
    letters = (f"{stem} {a}{b}{c}ana" for a in "bcdfglmnprt" for b in "aeiou" for c in "bcdfglmnprt")
    return [text for text in letters if pool_of(text) == pool][:count]


@pytest.fixture
def misleading(project, store):
    """Texts of the prompt pool that teach the contrary of what holds in the dev pool."""
    lines = [(text, "Otros") for text in words_in(Pool.PROMPT, "vuelo", 8)]
    lines += [(text, "Viajes") for text in words_in(Pool.DEV, "vuelo", 8)]
    rows = [f"{n},{text},1,Active,{category}" for n, (text, category) in enumerate(lines)]
    (project / "expenses.csv").write_text("\n".join(["Folio,Concepto,Importe,Estado,Verdad", *rows]) + "\n")
    return ["validate.sample_size=16", "run.iterations=3"]


def up_to(step, parameters, store):
    run = workflow.start(parameters, store, run_id="one", resume=True)
    while (due := stages.next_step(run, store)) and due != step:
        if due.stage == "ingest":
            run = workflow.ingest(parameters, store, run_id="one")
        else:
            run = getattr(workflow, due.stage)(run, parameters, store)
        assert run.state != RunState.AWAITING_REVIEW
    return run


def test_a_prompt_that_breaks_dev_verdicts_is_not_taken_and_everybody_says_so(misleading, store):
    run = up_to(stages.Step("validate", 2), load_parameters("run.yaml", misleading), store)
    record, facts = store.load("one", "proposals", 1), store.facts("one", "refine", 1)
    assert len(record["trial"]["broken"]) > len(record["trial"]["fixed"])
    assert (record["adopted"], facts["adopted"], facts["examples_added"]) == (False, False, 0)
    prompts = [workflow.prompt_of(run, store, each) for each in (1, 2)]
    assert prompts[0].fingerprint == prompts[1].fingerprint
    assert store.load("one", "metrics", 2)["processing"]["calls"] == 0
    assert store.load("one", "prompt_diff", 1)
    told = report.summary(store, "one")["answers"][-1]["sentences"]
    assert any("does worse and is not taken" in sentence for sentence in told)
    assert "does worse and is not taken" in facts["summary"]
    dev = store.validations("one").query("pool == 'dev'")["item_id"]
    assert not set(record["trial"]["broken"]) - set(dev)


def test_the_user_may_take_it_all_the_same_as_long_as_no_iteration_has_begun_with_it(misleading, store):
    up_to(stages.Step("classify", 2), load_parameters("run.yaml", misleading), store)
    assert store.load("one", "proposals", 1)["adopted"] is False
    always = load_parameters("run.yaml", [*misleading, "refine.adopt=always"])
    run = workflow.start(always, store, run_id="one", resume=True)
    assert stages.next_step(run, store) == stages.Step("refine", 1)
    run = up_to(stages.Step("classify", 2), always, store)
    assert store.load("one", "proposals", 1)["adopted"] is True
    assert workflow.prompt_of(run, store, 2).examples


def test_dev_verdicts_that_chose_a_prompt_do_not_measure_it(loop, project, store):
    run = loop(load_parameters("run.yaml", ["validate.sample_size=12"]), store)
    verdicts = store.validations("one", 1)
    dev = set(verdicts[verdicts["pool"] == "dev"]["item_id"])
    examples = {example.item_id for example in workflow.prompt_of(run, store, 2).examples}
    shown = measuring.shown_items(run, store, 2)
    usable = metrics.usable_for_accuracy(store.validations("one"), iteration=2, example_item_ids=shown).frame
    assert dev
    assert not dev & examples
    assert not dev & set(usable["item_id"])


def test_what_is_struck_is_left_out_when_the_prompt_is_made_again(loop, project, store):
    parameters = load_parameters("run.yaml")
    run = up_to(stages.Step("classify", 2), parameters, store)
    proposals = store.load("one", "proposals", 1)["proposals"]
    assert all(each["status"] == "accepted" and each["evidence"] and each["why"] for each in proposals)
    struck = proposals[0]["proposal_id"]
    again = load_parameters("run.yaml", [f"refine.strike=[{struck}]"])
    run = up_to(stages.Step("classify", 2), again, store)
    now = {each["proposal_id"]: each["status"] for each in store.load("one", "proposals", 1)["proposals"]}
    assert now[struck] == "struck"
    assert list(now.values()).count("struck") == 1
    run = loop(again, store)
    assert run.state == RunState.FINISHED
    texts = {example.text for example in workflow.prompt_of(run, store, 2).examples}
    assert proposals[0]["text"] not in texts
    with pytest.raises(ParameterError, match=r"refine\.strike"):
        workflow.start(parameters, store, run_id="one", resume=True)


def test_an_id_that_matches_nothing_is_refused_with_the_nearest_and_show_and_report_list_them(loop, project, store):
    with pytest.raises(ParameterError, match=r"refine\.accept: no rule or example has the id 'E-00000z'"):
        loop(load_parameters("run.yaml", ["refine.accept=[E-00000z]"]), store)
    up_to(stages.Step("classify", 2), load_parameters("run.yaml"), store)
    name = store.load("one", "proposals", 1)["proposals"][0]["proposal_id"]
    with pytest.raises(ParameterError, match=rf"refine\.strike.*did you mean '{name}'"):
        workflow.start(load_parameters("run.yaml", [f"refine.strike=[{name}0]"]), store, run_id="one", resume=True)
    assert stages.next_step(store.get("one"), store) == stages.Step("classify", 2)
    loop(load_parameters("run.yaml", [f"refine.strike=[{name}]"]), store)
    shown, page = console.summary(report.summary(store, "one")), store.load("one", "report")
    proposals = store.load("one", "proposals", 1)["proposals"]
    for each in proposals:
        line = next(line for line in shown.splitlines() if line.startswith(each["proposal_id"]))
        assert each["status"] in line
        assert each["evidence"][0][:8] in line
        assert each["proposal_id"] in page
    assert {each["status"] for each in proposals} == {"accepted", "struck"}


@pytest.mark.parametrize("verdict", ["right", "wrong", "one", "single"])
def test_lopsided_verdicts_give_sentences_and_no_failure(loop, project, store, verdict):
    table = (project / "expenses.csv").read_text().splitlines()
    rows = [line.rsplit(",", 1)[0] for line in table[1:]]
    true = {"right": "Viajes", "wrong": "Uniformes", "one": "Otros", "single": "Otros"}[verdict]
    if verdict in ("right", "wrong"):
        rows = [f"{n},vuelo {chr(97 + n)}ana {chr(110 - n)}ero,1,Active" for n in range(12)]
    (project / "expenses.csv").write_text("\n".join([table[0], *(f"{row},{true}" for row in rows)]) + "\n")
    size = 1 if verdict == "one" else 8
    run = loop(load_parameters("run.yaml", [f"validate.sample_size={size}"]), store)
    assert run.state == RunState.FINISHED
    assert store.facts("one", "refine", 1)["summary"]
    for answer in report.summary(store, "one")["answers"]:
        assert answer["sentences"]
        assert "nan" not in " ".join(answer["sentences"]).lower()


@pytest.fixture
def served(project, monkeypatch):
    """A run against a real server whose model takes toner for Comida; its free answers are `server.written`."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    texts = words_in(Pool.PROMPT, "toner", 6) + words_in(Pool.DEV, "toner", 3)
    rows = [f"{n},{text},1,Active,Otros" for n, text in enumerate(texts)]
    (project / "expenses.csv").write_text("\n".join(["Folio,Concepto,Importe,Estado,Verdad", *rows]) + "\n")
    with OpenAIServer(lambda text: {"reason": text, "category": "Comida", "score": 0.9}) as server:
        base = yaml.safe_load((project / "run.yaml").read_text())
        base["classify"] |= {"provider": "openai", "model": MODEL, "base_url": server.url}
        base["refine"] |= {"llm_rules": True}
        (project / "run.yaml").write_text(yaml.safe_dump(base))
        (project / "parameters").mkdir()
        prices = {"as_of": "2026-01-01", "mxn_per_usd": 18, "models": {MODEL: {"input": 2, "cached": 1, "output": 8}}}
        (project / "parameters" / "prices.yaml").write_text(yaml.safe_dump(prices))
        yield server


def test_the_model_writes_a_rule_whose_cost_counts(served, loop, project, store):
    served.written = json.dumps({"rules": [{"pair": 1, "rule": "El tóner va en Otros."}]})
    parameters = load_parameters("run.yaml")
    up_to(stages.Step("refine", 1), parameters, store)
    before = store.load("one", "spending", 1)["cost_usd"]
    run = up_to(stages.Step("classify", 2), parameters, store)
    [asked] = [call for call in served.calls if not call.items]
    assert "Otros" in asked.body["messages"][1]["content"]
    assert workflow.prompt_of(run, store, 2).rules == ["El tóner va en Otros."]
    assert store.load("one", "spending", 1)["cost_usd"] > before
    struck = next(each for each in store.load("one", "proposals", 1)["proposals"] if each["kind"] == "example")
    again = load_parameters("run.yaml", [f"refine.strike=[{struck['proposal_id']}]"])
    up_to(stages.Step("classify", 2), again, store)
    assert len([call for call in served.calls if not call.items]) == 1  # what it wrote stays


@pytest.mark.parametrize("written", ["I cannot do that.", None])
def test_a_model_that_writes_no_rules_is_reported_and_nothing_else_happens(served, project, store, written):
    served.written = written
    run = up_to(stages.Step("classify", 2), load_parameters("run.yaml"), store)
    assert "The model wrote no rules" in store.facts("one", "refine", 1)["summary"]
    assert workflow.prompt_of(run, store, 2).rules[0].startswith("Items that mention 'toner'")


def test_the_embedded_provider_says_that_it_writes_no_rules(loop, project, store):
    (project / "expenses.csv").write_text((project / "expenses.csv").read_text().replace(",Viajes", ",Uniformes"))
    loop(load_parameters("run.yaml", ["refine.llm_rules=true", "validate.sample_size=24"]), store)
    assert "'lexical' writes no rules" in store.facts("one", "refine", 1)["summary"]


@pytest.mark.parametrize("by", ["gold", "file"])
def test_where_everything_has_a_verdict_the_loop_goes_on_to_its_end(loop, project, store, by):
    options = ["run.iterations=3", "validate.sample_size=500"]
    if by == "file":
        options.append("validate.gold_column=null")
        loop(load_parameters("run.yaml", options), store)
        store.load("one", "sample", 1)[["item_id"]].assign(is_correct="yes").to_csv("said.csv", index=False)
        options.append("validate.verdicts=said.csv")
    run = loop(load_parameters("run.yaml", options), store)
    assert run.state == RunState.FINISHED
    for each in (2, 3):
        assert store.load("one", "sample", each).empty
        if by == "gold":  # people are asked again about what the model says otherwise now
            told = "Every item has a verdict already, but for 1 without answer or text; there is nothing to draw."
            assert workflow.review_advice(run, store, each) == told
            assert store.load("one", "validations", each).empty
        shown = set(measuring.shown_items(run, store, each))
        usable = set(store.validations("one").query("pool == 'holdout'")["item_id"]) - shown
        assert store.load("one", "metrics", each)["accuracy"]["n"] <= len(usable)
    assert "NaN" not in json.dumps(report.summary(store, "one"))


def test_items_to_look_at_again_are_no_reason_to_wait_for_ever(loop, project, store):
    options = ["validate.sample_size=500", "validate.gold_column=null"]
    loop(load_parameters("run.yaml", options), store)
    said = store.load("one", "sample", 1)[["item_id", "category"]].assign(reviewer="Ana", corrected_category=None)
    doubted = said[:3].assign(reviewer="Beto", corrected_category=["Indeterminado"] * 3)
    pd.concat([said.assign(is_correct="yes"), doubted.assign(is_correct="no")]).drop(columns="category").to_csv(
        "said.csv"
    )
    run = up_to(stages.Step("refine", 1), load_parameters("run.yaml", [*options, "validate.verdicts=said.csv"]), store)
    run = loop(load_parameters("run.yaml", options), store)
    assert run.state == RunState.FINISHED
    assert store.load("one", "sample", 2).empty
    assert len(store.load("one", "review_items", 2)) >= 3
    assert "Every item has a verdict already" in workflow.review_advice(run, store, 2)
    assert "disputed between reviewers: let a third person decide" in console.summary(report.summary(store, "one"))


def test_items_without_text_are_no_reason_to_wait_for_ever(project, store):
    (project / "expenses.csv").write_text("Folio,Concepto,Importe,Estado,Verdad\n1,...,1,Active,Otros\n")
    run = up_to(None, load_parameters("run.yaml"), store)
    assert run.state == RunState.FINISHED
    assert "No item has both a text and an answer" in workflow.review_advice(run, store, 1)
    assert store.load("one", "metrics", 2)["accuracy"] is None


def outputs(store, name):
    """The texts that the cells of an executed notebook show."""
    cells = nbformat.read(store.path("one", f"notebook_{name}", 1), 4).cells
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    return [each.get("text") or each.data.get("text/html") or each.data.get("text/plain") for each in shown]


def test_the_executed_notebooks_show_every_proposal_and_no_blank_line(project, store):
    parameters = load_parameters("run.yaml", ["validate.sample_size=20", "refine.max_examples=9"])
    run = up_to(stages.Step("classify", 1), parameters, store)
    notebooks.run_stage(run, stages.Step("classify", 1), store)
    run = up_to(stages.Step("refine", 1), parameters, store)
    notebooks.run_stage(run, stages.Step("refine", 1), store)
    assert all(text.strip() for text in outputs(store, "classify") + outputs(store, "refine"))
    assert "No judge was asked for a second opinion.\n" in outputs(store, "classify")
    record = store.load("one", "proposals", 1)
    shown = "".join(outputs(store, "refine"))
    for each in record["proposals"]:
        assert each["proposal_id"] in shown
        assert each["evidence"][0][:8] in shown
    assert record["sentence"] in shown
