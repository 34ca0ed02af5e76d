"""What a draw looks like in numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE, MEDIUM_SCORE, Band, Status
from workbench.sampling.strategies import PARTS, is_low


def sampling_stats(
    predictions: pd.DataFrame,
    sample: pd.DataFrame,
    confidence_threshold: float | None = HIGH_SCORE,
    *,
    target_size: int | None = None,
) -> dict[str, Any]:
    """Describe a draw: how many items there were, how many were drawn, and of which categories.

    The records that these numbers count are classified items, pending ones left out. Percentages are 0 to 100.
    The entry `confidence_stats` is null without a threshold; without a target size the size drawn stands for it.
    """
    classified = predictions[predictions["status"] != Status.PENDING]
    counts = sample["category"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    breakdown = {
        str(category): {"count": int(count), "percentage": _percentage(int(count), len(sample))}
        for category, count in counts.items()
    }
    threshold = confidence_threshold
    return {
        "total_records": len(classified),
        "target_sample_size": len(sample) if target_size is None else target_size,
        "actual_sample_size": len(sample),
        "sampling_percentage": _percentage(len(sample), len(classified)),
        "categories_represented": len(breakdown),
        "category_breakdown": breakdown,
        "parts": {part: int((sample["part"] == part).sum()) for part in PARTS},
        "confidence_stats": None if threshold is None else _confidence(classified["score"], threshold),
    }


def _confidence(score: pd.Series[Any], threshold: float) -> dict[str, Any]:
    """Count the items below the threshold, and those of each band."""
    number = score.astype("float64")
    ambiguous, high = number == AMBIGUOUS_SCORE, number >= HIGH_SCORE
    medium = (number >= MEDIUM_SCORE) & ~high
    low = int(is_low(score, threshold).sum())
    return {
        "total_records": len(number),
        "filtered_records": low,
        "filter_percentage": _percentage(low, len(number)),
        "confidence_threshold": threshold,
        "confidence_distribution": {
            Band.HIGH.value: int(high.sum()),
            Band.MEDIUM.value: int(medium.sum()),
            Band.LOW.value: int((number.notna() & ~high & ~medium & ~ambiguous).sum()),
            Band.AMBIGUOUS.value: int(ambiguous.sum()),
        },
    }


def _percentage(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
