"""The six questions that a review answers: in words and with one chart, on the terminal and on the page alike."""

import json

import pytest

from workbench import console, plots, report
from workbench.parameters import load_parameters
from workbench.report.words import weak_sentences
from workbench.runs import open_store

KEYS = ["accuracy", "weak", "better", "accept", "review", "prompt"]


@pytest.fixture
def store(project):
    return open_store()


def test_after_a_review_all_six_questions_have_an_answer_in_words_and_a_chart(ran):
    run, store = ran()
    found = report.answers(store, run.run_id)
    assert [each["key"] for each in found] == KEYS
    assert all(each["sentences"] and each["chart"] and each["chart"]["rows"] for each in found)
    measured = store.load(run.run_id, "metrics", 2)
    assert f"{100 * measured['accuracy']['estimate']:.1f} %" in found[0]["sentences"][0]
    assert [row["name"] for row in found[0]["chart"]["rows"]][:2] == ["iteration 1", "iteration 2"]
    assert {row["name"] for row in found[1]["chart"]["rows"]} == {
        row["category"] for row in measured["accuracy"]["by_category"]
    }
    assert store.load(run.run_id, "comparison", 2)["paired"]["sentence"] in found[2]["sentences"]


def test_terminal_page_and_chart_tell_the_same(ran):
    run, store = ran()
    found = report.answers(store, run.run_id)
    shown = " ".join(console.summary(report.summary(store, run.run_id)).split())
    page = store.load(run.run_id, "report")
    for each in found:
        assert each["question"] in shown
        assert each["question"] in page
        assert " ".join(each["sentences"][0].split()) in shown
        assert plots.to_svg(plots.chart(each["chart"])).startswith("<svg")
        assert each["chart"]["title"] in page
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_category_that_is_found_more_often_than_all_are_right_is_not_called_weak():
    found = {"Servicios": 0.52, "Obra": 0.7, "Renta": 0.96}
    rows = [
        {"category": name, "estimate": p, "low": 0.1, "high": 0.99, "n": 20, "note": None} for name, p in found.items()
    ]
    macro = {"estimate": 0.7, "categories": 3, "thin": []}
    accuracy = {"estimate": 0.72, "by_category": rows, "confused_pairs": [], "macro_f1": macro}
    told = weak_sentences({"accuracy": accuracy})[0]
    assert "Obra (70.0 %" in told
    assert "Servicios (52.0 %" in told
    assert "Renta" not in told


def test_before_a_review_the_answers_say_what_is_missing(loop, project, store):
    run = loop(load_parameters("run.yaml", ["validate.gold_column=null"]), store)
    told = {each["key"]: " ".join(each["sentences"]) for each in report.answers(store, run.run_id)}
    assert "no item of it was reviewed" in told["accuracy"]
    assert "no iteration before it" in told["better"]
    assert "Nothing before a review" in told["accept"]
    assert "cannot be told before a review" in told["prompt"]
    assert report.answers(store, store.create({}, run_id="empty").run_id) == []
