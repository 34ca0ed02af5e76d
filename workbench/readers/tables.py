"""The doors of the room: a file as batches of rows, as one table, or as its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Unpack

import pandas as pd

from workbench.errors import UsageError
from workbench.readers.archives import Opener
from workbench.readers.columns import frames
from workbench.readers.faults import border, checked_path, unsupported
from workbench.readers.formats import SUFFIXES, Options, ReadingOptions, Scan, scan


def batches(path: str | Path, *, rows: int = 50_000, **options: Unpack[ReadingOptions]) -> Iterator[pd.DataFrame]:
    """Read a table in batches that all have the same columns and dtypes.

    The file is gone through once at the call, to decide the types, and again while the batches are taken. CSV and JSONL
    files are never held as a whole.

    Args:
        path: a file of one of the formats in `SUFFIXES`, or the URL of one.
        rows: rows of a batch; the last one may have fewer.
        **options: sheet, header_row, encoding, delimiter and columns, as `ReadingOptions` says; null = found.

    Returns:
        Frames whose RangeIndex goes on from batch to batch.

    Raises:
        ReadError: the file cannot be read; the hint says what to do.
    """
    if rows < 1:
        raise UsageError(f"a batch of {rows} rows holds nothing.", hint="give rows=1 or more.")
    return _frames(path, Options(**options), rows)


def read(path: str | Path, **options: Unpack[ReadingOptions]) -> pd.DataFrame:
    """Read a table as a whole: all of its `batches` in one frame. Arguments and errors are those of `batches`."""
    return next(_frames(path, Options(**options), None))


def _frames(path: str | Path, options: Options, rows: int | None) -> Iterator[pd.DataFrame]:
    """Scan at the call; what was fetched for it goes when the last frame was taken."""
    with ExitStack() as held:
        here = held.enter_context(held.enter_context(Opener()).on_disk(str(path)))
        scanned = scan(here, options)
        return _given(scanned, rows or scanned.rows, held.pop_all())


def _given(scanned: Scan, rows: int, held: ExitStack) -> Iterator[pd.DataFrame]:
    with held, border(scanned.path):
        yield from frames(scanned.tables(), scanned.columns, rows)


def check(path: str | Path) -> None:
    """Raise ReadError where a file is missing, empty, not to be opened or of no known format, without reading it."""
    found = checked_path(path, SUFFIXES)
    if found.suffix.lower() not in SUFFIXES:
        raise unsupported(found, SUFFIXES)


def fingerprint(path: str | Path) -> str:
    """Give the SHA-256 of a file's bytes as 64 hexadecimal digits; raises ReadError."""
    found = checked_path(path, SUFFIXES)
    with border(found), found.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
