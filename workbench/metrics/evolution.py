"""How answers and accuracy develop over all iterations of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from workbench.records import Status

Trend = Literal["improving", "degrading", "stable"]
Measured = Mapping[str, Any] | None
"""`accuracy` of a metrics.json: estimate, low, high, n; or null."""

COLUMNS = ("item_id", "iteration", "category", "score", "old_category", "old_score", "changed")


def evolution(predictions_by_iteration: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Lay out what every iteration said of every item, next to what was said before.

    Returns:
        One row per item and iteration that classified it, sorted by item, then iteration: item_id, iteration, category,
        score, old_category and old_score (null the first time), changed (the category differs from the old one).
    """
    said = [
        frame.loc[frame["status"] != Status.PENDING, ["item_id", "category", "score"]].assign(iteration=iteration)
        for iteration, frame in sorted(predictions_by_iteration.items())
    ]
    if not said:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(said, ignore_index=True).sort_values(["item_id", "iteration"], ignore_index=True)
    old = table.groupby("item_id")[["category", "score"]].shift()
    table = table.assign(old_category=old["category"], old_score=old["score"])
    table["changed"] = table["old_category"].notna() & (table["category"] != table["old_category"])
    return table[list(COLUMNS)]


def overall_trend(accuracies: Sequence[Measured]) -> Trend:
    """Say where accuracy went from the first to the last reviewed iteration, as far as their 95 % intervals tell.

    Args:
        accuracies: `accuracy` of every iteration, in order; null where it was not reviewed.

    >>> overall_trend([{"estimate": 0.7, "low": 0.6, "high": 0.78}, None, {"estimate": 0.9, "low": 0.83, "high": 0.95}])
    'improving'
    >>> overall_trend([{"estimate": 0.7, "low": 0.6, "high": 0.78}, {"estimate": 0.75, "low": 0.66, "high": 0.82}])
    'stable'
    """
    reviewed = [accuracy for accuracy in accuracies if accuracy and accuracy["estimate"] is not None]
    if len(reviewed) < 2:
        return "stable"
    first, last = reviewed[0], reviewed[-1]
    if last["low"] > first["high"]:
        return "improving"
    return "degrading" if last["high"] < first["low"] else "stable"


def best_iteration(accuracies: Sequence[Measured]) -> int | None:
    """Give the iteration (from 1) whose accuracy is surely the highest: the one with the highest lower bound.

    The lower bound does not let a handful of verdicts win by luck. Of equals the earlier wins; null without a review.

    >>> best_iteration([{"estimate": 0.9, "low": 0.83, "high": 0.94}, {"estimate": 1, "low": 0.57, "high": 1}, None])
    1
    """
    bounds = {
        iteration: accuracy["low"]
        for iteration, accuracy in enumerate(accuracies, start=1)
        if accuracy and accuracy["estimate"] is not None
    }
    return max(bounds, key=lambda iteration: (bounds[iteration], -iteration)) if bounds else None


def summarise_history(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum up the entries of history.json, one per iteration in order, each with `accuracy` (or null)."""
    accuracies = [entry["accuracy"] for entry in entries]
    return {"best_iteration": best_iteration(accuracies), "overall_trend": overall_trend(accuracies)}
