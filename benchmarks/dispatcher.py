"""How near the ideal wall time calls to a model come, and what becomes of items when the server misbehaves.

`python benchmarks/dispatcher.py [--scale X] [--latency S] [--only NAME…] [--json]` prints markdown tables. The server
(`tests/openai_server.py`) is a process of its own. The ideal is ceil(chunks / concurrency) x latency. The reference
is its design as described: a semaphore around AsyncOpenAI, three retries with exponential backoff, answers found by
position where their number fits. An answer is right if it is the one for its own text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import llm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from openai_server import KEY, MODEL, by_first_word  # noqa: E402

TAIL = ("ours", "ours, hedged", "reference")
KEPT = ("ours", "ours, kept", "reference")
PROMPT = llm.Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
CHUNK = 50


@dataclass(frozen=True)
class Scenario:
    """A server, and how much is asked of it."""

    name: str
    chunks: int
    concurrency: int
    latency: float
    server: tuple[str, ...] = ()
    at_once: int = 0
    """Calls that the server takes at a time; 0 = as many as are in flight."""

    ways: tuple[str, ...] = ("ours", "reference")

    @property
    def ideal(self) -> float:
        """Give the seconds that nobody can beat."""
        return math.ceil(self.chunks / (self.at_once or self.concurrency)) * self.latency


def scenarios(scale: float, latency: float) -> list[Scenario]:
    def times(chunks: int) -> int:
        return max(1, round(chunks * scale))

    return [
        Scenario("clean, 3 in flight", times(200), 3, latency),
        Scenario("clean, 16 in flight", times(400), 16, latency),
        Scenario("clean, 64 in flight", times(600), 64, latency),
        Scenario("clean, 1,000 in flight", 1000, 1000, latency),
        Scenario("one item dropped per answer", times(200), 16, latency, ("--every", "dropped")),
        Scenario("one poisoned item", times(200), 16, latency, ("--poison", "taxi 301")),
        Scenario("429 above 4 in flight", times(100), 16, latency, ("--most", "4"), at_once=4),
        Scenario("5 % of everything", times(480), 16, latency, ("--mixed", "0.05")),
        Scenario("1 % of calls 20 x slower", times(400), 16, latency, ("--tail", "0.01"), ways=TAIL),
        *(
            Scenario(f"200 ms, {n} in flight", times(chunks), n, 0.2, ways=KEPT)
            for n, chunks in ((3, 200), (16, 400), (64, 600))
        ),
        Scenario("kill -9 half way", times(200), 3, latency, ways=("killed and resumed",)),
    ]


@contextmanager
def server(scenario: Scenario) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests" / "openai_server.py"), "--delay", str(scenario.latency)]
    process = subprocess.Popen([*command, *scenario.server], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def items_of(chunks: int) -> pd.DataFrame:
    texts = [f"{('vinil', 'taxi', 'renta')[n % 3]} {n}" for n in range(chunks * CHUNK)]
    return pd.DataFrame({"item_id": [str(n) for n in range(len(texts))], "cleanText": texts})


def ours(
    scenario: Scenario, url: str, items: pd.DataFrame, hedge: bool = False, cache: llm.AnswerCache | None = None
) -> tuple[list[str | None], int]:
    provider = llm.get_provider("openai", model=MODEL, base_url=url)
    limits = llm.Limits(chunk_size=CHUNK, concurrency=scenario.concurrency, hedge=hedge)
    classifier = llm.Classifier(PROMPT, provider, limits, cache)
    said = classifier.classify(items)
    pairs = zip(said["reason"].tolist(), said["status"].tolist(), strict=True)
    return [None if status == "failed" else reason for reason, status in pairs], classifier.usage.calls


def kept(scenario: Scenario, url: str, items: pd.DataFrame) -> tuple[list[str | None], int]:
    """Keep every answer in the database of the runs, as a run does."""
    from workbench.runs import open_store

    with tempfile.TemporaryDirectory() as folder, open_store(folder) as store:
        return ours(scenario, url, items, cache=store.answers(llm.Answer))


def killed(scenario: Scenario, url: str, items: pd.DataFrame) -> tuple[list[str | None], int]:
    """Kill a process at half of its calls and have another go on; counts what was in flight at the kill as calls."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            __file__,
            "--resumable",
            folder,
            url,
            str(scenario.chunks),
            str(scenario.concurrency),
        ]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert first.stdout is not None
        made = next(int(line) for line in first.stdout if int(line) >= scenario.chunks / 2)
        first.kill()
        first.communicate()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        reasons = json.loads((Path(folder) / "reasons.json").read_text(encoding="utf-8"))
        return reasons, made + scenario.concurrency + int(done.stdout.split()[-1])


