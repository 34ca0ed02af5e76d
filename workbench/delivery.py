"""What people take away from a run: every original row with its answer, as tables of their kind, and the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workbench import dedup, report, review
from workbench.errors import UsageError
from workbench.records import Run
from workbench.runs import RunStore, write_table

ANSWER_COLUMNS = ("category", "reason", "score", "status", "decided_by")
FILTERED_OUT = "left out by the filters"


def hand_back(rows: pd.DataFrame, predictions: pd.DataFrame, stored_as: dict[str, str]) -> pd.DataFrame:
    """Put the answers on every original row, in order.

    Args:
        rows: rows.parquet.
        predictions: one line per item, with `decided_by`.
        stored_as: original column name → its name in `rows`.

    Returns:
        The original columns as they were read, then category, reason, score, status and decided_by. An
        original column that is called like an answer keeps its values as `<name>_original`.
    """
    original = rows[list(stored_as.values())]
    answered = dedup.put_back(original, rows["item_id"], predictions, ANSWER_COLUMNS).drop(columns="item_id")
    answered["reason"] = answered["reason"].where(rows["item_id"].notna(), FILTERED_OUT)
    return answered.rename(columns={stored: name for name, stored in stored_as.items() if stored != name})


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
    name = "rows" if stage == "ingest" else "classified"
    if not Path(to).parent.is_dir():
        raise UsageError(f"there is no folder {Path(to).parent}.", hint="make it first, or check the path.")
    if not store.has(run.run_id, name):
        raise UsageError(
            f"run {run.run_id!r} has no {name} yet.",
            hint=f"go on with it: `workbench run … --run-id {run.run_id} --resume`.",
        )
    frame = store.load(run.run_id, name)
    write_table(Path(to), frame)
    return Path(to), len(frame)
