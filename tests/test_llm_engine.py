"""The classifier against a real server with faults: every item is answered once or has failed with a reason."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_server import BREAKING, KEY, MODEL, SPOILING, OpenAIServer, by_first_word

from workbench.errors import ProviderError
from workbench.llm import Classifier, Limits, MemoryCache, Prompt, get_provider, load_prompt

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
QUICK = Limits(chunk_size=10, concurrency=4, backoff_seconds=0.02)
STOPPING = {"quota", "unauthorized", "forbidden", "unknown_model"}


@pytest.fixture(autouse=True, scope="module")
def key():
    os.environ["OPENAI_API_KEY"] = KEY
    yield
    del os.environ["OPENAI_API_KEY"]


def many(count):
    texts = [f"{('vinil', 'taxi', 'renta')[position % 3]} {position}" for position in range(count)]
    return pd.DataFrame({"item_id": [f"i{n}" for n in range(count)], "cleanText": pd.array(texts, dtype="str")})


def classified(server, items, limits=QUICK, cache=None, timeout=5.0, **changes):
    """Gives the classifier and the predictions, after a check that none is silently wrong."""
    provider = get_provider("openai", model=MODEL, base_url=server.url, timeout=timeout)
    classifier = Classifier(PROMPT, provider, limits.changed(**changes), cache)
    predictions = classifier.classify(items)
    assert predictions["item_id"].tolist() == items["item_id"].tolist()
    for text, said in zip(items["cleanText"], predictions.itertuples(), strict=True):
        if said.status == "failed":
            assert (said.category, said.score) == ("Indeterminado", -1)
            assert said.reason.startswith("no valid answer in")
        else:
            right = by_first_word(text)
            assert (said.category, said.reason, said.score) == tuple(right[k] for k in ("category", "reason", "score"))
    return classifier, predictions


def poisoned(fault, *texts):
    return lambda call: [fault] if set(texts) & set(call.items.values()) else []


# --- single faults


@pytest.mark.parametrize("fault", [*SPOILING, *sorted(set(BREAKING) - STOPPING), "cut", "html", "not_a_completion"])
def test_after_any_single_fault_every_item_has_its_answer(fault):
    with OpenAIServer(faults={3: [fault]}) as server:
        classifier, predictions = classified(server, many(60))
    assert set(predictions["status"]) <= {"ok", "repaired"}
    assert len(server.calls) <= 16
    assert classifier.usage.calls == len(server.calls) or fault == "cut"


@pytest.mark.parametrize("fault", sorted(STOPPING))
def test_what_no_call_survives_stops_at_once_and_what_was_answered_is_kept(fault):
    cache = MemoryCache()
    with OpenAIServer(faults=lambda call: [fault] if call.number > 3 else []) as server:
        with pytest.raises(ProviderError):
            classified(server, many(200), cache=cache)
        assert len(server.calls) <= 3 + QUICK.concurrency
    assert len(cache) == 30


def test_from_a_partly_wrong_answer_only_the_wrong_items_are_asked_again_together():
    with OpenAIServer(faults=lambda call: ["dropped"] if call.number <= 20 else []) as server:
        classifier, predictions = classified(server, many(1000), chunk_size=50, concurrency=1)
    assert (predictions["status"] == "repaired").sum() == classifier.retried == 20
    assert [len(call.items) for call in server.calls] == [50] * 20 + [20]


def test_one_item_dropped_from_every_answer_costs_no_correct_item():
    with OpenAIServer(faults=lambda call: ["dropped"]) as server:
        _, predictions = classified(server, many(300), chunk_size=50)
    assert set(predictions["status"]) <= {"ok", "repaired"}
    assert len(server.calls) <= 30


@pytest.mark.parametrize("fault", ["server_error", "bad_request", "filtered", "refusal", "garbage", "cut"])
def test_one_poisoned_item_in_a_thousand_stands_alone_in_the_end_and_fails_with_its_reason(fault):
    with OpenAIServer(faults=poisoned(fault, "taxi 301")) as server:
        _, predictions = classified(server, many(1000), chunk_size=50)
    failed = predictions[predictions["status"] == "failed"]
    assert failed["item_id"].tolist() == ["i301"]
    assert len(server.calls) <= 20 + 28
    assert {"filtered": "content management policy", "server_error": "500", "garbage": "no results"}.get(
        fault, ""
    ) in failed["reason"].item()


def test_a_truncated_answer_is_kept_up_to_the_last_whole_item_and_chunks_become_smaller():
    with OpenAIServer(faults=lambda call: ["truncated"] if len(call.items) > 6 else []) as server:
        _, predictions = classified(server, many(200), concurrency=1, chunk_size=20)
    assert set(predictions["status"]) == {"ok", "repaired"}
    sizes = [len(call.items) for call in server.calls]
    assert sizes[0] == 20 and max(sizes[4:]) < 12
    assert sum(sizes) < 260


def test_chunks_that_do_not_fit_are_halved_and_the_next_ones_are_smaller():
    with OpenAIServer(faults=lambda call: ["too_long"] if len(call.items) > 12 else []) as server:
        _, predictions = classified(server, many(200), chunk_size=50, concurrency=2)
    assert set(predictions["status"]) <= {"ok", "repaired"}
    assert sum(len(call.items) > 12 for call in server.calls) <= 16
    assert server.statuses[400] <= 16


# --- too many calls


def test_a_429_does_not_use_up_an_attempt_and_everybody_waits():
    arrived = []

    def faults(call):
        arrived.append(time.monotonic())
        return ["rate_limited"] if call.number in (2, 3) else []

    with OpenAIServer(faults=faults) as server:
        classifier, predictions = classified(server, many(60), max_retries=0, concurrency=2)
    assert set(predictions["status"]) == {"ok"}
    assert set(predictions["attempts"]) == {1}
    assert (classifier.put_off, classifier.broken) == (2, 0)
    assert max(after - before for before, after in pairwise(arrived)) >= 0.05


def test_a_service_that_takes_few_calls_at_a_time_gets_few_and_nothing_is_lost():
    with OpenAIServer(delay=0.1, most_in_flight=4) as server:
        started = time.monotonic()
        classifier, predictions = classified(server, many(600), concurrency=16, max_retries=0, backoff_seconds=1.0)
        seconds = time.monotonic() - started
    assert set(predictions["status"]) == {"ok"}
    assert classifier.put_off < 60
    assert seconds < 6  # 60 calls of 0.1 s, 4 at a time: 1.5 s


def test_a_limit_of_calls_per_minute_is_kept():
    with OpenAIServer() as server:
        started = time.monotonic()
        classified(server, many(140), requests_per_minute=120, concurrency=9)
        assert time.monotonic() - started >= 0.9  # 14 calls, 12 of them at once, then one every half second


def test_a_limit_of_tokens_per_minute_is_kept():
    with OpenAIServer() as server:
        one, _ = classified(server, many(10))
        spent = one.usage.input_tokens + one.usage.output_tokens
        started = time.monotonic()
        classified(server, many(90), tokens_per_minute=60 * spent, concurrency=5)
        assert 0.9 < time.monotonic() - started < 20  # 9 calls, 6 of them at once, then one a second


# --- when nothing helps


@pytest.mark.parametrize("fault", ["server_error", "garbage", "bad_request", "refusal", "html"])
def test_if_the_first_chunks_all_fail_nobody_pays_for_the_others(fault):
    with OpenAIServer(faults=lambda call: [fault]) as server:
        with pytest.raises(ProviderError, match=r"the first .* brought no good answer: "):
            classified(server, many(1000))
        assert len(server.calls) <= 50


def test_an_address_where_nobody_answers_is_given_up_after_one_chunk():
    with OpenAIServer() as server:
        pass
    with pytest.raises(ProviderError, match=r"the first chunk brought no good answer: .* cannot be reached"):
        classified(server, many(100))


def test_an_outage_in_the_middle_is_waited_for():
    down = {}

    def faults(call):
        if call.number == 6:
            down["until"] = time.monotonic() + 0.5
        return ["overloaded"] if time.monotonic() < down.get("until", 0) else []

    with OpenAIServer(faults=faults) as server:
        _, predictions = classified(server, many(200), backoff_seconds=0.2)
    assert set(predictions["status"]) <= {"ok", "repaired"}
    assert len(server.calls) < 60


def test_a_call_that_hangs_is_given_up_and_made_again():
    with OpenAIServer(faults={2: ["hang"], 3: ["slow_headers"]}) as server:
        _, predictions = classified(server, many(60), timeout=0.5)
    assert set(predictions["status"]) <= {"ok", "repaired"}


# --- everything mixed

KINDS = sorted({*SPOILING, *BREAKING, "cut", "html", "not_a_completion"} - STOPPING - {"rate_limited"})


@settings(deadline=None, max_examples=12)
@given(plan=st.lists(st.lists(st.sampled_from(KINDS), max_size=3), min_size=1, max_size=7), count=st.integers(1, 40))
def test_whatever_the_server_does_every_item_ends_with_one_prediction_and_none_is_silently_wrong(plan, count):
    with OpenAIServer(faults=lambda call: plan[call.number % len(plan)]) as server:
        limits = QUICK.changed(stop_after=0, max_retries=1, chunk_size=8, backoff_seconds=0.001)
        try:
            classifier, _ = classified(server, many(count), limits)
        except ProviderError as error:  # nothing but 429 is waited for, but not for ever
            assert "put off" in error.message
            return
        assert classifier.answered + classifier.failed == count


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.text(max_size=6)
    | st.sampled_from([*PROMPT.category_names, "pop", "VIAJES ", 0.9, -1]),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.sampled_from(["id", "category", "clase", "score", "reason", "results"]), inner, max_size=4),
    max_leaves=25,
).map(json.dumps)  # fmt: skip


@settings(deadline=None, max_examples=12)
@given(said=st.lists(ANYTHING | st.text(max_size=60), min_size=1, max_size=8), count=st.integers(1, 30))
def test_whatever_text_the_model_says_every_item_ends_with_one_prediction_that_the_prompt_allows(said, count):
    with OpenAIServer(says=lambda call: said[call.number % len(said)]) as server:
        provider = get_provider("openai", model=MODEL, base_url=server.url)
        limits = QUICK.changed(stop_after=0, max_retries=1, chunk_size=8)
        predictions = Classifier(PROMPT, provider, limits).classify(many(count))
    assert predictions["item_id"].tolist() == many(count)["item_id"].tolist()
    for item in predictions.itertuples():
        assert item.category in PROMPT.category_names
        assert (item.score == -1) == (item.category == "Indeterminado")
        assert item.score == -1 or 0 <= item.score <= 1
        assert item.status in ("ok", "repaired") or item.reason.startswith("no valid answer in")


FREE_TEXT = """\
Eres un analista de gastos. Clasifica cada concepto.

