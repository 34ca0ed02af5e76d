"""Answers that were paid for once: the protocol of a cache, the key of an answer, and a cache in memory.

The key covers everything that decides an answer: the item's clean fields, the prompt and the provider. So a changed
prompt asks again, and a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.records import Status


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer with the key that finds it again."""

    key: str
    category: str
    reason: str
    score: float
    status: Status = Status.OK
    attempts: int = 1


class AnswerCache(Protocol):
    """Keeps answers; it is called from the thread that classifies, never from several at once."""

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Find the answers that are kept under these keys; a key without an answer is left out."""
        ...

    def put(self, answers: Sequence[Answer]) -> None:
        """Keep answers; they must have reached their place when this returns."""
        ...


class MemoryCache:
    """Answers for as long as the session lasts."""

    def __init__(self) -> None:
        """Start empty."""
        self._answers: dict[str, Answer] = {}

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Find the answers that are kept under these keys."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def put(self, answers: Sequence[Answer]) -> None:
        """Keep answers; a later one replaces an earlier one."""
        self._answers |= {answer.key: answer for answer in answers}

    def __len__(self) -> int:
        """Count the answers."""
        return len(self._answers)


class WriteOnly:
    """Keeps answers in another cache, but finds none: everything is asked anew."""

    def __init__(self, cache: AnswerCache) -> None:
        """Take the cache that keeps."""
        self._cache = cache

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Find nothing."""
        return {}

    def put(self, answers: Sequence[Answer]) -> None:
        """Keep answers; they replace those that are there."""
        self._cache.put(answers)


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def answer_key(fields: Mapping[str, str], prompt_fingerprint: str, provider_fingerprint: str) -> str:
    """Give the key of an answer: 32 hex characters (128 bits); the order of the fields does not matter.

    >>> key = answer_key({"cleanText": "renta"}, "p1", "lexical")
    >>> len(key), key == answer_key({"cleanText": "renta"}, "p2", "lexical")
    (32, False)
    """
    return key_maker(prompt_fingerprint, provider_fingerprint)(fields)


def key_maker(prompt_fingerprint: str, provider_fingerprint: str) -> Callable[[Mapping[str, str]], str]:
    """Give `answer_key` for one prompt and provider: they are hashed once, and not for each of many items."""
    begin = f"[{_as_json(prompt_fingerprint)},{_as_json(provider_fingerprint)},["
    begun = hashlib.blake2b(begin.encode("ascii"), digest_size=16, person=b"answer")

    def key(fields: Mapping[str, str]) -> str:
        pairs = [f"[{_as_json(name)},{_as_json(text)}]" for name, text in sorted(fields.items())]
        hashed = begun.copy()
        hashed.update(f"{','.join(pairs)}]]".encode("ascii"))
        return hashed.hexdigest()

    return key
