"""Two iterations on the same items: what was fixed, what broke, and what may be said of it."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from workbench.metrics import Drawn, Side, compare_on_shared_items, drawn_alike, mcnemar, paired_difference
from workbench.metrics.paired import pairs_needed, smallest_detectable
from workbench.records import PREDICTION_COLUMNS, VALIDATION_COLUMNS


def predictions(categories):
    rows = [(f"i{n}", category, "r", 0.9, "ok", 1, None) for n, category in enumerate(categories)]
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def verdicts(true, judged, *, pool="holdout", iteration=1):
    rows = [
        (
            f"i{n}",
            iteration,
            "Ana",
            said,
            said == right,
            None if said == right else right,
            "",
            f"2025-01-0{iteration}",
            pool,
        )
        for n, (right, said) in enumerate(zip(true, judged, strict=True))
    ]
    frame = pd.DataFrame(rows, columns=list(VALIDATION_COLUMNS))
    return frame.astype({"is_correct": "bool", "corrected_category": "str"})


def compare(fixed, broken, right, wrong, items=1000, **options):
    """Lay out as many items of each kind and compare."""
    true = ["Pop"] * (fixed + broken + right + wrong)
    before = ["Renta"] * fixed + ["Pop"] * (broken + right) + ["Renta"] * wrong
    after = ["Pop"] * fixed + ["Renta"] * broken + ["Pop"] * right + ["Renta"] * wrong
    rest = ["Otros"] * (items - len(true))
    sides = Side(1, predictions(before + rest)), Side(2, predictions(after + rest))
    found = compare_on_shared_items(verdicts(true, before), *sides, **options)
    json.dumps(found, allow_nan=False)
    return found


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(fixed, broken):
    expected = binomtest(fixed, fixed + broken).pvalue if fixed + broken else None
    assert mcnemar(fixed, broken) == (None if expected is None else pytest.approx(expected))


def test_fixed_and_broken_items_are_counted_and_listed():
    found = compare(fixed=3, broken=1, right=4, wrong=2)
    assert [found[name] for name in ("n", "fixed", "broken", "both_right", "both_wrong")] == [10, 3, 1, 4, 2]
    assert found["fixed_items"][0] == {"item_id": "i0", "true": "Pop", "before": "Renta", "after": "Pop"}
    assert [item["item_id"] for item in found["broken_items"]] == ["i3"]
    assert found["difference"]["estimate"] == pytest.approx(0.2)


def test_a_clear_gain_is_better_and_a_clear_loss_is_worse():
    assert compare(fixed=20, broken=3, right=60, wrong=17)["verdict"] == "better"
    worse = compare(fixed=3, broken=20, right=60, wrong=17)
    assert worse["verdict"] == "worse"
    assert worse["review_more"] is None
    assert "3 were fixed and 20 broken (McNemar p < 0.001)" in worse["sentence"]


def test_a_small_gain_cannot_be_told_and_says_how_many_more_verdicts_would_tell():
    found = compare(fixed=4, broken=1, right=40, wrong=5)
    assert found["verdict"] == "cannot be told"
    assert found["review_more"] > 50
    assert f"review about {found['review_more']:,} more" in found["sentence"]
    assert "only a difference of" in found["sentence"]


def test_where_there_are_not_enough_items_no_impossible_number_of_reviews_is_asked_for():
    found = compare(fixed=4, broken=3, right=40, wrong=3, items=60)
    assert found["review_more"] is None
    assert "too few items" in found["sentence"]


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (0, 0, 5, 0), (0, 0, 0, 5), (1, 0, 0, 0), (0, 1, 0, 0)])
def test_next_to_nothing_gives_a_sentence_and_no_nan(counts):
    found = compare(*counts)
    assert found["verdict"] == "cannot be told"
    assert "nan" not in found["sentence"]
    assert (found["difference"]["estimate"] is None) == (not sum(counts))


def test_items_that_a_prompt_was_made_from_are_not_shared():
    true, said = ["Pop"] * 4, ["Renta"] * 4
    sides = Side(1, predictions(said)), Side(2, predictions(true), example_item_ids=["i0"])
    assert compare_on_shared_items(verdicts(true, said), *sides)["n"] == 3
    assert compare_on_shared_items(verdicts(true, said, pool="prompt"), *sides)["n"] == 0
    assert compare_on_shared_items(verdicts(true, said, pool="prompt", iteration=2), *sides)["n"] == 3


def test_a_wrong_verdict_without_a_correction_only_speaks_of_what_it_judged():
    frame = verdicts(["Pop"], ["Renta"]).assign(corrected_category=None)
    same, other = Side(1, predictions(["Renta"])), Side(2, predictions(["Pop"]))
    assert compare_on_shared_items(frame, same, other)["n"] == 0
    assert compare_on_shared_items(frame, same, Side(2, predictions(["Renta"])))["both_wrong"] == 1


def test_an_accuracy_that_moves_against_the_plain_counts_says_why():
    before, after = ["Pop", "Pop", "Renta", "Renta"], ["Renta", "Pop", "Pop", "Pop"]
    design = pd.DataFrame({"item_id": ["i0", "i1", "i2", "i3"], "draw": 1, "stratum": ["many"] * 2 + ["few"] * 2})
    design = design.assign(stratum_items=[98, 98, 2, 2], drawable_items=100)
    sides = Side(1, predictions(before)), Side(2, predictions(after))
    found = compare_on_shared_items(verdicts(["Pop"] * 4, before), *sides, design=design)
    assert (found["fixed"], found["broken"]) == (2, 1)
    assert "each item weighted as it was drawn, accuracy moved by -47.0 points" in found["sentence"]
    assert "weighted" not in compare(fixed=2, broken=1, right=4, wrong=0)["sentence"]


def test_a_rare_category_that_was_drawn_too_often_does_not_decide_the_difference():
    true = ["Pop"] * 4
    before, after = ["Pop", "Pop", "Renta", "Renta"], ["Pop"] * 4
    design = pd.DataFrame(
        {"item_id": ["i0", "i1", "i2", "i3"], "draw": 1, "stratum": ["many"] * 2 + ["few"] * 2}
    ).assign(stratum_items=[98, 98, 2, 2], drawable_items=100)
    found = compare_on_shared_items(
        verdicts(true, before), Side(1, predictions(before)), Side(2, predictions(after)), design=design
    )
    assert found["fixed"] == 2
    assert found["difference"]["estimate"] == pytest.approx(0.02)


def test_over_1000_worlds_the_interval_of_the_difference_covers_the_truth():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(1_000):
        shares = rng.dirichlet([8, 1.5, 1, 3])
        kind = rng.choice(4, 2_000, p=shares)
        before, after = (kind == 0) | (kind == 2), (kind == 0) | (kind == 1)
        n = int(rng.integers(40, 200))
        drawn = rng.choice(len(kind), n, replace=False)
        alike = drawn_alike(n)
        found = paired_difference(before[drawn], after[drawn], Drawn(alike.weight, alike.stratum, np.full(n, n / 2000)))
        covered += found.low <= after.mean() - before.mean() <= found.high
    assert 0.93 <= covered / 1_000 <= 0.975


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3000), st.floats(0.01, 0.6))
def test_the_smallest_detectable_difference_needs_just_these_items(n, changed):
    smallest = smallest_detectable(n, changed)
    if smallest is not None:
        assert pairs_needed(smallest, changed) <= n
        assert smallest < 0.02 or pairs_needed(smallest * 0.97, changed) > n
