"""What a stage is: a step of the loop with a record, done once, under the run's lock.

A finished stage is not done twice: called again, it gives the run back as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from workbench import tracking
from workbench.deadlines import time_limited
from workbench.errors import UsageError, WorkbenchError
from workbench.parameters import Parameters, parse_parameters
from workbench.records import Run, RunState
from workbench.runs import RunStore

STAGES = ("ingest", "classify", "validate", "refine")

LOCK_WAIT = 15
"""Seconds to wait for a kernel of a killed process to be gone."""

Show = Callable[[str], None] | None


@dataclass(frozen=True)
class Step:
    """One stage of one iteration; ingest belongs to iteration 0."""

    stage: str
    iteration: int = 0

    @property
    def title(self) -> str:
        """Name it as people would."""
        return f"{self.stage} of iteration {self.iteration}" if self.iteration else self.stage


@dataclass
class Notes:
    """What a stage wants remembered: the facts of its record, and how far it is."""

    store: RunStore
    run: Run
    step: Step
    show: Show
    facts: dict[str, Any] = field(default_factory=dict)
    waiting: bool = False
    """The stage cannot go on without people."""
    tracker: tracking.Tracker = field(default_factory=tracking.NoTracker)
    """Who else is told the numbers."""

    def progress(self, done: int, total: int | None, detail: str, files: tuple[int, int] | None = None) -> None:
        """Tell how far the stage is, to the store (for other processes) and to whoever looks on."""
        where = (self.run.run_id, self.step.stage, self.step.iteration)
        self.store.set_progress(*where, done, total, detail, files=files)
        if self.show:
            self.show(detail)


def parameters_of(run: Run) -> Parameters:
    """Read a run's own parameters back."""
    return parse_parameters(run.parameters, f"run {run.run_id}")


def next_step(run: Run, store: RunStore) -> Step | None:
    """Say what a run needs next; null when its iterations are all done."""
    if not store.stage_done(run.run_id, "ingest"):
        return Step("ingest")
    last = parameters_of(run).run.iterations
    for iteration in range(1, last + 1):
        for stage in ("classify", "validate") if iteration == last else STAGES[1:]:
            if not store.stage_done(run.run_id, stage, iteration):
                return Step(stage, iteration)
    return None


def step_of(run: Run, store: RunStore, stage: str, iteration: int | None = None) -> Step:
    """Name the step that a stage would do now: of the given iteration, or of the first that lacks it."""
    if stage == "ingest":
        return Step(stage)
    return Step(stage, due(run, store, stage) if iteration is None else iteration)


def due(run: Run, store: RunStore, stage: str) -> int:
    """Find the first iteration that lacks a stage; the last one where none does."""
    last = parameters_of(run).run.iterations
    return next((k for k in range(1, last + 1) if not store.stage_done(run.run_id, stage, k)), last)


def is_done(run: Run, store: RunStore, step: Step) -> bool:
    """Say whether a step is done, with all that it wrote."""
    return store.stage_done(run.run_id, step.stage, step.iteration)


def _needs(step: Step) -> Step | None:
    """Name the step that comes before."""
    if step.stage == "ingest":
        return None
    if step.stage == "classify":
        return Step("refine", step.iteration - 1) if step.iteration > 1 else Step("ingest")
    return Step(STAGES[STAGES.index(step.stage) - 1], step.iteration)


def check_step(run: Run, store: RunStore, step: Step) -> None:
    """Refuse an iteration that the run does not have, and a step that lacks what it needs; raises UsageError."""
    last = parameters_of(run).run.iterations
    if step.stage != "ingest" and not 1 <= step.iteration <= last:
        raise UsageError(
            f"run {run.run_id!r} has no iteration {step.iteration}.",
            hint=f"it has {'one' if last == 1 else f'1 to {last}'}; --set run.iterations=N changes how many.",
        )
    needed = _needs(step)
    if needed and not is_done(run, store, needed):
        raise UsageError(
            f"{step.title} needs {needed.title} first.",
            hint=f"run `workbench {needed.stage} PARAMETERS.yaml --run-id {run.run_id}`.",
        )


def _state_after(notes: Notes) -> RunState:
    if notes.waiting:
        return RunState.AWAITING_REVIEW
    return RunState.PAUSED if next_step(notes.run, notes.store) else RunState.FINISHED


@contextmanager
def _tracked(notes: Notes) -> Iterator[None]:
    """Tell the numbers of the stage to the tracker that the run names."""
    store, step, parameters = notes.store, notes.step, parameters_of(notes.run)
    config = parameters.classify.model_dump(include={"provider", "model", "chunk_size"})
    config |= {"concurrency_limit": parameters.classify.concurrency, "seed": parameters.run.seed}
    subject = tracking.Subject(notes.run.run_id, step.stage, step.iteration, config, store.folder)
    notes.tracker = tracking.Background(parameters.run.tracker, subject, store.log(notes.run.run_id))
    try:
        yield
    except BaseException:
        notes.tracker.finish(failed=True)
        raise
    notes.tracker.finish()
    if notes.tracker.where:
        notes.facts["tracked"] = notes.tracker.where


def perform(notes: Notes, work: Callable[[Notes], None], *, anew: bool = False) -> Run:
    """Do one stage under the run's lock and record that it started and ended.

    A stage that is done stays as it is, unless it is to be done `anew`.
    """
    store, step, run_id = notes.store, notes.step, notes.run.run_id
    if not anew and is_done(notes.run, store, step):
        return store.get(run_id)
    check_step(notes.run, store, step)
    log, where = store.log(run_id), {"stage": step.stage, "iteration": step.iteration}
    with store.lock(run_id, name="stage", wait_seconds=LOCK_WAIT):
        store.start_stage(run_id, step.stage, step.iteration)
        log.info("started", extra=where)
        try:
            limit = parameters_of(notes.run).run.time_limit
            with time_limited(step.title, limit.soft, limit.hard, log), _tracked(notes):
                work(notes)
        except WorkbenchError as error:
            log.error(str(error), extra=where)
            raise
        note = store.start_stage if notes.waiting else store.finish_stage
        note(run_id, step.stage, step.iteration, facts=notes.facts)
        store.set_state(run_id, _state_after(notes))
        log.info("waiting for verdicts" if notes.waiting else "done", extra={**where, "facts": notes.facts})
    return store.get(run_id)
