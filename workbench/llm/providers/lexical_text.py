"""How the lexical provider reads text: words, their stems, and whether a text can be understood at all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+")
_LONGEST_TEXT = 4000
"""Characters that are read of a field."""
_STOP = frozenset(
    [
        "a",
        "al",
        "ante",
        "con",
        "contra",
        "de",
        "del",
        "desde",
        "e",
        "el",
        "en",
        "entre",
        "es",
        "esta",
        "este",
        "etc",
        "la",
        "las",
        "lo",
        "los",
        "mas",
        "ni",
        "no",
        "o",
        "otra",
        "otras",
        "otro",
        "otros",
        "para",
        "pero",
        "por",
        "que",
        "se",
        "segun",
        "si",
        "sin",
        "sobre",
        "su",
        "sus",
        "tipo",
        "u",
        "un",
        "una",
        "unas",
        "uno",
        "unos",
        "y",
        "ya",
        "an",
        "and",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "is",
        "of",
        "on",
        "or",
        "other",
        "the",
        "to",
        "with",
    ]
)


def fold_text(text: str) -> str:
    """Take away case and accents, as the cleaning pipelines do.

    >>> fold_text("Promoción NIÑOS")
    'promocion ninos'
    """
    folded = text.casefold()
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


def words_of(text: str) -> list[str]:
    """Give the words that carry meaning: no stop words, no bare numbers.

    >>> words_of("Renta de 2 mamparas p/ evento, 3x2 m")
    ['renta', 'mamparas', 'p', 'evento', '3x2', 'm']
    """
    found = _WORD.findall(fold_text(text[:_LONGEST_TEXT]))
    return [word for word in found if word not in _STOP and not word.isdecimal()]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Cut plural and gender off, lightly; Spanish first, harmless for English.

    >>> [stem(word) for word in ("instalaciones", "instalacion", "rojas", "rojo", "papeles", "papel", "gas")]
    ['instalacion', 'instalacion', 'roj', 'roj', 'papel', 'papel', 'gas']
    """
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("es") and len(word) > 5 and word[-3] not in "aeiou":
        word = word[:-2]
    elif word.endswith("s") and (word[-2] in "aeo" or (word[-2] in "iu" and len(word) > 4)):
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "aeo" else word


_PLACEHOLDERS = frozenset(
    [
        "na",
        "n a",
        "nan",
        "null",
        "none",
        "nil",
        "nd",
        "n d",
        "sd",
        "s d",
        "sin dato",
        "sin datos",
        "sin descripcion",
        "sin informacion",
        "no aplica",
        "no especificado",
        "no disponible",
        "desconocido",
        "unknown",
        "test",
        "prueba",
        "tbd",
        "vacio",
        "blank",
        "empty",
    ]
)
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEY_RUNS = frozenset(row[start : start + 3] for row in _KEYBOARD for start in range(len(row) - 2))
_NEVER = re.compile("sdf|dfg|ghj|hjk|jkl|zxc|xcv|cvb|vbn|bnm|lkj|fds|gfd|dsa$|^asd|^qwe|^poiu")
"""Runs along the keyboard that words do not have, at least not there."""
_REPEATED = re.compile(r"(.)\1\1\1|^(.)\2\2$|(..+?)\3\3")
_VOWEL = frozenset("aeiouy")
_LETTERS = "_abcdefghijklmnopqrstuvwxyz"
_PAIRS = (
    "_076766665544665573666454234 a715673453443767254776442344 b574337111731731721743611141 "
    "c471526116704623721626610030 d672237123721333822642623040 e754654453442667553776442544 "
    "f571127521711721731735622111 g672127245722645721743713141 h683347113811433711434633141 "
    "i575766552333667754566452315 j482328222622224722222722222 k772427346735524622563622262 "
    "l784457441702740743245641042 m686317212700343772342611030 n772667463643334623367541044 "
    "o735553453344667454776443443 p572427205702622740755630030 q422222222222222222222922222 "
    "r775557452733455743656541043 s863626324602443663147512030 t672207115701431710745612042 "
    "u566657451653776453766141344 v481438212811131731211511111 w785457446733535633455533353 "
    "x773626225822232672347422352 y874557452223655652455634223 z682526232622435722224624245"
)
"""For each letter (`_` is the edge of a word), how likely each of `_LETTERS` comes next.

A digit is 9 plus the natural logarithm of the probability, counted on the words of one half of the SAT's public
catalogue of products and services.
"""
_NEXT = {row[0] + char: int(digit) for row in _PAIRS.split() for char, digit in zip(_LETTERS, row[1:], strict=True)}
_PLAUSIBLE = 4.6
"""Mean of the digits from which on a word can be one: of the unseen words of the catalogue's other half 0.05 % fall
below, of product names with Italian words and foreign brands 0.04 %, of letters typed at random 69 %."""


def is_unintelligible(text: str, vocabulary: Collection[str] = ()) -> bool:
    """Say whether nobody could tell what a text means: no words, a placeholder, or keys hit at random.

    A word whose stem is in `vocabulary` is understood. Short words, abbreviations and codes say nothing either way.

    >>> [is_unintelligible(text) for text in ("", "12345", "n/a", "asdfgh", "xxxx", "hp 3 m", "coca cola", "pvc rd-26")]
    [True, True, True, True, True, False, False, False]
    """
    found = _WORD.findall(fold_text(text[:_LONGEST_TEXT]))
    if " ".join(found) in _PLACEHOLDERS or not any(len(word) > 1 and not word.isdecimal() for word in found):
        return True
    mashed = plausible = 0
    for word in found:
        if word in _STOP or stem(word) in vocabulary:
            return False
        if is_mashed(word):
            mashed += len(word)
        elif len(word) > 3 and (not word.isascii() or not _VOWEL.isdisjoint(word)):
            plausible += len(word)
    return mashed > plausible


@lru_cache(maxsize=65536)
def is_mashed(word: str) -> bool:
    """Say whether a folded word is keys hit at random, not a word, a name or an abbreviation.

    >>> [is_mashed(word) for word in ("dfkjgh", "qwert", "xxx", "jkljkl", "bardahl", "hdmi", "whisky")]
    [True, True, True, True, False, False, False]
    """
    if len(word) < 3 or not word.isascii() or not word.isalpha():
        return False
    if word != "iii" and _REPEATED.search(word):
        return True
    if _NEVER.search(word) or _share_along(word) > 0.6:
        return True
    edged = f"_{word}_"
    likely = [_NEXT[first + second] for first, second in pairwise(edged)]
    return len(word) > 4 and sum(likely) < _PLAUSIBLE * len(likely)


def _share_along(word: str) -> float:
    """Give the share of the letters that follow a row of the keyboard."""
    if len(word) < 4:
        return 0.0
    starts = [start for start in range(len(word) - 2) if word[start : start + 3] in _KEY_RUNS]
    return len({start + step for start in starts for step in range(3)}) / len(word)
