"""What to do next: what to review, and whether the prompt is worth changing again; plain data and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import few
from workbench.metrics.categories import FEW_VERDICTS
from workbench.metrics.numbers import finite
from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE, Status

Facts = Mapping[str, Any]

LARGE_SHARE = 0.02
"""A category with this share of the items is worth verdicts of its own."""
BIGGEST = 20
"""So many unreviewed items with the largest amounts are looked at together."""
WORTH_A_RULE = 2
"""A confusion that was seen so often is worth a rule or an example; once may be chance."""


def what_to_review(
    predictions: pd.DataFrame,
    items: pd.DataFrame,
    judged: Iterable[str],
    thin: Sequence[str],
    previous: pd.Series[str] | None = None,
) -> list[dict[str, Any]]:
    """Say which items that nobody has judged would teach most, and how many rows and how much they stand for.

    Args:
        predictions: one row per item with the columns of `records.Prediction`; with `judge_category`, where a second
            model judged, its disagreement is a reason.
        items: item_id, n_rows and, if there is one, amount.
        judged: items that have a verdict.
        thin: predicted categories with too few verdicts (`thin_categories`).
        previous: the category of the iteration before, by item_id.

    Returns:
        Entries without any items are absent: `key` (judge, changed, low_score, thin, biggest), `why`, `how` (the
        strategy that draws them), `items`, `rows`, `amount` (absolute; null where there is none).
    """
    table = predictions.merge(items[["item_id", *_sizes(items)]], on="item_id", how="left")
    table = table[~table["item_id"].isin(set(judged)) & (table["status"] != Status.PENDING)]
    score, category = table["score"].astype("float64"), table["category"]
    before = category if previous is None else table["item_id"].map(previous).fillna(category)
    judge = table["judge_category"].fillna(category) if "judge_category" in table else category
    reasons = [
        ("judge", "a second model says something else", "disagreement", judge != category),
        ("changed", "changed their category since the last iteration", "disagreement", before != category),
        ("low_score", "have a low score or none", "confidence", _is_low(score)),
        ("thin", f"are called {few(thin)}, of which too few are reviewed", "stratified", category.isin(thin)),
        ("biggest", f"are the {BIGGEST} biggest", "weighted", _biggest(table)),
    ]
    return [
        {"key": key, "why": why, "how": how, **_stand_for(table[chosen])}
        for key, why, how, chosen in reasons
        if chosen.any()
    ]


def thin_categories(measured: Facts) -> list[str]:
    """Name the large predicted categories that have too few verdicts to say anything of them, the largest first."""
    accuracy = measured["accuracy"] or {"by_predicted": {}}
    total = sum(measured["category_counts"].values())
    verdicts = {name: sum(counts.values()) for name, counts in accuracy["by_predicted"].items()}
    return [
        name
        for name, count in measured["category_counts"].items()
        if count >= LARGE_SHARE * total and verdicts.get(name, 0) < min(FEW_VERDICTS, count)
    ]


def prompt_advice(measured: Facts, comparison: Facts | None) -> dict[str, Any]:
    """Say whether the prompt is worth changing again, from the mistakes that people have found.

    Returns:
        `key` (unreviewed, worse, faultless, repeated, scattered), `worth` (true, false, or null where it cannot be
        told) and `sentences`.
    """
    accuracy = measured["accuracy"]
    if not accuracy:
        told = "It cannot be told before a review: nobody has named a mistake yet."
        return {"key": "unreviewed", "worth": None, "sentences": [told]}
    verdict = comparison["paired"]["verdict"] if comparison else None
    if verdict == "worse":
        told = f"The last change made it worse: go back to the prompt of iteration {comparison['baseline_iteration']}."  # type: ignore[index]
        return {"key": "worse", "worth": True, "sentences": [told]}
    repeated = [pair for pair in accuracy["confused_pairs"] if pair["n"] >= WORTH_A_RULE]
    last = "The last change cannot be told from chance. " if verdict == "cannot be told" else ""
    wrong = sum(counts["incorrect"] for counts in accuracy["by_predicted"].values())
    if not wrong:
        told = f"Not one of the {accuracy['n']:,} verdicts that count found a mistake: there is nothing to mend."
        return {"key": "faultless", "worth": False, "sentences": [told]}
    if repeated:
        share = sum(pair["n"] for pair in repeated)
        named = "; ".join(f"{p['true']} taken for {p['predicted']} ({p['n']})" for p in repeated[:3])
        told = f"{last}Yes: {share} of {wrong} mistakes come again and again: {named}. A rule for them may mend them."
        return {"key": "repeated", "worth": True, "sentences": [told]}
    told = f"{last}Hardly: the {wrong} mistakes that were found have nothing in common; no confusion was seen twice."
    return {
        "key": "scattered",
        "worth": False,
        "sentences": [told, "More examples may still help categories with few verdicts."],
    }


def _is_low(score: pd.Series[float]) -> pd.Series[bool]:
    return score.isna() | (score == AMBIGUOUS_SCORE) | (score < HIGH_SCORE)


def _sizes(items: pd.DataFrame) -> list[str]:
    return [name for name in ("n_rows", "amount") if name in items.columns]


def _biggest(table: pd.DataFrame) -> pd.Series[bool]:
    if "amount" not in table or len(table) <= BIGGEST:
        return pd.Series(False, index=table.index)
    amount = pd.to_numeric(table["amount"], errors="coerce").abs().fillna(0.0)
    largest = amount.sort_values(ascending=False, kind="stable").index[:BIGGEST]
    return table.index.to_series().isin(largest) & (amount > 0)


def _stand_for(table: pd.DataFrame) -> dict[str, Any]:
    amount = pd.to_numeric(table["amount"], errors="coerce").abs() if "amount" in table else pd.Series(dtype="float64")
    total = finite(np.nansum(amount)) if amount.notna().any() else None
    return {"items": len(table), "rows": int(table["n_rows"].fillna(0).sum()), "amount": total}
