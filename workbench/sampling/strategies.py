"""The strategies: each sorts the items into strata and says how many to take from each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import UsageError
from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE
from workbench.registry import Registry
from workbench.sampling.allocation import allocate, allocate_by_spread

PROBABILITY, TARGETED = "probability", "targeted"
PARTS = (PROBABILITY, TARGETED)
"""Why an item is in the sample: by chance, so that it speaks for others; or sought out, because it teaches most."""

SMALL = "other categories"
CLASSES = 5
"""Classes of size in the `weighted` strategy, of equal total each."""


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
    targeted: frozenset[str] = field(default=frozenset())
    """Strata that are sought out."""


Strategy = Callable[[pd.DataFrame, Request], Strata]

STRATEGIES = Registry[Strategy]("sampling strategy")

NEEDS: dict[str, tuple[str, ...]] = {
    "neyman": ("error_rate",),
    "diversity": ("text",),
    "disagreement": ("previous_category",),
    "weighted": ("weight",),
}
"""The columns that a strategy needs besides those of a prediction; they do not go into the sample."""


@STRATEGIES.decorator("stratified")
def _by_category(population: pd.DataFrame, request: Request) -> Strata:
    """Every category in proportion to its items, and at least once where the size allows."""
    category = _reachable(_category(population), request.size)
    return Strata(category, allocate(_counts(category), request.size))


@STRATEGIES.decorator("confidence")
def _least_confident_first(population: pd.DataFrame, request: Request) -> Strata:
    """Scores below the threshold (-1 and missing ones too) first; the rest at random from the others."""
    low = is_low(population["score"], request.confidence_threshold)
    below, above = f"score < {request.confidence_threshold:g}", f"score >= {request.confidence_threshold:g}"
    taken = min(request.size, int(low.sum()))
    stratum = pd.Series(np.where(low, below, above), index=population.index, dtype="str")
    return Strata(stratum, {below: taken, above: request.size - taken}, frozenset([below]))


@STRATEGIES.decorator("random")
def _at_random(population: pd.DataFrame, request: Request) -> Strata:
    """Every item with the same probability."""
    return Strata(pd.Series("all", index=population.index, dtype="str"), {"all": request.size})


@STRATEGIES.decorator("neyman")
def _where_it_varies(population: pd.DataFrame, request: Request) -> Strata:
    """Category by confidence, more where right and wrong are mixed: the narrowest interval for the same verdicts.

    The share of wrong answers p comes from `error_rate` (earlier verdicts) or, where that is null, from the score; the
    spread of a stratum is √(p (1-p)). Source: Neyman 1934, J. Royal Statistical Society 97, 558–606.
    """
    high = np.where(is_low(population["score"], HIGH_SCORE), " · unsure", " · sure")
    fine = _category(population) + pd.Series(high, index=population.index, dtype="str")
    stratum = _reachable(fine if fine.nunique() * 2 <= request.size else _category(population), request.size)
    wrong = _expected_errors(population).groupby(stratum).mean()
    spread = (wrong * (1 - wrong)) ** 0.5
    take = allocate_by_spread(
        _counts(stratum), {str(name): float(value) for name, value in spread.items()}, request.size
    )
    return Strata(stratum, take)


def _expected_errors(population: pd.DataFrame) -> pd.Series[float]:
    """Guess how likely each answer is wrong, 0.05 to 0.95."""
    score = population["score"].astype("float64")
    guess = (1 - score).where((score != AMBIGUOUS_SCORE) & score.notna(), 0.5)
    return population["error_rate"].astype("float64").fillna(guess).clip(0.05, 0.95)


@STRATEGIES.decorator("diversity")
def _all_kinds_of_texts(population: pd.DataFrame, request: Request) -> Strata:
    """Half of the sample: texts that stand in the middle of the kinds of texts there are; the rest stratified."""
    from workbench.sampling.diversity import medoids

    chosen = medoids(population["text"].fillna(""), request.size // 2) if len(population) > request.size else []
    category = _category(population)
    rest = category.drop(index=chosen)
    stratum = _reachable(rest, request.size - len(chosen)).reindex(population.index).fillna(MEDOID)
    take = allocate(_counts(stratum.drop(index=chosen)), request.size - len(chosen))
    return Strata(stratum, {**take, MEDOID: len(chosen)}, frozenset([MEDOID]))


MEDOID = "typical of a kind of text"


@STRATEGIES.decorator("disagreement")
def _where_iterations_differ(population: pd.DataFrame, request: Request) -> Strata:
    """Half of the sample: where the second opinion or the last iteration says something else; the rest stratified."""
    others = [population[name] for name in ("previous_category", "judge_category") if name in population]
    differs = [other.notna() & (other != population["category"]) for other in others]
    changed = pd.Series(np.logical_or.reduce(differs), index=population.index)
    counts = int(changed.sum()), int((~changed).sum())
    taken = min(counts[0], max(request.size // 2, request.size - counts[1]))
    rest = _reachable(_category(population)[~changed], request.size - taken)
    stratum = rest.reindex(population.index).fillna(CHANGED)
    return Strata(stratum, {**allocate(_counts(rest), request.size - taken), CHANGED: taken}, frozenset([CHANGED]))


CHANGED = "changed since the last iteration, or doubted by the second opinion"


@STRATEGIES.decorator("weighted")
def _what_weighs_most(population: pd.DataFrame, request: Request) -> Strata:
    """The biggest items all, the others in classes of size, the bigger the likelier; for shares of rows and amounts.

    An item is taken for certain while it holds more than its share of what is left (Särndal, Swensson and Wretman 1992,
    Model Assisted Survey Sampling, 3.6.2). Classes have equal totals, so that each is drawn alike.
    """
    weight = population["weight"].astype("float64").abs().fillna(0.0)
    if len(weight) and not weight.sum():
        raise UsageError(
            "no item has a weight, so none can be drawn by it.",
            hint="name ingest.amount_column, or choose validate.weight_by: rows.",
        )
    certain = _certain(weight, max(0, request.size - 2 * (CLASSES + 1)))
    stratum = _size_classes(weight).mask(certain, BIGGEST)
    stratum = _reachable(stratum, request.size)
    counts = _counts(stratum)
    squares = (weight**2).groupby(stratum).mean()
    taken = int((stratum == BIGGEST).sum()) if request.size < len(population) else 0
    others = {name: count for name, count in counts.items() if not (taken and name == BIGGEST)}
    spread = {name: float(np.sqrt(squares[name])) for name in others}
    take = allocate_by_spread(others, spread, request.size - taken)
    return Strata(stratum, {**take, **({BIGGEST: taken} if taken else {})})


BIGGEST = "the biggest, all"


def _certain(weight: pd.Series[float], most: int) -> pd.Series[bool]:
    """Say which items are so big that a sample by size takes them for certain; at most `most` of them."""
    order = weight.sort_values(ascending=False, kind="stable")
    left = order.sum() - order.cumsum() + order
    open_seats = np.maximum(most - np.arange(len(order)), 0)
    enough = ((order * open_seats >= left) & (order > 0) & (open_seats > 0)).to_numpy()
    taken = int(np.argmin(np.append(enough, False)))
    return weight.index.to_series().isin(order.index[:taken])


def _size_classes(weight: pd.Series[float]) -> pd.Series[str]:
    """Sort items by size into classes of equal totals; those without a weight into one of their own."""
    order = weight.sort_values(kind="stable")
    total = order.sum()
    number = (order.cumsum() / total * CLASSES - 1e-9).clip(0, CLASSES - 1).astype("int64") if total else order * 0
    names = "size class " + (number + 1).astype("int64").astype("str")
    return names.reindex(weight.index).mask(weight == 0, "without a weight").astype("str")


def _category(population: pd.DataFrame) -> pd.Series[str]:
    return population["category"].astype("str").fillna("")


def _counts(stratum: pd.Series[str]) -> dict[str, int]:
    return {str(name): int(n) for name, n in stratum.value_counts().items()}


def _reachable(stratum: pd.Series[str], size: int) -> pd.Series[str]:
    """Put the smallest strata together where there are more than seats, so that every item keeps a chance."""
    counts = stratum.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if len(counts) <= size or size < 1:
        return stratum
    return stratum.where(stratum.isin(counts.index[: size - 1]), SMALL)


def is_low(score: pd.Series[Any], threshold: float) -> pd.Series[bool]:
    """Say whose score is below the threshold; -1 and missing ones are."""
    number = score.astype("float64")
    return number.isna() | (number == AMBIGUOUS_SCORE) | (number < threshold)
