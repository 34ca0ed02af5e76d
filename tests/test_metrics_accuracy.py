import json

import pandas as pd
import pytest

from workbench.metrics import measure_accuracy, usable_for_accuracy, validation_document, validation_stats
from workbench.records import PREDICTION_COLUMNS, VALIDATION_COLUMNS


def verdict(item, category="Pop", right=None, *, iteration=1, pool="holdout", at=None):
    """Judge `category`: right without a correction, or wrong with `right` (False: wrong, nobody knows)."""
    corrected = right if isinstance(right, str) else None
    time = at or f"2025-01-{iteration:02d}T10:00:00.000000+00:00"
    return (item, iteration, "Ana", category, right is None, corrected, "", time, pool)


def validations(*rows):
    frame = pd.DataFrame(list(rows), columns=list(VALIDATION_COLUMNS))
    return frame.astype({"is_correct": "bool", "iteration": "int64", "corrected_category": "str", "item_id": "str"})


def predictions(status="ok", **categories):
    rows = [(item, category, "r", 0.9, status, 1, None) for item, category in categories.items()]
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def test_an_iteration_is_measured_by_its_own_verdicts_of_every_pool():
    frame = validations(verdict("a", pool="prompt"), verdict("b", pool="dev"), verdict("c", pool="holdout"))
    usable = usable_for_accuracy(frame, iteration=1)
    assert usable.frame["item_id"].tolist() == ["a", "b", "c"]
    assert usable.left_out == {}


def test_a_later_iteration_is_not_measured_by_what_its_prompt_could_know():
    frame = validations(verdict("a", pool="prompt"), verdict("b", pool="dev"), verdict("c", pool="holdout"))
    usable = usable_for_accuracy(frame, iteration=2)
    assert usable.frame["item_id"].tolist() == ["c"]
    assert usable.left_out == {"was known when the prompt was written": 1, "took part in choosing the prompt": 1}


def test_verdicts_of_later_iterations_measure_an_earlier_one():
    frame = validations(verdict("a", pool="prompt", iteration=3), verdict("b", pool="prompt", iteration=2))
    assert usable_for_accuracy(frame, iteration=2).frame["item_id"].tolist() == ["a", "b"]


def test_a_second_verdict_does_not_make_an_item_unknown_again():
    frame = validations(verdict("a", pool="prompt", iteration=1), verdict("a", pool="prompt", iteration=2))
    assert usable_for_accuracy(frame, iteration=2).left_out == {"was known when the prompt was written": 1}


def test_examples_of_the_prompt_never_measure_it():
    frame = validations(verdict("a", pool="holdout", iteration=2), verdict("b", pool="prompt"))
    usable = usable_for_accuracy(frame, iteration=2, example_item_ids=["a", "b"])
    assert usable.frame.empty
    assert usable.left_out == {"is in the prompt, or nearly the same as an example there": 2}


def test_the_newest_verdict_of_an_item_counts():
    frame = validations(
        verdict("a", right="Renta", at="2025-03-01T00:00:00.000000+00:00"),
        verdict("a", at="2025-02-01T00:00:00.000000+00:00"),
    )
    assert measure_accuracy(frame, predictions(a="Renta"), iteration=1).overall.estimate == 1.0


def test_accuracy_compares_predictions_with_what_people_stand_for():
    frame = validations(
        verdict("a"), verdict("b"), verdict("c", right="Renta"), verdict("d", right="Renta"), verdict("e", "Otros")
    )
    measured = measure_accuracy(frame, predictions(a="Pop", b="Otros", c="Renta", d="Pop", e="Otros"), iteration=2)
    assert (measured.overall.estimate, measured.overall.n) == (3 / 5, 5)
    assert measured.by_predicted == {
        "Otros": {"correct": 1, "incorrect": 1},
        "Pop": {"correct": 1, "incorrect": 1},
        "Renta": {"correct": 1, "incorrect": 0},
    }
    assert [(row["category"], row["correct"], row["n"]) for row in measured.by_category] == [
        ("Pop", 1, 2),
        ("Renta", 1, 2),
        ("Otros", 1, 1),
    ]
    assert measured.by_category[0]["low"] < 0.5 < measured.by_category[0]["high"]
    assert measured.confused_pairs == [
        {"true": "Pop", "predicted": "Otros", "n": 1},
        {"true": "Renta", "predicted": "Pop", "n": 1},
    ]
    json.dumps(measured.to_dict(), allow_nan=False)


