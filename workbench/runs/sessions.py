"""Sessions: where a person was, so that a page that is loaded anew goes on from there; they end after seven days."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.errors import UsageError
from workbench.runs.database import Database
from workbench.runs.values import now

LIFETIME = timedelta(days=7)
"""How long a session lives after it was last touched."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a person was doing."""

    session_id: str
    created_at: str
    """ISO 8601, UTC, as all times here."""
    last_updated: str
    expires_at: str
    current_step: str
    state: dict[str, Any]
    """Plain data of whoever made the session, such as the run and the selected columns."""


_FIELDS = tuple(field.name for field in fields(Session))


class Sessions:
    """All sessions; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        """Keep them in the run database."""
        self._database = database

    def create(self, current_step: str = "initialized", state: Mapping[str, Any] | None = None) -> Session:
        """Begin a session."""
        time = now()
        session = Session(secrets.token_hex(8), time, time, _end(time), current_step, dict(state or {}))
        with self._database.write() as transaction:
            transaction.insert_new("sessions", {name: getattr(session, name) for name in _FIELDS})
        return session

    def get(self, session_id: str) -> Session:
        """Find a session; raises UsageError where there is none, or where it has ended."""
        with self._database.read() as transaction:
            return _living(transaction.rows("sessions", session_id=session_id), session_id)

    def update(
        self, session_id: str, *, current_step: str | None = None, state: Mapping[str, Any] | None = None
    ) -> Session:
        """Note another step, and add to the state what is new; the session lives for another seven days from now.

        Two that update at once both keep what they add. Raises UsageError as `get` does.
        """
        with self._database.write() as transaction:
            row = transaction.row_to_change("sessions", session_id=session_id)
            session = _living([row] if row else [], session_id)
            time = now()
            changed = {"last_updated": time, "expires_at": _end(time), "state": session.state | dict(state or {})}
            changed["current_step"] = current_step or session.current_step
            transaction.update("sessions", changed, session_id=session_id)
        return self.get(session_id)

    def living(self) -> list[Session]:
        """Give the sessions that have not ended, the one touched last first."""
        return sorted(self._all(expired=False), key=lambda session: session.last_updated, reverse=True)

    def expired(self) -> list[Session]:
        """Give the sessions that have ended and are still kept."""
        return self._all(expired=True)

    def remove(self, session_id: str) -> None:
        """Forget a session."""
        with self._database.write() as transaction:
            transaction.delete("sessions", session_id=session_id)

    def _all(self, expired: bool) -> list[Session]:
        time = now()
        with self._database.read() as transaction:
            return [_session(row) for row in transaction.rows("sessions") if (row["expires_at"] <= time) == expired]


def _end(time: str) -> str:
    return (datetime.fromisoformat(time) + LIFETIME).astimezone(UTC).isoformat(timespec="microseconds")


def _session(row: Mapping[str, Any]) -> Session:
    return Session(**{name: row[name] for name in _FIELDS})


def _living(rows: list[dict[str, Any]], session_id: str) -> Session:
    if not rows:
        raise UsageError(f"there is no session {session_id!r}.", hint="begin a new one.")
    if rows[0]["expires_at"] <= now():
        raise UsageError(f"session {session_id!r} ended on {rows[0]['expires_at'][:10]}.", hint="begin a new one.")
    return _session(rows[0])
