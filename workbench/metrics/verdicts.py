"""What people decided, summed up as they decided it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.metrics.agreement import agreement, sway
from workbench.metrics.numbers import share
from workbench.settling import settled


def correct_and_incorrect(category: pd.Series[str], correct: pd.Series[bool]) -> dict[str, dict[str, int]]:
    """Count right and wrong per category, sorted by name."""
    totals, hits = category.value_counts().sort_index(), category[correct].value_counts()
    return {
        str(name): {"correct": int(hits.get(name, 0)), "incorrect": int(n) - int(hits.get(name, 0))}
        for name, n in totals.items()
    }


def validation_stats(validations: pd.DataFrame) -> dict[str, Any]:
    """Sum up verdicts as they were given: total, share of correct, and both by judged category.

    It counts the settled verdict of every item and judges the predictions that people saw. It is no measure of a later
    iteration: that is `measure_accuracy`.
    """
    newest = settled(validations)
    correct = newest["is_correct"].astype("bool")
    breakdown = correct_and_incorrect(newest["category"], correct)
    return {
        "total_validated": len(newest),
        "accuracy_rate": share(int(correct.sum()), len(newest)),
        "categories_validated": list(breakdown),
        "validation_breakdown": breakdown,
    }


def error_rates(validations: pd.DataFrame) -> dict[str, float]:
    """Give the share of wrong answers per judged category, drawn towards one half: (wrong + 1) / (n + 2)."""
    breakdown = validation_stats(validations)["validation_breakdown"]
    return {
        name: (counts["incorrect"] + 1) / (counts["correct"] + counts["incorrect"] + 2)
        for name, counts in breakdown.items()
    }


def validation_document(
    validations: pd.DataFrame, every: pd.DataFrame | None = None, marks: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Give the content of validations.json: every verdict as plain data, their sums, and how reviewers compare.

    Args:
        validations: the verdicts of the iteration.
        every: those of all iterations, on which reviewers are compared; by default the same.
        marks: item_id, iteration, blind of all samples; without it `blind` is null.
    """
    every = validations if every is None else every
    records = validations.astype("object").where(validations.notna(), None).to_dict("records")
    plain = [{str(name): _plain(value) for name, value in record.items()} for record in records]
    stats = validation_stats(validations)
    hidden = marks is not None and bool(marks["blind"].any())
    blind = sway(every, marks) if marks is not None and hidden else None
    return {"validations": plain, "validation_stats": stats, "agreement": agreement(every), "blind": blind}


def _plain(value: Any) -> Any:
    """Turn a numpy scalar or a timestamp into what JSON knows."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)
