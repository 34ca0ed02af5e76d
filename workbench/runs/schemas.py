"""Descriptions of files that were inspected before: kept by path, size and time of change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.runs.database import Database
from workbench.runs.values import now


class Schemas:
    """The cache that `readers.inspect_sources` takes; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Give the descriptions there are under these keys; raises StorageError."""
        with self._database.read() as transaction:
            rows = transaction.rows_in("schema_cache", "key", keys)
            return {row["key"]: json.loads(row["schema"]) for row in rows}

    def put(self, schemas: Mapping[str, dict[str, Any]]) -> None:
        """Keep descriptions; one whose key is there replaces what was there. Raises StorageError."""
        saved_at = now()
        rows = [{"key": key, "schema": json.dumps(each), "saved_at": saved_at} for key, each in schemas.items()]
        if rows:
            with self._database.write() as transaction:
                transaction.upsert("schema_cache", rows)
