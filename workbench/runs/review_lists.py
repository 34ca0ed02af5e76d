"""What reviewers look at: the table that a review is prepared in, and every way to ask it for items.

A reviewer's kernel holds nothing: it reads these rows. `workbench.reviewing` writes them when a review starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.records import HIGH_SCORE, MEDIUM_SCORE, Band, fold
from workbench.runs.artifacts import to_json
from workbench.runs.database import Database, Transaction
from workbench.runs.values import now

ROWS_AT_ONCE = 5_000
MOST_GROUPS = 50
MOST_MEMBERS = 200
PAGE = 25

ORDERS = {
    "sampled": "i.position",
    "score": "i.score, i.position",
    "rows": "i.n_rows DESC, i.position",
    "money": "i.money DESC, i.position",
}
"""How the queue may be ordered → SQL. Each has its indexes in `schema.py`, so that finding the next item takes as long
in a sample of a hundred as in one of a hundred thousand."""

AFTER = {
    "sampled": "i.position > :past",
    "score": "i.score >= :size AND (i.score > :size OR i.position > :past)",
    "rows": "i.n_rows <= :size AND (i.n_rows < :size OR i.position > :past)",
    "money": "i.money <= :size AND (i.money < :size OR i.position > :past)",
}
"""What comes after an item at the position `past`, of that `size`, in each order → SQL."""

_BANDS = {
    Band.HIGH: f"+i.score >= {HIGH_SCORE}",
    Band.MEDIUM: f"+i.score >= {MEDIUM_SCORE} AND +i.score < {HIGH_SCORE}",
    Band.LOW: f"+i.score >= 0 AND +i.score < {MEDIUM_SCORE}",
    Band.AMBIGUOUS: "+i.score < 0",
}
"""Score bands → SQL; the plus keeps the index of another order out of it."""

OF_ITEM = "d.run_id = i.run_id AND d.iteration = i.iteration AND d.item_id = i.item_id"
MINE = f"{OF_ITEM} AND d.reviewer = :reviewer AND d.undone_by IS NULL"
OPEN = f"i.open > 0 AND NOT EXISTS (SELECT 1 FROM review_decisions d WHERE {MINE})"
"""Items that this reviewer has not touched yet."""

_JUDGED = f"SELECT 1 FROM validations d WHERE {OF_ITEM} AND d.reviewer = :reviewer"
UNDECIDED = (
    f"i.open > 0 AND NOT EXISTS ({_JUDGED})"
    f" AND NOT EXISTS (SELECT 1 FROM review_decisions d WHERE {MINE} AND d.verdict <> 'skip')"
)
"""Items that this reviewer may decide together with others: what they have said of one already stays."""

_DECIDED = f"i.wanted > 0 AND EXISTS (SELECT 1 FROM review_decisions d WHERE {MINE} AND d.verdict IN"
SHOWN = {
    "open": OPEN,
    "mine": f"{_DECIDED} ('correct', 'incorrect'))",
    "unsure": f"{_DECIDED} ('unsure', 'skip'))",
    "all": "i.wanted > 0",
}
"""Which items of the sample a reviewer goes through → SQL. Every item has `wanted > 0`; it names the indexes."""

SETTLED = "/settled"
REVISION = (
    "i.revision || '.' || (SELECT COUNT(*) + COUNT(d.undone_by) FROM review_decisions d"
    f" WHERE {OF_ITEM} AND d.reviewer = :reviewer)"
    f" || CASE WHEN i.open > 0 OR EXISTS ({_JUDGED}) THEN '' ELSE '{SETTLED}' END AS rev"
)
"""Changes when the prediction changes, when this reviewer decides or takes back, and when others have given all the
verdicts that are wanted: what is on screen is then stale."""

OF_REVIEW = "i.run_id = :run_id AND i.iteration = :iteration"


_TOLD = (
    "SELECT v.item_id AS item_id, COUNT(*) AS n, COUNT(DISTINCT COALESCE(CASE WHEN v.is_correct THEN v.category"
    " ELSE v.corrected_category END, '')) AS said FROM validations v"
    f" WHERE {OF_REVIEW.replace('i.', 'v.')} GROUP BY v.item_id"
)
_OUTDATED = (
    f"WITH told AS ({_TOLD}) SELECT i.* FROM told t, review_items i WHERE {OF_REVIEW} AND i.item_id = t.item_id"
    " AND (i.open <> CASE WHEN t.said > 1 AND i.wanted < 3 THEN 3 ELSE i.wanted END - t.n"
    " OR i.disputed <> CASE WHEN t.said > 1 THEN 1 ELSE 0 END)"
    f" UNION ALL SELECT i.* FROM review_items i WHERE {OF_REVIEW} AND i.open <> i.wanted"
    " AND i.item_id NOT IN (SELECT t.item_id FROM told t)"
)
"""Items whose verdicts have changed without `settle` being told (it says the same in Python) → SQL."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which items a reviewer wants to see, and in which order; anything unknown counts as not given."""

    show: str = "open"
    order: str = "sampled"
    category: str = ""
    band: str = ""
    keyword: str = ""
    changed: bool = False
    disputed: bool = False

    @classmethod
    def from_plain(cls, given: Mapping[str, Any] | None) -> Filters:
        """Take what a browser sent."""
        given = given or {}
        texts = {name: str(given.get(name) or "")[:200] for name in ("category", "band", "keyword")}
        show, order = str(given.get("show")), str(given.get("order"))
        return cls(
            show=show if show in SHOWN else "open",
            order=order if order in ORDERS else "sampled",
            changed=bool(given.get("changed")),
            disputed=bool(given.get("disputed")),
            **texts,
        )

    def sql(self) -> tuple[str, dict[str, object]]:
        """Give the conditions on `review_items i`, and their values."""
        parts, values = ["i.position IS NOT NULL"], dict[str, object]()
        if self.category:
            parts.append("i.category = :category AND i.blind = 0")
            values["category"] = self.category
        if self.band in _BANDS:
            parts.append(f"{_BANDS[Band(self.band)]} AND i.blind = 0")
        parts += [f"i.{name} = 1" for name in ("changed", "disputed") if getattr(self, name)]
        like, words = _like(self.keyword)
        return " AND ".join([*parts, *like]), values | words

    def after(self, row: Mapping[str, Any]) -> tuple[str, dict[str, object]]:
        """Give the condition for what comes after a row of `review_items`, and its values."""
        size = {"score": row["score"], "rows": row["n_rows"], "money": row["money"]}.get(self.order)
        return AFTER[self.order], {"past": row["position"], "size": size}


