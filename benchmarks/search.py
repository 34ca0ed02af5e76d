"""How long a search takes: `SearchIndex.search` on made-up items, whole pages, medians over several keywords.

`python benchmarks/search.py [--items N] [--repetitions K]` prints a markdown table. Most texts have an accent.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import pandas as pd

from workbench.search import Query, SearchIndex

WORDS = (
    *("renta", "oficina", "vinil", "lona", "impresión", "publicidad", "hospedaje", "viáticos", "gasolina", "papelería"),
    *("tóner", "cartucho", "café", "agua", "garrafón", "flete", "mensajería", "boleto", "avión", "hotel", "alimentos"),
)
KEYWORDS = ("vinil", "impresion", "RENTA oficina", "a", "zzz", "garrafón agua")


def made_up_items(count: int, seed: int = 7) -> tuple[pd.DataFrame, pd.Series[str]]:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(WORDS, (count, 6))
    texts = [" ".join(words) + f" {number}" for number, words in enumerate(chosen)]
    ids = [f"{number:016x}" for number in range(count)]
    categories = pd.Series(rng.choice(["Pop", "Renta", "Viajes"], count), index=ids, dtype="str")
    return pd.DataFrame({"item_id": ids, "cleanLineDescription": texts, "n_rows": 1}), categories


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a search takes.")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    items, categories = made_up_items(options.items)
    start = time.perf_counter()
    index = SearchIndex(items, categories)
    print(f"{options.items:,} items prepared once in {time.perf_counter() - start:.2f} s\n")
    print("| keyword | hits | median, ms | slowest, ms |\n|---|--:|--:|--:|")
    for keyword in KEYWORDS:
        times = []
        for _ in range(options.repetitions):
            start = time.perf_counter()
            hits = index.search(Query(keyword, category="Pop"))
            times.append(1000 * (time.perf_counter() - start))
        print(f"| {keyword} | {hits.total:,} | {statistics.median(times):.0f} | {max(times):.0f} |")


if __name__ == "__main__":
    main()
