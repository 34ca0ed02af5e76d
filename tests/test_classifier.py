import _thread
import asyncio
import hashlib
import json
import random
import threading
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ColumnNotFound, ParameterError, ProviderError, UsageError
from workbench.llm import (
    Answer,
    Classifier,
    Limits,
    MemoryCache,
    Prompt,
    Request,
    Response,
    Usage,
    WriteOnly,
    answer_key,
    classify,
)
from workbench.llm.chunks import cut, number, shuffled
from workbench.records import PREDICTION_COLUMNS, Status

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
RIGHT = {"vinil": "Pop", "taxi": "Viajes"}


def right_entry(item):
    """Answers by the first word of an item's text."""
    text = " ".join(item.fields.values())
    category = RIGHT.get(text.split()[0], "Otros")
    return {"id": item.number, "reason": text, "category": category, "score": 0.9}


class Rules:
    """A provider that answers by rules, unless `spoil` changes the entries or the text of a call."""

    name = "rules"
    model = "rules-1"

    def __init__(self, spoil=None, fingerprint="rules-1"):
        self.fingerprint = fingerprint
        self.spoil = spoil or (lambda entries, call: entries)
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def complete(self, request):
        with self._lock:
            self.requests.append(request)
            call = len(self.requests)
        said = self.spoil([right_entry(item) for item in request.items], call)
        text = said if isinstance(said, str) else json.dumps({"results": said})
        return Response(text, Usage(1, 10, 2, 3))

    @property
    def sizes(self):
        return [len(request.items) for request in self.requests]


def frame(texts, **more):
    ids = [f"i{position}" for position in range(len(texts))]
    return pd.DataFrame({"item_id": ids, "cleanText": pd.array(texts, dtype="str"), **more})


def many(count):
    return frame([f"{('vinil', 'taxi', 'renta')[position % 3]} {position}" for position in range(count)])


def expected(items):
    return [RIGHT.get(text.split()[0], "Otros") for text in items["cleanText"]]


def without(text):
    return lambda entries, call: [entry for entry in entries if entry["reason"] != text]


# --- what comes out


def test_every_item_gets_one_prediction_in_the_order_of_the_items():
    items = many(23)
    predictions = classify(items, PROMPT, Rules(), chunk_size=5)
    assert tuple(predictions.columns) == PREDICTION_COLUMNS
    assert predictions["item_id"].tolist() == items["item_id"].tolist()
    assert predictions["category"].tolist() == expected(items)
    assert set(predictions["status"]) == {"ok"}
    assert set(predictions["attempts"]) == {1}
    assert predictions.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(["item_id", "category", "reason", "status"], "str"),
        "score": "float64",
        "attempts": "int64",
        "judge_category": "str",
    }


def test_all_clean_fields_that_are_not_empty_go_out_and_nothing_else():
    items = frame(["vinil", "taxi"], cleanPlace=["norte", None], Amount=[1, 2], n_rows=[1, 1])
    provider = Rules()
    classify(items, PROMPT, provider)
    sent = sorted((item.fields for item in provider.requests[0].items), key=str)
    assert sent == [{"cleanText": "taxi"}, {"cleanText": "vinil", "cleanPlace": "norte"}]


def test_an_item_without_text_is_not_sent():
    provider = Rules()
    predictions = classify(frame(["vinil", None, "  ", ""]), PROMPT, provider)
    assert provider.sizes == [1]
    assert predictions["category"].tolist() == ["Pop", "Indeterminado", "Indeterminado", "Indeterminado"]
    assert pd.isna(predictions.loc[1, "judge_category"])
    assert predictions.iloc[1].drop("judge_category").to_dict() == {
        "item_id": "i1",
        "category": "Indeterminado",
        "reason": "no text to classify",
        "score": -1.0,
        "status": "ok",
        "attempts": 0,
    }


def test_no_items_give_no_predictions_and_no_call():
    provider = Rules()
    predictions = classify(many(0), PROMPT, provider)
    assert (len(predictions), tuple(predictions.columns), provider.requests) == (0, PREDICTION_COLUMNS, [])


def test_items_with_the_same_text_are_asked_once():
    provider = Rules()
    predictions = classify(frame(["vinil"] * 9 + ["taxi"]), PROMPT, provider)
    assert provider.sizes == [2]
    assert predictions["category"].tolist() == ["Pop"] * 9 + ["Viajes"]


