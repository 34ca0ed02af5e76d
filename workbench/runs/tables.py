"""Frames for people: one file of the kind that its suffix names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import UsageError, nearest
from workbench.runs.artifacts import atomic_path
from workbench.runs.parquet import batch_writer
from workbench.values import value_text

Frames = Iterable[pd.DataFrame]


def write_table(path: Path, frame: pd.DataFrame | Frames) -> int:
    """Write a frame, or frames of the same columns, to .xlsx, .csv, .parquet, .json or .jsonl, whole or not at all.

    Of several frames one after the other is held. Gives the number of rows. CSV is UTF-8 with the mark by which Excel
    knows it, a midnight in it stands as its day; JSON is a list of rows, with ISO 8601 times, JSONL a row a line.
    Raises UsageError for another suffix and StorageError where the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"{path} has no suffix that names a kind of table.", hint=nearest(suffix, WRITERS))
    rows = 0

    def counted() -> Iterator[pd.DataFrame]:
        nonlocal rows
        for part in [frame] if isinstance(frame, pd.DataFrame) else frame:
            rows += len(part)
            yield part

    WRITERS[suffix](path, counted())
    return rows


def _xlsx(path: Path, frames: Frames) -> None:
    from workbench.runs.workbook import write_workbook  # late: most stages and commands write none

    write_workbook(path, frames, sheet=path.stem)


def _parquet(path: Path, frames: Frames) -> None:
    with batch_writer(path) as writer:
        for frame in frames:
            writer.write(frame)


def _csv(path: Path, frames: Frames) -> None:
    with (
        atomic_path(path) as partial,
        partial.open("w", encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        for number, frame in enumerate(frames):
            _with_times_as_text(frame).to_csv(file, index=False, header=not number, lineterminator="\n")


def _with_times_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Write times value by value: left to itself, each frame would choose a form of its own."""
    times = frame.select_dtypes(["datetime", "datetimetz"])
    return frame.assign(**{str(name): _as_text(times[name]) for name in times})


def _as_text(times: pd.Series[Any]) -> pd.Series[Any]:
    codes, distinct = pd.factorize(times)
    written = np.array([*map(value_text, distinct), None], dtype=object)
    return pd.Series(written[codes], times.index)


def _json(path: Path, frames: Frames) -> None:
    before = b"["
    with atomic_path(path) as partial, partial.open("wb") as file:
        for frame in frames:
            if len(frame):
                file.write(before + _records(frame, indent=1)[1:-2])
                before = b","
        file.write(b"[]" if before == b"[" else b"\n]")


def _jsonl(path: Path, frames: Frames) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        for frame in frames:
            if len(frame):
                file.write(_records(frame, lines=True))


def _records(frame: pd.DataFrame, **form: Any) -> bytes:
    text: str = frame.to_json(orient="records", date_format="iso", force_ascii=False, double_precision=15, **form)
    return text.encode("utf-8", "replace")


WRITERS: dict[str, Callable[[Path, Frames], None]] = {
    ".xlsx": _xlsx,
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".jsonl": _jsonl,
}
"""Suffix → how a table of that kind is written."""
