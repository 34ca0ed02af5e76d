"""The doors of the store to what lies beside runs and artifacts: checksums, sessions, batches, the database itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from workbench.runs import batches
from workbench.runs.decisions import Decisions
from workbench.runs.integrity import CheckedFile, Checksums
from workbench.runs.locks import LOCK, is_held
from workbench.runs.rows import RunRows
from workbench.runs.sessions import Sessions

FOLLOW_SECONDS = 0.5
"""How often a run that is followed is looked at."""


class Doors(RunRows):
    """What a store opens besides the runs and their artifacts."""

    def ping(self) -> str:
        """Take the write lock of the database and let it go; gives its place. Raises StorageError."""
        with self._database.write():
            return self._database.where

    def sessions(self) -> Sessions:
        """Give the sessions: where people were."""
        return Sessions(self._database)

    def decisions(self, run_id: str, iteration: int) -> Decisions:
        """Give what reviewers see and decide in an iteration; raises RunNotFound."""
        self._row(run_id)
        return Decisions(self._database, run_id, iteration)

    def set_pools(self, run_id: str, pools: Mapping[str, str]) -> None:
        """Put the verdicts on items into other pools; whatever else reviewers change meanwhile stays."""
        with self._database.write() as transaction:
            for item_id, pool in pools.items():
                transaction.update("validations", {"pool": pool}, run_id=run_id, item_id=item_id)

    def note_schema(self, run_id: str, files: int, found: Mapping[str, Any]) -> None:
        """Note that the first rows of a run's files were looked at before they are read, and what was `found`."""
        self._row(run_id)
        with self._database.write() as transaction:
            batches.validated(transaction, run_id, files, found)

    def batch_pipelines(self, session_id: str | None = None) -> pd.DataFrame:
        """List how far the files of every run are, or of those a session started, newest first.

        The columns are those of the table.
        """
        with self._database.read() as transaction:
            rows = transaction.rows("batch_pipelines", **({} if session_id is None else {"session_id": session_id}))
        rows.sort(key=lambda row: (row["created_at"], row["batch_id"]), reverse=True)
        return pd.DataFrame(rows).drop(columns="run_id", errors="ignore")

    def follow(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Give the progress of a run whenever it changes, until no process works on it any more."""
        last, folder = None, self._folder(run_id)
        while True:
            is_worked_on = is_held(folder / LOCK)
            with self._database.read() as transaction:
                rows = transaction.rows("progress", run_id=run_id)
            if rows and rows[0] != last:
                last = rows[0]
                yield dict(last)
            if not is_worked_on:
                return
            time.sleep(FOLLOW_SECONDS)

    def forget(self, run_id: str) -> None:
        """Remove what the database knows of a run; its folder stays."""
        with self._database.write() as transaction:
            transaction.delete("runs", run_id=run_id)

    def without_folder(self, oldest: datetime) -> list[str]:
        """Give the runs whose folder has gone, untouched since then.

        None in a PostgreSQL database: their folders may lie in another folder of runs that uses it, too.
        """
        if not self._database.is_sqlite:
            return []
        with self._database.read() as transaction:
            rows = [row for row in transaction.rows("runs") if datetime.fromisoformat(row["updated_at"]) < oldest]
        return sorted(row["run_id"] for row in rows if not (self.folder / row["run_id"]).is_dir())

    def old_schemas(self, oldest: datetime, *, forget: bool) -> list[tuple[str, int]]:
        """Give the kept descriptions of files that were saved before, with their sizes; forget them if asked."""
        with self._database.write() as transaction:
            rows = [r for r in transaction.rows("schema_cache") if datetime.fromisoformat(r["saved_at"]) < oldest]
            for row in rows if forget else []:
                transaction.delete("schema_cache", key=row["key"])
        return [(row["key"], len(row["schema"])) for row in rows]

    def verify(self, run_id: str) -> list[CheckedFile]:
        """Compare every artifact of a run with what was written, by SHA-256; raises RunNotFound."""
        self._row(run_id)
        return Checksums(self._database).verify(self._folder(run_id))
