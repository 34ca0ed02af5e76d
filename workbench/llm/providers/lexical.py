"""The embedded classifier: no key, no server, no cost, the same answer every time.

It reads the prompt that a language model would read (names, descriptions, keywords, priorities, examples) and learns
from it which words speak for which category; see `lexical_model`. Its score is a probability: of its answers with a
score about s, a share of about s is right. An item's answer depends on the prompt and the item only, never on the
other items of a chunk, on the process or on what was asked before.
"""

from __future__ import annotations

import json
import math
import threading
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from workbench.llm.parsing import GoodAnswer
from workbench.llm.prompt import Example, Prompt
from workbench.llm.providers import Request, Response, Usage
from workbench.llm.providers.lexical_model import Keywords, LexicalModel, Phrase, Unit, Vector
from workbench.llm.providers.lexical_text import is_unintelligible, stem, words_of
from workbench.records import AMBIGUOUS_SCORE

ALGORITHM = "lexical-1"
"""Raise the number with every change that can change an answer: kept answers of the old one must not be used."""

_SHARPNESS = 10.0
_INTERCEPT, _BY_SHARE, _BY_MARGIN = 0.06, 0.4, 5.65
"""score = logistic(0.06 + 0.4 logit(p) + 5.65 margin); p is the softmax of 10 x evidence.

Fitted on 78,000 answers to Mexican contract titles (5 categories), SAT product descriptions (57) and shop products
(19), with prompts of 0 to 200 examples. `tests/test_lexical.py` holds it against data.
"""
_LOWEST, _HIGHEST = 0.01, 0.99
_WEAK_EVIDENCE = 0.02
_WEAK_SCORE = 0.2
"""Below these an answer is no better than the fallback."""
_FALLBACK_SCORE = 0.1
_SAME_SCORE = 0.98
"""The text is an example, word for word."""
_FITS = 0.1
"""A category fits where one of its keywords stands in the text and carries this share of its weight."""
_ALIKE = 0.4
_SHOWN = 60
_KEPT_PROMPTS = 4


class LexicalProvider:
    """Answers from the words of the prompt alone."""

    name = "lexical"
    model = ALGORITHM

    def __init__(self) -> None:
        """Prepare; a prompt is learnt with the first request that brings it."""
        self._lock = threading.Lock()
        self._readers: dict[str, PromptReader] = {}
        self._latest: tuple[Prompt, PromptReader] | None = None

    @property
    def fingerprint(self) -> str:
        """The version of the algorithm: nothing else decides an answer."""
        return ALGORITHM

    def complete(self, request: Request) -> Response:
        """Answer all items of a request; it costs no tokens."""
        reader = self._reader_of(request.prompt)
        answers = ((item.number, reader.answer(item.fields)) for item in request.items)
        results = [
            {"id": number, "reason": answer.reason, "category": answer.category, "score": answer.score}
            for number, answer in answers
        ]
        return Response(json.dumps({"results": results}, ensure_ascii=False), Usage(calls=1))

    def _reader_of(self, prompt: Prompt) -> PromptReader:
        latest = self._latest
        if latest is not None and latest[0] is prompt:
            return latest[1]
        key = prompt.fingerprint
        with self._lock:
            if key not in self._readers:
                while len(self._readers) >= _KEPT_PROMPTS:
                    del self._readers[next(iter(self._readers))]
                self._readers[key] = PromptReader(prompt)
            reader = self._readers[key]
        self._latest = (prompt, reader)
        return reader


