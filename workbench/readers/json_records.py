"""JSON and JSONL: records with named fields, nested one level."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyarrow as pa

from workbench.errors import ReadError
from workbench.readers.columns import Column, distinct_names, make_table
from workbench.readers.encodings import TextFile, open_text
from workbench.readers.faults import border, no_rows, refuse_binary
from workbench.readers.formats import SUFFIXES, Format, Options, Scan
from workbench.readers.values import ValueEvidence, make_array

BLOCK_ROWS = 5_000
MAX_BYTES = 512 << 20
"""Of a JSON document, which is held as a whole."""
SHOWN_FAULTS = 5
EXPECTED = 'give records: [{"name": value, …}, …], one record per line, or {"name": [values], …}.'

Record: TypeAlias = Mapping[str, Any]
Records: TypeAlias = Callable[[], Iterable[Record]]

_LONG_NUMBER = re.compile(rb"[:\[,]\s*-?[0-9]{19}")
"""A whole number that orjson would round."""
_HUGE_NUMBER = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{309}")
"""A number that is infinite as a binary one, or nearly."""
_DIGITS = bytes(ord("0") if code in b"0123456789" else ord(" ") for code in range(256))
LINES_AT_ONCE = 500
_BETWEEN = secrets.token_hex(16)
"""Stands between lines that are parsed together; no file holds it, so that no line can hide in its neighbour."""


def loads(data: bytes) -> Any:
    """Parse JSON; NaN and infinities become null, whole numbers of any length stay whole; raises ValueError."""
    if b"NaN" not in data and b"Infinity" not in data and not _has_long_number(data):
        try:
            return orjson.loads(data)
        except ValueError:
            if not _HUGE_NUMBER.search(data):
                raise
    value = json.loads(data, parse_constant=lambda _: None, parse_float=_finite)
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    return value


def _finite(digits: str) -> float | None:
    number = float(digits)
    return None if math.isinf(number) else number


def _has_long_number(data: bytes) -> bool:
    return b"0" * 19 in data.translate(_DIGITS) and bool(_LONG_NUMBER.search(data))


def value_text(value: Any) -> str:
    """Word a JSON value as JSON.

    >>> [value_text(value) for value in (1, True, [1, "ñ"])]
    ['1', 'true', '[1,"ñ"]']
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flatten(record: Record) -> Record:
    """Lift the fields of objects one level up.

    >>> flatten({"folio": 7, "emisor": {"rfc": "AAA", "domicilio": {"cp": "01000"}}})
    {'folio': 7, 'emisor.rfc': 'AAA', 'emisor.domicilio': {'cp': '01000'}}
    """
    if dict not in map(type, record.values()):
        return record
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            for inner, part in value.items():
                flat[_free(f"{key}.{inner}", flat, record)] = part
        else:
            flat[key] = value
    return flat


def _free(name: str, *taken: Record) -> str:
    while any(name in record for record in taken):
        name += "_2"
    return name


@dataclass(slots=True)
class _Survey:
    rows: int = 0
    fields: dict[str, ValueEvidence] = field(default_factory=dict)

    def see(self, block: Sequence[Record]) -> None:
        self.rows += len(block)
        for key in dict.fromkeys(chain.from_iterable(block)):
            self.fields.setdefault(key, ValueEvidence(whole_is_integer=False)).see(_values(block, key))

    def columns(self) -> tuple[Column, ...]:
        keys = [key for key in self.fields if not self._is_missing_object(key)]
        names = distinct_names(keys)
        return tuple(self.fields[key].column(name, key, self.rows) for name, key in zip(names, keys, strict=True))

    def _is_missing_object(self, key: str) -> bool:
        """Say whether a field is null wherever it is not an object, whose parts are columns of their own."""
        return not self.fields[key].filled and any(other.startswith(f"{key}.") for other in self.fields)


def _blocks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Flatten records in blocks; drops those without any value."""
    waiting = iter(records)
    while block := list(islice(waiting, BLOCK_ROWS)):
        kept = [record for record in map(flatten, block) if [*record.values()].count(None) < len(record)]
        if kept:
            yield kept


def _values(block: Sequence[Record], key: str) -> list[Any]:
    try:
        return list(map(itemgetter(key), block))
    except KeyError:
        return [record.get(key) for record in block]


def _scan_of(
    path: Path, name: str, file: TextFile, survey: _Survey, records: Records, notes: Sequence[str] = ()
) -> Scan:
    if not survey.rows:
        raise no_rows(path) if survey.fields else ReadError(f"{path.name} holds no records.", hint=EXPECTED)
    columns = survey.columns()
    return Scan(
        path=path,
        format=name,
        columns=columns,
        rows=survey.rows,
        tables=lambda: _tables(path, records, columns),
        encoding=file.encoding,
        nul_bytes=file.nul_bytes,
        notes=(*file.notes, *notes),
    )


def _tables(path: Path, records: Records, columns: Sequence[Column]) -> Iterator[pa.Table]:
    with border(path):
        for block in _blocks(records()):
            yield make_table(columns, [_array(block, column) for column in columns])


def _array(block: Sequence[Record], column: Column) -> pa.Array:
    return make_array(_values(block, str(column.source)), column.kind, value_text)


@dataclass(slots=True)
class _Broken:
    """The lines that hold no record: how many, and what is wrong with the first ones."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, number: int, fault: str) -> None:
        self.count += 1
        if self.count <= SHOWN_FAULTS:
            self.first.append(f"line {number}: {fault}")

    def __str__(self) -> str:
        more = f"; and {self.count - SHOWN_FAULTS:,} more" if self.count > SHOWN_FAULTS else ""
        return f"{'; '.join(self.first)}{more}"