def test_the_order_of_the_rows_decides_neither_the_chunks_nor_the_answers():
    items = many(40)
    other = items.sample(frac=1, random_state=1)
    first, second = Rules(), Rules()
    one = classify(items, PROMPT, first, chunk_size=7, concurrency=1)
    two = classify(other, PROMPT, second, chunk_size=7, concurrency=1)
    assert [request.data for request in first.requests] == [request.data for request in second.requests]
    assert two["item_id"].tolist() == other["item_id"].tolist()
    assert two.set_index("item_id").loc[one["item_id"], "category"].tolist() == one["category"].tolist()


def test_chunks_are_full_numbered_from_one_and_differ_by_seed():
    ids = [f"i{position}" for position in range(100)]
    assert sorted(shuffled(ids, 1)) == list(range(100))
    assert shuffled(ids, 1) != shuffled(ids, 2)
    assert [len(chunk) for chunk in cut(range(101), 50)] == [50, 50, 1]
    assert [item.number for item in number([{"cleanText": "a"}, {"cleanText": "b"}])] == [1, 2]


# --- samples


def test_a_sample_is_drawn_by_seed_and_the_others_are_pending():
    items = many(60)
    provider = Rules()
    predictions = classify(items, PROMPT, provider, sample_size=20, seed=3)
    asked = predictions[predictions["status"] != "pending"]
    assert (len(asked), sum(provider.sizes)) == (20, 20)
    pending = predictions[predictions["status"] == "pending"]
    assert pending["category"].isna().all()
    assert pending["score"].isna().all()
    assert (pending["attempts"] == 0).all()
    assert predictions["item_id"].tolist() == items["item_id"].tolist()
    again = classify(items.iloc[::-1], PROMPT, Rules(), sample_size=20, seed=3)
    assert set(again.loc[again["status"] != "pending", "item_id"]) == set(asked["item_id"])
    other = classify(items, PROMPT, Rules(), sample_size=20, seed=4)
    assert set(other.loc[other["status"] != "pending", "item_id"]) != set(asked["item_id"])


def test_a_sample_larger_than_the_items_is_all_of_them():
    assert set(classify(many(5), PROMPT, Rules(), sample_size=50)["status"]) == {"ok"}


# --- repair


def test_only_what_is_missing_is_asked_again():
    provider = Rules(lambda entries, call: entries[2:] if call == 1 else entries)
    items = many(10)
    predictions = classify(items, PROMPT, provider)
    assert provider.sizes == [10, 2]
    assert predictions["category"].tolist() == expected(items)
    assert predictions["status"].value_counts().to_dict() == {"ok": 8, "repaired": 2}
    assert predictions.loc[predictions["status"] == "repaired", "attempts"].tolist() == [2, 2]


def test_an_item_that_is_never_answered_fails_with_the_reason_and_takes_no_other_with_it():
    provider = Rules(without("taxi 1"))
    predictions = classify(many(10), PROMPT, provider, max_retries=2)
    assert provider.sizes == [10, 1, 1]
    failed = predictions[predictions["status"] == "failed"]
    assert failed[["item_id", "category", "score", "attempts"]].values.tolist() == [["i1", "Indeterminado", -1.0, 3]]
    assert failed["reason"].item() == "no valid answer in 3 attempts: the answer holds no results that can be read"
    assert (predictions["status"] == "ok").sum() == 9


def test_without_retries_a_bad_answer_fails_at_once():
    provider = Rules(lambda entries, call: [entry | {"category": "Nope"} for entry in entries])
    predictions = classify(many(3), PROMPT, provider, max_retries=0)
    assert provider.sizes == [3]
    assert set(predictions["reason"]) == {"no valid answer in 1 attempt: its category 'Nope' is not in the prompt"}


def test_an_unclassifiable_item_is_an_answer_and_not_a_failure():
    provider = Rules(lambda entries, call: [entry | {"category": "indeterminado", "score": 0.3} for entry in entries])
    predictions = classify(many(2), PROMPT, provider)
    assert predictions[["category", "score", "status"]].values.tolist() == [["Indeterminado", -1.0, "ok"]] * 2


