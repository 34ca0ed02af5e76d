"""Which artifact lies in which file, and which stage writes it: the one table that everybody goes by."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from workbench.errors import StorageError, UsageError, nearest
from workbench.runs.artifacts import read_json, read_text, write_json, write_text
from workbench.runs.parquet import read_parquet, write_parquet

STAGES = ("ingest", "classify", "validate", "refine")


class Level(StrEnum):
    """Whose artifact it is."""

    RUN = "run"
    INGEST = "ingest"
    ITERATION = "iteration"


class Artifact(NamedTuple):
    """A file with a name."""

    name: str
    file: str
    level: Level
    stage: str
    """The stage that writes it."""
    needed: bool = False
    """Without it, the stage cannot be finished."""
    counts: bool = True
    """Without it, a finished stage is not done any more; not so for what people may move away."""


_TABLE = (
    Artifact("schema", "schema.json", Level.INGEST, "ingest", needed=True),
    Artifact("files", "files.parquet", Level.INGEST, "ingest", counts=False),
    Artifact("rows", "rows.parquet", Level.INGEST, "ingest", needed=True),
    Artifact("items", "items.parquet", Level.INGEST, "ingest", needed=True),
    Artifact("search", "search.parquet", Level.INGEST, "ingest", counts=False),
    Artifact("llm_input", "llm_input.json", Level.INGEST, "ingest", needed=True),
    Artifact("notebook_ingest", "01_ingest.ipynb", Level.INGEST, "ingest", counts=False),
    Artifact("prompt", "prompt.yaml", Level.ITERATION, "classify", needed=True),
    Artifact("predictions", "predictions.parquet", Level.ITERATION, "classify", needed=True),
    Artifact("judgements", "judgements.parquet", Level.ITERATION, "classify"),
    Artifact("metrics", "metrics.json", Level.ITERATION, "classify", needed=True),
    Artifact("comparison", "comparison.json", Level.ITERATION, "classify"),
    Artifact("batches", "batches.json", Level.ITERATION, "classify", counts=False),
    Artifact("raw_answers", "raw_answers.jsonl", Level.ITERATION, "classify", counts=False),
    Artifact("spending", "spending.json", Level.ITERATION, "classify", counts=False),
    Artifact("notebook_classify", "02_classify.ipynb", Level.ITERATION, "classify", counts=False),
    Artifact("sample", "sample.parquet", Level.ITERATION, "validate", needed=True),
    Artifact("review_sheet", "review.xlsx", Level.ITERATION, "validate", counts=False),
    Artifact("second_review_sheet", "review_second.xlsx", Level.ITERATION, "validate", counts=False),
    Artifact("suspects", "suspects.parquet", Level.ITERATION, "validate", counts=False),
    Artifact("review_items", "review_items.parquet", Level.ITERATION, "validate", counts=False),
    Artifact("validations", "validations.parquet", Level.ITERATION, "validate"),
    Artifact("validations_json", "validations.json", Level.ITERATION, "validate"),
    Artifact("notebook_validate", "03_validate.ipynb", Level.ITERATION, "validate", counts=False),
    Artifact("refined_prompt", "refined_prompt.yaml", Level.ITERATION, "refine", needed=True),
    Artifact("proposals", "proposals.json", Level.ITERATION, "refine"),
    Artifact("prompt_diff", "prompt.diff", Level.ITERATION, "refine"),
    Artifact("notebook_refine", "04_refine.ipynb", Level.ITERATION, "refine", counts=False),
    Artifact("classified", "classified.parquet", Level.RUN, "validate"),
    Artifact("classified_workbook", "classified.xlsx", Level.RUN, "validate"),
    Artifact("history", "history.json", Level.RUN, "classify"),
    Artifact("report", "report.html", Level.RUN, "validate"),
)

ARTIFACTS = {artifact.name: artifact for artifact in _TABLE}


def get_artifact(name: str) -> Artifact:
    """Find an artifact; raises UsageError with the nearest name.

    >>> get_artifact("rows").file
    'rows.parquet'
    """
    if name not in ARTIFACTS:
        raise UsageError(f"no artifact is called {name!r}.", hint=nearest(name, ARTIFACTS))
    return ARTIFACTS[name]


def check_stage(stage: str) -> str:
    """Give the stage back; raises UsageError with the nearest name where there is none like it."""
    if stage not in STAGES:
        raise UsageError(f"no stage is called {stage!r}.", hint=nearest(stage, STAGES))
    return stage


def iteration_folder(iteration: int) -> str:
    """Name the folder of an iteration, counted from 1; raises UsageError.

    >>> iteration_folder(2)
    'iteration_002'
    """
    if iteration < 1:
        raise UsageError(f"there is no iteration {iteration}.", hint="iterations are counted from 1.")
    return f"iteration_{iteration:03d}"


def place(artifact: Artifact, iteration: int) -> Path:
    """Give the path of an artifact inside the run's folder; the iteration only matters to what belongs to one."""
    if artifact.level is Level.ITERATION:
        return Path(iteration_folder(iteration), artifact.file)
    return Path("ingest", artifact.file) if artifact.level is Level.INGEST else Path(artifact.file)


def of_stage(stage: str) -> list[Artifact]:
    """Give the artifacts by which a stage is known to be done; those of the whole run change after it."""
    return [each for each in _TABLE if each.stage == stage and each.counts and each.level is not Level.RUN]


def save_value(path: Path, value: Any) -> None:
    """Write a value as its file asks: a frame to parquet or XLSX, a dict or list to JSON, text to anything else.

    Raises UsageError where the value is of another kind, StorageError where it cannot be written.
    """
    kind = _kind(path)
    if not isinstance(value, kind):
        raise UsageError(f"{path.name} holds {_WORDS[kind]}, not a {type(value).__name__}.")
    if path.suffix == ".parquet":
        write_parquet(path, value)
    elif path.suffix == ".xlsx":
        from workbench.runs.workbook import write_workbook  # late: most stages and commands write none

        write_workbook(path, value, sheet=path.stem)
    elif kind == dict | list:
        write_json(path, value)
    else:
        write_text(path, value)


def load_value(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Read a file back as what it was saved from; raises StorageError."""
    if path.suffix == ".parquet":
        return read_parquet(path, columns)
    if path.suffix == ".xlsx":
        raise StorageError(f"{path} is a workbook for people.", hint="load the parquet file beside it.")
    return read_json(path) if _kind(path) == dict | list else read_text(path)


_WORDS: dict[Any, str] = {pd.DataFrame: "a table", dict | list: "a dict or a list", str: "text"}


def _kind(path: Path) -> Any:
    if path.suffix in (".parquet", ".xlsx"):
        return pd.DataFrame
    return dict | list if path.suffix in (".json", ".ipynb") else str
