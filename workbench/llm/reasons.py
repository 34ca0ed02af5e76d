"""The embedded provider's reasons in the language of the reviewer; the dashboard does the same in the browser."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

WORDS = Path(__file__).with_suffix(".json")
"""The words in every language, for the review sheets and the dashboard."""

_QUOTED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def reason_in(language: str, reason: str) -> str:
    """Say a reason of the lexical provider in a language; what it quotes stays as it is.

    >>> reason_in("es", "keyword 'keyword'; next would be 'Prensa'")
    "palabra clave 'keyword'; la siguiente sería 'Prensa'"
    """
    words = _words(language)
    spoken = re.compile("|".join(rf"\b{re.escape(known)}\b" for known in words))
    parts = _QUOTED.split(reason)
    parts[::2] = [spoken.sub(lambda found: words[found[0]], part) for part in parts[::2]]
    return "".join(parts)


@cache
def _words(language: str) -> dict[str, str]:
    texts = json.loads(WORDS.read_text(encoding="utf-8"))
    return {text["en"]: text[language] for text in texts.values()}
