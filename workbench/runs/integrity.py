"""Whether the files of a run are still what was written: a SHA-256 of each, kept when it is saved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from workbench.runs.artifacts import mapped_errors
from workbench.runs.catalogue import ARTIFACTS, Level
from workbench.runs.database import Database
from workbench.runs.values import now


class FileState(StrEnum):
    """How a file is."""

    OK = "ok"
    DAMAGED = "damaged"
    """Its content is not what was written."""
    MISSING = "missing"
    MOVED = "moved away"
    """It is not there, but need not be: executed notebooks, and the files in the run's own folder."""


class CheckedFile(NamedTuple):
    """A file of a run, as it was found."""

    path: str
    """Inside the run's folder."""
    state: FileState
    detail: str


class Checksums:
    """The checksums of all runs; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        """Keep them in the run database."""
        self._database = database

    def record(self, folder: Path, path: Path) -> None:
        """Remember a file of the run in this folder as it is now; raises StorageError."""
        row: dict[str, Any] = {"run_id": folder.name, "path": path.relative_to(folder).as_posix(), "saved_at": now()}
        row |= {"sha256": sha256(path), "bytes": path.stat().st_size}
        with self._database.write() as transaction:
            transaction.upsert("checksums", [row])

    def verify(self, folder: Path) -> list[CheckedFile]:
        """Compare every recorded file of a run with its checksum, by path."""
        with self._database.read() as transaction:
            kept = transaction.rows("checksums", run_id=folder.name)
        return [_check(folder, row) for row in sorted(kept, key=lambda row: row["path"])]


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file as 64 hexadecimal digits; raises StorageError."""
    with mapped_errors(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(folder: Path, row: Mapping[str, Any]) -> CheckedFile:
    path = folder / row["path"]
    if not path.is_file():
        if _may_be_moved(Path(row["path"])):
            return CheckedFile(row["path"], FileState.MOVED, "it is not here, and need not be")
        return CheckedFile(row["path"], FileState.MISSING, f"{row['bytes']:,} bytes were written at {row['saved_at']}")
    if (size := path.stat().st_size) != row["bytes"]:
        return CheckedFile(row["path"], FileState.DAMAGED, f"{size:,} bytes instead of {row['bytes']:,}")
    if sha256(path) != row["sha256"]:
        return CheckedFile(row["path"], FileState.DAMAGED, "other bytes than were written")
    return CheckedFile(row["path"], FileState.OK, f"{size:,} bytes")


def _may_be_moved(path: Path) -> bool:
    """Say whether a file is one that people may take away without undoing a stage."""
    if len(path.parts) == 1:
        return True
    return any(each.file == path.name and not each.counts for each in ARTIFACTS.values() if each.level is not Level.RUN)


def rows_of(run_id: str, files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the table's rows for what a `run.json` says of files; raises KeyError, TypeError or ValueError."""
    names = ("path", "sha256", "saved_at")
    return [{"run_id": run_id, "bytes": int(file["bytes"]), **{n: str(file[n]) for n in names}} for file in files]
