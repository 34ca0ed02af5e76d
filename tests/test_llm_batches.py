"""The Batch API: the real client against a real server, with everything that may go wrong with a batch."""

import json
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_batches import Batches
from openai_server import KEY, MODEL, ROW_FAULTS, RULES, TEXT_FAULTS, OpenAIServer

from workbench import workflow
from workbench.errors import Interrupted, ParameterError, ProviderError
from workbench.llm import Limits, MemoryCache, Prompt, classifier_of, classify, estimate, get_provider
from workbench.llm.batch_memory import SessionMemory
from workbench.parameters import load_parameters
from workbench.runs import open_store

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
PRICES = """\
as_of: 2025-10-01
mxn_per_usd: 20
models:
  test-model: {input: 100, cached: 10, output: 400}
"""
BY_BATCH = Limits(chunk_size=5, mode="batch")


@pytest.fixture(autouse=True)
def priced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "prices.yaml").write_text(PRICES, encoding="utf-8")
    return tmp_path


def many(count):
    texts = [f"{('vinil', 'taxi', 'renta')[position % 3]} {position}" for position in range(count)]
    return pd.DataFrame({"item_id": [f"i{n}" for n in range(count)], "cleanText": pd.array(texts, dtype="str")})


def provider_of(server):
    return get_provider("openai", model=MODEL, base_url=server.url)


def by_batch(server, **changes):
    memory = changes.pop("memory", SessionMemory())
    cache = changes.pop("cache", MemoryCache())
    return classifier_of(PROMPT, provider_of(server), BY_BATCH.changed(**changes), cache, memory)


def assert_right(predictions, items, failed=()):
    """Every item has the category of its own text, and its reason; or it has failed and says why."""
    for row, text in zip(predictions.itertuples(), items["cleanText"], strict=True):
        if row.status == "failed":
            assert (row.category, row.score) == ("Indeterminado", -1) and row.reason
        else:
            assert (row.category, row.reason) == (RULES.get(text.split()[0], "Otros"), text)
    assert set(predictions.loc[predictions["status"] == "failed", "item_id"]) == set(failed)


def test_a_batch_answers_as_calls_do_in_one_file_at_half_price_and_never_twice():
    items, cache = many(23), MemoryCache()
    with OpenAIServer(batches=Batches()) as server:
        classifier = by_batch(server, cache=cache)
        predictions = classifier.classify(items)
        asked = {"POST files": 1, "POST batches": 1, "GET batches": 2, "GET files": 1, "DELETE files": 2}
        assert server.batches.requests == asked
        half = classifier.cost_usd
        again = by_batch(server, cache=cache)
        pd.testing.assert_frame_equal(again.classify(items), predictions)
        assert (again.cached, server.batches.requests["POST files"]) == (23, 1)
        assert len(server.batches.files["file-1"].splitlines()) == 5
    with OpenAIServer() as live:
        classifier = classifier_of(PROMPT, provider_of(live), BY_BATCH.changed(mode="live"))
        pd.testing.assert_frame_equal(classifier.classify(items), predictions)
    assert_right(predictions, items)
    assert set(server.asked.values()) == {1}
    assert half < classifier.cost_usd  # the live calls after the first have cached tokens
    assert classifier.usage.output_tokens > 0


def test_the_door_is_the_same_and_progress_tells_how_far_the_batch_is():
    told = []
    with OpenAIServer(batches=Batches(polls=3)) as server:
        classify(many(12), PROMPT, provider_of(server), limits=BY_BATCH, on_progress=lambda at: told.append(str(at)))
    assert any("0 of 12 items; batch_1: 0 of 3 requests (in_progress)" in line for line in told)
    assert told[-1].startswith("12 of 12 items") and "batch_1" not in told[-1]


@pytest.mark.parametrize(
    "fault", ["reordered", "missing", "doubled", "bad_json", "expired", "lost_answer", "no_answer"]
)
def test_whatever_happens_to_a_batch_every_item_gets_its_own_answer(fault):
    items = many(33)
    with OpenAIServer(batches=Batches({1: [fault]})) as server:
        predictions = by_batch(server).classify(items)
        again = {"missing": 5, "bad_json": 5, "expired": 20}.get(fault, 0)
        assert (predictions["status"] == "repaired").sum() in (again, again - 2)  # the last chunk holds three
        assert len(server.batches.batches) == (2 if again else 1)
    assert_right(predictions, items)
    assert set(server.asked.values()) <= ({1, 2} if fault in ("missing", "bad_json") else {1})


