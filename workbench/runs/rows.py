"""The rows behind the runs: how a run is found, claimed, registered from its folder and exported to `run.json`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from workbench.errors import RunExists, RunNotFound, WorkbenchError, nearest
from workbench.records import RunState
from workbench.runs import batches
from workbench.runs import manifest as manifests
from workbench.runs.artifacts import mapped_errors, write_json
from workbench.runs.database import Database, Transaction
from workbench.runs.locks import LOCK, file_lock, is_held

_EXPORT_SECONDS = 10
_exporting = threading.Lock()

Rows = list[dict[str, Any]]


class RunRows:
    """The runs of one folder, between the folder and the database."""

    def __init__(self, folder: Path, database: Database) -> None:
        """Use a folder that is there and a database that is up to date."""
        self.folder = folder
        self._database = database

    def register_found(self) -> None:
        """Register the runs whose folder the database does not know; one that cannot be read is warned about."""
        with self._database.read() as transaction:
            known = {row["run_id"] for row in transaction.rows("runs")}
        with mapped_errors(self.folder, "read"):
            found = sorted(path.parent for path in self.folder.glob(f"*/{manifests.FILE}"))
        for folder in found:
            if folder.name not in known:
                self._try_register(folder)

    def _folder(self, run_id: str) -> Path:
        folder = self.folder / manifests.check_run_id(run_id)
        if not folder.is_dir():
            raise self._not_found(run_id)
        return folder

    def _row(self, run_id: str) -> dict[str, Any]:
        """Give the row of a run, registering it from its folder where the database does not know it."""
        folder = self._folder(run_id)
        for _ in range(2):
            with self._database.read() as transaction:
                if rows := transaction.rows("runs", run_id=run_id):
                    return self._as_it_stands(rows[0])
            if not (folder / manifests.FILE).is_file():
                break
            self._register(folder)
        raise self._not_found(run_id)

    def _rows(self) -> Rows:
        """Give the rows of all runs that have their folder, newest first."""
        self.register_found()
        with self._database.read() as transaction:
            kept = transaction.rows("runs")
        rows = [self._as_it_stands(row) for row in kept if (self.folder / row["run_id"]).is_dir()]
        return sorted(rows, key=lambda row: (row["created_at"], row["run_id"]), reverse=True)

    def _as_it_stands(self, row: dict[str, Any]) -> dict[str, Any]:
        """A run that nobody works on any more was interrupted, whatever its killed process had written."""
        if row["state"] == RunState.RUNNING and not is_held(self.folder / row["run_id"] / LOCK):
            return row | {"state": str(RunState.INTERRUPTED)}
        return row

    def _not_found(self, run_id: str) -> RunNotFound:
        return RunNotFound(
            f"there is no run {run_id!r} in {self.folder}.",
            hint=nearest(run_id, [row["run_id"] for row in self._rows()]),
        )

    def _claim(self, row: dict[str, Any]) -> None:
        """Make the folder and add the row. Of two processes that want the same id, exactly one gets it."""
        run_id = row["run_id"]
        with self._database.write() as transaction:
            if not self._make_folder(transaction, run_id) or not transaction.insert_new("runs", row):
                raise RunExists(
                    f"there is a run {run_id!r} already.", hint="go on with it (--resume), or choose another id."
                )
            batches.created(transaction, row)

    def _make_folder(self, transaction: Transaction, run_id: str) -> bool:
        """Make the folder unless there is one; says False where it holds a run."""
        folder = self.folder / run_id
        if not folder.is_dir():
            if self._database.is_sqlite:  # somebody removed the folder of an earlier run of that id: forget its rows
                transaction.delete("runs", run_id=run_id)
            elif transaction.rows("runs", run_id=run_id):  # it may lie in another folder that uses this database
                return False
            with mapped_errors(folder):
                folder.mkdir()
        return not (folder / manifests.FILE).is_file()

    def _try_register(self, folder: Path) -> None:
        try:
            manifests.check_run_id(folder.name)
            self._register(folder)
        except WorkbenchError as error:
            logging.getLogger("workbench.runs").warning("run %s cannot be registered: %s", folder.name, error)

    def _register(self, folder: Path) -> None:
        kept = manifests.read_kept(folder)
        with self._database.write() as transaction:
            if transaction.insert_new("runs", kept.run):
                transaction.upsert("stages", kept.stages)
                transaction.upsert("validations", kept.validations)
                transaction.upsert("checksums", kept.files)

    def _export(self, run_id: str) -> dict[str, Any]:
        """Write `run.json` from the database; under a lock, so that an older state never lands on a newer one."""
        folder = self.folder / run_id
        with _exporting, file_lock(folder / ".manifest.lock", f"the manifest of run {run_id!r}", _EXPORT_SECONDS):
            with self._database.read() as transaction:
                content = described(transaction, run_id)
            write_json(folder / manifests.FILE, content)
        return content


def described(transaction: Transaction, run_id: str) -> dict[str, Any]:
    """Give the content of `run.json` as the database has it now; raises RunNotFound where the run has gone."""
    runs = transaction.rows("runs", run_id=run_id)
    if not runs:
        raise _gone(run_id)
    stages, files = (transaction.rows(table, run_id=run_id) for table in ("stages", "checksums"))
    return manifests.describe(runs[0], stages, files)


def row_to_change(transaction: Transaction, run_id: str) -> dict[str, Any]:
    """Give the row of a run that nobody else changes meanwhile; raises RunNotFound where the run has gone."""
    row = transaction.row_to_change("runs", run_id=run_id)
    if row is None:
        raise _gone(run_id)
    return row


def _gone(run_id: str) -> RunNotFound:
    return RunNotFound(f"run {run_id!r} was removed while it worked.")
