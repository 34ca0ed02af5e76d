"""Many sources as one stream of batches: every row knows its file and its place in it, a bad file stops no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.errors import ReadError, UsageError
from workbench.readers.archives import Opener
from workbench.readers.columns import Column, as_frame, rows_table
from workbench.readers.faults import FileFault, border
from workbench.readers.formats import SUFFIXES, Format, Options, ReadingOptions, Scan, scan
from workbench.readers.places import is_url
from workbench.readers.sources import Source
from workbench.values import from_arrow

BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one or several sources that have the same columns."""

    frame: pd.DataFrame
    """The columns as they stand in the files; its RangeIndex goes on from batch to batch."""
    source_file: pd.Series[str]
    """For every row the name of its source."""
    source_row: pd.Series[int]
    """For every row its place among the rows of its source, from 1."""
    finished: tuple[str, ...]
    """Names of the sources whose last row stands in this batch."""
    bytes_done: int
    """Bytes of all sources up to the end of this batch, those that failed included."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of one source, next to each other."""

    source: Source
    first: int
    rows: int
    of: int
    """Rows of the source in all."""

    def head(self, rows: int) -> _Piece:
        return replace(self, rows=rows)

    def tail(self, rows: int) -> _Piece:
        return replace(self, first=self.first + rows, rows=self.rows - rows)

    @property
    def bytes(self) -> float:
        return self.source.size * self.rows / self.of

    @property
    def is_last(self) -> bool:
        return self.first + self.rows > self.of


_Part = tuple[pa.Table, Sequence[Column], list[_Piece]]


def read_sources(
    sources: Iterable[Source],
    *,
    rows: int = BATCH_ROWS,
    on_fault: Callable[[FileFault], None] | None = None,
    on_scan: Callable[[Source, Scan], None] | None = None,
    **options: Unpack[ReadingOptions],
) -> Iterator[Batch]:
    """Read many sources in batches of at most `rows` rows, in their order.

    Sources that follow one another and have the same columns and types share batches; where the columns change, a new
    batch begins. CSV and JSONL files are never held as a whole.

    Args:
        sources: from `find_sources`; those of an archive next to each other are read fastest.
        rows: rows of a batch; a batch has fewer where the columns change and at the end.
        on_fault: told of every source that cannot be read, and the others go on; null = the first fault is raised.
        on_scan: told how a source is read, before its first batch; not of formats whose files are read by the thousand.
        **options: as for `read`, for every source.

    Raises:
        ReadError: a source cannot be read and there is no `on_fault`.
    """
    if rows < 1:
        raise UsageError(f"a batch of {rows} rows holds nothing.", hint="give rows=1 or more.")
    reader = _Reader(Options(**options), on_fault or _raise, on_scan or (lambda source, scanned: None))
    return _batches(sources, rows, reader)


def _raise(fault: FileFault) -> None:
    raise fault.error()


@dataclass(frozen=True, slots=True)
class _Reader:
    options: Options
    on_fault: Callable[[FileFault], None]
    on_scan: Callable[[Source, Scan], None]


def _batches(sources: Iterable[Source], rows: int, reader: _Reader) -> Iterator[Batch]:
    gathered = _Gathered(rows)

    def note(fault: FileFault, source: Source) -> None:
        gathered.done += 0 if fault.rows else source.size
        reader.on_fault(fault)

    with Opener() as opener:
        for form, group in groupby(sources, key=lambda source: SUFFIXES.get(_suffix(source))):
            several = list(group)
            parts = _small(form, several, opener, note) if form.records else _scanned(several, opener, reader, note)
            for part in parts:
                yield from gathered.add(*part)
        yield from gathered.rest()


def _suffix(source: Source) -> str:
    return os.path.splitext(source.name.partition("?")[0])[1].lower()  # noqa: PTH122 - a name, not a path


_Note = Callable[[FileFault, Source], None]


