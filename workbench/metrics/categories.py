"""Where an iteration is weak: how much of each category is found, how much of what is said holds, what is confused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.metrics.estimates import Drawn, estimate
from workbench.metrics.numbers import finite, share

FEW_VERDICTS = 10
"""Below this many verdicts nothing can be said of one category: even 9 of 9 right leaves 70 to 100 %."""

TOO_SMALL = "n too small"


def by_category(true: pd.Series[str], predicted: pd.Series[str], drawn: Drawn) -> list[dict[str, Any]]:
    """Measure every true category, the one with the most verdicts first.

    Returns:
        Per category: `n` verdicts and `correct` ones among them as counted; `estimate`, `low`, `high` (the share of the
        category that is found: recall), `precision` (of what is called so, the share that is) and `f1`, all three
        weighted as the items were drawn; `note` says where n is too small. `precision` is null where nothing is
        called so.
    """
    names = sorted(true.dropna().unique(), key=lambda name: (-int((true == name).sum()), str(name)))
    is_true = {name: (true == name).to_numpy(dtype=bool) for name in names}
    is_said = {name: (predicted == name).to_numpy(dtype=bool) for name in names}
    return [_category(str(name), is_true[name], is_said[name], drawn) for name in names]


def _category(name: str, is_true: NDArray[np.bool_], is_said: NDArray[np.bool_], drawn: Drawn) -> dict[str, Any]:
    weight = drawn.weight
    hit, true, said = (float(weight[chosen].sum()) for chosen in (is_true & is_said, is_true, is_said))
    found = estimate(is_said, drawn, is_true.astype("float64"))
    return {
        "category": name,
        "correct": int((is_true & is_said).sum()),
        **found.to_dict(),
        "precision": share(hit, said),
        "f1": share(2 * hit, true + said),
        "note": TOO_SMALL if found.n < FEW_VERDICTS else None,
    }


def macro_f1(categories: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give the plain mean of the F1 of all true categories, so that a rare one counts like a frequent one.

    `thin` names the categories with too few verdicts: where there are any, the mean hangs on single items, and no
    interval would be honest. Source: Opitz and Burst 2019, arXiv:1911.03347 (the mean of F1, not the F1 of means).

    >>> macro_f1([])
    {'estimate': None, 'categories': 0, 'thin': []}
    """
    scores = [category["f1"] for category in categories if category["f1"] is not None]
    thin = [category["category"] for category in categories if category["note"]]
    return {"estimate": finite(np.mean(scores)) if scores else None, "categories": len(scores), "thin": thin}


def confused_pairs(wrong: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the wrong predictions (columns true and predicted) as {true, predicted, n}, the most frequent first."""
    pairs = wrong.dropna(subset=["true"]).groupby(["true", "predicted"]).size().reset_index(name="n")
    pairs = pairs.sort_values(["n", "true", "predicted"], ascending=[False, True, True])
    return [
        {"true": str(true), "predicted": str(predicted), "n": int(n)}
        for true, predicted, n in zip(pairs["true"], pairs["predicted"], pairs["n"], strict=True)
    ]
