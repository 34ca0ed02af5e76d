"""Choose which judged items become examples in a prompt.

1. Pairs of categories that were confused, the most frequent first, until half of what may be chosen is used: an item
   that was taken for the wrong category, and beside it the most similar item that does belong there, so that the prompt
   shows both sides of the border. A prompt of border cases only does not show what is typical.
2. Categories that have no example yet, the rarest first.
3. What remains goes to what is typical. An item that the prompt got right without it says nothing new: only a category
   with fewer than three examples gets it.

Of several items that would do, the one is taken that brings the texts to be classified nearest to the examples for its
tokens (greedy facility location, Lin and Bilmes 2011). No two examples of a category are nearly the same text. The same
candidates, in any order, give the same choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.likeness import NEARLY_THE_SAME, gram_vectors, likeness
from workbench.llm.prompt import Example, fold

Pair = tuple[str, str]
"""The category that was predicted, and the true one."""

ENOUGH = 3
"""With so many examples a category is covered: what the prompt gets right anyway says nothing new of it."""

LISTENED_TO = 2_000
"""Texts to be classified that are looked at: so many, taken evenly, say what is typical of all."""
_BYTES_PER_TOKEN = 3.5
_TOKENS_AROUND = 6
"""What the dash, quotes and arrow of an example cost."""


def estimate_tokens(text: str) -> int:
    """Estimate what a text costs: one token per 3.5 bytes of UTF-8, rounded up.

    The tokenizers in use need 3.5 to 4.5 bytes for a token of Spanish or English prose, so this errs on the dear side.

    >>> estimate_tokens(""), estimate_tokens("renta de mamparas")
    (0, 5)
    """
    return math.ceil(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judged item that may become an example."""

    item_id: str
    text: str
    category: str
    """The true one."""
    predicted: str
    """The one that was judged."""
    note: str = ""
    n_rows: int = 1

    @property
    def was_wrong(self) -> bool:
        """Say whether the prediction was another category."""
        return self.predicted != self.category

    @property
    def mistake(self) -> str:
        """Give the category that was wrongly said; empty where it was right."""
        return self.predicted if self.was_wrong else ""

    @property
    def tokens(self) -> int:
        """Estimate what the example costs in each call."""
        return _TOKENS_AROUND + sum(map(estimate_tokens, (self.text, self.category, self.note)))

    def example(self) -> Example:
        """Give the example that it becomes."""
        return Example(text=self.text, category=self.category, note=self.note, item_id=self.item_id)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be chosen."""

    examples: int
    tokens: int
    """Of all chosen examples together, per call."""


class Choice(NamedTuple):
    """A candidate that becomes an example, and why."""

    candidate: Candidate
    why: str


def choose(
    own: Sequence[Example],
    candidates: Sequence[Candidate],
    pairs: Sequence[Pair],
    bounds: Bounds,
    to_classify: Sequence[str] = (),
) -> list[Choice]:
    """Give the candidates that become examples beside a person's `own`, in the order in which they were chosen.

    Args:
        own: examples that stay in any case.
        candidates: judged items.
        pairs: the confused categories, the most important first.
        bounds: how much may be chosen.
        to_classify: texts without a verdict; where there are none, the candidates stand for them.
    """
    ranked = sorted(candidates, key=lambda candidate: (-candidate.n_rows, candidate.text, candidate.item_id))
    return _Choice(own, ranked, bounds, to_classify).choose(pairs) if ranked else []


class _Choice:
    """Chooses among candidates, one after the other, within the bounds."""

    def __init__(
        self, own: Sequence[Example], candidates: Sequence[Candidate], bounds: Bounds, to_classify: Sequence[str]
    ) -> None:
        self._candidates = candidates
        self._costs = np.array([candidate.tokens for candidate in candidates])
        self._bounds = bounds
        self._left = bounds.examples
        self._tokens_left = bounds.tokens
        self._chosen: list[Choice] = []
        texts = [*(candidate.text for candidate in candidates), *(example.text for example in own)]
        self._grams, self._folded = gram_vectors(texts), [fold(text) for text in texts]
        listened = to_classify[:: max(1, -(-len(to_classify) // LISTENED_TO))] or texts[: len(candidates)]
        self._nearness = np.array(list(likeness(listened, texts)))
        """Of each text to be classified to each candidate, then to each own example."""
        self._reached = self._nearness[:, len(candidates) :].max(axis=1, initial=0)
        """Of each text to be classified to the nearest example."""
        self._open = self._costs <= self._tokens_left
        self._number_of = Counter(example.category for example in own)
        for position, example in enumerate(own, start=len(candidates)):
            self._close_to(position, example.category)

    def choose(self, pairs: Sequence[Pair]) -> list[Choice]:
        """Give the chosen candidates in the order in which they were chosen."""
        for place, why in self._wishes(pairs):
            if not self._left:
                break
            self._take(place, why)
        return self._chosen

    def _wishes(self, pairs: Sequence[Pair]) -> Iterator[tuple[int, str]]:
        """Yield candidates by importance; each is taken before the next is sought."""
        while self._half_is_left() and any(self._open_of(pair) for pair in pairs):
            for pair in pairs:
                if self._half_is_left():
                    yield from self._both_sides(pair)
        yield from self._missing_categories()
        while telling := self._telling():
            place = self._most_typical(telling)
            yield place, f"is typical of what else belongs to '{self._candidates[place].category}'"

    def _half_is_left(self) -> bool:
        return 2 * self._left > self._bounds.examples and 2 * self._tokens_left > self._bounds.tokens

    def _telling(self) -> list[int]:
        """Close what is redundant, and give the rest."""
        for place in self._open_places():
            candidate = self._candidates[place]
            self._open[place] = candidate.was_wrong or self._number_of[candidate.category] < ENOUGH
        return self._open_places()

    def _both_sides(self, pair: Pair) -> Iterator[tuple[int, str]]:
        """Yield an item of a confused pair that was confused, then its counterpart."""
        predicted, _ = pair
        if confused := self._open_of(pair):
            place = self._most_typical(confused)
            yield place, f"was taken for '{predicted}'"
            if counterparts := self._open_in(predicted):
                text = self._candidates[place].text
                yield self._most_like(place, counterparts), f"reads like {text!r}, but does belong to '{predicted}'"

    def _missing_categories(self) -> Iterator[tuple[int, str]]:
        """Yield an item of every category without example, the rarest category first."""
        sizes = Counter(candidate.category for candidate in self._candidates)
        for category in sorted(sizes, key=lambda name: (sizes[name], name)):
            places = self._open_in(category)
            if places and not self._number_of[category]:
                yield self._most_typical(places), f"'{category}' had no example"

    def _take(self, place: int, why: str) -> None:
        category = self._candidates[place].category
        self._left -= 1
        self._tokens_left -= int(self._costs[place])
        self._open[place] = False
        self._open &= self._costs <= self._tokens_left
        self._chosen.append(Choice(self._candidates[place], why))
        self._number_of[category] += 1
        self._reached = np.maximum(self._reached, self._nearness[:, place])
        self._close_to(place, category)

    def _close_to(self, position: int, category: str) -> None:
        """Close the candidates that say nearly the same as an example."""
        for place in map(int, np.flatnonzero(self._likeness_to(position) >= NEARLY_THE_SAME)):
            if self._is_of(place, category) or self._folded[place] == self._folded[position]:
                self._open[place] = False

    def _likeness_to(self, position: int) -> npt.NDArray[np.float64]:
        column = (self._grams @ self._grams[[position]].T).toarray()
        likeness: npt.NDArray[np.float64] = column[: len(self._candidates), 0]
        return likeness

    def _open_places(self) -> list[int]:
        return [int(place) for place in np.flatnonzero(self._open)]

    def _open_in(self, category: str) -> list[int]:
        return [place for place in self._open_places() if self._is_of(place, category)]

    def _open_of(self, pair: Pair) -> list[int]:
        return [
            place
            for place in self._open_places()
            if (self._candidates[place].predicted, self._candidates[place].category) == pair
        ]

    def _is_of(self, place: int, category: str) -> bool:
        return self._candidates[place].category == category

    def _most_typical(self, places: Sequence[int]) -> int:
        """Give the candidate that brings the texts to be classified nearest to the examples, per token."""
        gains = np.maximum(self._nearness[:, places] - self._reached[:, np.newaxis], 0).sum(axis=0)
        return places[int(np.argmax(np.round(gains / self._costs[places], 9)))]

    def _most_like(self, place: int, places: Sequence[int]) -> int:
        likeness = self._likeness_to(place)
        return max(places, key=lambda other: (round(float(likeness[other]), 9), -other))
