"""Asking single items of an iteration again: those that have failed, and those whose kept answers are forgotten.

A finished iteration is never changed, and people's first word finishes it: from then on its predictions are what they
judged. Until then only the items that were asked again change, and what is made of predictions is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workbench import classification, review
from workbench.errors import UsageError, nearest
from workbench.measuring import prompt_of
from workbench.parameters import Parameters
from workbench.records import PREDICTION_COLUMNS, Run, Status
from workbench.runs import RunStore
from workbench.stages import Step

_SUMMED = (
    "seconds",
    "calls",
    "tokens",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "put_off",
    "broken",
    "hedged",
)


@dataclass(frozen=True)
class Again:
    """Which items are asked again."""

    failed: bool = False
    forget: Sequence[str] = field(default_factory=tuple)
    """Ids of items, or the beginnings of ids, whose kept answers are forgotten first."""

    def __bool__(self) -> bool:
        """Say whether anything is."""
        return self.failed or bool(self.forget)


def asked(run: Run, store: RunStore, step: Step, again: Again) -> list[str] | None:
    """Give the items to ask again; None where all are still to be classified. Nothing is changed.

    Raises UsageError for an unknown item, and where the iteration is finished.
    """
    iteration = step.iteration
    forgotten = _forgotten(run, store, again)
    if not store.stage_done(run.run_id, "classify", iteration):
        if again.failed and not store.has(run.run_id, "predictions", iteration):
            raise UsageError(
                f"iteration {iteration} of run {run.run_id!r} is not classified yet.",
                hint="classify it without --failed; what has failed then can be asked again alone.",
            )
        return None
    _check_open(run, store, iteration)
    failed = _failed(store, run.run_id, iteration) if again.failed else []
    return list(dict.fromkeys([*failed, *forgotten]))


def prepare(run: Run, parameters: Parameters, store: RunStore, step: Step, again: Again) -> list[str] | None:
    """Forget what is to be forgotten, and give the items to ask again, as `asked` does."""
    items = asked(run, store, step, again)
    if forgotten := _forgotten(run, store, again):
        prompts = [prompt_of(run, store, each) for each in range(1, step.iteration + 1)]
        every: pd.DataFrame = store.load(run.run_id, "items")
        classification.forget(every[every["item_id"].isin(forgotten)], prompts, parameters, store)
    return items


def _forgotten(run: Run, store: RunStore, again: Again) -> list[str]:
    """Give the ids of the items to forget; raises UsageError for one that the run does not have."""
    if not again.forget:
        return []
    items: pd.DataFrame = store.load(run.run_id, "items", columns=["item_id"])
    return _named(items["item_id"].tolist(), again.forget)


def _failed(store: RunStore, run_id: str, iteration: int) -> list[str]:
    predictions: pd.DataFrame = store.load(run_id, "predictions", iteration)
    return list(predictions.loc[predictions["status"] == Status.FAILED.value, "item_id"])


def _named(known: Sequence[str], given: Sequence[str]) -> list[str]:
    """Find the items that ids or their beginnings name; raises UsageError for one that names none or several."""
    found = []
    for name in given:
        fits = [item for item in known if item == name] or [item for item in known if item.startswith(name)]
        if len(fits) != 1:
            count = f"{len(fits)} items" if fits else "no item"
            raise UsageError(
                f"{count} of the run begin{'' if fits else 's'} with {name!r}.", hint=nearest(name, (fits or known)[:3])
            )
        found += fits
    return found


def _check_open(run: Run, store: RunStore, iteration: int) -> None:
    """Refuse to change an iteration about which people have said something, or on which another one rests."""
    run_id, why = run.run_id, None
    if store.newest(run_id, "predictions") != iteration or store.has(run_id, "refined_prompt", iteration):
        why = "a later step rests on it"
    elif not store.validations(run_id, iteration).empty:
        why = "it has verdicts"
    elif _is_being_filled_in(store, run_id, iteration):
        why = "its review sheet is being filled in"
    if why:
        raise UsageError(
            f"iteration {iteration} of run {run_id!r} is not changed any more: {why}.",
            hint="the next iteration asks all items with the refined prompt; a new run asks them with this one.",
        )


def _is_being_filled_in(store: RunStore, run_id: str, iteration: int) -> bool:
    sheets = [each for each in ("review_sheet", "second_review_sheet") if store.has(run_id, each, iteration)]
    return any(review.is_filled_in(store.path(run_id, sheet, iteration)) for sheet in sheets)


def merged(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Put new predictions in the place of the earlier ones of the same items; other columns and the order stay."""
    new = now.set_index("item_id")
    asked = before["item_id"].isin(new.index)
    changed = before.copy()
    for column in PREDICTION_COLUMNS:
        if column != "item_id" and column in new.columns:
            values = before.loc[asked, "item_id"].map(new[column])
            changed[column] = changed[column].where(~asked, values.reindex(before.index)).astype(before[column].dtype)
    return changed


def summed(before: dict[str, Any], now: dict[str, Any], failed: int) -> dict[str, Any]:
    """Add what asking again has cost to what the classification had cost."""
    sums = {name: (before.get(name) or 0) + (now.get(name) or 0) for name in _SUMMED}
    known = before.get("cost_usd") is not None and now.get("cost_usd") is not None
    return {**before, **sums, "cost_usd": before["cost_usd"] + now["cost_usd"] if known else None, "failed": failed}