1. Pop - material de punto de venta
2. Viajes - taxis y vuelos

Si dudas, usa Otros.
"""


def test_a_free_text_prompt_of_the_users_own_goes_through_the_same_alignment_with_the_data_behind_it(tmp_path):
    (tmp_path / "mine.txt").write_text(FREE_TEXT, encoding="utf-8")
    prompt, items = load_prompt(tmp_path / "mine.txt"), many(120)
    faults = {1: ["dropped"], 2: ["reordered", "fences"], 3: ["unknown", "clase"], 4: ["off_list"], 5: ["truncated"]}
    with OpenAIServer(faults=faults) as server:
        provider = get_provider("openai", model=MODEL, base_url=server.url)
        predictions = Classifier(prompt, provider, QUICK).classify(items)
        prefixes = {call.instructions for call in server.calls}
        contents = [[message["content"] for message in call.body["messages"]] for call in server.calls]
    assert predictions["category"].tolist() == [by_first_word(text)["category"] for text in items["cleanText"]]
    assert predictions["reason"].tolist() == items["cleanText"].tolist()
    assert set(predictions["status"]) == {"ok", "repaired"}
    assert len(prefixes) == 1
    for instructions, data in contents:
        assert instructions.startswith(FREE_TEXT.rstrip()) and data.startswith("id\tcleanText\n1\t")


def test_five_per_cent_of_everything_loses_nothing():
    draw = random.Random(7)
    plan = {number: [draw.choice(KINDS)] for number in range(1, 200) if draw.random() < 0.05}
    with OpenAIServer(faults=plan) as server:
        _, predictions = classified(server, many(1000), chunk_size=20)
    assert set(predictions["status"]) <= {"ok", "repaired"}


# --- memory


def test_a_second_classification_with_the_same_prompt_asks_nothing_and_a_failed_item_is_asked_alone():
    cache, items = MemoryCache(), many(100)
    with OpenAIServer(faults=poisoned("filtered", "taxi 31")) as server:
        classified(server, items, cache=cache)
        before = len(server.calls)
        _, second = classified(server, items, cache=cache)
        assert [list(call.items.values()) for call in server.calls[before:]] == [["taxi 31"]]
    assert (second["status"] == "failed").sum() == 1


PROGRAM = """
from workbench import workflow
from workbench.parameters import load_parameters
from workbench.runs import open_store

