"""Experiment tracking: the numbers of a run, told to Weights & Biases or MLflow as they come about.

Every stage that has something to tell becomes one run of the tracker, grouped by the workbench's run id. The tracker
works in a thread of its own, so that a slow one does not slow a run down, and one that breaks down does not stop it.
The metric names under `llm/` and `baseline/` are those of the classification service that came before.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import netrc
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import MissingExtra, install
from workbench.registry import Registry

PROJECT = "datainspector"
"""The name of the project (W&B) or experiment (MLflow) where the environment names none."""

FINISH_SECONDS = 30.0
"""How long the end of a stage waits for a tracker to send what it has."""

Metrics = Mapping[str, float | bool]


class Tracker(Protocol):
    """Where numbers go."""

    @property
    def where(self) -> str | None:
        """The place where they can be looked at; null as long as there is none."""
        ...

    def log(self, metrics: Metrics) -> None:
        """Take numbers that belong to one moment."""
        ...

    def finish(self, failed: bool = False) -> None:
        """End it; nothing is logged afterwards."""
        ...


@dataclass(frozen=True)
class Subject:
    """What is tracked: one stage of one iteration of a run."""

    run_id: str
    stage: str
    iteration: int
    config: Mapping[str, str | int | float | None]
    folder: Path
    """The folder of the runs, for trackers that keep files."""

    @property
    def title(self) -> str:
        """The name that a tracker shows."""
        return f"{self.run_id} · {self.stage} {self.iteration}" if self.iteration else f"{self.run_id} · {self.stage}"


class CallLike(Protocol):
    """How a call to the classifier went, whoever says so."""

    @property
    def items(self) -> int: ...  # noqa: D102
    @property
    def tokens(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def good(self) -> bool: ...  # noqa: D102


# --- what is told


def chunk_metrics(call: CallLike) -> Metrics:
    """Give the numbers of one call."""
    return {
        "llm/chunk_size": call.items,
        "llm/chunk_tokens_used": call.tokens,
        "llm/chunk_processing_time": call.seconds,
        "llm/chunk_success": call.good,
        "llm/throughput_items_per_sec": call.items / max(call.seconds, 1e-9),
    }


def overall_metrics(processing: Mapping[str, Any], concurrency: int, good_calls: int) -> Metrics:
    """Give the numbers of one classification; `processing` is what the classifier says of it.

    `llm/chunk_success_rate` is the share of all calls (from 0 to 1) in whose answer no item was missing or invalid.
    """
    more = {f"llm/{name}": processing[name] for name in ("cost_usd", "cached", "retried", "failed")}
    calls = processing["calls"]
    return known(
        {
            "llm/total_processing_time": processing["seconds"],
            "llm/total_tokens_used": processing["tokens"],
            "llm/overall_throughput": processing["items_per_second"],
            "llm/chunk_success_rate": good_calls / calls if calls else None,
            "llm/parallel_processing": concurrency > 1,
            **more,
        }
    )


def iteration_metrics(measured: Mapping[str, Any], iteration: int) -> Metrics:
    """Give the numbers of an iteration from its metrics.json; those of the first are the baseline, too.

    Accuracy is there after a review only.
    """
    accuracy = measured["accuracy"] or {}
    scores = {
        "accuracy": accuracy.get("estimate"),
        "accuracy_low": accuracy.get("low"),
        "accuracy_high": accuracy.get("high"),
        "reviewed": accuracy.get("n"),
        "ambiguous_rate": measured["ambiguous_rate"],
        "confident_share": measured["confident_share"],
    }
    counts = {
        f"category_distribution/{name.replace('/', ' ')}": count for name, count in measured["category_counts"].items()
    }
    groups = ["iteration", "baseline"] if iteration == 1 else ["iteration"]
    named = {f"{group}/{name}": value for group in groups for name, value in {**scores, **counts}.items()}
    return known({"iteration/number": iteration, **named})


def known(values: Mapping[str, Any]) -> Metrics:
    """Leave out what is not known: None, NaN and infinite numbers.

    >>> known({"a": 1, "b": None, "c": float("nan"), "d": True})
    {'a': 1, 'd': True}
    """
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


# --- who is told


class NoTracker:
    """Tells nobody."""

    where = None

    def log(self, metrics: Metrics) -> None:
        """Forget the numbers."""

    def finish(self, failed: bool = False) -> None:
        """Do nothing."""


class WandbTracker:
    """Weights & Biases; without a key it writes to `wandb/` in the runs folder, for `wandb sync`.

    `WANDB_API_KEY`, `WANDB_PROJECT`, `WANDB_ENTITY` and `WANDB_MODE` are read.
    """

    def __init__(self, subject: Subject) -> None:
        """Begin a run."""
        import wandb

        silent = {"silent": True, "console": "off", "disable_git": True, "save_code": False, "x_disable_stats": True}
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=subject.title,
            group=subject.run_id,
            job_type=subject.stage,
            config={"run_id": subject.run_id, "iteration": subject.iteration, **subject.config},
            dir=str(subject.folder),
            mode=_wandb_mode(),  # type: ignore[arg-type]
            settings=wandb.Settings(**silent),  # type: ignore[arg-type]
        )
        self.where: str | None = str(Path(self._run.dir).parent) if self._run.offline else self._run.url

    def log(self, metrics: Metrics) -> None:
        """Send one row of its history."""
        self._run.log(dict(metrics))

    def finish(self, failed: bool = False) -> None:
        """Send what is left."""
        self._run.finish(exit_code=int(failed))


def _wandb_mode() -> str:
    """`WANDB_MODE`, or online where there is a key; `wandb login` leaves it in the netrc file."""
    has_key = bool(os.environ.get("WANDB_API_KEY"))
    with suppress(OSError, netrc.NetrcParseError):
        has_key = has_key or bool(netrc.netrc().authenticators("api.wandb.ai"))
    return os.environ.get("WANDB_MODE") or ("online" if has_key else "offline")


class MlflowTracker:
    """MLflow, at `MLFLOW_TRACKING_URI` or in files in `mlruns/` of the runs folder; reads `MLFLOW_EXPERIMENT_NAME`."""

    def __init__(self, subject: Subject) -> None:
        """Begin a run."""
        self._client, address = _mlflow(subject.folder)
        from mlflow.entities import Metric, Param

        self._metric = Metric
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        self.experiment = found.experiment_id if found else self._client.create_experiment(name)
        tags = {"run_id": subject.run_id, "stage": subject.stage, "iteration": str(subject.iteration)}
        self._id = self._client.create_run(self.experiment, tags=tags, run_name=subject.title).info.run_id
        config = [Param(key, str(value)) for key, value in subject.config.items()]
        self._client.log_batch(self._id, params=config)
        self._step = 0
        self.where: str | None = f"{address}, experiment {name!r}"

    def log(self, metrics: Metrics) -> None:
        """Send numbers; of other characters than MLflow takes in a name, it gets an underscore."""
        time_ms = int(time.time() * 1000)
        batch = [self._metric(_mlflow_name(name), float(value), time_ms, self._step) for name, value in metrics.items()]
        self._client.log_batch(self._id, metrics=batch)
        self._step += 1

    def finish(self, failed: bool = False) -> None:
        """Say how it ended."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


