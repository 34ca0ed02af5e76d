"""The loop: ingest, classify, validate, refine. Each stage calls the rooms and keeps what they give in the run store.

Nothing is computed here: a stage reads artifacts, calls a room, writes artifacts, and records that it is done.
A finished stage is not done twice: called again, it gives the run back as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import (
    classification,
    dedup,
    delivery,
    intake,
    llm,
    readers,
    refinery,
    refining,
    repeating,
    sampling,
    tracking,
    validation,
)
from workbench.documents import nearest_file
from workbench.errors import ParameterError, ReadError, RunExists, UsageError, VerdictError, few
from workbench.finding import Finder
from workbench.measuring import compare, measure, prompt_file, prompt_of, texts_of
from workbench.parameters import Parameters
from workbench.records import Run, RunState, Status
from workbench.repeating import Again
from workbench.reviewing import newest_iteration
from workbench.runs import RunStore, json_list
from workbench.search import Query
from workbench.settings import shown
from workbench.stages import STAGES, Notes, Show, Step, next_step, parameters_of, perform, step_of

__all__ = [
    "Again", "Step", "check", "classify", "compare", "estimate", "export_sample", "ingest", "inspect", "next_step",
    "parameters_of", "prompt_file", "prompt_of", "refine", "review_advice", "reviewed", "search", "start", "step_of",
    "validate", "with_verdicts",
]  # fmt: skip

FAULTS_SHOWN = 20

ALWAYS_FREE = {
    ("run", "iterations"), ("run", "tracker"), ("run", "time_limit"), ("validate", "verdicts"),
    ("validate", "reviewer"),
    ("ingest", "engine"), ("ingest", "scheduler"),
    *(("classify", key) for key in ("concurrency", "max_retries", "requests_per_minute", "tokens_per_minute")),
    *(("classify", key) for key in ("budget_usd", "cache", "mode", "hedge", "keep_raw")),
}  # fmt: skip
"""Parameters that may differ whenever a run goes on; the others only until the stage that uses them is done."""


def check(parameters: Parameters) -> None:
    """Find every mistake that can be found before a run starts; raises the UsageError or ReadError that names it."""
    ingest = parameters.ingest
    intake.find(ingest)
    with parameters.told_at("ingest", "pipeline"):
        refinery.get_pipeline(ingest.pipeline, abbreviations=ingest.abbreviations)
    with parameters.told_at("ingest", "deduplication"):
        dedup.STRATEGIES.get(ingest.deduplication)
    with parameters.told_at("validate", "strategy"):
        sampling.STRATEGIES.get(parameters.validate_.strategy)
    tracking.check(parameters.run.tracker)
    prompt = classification.check(parameters)
    with parameters.told_at("refine", "additional_examples"):
        llm.own_examples(prompt, parameters.refine.own_examples())
    if parameters.validate_.weight_by == "amount" and ingest.amount_column is None:
        raise ParameterError("validate.weight_by is 'amount', but there is no ingest.amount_column.")
    verdicts = parameters.validate_.verdicts
    if verdicts and not Path(verdicts).exists():
        raise ReadError(f"there is no file {verdicts} (validate.verdicts).", hint=nearest_file(Path(verdicts)))


def start(parameters: Parameters, store: RunStore, *, run_id: str | None = None, resume: bool = False) -> Run:
    """Create a run, or find the one to go on with.

    Raises:
        RunExists: the run id is taken and `resume` was not asked for.
        ParameterError: the run to go on with was started with other parameters.
    """
    if run_id is None or not store.exists(run_id):
        check(parameters)
        run = store.create(parameters.to_dict(), run_id=run_id, name=parameters.run.name)
        store.log(run.run_id).info("run created")
        return run
    if not resume:
        raise RunExists(
            f"run {run_id!r} exists already.", hint="go on with it by --resume, or choose another --run-id."
        )
    return _adopt(store.get(run_id), parameters, store)


def _adopt(run: Run, parameters: Parameters, store: RunStore) -> Run:
    """Go on with a run, with parameters that may differ where nothing has been made from them yet."""
    before, now = run.parameters, parameters.to_dict()
    changed = [(s, k) for s in now for k in now[s] if before.get(s, {}).get(k) != now[s][k]]
    if not changed:
        return run
    used = {stage for stage in STAGES if store.stage_done(run.run_id, stage, 0 if stage == "ingest" else 1)}
    used |= {"run"} if "ingest" in used else set()
    free = ALWAYS_FREE | (refining.CHOICES if refining.is_open(run, now["run"]["iterations"], store) else set())
    refused = [f"{s}.{k}" for s, k in changed if s in used and (s, k) not in free]
    if refused:
        raise ParameterError(
            f"run {run.run_id!r} was made with other values of {', '.join(refused)}.",
            hint="start a new run, or go on with the parameters of its run.json.",
        )
    check(parameters)
    if refining.CHOICES & set(changed):
        refining.check_choices(run, store, parameters)
        refining.reopen(run, store)
    return store.set_parameters(run.run_id, now)


def estimate(run: Run, parameters: Parameters, store: RunStore, iteration: int) -> llm.Estimate:
    """Estimate what classifying the items with an iteration's prompt will cost; nothing is sent."""
    prompt = prompt_of(run, store, iteration)
    return classification.estimate(store.load(run.run_id, "items"), prompt, parameters, store, run.run_id, iteration)


