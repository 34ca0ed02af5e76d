"""Asking more than once on purpose: hedged calls, a second pass with a vote, the position audit."""

import functools
import os

import pandas as pd
import pytest
from openai_server import KEY, MODEL, OpenAIServer, by_first_word

from workbench.errors import ParameterError
from workbench.llm import Classifier, Limits, MemoryCache, Prompt, estimate, get_provider
from workbench.metrics import iteration_metrics, wilson
from workbench.report.words import accuracy_sentences

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
LIMITS = Limits(chunk_size=10, concurrency=4, backoff_seconds=0.02)


@pytest.fixture(autouse=True, scope="module")
def key():
    os.environ["OPENAI_API_KEY"] = KEY
    yield
    del os.environ["OPENAI_API_KEY"]


def many(count):
    texts = [f"{('vinil', 'taxi', 'renta')[position % 3]} {position}" for position in range(count)]
    return pd.DataFrame({"item_id": [f"i{n}" for n in range(count)], "cleanText": pd.array(texts, dtype="str")})


def made(server, cache=None, **changes):
    provider = get_provider("openai", model=MODEL, base_url=server.url)
    return Classifier(PROMPT, provider, LIMITS.changed(**changes), cache)


def right(items):
    return [by_first_word(text)["category"] for text in items["cleanText"]]


# --- hedged calls: 16 good calls teach what is slow, and of up to 19 calls one may be a second one


CHUNKS, SLOW, LAST = 18, 16, 17
"""So many chunks of ten; the positions of the slow one and of the last. Nothing is overdue before all others are in."""


@functools.cache
def chunks_in_order():
    """Give what the chunks ask, in the order in which their calls start."""
    with OpenAIServer() as server:
        made(server, concurrency=1).classify(many(10 * CHUNKS))
        return [call.items for call in server.calls]


def asks(server, call, chunk, time=1):
    """Say whether it asks for that chunk for the first, second … time: calls arrive in any order."""
    same = [each.number for each in server.calls if each.items == call.items]
    return call.items == chunks_in_order()[chunk] and same.index(call.number) == time - 1


def test_a_call_far_slower_than_the_others_is_made_again_and_nobody_waits_for_it():
    with OpenAIServer(held=lambda call: asks(server, call, SLOW)) as server:  # it is never answered
        classifier = made(server, hedge=True, concurrency=2)
        predictions = classifier.classify(many(10 * CHUNKS))
        assert predictions["category"].tolist() == right(many(10 * CHUNKS))
        assert set(predictions["status"]) == {"ok"}
        assert (classifier.hedged, classifier.processing()["hedged"]) == (1, 1)
        assert classifier.usage.calls == len(server.calls) == CHUNKS + 1
        assert sorted(server.asked.values())[-11:] == [1, *[2] * 10]


def test_with_one_call_at_a_time_there_is_no_place_for_a_second():
    with OpenAIServer(delay=lambda call: 0.3 * (call.number == 20)) as server:
        classifier = made(server, hedge=True, concurrency=1)
        classifier.classify(many(250))
        assert (classifier.hedged, len(server.calls)) == (0, 25)


def test_a_service_that_becomes_slow_as_a_whole_is_not_asked_twice_as_often():
    with OpenAIServer(held=lambda call: call.number > 20 and len(server.calls) < 44) as server:
        slower = made(server, hedge=True, concurrency=30)
        slower.classify(many(400))
        assert (slower.hedged, len(server.calls)) == (4, 44)  # a tenth


def test_an_answer_that_comes_late_is_paid_for_and_changes_nothing():
    said = []

    def held(call):
        if asks(server, call, SLOW):  # answered when the second call for it was
            return server.statuses[200] < CHUNKS - 1
        return asks(server, call, LAST) and len(said) < CHUNKS  # keeps the run going until the late answer is there

    with OpenAIServer(held=held) as server:
        classifier = made(server, hedge=True, concurrency=3)
        classifier.on_call = said.append
        predictions = classifier.classify(many(10 * CHUNKS))
        assert (classifier.hedged, classifier.usage.calls, len(server.calls)) == (1, CHUNKS + 1, CHUNKS + 1)
    assert len(said) == CHUNKS + 1 and not any(record["fault"] for record in said)
    assert classifier.usage.input_tokens == sum(record["usage"]["input_tokens"] for record in said)
    assert predictions["category"].tolist() == right(many(10 * CHUNKS))
    assert set(predictions["status"]) == {"ok"}


