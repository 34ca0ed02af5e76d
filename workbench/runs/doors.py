"""The doors of the store to what lies beside runs and artifacts: checksums, sessions, batches, the database itself."""

from __future__ import annotations

import pandas as pd

from workbench.runs.integrity import CheckedFile, Checksums
from workbench.runs.rows import RunRows
from workbench.runs.sessions import Sessions


class Doors(RunRows):
    """What a store opens besides the runs and their artifacts."""

    def ping(self) -> str:
        """Take the write lock of the database and let it go; gives its place. Raises StorageError."""
        with self._database.write():
            return self._database.where

    def sessions(self) -> Sessions:
        """Give the sessions: where people were."""
        return Sessions(self._database)

    def batch_pipelines(self) -> pd.DataFrame:
        """List how far the files of every run are, newest first; the columns are those of the table."""
        with self._database.read() as transaction:
            rows = transaction.rows("batch_pipelines")
        rows.sort(key=lambda row: (row["created_at"], row["batch_id"]), reverse=True)
        return pd.DataFrame(rows).drop(columns="run_id", errors="ignore")

    def verify(self, run_id: str) -> list[CheckedFile]:
        """Compare every artifact of a run with what was written, by SHA-256; raises RunNotFound."""
        self._row(run_id)
        return Checksums(self._database).verify(self._folder(run_id))
