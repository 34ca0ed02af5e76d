"""How often an iteration is right, measured only on verdicts that its prompt could not know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.metrics.categories import FEW_VERDICTS, by_category, confused_pairs, macro_f1
from workbench.metrics.estimates import Drawn, Numbers, drawn_alike, drawn_as, estimate, speaking
from workbench.metrics.numbers import Interval
from workbench.metrics.verdicts import correct_and_incorrect
from workbench.records import Pool, Status
from workbench.settling import settled

IN_THE_PROMPT = "is in the prompt, or nearly the same as an example there"
KNOWN_BEFORE = "was known when the prompt was written"
CHOSE_BEFORE = "took part in choosing the prompt"
NOT_CLASSIFIED = "was not classified in this iteration"
DISPUTED = "is disputed between reviewers"
TRUTH_UNKNOWN = "is wrong without a correction, and the prediction has changed"
NOT_DRAWN = "was not drawn by chance"
ONE_SIDED = "comes from a sample in which other items had no chance"


@dataclass(frozen=True, slots=True)
class Usable:
    """The verdicts that may measure an iteration."""

    frame: pd.DataFrame
    """The settled verdict of every usable item, with the columns of `records.Validation`."""
    left_out: dict[str, int]
    """Why items are not among them → how many; reasons without items are absent."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The judged items that count, as arrays of one length."""

    score: Numbers
    right: NDArray[np.bool_]
    drawn: Drawn


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The accuracy of one iteration, with what it was measured on."""

    iteration: int
    overall: Interval
    """The share of the items that is right; estimates.py says how, the interval is 95 %."""
    by_rows: Interval
    """The share of the rows that is right: each item counts for the rows that it stands for."""
    by_amount: Interval
    """The share of the amount that is right, by absolute amount: a credit note of -500 counts as 500."""
    left_out: dict[str, int]
    """Why verdicts do not count → how many."""
    by_category: list[dict[str, Any]]
    """Per true category: category, n, correct, estimate, low, high, precision, f1, note; the most frequent first."""
    by_predicted: dict[str, dict[str, int]]
    """Per predicted category: {correct, incorrect}."""
    confused_pairs: list[dict[str, Any]]
    """Wrong predictions as {true, predicted, n}, the most frequent first; those of unknown truth are not among them."""
    macro_f1: dict[str, Any]
    """The plain mean of the categories' F1: estimate, categories, thin (those with too few verdicts)."""
    notes: tuple[str, ...]
    """Why a number is missing or weak, in sentences."""
    judged: Judged = field(repr=False, compare=False)
    """What all this was measured on."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, as it stands in metrics.json."""
        return {
            **self.overall.to_dict(),
            "by_rows": self.by_rows.to_dict() if self.by_rows.n else None,
            "by_amount": self.by_amount.to_dict() if self.by_amount.n else None,
            "macro_f1": self.macro_f1,
            "notes": list(self.notes),
            "left_out": self.left_out,
            "by_category": self.by_category,
            "by_predicted": self.by_predicted,
            "confused_pairs": self.confused_pairs,
        }


def usable_for_accuracy(validations: pd.DataFrame, *, iteration: int, example_item_ids: Iterable[str] = ()) -> Usable:
    """Choose the verdicts that may measure an iteration, whenever they were given.

    An item counts with its settled verdict (`settling`) if reviewers are not tied on it, neither it nor a
    near-duplicate is in the iteration's prompt, and either

    - it belongs to the `holdout` pool, or
    - its first verdict came in this iteration or later, so that the prompt was written (pool `prompt`) and chosen
      (pool `dev`) without it.

    Args:
        validations: verdicts of all iterations, columns of `records.Validation`.
        iteration: the iteration that is measured.
        example_item_ids: items that the iteration's prompt or an ancestor of it shows, and their near-duplicates.
    """
    newest = settled(validations)
    known_since = newest["item_id"].map(validations.groupby("item_id")["iteration"].min())
    shown = newest["item_id"].isin(set(example_item_ids))
    before = ~shown & (known_since < iteration)
    known, chose = (before & (newest["pool"] == pool) for pool in (Pool.PROMPT, Pool.DEV))
    tied = ~shown & ~known & ~chose & newest["disputed"].astype("bool")
    why = {IN_THE_PROMPT: shown, KNOWN_BEFORE: known, CHOSE_BEFORE: chose, DISPUTED: tied}
    left_out = {reason: int(items.sum()) for reason, items in why.items()}
    frame = newest[~shown & ~known & ~chose & ~tied].reset_index(drop=True)
    return Usable(frame, {reason: count for reason, count in left_out.items() if count})


