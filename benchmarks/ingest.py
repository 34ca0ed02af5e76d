"""How fast ingest is: the reference's design against `workflow.ingest`, from one CSV file to clean, distinct items.

`python benchmarks/ingest.py [--rows N] [--ways reference ingest dask dask-killed] [--repetitions K] [--json]` prints
a table.
The full sizes are `--rows 4000000` (a file of more than 500 MB) and `--rows 13000000` (2 GB).

The file is synthetic and seeded: two columns of text, of which one is cleaned; half of the rows repeat an earlier one.
The reference's design: chunks of 1,000 rows, a function per value (`apply`), a parquet file per chunk, all of them
concatenated, `drop_duplicates`, the consolidated table and the items written as parquet and the items as JSON.
Each way runs in a process of its own, in turns; seconds are those of the work without the start-up of the process,
which stands apart; memory is the peak of the process and its children together. Dask starts a cluster on this machine;
`dask-killed` kills one of its workers half way. All but the reference must leave the same rows, items and
`llm_input.json`, value for value.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from cleaning import expense_lines, plain_v3

BLOCK = 500_000
WAYS = ("reference", "ingest", "dask", "dask-killed")
PROMPT = """name: small
role: You sort expenses.
task: Give every expense one category.
categories:
  - {name: Viajes, description: vuelos y traslados}
  - {name: Otros, description: lo demás}
  - {name: Indeterminado, description: ilegible}
"""


def write_table(path: Path, rows: int, seed: int = 7) -> None:
    """Write rows in blocks, each with as many new lines as repeated ones."""
    draw = random.Random(seed)
    suppliers = [f"Proveedor {name} de México, S.A. de C.V." for name in expense_lines(2_000, seed + 1)]
    with path.open("w", encoding="utf-8") as stream:
        stream.write("LineDescription,Supplier\n")
        for number, start in enumerate(range(0, rows, BLOCK)):
            lines = expense_lines(min(BLOCK, rows - start), seed + number)
            named = draw.choices(suppliers, k=len(lines))
            stream.writelines(f'"{line}","{name}"\n' for line, name in zip(lines, named, strict=True))


def reference(path: Path, folder: Path) -> int:
    """Do what the reference's batch processing does, step by step; gives the number of items."""
    import pandas as pd

    clean, parts = plain_v3(), []
    for number, chunk in enumerate(pd.read_csv(path, chunksize=1000)):
        chunk["cleanLineDescription"] = chunk["LineDescription"].apply(clean)
        parts.append(folder / f"chunk_{number}.parquet")
        chunk.to_parquet(parts[-1], compression="snappy")
    table = pd.concat([pd.read_parquet(part) for part in parts])
    table.to_parquet(folder / "file_0.parquet")
    table = pd.concat([pd.read_parquet(folder / "file_0.parquet")])
    table["source_file"] = path.name
    items = table.drop_duplicates(subset=["cleanLineDescription"], keep="first")
    table.to_parquet(folder / "consolidated.parquet")
    items.to_parquet(folder / "deduplicated.parquet")
    entries = items[["cleanLineDescription"]].to_dict("records")
    (folder / "llm_input.json").write_text(json.dumps({"entries": entries}, ensure_ascii=False, indent=2))
    return len(items)


def ingest(path: Path, folder: Path, way: str) -> int:
    """Do the same by `workflow.ingest`; gives the number of items."""
    from workbench import workflow
    from workbench.parameters import parse_parameters
    from workbench.runs import open_store

    (folder / "prompt.yaml").write_text(PROMPT)
    section = {"input": str(path), "columns": ["LineDescription"], "engine": "local" if way == "ingest" else "dask"}
    parameters = parse_parameters({"ingest": section, "classify": {"prompt": str(folder / "prompt.yaml")}})
    store = open_store(folder / "runs")
    killer = WorkerKiller() if way == "dask-killed" else None
    run = workflow.ingest(parameters, store, run_id="one", show=killer)
    if killer and not killer.killed:
        raise SystemExit("no worker was killed")
    return int(store.facts(run.run_id, "ingest")["deduplicated_rows"])


