"""What the XML parts of a workbook say of its sheets before they are loaded: their extent and their error cells.

calamine turns error cells into empty ones, and holds the whole rectangle between a sheet's first and last cell: one
stray cell at the far end would end the process.
"""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

BLOCK = 1 << 20
LARGE = 50_000_000
"""Cells of a rectangle that is worth a closer look."""

HELD = 256 << 20
"""Bytes that the parts which every reader holds as a whole may have."""
KINDS = {"xl/workbook.xml": ".xlsx", "xl/workbook.bin": ".xlsb", "content.xml": ".ods"}
"""The part that only workbooks of one kind have."""
UNREADABLE = (
    zipfile.BadZipFile,
    KeyError,
    ElementTree.ParseError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    StopIteration,
    zlib.error,
)
"""How a ZIP file shows that it is damaged, encrypted or no workbook."""

_ROW = re.compile(rb'<(?:\w+:)?row [^>]*?\br="([0-9]{1,7})"')
_WIDE = re.compile(rb'r="([A-Z]{2,3})[0-9]')
_FILLED = re.compile(rb'<(?:\w+:)?c [^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"[^>]*(?<!/)>')
_UNSTORED = re.compile(rb"(?:</f>|<f [^>]*/>)(?:<v ?/>|<v></v>)?</c>")
_ODS = re.compile(rb'<table:table [^>]*?table:name="([^"]*)"|(calcext:value-type="error")')
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """The cells of a sheet that hold something, how far they reach, and how many of them are errors."""

    cells: int = 0
    rows: int = 0
    columns: int = 0
    errors: int = 0
    unstored: int = 0
    """Formulas whose value the writing program did not store; only Excel itself could work it out."""
    bytes: int = 0
    """Of the sheet's XML."""

    @property
    def has_rows(self) -> bool:
        """Say whether more than one row may hold something."""
        return self.cells > 1 and self.rows > 1

    @property
    def area(self) -> int:
        """The cells of the rectangle from A1 to the last one."""
        return self.rows * self.columns


def ods_errors(path: Path) -> dict[str, int]:
    """Count the error cells of every sheet of an OpenDocument workbook, as LibreOffice marks them."""
    found: Counter[str] = Counter()
    name, held = "", b""
    with zipfile.ZipFile(path) as archive, archive.open("content.xml") as part:
        while block := part.read(BLOCK):
            data = held + block
            end = data.rfind(b"<") if len(block) == BLOCK else len(data)
            for sheet, _ in _ODS.findall(data, 0, end):
                name = html.unescape(sheet.decode()) if sheet else name
                found[name] += not sheet
            held = data[end:]
    return dict(found)


def kind_of_workbook(path: Path) -> str | None:
    """Tell by its parts which suffix a workbook in a ZIP archive should have; None where it is none, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except UNREADABLE:
        return None
    return next((suffix for part, suffix in KINDS.items() if part in names), None)


def looks_safe(path: Path) -> bool:
    """Say whether a workbook can be judged by its parts, and those held as a whole (texts, styles) are small."""
    try:
        with zipfile.ZipFile(path) as archive:
            sheets = set(_parts(archive).values())
            others = sum(info.file_size for info in archive.infolist() if info.filename not in sheets)
            return bool(sheets) and others < HELD
    except UNREADABLE:
        return False


def sheet_facts(path: Path) -> dict[str, SheetFacts]:
    """Look through the sheets of a workbook; gives nothing where it understands nothing, so that calamine judges."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _facts(archive, part) for name, part in _parts(archive).items()}
    except UNREADABLE:
        return {}


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Find the part of every worksheet by the sheet's name."""
    names = set(archive.namelist())
    book = next(name for name in sorted(names, key=len) if posixpath.basename(name) == "workbook.xml")
    folder = posixpath.dirname(book)
    relations = ElementTree.fromstring(archive.read(posixpath.join(folder, "_rels", "workbook.xml.rels")))
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    sheets = (node for node in ElementTree.fromstring(archive.read(book)).iter() if node.tag.endswith("}sheet"))
    found = {}
    for sheet in sheets:
        target = targets.get(sheet.get(_RELATION) or sheet.get(_STRICT_RELATION)) or ""
        part = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        if part in names:
            found[sheet.get("name", "")] = part
    return found


def _tags(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Give a part in blocks that end between two tags."""
    held = b""
    with archive.open(part) as stream:
        while block := stream.read(BLOCK):
            held += block
            end = held.rfind(b"<")
            yield held[: max(end, 0)]
            held = held[max(end, 0) :]
    yield held


def _facts(archive: zipfile.ZipFile, part: str) -> SheetFacts:
    """Estimate quickly; look at each cell only where the sheet seems huge."""
    quick = _quick_facts(archive, part)
    return quick if quick.area < LARGE else _exact_facts(archive, part, quick)


def _quick_facts(archive: zipfile.ZipFile, part: str) -> SheetFacts:
    cells = rows = errors = unstored = 0
    columns = 26
    for block in _tags(archive, part):
        cells += block.count(b"<c ") + block.count(b":c ")
        errors += block.count(b' t="e"')
        unstored += len(_UNSTORED.findall(block)) if b"</f>" in block or b"<f " in block else 0
        last = block.rfind(b"row ")
        found = _ROW.findall(block, max(last - 20, 0))
        rows = max(rows, *map(int, found)) if found else rows
        columns = max(columns, *map(_column_number, set(_WIDE.findall(block))), 0)
    return SheetFacts(cells, max(rows, 1), columns, errors, unstored, archive.getinfo(part).file_size)


def _exact_facts(archive: zipfile.ZipFile, part: str, quick: SheetFacts) -> SheetFacts:
    cells = rows = columns = 0
    for block in _tags(archive, part):
        found = _FILLED.findall(block)
        cells += len(found)
        rows = max(rows, *(int(row) for _, row in found), 0)
        columns = max(columns, *map(_column_number, {letters for letters, _ in found}), 0)
    return SheetFacts(cells, rows, columns, quick.errors, quick.unstored, quick.bytes)


def _column_number(letters: bytes) -> int:
    """Number a column from its letters, from 1.

    >>> _column_number(b"A"), _column_number(b"XFD")
    (1, 16384)
    """
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
