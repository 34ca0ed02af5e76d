"""Sentences that follow from the numbers of a comparison, and claim nothing that the intervals do not carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.metrics.categories import FEW_VERDICTS
from workbench.metrics.numbers import reviews_needed

LARGE_SHARE = 0.02
"""A category with this share of the items is worth verdicts of its own."""

Facts = Mapping[str, Any]


def recommend(comparison: Facts, refined: Facts) -> list[str]:
    """Say what the comparison shows and what to do next, the most important first.

    Args:
        comparison: comparison.json without its recommendations; where it has `paired`, that decides on accuracy.
        refined: metrics.json of the later iteration.
    """
    return [
        *_on_accuracy(comparison),
        *_on_ambiguity(comparison),
        *_on_changes(comparison),
        *_on_confusion(refined),
        *_on_thin_evidence(refined),
        *_on_failures(refined),
    ]


def _on_accuracy(comparison: Facts) -> Iterator[str]:
    before, now = comparison["quality_comparison"]["baseline"], comparison["quality_comparison"]["refined"]
    paired = comparison.get("paired")
    if paired and paired["n"]:
        yield paired["sentence"]
        if paired["verdict"] == "worse":
            yield f"Go back to the prompt of iteration {comparison['baseline_iteration']}."
        return
    if not before or not now:
        yield from _on_missing_reviews(comparison, before, now)
        return
    told = f"from {_measured(before)} to {_measured(now)}"
    if now["low"] > before["high"]:
        yield f"Accuracy rose {told}; the 95 % intervals do not overlap."
    elif now["high"] < before["low"]:
        yield (
            f"Accuracy fell {told}; the 95 % intervals do not overlap. "
            f"Go back to the prompt of iteration {comparison['baseline_iteration']}."
        )
    else:
        yield f"Accuracy went {told}; the 95 % intervals overlap: they cannot be told apart yet. {_more(before, now)}"


def _more(before: Facts, now: Facts) -> str:
    """Say how many verdicts would help, where the formula of `reviews_needed` gives more than there are."""
    needed = reviews_needed(before["estimate"], now["estimate"])
    if needed is None:
        return "If there is a difference, it is too small for a sample of this size."
    if needed <= min(before["n"], now["n"]):
        return "Review more items."
    rounded = -(-needed // 10) * 10
    return f"If the difference is real, about {rounded:,} verdicts on each iteration would show it."


def _on_missing_reviews(comparison: Facts, before: Facts | None, now: Facts | None) -> Iterator[str]:
    pairs = ((comparison["baseline_iteration"], before), (comparison["iteration_number"], now))
    missing = [str(iteration) for iteration, measured in pairs if not measured]
    many = len(missing) > 1
    yield (
        f"Iteration{'s' if many else ''} {' and '.join(missing)} {'have' if many else 'has'} no usable verdicts, so "
        "accuracy cannot be compared. The share of confident answers stands in for it: it says how sure the classifier "
        "is, not whether it is right. Review a sample."
    )


def _on_ambiguity(comparison: Facts) -> Iterator[str]:
    facts = comparison["ambiguity"]
    before, now = facts["baseline_items"], facts["refined_items"]
    if before == now or facts["baseline_rate"] is None or facts["refined_rate"] is None:
        return
    told = f"from {before:,} ({_percent(facts['baseline_rate'])}) to {now:,} ({_percent(facts['refined_rate'])})"
    yield f"Ambiguous items {'fell' if now < before else 'rose'} {told}."


def _on_changes(comparison: Facts) -> Iterator[str]:
    changed, compared = comparison["items_changed"], comparison["items_compared"]
    moves = comparison["distribution_comparison"]["moves"]
    if not changed and compared:
        yield "No item changed its category: the new prompt made no difference."
    elif changed:
        top = ", ".join(f"{move['from']} → {move['to']} ({move['items']:,})" for move in moves[:3])
        share = _percent(changed / compared)
        yield f"{changed:,} of {compared:,} items ({share}) changed their category, mostly {top}."


def _on_confusion(refined: Facts) -> Iterator[str]:
    accuracy = refined["accuracy"] or {}
    pairs = accuracy.get("confused_pairs") or []
    if pairs and pairs[0]["n"] >= 2:
        top = pairs[0]
        yield (
            f"{top['true']!r} is most often taken for {top['predicted']!r} ({top['n']} of {accuracy['n']} verdicts): "
            "a rule or an example that tells them apart would help most."
        )


def _on_thin_evidence(refined: Facts) -> Iterator[str]:
    """Name the largest category that has too few verdicts to say anything of it."""
    accuracy = refined["accuracy"]
    total = sum(refined["category_counts"].values())
    if not accuracy:
        return
    for category, items in refined["category_counts"].items():
        counts = accuracy["by_predicted"].get(category, {})
        verdicts = sum(counts.values())
        if verdicts < FEW_VERDICTS and items >= LARGE_SHARE * total and items > verdicts:
            yield (
                f"Consider validating more {category!r} classifications: "
                f"only {verdicts} verdict{'' if verdicts == 1 else 's'} for {items:,} items."
            )
            return


def _on_failures(refined: Facts) -> Iterator[str]:
    if failed := refined["failed"]:
        yield f"{failed:,} item{'' if failed == 1 else 's'} failed: `reason` says why."


def _measured(accuracy: Facts) -> str:
    low, high = _percent(accuracy["low"]), _percent(accuracy["high"])
    return f"{_percent(accuracy['estimate'])} ({low} to {high}, n = {accuracy['n']})"


def _percent(value: float) -> str:
    """Write a share with one decimal.

    >>> _percent(0.8349)
    '83.5 %'
    """
    return f"{100 * value:.1f} %"