FAULTS = {
    "good": lambda entries, rng: entries,
    "dropped": lambda entries, rng: rng.sample(entries, rng.randint(0, len(entries))),
    "doubled": lambda entries, rng: entries + rng.sample(entries, 1),
    "contradicted": lambda entries, rng: [*entries, rng.choice(entries) | {"category": "Indeterminado"}],
    "shuffled": lambda entries, rng: rng.sample(entries, len(entries)),
    "unknown": lambda entries, rng: [*entries, rng.choice(entries) | {"id": rng.randint(100, 200)}],
    "off-list": lambda entries, rng: [rng.choice(entries) | {"category": "Nope"}, *entries[1:]],
    "off-scale": lambda entries, rng: [entry | {"score": rng.choice([7, -1, "x", 0.5])} for entry in entries],
    "cut": lambda entries, rng: json.dumps({"results": entries})[: rng.randint(0, 60 * len(entries))],
    "garbage": lambda entries, rng: rng.choice(["", "sorry", "{", "null", '{"results": 7}', "[[[", '{"id":1}']),
}


@settings(deadline=None, max_examples=40)
@given(
    faults=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=6),
    count=st.integers(0, 30),
    limits=st.builds(
        Limits,
        chunk_size=st.integers(1, 12),
        concurrency=st.integers(1, 4),
        max_retries=st.integers(0, 3),
        sample_size=st.integers(0, 20),
        seed=st.integers(-3, 99),
        stop_after=st.just(0),
    ),
)
def test_whatever_a_provider_answers_items_in_are_predictions_out_and_no_answer_goes_astray(faults, count, limits):
    def spoil(entries, call):
        return FAULTS[faults[call % len(faults)]](entries, random.Random(call))

    items = many(count)
    cache = MemoryCache()
    classifier = Classifier(PROMPT, Rules(spoil), limits, cache)
    predictions = classifier.classify(items)
    assert predictions["item_id"].tolist() == items["item_id"].tolist()
    for said, right in zip(predictions.itertuples(), expected(items), strict=True):
        if said.status in (Status.OK, Status.REPAIRED):
            assert (said.category, said.reason) == (right, items["cleanText"][said.Index])
            assert (said.status == "repaired") == (said.attempts > 1)
        elif said.status == Status.FAILED:
            assert (said.category, said.score) == ("Indeterminado", -1)
            assert said.attempts > limits.max_retries
    good = predictions["status"].isin(["ok", "repaired"]).sum()
    asked = min(count, limits.sample_size or count)
    assert (len(cache), (predictions["status"] != "pending").sum()) == (good, asked)
    assert classifier.failed == asked - good


# --- the cache


def test_what_was_answered_once_is_not_asked_again():
    items, cache = many(30), MemoryCache()
    first = classify(items, PROMPT, Rules(), cache=cache)
    provider = Rules()
    second = classify(items, PROMPT, provider, cache=cache)
    pd.testing.assert_frame_equal(first, second)
    assert provider.requests == []


def test_a_cache_that_is_only_written_asks_anew_and_keeps_the_new_answers():
    kept, provider = MemoryCache(), Rules()
    for _ in range(2):
        classify(many(30), PROMPT, provider, cache=WriteOnly(kept))
    assert (provider.sizes, len(kept)) == ([30, 30], 30)


def test_only_new_items_are_asked():
    cache, provider = MemoryCache(), Rules()
    classify(many(30), PROMPT, Rules(), cache=cache)
    classify(many(34), PROMPT, provider, cache=cache)
    assert provider.sizes == [4]


def test_another_prompt_or_provider_asks_again_and_another_name_does_not():
    cache = MemoryCache()
    classify(many(4), PROMPT, Rules(), cache=cache)
    renamed = Prompt(name="other", categories=PROMPT.category_names)
    ruled = Prompt(name="p", categories=PROMPT.category_names, rules=["Viajes first"])
    for prompt, provider, calls in [(renamed, Rules(), 0), (ruled, Rules(), 1), (PROMPT, Rules(fingerprint="2"), 1)]:
        classify(many(4), prompt, provider, cache=cache)
        assert len(provider.requests) == calls


def test_a_failed_item_is_asked_again_and_a_repaired_one_stays_repaired():
    cache, items = MemoryCache(), many(6)
    first = classify(items, PROMPT, Rules(without("taxi 1")), cache=cache, max_retries=1)
    assert first["status"].tolist().count("failed") == 1
    provider = Rules(lambda entries, call: entries if call > 1 else [])
    second = classify(items, PROMPT, provider, cache=cache)
    assert provider.sizes == [1, 1]
    assert second["status"].tolist()[1] == "repaired"
    third = classify(items, PROMPT, Rules(), cache=cache)
    pd.testing.assert_frame_equal(second, third)


