"""The review card: one widget for the four views. It is all that a reviewer's kernel runs, so nothing here is heavy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.runs.decisions import open_decisions
from workbench.runs.log import run_logger
from workbench.settings import PACKAGE, language, runs_folder
from workbench.widgets.session import ReviewSession

CARD = Path(__file__).with_name("card")
TEXTS = (CARD / "texts.json", PACKAGE / "llm" / "reasons.json")
PARTS = ("parts", "wire", "queue", "groups", "search", "results", "main")


class ReviewCard(anywidget.AnyWidget):
    """Shows a review session in the browser; every message of the page is answered by the session."""

    _esm = "\n".join((CARD / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    _css = (CARD / "card.css").read_text(encoding="utf-8")
    start = traitlets.Dict().tag(sync=True)

    def __init__(self, session: ReviewSession) -> None:
        """Show where the reviewer left off."""
        texts = [json.loads(path.read_text(encoding="utf-8")) for path in TEXTS]
        super().__init__(start=session.start() | {"texts": texts[0] | texts[1], "lang": language()})
        self.on_msg(lambda _, message, __: self.send(session.answer(message)))


def open_review(run_id: str, iteration: int, reviewer: str) -> Any:
    """Open the review of one iteration of a run, as `workbench review` prepared it.

    Raises UsageError where it did not.
    """
    folder = runs_folder().resolve()
    decisions = open_decisions(folder, run_id, iteration)
    return ReviewCard(ReviewSession(decisions, reviewer, run_logger(run_id, folder / run_id)))