def test_what_no_batch_answers_has_failed_alone_after_its_attempts():
    items = many(40)
    with OpenAIServer(batches=Batches({1: ["expired"], 2: ["expired"], 3: ["expired"]})) as server:
        predictions = by_batch(server, max_retries=2).classify(items)
        assert len(server.batches.batches) == 3
    failed = predictions[predictions["status"] == "failed"]
    assert 0 < len(failed) < 10 and set(failed["attempts"]) == {3}
    assert failed["reason"].str.contains("in 3 attempts: the batch did not answer it: .*executed in time").all()
    assert_right(predictions, items, failed["item_id"])


def test_errors_of_single_requests_are_repaired_as_those_of_calls_are():
    items = many(40)

    def faults(call):
        if "renta 8" in call.items.values():
            return ["server_error"]
        if "taxi 13" in call.items.values():
            return ["filtered"]
        return {1: ["rate_limited"], 2: ["truncated"], 3: ["dropped", "fences"]}.get(call.number, [])

    with OpenAIServer(batches=Batches(), faults=faults) as server:
        predictions = by_batch(server).classify(items)
    assert_right(predictions, items, ["i8", "i13"])


def test_a_format_that_requests_are_refused_for_is_not_asked_for_again():
    items = many(30)
    with OpenAIServer(batches=Batches(), formats=["text"]) as server:
        predictions = by_batch(server).classify(items)
        assert [call.format for call in server.calls[::6]] == ["json_schema", "json_object", "text"]
    assert_right(predictions, items)
    assert set(predictions["attempts"]) == {1}


def test_a_file_that_is_too_large_goes_up_in_parts():
    items = many(40)
    with OpenAIServer(batches=Batches(most_bytes=4000)) as server:
        predictions = by_batch(server).classify(items)
        assert len(server.batches.batches) > 2
        assert sum(content.count(b'"POST"') for content in server.batches.files.values()) == 8
    assert_right(predictions, items)
    assert set(server.asked.values()) == {1}


def test_a_service_that_breaks_down_for_a_while_is_asked_again():
    errors = {"POST files": 1, "GET batches": 1, "GET files": 1}
    with OpenAIServer(batches=Batches(errors=errors)) as server:
        assert_right(by_batch(server).classify(many(10)), many(10))
        assert len(server.batches.batches) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("failed", r"batch batch_1 at http://.*/v1 failed: This line is not valid JSON \(line 3\)\."),
        ("cancelled", r"batch batch_1 at http://.*/v1 was cancelled\."),
    ],
)
def test_a_batch_that_is_broken_off_stops_with_a_sentence_and_the_next_one_asks_for_the_rest(fault, said):
    items, cache, memory = many(40), MemoryCache(), SessionMemory()
    with OpenAIServer(batches=Batches({1: [fault]})) as server:
        with pytest.raises(ProviderError, match=said) as stopped:
            by_batch(server, cache=cache, memory=memory).classify(items)
        assert "--resume" in stopped.value.hint
        assert len(cache) == (20 if fault == "cancelled" else 0)
        assert_right(by_batch(server, cache=cache, memory=memory).classify(items), items)
    assert set(server.asked.values()) == {1}


def test_batches_that_bring_nothing_good_are_not_paid_for_again_and_again():
    with OpenAIServer(batches=Batches(), faults=lambda call: ["garbage"]) as server:
        with pytest.raises(ProviderError, match=r"the first 10 requests brought no good answer: .*no results"):
            by_batch(server).classify(many(50))
        assert len(server.batches.batches) == 1


@pytest.mark.parametrize(("fault", "said"), [("unauthorized", "does not accept the key"), ("quota", "out of quota")])
def test_a_fault_that_all_requests_would_have_stops_but_what_was_answered_is_kept(fault, said):
    cache = MemoryCache()
    with (
        OpenAIServer(batches=Batches(), faults=lambda call: [fault] if call.number > 3 else []) as server,
        pytest.raises(ProviderError, match=said),
    ):
        by_batch(server, cache=cache).classify(many(30))
    assert len(cache) >= 12


