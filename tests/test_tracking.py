"""Tracking: what the real wandb (offline) and the real mlflow keep of a run, and what becomes of one that fails."""

import json
import logging
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from workbench import tracking
from workbench.errors import ParameterError
from workbench.parameters import load_parameters
from workbench.runs import open_store

PER_CHUNK = {f"llm/{name}" for name in ("chunk_size", "chunk_tokens_used", "chunk_processing_time", "chunk_success")}
PER_CHUNK |= {"llm/throughput_items_per_sec"}
OVERALL = {f"llm/{name}" for name in ("total_processing_time", "total_tokens_used", "overall_throughput")}
OVERALL |= {"llm/chunk_success_rate", "llm/parallel_processing"}


@pytest.fixture(autouse=True)
def no_account(tmp_path, monkeypatch):
    """Nobody is logged in on this machine."""
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_MODE", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "nobody"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def tracked_run(project, loop, tracker, iterations=1):
    store = open_store(project / "runs")
    changes = [f"run.tracker={tracker}", f"run.iterations={iterations}"]
    return loop(load_parameters("run.yaml", changes), store), store


def asked(store):
    """Items that have a text: the others are never asked about."""
    return int(store.load("one", "items")["cleanConcepto"].fillna("").ne("").sum())


def wandb_records(path):
    """Read an offline log of W&B: LevelDB's log format around protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def values_of(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_wandb_keeps_chunks_totals_baseline_and_accuracy_offline(project, loop):
    run, store = tracked_run(project, loop, "wandb")
    logs = sorted((store.folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert len(logs) == 2  # classify and validate
    classify, validate = ([*wandb_records(log)] for log in logs)
    about = next(record.run for record in classify if record.HasField("run"))
    assert (about.run_group, about.job_type, about.project) == (run.run_id, "classify", "datainspector")
    assert about.display_name == "one · classify 1"
    config = values_of(about.config.update)
    assert (config["provider"], config["chunk_size"], config["concurrency_limit"]) == ("lexical", 5, 3)
    rows = [values_of(record.history.item) for record in classify if record.HasField("history")]
    chunks = [row for row in rows if row.keys() >= PER_CHUNK]
    assert sum(row["llm/chunk_size"] for row in chunks) == asked(store)
    assert all(row["llm/chunk_success"] is True and row["llm/chunk_size"] <= 5 for row in chunks)
    total = next(row for row in rows if row.keys() >= OVERALL)
    assert (total["llm/chunk_success_rate"], total["llm/parallel_processing"]) == (1.0, True)
    measured = next(row for row in rows if "baseline/ambiguous_rate" in row)
    metrics = store.load("one", "metrics", 1)
    assert measured["baseline/ambiguous_rate"] == metrics["ambiguous_rate"]
    assert measured["baseline/category_distribution/Viajes"] == metrics["category_counts"]["Viajes"]
    assert "baseline/accuracy" not in measured  # nobody has looked yet
    reviewed = next(values_of(record.history.item) for record in validate if record.HasField("history"))
    assert reviewed["baseline/accuracy"] == reviewed["iteration/accuracy"] == metrics["accuracy"]["estimate"]
    assert store.facts("one", "classify", 1)["tracked"] == str(logs[0].parent)


def test_mlflow_keeps_the_same_of_every_iteration_in_the_runs_folder(project, loop):
    from mlflow.tracking import MlflowClient

    _, store = tracked_run(project, loop, "mlflow", iterations=2)
    client = MlflowClient(tracking_uri=(store.folder / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("datainspector").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert set(runs) >= {f"one · {stage} {k}" for stage in ("classify", "validate") for k in (1, 2)}
    first, second = runs["one · classify 1"], runs["one · validate 2"]
    assert first.data.metrics.keys() >= PER_CHUNK | OVERALL
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert first.data.tags["run_id"] == "one"
    assert (first.data.params["provider"], first.data.params["model"]) == ("lexical", "None")
    sizes = [entry.value for entry in client.get_metric_history(first.info.run_id, "llm/chunk_size")]
    assert sum(sizes) == asked(store)
    assert second.data.metrics["iteration/accuracy"] == store.load("one", "metrics", 2)["accuracy"]["estimate"]
    assert second.data.metrics["iteration/number"] == 2
    assert not any(name.startswith("baseline/") for name in second.data.metrics)


def test_a_tracker_that_cannot_be_reached_is_logged_and_the_run_goes_on(project, loop, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    run, store = tracked_run(project, loop, "mlflow")
    assert run.state == "finished"
    lines = [json.loads(line) for line in (run.folder / "run.log").read_text().splitlines()]
    warnings = [line for line in lines if line["level"] == "warning"]
    assert [line["stage"] for line in warnings] == ["classify", "validate"]
    assert "the tracker mlflow broke down, the run goes on without it" in warnings[0]["message"]
    assert "tracked" not in store.facts("one", "classify", 1)


class Slow(tracking.NoTracker):
    """A tracker that is not done with anything before it may go on."""

    where = "far away"

    def __init__(self):
        self.go_on, self.seen = threading.Event(), []

    def log(self, metrics):
        self.go_on.wait()
        self.seen.append(metrics)


def subject(folder):
    return tracking.Subject("one", "classify", 1, {}, folder)


def test_a_slow_tracker_holds_nobody_up_and_still_gets_everything(tmp_path):
    slow = Slow()
    tracking.TRACKERS.register("slow", lambda subject: slow)
    background = tracking.Background("slow", subject(tmp_path), logging.getLogger("test"))
    for number in range(10):
        background.log({"number": number})
    assert slow.seen == []
    slow.go_on.set()
    background.finish()
    assert [each["number"] for each in slow.seen] == list(range(10))
    assert background.where == "far away"


def test_a_tracker_that_never_ends_is_left_behind(tmp_path, caplog):
    tracking.TRACKERS.register("stuck", lambda subject: Slow())
    background = tracking.Background("stuck", subject(tmp_path), logging.getLogger("test"))
    background.patience = 0.05
    background.log({"number": 1})
    background.finish()
    assert "did not finish within" in caplog.text


def test_categories_of_any_name_become_metrics(tmp_path):
    from mlflow.tracking import MlflowClient

    measured = {"accuracy": None, "ambiguous_rate": None, "confident_share": 0.5}
    measured["category_counts"] = {"Año / Ñandú & (más)": 3, "..": 1, "x" * 300: 2}
    told = tracking.iteration_metrics(measured, 1)
    tracker = tracking.MlflowTracker(subject(tmp_path / "a b ñ"))
    tracker.log(told)
    tracker.finish()
    kept = MlflowClient(tracking_uri=(tmp_path / "a b ñ" / "mlruns").as_uri()).search_runs([tracker.experiment])
    assert sum(value for name, value in kept[0].data.metrics.items() if name.startswith("baseline/category")) == 6


def test_chunk_metrics_of_a_call_that_took_no_time_are_finite():
    told = tracking.chunk_metrics(SimpleNamespace(items=0, tokens=0, seconds=0.0, good=False))
    assert told["llm/throughput_items_per_sec"] == 0


def test_an_unknown_tracker_is_a_mistake_in_the_parameters(project):
    with pytest.raises(ParameterError, match="tracker"):
        load_parameters("run.yaml", ["run.tracker=wandbb"])


def test_trackers_are_imported_only_where_they_are_used(project):
    program = "import sys, workbench.workflow; print([name for name in ('wandb', 'mlflow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
