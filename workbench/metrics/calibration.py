"""What a score is worth: how often answers with a score are right, and from which score on they may be accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.metrics.accuracy import Judged
from workbench.metrics.estimates import Drawn, Numbers, estimate, kish_size
from workbench.metrics.numbers import CONFIDENCE, share
from workbench.records import AMBIGUOUS_SCORE, Status

MOST_BINS = 10
PER_BIN = 10
"""Verdicts that a bin should have at least."""
FEW_TO_FIT = 40
"""Below this many verdicts a map from score to probability would be noise."""
ENOUGH_FOR_STEPS = 300
"""From this many verdicts on, isotonic steps are fitted; below it, Platt's curve with its two numbers."""
FOLDS = 5
RESAMPLES = 1_000
CURVE_POINTS = 40

Flags = NDArray[np.bool_]


def calibration(score: Numbers, right: Flags, drawn: Drawn) -> dict[str, Any]:
    """Measure how well scores foretell which answers are right.

    Args:
        score: of each verdict that counts; -1 and missing ones, which are flags, are left out here.
        right: whether the answer was right.
        drawn: how the items were drawn; everything is weighted by it.

    Returns:
        `n`; `flagged` (verdicts with -1 or no score); `bins` (of equal numbers of verdicts, equal scores together:
        from, to, mean_score, estimate, low, high, n); `ece` (estimate, low, high: the expected calibration error,
        Naeini, Cooper and Hauskrecht 2015, AAAI; the interval is the bootstrap's; with few verdicts it is rather too
        high); `map` (method, points, ece: what a map from score to probability, fitted across folds, makes of it; or
        null); `note`.
    """
    scored = ~np.isnan(score) & (score != AMBIGUOUS_SCORE)
    flagged = int((~scored).sum())
    score, right, drawn = score[scored], right[scored], drawn.among(scored)
    if len(score) < 2:
        few = "Fewer than two verdicts have a score: nothing can be said of what a score is worth."
        return {"n": len(score), "flagged": flagged, "bins": [], "ece": None, "map": None, "note": few}
    bins = _bins(score)
    fitted, note = _fitted(score, right, drawn.weight)
    return {
        "n": len(score),
        "flagged": flagged,
        "bins": [_bin(score, right, drawn, bins == number) for number in np.unique(bins)],
        "ece": _ece_interval(score, right, drawn.weight, bins),
        "map": fitted,
        "note": note,
    }


def _bins(score: Numbers) -> NDArray[np.int64]:
    """Sort scores into bins of about equal numbers; equal scores are never split."""
    wanted = max(1, min(MOST_BINS, len(score) // PER_BIN))
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    number = np.minimum((middle / len(score) * wanted).astype(np.int64), wanted - 1)
    bins: NDArray[np.int64] = number[place]
    return bins


def _bin(score: Numbers, right: Flags, drawn: Drawn, inside: Flags) -> dict[str, Any]:
    weight = drawn.weight[inside]
    return {
        "from": float(score[inside].min()),
        "to": float(score[inside].max()),
        "mean_score": float(np.average(score[inside], weights=weight)),
        **estimate(right, drawn, inside.astype("float64")).to_dict(),
    }


def _ece(score: Numbers, right: Flags, weight: Numbers, bins: NDArray[np.int64]) -> Numbers:
    """Give Σ over bins |Σ w (right - score)| / Σ w, for each row of weights."""
    inside = (bins[:, None] == np.unique(bins)[None, :]).astype("float64")
    gaps = np.abs((weight * (right - score)) @ inside).sum(axis=-1)
    total: Numbers = gaps / weight.sum(axis=-1)
    return total


def _ece_interval(score: Numbers, right: Flags, weight: Numbers, bins: NDArray[np.int64]) -> dict[str, float]:
    rng = np.random.default_rng(7)
    n = len(score)
    again = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) * weight
    drawn = _ece(score, right, again[again.sum(axis=1) > 0], bins)
    found = float(_ece(score, right, weight, bins))
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"estimate": found, "low": min(found, float(low)), "high": max(found, float(high))}


def _fitted(score: Numbers, right: Flags, weight: Numbers) -> tuple[dict[str, Any] | None, str | None]:
    """Fit a map from score to probability, judged only on verdicts that it was not fitted to; or say why not."""
    if len(score) < FEW_TO_FIT:
        return None, f"{len(score)} verdicts are too few for a map from score to probability; {FEW_TO_FIT} are needed."
    if min(right.sum(), (~right).sum()) < FOLDS:
        word = "right" if right.sum() > (~right).sum() else "wrong"
        return None, f"Nearly all verdicts are {word}: there is nothing that a map could learn from."
    if len(np.unique(score)) < 2:
        return None, "All scores are equal: they tell right and wrong not apart."
    fold = np.random.default_rng(7).permutation(len(score)) % FOLDS
    method = "isotonic" if len(score) >= ENOUGH_FOR_STEPS else "platt"
    mapped = np.empty(len(score))
    for number in range(FOLDS):
        held = fold == number
        if len(np.unique(right[~held])) < 2:
            return None, "Too few verdicts of one kind for a map from score to probability."
        mapped[held] = _fit(method, score[~held], right[~held], weight[~held], score[held])
    points = np.unique(np.quantile(score, np.linspace(0, 1, 11)))
    values = _fit(method, score, right, weight, points)
    return {
        "method": method,
        "ece": float(_ece(mapped, right, weight, _bins(mapped))),
        "points": [{"score": float(x), "probability": float(y)} for x, y in zip(points, values, strict=True)],
    }, None


