"""How fast cleaning is: a function per value (`Series.apply`) against `Pipeline.clean` on the whole column.

`python benchmarks/cleaning.py [--rows N] [--repetitions K] [--pipelines v1 v2 v3] [--json]` prints a markdown table.
The column is synthetic: Spanish expense lines, half of the rows repeat an earlier one, 1 in 1,000 lies outside Latin-1.
Both ways must give the same output. Times are medians of interleaved repetitions; memory is the peak of a process of
its own per way, less what it held before cleaning.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.refinery import STEPS, get_pipeline
from workbench.refinery.steps import TokenStep

Clean = Callable[[str], str]

WORDS = (
    "servicio mantenimiento instalación vinil lona impresión publicidad espectacular renta hospedaje viáticos gasolina "
    "papelería tóner cartucho hojas carpeta café agua garrafón transporte flete mensajería boleto avión hotel "
    "alimentos evento curso capacitación libro licencia software equipo cómputo laptop teléfono celular internet "
    "vigilancia fumigación jardinería pintura aceite filtro llanta batería camioneta reparación eléctrico plomería "
    "promoción degustación edecán stand exhibidor volante tríptico diseño gráfico fotografía vídeo audio iluminación "
    "mobiliario banquete piñata año montaña niño compañía señalización templete consumo limpieza Monterrey Querétaro"
)
SHORT = "SERV. MTTO INST. PZA PZAS. KG LTS MTS PAQ. CJA PUB. PROMO HOSP. VIAT TRANSP. FACT. REF. DEPTO. NO. S.A. C.V."
SMALL = "de la del para en el y con por los a"
VOCABULARY = (WORDS.split(), SHORT.split(), SMALL.split())
SIGNS = ["-", "/", ", ", ": ", " (", ") ", "  ", ".", " & "]


def expense_lines(rows: int, seed: int = 7) -> pd.Series[str]:
    """Write `rows` lines of 20 to 80 characters, half of them repeats, in random order."""
    draw = random.Random(seed)
    distinct = [_line(draw) for _ in range(rows // 2)]
    lines = [*distinct, *draw.choices(distinct, k=rows - len(distinct))]
    draw.shuffle(lines)
    return pd.Series(lines, dtype="str", name="LineDescription")


def _line(draw: random.Random) -> str:
    wanted = draw.randint(20, 80)
    text = str(draw.randint(1, 999)) if draw.random() < 0.2 else ""
    while len(text) < wanted:
        kind = draw.choices(VOCABULARY, (60, 22, 18))[0]
        text += (draw.choice(SIGNS) if draw.random() < 0.15 else " ") + draw.choice(kind)
    if draw.random() < 0.001:
        text += draw.choice(("™", " ½", " “oferta”", " 🎉", " ß"))
    return text.upper() if draw.random() < 0.7 else text.capitalize()


def plain_v1(text: str) -> str:
    return " ".join(text.lower().split())


def plain_v2() -> Clean:
    stop_words = _table("old_stop_words")

    def clean(text: str) -> str:
        text = re.sub(r"[^\w\s]|_", "", _plain_letters(text))
        words = text.split()
        return " ".join([word for word in words if word not in stop_words] or words)

    return clean


def plain_v3() -> Clean:
    abbreviations = next(step for step in get_pipeline("v3").steps if step.name == "abbreviations")
    assert isinstance(abbreviations, TokenStep)
    table, stop_words = abbreviations.table, _table("stop_words")

    def clean(text: str) -> str:
        text = re.sub(r"(?<=(?<!\w)[a-z])\.(?=[a-z](?!\w))", "", _plain_letters(text))
        text = re.sub(r"(?<!\w)n(?:o\.(?=\s*\w)|°\.?)", "numero ", text)
        text = re.sub(r"[\W_]", " ", text)
        words = " ".join(table.get(word, word) for word in text.split()).split()
        return " ".join([word for word in words if word not in stop_words] or words)

    return clean


def _plain_letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("½", " ½"))
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def _table(name: str) -> Any:
    step = STEPS.get(name)
    assert isinstance(step, TokenStep)
    return step.table


PLAIN: dict[str, Callable[[], Clean]] = {"v1": lambda: plain_v1, "v2": plain_v2, "v3": plain_v3}


def way(name: str, pipeline: str) -> Callable[[pd.Series[str]], pd.Series[str]]:
    """Give one of the two ways to clean a column."""
    if name == "apply":
        plain = PLAIN[pipeline]()
        return lambda column: column.apply(plain)
    return get_pipeline(pipeline).clean


def measure(pipeline: str, column: pd.Series[str], repetitions: int) -> dict[str, Any]:
    """Time both ways, interleaved, after a check that they agree."""
    ways = {name: way(name, pipeline) for name in ("apply", "clean")}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    results: dict[str, pd.Series[str]] = {}
    for _ in range(repetitions):
        for name, function in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            results[name] = function(column)
            taken[name].append((time.perf_counter() - wall, time.process_time() - processor))
    pd.testing.assert_series_equal(results["apply"].astype("str"), results["clean"])
    medians = {name: [statistics.median(part) for part in zip(*times, strict=True)] for name, times in taken.items()}
    return {"pipeline": pipeline, "rows": len(column), "repetitions": repetitions} | {
        name: {
            "wall_s": wall,
            "cpu_s": cpu,
            "rows_per_s": len(column) / wall,
            "peak_mb": peak(name, pipeline, column),
        }
        for name, (wall, cpu) in medians.items()
    }


def peak(name: str, pipeline: str, column: pd.Series[str]) -> float:
    """Measure the memory that one way takes on top of the column, in MB, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "column.feather"
        column.to_frame().to_feather(path, compression="uncompressed")
        command = [sys.executable, __file__, "--memory", name, pipeline, str(path)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory(name: str, pipeline: str, path: str) -> float:
    column = pd.read_feather(path)["LineDescription"]
    function = way(name, pipeline)
    function(column.head(1000))
    before = _peak_mb()
    result = function(column)
    assert len(result) == len(column)
    return _peak_mb() - before


def _peak_mb() -> float:
    """The peak of this process; where Linux tells it, without what the parent process held."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| pipeline | way | rows/s | seconds | CPU seconds | extra MB | ratio (wall) | ratio (CPU) |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        base = result["apply"]
        for name in ("apply", "clean"):
            it = result[name]
            ratios = f"{base['wall_s'] / it['wall_s']:.1f} | {base['cpu_s'] / it['cpu_s']:.1f}"
            numbers = f"{it['rows_per_s']:,.0f} | {it['wall_s']:.2f} | {it['cpu_s']:.2f} | {it['peak_mb']:.0f}"
            lines.append(f"| {result['pipeline']} | {name} | {numbers} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--pipelines", nargs="+", default=["v1", "v2", "v3"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(memory(*options.memory))
        return
    column = expense_lines(options.rows)
    results = [measure(name, column, options.repetitions) for name in options.pipelines]
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    main()
