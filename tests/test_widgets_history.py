"""The history of all runs: listed, opened, compared, run again."""

import time

import pytest

from workbench.execution import execute
from workbench.notebooks import notebook_path
from workbench.parameters import load_parameters
from workbench.runs import open_store
from workbench.widgets import RunHistory
from workbench.widgets.history import history, side_by_side


@pytest.fixture
def store(ran):
    _, store = ran("run.iterations=1")
    store.create(load_parameters("run.yaml", ["run.seed=8"]).to_dict(), run_id="two")
    store.update_manifest("two", pinned=True)
    return store


def test_runs_are_listed_opened_compared_and_run_again_from_whatever_folder(store, tmp_path_factory, monkeypatch):
    listed = history(store).set_index("run")
    assert list(listed.index) == ["two", "one"]
    assert (listed.at["one", "state"], listed.at["one", "files"], listed.at["two", "state"]) == (
        "finished",
        "1",
        "created (pinned)",
    )
    assert listed.at["one", "accuracy"].endswith(" %") and listed.at["two", "accuracy"] == ""
    assert ("run.seed", "7", "8") in side_by_side(store, "one", "two")
    panel = RunHistory(store=store)
    assert "<td>one</td>" in panel.still() and "nan" not in panel.still().lower()
    panel._run.value = "one"
    assert "href='/files/runs/one/report.html'" in panel._details.value
    panel._other.value = "two"
    assert "run.seed" in panel._details.value
    store.update_manifest("one", working_folder=str(store.folder.parent))  # the run was copied here
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.delenv("WORKBENCH_RUNS")
    panel.rerun()
    assert "has started" in panel.message.value
    new = store.latest().run_id
    assert new not in ("one", "two")
    deadline = time.monotonic() + 120
    while panel._started[0].worker() and time.monotonic() < deadline:
        time.sleep(0.3)
    assert store.get(new).parameters == store.get("one").parameters
    assert (store.get(new).state, store.load(new, "metrics", 1)["accuracy"]) == (
        "finished",
        store.load("one", "metrics", 1)["accuracy"],
    )


def test_an_empty_folder_has_an_empty_history_and_the_notebook_runs(project, tmp_path):
    panel = RunHistory(store=open_store())
    assert "0 runs" in panel.message.value
    execute(notebook_path("history"), tmp_path / "out.ipynb", {"runs_folder": str(tmp_path / "runs")})
