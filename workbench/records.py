"""The nouns as records, and the few facts about them that every room needs.

The field names here are the column names of the frames and of the database tables (a test holds them together).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

AMBIGUOUS_SCORE = -1.0
"""The score of an item that the classifier could not make sense of: a flag that enters no mean."""

HIGH_SCORE = 0.7
MEDIUM_SCORE = 0.4

CLEAN_PREFIX = "clean"


class Status(StrEnum):
    """How a prediction came about."""

    OK = "ok"
    REPAIRED = "repaired"
    """The first answer was missing or invalid; a later one was good."""
    FAILED = "failed"
    """No valid answer: the unclassifiable category, -1, and why in `reason`."""
    PENDING = "pending"
    """Not asked yet: no category."""


class Band(StrEnum):
    """How sure a prediction is, from its score."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    AMBIGUOUS = "ambiguous"


class Pool(StrEnum):
    """What a validated item may be used for."""

    PROMPT = "prompt"
    """May become an example in a prompt (50 %)."""
    DEV = "dev"
    """Chooses between prompts (20 %)."""
    HOLDOUT = "holdout"
    """Only measures (30 %)."""


class RunState(StrEnum):
    """Where a run stands."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    """Between two stages; nobody works on it."""
    AWAITING_REVIEW = "awaiting_review"
    """A sample is drawn; the verdicts are missing."""
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the classifier says of one item."""

    item_id: str
    category: str | None
    reason: str
    score: float | None
    """0 to 1, or -1 for ambiguous; null while pending."""
    status: Status = Status.OK
    attempts: int = 1
    judge_category: str | None = None
    """What the second opinion says, where it was asked for and gave a valid answer; another one wants a review."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What a person says of one prediction."""

    item_id: str
    iteration: int
    reviewer: str
    category: str
    """The predicted category that was judged."""
    is_correct: bool
    corrected_category: str | None
    """The right category where the prediction is wrong."""
    user_notes: str
    validated_at: str
    """ISO 8601, UTC."""
    pool: Pool

    @property
    def true_category(self) -> str | None:
        """The category that the reviewer stands for, if they named one."""
        return self.category if self.is_correct else self.corrected_category


@dataclass(frozen=True, slots=True)
class Run:
    """A data set and its loop."""

    run_id: str
    name: str
    state: RunState
    iteration: int
    """The current iteration, from 1; 0 before the first."""
    parameters: dict[str, Any]
    created_at: datetime
    folder: Path


PREDICTION_COLUMNS = tuple(field.name for field in fields(Prediction))
VALIDATION_COLUMNS = tuple(field.name for field in fields(Validation))


def clean_name(column: str) -> str:
    """Name the clean twin of a column.

    >>> clean_name("LineDescription")
    'cleanLineDescription'
    """
    return f"{CLEAN_PREFIX}{column}"


def band_of(score: float | None) -> Band | None:
    """Sort a score into its band; null stays null.

    >>> [str(band_of(score)) for score in (0.7, 0.4, 0.39, -1.0)]
    ['high', 'medium', 'low', 'ambiguous']
    """
    if score is None or score != score:
        return None
    if score == AMBIGUOUS_SCORE:
        return Band.AMBIGUOUS
    if score >= HIGH_SCORE:
        return Band.HIGH
    return Band.MEDIUM if score >= MEDIUM_SCORE else Band.LOW


_WORD = re.compile(r"[^\W_]+")
_SHORTEST_WORD = 3


def skeleton(text: str) -> str:
    """Give what two texts that say nearly the same have in common: their words, each once, sorted and without accents.

    Numbers, codes with digits in them, words of one or two letters and the s of a plural are left out; a text of
    nothing else is its own skeleton.

    >>> skeleton("Toner HP 85A negro, folio 1234") == skeleton("folio 99 TÓNERS negros")
    True
    >>> skeleton("4x4 - 12")
    '4x4 - 12'
    """
    plain = fold(text)
    words = {_singular(word) for word in _WORD.findall(plain) if len(word) >= _SHORTEST_WORD and word.isalpha()}
    return " ".join(sorted(words)) or " ".join(plain.split())


def _singular(word: str) -> str:
    stem = word.rstrip("s")
    return stem if len(stem) >= _SHORTEST_WORD else word


def pool_of(clean_text: str) -> Pool:
    """Assign a text to a pool by the hash of its skeleton: near-duplicates share a pool, in every run and sample.

    >>> pool_of("instalacion vinil coca cola"), pool_of("Vinil coca-cola 2, instalación")
    (<Pool.PROMPT: 'prompt'>, <Pool.PROMPT: 'prompt'>)
    """
    content = skeleton(clean_text).encode("utf-8", "surrogatepass")
    share = int.from_bytes(hashlib.blake2b(content, digest_size=8, person=b"pool").digest(), "big") / 2**64
    if share < 0.5:
        return Pool.PROMPT
    return Pool.DEV if share < 0.7 else Pool.HOLDOUT


def fold(text: str) -> str:
    """Take case and accents away.

    >>> fold("INSTALACIÓN Año"), fold("№ 5 COLA™")
    ('instalacion ano', 'no 5 colatm')
    """
    plain = unicodedata.normalize("NFKD", text).casefold()  # in this order: signs such as ™ unfold to capitals
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def clean_text(fields: Iterable[str | None]) -> str:
    """Join the clean fields of an item into the one text that pools, examples and searches go by.

    >>> clean_text(["renta oficina", None, "cdmx"])
    'renta oficina | cdmx'
    """
    return " | ".join(field for field in fields if isinstance(field, str) and field)