def with_verdicts(parameters: Parameters, file: str | None, reviewer: str | None = None) -> Parameters:
    """Take the verdicts from a file, in place of the gold column and of the file that the parameters name.

    `reviewer` filled it in, where the file does not say.
    """
    if file is None:
        return parameters
    section = parameters.validate_.model_copy(update={"verdicts": file, "reviewer": reviewer, "gold_column": None})
    return parameters.model_copy(update={"validate_": section})


def review_advice(run: Run, store: RunStore, iteration: int) -> str:
    """Say in a few sentences what was made of the verdicts that came, and what people have to do now, if anything."""
    told = store.facts(run.run_id, "validate", iteration).get("told", [])
    return " ".join([*told, _what_to_review(run, store, iteration)])


def _what_to_review(run: Run, store: RunStore, iteration: int) -> str:
    if store.stage_done(run.run_id, "validate", iteration):
        facts = store.facts(run.run_id, "validate", iteration)
        if facts.get("nothing_to_ask"):
            return str(facts["nothing_to_ask"])
        judged = len(validation.judged(store, run.run_id, iteration))
        return f"{judged:,} of {facts['sample']:,} sampled items have a verdict."
    sheet = shown(store.path(run.run_id, "review_sheet", iteration))
    if store.has(run.run_id, "second_review_sheet", iteration):
        sheet += ", and let a second reviewer fill in review_second.xlsx beside it,"
    asked = set(validation.asked_about(store, run.run_id, iteration)["item_id"])
    open_ = asked - set(store.validations(run.run_id, iteration)["item_id"])
    return (
        f"{len(open_):,} items await a review: open the dashboard by `workbench review"
        f" {run.run_id}`, or fill in the coloured columns of {sheet} and save it; then go on with --run-id {run.run_id}"
        " --resume."
    )


# --- ingest ---------------------------------------------------------------------------------------------------------


def inspect(parameters: Parameters, store: RunStore, *, run_id: str | None = None) -> readers.SchemaReport:
    """Describe the files of the input by their first rows; a run that is about to read them notes that they were."""
    report = readers.inspect_sources(
        intake.find(parameters.ingest), cache=store.schema_cache(), **parameters.ingest.reading()
    )
    if run_id is not None and store.exists(run_id):
        store.note_schema(run_id, len(report.files), report.summary())
    return report


