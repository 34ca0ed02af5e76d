"""The same steps on many texts at once.

The texts of a batch become one block of bytes, Latin-1, a NUL after each text. Neighbouring character maps are fused
into one `bytes.translate`. The words of the block are then an arrow array over the very same bytes, and all token maps
are one look-up in one table. A text that does not fit (a character outside Latin-1, or that becomes several; nothing
but stop words) is cleaned by the plain steps instead, and patched in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from workbench.refinery.steps import CharacterStep, PatternStep, Step, TokenStep

BLOCK_BYTES = 2**19
"""Texts that are cleaned together: small enough to stay near the processor, large enough to forget the overhead."""

END = 0
SPACE = 32
EMPTY = pa.scalar("", pa.large_string())
AFTER_EACH = pa.scalar("\0", pa.large_string())

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def _white_space(character: str) -> str:
    return " " if character.isspace() else character


@dataclass(frozen=True)
class Characters:
    """Neighbouring character maps as one translation of bytes; `odd` bytes cannot be translated so."""

    table: bytes
    deleted: bytes
    odd: bytes

    @classmethod
    def fuse(cls, steps: Sequence[CharacterStep]) -> Characters:
        """Follow each of the 256 characters through the steps."""
        become = {0: "\0"}
        for code in range(1, 256):
            text = chr(code)
            for step in steps:
                text = step(text)
            become[code] = text
        single = {code: ord(text) for code, text in become.items() if len(text) == 1 and ord(text) < 256}
        deleted = bytes(code for code, text in become.items() if not text)
        odd = bytes(code for code, text in become.items() if text and (code not in single or (code and text == "\0")))
        return cls(bytes(single.get(code, SPACE) for code in range(256)), deleted, odd)

    def run(self, block: bytes) -> tuple[bytes, Positions]:
        """Translate a block; gives also the numbers of the texts that have odd bytes."""
        deleted = bytes(code for code in self.deleted if code in block)
        return block.translate(self.table, deleted), self._odd_texts(block)

    def _odd_texts(self, block: bytes) -> Positions:
        """Search the odd bytes one by one, which is fast because they are rare."""
        data = np.frombuffer(block, np.uint8)
        found = [np.flatnonzero(data == code) for code in self.odd if code in block]
        if not found:
            return np.empty(0, np.int64)
        return np.unique(np.searchsorted(np.flatnonzero(data == END), np.concatenate(found)))


@dataclass(frozen=True)
class Pattern:
    """A pattern step on bytes."""

    pattern: re.Pattern[bytes]
    replacement: bytes

    def run(self, block: bytes) -> tuple[bytes, Positions]:
        """Replace in a block; no text is odd."""
        return self.pattern.sub(self.replacement, block), np.empty(0, np.int64)


@dataclass(frozen=True)
class Tokens:
    """All token maps as one table; keys and expansions end with a space, an expansion may be empty."""

    keys: pa.Array
    expansions: pa.Array

    @classmethod
    def fuse(cls, steps: Sequence[TokenStep]) -> Tokens:
        """Follow each word that any step has through all steps."""
        table = {}
        for word in dict.fromkeys(word for step in steps for word in step.table):
            words = [word]
            for step in steps:
                words = " ".join(step.table.get(part, part) for part in words).split()
            table[word] = "".join(f"{part} " for part in words)
        latin = {" ": ""} | {f"{key} ": value for key, value in table.items() if _fits(key + value)}
        return cls(_as_bytes(latin), _as_bytes(latin.values()))

    def run(self, block: bytes) -> tuple[pa.Array, Positions]:
        """Give the cleaned texts, and the numbers of those of which no word is left."""
        data, words, texts = _split(block)
        tokens = _array(pa.large_binary(), words, data)
        found = pc.index_in(tokens, self.keys)
        if found.null_count < len(found):
            tokens = pa.concat_arrays([tokens, self.expansions]).take(_places(found))
        offsets = np.frombuffer(tokens.buffers()[1], np.int64)[: len(tokens) + 1]
        cleaned = offsets[texts]
        had_words = np.diff(words[texts]) > np.diff(texts)
        emptied = np.flatnonzero(had_words & (np.diff(cleaned) == 0))
        return _as_texts(cleaned, np.frombuffer(tokens.buffers()[2] or b"", np.uint8)), emptied


def _as_bytes(texts: Iterable[str]) -> pa.Array:
    return pa.array([text.encode("latin-1") for text in texts], pa.large_binary())


def _fits(text: str) -> bool:
    return all("\0" < character < "\u0100" for character in text)


def _places(found: pa.Array) -> pa.Array:
    """Say where each token stands: its expansion after all tokens, or the token in its own place."""
    places = np.frombuffer(found.buffers()[1], np.int32)[: len(found)] + np.int32(len(found))
    places *= found.is_valid().to_numpy(zero_copy_only=False)
    np.maximum(places, np.arange(len(found), dtype=np.int32), out=places)  # faster than a choice
    return pa.array(places)


def _split(block: bytes) -> tuple[Bytes, Positions, Positions]:
    """Find the words of a block, of which some are empty: each ends with a space or at the end of its text.

    Gives the bytes with a space after every word, where each word begins (and the last ends), and the number of the
    word with which each text begins (and the last ends).
    """
    data = np.frombuffer(bytearray(b"\0") + block, np.uint8)
    space = data == SPACE
    if 3 * np.count_nonzero(space) > len(data):  # padded texts: an empty word costs as much as another one
        data = data[np.append(True, ~(space[1:] & space[:-1]))]
    words = np.flatnonzero((data | SPACE) == SPACE)  # a space or a NUL stands before each of them
    texts = np.flatnonzero(data[words] == END)
    data[words[texts]] = SPACE
    return data[1:], words, texts


def _array(kind: pa.DataType, offsets: Positions, data: Bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def _as_texts(offsets: Positions, data: Bytes) -> pa.Array:
    """Turn Latin-1 bytes into an arrow array of text, without the space at the end of each text."""
    accented = np.flatnonzero(data >= 128)
    if len(accented):  # two bytes each in UTF-8
        offsets = offsets + np.searchsorted(accented, offsets)
        data = np.frombuffer(data.tobytes().decode("latin-1").encode(), np.uint8)
    return pc.ascii_rtrim(_array(pa.large_string(), offsets, data), " ")


@dataclass(frozen=True)
class Plan:
    """The stages of a pipeline on blocks; made once by `plan`."""

    stages: tuple[Characters | Pattern, ...]
    tokens: Tokens

    def run(self, texts: pa.Array, plain: Callable[[str], str]) -> pa.Array:
        """Clean an array of texts without nulls; `plain` cleans one text."""
        cleaned = [self._run_block(block, plain) for block in _blocks(texts)]
        return pa.concat_arrays(cleaned) if cleaned else texts

    def _run_block(self, texts: pa.Array, plain: Callable[[str], str]) -> pa.Array:
        aside = _outside_latin(texts)
        block = _join(_blanked(texts, np.flatnonzero(aside)))
        for stage in self.stages:
            block, hit = stage.run(block)
            aside[hit] = True
        cleaned, emptied = self.tokens.run(block)
        aside[emptied] = True
        if not aside.any():
            return cleaned
        mask = pa.array(aside)
        one_by_one = pa.array([plain(text) for text in texts.filter(mask).to_pylist()], pa.large_string())
        return pc.replace_with_mask(cleaned, mask, one_by_one)


def _blocks(texts: pa.Array) -> Iterator[pa.Array]:
    """Cut an array into slices of about BLOCK_BYTES."""
    if not len(texts):
        return
    offsets = _offsets(texts)
    marks = np.arange(offsets[0] + BLOCK_BYTES, offsets[-1], BLOCK_BYTES)
    cuts = np.unique(np.concatenate(([0], np.searchsorted(offsets, marks), [len(texts)])))
    for start, end in pairwise(cuts):
        yield texts.slice(start, end - start)


def _offsets(texts: pa.Array) -> Positions:
    offsets: Positions = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return offsets


def _outside_latin(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Mark the texts with a character above U+00FF (their UTF-8 has a byte from 0xC4 on) or a NUL."""
    offsets = _offsets(texts)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    hits = np.flatnonzero((data >= 0xC4) | (data == END)) + offsets[0]
    outside = np.zeros(len(texts), bool)
    outside[np.searchsorted(offsets, hits, side="right") - 1] = True
    return outside


