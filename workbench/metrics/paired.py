"""Whether one iteration is better than another, on the same items: what was fixed, what broke, and what can be told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from workbench.metrics.accuracy import by_chance, side_by_side, usable_for_accuracy
from workbench.metrics.estimates import Drawn, drawn_alike, drawn_as, kish_size
from workbench.metrics.numbers import CONFIDENCE, Interval

BETTER, WORSE, UNKNOWN = "better", "worse", "cannot be told"
WORTH_KNOWING = 0.02
"""A smaller difference is not worth the reviews that would show it."""
SIGNIFICANT = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Side:
    """One of two iterations that are compared."""

    iteration: int
    predictions: pd.DataFrame
    """Columns of `records.Prediction`."""
    example_item_ids: Iterable[str] = field(default=())
    """Items that are examples in its prompt."""


def compare_on_shared_items(
    validations: pd.DataFrame, before: Side, after: Side, *, design: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Compare two iterations on the items that may measure both: neither prompt was made from them.

    Returns:
        Plain data: `n` items; `both_right`, `both_wrong`, `fixed`, `broken` (counts); `fixed_items` and `broken_items`
        (item_id, true, before, after); `mcnemar_p`; `difference` of the accuracies (estimate, low, high: after minus
        before, items weighted as they were drawn); `smallest_detectable_difference` at this n; `review_more` (further
        verdicts that would show the difference; null where none would, or none is needed); `verdict` (better, worse or
        cannot be told) and `sentence`.
    """
    pairs = _pairs(validations, before, after)
    speaks, _ = by_chance(pairs["item_id"], design)
    pairs = pairs[speaks].reset_index(drop=True)
    first, second = (pairs[name].to_numpy(dtype=bool) for name in ("right_before", "right_after"))
    drawn = drawn_alike(len(pairs))
    if design is not None and len(pairs):
        drawn = drawn_as(list(pairs["item_id"]), design)
    fixed, broken = ~first & second, first & ~second
    found: dict[str, Any] = {
        "n": len(pairs),
        "both_right": int((first & second).sum()),
        "both_wrong": int((~first & ~second).sum()),
        "fixed": int(fixed.sum()),
        "broken": int(broken.sum()),
        "fixed_items": _listed(pairs[fixed]),
        "broken_items": _listed(pairs[broken]),
        "mcnemar_p": mcnemar(int(fixed.sum()), int(broken.sum())),
        "difference": paired_difference(first, second, drawn).to_dict(),
    }
    return found | _verdict(found, len(after.predictions))


def _pairs(validations: pd.DataFrame, before: Side, after: Side) -> pd.DataFrame:
    """Put both predictions of every item side by side that may measure both, with which of them is right."""
    sides = []
    for side, name in ((before, "before"), (after, "after")):
        usable = usable_for_accuracy(
            validations, iteration=side.iteration, example_item_ids=side.example_item_ids
        ).frame
        judged = side_by_side(usable, side.predictions).dropna(subset="predicted")
        known = judged["true"].notna() | (judged["predicted"] == judged["category"])
        judged = judged[known].assign(right=judged["predicted"] == judged["true"].fillna(""))
        wanted = judged[["item_id", "true", "predicted", "right"]]
        sides.append(wanted.rename(columns={"predicted": name, "right": f"right_{name}"}))
    return sides[0].merge(sides[1].drop(columns="true"), on="item_id")