def ingest(parameters: Parameters, store: RunStore, *, run_id: str | None = None, show: Show = None) -> Run:
    """Read, filter and clean the rows and find the distinct items; starts a run unless `run_id` exists."""
    run = store.get(run_id) if run_id and store.exists(run_id) else start(parameters, store, run_id=run_id)
    return perform(Notes(store, run, Step("ingest"), show), lambda notes: _ingest(notes, parameters))


def _ingest(notes: Notes, parameters: Parameters) -> None:
    store, run_id, options = notes.store, notes.run.run_id, parameters.ingest
    pipeline = refinery.get_pipeline(options.pipeline, abbreviations=options.abbreviations)
    prepared = intake.Intake(options, pipeline, store, gold_column=parameters.validate_.gold_column)
    with store.writer(run_id, "rows") as rows:
        for part in prepared.parts(notes.progress):
            rows.write(part)
    with store.writer(run_id, "items") as items, json_list(store.path(run_id, "llm_input"), "entries") as add_entries:
        for batch in prepared.items():
            items.write(batch)
            add_entries(intake.as_entries(batch))
    store.record(run_id, "llm_input")
    store.save(run_id, "schema", prepared.schema())
    store.save(run_id, "files", prepared.files.table())
    store.update_manifest(run_id, inputs=prepared.files.inputs(), pipeline=pipeline.version_fingerprint)
    notes.facts.update(prepared.facts())


# --- classify -------------------------------------------------------------------------------------------------------


def classify(
    run: Run,
    parameters: Parameters,
    store: RunStore,
    *,
    iteration: int | None = None,
    show: Show = None,
    again: Again | None = None,
) -> Run:
    """Classify every item with the iteration's prompt; answers that the store has are not asked for again.

    `again` asks single items of an iteration that is classified already; raises UsageError where that is finished.
    """
    step = step_of(run, store, "classify", iteration)
    notes = Notes(store, run, step, show)
    only = repeating.prepare(run, parameters, store, step, again) if again else None
    if only is None:
        return perform(notes, lambda notes: _classify(notes, parameters))
    if not only:
        return store.get(run.run_id)
    run = perform(notes, lambda notes: _classify(notes, parameters, only), anew=True)
    awaits_review = store.has(run.run_id, "sample", step.iteration)
    return store.set_state(run.run_id, RunState.AWAITING_REVIEW) if awaits_review else run


def _classify(notes: Notes, parameters: Parameters, only: Sequence[str] = ()) -> None:
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    prompt = prompt_of(notes.run, store, iteration)
    store.save(run_id, "prompt", prompt.to_yaml(), iteration)
    predictions, processing = classification.classify_items(notes, prompt, parameters, only)
    if only:
        predictions = repeating.merged(store.load(run_id, "predictions", iteration), predictions)
        failed = int((predictions["status"] == Status.FAILED).sum())
        processing = repeating.summed(store.load(run_id, "metrics", iteration)["processing"], processing, failed)
    predictions, judge = classification.ask_second_opinion(notes, prompt, parameters, predictions)
    store.save(run_id, "predictions", predictions, iteration)
    measure(notes, {"processing": processing, "judge": judge})
    if store.has(run_id, "sample", iteration) and store.validations(run_id, iteration).empty:
        _refresh_sample(notes, predictions)
    notes.facts["prompt"] = prompt.fingerprint


