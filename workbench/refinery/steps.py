"""The steps of text cleaning: small pure functions, and the three ways in which a step may be declared.

A step is a character map, a token map or a pattern (a regular expression and its replacement). Each says nothing but
"this becomes that", so `blocks` can run it over a whole column at once; called with one text, it is a plain function.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

INITIALS = r"\.(?<=(?<!\w)[a-z]\.)(?=[a-z](?!\w))"
"""A dot between two single letters: i.v.a., s.a., c.v."""

NUMBER_WORD = r"no\.(?<!\wno\.)(?=\s*\w)"
"""`no.` before something; a bare `no` stays: it is a negation."""

NUMBER_SIGN = r"°(?<=(?<!\w)n°)\.?"
"""The second half of `n°`."""

# Each pattern begins with a literal, which makes it some ten times as fast on a block.

# Letters that Unicode does not decompose, and ordinal signs, which are no letters in an expense line.
_PLAIN = {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "Æ": "AE", "œ": "oe"}
_PLAIN |= {"Œ": "OE", "º": "°", "ª": "°", "№": "N°"}


def valid_character(character: str) -> str:
    """Replace half a surrogate pair, which no file can hold, by the replacement character.

    >>> valid_character(chr(0xD800))
    '�'
    """
    return "\ufffd" if unicodedata.category(character) == "Cs" else character


def lower_case(character: str) -> str:
    """Write small, whatever stands beside it (so `Σ` never becomes the final `ς`).

    >>> [lower_case(character) for character in "AÑΣ"]
    ['a', 'ñ', 'σ']
    """
    return character.lower()


def plain_letter(character: str) -> str:
    r"""Take accents and typographic variants off, and drop invisible characters.

    >>> [plain_letter(character) for character in "áÑ™²"]
    ['a', 'N', 'TM', '2']
    >>> plain_letter("½"), plain_letter("\u00ad"), plain_letter("\ufe0f")
    (' 1⁄2', '', '')
    """
    if character in _PLAIN:
        return _PLAIN[character]
    if unicodedata.category(character) == "Cf":
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    kept = "".join(_PLAIN.get(part, part) for part in decomposed if not _is_accent(part))
    # "1½" is one and a half, not eleven halves.
    space = " " if unicodedata.decomposition(character).startswith("<fraction>") else ""
    return space + unicodedata.normalize("NFC", kept)


def _is_accent(character: str) -> bool:
    """Accents, enclosing marks and variation selectors; vowel signs of other scripts are letters and stay."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Me", "Cf"):
        return True
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def fold_case(character: str) -> str:
    """Write small, more thoroughly than lower case: ß becomes ss.

    >>> [fold_case(character) for character in "AßΣ"]
    ['a', 'ss', 'σ']
    """
    return character.casefold()


def punctuation_to_space(character: str) -> str:
    """Turn everything that is no letter, mark or number into a space, so that words stay apart.

    >>> "".join(punctuation_to_space(character) for character in "COCA-COLA 2%")
    'COCA COLA 2 '
    """
    return character if unicodedata.category(character)[0] in "LMN" else " "


def delete_punctuation(character: str) -> str:
    """Delete everything that is no letter, mark, number or white space: the defect of v2, which glues words.

    >>> "".join(delete_punctuation(character) for character in "COCA-COLA 2%")
    'COCACOLA 2'
    """
    return character if character.isspace() or unicodedata.category(character)[0] in "LMN" else ""


def replace_pattern(text: str, pattern: str, replacement: str) -> str:
    r"""Replace what matches; letters, digits and spaces of a pattern are those of ASCII.

    >>> replace_pattern("i.v.a. de s.a. de c.v., inst.vinil 1.5 mt.", INITIALS, "")
    'iva. de sa. de cv., inst.vinil 1.5 mt.'
    >>> replace_pattern("factura no. 123, no incluye piano.", NUMBER_WORD, "numero ")
    'factura numero  123, no incluye piano.'
    >>> replace_pattern("lote n°5 a 20°", NUMBER_SIGN, "umero ")
    'lote numero 5 a 20°'
    """
    return re.sub(pattern, replacement, text, flags=re.ASCII)


def map_tokens(text: str, table: Mapping[str, str]) -> str:
    """Replace every word that the table has, and write single spaces between words.

    >>> map_tokens(" inst   de vinil", {"inst": "instalacion", "de": ""})
    'instalacion vinil'
    """
    return " ".join(word for token in text.split() if (word := table.get(token, token)))


class _Characters(dict[int, str]):
    """A translation table that works out each character when it first meets it."""

    def __init__(self, of: Callable[[str], str]) -> None:
        super().__init__()
        self.of = of

    def __missing__(self, code: int) -> str:
        self[code] = self.of(chr(code))
        return self[code]

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.of,)


@dataclass(frozen=True)
class CharacterStep:
    """A step that replaces each character by none, one or several, whatever stands beside it."""

    name: str
    why: str
    of: Callable[[str], str]

    @cached_property
    def table(self) -> Mapping[int, str]:
        """The table for `str.translate`."""
        return _Characters(self.of)

    def __call__(self, text: str) -> str:
        """Apply the step to one text."""
        return text.translate(self.table)

    def detail(self, text: str) -> str:
        """Name the characters of a text that change, at most eight; capitals that become small need no list."""
        changed = [each for each in dict.fromkeys(text) if self.of(each) not in (each, each.lower())]
        return ", ".join(f"{_shown(character)} → {_shown(self.of(character))}" for character in changed[:8])


@dataclass(frozen=True)
class TokenStep:
    """A step that replaces whole words; words that become "" are left out."""

    name: str
    why: str
    table: Mapping[str, str] = field(default_factory=dict)
    keeps_something: bool = False
    """Leave the text as it is where every word would be left out."""

    def __call__(self, text: str) -> str:
        """Apply the step to one text."""
        return map_tokens(text, self.table) or (" ".join(text.split()) if self.keeps_something else "")

    def detail(self, text: str) -> str:
        """Name the words of a text that change, at most eight."""
        changed = [word for word in dict.fromkeys(text.split()) if self.table.get(word, word) != word][:8]
        return ", ".join(f"{word} → {self.table[word]}" if self.table[word] else word for word in changed)


@dataclass(frozen=True)
class PatternStep:
    """A step that replaces what an ASCII regular expression matches; it must not match a NUL."""

    name: str
    why: str
    pattern: str
    replacement: str

    def __call__(self, text: str) -> str:
        """Apply the step to one text."""
        return replace_pattern(text, self.pattern, self.replacement)

    def detail(self, text: str) -> str:
        """Nothing more to say than `why`."""
        return ""


Step = CharacterStep | TokenStep | PatternStep


def _shown(text: str) -> str:
    """Make a replacement visible: a name for what cannot be seen."""
    if text in ("", " "):
        return "nothing" if text == "" else "space"
    return text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode("ascii")