def test_a_kept_failure_is_never_served():
    items, cache = frame(["vinil"]), MemoryCache()
    key = answer_key({"cleanText": "vinil"}, PROMPT.fingerprint, "rules-1")
    cache.put([Answer(key, "Indeterminado", "no", -1.0, Status.FAILED, 4)])
    assert classify(items, PROMPT, Rules(), cache=cache)["category"].tolist() == ["Pop"]


def test_the_key_of_an_answer_covers_the_fields_the_prompt_and_the_provider():
    key = answer_key({"cleanA": "x", "cleanB": "y"}, "p", "q")
    assert key == answer_key({"cleanB": "y", "cleanA": "x"}, "p", "q")
    assert len(bytes.fromhex(key)) == 16
    others = [({"cleanA": "y", "cleanB": "x"}, "p", "q"), ({"cleanA": "x"}, "p", "q"), ({"cleanA": "x"}, "pq", "")]
    assert len({key, *(answer_key(*other) for other in others)}) == 4


@given(
    fields=st.dictionaries(st.text(), st.text(), max_size=3),
    prompt=st.text(max_size=5),
    provider=st.text(max_size=5),
)
@settings(deadline=None, max_examples=50)
def test_keys_stay_what_they_are_so_that_answers_of_earlier_versions_are_found(fields, prompt, provider):
    content = json.dumps([prompt, provider, sorted(fields.items())], separators=(",", ":")).encode()
    expected = hashlib.blake2b(content, digest_size=16, person=b"answer").hexdigest()
    assert answer_key(fields, prompt, provider) == expected


# --- calls in flight


class Gated(Rules):
    """A provider whose calls can be made to wait, and that notes how many are under way."""

    def __init__(self, before):
        super().__init__()
        self.before = before
        self.flying = self.peak = self.calls = 0
        self._count = threading.Lock()

    def complete(self, request):
        with self._count:
            self.calls += 1
            self.flying += 1
            self.peak = max(self.peak, self.flying)
            call = self.calls
        try:
            self.before(call)
            return super().complete(request)
        finally:
            with self._count:
                self.flying -= 1


def test_the_window_is_always_full_so_that_a_slow_call_holds_nobody_up():
    others_are_done = threading.Event()

    def before(call):
        if call == 1:
            assert others_are_done.wait(10)
        if call == 12:
            others_are_done.set()

    provider = Gated(before)
    predictions = classify(many(12), PROMPT, provider, chunk_size=1, concurrency=3)
    assert set(predictions["status"]) == {"ok"}
    assert provider.peak <= 3


def test_as_many_calls_as_allowed_are_in_flight():
    together = threading.Barrier(4)
    provider = Gated(lambda call: together.wait(10))
    classify(many(8), PROMPT, provider, chunk_size=1, concurrency=4)
    assert provider.peak == 4


def test_it_works_inside_a_running_event_loop():
    async def cell():
        return classify(many(9), PROMPT, Rules(), chunk_size=2)

    assert len(asyncio.run(cell())) == 9


def test_ctrl_c_stops_within_a_second_and_what_was_answered_is_kept():
    go_on, pressed = threading.Event(), []
    cache = MemoryCache()

    def before(call):
        if call == 5:
            pressed.append(time.monotonic())
            _thread.interrupt_main()
        if call >= 5:
            go_on.wait(20)

    with pytest.raises(KeyboardInterrupt):
        classify(many(40), PROMPT, Gated(before), chunk_size=2, concurrency=2, cache=cache)
    assert time.monotonic() - pressed[0] < 1
    go_on.set()
    kept = len(cache)
    assert kept >= 6
    provider = Rules()
    predictions = classify(many(40), PROMPT, provider, chunk_size=2, cache=cache)
    assert (len(predictions), sum(provider.sizes)) == (40, 40 - kept)


def test_a_provider_that_cannot_answer_stops_at_once_and_what_was_answered_is_kept():
    def before(call):
        if call >= 4:
            raise ProviderError("the key is not valid.", hint="set OPENAI_API_KEY.")

    provider, cache = Gated(before), MemoryCache()
    classifier = Classifier(PROMPT, provider, Limits(chunk_size=2, concurrency=1), cache)
    with pytest.raises(ProviderError, match="the key is not valid"):
        classifier.classify(many(40))
    assert (provider.calls, len(cache)) == (4, 6)
    assert (classifier.usage.calls, classifier.answered) == (3, 6)
    assert classifier.seconds > 0