class ReviewLists:
    """The items of one review, as rows and lists; it only reads."""

    def __init__(self, database: Database, run_id: str, iteration: int) -> None:
        """Look at one iteration of one run."""
        self._database = database
        self._values: dict[str, object] = {"run_id": run_id, "iteration": iteration}

    def about(self) -> dict[str, Any] | None:
        """Give what the review is about (run, categories with descriptions); None where it is not prepared."""
        with self._database.read() as transaction:
            rows = transaction.rows("reviews", **self._values)
        return json.loads(rows[0]["about"]) if rows else None

    def results(self) -> dict[str, Any]:
        """Give the numbers as they were last computed; empty before."""
        with self._database.read() as transaction:
            rows = transaction.rows("reviews", **self._values)
        return json.loads(rows[0]["results"]) if rows else {}

    def progress(self, reviewer: str) -> dict[str, int]:
        """Count: items `asked`, items `done`, verdicts `judged` and those `right`, and `mine`."""
        asked = (
            "SELECT COUNT(*) AS asked, SUM(CASE WHEN i.open <= 0 THEN 1 ELSE 0 END) AS done"
            f" FROM review_items i WHERE {OF_REVIEW} AND i.position IS NOT NULL AND i.wanted > 0"
        )
        judged = (
            "SELECT COUNT(*) AS judged, SUM(CASE WHEN i.is_correct THEN 1 ELSE 0 END) AS correct,"
            f" SUM(CASE WHEN i.reviewer = :reviewer THEN 1 ELSE 0 END) AS mine FROM validations i WHERE {OF_REVIEW}"
        )
        with self._database.read() as transaction:
            found = self._ask(transaction, asked)[0] | self._ask(transaction, judged, reviewer=reviewer)[0]
        return {name: int(value or 0) for name, value in found.items()}

    def groups(self, reviewer: str) -> list[dict[str, Any]]:
        """List what a reviewer may decide of items that are nearly the same: `alike, category, items, n_rows, money`.

        Most rows come first.
        """
        sql = (
            "SELECT i.alike AS alike, i.category AS category, COUNT(*) AS items, SUM(i.n_rows) AS n_rows,"
            " SUM(i.money) AS money, MIN(i.item_id) AS item_id FROM review_items i"
            f" WHERE {OF_REVIEW} AND i.alike <> '' AND i.blind = 0 AND {UNDECIDED}"
            " GROUP BY i.alike, i.category HAVING COUNT(*) > 1"
            f" ORDER BY SUM(i.n_rows) DESC, i.alike LIMIT {MOST_GROUPS}"
        )
        with self._database.read() as transaction:
            groups = self._ask(transaction, sql, reviewer=reviewer)
            cards = transaction.rows_in_review(self._values, [group.pop("item_id") for group in groups])
            first = {(card["alike"], card["category"]): json.loads(card["card"])["fields"] for card in cards}
        return [
            {**group, "n_rows": int(group["n_rows"]), "fields": first[group["alike"], group["category"]]}
            for group in groups
        ]

    def members(self, reviewer: str, *, alike: str = "", category: str = "", keyword: str = "") -> list[dict[str, Any]]:
        """List what a reviewer may decide of a group: alike, or a category with a keyword; most rows first."""
        like, words = _like(keyword)
        parts = [OF_REVIEW, UNDECIDED, "i.blind = 0", *like]
        parts += ["i.alike = :alike"] if alike else []
        parts += ["i.category = :category"] if category else []
        sql = (
            f"SELECT i.*, {REVISION} FROM review_items i WHERE {' AND '.join(parts)} ORDER BY i.n_rows DESC, i.item_id"
        )
        with self._database.read() as transaction:
            values = {"alike": alike, "category": category, "reviewer": reviewer, **words}
            rows = self._ask(transaction, f"{sql} LIMIT {MOST_MEMBERS}", **values)
        return [shown(row) for row in rows]

    def search(self, reviewer: str, keyword: str, category: str = "", page: int = 1) -> dict[str, Any]:
        """Find items by keyword, without case and accents: `total`, `page`, `pages`, `items` with their revision."""
        like, words = _like(keyword)
        parts = [OF_REVIEW, *like, *(["i.category = :category AND i.blind = 0"] if category else [])]
        values = {"category": category, "reviewer": reviewer, **words}
        where = f"FROM review_items i WHERE {' AND '.join(parts)}"
        order = f"ORDER BY i.n_rows DESC, i.item_id LIMIT {PAGE} OFFSET {(max(page, 1) - 1) * PAGE}"
        with self._database.read() as transaction:
            total = int(self._ask(transaction, f"SELECT COUNT(*) AS n {where}", **values)[0]["n"])
            rows = self._ask(transaction, f"SELECT i.*, {REVISION} {where} {order}", **values)
            said = self._verdicts(transaction, reviewer, [row["item_id"] for row in rows])
        items = [shown(row) | {"verdicts": said.get(row["item_id"], [])} for row in rows]
        return {"total": total, "page": page, "pages": -(-total // PAGE), "items": items}

    def _verdicts(self, transaction: Transaction, reviewer: str, items: Iterable[str]) -> dict[str, list[Any]]:
        """Give what people said of items; what others say now is kept back while this reviewer is still asked."""
        found: dict[str, list[Any]] = {}
        mine = {
            row["item_id"]
            for row in transaction.rows_in("validations", "item_id", items)
            if row["run_id"] == self._values["run_id"] and row["reviewer"] == reviewer
        }
        still_open = {
            row["item_id"]
            for row in transaction.rows_in_review(self._values, items)
            if row["open"] > 0 and row["item_id"] not in mine
        }
        for row in transaction.rows_in("validations", "item_id", items):
            now_asked = row["iteration"] == self._values["iteration"] and row["item_id"] in still_open
            if row["run_id"] == self._values["run_id"] and not now_asked:
                kept = ("iteration", "reviewer", "category", "is_correct", "corrected_category", "user_notes")
                found.setdefault(row["item_id"], []).append({name: row[name] for name in kept})
        return {item: sorted(said, key=lambda each: each["iteration"]) for item, said in found.items()}

    def _ask(self, transaction: Transaction, sql: str, **values: object) -> list[dict[str, Any]]:
        return transaction.query(sql, **{name: v for name, v in (self._values | values).items() if f":{name}" in sql})

    # ---- written once, when a review starts

    def prepared_from(self) -> str:
        """Say what the rows were made from; empty before."""
        with self._database.read() as transaction:
            rows = transaction.rows("reviews", **self._values)
        return str(rows[0]["prepared_from"]) if rows else ""

    def prepare(self, prepared_from: str, about: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> None:
        """Replace the rows of the review, all or nothing; decisions and seats stay."""
        review = {"prepared_from": prepared_from, "about": to_json(about), "results": "{}", "results_from": ""}
        with self._database.write() as transaction:
            transaction.upsert("reviews", [self._values | review])
            transaction.delete("review_items", **self._values)
            part: list[Mapping[str, Any]] = []
            for item in items:
                part.append(self._values | dict(item))
                if len(part) == ROWS_AT_ONCE:
                    transaction.upsert("review_items", part)
                    part = []
            transaction.upsert("review_items", part)

    def count_anew(self) -> str:
        """Bring `open` and `disputed` up to date with verdicts from anywhere; gives a mark that changes with them."""
        with self._database.read() as transaction:
            outdated = self._ask(transaction, _OUTDATED)
            mark = "SELECT COUNT(*) AS n, MAX(i.validated_at) AS newest FROM validations i WHERE i.run_id = :run_id"
            logged = "SELECT COUNT(*) + COUNT(i.undone_by) AS n FROM review_decisions i WHERE i.run_id = :run_id"
            found = self._ask(transaction, mark)[0] | {"log": self._ask(transaction, logged)[0]["n"]}
        if outdated:
            with self._database.write() as transaction:
                for item in outdated:
                    settle(transaction, self._values, item)
        return f"{found['n']} {found['newest']} {found['log']}"

    def without_rows(self) -> set[str]:
        """Find the items that reviewers look at and whose original rows are not laid out yet."""
        sql = (
            f"SELECT i.item_id AS item_id, i.card AS card FROM review_seats s, review_items i WHERE {OF_REVIEW}"
            " AND s.run_id = i.run_id AND s.iteration = i.iteration AND s.item_id = i.item_id"
        )
        with self._database.read() as transaction:
            return {row["item_id"] for row in self._ask(transaction, sql) if "rows" not in json.loads(row["card"])}

    def lay_out_rows(self, behind: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to items what is to be shown of the original rows behind them."""
        with self._database.write() as transaction:
            for row in transaction.rows_in_review(self._values, behind):
                card = json.dumps(json.loads(row["card"]) | dict(behind[row["item_id"]]), ensure_ascii=False)
                transaction.update("review_items", {"card": card}, **self._values, item_id=row["item_id"])

    def set_results(self, results: Mapping[str, Any], results_from: str) -> None:
        """Keep the numbers that were computed from the verdicts of that mark."""
        values = {"results": to_json({**results, "at": now()}), "results_from": results_from}
        with self._database.write() as transaction:
            transaction.update("reviews", values, **self._values)

    def reviewers(self) -> list[dict[str, Any]]:
        """Say who decided what: `reviewer, decided, correct, unsure, skipped, first, newest`."""
        counts = {"decided": "('correct', 'incorrect')", "correct": "('correct')", "unsure": "('unsure')"}
        sums = ", ".join(
            f"SUM(CASE WHEN i.verdict IN {kinds} THEN 1 ELSE 0 END) AS {name}" for name, kinds in counts.items()
        )
        sql = (
            f"SELECT i.reviewer AS reviewer, {sums}, MIN(i.decided_at) AS first, MAX(i.decided_at) AS newest"
            f" FROM review_decisions i WHERE {OF_REVIEW} AND i.undone_by IS NULL GROUP BY i.reviewer ORDER BY 1"
        )
        with self._database.read() as transaction:
            return self._ask(transaction, sql)


def _like(keyword: str) -> tuple[list[str], dict[str, object]]:
    """Say that every word of a keyword occurs."""
    words = fold(keyword).split()[:10]
    escaped = [word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for word in words]
    conditions = [f"i.words LIKE :word{n} ESCAPE '\\'" for n in range(len(words))]
    return conditions, {f"word{n}": f"%{word}%" for n, word in enumerate(escaped)}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give an item as a reviewer sees it; a blind one without what the model says of it."""
    card: dict[str, Any] = json.loads(row["card"])
    kept = ("item_id", "category", "score", "n_rows", "rev", "position")
    item = {name: row[name] for name in kept} | {"blind": bool(row["blind"]), "asked": row["position"] is not None}
    item |= card
    if item["blind"] and not row.get("mine"):
        item |= {"category": None, "score": None, "reason": "", "said": []}
    return item


def settle(transaction: Transaction, review: Mapping[str, object], item: Mapping[str, Any]) -> None:
    """Count anew how many verdicts an item still needs; where two reviewers disagree, a third is asked."""
    verdicts = transaction.rows("validations", **review, item_id=item["item_id"])
    said = {row["category"] if row["is_correct"] else row["corrected_category"] for row in verdicts}
    disputed = len(said) > 1
    wanted = max(item["wanted"], 3) if disputed else item["wanted"]
    now_so = {"open": wanted - len(verdicts), "disputed": int(disputed)}
    if now_so != {name: item[name] for name in now_so}:
        transaction.update("review_items", now_so, **review, item_id=item["item_id"])
