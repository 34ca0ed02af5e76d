"""CSV: read twice, first to decide the columns and their types, then for the rows; never held as a whole.

A regular file goes through pyarrow's parser. One with rows of unequal length, stray quotes or giant cells goes through
Python's, which gives the same values and forgives more.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import chain, islice, zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from workbench.errors import ReadError
from workbench.readers.columns import ARROW_TYPES, MOST_COLUMNS, TARGET_ROWS, Column, Kind, distinct_names, make_table
from workbench.readers.dialects import Layout, find_layout
from workbench.readers.encodings import TextFile, open_text
from workbench.readers.faults import border, no_rows, refuse_binary, too_wide
from workbench.readers.formats import SUFFIXES, Format, Options, Scan
from workbench.readers.quotes import NO_DELIMITER
from workbench.readers.stray_quotes import SAMPLE_ROWS, find_strays, looks_legal, shape_of
from workbench.readers.unequal_rows import UnequalRows, line_of

BLOCK = 1 << 20
"""Bytes that are parsed together: small enough to stay near the processor."""
INTEGER = r"\A(?:-?[1-9][0-9]{0,14}|0)\z"
NUMBER = rf"\A-?(?:0|[1-9][0-9]*)?\.[0-9]+\z|{INTEGER}"
MAX_DIGITS = 15
"""A decimal number with more significant digits does not survive as a binary one."""
BLANKS = " \t\n\v\f\r"
"""A row of nothing else is no row."""
_END = "\0"
"""A last line that no text holds: where it lands inside a cell, a quote was left open."""


class _OpenQuote(Exception):
    """A quote that opens on `line` and never closes."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(slots=True)
class Evidence:
    """What is known of a column of text so far."""

    filled: int = 0
    integer: bool = True
    number: bool = True
    places: set[int] = field(default_factory=set)
    """How many decimals the values have that have any."""
    padded: bool = False
    """A value ends with a zero that is not its only decimal: 5.10, where 5.0 is how programs write 5."""

    def see(self, values: pa.Array) -> None:
        """Take in a block of values."""
        self.filled += len(values) - values.null_count
        if self.number and values.null_count < len(values):
            self.integer = self.integer and _all_match(values, INTEGER)
            self.number = self.integer or (_all_match(values, NUMBER) and _few_digits(values))
            if self.number and not self.integer:
                self._see_decimals(values.filter(pc.match_substring(values, ".")))

    def _see_decimals(self, fractions: pa.Array) -> None:
        """Notice codes: 5.1 and 5.10 in one column are two things, where 5.50 and 5.10 are amounts."""
        beyond = pc.subtract(pc.binary_length(fractions), pc.find_substring(fractions, "."))
        self.places.update(pc.unique(beyond).to_pylist())
        self.padded = self.padded or pc.any(pc.match_substring_regex(fractions, r"\.[0-9]+0\z"), min_count=0).as_py()
        self.number = not (self.padded and len(self.places) > 1)

    def column(self, name: str, source: int, rows: int) -> Column:
        """Decide the type."""
        nullable = self.filled < rows
        if not self.filled:
            return Column(name, Kind.EMPTY, nullable, source)
        kind = Kind.INTEGER if self.integer else Kind.NUMBER if self.number else Kind.TEXT
        return Column(name, kind, nullable, source)


def _all_match(values: pa.Array, pattern: str) -> bool:
    return all(
        pc.all(pc.match_substring_regex(part, pattern), min_count=0).as_py()
        for part in (values.slice(0, 100), values.slice(100))  # most columns of text show it at once
    )


def _few_digits(values: pa.Array) -> bool:
    if pc.max(pc.utf8_length(values)).as_py() <= MAX_DIGITS:
        return True
    digits = pc.replace_substring_regex(values, r"\A-?0*\.?0*|\.", "")
    return bool(pc.max(pc.utf8_length(digits)).as_py() <= MAX_DIGITS)


@dataclass(slots=True)
class _Survey:
    """The first pass: evidence per column, and the rows that do not fit."""

    rows: int = 0
    unequal: UnequalRows = field(default_factory=UnequalRows)
    columns: list[Evidence] = field(default_factory=list)

    @property
    def ragged(self) -> int:
        return self.unequal.count(self.rows)

    def see(self, table: pa.Table) -> None:
        self.columns += [Evidence() for _ in range(table.num_columns - len(self.columns))]
        for evidence, values in zip(self.columns, table.columns, strict=False):
            evidence.see(values.combine_chunks())
        self.rows += table.num_rows


Tables = Callable[[int], Iterator[pa.Table]]
"""Gives the rows as text, in blocks with at least so many columns."""


