"""A person's word stands above every later classification."""

import pandas as pd
import pytest

from workbench.records import PREDICTION_COLUMNS, VALIDATION_COLUMNS
from workbench.review import contradictions, final_answers


def predictions(**categories):
    rows = [(item, category, "because", 0.9, "ok", 1, None) for item, category in categories.items()]
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def verdicts(*rows):
    full = [
        (
            item,
            iteration,
            "Ana",
            judged,
            right == judged,
            None if right == judged else right,
            "",
            f"2025-01-0{iteration}",
            "dev",
        )
        for item, iteration, judged, right in rows
    ]
    frame = pd.DataFrame(full, columns=list(VALIDATION_COLUMNS))
    return frame.astype({"is_correct": "bool", "corrected_category": "str", "item_id": "str", "category": "str"})


TEXTS = pd.Series({"a": "renta", "b": "renta", "c": "taxi", "d": "", "e": ""})


def final(said, judged, texts=TEXTS):
    return final_answers(said, judged, texts).set_index("item_id")


def test_a_correction_stands_whatever_the_model_says_later():
    answers = final(predictions(a="Pop", c="Viajes"), verdicts(("a", 1, "Otros", "Renta")))
    assert answers.loc["a", ["category", "decided_by"]].tolist() == ["Renta", "human"]
    assert answers.loc["a", "reason"] == "decided by Ana; the model says Pop"
    assert pd.isna(answers.loc["a", "score"])
    assert answers.loc["c", ["category", "decided_by", "score"]].tolist() == ["Viajes", "model", 0.9]


def test_a_confirmed_answer_keeps_the_models_reason_and_score():
    answers = final(predictions(c="Viajes"), verdicts(("c", 1, "Viajes", "Viajes")))
    assert answers.loc["c", ["category", "reason", "score", "decided_by"]].tolist() == [
        "Viajes",
        "because",
        0.9,
        "human",
    ]


def test_items_with_the_same_text_take_over_what_people_decided():
    answers = final(
        predictions(a="Pop", b="Pop", d="Pop", e="Pop"), verdicts(("a", 1, "Pop", "Renta"), ("d", 1, "Pop", "Otros"))
    )
    assert answers["decided_by"].to_dict() == {"a": "human", "b": "propagated", "d": "human", "e": "model"}
    assert answers.loc["b", "category"] == "Renta"
    assert answers.loc["e", "category"] == "Pop"


def test_people_who_disagree_on_a_text_decide_only_their_own_items():
    texts = pd.Series({"a": "renta", "b": "renta", "c": "renta"})
    judged = verdicts(("a", 1, "Pop", "Renta"), ("b", 1, "Pop", "Otros"))
    answers = final(predictions(a="Pop", b="Pop", c="Pop"), judged, texts)
    assert answers["category"].to_dict() == {"a": "Renta", "b": "Otros", "c": "Pop"}
    assert answers.loc["c", "decided_by"] == "model"


def test_the_newest_verdict_wins_and_wrong_without_a_correction_decides_nothing():
    answers = final(predictions(a="Pop"), verdicts(("a", 1, "Pop", "Renta"), ("a", 2, "Pop", "Otros")))
    assert answers.loc["a", "category"] == "Otros"
    answers = final(predictions(a="Pop"), verdicts(("a", 1, "Pop", None)))
    assert answers.loc["a", ["category", "decided_by"]].tolist() == ["Pop", "model"]


@pytest.mark.parametrize("pending", [None])
def test_an_item_that_was_not_classified_takes_the_category_of_a_person(pending):
    answers = final(predictions(a=pending), verdicts(("a", 1, "Pop", "Renta")))
    assert answers.loc["a", ["category", "reason"]].tolist() == ["Renta", "decided by Ana; the model says nothing"]


def test_without_verdicts_everything_is_the_models():
    said = predictions(a="Pop", b="Renta")
    pd.testing.assert_frame_equal(final_answers(said, verdicts(), TEXTS)[list(PREDICTION_COLUMNS)], said)


def test_only_a_new_opinion_of_the_model_against_a_person_is_asked_about_again():
    judged = verdicts(
        ("a", 1, "Pop", "Pop"), ("b", 1, "Pop", "Renta"), ("c", 1, "Pop", "Renta"), ("d", 1, "Pop", "Pop")
    )
    found = contradictions(predictions(a="Otros", b="Pop", c="Otros", d="Pop"), judged)
    assert found["item_id"].tolist() == ["a", "c"]
    assert found["human_category"].tolist() == ["Pop", "Renta"]
    assert found["reason"].iloc[0] == "(Ana, iteration 1: Pop) because"
    assert contradictions(predictions(a="Pop"), verdicts()).empty
