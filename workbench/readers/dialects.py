"""How a CSV file is laid out: its delimiter, its header row, and where its rows begin."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import Path

from workbench.errors import ReadError
from workbench.readers.columns import MOST_COLUMNS
from workbench.readers.encodings import TextFile
from workbench.readers.faults import too_wide
from workbench.readers.headers import SAMPLE_ROWS, choose_header, is_word
from workbench.readers.quotes import DELIMITERS, NO_DELIMITER, cut

UNQUOTED = "~"
"""The SAT's bulk download puts no quotes around anything: those in it are part of names."""
SAMPLE_CHARACTERS = 1 << 18
LONG_SAMPLE_CHARACTERS = 1 << 23
FEW_LINES = 20
"""A sample of fewer is too short."""
MINIMAL_SHARE, REGULAR_SHARE = 0.5, 0.9

_EXCEL_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)

csv.field_size_limit(1 << 30)  # the standard library refuses cells beyond 128 kB


@dataclass(frozen=True, slots=True)
class Dialect:
    """The delimiter, whether quotes have a meaning, and whether blanks after a delimiter have none."""

    delimiter: str
    quoted: bool = True
    skip_blanks: bool = False

    def reader(self, lines: object) -> csv._reader:  # type: ignore[name-defined]
        """Read lines with Python's own parser."""
        return csv.reader(
            lines,  # type: ignore[arg-type]
            delimiter=self.delimiter,
            skipinitialspace=self.skip_blanks,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
        )

    def is_legal(self, lines: Sequence[str]) -> bool:
        """Say whether every quote in some lines opens or closes a cell or is doubled, and none is left open."""
        blanks = self.skip_blanks
        try:
            deque(csv.reader(lines, delimiter=self.delimiter, skipinitialspace=blanks, strict=True), maxlen=0)
        except csv.Error:
            return False
        return True

    def cut(self, line: str) -> list[str]:
        """Cut a line that stands alone, whatever its quotes."""
        return cut(line, self.delimiter, self.skip_blanks)[0]

    def mended(self, line: str) -> str:
        """Write a line whose quotes are not legal so that a reader which knows them cuts it as it is meant."""
        end = line[len(line.rstrip("\r\n")) :]
        return self.delimiter.join('"' + cell.replace('"', '""') + '"' for cell in self.cut(line)) + end


@dataclass(frozen=True, slots=True)
class Layout:
    """A dialect, and where the header and the rows stand."""

    dialect: Dialect
    header_row: int
    header: tuple[str, ...]
    data_start: int
    """First byte of the rows in the UTF-8 stream."""
    data_line: int
    """Number of lines before the rows."""
    quotes_above: int = 0
    """Quotes before the rows."""
    notes: tuple[str, ...] = ()
    strays: frozenset[int] = frozenset()
    """Lines of the rows, from 1, whose quotes are plain characters."""


@dataclass(frozen=True, slots=True)
class _Sample:
    rows: list[list[str]]
    ends: list[int]
    """For each row the number of lines up to its end."""


def find_layout(file: TextFile, delimiter: str | None, header_row: int | None, quoted: bool = True) -> Layout:
    """Find delimiter and header in the beginning of a file; what is given is taken; raises ReadError."""
    text, whole = _beginning(file, SAMPLE_CHARACTERS if header_row is None else LONG_SAMPLE_CHARACTERS)
    lines = list(io.StringIO(text, newline=""))
    declared = _EXCEL_LINE.fullmatch(lines[0]) if lines else None
    if declared:
        lines[0] = "\n"  # Excel's own way to name the delimiter is not a row
    character = _checked(delimiter) or (declared.group(1) if declared else None)
    dialect = Dialect(character or NO_DELIMITER, quoted and character != UNQUOTED)
    dialect = dialect if character else _found(lines, whole, dialect)
    dialect = _with_blanks(lines, whole, dialect)
    sample, row, doubts = _with_header(file.path, lines, whole, dialect, header_row)
    stray = _stray_header(lines, whole, dialect, sample, row)
    if stray is not None:
        lines[stray] = dialect.mended(lines[stray])
        sample, row, doubts = _with_header(file.path, lines, whole, dialect, header_row)
        doubts = (*doubts, f"stray quotes were read as plain characters: line {stray + 1}")
    above = "".join(list(io.StringIO(text, newline=""))[: sample.ends[row]])
    places = (len(above.encode()), sample.ends[row], above.count('"'))
    return Layout(dialect, row, tuple(sample.rows[row]), *places, doubts)


def _with_header(
    path: Path, lines: list[str], whole: bool, dialect: Dialect, header_row: int | None
) -> tuple[_Sample, int, tuple[str, ...]]:
    sample = _sample(lines, whole, dialect, len(lines))
    if max(map(len, sample.rows), default=0) > MOST_COLUMNS:
        raise too_wide(path, MOST_COLUMNS)
    rows = _without_title(sample.rows) if header_row is None else sample.rows
    return sample, *choose_header(rows, header_row, path)


def _stray_header(lines: list[str], whole: bool, dialect: Dialect, sample: _Sample, row: int) -> int | None:
    """Give the place of a header line whose quote has swallowed rows; null where the header is legal.

    Every line that it goes on in has as many cells, and either its quotes are not legal, or values stand in them.
    """
    first = sample.ends[row - 1] if row else 0
    record = [line for line in lines[first : sample.ends[row]] if line.strip()]
    if not dialect.quoted or len(record) < 2:
        return None
    names, *rows = map(dialect.cut, record if whole or row + 1 < len(sample.rows) else record[:-1])
    if len(names) < 2 or not rows or any(len(cells) != len(names) for cells in rows):
        return None
    values = any(cell.strip() and not is_word(cell) for cells in rows for cell in cells)
    return first if values or not dialect.is_legal(record) else None


