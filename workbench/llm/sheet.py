"""The items of a classification and what is said of each: a frame goes in, a frame of the same length comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.llm.cache import key_maker
from workbench.llm.chunks import shuffled
from workbench.llm.limits import Limits
from workbench.llm.parsing import GoodAnswer
from workbench.llm.prompt import Prompt
from workbench.records import AMBIGUOUS_SCORE, CLEAN_PREFIX, PREDICTION_COLUMNS, Status

NO_TEXT = "no text to classify"

_Said = tuple[str | None, str, float | None, str, int]
"""Category, reason, score, status and attempts of one prediction."""
_PENDING: _Said = (None, "", None, Status.PENDING.value, 0)


@dataclass(slots=True, eq=False)
class Question:
    """What is asked once for all items with the same clean fields."""

    key: str
    fields: dict[str, str]
    positions: list[int]
    """Of the items that ask it."""


class Sheet:
    """Items and their predictions; an item without text is answered from the start."""

    def __init__(self, items: pd.DataFrame, prompt: Prompt) -> None:
        """Read the items; raises ColumnNotFound and UsageError."""
        self._prompt = prompt
        self._ids = _read_ids(items)
        self._fields = _read_fields(items)
        self._said: list[_Said | None] = [None] * len(self._ids)
        self.total = len(self._ids)
        """Items that get a category."""
        self.done = 0
        """Items that have it."""
        nothing = GoodAnswer(prompt.unclassifiable, NO_TEXT, AMBIGUOUS_SCORE)
        for position, fields in enumerate(self._fields):
            if not fields:
                self._put(position, nothing, Status.OK, 0)

    def questions(self, limits: Limits, provider_fingerprint: str, number: int = 1) -> list[Question]:
        """Draw the items that are asked and merge those with the same fields, in the order in which they are asked.

        Every pass, from 1, has an order and keys of its own.
        """
        order = [position for position in shuffled(self._ids, limits.seed + number - 1) if self._fields[position]]
        asked = order[: limits.sample_size] if limits.sample_size else order
        self.total -= len(order) - len(asked)
        if limits.reason != "always":
            provider_fingerprint += f" reason={limits.reason}"
        if number > 1:
            provider_fingerprint += f" pass={number}"
        questions: dict[str, Question] = {}
        key_of = key_maker(self._prompt.fingerprint, provider_fingerprint)
        for position in asked:
            fields = self._fields[position]
            key = key_of(fields)
            questions.setdefault(key, Question(key, fields, [])).positions.append(position)
        return list(questions.values())

    def answer(self, question: Question, answer: GoodAnswer, status: Status, attempts: int) -> None:
        """Note the answer of a question for all items that ask it."""
        for position in question.positions:
            self._put(position, answer, status, attempts)

    def ids(self, question: Question) -> list[str]:
        """Give the ids of the items that ask a question."""
        return [self._ids[position] for position in question.positions]

    def leave_out(self, questions: Sequence[Question]) -> None:
        """Note that questions are not answered for now: their items stay pending."""
        self.total -= sum(len(question.positions) for question in questions)

    def _put(self, position: int, answer: GoodAnswer, status: Status, attempts: int) -> None:
        if self._said[position] is not None:
            raise RuntimeError(f"internal error: item {self._ids[position]!r} was answered twice.")
        self._said[position] = (*answer, status.value, attempts)
        self.done += 1

    def frame(self) -> pd.DataFrame:
        """Give the predictions, one row per item in the order of the items; what was not asked is pending."""
        frame = _as_frame(self._ids, [said or _PENDING for said in self._said])
        self._check(frame)
        return frame

    def _check(self, frame: pd.DataFrame) -> None:
        """Make sure that items in = predictions out, each with a category of the prompt and a score that fits it."""
        if frame["item_id"].tolist() != self._ids or self.done != self.total:
            raise RuntimeError(f"internal error: {self.done} of {self.total} items were answered.")
        said = frame[frame["status"] != Status.PENDING.value]
        is_flagged = said["score"] == AMBIGUOUS_SCORE
        is_unclassifiable = said["category"] == self._prompt.unclassifiable
        fits = said["category"].isin(self._prompt.category_names) & (is_flagged == is_unclassifiable)
        if not (fits & (is_flagged | said["score"].between(0, 1))).all():
            raise RuntimeError("internal error: a prediction has a category or a score that is not allowed.")


def _read_ids(items: pd.DataFrame) -> list[str]:
    if "item_id" not in items.columns:
        raise ColumnNotFound("the items have no column 'item_id'.", hint=nearest("item_id", map(str, items.columns)))
    ids = items["item_id"]
    if ids.isna().any():
        raise UsageError(f"{int(ids.isna().sum())} items have no item_id.", hint="give every item its own item_id.")
    if (repeated := ids[ids.duplicated()]).size:
        raise UsageError(
            f"the item_id {repeated.iloc[0]!r} stands for several items.", hint="merge repeated items first."
        )
    return [str(item_id) for item_id in ids.tolist()]


def _read_fields(items: pd.DataFrame) -> list[dict[str, str]]:
    """Give the clean fields of every item, without those that are null or blank."""
    columns = [column for column in items.columns if str(column).startswith(CLEAN_PREFIX)]
    if not columns:
        raise ColumnNotFound(
            f"the items have no column that starts with {CLEAN_PREFIX!r}.",
            hint="clean the columns that are to be classified first.",
        )
    texts = [_texts(items[column]) for column in columns]
    names = [str(column) for column in columns]
    return [{name: text for name, text in zip(names, row, strict=True) if text} for row in zip(*texts, strict=True)]


def _texts(column: pd.Series[Any]) -> list[str]:
    present = column.notna().tolist()
    return [str(value).strip() if there else "" for value, there in zip(column.tolist(), present, strict=True)]


def _as_frame(ids: list[str], said: list[_Said]) -> pd.DataFrame:
    category, reason, score, status, attempts = zip(*said, strict=True) if said else ((),) * 5
    frame = pd.DataFrame(
        {
            "item_id": pd.array(ids, dtype="str"),
            "category": pd.array(category, dtype="str"),
            "reason": pd.array(reason, dtype="str"),
            "score": np.array(score, dtype="float64"),
            "status": pd.array(status, dtype="str"),
            "attempts": np.array(attempts, dtype="int64"),
            "judge_category": pd.array([None] * len(ids), dtype="str"),
        }
    )
    return frame[list(PREDICTION_COLUMNS)]
