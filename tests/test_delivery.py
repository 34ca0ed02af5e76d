"""What people take away goes by in batches: no table is ever held as a whole, and the files are the same."""

import gc
import json
import shutil
import weakref
import zipfile
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from conftest import write_project

from workbench import delivery, readers, workflow
from workbench.errors import UsageError
from workbench.parameters import load_parameters
from workbench.runs import WRITERS, RunStore, open_store, write_table
from workbench.runs.parquet import BATCH_ROWS

ROWS = 2 * BATCH_ROWS + 17


class Watched(RunStore):
    """A store that counts how many batches are alive at once, and gives no rows as a whole."""

    alive, most = 0, 0

    def batches(self, *asked, **more):
        for batch in super().batches(*asked, **more):
            self.watch(batch)
            yield batch
            del batch

    def watch(self, batch):
        assert len(batch) <= BATCH_ROWS
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(batch, self.let_go)

    def let_go(self):
        self.alive -= 1

    def load(self, run_id, name, *more, columns=None):
        assert name not in ("rows", "classified") or columns == ["decided_by"]
        return super().load(run_id, name, *more, columns=columns)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """A run over two files of three batches of rows, delivered."""
    project = tmp_path_factory.mktemp("delivered")
    write_project(project)
    (project / "in").mkdir()
    texts = ["Taxi al aeropuerto", "Tacos", "Playera", ""]
    frame = pd.DataFrame({"Concepto": [texts[n % 4] for n in range(ROWS)], "n": range(ROWS), "Estado": "Active"})
    frame.loc[: BATCH_ROWS - 1, "Estado"] = "Cancelled"  # a whole batch without any answer
    frame[: ROWS - 50_000].to_csv(project / "in" / "a.csv", index=False)
    frame[ROWS - 50_000 :].assign(extra=1.5).to_csv(project / "in" / "b.csv", index=False)
    changes = ["ingest.input=in", "ingest.amount_column=null", "validate.gold_column=null", "run.iterations=1"]
    with pytest.MonkeyPatch.context() as patch, open_store(project / "runs") as store:
        patch.chdir(project)
        parameters = load_parameters("run.yaml", changes)
        run = workflow.ingest(parameters, store, run_id="one")
        run = workflow.classify(run, parameters, store)
        watched = Watched(store.folder, store._database)
        delivery.deliver(run, watched, pd.Series(dtype="str"))
        yield run, watched, frame


def test_the_delivered_table_is_made_and_written_batch_by_batch(delivered):
    run, store, frame = delivered
    gc.collect()
    assert store.most <= 2
    classified = readers_of(store.path(run.run_id, "classified"))
    assert classified["n"].tolist() == list(range(ROWS))
    assert classified["source_file"].value_counts().to_dict() == {"a.csv": ROWS - 50_000, "b.csv": 50_000}
    cancelled = classified["reason"] == delivery.FILTERED_OUT
    assert cancelled.tolist() == (frame["Estado"] == "Cancelled").tolist()
    answers = classified[~cancelled].groupby("Concepto", dropna=False)["category"].agg(["nunique", "first"])
    assert answers["nunique"].tolist() == [1] * 4 and answers["first"]["Taxi al aeropuerto"] == "Viajes"
    assert classified.loc[cancelled, ["category", "score"]].isna().all(axis=None)
    book = readers.read(store.path(run.run_id, "classified_workbook"))
    assert book["n"].tolist() == list(range(ROWS))
    assert book["category"].fillna("").tolist() == classified["category"].fillna("").tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_an_export_holds_a_few_batches_and_has_every_row(delivered, tmp_path, suffix):
    run, store, _ = delivered
    store.most = 0
    path, rows = delivery.export(run, store, tmp_path / f"out.{suffix}")
    assert rows == ROWS and store.most <= 2
    assert readers_of(path)["n"].tolist() == list(range(ROWS))
    store.most = 0
    files = delivery.export_by_source(run, store, tmp_path / "out", suffix=suffix)
    assert [rows for _, rows in files] == [ROWS - 50_000, 50_000] and store.most <= 2
    parts = [readers_of(path) for path, _ in files]
    assert pd.concat(parts)["n"].tolist() == list(range(ROWS))
    assert ["extra" in part for part in parts] == [False, True]


