"""A line of progress that is rewritten in place: in JupyterLab, and as one output in an executed notebook."""

from __future__ import annotations

import time
from typing import Any

from IPython.display import display


class ProgressLine:
    """Call it with a text, as often as you like; it redraws at most `per_second` times a second.

    >>> line = ProgressLine("Classify")
    """

    def __init__(self, title: str, per_second: float = 4) -> None:
        self.title = title
        self._pause = 1 / per_second
        self._handle: Any = None
        self._drawn = 0.0

    def __call__(self, text: str) -> None:
        """Show a text in place of the last one."""
        self.text = text
        if time.monotonic() - self._drawn >= self._pause:
            self._draw()

    def done(self) -> None:
        """Show the last text, however recently the line was drawn."""
        if hasattr(self, "text"):
            self._draw()

    def _draw(self) -> None:
        content = {"text/plain": f"{self.title}: {self.text}"}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)
        self._drawn = time.monotonic()