def test_of_two_calls_one_that_fails_does_not_spoil_the_other():
    said = []
    with OpenAIServer(
        held=lambda call: asks(server, call, SLOW) and not any(record["fault"] for record in said),
        faults=lambda call: ["server_error"] * (max(server.asked[text] for text in call.items.values()) == 2),
    ) as server:
        classifier = made(server, hedge=True, concurrency=2)
        classifier.on_call = said.append
        predictions = classifier.classify(many(10 * CHUNKS))
    assert set(predictions["status"]) == {"ok"}
    assert (classifier.hedged, classifier.broken, classifier.usage.calls) == (1, 1, CHUNKS + 1)


@pytest.mark.parametrize(("room", "second"), [(1.2, 1), (1.04, 0)])
def test_a_second_call_needs_money_as_any_other(tmp_path, monkeypatch, room, second):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "prices.yaml").write_text(
        "as_of: 2025-10-01\nmxn_per_usd: 20\nmodels:\n  test-model: {input: 100, cached: 100, output: 400}\n"
    )
    with OpenAIServer(delay=lambda call: 0.5 * asks(server, call, SLOW, time=2)) as server:
        without = made(server, budget_usd=50.0, concurrency=2)
        without.classify(many(10 * CHUNKS))
        classifier = made(server, hedge=True, concurrency=2, budget_usd=room * without.cost_usd)
        assert set(classifier.classify(many(10 * CHUNKS))["status"]) == {"ok"}
        assert (classifier.hedged, len(server.calls)) == (second, 2 * CHUNKS + second)
    assert classifier.cost_usd == pytest.approx((1 + second / CHUNKS) * without.cost_usd, rel=0.01)
    assert classifier._budget._reserved == pytest.approx(0)


# --- a second pass


def moody(changes):
    """Answers with low scores by a list of categories per text; the n-th time an item is asked the n-th counts."""
    times = {}

    def answer(text):
        times[text] = times.get(text, 0) + 1
        said = changes.get(text, [by_first_word(text)["category"]])
        return {
            "reason": f"time {times[text]}",
            "category": said[min(times[text], len(said)) - 1],
            "score": 0.3 if text in changes else 0.9,
        }

    return answer


CHANGES = {
    "vinil 0": ["Pop", "Pop", "Otros"],
    "taxi 1": ["Pop", "Viajes", "Viajes"],
    "renta 2": ["Pop", "Viajes", "Otros"],
    "vinil 3": ["Indeterminado", "Pop", "Pop"],
}


def test_items_with_low_scores_are_asked_again_and_the_majority_decides_with_ties_keeping_the_first():
    items, cache = many(60), MemoryCache()
    with OpenAIServer(moody(CHANGES)) as server:
        classifier = made(server, cache, second_pass_below=0.5)
        predictions = classifier.classify(items)
        said = predictions.set_index("item_id")
        assert said.loc[["i0", "i1", "i2", "i3"], "category"].tolist() == ["Pop", "Viajes", "Pop", "Pop"]
        assert said.loc[["i0", "i1"], "reason"].tolist() == ["time 1", "time 2"]
        assert predictions["item_id"].tolist() == items["item_id"].tolist()
        assert predictions["category"].tolist()[4:] == right(items)[4:]
        assert [len(call.items) for call in server.calls[6:]] == [4, 3]  # where two agree, nobody asks for a third
        assert classifier.second_pass == {"asked": 4, "changed": 2}
        assert (classifier.answered, classifier.usage.calls) == (60, 8)
        again = made(server, cache, second_pass_below=0.5).classify(items)
        assert len(server.calls) == 8
    pd.testing.assert_frame_equal(predictions, again)


