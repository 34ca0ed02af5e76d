import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.metrics import compare_iterations, iteration_metrics, wilson
from workbench.records import PREDICTION_COLUMNS


def predictions(categories, scores=None):
    n = len(categories)
    status = ["pending" if category is None else "ok" for category in categories]
    values = [[f"i{k}" for k in range(n)], categories, ["r"] * n, scores or [0.9] * n, status, [1] * n, [None] * n]
    frame = pd.DataFrame(dict(zip(PREDICTION_COLUMNS, values, strict=True)))
    return frame.astype({"category": "str", "item_id": "str", "status": "str", "score": "float64"})


def measured(frame, correct=None, n=100, seconds=None, **accuracy):
    items = pd.DataFrame({"item_id": frame["item_id"], "n_rows": 1})
    metrics = iteration_metrics(frame, items, processing={"seconds": seconds})
    if correct is not None:
        details = {"left_out": {}, "by_category": [], "by_predicted": {}, "confused_pairs": []}
        metrics["accuracy"] = wilson(correct, n).to_dict() | details | accuracy
    return metrics


def compare(before, after, first=None, second=None, **numbers):
    first, second = first or measured(before), second or measured(after)
    comparison = compare_iterations(first, second, before, after, iteration=2, **numbers)
    json.dumps(comparison, allow_nan=False)
    return comparison


TEN = predictions(["Pop"] * 6 + ["Renta"] * 4, [0.9] * 6 + [-1.0, -1.0, 0.5, 0.5])
LATER = predictions(["Pop"] * 4 + ["Renta"] * 5 + ["Otros"], [0.9] * 8 + [-1.0, 0.5])


def told(comparison, word):
    return [line for line in comparison["recommendations"] if word in line]


def test_the_overall_score_weighs_accuracy_ambiguity_and_time():
    comparison = compare(TEN, LATER, measured(TEN, 80, seconds=100.0), measured(LATER, 90, seconds=80.0))
    assert comparison["improvement_parts"] == pytest.approx({"accuracy": 0.1, "ambiguity": 0.1, "time": 0.2})
    assert comparison["overall_improvement_score"] == pytest.approx(100 * (0.6 * 0.1 + 0.25 * 0.1 + 0.15 * 0.2))
    assert comparison["accuracy_basis"] == "validated"
    assert comparison["performance_comparison"]["time_improvement_pct"] == pytest.approx(20.0)


def test_a_part_of_the_score_is_cut_to_one():
    comparison = compare(TEN, TEN, measured(TEN, 80, seconds=1.0), measured(TEN, 80, seconds=1000.0))
    assert comparison["improvement_parts"]["time"] == -1.0
    assert comparison["overall_improvement_score"] == -15.0


def test_the_confident_share_stands_in_where_an_iteration_was_not_reviewed():
    comparison = compare(TEN, LATER, measured(TEN, 80))
    quality = comparison["quality_comparison"]
    assert comparison["accuracy_basis"] == "confident_share"
    assert (quality["baseline_accuracy"], quality["refined_accuracy"]) == (0.75, 8 / 9)
    assert quality["baseline"]["n"] == 100
    assert quality["refined"] is None
    assert comparison["recommendations"][0].startswith("Iteration 2 has no usable verdicts")


def test_two_unreviewed_iterations_are_both_named():
    assert compare(TEN, LATER)["recommendations"][0].startswith("Iterations 1 and 2 have no usable verdicts")


def test_ambiguity_is_compared_as_a_count_and_as_a_share():
    comparison = compare(TEN, LATER)
    assert comparison["quality_comparison"]["ambiguous_reduction"] == 1
    assert comparison["quality_comparison"]["ambiguous_reduction_share"] == pytest.approx(0.1)
    assert comparison["ambiguity"] == {
        "baseline_items": 2,
        "refined_items": 1,
        "baseline_rate": 0.2,
        "refined_rate": 0.1,
    }
    assert told(comparison, "Ambiguous") == ["Ambiguous items fell from 2 (20.0 %) to 1 (10.0 %)."]


