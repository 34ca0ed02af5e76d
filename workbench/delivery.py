"""What people take away from a run: every original row with its answer, as tables of their kind, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from workbench import dedup, report, review
from workbench.errors import UsageError, nearest
from workbench.records import Run
from workbench.runs import WRITERS, RunStore, write_table

ANSWER_COLUMNS = ("category", "reason", "score", "status", "decided_by")
SOURCE_COLUMNS = ("source_file", "source_row")
FILTERED_OUT = "left out by the filters"


def hand_back(rows: pd.DataFrame, predictions: pd.DataFrame, stored_as: dict[str, str]) -> pd.DataFrame:
    """Put the answers on every original row, in order.

    Args:
        rows: rows.parquet.
        predictions: one line per item, with `decided_by`.
        stored_as: original column name → its name in `rows`.

    Returns:
        The original columns as they were read, then category, reason, score, status and decided_by; of several files
        source_file and source_row before them. An original column that is called like an answer keeps its values as
        `<name>_original`.
    """
    original = rows[list(stored_as.values())]
    answered = dedup.put_back(original, rows["item_id"], predictions, ANSWER_COLUMNS).drop(columns="item_id")
    answered["reason"] = answered["reason"].where(rows["item_id"].notna(), FILTERED_OUT)
    answered = answered.rename(columns={stored: name for name, stored in stored_as.items() if stored != name})
    if rows["source_file"].nunique() > 1:
        for place, name in enumerate(column for column in SOURCE_COLUMNS if column not in answered):
            answered.insert(place, name, rows[name].set_axis(answered.index))
    return answered


def deliver(run: Run, store: RunStore, texts: pd.Series[str]) -> None:
    """Write classified.parquet, classified.xlsx and report.html from the newest iteration that is classified.

    What people decided (in any iteration) stands; `texts` (clean text by item id) says which items are identical.
    """
    newest = store.newest(run.run_id, "predictions")
    answers = review.final_answers(store.load(run.run_id, "predictions", newest), store.validations(run.run_id), texts)
    stored_as = store.load(run.run_id, "schema")["stored_as"]
    classified = hand_back(store.load(run.run_id, "rows"), answers, stored_as)
    store.save(run.run_id, "classified", classified)
    store.save(run.run_id, "classified_workbook", classified)
    store.save(run.run_id, "report", report.render(store, run.run_id))


def export(run: Run, store: RunStore, to: str | Path, *, stage: str = "classify") -> tuple[Path, int]:
    """Write the rows of a run to a file of the kind that its suffix names; gives the path and the number of rows.

    Raises:
        UsageError: the run has not come so far, or the suffix is none of .xlsx, .csv, .parquet, .json.
        StorageError: the file cannot be written.
    """
    if not Path(to).parent.is_dir():
        raise UsageError(f"there is no folder {Path(to).parent}.", hint="make it first, or check the path.")
    frame = _load(run, store, stage)
    write_table(Path(to), frame)
    return Path(to), len(frame)


def export_by_source(
    run: Run, store: RunStore, to: str | Path, *, stage: str = "classify", suffix: str | None = None
) -> list[tuple[Path, int]]:
    """Write the rows of every source to a file of its own, in the sources' folders below `to`, in their order.

    A file has the columns of its source and the answers; its kind is that of the source where that can be written, or
    CSV, unless `suffix` names one. Gives the paths and their numbers of rows. Raises as `export` does.
    """
    if suffix is not None and (suffix := f".{suffix.lower().lstrip('.')}") not in WRITERS:
        raise UsageError(f"no table can be written as {suffix}.", hint=nearest(suffix, WRITERS))
    frame = _load(run, store, stage)
    lacking = _lacking(store.load(run.run_id, "schema"))
    sources = store.load(run.run_id, "rows", columns=["source_file"])["source_file"]
    written: dict[Path, int] = {}
    for source, rows in frame.groupby(sources.to_numpy(), sort=False):
        path = _place(Path(to), str(source), suffix, written)
        path.parent.mkdir(parents=True, exist_ok=True)
        unwanted = [*SOURCE_COLUMNS, *lacking.get(str(source), [])] if stage == "classify" else []
        write_table(path, rows.drop(columns=unwanted, errors="ignore").reset_index(drop=True))
        written[path] = len(rows)
    return list(written.items())


def _lacking(schema: dict[str, Any]) -> dict[str, set[str]]:
    """Say which columns of the whole table each file does not have."""
    of = {file["path"]: {column["name"] for column in file["columns"]} for file in schema["files"]}
    return {path: set(schema["stored_as"]) - columns for path, columns in of.items()}


def _place(folder: Path, source: str, suffix: str | None, taken: Mapping[Path, int]) -> Path:
    """Give the file for a source's rows: below the folder whatever the source is called, and no other source's."""
    parts = [part.replace(":", "_") for part in PurePosixPath(source).parts if part not in ("..", "/", "")]
    named = folder.joinpath(*parts)
    wanted = suffix or (named.suffix.lower() if named.suffix.lower() in WRITERS else ".csv")
    path = named.with_suffix(wanted)
    return path if path not in taken else named.with_name(f"{named.name}{wanted}")


def _load(run: Run, store: RunStore, stage: str) -> pd.DataFrame:
    name = "rows" if stage == "ingest" else "classified"
    if not store.has(run.run_id, name):
        raise UsageError(
            f"run {run.run_id!r} has no {name} yet.",
            hint=f"go on with it: `workbench run … --run-id {run.run_id} --resume`.",
        )
    frame: pd.DataFrame = store.load(run.run_id, name)
    return frame
