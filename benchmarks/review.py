"""How fast the review dashboard is, and what a reviewer's kernel weighs: `python benchmarks/review.py [ITEMS …]`.

For 1,000 and 200,000 items: time to the first item on the first visit and on repeated ones (after five seconds, and at
once), key press to next item with one and five reviewers, memory (PSS) of a kernel. Server and browsers share this
machine. `--pictures FOLDER` writes the pictures of docs/img instead, from the shipped example.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from workbench import review, reviewing, stages, workflow
from workbench.parameters import load_parameters
from workbench.records import RunState, fold
from workbench.runs import open_store
from workbench.runs.decisions import Decision
from workbench.runs.review_lists import Filters
from workbench.settings import find_file
from workbench.widgets import launcher

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
KEYS = 40
VISITS = 3
CATEGORIES = [{"name": f"Categoría {n}", "description": ""} for n in range(24)]


def made_up(store, items):
    """A run with this many items, of which 1,000 are in the sample."""
    run, words, rng = (
        store.create({"ingest": {}}, run_id=f"made-up-{items}"),
        ["renta", "vuelo", "taxi", "tacos"],
        random.Random(7),
    )
    about = {"run": "bench", "run_id": run.run_id, "iteration": 1, "amount": "Importe", "categories": CATEGORIES}

    def rows():
        for n in range(items):
            text = f"{rng.choice(words)} {rng.choice(words)} servicio {n}"
            card = {"fields": {"Concepto": text}, "amount": 1.5 * n, "said": [], "reason": f"word '{text.split()[0]}'"}
            card |= {"columns": ["Concepto", "Emisor"], "rows": [[text, "Emisor SA"]] * 5, "summary": []}
            yield {
                "item_id": f"item-{n:06d}",
                "position": n + 1 if n < 1000 else None,
                "category": f"Categoría {n % 24}",
                "score": rng.random(),
                "n_rows": 1 + n % 9,
                "money": 1.5 * n,
                "changed": 0,
                "wanted": 1,
                "open": 1,
                "disputed": 0,
                "blind": 0,
                "revision": "r",
                "alike": "",
                "words": fold(text),
                "card": json.dumps(card),
            }

    started = time.perf_counter()
    store.decisions(run.run_id, 1).prepare("made up", about, rows())
    return run, time.perf_counter() - started


@contextmanager
def opened(browser, link):
    """A window of its own on a link; gives the page and the seconds until the first item showed."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    try:
        yield page, visit(page, link)
    finally:
        context.close()


def visit(page, link):
    started = time.perf_counter()
    page.goto(link)
    page.wait_for_selector("article.item", timeout=120_000)
    return time.perf_counter() - started


def visit_later(page, link):
    """Visit as a person does who comes back: after a while."""
    page.wait_for_timeout(5000)
    return visit(page, link)


TIMED = """async (keys) => {
  const item = () => document.querySelector("article.item")?.dataset.item, times = [];
  for (let k = 0; k < keys; k++) {
    const before = item(), start = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "a", bubbles: true}));
    while (item() === before) await new Promise((go) => setTimeout(go, 1));
    times.push(performance.now() - start);
    await new Promise((go) => setTimeout(go, 150 + 200 * Math.random()));
  }
  window.times = times;
}"""


def pressed(pages):
    """Press the key on all pages at once, as fast as a person; gives the milliseconds until the next item showed."""
    for page in pages:
        page.evaluate(f"keys => {{ ({TIMED})(keys); }}", KEYS)
    for page in pages:
        page.wait_for_function("() => window.times", timeout=300_000)
    return [each for page in pages for each in page.evaluate("window.times")]


def kernel_memory(process):
    """The PSS of the kernels, in MB."""
    children = psutil.Process(process.pid).children(recursive=True)
    kernels = [child for child in children if any("ipykernel" in word for word in child.cmdline())]
    return [kernel.memory_full_info().pss / 1e6 for kernel in kernels]


