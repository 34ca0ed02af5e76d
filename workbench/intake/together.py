"""The parts of many sources as one table: the same columns with the same types everywhere, in the order of the sources.

A column that a file lacks is null in its rows. Whole numbers and fractions become fractions; types that do not go
together become text, written as cleaning writes values (5.0 is "5").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, groupby
from typing import Any

import numpy as np
import pandas as pd

from workbench import dedup, refinery
from workbench.errors import few
from workbench.runs import Parts

BATCH_ROWS = 50_000
SHOWN = 5
"""Columns that are named where people are told of them."""
NUMBERS = {"integer", "number"}
TEXT = pd.StringDtype(na_value=np.nan)


@dataclass(frozen=True)
class Place:
    """Where the rows of a source stand: in which part, from which row on."""

    name: str
    part: str
    start: int
    rows: int
    whole: bool
    """The part holds nothing else."""


@dataclass(frozen=True)
class Columns:
    """The columns of all parts together, under the names they are stored as."""

    kinds: dict[str, str]
    """text, integer, number, date, boolean or empty."""
    nullable: set[str]
    conflicts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Column → type → how many files have it so; only where types do not go together."""
    missing: dict[str, int] = field(default_factory=dict)
    """Column → how many files lack it."""
    stored_as: dict[str, str] = field(default_factory=dict)
    """Original column → its name here."""

    @classmethod
    def named(cls, stored_as: dict[str, str]) -> Columns:
        """Give the columns of a single table, which are as they are."""
        return cls({}, set(), stored_as=stored_as)

    @classmethod
    def of(cls, parts: Sequence[dict[str, Any]]) -> Columns:
        """Bring the columns of the parts together, in the order of their first appearance."""
        kinds: dict[str, str] = {}
        nullable: set[str] = set()
        conflicts, missing = {}, {}
        files = sum(len(part["sources"]) for part in parts)
        for name in dict.fromkeys(chain.from_iterable(part["kinds"] for part in parts)):
            found = Counter[str]()
            for part in parts:
                if name in part["kinds"]:
                    found[part["kinds"][name]] += len(part["sources"])
            real = set(found) - {"empty"}
            kinds[name] = _together(real)
            if len(real) > 1 and real != NUMBERS:
                conflicts[name] = {kind: found[kind] for kind in sorted(real)}
            if found.total() < files:
                missing[name] = files - found.total()
            if name in missing or "empty" in found or any(_nulls(part, name) for part in parts):
                nullable.add(name)
        stored_as = {name: stored for part in parts for name, stored in part["stored_as"].items()}
        return cls(kinds, nullable, conflicts, missing, stored_as)

    def told(self) -> list[str]:
        """Say in a sentence each which columns have types that do not go together, and which some files lack."""
        mixed = [
            f"{name} ({', '.join(f'{kind} in {files:,}' for kind, files in kinds.items())})"
            for name, kinds in self.conflicts.items()
        ]
        lacking = [f"{name} ({files:,})" for name, files in self.missing.items()]
        return [
            f"{what}: {few(names, SHOWN)}"
            for what, names in (
                ("types differ between files, so text in the table of them all", mixed),
                ("columns that some files lack", lacking),
            )
            if names
        ]

    def fit(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give a frame of a part all columns with their types; other columns follow as they are."""
        own = {name: self._fit(frame.get(name), kind, name, len(frame)) for name, kind in self.kinds.items()}
        rest = {name: frame[name] for name in frame.columns if name not in own}
        return pd.DataFrame(own | rest, index=frame.index)

    def _fit(self, values: pd.Series[Any] | None, kind: str, name: str, rows: int) -> Any:
        if kind in ("text", "empty"):
            return pd.array([None] * rows, dtype=TEXT) if values is None else refinery.texts_of(values)
        dtype: Any = {"number": "float64", "date": "datetime64[us]"}.get(kind)
        if dtype is None:
            plain, extended = {"integer": ("int64", "Int64"), "boolean": ("bool", "boolean")}[kind]
            dtype = extended if name in self.nullable else plain
        if values is None or isinstance(values.dtype, pd.StringDtype):  # nothing but nulls
            return pd.Series(None, index=range(rows), dtype=dtype).array
        return values.to_numpy(float, na_value=np.nan) if dtype == "float64" else values.astype(dtype)


def _together(kinds: set[str]) -> str:
    if not kinds:
        return "empty"
    if kinds == NUMBERS:
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else "text"


def _nulls(part: dict[str, Any], name: str) -> bool:
    stored = part["stored_as"]
    return any(column["nulls"] for column in part["schema"]["columns"] if stored[column["name"]] == name)


def assemble(places: Iterable[Place], parts: Parts, columns: Columns, preserve_all: bool) -> Iterator[pd.DataFrame]:
    """Give all rows, batch by batch: row_id, source_file, source_row, the columns, clean columns, item_id."""
    start = 0
    for frame in _gathered(_numbered(places, parts, columns)):
        frame.insert(0, "row_id", range(start, start + len(frame)))
        start += len(frame)
        if preserve_all:  # its ids are made of the rows' ids, which are known only now
            kept = frame.loc[frame["item_id"].notna(), ["row_id"]]
            frame["item_id"] = dedup.item_ids(kept, [], "preserve_all").reindex(frame.index)
        yield frame


def _numbered(places: Iterable[Place], parts: Parts, columns: Columns) -> Iterator[pd.DataFrame]:
    """Give the rows of the sources, in their order, each with its source and its place there."""
    read = lru_cache(maxsize=4)(parts.read)
    for whole, group in groupby(places, key=lambda place: place.whole):
        for stretch in _stretches(group):
            first, last = stretch[0], stretch[-1]
            names = np.repeat([each.name for each in stretch], [each.rows for each in stretch])
            rows = np.concatenate([np.arange(1, each.rows + 1) for each in stretch])
            end = last.start + last.rows
            frames = parts.batches(first.part, BATCH_ROWS) if whole else [read(first.part).iloc[first.start : end]]
            at = 0
            for frame in frames:
                fitted = columns.fit(frame.reset_index(drop=True))
                fitted.insert(0, "source_file", pd.Series(names[at : at + len(frame)], dtype=TEXT))
                fitted.insert(1, "source_row", rows[at : at + len(frame)])
                at += len(frame)
                yield fitted


def _stretches(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Put sources together whose rows follow one another in the same part."""
    held: list[Place] = []
    for place in places:
        if held and (held[-1].part, held[-1].start + held[-1].rows) != (place.part, place.start):
            yield held
            held = []
        held.append(place)
    if held:
        yield held


def _gathered(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Put small frames together up to the size of a batch."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        if held and sum(map(len, held)) + len(frame) > BATCH_ROWS:
            yield pd.concat(held, ignore_index=True)
            held = []
        held.append(frame)
    if held:
        yield pd.concat(held, ignore_index=True)
