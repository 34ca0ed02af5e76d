"""What must be remembered of a batch while it is under way, so that nobody pays for it twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.llm.repair import Chunk
from workbench.llm.sheet import Question

Note = dict[str, Any]
_OF_A_CHUNK = ("attempts", "tries", "level", "answers_before")


class BatchMemory(Protocol):
    """Keeps notes on batches, as plain data, where a killed process cannot take them along."""

    def load(self) -> list[Note]:
        """Give the notes that were saved last."""
        ...

    def save(self, notes: list[Note]) -> None:
        """Keep notes in place of those before; they must have reached their place when this returns."""
        ...


class SessionMemory:
    """Notes for as long as the session lasts."""

    def __init__(self) -> None:
        """Start empty."""
        self._notes: list[Note] = []

    def load(self) -> list[Note]:
        """Give the notes."""
        return self._notes

    def save(self, notes: list[Note]) -> None:
        """Keep the notes."""
        self._notes = notes


@dataclass(slots=True, eq=False)
class Batch:
    """A file of chunks at the service, and the batch that was made of it."""

    file_id: str
    chunks: Sequence[Chunk]
    """The requests of the file, numbered from 1."""
    batch_id: str | None = None
    """None as long as it is not known whether there is one."""
    status: str = "uploaded"
    done: int = 0
    """Requests that the service has dealt with."""
    has_ended: bool = False

    def __str__(self) -> str:
        """Give how far it is.

        >>> print(Batch("file-1", [], "batch_1", "in_progress"))
        batch_1: 0 of 0 requests
        """
        return f"{self.batch_id}: {self.done:,} of {len(self.chunks):,} requests"

    def note(self) -> Note:
        """Give what must be remembered, as plain data; of one that has ended only that it was there."""
        facts = {"file_id": self.file_id, "batch_id": self.batch_id, "status": self.status}
        if self.has_ended:
            return facts | {"requests": len(self.chunks)}
        chunks = [
            {
                "keys": [question.key for question in chunk.questions],
                **{name: getattr(chunk, name) for name in _OF_A_CHUNK},
            }
            for chunk in self.chunks
        ]
        return facts | {"chunks": chunks}


def remembered(note: Note, questions: Mapping[str, Question]) -> Batch:
    """Bring a batch back; a question that is not asked any more has no items."""
    chunks = [
        Chunk(
            tuple(questions.get(key) or Question(key, {}, []) for key in chunk["keys"]),
            **{name: chunk[name] for name in _OF_A_CHUNK},
        )
        for chunk in note["chunks"]
    ]
    return Batch(note["file_id"], chunks, note["batch_id"], note["status"])
