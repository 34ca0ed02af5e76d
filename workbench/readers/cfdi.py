"""CFDI 3.2, 3.3 and 4.0: one row per cfdi:Concepto, with what its invoice says of all of them.

The parser expands no entities, loads no DTD, asks no network and keeps libxml2's limits on depth and size; a document
with a DOCTYPE, which no CFDI has, is refused before it is parsed. Lines are dropped from the tree as they are read.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from workbench.errors import ReadError
from workbench.readers.cfdi_fields import COLUMNS, CONCEPT, INVOICE, Values, concept_fields, invoice_fields, values
from workbench.readers.columns import rows_table
from workbench.readers.faults import MAGIC, border
from workbench.readers.formats import SUFFIXES, Format, Options, Scan

VERSIONS = ("3.2", "3.3", "4.0")
MAX_BYTES = 256 << 20
"""Of one invoice; the largest that are seen hold some 100,000 lines in 100 MB."""

_SPACES = ("http://www.sat.gob.mx/cfd/3", "http://www.sat.gob.mx/cfd/4")
_CONCEPTS = tuple(f"{{{space}}}Concepto" for space in _SPACES)
_ROOTS = tuple(f"{{{space}}}Comprobante" for space in _SPACES)
_START = b"\xef\xbb\xbf \t\r\n\0"
"""What some programs write before the XML declaration, where nothing may stand."""
_UNDECLARED = re.compile(r":(\d+):\d+:FATAL:PARSER:ERR_UNDECLARED_ENTITY: (.*)")
_DAMAGED = "get it again from its issuer or from the SAT."


def records(stream: BinaryIO, name: str) -> list[Values]:
    """Read the rows of one invoice, in the columns of `COLUMNS`; raises ReadError with its one reason."""
    data = stream.read(MAX_BYTES + 1).lstrip(_START)
    if len(data) > MAX_BYTES:
        raise ReadError(f"{name} is larger than {MAX_BYTES >> 20} MB.", hint="no invoice is.")
    if not data:
        raise ReadError(f"{name} is empty.", hint=_DAMAGED)
    for magic, what, hint in MAGIC:
        if data.startswith(magic):
            raise ReadError(f"{name} is {what}, not XML.", hint=hint)
    if b"<!DOCTYPE" in data[: data.find(b"Comprobante")]:
        raise ReadError(f"{name} declares a DOCTYPE, as no CFDI does.", hint="do not trust where it came from.")
    try:
        return _rows(data)
    except etree.XMLSyntaxError as fault:
        if b"xmlns:schemaLocation=" in data:  # a frequent slip of invoicing programs, which harms nothing
            return records(BytesIO(data.replace(b"xmlns:schemaLocation=", b"unread-schemaLocation=")), name)
        raise ReadError(f"{name} is not well-formed XML: {_reason(fault)}.", hint=_DAMAGED) from None
    except ValueError as fault:
        raise ReadError(f"{name}: {fault}.", hint=_DAMAGED) from None


def _reason(fault: etree.XMLSyntaxError) -> str:
    logged = _UNDECLARED.findall(str(fault.error_log)) if str(fault).startswith("no element found") else []
    if logged:  # of which the fault itself does not speak; the log holds those of other files, too
        return "{1} in line {0}".format(*logged[-1])
    reason = re.sub(r",? ?(use|try) XML_PARSE_HUGE( option)?", "", str(fault).splitlines()[0])
    return re.sub(r", line (\d+), column \d+.*", r" in line \1", reason).rstrip(".")


def _rows(data: bytes) -> list[Values]:
    """Read an invoice; raises ValueError where it is none, or one of another kind."""
    parsed = etree.iterparse(
        BytesIO(data),
        events=("end",),
        tag=_CONCEPTS,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    lines: list[Values] = []
    for _, node in parsed:
        parent = node.getparent()
        if parent is not None and _is_line(parent):
            lines.append(_line(node, parent.getparent(), len(lines) + 1))
            node.clear()
            while node.getprevious() is not None:
                del parent[0]
    _check(parsed.root, lines)
    invoice = values(invoice_fields(parsed.root, _is_old(parsed.root)), INVOICE)
    return [invoice + line for line in lines]


def _line(node: etree._Element, root: etree._Element, place: int) -> Values:
    try:
        return values(concept_fields(node, _is_old(root)), CONCEPT)
    except ValueError as fault:
        raise ValueError(f"concept {place}: {fault}") from None


def _is_old(root: etree._Element) -> bool:
    return root.get("version") is not None


def _is_line(parent: etree._Element) -> bool:
    """Say whether the lines below a node are the invoice's own, and not those of some addendum."""
    above = parent.getparent()
    return above is not None and above.getparent() is None and etree.QName(parent).localname == "Conceptos"


def _check(root: etree._Element, lines: list[Values]) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("it declares a DOCTYPE, as no CFDI does")
    if root.tag not in _ROOTS:
        raise ValueError(f"it is XML with the root {etree.QName(root).localname}, not a CFDI")
    version = root.get("Version") or root.get("version")
    if version not in VERSIONS:
        raise ValueError(f"it is a CFDI of version {version}; {', '.join(VERSIONS)} can be read")
    if not lines:
        raise ValueError("the CFDI has no cfdi:Concepto")


def scan_cfdi(path: Path, options: Options) -> Scan:
    """Read one invoice; raises ReadError."""
    with border(path), path.open("rb") as stream:
        rows = records(stream, path.name)
    return Scan(
        path=path,
        format="cfdi",
        columns=COLUMNS,
        rows=len(rows),
        tables=lambda: iter([rows_table(rows, COLUMNS)]),
    )


SUFFIXES.register(".xml", Format("cfdi", scan_cfdi, COLUMNS, records))