def _beginning(file: TextFile, size: int) -> tuple[str, bool]:
    """Give the beginning of a file, more of it where its lines are long, and say whether that is all."""
    text = next(file.texts(size), "")
    whole = len(text) + file.nul_bytes < size
    ends = text.count("\n") or text.count("\r")
    if whole or ends >= FEW_LINES:
        return text, whole
    if not ends and max(map(text.count, DELIMITERS)) > MOST_COLUMNS:
        raise too_wide(file.path, MOST_COLUMNS)
    return (text, whole) if size == LONG_SAMPLE_CHARACTERS else _beginning(file, LONG_SAMPLE_CHARACTERS)


def _checked(delimiter: str | None) -> str | None:
    if delimiter == "\\t":
        return "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ReadError(
            f"{delimiter!r} cannot be a delimiter.", hint="give one character, such as ',' ';' '|' or a tab."
        )
    return delimiter


def _sample(lines: list[str], whole: bool, dialect: Dialect, limit: int = SAMPLE_ROWS) -> _Sample:
    reader = dialect.reader(lines)
    rows: list[list[str]] = []
    ends: list[int] = []
    for row in reader:
        rows.append(row)
        ends.append(reader.line_num)
        if len(rows) == limit:
            return _Sample(rows, ends)
    cut = -1 if not whole and len(rows) > 1 else len(rows)  # the sample may end inside a row
    return _Sample(rows[:cut], ends[:cut])


def _found(lines: list[str], whole: bool, dialect: Dialect) -> Dialect:
    """Choose the delimiter that cuts most rows into the same number of cells, if any does so convincingly."""
    candidates = [
        replace(dialect, delimiter=delimiter, quoted=dialect.quoted and delimiter != UNQUOTED)
        for delimiter in DELIMITERS
    ]
    ranked = [(_consistency(_sample(lines, whole, candidate).rows), candidate) for candidate in candidates]
    best, chosen = max(ranked, key=lambda pair: pair[0])
    return chosen if best[0] else dialect


def _consistency(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Score a delimiter: the share of rows that have the usual number of cells, then that number; 0 = it is none."""
    counts = [len(row) for row in rows if any(row)]
    several = Counter(count for count in counts if count > 1)
    if not several:
        return 0.0, 0
    usual = max(several, key=lambda count: (several[count], count))
    from_there = counts[counts.index(usual) :]
    needed = MINIMAL_SHARE if counts[0] == 1 else MINIMAL_SHARE / 2
    if several[usual] < needed * len(from_there) or (counts[0] == 1 and _is_prose([row for row in rows if any(row)])):
        return 0.0, 0
    return several[usual] / len(counts), usual


def _is_prose(rows: Sequence[Sequence[str]]) -> bool:
    """Say whether the delimiter is but punctuation, where the first row has none: the lines of one column.

    A title above a table has none either: below it there are numbers, or the rows have several cells, up to notes at
    the end, and no blank follows every delimiter.
    """
    first = next(place for place, row in enumerate(rows) if len(row) > 1)
    last = max(place for place, row in enumerate(rows) if len(row) > 1)
    body = rows[first : last + 1]
    cells = [cell for row in body for cell in row[1:] if cell.strip()]
    if sum(map(is_word, cells)) <= REGULAR_SHARE * len(cells):
        return False
    single = sum(len(row) == 1 for row in body)
    spaced = sum(cell.startswith(" ") for cell in cells)
    return single > (1 - REGULAR_SHARE) * len(body) or spaced >= REGULAR_SHARE * len(cells)


def _without_title(rows: list[list[str]]) -> list[list[str]]:
    """Blank a first row such as `Reporte, enero` that is as full as the table by its punctuation alone.

    Blanks follow its delimiters, and none those of the next row, which holds words only: behind an empty line, or above
    numbers. Rows of one cell above it are titles as well.
    """
    filled_rows = [place for place, row in enumerate(rows[:SAMPLE_ROWS]) if any(row)]
    filled_rows = [*dropwhile(lambda place: len(rows[place]) == 1, filled_rows)]
    if len(filled_rows) < 3 or not _is_spaced(rows[filled_rows[0]]):
        return rows
    title, names, *below = filled_rows
    words = all(map(is_word, rows[names])) and len(rows[names]) >= len(rows[title]) and not _is_spaced(rows[names])
    full = [rows[place] for place in below if len(rows[place]) == len(rows[names])]
    if words and (names > title + 1 or any(not any(map(is_word, column)) for column in zip(*full, strict=True))):
        return [[] if place == title else row for place, row in enumerate(rows)]
    return rows


def _is_spaced(row: Sequence[str]) -> bool:
    return len(row) > 1 and all(cell.startswith(" ") for cell in row[1:])


def _with_blanks(lines: list[str], whole: bool, dialect: Dialect) -> Dialect:
    """Pass over blanks after delimiters where a quote follows them, if the rows then agree better."""
    if not dialect.quoted or not any(f'{dialect.delimiter} "' in line for line in lines):
        return dialect
    lenient = replace(dialect, skip_blanks=True)
    plain = _sample(lines, whole, dialect).rows
    everywhere = all(cell.startswith(" ") for row in plain for cell in row[1:] if cell)
    better = _consistency(_sample(lines, whole, lenient).rows) > _consistency(plain)
    return lenient if everywhere or better else dialect
