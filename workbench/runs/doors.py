"""The doors of the store to what lies beside runs and artifacts: checksums and the database itself."""

from __future__ import annotations

from workbench.runs.integrity import CheckedFile, Checksums
from workbench.runs.rows import RunRows


class Doors(RunRows):
    """What a store opens besides the runs and their artifacts."""

    def ping(self) -> str:
        """Take the write lock of the database and let it go; gives its place. Raises StorageError."""
        with self._database.write():
            return self._database.where

    def verify(self, run_id: str) -> list[CheckedFile]:
        """Compare every artifact of a run with what was written, by SHA-256; raises RunNotFound."""
        self._row(run_id)
        return Checksums(self._database).verify(self._folder(run_id))
