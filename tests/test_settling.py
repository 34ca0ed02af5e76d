"""Several people on one item: the majority stands, a third decides, and what looks like a slip is asked again."""

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import metrics, report, review
from workbench.parameters import load_parameters
from workbench.records import VALIDATION_COLUMNS
from workbench.runs import open_store
from workbench.settling import disputed, settled


def verdicts(*said):
    """Make verdicts of (item, reviewer, true category or None, iteration)."""
    rows = [
        (
            item,
            turn,
            who,
            "Pop",
            category == "Pop",
            None if category == "Pop" else category,
            "",
            f"{turn}-{n:03}",
            "dev",
        )
        for n, (item, who, category, turn) in enumerate(said)
    ]
    frame = pd.DataFrame(rows, columns=list(VALIDATION_COLUMNS))
    return frame.astype({"corrected_category": "str"})


def test_the_majority_stands_and_a_third_person_decides():
    two = verdicts(("a", "ana", "Pop", 1), ("a", "ben", "Renta", 1), ("b", "ana", "Pop", 1))
    assert settled(two)["disputed"].tolist() == [True, False]
    assert disputed(two)["reviewer"].tolist() == ["ana", "ben"]
    three = pd.concat([two, verdicts(("a", "cleo", "Pop", 2))])
    assert settled(three)[["true_category", "disputed"]].values.tolist() == [["Pop", False], ["Pop", False]]
    assert disputed(three).empty


def test_a_reviewer_who_comes_to_another_view_is_not_two_people():
    changed = verdicts(("a", "ana", "Pop", 1), ("a", "ana", "Renta", 2))
    assert settled(changed)[["true_category", "disputed"]].values.tolist() == [["Renta", False]]


def test_wrong_without_a_correction_stands_against_right():
    tied = verdicts(("a", "ana", "Pop", 1), ("a", "ben", None, 1))
    assert settled(tied)["disputed"].tolist() == [True]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["Pop", "R", None]))))
def test_every_judged_item_has_one_settled_verdict_and_disputes_are_those_of_agreement(said):
    frame = verdicts(*((item, who, category, n) for n, (item, who, category) in enumerate(said)))
    found = settled(frame)
    assert found["item_id"].tolist() == sorted({item for item, _, _ in said})
    listed = {each["item_id"] for each in metrics.agreement(frame)["disputed"]}
    assert listed == set(found.loc[found["disputed"], "item_id"]) == set(disputed(frame)["item_id"])


def test_a_disputed_item_measures_nothing_keeps_its_newest_person_and_passes_nothing_on():
    frame = verdicts(("a", "ana", "Pop", 1), ("a", "ben", "Renta", 1), ("b", "ana", "Pop", 1))
    usable = metrics.usable_for_accuracy(frame, iteration=1)
    assert usable.frame["item_id"].tolist() == ["b"]
    assert usable.left_out == {"is disputed between reviewers": 1}
    said = pd.DataFrame(
        {"item_id": ["a", "b", "c"], "category": "Pop", "reason": "", "score": 0.9, "status": "ok", "attempts": 1}
    )
    final = review.final_answers(said, frame, pd.Series({"a": "same", "b": "other", "c": "same"}))
    assert final[["category", "decided_by"]].values.tolist() == [["Renta", "human"], ["Pop", "human"], ["Pop", "model"]]


TEXTS = pd.Series({"a": "lona vinil impresa", "b": "lona vinil  impresa", "c": "lona vinil impresas", "d": "taxi"})


def test_a_verdict_that_near_identical_texts_contradict_is_suspected_with_its_neighbour():
    slip = verdicts(("a", "ana", "Pop", 1), ("b", "ana", "Renta", 1), ("c", "ben", "Renta", 1), ("d", "ana", "Pop", 1))
    found = review.suspects(slip, TEXTS)
    assert found["item_id"].tolist() == ["a"]
    assert found[["human_category", "other_category", "against", "for_it"]].values.tolist() == [["Pop", "Renta", 2, 0]]
    again = pd.concat([slip, verdicts(("a", "ana", "Pop", 2))])
    assert review.suspects(again, TEXTS).empty
    assert review.suspects(slip.iloc[:1], TEXTS).empty
    assert review.suspects(slip.iloc[:0], TEXTS).empty


