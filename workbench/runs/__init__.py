"""The runs: a folder of artifacts per run, and one database for what is queried or changes while people work.

The names are loaded when they are first used: a reviewer's kernel needs the database and nothing of pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runs.answers import Answer, AnswerLike, Answers
    from workbench.runs.artifacts import atomic_path, write_json, write_text
    from workbench.runs.catalogue import ARTIFACTS, STAGES
    from workbench.runs.decisions import Decision, Decisions, open_decisions
    from workbench.runs.parquet import BatchWriter, json_list, write_parquet
    from workbench.runs.parts import Parts
    from workbench.runs.sessions import Session
    from workbench.runs.store import RunStore, open_store
    from workbench.runs.tables import WRITERS, write_table
    from workbench.runs.workbook import ROWS_PER_SHEET, WorkbookReport, write_workbook

_HOMES = {
    "answers": ("Answer", "AnswerLike", "Answers"),
    "artifacts": ("atomic_path", "write_json", "write_text"),
    "catalogue": ("ARTIFACTS", "STAGES"),
    "decisions": ("Decision", "Decisions", "open_decisions"),
    "parquet": ("BatchWriter", "json_list", "write_parquet"),
    "parts": ("Parts",),
    "sessions": ("Session",),
    "store": ("RunStore", "open_store"),
    "tables": ("WRITERS", "write_table"),
    "workbook": ("ROWS_PER_SHEET", "WorkbookReport", "write_workbook"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ARTIFACTS",
    "ROWS_PER_SHEET",
    "STAGES",
    "WRITERS",
    "Answer",
    "AnswerLike",
    "Answers",
    "BatchWriter",
    "Decision",
    "Decisions",
    "Parts",
    "RunStore",
    "Session",
    "WorkbookReport",
    "atomic_path",
    "json_list",
    "open_decisions",
    "open_store",
    "write_json",
    "write_parquet",
    "write_table",
    "write_text",
    "write_workbook",
]


def __getattr__(name: str) -> Any:
    """Load a name from the module that it lives in."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
