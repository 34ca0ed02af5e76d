"""Which encoding a text file has, and the file as a stream of UTF-8 without NUL bytes.

The order of the guesses: a byte order mark, UTF-16 by its zero bytes, strict UTF-8 over the whole file, and only then
the single-byte encodings, where Western Europe (cp1252 first) wins over anything exotic that fits as well.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa

from workbench.errors import ReadError, nearest
from workbench.readers.quotes import EVERY, NEWLINE, RETURN, look_at_quotes

BLOCK = 1 << 20
AT_ONCE = 4
"""Blocks that are checked side by side."""
COMMON = ("utf-8", "utf-16", "cp1252", "latin-1", "cp1251", "cp850", "mac-roman")
STRAY = "workbench-stray-bytes"
DOS_END = "\x1a"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = ("cp1252", "cp850", "mac-roman")
_EXOTIC = ("cp1251", "koi8_r", "cp866", "cp1250", "cp1253", "cp1254", "cp1255", "cp932", "gb18030", "big5", "euc_kr")
_LETTERS = frozenset("áéíóúüñÁÉÍÓÚÜÑàèìòùâêîôûäëïöçãõåøæßÀÈÌÒÙÂÊÎÔÛÄËÏÖÇÃÕÅØÆœŒ")
_SIGNS = frozenset("¿¡ºª°«»“”‘’–—…•€´·©®™½¼¾§±²³\xa0")
_HIGH = re.compile(rb"[ -~]{0,20}[\x80-\xff][\x80-\xff -~]{0,40}")


def _decode_stray(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    stray = fault.object[fault.start : fault.end]
    return "".join(_western(byte) for byte in stray), fault.end


def _western(byte: int) -> str:
    return bytes([byte]).decode("cp1252" if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")


codecs.register_error(STRAY, _decode_stray)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file whose encoding is known, gone through once."""

    path: Path
    encoding: str
    errors: str = "strict"
    nul_bytes: int = 0
    quotes: int = 0
    lines: int = 0
    legal_quotes: int = EVERY
    """With which delimiters every quote opens, closes or doubles, or none begins a cell, as bits."""
    notes: tuple[str, ...] = ()
    ends_with_mark: bool = False
    """Whether it ends with Ctrl-Z, as files of DOS do."""

    @property
    def is_plain(self) -> bool:
        """Say whether it is UTF-8 without a mark, faults and NUL bytes, and every quote can have its twin."""
        facts = (self.quotes, self.lines, self.legal_quotes)
        return self == TextFile(self.path, "utf-8", "strict", 0, *facts) and self.quotes % 2 == 0

    def texts(self, size: int = BLOCK) -> Iterator[str]:
        """Give the text in blocks, without NUL characters and with its own line ends."""
        with self.path.open(encoding=self.encoding, errors=self.errors, newline="") as stream:
            while block := stream.read(size):
                yield (block.rstrip(DOS_END) if self.ends_with_mark else block).replace("\0", "")

    def utf8(self, skip: int = 0) -> BinaryIO:
        """Open the file as UTF-8 without NUL bytes or mark, from the byte `skip` of that stream on."""
        is_clean = self.errors == "strict" and not (self.nul_bytes or self.ends_with_mark)
        if self.encoding in ("utf-8", "utf-8-sig") and is_clean:
            stream = self.path.open("rb")
            stream.seek(skip + (3 if self.encoding == "utf-8-sig" else 0))
            return stream
        recoded = io.BufferedReader(_Recoded(self), BLOCK)
        while skip and (passed := recoded.read(min(skip, BLOCK))):
            skip -= len(passed)
        return recoded


