"""What many sources hold, seen from their first rows: in parallel, and only what is not known yet."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, Unpack

from workbench.errors import ReadError, UsageError
from workbench.readers.archives import Opener
from workbench.readers.columns import rows_table
from workbench.readers.faults import FileFault, border
from workbench.readers.formats import SUFFIXES, Options, ReadingOptions, Scan, scan
from workbench.readers.places import is_url
from workbench.readers.schema import FileSchema, SchemaReport, described
from workbench.readers.sources import Found, Source
from workbench.readers.tallies import ColumnSchema

SAMPLE_ROWS = 1_000
HEAD_BYTES = 1 << 19
"""Of a text file no more is read, unless its rows are longer; some thousand rows."""
MOST_BYTES = HEAD_BYTES * 64
_VERSION = 4
"""Goes up when the same file would be described otherwise, so that what was kept is made anew."""
_BY_LINES = ("csv", "jsonl")


class SchemaCache(Protocol):
    """What keeps the description of a file for the next time; see `runs.RunStore.schema_cache`."""

    def get(self, keys: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Give what is kept under these keys."""

    def put(self, schemas: Mapping[str, dict[str, Any]]) -> None:
        """Keep descriptions by their keys."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is described at once: one source, or all invoices of a folder or an archive."""

    name: str
    sources: tuple[Source, ...]

    def key(self, options: Options, rows: int | None) -> str:
        facts = [(os.path.abspath(s.path), s.members, s.size, s.modified) for s in self.sources]  # noqa: PTH100
        known = json.dumps([_VERSION, self.name, rows, asdict(options), facts])
        return hashlib.sha256(known.encode()).hexdigest()


_Described = tuple[FileSchema | None, list[FileFault]]


def inspect_sources(
    found: Found, *, rows: int | None = SAMPLE_ROWS, cache: SchemaCache | None = None, **options: Unpack[ReadingOptions]
) -> SchemaReport:
    """Describe sources by their first rows, and how well they go together.

    Args:
        found: what `find_sources` found; its faults go into the report.
        rows: how many rows of each source are looked at; null = all, for exact counts.
        cache: keeps descriptions by path, size and time of change; null = none is kept.
        **options: as for `read`, for every source.

    Returns:
        A description per file, and one for all invoices of a folder or an archive together; every file that cannot be
        read with its reason; groups of files with the same bytes (those behind URLs are not compared).
    """
    if rows is not None and rows < 1:
        raise UsageError(f"nothing is seen of {rows} rows.", hint="give rows=1 or more.")
    chosen = Options(**options)
    units = {unit.key(chosen, rows): unit for unit in _units(found.sources)}
    known = dict(cache.get(list(units))) if cache is not None else {}
    fresh = {key: unit for key, unit in units.items() if key not in known}
    described = dict(zip(fresh, _in_parallel(list(fresh.values()), chosen, rows), strict=True))
    if cache is not None:
        cache.put({key: asdict(schema) for key, (schema, faults) in described.items() if schema and not faults})
    described |= {key: (_again(schema), []) for key, schema in known.items()}
    files = [schema for key in units if (schema := described[key][0])]
    faults = [*found.faults, *(fault for key in units for fault in described[key][1])]
    recorded = [FileSchema(path=fault.name, fault=str(fault.error())) for fault in faults]
    return SchemaReport([*files, *recorded], _duplicates(found.sources), list(found.passed_over))


def _again(kept: dict[str, Any]) -> FileSchema:
    return FileSchema(**{**kept, "columns": [ColumnSchema(**column) for column in kept["columns"]]})


def _units(sources: Iterable[Source]) -> Iterator[_Unit]:
    """Put all invoices of a folder together; the folder is named as in the place that was asked for, if that tells."""
    groups = defaultdict[tuple[str, str], list[Source]](list)
    for source in sources:
        groups[_together(source)].append(source)
    folders = {group: {str(PurePosixPath(source.name).parent) for source in groups[group]} for group in groups}
    times = Counter((pattern, folder) for (pattern, _), inside in folders.items() for folder in inside)
    for (pattern, place), several in groups.items():
        folder, *others = folders[pattern, place]
        named = place if others or times[pattern, folder] > 1 else folder
        several_name = pattern if named == "." else f"{named}/{pattern}"
        yield _Unit(several[0].name if len(several) == 1 else several_name, tuple(several))


def _together(source: Source) -> tuple[str, str]:
    """Say what a source is described with: an invoice with all those of its folder, a table alone."""
    suffix = PurePosixPath(source.name).suffix.lower()
    if SUFFIXES.get(suffix).records is None:
        return source.name, ""
    return f"*{suffix}", "/".join((source.path, *source.members)).rpartition("/")[0] or "."