def test_a_slip_and_a_dispute_are_asked_about_again_with_the_reason():
    frame = verdicts(*((item, "ana", "Renta" if item in "bc" else "Pop", 1) for item in "abcd"), ("d", "b", "R", 1))
    said = pd.DataFrame(
        {"item_id": list("abcd"), "category": "Pop", "reason": "why", "score": 0.9, "status": "ok", "attempts": 1}
    )
    found = review.second_look(said, frame, TEXTS)
    assert found["item_id"].tolist() == ["a", "d"]
    assert "which is Renta) why" in found["reason"][0]
    assert found["reason"][1] == "(ana: Pop, b: R) why"


def filled(sheet, answer):
    """Fill a review sheet in: `answer(text, category)` gives is_correct and corrected_category."""
    book = openpyxl.load_workbook(sheet)
    page = book.worksheets[0]
    names = {cell.value: cell.column for cell in page[2]}
    for row in range(3, page.max_row + 1):
        said = answer(page.cell(row, names["cleanConcepto"]).value, page.cell(row, names["category"]).value)
        for name, value in zip(("is_correct", "corrected_category"), said, strict=True):
            page.cell(row, names[name]).value = value
    book.save(sheet)


@pytest.fixture
def store(project):
    return open_store()


OPTIONS = ["validate.gold_column=null", "validate.blind_share=0.5", "validate.overlap_share=0.5", "run.iterations=1"]


def test_half_blind_and_half_for_two_reviewers_becomes_agreement_and_sway(loop, project, store):
    parameters = load_parameters("run.yaml", OPTIONS)
    run = loop(parameters, store)
    sample = store.load(run.run_id, "sample", 1)
    assert (sample["blind"].sum(), sample["overlap"].sum()) == (5, 5)
    hidden = []

    def accept_or_say_viajes(text, category):
        hidden.extend([] if category else [text])
        return ("sí", None) if category else (None, "Viajes")

    filled(store.path(run.run_id, "review_sheet", 1), accept_or_say_viajes)
    assert len(hidden) == 5
    filled(store.path(run.run_id, "second_review_sheet", 1), lambda *_: (None, "Comida"))
    run = loop(parameters, store)
    document = store.load(run.run_id, "validations_json", 1)
    assert document["agreement"]["reviewers"] == ["reviewer", "second reviewer"]
    assert document["agreement"]["items"] == 5
    assert document["blind"]["shown"]["n"] + document["blind"]["hidden"]["n"] == 15
    told = " ".join(report.answers(store, run.run_id)[0]["sentences"])
    assert "Reviewers agree on" in told
    assert "of the hidden ones" in told


def test_a_verdict_on_a_hidden_suggestion_must_name_the_category():
    sample = pd.DataFrame({"item_id": ["a", "b"], "category": ["Pop", "Pop"], "blind": [True, True]})
    raw = pd.DataFrame({"item_id": ["a", "b"], "is_correct": ["sí", None], "corrected_category": [None, "pop"]})
    taken = review.take_verdicts(raw, sample, ["Pop"], lambda name: "Pop" if name.casefold() == "pop" else None)
    assert taken.frame[["item_id", "is_correct"]].values.tolist() == [["b", True]]
    assert "its suggestion was hidden" in taken.faults[0]


def test_two_reviewers_may_judge_one_item_in_one_file():
    sample = pd.DataFrame({"item_id": ["a"], "category": ["Pop"]})
    raw = pd.DataFrame({"item_id": ["a", "a"], "is_correct": ["sí", "no"], "reviewer": ["ana", "ben"]})
    taken = review.take_verdicts(raw, sample, ["Pop"], str)
    assert len(taken.frame) == 2
    assert not taken.faults


def test_sway_is_the_difference_of_two_shares_with_newcombes_interval():
    frame = verdicts(*((f"i{n}", "ana", "Pop" if n % 10 else "Renta", 1) for n in range(100)))
    marks = pd.DataFrame({"item_id": frame["item_id"], "iteration": 1, "blind": [n % 2 == 0 for n in range(100)]})
    found = metrics.sway(frame, marks)
    assert (found["shown"]["estimate"], found["hidden"]["estimate"]) == (1.0, 0.8)
    difference = found["difference"]
    assert difference["estimate"] == pytest.approx(0.2)
    assert 0.07 < difference["low"] < 0.2 < difference["high"] < 0.34
    assert metrics.sway(frame, marks.assign(blind=False))["difference"] is None
