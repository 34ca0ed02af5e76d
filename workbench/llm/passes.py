"""Asking again what was answered already: a second pass for items with low scores, and the position audit.

Every pass draws its chunks anew, so that an item gets other neighbours and another place; its answers are kept under
keys of their own, so that they are never mistaken for those of another pass. Frames of predictions go in and come out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from workbench.llm.chunks import shuffled
from workbench.llm.limits import Limits
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Provider
from workbench.llm.sheet import Sheet
from workbench.records import Status

_ANSWERED = [Status.OK.value, Status.REPAIRED.value]
_SAID = ["category", "reason", "score", "status", "attempts"]

Ask = Callable[[pd.DataFrame, int], pd.DataFrame | None]
"""Asks items in a pass of this number and gives predictions; None where there is no money for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Predictions after all passes, and what the passes have shown."""

    predictions: pd.DataFrame
    second_pass: dict[str, int] | None = None
    """Items `asked` again for their low score, and how many `changed` their category."""
    position_audit: dict[str, int] | None = None
    """Items `asked` again in other chunks, and how many answers `changed`."""


def answer_keys(items: pd.DataFrame, prompt: Prompt, provider: Provider, limits: Limits) -> list[str]:
    """Give the keys under which answers to these items are kept, of all passes."""
    sheet, every = Sheet(items, prompt), limits.changed(sample_size=0)
    return [question.key for number in (1, 2, 3) for question in sheet.questions(every, provider.fingerprint, number)]


def reconsider(items: pd.DataFrame, predictions: pd.DataFrame, limits: Limits, ask: Ask) -> Outcome:
    """Ask items with low scores up to twice more and let the majority decide, and audit a random sample.

    Where the first two answers agree no third could change anything, so none is asked for. What has failed, waits or
    holds no text is not asked.
    """
    if not (limits.second_pass_below or limits.audit_sample):
        return Outcome(predictions)
    low, audited = _low(predictions, limits), _audited(predictions, limits)
    second = _pass(items, [*low, *audited], 2, ask)
    if second is None:
        return Outcome(predictions)
    changed, valid = _disagreements(predictions, second, audited)
    audit = {"asked": valid, "changed": len(changed)} if limits.audit_sample else None
    third = _pass(items, _disagreements(predictions, second, low)[0], 3, ask)
    if third is None:
        return Outcome(predictions, None, audit)
    voted = _vote(predictions, second, third)
    changes = int((voted["category"] != predictions["category"]).sum())
    return Outcome(voted, {"asked": len(low), "changed": changes} if limits.second_pass_below else None, audit)


def _pass(items: pd.DataFrame, ids: list[str], number: int, ask: Ask) -> pd.DataFrame | None:
    chosen = items[items["item_id"].astype(str).isin(ids)]
    return ask(chosen, number) if ids else pd.DataFrame(columns=["item_id", *_SAID])


def _answered(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[predictions["status"].isin(_ANSWERED) & (predictions["attempts"] > 0)]


def _low(predictions: pd.DataFrame, limits: Limits) -> list[str]:
    """Give the items with a score below the limit, the ambiguous ones (-1) among them."""
    answered = _answered(predictions)
    is_low = (answered["score"] < limits.second_pass_below) & (limits.second_pass_below > 0)
    return list(answered.loc[is_low, "item_id"])


def _audited(predictions: pd.DataFrame, limits: Limits) -> list[str]:
    """Draw the items of the position audit."""
    ids = list(_answered(predictions)["item_id"]) if limits.audit_sample else []
    return [ids[position] for position in shuffled(ids, ~limits.seed)[: limits.audit_sample]]


def _disagreements(predictions: pd.DataFrame, second: pd.DataFrame, ids: list[str]) -> tuple[list[str], int]:
    """Give the items whose two answers name different categories, and how many have two valid answers at all."""
    first = predictions.set_index("item_id")["category"]
    valid = second[second["item_id"].isin(ids) & second["status"].isin(_ANSWERED)]
    is_other = valid["category"].to_numpy() != first.reindex(valid["item_id"]).to_numpy()
    return list(valid.loc[is_other, "item_id"]), len(valid)


def _vote(predictions: pd.DataFrame, second: pd.DataFrame, third: pd.DataFrame) -> pd.DataFrame:
    """Put the second answer in the place of the first where the third agrees with it; otherwise the first stays."""
    pair = second.set_index("item_id").loc[third["item_id"]]
    agrees = third["status"].isin(_ANSWERED).to_numpy() & (third["category"].to_numpy() == pair["category"].to_numpy())
    winners = pair[agrees]
    if winners.empty:
        return predictions
    voted = predictions.set_index("item_id")
    voted.loc[winners.index, _SAID] = winners[_SAID]
    return voted.reset_index()[list(predictions.columns)].astype(predictions.dtypes.to_dict())
