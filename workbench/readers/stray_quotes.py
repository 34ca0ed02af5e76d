"""Quotes that stand in a text by accident: `"Tubo 1/2,5` opens a cell that would end at the next quote, rows below.

A cell of several lines is legal where its closing quote is followed by a delimiter or the end of the line; it stays
one cell then, whatever it holds. Where it is not, and every line would make a whole row, the quotes are plain.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from workbench.errors import few
from workbench.readers.dialects import Dialect, Layout
from workbench.readers.encodings import TextFile
from workbench.readers.quotes import are_legal, cut

MANY_LINES = 100
"""A cell of more is told of, legal or not."""
TOLERATED = 1 / 100
"""The share of swallowed lines that may make no whole row."""
_END = "\0"
_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+")
_AMOUNT = re.compile(r"[-+(]?\s?(?:[$€£]|[A-Z]{3}\b)?\s?[-+]?[0-9][0-9.,' ]*\s?(?:[$€£%]|\b[A-Z]{3})?[-)]?")
_DATE = re.compile(r"[0-9]{1,4}[-/. ](?:[0-9]{1,2}|[A-Za-z]{3,10}\.?)[-/. ][0-9]{1,4}(?:[T ][0-9:.,]+Z?)?")
SAMPLE_ROWS = 1_000
"""So many show whether a column of texts holds amounts or dates, which tell rows from text as numbers do."""
_INCHES = re.compile(r'[^\W\d_].*\b[0-9]+"')
"""`Rin 16"`: a quote that ends a cell without closing it."""
_OPENED = re.compile(r'.*"\w', re.DOTALL)

_Line = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rows of a file have: so many cells, and values of one kind in these columns."""

    least: int
    most: int
    kinds: dict[int, re.Pattern[str]]
    punctuation: re.Pattern[str]
    """A delimiter as it stands in texts, but not in this file."""

    def is_whole(self, row: Sequence[str]) -> bool:
        """Say whether a row has all cells."""
        return self.least <= len(row) <= self.most

    def fits(self, row: Sequence[str]) -> bool:
        """Say whether a row has all cells, and values where the others have them."""
        cells = [(kind, row[place].strip()) for place, kind in self.kinds.items() if place < len(row)]
        return self.is_whole(row) and all(not cell or kind.fullmatch(cell) for kind, cell in cells)


def shape_of(layout: Layout, named: int, numbers: Container[int], columns: Iterable[Sequence[str | None]]) -> Shape:
    """Look at the beginnings of a file's columns; so many have a name, and these hold numbers to the end."""
    kinds = {place: _NUMBER if place in numbers else _kind(values) for place, values in enumerate(columns)}
    delimiter = re.escape(layout.dialect.delimiter)
    spaced = any(cell.startswith(" ") for cell in layout.header[1:]) or layout.dialect.skip_blanks
    text = "(?!)" if spaced else rf"{delimiter}\s|(?<=[0-9]){delimiter}(?=[0-9])"
    known = {place: kind for place, kind in kinds.items() if kind}
    return Shape(named, len(layout.header), known, re.compile(text))


def _kind(values: Sequence[str | None]) -> re.Pattern[str] | None:
    texts = [value.strip() for value in values if value]
    return next((kind for kind in (_AMOUNT, _DATE) if texts and all(map(kind.fullmatch, texts))), None)


@dataclass(slots=True)
class Strays:
    """By their first line, from 1: where quotes are plain characters, where a cell may hold rows or lose quotes."""

    lines: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    lossy: list[int] = field(default_factory=list)

    def notes(self, before: int) -> Iterator[str]:
        """Word them for people; `before` lines stand above the rows."""
        for text, lines in (
            ("stray quotes were read as plain characters", self.lines),
            ("quoted cells may hold rows of the table (is a quote missing or too many?)", self.doubtful),
            ("quotes inside a quoted cell are not doubled: some may be lost or moved", self.lossy),
        ):
            if lines:
                yield f"{text}: line {few([str(before + line) for line in sorted(set(lines))])}"


