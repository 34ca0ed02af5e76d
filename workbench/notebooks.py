"""The main job: every stage of every iteration, each in its notebook, going on where a run stopped.

The executed copies stay beside the artifacts of their stages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workbench import repeating, stages, validation, workflow
from workbench.errors import Interrupted, VerdictError, WorkbenchError
from workbench.execution import execute
from workbench.parameters import Parameters
from workbench.records import Run, RunState
from workbench.runs import RunStore
from workbench.settings import shipped_folder, shown

NOTEBOOKS = {"ingest": "01_ingest", "classify": "02_classify", "validate": "03_validate", "refine": "04_refine"}
POLL_SECONDS = 0.25

Observe = Callable[[dict[str, Any]], None]
"""Gets one event a time: `stage` (started or done) and `progress`, each with stage and iteration."""


def run_loop(
    parameters: Parameters,
    store: RunStore,
    *,
    run_id: str | None = None,
    resume: bool = False,
    observe: Observe = lambda event: None,
) -> Run:
    """Run every stage of every iteration that is not done yet, up to the end or to a review that people must do.

    Raises:
        RunExists: the run id is taken and `resume` was not asked for.
        RunLocked: another process works on the run.
        WorkbenchError: what stopped a stage; what was done stays.
    """
    run = workflow.start(parameters, store, run_id=run_id, resume=resume)
    observe({"event": "run", "run_id": run.run_id, "folder": shown(run.folder)})
    with store.lock(run.run_id):
        while step := stages.next_step(run, store):
            run = run_stage(run, step, store, observe=observe)
            if run.state == RunState.AWAITING_REVIEW:
                break
        else:
            run = run if run.state == RunState.FINISHED else store.set_state(run.run_id, RunState.FINISHED)
    return run


@contextmanager
def _state_of_outcome(run_id: str, store: RunStore) -> Iterator[None]:
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        store.set_state(run_id, RunState.INTERRUPTED)
        raise
    except VerdictError:
        store.set_state(run_id, RunState.AWAITING_REVIEW)
        raise
    except BaseException:
        store.set_state(run_id, RunState.FAILED)
        raise


def run_stage(
    run: Run,
    step: stages.Step,
    store: RunStore,
    *,
    observe: Observe = lambda event: None,
    extra: dict[str, Any] | None = None,
) -> Run:
    """Execute the notebook of one stage; the executed copy stays beside the stage's artifacts.

    Raises UsageError for a step that cannot be done yet. Then, and where there is nothing to do, nothing is touched.
    """
    where = {"stage": step.stage, "iteration": step.iteration}
    if not _is_to_do(run, step, store, extra or {}):
        observe({"event": "stage", "state": "unchanged", **where})
        return run
    output = store.path(run.run_id, f"notebook_{step.stage}", step.iteration)
    output.parent.mkdir(parents=True, exist_ok=True)
    parameters = {"run_id": run.run_id, **({"iteration": step.iteration} if step.iteration else {}), **(extra or {})}
    observe({"event": "stage", "state": "started", **where})
    started = time.monotonic()
    store.set_state(run.run_id, RunState.RUNNING)
    with _state_of_outcome(run.run_id, store), _progress_observed(run.run_id, step, store, observe):
        try:
            execute(notebook_path(NOTEBOOKS[step.stage]), output, parameters)
        finally:
            if output.is_file():
                store.record(run.run_id, f"notebook_{step.stage}", step.iteration)
    seconds = round(time.monotonic() - started, 1)
    last = store.progress(run.run_id) or {}
    detail = last["detail"] if (last.get("stage"), last.get("iteration")) == (step.stage, step.iteration) else None
    observe({"event": "stage", "state": "done", "seconds": seconds, "detail": detail, **where})
    return store.get(run.run_id)


def _is_to_do(run: Run, step: stages.Step, store: RunStore, extra: dict[str, Any]) -> bool:
    """Say whether a step has something to do; raises UsageError where it cannot be done."""
    is_done = stages.is_done(run, store, step)
    if not is_done:
        stages.check_step(run, store, step)
    elif extra.get("verdicts"):
        validation.check_more(run, store, step.iteration, extra["verdicts"])
        return True
    again = repeating.Again(extra.get("failed", False), extra.get("forget", ()))
    asked = repeating.asked(run, store, step, again) if again else None
    return bool(asked) if is_done else True


@contextmanager
def _progress_observed(run_id: str, step: stages.Step, store: RunStore, observe: Observe) -> Iterator[None]:
    """Follow what the kernel writes about its progress into the store."""
    over = threading.Event()

    def follow() -> None:
        now = None
        while not over.wait(POLL_SECONDS):
            with suppress(WorkbenchError):  # the stage itself says that the database is away
                last, now = now, store.progress(run_id)
                if now and now != last and (now["stage"], now["iteration"]) == (step.stage, step.iteration):
                    observe({"event": "progress", **now})

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def notebook_path(name: str) -> Path:
    """Find a shipped notebook, in the checkout or inside the installed wheel."""
    return shipped_folder() / "notebooks" / f"{name}.ipynb"
