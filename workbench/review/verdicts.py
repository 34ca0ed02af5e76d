"""Judging raw verdicts: what of them holds against the sample that was asked about, and what is wrong with the rest."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd

from workbench.errors import ColumnNotFound, nearest
from workbench.review.verdict_files import as_text

GOLD_REVIEWER = "gold"
"""Who stands behind verdicts that come from a column with the true category."""

ANSWERS = {
    **dict.fromkeys(("true", "verdadero", "1", "si", "s", "yes", "y", "correct", "correcto", "ok"), True),
    **dict.fromkeys(("false", "falso", "0", "no", "n", "incorrect", "incorrecto"), False),
}
"""What is_correct understands, without case and accents; an x is a tick."""


@dataclass(frozen=True, slots=True)
class TakenVerdicts:
    """What of a verdict file holds, and what does not."""

    frame: pd.DataFrame
    """A row per decided item: item_id, is_correct (bool), corrected_category, user_notes, reviewer (or null)."""
    faults: list[str]
    """What was not taken: which row, why, what is allowed."""
    undecided: int = 0
    """Rows that were left empty."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    item_id: str
    is_correct: bool
    corrected_category: str | None
    user_notes: str
    reviewer: str | None


@dataclass(frozen=True, slots=True)
class _Judge:
    """Knows what was asked; turns a raw row into a verdict or into faults."""

    predicted: dict[str, str | None]
    categories: Sequence[str]
    find_category: Callable[[str], str | None]
    blind: frozenset[str] = frozenset()
    """Items whose prediction was hidden: there the named category alone decides."""

    def decide(self, row: dict[str, str | None], where: str, faults: list[str]) -> _Verdict | None:
        """Give the verdict of a row that decides something; adds to `faults` and gives null where it cannot hold."""
        item = row.get("item_id") or ""
        found = [*self._item_faults(item), *self._answer_faults(row), *self._category_faults(row)]
        if item in self.blind and row.get("corrected_category") is None:
            found.append("its suggestion was hidden, so name the category in corrected_category")
        if not found:
            said, corrected = _answer(row.get("is_correct")), self._category(row)
            predicted = self.predicted[item]
            said = None if item in self.blind else said
            is_correct = corrected == predicted if said is None else said
            found = list(_contradictions(said, corrected, predicted))
            found += self._seen_faults(row, said, corrected, predicted)
        if found:
            faults.append(f"{where}: {'; '.join(found)}.")
            return None
        notes = row.get("user_notes") or ""
        return _Verdict(item, is_correct, None if is_correct else corrected, notes, row.get("reviewer"))

    def _item_faults(self, item: str) -> Iterator[str]:
        if not item:
            yield "it names no item_id"
        elif item not in self.predicted:
            yield f"item {item!r} is not in the sample of this iteration; item_id must stay as it was written"

    def _answer_faults(self, row: dict[str, str | None]) -> Iterator[str]:
        text = row.get("is_correct")
        if text is not None and _fold(text) not in ANSWERS:
            yield f"is_correct is {text!r}; write sí or no, yes or no, TRUE or FALSE, 1 or 0, or leave it empty"

    def _category_faults(self, row: dict[str, str | None]) -> Iterator[str]:
        name = row.get("corrected_category")
        if name is not None and self.find_category(name) is None:
            yield f"category {name!r} is not in the list; {nearest(name, self.categories).rstrip('.')}"

    def _seen_faults(
        self, row: dict[str, str | None], said: bool | None, corrected: str | None, predicted: str | None
    ) -> Iterator[str]:
        """A yes or no alone speaks of the category that stands in the file: it must be the one that is asked about."""
        seen = row.get("category")
        if seen and said is not None and corrected is None and (self.find_category(seen) or seen) != predicted:
            yield (
                f"its category is {seen!r}, but {predicted!r} is asked about; was it changed, or is this the sheet of "
                "another iteration? Name the right one in corrected_category"
            )

    def _category(self, row: dict[str, str | None]) -> str | None:
        name = row.get("corrected_category")
        return None if name is None else self.find_category(name)


def _contradictions(said: bool | None, corrected: str | None, predicted: str | None) -> Iterator[str]:
    if corrected is None or said is None:
        return
    if said and corrected != predicted:
        yield (
            f"is_correct says yes to {predicted!r}, but corrected_category is {corrected!r}; "
            "say no, or leave corrected_category empty"
        )
    if not said and corrected == predicted:
        yield f"is_correct says no, but corrected_category {corrected!r} is the predicted one; say yes or name another"


def _answer(text: str | None) -> bool | None:
    return None if text is None else ANSWERS[_fold(text)]


