"""What people decided, summed up as they decided it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.metrics.agreement import agreement
from workbench.metrics.numbers import share


def newest_verdicts(validations: pd.DataFrame) -> pd.DataFrame:
    """Keep the newest verdict of every item, sorted by item."""
    ordered = validations.sort_values(["validated_at", "iteration"], kind="stable")
    return ordered.drop_duplicates("item_id", keep="last").sort_values("item_id", ignore_index=True)


def correct_and_incorrect(category: pd.Series[str], correct: pd.Series[bool]) -> dict[str, dict[str, int]]:
    """Count right and wrong per category, sorted by name."""
    totals, hits = category.value_counts().sort_index(), category[correct].value_counts()
    return {
        str(name): {"correct": int(hits.get(name, 0)), "incorrect": int(n) - int(hits.get(name, 0))}
        for name, n in totals.items()
    }


def validation_stats(validations: pd.DataFrame) -> dict[str, Any]:
    """Sum up verdicts as they were given: total, share of correct, and both by judged category.

    It counts the newest verdict of every item and judges the predictions that people saw. It is no measure of a later
    iteration: that is `measure_accuracy`.
    """
    newest = newest_verdicts(validations)
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


def validation_document(validations: pd.DataFrame) -> dict[str, Any]:
    """Give the content of validations.json: every verdict as plain data, and their sums."""
    records = validations.astype("object").where(validations.notna(), None).to_dict("records")
    plain = [{str(name): _plain(value) for name, value in record.items()} for record in records]
    stats = validation_stats(validations)
    return {"validations": plain, "validation_stats": stats, "agreement": agreement(validations)}


def _plain(value: Any) -> Any:
    """Turn a numpy scalar or a timestamp into what JSON knows."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)
