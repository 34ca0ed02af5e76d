"""The store: the only door to the runs. A run is a folder of artifacts, and a few rows in the database.

What is queried or changes while people work is in the database; big frames and finished results are files. `run.json`
is the database's export of a run, so that either of the two can be lost without losing the other.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import pandas as pd

from workbench import settings
from workbench.errors import RunNotFound, StorageError, UsageError
from workbench.records import Run, RunState
from workbench.runs import batches
from workbench.runs import manifest as manifests
from workbench.runs.answers import A, Answer, Answers
from workbench.runs.artifacts import sweep
from workbench.runs.catalogue import Level, check_stage, get_artifact, load_value, of_stage, place, save_value
from workbench.runs.database import Database
from workbench.runs.doors import Doors
from workbench.runs.integrity import Checksums
from workbench.runs.listing import list_frame
from workbench.runs.locks import LOCK, STAGE_LOCK, file_lock, worker
from workbench.runs.log import append_record, run_logger
from workbench.runs.parquet import BATCH_ROWS, BatchWriter, batch_writer, read_batches
from workbench.runs.parts import Parts
from workbench.runs.rows import described, row_to_change
from workbench.runs.schemas import Schemas
from workbench.runs.values import now
from workbench.runs.verdicts import to_frame, to_rows

_RUNNING, _FINISHED = "running", "finished"


class ProgressDetails(TypedDict, total=False):
    """What may be said about progress besides the numbers."""

    rate: float | None
    """Items per second."""
    files: tuple[int, int] | None
    """Of an ingest: files that are done, and of how many."""


def open_store(path: str | os.PathLike[str] | None = None) -> RunStore:
    """Open the runs in a folder (default: `settings.runs_folder()`), making it and its database where they are missing.

    Runs whose folder is there but which the database does not know are registered from their `run.json`.
    Raises UsageError where the folder cannot be made, StorageError where the database cannot be used.
    """
    folder = settings.require_folder(settings.runs_folder() if path is None else Path(path)).resolve()
    store = RunStore(folder, Database(settings.database_url(folder)))
    store.register_found()
    return store


class RunStore(Doors):
    """All runs of one folder. Open it with `open_store`; safe to use from several threads and processes."""

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a store that is not closed loses nothing."""
        self._database.close()

    # ---- runs

    def create(self, parameters: Mapping[str, Any], *, run_id: str | None = None, name: str = "run") -> Run:
        """Make a run: its folder, its row and its `run.json`.

        Raises UsageError for an id that cannot name a folder and RunExists for one that is taken.
        """
        run_id = manifests.new_run_id(name, secrets.token_hex(2)) if run_id is None else manifests.check_run_id(run_id)
        time = now()
        row = {"run_id": run_id, "name": name, "state": str(RunState.CREATED), "iteration": 0}
        row |= {"parameters": dict(parameters), "facts": manifests.first_facts(parameters)}
        self._claim(row | {"created_at": time, "updated_at": time})
        self._export(run_id)
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """Find a run; raises RunNotFound with the nearest ids."""
        return self._run(self._row(run_id))

    def exists(self, run_id: str) -> bool:
        """Say whether there is such a run; raises UsageError for an id that no run can have."""
        try:
            self._row(run_id)
        except RunNotFound:
            return False
        return True

    def latest(self) -> Run:
        """Give the run that was made last; raises RunNotFound where there is none."""
        rows = self._rows()
        if not rows:
            raise RunNotFound(f"there is no run in {self.folder}.", hint="start one: workbench run PARAMETERS.yaml.")
        return self._run(rows[0])

    def list(self) -> pd.DataFrame:
        """List the runs, newest first, with the numbers of their newest iteration that has any.

        Columns: `run_id, name, state, iteration, created_at, updated_at, rows, items, accuracy, accuracy_low,
        accuracy_high, confident_share, ambiguous_rate, cost_usd, pinned`; times in UTC, shares from 0 to 1. What is
        unknown is NaN, or None among the whole numbers (rows, items).
        """
        rows = self._rows()
        with self._database.read() as transaction:
            ingests = {stage["run_id"]: stage["facts"] for stage in transaction.rows("stages", stage="ingest")}
        return list_frame(rows, ingests, self.folder)

    def set_state(self, run_id: str, state: RunState) -> Run:
        """Note where a run stands; raises RunNotFound."""
        run = self._set(run_id, state=str(RunState(state)))
        with self._database.write() as transaction:
            batches.stopped(transaction, run_id, run.state)
        return run

    def set_parameters(self, run_id: str, parameters: Mapping[str, Any]) -> Run:
        """Replace the parameters of a run that goes on with others; raises RunNotFound."""
        return self._set(run_id, parameters=dict(parameters))

    # ---- stages

    def stage_done(self, run_id: str, stage: str, iteration: int = 0) -> bool:
        """Say whether a stage is finished and all that it wrote is still there."""
        row = self._stage(run_id, check_stage(stage), iteration)
        return bool(
            row
            and row["state"] == _FINISHED
            and all(self.has(run_id, name, iteration or None) for name in row["artifacts"])
        )

    def start_stage(self, run_id: str, stage: str, iteration: int = 0, facts: Mapping[str, Any] | None = None) -> None:
        """Note that a stage begins (again), or waits, with `facts`; a new iteration becomes the run's; RunNotFound."""
        self._row(run_id)
        row = {"run_id": run_id, "stage": check_stage(stage), "iteration": iteration, "state": _RUNNING}
        row |= {"started_at": now(), "finished_at": None, "facts": dict(facts or {}), "artifacts": []}
        with self._database.write() as transaction:
            run = row_to_change(transaction, run_id)
            current = max(run["iteration"], iteration)
            if stage == "ingest":
                batches.started(transaction, run)
            transaction.upsert("stages", [row])
            transaction.update("runs", {"iteration": current, "updated_at": now()}, run_id=run_id)
        self._export(run_id)

    def finish_stage(self, run_id: str, stage: str, iteration: int = 0, facts: Mapping[str, Any] | None = None) -> None:
        """Note that a stage is done, after all its artifacts are written; `facts` are kept with it.

        Raises StorageError where an artifact that the stage must write is missing, RunNotFound.
        """
        row = self._stage(run_id, check_stage(stage), iteration)
        written = {artifact: self.has(run_id, artifact.name, iteration or None) for artifact in of_stage(stage)}
        if missing := [artifact.file for artifact, there in written.items() if artifact.needed and not there]:
            raise StorageError(f"{stage} of run {run_id!r} is not done: {', '.join(missing)} is missing.")
        time = now()
        row = {"run_id": run_id, "stage": stage, "iteration": iteration, "started_at": time, **(row or {})}
        row |= {"state": _FINISHED, "finished_at": time, "facts": dict(facts or {})}
        row["artifacts"] = [artifact.name for artifact, there in written.items() if there]
        with self._database.write() as transaction:
            transaction.upsert("stages", [row])
            transaction.update("runs", {"updated_at": time}, run_id=run_id)
            if stage == "ingest":
                batches.finished(transaction, row_to_change(transaction, run_id), row["facts"])
        self._export(run_id)

    def stages(self, run_id: str) -> pd.DataFrame:
        """List the stages, oldest first: `stage, iteration, state, started_at, finished_at, seconds, facts`."""
        self._row(run_id)
        with self._database.read() as transaction:
            return manifests.stage_frame(transaction.rows("stages", run_id=run_id))

    def facts(self, run_id: str, stage: str, iteration: int = 0) -> dict[str, Any]:
        """Give what a stage left on record when it was done or began to wait; empty where it has done neither."""
        row = self._stage(run_id, check_stage(stage), iteration)
        return dict(row["facts"]) if row else {}

    # ---- artifacts

    def path(self, run_id: str, name: str, iteration: int | None = None) -> Path:
        """Say where an artifact lies, written or not; without an iteration, that of the run's current one.

        Raises RunNotFound, UsageError for an unknown artifact, StorageError where no iteration has begun.
        """
        artifact = get_artifact(name)
        if artifact.level is not Level.ITERATION:
            return self._folder(run_id) / place(artifact, 0)
        if iteration is None and not (iteration := self.get(run_id).iteration):
            raise StorageError(f"run {run_id!r} has no iteration yet.", hint="the classify stage begins the first.")
        return self._folder(run_id) / place(artifact, iteration)

    def has(self, run_id: str, name: str, iteration: int | None = None) -> bool:
        """Say whether an artifact is there."""
        try:
            return self.path(run_id, name, iteration).is_file()
        except StorageError:
            return False

    def newest(self, run_id: str, name: str) -> int | None:
        """Give the last iteration that has an artifact, or None where none has it."""
        last = self.get(run_id).iteration
        return next((number for number in range(last, 0, -1) if self.has(run_id, name, number)), None)

    def save(self, run_id: str, name: str, value: Any, iteration: int | None = None) -> Path:
        """Write an artifact whole: a frame, a dict or list, or text, as its file asks; gives its path."""
        path = self.path(run_id, name, iteration)
        save_value(path, value)
        self.record(run_id, name, iteration)
        return path

    def record(self, run_id: str, name: str, iteration: int | None = None) -> None:
        """Remember an artifact that something else than `save` wrote, so that `verify` knows it, in a copy too."""
        Checksums(self._database).record(self._folder(run_id), self.path(run_id, name, iteration))
        self._export(run_id)

    def append(self, run_id: str, name: str, record: dict[str, Any], iteration: int | None = None) -> None:
        """Add a record to an artifact of JSON lines, as it comes; secrets are blotted out. Raises StorageError."""
        append_record(self.path(run_id, name, iteration), record)

    def load(
        self, run_id: str, name: str, iteration: int | None = None, *, columns: Sequence[str] | None = None
    ) -> Any:
        """Read an artifact: a frame (or some of its columns), a dict or list, or text.

        Raises StorageError, which says what writes the artifact, where it is missing.
        """
        return load_value(self._existing(run_id, name, iteration), columns)

    def batches(
        self,
        run_id: str,
        name: str,
        iteration: int | None = None,
        columns: Sequence[str] | None = None,
        rows: int = BATCH_ROWS,
    ) -> Iterator[pd.DataFrame]:
        """Read a table in parts of at most `rows` rows, in order; raises as `load` does."""
        return read_batches(_table(self._existing(run_id, name, iteration)), columns, rows)

    @contextmanager
    def writer(self, run_id: str, name: str, iteration: int | None = None) -> Iterator[BatchWriter]:
        """Write a table batch by batch: it appears when the block ends well, and vanishes when it does not."""
        with batch_writer(_table(self.path(run_id, name, iteration))) as writer:
            yield writer
        self.record(run_id, name, iteration)

    def parts(self, settings: str) -> Parts:
        """Give the prepared parts of inputs that runs share, made with settings of this fingerprint."""
        return Parts(self.folder / ".cache" / "parts", settings)

    # ---- validations, answers, progress

    def add_validations(self, run_id: str, frame: pd.DataFrame) -> int:
        """Keep verdicts, all or none; one by the same reviewer on the same item in the same iteration replaces.

        Takes `records.VALIDATION_COLUMNS` and gives how many were kept. Raises VerdictError, ColumnNotFound,
        RunNotFound.
        """
        self._row(run_id)
        rows = [{"run_id": run_id, **row} for row in to_rows(frame)]
        with self._database.write() as transaction:
            transaction.upsert("validations", rows)
        return len(rows)

    def validations(self, run_id: str, iteration: int | None = None) -> pd.DataFrame:
        """Give the verdicts of a run, or of one iteration: by iteration, time, item and reviewer."""
        self._row(run_id)
        where = {"run_id": run_id} | ({} if iteration is None else {"iteration": iteration})
        with self._database.read() as transaction:
            return to_frame(transaction.rows("validations", **where))

    @overload
    def answers(self) -> Answers[Answer]: ...
    @overload
    def answers(self, make: Callable[..., A], since: str = "") -> Answers[A]: ...
    def answers(self, make: Callable[..., Any] = Answer, since: str = "") -> Answers[Any]:
        """Give the kept answers of all runs, or those since a moment, as `make(key=…, category=…, reason=…, …)`."""
        return Answers(self._database, make, since)

    def schema_cache(self) -> Schemas:
        """Give the kept descriptions of files, for `readers.inspect_sources`."""
        return Schemas(self._database)

    def set_progress(
        self,
        run_id: str,
        stage: str,
        iteration: int,
        done: int,
        total: int | None,
        detail: str = "",
        **more: Unpack[ProgressDetails],
    ) -> None:
        """Note how far a stage is, for others to see; `rate` is in items per second, `total` may be unknown."""
        row = {"run_id": run_id, "stage": check_stage(stage), "iteration": iteration, "done": done, "total": total}
        self._folder(run_id)
        row |= {"detail": detail, "rate": more.get("rate"), "updated_at": now()}
        with self._database.write() as transaction:
            transaction.upsert("progress", [row])
            if stage == "ingest":
                batches.progressed(transaction, row, more.get("files"))

    def progress(self, run_id: str) -> dict[str, Any] | None:
        """Say how far a run is: `stage, iteration, done, total, detail, rate, updated_at`; None if nobody said."""
        self._folder(run_id)
        with self._database.read() as transaction:
            rows = transaction.rows("progress", run_id=run_id)
        return {name: value for name, value in rows[0].items() if name != "run_id"} if rows else None

    # ---- locks, log, manifest

    @contextmanager
    def lock(self, run_id: str, *, name: str = "run", wait_seconds: float = 0) -> Iterator[None]:
        """Be the only process that works on a run, or that holds another named lock of it.

        Taking the run's own lock sweeps away what killed processes left half-written. Raises RunLocked.
        """
        folder = self._folder(run_id)
        path = folder / (LOCK if name == "run" else f".{name}{LOCK}")
        what = f"run {run_id!r}" if name == "run" else f"the {name} lock of run {run_id!r}"
        with file_lock(path, what, wait_seconds) as first:
            if first and name == "run":
                sweep(folder)
            yield

    def worker(self, run_id: str) -> int | None:
        """Give the process on this machine that works on a run, or on one of its stages alone; None if nobody does."""
        folder = self._folder(run_id)
        return worker(folder / LOCK) or worker(folder / STAGE_LOCK)

    def log(self, run_id: str) -> logging.Logger:
        """Give the logger `workbench.run.<run_id>`, which writes `run.log` in the run's folder as JSON lines."""
        return run_logger(run_id, self._folder(run_id))

    def update_manifest(self, run_id: str, **facts: Any) -> dict[str, Any]:
        """Add facts to the run's `run.json`: mappings are merged, everything else is replaced; gives its content.

        Raises UsageError for what the store itself keeps (state, stages, parameters …), RunNotFound.
        """
        if taken := [name for name in facts if name in manifests.LIVE]:
            raise UsageError(f"{taken[0]!r} is kept by the store.", hint="use set_state, start_stage or finish_stage.")
        self._row(run_id)
        with self._database.write() as transaction:
            merged = manifests.merge(row_to_change(transaction, run_id)["facts"], facts)
            values = {"facts": merged, "updated_at": now()}
            transaction.update("runs", values, run_id=run_id)
        return self._export(run_id)

    def manifest(self, run_id: str) -> dict[str, Any]:
        """Give what `run.json` holds, from the database; raises RunNotFound."""
        self._row(run_id)
        with self._database.read() as transaction:
            return described(transaction, run_id)

    def _set(self, run_id: str, **values: Any) -> Run:
        self._row(run_id)
        with self._database.write() as transaction:
            transaction.update("runs", {**values, "updated_at": now()}, run_id=run_id)
        self._export(run_id)
        return self.get(run_id)

    def _run(self, row: Mapping[str, Any]) -> Run:
        created_at = datetime.fromisoformat(row["created_at"])
        state, folder = RunState(row["state"]), self.folder / row["run_id"]
        return Run(row["run_id"], row["name"], state, row["iteration"], row["parameters"], created_at, folder)

    def _existing(self, run_id: str, name: str, iteration: int | None) -> Path:
        path = self.path(run_id, name, iteration)
        if path.is_file():
            return path
        raise StorageError(
            f"run {run_id!r} has no {path.relative_to(self.folder / run_id).as_posix()}.",
            hint=f"the {get_artifact(name).stage} stage writes it.",
        )

    def _stage(self, run_id: str, stage: str, iteration: int) -> dict[str, Any] | None:
        self._row(run_id)
        with self._database.read() as transaction:
            rows = transaction.rows("stages", run_id=run_id, stage=stage, iteration=iteration)
        return rows[0] if rows else None


def _table(path: Path) -> Path:
    if path.suffix != ".parquet":
        raise UsageError(f"{path.name} does not come in batches.", hint="use save and load.")
    return path