def _fold(text: str) -> str:
    """Compare without case and accents.

    >>> _fold(" SÍ ")
    'si'
    """
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def take_verdicts(
    raw: pd.DataFrame,
    sample: pd.DataFrame,
    categories: Sequence[str],
    find_category: Callable[[str], str | None],
) -> TakenVerdicts:
    """Check raw verdicts against the sample that was asked about; one wrong row does not spoil the others.

    A row with neither is_correct nor corrected_category is not decided and is skipped. Where only corrected_category is
    given it decides: the predicted one confirms, another one corrects. Of an item that a reviewer decides twice in the
    same way the last row stays; decided differently, none does and that is a fault.

    Args:
        raw: rows as `read_verdicts` gives them; the index is the row number that faults name.
        sample: the drawn predictions (item_id, category and, if there is one, `blind`: the category was hidden).
        categories: the names that are allowed.
        find_category: gives the category of a name as people write it (case, accents), or null.
    """
    predicted = dict(zip(sample["item_id"], sample["category"], strict=True))
    hidden = frozenset(sample.loc[sample["blind"], "item_id"]) if "blind" in sample else frozenset()
    judge = _Judge(predicted, categories, find_category, hidden)
    faults: list[str] = []
    taken: dict[tuple[str, str | None], dict[str, _Verdict]] = {}
    undecided = 0
    for number, row in zip(raw.index, raw.to_dict("records"), strict=True):
        texts = {str(name): as_text(value) for name, value in row.items()}
        if texts.get("is_correct") is None and texts.get("corrected_category") is None:
            undecided += 1
        elif verdict := judge.decide(texts, f"row {number}", faults):
            taken.setdefault((verdict.item_id, verdict.reviewer), {})[f"row {number}"] = verdict
    return TakenVerdicts(_verdict_frame(_settled(taken, faults)), faults, undecided)


def _settled(taken: dict[tuple[str, str | None], dict[str, _Verdict]], faults: list[str]) -> Iterator[_Verdict]:
    """Give one verdict per item and reviewer; rows that contradict each other become a fault."""
    for (item, _), verdicts in taken.items():
        if len({(verdict.is_correct, verdict.corrected_category) for verdict in verdicts.values()}) == 1:
            yield list(verdicts.values())[-1]
        else:
            faults.append(f"{' and '.join(verdicts)}: item {item!r} is decided differently; keep one of these rows.")


def _verdict_frame(verdicts: Iterable[_Verdict]) -> pd.DataFrame:
    names = [field.name for field in fields(_Verdict)]
    frame = pd.DataFrame([asdict(verdict) for verdict in verdicts], columns=names)
    texts = {name: "str" for name in names if name != "is_correct"}
    return frame.astype({**texts, "is_correct": "bool"})


def gold_categories(rows: pd.DataFrame, column: str) -> pd.Series[str]:
    """Give the true category of every item from a column of its rows.

    Rows of one item may disagree: the most frequent name stands, of equals the first in the alphabet. Items without any
    name are absent. Raises ColumnNotFound.

    >>> rows = pd.DataFrame({"item_id": ["a", "a", "a", "b"], "True": ["Pop", "Renta", "Renta", None]})
    >>> gold_categories(rows, "True").to_dict()
    {'a': 'Renta'}
    """
    if column not in rows.columns:
        raise ColumnNotFound(f"the rows have no column {column!r}.", hint=nearest(column, map(str, rows.columns)))
    known = rows[["item_id", column]].dropna().astype("str").set_axis(["item_id", "gold"], axis=1)
    counts = known.value_counts().reset_index(name="rows")
    first = counts.sort_values(["item_id", "rows", "gold"], ascending=[True, False, True]).drop_duplicates("item_id")
    return first.set_index("item_id")["gold"]


def verdicts_from_gold(
    sample: pd.DataFrame, gold: pd.Series[str], find_category: Callable[[str], str | None]
) -> TakenVerdicts:
    """Let known true categories answer for a reviewer named "gold".

    Args:
        sample: the drawn predictions (item_id, category).
        gold: the true category by item_id; null or absent = not decided.
        find_category: gives the category of a name, or null; names that it does not know become faults.
    """
    known = gold[~gold.index.duplicated()].dropna()
    named = {str(name): find_category(str(name)) for name in sample["item_id"].map(known).dropna().unique()}
    truth = sample["item_id"].map(known)
    counts = truth.value_counts()
    faults = [
        f"gold category {name!r} ({counts[name]} items of the sample) is not among the categories of the prompt."
        for name, category in named.items()
        if category is None
    ]
    verdicts = [
        _Verdict(item, true == predicted, None if true == predicted else true, "", GOLD_REVIEWER)
        for item, predicted, name in zip(sample["item_id"], sample["category"], truth, strict=True)
        if isinstance(name, str) and (true := named[name]) is not None
    ]
    return TakenVerdicts(_verdict_frame(verdicts), faults, int(truth.isna().sum()))
