"""Reading tables: CSV, XLSX, JSON and JSONL, with encoding, delimiter, sheet, header and types found by themselves.

Start with `tables.py` (the doors). A format is one module that registers a scanner under its suffixes in `formats.py`.
"""

from workbench.readers import cfdi, delimited, json_records, workbooks  # noqa: F401  (the formats take their seats)
from workbench.readers.amounts import amounts
from workbench.readers.archives import Opener
from workbench.readers.columns import typed
from workbench.readers.faults import FileFault
from workbench.readers.formats import SUFFIXES, ReadingOptions, Scan
from workbench.readers.inspection import SchemaCache, inspect_sources
from workbench.readers.reading import Batch, read_sources
from workbench.readers.schema import ColumnCompatibility, FileSchema, SchemaReport, file_schema, inspect_files
from workbench.readers.sources import Found, Source, find_sources
from workbench.readers.tables import batches, check, fingerprint, read
from workbench.readers.tallies import ColumnSchema, Tally, add_up, tallies

__all__ = [
    "SUFFIXES",
    "Batch",
    "ColumnCompatibility",
    "ColumnSchema",
    "FileFault",
    "FileSchema",
    "Found",
    "Opener",
    "ReadingOptions",
    "Scan",
    "SchemaCache",
    "SchemaReport",
    "Source",
    "Tally",
    "add_up",
    "amounts",
    "batches",
    "check",
    "file_schema",
    "find_sources",
    "fingerprint",
    "inspect_files",
    "inspect_sources",
    "read",
    "read_sources",
    "tallies",
    "typed",
]
