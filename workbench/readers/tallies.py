"""Counting the values of columns, batch by batch; tallies of batches add up, wherever each was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.readers.columns import Kind
from workbench.values import codes_of, is_coded, one_array, text_hashes

SAMPLES = 5
SAMPLE_CHARACTERS = 200
MERGE_AT = 500_000

_DAY, _MONTH = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_ZONE = r"(?:Z|GMT|UTC|[+-][0-9]{2}:?[0-9]{2}|(?i:[ap]\.?\s?m\.?))"
_TIME = rf"(?:[T ]+[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)?\s?{_ZONE}?)?"
DATE = "|".join(
    rf"\A{pattern}{_TIME}\z"
    for pattern in (
        rf"[0-9]{{4}}-{_MONTH}-{_DAY}",
        rf"[0-9]{{4}}/{_MONTH}/{_DAY}",
        rf"(?:{_DAY}[/-]{_MONTH}|{_MONTH}[/-]{_DAY})[/-](?:[0-9]{{4}}|[0-9]{{2}})",
        rf"{_DAY}\.{_MONTH}\.[0-9]{{4}}",
    )
)

_KINDS = {"i": Kind.INTEGER, "u": Kind.INTEGER, "f": Kind.NUMBER, "b": Kind.BOOLEAN, "M": Kind.DATE}


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """A column of a file."""

    name: str
    type: str
    """text, integer, number, date, boolean or empty; a column of text whose values are all dates is a date."""
    nulls: int
    distinct: int
    samples: list[Any]
    """The first distinct values, at most 5."""


@dataclass(slots=True)
class Tally:
    """What is known of the values of a column; distinct values are held as 64-bit hashes, 8 bytes each."""

    name: str
    kind: Kind
    nulls: int = 0
    _dates: bool = True
    _samples: dict[Any, None] = field(default_factory=dict)
    _hashes: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Tally:
        """Count the values of one batch, as a reader gives them."""
        if is_coded(values) or isinstance(values.dtype, pd.StringDtype):
            coded = codes_of(values) if is_coded(values) else one_array(values).dictionary_encode()
            texts = coded.dictionary
            samples = pc.unique(texts.slice(0, 1_000)).slice(0, SAMPLES).to_pylist()
            found = dict.fromkeys(samples)
            return cls(str(values.name), Kind.TEXT, coded.null_count, _all_dates(texts), found, [text_hashes(texts)])
        present = values.dropna()
        nulls = len(values) - len(present)
        distinct = present.drop_duplicates()
        samples = distinct.head(SAMPLES).tolist()
        kind = _KINDS[values.dtype.kind]
        return cls(str(values.name), kind, nulls, False, dict.fromkeys(samples), [_hashes(distinct.to_numpy())])

    def add(self, later: Tally) -> None:
        """Take in the tally of a batch that comes later."""
        self.nulls += later.nulls
        self._dates = self._dates and later._dates
        if len(self._samples) < SAMPLES:
            self._samples.update(later._samples)
        self._hashes += later._hashes
        if sum(map(len, self._hashes[1:])) > max(MERGE_AT, len(self._hashes[0])):
            self._hashes = [_distinct(self._hashes)]

    def schema(self) -> ColumnSchema:
        """Give the result."""
        distinct = len(_distinct(self._hashes))
        kind = self.kind
        if not distinct:
            kind = Kind.EMPTY
        elif self._dates:
            kind = Kind.DATE
        return ColumnSchema(self.name, kind.value, self.nulls, distinct, list(map(_plain, self._samples))[:SAMPLES])


def tallies(frame: pd.DataFrame) -> dict[str, Tally]:
    """Count the values of every column of a batch."""
    return {str(name): Tally.of(frame[name]) for name in frame.columns}


def add_up(total: dict[str, Tally], batch: Mapping[str, Tally]) -> None:
    """Add the tallies of a batch to those of the batches before it; a new column begins to be counted."""
    for name, tally in batch.items():
        if name in total:
            total[name].add(tally)
        else:
            total[name] = tally


def _hashes(values: Any) -> npt.NDArray[np.uint64]:
    return np.asarray(pd.util.hash_array(values, categorize=False), np.uint64)


def _distinct(hashes: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    joined = np.concatenate(hashes)
    joined.sort()
    first = np.ones(len(joined), bool)
    np.not_equal(joined[1:], joined[:-1], out=first[1:])
    return joined[first]


def _all_dates(texts: pa.Array) -> bool:
    return all(
        pc.all(pc.match_substring_regex(part, DATE), min_count=0).as_py()
        for part in (texts.slice(0, 100), texts.slice(100))  # most columns of text show it at once
    )


def _plain(value: Any) -> Any:
    """Give a value as JSON has it, long texts shortened."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, str) and len(value) > SAMPLE_CHARACTERS:
        return value[: SAMPLE_CHARACTERS - 1] + "…"
    return value
