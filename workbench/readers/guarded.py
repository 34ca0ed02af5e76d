"""A foreign parser under guard: a file that makes it eat memory or time ends a process of its own, not this one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import ReadError
from workbench.readers.columns import Column, Kind
from workbench.readers.formats import Options, Scan, Scanner

MEMORY = 2 << 30
"""Bytes that a parser may take on top of what its process takes empty."""
SECONDS = 120
"""Of the processor."""
_REFUSED = 3
_PROGRAM = "import sys; from workbench.readers.guarded import main; main(sys.argv[1:])"


def scan_guarded(path: Path, options: Options, memory: int = MEMORY, seconds: int = SECONDS) -> Scan:
    """Scan a workbook in a process whose memory (in bytes) and processor time are limited; raises ReadError."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        rows = Path(folder) / "rows.arrow"
        asked = (str(path.absolute()), str(rows), json.dumps(asdict(options)), str(memory), str(seconds))
        command = [sys.executable, "-c", _PROGRAM, *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _fault(path, done, memory, seconds)
        held = pa.memory_map(str(rows))  # stays readable when the folder is gone
    said: dict[str, Any] = json.loads(done.stdout)
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    known["columns"] = tuple(Column(**{**each, "kind": Kind(each["kind"])}) for each in said["columns"])
    return Scan(path=path, tables=lambda: _tables(held), **known)


def _tables(held: pa.MemoryMappedFile) -> Iterator[pa.Table]:
    held.seek(0)
    with pa.ipc.open_stream(held) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])


def _fault(path: Path, done: subprocess.CompletedProcess[str], memory: int, seconds: int) -> ReadError:
    if done.returncode == _REFUSED:
        return ReadError(**json.loads(done.stdout))
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        what = f"takes more than {seconds} s to open"
    elif done.returncode == -signal.SIGABRT or "MemoryError" in done.stderr:
        what = f"would take more than {memory >> 20:,} MB of memory"
    else:
        what = f"ends the program that reads it ({(done.stderr.strip().splitlines() or ['no reason given'])[-1]})"
    return ReadError(f"{path.name} {what}.", hint="save its table alone as .xlsx or .csv.")


def main(arguments: list[str]) -> None:
    """Scan the file of the first argument within the limits, leave its rows in the second and say the rest."""
    from workbench.readers.workbooks import scan_workbook

    path, rows, options, memory, seconds = arguments
    _limit(int(memory), int(seconds))
    try:
        said = _scan_into(scan_workbook, Path(path), Path(rows), Options(**json.loads(options)))
    except ReadError as fault:
        print(json.dumps({"message": fault.message, "hint": fault.hint}))
        raise SystemExit(_REFUSED) from None
    print(said)


def _limit(memory: int, seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    pages = Path("/proc/self/statm")
    taken = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 1 << 30
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _scan_into(scanner: Scanner, path: Path, rows: Path, options: Options) -> str:
    scanned = scanner(path, options)
    writer = None
    with pa.OSFile(str(rows), "wb") as target:
        for table in scanned.tables():
            writer = writer or pa.ipc.new_stream(target, table.schema)
            writer.write_table(table)
        if writer:
            writer.close()
    known = {each.name: getattr(scanned, each.name) for each in fields(scanned)}
    del known["path"], known["tables"]
    return json.dumps({**known, "columns": [asdict(column) for column in scanned.columns]})