parameters, store = load_parameters("run.yaml"), open_store()
run = workflow.start(parameters, store, run_id="killed", resume=True)
workflow.classify(workflow.ingest(parameters, store, run_id=run.run_id), parameters, store)
print(store.load("killed", "predictions", 1)["status"].value_counts().to_dict())
"""
RUN = """\
run: {name: small, iterations: 1}
ingest: {input: expenses.csv, columns: [Concepto]}
classify: {prompt: prompt.yaml, provider: openai, model: test-model, base_url: "URL", chunk_size: 5, concurrency: 2}
"""


def started():
    return subprocess.Popen([sys.executable, "-c", PROGRAM], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def run_of_120(project):
    """A project of 120 items in 24 chunks, two at a time, for a server whose calls take a while."""
    lines = "\n".join(f"{word} numero {n}" for n in range(40) for word in ("vinil", "taxi", "renta"))
    (project / "expenses.csv").write_text(f"Concepto\n{lines}\n", encoding="utf-8")
    (project / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")

    def write(server):
        (project / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")

    return write


def stopped_half_way(server, number):
    """Starts the run and sends it a signal after a dozen calls; gives the process and the seconds that it took."""
    process, until = started(), time.monotonic() + 60
    while len(server.calls) < 12 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    asked = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=60)
    return process, time.monotonic() - asked


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_half_way_and_resumed_at_most_what_was_in_flight_is_asked_again(project, run_of_120, number):
    with OpenAIServer(delay=lambda call: 30 if number == signal.SIGINT and call.number in (11, 12) else 0.08) as server:
        run_of_120(server)
        first, seconds = stopped_half_way(server, number)
        assert first.returncode not in (0, None)
        assert seconds < 10  # and not 30, for the calls under way
        assert 12 <= len(server.calls) < 24
        again = started()
        said, errors = again.communicate(timeout=120)
        assert (again.returncode, said) == (0, "{'ok': 120}\n"), errors
    assert len(server.asked) == 120
    assert sum(server.asked.values()) <= 120 + 2 * 5
    kept = [path for path in project.rglob("*") if path.is_file()]
    assert kept and not any(KEY.encode() in path.read_bytes() for path in kept)