def _scanned(group: Iterable[Source], opener: Opener, reader: _Reader, note: _Note) -> Iterator[_Part]:
    """Give the parts of sources that are scanned first."""
    for source in group:
        given = 0
        try:
            with opener.on_disk(source.path, source.members) as path:
                scanned = scan(path, reader.options)
                reader.on_scan(source, scanned)
                with border(source.name):
                    for table in scanned.tables():
                        yield table, scanned.columns, [_Piece(source, given + 1, table.num_rows, scanned.rows)]
                        given += table.num_rows
                _refuse_changed(source)
        except ReadError as fault:
            note(FileFault.of(source.name, fault, given), source)


def _refuse_changed(source: Source) -> None:
    """Raise ReadError where a file is no longer what it was when it was found."""
    if is_url(source.path):
        return
    with border(source.path):
        facts = os.stat(source.path)  # noqa: PTH116 - the path is text
    size = source.size if source.members else facts.st_size
    if (size, facts.st_mtime) != (source.size, source.modified):
        raise ReadError(f"{source.name} changed while it was read.", hint="read it again when it is complete.")


def _small(form: Format, group: Iterable[Source], opener: Opener, note: _Note) -> Iterator[_Part]:
    """Give the parts of sources that all have the columns of their format, many in one."""
    assert form.records is not None
    held: list[tuple[Any, ...]] = []
    pieces: list[_Piece] = []
    for source in group:
        try:
            with border(source.name), opener.stream(source.path, source.members) as stream:
                found = form.records(stream, source.name)
            _refuse_changed(source)
        except ReadError as fault:
            note(FileFault.of(source.name, fault), source)
            continue
        held += found
        pieces.append(_Piece(source, 1, len(found), len(found)))
        if len(held) >= BATCH_ROWS // 10:
            yield rows_table(held, form.columns), form.columns, pieces
            held, pieces = [], []
    if held:
        yield rows_table(held, form.columns), form.columns, pieces


@dataclass(slots=True)
class _Gathered:
    """Puts tables together up to the size of a batch."""

    rows: int
    done: float = 0
    _columns: Sequence[Column] = ()
    _tables: list[pa.Table] = field(default_factory=list)
    _pieces: list[_Piece] = field(default_factory=list)
    _waiting: int = 0
    _start: int = 0

    def add(self, table: pa.Table, columns: Sequence[Column], pieces: list[_Piece]) -> Iterator[Batch]:
        """Take a table; gives the batches that are full, or that end because the columns change."""
        if [(each.name, each.kind, each.nullable) for each in columns] != [
            (each.name, each.kind, each.nullable) for each in self._columns
        ]:
            yield from self.rest()
            self._columns = columns
        self._tables.append(table)
        self._pieces += pieces
        self._waiting += table.num_rows
        while self._waiting >= self.rows:
            whole = pa.concat_tables(self._tables)
            yield self._batch(whole.slice(0, self.rows))
            self._tables, self._waiting = [whole.slice(self.rows)], self._waiting - self.rows

    def rest(self) -> Iterator[Batch]:
        """Give what waits for more."""
        if self._waiting:
            yield self._batch(pa.concat_tables(self._tables))
        self._tables, self._waiting = [], 0

    def _batch(self, table: pa.Table) -> Batch:
        pieces = self._cut(table.num_rows)
        self.done += sum(piece.bytes for piece in pieces)
        index = pd.RangeIndex(self._start, self._start + table.num_rows)
        self._start = index.stop
        sizes = [piece.rows for piece in pieces]
        names = pa.array([piece.source.name for piece in pieces], pa.large_string())
        named = names.take(pa.array(np.repeat(np.arange(len(pieces)), sizes)))
        places = np.concatenate([np.arange(piece.first, piece.first + piece.rows) for piece in pieces])
        return Batch(
            frame=as_frame(table, self._columns, index),
            source_file=pd.Series(from_arrow(named), index, name="source_file"),
            source_row=pd.Series(places, index, name="source_row"),
            finished=tuple(piece.source.name for piece in pieces if piece.is_last),
            bytes_done=round(self.done),
        )

    def _cut(self, rows: int) -> list[_Piece]:
        """Take the pieces of so many rows; one that reaches further is cut in two."""
        taken: list[_Piece] = []
        while rows:
            piece = self._pieces.pop(0)
            if piece.rows > rows:
                self._pieces.insert(0, piece.tail(rows))
                piece = piece.head(rows)
            taken.append(piece)
            rows -= piece.rows
        return taken
