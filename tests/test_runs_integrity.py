"""The files of a run against their checksums: what is damaged or missing is named, what may change is not."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from workbench.cli import main
from workbench.runs import open_store


@pytest.fixture
def done(tmp_path, monkeypatch):
    """A run with a few artifacts."""
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    store = open_store()
    store.create({}, run_id="one")
    table = pd.DataFrame({"item_id": list("abc") * 100})
    for name in ("rows", "items"):
        store.save("one", name, table)
    for iteration in (1, 2):
        store.save("one", "predictions", table, iteration)
        store.save("one", "prompt", "name: small\n", iteration)
    store.save("one", "refined_prompt", "name: other\n", 1)
    store.save("one", "report", "<html>")
    return store


def states(store, run_id="one"):
    return {file.path: str(file.state) for file in store.verify(run_id)}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_artifact_of_a_finished_run_is_known_and_as_it_was_written(ran, capsys):
    _, store = ran()
    found = states(store)
    assert set(found.values()) == {"ok"}
    folder = store.folder / "one"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.is_file()}
    assert written - set(found) <= {"run.json", "run.log", ".lock", ".stage.lock", ".manifest.lock"}
    assert main(["show", "one", "--verify"]) == 0
    assert "iteration_002/predictions.parquet" in capsys.readouterr().out


def test_what_was_damaged_or_removed_is_named_and_the_exit_code_says_so(done, capsys):
    flip(done.path("one", "predictions", 1))
    done.path("one", "rows").write_bytes(b"cut off")
    done.path("one", "prompt", 2).unlink()
    done.path("one", "report").unlink()  # the files in the run's own folder may be moved away
    assert main(["show", "one", "--verify", "--json"]) == 1
    said = capsys.readouterr()
    found = {file["path"]: file for file in json.loads(said.out)}
    assert found["iteration_001/predictions.parquet"]["detail"] == "other bytes than were written"
    assert found["ingest/rows.parquet"]["detail"].startswith("7 bytes instead of ")
    assert found["iteration_002/prompt.yaml"]["state"] == "missing"
    assert found["report.html"]["state"] == "moved away"
    assert "3 of " in said.err
    assert "report.html" not in said.err


def test_a_stage_that_is_done_again_writes_its_checksums_anew(done):
    done.path("one", "refined_prompt", 1).unlink()
    assert states(done)["iteration_001/refined_prompt.yaml"] == "missing"
    done.save("one", "refined_prompt", "name: small\n", 1)
    assert set(states(done).values()) == {"ok"}


def test_a_table_that_is_written_in_batches_is_known_too(done):
    with done.writer("one", "rows") as writer:
        writer.write(pd.DataFrame({"item_id": ["a"]}))
    assert states(done)["ingest/rows.parquet"] == "ok"


def test_a_copied_run_brings_its_checksums_along(done, tmp_path):
    done.save("one", "metrics", {"accuracy": None}, 1)
    shutil.copytree(done.folder / "one", tmp_path / "elsewhere" / "copy")
    flip(tmp_path / "elsewhere" / "copy" / "ingest" / "items.parquet")
    other = open_store(tmp_path / "elsewhere")
    assert [path for path, state in states(other, "copy").items() if state != "ok"] == ["ingest/items.parquet"]


def test_a_run_that_was_made_before_there_were_checksums_has_none(done):
    with done._database.write() as transaction:
        transaction.delete("checksums", run_id="one")
    assert done.verify("one") == []
    assert main(["show", "one", "--verify"]) == 0