def measure(browser, items):
    with tempfile.TemporaryDirectory() as folder, open_store(folder) as store:
        run, prepared = made_up(store, items)
        names = ["Ana", "Beto", "Carla", "Dora", "Eva"]
        with launcher.serving(run, store, 1, launcher.Doors(names)) as served:
            links = list(served.links.values())
            with opened(browser, links[0]) as (page, first):
                at_once = visit(page, links[0])
                again = [visit_later(page, links[0]) for _ in range(VISITS)]
                one = pressed([page])
                memory = kernel_memory(served.process)
            rooms = [opened(browser, link) for link in links]
            pages = [room.__enter__()[0] for room in rooms]
            five = pressed(pages)
            [room.__exit__(None, None, None) for room in rooms]
            assert len(store.validations(run.run_id)) == 6 * KEYS
    return {
        "items": items,
        "lay out s": round(prepared, 1),
        "first visit s": round(first, 2),
        "repeat s": round(statistics.median(again), 2),
        "at once s": round(at_once, 2),
        "key p50 ms": round(statistics.median(one)),
        "key p95 ms": round(statistics.quantiles(one, n=20)[-1]),
        "five p50 ms": round(statistics.median(five)),
        "five p95 ms": round(statistics.quantiles(five, n=20)[-1]),
        "kernel MB": round(max(memory)),
    }


def example_run(folder):
    """The shipped example: the first iteration judged, the second half reviewed by two people."""
    parameters = load_parameters(find_file("parameters/demo.yaml"), ["validate.gold_column=null"])
    store = open_store(folder)

    def go_on():
        run = workflow.start(parameters, store, run_id="expenses-demo", resume=True)
        while (step := stages.next_step(run, store)) and run.state != RunState.AWAITING_REVIEW:
            if step.stage == "ingest":
                run = workflow.ingest(parameters, store, run_id=run.run_id)
            else:
                run = getattr(workflow, step.stage)(run, parameters, store)
        return run

    run = go_on()
    gold = review.gold_categories(store.load(run.run_id, "rows"), "TrueCategory")
    reviewing.prepare(run, store, 1)
    judge(store.decisions(run.run_id, 1), gold, {"Ana": 100, "Beto": 40})
    run = workflow.validate(run, parameters, store)
    run = go_on()
    reviewing.prepare(run, store, 2)
    judge(store.decisions(run.run_id, 2), gold, {"Ana": 30, "Beto": 20})
    reviewing.refresh_results(run, store, 2, "")
    return run, store


def judge(decisions, gold, counts):
    for name, count in counts.items():
        for n in range(count):
            item = decisions.next(name, Filters())
            if item is None:
                break
            right = gold[item["item_id"]] == item["category"]
            said = ("correct", None) if right else ("incorrect", gold[item["item_id"]])
            decisions.decide(
                name, [Decision(f"{name}-{decisions._values['iteration']}-{n}", item["item_id"], item["rev"], *said)]
            )


def pictures(browser, to):
    """Write a picture of every view in both languages."""
    with tempfile.TemporaryDirectory() as folder:
        run, store = example_run(folder)
        with (
            store,
            launcher.serving(run, store, 2, launcher.Doors(["Ana"])) as served,
            opened(browser, served.links["Ana"]) as (page, _),
        ):
            for language in ("es", "en"):
                if page.get_attribute(".wbr", "lang") != language:
                    page.click(f"button[lang={language}]")
                for key, view in (("q", "queue"), ("g", "groups"), ("f", "search"), ("r", "results")):
                    page.keyboard.press(key)
                    show(page, view)
                    page.screenshot(path=to / f"review_{view}_{language}.png")
                    page.keyboard.press("Escape")


def show(page, view):
    if view == "groups":
        page.click(".group >> nth=0")
        page.wait_for_selector(".members .act.primary")
        page.click(".members .act.primary")
    if view == "search":
        page.fill("form[role=search] input", "renta")
        page.keyboard.press("Enter")
    page.wait_for_selector(
        {"queue": "article.item", "groups": ".preview ul", "search": ".hit", "results": ".panel"}[view]
    )
    page.wait_for_timeout(400)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", nargs="*", type=int, default=[1_000, 200_000])
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if not Path(CHROMIUM).exists():
        sys.exit(f"there is no {CHROMIUM}: apt-get install chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if options.pictures:
            pictures(browser, options.pictures)
            return
        found = [measure(browser, items) for items in options.items]
    print(" | ".join(found[0]))
    for row in found:
        print(" | ".join(str(value) for value in row.values()))


if __name__ == "__main__":
    main()
