"""What the reader of a format gives: one scan of the file, then its rows as often as they are wanted.

A format takes its seat by registering a scanner under each of its suffixes; nothing else knows the formats by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from workbench.readers.columns import Column
from workbench.readers.faults import checked_path, unsupported
from workbench.registry import Registry


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller knows of a file; null = found. An option that a format has no use for is passed over."""

    sheet: str | int | None = None
    header_row: int | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A file that was gone through once: what it holds, and how to get at its rows."""

    path: Path
    format: str
    columns: tuple[Column, ...]
    rows: int
    tables: Callable[[], Iterator[pa.Table]]
    """Goes through the rows again, in blocks of the format's own size, with the types of `columns`."""
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

SUFFIXES: Registry[Scanner] = Registry("file format")
"""Suffix (lower case, with its dot) → scanner."""


def scan(path: str | Path, options: Options) -> Scan:
    """Go through a file once and decide its columns and their types; raises ReadError."""
    found = checked_path(path, SUFFIXES)
    suffix = found.suffix.lower()
    if suffix not in SUFFIXES:
        raise unsupported(found, SUFFIXES)
    return SUFFIXES.get(suffix)(found, options)