def test_confused_pairs_are_sorted_by_how_often_they_occur():
    frame = validations(verdict("a", right="Renta"), verdict("b"), verdict("c"))
    pairs = measure_accuracy(frame, predictions(a="Pop", b="Zeta", c="Zeta"), iteration=1).confused_pairs
    assert [(pair["true"], pair["n"]) for pair in pairs] == [("Pop", 2), ("Renta", 1)]


def test_wrong_without_a_correction_counts_while_the_prediction_is_still_the_judged_one():
    frame = validations(verdict("a", right=False), verdict("b", right=False), verdict("c"))
    measured = measure_accuracy(frame, predictions(a="Pop", b="Renta", c="Pop"), iteration=2)
    assert (measured.overall.estimate, measured.overall.n) == (0.5, 2)
    assert measured.left_out == {"is wrong without a correction, and the prediction has changed": 1}
    assert measured.by_predicted == {"Pop": {"correct": 1, "incorrect": 1}}
    assert measured.confused_pairs == []


def test_items_without_a_prediction_are_left_out_and_failed_ones_count():
    frame = validations(verdict("a"), verdict("b"), verdict("c"))
    table = pd.concat(
        [
            predictions(a="Pop"),
            predictions(status="failed", b="Indeterminado"),
            predictions(status="pending", c="Pop").assign(category=None),
        ]
    )
    measured = measure_accuracy(frame, table, iteration=1)
    assert (measured.overall.estimate, measured.overall.n) == (0.5, 2)
    assert measured.left_out == {"was not classified in this iteration": 1}


def test_without_verdicts_there_is_no_accuracy():
    measured = measure_accuracy(validations(), predictions(a="Pop"), iteration=1)
    assert measured.to_dict() == {
        "estimate": None,
        "low": None,
        "high": None,
        "n": 0,
        "by_rows": None,
        "by_amount": None,
        "macro_f1": {"estimate": None, "categories": 0, "thin": []},
        "notes": ["No verdict can measure this iteration."],
        "left_out": {},
        "by_category": [],
        "by_predicted": {},
        "confused_pairs": [],
    }


def test_the_order_of_the_verdicts_and_predictions_has_no_say():
    frame = validations(*(verdict(f"i{n}", right="Renta" if n % 3 == 0 else None) for n in range(20)))
    table = predictions(**{f"i{n}": ["Pop", "Renta"][n % 2] for n in range(20)})
    shuffled = frame.sample(frac=1, random_state=1), table.sample(frac=1, random_state=2)
    assert measure_accuracy(*shuffled, iteration=1) == measure_accuracy(frame, table, iteration=1)


def test_validation_stats_count_what_people_saw():
    frame = validations(verdict("a"), verdict("b"), verdict("c", right="Renta"), verdict("d", "Renta", right=False))
    assert validation_stats(frame) == {
        "total_validated": 4,
        "accuracy_rate": 0.5,
        "categories_validated": ["Pop", "Renta"],
        "validation_breakdown": {
            "Pop": {"correct": 2, "incorrect": 1},
            "Renta": {"correct": 0, "incorrect": 1},
        },
    }


def test_the_stats_of_no_validations_have_no_rate():
    stats = validation_stats(validations())
    assert stats["accuracy_rate"] is None
    assert stats["total_validated"] == 0


def test_the_document_of_validations_is_plain_data():
    document = validation_document(validations(verdict("a"), verdict("b", right="Renta")))
    json.dumps(document, allow_nan=False)
    first, second = document["validations"]
    assert first["is_correct"] is True
    assert first["corrected_category"] is None
    assert second["corrected_category"] == "Renta"
    assert first["iteration"] == 1
    assert document["validation_stats"]["accuracy_rate"] == pytest.approx(0.5)


def drawn(**strata):
    """Lay out a draw: stratum → (items in it, the items that were drawn)."""
    total = sum(items for items, _ in strata.values())
    rows = [(item, 1, name, items, total) for name, (items, taken) in strata.items() for item in taken]
    return pd.DataFrame(rows, columns=["item_id", "draw", "stratum", "stratum_items", "drawable_items"])


def test_an_over_drawn_category_is_put_back_in_its_place():
    frame = validations(verdict("a"), verdict("b"), verdict("c", right="Renta"), verdict("d", right="Renta"))
    design = drawn(many=(20, ["a", "b"]), few=(2, ["c", "d"]))
    measured = measure_accuracy(frame, predictions(a="Pop", b="Pop", c="Pop", d="Pop"), iteration=1, design=design)
    assert measured.overall.estimate == pytest.approx(20 / 22)
    assert measured.overall.n == 4