class PromptReader:
    """A prompt, learnt: gives any item its category, a reason and a score."""

    def __init__(self, prompt: Prompt) -> None:
        """Learn a prompt; that takes up to a second or two."""
        self._prompt = prompt
        self._model = LexicalModel.fit(prompt)
        self._keywords = Keywords(prompt, self._model.categories)
        self._examples = _Examples(prompt, self._model)
        priorities = {category.name: category.priority for category in prompt.categories}
        self._priorities = [priorities[name] for name in self._model.categories]
        self._ranked = len(set(self._priorities)) > 1

    def answer(self, fields: Mapping[str, str]) -> GoodAnswer:
        """Classify one item by its clean fields."""
        words = [words_of(text) for text in fields.values()]
        stems = [stem(word) for field in words for word in field]
        same = self._examples.same(stems)
        if same is not None:
            return self._scored(same.category, f"the same as the example {_quoted(same.text)}", _SAME_SCORE)
        if is_unintelligible(" ".join(fields.values()), self._model.vocabulary.weights):
            return self._scored(self._prompt.unclassifiable, "the text cannot be understood", AMBIGUOUS_SCORE)
        units = self._model.vocabulary.weigh(words)
        return self._judge(units, self._keywords.find(stems))

    def _judge(self, units: dict[Unit, float], hits: list[Phrase]) -> GoodAnswer:
        evidence = self._model.evidence(units)
        if not len(evidence) or float(evidence.max()) < _WEAK_EVIDENCE:
            return self._scored(self._prompt.fallback, "no word points clearly to a category", _FALLBACK_SCORE)
        best, second = self._best_two(evidence, self._fitting(hits, units))
        score = probability(evidence)
        if score < _WEAK_SCORE:
            return self._scored(self._prompt.fallback, "its words point to several categories", _FALLBACK_SCORE)
        reason = self._reason(best, units, [hit for hit in hits if hit.category == best])
        if score < 0.7 and second is not None:
            reason += f"; next would be {self._model.categories[second]!r}"
        return self._scored(self._model.categories[best], reason, score)

    def _scored(self, category: str, reason: str, score: float) -> GoodAnswer:
        unclear = category == self._prompt.unclassifiable
        return GoodAnswer(category, reason, AMBIGUOUS_SCORE if unclear else round(score, 2))

    def _fitting(self, hits: list[Phrase], units: dict[Unit, float]) -> set[int]:
        """Give the categories of keywords that are more than a side note of a text; only priorities need them."""
        if not self._ranked or not hits:
            return set()
        weights = _by_stem(units)
        return {hit.category for hit in hits if sum(weights.get(root, 0.0) ** 2 for root in hit.stems) >= _FITS}

    def _best_two(self, evidence: Vector, fitting: set[int]) -> tuple[int, int | None]:
        """Give the category with the most evidence and the next one; of several that fit, the priority decides."""
        first, *others = [int(place) for place in np.argsort(-evidence, kind="stable")[:2]]
        winner = min(fitting | {first}, key=lambda place: (-self._priorities[place], -evidence[place], place))
        if winner != first:
            return winner, first
        return first, others[0] if others else None

    def _reason(self, category: int, units: dict[Unit, float], hits: list[Phrase]) -> str:
        parts = []
        if hits:
            parts.append(_listed("keyword", [hit.keyword for hit in hits[:3]]))
        elif words := self._telling_words(category, units):
            parts.append(_listed("word", words))
        if example := self._examples.nearest(category, units):
            parts.append(f"like the example {_quoted(example.text)}")
        return "; ".join(parts) or "its words, taken together"

    def _telling_words(self, category: int, units: dict[Unit, float]) -> list[str]:
        """Give the two words that speak most for a category."""
        shares = []
        for unit, weight in units.items():
            part = self._model.part(unit) if isinstance(unit, str) else None
            if part is not None and weight * part[category] > _WEAK_EVIDENCE / 2:
                shares.append((-weight * part[category], unit))
        return [str(word) for _, word in sorted(shares, key=lambda entry: entry[0])[:2]]


class _Examples:
    """The examples of a prompt, as they are looked up."""

    def __init__(self, prompt: Prompt, model: LexicalModel) -> None:
        self._same: dict[tuple[str, ...], Example | None] = {}
        """Stems → the example; None where examples contradict each other."""
        self._weights: list[dict[str, list[tuple[int, float]]]] = [defaultdict(list) for _ in model.categories]
        """Per category: stem → examples that have it, with its weight."""
        self._examples = prompt.examples
        for number, example in enumerate(prompt.examples):
            words = words_of(example.text)
            stems = tuple(map(stem, words))
            if stems:
                known = self._same.setdefault(stems, example)
                if known is not None and known.category != example.category:
                    self._same[stems] = None
                weighted = self._weights[model.categories.index(example.category)]
                for root, weight in _by_stem(model.vocabulary.weigh([words])).items():
                    weighted[root].append((number, weight))

    def same(self, stems: list[str]) -> Example | None:
        """Give the example with exactly these stems, unless there are two with different categories."""
        return self._same.get(tuple(stems)) if self._same else None

    def nearest(self, category: int, units: dict[Unit, float]) -> Example | None:
        """Give the example of a category that is most like a text, if one is."""
        weighted = self._weights[category]
        if not weighted:
            return None
        likeness: dict[int, float] = defaultdict(float)
        for root, weight in _by_stem(units).items():
            for number, other in weighted.get(root, ()):
                likeness[number] += weight * other
        nearest = max(likeness.items(), key=lambda entry: (entry[1], -entry[0]), default=None)
        return self._examples[nearest[0]] if nearest is not None and nearest[1] >= _ALIKE else None


def probability(evidence: Vector) -> float:
    """Give the probability that the best category is the right one, from the evidence for all; 0.01 to 0.99.

    >>> [round(probability(np.array(evidence)), 2) for evidence in ([0.5, 0, 0, 0], [0.2, 0.1, 0, 0], [0.1, 0.1, 0, 0])]
    [0.99, 0.69, 0.46]
    """
    ordered = sorted(evidence.tolist(), reverse=True)
    if len(ordered) == 1:
        ordered.append(0.0)  # against nothing
    others = sum(math.exp(_SHARPNESS * (value - ordered[0])) for value in ordered[1:])
    margin = ordered[0] - ordered[1]
    logit = _INTERCEPT - _BY_SHARE * math.log(others) + _BY_MARGIN * margin
    return min(_HIGHEST, max(_LOWEST, 1 / (1 + math.exp(-logit))))


def _by_stem(units: dict[Unit, float]) -> dict[str, float]:
    stems: dict[str, float] = defaultdict(float)
    for unit, weight in units.items():
        if isinstance(unit, str):
            stems[stem(unit)] += weight
    return stems


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")


def _listed(kind: str, words: list[str]) -> str:
    return f"{kind}{'s' if len(words) > 1 else ''} {', '.join(map(repr, words))}"
