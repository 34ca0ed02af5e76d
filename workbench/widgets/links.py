"""Personal links: signed, so that nobody makes one up, and of limited life. The secret stays in the runs folder."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

SECRET = ".review-secret"
DAYS = 7
"""How long a link is valid."""


def secret_of(folder: Path) -> bytes:
    """Give the secret of a runs folder, made when it is first needed; only the owner of the folder can read it."""
    path = folder / SECRET
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(file, "wb") as stream:
        stream.write(secrets.token_hex(32).encode())
    return path.read_bytes()


def sign(secret: bytes, review: str, reviewer: str, until: int) -> str:
    """Sign that a reviewer may see a review (run and iteration) until a time in seconds since 1970."""
    return hmac.new(secret, repr((review, reviewer, until)).encode(), hashlib.sha256).hexdigest()


def link(address: str, secret: bytes, review: str, reviewer: str, *, days: float = DAYS) -> str:
    """Write the personal link of a reviewer."""
    until = int(time.time() + days * 86_400)
    query = {"reviewer": reviewer, "until": until, "sig": sign(secret, review, reviewer, until)}
    return f"{address}/?{urlencode(query)}"


def reviewer_of(secret: bytes, review: str, query: Mapping[str, str]) -> str | None:
    """Say whose link it is; None where it is forged, incomplete or has expired.

    >>> query = {"reviewer": "Ana", "until": "9999999999", "sig": sign(b"s", "one", "Ana", 9999999999)}
    >>> reviewer_of(b"s", "one", query), reviewer_of(b"s", "two", query), reviewer_of(b"s", "one", {})
    ('Ana', None, None)
    """
    reviewer, until = query.get("reviewer", ""), query.get("until", "")
    if not reviewer or not until.isascii() or not until.isdigit() or len(until) > 12:
        return None
    good = hmac.compare_digest(query.get("sig", "").encode(), sign(secret, review, reviewer, int(until)).encode())
    return reviewer if good and time.time() < int(until) else None
