"""How far reviewers agree on the items that more than one of them judged, and on which they do not."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.metrics.numbers import Interval, finite, share, wilson
from workbench.settling import disputed, true_category


def agreement(validations: pd.DataFrame) -> dict[str, Any]:
    """Compare reviewers by the category that each stands for; their newest verdict on an item counts.

    Returns:
        Plain data: `reviewers`; `items` (judged by two or more); `percent` (share of pairs of verdicts on the same item
        that agree, 0 to 1); `alpha` (Krippendorff's, for any number of reviewers); `kappa` (Cohen's, of exactly two
        reviewers; otherwise null); `disputed` (item_id and what each reviewer says, where they are
        tied: for a third person). What cannot be
        said is null, as where all verdicts are of one category: chance alone would agree as well.
    """
    table = _by_reviewer(validations)
    both = table[table.notna().sum(axis=1) >= 2]
    pairs = [_pairs(row.dropna().tolist()) for _, row in both.iterrows()]
    agreed, total = sum(same for same, _ in pairs), sum(n for _, n in pairs)
    tied = table.loc[disputed(validations)["item_id"].unique()]
    return {
        "reviewers": [str(name) for name in table.columns],
        "items": len(both),
        "percent": share(agreed, total),
        "alpha": krippendorff_alpha(both),
        "kappa": cohen_kappa(*(both[name] for name in both.columns)) if both.shape[1] == 2 and len(both) else None,
        "disputed": [
            {"item_id": str(item), "categories": {str(name): said for name, said in row.dropna().items()}}
            for item, row in tied.iterrows()
        ],
    }


def second_opinion(judgements: pd.DataFrame) -> dict[str, Any]:
    """Say how far a second model agrees with the first, apart for the items of low score and those drawn by chance.

    Args:
        judgements: item_id, category, judge_category (null without a valid answer), drawn_by (low_score or random).

    Returns:
        Plain data: `asked`, `answered`, `disagreements` (items), and for `low_score` and `random` each `asked`,
        `agreement` (share of the answered ones on which both say the same, with Wilson's 95 % interval) and `kappa`
        (Cohen's). Only `random` speaks for other items: those whose score is not low. Null = cannot be said.
    """
    answered = judgements[judgements["judge_category"].notna()]
    differs = answered["category"] != answered["judge_category"]
    parts = {name: judgements[judgements["drawn_by"] == name] for name in ("low_score", "random")}
    return {
        "asked": len(judgements),
        "answered": len(answered),
        "disagreements": int(differs.sum()),
        **{name: _agreement_of_two(part) for name, part in parts.items()},
    }


def _agreement_of_two(part: pd.DataFrame) -> dict[str, Any]:
    both = part[part["judge_category"].notna()]
    agreed = int((both["category"] == both["judge_category"]).sum())
    measured = wilson(agreed, len(both)).to_dict() if len(both) else None
    kappa = cohen_kappa(both["category"], both["judge_category"]) if len(both) else None
    return {"asked": len(part), "agreement": measured, "kappa": kappa}


def _by_reviewer(validations: pd.DataFrame) -> pd.DataFrame:
    """Lay out items against reviewers; null where one did not name a category."""
    newest = validations.sort_values(["validated_at", "iteration"], kind="stable")
    newest = newest.drop_duplicates(["item_id", "reviewer"], keep="last")
    said = newest.assign(said=true_category(newest))
    return said.pivot(index="item_id", columns="reviewer", values="said").astype("object")


def sway(validations: pd.DataFrame, marks: pd.DataFrame) -> dict[str, Any]:
    """Say how far seeing the suggestion sways people: how often they agree with it, shown and hidden.

    Args:
        validations: verdicts, columns of `records.Validation`.
        marks: item_id, iteration, `blind`: which items were judged without the suggestion.

    Returns:
        Plain data: `shown` and `hidden` (estimate, low, high, n: the share of verdicts that agree with the suggestion),
        `difference` (shown minus hidden: estimate, low, high; null unless both have verdicts). Its 95 % interval is
        Newcombe's hybrid score interval (1998, Statistics in Medicine 17, 873–890, method 10).
    """
    judged = validations.merge(marks[["item_id", "iteration", "blind"]], on=["item_id", "iteration"])
    blind, agrees = judged["blind"].to_numpy(dtype=bool), judged["is_correct"].to_numpy(dtype=bool)
    shown, hidden = (wilson(int(agrees[chosen].sum()), int(chosen.sum())) for chosen in (~blind, blind))
    return {"shown": shown.to_dict(), "hidden": hidden.to_dict(), "difference": _difference(shown, hidden)}


def _difference(first: Interval, second: Interval) -> dict[str, float] | None:
    p, low, high = first.estimate, first.low, first.high
    q, floor, top = second.estimate, second.low, second.high
    if None in (p, low, high, q, floor, top):
        return None
    down, up = math.hypot(p - low, top - q), math.hypot(high - p, q - floor)  # type: ignore[operator]
    return {"estimate": p - q, "low": p - q - down, "high": p - q + up}  # type: ignore[operator]


def _pairs(said: list[str]) -> tuple[int, int]:
    """Count the pairs of verdicts that agree, and all pairs."""
    pairs = list(combinations(said, 2))
    return sum(first == second for first, second in pairs), len(pairs)


def cohen_kappa(first: pd.Series[Any], second: pd.Series[Any]) -> float | None:
    """Give Cohen's kappa: (agreed - by chance) / (1 - by chance); null where chance alone agrees always.

    Source: Cohen 1960, Educational and Psychological Measurement 20, 37–46.

    >>> cohen_kappa(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "a", "b", "a"]))
    0.5
    """
    n = len(first)
    agreed = float((first.to_numpy() == second.to_numpy()).mean()) if n else 0.0
    counts = first.value_counts().to_dict(), second.value_counts().to_dict()
    chance = sum(count * counts[1].get(name, 0) for name, count in counts[0].items()) / n**2 if n else 1.0
    return share(agreed - chance, 1 - chance) if chance < 1 else None


def krippendorff_alpha(table: pd.DataFrame) -> float | None:
    """Give Krippendorff's alpha for categories: 1 - observed / expected disagreement; missing verdicts are allowed.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability. Null without two verdicts on an item, and
    where all verdicts are of one category.

    Args:
        table: items against reviewers, null where there is no verdict.
    """
    names = sorted({str(said) for said in table.to_numpy().ravel() if isinstance(said, str)})
    counts = np.stack(
        [(table == name).sum(axis=1).to_numpy(dtype="float64") for name in names] or [np.zeros(0)], axis=1
    )
    judged = counts.sum(axis=1)
    counts, judged = counts[judged >= 2], judged[judged >= 2]
    total = counts.sum()
    if not total:
        return None
    observed = float(((judged[:, None] - counts) * counts / (judged[:, None] - 1)).sum()) / total
    each = counts.sum(axis=0)
    expected = float((each * (total - each)).sum()) / (total * (total - 1))
    return finite(1 - observed / expected) if expected > 0 else None