def test_providers_and_endpoints_without_batches_are_told_so():
    with pytest.raises(ParameterError, match="'lexical' has no Batch API"):
        classify(many(1), PROMPT, get_provider("lexical"), mode="batch")
    with pytest.raises(ParameterError, match="mode is 'batches', but should be one of live, batch"):
        Limits(mode="batches")
    with OpenAIServer() as server, pytest.raises(ProviderError, match="has no Batch API") as stopped:
        by_batch(server).classify(many(1))
    assert "classify.mode" in stopped.value.hint


def test_a_lost_batch_is_not_paid_for_again_without_asking():
    memory = SessionMemory()
    with OpenAIServer(batches=Batches({1: ["stuck"]})) as server:
        stopped = stop_while_waiting(by_batch(server, memory=memory), many(10), server)
        assert isinstance(stopped, Interrupted)
        server.batches.batches.clear()
        with pytest.raises(ProviderError, match="does not know the batch batch_1") as lost:
            by_batch(server, memory=memory).classify(many(10))
    assert "batches.json" in lost.value.hint


def stop_while_waiting(classifier, items, server):
    """Press Ctrl+C once the batch is under way; gives what comes of it."""
    main = threading.main_thread().ident

    def press():
        while not server.batches.requests["GET batches"]:
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    try:
        classifier.classify(items)
    except (Interrupted, KeyboardInterrupt) as error:
        return error
    raise AssertionError("it was not stopped")


def test_an_interrupt_leaves_the_batch_running_and_says_so_and_the_next_process_picks_it_up():
    items, memory, cache = many(10), SessionMemory(), MemoryCache()
    with OpenAIServer(batches=Batches({1: ["stuck"]})) as server:
        stopped = stop_while_waiting(by_batch(server, memory=memory, cache=cache), items, server)
        assert isinstance(stopped, Interrupted)
        assert stopped.message == f"interrupted; batch batch_1 goes on at {server.url} and will be paid for."
        assert "--resume" in stopped.hint
        memory.save(json.loads(json.dumps(memory.load())))  # as a file would keep it
        server.batches._faults = {}
        assert_right(by_batch(server, memory=memory, cache=cache).classify(items), items)
        assert len(server.batches.batches) == 1
        assert [list(note) for note in memory.load()] == [["file_id", "batch_id", "status", "requests"]]


def test_a_file_that_went_up_before_a_crash_is_looked_for_among_the_batches():
    items, memory = many(10), SessionMemory()
    with OpenAIServer(batches=Batches({1: ["stuck"]})) as server:
        stop_while_waiting(by_batch(server, memory=memory), items, server)
        memory.save([{**note, "batch_id": None} for note in memory.load()])  # killed before the answer came
        server.batches._faults = {}
        assert_right(by_batch(server, memory=memory).classify(items), items)
        assert len(server.batches.batches) == 1
        memory.save([{**note, "file_id": "file-9", "chunks": []} for note in memory.load()])
        by_batch(server, memory=memory, cache=MemoryCache()).classify(items)
        assert len(server.batches.batches) == 2


def test_what_another_process_answered_meanwhile_is_taken_from_there():
    items, memory, cache = many(10), SessionMemory(), MemoryCache()
    with OpenAIServer(batches=Batches({1: ["stuck"]})) as server:
        stop_while_waiting(by_batch(server, memory=memory, cache=cache), items, server)
        by_batch(server, mode="live", cache=cache).classify(items.head(7))
        server.batches._faults = {1: ["expired"]}
        assert_right(by_batch(server, memory=memory, cache=cache).classify(items), items)


def test_money_is_set_aside_before_a_file_goes_up_and_an_estimate_says_half():
    items = many(60)
    with OpenAIServer(batches=Batches()) as server:
        provider = provider_of(server)
        live, batch = (estimate(items, PROMPT, provider, BY_BATCH.changed(mode=mode)) for mode in ("live", "batch"))
        assert batch.usd == pytest.approx(live.usd / 2) and batch.mxn == pytest.approx(live.mxn / 2)
        assert "in batches at half price" in str(batch) and "half" not in str(live)
        cache = MemoryCache()
        few = by_batch(server, budget_usd=batch.usd / 2, cache=cache)
        predictions = few.classify(items)
        assert 0 < few.left == (predictions["status"] == "pending").sum() < 60
        assert 0 < few.cost_usd <= batch.usd / 2
        more = by_batch(server, budget_usd=batch.usd, cache=cache)
        assert_right(more.classify(items), items)
    assert set(server.asked.values()) == {1}


