"""Frames for people: one file of the kind that its suffix names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from workbench.errors import UsageError, nearest
from workbench.runs.artifacts import atomic_path
from workbench.runs.parquet import write_parquet
from workbench.runs.workbook import write_workbook


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame to .xlsx, .csv, .parquet or .json, whole or not at all.

    CSV is UTF-8 with the mark by which Excel knows it; JSON is a list of rows, with ISO 8601 times.
    Raises UsageError for another suffix and StorageError where the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"{path} has no suffix that names a kind of table.", hint=nearest(suffix, WRITERS))
    WRITERS[suffix](path, frame)


def _xlsx(path: Path, frame: pd.DataFrame) -> None:
    write_workbook(path, frame, sheet=path.stem)


def _csv(path: Path, frame: pd.DataFrame) -> None:
    with atomic_path(path) as partial:
        frame.to_csv(
            partial, index=False, encoding="utf-8-sig", errors="replace", lineterminator="\n", compression=None
        )


def _json(path: Path, frame: pd.DataFrame) -> None:
    with atomic_path(path) as partial:
        text = frame.to_json(orient="records", date_format="iso", force_ascii=False, double_precision=15, indent=1)
        partial.write_bytes(text.encode("utf-8", "replace"))


WRITERS: dict[str, Callable[[Path, pd.DataFrame], None]] = {
    ".xlsx": _xlsx,
    ".csv": _csv,
    ".parquet": write_parquet,
    ".json": _json,
}
"""Suffix → how a table of that kind is written."""
