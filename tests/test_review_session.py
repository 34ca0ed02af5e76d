"""What a browser may send, and what becomes of it: a session answers, or says a code and logs why."""

import json
import socket
import subprocess
import sys

import pytest
from review_runs import made_up_item, made_up_review

from workbench.errors import UsageError
from workbench.runs import open_store
from workbench.widgets import launcher
from workbench.widgets.session import NOTE_LENGTH, ReviewSession


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    with open_store(tmp_path) as store:
        yield store


@pytest.fixture
def session(store):
    review = made_up_review(store, [made_up_item(0), made_up_item(1, blind=1), made_up_item(2)])
    return ReviewSession(review, "Ana", store.log("one"))


@pytest.mark.parametrize(
    "message",
    [
        None,
        "decide",
        [],
        {"op": "drop"},
        {"op": "decide", "key": "k"},
        {"op": "decide", "key": "k", "item": "item-00000", "rev": "r.0", "verdict": "choose", "category": "Nada"},
        {"op": "decide", "key": "k", "item": "item-00000", "rev": "r.0", "verdict": "correct"},
        {"op": "decide", "key": "k", "item": "' OR 1=1 --", "rev": "r.0", "verdict": "accept"},
        {"op": "decide_many", "key": "k", "items": [], "verdict": "accept"},
        {"op": "search", "keyword": "x", "page": "many"},
        {"op": "filter", "filters": 7},
    ],
    ids=str,
)
def test_what_makes_no_sense_gets_a_code_whose_traceback_is_in_the_log_and_changes_nothing(session, store, message):
    said = session.answer(message)
    assert set(said) == {"re", "error"}
    last = json.loads((store.get("one").folder / "run.log").read_text().splitlines()[-1])
    assert (last["code"], last["reviewer"]) == (said["error"], "Ana")
    assert "Traceback" in last["error"]
    assert store.validations("one").empty


def test_choosing_what_the_model_says_accepts_it_and_a_blind_item_tells_it_only_then(session, store):
    item = session.start()["item"]
    told = session.answer(
        {
            "op": "decide",
            "key": "a",
            "item": item["item_id"],
            "rev": item["rev"],
            "verdict": "choose",
            "category": "Viajes",
        }
    )
    assert told["outcome"] == "stored" and "revealed" not in told
    blind = told["item"]
    assert blind["category"] is None and "Viajes" not in json.dumps(blind)
    message = {"op": "decide", "key": "b", "item": blind["item_id"], "rev": blind["rev"], "verdict": "choose"}
    told = session.answer(message | {"category": "Comida", "notes": "x" * (NOTE_LENGTH + 5)})
    assert told["revealed"] == {"category": "Viajes"}
    rows = store.validations("one").set_index("item_id")
    assert rows["is_correct"].tolist() == [True, False]
    assert len(rows["user_notes"].iloc[1]) == NOTE_LENGTH
    assert session.answer({"op": "undo", "key": "u"})["item"]["item_id"] == blind["item_id"]


def test_a_message_reaches_no_other_run_and_no_other_reviewer_whatever_it_names(session, store):
    secret = made_up_item(7, text="vuelo secreto")
    other = made_up_review(store, [secret], run_id="two")
    other.keep_place("Beto", {"note": {"text": "de Beto"}})
    named = {"run_id": "two", "iteration": 1, "reviewer": "Beto", "key": "k", "item": secret["item_id"]}
    asked = [{"op": "open"}, {"op": "search", "keyword": "vuelo"}, {"op": "members", "category": "Viajes"}]
    asked += [{"op": "filter", "filters": named}, {"op": "go", "step": 1}, {"op": "groups"}, {"op": "results"}]
    asked += [{"op": "decide", "rev": "r.0", "verdict": "accept"}, {"op": "undo"}, {"op": "place", "place": named}]
    told = json.dumps([session.answer({**named, **each}) for each in asked])
    assert "vuelo 0" in told
    assert "secreto" not in told and "de Beto" not in told
    assert store.validations("two").empty
    assert other.seat("Beto")["note"] == {"text": "de Beto"}


def test_a_session_starts_where_the_reviewer_left(session):
    session.answer({"op": "go", "key": "g", "step": 1, "item": None, "filters": {}})
    session.answer({"op": "place", "key": "p", "place": {"view": "search", "lang": "en", "password": "no"}})
    start = session.start()
    assert start["place"] == {"view": "search", "lang": "en"}
    assert start["item"]["item_id"] == "item-00000"


def test_a_review_that_is_not_prepared_is_refused_with_a_hint(store):
    store.create({}, run_id="one")
    with pytest.raises(UsageError, match="workbench review"):
        ReviewSession(store.decisions("one", 1), "Ana", store.log("one"))


def test_a_reviewers_kernel_loads_no_pandas():
    heavy = ["pandas", "numpy", "pyarrow", "matplotlib", "pydantic", "voila"]
    program = f"import sys, workbench.widgets.review; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_port_that_is_taken_and_an_empty_name_are_told_before_anything_starts(store):
    made_up_review(store, [made_up_item(0)])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        doors = launcher.Doors(["Ana"], port=taken.getsockname()[1])
        with pytest.raises(UsageError, match="--port"), launcher.serving(store.get("one"), store, 1, doors):
            pass
    with pytest.raises(UsageError, match="name"):
        launcher.reviewer_names(["  "])
    assert launcher.reviewer_names(["Ana  López", "Ana López"]) == ["Ana López"]
