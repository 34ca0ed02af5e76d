"""From verdicts to numbers: what an iteration is worth, whether it is better than another; kept in the run store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import llm, metrics, refinery, sampling, tracking
from workbench.errors import UsageError
from workbench.likeness import near_any
from workbench.records import CLEAN_PREFIX, Run, clean_text
from workbench.runs import RunStore
from workbench.settings import find_file
from workbench.stages import Notes, parameters_of

IN_HISTORY = ("items", "accuracy", "confident_share", "ambiguous_rate", "category_counts", "processing")
CHANGED = ("fixed_items", "broken_items")


def prompt_of(run: Run, store: RunStore, iteration: int) -> llm.Prompt:
    """Load the prompt of an iteration; before it is classified, the one that it will start from."""
    return llm.load_prompt(prompt_file(run, store, iteration))


def prompt_file(run: Run, store: RunStore, iteration: int) -> Path:
    """Say where the prompt of an iteration lies; before it is classified, the one that it will start from."""
    if store.has(run.run_id, "prompt", iteration):
        return store.path(run.run_id, "prompt", iteration)
    if iteration == 1:
        return find_file(parameters_of(run).classify.prompt)
    return store.path(run.run_id, "refined_prompt", iteration - 1)


def measure(notes: Notes, classified: dict[str, Any] | None = None) -> None:
    """Write metrics.json, from iteration 2 on comparison.json, and the iteration's entry in history.json.

    `classified` is what the classification has to say (`processing`, `judge`); without it, what it said then stands.
    """
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    measured = measured_now(notes.run, store, iteration, classified)
    store.save(run_id, "metrics", measured, iteration)
    notes.tracker.log(tracking.iteration_metrics(measured, iteration))
    if iteration > 1:
        store.save(run_id, "comparison", compare(notes.run, store, iteration - 1, iteration), iteration)
    _note_history(notes, prompt_of(notes.run, store, iteration), measured)


def measured_now(run: Run, store: RunStore, iteration: int, classified: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure an iteration with the verdicts there are, writing nothing; gives what metrics.json holds."""
    classified = classified or store.load(run.run_id, "metrics", iteration)
    predictions, items = store.load(run.run_id, "predictions", iteration), store.load(run.run_id, "items")
    validations, shown = store.validations(run.run_id), shown_items(run, store, iteration)
    accuracy = metrics.measure_accuracy(
        validations,
        predictions,
        iteration=iteration,
        example_item_ids=shown,
        design=_design(run, store),
        items=items,
    )
    measured = metrics.iteration_metrics(predictions, items, accuracy=accuracy, processing=classified["processing"])
    measured["judge"] = classified.get("judge")
    target = parameters_of(run).validate_.target_precision
    measured["calibration"] = metrics.calibrate(accuracy.judged, predictions, items, target)
    measured["errors_left"] = metrics.errors_left(validations, predictions, shown)
    return measured


QUOTED_WORDS = 3
"""So many words of an item, in their order, stand in a prompt's own words by no accident."""


def shown_items(run: Run, store: RunStore, iteration: int, candidate: llm.Prompt | None = None) -> list[str]:
    """Find the reviewed items that the prompts up to an iteration (and a new one) show, and their near-duplicates.

    A prompt shows its examples, by their ids or their texts, the evidence of its rules, and what its own words quote.
    """
    options = parameters_of(run).ingest
    pipeline = refinery.get_pipeline(options.pipeline, abbreviations=options.abbreviations)
    prompts = [prompt_of(run, store, each) for each in range(1, iteration + 1)] + ([candidate] if candidate else [])
    examples = [example for prompt in prompts for example in prompt.examples]
    shown = {clean_text(pipeline.clean(field) for field in text.split(" | ")) for text in {e.text for e in examples}}
    named = {example.item_id for example in examples if example.item_id} | _evidence(run, store, iteration)
    texts, reviewed = texts_of(store, run.run_id), store.validations(run.run_id)["item_id"].drop_duplicates()
    shown |= set(texts[texts.index.isin(list(named))])
    shown |= _quoted(
        texts[reviewed], [pipeline.clean(line) for line in {line for each in prompts for line in _prose(each)}]
    )
    return sorted({*reviewed[near_any(list(texts[reviewed]), sorted(shown))], *named})


def _prose(prompt: llm.Prompt) -> list[str]:
    """Give what a prompt says in words of its own, line by line."""
    said = [prompt.text or "", prompt.role, prompt.task, *prompt.rules]
    said += [category.description for category in prompt.categories]
    said += [keyword for category in prompt.categories for keyword in category.keywords]
    return [line for text in said for line in text.splitlines()]


