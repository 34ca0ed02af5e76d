"""Every error that the workbench raises on purpose.

WorkbenchError                   what and where, in one line; `hint` says what to do; `exit_code` for the shell
├── UsageError            (2)    the command, a parameters file or a prompt is wrong: fix it and run again
│   ├── ParameterError           a parameters file or --set
│   ├── PromptError              a prompt file
│   ├── NotRegistered            a pipeline, strategy or provider that does not exist
│   ├── ColumnNotFound           a column that the table does not have
│   ├── RunNotFound / RunExists  a run id
│   └── MissingExtra             an optional dependency that is not installed
└── StageFailed           (1)    the input, the machine or a service did not play along; what was done stays
    ├── ReadError                a file that cannot be read
    ├── VerdictError             verdicts that cannot be taken
    ├── StorageError             the runs folder or the database cannot be written or read
    ├── RunLocked                another process works on the run
    ├── ProviderError            the classifier cannot answer at all
    ├── BudgetReached            the money that a classification may cost is used up; what was done stays
    ├── Interrupted       (130)  Ctrl+C; what was done stays
    │   └── TimeLimitReached (1) a stage took longer than it may; what was done stays
    └── NotebookFailed           a notebook's cell raised

A fault of one row or item is not an error: it is recorded on the row and the run goes on.
Foreign errors are mapped at the border of the module that calls the foreign library.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

DISTRIBUTION = "datainspector-workbench"
_STRAY_BYTES = re.compile("[\udc80-\udcff]+")


def plain_text(name: str) -> str:
    r"""Give a file's name as text; bytes of it that are no UTF-8, as archives of Windows leave them, are cp1252.

    >>> plain_text(b"Art\xedculos/2024 \xc3\xb1.csv".decode(errors="surrogateescape"))
    'Artículos/2024 ñ.csv'
    """
    return _STRAY_BYTES.sub(lambda found: found[0].encode(errors="surrogateescape").decode("cp1252", "replace"), name)


def visible(text: str) -> str:
    r"""Give text without what would steer a terminal; line breaks stay.

    >>> visible("ventas\x1b[31m.csv")
    'ventas�[31m.csv'
    """
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)


def one_line(text: str) -> str:
    """Give text as it may stand in a cell or a list on a terminal."""
    return visible(" ".join(text.split()))


class WorkbenchError(Exception):
    """What went wrong and where, with a hint on what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep the message and the hint apart, so that faces can lay them out."""
        message = plain_text(message)
        super().__init__(message)
        self.message = message
        self.hint = None if hint is None else plain_text(hint)

    def __str__(self) -> str:
        """Give one line: the message, then the hint."""
        return f"{self.message} Hint: {self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Show one line instead of a traceback in notebooks."""
        return [f"{type(self).__name__}: {self}"]

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling, which forgets keyword arguments."""
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[WorkbenchError], message: str, hint: str | None) -> WorkbenchError:
    return kind(message, hint=hint)


class UsageError(WorkbenchError):
    """The command, a parameters file or a prompt is wrong."""

    exit_code = 2


class ParameterError(UsageError):
    """A parameters file or an override is wrong."""


class PromptError(UsageError):
    """A prompt file is wrong."""


class NotRegistered(UsageError):
    """A name that no registry knows."""


class ColumnNotFound(UsageError):
    """A column that the table does not have."""


class RunNotFound(UsageError):
    """A run id that the runs folder does not have."""


class RunExists(UsageError):
    """A run id that is taken."""


class MissingExtra(UsageError):
    """An optional dependency that is not installed."""


class StageFailed(WorkbenchError):
    """The input, the machine or a service did not play along."""


class ReadError(StageFailed):
    """A file that cannot be read."""


class VerdictError(StageFailed):
    """Verdicts that cannot be taken."""


class StorageError(StageFailed):
    """The runs folder or the database cannot be written or read."""


class RunLocked(StageFailed):
    """Another process works on the run."""


class ProviderError(StageFailed):
    """The classifier cannot answer at all."""


class BudgetReached(StageFailed):
    """The money that a classification may cost is used up."""


class Interrupted(StageFailed):
    """Somebody pressed Ctrl+C or ended the process."""

    exit_code = 130


class TimeLimitReached(Interrupted):
    """A stage took longer than it may."""

    exit_code = 1


class NotebookFailed(StageFailed):
    """A notebook's cell raised."""


def install(extra: str) -> str:
    """Word the command that adds an extra to the Python that runs, from the checkout where the workbench is in one."""
    package = Path(__file__).parent
    in_wheel = (package / "_shipped").is_dir()
    source = f"'{DISTRIBUTION}[{extra}]'" if in_wheel else f"-e '{package.parent}[{extra}]'"
    return f"{sys.executable} -m pip install {source}"


def few(names: Sequence[str], shown: int = 3, between: str = ", ") -> str:
    """Name the first of many.

    >>> few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    return between.join(names[:shown]) + (f" and {len(names) - shown:,} more" if len(names) > shown else "")


def nearest(name: str, available: Iterable[str]) -> str:
    """Word a hint that names the nearest available names, or all of them.

    >>> nearest("Enro", ["Enero", "Febrero"])
    "did you mean 'Enero'?"
    >>> nearest("v4", ["v1", "v2", "v3"])
    'there are v1, v2, v3.'
    >>> nearest("x", [])
    'there is none.'
    """
    names = [str(option) for option in available]
    folded = {option.casefold(): option for option in reversed(names)}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.7)
    if close and len(str(name)) > 2:
        return f"did you mean {folded[close[0]]!r}?"
    if not names:
        return "there is none."
    return f"there {'is' if len(names) == 1 else 'are'} {few(names, 30)}."
