"""Whole runs as people start them, with a model behind a real server: what works together, and what Ctrl+C leaves."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from openai_batches import Batches
from openai_server import KEY, OpenAIServer, by_first_word

from workbench import workflow
from workbench.llm import Prompt
from workbench.parameters import load_parameters
from workbench.runs import open_store

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
RUN = """\
run: {name: small, iterations: 1}
ingest: {input: expenses.csv, columns: [Concepto]}
classify: {prompt: prompt.yaml, provider: openai, model: test-model, base_url: "URL", chunk_size: 5, concurrency: 2}
"""
CHANGES = {  # text → its answers, with a low score, the first time, the second and the third
    "vinil numero 0": ["Otros", "Pop", "Pop"],
    "taxi numero 1": ["Viajes", "Viajes", "Otros"],
    "renta numero 2": ["Pop", "Viajes", "Otros"],
}


@pytest.fixture
def run_of(project, monkeypatch):
    """Write a run of so many items, to be asked of a server."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    def write(count, server):
        lines = "\n".join(f"{('vinil', 'taxi', 'renta')[n % 3]} numero {n}" for n in range(count))
        (project / "expenses.csv").write_text(f"Concepto\n{lines}\n", encoding="utf-8")
        (project / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
        (project / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")

    return write


def moody():
    times = {}

    def answer(text):
        times[text] = times.get(text, 0) + 1
        if text not in CHANGES:
            return by_first_word(text)
        return {"reason": text, "category": CHANGES[text][times[text] - 1], "score": 0.3}

    return answer


def ingested(run_id, parameters, store):
    return workflow.ingest(parameters, store, run_id=workflow.start(parameters, store, run_id=run_id).run_id)


def classified(run_id, *changes):
    with open_store() as store:
        parameters = load_parameters("run.yaml", changes)
        workflow.classify(ingested(run_id, parameters, store), parameters, store)
        predictions = store.load(run_id, "predictions", 1).merge(store.load(run_id, "items"), on="item_id")
        return store.load(run_id, "metrics", 1), predictions.set_index("cleanConcepto")


def test_batches_a_second_pass_an_audit_and_a_judge_work_together_and_only_the_judge_is_asked_live(run_of):
    asking = ["classify.mode=batch", "classify.second_pass_below=0.5", "classify.audit_sample=10"]
    asking += [f"classify.judge.{it}" for it in ("provider=openai", "model=test-model", "below=0.5", "share=0.2")]
    with OpenAIServer(moody(), batches=Batches()) as server, OpenAIServer() as judge:
        run_of(30, server)
        asking.append(f"classify.judge.base_url={judge.url}")
        metrics, predictions = classified("one", *asking)
        assert server.peak == 0 and judge.peak > 0  # calls in flight at most
        requests = [server.batches.files[batch.input_file_id] for batch in server.batches.batches.values()]
        assert [file.count(b"\n") for file in requests] == [6, 3, 1]  # all; low scores and audit; where two differ
        again, _ = classified("two", *asking)
        assert len(server.batches.batches) == 3
    said = predictions.loc[list(CHANGES), "category"]
    assert said.tolist() == ["Pop", "Viajes", "Pop"]  # two of three, the first two, and a tie
    assert metrics["processing"]["second_pass"] == again["processing"]["second_pass"] == {"asked": 3, "changed": 1}
    assert metrics["position_audit"]["n"] == again["position_audit"]["n"] == 10
    judged = predictions["judge_category"].dropna()
    assert set(CHANGES) < set(judged.index) and len(judged) == metrics["judge"]["answered"] == 3 + 6
    assert metrics["judge"]["disagreements"] == 1 and judged["renta numero 2"] == "Otros"


@pytest.mark.parametrize("faults", [0, 100])
def test_what_went_up_for_a_batch_is_deleted_when_its_answers_are_kept_and_it_is_no_fault_if_that_fails(run_of, faults):
    with OpenAIServer(batches=Batches({1: ["expired"]}, errors={"DELETE files": faults})) as server:
        run_of(30, server)
        _, predictions = classified("one", "classify.mode=batch")
        assert len(server.batches.files) == 5  # two batches of requests, their answers, and errors of the first
        assert sorted(server.batches.deleted) == ([] if faults else sorted(server.batches.files))
        assert server.batches.requests["DELETE files"] == 5
    assert set(predictions["status"]) == {"ok", "repaired"}
    log = Path("runs/one/run.log").read_text(encoding="utf-8")
    assert log.count("stays at the service") == (5 if faults else 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX are needed")
def test_ctrl_c_ends_a_run_with_130_and_the_next_one_asks_at_most_again_what_was_in_flight(run_of):
    command = [sys.executable, "-m", "workbench.cli", "run", "run.yaml", "--run-id", "one", "--resume"]
    is_open = threading.Event()
    with OpenAIServer(held=lambda call: call.number > 12 and not is_open.is_set()) as server:
        run_of(120, server)
        with open_store() as store:
            ingested("one", load_parameters("run.yaml"), store)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while len(server.calls) < 14:  # two are in flight, and hang
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 130, said
        assert len(server.calls) == 14
        is_open.set()
        with open_store() as store:
            run = store.get("one")
            assert run.state == "interrupted"
            workflow.classify(run, load_parameters("run.yaml"), store)
            predictions, metrics = store.load("one", "predictions", 1), store.load("one", "metrics", 1)
    assert (len(server.asked), sum(server.asked.values())) == (120, 120 + 2 * 5)
    assert set(predictions["status"]) == {"ok"} and len(predictions) == 120
    assert metrics["processing"]["cached"] == 60