def _quoted(texts: pd.Series[str], lines: Collection[str]) -> set[str]:
    """Find the texts of several words that stand in a line as they are; a single word is vocabulary, not an item."""
    said = "\n".join(f" {line} " for line in lines)
    return {text for text in set(texts) if len(text.split()) >= QUOTED_WORDS and f" {text} " in said}


def _evidence(run: Run, store: RunStore, iteration: int) -> set[str]:
    """Find the items behind the rules that refinements have written for the prompts up to an iteration."""
    refined = [each for each in range(1, iteration) if store.has(run.run_id, "proposals", each)]
    records = [store.load(run.run_id, "proposals", each) for each in refined]
    proposals = [each for record in records if record["adopted"] for each in record["proposals"]]
    return {item for each in proposals if each["status"] == "accepted" for item in each["evidence"]}


def _design(run: Run, store: RunStore) -> pd.DataFrame:
    """Say how every item came into a sample, over all iterations."""
    drawn = range(1, (store.newest(run.run_id, "sample") or 0) + 1)
    return sampling.design(store.load(run.run_id, "sample", iteration) for iteration in drawn)


def texts_of(store: RunStore, run_id: str) -> pd.Series[str]:
    """Give each item's clean text, by item id."""
    items = store.load(run_id, "items").set_index("item_id")
    fields = items[[column for column in items if column.startswith(CLEAN_PREFIX)]]
    return pd.Series([clean_text(row) for row in fields.itertuples(index=False)], index=items.index, dtype=str)


def _note_history(notes: Notes, prompt: llm.Prompt, measured: dict[str, Any]) -> None:
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    last_two = {each: store.load(run_id, "predictions", each) for each in (iteration - 1, iteration) if each > 0}
    before = store.load(run_id, "history")["iterations"] if store.has(run_id, "history") else []
    entry = {
        "iteration": iteration,
        "prompt_fingerprint": prompt.fingerprint,
        "examples": len(prompt.examples),
        **{key: measured[key] for key in IN_HISTORY},
        "changes": metrics.changes(last_two, store.validations(run_id))[iteration],
    }
    entries = [*before[: iteration - 1], entry]
    summed = {**metrics.summarise_history(entries), "category_timeline": metrics.category_timeline(entries)}
    store.save(run_id, "history", {"run_id": run_id, "iterations": entries, **summed})
    store.update_manifest(
        run_id, prompts=[{"iteration": e["iteration"], "fingerprint": e["prompt_fingerprint"]} for e in entries]
    )


def compare(run: Run, store: RunStore, first: int | None = None, second: int | None = None) -> dict[str, Any]:
    """Compare two iterations of a run, the last two by default; raises UsageError where there are not two."""
    newest = store.newest(run.run_id, "predictions") or 0
    if newest < 2:
        raise UsageError(
            f"run {run.run_id!r} has {'one classified iteration' if newest else 'no classified iteration yet'}; "
            "there is nothing to compare.",
            hint="a second one comes with run.iterations of 2 or more: `workbench run … --resume --iterations 2`.",
        )
    second = second or newest
    first = first or second - 1
    if not 1 <= first < second <= newest:
        raise UsageError(
            f"run {run.run_id!r} has {newest} classified iterations; {first} and {second} cannot be compared.",
            hint="name two of them, the earlier first.",
        )
    before, after = (store.load(run.run_id, "metrics", iteration) for iteration in (first, second))
    sides = [_side(run, store, iteration) for iteration in (first, second)]
    comparison = metrics.compare_iterations(
        before, after, *(side.predictions for side in sides), iteration=second, baseline_iteration=first
    )
    verdicts = store.validations(run.run_id)
    paired = metrics.compare_on_shared_items(verdicts, *sides, design=_design(run, store))
    return metrics.with_pairs(comparison, _with_texts(paired, texts_of(store, run.run_id)), after)


def _side(run: Run, store: RunStore, iteration: int) -> metrics.Side:
    examples = shown_items(run, store, iteration)
    return metrics.Side(iteration, store.load(run.run_id, "predictions", iteration), examples)


def _with_texts(paired: dict[str, Any], texts: pd.Series[str]) -> dict[str, Any]:
    """Put the text beside every item that was fixed or broken."""
    lists = {name: [{**item, "text": texts[item["item_id"]]} for item in paired[name]] for name in CHANGED}
    return {**paired, **lists}
