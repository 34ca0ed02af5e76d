"""What people take away from a run: every original row with its answer, as tables of their kind, and the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path, PurePosixPath

import pandas as pd

from workbench import dedup, readers, report, review
from workbench.errors import UsageError, few, nearest
from workbench.records import Run
from workbench.runs import WRITERS, RunStore, write_table

ANSWER_COLUMNS = ("category", "reason", "score", "status", "decided_by")
SOURCE_COLUMNS = ("source_file", "source_row")
FILTERED_OUT = "left out by the filters"


def hand_back(rows: pd.DataFrame, answers: pd.DataFrame, stored_as: dict[str, str], *, several: bool) -> pd.DataFrame:
    """Put the answers on original rows, in order.

    Args:
        rows: rows.parquet, or a batch of it.
        answers: one line per item, with `decided_by`.
        stored_as: original column name → its name in `rows`.
        several: the rows of the whole table come from several files.

    Returns:
        The original columns as they were read, then category, reason, score, status and decided_by; of several files
        source_file and source_row before them. An original column that is called like an answer keeps its values as
        `<name>_original`.
    """
    original = rows[list(stored_as.values())]
    answered = dedup.put_back(original, rows["item_id"], answers, ANSWER_COLUMNS).drop(columns="item_id")
    answered["reason"] = answered["reason"].where(rows["item_id"].notna(), FILTERED_OUT)
    answered = answered.rename(columns={stored: name for name, stored in stored_as.items() if stored != name})
    if several:
        for place, name in enumerate(column for column in SOURCE_COLUMNS if column not in answered):
            answered.insert(place, name, rows[name].set_axis(answered.index))
    return answered


def deliver(run: Run, store: RunStore, texts: pd.Series[str]) -> None:
    """Write classified.parquet, classified.xlsx and report.html from the newest iteration that is classified.

    What people decided (in any iteration) stands; `texts` (clean text by item id) says which items are identical.
    The rows go by in batches; held as a whole are only the answers.
    """
    newest = store.newest(run.run_id, "predictions")
    answers = review.final_answers(store.load(run.run_id, "predictions", newest), store.validations(run.run_id), texts)
    items, stored_as = pd.Index(answers["item_id"]), store.load(run.run_id, "schema")["stored_as"]
    several = len(_stretches(store, run.run_id)) > 1

    def answered() -> Iterator[pd.DataFrame]:
        for rows in store.batches(run.run_id, "rows"):
            found = items.get_indexer(pd.Index(rows["item_id"].unique()))
            yield hand_back(rows, answers.take(found[found >= 0]), stored_as, several=several)

    write_table(store.path(run.run_id, "classified"), answered())
    write_table(store.path(run.run_id, "classified_workbook"), store.batches(run.run_id, "classified"))
    for name in ("classified", "classified_workbook"):
        store.record(run.run_id, name)
    store.save(run.run_id, "report", report.render(store, run.run_id))


def export(run: Run, store: RunStore, to: str | Path, *, stage: str = "classify") -> tuple[Path, int]:
    """Write the rows of a run to a file of the kind that its suffix names; gives the path and the number of rows.

    Raises:
        UsageError: the run has not come so far, the suffix is none of .xlsx, .csv, .parquet, .json, or the file is one
            that the run was made from.
        StorageError: the file cannot be written.
    """
    check_no_input(run, store, [Path(to)])
    if not Path(to).parent.is_dir():
        raise UsageError(f"there is no folder {Path(to).parent}.", hint="make it first, or check the path.")
    return Path(to), write_table(Path(to), _batches(run, store, stage))


def export_by_source(
    run: Run, store: RunStore, to: str | Path, *, stage: str = "classify", suffix: str | None = None
) -> list[tuple[Path, int]]:
    """Write the rows of every source to a file of its own, in the sources' folders below `to`, in their order.

    A file has the columns of its source, with the types that they have there, and the answers; its kind is that of the
    source where that can be written, or CSV, unless `suffix` names one. Gives the paths and their numbers of rows.
    Raises as `export` does.
    """
    if suffix is not None and (suffix := f".{suffix.lower().lstrip('.')}") not in WRITERS:
        raise UsageError(f"no table can be written as {suffix}.", hint=nearest(suffix, WRITERS))
    batches = _batches(run, store, stage)
    own = _Own(store, run.run_id, stage)
    left: list[pd.DataFrame] = []
    places: dict[Path, tuple[str, int]] = {}
    taken: set[str] = set()
    for source, rows in _stretches(store, run.run_id):
        path = next(path for path in _places(Path(to), source, suffix) if str(path).casefold() not in taken)
        taken.add(str(path).casefold())  # on some machines A.csv and a.csv are one file
        places[path] = source, rows
    check_no_input(run, store, places)
    return [
        (path, write_table(path, (own.of(source, part) for part in _next_rows(batches, left, rows))))
        for path, (source, rows) in places.items()
    ]


def check_no_input(run: Run, store: RunStore, targets: Iterable[Path]) -> None:
    """Raise UsageError where one of the files to write is one that the run was made from, under whatever name."""
    known = {identity for path in _inputs(run, store) if (identity := _identity(Path(path)))}
    if spoilt := [str(path) for path in targets if _identity(path) in known]:
        was, what = ("was", "an input") if len(spoilt) == 1 else ("were", "inputs")
        raise UsageError(
            f"{few(spoilt)} {was} {what} of run {run.run_id!r} and would be overwritten; nothing is written.",
            hint="name another file or folder; inputs stay as they are.",
        )


def _inputs(run: Run, store: RunStore) -> list[str]:
    """Give the paths of the files that a run was made from; of those inside an archive, the archive's."""
    files = store.load(run.run_id, "files") if store.has(run.run_id, "files") else pd.DataFrame()
    if "path" in files:
        return list(map(os.fsdecode, files["path"].dropna().unique()))
    return [each["path"] for each in store.manifest(run.run_id)["inputs"]]  # all that older runs know


