"""The runs: a folder of artifacts per run, and one database for what is queried or changes while people work."""

from workbench.runs.answers import Answer, AnswerLike, Answers
from workbench.runs.artifacts import atomic_path, write_json, write_json_list, write_text
from workbench.runs.catalogue import ARTIFACTS, STAGES
from workbench.runs.parquet import BatchWriter, write_parquet
from workbench.runs.parts import Parts
from workbench.runs.store import RunStore, open_store
from workbench.runs.tables import WRITERS, write_table
from workbench.runs.workbook import ROWS_PER_SHEET, WorkbookReport, write_workbook

__all__ = [
    "ARTIFACTS",
    "ROWS_PER_SHEET",
    "STAGES",
    "WRITERS",
    "Answer",
    "AnswerLike",
    "Answers",
    "BatchWriter",
    "Parts",
    "RunStore",
    "WorkbookReport",
    "atomic_path",
    "open_store",
    "write_json",
    "write_json_list",
    "write_parquet",
    "write_table",
    "write_text",
    "write_workbook",
]
