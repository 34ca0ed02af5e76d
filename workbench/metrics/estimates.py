"""From a sample to everything: estimates with 95 % intervals that go by how each item was drawn.

A draw splits the items into strata and takes a simple random sample of each. So a judged item stands for N_h / n_h
items, where n_h counts the judged ones of its stratum. Beyond items, it may stand for rows or for an amount.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.metrics.numbers import Interval, wilson

Numbers = NDArray[np.float64]

DESIGN_COLUMNS = ("item_id", "draw", "stratum", "stratum_items", "drawable_items")
"""What is known of how an item was drawn: in which draw, from which stratum, of how many items there and in all."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How judged items came into the sample; three arrays of one length."""

    weight: Numbers
    """How many items each stands for, up to a factor."""
    stratum: NDArray[np.int64]
    fraction: Numbers
    """The share of its stratum that was judged, 0 to 1; with 1 chance has no say."""

    def among(self, chosen: NDArray[np.bool_]) -> Drawn:
        """Keep some of the items as they are."""
        return replace(self, weight=self.weight[chosen], stratum=self.stratum[chosen], fraction=self.fraction[chosen])


def drawn_alike(n: int) -> Drawn:
    """Describe n items that were all equally likely to be drawn from very many."""
    return Drawn(np.ones(n), np.zeros(n, dtype=np.int64), np.zeros(n))


def speaking(item_ids: Sequence[str], design: pd.DataFrame) -> set[int]:
    """Give the draws whose judged items may speak for all items.

    Those are the draws in which each item had a chance, and the draws before one of them: it left out what was judged
    in those, which then stands for itself.

    Args:
        item_ids: the judged items.
        design: `DESIGN_COLUMNS`, one row per drawn item; of an item that was drawn again its last draw counts.
    """
    strata = design.drop_duplicates(["draw", "stratum"]).groupby("draw")
    covers = strata["stratum_items"].sum() == strata["drawable_items"].first()
    judged = set(_last_draws(design, item_ids)["draw"])
    last = max((draw for draw in covers.index[covers] if draw in judged), default=0)
    return set(covers.index[covers.index <= last])


def drawn_as(item_ids: Sequence[str], design: pd.DataFrame) -> Drawn:
    """Weigh judged items by the strata that they were drawn from.

    Within a stratum the judged items stand for all of it, so that a review that was not finished, or verdicts that may
    not be used, cost precision and nothing else (as long as chance alone chose them). Strata with fewer than two judged
    items are taken together, and stand for those of which none was judged.

    A draw leaves out what was judged before it, so alone it speaks for the rest only. What an earlier draw took out
    completes it (Raj 1956, JASA 51, 269–284): a judged item stands for its stratum in its own draw, and in each later
    one for what was judged of its stratum. The draws count by their judged items.

    Args:
        item_ids: the judged items, each once and each in the design.
        design: `DESIGN_COLUMNS`, one row per drawn item; of an item that was drawn again its last draw counts.
    """
    judged = _last_draws(design, item_ids)
    n = judged.groupby(["draw", "stratum"]).size().rename("n")
    strata = design.groupby(["draw", "stratum"])[["stratum_items", "drawable_items"]].first()
    strata["drawn"] = design.groupby(["draw", "stratum"]).size()
    strata = _stand_for(strata.join(n).fillna({"n": 0}).reset_index())
    strata["group"] = strata["stratum"].where(strata["n"] >= 2, "\0few")
    groups = strata.groupby(["draw", "group"])
    present = strata["mass"].where(strata["n"] > 0, 0).groupby([strata["draw"], strata["group"]])
    scale = groups["mass"].transform("sum") / present.transform("sum").where(lambda total: total > 0)
    strata["weight"] = strata["mass"] * scale / strata["n"].where(strata["n"] > 0)
    strata["fraction"] = (strata["n"] / (strata["items"] * scale)).clip(0, 1)
    strata["code"] = groups.ngroup()
    table = judged.merge(strata, on=["draw", "stratum"], how="left")
    weight = table["weight"].fillna(0.0).to_numpy(dtype="float64")
    fraction = table["fraction"].fillna(0.0).to_numpy(dtype="float64")
    return Drawn(weight / (weight.mean() or 1.0), table["code"].to_numpy(dtype=np.int64), fraction)


def _last_draws(design: pd.DataFrame, item_ids: Sequence[str]) -> pd.DataFrame:
    """Give item_id, draw and stratum of those of the items that were drawn, in their order."""
    last = design.drop_duplicates("item_id", keep="last").set_index("item_id")[["draw", "stratum"]]
    return last.reindex(pd.Index(list(item_ids), name="item_id")).dropna().astype({"draw": "int64"}).reset_index()


