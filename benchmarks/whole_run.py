"""How long a whole `workbench run` takes: made-up expense lines, one iteration, a server that takes a second.

`python benchmarks/whole_run.py [--items N] [--latency S] [--concurrency N] [--json]` prints a markdown table. The
command runs as people run it, with its kernels; the server (`tests/openai_server.py`) is a process of its own. Memory
is the largest sum over the command and its kernels that was seen, five times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from openai_server import KEY, MODEL  # noqa: E402

PROMPT = "{name: p, categories: [Pop, Viajes, Otros, Indeterminado]}"
PARAMETERS = """\
run: {{name: whole, iterations: 1}}
ingest: {{input: expenses.csv, columns: [Concepto]}}
classify: {{prompt: prompt.yaml, provider: openai, model: {model}, base_url: "{url}", concurrency: {concurrency}}}
validate: {{sample_size: 100, gold_column: Verdad}}
"""


def prepare(folder: Path, items: int) -> None:
    """Write a table of that many distinct lines, half of them twice, and a prompt."""
    words = [("vinil", "Pop"), ("taxi", "Viajes"), ("renta", "Otros")]
    lines = [f"{word} numero {n},{category}" for n in range(items // 3 + 1) for word, category in words][:items]
    text = "\n".join(["Concepto,Verdad", *lines, *lines[: items // 2]])
    (folder / "expenses.csv").write_text(text + "\n", encoding="utf-8")
    (folder / "prompt.yaml").write_text(PROMPT, encoding="utf-8")


def memory_of(process: psutil.Process) -> int:
    """Give the resident bytes of a process and its children."""
    total = 0
    try:
        for each in [process, *process.children(recursive=True)]:
            total += each.memory_info().rss
    except psutil.Error:
        pass
    return total


def run(folder: Path) -> tuple[float, int, dict[str, Any]]:
    """Run the command; gives seconds, peak bytes and what it prints."""
    started, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", "workbench.cli", "run", "parameters.yaml", "--run-id", "whole", "--json"]
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "WORKBENCH_RUNS": str(folder / "runs")}
    with (folder / "out.json").open("w") as out, (folder / "log.txt").open("w") as log:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=out, stderr=log)
        while process.poll() is None:
            peak = max(peak, memory_of(process))
            time.sleep(0.2)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    return seconds, peak, json.loads((folder / "out.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000, help="distinct items (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of a call (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=5, help="calls in flight (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    command = [sys.executable, str(ROOT / "tests" / "openai_server.py"), "--delay", str(options.latency)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        with tempfile.TemporaryDirectory() as name:
            folder, url = Path(name), server.stdout.readline().strip()
            prepare(folder, options.items)
            parameters = PARAMETERS.format(model=MODEL, url=url, concurrency=options.concurrency)
            (folder / "parameters.yaml").write_text(parameters, encoding="utf-8")
            seconds, peak, summary = run(folder)
    finally:
        server.terminate()
        server.wait()
    calls = -(-options.items // 50)
    found = {
        "items": options.items,
        "rows": summary["rows"],
        "seconds": round(seconds, 1),
        "classify_s": round(summary["iterations"][0]["seconds"], 1),
        "ideal_s": -(-calls // options.concurrency) * options.latency,
        "peak_mb": peak // 2**20,
        "accuracy": summary["iterations"][0]["accuracy"]["estimate"],
    }
    print(json.dumps(found, indent=2) if options.json else table(found))


def table(found: dict[str, Any]) -> str:
    return "\n".join([
        "| items | rows | whole run, s | classifying, s | ideal of that, s | peak MB, all processes | accuracy |",
        "|--:|--:|--:|--:|--:|--:|--:|",
        f"| {found['items']:,} | {found['rows']:,} | {found['seconds']} | {found['classify_s']} |"
        f" {found['ideal_s']:.0f} | {found['peak_mb']:,} | {found['accuracy']:.0%} |",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
