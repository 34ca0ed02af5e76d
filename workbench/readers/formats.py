"""What the reader of a format gives: one scan of the file, then its rows as often as they are wanted.

A format takes its seat by registering a scanner under each of its suffixes; nothing else knows the formats by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypedDict

import pyarrow as pa

from workbench.readers.columns import Column
from workbench.readers.faults import border, checked_path, unsupported
from workbench.registry import Registry


class ReadingOptions(TypedDict, total=False):
    """The options of every door of this room, as keywords."""

    sheet: str | int | None
    """Name or number (from 0) of the sheet of a workbook; null = the first that looks like a table."""
    header_row: int | None
    """Number of the header row (from 0, blank rows counted); null = found."""
    encoding: str | None
    """Encoding of a text file; null = found."""
    delimiter: str | None
    """Delimiter of a CSV file; null = found."""
    columns: Sequence[str]
    """Columns that are looked for: of the sheets of a workbook the first that has them is read."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller knows of a file; null = found. An option that a format has no use for is passed over."""

    sheet: str | int | None = None
    header_row: int | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: Sequence[str] = ()
    limit: int | None = None
    """How many rows the caller will look at, so that a large sheet need not be read to its end; null = all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A file that was gone through once: what it holds, and how to get at its rows."""

    path: Path
    format: str
    columns: tuple[Column, ...]
    rows: int
    tables: Callable[[], Iterator[pa.Table]]
    """Goes through the rows again, in blocks of the format's own size, with the types of `columns`."""
    estimated_rows: int | None = None
    """Where only the first rows were gone through: about how many there are."""
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    header_row: int | None = None
    ragged_rows: int = 0
    nul_bytes: int = 0
    error_cells: int = 0
    notes: tuple[str, ...] = ()


Scanner: TypeAlias = Callable[[Path, Options], Scan]
RecordReader: TypeAlias = Callable[[BinaryIO, str], Sequence[tuple[Any, ...]]]
"""Reads the rows of one file, given as a stream and by its name; raises ReadError."""


@dataclass(frozen=True, slots=True)
class Format:
    """What reads the files of a suffix.

    Where all files of a format have the same columns and come by the thousand, as invoices do, `records` reads one of
    them without the ceremony of a scan, and many make one table.
    """

    name: str
    scan: Scanner
    columns: tuple[Column, ...] = ()
    records: RecordReader | None = None


SUFFIXES: Registry[Format] = Registry("file format")
"""Suffix (lower case, with its dot) → format."""


def scan(path: str | Path, options: Options) -> Scan:
    """Go through a file once and decide its columns and their types; raises ReadError."""
    found = checked_path(path, SUFFIXES)
    suffix = found.suffix.lower()
    if suffix not in SUFFIXES:
        raise unsupported(found, SUFFIXES)
    with border(found):
        return SUFFIXES.get(suffix).scan(found, options)
