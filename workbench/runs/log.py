"""What a run says while it works: one JSON object per line in its `run.log`."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import StorageError
from workbench.runs.artifacts import mapped_errors, to_json

LOG_NAME = "run.log"

_KNOWN = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "stage"}
_SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_HIDDEN = "***"


def run_logger(run_id: str, folder: Path) -> logging.Logger:
    """Give the logger of a run, which writes `run.log` in the run's folder.

    Every record is a line `{time, level, stage, message, …}`; `extra={"stage": …, …}` adds fields.
    """
    logger = logging.getLogger(f"workbench.run.{run_id}")
    path = folder / LOG_NAME
    for handler in [handler for handler in logger.handlers if isinstance(handler, RunLogHandler)]:
        if handler.path == path:
            return logger
        logger.removeHandler(handler)
    logger.addHandler(RunLogHandler(path, logger.name))
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger


class RunLogHandler(logging.Handler):
    """Appends one line per record; opens the file for that line only, so that several processes may write to it."""

    def __init__(self, path: Path, name: str) -> None:
        """Touch nothing; `name` is the only logger whose records are taken (a run id may look like another's child)."""
        super().__init__()
        self.path = path
        self._only = name
        self.setFormatter(JsonLines())

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the records of one run."""
        return record.name == self._only and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line in one piece; a log that cannot be written does not stop the run."""
        try:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            sys.stderr.write(f"cannot write {self.path}: {error.strerror}\n")


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Append a record as one line of JSON, without secrets and in one piece; raises StorageError."""
    line = _without_secrets(to_json(record)).encode("utf-8", "replace") + b"\n"
    with mapped_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line)
        finally:
            os.close(file)


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, stage, message, the extra fields and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, without secrets."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "stage": _stage(record)}
        line |= {"message": record.getMessage(), **_extras(record)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        try:
            text = to_json(line)
        except StorageError:
            text = to_json({key: str(value) for key, value in line.items()})
        return _without_secrets(text)


def _stage(record: logging.LogRecord) -> str | None:
    stage = getattr(record, "stage", None)
    return None if stage is None else str(stage)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _KNOWN}


def _without_secrets(text: str) -> str:
    """Blot out the values of environment variables that are called a key, token, secret or password."""
    for name, value in os.environ.items():
        if len(value) >= 8 and name.upper().endswith(_SECRETS) and value in text:
            text = text.replace(value, _HIDDEN)
    return text
