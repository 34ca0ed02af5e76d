"""Which predictions people look at: a reproducible sample by a named strategy, with known inclusion probabilities.

A strategy only sorts the items into strata and says how many to take from each. The drawing itself is the same for all:
a simple random sample within every stratum. So an item's inclusion probability is exactly n_h / N_h, where N_h counts
the items of its stratum that could be drawn and n_h those that were. It refers to this draw: items that are pending or
excluded (validated before) could not be drawn and are not in N_h. Over several iterations, in which excluded items had
their chance earlier, it is therefore conditional on what was validated before.

What a strategy seeks out is a stratum like any other, only drawn more often (or all of it): the part `targeted`. It
never counts for more than itself in an estimate, because 1 / inclusion probability weighs it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.records import HIGH_SCORE, Status
from workbench.sampling.strategies import NEEDS, PROBABILITY, STRATEGIES, TARGETED, Request, Strata

HELPING = tuple(name for names in NEEDS.values() for name in names)


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
        strategy: a name of `STRATEGIES`; `NEEDS` names the columns that some need besides.
        size: items to draw; all that can be drawn if there are fewer.
        seed: the same seed draws the same items in the same order.
        exclude: item ids that are not drawn because they were validated before.
        confidence_threshold: scores below it come first in the `confidence` strategy; a score of -1 is below.

    Returns:
        The drawn rows with all their columns, plus `stratum`, `inclusion_probability` (0 to 1, see the module),
        `stratum_items` (N_h), `drawable_items` (the sum of all N_h) and `part` (probability or targeted); index from 0.
        Pending items are never drawn.

    Raises NotRegistered for an unknown strategy, UsageError for a negative size, ColumnNotFound for a missing column.
    """
    if size < 0:
        raise UsageError(f"a sample of {size} items cannot be drawn.", hint="choose a size of 1 or more.")
    chosen = STRATEGIES.get(strategy)
    population = _drawable(predictions, exclude, NEEDS.get(strategy, ()))
    request = Request(min(size, len(population)), confidence_threshold)
    return _draw_within(population, chosen(population, request), np.random.default_rng(seed))


def _drawable(predictions: pd.DataFrame, exclude: Iterable[str], needs: Iterable[str]) -> pd.DataFrame:
    """Keep what can be drawn, sorted by id so that the order of the predictions has no say."""
    for column in ("item_id", "category", "score", "status", *needs):
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
    sample = (
        population.drop(columns=list(HELPING), errors="ignore")
        .loc[chosen]
        .assign(
            stratum=drawn,
            inclusion_probability=drawn.map(probability).astype("float64"),
            stratum_items=drawn.map(items).astype("int64"),
            drawable_items=len(population),
            part=np.where(drawn.isin(strata.targeted), TARGETED, PROBABILITY),
        )
    )
    return sample.reset_index(drop=True)


def mark_for_reviewers(sample: pd.DataFrame, *, blind_share: float, overlap_share: float, seed: int) -> pd.DataFrame:
    """Choose at random which items are judged without seeing the suggestion, and which by two reviewers.

    Adds the columns `blind` and `overlap` (true for this share of the items, rounded; of any share above 0 at least
    one item). The two choices do not depend on each other; the same seed chooses the same items.
    """
    rng = np.random.default_rng([seed, len(sample)])
    marks = {}
    for name, part in (("blind", blind_share), ("overlap", overlap_share)):
        count = min(len(sample), max(round(part * len(sample)), int(part > 0)))
        marks[name] = np.isin(np.arange(len(sample)), rng.permutation(len(sample))[:count])
    return sample.assign(**marks)


def design(samples: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put several draws together: how every drawn item came into its sample.

    Returns:
        Columns item_id, draw (numbered from 1), stratum, stratum_items, drawable_items. An item that nobody judged may
        be drawn again: then it has a row for each draw.
    """
    columns = ["item_id", "stratum", "stratum_items", "drawable_items"]
    parts = [sample[columns].assign(draw=number) for number, sample in enumerate(samples, start=1)]
    if not parts:
        return pd.DataFrame(columns=[*columns, "draw"])
    return pd.concat(parts, ignore_index=True)