def _identity(path: Path) -> tuple[int, int] | None:
    """Say which file a path leads to, through whatever links; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _stretches(store: RunStore, run_id: str) -> list[tuple[str, int]]:
    """Say how many rows of each source follow one another; a source's rows stand together."""
    counts: dict[str, int] = {}
    for rows in store.batches(run_id, "rows", columns=["source_file"]):
        for source, number in rows["source_file"].value_counts(sort=False).items():
            counts[str(source)] = counts.get(str(source), 0) + number
    return list(counts.items())


def _next_rows(batches: Iterator[pd.DataFrame], left: list[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Give the next rows of a table; what is left of a batch waits in `left`."""
    while rows:
        batch = left.pop() if left else next(batches)
        if len(batch) > rows:
            left.append(batch.iloc[rows:])
        part = batch.iloc[:rows].reset_index(drop=True)
        rows -= len(part)
        yield part


class _Own:
    """Gives a source its own of the whole table: the columns that it has, with the types that they have there."""

    def __init__(self, store: RunStore, run_id: str, stage: str) -> None:
        schema, files = store.load(run_id, "schema"), store.load(run_id, "files")
        self._stored_as: dict[str, str] = schema["stored_as"]
        self._answers = 0 if stage == "ingest" else len(ANSWER_COLUMNS)
        self._kind_of_file = dict(zip(files["name"], files["kind"], strict=True))
        # Invoices are described together: all files of their kind have the same columns.
        self._have: dict[str, dict[str, str]] = {}
        for file in schema["files"]:
            kinds = file.get("kinds", {})
            found = {each["name"]: kinds.get(self._stored_as[each["name"]], "empty") for each in file["columns"]}
            known = {name: kind for name, kind in found.items() if kind != "empty"}
            for key in (file["path"], file["format"]) if not file["fault"] else ():
                self._have[key] = found | self._have.get(key, {}) | known

    def of(self, source: str, rows: pd.DataFrame) -> pd.DataFrame:
        of_its_kind = self._have.get(self._kind_of_file[source], dict.fromkeys(self._stored_as, "empty"))
        have = self._have.get(source, of_its_kind)
        names = self._stored_as
        unwanted: list[str] = []
        if self._answers:  # the source's name and place come first, the answers last
            start = len(rows.columns) - self._answers - len(names)
            names = dict(zip(names, rows.columns[start : -self._answers], strict=True))
            unwanted = list(rows.columns[:start])
        unwanted += [column for name, column in names.items() if name not in have]
        typed = {names[name]: readers.typed(rows[names[name]], kind) for name, kind in have.items()}
        return rows.assign(**typed).drop(columns=unwanted)


def _places(folder: Path, source: str, suffix: str | None) -> Iterator[Path]:
    """Give the files that may take a source's rows, the best first: below the folder whatever the source is called."""
    parts = [part.replace(":", "_") for part in PurePosixPath(source).parts if part not in ("..", "/", "")]
    named = folder.joinpath(*parts)
    wanted = suffix or (named.suffix.lower() if named.suffix.lower() in WRITERS else ".csv")
    yield named.with_suffix(wanted)
    yield named.with_name(f"{named.name}{wanted}")
    for number in count(2):
        yield named.with_name(f"{named.name}-{number}{wanted}")


def _batches(run: Run, store: RunStore, stage: str) -> Iterator[pd.DataFrame]:
    name = "rows" if stage == "ingest" else "classified"
    if not store.has(run.run_id, name):
        raise UsageError(
            f"run {run.run_id!r} has no {name} yet.",
            hint=f"go on with it: `workbench run … --run-id {run.run_id} --resume`.",
        )
    return store.batches(run.run_id, name)