def resumable(folder: str, url: str, chunks: int, concurrency: int) -> None:
    """Classify with the answers kept in a folder, and print the number of calls that have come back so far."""
    from workbench.runs import open_store

    with open_store(folder) as store:
        limits = llm.Limits(chunk_size=CHUNK, concurrency=concurrency)
        provider = llm.get_provider("openai", model=MODEL, base_url=url)
        classifier = llm.Classifier(PROMPT, provider, limits, store.answers(llm.Answer))
        said = classifier.classify(items_of(chunks), on_progress=lambda at: print(at.usage.calls, flush=True))
    (Path(folder) / "reasons.json").write_text(json.dumps(said["reason"].tolist()), encoding="utf-8")


def reference(scenario: Scenario, url: str, items: pd.DataFrame) -> tuple[list[str | None], int]:
    from openai import AsyncOpenAI

    texts = items["cleanText"].tolist()
    answers: list[str | None] = [None] * len(texts)
    calls = 0

    async def one(client: Any, gate: asyncio.Semaphore, start: int) -> None:
        nonlocal calls
        part = texts[start : start + CHUNK]
        data = "\n".join(["id\tcleanText", *(f"{n}\t{text}" for n, text in enumerate(part, start=1))])
        messages = [{"role": "user", "content": PROMPT.render()}, {"role": "user", "content": data}]
        async with gate:
            for attempt in range(3):
                calls += 1
                try:
                    said = await client.chat.completions.create(model=MODEL, messages=messages)
                    rows = json.loads(said.choices[0].message.content.strip())["results"]
                except Exception:
                    await asyncio.sleep(2**attempt)
                else:
                    for place, row in enumerate(rows[: len(part)]):
                        answers[start + place] = row[1][0] if isinstance(row, list) else row.get("reason")
                    return

    async def everything() -> None:
        async with AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
            gate = asyncio.Semaphore(scenario.concurrency)
            await asyncio.gather(*(one(client, gate, start) for start in range(0, len(texts), CHUNK)))

    asyncio.run(everything())
    return answers, calls


def measure(way: str, scenario: Scenario) -> dict[str, Any]:
    """Run one way in this process: its memory is the peak of the process."""
    items = items_of(scenario.chunks)
    hedged = partial(ours, hedge=True)
    ways = {"ours": ours, "ours, hedged": hedged, "ours, kept": kept, "reference": reference}
    ask = {**ways, "killed and resumed": killed}[way]
    with server(scenario) as url:
        llm.get_provider("openai", model=MODEL, base_url=url)  # imports are not what is measured
        if ask is kept:
            import workbench.runs  # noqa: F401
        wall, processor = time.perf_counter(), time.process_time()
        answers, calls = ask(scenario, url, items)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    right = sum(said == by_first_word(text)["reason"] for said, text in zip(answers, items["cleanText"], strict=True))
    flagged = sum(said is None for said in answers)
    return {
        "scenario": scenario.name,
        "way": way,
        "chunks": scenario.chunks,
        "wall_s": round(wall, 2),
        "of_ideal": round(wall / scenario.ideal, 3),
        "calls": calls,
        "cpu_ms_per_call": round(1000 * processor / calls, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "items": len(items),
        "flagged": flagged,
        "silent_errors": len(items) - right - flagged,
    }


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| scenario | way | chunks | wall, s | ideal x | calls | CPU ms/call | peak MB | flagged | silently wrong |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for it in results:
        numbers = f"{it['chunks']:,} | {it['wall_s']:.1f} | {it['of_ideal']:.2f} | {it['calls']:,}"
        rest = f"{it['cpu_ms_per_call']:.1f} | {it['peak_mb']:,} | {it['flagged']:,} | {it['silent_errors']:,}"
        lines.append(f"| {it['scenario']} | {it['way']} | {numbers} | {rest} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the chunks (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of a call (default: %(default)s)")
    parser.add_argument("--only", nargs="+", help="scenarios whose name holds one of these")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--resumable", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = KEY
    if options.resumable:
        folder, url, *numbers = options.resumable
        resumable(folder, url, *map(int, numbers))
        return
    chosen = {each.name: each for each in scenarios(options.scale, options.latency)}
    if options.one:
        print(json.dumps(measure(options.one[0], chosen[options.one[1]])))
        return
    results = []
    for name in chosen:
        if options.only and not any(part in name for part in options.only):
            continue
        for way in chosen[name].ways:
            command = [sys.executable, __file__, "--scale", str(options.scale), "--latency", str(options.latency)]
            done = subprocess.run([*command, "--one", way, name], capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout))
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    main()