def scan_csv(path: Path, options: Options) -> Scan:
    """Go through a CSV file once; raises ReadError."""
    refuse_binary(path)
    with border(path), ThreadPoolExecutor(1, thread_name_prefix="workbench-encoding") as pool:
        checking = pool.submit(open_text, path, options.encoding)
        early = _survey_early(path, options)
        file = checking.result()
        surveyed = early if early and file.is_plain else _survey_either_way(file, options)
        layout, survey, tables = _without_strays(file, surveyed)
    if not survey.rows:
        raise no_rows(path)
    columns = _columns(layout, survey)
    return Scan(
        path=path,
        format="csv",
        columns=columns,
        rows=survey.rows,
        tables=lambda: _typed(path, tables(len(survey.columns)), columns),
        encoding=file.encoding,
        delimiter=None if layout.dialect.delimiter == NO_DELIMITER else layout.dialect.delimiter,
        header_row=layout.header_row,
        ragged_rows=survey.ragged,
        nul_bytes=file.nul_bytes,
        notes=(*file.notes, *layout.notes, *survey.unequal.notes(survey.rows)),
    )


_Surveyed = tuple[Layout, _Survey, Tables]


def _survey_early(path: Path, options: Options) -> _Surveyed | None:
    """Go through the rows as if the file were plain UTF-8, which is still being checked; None where that fails."""
    if options.encoding is not None:
        return None
    file = TextFile(path, "utf-8")
    try:
        layout = find_layout(file, options.delimiter, options.header_row)
        return None if layout.dialect.skip_blanks or layout.quotes_above % 2 else (layout, *_survey_fast(file, layout))
    except (pa.ArrowInvalid, UnicodeDecodeError, ReadError):
        return None


def _survey_either_way(file: TextFile, options: Options) -> _Surveyed:
    """Read with quotes; where one is left open, read them as plain characters if the rows then fit."""
    layout = find_layout(file, options.delimiter, options.header_row)
    try:
        survey, tables = _survey(file, layout)
        if survey.rows or layout.quotes_above % 2 == 0:
            return layout, survey, tables
        raise _OpenQuote(layout.data_line + 1 - len(layout.header[-1].splitlines()))
    except _OpenQuote as fault:
        line = fault.line
    plain = find_layout(file, options.delimiter, options.header_row, quoted=False)
    survey, tables = _survey(file, plain)
    if survey.ragged * 100 > survey.rows or len(plain.header) < 2:
        raise ReadError(f"{file.path.name}, line {line}: a quote opens and never closes.", hint="close or remove it.")
    note = f"the quote in line {line} never closes: quotes were read as plain characters"
    return replace(plain, notes=(*plain.notes, note)), survey, tables


def _without_strays(file: TextFile, surveyed: _Surveyed) -> _Surveyed:
    """Read again with stray quotes as plain characters; only where cells have several lines or quotes are odd."""
    layout, survey, tables = surveyed
    if not (survey.rows and file.quotes and layout.dialect.quoted) or (
        file.lines <= layout.data_line + survey.rows and looks_legal(file, layout.dialect)
    ):
        return surveyed
    numbers = {place for place, column in enumerate(survey.columns) if column.number and column.filled}
    sample = next(tables(len(survey.columns))).slice(0, SAMPLE_ROWS)
    shape = shape_of(layout, _trimmed(layout.header), numbers, (values.to_pylist() for values in sample.columns))
    with _lines(file, layout) as lines:
        found = find_strays(lines, layout, shape, file)
    noted = (*layout.notes, *found.notes(layout.data_line))
    layout = replace(layout, strays=frozenset(found.lines), notes=noted)
    return (layout, *_survey(file, layout)) if found.lines else (layout, survey, tables)


def _lines(file: TextFile, layout: Layout) -> io.TextIOWrapper:
    return io.TextIOWrapper(file.utf8(layout.data_start), "utf-8", newline="")


def _survey(file: TextFile, layout: Layout) -> tuple[_Survey, Tables]:
    """Go through the rows with the fast parser, or where it gives up with the patient one."""
    if (file.quotes - layout.quotes_above) % 2 == 0 and not layout.dialect.skip_blanks and not layout.strays:
        try:
            return _survey_fast(file, layout)
        except pa.ArrowInvalid:
            pass
    survey = _Survey()
    for table in _patient(file, layout, len(layout.header), survey.unequal):
        survey.see(table)
    return survey, lambda width: _patient(file, layout, width, UnequalRows())


