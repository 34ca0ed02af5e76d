"""How fast ingest is: the reference's design against `workflow.ingest`, from one CSV file to clean, distinct items.

`python benchmarks/ingest.py [--rows N] [--repetitions K] [--skip-reference] [--dask] [--json]` prints a markdown table.
The full size is `--rows 4000000` (a file of more than 500 MB), and `--rows 13000000` (2 GB).

The file is synthetic and seeded: two columns of text, of which one is cleaned; half of the rows repeat an earlier one.
The reference's design: chunks of 1,000 rows, a function per value (`apply`), a parquet file per chunk, all of them
concatenated, `drop_duplicates`, the consolidated table and the items written as parquet and the items as JSON.
Each way runs in a process of its own: seconds without its start-up, and the peak of that process's memory.
"""

from __future__ import annotations

import random
from pathlib import Path

from cleaning import expense_lines

BLOCK = 500_000
WAYS = ("reference", "ingest", "dask")
PROMPT = "examples: []\n"


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
