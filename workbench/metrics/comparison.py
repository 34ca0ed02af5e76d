"""Whether an iteration is better than the one before: comparison.json."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from workbench.metrics.numbers import finite, share
from workbench.metrics.recommendations import recommend
from workbench.records import Band, Status

WEIGHTS = {"accuracy": 0.6, "ambiguity": 0.25, "time": 0.15}
"""What each part of the overall improvement score counts; they add up to 1."""

COSTS = ("calls", "tokens", "cost")
"""What the classifier reports of its costs, as far as it does."""

VALIDATED = "validated"
CONFIDENT_SHARE = "confident_share"

Metrics = Mapping[str, Any]


def compare_iterations(
    baseline: Metrics,
    refined: Metrics,
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    iteration: int,
    baseline_iteration: int | None = None,
) -> dict[str, Any]:
    """Compare two iterations of the same items; docs/metrics.md explains every number.

    Args:
        baseline: metrics.json of the earlier iteration.
        refined: metrics.json of the later one.
        before: predictions of the earlier iteration.
        after: predictions of the later one.
        iteration: number of the later one.
        baseline_iteration: number of the earlier one; the one before if not given.

    Returns:
        Plain data without NaN. `overall_improvement_score` is -100 to 100:
        100 × (0.6 × gain in accuracy + 0.25 × fall of the ambiguous share + 0.15 × share of time saved), each part cut
        to ±1 and 0 where it is unknown. `accuracy_basis` says what stands for accuracy in it: `validated`, or
        `confident_share` where one of the two was not reviewed.
    """
    changes = _changes(before, after)
    quality = _quality(baseline, refined)
    performance = _performance(baseline, refined)
    parts = _parts(quality, performance)
    comparison = {
        "baseline_iteration": iteration - 1 if baseline_iteration is None else baseline_iteration,
        "iteration_number": iteration,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "overall_improvement_score": round(100 * sum(WEIGHTS[name] * (part or 0.0) for name, part in parts.items()), 2),
        "improvement_parts": parts,
        "accuracy_basis": _basis(baseline, refined),
        "performance_comparison": performance,
        "quality_comparison": quality,
        "ambiguity": _ambiguity(baseline, refined),
        "distribution_comparison": {
            "category_shifts": _shifts(baseline["category_counts"], refined["category_counts"]),
            "moves": _moves(changes[changes["from"] != changes["to"]]),
        },
        "items_compared": len(changes),
        "items_changed": int((changes["from"] != changes["to"]).sum()),
    }
    return {**comparison, "recommendations": recommend(comparison, refined)}


def with_pairs(comparison: Metrics, paired: Metrics, refined: Metrics) -> dict[str, Any]:
    """Add the comparison on shared items, which the recommendations then go by."""
    whole = {**comparison, "paired": dict(paired)}
    return {**whole, "recommendations": recommend(whole, refined)}


def _parts(quality: Metrics, performance: Metrics) -> dict[str, float | None]:
    """Give the three parts of the overall score, each within ±1; null where it is unknown."""
    return {
        "accuracy": _cut(quality["accuracy_improvement"]),
        "ambiguity": _cut(quality["ambiguous_reduction_share"]),
        "time": _cut(_saved(performance["baseline_processing_time"], performance["refined_processing_time"])),
    }


def _basis(baseline: Metrics, refined: Metrics) -> str:
    return VALIDATED if baseline["accuracy"] and refined["accuracy"] else CONFIDENT_SHARE


def _quality(baseline: Metrics, refined: Metrics) -> dict[str, Any]:
    """Compare accuracy on the basis that both iterations have, and what the classifier says of itself."""
    if _basis(baseline, refined) == VALIDATED:
        first, second = baseline["accuracy"]["estimate"], refined["accuracy"]["estimate"]
    else:
        first, second = baseline["confident_share"], refined["confident_share"]
    return {
        "baseline_accuracy": first,
        "refined_accuracy": second,
        "accuracy_improvement": _difference(second, first),
        "baseline": _interval(baseline["accuracy"]),
        "refined": _interval(refined["accuracy"]),
        "baseline_confident_share": baseline["confident_share"],
        "refined_confident_share": refined["confident_share"],
        "ambiguous_reduction": baseline["bands"][Band.AMBIGUOUS.value] - refined["bands"][Band.AMBIGUOUS.value],
        "ambiguous_reduction_share": _difference(baseline["ambiguous_rate"], refined["ambiguous_rate"]),
    }


def _interval(accuracy: Metrics | None) -> dict[str, Any] | None:
    return {name: accuracy[name] for name in ("estimate", "low", "high", "n")} if accuracy else None


def _ambiguity(baseline: Metrics, refined: Metrics) -> dict[str, Any]:
    return {
        "baseline_items": baseline["bands"][Band.AMBIGUOUS.value],
        "refined_items": refined["bands"][Band.AMBIGUOUS.value],
        "baseline_rate": baseline["ambiguous_rate"],
        "refined_rate": refined["ambiguous_rate"],
    }


def _performance(baseline: Metrics, refined: Metrics) -> dict[str, Any]:
    """Compare seconds and what else both iterations report of their processing."""
    first, second = baseline.get("processing") or {}, refined.get("processing") or {}
    times = finite(first.get("seconds")), finite(second.get("seconds"))
    saved = _saved(*times)
    return {
        "baseline_processing_time": times[0],
        "refined_processing_time": times[1],
        "time_improvement_pct": None if saved is None else round(100 * saved, 2),
        "baseline_items_per_second": finite(first.get("items_per_second")),
        "refined_items_per_second": finite(second.get("items_per_second")),
        **{f"{name}_difference": _difference(finite(second.get(name)), finite(first.get(name))) for name in COSTS},
    }


def _saved(before: float | None, after: float | None) -> float | None:
    """Give the share of the time that was saved; negative where it took longer."""
    return None if before is None or after is None else share(before - after, before)


def _cut(part: float | None) -> float | None:
    return None if part is None else max(-1.0, min(1.0, part))


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _shifts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Give the items of every category in both iterations, the largest change first."""
    shifts = {name: {"from": before.get(name, 0), "to": after.get(name, 0)} for name in {**before, **after}}
    return dict(sorted(shifts.items(), key=lambda pair: (-abs(pair[1]["to"] - pair[1]["from"]), pair[0])))


def _changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Put both categories of every item side by side that both iterations classified."""
    first, second = (
        frame.loc[frame["status"] != Status.PENDING, ["item_id", "category"]].dropna() for frame in (before, after)
    )
    first, second = first.rename(columns={"category": "from"}), second.rename(columns={"category": "to"})
    return first.merge(second, on="item_id")


def _moves(changed: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the items that went from one category to another, the most frequent way first."""
    ways = changed.groupby(["from", "to"]).size().reset_index(name="items")
    ways = ways.sort_values(["items", "from", "to"], ascending=[False, True, True])
    return [
        {"from": str(source), "to": str(target), "items": int(n)}
        for source, target, n in zip(ways["from"], ways["to"], ways["items"], strict=True)
    ]