def test_a_pass_without_money_leaves_the_run_to_go_on_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "prices.yaml").write_text(
        "as_of: 2025-10-01\nmxn_per_usd: 20\nmodels:\n  test-model: {input: 100, cached: 10, output: 400}\n"
    )
    items, cache = many(40), MemoryCache()
    changes = {text: ["Otros", "Pop", "Pop"] for text in items["cleanText"]}
    with OpenAIServer(moody(changes)) as server:
        free = made(server, MemoryCache())
        free.classify(items)
        poor = made(server, cache, second_pass_below=0.5, budget_usd=1.3 * free.cost_usd, concurrency=1)
        assert set(poor.classify(items)["status"]) == {"ok"}
        assert poor.left == 0 and poor.left_again > 0  # every item has an answer
        assert poor.cost_usd <= 1.3 * free.cost_usd
        asked = len(server.calls)
        rich = made(server, cache, second_pass_below=0.5, budget_usd=50.0)
        rich.classify(items)
        assert rich.left == rich.left_again == 0
        assert len(server.calls) - asked < 9


# --- the position audit


def test_the_audit_asks_a_random_sample_in_other_chunks_and_counts_what_changes():
    items, cache = many(120), MemoryCache()
    changes = {text: [by_first_word(text)["category"], "Indeterminado"] for text in items["cleanText"][:30]}
    with OpenAIServer(moody(changes)) as server:
        classifier = made(server, cache, audit_sample=40)
        predictions = classifier.classify(items)
        assert predictions["category"].tolist() == right(items)  # it measures, and changes nothing
        first, second = server.calls[:12], server.calls[12:]
        assert sum(len(call.items) for call in second) == 40
        neighbours = {text: set(call.items.values()) for call in first for text in call.items.values()}
        assert not any(set(call.items.values()) <= neighbours[text] for call in second for text in call.items.values())
        audited = {text for call in second for text in call.items.values()}
        assert classifier.position_audit == {"asked": 40, "changed": len(audited & set(changes))}
        same = made(server, cache, audit_sample=40)
        same.classify(items)
        assert same.position_audit == classifier.position_audit
        assert len(server.calls) == 16
    metrics = iteration_metrics(predictions, items.assign(n_rows=1), processing=classifier.processing())
    found, expected = metrics["position_audit"], wilson(classifier.position_audit["changed"], 40)
    assert (found["estimate"], found["low"], found["high"], found["n"]) == (
        expected.estimate, expected.low, expected.high, 40,
    )  # fmt: skip
    assert any("of 40 items got another category" in each for each in accuracy_sentences(metrics))


def test_without_an_audit_there_is_nothing_to_tell():
    with OpenAIServer() as server:
        classifier = made(server)
        predictions = classifier.classify(many(10))
    metrics = iteration_metrics(predictions, many(10).assign(n_rows=1), processing=classifier.processing())
    assert metrics["position_audit"] is None
    assert not any("other chunks" in each for each in accuracy_sentences(metrics))


# --- what it will cost


def test_an_estimate_counts_the_calls_that_ask_again_and_not_those_that_are_kept():
    items, cache = many(200), MemoryCache()
    changes = {text: ["Otros", "Pop", "Pop"] for text in items["cleanText"][:20]}
    with OpenAIServer(moody(changes)) as server:
        classifier = made(server, cache, second_pass_below=0.5, audit_sample=30)
        before = estimate(items, PROMPT, classifier.provider, classifier.limits, cache)
        assert (before.calls, before.calls_again) == (20 + 7 + 4, 11)  # one in five low, twice; and the audit
        classifier.classify(items)
        after = estimate(items, PROMPT, classifier.provider, classifier.limits, cache)
        assert after.calls <= 8
        assert "ask again" in str(before)
        assert len(server.calls) <= before.calls


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"hedge": 1}, "hedge is 1, but should be true or false"),
        ({"second_pass_below": -0.1}, "second_pass_below is -0.1"),
        ({"audit_sample": 1.5}, "audit_sample is 1.5"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(limits, said):
    with pytest.raises(ParameterError, match=said):
        Limits(**limits)


def test_progress_says_what_is_wrong_with_the_service_and_that_items_are_asked_again():
    items, said = many(20), []
    with OpenAIServer(
        moody({text: ["Otros"] for text in items["cleanText"][:5]}), faults={1: ["server_error"]}
    ) as server:
        classifier = made(server, second_pass_below=0.5, concurrency=1)
        classifier.classify(items, lambda at: said.append(str(at)))
    assert said[0].endswith("answered 500: The server had an error")
    assert not any("500" in line for line in said[1:])
    assert "20 of 20 items" in said[-2] and said[-1].startswith("asked a second time: 5 of 5 items")
