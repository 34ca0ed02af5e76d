"""Many sources: which are prepared together, and how a part is made of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from workbench import readers
from workbench.errors import ReadError, WorkbenchError
from workbench.intake.counts import Counts
from workbench.intake.partition import Preparation
from workbench.readers import FileFault, Source
from workbench.runs import Parts

BATCH_ROWS = 50_000
LOT_BYTES = 32 << 20
LOT_SOURCES = 2_000
"""Files that hold a record each, such as invoices, are prepared together, up to so many."""

Hashed = tuple[str, Source]
"""A source and the SHA-256 of its bytes."""
Content = tuple[str, str]
"""What makes two sources the same: the SHA-256 of their bytes, and the kind of file that they are read as."""


def content_of(hashed: Hashed) -> Content:
    """Say what a source holds."""
    return hashed[0], hashed[1].kind


def contents_of(facts: dict[str, Any]) -> list[Content]:
    """Say what the sources of a part hold."""
    return [(each["sha256"], each["kind"]) for each in facts["sources"] if "kind" in each]


@dataclass(frozen=True)
class Fault:
    """A source that could not be used, and why."""

    name: str
    error: WorkbenchError

    def of_twin(self, name: str) -> Fault:
        """Give the fault of another source that holds the same bytes."""
        reason = f"{name} holds the same bytes as {self.name}, which cannot be used: {self.error.message}"
        return Fault(name, ReadError(reason, hint=self.error.hint))

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {"name": self.name, "reason": self.error.message, "hint": self.error.hint}


@dataclass(frozen=True)
class Lot:
    """Sources that are prepared together."""

    sources: tuple[Hashed, ...]

    @property
    def name(self) -> str:
        """Name the part that it becomes, by its content."""
        return hashlib.blake2b(
            " ".join(map(" ".join, map(content_of, self.sources))).encode(), digest_size=16
        ).hexdigest()

    @property
    def size(self) -> int:
        """Count its bytes."""
        return sum(source.size for _, source in self.sources)


def by_the_thousand() -> set[str]:
    """Name the kinds of files that hold a record each."""
    forms = [readers.SUFFIXES.get(suffix) for suffix in readers.SUFFIXES]
    return {form.name for form in forms if form.records is not None}


def make_lots(sources: Iterable[Hashed]) -> Iterator[Lot]:
    """Put sources together: a table alone, files that hold a record each by the hundred."""
    records = by_the_thousand()
    for together, group in groupby(sources, key=lambda pair: pair[1].kind in records):
        held: list[Hashed] = []
        size = 0
        for sha, source in group:
            full = len(held) >= LOT_SOURCES or size + source.size > LOT_BYTES
            if held and (full or not together):
                yield Lot(tuple(held))
                held, size = [], 0
            held.append((sha, _reachable(source)))
            size += source.size
        yield Lot(tuple(held))


def _reachable(source: Source) -> Source:
    """Name a source so that a process that works elsewhere finds it too."""
    return source if "://" in source.path else replace(source, path=os.path.abspath(source.path))  # noqa: PTH100


@dataclass(frozen=True)
class Made:
    """What became of a lot: the facts of its part, and the sources that could not be used."""

    lot: Lot
    facts: dict[str, Any]
    """Empty where no source could be used."""
    faults: tuple[Fault, ...] = ()


class _NothingRead(Exception):
    pass


@dataclass(frozen=True)
class MakePart:
    """Reads, cleans and keeps a lot, wherever it is called."""

    preparation: Preparation
    parts: Parts
    tell: Callable[[str, int, int], None] | None = None
    """Is told after every batch how many bytes and rows of the lot of that name are done."""

    def __call__(self, lot: Lot) -> Made:
        """Make the part of a lot; a source that cannot be used is told of, and the others make the part.

        Raises StorageError where the part cannot be written.
        """
        faults: list[Fault] = []
        facts: dict[str, Any] = {}
        try:
            self._write(lot, faults, facts)
        except _NothingRead:
            pass
        except ReadError as error:
            faults = [Fault(source.name, error) for _, source in lot.sources]
        return Made(lot, facts, tuple(faults))

    def _write(self, lot: Lot, faults: list[Fault], facts: dict[str, Any]) -> None:
        def note(fault: FileFault) -> None:
            faults.append(Fault(fault.name, fault.error()))

        counts = Counts()
        sources = [source for _, source in lot.sources]
        with self.parts.writer(lot.name, facts) as writer:
            for batch in read(sources, self.preparation, note, counts):
                if self.preparation.missing(batch.frame.columns, lot.name):
                    faults += self._lacking(batch, lot, {fault.name for fault in faults})
                    raise _NothingRead
                prepared = self.preparation(batch)
                writer.write(prepared.rows.drop(columns="row_id"))
                counts.add(prepared)
                if self.tell:
                    self.tell(lot.name, prepared.bytes_done, counts.rows)
            if not counts.rows or (faults and len(sources) == 1):
                raise _NothingRead
            failed = {fault.name for fault in faults}
            facts |= counts.facts([(sha, source) for sha, source in lot.sources if source.name not in failed])

    def _lacking(self, batch: readers.Batch, lot: Lot, told: set[str]) -> Iterator[Fault]:
        """Say of every source of a lot that it lacks a column: all that are prepared together have the same ones."""
        for _, source in lot.sources:
            error = self.preparation.missing(batch.frame.columns, source.name)
            if error and source.name not in told:
                yield Fault(source.name, error)


def read(
    sources: Sequence[Source], preparation: Preparation, on_fault: Callable[[FileFault], None] | None, counts: Counts
) -> Iterator[readers.Batch]:
    """Read sources in batches, as the parameters say."""
    return readers.read_sources(
        sources, rows=BATCH_ROWS, on_fault=on_fault, on_scan=counts.scanned, **preparation.options.reading()
    )
