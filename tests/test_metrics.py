import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from workbench.metrics import (
    best_iteration,
    evolution,
    iteration_metrics,
    overall_trend,
    reviews_needed,
    summarise_history,
    wilson,
)
from workbench.records import PREDICTION_COLUMNS, band_of


def predictions(*rows):
    """Make predictions of (item_id, category, score, status)."""
    values = [(item, category, "r", score, status, 1, None) for item, category, score, status in rows]
    frame = pd.DataFrame(values, columns=list(PREDICTION_COLUMNS))
    return frame.astype({"item_id": "str", "category": "str", "score": "float64", "status": "str"})


def items(frame, **columns):
    return pd.DataFrame({"item_id": frame["item_id"], "n_rows": 1, **columns})


SIX = predictions(
    ("a", "Pop", 0.9, "ok"),
    ("b", "Pop", 0.5, "repaired"),
    ("c", "Renta", 0.7, "ok"),
    ("d", "Renta", 0.1, "ok"),
    ("e", "Indeterminado", -1.0, "failed"),
    ("f", None, None, "pending"),
)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_is_that_of_scipy(counts):
    correct, n = counts
    ours, theirs = wilson(correct, n), binomtest(correct, n).proportion_ci(method="wilson")
    assert math.isclose(ours.low, theirs.low, abs_tol=1e-9)
    assert math.isclose(ours.high, theirs.high, abs_tol=1e-9)
    assert 0 <= ours.low <= ours.estimate <= ours.high <= 1


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"), [(47, 50, 83.8, 97.9), (90, 100, 82.6, 94.5), (540, 600, 87.3, 92.2)]
)
def test_the_wilson_interval_has_the_published_values(correct, n, low, high):
    interval = wilson(correct, n)
    assert (round(100 * interval.low, 1), round(100 * interval.high, 1)) == (low, high)


def test_reviews_needed_would_show_the_difference():
    n = reviews_needed(0.8, 0.9)
    rng = np.random.default_rng(5)
    before, after = rng.binomial(n, 0.8, 4000) / n, rng.binomial(n, 0.9, 4000) / n
    error = np.sqrt(before * (1 - before) / n + after * (1 - after) / n)
    assert 0.77 < (after - before > 1.96 * error).mean() < 0.84


def test_the_metrics_of_an_iteration():
    amounts = [100.0, None, 50.0, 25.0, None, 1000.0]
    measured = iteration_metrics(
        SIX,
        items(SIX, amount=amounts).assign(n_rows=[5, 1, 2, 1, 1, 4]),
        processing={"seconds": 2.0, "calls": np.int64(3), "tokens": {"input": 10}, "items_per_second": float("nan")},
    )
    json.dumps(measured, allow_nan=False)
    assert measured == {
        "accuracy": None,
        "accuracy_note": None,
        "confident_share": 0.5,
        "ambiguous_rate": 0.2,
        "average_score": pytest.approx(0.55),
        "items": 6,
        "rows": 14,
        "amount": 1175.0,
        "pending": 1,
        "failed": 1,
        "repaired": 1,
        "coverage": {"items": 4 / 6, "rows": 9 / 14, "amount": 175 / 1175},
        "failed_share": 0.2,
        "bands": {"high": 2, "medium": 1, "low": 1, "ambiguous": 1},
        "category_counts": {"Pop": 2, "Renta": 2, "Indeterminado": 1},
        "category_rows": {"Pop": 6, "Renta": 3, "Indeterminado": 1},
        "category_amounts": {"Pop": 100.0, "Renta": 75.0, "Indeterminado": 0.0},
        "processing_stats": {
            "total_processed": 5,
            "categories_found": 3,
            "average_score": pytest.approx(0.55),
            "with_high_confidence": 2,
            "ambiguous": 1,
        },
        "position_audit": None,
        "processing": {"seconds": 2.0, "calls": 3, "tokens": {"input": 10}, "items_per_second": None},
    }


def test_without_an_amount_column_the_amounts_are_null():
    for frame in (items(SIX), items(SIX, amount=[None] * 6), items(SIX, amount=pd.array([None] * 6, dtype="Float64"))):
        measured = iteration_metrics(SIX, frame)
        assert measured["amount"] is None
        assert measured["category_amounts"] is None


@pytest.mark.parametrize("rows", [SIX.iloc[:0], SIX.iloc[5:], SIX.iloc[4:5]], ids=["no item", "pending", "ambiguous"])
def test_where_there_is_nothing_the_metrics_are_null_and_no_division_fails(rows):
    measured = iteration_metrics(rows, items(rows))
    json.dumps(measured, allow_nan=False)
    assert measured["confident_share"] is None
    assert measured["average_score"] is None
    assert measured["ambiguous_rate"] == (1.0 if rows["category"].notna().any() else None)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.just(-1.0), st.floats(0, 1), st.sampled_from([0.4, 0.7]), st.none()), max_size=30))
def test_the_bands_are_those_of_the_records(scores):
    frame = predictions(*[(str(n), "Pop", score, "ok") for n, score in enumerate(scores)])
    measured = iteration_metrics(frame, items(frame))
    json.dumps(measured, allow_nan=False)
    expected = [str(band_of(score)) for score in scores if score is not None]
    assert measured["bands"] == {band: expected.count(band) for band in ("high", "medium", "low", "ambiguous")}


def test_the_evolution_of_an_item_shows_what_was_said_before():
    second = predictions(("a", "Renta", 0.8, "ok"), ("b", "Pop", 0.9, "ok"), ("f", "Otros", 0.7, "ok"))
    told = evolution({2: second, 1: SIX})
    a = told[told["item_id"] == "a"].to_dict("records")
    assert [row["iteration"] for row in a] == [1, 2]
    assert (a[1]["old_category"], a[1]["category"], a[1]["old_score"], a[1]["changed"]) == ("Pop", "Renta", 0.9, True)
    assert not told[told["item_id"] == "b"]["changed"].any()
    assert told[told["item_id"] == "f"]["iteration"].tolist() == [2]
    assert told[told["item_id"] == "f"]["old_category"].isna().all()
    assert list(evolution({}).columns) == list(told.columns)


def accuracy(correct, n):
    return wilson(correct, n).to_dict()


@pytest.mark.parametrize(
    ("accuracies", "trend"),
    [
        ([], "stable"),
        ([None, accuracy(9, 10)], "stable"),
        ([accuracy(70, 100), accuracy(75, 100)], "stable"),
        ([accuracy(60, 100), None, accuracy(90, 100)], "improving"),
        ([accuracy(90, 100), accuracy(95, 100), accuracy(60, 100)], "degrading"),
    ],
)
def test_a_trend_is_only_told_where_the_intervals_tell_it(accuracies, trend):
    assert overall_trend(accuracies) == trend


def test_a_handful_of_lucky_verdicts_is_not_the_best_iteration():
    assert best_iteration([accuracy(80, 100), accuracy(5, 5), None, accuracy(80, 100)]) == 1
    assert best_iteration([None, accuracy(0, 0)]) is None


def test_a_history_is_summed_up():
    entries = [{"accuracy": accuracy(60, 100)}, {"accuracy": accuracy(90, 100)}]
    assert summarise_history(entries) == {"best_iteration": 2, "overall_trend": "improving"}
    assert summarise_history([]) == {"best_iteration": None, "overall_trend": "stable"}
