"""Answers that are paid for already: kept by key, so that the same question is never asked twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from workbench.records import Status
from workbench.runs.database import Database
from workbench.runs.values import now


class AnswerLike(Protocol):
    """What an answer has to have, whoever made it."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def score(self) -> float | None: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def attempts(self) -> int: ...  # noqa: D102


class Answer(NamedTuple):
    """An answer as it is kept."""

    key: str
    category: str | None
    reason: str
    score: float | None
    status: Status
    attempts: int


A = TypeVar("A", bound=AnswerLike)


class Answers(Generic[A]):
    """All kept answers, of all runs; safe to use from several threads and processes."""

    def __init__(self, database: Database, make: Callable[..., A], since: str = "") -> None:
        """Give answers back as `make(key=…, category=…, reason=…, score=…, status=…, attempts=…)`.

        Those that were kept before `since` (ISO 8601, UTC) are not found.
        """
        self._database = database
        self._make = make
        self._since = since

    def get(self, keys: Sequence[str]) -> dict[str, A]:
        """Give the answers there are to these keys, by key; raises StorageError."""
        with self._database.read() as transaction:
            rows = transaction.rows_in("answers", "key", keys)
            return {row["key"]: self._build(row) for row in rows if row["saved_at"] >= self._since}

    def put(self, answers: Iterable[AnswerLike]) -> None:
        """Keep answers, all or none; one whose key is there replaces what was there. Raises StorageError."""
        saved_at = now()
        rows = {answer.key: _row(answer, saved_at) for answer in answers}
        if rows:
            with self._database.write() as transaction:
                transaction.upsert("answers", list(rows.values()))

    def forget(self, keys: Iterable[str]) -> int:
        """Remove the answers to these keys, all or none; gives how many there were. Raises StorageError."""
        with self._database.write() as transaction:
            return sum(transaction.delete("answers", key=key) for key in dict.fromkeys(keys))

    def _build(self, row: dict[str, object]) -> A:
        fields = {name: row[name] for name in Answer._fields}
        return self._make(**fields | {"status": Status(str(row["status"]))})


def _row(answer: AnswerLike, saved_at: str) -> dict[str, object]:
    values = {name: getattr(answer, name) for name in Answer._fields}
    score = values["score"]
    values["score"] = None if score is None or score != score else float(score)
    return {**values, "status": str(values["status"]), "attempts": int(values["attempts"]), "saved_at": saved_at}
