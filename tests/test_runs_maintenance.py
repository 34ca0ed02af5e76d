"""Upkeep: what is thrown away, and what never is."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta

import pandas as pd
import pytest

from workbench.cli import main
from workbench.errors import UsageError
from workbench.records import RunState
from workbench.runs import open_store
from workbench.runs.maintenance import age, clean

WEEK = timedelta(days=7)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return open_store()


def make_old(store, run_id, state=RunState.FINISHED):
    """A run that was last touched a month ago."""
    store.create({}, run_id=run_id)
    store.save(run_id, "report", "<html>" * 1000)
    store.set_state(run_id, state)
    with store._database.write() as transaction:
        transaction.update("runs", {"updated_at": "2026-01-01T00:00:00.000000+00:00"}, run_id=run_id)


def age_of(path, days=30):
    for each in [path, *path.rglob("*")]:
        os.utime(each, (time.time() - 86400 * days,) * 2)


def kinds(found):
    return sorted((each.kind, each.what.rpartition("/")[2]) for each in found)


def test_nothing_is_thrown_away_where_all_is_in_use(store):
    make_old(store, "one")
    for folder in ("wandb", "mlruns", "notes"):
        (store.folder / folder).mkdir()
        (store.folder / folder / "x.txt").write_text("mine")
        age_of(store.folder / folder)
    assert clean(store, WEEK) == []


def test_leftovers_orphans_sessions_and_old_schemas_go_and_a_dry_run_only_names_them(store, tmp_path):
    store.create({}, run_id="one")
    code = "from pathlib import Path; from workbench.runs.artifacts import partial_path; import sys\n"
    code += "partial_path(Path(sys.argv[1])).write_text('half')"
    subprocess.run([sys.executable, "-c", code, str(store.folder / "one" / "rows.parquet")], check=True)
    (store.folder / "lost" / "iteration_001").mkdir(parents=True)
    (store.folder / "lost" / "iteration_001" / "metrics.json").write_text("{}")
    age_of(store.folder / "lost")
    (store.folder / "fresh" / "ingest").mkdir(parents=True)
    (tmp_path / "wbabcdefgh").mkdir()
    (tmp_path / "wbabcdefgh" / "kernel.log").write_text("")
    age_of(tmp_path / "wbabcdefgh")
    for name, days in {"workbench-abcdefgh": 30, "workbench-12345678": 0, "workbench-mine-own": 30}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "ventas.csv").write_text("unpacked")
        age_of(tmp_path / name, days)
    session = store.sessions().create()
    store.sessions().create()
    with store._database.write() as transaction:
        past = "2026-01-01T00:00:00.000000+00:00"
        transaction.update("sessions", {"expires_at": past}, session_id=session.session_id)
        transaction.upsert("schema_cache", [{"key": "k", "schema": "{}", "saved_at": past}])
    expected = ["cached schema", "expired session", "orphaned folder", *["temporary file"] * 3]
    would = clean(store, WEEK, dry_run=True)
    assert [kind for kind, _ in kinds(would)] == expected
    assert kinds(clean(store, WEEK, dry_run=True)) == kinds(would)
    assert kinds(clean(store, WEEK)) == kinds(would)
    assert clean(store, WEEK) == []
    assert not (store.folder / "lost").exists() and not (tmp_path / "wbabcdefgh").exists()
    assert sorted(path.name for path in tmp_path.glob("workbench-*")) == ["workbench-12345678", "workbench-mine-own"]
    assert (store.folder / "fresh").is_dir() and store.exists("one")
    assert len(store.sessions().living()) == 1


def test_prepared_parts_that_no_run_used_for_so_long_go_but_never_while_a_run_is_at_work(store, capsys):
    parts = store.parts("cafe")
    for name in ("old", "used", "half"):
        with parts.writer(name, {"sources": []}) as writer:
            writer.write(pd.DataFrame({"a": range(1000)}))
    (parts.folder / "half.json").unlink()
    age_of(parts.folder)
    parts.touch("used")
    program = "from workbench.runs.maintenance import *; from workbench.runs.artifacts import partial_path\n"
    program += "partial_path(Path(sys.argv[1])).write_text('half')"
    subprocess.run([sys.executable, "-c", f"import sys; {program}", str(parts.folder / "cut.parquet")], check=True)
    store.create({}, run_id="one")
    with store.lock("one"):
        assert kinds(clean(store, WEEK, dry_run=True)) == [("temporary file", next(parts.folder.glob(".*")).name)]
    size = sum(path.stat().st_size for path in parts.folder.iterdir() if path.stem in ("old", "half", ".cut"))
    capsys.readouterr()
    assert main(["clean", "--dry-run", "--json"]) == 0
    would = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in would] == ["temporary file", "prepared part", "prepared part"]
    assert would[1]["bytes"] + would[2]["bytes"] == size > 0 and set(parts.all()) == {"old", "used"}
    assert main(["clean"]) == 0
    assert sorted(path.name for path in parts.folder.iterdir()) == ["used.json", "used.parquet"]
    assert len(parts.read("used")) == 1000


def test_a_run_without_its_manifest_is_no_orphan_as_long_as_the_database_knows_it(store):
    make_old(store, "one")
    store.save("one", "rows", pd.DataFrame({"a": [1]}))
    (store.folder / "one" / "run.json").unlink()
    age_of(store.folder / "one")
    assert clean(store, WEEK) == []


def test_old_runs_go_only_when_asked_and_never_pinned_open_or_locked_ones(store, capsys):
    states = {
        "finished": RunState.FINISHED,
        "failed": RunState.FAILED,
        "waiting": RunState.AWAITING_REVIEW,
        "between": RunState.PAUSED,
        "pinned": RunState.FINISHED,
        "locked": RunState.INTERRUPTED,
    }
    assert main(["runs", "--json"]) == 0
    for run_id, state in states.items():
        make_old(store, run_id, state)
    store.create({}, run_id="new")
    store.set_state("new", RunState.FINISHED)
    assert main(["runs", "--pin", "pinned"]) == 0
    with store._database.write() as transaction:
        transaction.update("runs", {"updated_at": "2026-01-01T00:00:00.000000+00:00"}, run_id="pinned")
    program = "from workbench.runs import open_store\nimport sys\n"
    program += "with open_store().lock('locked'):\n    print('held', flush=True)\n    sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        assert clean(store, WEEK) == []
        would = clean(store, WEEK, runs=True, dry_run=True)
        assert kinds(would) == [("run", "failed"), ("run", "finished")]
        assert would[0].bytes > 6000
        capsys.readouterr()
        assert main(["clean", "--runs", "--older-than", "4w", "--json"]) == 0
        assert {each["what"] for each in json.loads(capsys.readouterr().out)} == {"failed", "finished"}
    finally:
        holder.communicate()
    assert set(open_store().list()["run_id"]) == {"waiting", "between", "pinned", "locked", "new"}
    assert not list(store.folder.glob(".removed-*"))
    store.create({}, run_id="finished")  # the id is free again
    assert main(["runs", "--unpin", "pinned"]) == 0
    assert not store.manifest("pinned")["pinned"]


def test_what_was_freed_is_said(store, capsys):
    make_old(store, "one")
    assert main(["clean", "--runs", "--dry-run"]) == 0
    assert "would free 0.0 MB in 1 thing." in capsys.readouterr().out
    assert store.exists("one")


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1y", "", "1 d d", "999999d"])
def test_an_age_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="no age"):
        age(text)