def _refresh_sample(notes: Notes, predictions: pd.DataFrame) -> None:
    """Show the new answers of a sample that nobody has judged yet; which items it holds stays as it was drawn."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    store.save(run_id, "sample", repeating.merged(store.load(run_id, "sample", iteration), predictions), iteration)
    validation.ask_again(notes.run, store, iteration)
    if store.has(run_id, "review_sheet", iteration):
        validation.write_review_sheets(notes.run, store, iteration)
    if store.has(run_id, "classified"):
        delivery.deliver(notes.run, store, texts_of(store, run_id))


# --- validate -------------------------------------------------------------------------------------------------------


def validate(
    run: Run,
    parameters: Parameters,
    store: RunStore,
    *,
    iteration: int | None = None,
    show: Show = None,
    more: bool = False,
) -> Run:
    """Draw the sample, take the verdicts that there are, and measure; without verdicts the run awaits its review.

    `more` verdicts than it was validated with are taken, and all is measured anew; raises UsageError where the next
    prompt is made from those that there are.
    """
    step = step_of(run, store, "validate", iteration)
    if more and parameters.validate_.verdicts:
        validation.check_more(run, store, step.iteration, parameters.validate_.verdicts)
    return perform(Notes(store, run, step, show), lambda notes: _validate(notes, parameters), anew=more)


def _validate(notes: Notes, parameters: Parameters) -> None:
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    if not store.has(run_id, "sample", iteration):
        validation.draw_sample(notes, parameters)
    faults, told = validation.take_verdicts(notes, parameters.validate_)
    validation.share_pools(store, run_id, iteration)
    validations = store.validations(run_id, iteration)
    judged, sample = validation.judged(store, run_id, iteration), store.load(run_id, "sample", iteration)
    notes.facts.update(sample=len(sample), judged=len(judged), verdicts=len(validations))
    if not judged and (nothing := validation.nothing_to_ask(notes)):
        notes.facts["nothing_to_ask"] = nothing
    notes.waiting = not judged and "nothing_to_ask" not in notes.facts
    if notes.waiting and len(validations):
        told = [*told, "So far only items to look at again have a verdict, and none of the sample."]
    notes.facts["told"] = told
    if not faults and not notes.waiting:
        validation.keep_verdicts(notes)
        measure(notes)
    delivery.deliver(notes.run, store, texts_of(store, run_id))
    if faults:
        raise VerdictError(
            f"{len(validations)} verdicts were taken, {len(faults)} {'was' if len(faults) == 1 else 'were'} not: "
            f"{few([fault.rstrip('.') for fault in faults], FAULTS_SHOWN, '; ')}."
            + "".join(f" {sentence}" for sentence in told),
            hint="correct these rows in the file and run the same command again.",
        )


def refine(
    run: Run, parameters: Parameters, store: RunStore, *, iteration: int | None = None, show: Show = None
) -> Run:
    """Write the next prompt from the verdicts; where there is nothing to learn, it stays as it is, and says so."""
    step = step_of(run, store, "refine", iteration)
    return perform(Notes(store, run, step, show), lambda notes: refining.refine(notes, parameters))


def export_sample(run: Run, store: RunStore, to: str | Path) -> tuple[Path, int]:
    """Write the newest sample as a sheet that a reviewer fills in; gives the path and the number of items.

    Raises UsageError where there is no sample, the file is no .xlsx, or it is there and not an empty sheet;
    StorageError where it cannot be written.
    """
    if Path(to).suffix.lower() != ".xlsx":
        raise UsageError(f"{to} is no .xlsx file.", hint="the sheet has drop-downs, which only a workbook keeps.")
    iteration = newest_iteration(run, store)
    delivery.check_no_input(run, store, [Path(to)])
    validation.check_sheet_free(run, Path(to))
    asked = validation.asked_about(store, run.run_id, iteration)
    validation.write_sheet(run, store, iteration, Path(to), asked)
    return Path(to), len(asked)


def reviewed(run: Run, store: RunStore, iteration: int) -> pd.DataFrame:
    """Give the sample of an iteration in the order of review: item, prediction, and the verdict if there is one."""
    items: pd.DataFrame = store.load(run.run_id, "items")
    verdicts = store.validations(run.run_id, iteration)[["item_id", "is_correct", "corrected_category"]]
    sample: pd.DataFrame = store.load(run.run_id, "sample", iteration)[["item_id", "category", "score", "reason"]]
    return sample.merge(items, on="item_id").merge(verdicts, on="item_id", how="left").set_index("item_id")


def search(run: Run, store: RunStore, query: Query) -> dict[str, Any]:
    """Search the items of a run once; for many searches open a `finding.Finder`."""
    return Finder(run, store).find(query)