def _survey_fast(file: TextFile, layout: Layout) -> tuple[_Survey, Tables]:
    survey, blank = _Survey(), 0
    for table in _fast(file, layout, checked=True):
        kept = _without_blank_rows(table)
        blank += table.num_rows - kept.num_rows
        survey.see(kept)
    if not blank:
        return survey, lambda _: _fast(file, layout)
    return survey, lambda _: (each for each in map(_without_blank_rows, _fast(file, layout)) if each.num_rows)


def _fast(file: TextFile, layout: Layout, *, checked: bool = False) -> Iterator[pa.Table]:
    """Give all rows; fails where the text is no UTF-8 (any more), unless that is `checked` elsewhere."""
    names = [str(position) for position in range(len(layout.header))]
    with file.utf8(layout.data_start) as stream:
        reader = arrow_csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=BLOCK, use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=layout.dialect.delimiter,
                quote_char='"' if layout.dialect.quoted else False,
                newlines_in_values=layout.dialect.quoted,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=not checked,
            ),
        )
        with reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])


def _without_blank_rows(table: pa.Table) -> pa.Table:
    """Drop the rows that hold nothing but blanks; one column that always holds something tells that there are none."""
    holds = []
    for values in table.columns:
        blank = pc.ascii_is_space(values)
        if not values.null_count and not pc.any(blank, min_count=0).as_py():
            return table
        holds.append(pc.fill_null(pc.invert(blank), False))
    return table.filter(reduce(pc.or_, holds))


def _patient(file: TextFile, layout: Layout, width: int, unequal: UnequalRows) -> Iterator[pa.Table]:
    """Read rows of any length; those that have not that of the header go to `unequal`."""
    wide, named = len(layout.header), _trimmed(layout.header)
    for line, block in _row_blocks(file, layout):
        rows = [row for row in block if "".join(row).strip(BLANKS)]
        for place, row in enumerate(rows):
            if len(row) != wide:
                rows[place] = kept = row[: max(_trimmed(row), min(len(row), wide))]
                width = max(width, len(kept))
                if len(row) > wide or len(row) < named:
                    unequal.add(len(row) if len(kept) == wide else 0, partial(line_of, row, block, line))
        if width > MOST_COLUMNS:
            raise too_wide(file.path, MOST_COLUMNS)
        cells = islice(zip_longest(*rows, [""] * width, fillvalue=""), width)
        arrays = [pa.array([cell or None for cell in column[:-1]], pa.large_string()) for column in cells]
        if rows:
            yield pa.Table.from_arrays(arrays, names=[str(position) for position in range(width)])


def _trimmed(row: Sequence[str]) -> int:
    return max((position for position, cell in enumerate(row, start=1) if cell.strip()), default=0)


def _row_blocks(file: TextFile, layout: Layout) -> Iterator[tuple[int, list[list[str]]]]:
    """Give the rows with the line where their block begins; raises _OpenQuote at the end of a file inside quotes."""
    with _lines(file, layout) as stream:
        reader = layout.dialect.reader(chain(_repaired(stream, layout), [_END]))
        line = layout.data_line + 1
        while block := list(islice(reader, TARGET_ROWS)):
            if block[-1] and _END in block[-1][-1]:
                _refuse_open_quote(block.pop(), layout.data_line + reader.line_num)
            yield line, block
            line = layout.data_line + reader.line_num + 1


def _repaired(lines: Iterable[str], layout: Layout) -> Iterable[str]:
    """Mend the stray lines."""
    if not layout.strays:
        return lines
    numbered = enumerate(lines, start=1)
    return (layout.dialect.mended(line) if number in layout.strays else line for number, line in numbered)


def _refuse_open_quote(row: list[str], line: int) -> None:
    if row != [_END]:
        inside = row[-1].removesuffix(_END)
        raise _OpenQuote(line - len(inside.splitlines()) - (not inside))


def _columns(layout: Layout, survey: _Survey) -> tuple[Column, ...]:
    cells = [*layout.header, *[""] * (len(survey.columns) - len(layout.header))]
    while cells and not cells[-1].strip() and not survey.columns[len(cells) - 1].filled:
        cells.pop()
    names = distinct_names(cells)
    return tuple(
        evidence.column(name, position, survey.rows)
        for position, (name, evidence) in enumerate(zip(names, survey.columns, strict=False))
    )


def _typed(path: Path, tables: Iterator[pa.Table], columns: Sequence[Column]) -> Iterator[pa.Table]:
    with border(path):
        for table in tables:
            yield make_table(columns, [_cast(table.column(int(column.source)), column.kind) for column in columns])


def _cast(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    return values.cast(ARROW_TYPES[kind])


for _suffix in (".csv", ".tsv", ".txt"):
    SUFFIXES.register(_suffix, Format("csv", scan_csv))
