"""What reviewers decide: stored before the next item shows, once per key, and only on what was on screen.

A decision carries a key of the browser's making (so that sending it twice does no harm) and the revision of the item
that was on screen (so that it never falls on another). What decides a category lands in `validations` in the same
transaction; unsure and skip are in the log only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from workbench.records import VALIDATION_COLUMNS, clean_text, pool_of
from workbench.runs.artifacts import to_json
from workbench.runs.database import Database, Transaction
from workbench.runs.review_lists import (
    MINE,
    OF_REVIEW,
    OPEN,
    ORDERS,
    REVISION,
    SETTLED,
    SHOWN,
    Filters,
    ReviewLists,
    settle,
    shown,
)
from workbench.runs.values import now
from workbench.settings import database_url

CLAIM_SECONDS = 300
"""How long an item that a reviewer looks at is kept from the others."""

UNDOABLE = 10
"""How many decisions (or groups of them) can be taken back."""


class Outcome(StrEnum):
    """What became of a decision."""

    STORED = "stored"
    KNOWN = "known"
    """It was stored before: the same key came twice."""
    STALE = "stale"
    """The item is not any more what was on screen: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer says of one item."""

    key: str
    item_id: str
    rev: str
    verdict: str
    """correct, incorrect (then `corrected_category` says what is right), unsure or skip."""
    corrected_category: str | None = None
    user_notes: str | None = None
    """None: what the reviewer has noted of the item before stays."""
    batch: str = ""
    """The key of the step that it belongs to, where one step decides several items."""


def open_decisions(folder: Path, run_id: str, iteration: int) -> Decisions:
    """Open the decisions of one iteration of a run in a runs folder, without loading what the store needs."""
    return Decisions(Database(database_url(folder)), run_id, iteration)


class Decisions(ReviewLists):
    """The decisions of one review; safe to use from several threads, processes and machines at once."""

    def decide(self, reviewer: str, decisions: Sequence[Decision]) -> Outcome:
        """Store decisions that belong together, all or none."""
        with self._database.write() as transaction:
            self._take_turn(transaction)
            return self._decide(transaction, reviewer, decisions)

    def decide_and_go_on(
        self, reviewer: str, decision: Decision, filters: Filters
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """Store a decision and give the next item, in one transaction."""
        with self._database.write() as transaction:
            self._take_turn(transaction)
            outcome = self._decide(transaction, reviewer, [decision])
            return outcome, self._next(transaction, reviewer, filters, decision.item_id)

    def undo(self, reviewer: str, key: str) -> list[str]:
        """Take back the newest of the last ten steps that stands; gives its items, none where there is nothing.

        The same key takes back once only.
        """
        mine = self._values | {"reviewer": reviewer}
        steps = (
            f"SELECT i.batch AS batch, MAX(i.undone_by) AS undone_by FROM review_decisions i WHERE {OF_REVIEW}"
            f" AND i.reviewer = :reviewer GROUP BY i.batch ORDER BY MAX(i.decided_at) DESC LIMIT {UNDOABLE}"
        )
        with self._database.write() as transaction:
            self._take_turn(transaction)
            if done := transaction.rows("review_decisions", **mine, undone_by=key):
                return [row["item_id"] for row in done]
            batch = next((s["batch"] for s in transaction.query(steps, **mine) if s["undone_by"] is None), None)
            rows = transaction.rows("review_decisions", **mine, batch=batch) if batch else []
            for row in rows:
                transaction.update("review_decisions", {"undone_by": key}, run_id=row["run_id"], key=row["key"])
                self._restore(transaction, reviewer, row)
        return [row["item_id"] for row in rows]

    def item(self, reviewer: str, item_id: str) -> dict[str, Any] | None:
        """Give an item as the reviewer sees it, with its revision and what they said of it; claims it."""
        with self._database.write() as transaction:
            row = self._item(transaction, reviewer, item_id)
            return None if row is None else self._claim(transaction, reviewer, row)

    def said(self, item_id: str) -> dict[str, Any] | None:
        """Give the category that the model says, and whether reviewers are `blind` to it; None for no such item."""
        with self._database.read() as transaction:
            rows = transaction.rows("review_items", **self._values, item_id=item_id)
        return {"category": rows[0]["category"], "blind": bool(rows[0]["blind"])} if rows else None

    def next(self, reviewer: str, filters: Filters, after: str | None = None) -> dict[str, Any] | None:
        """Give the next item and claim it: one that nobody else looks at; None where there is none.

        Through the open items one goes by deciding; what was skipped comes back at the end. Through all others one
        goes from the item `after` to the next.
        """
        with self._database.write() as transaction:
            self._take_turn(transaction)
            return self._next(transaction, reviewer, filters, after)

    def beside(self, reviewer: str, item_id: str | None, step: int) -> dict[str, Any] | None:
        """Give the item that the reviewer dealt with before (step -1) or after (1) this one; claims it."""
        sql = (
            f"SELECT i.item_id AS item_id, MAX(i.decided_at) AS last_at FROM review_decisions i WHERE {OF_REVIEW}"
            " AND i.reviewer = :reviewer AND i.undone_by IS NULL GROUP BY i.item_id ORDER BY 2"
        )
        with self._database.read() as transaction:
            seen = [row["item_id"] for row in self._ask(transaction, sql, reviewer=reviewer)]
        place = (seen.index(item_id) if item_id in seen else len(seen)) + step
        return self.item(reviewer, seen[place]) if 0 <= place < len(seen) else None

    def seat(self, reviewer: str) -> dict[str, Any]:
        """Give where a reviewer is: `item_id` (or None) and whatever `keep_place` was given."""
        with self._database.read() as transaction:
            rows = transaction.rows("review_seats", **self._values, reviewer=reviewer)
        return {"item_id": rows[0]["item_id"], **json.loads(rows[0]["place"])} if rows else {"item_id": None}

    def keep_place(self, reviewer: str, place: Mapping[str, Any]) -> None:
        """Remember where a reviewer is (view, filters, a note under way), across reloads."""
        with self._database.write() as transaction:
            seat = self._seat(transaction, reviewer)
            transaction.upsert("review_seats", [seat | {"place": to_json(json.loads(seat["place"]) | dict(place))}])

    # ---- inside

    def _take_turn(self, transaction: Transaction) -> None:
        """Let one writer of a review in at a time on PostgreSQL; SQLite does so anyway."""
        if not self._database.is_sqlite:
            transaction.row_to_change("reviews", **self._values)

    def _decide(self, transaction: Transaction, reviewer: str, decisions: Sequence[Decision]) -> Outcome:
        if transaction.rows("review_decisions", run_id=self._values["run_id"], key=decisions[0].key):
            return Outcome.KNOWN
        items = [self._item(transaction, reviewer, each.item_id) for each in decisions]
        both, seat = zip(decisions, items, strict=True), self._seat(transaction, reviewer)
        pairs = [(each, item) for each, item in both if item and item["rev"] in _revisions(each, seat)]
        if len(pairs) < len(decisions):
            return Outcome.STALE
        time = self._newest(transaction, reviewer)
        for each, item in pairs:
            time = max(now(), _just_after(time))  # the order holds where the clock was set back
            self._store(transaction, reviewer, each, item, time)
        transaction.update("review_seats", {"claimed_until": ""}, **self._values, reviewer=reviewer)
        return Outcome.STORED

    def _next(
        self, transaction: Transaction, reviewer: str, filters: Filters, after: str | None
    ) -> dict[str, Any] | None:
        if filters.show == "open":
            row = self._next_open(transaction, reviewer, filters)
        else:
            row = self._next_listed(transaction, reviewer, filters, after)
        return None if row is None else self._claim(transaction, reviewer, row)

    def _item(self, transaction: Transaction, reviewer: str, item_id: str) -> dict[str, Any] | None:
        return self._first(transaction, reviewer, "i.item_id = :item_id", item_id=item_id)

    def _first(self, transaction: Transaction, reviewer: str, rest: str, **values: object) -> dict[str, Any] | None:
        sql = f"SELECT i.*, {REVISION} FROM review_items i WHERE {OF_REVIEW} AND {rest} LIMIT 1"
        rows = self._ask(transaction, sql, reviewer=reviewer, **values)
        return rows[0] if rows else None

    def _next_open(self, transaction: Transaction, reviewer: str, filters: Filters) -> dict[str, Any] | None:
        where, values = filters.sql()
        free = (
            "i.open > (SELECT COUNT(*) FROM review_seats s WHERE s.run_id = i.run_id AND s.iteration = i.iteration"
            " AND s.item_id = i.item_id AND s.reviewer <> :reviewer AND s.claimed_until > :now)"
        )
        values["now"] = now()
        untouched = f"{where} AND {OPEN} AND {free} ORDER BY {ORDERS[filters.order]}"
        if found := self._first(transaction, reviewer, untouched, **values):
            return found
        newest = f"SELECT MAX(d.decided_at) FROM review_decisions d WHERE {MINE}"
        skipped = (
            f"{where} AND i.open > 0 AND {free} AND EXISTS (SELECT 1 FROM review_decisions d WHERE {MINE}"
            f" AND d.verdict = 'skip' AND d.decided_at = ({newest.replace('d.', 'e.').replace(' d ', ' e ')}))"
            f" ORDER BY ({newest})"
        )
        return self._first(transaction, reviewer, skipped, **values)

    def _next_listed(
        self, transaction: Transaction, reviewer: str, filters: Filters, after: str | None
    ) -> dict[str, Any] | None:
        where, values = filters.sql()
        before = self._item(transaction, reviewer, after) if after else None
        if before and before["position"]:
            later, places = filters.after(before)
            where, values = f"{where} AND {later}", values | places
        rest = f"{where} AND {SHOWN[filters.show]} ORDER BY {ORDERS[filters.order]}"
        return self._first(transaction, reviewer, rest, **values)

    def _seat(self, transaction: Transaction, reviewer: str) -> dict[str, Any]:
        key = self._values | {"reviewer": reviewer}
        empty = key | {"item_id": None, "claimed_until": "", "place": "{}"}
        return next(iter(transaction.rows("review_seats", **key)), empty)

    def _claim(self, transaction: Transaction, reviewer: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Give an item as the reviewer sees it, and keep it from the others unless they have decided already."""
        mine = self._mine(transaction, reviewer, row["item_id"])
        standing = [each for each in mine if each["undone_by"] is None]
        said = {name: standing[-1][name] for name in ("verdict", "corrected_category")} if standing else None
        judged = bool(said and said["verdict"] != "skip")
        until = datetime.now(UTC) + timedelta(seconds=CLAIM_SECONDS)
        seat = self._seat(transaction, reviewer)
        seat |= {"item_id": row["item_id"], "claimed_until": "" if judged else until.isoformat(timespec="microseconds")}
        transaction.upsert("review_seats", [seat])
        noted = mine[-1]["user_notes"] if mine else ""
        return shown({**row, "mine": judged}) | {"mine": said, "noted": noted}

    def _mine(self, transaction: Transaction, reviewer: str, item_id: str) -> list[dict[str, Any]]:
        """Give what a reviewer has decided of an item, taken back or not, in order."""
        rows = transaction.rows("review_decisions", **self._values, item_id=item_id, reviewer=reviewer)
        return sorted(rows, key=lambda row: str(row["decided_at"]))

    def _newest(self, transaction: Transaction, reviewer: str) -> str:
        """Give the time of a reviewer's newest decision; empty before the first."""
        sql = f"SELECT MAX(i.decided_at) AS at FROM review_decisions i WHERE {OF_REVIEW} AND i.reviewer = :reviewer"
        return self._ask(transaction, sql, reviewer=reviewer)[0]["at"] or ""

    def _store(
        self, transaction: Transaction, reviewer: str, decision: Decision, item: Mapping[str, Any], time: str
    ) -> None:
        place = self._values | {"item_id": decision.item_id, "reviewer": reviewer}
        before = transaction.rows("validations", **place)
        noted = (self._mine(transaction, reviewer, decision.item_id) or before or [{"user_notes": ""}])[-1][
            "user_notes"
        ]
        row = place | {"key": decision.key, "batch": decision.batch or decision.key, "verdict": decision.verdict}
        row |= {"category": item["category"], "corrected_category": decision.corrected_category}
        row |= {"revision": decision.rev, "decided_at": time, "undone_by": None}
        row["user_notes"] = noted if decision.user_notes is None else decision.user_notes
        transaction.upsert("review_decisions", [row | {"replaced": to_json(before[0]) if before else None}])
        if decision.verdict in ("correct", "incorrect"):
            fields = json.loads(item["card"])["fields"].values()
            row |= {"is_correct": decision.verdict == "correct", "validated_at": row["decided_at"]}
            row |= {"pool": str(pool_of(clean_text(fields)))}
            transaction.upsert("validations", [{name: row[name] for name in ("run_id", *VALIDATION_COLUMNS)}])
        elif decision.verdict == "unsure":
            transaction.delete("validations", **place)
        settle(transaction, self._values, item)

    def _restore(self, transaction: Transaction, reviewer: str, row: Mapping[str, Any]) -> None:
        """Put back the verdict that stood before a decision; one that came later, from a sheet, stays."""
        place = self._values | {"item_id": row["item_id"], "reviewer": reviewer}
        now_so = transaction.rows("validations", **place)
        if not now_so or now_so[0]["validated_at"] == row["decided_at"]:
            transaction.delete("validations", **place)
            transaction.upsert("validations", [json.loads(row["replaced"])] if row["replaced"] else [])
        if item := self._item(transaction, reviewer, row["item_id"]):
            settle(transaction, self._values, item)


def _revisions(decision: Decision, seat: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the revisions that a decision may fall on: whoever had claimed an item may say their own of it."""
    claimed = seat["claimed_until"] and seat["item_id"] == decision.item_id
    return (decision.rev, decision.rev + SETTLED) if claimed else (decision.rev,)


def _just_after(time: str) -> str:
    return (datetime.fromisoformat(time) + timedelta(microseconds=1)).isoformat(timespec="microseconds") if time else ""
