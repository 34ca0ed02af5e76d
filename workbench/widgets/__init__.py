"""What people click on and look at in a notebook; each also works alone: `from workbench.widgets import FilePicker`.

Every widget is imported when it is first asked for, since the dashboard for reviewers must not load what others need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.widgets.cleaning import CleaningPreview
    from workbench.widgets.explorer import IterationExplorer
    from workbench.widgets.files import FilePicker
    from workbench.widgets.history import RunHistory
    from workbench.widgets.monitor import ClassificationMonitor
    from workbench.widgets.progress import ProgressLine
    from workbench.widgets.prompts import PromptEditor
    from workbench.widgets.review import ReviewCard, open_review
    from workbench.widgets.tabs import Workbench

__all__ = [
    "ClassificationMonitor",
    "CleaningPreview",
    "FilePicker",
    "IterationExplorer",
    "ProgressLine",
    "PromptEditor",
    "ReviewCard",
    "RunHistory",
    "Workbench",
    "open_review",
]
_MODULES = {
    "ClassificationMonitor": "monitor",
    "CleaningPreview": "cleaning",
    "FilePicker": "files",
    "IterationExplorer": "explorer",
    "ProgressLine": "progress",
    "PromptEditor": "prompts",
    "ReviewCard": "review",
    "RunHistory": "history",
    "Workbench": "tabs",
    "open_review": "review",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