def _stand_for(strata: pd.DataFrame) -> pd.DataFrame:
    """Add for how much every stratum stands in all draws together: `mass`, up to a factor, and `items`.

    A draw counts where each item had a chance in it. By how much the next draw could draw fewer, so many items of this
    one were judged, and it takes them over.
    """
    draws = strata.groupby("draw")[["stratum_items", "n", "drawn"]].sum()
    draws["drawable"] = strata.groupby("draw")["drawable_items"].first()
    fewer = (draws["drawable"] - draws["drawable"].shift(-1)).fillna(0.0)
    gone = np.clip(fewer, 0, draws["drawn"])
    before = gone.cumsum() - gone
    counts = draws["n"].where(draws["stratum_items"] == draws["drawable"], 0.0)
    factor = (counts if counts.sum() else draws["n"]) / (draws["drawable"] + before)
    later = factor.sum() - factor.cumsum()
    taken = strata["drawn"] * strata["draw"].map(gone / draws["drawn"])
    own = strata["draw"].map(factor)
    return strata.assign(
        mass=own * strata["stratum_items"] + strata["draw"].map(later) * taken,
        items=strata["stratum_items"].where(own > 0, taken),
    )


def estimate(right: NDArray[np.bool_], drawn: Drawn, size: Numbers | None = None) -> Interval:
    """Estimate the share that is right, each item counted by its size, with a 95 % interval.

    The estimate is Hájek's: Σ w·x·y / Σ w·x with w = 1 / inclusion probability and x = size (Särndal, Swensson and
    Wretman 1992, Model Assisted Survey Sampling, 5.7). The interval is Wilson's at an effective sample size, which
    Franco, Little, Louis and Slud 2019 (J. Survey Statistics and Methodology 7, 334–364) found to hold in stratified
    samples: n_eff = p(1-p) / v, where v is the linearised variance within strata with the finite population correction
    (Särndal et al., 5.5), but never more than n / (1 - judged share). Where that variance is 0, and as an upper bound
    where sizes differ, n_eff is Kish's (Σ w·x)² / Σ (1-f)·(w·x)² (Kish 1965, Survey Sampling, 11.7): with heavy tails
    the linearised variance is too small. `n` counts the items with a size; nothing with a size gives nulls.

    >>> estimate(np.array([True] * 47 + [False] * 3), drawn_alike(50)) == wilson(47, 50)
    True
    """
    weight = drawn.weight if size is None else drawn.weight * size
    counted = weight > 0
    n, total = int(counted.sum()), float(weight.sum())
    if not n:
        return wilson(0, 0)
    share = math.fsum(weight[right]) / math.fsum(weight)  # exact sums: all right is 1, not 1.0000000000000002
    effective = _effective_size(weight / total, right, share, drawn)
    if size is not None and len(np.unique(size[counted])) > 1:
        effective = min(effective, kish_size(weight / total, drawn.fraction))
    found = wilson(share * effective, effective) if np.isfinite(effective) else Interval(share, share, share, n)
    return Interval(share, found.low, found.high, n)


def _effective_size(part: Numbers, right: NDArray[np.bool_], share: float, drawn: Drawn) -> float:
    """Give the size of the plain sample that would be as precise; infinite where everything was judged."""
    open_part = 1 - float(np.mean(drawn.fraction[part > 0]))
    n = int((part > 0).sum())
    most = n / open_part if open_part > 0 else np.inf
    variance = _variance(part * (right - share), drawn)
    p_q = share * (1 - share)
    if n < 2 or p_q <= 0 or variance <= p_q * 1e-12:
        return min(most, kish_size(part, drawn.fraction)) if np.isfinite(most) else np.inf
    return min(p_q / variance * n / (n - 1), most)


def _variance(residual: Numbers, drawn: Drawn) -> float:
    """Sum (1 - f) · n / (n-1) · Σ (e - mean e)² over the strata; strata of one item are taken together."""
    n = np.bincount(drawn.stratum)
    stratum = np.where(n[drawn.stratum] == 1, len(n), drawn.stratum)
    n = np.bincount(stratum, minlength=1).astype("float64")
    filled = np.maximum(n, 1)
    mean = np.bincount(stratum, residual) / filled
    squares = np.bincount(stratum, (residual - mean[stratum]) ** 2)
    closed = np.bincount(stratum, drawn.fraction) / filled
    alone = np.bincount(stratum, residual**2)
    within = np.where(n > 1, filled / np.maximum(filled - 1, 1) * squares, alone)
    return float(((1 - closed) * within).sum())


def kish_size(part: Numbers, fraction: Numbers) -> float:
    """Give the effective sample size of weights that add up to 1; infinite where everything was judged."""
    spread = float(((1 - fraction) * part**2).sum())
    return 1 / spread if spread > 0 else np.inf