def _mlflow(folder: Path) -> tuple[Any, str]:
    """Give MLflow's client and its address."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or (folder / "mlruns").as_uri()
    if address.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # the small package has no other local store
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=address), address


def _mlflow_name(name: str) -> str:
    """Give a name that MLflow takes, which is also one of a file.

    >>> _mlflow_name("baseline/Año (2)"), _mlflow_name("baseline/..")
    ('baseline/Año _2_', 'baseline/_')
    """
    return re.sub(r"[^/\w.\- :]|(?<=/)\.+(?=/|$)", "_", name)[:250]


TRACKERS = Registry[Callable[[Subject], Tracker]]("tracker")
"""Name → what begins to track a subject."""

for _name, _tracker in (("none", lambda subject: NoTracker()), ("wandb", WandbTracker), ("mlflow", MlflowTracker)):
    TRACKERS.register(_name, _tracker)


def check(name: str) -> None:
    """Find out whether a tracker can be used; raises NotRegistered or MissingExtra."""
    TRACKERS.get(name)
    if name != "none" and importlib.util.find_spec(name) is None:
        raise MissingExtra(f"the tracker {name!r} is not installed.", hint=install(name))


def look(name: str, folder: Path) -> str:
    """Say where a tracker would send its numbers now; MLflow is asked whether it is there, and raises if not."""
    if name == "wandb":
        project, entity = os.environ.get("WANDB_PROJECT") or PROJECT, os.environ.get("WANDB_ENTITY")
        place = "/".join(part for part in (entity, project) if part)
        return f"wandb, project {place}, {_wandb_mode()}"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    client, address = _mlflow(folder)
    client.search_experiments(max_results=1)
    return f"mlflow, {address}"


class Background:
    """A tracker that works in a thread of its own: begun with the first number, and silent once it has broken down."""

    def __init__(self, name: str, subject: Subject, log: logging.Logger) -> None:
        """Begin nothing yet; faults are written to `log`."""
        self._subject = subject
        self._name = name
        self._where = {"stage": subject.stage, "iteration": subject.iteration}
        self._log = log
        self._queue: queue.SimpleQueue[Metrics | bool] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.where: str | None = None
        self.patience = FINISH_SECONDS

    def log(self, metrics: Metrics) -> None:
        """Take numbers; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
            self._thread.start()
        self._queue.put(metrics)

    def finish(self, failed: bool = False) -> None:
        """Wait, but not for ever, until everything is told."""
        if self._thread is None:
            return
        self._queue.put(failed)
        self._thread.join(self.patience)
        if self._thread.is_alive():
            self._warn(f"it did not finish within {self.patience:.0f} seconds")

    def _work(self) -> None:
        try:
            tracker = TRACKERS.get(self._name)(self._subject)
            self.where = tracker.where
            while isinstance(metrics := self._queue.get(), Mapping):
                tracker.log(metrics)
            tracker.finish(metrics)
        except BaseException as error:  # whatever a foreign library raises, the run goes on
            self.where = None
            self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, fault: str) -> None:
        self._log.warning(
            "the tracker %s broke down, the run goes on without it: %s", self._name, fault, extra=self._where
        )