def _fit(method: str, score: Numbers, right: Flags, weight: Numbers, at: Numbers) -> Numbers:
    """Fit isotonic steps (Zadrozny and Elkan 2002, KDD) or Platt's logistic curve (1999); read it at some scores."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    if method == "isotonic":
        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, right, sample_weight=weight)
        return np.asarray(steps.predict(at), dtype="float64")
    curve = LogisticRegression(C=100.0).fit(_logit(score), right, sample_weight=weight)
    return np.asarray(curve.predict_proba(_logit(at))[:, 1], dtype="float64")


def _logit(score: Numbers) -> Numbers:
    inside = np.clip(score, 0.01, 0.99)
    odds: Numbers = np.log(inside / (1 - inside))[:, None]
    return odds


def acceptance(score: Numbers, right: Flags, drawn: Drawn, target: float) -> dict[str, Any]:
    """Find the lowest score from which on the precision is at least `target` with 95 % certainty.

    Scores are tried from high to low, and the first that fails ends the search (fixed-sequence testing: Maurer,
    Hothorn and Lehmacher 1995; so no allowance for many tries is needed). The first has enough verdicts above it that
    a few mistakes are allowed; which that is depends on the scores alone. The bound is Clopper and Pearson's (1934,
    Biometrika 26, 404–413), one-sided, at the effective sample size.

    Returns:
        `target`; `score` (null where there is none); `precision` (estimate, low, n: the verdicts from that score on);
        `curve` (the same from every score on, high to low, at most `CURVE_POINTS` of them: score, estimate, low, n);
        `note`, where there is no score.
    """
    scored = ~np.isnan(score) & (score != AMBIGUOUS_SCORE)
    score, right, drawn = score[scored], right[scored], drawn.among(scored)
    least = math.ceil(math.log(1 - CONFIDENCE) / math.log(target))
    curve = [{"score": limit, **_precision(right, drawn, score >= limit)} for limit in _limits(score)]
    nothing = {"target": target, "score": None, "precision": None, "curve": curve}
    if len(score) < least:
        more = f"{len(score)} verdicts with a score cannot show a precision of {100 * target:g} %"
        return {**nothing, "note": f"{more}: it takes at least {least}, even if all are right."}
    start = np.sort(score)[::-1][min(2 * least, len(score)) - 1]
    accepted: dict[str, Any] | None = None
    for limit in np.unique(score[score <= start])[::-1]:
        found = _precision(right, drawn, score >= limit)
        if found["low"] < target:
            break
        accepted = {**nothing, "score": float(limit), "precision": found, "note": None}
    first = _precision(right, drawn, score >= start)
    why = f"the {first['n']} most confident verdicts are {100 * first['estimate']:.1f} % right, surely only above"
    return accepted or {**nothing, "note": f"No score reaches {100 * target:g} %: {why} {100 * first['low']:.1f} %."}


def _limits(score: Numbers) -> list[float]:
    """Give the scores at which the curve is drawn, from high to low."""
    known = np.unique(score)[::-1]
    step = -(-len(known) // CURVE_POINTS)
    return [float(limit) for limit in known[:: max(step, 1)]]


def _precision(right: Flags, drawn: Drawn, above: Flags) -> dict[str, Any]:
    from scipy.special import betaincinv  # the quantile of scipy.stats.beta, which takes half a second to import

    weight = drawn.weight[above] / drawn.weight[above].sum()
    n, estimated = int(above.sum()), float(weight[right[above]].sum())
    size = min(float(n), kish_size(weight, drawn.fraction[above] * 0))
    correct = estimated * size
    low = float(betaincinv(correct, size - correct + 1, 1 - CONFIDENCE)) if correct > 0 else 0.0
    return {"estimate": estimated, "low": low, "n": n}


def accepted_part(accepted: Mapping[str, Any], predictions: pd.DataFrame, items: pd.DataFrame) -> dict[str, Any]:
    """Say how many items and rows and how much absolute amount has the score from which on answers are accepted.

    Gives `counts` and `shares` (of everything) of items, rows and amount. Without any amounts theirs are null;
    everything is null where there is no such score.
    """
    unknown: dict[str, Any] = {"items": None, "rows": None, "amount": None}
    if accepted["score"] is None:
        return {"counts": unknown, "shares": unknown}
    table = predictions[["item_id", "score", "status"]].merge(items, on="item_id", how="left")
    taken = (table["score"] >= accepted["score"]) & ~table["status"].isin([Status.PENDING, Status.FAILED])
    sizes = {"items": pd.Series(1, index=table.index), "rows": table["n_rows"]}
    if "amount" in table:
        sizes["amount"] = pd.to_numeric(table["amount"], errors="coerce").abs().fillna(0.0)
    shares = {name: share(float(size[taken].sum()), float(size.sum())) for name, size in sizes.items()}
    counts = {name: size[taken].sum().item() for name, size in sizes.items() if shares[name] is not None}
    return {"counts": unknown | counts, "shares": unknown | shares}


def calibrate(judged: Judged, predictions: pd.DataFrame, items: pd.DataFrame, target: float) -> dict[str, Any]:
    """Give `calibration` of metrics.json: what `calibration` tells, and `acceptance` with what it covers."""
    accepted = acceptance(judged.score, judged.right, judged.drawn, target)
    part = accepted_part(accepted, predictions, items)
    return {
        **calibration(judged.score, judged.right, judged.drawn),
        "acceptance": {**accepted, **part},
    }
