"""How suppliers and clerks write: other wordings of a text, and other looks of the same wording.

A wording changes what the text says to a machine (an abbreviation, a folio, a typo), never its category; a look changes
capitals, accents, blanks and dots only.
"""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

WORLD: dict[str, Any] = yaml.safe_load(
    (Path(__file__).resolve().parent / "vocabulary.yaml").read_text(encoding="utf-8")
)
MONTHS: list[str] = WORLD["months"]
CITIES: list[str] = WORLD["cities"]
SMALL_WORDS = {"DE", "DEL", "EN", "PARA", "CON", "LA", "EL", "POR", "A"}
SERVICE_WORDS = re.compile(r"^(SERV|INST|RENTA|RTA|ARREND|DISTRIB|ARMADO|RETIRO|SALDO|PROMO|APORT|EDECAN|DOTACI|\d)")


def without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def clean(text: str) -> str:
    """The plainest cleaning: two lines with the same result say the same."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", without_accents(text).lower()).split())


# What changes a text (the cleaned text differs afterwards) -----------------------------------------------------------


def add_something(rng: random.Random, text: str, category: str) -> str:
    """Append or prepend one of the additions that leave this category what it is."""
    kind = rng.choice(WORLD["spending"][category]["additions"])
    if kind == "l":
        return f"{rng.choice(['ANTICIPO', 'PAGO', 'FINIQUITO', '50% ANTICIPO', 'PAGO 1 DE 2', 'COMPLEMENTO'])} {text}"
    if kind == "q":
        return add_pieces(rng, text)
    if kind == "c" and names_city(text):
        return text
    if kind == "p" and month_named(text):
        return text
    return f"{text} {ADDITIONS[kind](rng)}"


def add_pieces(rng: random.Random, text: str) -> str:
    if SERVICE_WORDS.match(text.upper()):
        return text
    pieces = rng.choice([10, 20, 25, 30, 50, 60, 80, 100, 150, 200, 250, 300, 500, 750, 1000, 1500])
    return f"{pieces} PZAS {text}" if rng.random() < 0.5 else f"{text} {pieces} PZ"


def city(rng: random.Random) -> str:
    return f"{rng.choice(['', '', 'PLAZA ', 'ZONA ', '- '])}{rng.choice(CITIES)}"


def store(rng: random.Random) -> str:
    name, number = rng.choice(WORLD["stores"]), rng.randrange(10, 990)
    return rng.choice([f"SUC {name}", f"TDA {name}", f"T-{number:04d}"])


def period(rng: random.Random) -> str:
    month = rng.choice(MONTHS)
    day = rng.randrange(1, 22)
    return rng.choice(
        [
            f"{month} 2026",
            f"{month[:3]} 26",
            f"SEM {rng.randrange(2, 51)}",
            f"2DA QNA {month}",
            f"DEL {day} AL {day + 5} {month}",
        ]
    )


def folio(rng: random.Random) -> str:
    number = rng.randrange(10, 9999)
    return rng.choice(
        [
            f"F-{number}",
            f"FOLIO {number:05d}",
            f"OC 45000{number:05d}",
            f"REM {number}",
            f"#{number:06d}",
            f"({number})",
        ]
    )


def campaign(rng: random.Random) -> str:
    return f"{rng.choice(['CAMPAÑA', 'CAMP', 'P/'])} {rng.choice(WORLD['campaigns'])}"


def person(rng: random.Random) -> str:
    return f"{rng.choice(['SR.', 'ING.', 'C.', 'LIC', 'SRITA', ''])} {rng.choice(WORLD['surnames'])}".strip()


ADDITIONS = {"c": city, "s": store, "p": period, "f": folio, "k": campaign, "n": person}


def names_city(text: str) -> bool:
    return bool(re.search(rf"\b({'|'.join(CITIES)})\b", text.upper()))


def month_named(text: str) -> int | None:
    """The month (1 to 12) that a text speaks of: a Spanish name, its three letters or a week number."""
    words = re.findall(r"[A-Z]+|\d+", without_accents(text).upper())
    for place, word in enumerate(words):
        if word == "SEM" and words[place + 1 :] and words[place + 1].isdigit():
            return min(12, 1 + int(words[place + 1]) * 7 // 31)
        for number, month in enumerate(MONTHS, start=1):
            if word in (month, month[:3]):
                return number
    return None


def abbreviate(rng: random.Random, text: str, category: str) -> str:
    """Shorten (or write out) one or two words that people shorten."""
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if shorter_forms(word)]
    for place in rng.sample(places, min(len(places), rng.choice([1, 1, 2]))):
        words[place] = rng.choice(shorter_forms(words[place]))
    return " ".join(words)


def shorter_forms(word: str) -> list[str]:
    known: dict[str, list[str]] = WORLD["abbreviations"]
    return known.get(word) or known.get(without_accents(word)) or []


def drop_small_words(rng: random.Random, text: str, category: str) -> str:
    words = text.split(" ")
    kept = [word for place, word in enumerate(words) if place in (0, len(words) - 1) or word not in SMALL_WORDS]
    return " ".join(kept)


def change_name_or_number(rng: random.Random, text: str, category: str) -> str:
    """Put another brand of the same kind, another city or another small quantity in its place."""
    names: list[str] = rng.choice([WORLD["brands"].get(category, CITIES), CITIES])
    found = re.search(rf"\b({'|'.join(names)})\b", text)
    if found:
        return text[: found.start()] + rng.choice(names) + text[found.end() :]
    return re.sub(
        r"\b[2-9](?= (NOCHES|HRS|DÍAS|PERS|SEG|HABITACIONES|PAX)\b)", str(rng.randrange(2, 10)), text, count=1
    )


def mistype(rng: random.Random, text: str, category: str) -> str:
    """One slip of the finger in a long word: two letters change places, one is lost or comes twice."""
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    word, at = words[place], rng.randrange(1, len(words[place]) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[place] = rng.choice([swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])
    return " ".join(words)


def break_enye(rng: random.Random, text: str, category: str) -> str:
    """What old invoicing systems make of an Ñ."""
    return text.replace("Ñ", rng.choice(["#", "?", "NI", "Ã‘"]))


EDITS = (
    (add_something, 0.5),
    (abbreviate, 0.45),
    (change_name_or_number, 0.4),
    (drop_small_words, 0.15),
    (mistype, 0.06),
    (break_enye, 0.06),
)


def rewrite(rng: random.Random, text: str, category: str) -> str:
    """Another way of writing the same thing."""
    if category == "Indeterminado":
        return add_something(rng, text, category)
    for edit, share in EDITS:
        if rng.random() < share:
            text = edit(rng, text, category)
    return text


# What changes only the look of a text (the cleaned text stays) -------------------------------------------------------


def dress(rng: random.Random, text: str) -> str:
    """Capitals, accents, blanks and dots as they come."""
    text = change_accents(rng, change_case(rng, text))
    text = re.sub("&amp;", "&amp;", text, flags=re.IGNORECASE)  # an XML entity that an export forgot to decode
    if rng.random() < 0.08:
        text = text.replace(" ", "  ", 1)
    if rng.random() < 0.07:
        text += rng.choice([".", ".", " .", "...", ","])
    if rng.random() < 0.04:
        text = rng.choice([f" {text}", f"{text} ", f"{text}  "])
    return text


def change_case(rng: random.Random, text: str) -> str:
    chance = rng.random()
    if chance < 0.82:
        return text.upper()
    return text.title() if chance < 0.88 else text.lower() if chance < 0.93 else text.capitalize()


def change_accents(rng: random.Random, text: str) -> str:
    chance = rng.random()
    if chance < 0.72:
        return without_accents(text)
    if chance < 0.94:
        return text
    return add_wrong_accent(rng, text)


def add_wrong_accent(rng: random.Random, text: str) -> str:
    vowels = [place for place, letter in enumerate(text) if letter in "AEOaeo"]
    if not vowels:
        return text
    at = rng.choice(vowels)
    return text[:at] + unicodedata.normalize("NFC", text[at] + rng.choice("\u0301\u0300")) + text[at + 1 :]
