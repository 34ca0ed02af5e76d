"""How far reviewers agree."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from workbench.metrics import agreement
from workbench.metrics.agreement import krippendorff_alpha
from workbench.records import VALIDATION_COLUMNS


def verdicts(**said):
    rows = [
        (f"i{n}", 1, reviewer, "Pop", category == "Pop", None if category == "Pop" else category, "", "2025", "dev")
        for reviewer, categories in said.items()
        for n, category in enumerate(categories)
        if category
    ]
    return pd.DataFrame(rows, columns=list(VALIDATION_COLUMNS)).astype(
        {"is_correct": "bool", "corrected_category": "str"}
    )


def test_two_reviewers_have_the_kappa_of_scikit_learn():
    rng = np.random.default_rng(1)
    first = rng.choice(["Pop", "Renta", "Otros"], 60)
    second = np.where(rng.random(60) < 0.7, first, "Pop")
    found = agreement(verdicts(Ana=first, Eva=second))
    assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second))
    assert found["percent"] == pytest.approx((first == second).mean())
    assert len(found["disputed"]) == (first != second).sum()


def test_alpha_is_the_published_value_of_krippendorffs_example():
    # Krippendorff 2011, example C: nominal data, four observers, missing values
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    marks = [[None if mark == "." else mark for mark in line.split()] for line in observers]
    table = pd.DataFrame(marks, dtype="object").T
    assert krippendorff_alpha(table) == pytest.approx(0.743, abs=0.001)


def test_disputed_items_name_what_each_reviewer_says():
    found = agreement(verdicts(Ana=["Pop", "Renta"], Eva=["Pop", "Otros"]))
    assert found["disputed"] == [{"item_id": "i1", "categories": {"Ana": "Renta", "Eva": "Otros"}}]


@pytest.mark.parametrize("said", [{}, {"Ana": ["Pop"]}, {"Ana": ["Pop", None], "Eva": [None, "Pop"]}])
def test_without_an_overlap_nothing_is_said(said):
    found = agreement(verdicts(**said))
    assert (found["items"], found["percent"], found["kappa"], found["alpha"]) == (0, None, None, None)


def test_verdicts_of_one_category_agree_but_not_beyond_chance():
    found = agreement(verdicts(Ana=["Pop", "Pop"], Eva=["Pop", "Pop"]))
    assert (found["percent"], found["kappa"], found["alpha"]) == (1.0, None, None)
    json.dumps(found, allow_nan=False)