class WorkerKiller:
    """Kills a worker once, as soon as half of the bytes are read."""

    def __init__(self) -> None:
        self.killed = False

    def __call__(self, said: str) -> None:
        """Take what the ingest says of its progress."""
        found = re.search(r", ([0-9,]+) of ([0-9,]+) MB", said)
        done, total = (int(number.replace(",", "")) for number in found.groups()) if found else (0, 1)
        if not self.killed and 2 * done >= total:
            workers = [each for each in psutil.Process().children(recursive=True) if each.memory_info().rss > 50e6]
            max(workers, key=lambda worker: worker.memory_info().rss).kill()
            self.killed = True


def digest(folder: Path) -> str:
    """Give one checksum of what an ingest leaves for the next stages: names, types, every row in its place."""
    import pandas as pd
    import pyarrow.parquet as pq

    made, found = folder / "runs" / "one" / "ingest", hashlib.sha256()
    for name in ("rows.parquet", "items.parquet"):
        with pq.ParquetFile(made / name) as file:
            found.update(str(file.schema_arrow).encode())
            for batch in file.iter_batches(BLOCK):
                found.update(pd.util.hash_pandas_object(batch.to_pandas(), index=False).to_numpy().tobytes())
    found.update((made / "llm_input.json").read_bytes())
    return found.hexdigest()


def work(way: str, path: Path, folder: Path) -> dict[str, Any]:
    """Go one way in this process; gives seconds, CPU seconds and items."""
    started = time.perf_counter()
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    if way != "reference":
        import workbench.workflow  # noqa: F401
    imported = time.perf_counter()
    processor = time.process_time()
    items = reference(path, folder) if way == "reference" else ingest(path, folder, way)
    return {
        "seconds": time.perf_counter() - imported,
        "cpu_s": time.process_time() - processor,
        "start_s": imported - started,
        "items": items,
    }


def measure(way: str, path: Path) -> dict[str, Any]:
    """Go one way in a process of its own and watch its memory; what it leaves is looked at in this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, __file__, "--work", way, str(path), folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            peak, watch = [0], threading.Thread(target=lambda: _watch(process.pid, peak))
            watch.start()
            output, _ = process.communicate()
        watch.join()
        if process.returncode:
            raise SystemExit(f"{way} failed")
        result = None if way == "reference" else digest(Path(folder))
    return json.loads(output.splitlines()[-1]) | {"peak_mb": peak[0] / 1e6, "result": result}


def _watch(process: int, peak: list[int]) -> None:
    """Add up the resident memory of a process and its children every 50 ms."""
    try:
        root = psutil.Process(process)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(_resident(each) for each in [root, *root.children(recursive=True)]))
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def table(results: dict[str, list[dict[str, Any]]], rows: int) -> str:
    lines = ["| way | seconds | rows/s | CPU s | peak MB | start-up s | × reference |", "|---|--:|--:|--:|--:|--:|--:|"]
    medians = {
        way: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for way, runs in results.items()
    }
    base = medians.get("reference", {}).get("seconds")
    for way, it in medians.items():
        ratio = f"{base / it['seconds']:.1f}" if base else "–"
        numbers = f"{it['seconds']:.1f} | {rows / it['seconds']:,.0f} | {it['cpu_s']:.1f} | {it['peak_mb']:,.0f}"
        lines.append(f"| {way} | {numbers} | {it['start_s']:.1f} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        way, path, folder = options.work
        print(json.dumps(work(way, Path(path), Path(folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expenses.csv"
        write_table(path, options.rows)
        results: dict[str, list[dict[str, Any]]] = {way: [] for way in options.ways}
        for _ in range(options.repetitions):
            for way in options.ways:
                results[way].append(measure(way, path))
        size = path.stat().st_size / 1e6
    items = {run["items"] for runs in results.values() for run in runs}
    if len(items) > 1:
        raise SystemExit(f"the ways do not find the same items: {items}")
    if len({run.pop("result") for runs in results.values() for run in runs} - {None}) > 1:
        raise SystemExit("the ways do not leave the same rows, items and input of the classifier")
    title = f"{options.rows:,} rows, {size:,.0f} MB, {items.pop():,} items"
    print(json.dumps(results, indent=2) if options.json else f"{title}\n\n{table(results, options.rows)}")


if __name__ == "__main__":
    main()
