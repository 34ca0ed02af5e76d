"""How often an iteration is right, measured only on verdicts that its prompt could not know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.metrics.numbers import Interval, weighted_wilson, wilson
from workbench.metrics.verdicts import correct_and_incorrect, newest_verdicts
from workbench.records import Pool, Status

IN_THE_PROMPT = "is an example in the prompt"
KNOWN_BEFORE = "was known when the prompt was written"
NOT_CLASSIFIED = "was not classified in this iteration"
TRUTH_UNKNOWN = "is wrong without a correction, and the prediction has changed"


@dataclass(frozen=True, slots=True)
class Usable:
    """The verdicts that may measure an iteration."""

    frame: pd.DataFrame
    """The newest verdict of every usable item, with the columns of `records.Validation`."""
    left_out: dict[str, int]
    """Why items are not among them → how many; reasons without items are absent."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The accuracy of one iteration, with what it was measured on."""

    iteration: int
    overall: Interval
    """The share of right predictions, each item weighted as it was drawn; the interval is 95 % Wilson."""
    left_out: dict[str, int]
    """Why verdicts do not count → how many."""
    by_category: list[dict[str, Any]]
    """Per true category: category, n, correct, estimate, low, high; the most frequent first."""
    by_predicted: dict[str, dict[str, int]]
    """Per predicted category: {correct, incorrect}."""
    confused_pairs: list[dict[str, Any]]
    """Wrong predictions as {true, predicted, n}, the most frequent first; those of unknown truth are not among them."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, as it stands in metrics.json."""
        return {
            **self.overall.to_dict(),
            "left_out": self.left_out,
            "by_category": self.by_category,
            "by_predicted": self.by_predicted,
            "confused_pairs": self.confused_pairs,
        }


def usable_for_accuracy(validations: pd.DataFrame, *, iteration: int, example_item_ids: Iterable[str] = ()) -> Usable:
    """Choose the verdicts that may measure an iteration, whenever they were given.

    An item counts with its newest verdict if it is not an example of the iteration's prompt and either

    - it does not belong to the `prompt` pool, or
    - its first verdict came in this iteration or later, so that the prompt was written without it.

    Args:
        validations: verdicts of all iterations, columns of `records.Validation`.
        iteration: the iteration that is measured.
        example_item_ids: items that are examples in that iteration's prompt.
    """
    newest = newest_verdicts(validations)
    known_since = newest["item_id"].map(validations.groupby("item_id")["iteration"].min())
    shown = newest["item_id"].isin(set(example_item_ids))
    known = ~shown & (newest["pool"] == Pool.PROMPT) & (known_since < iteration)
    left_out = {IN_THE_PROMPT: int(shown.sum()), KNOWN_BEFORE: int(known.sum())}
    frame = newest[~shown & ~known].reset_index(drop=True)
    return Usable(frame, {reason: count for reason, count in left_out.items() if count})


def measure_accuracy(
    validations: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    iteration: int,
    example_item_ids: Iterable[str] = (),
    weights: pd.Series[float] | None = None,
) -> Accuracy:
    """Compare an iteration's predictions with the categories that people stand for.

    Failed predictions count like all others. An item that was called wrong without a correction counts as wrong while
    the prediction is still the one that was judged; once it has changed nobody knows, and the item is left out.

    Args:
        validations: verdicts of all iterations, columns of `records.Validation`.
        predictions: the predictions of the iteration, columns of `records.Prediction`.
        iteration: its number.
        example_item_ids: items that are examples in its prompt.
        weights: item id → how many items it stands for (1 / inclusion probability); 1 where there is none. A stratified
            sample draws rare categories too often, which weights put right (docs/metrics.md).
    """
    usable = usable_for_accuracy(validations, iteration=iteration, example_item_ids=example_item_ids)
    judged = _side_by_side(usable.frame, predictions)
    unknown = judged["true"].isna()
    absent = judged["predicted"].isna()
    lost = ~absent & unknown & (judged["predicted"] != judged["category"])
    left_out = {NOT_CLASSIFIED: int(absent.sum()), TRUTH_UNKNOWN: int(lost.sum())}
    counted = judged[~absent & ~lost]
    correct = counted["predicted"] == counted["true"].fillna("")
    return Accuracy(
        iteration=iteration,
        overall=weighted_wilson(correct.tolist(), _weights_of(counted, weights)),
        left_out=usable.left_out | {reason: count for reason, count in left_out.items() if count},
        by_category=_by_category(counted["true"], correct),
        by_predicted=correct_and_incorrect(counted["predicted"], correct),
        confused_pairs=_confused_pairs(counted[~correct]),
    )


def _weights_of(counted: pd.DataFrame, weights: pd.Series[float] | None) -> list[float]:
    if weights is None:
        return [1.0] * len(counted)
    return [float(weight) for weight in counted["item_id"].map(weights).fillna(1.0)]


def _side_by_side(verdicts: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Put the true category and the iteration's prediction next to every verdict; null where there is none."""
    classified = predictions[predictions["status"] != Status.PENDING]
    predicted = classified[["item_id", "category"]].rename(columns={"category": "predicted"})
    is_correct = verdicts["is_correct"].astype("bool")
    true = verdicts["category"].where(is_correct, verdicts["corrected_category"]).astype("str")
    return verdicts.assign(true=true).merge(predicted, on="item_id", how="left")


def _by_category(true: pd.Series[str], correct: pd.Series[bool]) -> list[dict[str, Any]]:
    totals = _descending(true.value_counts())
    hits = true[correct].value_counts()
    rows = []
    for category, n in totals.items():
        right = int(hits.get(category, 0))
        rows.append({"category": category, "correct": right, **wilson(right, n).to_dict()})
    return rows


def _confused_pairs(wrong: pd.DataFrame) -> list[dict[str, Any]]:
    pairs = wrong.dropna(subset=["true"]).groupby(["true", "predicted"]).size().reset_index(name="n")
    pairs = pairs.sort_values(["n", "true", "predicted"], ascending=[False, True, True])
    return [
        {"true": str(true), "predicted": str(predicted), "n": int(n)}
        for true, predicted, n in zip(pairs["true"], pairs["predicted"], pairs["n"], strict=True)
    ]


def _descending(counts: pd.Series[int]) -> dict[str, int]:
    ordered = sorted(((str(name), int(n)) for name, n in counts.items()), key=lambda pair: (-pair[1], pair[0]))
    return dict(ordered)