def _listed(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    wanted = pairs[["item_id", "true", "before", "after"]].astype("object")
    return [
        {str(name): value for name, value in row.items()}
        for row in wanted.where(wanted.notna(), None).to_dict("records")
    ]


def mcnemar(fixed: int, broken: int) -> float | None:
    """Test whether as many items broke as were fixed: the exact two-sided p of McNemar's test; null without either.

    Twice the smaller tail of Binomial(fixed + broken, ½). Source: McNemar 1947, Psychometrika 12, 153–157; exact form
    in Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, 13.1.

    >>> round(mcnemar(8, 1), 4), mcnemar(3, 3), mcnemar(0, 0)
    (0.0391, 1.0, None)
    """
    changed = fixed + broken
    if not changed:
        return None
    tail = sum(math.comb(changed, count) for count in range(min(fixed, broken) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def paired_difference(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any], drawn: Drawn) -> Interval:
    """Estimate by how much the share of right items differs, with a 95 % interval; -1 to 1.

    The shares of fixed and broken items are weighted as the items were drawn. The interval is the adjusted Wald
    interval of Bonett and Price 2012 (J. Educational and Behavioral Statistics 37, 479–488): one item more is counted
    as fixed and one as broken, at the effective sample size of Kish.

    >>> before, after = np.array([False] * 8 + [True] * 92), np.array([True] * 99 + [False])
    >>> found = paired_difference(before, after, drawn_alike(100))
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3), found.n
    (0.07, 0.006, 0.131, 100)
    """
    n = len(before)
    if not n:
        return Interval(None, None, None, 0)
    part = drawn.weight / drawn.weight.sum()
    fixed, broken = float(part[~before & after].sum()), float(part[before & ~after].sum())
    size = kish_size(part, drawn.fraction)
    if math.isinf(size):
        return Interval(fixed - broken, fixed - broken, fixed - broken, n)
    more, less = (size * fixed + 1) / (size + 2), (size * broken + 1) / (size + 2)
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt((more + less - (more - less) ** 2) / (size + 2))
    middle, difference = more - less, fixed - broken
    low, high = max(-1.0, min(middle - half, difference)), min(1.0, max(middle + half, difference))
    return Interval(difference, low, high, n)


def pairs_needed(difference: float, changed: float, power: float = 0.8) -> int:
    """Say how many shared items show a difference of two accuracies with the given power.

    n = (z_confidence · √ψ + z_power · √(ψ - δ²))² / δ² with δ the difference and ψ the share of items that were fixed
    or broken (Connor 1987, Biometrics 43, 207–211).

    >>> [pairs_needed(points / 100, 0.1) for points in (6.3, 5.1, 4.0)]
    [196, 300, 489]
    """
    size, changed = abs(difference), max(changed, abs(difference))
    z, power_z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), NormalDist().inv_cdf(power)
    return math.ceil((z * math.sqrt(changed) + power_z * math.sqrt(changed - size**2)) ** 2 / size**2)


def smallest_detectable(n: int, changed: float) -> float | None:
    """Give the smallest difference that n shared items show in four of five cases; null where not even 1 would do.

    >>> [round(100 * smallest_detectable(n, 0.1), 1) for n in (200, 300, 500, 870)]
    [6.2, 5.1, 4.0, 3.0]
    >>> smallest_detectable(3, 0.1)
    """
    low, high = 1e-6, 1.0
    if not n or pairs_needed(high, changed) > n:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if pairs_needed(middle, changed) <= n else (middle, high)
    return high


def _verdict(found: dict[str, Any], items: int) -> dict[str, Any]:
    """Say in a word and in a sentence what can be told; a word other than "cannot be told" needs test and interval."""
    n, difference = found["n"], found["difference"]
    changed = (found["fixed"] + found["broken"] + 1) / (n + 2)
    told: dict[str, Any] = {
        "smallest_detectable_difference": smallest_detectable(n, changed),
        "review_more": None,
        "verdict": UNKNOWN,
    }
    significant = found["mcnemar_p"] is not None and found["mcnemar_p"] < SIGNIFICANT
    if significant and difference["low"] > 0 and found["fixed"] > found["broken"]:
        told["verdict"] = BETTER
    elif significant and difference["high"] < 0 and found["fixed"] < found["broken"]:
        told["verdict"] = WORSE
    else:
        target = max(abs(difference["estimate"] or 0.0), WORTH_KNOWING)
        more = max(10, -(-(pairs_needed(target, changed) - n) // 10) * 10)
        told["review_more"] = more if n and more <= items - n else None
    return told | {"sentence": _sentence(found, told)}


def _sentence(found: dict[str, Any], told: dict[str, Any]) -> str:
    n, verdict = found["n"], told["verdict"]
    if not n:
        return "Better or not cannot be told: no reviewed item may measure both iterations. Review a sample."
    counts = (
        f"of the {n:,} reviewed items that neither prompt was made from, {found['fixed']:,} were fixed and "
        f"{found['broken']:,} broken{_p(found['mcnemar_p'])}; {_weighted(found)}{_points(found['difference'])}"
    )
    if verdict != UNKNOWN:
        return f"This iteration is {verdict}: {counts}."
    smallest = told["smallest_detectable_difference"]
    seen = "hardly any difference" if smallest is None else f"only a difference of {100 * smallest:.0f} points or more"
    more = told["review_more"]
    advice = f"review about {more:,} more" if more else "there are too few items to show so small a difference"
    return f"Better or not cannot be told: {counts}. So many items show {seen}; {advice}."


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f" (McNemar p {'< 0.001' if p < 0.001 else f'= {p:.3f}'})"


def _weighted(found: dict[str, Any]) -> str:
    """Say why accuracy moves the other way than the plain counts, where it does."""
    plain, moved = found["fixed"] - found["broken"], found["difference"]["estimate"]
    return "each item weighted as it was drawn, " if plain * moved < 0 else ""


def _points(difference: dict[str, Any]) -> str:
    values = (100 * difference[name] for name in ("estimate", "low", "high"))
    return "accuracy moved by {:+.1f} points (95 %: {:+.1f} to {:+.1f})".format(*values)
