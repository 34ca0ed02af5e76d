"""What reviewers decide is stored once, on the item that was shown, by however many at once; on both databases."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_runs import decision, made_up_item, made_up_review

from workbench.runs import open_store
from workbench.runs.database import Database
from workbench.runs.decisions import CLAIM_SECONDS, UNDOABLE, Decision, open_decisions
from workbench.runs.review_lists import Filters

OPEN = Filters()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("WORKBENCH_DATABASE_URL", request.getfixturevalue("postgres_url"))
    with open_store(tmp_path) as store:
        yield store


def verdicts(store):
    return {row.item_id: (row.reviewer, row.is_correct) for row in store.validations("one").itertuples()}


def test_the_same_key_is_stored_once_and_what_is_not_on_screen_any_more_never(store):
    review = made_up_review(store, [made_up_item(n) for n in range(3)])
    item = review.next("Ana", OPEN)
    assert review.decide("Ana", [decision("a", item)]) == "stored"
    assert review.decide("Ana", [decision("a", item)]) == "known"
    assert review.decide("Ana", [decision("b", item, "incorrect", "Comida")]) == "stale"
    assert review.decide("Ana", [Decision("c", "nobody", "r.0", "correct")]) == "stale"
    assert verdicts(store) == {item["item_id"]: ("Ana", True)}
    again = review.item("Ana", item["item_id"])
    assert (again["mine"]["verdict"], again["rev"] != item["rev"]) == ("correct", True)
    assert review.decide("Ana", [decision("d", again, "incorrect", "Comida", user_notes="es un taco")]) == "stored"
    row = store.validations("one").iloc[0]
    assert (row["is_correct"], row["corrected_category"], row["user_notes"]) == (False, "Comida", "es un taco")


def test_a_prediction_that_has_changed_makes_what_is_on_screen_stale(store):
    review = made_up_review(store, [made_up_item(0)])
    item = review.next("Ana", OPEN)
    made_up_review(store, [made_up_item(0, category="Comida", revision="other")])
    assert review.decide("Ana", [decision("a", item)]) == "stale"
    assert verdicts(store) == {}


def test_the_last_ten_steps_are_taken_back_one_by_one_and_what_stood_before_returns(store):
    review = made_up_review(store, [made_up_item(n) for n in range(12)])
    first = review.next("Ana", OPEN)
    review.decide("Ana", [decision("k0", first)])
    changed = review.item("Ana", first["item_id"])
    review.decide("Ana", [decision("k1", changed, "incorrect", "Otros")])
    assert review.undo("Ana", "u1") == review.undo("Ana", "u1") == [first["item_id"]]
    assert verdicts(store) == {first["item_id"]: ("Ana", True)}
    for n in range(2, 12):
        review.decide("Ana", [decision(f"k{n}", review.next("Ana", OPEN))])
    assert len(verdicts(store)) == 11
    anew = open_decisions(store.folder, "one", 1)
    assert all(anew.undo("Ana", f"u{n}") for n in range(2, 2 + UNDOABLE))
    assert anew.undo("Ana", "one more") == []
    assert verdicts(store) == {first["item_id"]: ("Ana", True)}
    assert review.undo("Beto", "not mine") == []


def test_a_verdict_from_a_sheet_returns_when_the_one_that_replaced_it_is_taken_back(store):
    review = made_up_review(store, [made_up_item(0)])
    sheet = {"iteration": 1, "category": "Viajes", "validated_at": "2026-01-01T00:00:00+00:00", "pool": "dev"}
    import pandas as pd

    given = {"item_id": "item-00000", "reviewer": "Ana", "is_correct": False, "corrected_category": "Otros"}
    store.add_validations("one", pd.DataFrame([sheet | given | {"user_notes": "de la hoja"}]))
    before = store.validations("one")
    review.decide("Ana", [decision("a", review.item("Ana", "item-00000"))])
    assert verdicts(store)["item-00000"] == ("Ana", True)
    review.undo("Ana", "u")
    pd.testing.assert_frame_equal(store.validations("one"), before)


def test_a_verdict_from_a_sheet_that_came_later_stays_when_the_one_before_it_is_taken_back(store):
    import pandas as pd

    review = made_up_review(store, [made_up_item(0)])
    review.decide("Ana", [decision("a", review.item("Ana", "item-00000"))])
    sheet = {"iteration": 1, "category": "Viajes", "validated_at": "2099-01-01T00:00:00+00:00", "pool": "dev"}
    given = {"item_id": "item-00000", "reviewer": "Ana", "is_correct": False, "corrected_category": "Otros"}
    store.add_validations("one", pd.DataFrame([sheet | given | {"user_notes": "de la hoja"}]))
    assert review.undo("Ana", "u") == ["item-00000"]
    assert verdicts(store)["item-00000"] == ("Ana", False)


def test_a_note_comes_back_with_its_item_and_stays_where_a_later_decision_has_none(store):
    review = made_up_review(store, [made_up_item(0)])
    item = review.next("Ana", OPEN)
    review.decide("Ana", [decision("a", item, user_notes="ojo")])
    review.undo("Ana", "u")
    again = review.item("Ana", "item-00000")
    assert (again["mine"], again["noted"]) == (None, "ojo")
    assert review.item("Beto", "item-00000")["noted"] == ""
    review.decide("Ana", [decision("b", again, "incorrect", "Otros")])
    assert store.validations("one").iloc[0]["user_notes"] == "ojo"
    review.decide("Ana", [decision("c", review.item("Ana", "item-00000"), user_notes="")])
    assert store.validations("one").iloc[0]["user_notes"] == ""


def test_a_clock_that_is_set_back_changes_no_order(store, monkeypatch):
    review = made_up_review(store, [made_up_item(n) for n in range(4)])
    times = iter(f"2026-01-01T00:{minute:02}:00.000000+00:00" for minute in range(59, 0, -1))
    monkeypatch.setattr("workbench.runs.decisions.now", lambda: next(times))
    done = []
    for n in range(4):
        done.append(review.next("Ana", OPEN)["item_id"])
        review.decide("Ana", [decision(f"k{n}", review.item("Ana", done[-1]))])
    assert review.beside("Ana", None, -1)["item_id"] == done[-1]
    assert [review.undo("Ana", f"u{n}") for n in range(4)] == [[item] for item in reversed(done)]


def test_unsure_and_skip_are_remembered_and_decide_nothing(store):
    review = made_up_review(store, [made_up_item(n) for n in range(3)])
    order = []
    for n, verdict in enumerate(["skip", "unsure", "correct", "skip"]):
        order.append(item := review.next("Ana", OPEN))
        review.decide("Ana", [decision(f"k{n}", item, verdict)])
    assert [item["item_id"][-1] for item in order] == ["0", "1", "2", "0"]
    assert list(verdicts(store)) == ["item-00002"]
    assert review.next("Ana", OPEN)["item_id"] == "item-00000"
    assert review.next("Beto", OPEN)["item_id"] == "item-00001"
    assert review.next("Ana", Filters(show="unsure"))["item_id"] == "item-00000"
    assert review.next("Ana", Filters(show="unsure"), "item-00000")["item_id"] == "item-00001"
    assert review.next("Ana", Filters(show="mine"))["item_id"] == "item-00002"
    assert review.progress("Ana") == {"asked": 3, "done": 1, "judged": 1, "correct": 1, "mine": 1}


def test_an_item_that_somebody_looks_at_is_kept_from_the_others_until_its_time_is_up(store):
    review = made_up_review(store, [made_up_item(n) for n in range(2)])
    mine = review.next("Ana", OPEN)
    assert review.next("Ana", OPEN)["item_id"] == mine["item_id"]
    other = review.next("Beto", OPEN)
    assert other["item_id"] != mine["item_id"]
    assert review.next("Carla", OPEN) is None
    assert CLAIM_SECONDS == 300
    with review._database.write() as transaction:
        transaction.update("review_seats", {"claimed_until": "2020-01-01T00:00:00.000000+00:00"}, reviewer="Ana")
    assert review.next("Carla", OPEN)["item_id"] == mine["item_id"]


def test_an_overlap_item_goes_to_two_and_where_they_differ_to_a_third(store):
    review = made_up_review(store, [made_up_item(0, wanted=2), made_up_item(1)])
    first, second = review.next("Ana", OPEN), review.next("Beto", OPEN)
    assert first["item_id"] == second["item_id"] == "item-00000"
    assert review.next("Carla", OPEN)["item_id"] == "item-00001"
    review.decide("Ana", [decision("a", first)])
    assert review.progress("Ana")["done"] == 0
    review.decide("Beto", [decision("b", second, "incorrect", "Comida")])
    assert review.next("Ana", Filters(disputed=True)) is None
    third = review.next("Dora", Filters(disputed=True))
    assert third["item_id"] == "item-00000"
    review.decide("Dora", [decision("d", third)])
    assert review.next("Eva", Filters(disputed=True)) is None
    assert review.progress("Ana")["done"] == 1


def test_a_blind_item_shows_nothing_of_the_model_until_it_is_judged(store):
    review = made_up_review(store, [made_up_item(0, blind=1, alike="x"), made_up_item(1, alike="x")])
    item = review.next("Ana", OPEN)
    assert (item["category"], item["score"], item["reason"], item["said"]) == (None, None, "", [])
    assert review.search("Ana", "vuelo 0")["items"][0]["category"] is None
    assert review.search("Ana", "vuelo", "Viajes")["total"] == 1
    assert review.next("Beto", Filters(category="Viajes"))["item_id"] == "item-00001"
    assert review.groups("Ana") == []
    review.decide("Ana", [decision("a", item)])
    assert review.item("Ana", "item-00000")["category"] == "Viajes"
    assert "Viajes" not in json.dumps(review.item("Beto", "item-00000"))


def test_filters_and_orders_choose_the_item_that_comes_next(store):
    items = [
        made_up_item(0, score=0.9, n_rows=5, money=1.0),
        made_up_item(1, score=0.1, n_rows=1, money=9.0, changed=1),
        made_up_item(2, score=-1.0, n_rows=9, money=3.0, category="Comida", text="100%_real \\ taco"),
    ]
    review = made_up_review(store, items)

    def first(**wanted):
        found = review.next("Ana", Filters.from_plain(wanted))
        return found and int(found["item_id"][-1])

    assert [first(order=order) for order in ("sampled", "score", "rows", "money", "'; DROP TABLE")] == [0, 2, 2, 1, 0]
    assert [first(band=band) for band in ("high", "medium", "low", "ambiguous")] == [0, None, 1, 2]
    assert [first(category="Comida"), first(changed=True), first(disputed=True)] == [2, 1, None]
    assert [first(keyword=word) for word in ("MEXICO", "mexico vuelo 1", "%", "_", "\\", "x%l", "nada")] == [
        0, 1, 2, 2, 2, None, None,
    ]  # fmt: skip


def steps_of(review, *asked):
    """Count, in tens, the steps that SQLite takes to find the next item."""
    steps = []
    with review._database.read() as transaction:
        connection = transaction.connection.connection.driver_connection
    connection.set_progress_handler(lambda: steps.append(1), 10)
    review.next(*asked)
    connection.set_progress_handler(None, 0)
    return len(steps)


@pytest.mark.parametrize("show", ["open", "all"])
@pytest.mark.parametrize("order", ["sampled", "score", "rows", "money"])
def test_finding_the_next_item_takes_no_longer_in_a_larger_sample_or_after_many_decisions(tmp_path, order, show):
    taken = []
    for size in (50, 3000):
        with open_store(tmp_path / str(size)) as store:
            items = (
                made_up_item(n, score=n % 97 / 97, money=n % 13, n_rows=n % 7, category=f"C{n % 3}")
                for n in range(size)
            )
            review = made_up_review(store, items)
            with review._database.write() as transaction:
                done = f"UPDATE review_items SET open = 0 WHERE position < {size // 2} AND position > 20"
                transaction.connection.exec_driver_sql(done)
            wanted = Filters(show=show, order=order)
            first = review.next("Ana", wanted)
            taken.append(steps_of(review, "Ana", wanted, first["item_id"]))
            assert steps_of(review, "Ana", Filters(category="C2")) < 50
    assert max(taken) < 2 * min(taken) + 20, taken


def test_verdicts_that_came_from_elsewhere_or_went_are_counted_anew(store):
    review = made_up_review(store, [made_up_item(n, wanted=1 + n % 2) for n in range(4)])
    for n, (who, right) in enumerate((("Ana", 1), ("Beto", 1), ("Ana", 0))):
        item = review.item(who, f"item-{min(n, 1):05d}")
        review.decide(who, [decision(f"k{n}", item, "correct" if right else "incorrect", None if right else "Otros")])

    def state():
        with review._database.read() as transaction:
            rows = transaction.query("SELECT open, disputed FROM review_items i ORDER BY position")
        return [tuple(row.values()) for row in rows]

    known = state()
    assert known == [(0, 0), (1, 1), (1, 0), (2, 0)]
    with review._database.write() as transaction:
        transaction.connection.exec_driver_sql("UPDATE review_items SET open = wanted, disputed = 0")
    mark = review.count_anew()
    assert state() == known and review.count_anew() == mark
    with review._database.write() as transaction:
        transaction.delete("validations", run_id="one", reviewer="Ana")
    assert review.count_anew() != mark
    assert state() == [(1, 0), (1, 0), (1, 0), (2, 0)]


def test_a_group_is_decided_and_taken_back_in_one_step(store):
    review = made_up_review(store, [made_up_item(n, alike="g", position=None) for n in range(5)] + [made_up_item(9)])
    assert [(group["items"], group["n_rows"]) for group in review.groups("Ana")] == [(5, 15)]
    members = review.members("Ana", alike="g", category="Viajes")
    assert [member["n_rows"] for member in members] == [5, 4, 3, 2, 1]
    step = [decision(f"k{n}", item, "incorrect", "Otros", batch="k0") for n, item in enumerate(members)]
    review.decide("Ana", [decision("one", review.item("Ana", "item-00009"))])
    assert review.decide("Ana", step) == "stored"
    assert review.decide("Ana", step) == "known"
    assert review.groups("Ana") == [] and len(verdicts(store)) == 6
    assert sorted(review.undo("Ana", "u")) == sorted(member["item_id"] for member in members)
    assert list(verdicts(store)) == ["item-00009"]
    fresh = review.members("Ana", category="Viajes", keyword="vuelo 3")
    stale = [decision("s0", fresh[0], batch="s0"), decision("s1", members[0], batch="s0")]
    assert review.decide("Ana", stale) == "stale"
    assert list(verdicts(store)) == ["item-00009"]


def test_a_group_leaves_out_what_this_reviewer_has_decided_already_and_nobody_elses(store):
    review = made_up_review(store, [made_up_item(n, alike="g", wanted=2) for n in range(5)])
    before = review.members("Ana", alike="g")
    for number, verdict in enumerate(("incorrect", "unsure", "skip")):
        item = review.item("Ana", f"item-{number:05d}")
        review.decide("Ana", [decision(f"k{number}", item, verdict, "Comida" if number == 0 else None)])
    assert [item["item_id"][-1] for item in review.members("Ana", alike="g")] == ["4", "3", "2"]
    assert [item["item_id"][-1] for item in review.members("Ana", keyword="vuelo")] == ["4", "3", "2"]
    assert [group["items"] for name in ("Ana", "Beto") for group in review.groups(name)] == [3, 5]
    listed_before = [decision(f"s{n}", item, batch="s0") for n, item in enumerate(before)]
    assert review.decide("Ana", listed_before) == "stale"
    assert verdicts(store) == {"item-00000": ("Ana", False)}


def test_of_two_who_look_at_the_same_group_the_second_is_told_and_stores_none_twice(store):
    review = made_up_review(store, [made_up_item(n, alike="g", wanted=1 + (n == 4)) for n in range(5)])
    steps = {
        name: [decision(f"{name}{n}", item, batch=f"{name}0") for n, item in enumerate(review.members(name, alike="g"))]
        for name in ("Ana", "Beto")
    }
    assert [review.decide(name, step) for name, step in steps.items()] == ["stored", "stale"]
    assert set(store.validations("one")["reviewer"]) == {"Ana"}
    wanted = review.members("Beto", alike="g")
    assert [item["item_id"] for item in wanted] == ["item-00004"]  # the overlap wants another
    assert review.decide("Beto", [decision("again", wanted[0])]) == "stored"


def test_what_somebody_else_has_settled_meanwhile_is_told_but_may_be_disputed_on_purpose(store):
    review = made_up_review(store, [made_up_item(0), made_up_item(1), made_up_item(2, wanted=2)])
    found = {name: review.search(name, "vuelo")["items"] for name in ("Ana", "Beto", "Carla")}
    settled, other, overlap = ({name: items[n] for name, items in found.items()} for n in (2, 1, 0))
    mine = review.item("Beto", other["Beto"]["item_id"])
    for n, each in enumerate((settled, other, overlap)):
        assert review.decide("Ana", [decision(f"a{n}", each["Ana"])]) == "stored"
    assert review.decide("Beto", [decision("b0", settled["Beto"])]) == "stale"
    assert review.decide("Beto", [decision("b1", mine)]) == "stored"  # it was claimed
    assert review.decide("Beto", [decision("b2", overlap["Beto"], "incorrect", "Comida")]) == "stored"
    assert review.decide("Carla", [decision("c2", overlap["Carla"])]) == "stored"  # the two differ: a third opinion
    seen = next(item for item in review.search("Beto", "vuelo 0")["items"])
    assert seen["verdicts"][0]["reviewer"] == "Ana"
    assert review.decide("Beto", [decision("b3", seen, "incorrect", "Comida")]) == "stored"
    opened = review.item("Carla", "item-00001")
    assert review.decide("Carla", [decision("c1", opened, "incorrect", "Otros")]) == "stored"


def test_a_search_tells_what_was_said_but_not_what_others_say_of_an_item_one_is_still_asked_about(store):
    review = made_up_review(store, [made_up_item(n, wanted=2) for n in range(60)])
    item = review.item("Ana", "item-00057")
    review.decide("Ana", [decision("a", item, "incorrect", "Comida", user_notes="<b>ojo</b>")])
    found = review.search("Ana", "VUELO 57 mexico")
    assert found["total"] == 1
    assert found["items"][0]["verdicts"][0]["user_notes"] == "<b>ojo</b>"
    assert review.search("Beto", "vuelo 57")["items"][0]["verdicts"] == []
    assert (review.search("Ana", "vuelo")["pages"], len(review.search("Ana", "vuelo", page=3)["items"])) == (3, 10)


def test_a_place_is_kept_across_reloads_and_back_and_forward_go_through_what_was_done(store):
    review = made_up_review(store, [made_up_item(n) for n in range(4)])
    for n in range(3):
        review.decide("Ana", [decision(f"k{n}", review.next("Ana", OPEN))])
    review.keep_place("Ana", {"view": "groups", "note": {"text": "a medias"}})
    review.keep_place("Ana", {"lang": "en"})
    here = review.next("Ana", OPEN)
    seat = open_decisions(store.folder, "one", 1).seat("Ana")
    assert seat == {"item_id": here["item_id"], "view": "groups", "note": {"text": "a medias"}, "lang": "en"}
    back = [review.beside("Ana", here["item_id"], -1)]
    back.append(review.beside("Ana", back[0]["item_id"], -1))
    assert [item["item_id"][-1] for item in back] == ["2", "1"]
    assert review.beside("Ana", "item-00000", -1) is None
    assert review.beside("Ana", "item-00001", 1)["item_id"] == "item-00002"


def test_eight_reviewers_at_once_lose_nothing_and_decide_nothing_twice(store):
    made_up_review(store, [made_up_item(n) for n in range(1600)])

    def work(name):
        review, done = open_decisions(store.folder, "one", 1), []
        item = review.next(name, OPEN)
        while item:
            done.append(item["item_id"])
            outcome, item = review.decide_and_go_on(name, decision(f"{name}-{len(done)}", item), OPEN)
            assert outcome == "stored"
        return done

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, [f"reviewer {n}" for n in range(8)]))
    decided = [item for items in done for item in items]
    assert len(decided) == len(set(decided)) == 1600
    stored = store.validations("one")
    assert sorted(zip(stored["item_id"], stored["reviewer"], strict=True)) == sorted(
        (item, f"reviewer {n}") for n, items in enumerate(done) for item in items
    )


def test_an_older_database_gets_the_tables_of_reviews(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    store = open_store(tmp_path)
    store.create({}, run_id="one")
    url = f"sqlite:///{tmp_path / 'workbench.sqlite'}"
    with Database(url).write() as transaction:
        for table in ("reviews", "review_items", "review_decisions", "review_seats"):
            transaction.connection.exec_driver_sql(f"DROP TABLE {table}")
        transaction.delete("migrations", name="006_review_tables")
    review = made_up_review(open_store(tmp_path), [made_up_item(0)])
    assert review.decide("Ana", [decision("a", review.next("Ana", OPEN))]) == "stored"


def test_an_older_database_gets_the_indexes_of_the_queue(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    made_up_review(open_store(tmp_path), [made_up_item(0)])
    database = Database(f"sqlite:///{tmp_path / 'workbench.sqlite'}")
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'review_%' ORDER BY name"
    with database.write() as transaction:
        new = transaction.query(indexes)
        for row in new:
            transaction.connection.exec_driver_sql(f"DROP INDEX {row['name']}")
        for name, table in (
            ("review_items_by_sampled", "review_items"),
            ("review_decisions_by_item", "review_decisions"),
        ):
            transaction.connection.exec_driver_sql(f"CREATE INDEX {name} ON {table} (run_id)")
        transaction.delete("migrations", name="007_review_indexes")
    open_store(tmp_path)
    with database.read() as transaction:
        assert transaction.query(indexes) == new


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["correct", "incorrect", "unsure", "skip", "undo"])), max_size=12
    )
)
def test_whatever_one_does_and_takes_back_the_verdicts_are_those_of_the_steps_that_stand(tmp_path_factory, steps):
    store = open_store(tmp_path_factory.mktemp("runs"))
    review = made_up_review(store, [made_up_item(n) for n in range(4)])
    history = [{}]
    for n, (number, what) in enumerate(steps):
        if what == "undo":
            review.undo("Ana", f"u{n}")
            history = history[:-1] or [{}]
            continue
        item = review.item("Ana", f"item-{number:05d}")
        assert (
            review.decide("Ana", [decision(f"k{n}", item, what, "Otros" if what == "incorrect" else None)]) == "stored"
        )
        now = dict(history[-1])
        if what in ("correct", "incorrect"):
            now[item["item_id"]] = ("Ana", what == "correct")
        elif what == "unsure":
            now.pop(item["item_id"], None)
        history.append(now)
    assert verdicts(store) == history[-1]