def measure_accuracy(
    validations: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    iteration: int,
    example_item_ids: Iterable[str] = (),
    design: pd.DataFrame | None = None,
    items: pd.DataFrame | None = None,
) -> Accuracy:
    """Compare an iteration's predictions with the categories that people stand for.

    Failed predictions count like all others. An item that was called wrong without a correction counts as wrong while
    the prediction is still the one that was judged; once it has changed nobody knows, and the item is left out.

    Args:
        validations: verdicts of all iterations, columns of `records.Validation`.
        predictions: the predictions of the iteration, columns of `records.Prediction`.
        iteration: its number.
        example_item_ids: items that are examples in its prompt.
        design: how items were drawn (`estimates.DESIGN_COLUMNS`). Only what chance has drawn, in a draw that gave every
            item a chance, can speak for the others; the rest is left out. Without it every verdict weighs the same.
        items: item_id, n_rows and, if there is one, amount; without it there are no shares of rows and amounts.
    """
    usable = usable_for_accuracy(validations, iteration=iteration, example_item_ids=example_item_ids)
    judged = side_by_side(usable.frame, predictions)
    drawnby_chance, not_drawn = by_chance(judged["item_id"], design)
    absent = judged["predicted"].isna()
    lost = ~absent & judged["true"].isna() & (judged["predicted"] != judged["category"])
    reasons = {NOT_CLASSIFIED: absent, TRUTH_UNKNOWN: lost}
    counted = judged[~absent & ~lost & drawnby_chance].reset_index(drop=True)
    left_out = {reason: int((why & drawnby_chance).sum()) for reason, why in reasons.items()}
    measured = _measure(counted, design, items)
    all_left_out = usable.left_out | not_drawn | {reason: count for reason, count in left_out.items() if count}
    return Accuracy(iteration=iteration, left_out=all_left_out, notes=_notes(measured, all_left_out, items), **measured)


def by_chance(item_ids: pd.Series[str], design: pd.DataFrame | None) -> tuple[pd.Series[bool], dict[str, int]]:
    """Say which judged items may speak for others, and count why the rest may not."""
    if design is None:
        return pd.Series(True, index=item_ids.index), {}
    drawn = item_ids.isin(design["item_id"])
    last_draw = item_ids.map(design.drop_duplicates("item_id", keep="last").set_index("item_id")["draw"])
    speaks = last_draw.isin(speaking(list(item_ids), design))
    counts = {NOT_DRAWN: int((~drawn).sum()), ONE_SIDED: int((drawn & ~speaks).sum())}
    return speaks, {reason: count for reason, count in counts.items() if count}


def _measure(counted: pd.DataFrame, design: pd.DataFrame | None, items: pd.DataFrame | None) -> dict[str, Any]:
    """Estimate everything that is told of the judged items that count."""
    drawn = drawn_alike(len(counted)) if design is None or counted.empty else drawn_as(list(counted["item_id"]), design)
    correct = counted["predicted"] == counted["true"].fillna("")
    right = correct.to_numpy(dtype=bool)
    rows, amount = _sizes(counted["item_id"], items)
    categories = by_category(counted["true"], counted["predicted"], drawn)
    return {
        "overall": estimate(right, drawn),
        "by_rows": estimate(right, drawn, rows),
        "by_amount": estimate(right, drawn, amount),
        "by_category": categories,
        "by_predicted": correct_and_incorrect(counted["predicted"], correct),
        "confused_pairs": confused_pairs(counted[~correct]),
        "macro_f1": macro_f1(categories),
        "judged": Judged(counted["score"].to_numpy(dtype="float64"), right, drawn),
    }


def _sizes(item_ids: pd.Series[str], items: pd.DataFrame | None) -> tuple[Numbers, Numbers]:
    """Give the rows and the absolute amount behind each judged item; 0 where there is none."""
    nothing = np.zeros(len(item_ids))
    if items is None:
        return nothing, nothing
    about = items.set_index("item_id").reindex(item_ids)
    return _size(about["n_rows"]), _size(about["amount"]) if "amount" in about else nothing


def _size(values: pd.Series[Any]) -> Numbers:
    numbers: Numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype="float64")
    return np.nan_to_num(np.abs(numbers))


def _notes(measured: dict[str, Any], left_out: dict[str, int], items: pd.DataFrame | None) -> tuple[str, ...]:
    """Say why a number is missing or weak."""
    n = measured["overall"].n
    if not n:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        return (f"No verdict can measure this iteration{f': {reasons}' if reasons else ''}.",)
    notes = []
    if n < FEW_VERDICTS:
        notes.append(f"Only {n} verdict{'' if n == 1 else 's'} count: the interval says how little that tells.")
    right = measured["overall"].estimate
    if right in (0.0, 1.0):
        notes.append(f"All {n} are {'right' if right else 'wrong'}: the other end of the interval is what is known.")
    if len(measured["by_category"]) == 1:
        notes.append("All verdicts are of one category: nothing is known of the others.")
    if items is not None and not measured["by_amount"].n:
        notes.append("There are no amounts behind the reviewed items, so no share of the amount.")
    return tuple(notes)


def side_by_side(verdicts: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Put the true category and the iteration's prediction next to every verdict; null where there is none."""
    classified = predictions[predictions["status"] != Status.PENDING]
    predicted = classified[["item_id", "category", "score"]].rename(columns={"category": "predicted"})
    is_correct = verdicts["is_correct"].astype("bool")
    true = verdicts["category"].where(is_correct, verdicts["corrected_category"]).astype("str")
    return verdicts.assign(true=true).merge(predicted, on="item_id", how="left")