class _Recoded(io.RawIOBase):
    """A text file read as UTF-8 bytes."""

    def __init__(self, file: TextFile) -> None:
        self._texts = file.texts()
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        while not self._held:
            text = next(self._texts, None)
            if text is None:
                return 0
            self._held = text.encode()
        size = min(len(target), len(self._held))
        target[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def close(self) -> None:
        self._texts.close()  # type: ignore[attr-defined]
        super().close()


def open_text(path: Path, encoding: str | None) -> TextFile:
    """Find the encoding of a file, or check the one that was asked for; raises ReadError."""
    if encoding is not None:
        return _asked_for(path, encoding)
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _strict(path, name)
    wide = _utf16_without_mark(head)
    if wide:
        return _strict(path, wide)
    if head.count(0) * 5 > len(head):
        raise ReadError(f"{path.name} is not text.", hint="save the table as .csv or .xlsx.")
    try:
        return _measured(TextFile(path, "utf-8"))
    except UnicodeDecodeError:
        return _not_utf8(path)


def _asked_for(path: Path, encoding: str) -> TextFile:
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        raise ReadError(f"there is no encoding {encoding!r}.", hint=nearest(encoding, COMMON)) from None
    if not codec._is_text_encoding:
        raise ReadError(f"{encoding!r} is not an encoding of text.", hint=nearest(encoding, COMMON))
    with path.open("rb") as stream:
        marked = stream.read(3) == codecs.BOM_UTF8
    return _strict(path, "utf-8-sig" if marked and codec.name == "utf-8" else codec.name)


def _strict(path: Path, encoding: str) -> TextFile:
    try:
        return _measured(TextFile(path, encoding))
    except UnicodeError as fault:
        place = f": byte {fault.object[fault.start]:#04x} is not" if isinstance(fault, UnicodeDecodeError) else ""
        hint = "leave the encoding out to have it found, or try cp1252."
        raise ReadError(f"{path.name} is not {encoding}{place}.", hint=hint) from None


def _measured(file: TextFile) -> TextFile:
    """Go through the whole file: fails where it cannot be decoded, and counts NUL characters, quotes and lines."""
    plain = file.encoding in ("utf-8", "utf-8-sig") and file.errors == "strict"
    counts = _Counts()
    for block, found in _checked_bytes(file) if plain else _checked_characters(file):
        counts.add(block, found)
    counts.see_seam(b"\n\n")
    lines = counts.lines + (counts.tail[-1:] not in b"\r\n")
    notes = (*file.notes, f"NUL characters removed: {counts.nuls}") if counts.nuls else file.notes
    facts = (counts.nuls, counts.quotes, lines, counts.legal | (EVERY & ~counts.begun))
    return TextFile(file.path, file.encoding, file.errors, *facts, notes, counts.tail.endswith(DOS_END.encode()))


_Found: TypeAlias = tuple[int, int, tuple[int, int, int]]
"""NUL characters, lines, and what `look_at_quotes` says."""


@dataclass(slots=True)
class _Counts:
    nuls: int = 0
    quotes: int = 0
    lines: int = 0
    legal: int = EVERY
    begun: int = 0
    """The delimiters with which a quote may begin a cell."""
    tail: bytes = b"\n\n"
    """The last two bytes."""

    def add(self, block: memoryview | bytes, found: _Found) -> None:
        nuls, lines, (quotes, *bits) = found
        self.nuls, self.quotes, self.lines = self.nuls + nuls, self.quotes + quotes, self.lines + lines
        self._see(*bits)
        self.see_seam(bytes(block[:2]))
        self.tail = (self.tail + bytes(block[-2:]))[-2:]

    def see_seam(self, head: bytes) -> None:
        """Look at the quotes next to the end of a block."""
        _, *bits = look_at_quotes(np.frombuffer(self.tail + head, np.uint8))
        self._see(*bits)

    def _see(self, legal: int, begun: int) -> None:
        self.legal &= legal
        self.begun |= begun


def _checked_characters(file: TextFile) -> Iterator[tuple[bytes, _Found]]:
    """Count in what a file is as UTF-8."""
    with file.path.open(encoding=file.encoding, errors=file.errors, newline="") as stream:
        while text := stream.read(BLOCK):
            block = text.encode(errors="replace")
            yield block, _count(block)


def _checked_bytes(file: TextFile) -> Iterator[tuple[memoryview, _Found]]:
    """Do the same for UTF-8, without making text of it, several blocks at a time."""
    with file.path.open("rb", buffering=0) as stream, ThreadPoolExecutor(AT_ONCE) as pool:
        stream.seek(len(codecs.BOM_UTF8) if file.encoding == "utf-8-sig" else 0)
        blocks = _whole_blocks(stream)
        while several := list(islice(blocks, AT_ONCE)):
            yield from zip(several, pool.map(_check_and_count, several), strict=True)


def _whole_blocks(stream: BinaryIO) -> Iterator[memoryview]:
    """Give blocks that end with a whole character."""
    held = b""
    while block := held + stream.read(BLOCK):
        whole = _whole_characters(block) if len(block) > len(held) else len(block)
        yield memoryview(block)[:whole]
        held = block[whole:]


def _check_and_count(block: memoryview) -> _Found:
    _check_utf8(block)
    return _count(block)


def _count(block: memoryview | bytes) -> _Found:
    data = np.frombuffer(block, np.uint8)
    lines = int(np.count_nonzero(data == NEWLINE)) or int(np.count_nonzero(data == RETURN))
    return len(data) - int(np.count_nonzero(data)), lines, look_at_quotes(data)


def _whole_characters(block: bytes) -> int:
    """Count the bytes before a character that may go on in the next block: it began in the last three bytes.

    >>> [_whole_characters(text.encode()[:3]) for text in ("abc", "abñ", "a€", "ñña")]
    [3, 2, 1, 2]
    """
    for back in range(1, min(4, len(block) + 1)):
        if block[-back] >= 0xC0:
            return len(block) - back
    return len(block)


def _check_utf8(block: memoryview) -> None:
    ends = pa.py_buffer(np.array([0, len(block)], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(block)]).validate(full=True)
    except pa.ArrowInvalid:
        bytes(block).decode()  # says where


def _utf16_without_mark(head: bytes) -> str | None:
    """Recognise Latin text in UTF-16 by the zero that every second byte is."""
    if len(head) < 4:
        return None
    even, odd = head[::2].count(0) / len(head[::2]), head[1::2].count(0) / len(head[1::2])
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.05 else None


def _not_utf8(path: Path) -> TextFile:
    good, stray = _mixture(path)
    if good and stray == 1 and _is_cut_off(path):
        note = "it is cut off within its last character, which is left out"
        return _measured(TextFile(path, "utf-8", "ignore", notes=(note,)))
    if good > 4 * stray:
        note = f"bytes that are not UTF-8, read as cp1252: {stray}"
        return _measured(TextFile(path, "utf-8", STRAY, notes=(note,)))
    encoding = single_byte_encoding(_high_sample(path))
    try:
        return _measured(TextFile(path, encoding))
    except UnicodeDecodeError:
        return _measured(TextFile(path, "latin-1"))


def _mixture(path: Path) -> tuple[int, int]:
    """Count the characters beyond ASCII that are valid UTF-8, and the faults."""
    good = stray = 0
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        while block := stream.read(BLOCK):
            if not block.isascii():
                bad = block.count("\ufffd")
                stray += bad
                good += len(block) - len(block.encode("ascii", "ignore")) - bad
    return good, stray


def _is_cut_off(path: Path) -> bool:
    """Say whether a file ends within a character of UTF-8."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 3, 0))
        tail = stream.read()
    begun = max(map(tail.rfind, range(0xC2, 0xF5)), default=-1)
    try:
        return begun >= 0 and not codecs.getincrementaldecoder("utf-8")().decode(tail[begun:])
    except UnicodeDecodeError:
        return False


def _high_sample(path: Path, size: int = 1 << 15) -> bytes:
    """Collect passages with bytes beyond ASCII from the whole file."""
    sample = b""
    with path.open("rb") as stream:
        while len(sample) < size and (block := stream.read(BLOCK)):
            sample += b"\n".join(_HIGH.findall(block)) + b"\n"
    return sample[:size]


def single_byte_encoding(sample: bytes) -> str:
    """Choose the encoding of a text that is not Unicode.

    >>> single_byte_encoding("Instalación eléctrica en la peña".encode("cp1252"))
    'cp1252'
    >>> single_byte_encoding("Instalación eléctrica en la peña".encode("cp850"))
    'cp850'
    >>> single_byte_encoding("Столовые приборы и посуда для кухни".encode("cp1251"))
    'cp1251'
    """
    high = [byte for byte in sample if byte > 127]
    pairs = len(re.findall(rb"[\x80-\x9f\xa1-\xff](?=[\x80-\x9f\xa1-\xff])", sample))
    if 5 * pairs <= 2 * len(high):  # Western letters with accents stand alone among ASCII; other scripts come in runs
        scores = {name: _western_score(sample.decode(name, "replace")) for name in _WESTERN}
        best = max(scores, key=lambda name: scores[name])
        if scores[best] >= 0.3:
            return best
    return _exotic_encoding(sample)


def _western_score(text: str) -> float:
    """Give the share of a text's characters beyond ASCII that stand where Western text would have them."""
    scores = [_fit(text, place) for place, character in enumerate(text) if character > "\x7f"]
    return sum(scores) / len(scores) if scores else 1.0


def _fit(text: str, place: int) -> float:
    character = text[place]
    before = text[place - 1] if place else " "
    after = text[place + 1 : place + 2] or " "
    if character in _SIGNS:
        return _fit_of_sign(character, before, after)
    if character not in _LETTERS:
        return 0.0
    if before.isdigit() or after.isdigit():
        return 0.1
    if not (before.isalpha() or after.isalpha()):
        return 0.2  # a word of its own, as what stands for a dash or a currency in another encoding
    if character.islower():
        return 0.2 if before.isupper() and after.isupper() else 1.0
    return 0.2 if before.islower() else 1.0


def _fit_of_sign(sign: str, before: str, after: str) -> float:
    """Say how well a sign stands: where people put it, or amid a word, as a letter of another encoding would."""
    if sign in "\xa0§±´":
        return 0.1 if before.isalpha() and after.isalpha() else 0.5
    fits = {
        "¿¡“‘«": not before.isalnum() and not after.isspace(),
        "’": not (before.isalnum() and after.isalnum()) or after in "sS",
        "”»…®™©ºª²³": not before.isspace() and not after.isalpha(),
        "–—•·": before.isspace() == after.isspace() and not (before.isalpha() and after.isalpha()),
        "°½¼¾€": not (before.isalpha() and after.isalpha()),
    }
    return 1.0 if next(fit for signs, fit in fits.items() if sign in signs) else 0.1


def _exotic_encoding(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_EXOTIC)).best()
    return str(best.encoding).replace("_", "-") if best else "cp1252"
