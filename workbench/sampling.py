"""Which predictions people look at: a reproducible sample by a named strategy, with known inclusion probabilities.

A strategy only sorts the items into strata and says how many to take from each. The drawing itself is the same for all:
a simple random sample within every stratum. So an item's inclusion probability is exactly n_h / N_h, where N_h counts
the items of its stratum that could be drawn and n_h those that were. It refers to this draw: items that are pending or
excluded (validated before) could not be drawn and are not in N_h. Over several iterations, in which excluded items had
their chance earlier, it is therefore conditional on what was validated before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE, MEDIUM_SCORE, Band, Status
from workbench.registry import Registry

__all__ = ["STRATEGIES", "Request", "Strata", "allocate", "design", "draw", "sampling_stats"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a strategy needs to know of the sample that is wanted."""

    size: int
    """Items to draw; never more than there are."""
    confidence_threshold: float


@dataclass(frozen=True, slots=True)
class Strata:
    """What a strategy answers: the stratum of every item, and how many items to take from each stratum."""

    of_item: pd.Series[str]
    take: Mapping[str, int]


Strategy = Callable[[pd.DataFrame, Request], Strata]

STRATEGIES = Registry[Strategy]("sampling strategy")


@STRATEGIES.decorator("stratified")
def _by_category(population: pd.DataFrame, request: Request) -> Strata:
    """Every category in proportion to its items, and at least once where the size allows."""
    category = population["category"].astype("str").fillna("")
    return Strata(category, allocate({str(name): int(n) for name, n in category.value_counts().items()}, request.size))


@STRATEGIES.decorator("confidence")
def _least_confident_first(population: pd.DataFrame, request: Request) -> Strata:
    """Scores below the threshold (-1 and missing ones too) first; the rest at random from the others."""
    low = _is_low(population["score"], request.confidence_threshold)
    below, above = f"score < {request.confidence_threshold:g}", f"score >= {request.confidence_threshold:g}"
    taken = min(request.size, int(low.sum()))
    stratum = pd.Series(np.where(low, below, above), index=population.index, dtype="str")
    return Strata(stratum, {below: taken, above: request.size - taken})


@STRATEGIES.decorator("random")
def _at_random(population: pd.DataFrame, request: Request) -> Strata:
    """Every item with the same probability."""
    return Strata(pd.Series("all", index=population.index, dtype="str"), {"all": request.size})


