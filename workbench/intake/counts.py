"""What is counted while rows are prepared: of a whole input, or of each of its parts, which then are added up."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

from workbench import readers
from workbench.intake.partition import Prepared
from workbench.readers import ColumnSchema, FileSchema, Scan, Source
from workbench.refinery import CleaningReport, ColumnReport, texts_of

HEAD_ROWS = 100
"""Of each part the first rows are remembered by a checksum, to find the same rows in files of other bytes."""


class Counts:
    """Counts the batches of one part."""

    def __init__(self) -> None:
        self.rows = 0
        self._cleaning = CleaningReport({})
        self._unmatched: list[dict[str, list[Any]]] = []
        self._tallies: dict[str, readers.Tally] = {}
        self._stored_as: dict[str, str] = {}
        self._rows_of: Counter[str] = Counter()
        self._schema = FileSchema(path="")
        self._head = ""

    def scanned(self, source: Source, scan: Scan) -> None:
        """Note how the only source of the part is read."""
        self._schema = readers.file_schema(source.name, scan, source.size)

    def add(self, prepared: Prepared) -> None:
        """Take in a batch."""
        if not self.rows:
            self._head = _checksum(prepared)
        self.rows += len(prepared.rows)
        self._cleaning += prepared.cleaning
        self._unmatched = [_in_all([*self._unmatched, prepared.unmatched])]
        readers.add_up(self._tallies, prepared.tallies)
        self._stored_as |= prepared.stored_as
        for name, rows in prepared.source_file.value_counts(sort=False).items():
            self._rows_of[str(name)] += rows

    def facts(self, sources: Iterable[tuple[str, Source]]) -> dict[str, Any]:
        """Give what was counted as plain data for JSON; `sources` are those of the part, with their SHA-256."""
        pairs = list(sources)
        columns = [tally.schema() for tally in self._tallies.values()]
        schema = replace(self._schema, columns=columns)
        if schema.format is None:  # files that hold a record each
            first, last = pairs[0][1], pairs[-1][1]
            name = first.name if len(pairs) == 1 else f"{first.name} … {last.name} ({len(pairs):,} files)"
            size = sum(source.size for _, source in pairs)
            schema = replace(schema, path=name, format=first.kind, bytes=size, rows=self.rows)
        return {
            "rows": self.rows,
            "head": self._head,
            "sources": [
                {"sha256": sha, "kind": source.kind, "rows": self._rows_of[source.name]} for sha, source in pairs
            ],
            "schema": asdict(schema),
            "stored_as": self._stored_as,
            "cleaning": self._cleaning.to_dict(),
            "unmatched": _in_all(self._unmatched),
            "kinds": {
                self._stored_as[tally.name]: "empty" if column.type == "empty" else str(tally.kind)
                for tally, column in zip(self._tallies.values(), columns, strict=True)
            },
        }


def _checksum(prepared: Prepared) -> str:
    """Give a checksum of the first rows as texts, whatever the order of their columns and the kind of their file."""
    digest = hashlib.blake2b(digest_size=16)
    for name, stored in sorted(prepared.stored_as.items()):
        texts = texts_of(prepared.rows[stored].head(HEAD_ROWS))
        digest.update("\x1f".join([name, *("" if text != text else text for text in texts), "\x1e"]).encode())
    return digest.hexdigest()


def add_facts(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Add the facts of parts up: cleaning, unmatched."""
    several = list(parts)
    reports = (CleaningReport({name: _column(fields) for name, fields in part["cleaning"].items()}) for part in several)
    return {
        "cleaning": reduce(CleaningReport.__add__, reports, CleaningReport({})).to_dict(),
        "unmatched": _in_all([part["unmatched"] for part in several]),
    }


def _column(fields: dict[str, Any]) -> ColumnReport:
    return ColumnReport(**fields | {"emptied_samples": tuple(fields["emptied_samples"])})


def file_schema_of(part: dict[str, Any]) -> FileSchema:
    """Give the schema of a part back."""
    fields = part["schema"]
    return FileSchema(**fields | {"columns": [ColumnSchema(**column) for column in fields["columns"]]})


def _in_all(unmatched: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Give the values of the filters that no batch has."""
    first, *others = unmatched or [{}]
    found = {name: [v for v in values if all(v in o.get(name, []) for o in others)] for name, values in first.items()}
    return {name: values for name, values in found.items() if values}
