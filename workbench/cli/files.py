"""The commands that look at files: inspect, preview."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from workbench.cli.parts import command, ended_at_once, open_runs, print_frame
from workbench.errors import ReadError, UsageError, WorkbenchError
from workbench.settings import runs_folder

if TYPE_CHECKING:
    from workbench.readers import SchemaCache


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    inspect = command(commands, "inspect", _inspect, "show what files hold and how well they go together")
    inspect.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, patterns, ZIP archives or URLs")
    inspect.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="leave out; may be repeated")
    inspect.add_argument(
        "--rows", type=int, default=1_000, metavar="N", help="first rows of each file to look at (default: %(default)s)"
    )
    inspect.add_argument("--full", action="store_true", help="look at all rows: exact counts, which takes longer")
    preview = command(commands, "preview", _preview, "show cleaning before and after on random rows, step by step")
    preview.add_argument("path", metavar="PATH")
    preview.add_argument("--columns", required=True, metavar="A,B", help="the columns to clean, separated by commas")
    preview.add_argument("--pipeline", default="v3", help="v1, v2 or v3 (default: %(default)s)")
    preview.add_argument("--rows", type=int, default=10, metavar="N", help="how many rows (default: %(default)s)")
    preview.add_argument("--seed", type=int, default=7, help="which random rows (default: %(default)s)")
    for parser in (inspect, preview):
        parser.add_argument("--sheet", metavar="NAME", help="sheet of a workbook (default: the first with data)")
        parser.add_argument("--header-row", type=int, metavar="N", help="row of the header, from 0 (default: found)")
        parser.add_argument("--encoding", metavar="NAME", help="encoding of a text file (default: found)")
        parser.add_argument("--delimiter", metavar="CHAR", help="delimiter of a CSV file (default: found)")
        parser.add_argument("--json", action="store_true", help="print as JSON")


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    sheet = int(options.sheet) if options.sheet and options.sheet.isdigit() else options.sheet
    delimiter = "\t" if options.delimiter in ("\\t", "tab") else options.delimiter
    return {
        "sheet": sheet,
        "header_row": options.header_row,
        "encoding": options.encoding,
        "delimiter": delimiter,
    }


def _inspect(options: argparse.Namespace) -> None:
    from workbench import console, readers
    from workbench.cli import inspected

    found = readers.find_sources(options.paths, exclude=options.exclude)
    rows = None if options.full else options.rows
    with ended_at_once():
        report = readers.inspect_sources(found, rows=rows, cache=_schema_cache(), **_reading(options))
    if not report.readable:
        raise ReadError("; ".join(report.faults.values()))
    if options.json:
        console.print_json(report.to_dict())
    else:
        print(inspected.layout(report.to_dict(), rows))


def _schema_cache() -> SchemaCache | None:
    """Give the cache of this folder's runs, if there are any: looking at files makes no folder of runs."""
    try:
        return open_runs().schema_cache() if runs_folder().is_dir() else None
    except WorkbenchError:
        return None  # what cannot be kept is found out again


def _preview(options: argparse.Namespace) -> None:
    from workbench import console, readers, refinery

    pipeline = refinery.get_pipeline(options.pipeline)
    columns = [column.strip() for column in options.columns.split(",")]
    if twice := [column for column in dict.fromkeys(columns) if columns.count(column) > 1]:
        raise UsageError(f"--columns names {', '.join(map(repr, twice))} twice.", hint="name each column once.")
    table = readers.read(options.path, columns=columns, **_reading(options))
    shown = pipeline.preview(table, columns, rows=options.rows, seed=options.seed)
    print_frame(shown, options, console.table)