def allocate(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Share out a sample over strata in proportion to their counts: exactly `size`, or everything if there is less.

    Seats go one by one to the stratum that is furthest below its quota, which gives the largest-remainder method
    (Hamilton). Where the size allows, every stratum starts with one seat, so that none vanishes through rounding.
    The arithmetic is in integers; ties go to the larger stratum, then by name.

    >>> allocate({"Pop": 900, "Renta": 99, "Otros": 1}, 10)
    {'Pop': 8, 'Renta': 1, 'Otros': 1}
    >>> allocate({"Pop": 900, "Renta": 99, "Otros": 1}, 2)
    {'Pop': 2, 'Renta': 0, 'Otros': 0}
    """
    filled = {name: count for name, count in counts.items() if count > 0}
    total = sum(filled.values())
    size = min(size, total)
    start = 1 if size >= len(filled) else 0
    seats = dict.fromkeys(counts, 0) | dict.fromkeys(filled, start)
    queue = [(start * total - size * count, -count, name) for name, count in filled.items()]
    heapq.heapify(queue)
    for _ in range(size - start * len(filled)):
        above_quota, count, name = queue[0]
        seats[name] += 1
        heapq.heapreplace(queue, (above_quota + total, count, name))
    return seats


def draw(
    predictions: pd.DataFrame,
    *,
    strategy: str = "stratified",
    size: int = 100,
    seed: int = 7,
    exclude: Iterable[str] = (),
    confidence_threshold: float = HIGH_SCORE,
) -> pd.DataFrame:
    """Draw the predictions that people shall check, in the order in which they shall see them.

    Args:
        predictions: one row per item with the columns of `records.Prediction`; their order does not matter.
        strategy: `stratified` (in proportion to the categories), `confidence` (scores below the threshold first) or
            `random`.
        size: items to draw; all that can be drawn if there are fewer.
        seed: the same seed draws the same items in the same order.
        exclude: item ids that are not drawn because they were validated before.
        confidence_threshold: scores below it come first in the `confidence` strategy; a score of -1 is below.

    Returns:
        The drawn rows with all their columns, plus `stratum`, `inclusion_probability` (0 to 1, see the module),
        `stratum_items` (N_h) and `drawable_items` (the sum of all N_h); index from 0. Pending items are never drawn.

    Raises NotRegistered for an unknown strategy, UsageError for a negative size, ColumnNotFound for a missing column.
    """
    if size < 0:
        raise UsageError(f"a sample of {size} items cannot be drawn.", hint="choose a size of 1 or more.")
    chosen = STRATEGIES.get(strategy)
    population = _drawable(predictions, exclude)
    request = Request(min(size, len(population)), confidence_threshold)
    return _draw_within(population, chosen(population, request), np.random.default_rng(seed))


def _drawable(predictions: pd.DataFrame, exclude: Iterable[str]) -> pd.DataFrame:
    """Keep what can be drawn, sorted by id so that the order of the predictions has no say."""
    for column in ("item_id", "category", "score", "status"):
        if column not in predictions.columns:
            raise ColumnNotFound(
                f"the predictions have no column {column!r}.",
                hint=nearest(column, map(str, predictions.columns)),
            )
    keep = (predictions["status"] != Status.PENDING) & ~predictions["item_id"].isin(set(exclude))
    return predictions[keep].sort_values("item_id", kind="stable", ignore_index=True)


def _draw_within(population: pd.DataFrame, strata: Strata, rng: np.random.Generator) -> pd.DataFrame:
    """Take a simple random sample of every stratum and shuffle all of it into the order of review."""
    stratum = strata.of_item
    shuffled = stratum.iloc[rng.permutation(len(population))]
    wanted = shuffled.map(dict(strata.take)).astype("float64")
    chosen = shuffled.index[shuffled.groupby(shuffled).cumcount() < wanted]
    chosen = chosen[rng.permutation(len(chosen))]
    drawn = stratum.loc[chosen]
    items = stratum.value_counts()
    probability = (drawn.value_counts() / items).astype("float64")
    sample = population.loc[chosen].assign(
        stratum=drawn,
        inclusion_probability=drawn.map(probability).astype("float64"),
        stratum_items=drawn.map(items).astype("int64"),
        drawable_items=len(population),
    )
    return sample.reset_index(drop=True)


def design(samples: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put several draws together: how every drawn item came into its sample.

    Returns:
        Columns item_id, draw (numbered from 1), stratum, stratum_items, drawable_items. An item that was drawn twice
        counts for its first draw.
    """
    columns = ["item_id", "stratum", "stratum_items", "drawable_items"]
    parts = [sample[columns].assign(draw=number) for number, sample in enumerate(samples, start=1)]
    if not parts:
        return pd.DataFrame(columns=[*columns, "draw"])
    return pd.concat(parts, ignore_index=True).drop_duplicates("item_id", ignore_index=True)


def _is_low(score: pd.Series[Any], threshold: float) -> pd.Series[bool]:
    number = score.astype("float64")
    return number.isna() | (number == AMBIGUOUS_SCORE) | (number < threshold)


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
        "confidence_stats": None if threshold is None else _confidence(classified["score"], threshold),
    }


def _confidence(score: pd.Series[Any], threshold: float) -> dict[str, Any]:
    """Count the items below the threshold, and those of each band."""
    number = score.astype("float64")
    ambiguous, high = number == AMBIGUOUS_SCORE, number >= HIGH_SCORE
    medium = (number >= MEDIUM_SCORE) & ~high
    low = int(_is_low(score, threshold).sum())
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