def test_shifts_and_moves_say_what_changed():
    comparison = compare(TEN, LATER)
    assert comparison["distribution_comparison"] == {
        "category_shifts": {
            "Pop": {"from": 6, "to": 4},
            "Renta": {"from": 4, "to": 5},
            "Otros": {"from": 0, "to": 1},
        },
        "moves": [{"from": "Pop", "to": "Renta", "items": 2}, {"from": "Renta", "to": "Otros", "items": 1}],
    }
    assert list(comparison["distribution_comparison"]["category_shifts"]) == ["Pop", "Otros", "Renta"]
    assert (comparison["items_changed"], comparison["items_compared"]) == (3, 10)
    assert "mostly Pop → Renta (2)" in told(comparison, "changed")[0]


def test_pending_items_and_another_order_change_nothing():
    before = predictions(["Pop", None, "Renta"])
    after = predictions(["Pop", "Otros", "Renta"]).iloc[::-1]
    comparison = compare(before, after)
    assert (comparison["items_changed"], comparison["items_compared"]) == (0, 2)
    assert told(comparison, "No item changed")


def test_the_iterations_that_were_compared_are_named():
    assert compare(TEN, LATER)["baseline_iteration"] == 1
    comparison = compare_iterations(measured(TEN), measured(LATER), TEN, LATER, iteration=5, baseline_iteration=2)
    assert (comparison["baseline_iteration"], comparison["iteration_number"]) == (2, 5)


def test_a_gain_that_the_intervals_do_not_carry_is_not_claimed():
    line = compare(TEN, LATER, measured(TEN, 80), measured(LATER, 84))["recommendations"][0]
    assert line.startswith("Accuracy went from 80.0 % (71.1 % to 86.7 %, n = 100) to 84.0 %")
    assert "cannot be told apart yet" in line
    assert "about 1,450 verdicts on each iteration" in line
    assert "rose" not in line


def test_a_tiny_difference_is_not_given_a_sample_size():
    line = compare(TEN, LATER, measured(TEN, 80), measured(LATER, 80))["recommendations"][0]
    assert "too small for a sample of this size" in line


def test_a_gain_that_the_intervals_carry_is_told():
    line = compare(TEN, LATER, measured(TEN, 60), measured(LATER, 90))["recommendations"][0]
    assert line.startswith("Accuracy rose from 60.0 %")


def test_a_loss_leads_back_to_the_earlier_prompt():
    line = compare(TEN, LATER, measured(TEN, 90), measured(LATER, 60))["recommendations"][0]
    assert line.startswith("Accuracy fell")
    assert line.endswith("Go back to the prompt of iteration 1.")


def test_confusions_thin_evidence_and_failures_are_pointed_at():
    details = {
        "confused_pairs": [{"true": "Renta", "predicted": "Pop", "n": 3}],
        "by_predicted": {"Pop": {"correct": 1, "incorrect": 3}, "Renta": {"correct": 30, "incorrect": 0}},
    }
    many = predictions(["Pop"] * 60 + ["Renta"] * 40)
    later = measured(many, 30, 34, **details) | {"failed": 2}
    comparison = compare(many, many, measured(many, 80), later)
    assert "'Renta' is most often taken for 'Pop' (3 of 34 verdicts)" in told(comparison, "most often")[0]
    assert told(comparison, "Consider validating") == [
        "Consider validating more 'Pop' classifications: only 4 verdicts for 60 items."
    ]
    assert told(comparison, "failed") == ["2 items failed: `reason` says why."]


def test_nothing_compared_with_nothing_is_zero():
    empty = TEN.iloc[:0]
    comparison = compare(empty, empty)
    assert comparison["overall_improvement_score"] == 0.0
    assert comparison["items_compared"] == 0
    assert comparison["quality_comparison"]["accuracy_improvement"] is None


some_predictions = st.lists(
    st.tuples(st.sampled_from(["Pop", "Renta", None]), st.sampled_from([-1.0, 0.3, 0.9])), max_size=8
).map(lambda rows: predictions([row[0] for row in rows], [row[1] for row in rows]) if rows else TEN.iloc[:0])


@settings(deadline=None, max_examples=40)
@given(some_predictions, some_predictions, st.integers(0, 20), st.sampled_from([None, 0.0, 1.0, 5.0]))
def test_every_comparison_is_plain_data_and_its_score_within_bounds(before, after, correct, seconds):
    first, second = measured(before, correct, 20, seconds=seconds), measured(after, seconds=2.0)
    comparison = compare(before, after, first, second)
    assert -100 <= comparison["overall_improvement_score"] <= 100
    moved = sum(move["items"] for move in comparison["distribution_comparison"]["moves"])
    assert moved == comparison["items_changed"] <= comparison["items_compared"]
    assert comparison["recommendations"]
