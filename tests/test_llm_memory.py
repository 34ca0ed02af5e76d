"""What is remembered of a classification: failed items asked again alone, answers forgotten, raw answers kept."""

import json
import os

import pandas as pd
import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench import cli, workflow
from workbench.errors import UsageError
from workbench.llm import Prompt
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
RUN = """\
run: {{name: small, iterations: 1}}
ingest: {{input: expenses.csv, columns: [Concepto]}}
classify: {{prompt: prompt.yaml, provider: openai, model: {model}, base_url: "{url}", chunk_size: 5, max_retries: 1}}
validate: {{sample_size: 15}}
"""
POISONED = ("taxi numero 3", "renta numero 5")


@pytest.fixture
def server(project, monkeypatch):
    """A server that refuses two items until `healed`, and a project of 30 items that asks it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    healed = []

    def faults(call):
        return ["filtered"] if not healed and set(POISONED) & set(call.items.values()) else []

    lines = "\n".join(f"{word} numero {n}" for n in range(10) for word in ("vinil", "taxi", "renta"))
    (project / "expenses.csv").write_text(f"Concepto\n{lines}\n", encoding="utf-8")
    (project / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    with OpenAIServer(faults=faults) as running:
        (project / "run.yaml").write_text(RUN.format(model=MODEL, url=running.url), encoding="utf-8")
        running.healed = healed
        yield running


def classified(store, *changes):
    parameters = load_parameters("run.yaml", changes)
    run = workflow.start(parameters, store, run_id="small", resume=True)
    run = workflow.ingest(parameters, store, run_id="small")
    return parameters, workflow.classify(run, parameters, store)


def asked_since(server, before):
    return sorted(text for call in server.calls[before:] for text in call.items.values())


def test_what_has_failed_is_asked_again_alone_and_nothing_else_changes(server):
    with open_store() as store:
        parameters, run = classified(store)
        first, metrics = store.load("small", "predictions", 1), store.load("small", "metrics", 1)
        assert (first["status"] == "failed").sum() == metrics["failed"] == 2
        server.healed.append(True)
        before = len(server.calls)
        run = workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(failed=True))
        assert asked_since(server, before) == sorted(POISONED)
        second, now = store.load("small", "predictions", 1), store.load("small", "metrics", 1)
        changed = first["status"] == "failed"
        assert set(second.loc[changed, "status"]) == {"ok"}
        pd.testing.assert_frame_equal(first[~changed], second[~changed])
        assert first.dtypes.equals(second.dtypes)
        assert (now["failed"], now["processing"]["failed"]) == (0, 0)
        assert now["processing"]["calls"] == metrics["processing"]["calls"] + 1 == len(server.calls)
        assert store.stage_done("small", "classify", 1)
        before = len(server.calls)
        workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(failed=True))
        assert len(server.calls) == before


def test_items_are_forgotten_by_the_beginning_of_their_id_and_asked_again_under_the_same_prompt(server):
    with open_store() as store:
        parameters, run = classified(store)
        items = store.load("small", "items").set_index("cleanConcepto")["item_id"]
        before = len(server.calls)
        ids = [items["vinil numero 1"][:10], items["renta numero 2"]]
        workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(forget=ids))
        assert asked_since(server, before) == ["renta numero 2", "vinil numero 1"]
        with pytest.raises(UsageError, match="no item of the run begins with 'zzz'"):
            workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(forget=["zzz"]))
        with pytest.raises(UsageError, match="30 items of the run begin with ''"):
            workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(forget=[""]))


def test_before_an_iteration_is_classified_forgetting_only_makes_it_ask_and_failures_are_not_known_yet(server):
    with open_store() as store:
        parameters, _ = classified(store)
        other = workflow.start(parameters, store, run_id="other")
        other = workflow.ingest(parameters, store, run_id="other")
        item = store.load("other", "items")["item_id"].tolist()[0]
        with pytest.raises(UsageError, match="iteration 1 of run 'other' is not classified yet"):
            workflow.classify(other, parameters, store, again=workflow.Again(failed=True))
        before = len(server.calls)
        workflow.classify(other, parameters, store, again=workflow.Again(forget=[item]))
        assert asked_since(server, before).count("vinil numero 0") >= 1
        assert set(asked_since(server, before)) == {"vinil numero 0", *POISONED}


def test_a_sample_that_nobody_has_judged_keeps_its_items_and_shows_the_new_answers(server):
    with open_store() as store:
        parameters, run = classified(store, "validate.sample_size=30")
        run = workflow.validate(run, parameters, store)
        assert run.state == RunState.AWAITING_REVIEW
        drawn = store.load("small", "sample", 1)
        assert (drawn["status"] == "failed").sum() == 2
        server.healed.append(True)
        run = workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(failed=True))
        assert run.state == RunState.AWAITING_REVIEW
        shown = store.load("small", "sample", 1)
        assert shown["item_id"].tolist() == drawn["item_id"].tolist()
        assert set(shown["status"]) <= {"ok", "repaired"}
        unchanged = [column for column in drawn if column not in ("category", "reason", "score", "status", "attempts")]
        pd.testing.assert_frame_equal(shown[unchanged], drawn[unchanged])
        assert "failed" not in set(store.load("small", "classified")["status"])


def test_an_iteration_that_people_have_judged_is_not_changed_any_more(server, project):
    with open_store() as store:
        parameters, run = classified(store)
        run = workflow.validate(run, parameters, store)
        sample = store.load("small", "sample", 1)
        verdicts = project / "verdicts.csv"
        verdicts.write_text(f"item_id,is_correct\n{sample['item_id'].tolist()[0]},yes\n")
        judged = workflow.with_verdicts(parameters, str(verdicts))
        run = workflow.validate(run, judged, store)
        before = store.load("small", "predictions", 1)
        for again in (workflow.Again(failed=True), workflow.Again(forget=before["item_id"].tolist()[:1])):
            with pytest.raises(UsageError, match="iteration 1 of run 'small' is not changed any more: it has verdicts"):
                workflow.classify(run, parameters, store, iteration=1, again=again)
        pd.testing.assert_frame_equal(before, store.load("small", "predictions", 1))


def test_a_review_sheet_that_is_being_filled_in_is_not_taken_from_under_anybodys_hands(server):
    from openpyxl import load_workbook

    with open_store() as store:
        parameters, run = classified(store)
        run = workflow.validate(run, parameters, store)
        path = store.path("small", "review_sheet", 1)
        book = load_workbook(path)
        sheet = next(each for each in book.worksheets if any("item_id" in map(str, row) for row in each.values))
        rows = list(sheet.iter_rows())
        header = next(row for row in rows if any(cell.value == "item_id" for cell in row))
        at = [cell.value for cell in header].index("is_correct")
        rows[header[0].row][at].value = "yes"
        book.save(path)
        with pytest.raises(UsageError, match="its review sheet is being filled in"):
            workflow.classify(run, parameters, store, iteration=1, again=workflow.Again(failed=True))


def test_the_command_asks_what_has_failed_again_through_its_notebook(server):
    with open_store() as store:
        classified(store)
        server.healed.append(True)
        before = len(server.calls)
        assert cli.main(["classify", "run.yaml", "--run-id", "small", "--failed"]) == 0
        assert asked_since(server, before) == sorted(POISONED)
        assert "failed" not in set(store.load("small", "predictions", 1)["status"])


def test_raw_answers_are_kept_call_by_call_with_what_was_wrong_and_without_the_key(server):
    server._faults = lambda call: {1: ["dropped"], 2: ["server_error"], 3: [KEY and "fences"]}.get(call.number, [])
    with open_store() as store:
        classified(store, "classify.keep_raw=true", "classify.concurrency=1")
        path = store.path("small", "raw_answers", 1)
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        ids = store.load("small", "items").set_index("item_id")["cleanConcepto"]
    assert len(records) == len(server.calls)
    for record, call in zip(records, server.calls, strict=True):
        assert {int(n): [ids[i] for i in items] for n, items in record["items"].items()} == {
            n: [text] for n, text in call.items.items()
        }
        assert record["usage"]["calls"] == 1
    first, second, third = records[:3]
    assert list(first["faults"].values()) == ["the answer left it out"]
    assert (second["text"], "500" in second["fault"]) == (None, True)
    assert third["text"].startswith("```json\n") and third["finish"] == "stop"
    assert os.environ["OPENAI_API_KEY"] not in path.read_text(encoding="utf-8")


def test_a_key_that_a_model_repeats_is_blotted_out_and_without_the_wish_nothing_is_kept(server):
    server._answer = lambda text: {"reason": f"the key is {KEY}", "category": "Pop", "score": 0.9}
    with open_store() as store:
        classified(store)
        assert not store.has("small", "raw_answers", 1)
        parameters = load_parameters("run.yaml", ["classify.keep_raw=true", "classify.cache=false"])
        other = workflow.start(parameters, store, run_id="other")
        workflow.classify(workflow.ingest(parameters, store, run_id=other.run_id), parameters, store)
        said = store.path("other", "raw_answers", 1).read_text(encoding="utf-8")
    assert "the key is ***" in said and KEY not in said
