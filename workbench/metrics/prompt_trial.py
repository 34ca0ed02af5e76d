"""What a change of the prompt does to verdicts that are kept for choosing between prompts (pool `dev`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from workbench.metrics.paired import mcnemar
from workbench.records import Pool, Status
from workbench.settling import settled

Facts = Mapping[str, Any]
FEW_ERRORS = 3
"""With fewer mistakes left, a change has next to nothing to learn from."""


def judged_in(validations: pd.DataFrame, pool: Pool, shown: Collection[str] = ()) -> pd.Series[str]:
    """Give the category that people stand for, by item id, of a pool's items; without those that a prompt shows."""
    known = settled(validations)
    wanted = (known["pool"] == pool) & ~known["item_id"].isin(list(shown)) & known["true_category"].notna()
    usable = known[wanted & ~known["disputed"].astype("bool")]
    return usable["true_category"].set_axis(usable["item_id"]).astype("str")


def try_prompt(true: pd.Series[str], before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """Compare a new prompt with the present one on dev verdicts.

    The new one does worse if it breaks more items than it fixes; a tie speaks for it, because it knows more. McNemar's
    exact p says how much of that may be chance: with few verdicts nearly all, so this is a guard and no measurement.

    Args:
        true: the category that people stand for, by item id.
        before: predictions with the present prompt; items that are not there, or pending, are left out.
        after: predictions with the new one.

    Returns:
        Plain data: `n`, `right_before`, `right_after`, `fixed` and `broken` (item ids), `mcnemar_p` (null where nothing
        changed), `is_worse`, `sentence`.
    """
    said = [_categories(frame).reindex(true.index) for frame in (before, after)]
    known = said[0].notna() & said[1].notna()
    first, second = ((each == true)[known] for each in said)
    fixed, broken = (list(which.index[which]) for which in (~first & second, first & ~second))
    found = {
        "n": int(known.sum()),
        "right_before": int(first.sum()),
        "right_after": int(second.sum()),
        "fixed": fixed,
        "broken": broken,
        "mcnemar_p": mcnemar(len(fixed), len(broken)),
        "is_worse": len(broken) > len(fixed),
    }
    return found | {"sentence": _sentence(found)}


def _categories(predictions: pd.DataFrame) -> pd.Series[str]:
    asked = predictions[predictions["status"] != Status.PENDING]
    return asked.set_index("item_id")["category"]


def _sentence(found: Facts) -> str:
    if not found["n"]:
        return "No verdict of the dev pool can try the new prompt."
    p = found["mcnemar_p"]
    told = f" (McNemar p = {p:.2f})" if p is not None else ""
    return (
        f"Tried on {found['n']:,} dev verdicts, the new prompt fixes {len(found['fixed'])} and breaks "
        f"{len(found['broken'])}{told}: {found['right_before']} were right before, {found['right_after']} are now."
    )


def errors_left(validations: pd.DataFrame, predictions: pd.DataFrame, shown: Collection[str]) -> dict[str, Any]:
    """Count, per pool that a prompt may learn from or be chosen by, verdicts (`n`) and wrong predictions (`wrong`).

    Items that the prompt shows are not counted: it has learnt what they teach.
    """
    said = _categories(predictions)
    counts = {}
    for pool in (Pool.PROMPT, Pool.DEV):
        true = judged_in(validations, pool, shown)
        now = said.reindex(true.index).dropna()
        counts[pool.value] = {"n": len(now), "wrong": int((now != true[now.index]).sum())}
    return counts


def worth_changing(measured: Facts, refined: Facts | None = None) -> list[str]:
    """Say what speaks for and against changing the prompt again, in sentences.

    Args:
        measured: metrics.json; `errors_left` says what there is to learn from, `accuracy` whether a gain would be seen.
        refined: proposals.json of the newest refinement, if there was one.
    """
    left = measured.get("errors_left") or {}
    n, wrong = (sum(pool[name] for pool in left.values()) for name in ("n", "wrong"))
    trial = (refined or {}).get("trial")
    told = [(refined or {})["sentence"]] if trial else []
    if not n:
        return [
            *told,
            "No verdict is left that another change of the prompt could learn from: review more items.",
        ]
    return [*told, _of_errors(n, wrong), *_of_precision(wrong / n, measured["accuracy"])]


def _of_errors(n: int, wrong: int) -> str:
    of = f"of the {n:,} verdicts that the prompt may learn from and does not show yet"
    if not wrong:
        return f"Another change has nothing to learn: none {of} finds a mistake."
    if wrong < FEW_ERRORS:
        return f"Another change has little to learn: only {wrong} {of} finds a mistake."
    return f"Another change has something to learn: {wrong} {of} find a mistake."


def _of_precision(share: float, accuracy: Facts | None) -> list[str]:
    """Say where the measure is too coarse to show even that all mistakes were mended."""
    if not share or not accuracy or accuracy["estimate"] is None:
        return []
    half = (accuracy["high"] - accuracy["low"]) / 2
    if share >= half:
        return []
    return [
        f"But if it mended all of them, accuracy would rise by {100 * share:.1f} points, and the verdicts that measure "
        f"are sure to ± {100 * half:.1f} points only: review more items first."
    ]