ANYTHING = st.lists(
    st.sampled_from([*ROW_FAULTS, *TEXT_FAULTS, "rate_limited", "server_error", "too_long", "refusal", "no_usage"]),
    max_size=2,
)


@settings(max_examples=12, deadline=None)
@given(
    st.dictionaries(st.integers(1, 12), ANYTHING, max_size=8),
    st.lists(
        st.lists(st.sampled_from(["reordered", "missing", "doubled", "bad_json", "expired"]), max_size=3), max_size=3
    ),
)
def test_for_any_batches_every_item_ends_with_exactly_one_prediction_and_none_is_silently_wrong(calls, batches):
    items = many(17)
    with OpenAIServer(batches=Batches(dict(enumerate(batches, 1)), polls=1), faults=calls) as server:
        predictions = by_batch(server, max_retries=1, stop_after=0).classify(items)
    assert predictions["item_id"].tolist() == items["item_id"].tolist()
    assert_right(predictions, items, predictions.loc[predictions["status"] == "failed", "item_id"])


# --- a run

RUN = """\
run: {name: small, iterations: 1}
ingest: {input: expenses.csv, columns: [Concepto]}
classify: {prompt: prompt.yaml, provider: openai, model: test-model, base_url: "URL", chunk_size: 5, mode: batch}
"""


@pytest.fixture
def small(priced, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(priced / "runs"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    rows = "\n".join(f"{word} numero {n}" for n in range(10) for word in ("vinil", "taxi", "renta"))
    (priced / "expenses.csv").write_text(f"Concepto\n{rows}\n", encoding="utf-8")
    (priced / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    return priced


STAGES = """\
from workbench import workflow
from workbench.parameters import load_parameters
from workbench.runs import open_store
parameters, store = load_parameters("run.yaml"), open_store()
run = workflow.ingest(parameters, store, run_id=workflow.start(parameters, store, run_id="one", resume=True).run_id)
workflow.classify(run, parameters, store)
"""


def working(server, *command):
    """Start a process; comes back when it waits for the batch."""
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 100
    while not server.batches.requests["GET batches"]:
        assert time.monotonic() < until and started.poll() is None, started.communicate()[0]
        time.sleep(0.05)
    return started


def test_a_killed_run_picks_up_the_same_batch_and_an_interrupted_one_says_that_it_goes_on(small):
    with OpenAIServer(batches=Batches({1: ["stuck"]})) as server:
        (small / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")
        killed = working(server, sys.executable, "-c", STAGES)
        killed.kill()
        killed.communicate()
        server.batches.requests.clear()
        command = ["classify", "run.yaml", "--run-id", "one"]
        interrupted = working(server, sys.executable, "-m", "workbench.cli", *command)
        interrupted.send_signal(signal.SIGINT)
        said = interrupted.communicate(timeout=30)[0]
        assert interrupted.returncode == 130
        assert f"interrupted; batch batch_1 goes on at {server.url} and will be paid for." in said
        with open_store() as store:
            run, live = store.get("one"), load_parameters("run.yaml", ["classify.mode=live"])
            with pytest.raises(ParameterError, match="batch batch_1 of run 'one' is still under way"):
                workflow.classify(run, live, store)
            server.batches._faults = {}
            workflow.classify(run, load_parameters("run.yaml"), store)
        assert len(server.batches.batches) == sum(b'"POST"' in file for file in server.batches.files.values()) == 1
    assert set(server.asked.values()) == {1} and len(server.asked) == 30
    folder = small / "runs" / "one" / "iteration_001"
    assert pd.read_parquet(folder / "predictions.parquet")["status"].tolist() == ["ok"] * 30
    kept = json.loads((folder / "batches.json").read_text(encoding="utf-8"))
    assert [(note["batch_id"], note["status"]) for note in kept] == [("batch_1", "completed")]
