"""The files of an input: which are read, which cannot be and why, which are left out, which are twice there."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import readers
from workbench.engine import THREADS
from workbench.errors import ColumnNotFound, WorkbenchError, nearest
from workbench.intake.lots import Content, Fault, Hashed, by_the_thousand, content_of
from workbench.parameters import IngestSection
from workbench.readers import Found, Source
from workbench.settings import find_file

SHOWN = 100
"""Files that a record lists one by one; `files.parquet` has them all."""


def find(options: IngestSection) -> Found:
    """Find what is to be read, without reading it; raises ReadError where there is nothing."""
    found = _look(options, options.exclude)
    if found.faults and (options.on_error == "stop" or not found.sources):
        raise found.faults[0].error()
    return found


def _look(options: IngestSection, exclude: Sequence[str]) -> Found:
    inputs = [path if "://" in path else str(find_file(path)) for path in options.input]
    return readers.find_sources(inputs, exclude=exclude)


def first_rows(options: IngestSection) -> pd.DataFrame:
    """Give the first batch that has the columns to clean, to look at; raises ReadError and ColumnNotFound."""
    sources = find(options).sources
    skip = None if len(sources) == 1 else lambda fault: None
    seen: set[str] = set()
    for batch in readers.read_sources(sources, on_fault=skip, **options.reading()):
        names = set(map(str, batch.frame.columns))
        if names.issuperset(options.columns):
            return batch.frame
        seen |= names
    missing = next((column for column in options.columns if column not in seen), options.columns[0])
    raise ColumnNotFound(f"no file has the column {missing!r} (ingest.columns).", hint=nearest(missing, sorted(seen)))


class FileList:
    """The files of one run."""

    def __init__(self, found: Found, options: IngestSection) -> None:
        self.sources = found.sources
        self.faults = [Fault(fault.name, fault.error()) for fault in found.faults]
        self.kept: set[Content] = set()
        """What the files hold that an earlier run had read."""
        self._options = options
        self._passed_over = found.passed_over
        self._hashes: dict[str, str] = {}
        self._contents: dict[str, Content] = {}
        self._alike = defaultdict[Content, list[str]](list)
        """What files hold → the names of those that do."""
        self._rows: dict[str, int] = {}
        self._notes: dict[str, list[str]] = {}
        self._same_rows: list[list[str]] = []

    @property
    def is_one_table(self) -> bool:
        """Say whether there is but one file, and it is no invoice or other record."""
        return len(self.sources) == 1 and not self.faults and self.sources[0].kind not in by_the_thousand()

    def failed(self, fault: Fault) -> None:
        """Note that a file, and others of the same bytes, could not be used; raises its error if that stops the run."""
        alike = self._alike.get(self._contents.get(fault.name, ("", "")), [fault.name])
        self.faults += [fault if name == fault.name else fault.of_twin(name) for name in alike]
        if self._options.on_error == "stop":
            raise fault.error

    def read(self, source: Source, rows: int, notes: Sequence[str] = ()) -> None:
        """Note that a file was read, and what its reader has to say of it."""
        self._rows[source.name] = rows
        if notes:
            self._notes[source.name] = list(notes)

    def start_hashing(self, source: Source) -> Future[str]:
        """Work the SHA-256 of a file out while it is read."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="workbench-hash")
        future = pool.submit(self._hash, source)
        pool.shutdown(wait=False)
        return future

    def hash_all(self) -> list[Hashed]:
        """Give the files with their SHA-256; one that cannot be read becomes a fault."""
        archives = [list(group) for _, group in groupby(self.sources, key=lambda source: source.path)]
        with ThreadPoolExecutor(THREADS) as pool:
            for faults in pool.map(self._hash_archive, archives):
                for fault in faults:
                    self.failed(fault)
        hashed = [(self._hashes[s.name], s) for s in self.sources if s.name in self._hashes]
        self._contents = {each[1].name: content_of(each) for each in hashed}
        for name, content in self._contents.items():
            self._alike[content].append(name)
        return hashed

    def _hash_archive(self, sources: list[Source]) -> list[Fault]:
        faults = []
        with readers.Opener() as opener:
            for source in sources:
                try:
                    self._hash(source, opener)
                except WorkbenchError as error:
                    faults.append(Fault(source.name, error))
        return faults

    def _hash(self, source: Source, opener: Any = None) -> str:
        self._hashes[source.name] = source.fingerprint(opener)
        return self._hashes[source.name]

    def identical(self) -> list[list[str]]:
        """Name the files that are the same byte for byte."""
        names = defaultdict[str, list[str]](list)
        for name in self._rows:
            names[self._hashes[name]].append(name)
        return [group for group in names.values() if len(group) > 1]

    def note_same_rows(self, files: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Find files of other bytes with the same rows, as far as their number and the first tell.

        Takes the name of each file that makes a part of its own, the part's name and its facts.
        """
        alike = defaultdict[tuple[int, str], dict[str, str]](dict)
        for name, part, facts in files:
            alike[facts["rows"], facts.get("head") or part].setdefault(part, name)
        self._same_rows = [list(names.values()) for names in alike.values() if len(names) > 1]

    def excluded(self) -> list[str]:
        """Name the files that `ingest.exclude` leaves out."""
        if not self._options.exclude:
            return []
        known = {(source.path, source.members) for source in self.sources}
        return [s.name for s in _look(self._options, ()).sources if (s.path, s.members) not in known]

    def table(self) -> pd.DataFrame:
        """List every file: name, kind, bytes, rows, state, reason, sha256, path.

        A path is bytes, as names need not be text, and of a file in an archive the archive's. A state is read, kept
        (an earlier run had read it), failed, excluded or passed over. The reason of a file that was read is what its
        reader has to say of it, such as lines that it left out.
        """
        reasons = {fault.name: str(fault.error) for fault in self.faults}
        rows: list[tuple[Any, ...]] = []
        for source in self.sources:
            sha = self._hashes.get(source.name)
            state = "failed" if source.name in reasons else "kept" if (sha, source.kind) in self.kept else "read"
            count = self._rows.get(source.name)
            reason = reasons.pop(source.name, None) or "; ".join(self._notes.get(source.name, [])) or None
            path = os.fsencode(source.path if "://" in source.path else Path(source.path).absolute())
            rows.append((source.name, source.kind, source.size, count, state, reason, sha, path))
        unread = [(name, "failed", reason) for name, reason in reasons.items()]
        unread += [(name, "excluded", "ingest.exclude") for name in self.excluded()]
        unread += [(name, "passed over", "no file of a known format") for name in self._passed_over]
        rows += [(name, None, None, None, state, reason, None, None) for name, state, reason in unread]
        columns = ["name", "kind", "bytes", "rows", "state", "reason", "sha256", "path"]
        return pd.DataFrame(rows, columns=columns).astype({"bytes": "Int64", "rows": "Int64"})

    def inputs(self) -> list[dict[str, Any]]:
        """Name the files with their SHA-256, for run.json; of very many, the first."""
        return [
            {"path": s.name if s.members else s.path, "sha256": self._hashes.get(s.name), "bytes": s.size}
            for s in self.sources[:SHOWN]
        ]

    def facts(self) -> dict[str, Any]:
        """Tell how many files were read, and of the others which and why not."""
        states = self.table()["state"].value_counts()
        counted = {state.replace(" ", "_"): int(states.get(state, 0)) for state in ("read", "kept", "passed over")}
        failed = [fault.to_dict() for fault in self.faults[:SHOWN]]
        return counted | {
            "failed": len(self.faults),
            "failures": failed,
            "notes": dict(islice(self._notes.items(), SHOWN)),
            "excluded": self.excluded()[:SHOWN],
            "identical": self.identical()[:SHOWN],
            "same_rows": self._same_rows[:SHOWN],
        }
