"""What the lexical provider learns from a prompt: which words speak for which category.

Every name, keyword, clause of a description and example is a short text of a known category. A text is a bag of words
and pairs of neighbours, rare words weighing more (idf over the categories) and the first words of a field weighing
most, as the head of a Spanish noun phrase comes first. A word stands for its stem and its character n-grams, so that
a misspelt or shortened word is still close to the right one. On these vectors a ridge regression to the categories is
solved once per prompt (kernel form: https://en.wikipedia.org/wiki/Kernel_method). Its answer is linear in the words,
so the contribution of a word is computed once and kept.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from workbench.llm.prompt import Prompt
from workbench.llm.providers.lexical_text import fold_text, stem, words_of

Vector = npt.NDArray[np.float64]
Unit = str | tuple[str, str]
"""A word, or a pair of neighbouring stems."""

_LONGEST = 300
"""Words that are read of a field."""
_DECAY, _FLOOR = 0.2, 0.3
"""The n-th word of a field (from 0) weighs 1 / (1 + 0.2 n), but at least 0.3."""
_PAIR = 0.75
"""Weight of a pair of neighbours, against the mean of its two words."""
_CHARS = 0.8
"""Weight of a word's character n-grams (3 to 5), against its stem."""
_EXAMPLE_WORD = 0.5
"""Weight of a word that only examples have: it may stand in them by chance."""
_RIDGE = 2.0
_WEIGHT = {"name": 1.0, "keyword": 1.0, "clause": 0.5, "example": 2.0}
_MOST_TEXTS = 3000
_KEPT_NUMBERS = 8_000_000
"""Numbers that the kept words may take up (8 bytes each)."""
_CLAUSE = re.compile(r"[,;:()]|\s[yoe]\s|\s(?:and|or)\s")
_SENTENCE = re.compile(r"[.;\n]")
_EXCLUSION = re.compile(r"\b(?:no inclu|no son|excepto|salvo|excluye|excluding|except|not |does not|other than)", re.I)


@dataclass(frozen=True, slots=True)
class Text:
    """A text whose category the prompt tells."""

    text: str
    category: str
    kind: str
    """name, keyword, clause or example."""


def texts_of(prompt: Prompt) -> list[Text]:
    """Give everything that a prompt says of its categories.

    Of the two standing categories only keywords and examples count: their names and descriptions speak of no words.
    """
    standing = (prompt.fallback, prompt.unclassifiable)
    texts: list[Text] = []
    for category in prompt.categories:
        texts += [Text(keyword, category.name, "keyword") for keyword in category.keywords]
        if category.name not in standing:
            texts.append(Text(category.name, category.name, "name"))
            texts += [Text(clause, category.name, "clause") for clause in clauses_of(category.description)]
    texts += [Text(example.text, example.category, "example") for example in prompt.examples]
    return [text for text in texts if words_of(text.text)]


def clauses_of(description: str) -> list[str]:
    """Cut a description into its clauses, without what it excludes.

    >>> clauses_of("Mamparas, lonas y vinil. No incluye anuncios, ni spots.")
    ['Mamparas', 'lonas', 'vinil']
    """
    kept = (_EXCLUSION.split(sentence, maxsplit=1)[0] for sentence in _SENTENCE.split(description))
    return [clause.strip() for part in kept for clause in _CLAUSE.split(part) if clause.strip()]


@dataclass(slots=True)
class Vocabulary:
    """The words of a prompt and their weights."""

    weights: dict[str, float]
    """Stem → idf."""
    unknown: float
    """The weight of a word that the prompt does not have."""

    @classmethod
    def of(cls, texts: list[Text]) -> Vocabulary:
        """Weigh words by how few categories have them."""
        categories: dict[str, set[str]] = defaultdict(set)
        told: set[str] = set()
        for text in texts:
            for word in set(map(stem, words_of(text.text))):
                categories[word].add(text.category)
                if text.kind != "example":
                    told.add(word)
        total = 1 + len({text.category for text in texts})
        weights = {
            word: (math.log(total / (0.5 + len(having))) + 0.3) * (1 if word in told else _EXAMPLE_WORD)
            for word, having in categories.items()
        }
        return cls(weights, math.log(total / 1.5) + 0.3)

    def weigh(self, fields: Iterable[list[str]]) -> dict[Unit, float]:
        """Give the units of a text, from its words per field; the squares of their weights sum to 1."""
        units: dict[Unit, float] = defaultdict(float)
        for words in fields:
            self._add(words[:_LONGEST], units)
        norm = math.sqrt(sum(weight * weight for weight in units.values()))
        return {unit: weight / norm for unit, weight in units.items()} if norm else {}

    def _add(self, words: list[str], units: dict[Unit, float]) -> None:
        before = ""
        for position, word in enumerate(words):
            root = stem(word)
            place = max(_FLOOR, 1 / (1 + _DECAY * position))
            weight = self.weights.get(root, self.unknown)
            units[word] += place * weight
            if before:
                units[before, root] += place * _PAIR * (self.weights.get(before, self.unknown) + weight) / 2
            before = root


