"""A second opinion: another model answers the same prompt for some of the items, without seeing the first answer.

Asked are the items whose score is low, and by chance a share of the others: only what chance has drawn can tell how far
two models agree on the items that nobody doubts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import ProviderError
from workbench.llm.accounts import OnProgress
from workbench.llm.chunks import shuffled
from workbench.llm.classifier import Classifier
from workbench.llm.parsing import GoodAnswer
from workbench.llm.sheet import Sheet
from workbench.records import Status

LOW_SCORE, RANDOM = "low_score", "random"
JUDGEMENT_COLUMNS = ("item_id", "category", "judge_category", "judge_reason", "judge_score", "drawn_by")
"""What is known of a second opinion; `judge_*` is null where it was asked for, but no valid answer came."""
NO_JUDGEMENTS = pd.DataFrame({name: pd.array([], dtype="str") for name in JUDGEMENT_COLUMNS})
_GOOD = (Status.OK, Status.REPAIRED)


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What a second model says."""

    judgements: pd.DataFrame
    """`JUDGEMENT_COLUMNS`, one row per item that it was asked about."""
    error: str | None
    """Why it did not come to its end, if it did not."""


def draw_for_judge(predictions: pd.DataFrame, *, below: float, share: float, seed: int) -> pd.Series[str]:
    """Choose the items for a second opinion: by item id, `low_score` or `random`.

    Items with a valid answer and a score below `below` (-1 too) are all chosen; of the others a share, by chance.

    >>> rows = [["a", "ok", 0.2, 1], ["b", "ok", 0.9, 1], ["c", "failed", -1.0, 3]]
    >>> frame = pd.DataFrame(rows, columns=["item_id", "status", "score", "attempts"])
    >>> draw_for_judge(frame, below=0.7, share=1.0, seed=7).to_dict()
    {'a': 'low_score', 'b': 'random'}
    """
    asked = predictions[predictions["status"].isin(_GOOD) & (predictions["attempts"] > 0)]
    is_low = asked["score"].astype("float64") < below
    others = asked.loc[~is_low, "item_id"].tolist()
    drawn = [others[at] for at in shuffled(others, seed)[: math.ceil(share * len(others))]]
    low = dict.fromkeys(asked.loc[is_low, "item_id"], LOW_SCORE)
    return pd.Series(low | dict.fromkeys(drawn, RANDOM), dtype="str")


def ask_judge(
    items: pd.DataFrame,
    predictions: pd.DataFrame,
    drawn: pd.Series[str],
    judge: Classifier,
    on_progress: OnProgress | None = None,
) -> SecondOpinion:
    """Ask for a second opinion on the drawn items; one that breaks down gives what it had answered, and why."""
    asked = items[items["item_id"].isin(drawn.index)]
    error = None
    try:
        said = judge.classify(asked, on_progress)
    except ProviderError as fault:
        said, error = _kept(asked, judge), str(fault)
    said = said.set_index("item_id")
    said = said.where(said["status"].isin(_GOOD))
    table = pd.DataFrame({"item_id": drawn.index.astype("str"), "drawn_by": drawn.to_numpy()})
    first = predictions.set_index("item_id")["category"]
    answers = {f"judge_{name}": table["item_id"].map(said[name]) for name in ("category", "reason", "score")}
    table = table.assign(category=table["item_id"].map(first), **answers)
    texts = {name: "str" for name in JUDGEMENT_COLUMNS if name != "judge_score"}
    return SecondOpinion(table[list(JUDGEMENT_COLUMNS)].astype({**texts, "judge_score": np.float64}), error)


def _kept(items: pd.DataFrame, judge: Classifier) -> pd.DataFrame:
    """Give the answers that the judge's cache has; the other items are pending."""
    sheet = Sheet(items, judge.prompt)
    questions = sheet.questions(judge.limits, judge.provider.fingerprint)
    kept = judge.cache.get([question.key for question in questions]) if judge.cache is not None else {}
    for question in questions:
        if answer := kept.get(question.key):
            good = GoodAnswer(answer.category, answer.reason, answer.score)
            sheet.answer(question, good, answer.status, answer.attempts)
    sheet.leave_out([question for question in questions if question.key not in kept])
    return sheet.frame()
