"""How answers and accuracy develop over all iterations of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from workbench.metrics.numbers import finite
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


def item_histories(
    predictions_by_iteration: Mapping[int, pd.DataFrame], validations: pd.DataFrame
) -> dict[str, list[dict[str, Any]]]:
    """Tell of every item what each iteration said and what people said to that, as the validation search shows it.

    Returns:
        Per item id a list by iteration: `iteration`, `llm_category`, `new_score`; `old_category` and `old_score` (null
        the first time); `user_validation` (is_correct, corrected_category, reviewer, user_notes, validated_at; or
        null) and `validated_at`; `change_type`: "manual" where a person judged it, "automatic" where the classifier
        alone went on from an earlier iteration, null otherwise.
    """
    table = evolution(predictions_by_iteration)
    newest = validations.sort_values("validated_at", kind="stable").drop_duplicates(
        ["item_id", "iteration"], keep="last"
    )
    judged = {(row["item_id"], row["iteration"]): row for row in newest.to_dict("records")}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        verdict = judged.get((row["item_id"], row["iteration"]))
        found.setdefault(row["item_id"], []).append(_turn(row, verdict))
    return found


def _turn(row: Mapping[Any, Any], verdict: Mapping[Any, Any] | None) -> dict[str, Any]:
    old = _text(row["old_category"])
    return {
        "iteration": int(row["iteration"]),
        "llm_category": _text(row["category"]),
        "user_validation": None if verdict is None else {name: _text(verdict[name]) for name in VERDICT},
        "validated_at": None if verdict is None else verdict["validated_at"],
        "change_type": "manual" if verdict is not None else "automatic" if old is not None else None,
        "old_category": old,
        "old_score": finite(row["old_score"]),
        "new_score": finite(row["score"]),
    }


VERDICT = ("is_correct", "corrected_category", "reviewer", "user_notes", "validated_at")


def _text(value: Any) -> Any:
    """Give null for every kind of missing."""
    return None if value is None or value != value else value


def has_improved(history: Sequence[Mapping[str, Any]], true_category: str | None) -> bool | None:
    """Say whether the last iteration does better on an item than the first; null where that cannot be said.

    Where people named the true category, right beats wrong. Otherwise (and between two right answers) the scores
    decide, where a score beats -1, which is a flag; equal ones give null, and so does a single iteration.

    >>> first, last = {"llm_category": "Pop", "new_score": 0.9}, {"llm_category": "Renta", "new_score": 0.6}
    >>> has_improved([first, last], "Renta"), has_improved([first, last], None), has_improved([first], "Pop")
    (True, False, None)
    """
    if len(history) < 2:
        return None
    first, last = history[0], history[-1]
    if true_category is not None:
        before, now = first["llm_category"] == true_category, last["llm_category"] == true_category
        if before != now:
            return bool(now)
        if not now:
            return None
    old, new = first["new_score"], last["new_score"]
    return None if old is None or new is None or old == new else bool(new > old)


def changes(
    predictions_by_iteration: Mapping[int, pd.DataFrame], validations: pd.DataFrame
) -> dict[int, dict[str, int]]:
    """Count by iteration how many items the classifier changed (automatic) and people corrected (manual)."""
    table = evolution(predictions_by_iteration)
    automatic = table[table["changed"].astype("bool")].groupby("iteration").size()
    wrong = validations[~validations["is_correct"].astype("bool")]
    manual = wrong.drop_duplicates(["item_id", "iteration"]).groupby("iteration").size()
    return {
        iteration: {"automatic": int(automatic.get(iteration, 0)), "manual": int(manual.get(iteration, 0))}
        for iteration in sorted(predictions_by_iteration)
    }


def category_timeline(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Lay out the items of every category over the iterations, the largest category of the last one first.

    >>> category_timeline([{"category_counts": {"Pop": 5}}, {"category_counts": {"Pop": 2, "Renta": 3}}])
    {'Renta': [0, 3], 'Pop': [5, 2]}
    """
    names = dict.fromkeys(name for entry in entries for name in entry["category_counts"])
    lines = {name: [int(entry["category_counts"].get(name, 0)) for entry in entries] for name in names}
    return dict(sorted(lines.items(), key=lambda pair: (-pair[1][-1], pair[0])))


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
