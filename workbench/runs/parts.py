"""Prepared parts of inputs, kept from run to run: what was read and cleaned once is not read again.

A part is a parquet file and, beside it, a JSON file that says which sources it holds; the JSON comes last, so a part
is there as a whole or not at all. Parts that were made with the same settings share a folder. They can be deleted at
any time: they are made again when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import StorageError
from workbench.runs.artifacts import read_json, remove, write_json
from workbench.runs.parquet import BatchWriter, batch_writer, read_batches, read_parquet


class Parts:
    """The parts of one folder; safe to use from several processes and machines that share it."""

    def __init__(self, folder: Path, settings: str) -> None:
        """Use the folder of parts that were made with the same settings, of which `settings` is a fingerprint."""
        self.folder = folder / settings

    def all(self) -> dict[str, dict[str, Any]]:
        """Give what is known of every part, by its name; one whose files are damaged is as good as none."""
        found = {}
        for path in sorted(self.folder.glob("*.json")):
            with suppress(StorageError):
                found[path.stem] = read_json(path)
        return {name: facts for name, facts in found.items() if self._path(name).is_file()}

    @contextmanager
    def writer(self, name: str, facts: Mapping[str, Any]) -> Iterator[BatchWriter]:
        """Write a part batch by batch; when the block ends well, it is there, with `facts` as they are then."""
        with batch_writer(self._path(name)) as writer:
            yield writer
        write_json(self.folder / f"{name}.json", facts)

    def read(self, name: str) -> pd.DataFrame:
        """Read a part as a whole; raises StorageError."""
        return read_parquet(self._path(name))

    def batches(self, name: str, rows: int) -> Iterator[pd.DataFrame]:
        """Read a part in frames of at most `rows` rows; raises StorageError."""
        return read_batches(self._path(name), rows=rows)

    def touch(self, name: str) -> None:
        """Note that a part was used, so that what cleans up keeps it."""
        with suppress(OSError):
            for path in (self._path(name), self.folder / f"{name}.json"):
                os.utime(path)

    def drop(self, name: str) -> None:
        """Remove a part."""
        for path in (self.folder / f"{name}.json", self._path(name)):
            remove(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"
