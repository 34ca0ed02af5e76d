"""What a score is worth, and from which score on answers may be accepted: honest at every size."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import plots
from workbench.metrics import acceptance, calibration, drawn_alike
from workbench.metrics.calibration import accepted_part


def verdicts(n, seed=1, truth=lambda score: score):
    """Draw n verdicts whose probability of being right is `truth(score)`."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(4, 2, n), 2)
    return score, rng.random(n) < truth(score)


def test_scores_that_mean_what_they_say_have_a_small_error_and_lie_on_the_diagonal():
    score, right = verdicts(3000)
    found = calibration(score, right, drawn_alike(3000))
    assert found["ece"]["estimate"] < 0.04
    assert all(each["low"] - 0.03 <= each["mean_score"] <= each["high"] + 0.03 for each in found["bins"])
    assert [each["to"] for each in found["bins"][:-1]] < [each["from"] for each in found["bins"][1:]]


@pytest.mark.parametrize(("n", "method"), [(100, "platt"), (1000, "isotonic")])
def test_a_map_fitted_across_folds_makes_overconfident_scores_honest(n, method):
    score, right = verdicts(n, truth=lambda score: 0.55 * score)
    found = calibration(score, right, drawn_alike(n))
    assert found["ece"]["low"] > 0.1
    assert found["map"]["method"] == method
    assert found["map"]["ece"] < 0.6 * found["ece"]["estimate"]


def test_the_error_is_that_of_a_direct_computation_and_lies_in_its_interval():
    score, right = np.array([0.5] * 20 + [0.9] * 20), np.array([True] * 8 + [False] * 12 + [True] * 15 + [False] * 5)
    found = calibration(score, right, drawn_alike(40))
    assert found["ece"]["estimate"] == pytest.approx((abs(0.4 - 0.5) + abs(0.75 - 0.9)) / 2)
    assert found["ece"]["low"] <= found["ece"]["estimate"] <= found["ece"]["high"]


def test_a_flag_is_no_score():
    score, right = np.array([-1.0, np.nan, 0.9, 0.8]), np.array([True, True, True, False])
    found = calibration(score, right, drawn_alike(4))
    assert (found["n"], found["flagged"]) == (2, 2)


def test_the_accepted_precision_holds_in_95_percent_of_500_worlds():
    kept = given_out = 0
    for seed in range(500):
        score, right = verdicts(400, seed, truth=lambda score: 1 - (1 - score) ** 2)
        found = acceptance(score, right, drawn_alike(400), 0.9)
        if found["score"] is not None:
            given_out += 1
            many, _ = verdicts(20_000, 10_000 + seed)
            above = many[many >= found["score"]]
            kept += (1 - (1 - above) ** 2).mean() >= 0.9
    assert given_out > 300
    assert kept >= 0.95 * given_out


def test_where_no_score_is_sure_enough_a_sentence_says_why():
    score, right = verdicts(200, truth=lambda score: 0.5 + 0 * score)
    assert "No score reaches 95 %" in acceptance(score, right, drawn_alike(200), 0.95)["note"]
    few = acceptance(score[:20], np.ones(20, dtype=bool), drawn_alike(20), 0.95)
    assert few["score"] is None
    assert "it takes at least 59" in few["note"]


def test_the_accepted_share_is_told_by_items_rows_and_absolute_amount():
    predictions = pd.DataFrame(
        {"item_id": list("abcd"), "score": [0.9, 0.8, -1.0, 0.95], "status": ["ok"] * 3 + ["failed"]}
    )
    items = pd.DataFrame({"item_id": list("abcd"), "n_rows": [1, 1, 2, 4], "amount": [-60.0, 20.0, None, 20.0]})
    assert accepted_part({"score": 0.85}, predictions, items)["shares"] == {"items": 0.25, "rows": 0.125, "amount": 0.6}
    without = accepted_part({"score": 0.85}, predictions, items.drop(columns="amount"))["shares"]
    assert without == {"items": 0.25, "rows": 0.125, "amount": None}
    assert set(accepted_part({"score": None}, predictions, items)["counts"].values()) == {None}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 0.9, 1.0]), st.booleans()), max_size=70), st.booleans())
def test_any_verdicts_give_plain_data_and_a_picture(rows, alike):
    score = np.array([row[0] for row in rows], dtype=float)
    right = np.array([row[1] or alike for row in rows], dtype=bool)
    found = calibration(score, right, drawn_alike(len(rows)))
    found["acceptance"] = acceptance(score, right, drawn_alike(len(rows)), 0.95)
    assert "NaN" not in json.dumps(found)
    assert found["map"] or found["note"]


@pytest.mark.parametrize("n", [0, 1, 2, 60, 500])
def test_there_is_a_picture_at_every_size(n):
    score, right = verdicts(n)
    found = calibration(score, right, drawn_alike(n))
    found["acceptance"] = acceptance(score, right, drawn_alike(n), 0.8)
    assert plots.to_svg(plots.reliability(found)).startswith("<svg")
    assert plots.to_svg(plots.reliability(None)).startswith("<svg")
