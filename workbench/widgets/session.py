"""One reviewer's session: messages of the card in, plain data out; everything it knows is in the run's database."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import UsageError
from workbench.runs.decisions import Decision, Decisions, Outcome
from workbench.runs.review_lists import Filters

NOTE_LENGTH = 10_000
"""Characters of a note; the page says so where one is full."""
TRIES = 3
"""How often a browser sends a decision that cannot be stored."""
LOGGED = 4_000
"""Characters of a message that are logged where it fails."""
MOST_AT_ONCE = 500

Plain = dict[str, Any]


class ReviewSession:
    """What one reviewer may ask and do in one review. A message can name neither another run nor another reviewer."""

    def __init__(self, decisions: Decisions, reviewer: str, log: logging.Logger) -> None:
        """Raise UsageError where the review is not prepared; a fault in a message goes to `log` with its code."""
        self._decisions = decisions
        self._reviewer = reviewer
        self._log = log
        about = decisions.about()
        if about is None:
            raise UsageError("this review is not prepared.", hint="open it by `workbench review RUN`.")
        self.about = about
        self._names = {each["name"] for each in about["categories"]}
        self._answers: dict[str, Callable[[Plain], Plain]] = {
            "ping": lambda _: {},
            "decide": self._decide,
            "decide_many": self._decide_many,
            "undo": self._undo,
            "go": self._go,
            "open": lambda m: {"item": decisions.item(reviewer, str(m["item"]))},
            "filter": self._filter,
            "place": self._place,
            "groups": lambda _: {"groups": decisions.groups(reviewer)},
            "members": self._members,
            "search": self._search,
            "results": lambda _: {"results": decisions.results()},
        }

    def start(self) -> Plain:
        """Give what the card shows first: the item and the place that the reviewer left."""
        place = self._decisions.seat(self._reviewer)
        left = place.pop("item_id")
        item = self._decisions.item(self._reviewer, left) if left else None
        if item is None or (item["mine"] and Filters.from_plain(place.get("filters")).show == "open"):
            item = self._next(place.get("filters"))
        progress = self._decisions.progress(self._reviewer)
        told = {"about": self.about, "reviewer": self._reviewer, "note_length": NOTE_LENGTH}
        return told | {"place": place, "item": item, "progress": progress}

    def answer(self, message: Any) -> Plain:
        """Answer one message; a fault becomes a code for the reviewer, and a traceback and the message in the log."""
        key = message.get("key") if isinstance(message, dict) else None
        try:
            return {"re": key, **self._answers[message["op"]](message)}
        except Exception:
            code, given_up = secrets.token_hex(3), _tries(message) >= TRIES
            words = "a reviewer's decision is given up" if given_up else "a reviewer's request failed"
            told = {"code": code, "reviewer": self._reviewer, "sent": repr(message)[:LOGGED]}
            self._log.exception(words, extra=told)
            return {"re": key, "error": code} | ({"given_up": True} if given_up else {})

    def _next(self, filters: Mapping[str, Any] | None, after: str | None = None) -> Plain | None:
        return self._decisions.next(self._reviewer, Filters.from_plain(filters), after)

    def _with_progress(self, answer: Plain) -> Plain:
        return answer | {"progress": self._decisions.progress(self._reviewer)}

    def _decide(self, message: Plain) -> Plain:
        item_id, rev = str(message["item"]), str(message["rev"])
        said = self._said(item_id)
        verdict, category = self._verdict(message, said["category"])
        noted = message.get("notes")
        notes = None if noted is None else str(noted)[:NOTE_LENGTH]
        decision = Decision(str(message["key"]), item_id, rev, verdict, category, notes)
        filters = Filters.from_plain(message.get("filters"))
        if message.get("stay"):
            answer: Plain = {"outcome": self._decisions.decide(self._reviewer, [decision])}
        else:
            outcome, item = self._decisions.decide_and_go_on(self._reviewer, decision, filters)
            answer = {"outcome": outcome, "item": item}
        if answer["outcome"] is Outcome.STORED and said["blind"] and verdict in ("correct", "incorrect"):
            answer["revealed"] = {"category": said["category"]}
        return self._with_progress(answer)

    def _said(self, item_id: str) -> Plain:
        said = self._decisions.said(item_id)
        if said is None:
            raise UsageError(f"there is no item {item_id!r} in this review.")
        return said

    def _verdict(self, message: Mapping[str, Any], said: str) -> tuple[str, str | None]:
        """Turn what was pressed into a verdict: choosing what the model says is the same as accepting it."""
        pressed, chosen = message["verdict"], message.get("category")
        if pressed in ("unsure", "skip"):
            return str(pressed), None
        if pressed not in ("accept", "choose") or (pressed == "choose" and chosen not in self._names):
            raise UsageError(f"{pressed!r} with category {chosen!r} is no verdict.")
        return ("correct", None) if pressed == "accept" or chosen == said else ("incorrect", str(chosen))

    def _decide_many(self, message: Plain) -> Plain:
        decisions = []
        for number, (item_id, rev) in enumerate(message["items"][:MOST_AT_ONCE]):
            verdict, category = self._verdict(message, self._said(item_id)["category"])
            key = message["key"] if number == 0 else f"{message['key']}/{number}"
            decisions.append(Decision(key, item_id, rev, verdict, category, batch=message["key"]))
        return self._with_progress({"outcome": self._decisions.decide(self._reviewer, decisions)})

    def _undo(self, message: Plain) -> Plain:
        items = self._decisions.undo(self._reviewer, str(message["key"]))
        answer: Plain = {"undone": len(items)}
        if len(items) == 1:
            answer["item"] = self._decisions.item(self._reviewer, items[0])
        return self._with_progress(answer)

    def _go(self, message: Plain) -> Plain:
        step = -1 if message["step"] < 0 else 1
        item = self._decisions.beside(self._reviewer, message.get("item"), step)
        if item is None and step > 0:
            item = self._next(message.get("filters"), message.get("item"))
        return {"item": item}

    def _filter(self, message: Plain) -> Plain:
        self._decisions.keep_place(self._reviewer, {"filters": message["filters"]})
        return self._with_progress({"item": self._next(message["filters"])})

    def _place(self, message: Plain) -> Plain:
        kept = {name: message["place"][name] for name in ("view", "lang", "theme", "note") if name in message["place"]}
        self._decisions.keep_place(self._reviewer, kept)
        return {}

    def _members(self, message: Plain) -> Plain:
        wanted = {name: str(message.get(name) or "") for name in ("alike", "category", "keyword")}
        return {"items": self._decisions.members(self._reviewer, **wanted)}

    def _search(self, message: Plain) -> Plain:
        keyword, category = str(message["keyword"]), str(message.get("category") or "")
        return self._decisions.search(self._reviewer, keyword, category, int(message.get("page") or 1))


def _tries(message: Any) -> int:
    """Count how often a decision has been sent, this time included; 0 for what is sent once only."""
    tries = message.get("tries") if isinstance(message, dict) else None
    return tries + 1 if isinstance(tries, int) else 0
