"""How what `workbench inspect` found looks on a terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from workbench import console
from workbench.errors import few, one_line

DETAILED = 3
"""Up to so many files are shown column by column."""
SHOWN = 40
"""Lines of a list; --json has them all."""


def layout(found: dict[str, Any], rows: int | None) -> str:
    """Lay out a `SchemaReport` as plain data; `rows` is how many of each file were looked at, null = all."""
    found = _on_lines(found)
    readable = [file for file in found["files"] if not file["fault"]]
    faults = [file["fault"] for file in found["files"] if file["fault"]]
    parts = [console.schema({"files": readable})] if len(readable) <= DETAILED else [_files(readable)]
    if len(readable) > 1:
        parts.insert(0, _sums(found))
        parts += [*_together(found), *_columns(found)]
    parts += _list("equal byte for byte:", [few(names, between=" = ") for names in found["duplicates"]])
    parts += _list("cannot be read:", faults)
    parts += _passed_over(found["passed_over"])
    if rows and any(file["rows_looked_at"] for file in readable):
        parts.append(f"types, nulls, distinct values and samples: of the first {rows:,} rows (--full looks at all)")
    return "\n\n".join(part for part in parts if part)


def _on_lines(found: Any) -> Any:
    """Give plain data in which no name breaks a line or steers the terminal."""
    if isinstance(found, dict):
        return {_on_lines(key): _on_lines(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_on_lines(value) for value in found]
    return one_line(found) if isinstance(found, str) else found


def _sums(found: dict[str, Any]) -> str:
    good = sum(file["files"] for file in found["files"] if not file["fault"])
    return f"{good:,} files can be read, {found['total_files'] - good:,} cannot; {_size(found['total_bytes'])}"


def _files(files: list[dict[str, Any]]) -> str:
    lines = [
        {
            "file": file["path"],
            "files": file["files"],
            "format": file["format"],
            "rows": _rows(file),
            "columns": len(file["columns"]),
            "size": _size(file["bytes"]),
            "changed": (file["modified"] or "")[:16].replace("T", " "),
        }
        for file in files[:SHOWN]
    ]
    more = f"\n… and {len(files) - SHOWN:,} more (--json lists all)" if len(files) > SHOWN else ""
    notes = "".join(f"\nnote: {file['path']}: {note}" for file in files[:SHOWN] for note in file["notes"])
    return console.table(pd.DataFrame(lines)) + more + notes


def _rows(file: dict[str, Any]) -> str:
    return f"{file['rows']:,}" if file["rows"] is not None else f"about {file['rows_estimated']:,}"


def _size(size: int) -> str:
    """Write a number of bytes as people do.

    >>> _size(900), _size(1_500_000)
    ('900 B', '1.5 MB')
    """
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1_000:
            break
        value, unit = value / 1_000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _together(found: dict[str, Any]) -> list[str]:
    columns = [*found["common_columns"], *found["optional_columns"]]
    apart = [] if found["common_columns"] else ["the files have no column in common"]
    return apart + _list("types in conflict:", [_conflict(column) for column in columns if column["has_type_conflict"]])


def _conflict(column: dict[str, Any]) -> str:
    files = {
        kind: [file for file, each in column["data_types"].items() if each == kind]
        for kind in sorted(column["unique_types"])
        if kind != "empty"
    }
    return f"{column['column_name']}: " + "; ".join(f"{kind} in {few(names)}" for kind, names in files.items())


def _columns(found: dict[str, Any]) -> list[str]:
    columns = [*found["common_columns"], *found["optional_columns"]]
    empty = [column["column_name"] for column in columns if column["unique_types"] == ["empty"]]
    lines = [
        {
            "column": column["column_name"],
            "in files": _percent(column["presence_percentage"]),
            "types": ", ".join(column["unique_types"]),
            "missing in": few(column["missing_in_files"]),
        }
        for column in columns
        if column["column_name"] not in empty
    ]
    hidden = [f"and {len(empty)} that are empty everywhere: {', '.join(empty)}"] if empty else []
    return ["\n".join([console.table(pd.DataFrame(lines)), *hidden])]


def _percent(share: float) -> str:
    """Write a percentage so that only all is 100 % and only none is 0 %.

    >>> _percent(100.0), _percent(99.97), _percent(0.02)
    ('100 %', '99.9 %', '0.1 %')
    """
    return "100 %" if share == 100 else f"{min(max(share, 0.1), 99.9):.1f} %"


def _list(title: str, lines: list[str]) -> list[str]:
    more = [f"… and {len(lines) - SHOWN:,} more (--json lists all)"] if len(lines) > SHOWN else []
    return ["\n  ".join([title, *lines[:SHOWN], *more])] if lines else []


def _passed_over(names: list[str]) -> list[str]:
    kinds = Counter(PurePosixPath(name).suffix.lower() or "without a suffix" for name in names)
    what = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common(10))
    return [f"passed over, as no table stands in them: {what}"] if names else []