def test_a_provider_with_a_defect_is_named():
    def before(call):
        raise KeyError("choices")

    with pytest.raises(ProviderError, match="'rules' broke down: KeyError: 'choices'"):
        classify(many(3), PROMPT, Gated(before))


def test_no_thread_outlives_a_classification():
    classify(many(30), PROMPT, Rules(), chunk_size=1, concurrency=8)
    assert [thread for thread in threading.enumerate() if thread.name == "llm-call"] == []


# --- progress and accounts


def test_progress_is_told_after_each_chunk_from_the_calling_thread():
    seen = []
    cache = MemoryCache()
    classify(many(10), PROMPT, Rules(), cache=cache)
    items = pd.concat([many(30), pd.DataFrame({"item_id": ["empty"], "cleanText": [None]})])
    classify(
        items,
        PROMPT,
        Rules(without("taxi 13")),
        chunk_size=5,
        max_retries=1,
        cache=cache,
        on_progress=lambda at: seen.append((at, threading.current_thread())),
    )
    assert {thread for _, thread in seen} == {threading.main_thread()}
    at = [progress for progress, _ in seen]
    assert (at[0].done, at[0].total, at[0].cached, at[0].seconds_left) == (11, 31, 10, None)
    assert [progress.done for progress in at] == sorted(progress.done for progress in at)
    assert (at[-1].done, at[-1].failed, at[-1].usage.calls, at[-1].seconds_left) == (31, 1, 5, 0.0)
    assert str(at[-1]).startswith("31 of 31 items, ")
    assert str(at[-1]).endswith("65 tokens, 10 from the cache, 1 asked again, 1 failed")


def test_answers_that_come_back_at_once_are_kept_at_once_and_told_one_by_one():
    provider, puts, seen = Gated(lambda call: None), [], []

    class Slow(MemoryCache):
        def put(self, answers):
            while provider.flying:
                time.sleep(0.01)
            time.sleep(0.1)  # until what has come back is in the queue
            puts.append(len(answers))
            super().put(answers)

    classify(many(40), PROMPT, provider, chunk_size=5, concurrency=8, cache=Slow(), on_progress=seen.append)
    assert sum(puts) == 40 and len(puts) <= 4
    assert [at.done for at in seen] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert sum(not at.more for at in seen) == len(puts) and not seen[-1].more


def test_the_accounts_of_a_classification_can_be_read_afterwards():
    classifier = Classifier(PROMPT, Rules(lambda entries, call: entries[1:] if call == 1 else entries))
    classifier.classify(many(10))
    assert classifier.usage == Usage(2, 20, 4, 6)
    assert (classifier.retried, classifier.answered, classifier.failed) == (1, 10, 0)
    accounts = classifier.processing()
    assert (accounts["calls"], accounts["tokens"], accounts["cached"]) == (2, 26, 0)
    assert accounts["seconds"] == pytest.approx(classifier.seconds, abs=0.001)
    json.dumps(accounts)
    classifier.classify(many(1))
    assert classifier.usage.calls == 1


# --- mistakes


@pytest.mark.parametrize(
    ("items", "error", "said"),
    [
        (pd.DataFrame({"cleanText": ["a"]}), ColumnNotFound, "no column 'item_id'"),
        (pd.DataFrame({"item_id": ["a"], "Text": ["a"]}), ColumnNotFound, "no column that starts with 'clean'"),
        (pd.DataFrame({"item_id": ["a", "a"], "cleanText": ["a", "b"]}), UsageError, "'a' stands for several items"),
        (pd.DataFrame({"item_id": ["a", None], "cleanText": ["a", "b"]}), UsageError, "1 items have no item_id"),
    ],
)
def test_items_that_cannot_be_classified_are_refused(items, error, said):
    with pytest.raises(error, match=said):
        classify(items, PROMPT, Rules())


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"chunk_size": 0}, "chunk_size is 0, but should be a whole number of at least 1"),
        ({"concurrency": 1.5, "max_retries": -1}, "concurrency is 1.5.*max_retries is -1"),
        ({"sample_size": True}, "sample_size is True"),
        ({"chunksize": 5}, "no limit 'chunksize'. Hint: did you mean 'chunk_size'"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, said):
    with pytest.raises(ParameterError, match=said):
        classify(many(1), PROMPT, Rules(), **limits)
