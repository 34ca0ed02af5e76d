"""Numbers that may be told: shares, intervals and sample sizes; null where there is nothing, never NaN."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A share that was measured on a sample, and the range in which the true share is to be expected."""

    estimate: float | None
    """0 to 1; null if nothing was measured."""
    low: float | None
    high: float | None
    n: int
    """How many items it was measured on."""

    def to_dict(self) -> dict[str, float | int | None]:
        """Give plain data."""
        return asdict(self)


def wilson(correct: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Measure a share with its Wilson score interval; `n` may be an effective sample size, which is no whole number.

    Unlike the textbook interval (p ± 1.96 standard errors) it stays within 0 and 1 and does not collapse at 0 % or
    100 %. Source: Wilson 1927, JASA 22, 209–212; recommended for small n by Brown, Cai and DasGupta 2001, Statistical
    Science 16, 101–133.

    >>> interval = wilson(47, 50)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3), interval.n
    (0.94, 0.838, 0.979, 50)
    >>> wilson(0, 0)
    Interval(estimate=None, low=None, high=None, n=0)
    """
    if n <= 0:
        return Interval(None, None, None, 0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), math.floor(n))


def reviews_needed(p: float, q: float, confidence: float = CONFIDENCE, power: float = 0.8) -> int | None:
    """Say how many verdicts per iteration would show the difference of two accuracies with the given power.

    n = (z_confidence + z_power)² · (p(1-p) + q(1-q)) / (p-q)², for two independent samples (the unpooled normal
    approximation, as in Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, ch. 4). Where the
    same items measure both iterations fewer are usually enough. Null where the difference is under one point.

    >>> reviews_needed(0.8, 0.9)
    197
    >>> reviews_needed(0.8, 0.805)
    """
    if abs(p - q) < 0.01:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2) + NormalDist().inv_cdf(power)
    return math.ceil(z * z * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2)


def finite(value: object) -> float | None:
    """Give a number as a float; null, NaN and infinity become null.

    >>> [finite(value) for value in (3, "0.5", float("nan"), float("inf"), None, "many")]
    [3.0, 0.5, None, None, None, None]
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def share(part: float, whole: float) -> float | None:
    """Divide; null where there is nothing to divide by.

    >>> share(1, 4), share(0, 0)
    (0.25, None)
    """
    return part / whole if whole else None
