"""`run.json`: what a run was made of and how it went; the database's export, from which the database can be rebuilt."""

from __future__ import annotations

import logging
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import workbench
from workbench.errors import StorageError, UsageError, WorkbenchError
from workbench.records import RunState
from workbench.runs.artifacts import read_json
from workbench.runs.integrity import rows_of
from workbench.runs.parquet import read_parquet
from workbench.runs.values import now
from workbench.runs.verdicts import to_rows

FILE = "run.json"

LIVE = ("run_id", "name", "state", "iteration", "created_at", "updated_at", "parameters", "stages", "files")
"""What the store itself keeps; everything else in the file is a fact that somebody told it."""

_PACKAGES = ("pandas", "pyarrow", "scikit-learn")
_RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9_-])?")


class Kept(NamedTuple):
    """What a run's folder tells about it, as rows of the tables."""

    run: dict[str, Any]
    stages: list[dict[str, Any]]
    validations: list[dict[str, Any]]
    files: list[dict[str, Any]]


def check_run_id(run_id: str) -> str:
    """Give the id back; raises UsageError where it cannot name a folder.

    >>> check_run_id("expenses-2026.1")
    'expenses-2026.1'
    """
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"{run_id!r} cannot be a run id.",
            hint="use up to 120 letters, digits, dots, hyphens and underscores, with a letter or digit in front.",
        )
    return run_id


def first_facts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give the facts that are known when a run is made."""
    section = parameters.get("run")
    seed = section.get("seed") if isinstance(section, Mapping) else None
    facts: dict[str, Any] = {"seed": seed, "versions": versions(), "inputs": [], "prompts": [], "lineage": {}}
    return facts | {"working_folder": str(Path.cwd())}  # from which relative paths among the parameters count


def versions() -> dict[str, str | None]:
    """Give the versions of what computes: the workbench, Python and the libraries that results depend on."""
    found = {"workbench": workbench.__version__, "python": platform.python_version()}
    return {**found, **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def merge(facts: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Add news to facts: mappings are merged, everything else is replaced.

    >>> merge({"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"y": 3}, "b": [2]})
    {'a': {'x': 1, 'y': 3}, 'b': [2]}
    """
    merged = dict(facts)
    for name, value in news.items():
        old = merged.get(name)
        merged[name] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def describe(
    run: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Give the content of `run.json` from the rows of the tables; `files` are the checksums of its files."""
    live = {name: run[name] for name in LIVE if name not in ("stages", "files")}
    by_path = sorted(files, key=lambda file: str(file["path"]))
    return {**live, **run["facts"], "stages": _without_run_id(in_order(stages)), "files": _without_run_id(by_path)}


def _without_run_id(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "run_id"} for row in rows]


def in_order(stages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort stages by the time they began."""
    return sorted(stages, key=lambda stage: (stage["started_at"], stage["iteration"], stage["stage"]))


def read_kept(folder: Path) -> Kept:
    """Read what a run's folder tells about it: `run.json` and the validations of its iterations.

    The folder's name is the run's id, even if the folder was renamed. Raises StorageError.
    """
    path = folder / FILE
    content = read_json(path)
    try:
        run = _run_row(folder.name, content)
        stages = [_stage_row(folder.name, stage) for stage in content.get("stages", [])]
        files = rows_of(folder.name, content.get("files", []))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} does not describe a run ({error}).", hint="it was changed by hand.") from None
    return Kept(run, stages, [{"run_id": folder.name, **row} for row in _read_validations(folder)], files)


def _read_validations(folder: Path) -> list[dict[str, Any]]:
    """Read the exported verdicts; a file that cannot be read is warned about, and does not hide the run."""
    rows: list[dict[str, Any]] = []
    for file in sorted(folder.glob("iteration_*/validations.parquet")):
        try:
            rows += to_rows(read_parquet(file))
        except WorkbenchError as error:
            logging.getLogger("workbench.runs").warning("the verdicts of %s are not taken: %s", file, error)
    return rows


def _run_row(run_id: str, content: dict[str, Any]) -> dict[str, Any]:
    created_at = _utc(content["created_at"])
    state = RunState(content.get("state", RunState.INTERRUPTED))
    return {
        "run_id": run_id,
        "name": str(content.get("name", run_id)),
        # Whoever was at work is not at work here.
        "state": str(RunState.INTERRUPTED if state is RunState.RUNNING else state),
        "iteration": int(content.get("iteration", 0)),
        "parameters": dict(content["parameters"]),
        "facts": {name: value for name, value in content.items() if name not in LIVE},
        "created_at": created_at,
        "updated_at": _utc(content.get("updated_at") or created_at),
    }


def _stage_row(run_id: str, stage: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "stage": str(stage["stage"]),
        "iteration": int(stage["iteration"]),
        "state": str(stage["state"]),
        "started_at": _utc(stage["started_at"]),
        "finished_at": _utc(stage["finished_at"]) if stage.get("finished_at") else None,
        "facts": dict(stage.get("facts", {})),
        "artifacts": list(stage.get("artifacts", [])),
    }


def _utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).isoformat(timespec="microseconds")


def stage_frame(stages: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Give stages as a frame: `stage, iteration, state, started_at, finished_at, seconds, facts`, oldest first."""
    names = ["stage", "iteration", "state", "started_at", "finished_at", "facts"]
    frame = pd.DataFrame([{name: stage[name] for name in names} for stage in in_order(stages)], columns=names)
    times = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("us") for name in names[3:5]}
    frame = frame.astype({"stage": "str", "iteration": "int64", "state": "str", "facts": "object"}).assign(**times)
    frame.insert(5, "seconds", (frame["finished_at"] - frame["started_at"]).dt.total_seconds())
    return frame


def new_run_id(name: str, random: str) -> str:
    """Make up a run id from a name, the time (UTC) and four random characters."""
    start = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:90] or "run"
    return f"{start}-{now()[:19].replace('-', '').replace(':', '').replace('T', '-')}-{random}"
