"""The list of runs as people read it: one line per run, with the numbers of its newest iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import StorageError
from workbench.runs.artifacts import read_json
from workbench.runs.catalogue import get_artifact, place

_TYPES = {
    "run_id": "str",
    "name": "str",
    "state": "str",
    "iteration": "int64",
    "created_at": "datetime64[us, UTC]",
    "updated_at": "datetime64[us, UTC]",
    "rows": "object",
    "items": "object",
    "accuracy": "float64",
    "accuracy_low": "float64",
    "accuracy_high": "float64",
    "confident_share": "float64",
    "ambiguous_rate": "float64",
    "cost_usd": "float64",
    "pinned": "bool",
}


def list_frame(
    runs: Sequence[Mapping[str, Any]], ingests: Mapping[str, Mapping[str, Any]], folder: Path
) -> pd.DataFrame:
    """Give one line per run in the given order; `ingests` holds the facts of their ingest stages, by run."""
    lines = [_line(run, ingests.get(run["run_id"], {}), folder / run["run_id"]) for run in runs]
    frame = pd.DataFrame(lines, columns=list(_TYPES), dtype="object")
    times = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601") for name in ("created_at", "updated_at")}
    return frame.assign(**times).astype(_TYPES)


def _line(run: Mapping[str, Any], ingest: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    metrics = _newest_metrics(folder, run["iteration"])
    line = {name: run[name] for name in ("run_id", "name", "state", "iteration", "created_at", "updated_at")}
    read = {"rows": ingest.get("rows"), "items": ingest.get("deduplicated_rows")}
    counts = {name: _number(metrics.get(name, read[name])) for name in read}
    shares = {name: _number(metrics.get(name)) for name in ("confident_share", "ambiguous_rate")}
    more = {"cost_usd": _cost(folder, run["iteration"]), "pinned": bool(run["facts"].get("pinned"))}
    return {**line, **counts, **shares, **_accuracy(metrics.get("accuracy")), **more}


def _cost(folder: Path, iteration: int) -> float | None:
    """Sum what the iterations have cost, in US dollars; None where no price was known."""
    costs = []
    for number in range(1, iteration + 1):
        path = folder / place(get_artifact("spending"), number)
        with suppress(StorageError, KeyError, TypeError):
            costs += [float(read_json(path)["cost_usd"])] if path.is_file() else []
    return sum(costs) if costs else None


def _accuracy(accuracy: Any) -> dict[str, float | None]:
    interval = accuracy if isinstance(accuracy, Mapping) else {"estimate": accuracy}
    names = {"accuracy": "estimate", "accuracy_low": "low", "accuracy_high": "high"}
    return {name: _number(interval.get(key)) for name, key in names.items()}


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _newest_metrics(folder: Path, iteration: int) -> dict[str, Any]:
    """Read the metrics of the newest iteration that has any; a file that cannot be read does not hide the run."""
    for number in range(iteration, 0, -1):
        path = folder / place(get_artifact("metrics"), number)
        if path.is_file():
            try:
                content = read_json(path)
            except StorageError:
                return {}
            return content if isinstance(content, dict) else {}
    return {}
