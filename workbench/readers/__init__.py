"""Reading tables: CSV, XLSX, JSON and JSONL, with encoding, delimiter, sheet, header and types found by themselves.

Start with `tables.py` (the doors). A format is one module that registers a scanner under its suffixes in `formats.py`.
"""

from workbench.readers import delimited, json_records, workbooks  # noqa: F401  (the formats take their seats)
from workbench.readers.amounts import amounts
from workbench.readers.formats import SUFFIXES
from workbench.readers.schema import ColumnCompatibility, ColumnSchema, FileSchema, SchemaReport, inspect_files
from workbench.readers.tables import batches, check, fingerprint, read

__all__ = [
    "SUFFIXES",
    "ColumnCompatibility",
    "ColumnSchema",
    "FileSchema",
    "SchemaReport",
    "amounts",
    "batches",
    "check",
    "fingerprint",
    "inspect_files",
    "read",
]