def readers_of(path):
    return {".csv": partial(pd.read_csv, low_memory=False), ".parquet": pd.read_parquet, ".json": pd.read_json}[
        path.suffix
    ](path)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_frames_one_after_the_other_make_the_file_of_them_together(tmp_path, suffix):
    frame = pd.DataFrame({"texto": ["año", 'a,\n"b"', None, "x"], "n": [1, 2, 3, 4], "x": [0.1, None, 1e-7, 5]})
    whole, parts = tmp_path / f"out{suffix}", tmp_path / "parts" / f"out{suffix}"
    assert write_table(whole, frame) == 4
    assert write_table(parts, (frame[start : start + 1] for start in range(4))) == 4
    if suffix in (".csv", ".json", ".jsonl"):
        assert parts.read_bytes() == whole.read_bytes()
    else:
        pd.testing.assert_frame_equal(read_back(parts), read_back(whole))


def read_back(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_excel(path, engine="calamine")


def test_a_table_without_rows_is_a_file_without_rows(tmp_path):
    for suffix in WRITERS:
        assert write_table(tmp_path / f"out{suffix}", pd.DataFrame({"a": []})) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == []
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig") == "a\n"


def test_the_times_of_a_csv_are_written_alike_in_every_batch(tmp_path):
    times = ["2024-01-05 00:00:00", None, "2024-01-05 00:00:00", "2024-01-06 10:20:30"]
    frame = pd.DataFrame({"Fecha": pd.to_datetime(times)})
    for name, given in (("whole", frame), ("parts", [frame.iloc[:2], frame.iloc[2:]])):
        write_table(tmp_path / f"{name}.csv", given)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    lines = (tmp_path / "whole.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["Fecha", "2024-01-05", '""', "2024-01-05", "2024-01-06 10:20:30"]


INPUTS = {
    "a file": ("expenses.csv", "expenses.csv"),
    "a folder": (".", "expenses.csv"),
    "a pattern": ("exp*.csv", "expenses.csv"),
    "an archive": ("all.zip", "all.zip"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_of_the_run_is_never_overwritten_by_whatever_name(project, loop, monkeypatch, name):
    given, spoilt = INPUTS[name]
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.write("expenses.csv")
    (project / "all.zip").rename(project / ("all.zip" if given == "all.zip" else "other"))
    store = open_store()
    run = loop(load_parameters("run.yaml", [f"ingest.input={given}", "run.iterations=1"]), store)
    before = (project / spoilt).read_bytes()
    (project / "sub").mkdir()
    (project / "link.csv").symlink_to(spoilt)
    (project / "hard.csv").hardlink_to(spoilt)
    monkeypatch.chdir("sub")
    for to in (f"../{spoilt}", "../link.csv", "../hard.csv", project / spoilt):
        with pytest.raises(UsageError, match="of run 'one' and would be overwritten; nothing is written"):
            delivery.export(run, store, to)
    assert (project / spoilt).read_bytes() == before


def test_files_by_source_are_never_written_over_the_sources_and_over_an_earlier_export_they_are(project, loop):
    (project / "in").mkdir()
    for file in ("b.csv", "a.csv"):
        shutil.copy("expenses.csv", project / "in" / file)
    store = open_store()
    run = loop(load_parameters("run.yaml", ["ingest.input=in", "run.iterations=1"]), store)
    (project / "in" / "a.csv").rename(project / "gone.csv")
    before = (project / "in" / "b.csv").read_bytes()
    with pytest.raises(UsageError, match=r"in/b\.csv was an input"):
        delivery.export_by_source(run, store, "in")
    assert [path.name for path in (project / "in").iterdir()] == ["b.csv"]
    assert (project / "in" / "b.csv").read_bytes() == before
    for _ in range(2):
        written = delivery.export_by_source(run, store, "in/out")
        assert [(str(path), rows) for path, rows in written] == [("in/out/a.csv", 50), ("in/out/b.csv", 50)]
        assert delivery.export(run, store, "in/answers.csv") == (Path("in/answers.csv"), 100)


def test_a_review_sheet_is_not_written_over_the_workbook_that_the_run_was_made_from(project, loop):
    table = pd.read_csv("expenses.csv").assign(item_id="x", is_correct=None, corrected_category=None, user_notes=None)
    table.to_excel("expenses.xlsx", index=False)
    store = open_store()
    run = loop(load_parameters("run.yaml", ["ingest.input=expenses.xlsx", "validate.gold_column=null"]), store)
    with pytest.raises(UsageError, match=r"expenses\.xlsx was an input"):
        workflow.export_sample(run, store, "expenses.xlsx")