def looks_legal(file: TextFile, dialect: Dialect) -> bool:
    """Say whether no quote of a file needs a closer look; behind blanks that are passed over all do."""
    return not dialect.skip_blanks and are_legal(file.legal_quotes, dialect.delimiter)


def find_strays(lines: Iterable[str], layout: Layout, shape: Shape, file: TextFile) -> Strays:
    """Judge every cell of several lines in a file, and every line whose quotes are not legal."""
    found = Strays()
    records = _Records(lines, layout.dialect)
    legal = looks_legal(file, layout.dialect)
    for record in records:
        number, line = record[0]
        if len(record) == 1:
            verdict = "legal" if legal or layout.dialect.is_legal([line]) else _judge_line(line, layout.dialect, shape)
        elif record[-1][1] == _END:  # never closes: only where a quote above was taken back
            found.lines += [each for each, line in record[:-1] if found.lines and not layout.dialect.is_legal([line])]
            continue
        else:
            verdict = _judge([line for _, line in record], layout.dialect, shape, file.quotes)
        if verdict == "swallowed":
            found.lines += _strays_of(record, layout.dialect, records)
        elif verdict != "legal":
            {"plain": found.lines, "doubtful": found.doubtful, "lossy": found.lossy}[verdict].append(number)
    return found


class _Records:
    """Goes through the records that hold quotes, as numbered lines."""

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._lines = enumerate(chain(lines, [_END]), start=1)
        self._dialect = dialect
        self._held: list[_Line] = []
        self._again: list[_Line] = []

    def __iter__(self) -> Iterator[list[_Line]]:
        for _ in self._dialect.reader(self._fed()):
            record, self._held = self._held, []
            yield record

    def read_again(self, line: _Line) -> None:
        """Begin the next record with this line."""
        self._again.append(line)

    def _fed(self) -> Iterator[str]:
        while line := self._again.pop() if self._again else next(self._lines, None):
            if self._held or '"' in line[1]:
                self._held.append(line)
                yield line[1]


def _judge_line(line: str, dialect: Dialect, shape: Shape) -> str:
    """Say what becomes of a line whose quotes are not legal: plain, lossy, or legal if but blanks follow a quote."""
    cells, is_odd = cut(line, dialect.delimiter, dialect.skip_blanks)
    return ("plain" if shape.fits(cells) else "lossy") if is_odd else "legal"


def _judge(lines: Sequence[str], dialect: Dialect, shape: Shape, quotes: int) -> str:
    """Say whether a record of several lines has swallowed rows: swallowed, doubtful, or lossy and legal if not."""
    last = next(cell for cell in lines[-1].rstrip("\r\n").split(dialect.delimiter) if '"' in cell)
    rows = [dialect.cut(line) for line in lines if line.strip()]
    rows = rows if dialect.is_legal(lines[-1:]) or shape.fits(rows[-1]) else rows[:-1]
    tolerated = len(rows) * TOLERATED if shape.most > 1 else -1
    are_whole = sum(not shape.is_whole(row) for row in rows) <= tolerated
    misfits = sum(not shape.fits(row) for row in rows)
    told = misfits <= tolerated and bool(shape.kinds)
    legal = dialect.is_legal(lines)
    if legal:
        alone = quotes == 2 and bool(_OPENED.match(lines[0]) and _INCHES.fullmatch(last.strip()))
        swallowed = told and alone
    else:
        swallowed = told or (misfits <= tolerated and last.startswith('"'))
    likely = are_whole and 2 * misfits <= len(rows) and not any(map(shape.punctuation.search, lines))
    doubtful = told or likely or len(lines) > MANY_LINES
    return "swallowed" if swallowed else "doubtful" if doubtful else "legal" if legal else "lossy"


def _strays_of(record: Sequence[_Line], dialect: Dialect, records: _Records) -> list[int]:
    """Name the first line, and the last if only it closes; else it may open a cell of its own, and is read again."""
    (first, _), (last, text) = record[0], record[-1]
    if dialect.is_legal([line for _, line in record]):
        return [first, last]
    records.read_again((last, text))
    return [first]