def test_items_that_chance_did_not_draw_speak_for_nobody():
    frame = validations(verdict("a"), verdict("b"), verdict("c", right="Renta"))
    design = drawn(many=(20, ["a", "b"]))
    measured = measure_accuracy(frame, predictions(a="Pop", b="Pop", c="Pop"), iteration=1, design=design)
    assert (measured.overall.estimate, measured.overall.n) == (1.0, 2)
    assert measured.left_out == {"was not drawn by chance": 1}


def test_a_sample_of_hard_items_only_gives_no_accuracy_but_a_sentence():
    frame = validations(verdict("a"), verdict("b", right="Renta"))
    design = drawn(low=(20, ["a", "b"])).assign(drawable_items=500)
    measured = measure_accuracy(frame, predictions(a="Pop", b="Pop"), iteration=1, design=design)
    assert measured.overall.estimate is None
    assert "2 comes from a sample in which other items had no chance" in measured.notes[0]


ITEMS = pd.DataFrame({"item_id": list("abcd"), "n_rows": [1, 1, 1, 7], "amount": [100.0, -500.0, None, 400.0]})
FOUR = validations(verdict("a"), verdict("b"), verdict("c", right="Renta"), verdict("d", right="Renta"))
SAID = predictions(a="Pop", b="Pop", c="Pop", d="Pop")


def test_accuracy_is_told_by_items_by_rows_and_by_absolute_amount():
    measured = measure_accuracy(FOUR, SAID, iteration=1, items=ITEMS)
    assert measured.overall.estimate == 0.5
    assert (measured.by_rows.estimate, measured.by_rows.n) == (pytest.approx(2 / 10), 4)
    assert (measured.by_amount.estimate, measured.by_amount.n) == (pytest.approx(600 / 1000), 3)
    json.dumps(measured.to_dict(), allow_nan=False)


@pytest.mark.parametrize("amount", [None, [None] * 4, [0.0] * 4])
def test_without_amounts_there_is_a_sentence_in_place_of_a_share(amount):
    items = ITEMS.drop(columns="amount") if amount is None else ITEMS.assign(amount=amount)
    document = measure_accuracy(FOUR, SAID, iteration=1, items=items).to_dict()
    assert document["by_amount"] is None
    assert any("no amounts" in note for note in document["notes"])


def test_a_category_with_few_verdicts_says_that_n_is_too_small():
    many = [verdict(f"i{n}") for n in range(12)]
    frame = validations(*many, verdict("x", right="Renta"))
    said = predictions(x="Pop", **{f"i{n}": "Pop" for n in range(12)})
    pop, renta = measure_accuracy(frame, said, iteration=1).by_category
    assert (pop["note"], renta["note"]) == (None, "n too small")
    assert (pop["estimate"], renta["estimate"]) == (1.0, 0.0)
    assert (pop["precision"], pop["f1"]) == (pytest.approx(12 / 13), pytest.approx(24 / 25))
    assert (renta["precision"], renta["f1"]) == (None, 0.0)


def test_macro_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    true = ["Pop"] * 14 + ["Renta"] * 11 + ["Otros"] * 5
    said = ["Pop"] * 10 + ["Renta"] * 4 + ["Renta"] * 9 + ["Otros"] * 2 + ["Otros"] * 2 + ["Pop"] * 3
    frame = validations(*(verdict(f"i{n}", right=category) for n, category in enumerate(true)))
    said = predictions(**{f"i{n}": category for n, category in enumerate(said)})
    judged = frame.merge(said, on="item_id")["category_y"]
    measured = measure_accuracy(frame, said, iteration=1).macro_f1
    assert measured["estimate"] == pytest.approx(f1_score(true, judged, average="macro"))
    assert (measured["categories"], measured["thin"]) == (3, ["Otros"])


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_all_right_and_all_wrong_have_an_interval_and_a_sentence(right, n):
    frame = validations(*(verdict(f"i{k}", right=None if right else "Renta") for k in range(n)))
    measured = measure_accuracy(frame, predictions(**{f"i{k}": "Pop" for k in range(n)}), iteration=1, items=None)
    assert measured.overall.low < measured.overall.high
    assert any(f"All {n} are {'right' if right else 'wrong'}" in note for note in measured.notes)
    json.dumps(measured.to_dict(), allow_nan=False)