def scan_jsonl(path: Path, options: Options) -> Scan:
    """Go through a file with one JSON record per line; lines that hold none are left out, and named in the notes.

    Raises ReadError that names them where they are not fewer than the whole ones: then it is another kind of file.
    """
    refuse_binary(path)
    with border(path):
        file = open_text(path, options.encoding)
        survey, broken = _Survey(), _Broken()
        for block in _blocks(_lines(file, broken)):
            survey.see(block)
        if broken.count and broken.count >= survey.rows:
            raise ReadError(f"{path.name}, {broken}.", hint="every line needs one whole record: {…}.")
        notes = [f"lines that hold no whole record, left out: {broken.count:,} ({broken})"] if broken.count else []
        return _scan_of(path, "jsonl", file, survey, lambda: _lines(file, _Broken()), notes)


def _lines(file: TextFile, broken: _Broken) -> Iterator[Record]:
    """Give the records; notes the lines that are none."""
    number = 1
    with file.utf8() as stream:
        while lines := list(islice(stream, LINES_AT_ONCE)):
            together = _parse_together(lines)
            yield from _one_by_one(lines, number, broken) if together is None else together
            number += len(lines)


def _one_by_one(lines: Sequence[bytes], first: int, broken: _Broken) -> Iterator[Record]:
    for number, line in enumerate(lines, start=first):
        if line.strip():
            record, fault = _parse(line)
            if fault is None:
                yield record
            else:
                broken.add(number, fault if line.endswith(b"\n") else f"{fault}; the file ends in it")


def _parse_together(lines: Sequence[bytes]) -> list[Record] | None:
    """Parse lines as one list, which is much faster; None where not every line holds just a record."""
    data = b"[" + f',"{_BETWEEN}",'.encode().join(lines) + b"]"
    try:
        found = loads(data)
    except ValueError:
        return None
    records: list[Record] = found[::2]
    whole = len(records) == len(lines) and found[1::2] == [_BETWEEN] * (len(lines) - 1)
    return records if whole and set(map(type, records)) == {dict} else None


def _parse(line: bytes) -> tuple[Record, str | None]:
    try:
        value = loads(line)
    except ValueError as fault:
        return {}, _reason(fault)
    return (value, None) if isinstance(value, dict) else ({}, f"{_named(value)} is not a record")


def _reason(fault: ValueError) -> str:
    if not isinstance(fault, json.JSONDecodeError):
        return "an escaped character is half of a pair" if isinstance(fault, UnicodeError) else str(fault)
    return f"{fault.msg.split(':')[0]} at column {fault.colno}"


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def scan_json(path: Path, options: Options) -> Scan:
    """Go through a JSON file, which is held as a whole; raises ReadError."""
    refuse_binary(path)
    with border(path):
        if path.stat().st_size > MAX_BYTES:
            larger = f"{path.name} is larger than {MAX_BYTES >> 20} MB, which a JSON document takes several times over"
            raise ReadError(f"{larger}.", hint="save it as .jsonl, one record per line, which is read bit by bit.")
        file = open_text(path, options.encoding)
        with file.utf8() as stream:
            data = stream.read()
        try:
            value = loads(data)
        except ValueError as fault:
            if _is_jsonl(data):
                return scan_jsonl(path, options)
            place = f"line {fault.lineno}, " if isinstance(fault, json.JSONDecodeError) else ""
            raise ReadError(f"{path.name} is not valid JSON: {place}{_reason(fault)}.", hint=EXPECTED) from None
        records, survey = _records(path, value), _Survey()
        for block in _blocks(records):
            survey.see(block)
        return _scan_of(path, "json", file, survey, lambda: records)


def _is_jsonl(data: bytes) -> bool:
    """Say whether the first two lines are records of their own."""
    lines = [line for line in data.split(b"\n", 20)[:20] if line.strip()][:2]
    return len(lines) == 2 and _parse(lines[0])[1] is None


def _records(path: Path, value: Any) -> list[Record]:
    """Find the records in a JSON value: it is their list, holds their list, or holds a list per column."""
    if isinstance(value, list):
        return _checked(path, value)
    if isinstance(value, dict):
        lists = {key: part for key, part in value.items() if isinstance(part, list)}
        records = {key: part for key, part in lists.items() if part and isinstance(part[0], dict)}
        if len(records) == 1:
            return _checked(path, next(iter(records.values())))
        if lists and not records:
            return _from_columns(path, lists)
        if len(records) > 1:
            raise ReadError(f"{path.name} holds several lists of records: {', '.join(records)}.", hint="keep one.")
        inner = [part for part in value.values() if isinstance(part, dict) and _holds_list(part)]
        if len(inner) == 1:
            return _records(path, inner[0])
    raise ReadError(f"{path.name} holds {_named(value)} without a list of records.", hint=EXPECTED)


def _holds_list(value: Record) -> bool:
    return any(isinstance(part, list) for part in value.values())


def _checked(path: Path, items: list[Any]) -> list[Record]:
    wrong = [place for place, item in enumerate(items) if not isinstance(item, dict)]
    if wrong:
        place = wrong[0]
        raise ReadError(f"{path.name}: item {place + 1} of the list is {_named(items[place])}.", hint=EXPECTED)
    return items


def _from_columns(path: Path, lists: Mapping[str, list[Any]]) -> list[Record]:
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1:
        found = ", ".join(f"{key} {len(values)}" for key, values in lists.items())
        raise ReadError(f"{path.name}: the columns have different lengths: {found}.", hint="make them equal.")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


SUFFIXES.register(".json", Format("json", scan_json))
for _suffix in (".jsonl", ".ndjson"):
    SUFFIXES.register(_suffix, Format("jsonl", scan_jsonl))