def _in_parallel(units: list[_Unit], options: Options, rows: int | None) -> Iterator[_Described]:
    """Describe units in threads; neighbours share one, so that an archive is opened a few times, not once a member."""
    if not units:
        return
    threads = min(2 * (os.cpu_count() or 1), 16)
    share = -(-len(units) // (4 * threads))
    parts = [units[start : start + share] for start in range(0, len(units), share)]
    pool = ThreadPoolExecutor(threads)
    try:
        for part in pool.map(lambda part: _describe_all(part, options, rows), parts):
            yield from part
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is interrupted does not wait for the file that hangs


def _describe_all(units: Sequence[_Unit], options: Options, rows: int | None) -> list[_Described]:
    with Opener() as opener:
        return [_describe(unit, opener, options, rows) for unit in units]


def _describe(unit: _Unit, opener: Opener, options: Options, rows: int | None) -> _Described:
    if len(unit.sources) > 1:
        return _describe_group(unit, opener, rows)
    source = unit.sources[0]
    try:
        with _beginning(source, opener, options, rows) as (scanned, share):
            schema = described(scanned, source.name, source.size, rows)
    except ReadError as fault:
        return None, [FileFault.of(source.name, fault)]
    about = scanned.estimated_rows or (round(scanned.rows / share) if share < 1 else None)
    if about:
        schema = replace(schema, rows=None, rows_looked_at=schema.rows_looked_at or scanned.rows, rows_estimated=about)
    return replace(schema, modified=_time(source.modified)), []


@contextmanager
def _beginning(source: Source, opener: Opener, options: Options, rows: int | None) -> Iterator[tuple[Scan, float]]:
    """Scan a source as far as its first rows need; gives the share of its bytes that was looked at, too."""
    head = _head(source, opener) if rows and source.kind in _BY_LINES else None
    if head is not None:
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            path = Path(folder) / PurePosixPath(source.name).name
            path.write_bytes(head)
            yield scan(path, options), len(head) / source.size
    else:
        with opener.on_disk(source.path, source.members) as path:
            yield scan(path, replace(options, limit=rows)), 1.0


def _head(source: Source, opener: Opener) -> bytes | None:
    """Give the first lines of a long file, or null where it is to be read as a whole: it is short, or its lines long.

    A line that is cut off half way would not count in an estimate of the rows, however much of the file it is.
    """
    size = HEAD_BYTES
    while size < source.size and size <= MOST_BYTES:
        head = whole_lines(opener.head(source.path, source.members, size))
        if 2 * len(head) > size:
            return head
        size *= 8
    return None


def whole_lines(head: bytes) -> bytes:
    r"""Cut the beginning of a text after its last line that ends outside of quotes.

    >>> whole_lines(b'a,b\n1,"x\ny"\n2,"z\n')
    b'a,b\n1,"x\ny"\n'
    """
    zeros = head[:200].count(0)
    step = 2 if zeros > 50 else 1  # UTF-16
    end = b"\n" if step == 1 else b"\n\0" if head[1:200:2].count(0) > head[:200:2].count(0) else b"\0\n"
    cut = len(head)
    for _ in range(1_000):
        cut = head.rfind(end, 0, cut)
        if cut < 0:
            break
        if cut % step == 0 and head.count(b'"', 0, cut) % 2 == 0:
            return head[: cut + step]
    return head[: len(head) - len(head) % step]


def _describe_group(unit: _Unit, opener: Opener, rows: int | None) -> _Described:
    """Describe the invoices of a folder by the first rows of them all; each is read, to see whether it can be."""
    form = SUFFIXES.get(PurePosixPath(unit.sources[0].name).suffix.lower())
    assert form.records is not None
    shown: list[tuple[Any, ...]] = []
    count = 0
    good: list[Source] = []
    faults: list[FileFault] = []
    for source in unit.sources:
        try:
            with border(source.name), opener.stream(source.path, source.members) as stream:
                found = form.records(stream, source.name)
        except ReadError as fault:
            faults.append(FileFault.of(source.name, fault))
            continue
        shown += found if rows is None else found[: max(rows - len(shown), 0)]
        count += len(found)
        good.append(source)
    if not good:
        return None, faults
    table = rows_table(shown, form.columns)
    scanned = Scan(
        path=Path(unit.name), format=form.name, columns=form.columns, rows=count, tables=lambda: iter([table])
    )
    schema = described(scanned, unit.name, sum(source.size for source in good), rows)
    return replace(schema, files=len(good), modified=_time(max(source.modified for source in good))), faults


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _duplicates(sources: Sequence[Source]) -> list[list[str]]:
    """Group the sources that are equal byte for byte; only those of equal size are read."""
    by_size = defaultdict[int, list[Source]](list)
    for source in sources:
        if not is_url(source.path):
            by_size[source.size].append(source)
    alike = [source for group in by_size.values() if len(group) > 1 for source in group]
    equal = defaultdict[tuple[int, str], list[str]](list)
    with Opener() as opener:
        for source in alike:
            try:
                equal[source.size, source.fingerprint(opener)].append(source.name)
            except ReadError:
                continue  # it has a fault of its own
    return [names for names in equal.values() if len(names) > 1]