def _blanked(texts: pa.Array, which: Positions) -> pa.Array:
    """Give the texts with spaces in place of some of them."""
    if not len(which):
        return texts
    offsets = _offsets(texts)
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].copy()
    offsets = offsets - offsets[0]
    for start, end in zip(offsets[which].tolist(), offsets[which + 1].tolist(), strict=True):
        data[start:end] = SPACE
    return _array(pa.large_string(), offsets, data)


def _join(texts: pa.Array) -> bytes:
    """Write texts one after the other as Latin-1, a NUL after each."""
    ended = pc.binary_join_element_wise(texts, EMPTY, AFTER_EACH)
    offsets = _offsets(ended)
    return str(ended.buffers()[2][offsets[0] : offsets[-1]], "utf-8").encode("latin-1")


def plan(steps: Sequence[Step]) -> Plan | None:
    """Lay a pipeline out for blocks; None where its steps do not end with token maps, and only there."""
    tokens = [step for step in steps if isinstance(step, TokenStep)]
    before = [step for step in steps if not isinstance(step, TokenStep)]
    if not tokens or list(steps) != [*before, *tokens]:
        return None
    spaced: list[CharacterStep | PatternStep] = [*before, CharacterStep("white_space", "", _white_space)]
    return Plan(tuple(_stages(spaced)), Tokens.fuse(tokens))


def _stages(steps: Sequence[CharacterStep | PatternStep]) -> Iterator[Characters | Pattern]:
    for kind, group in groupby(steps, type):
        if kind is CharacterStep:
            yield Characters.fuse([step for step in group if isinstance(step, CharacterStep)])
        else:
            patterns = [step for step in group if isinstance(step, PatternStep)]
            yield from (Pattern(re.compile(_latin(step.pattern)), _latin(step.replacement)) for step in patterns)


def _latin(text: str) -> bytes:
    return text.encode("latin-1")