def features_of(unit: Unit) -> dict[str, float]:
    """Give the features of a unit, as a vector of length 1: of a word its stem and its character n-grams."""
    if isinstance(unit, tuple):
        return {f"{unit[0]} {unit[1]}": 1.0}
    edged = f"<{unit}>"
    grams = Counter(edged[start : start + size] for size in (3, 4, 5) for start in range(len(edged) - size + 1))
    norm = math.sqrt(sum(count * count for count in grams.values())) or 1.0
    scale = math.sqrt(1 + (_CHARS**2 if grams else 0))
    features = {gram: _CHARS * count / norm / scale for gram, count in grams.items()}
    return features | {f"={stem(unit)}": 1 / scale}


@dataclass(slots=True)
class LexicalModel:
    """A fitted prompt; `evidence` says how much a text speaks for each of `categories`."""

    categories: list[str]
    """Those of the prompt that something is known of, in its order."""
    vocabulary: Vocabulary
    index: dict[str, int]
    """Feature → row of `weights`."""
    weights: Vector
    """Features x categories."""
    _kept: dict[Unit, Vector | None] = field(default_factory=dict)

    @classmethod
    def fit(cls, prompt: Prompt) -> LexicalModel:
        """Learn a prompt."""
        told = texts_of(prompt)
        vocabulary = Vocabulary.of(told)
        known = {text.category for text in told}
        categories = [name for name in prompt.category_names if name in known]
        rows = list(_pooled(told))
        index: dict[str, int] = {}
        matrix = _matrix([vocabulary.weigh(map(words_of, texts)) for texts, _, _ in rows], index)
        targets = [categories.index(category) for _, category, _ in rows]
        weights = _solve(matrix, targets, [weight for _, _, weight in rows], len(categories))
        return cls(categories, vocabulary, index, weights)

    def evidence(self, units: dict[Unit, float]) -> Vector:
        """Say how much the units of a text speak for each category: about 0 for none, near 1 for the text itself."""
        total = np.zeros(len(self.categories))
        for unit, weight in units.items():
            part = self.part(unit)
            if part is not None:
                total += weight * part
        return total

    def part(self, unit: Unit) -> Vector | None:
        """Say how much one unit speaks for each category; None for nothing. Kept, since words recur."""
        try:
            return self._kept[unit]
        except KeyError:
            pass
        found = [(self.index[name], value) for name, value in features_of(unit).items() if name in self.index]
        part: Vector | None = None
        if found:
            rows, values = zip(*found, strict=True)
            part = (self.weights[list(rows)] * np.array(values)[:, None]).sum(axis=0)
        if len(self._kept) * (1 + len(self.categories)) > _KEPT_NUMBERS:
            self._kept = {}
        self._kept[unit] = part
        return part


def _pooled(texts: list[Text]) -> Iterator[tuple[list[str], str, float]]:
    """Give the texts to learn from with category and weight; of a huge prompt several keywords are pooled into one."""
    size = math.ceil(len(texts) / _MOST_TEXTS)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for text in texts:
        groups[text.category, text.kind].append(text.text)
    for (category, kind), members in groups.items():
        for start in range(0, len(members), size):
            yield members[start : start + size], category, _WEIGHT[kind]


def _matrix(rows: list[dict[Unit, float]], index: dict[str, int]) -> sparse.csr_matrix:
    """Lay texts out as texts x features, entering every feature into the index."""
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for units in rows:
        features: dict[str, float] = defaultdict(float)
        for unit, weight in units.items():
            for name, value in features_of(unit).items():
                features[name] += weight * value
        columns += [index.setdefault(name, len(index)) for name in features]
        values += features.values()
        ends.append(len(values))
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), len(index)))


def _solve(matrix: sparse.csr_matrix, targets: list[int], weights: list[float], categories: int) -> Vector:
    """Solve the ridge regression of the categories on the texts; gives features x categories."""
    if not targets:
        return np.zeros((matrix.shape[1], categories))
    kernel = (matrix @ matrix.T).toarray()
    kernel[np.diag_indices_from(kernel)] += _RIDGE / np.array(weights)
    wanted = np.eye(categories)[targets] - 1 / max(2, categories)
    solved: Vector = matrix.T @ linalg.solve(kernel, wanted, assume_a="pos")
    return solved


@dataclass(frozen=True, slots=True)
class Phrase:
    """A keyword as it is looked up: its stems in order."""

    keyword: str
    category: int
    stems: tuple[str, ...]


class Keywords:
    """Finds the keywords of all categories in a text, whole and in order."""

    def __init__(self, prompt: Prompt, categories: list[str]) -> None:
        """Lay the keywords out by their first stem."""
        place = {name: number for number, name in enumerate(categories)}
        self._phrases: dict[str, list[Phrase]] = defaultdict(list)
        for category in prompt.categories:
            for keyword in category.keywords:
                stems = tuple(map(stem, words_of(keyword)))
                if stems:
                    self._phrases[stems[0]].append(Phrase(fold_text(keyword), place[category.name], stems))

    def find(self, stems: list[str]) -> list[Phrase]:
        """Give every keyword that stands in the stems of a text, each once."""
        found = [
            phrase
            for start, first in enumerate(stems)
            for phrase in self._phrases.get(first, ())
            if tuple(stems[start : start + len(phrase.stems)]) == phrase.stems
        ]
        return list(dict.fromkeys(found))
