"""Text cleaning: small steps (`steps`), published pipelines of them (`pipelines`), run on whole columns (`blocks`)."""

from workbench.refinery.filters import filter_rows, unmatched_filter_values
from workbench.refinery.pipelines import PIPELINES, STEPS, Pipeline, StepTrace, get_pipeline
from workbench.refinery.report import CleaningReport, ColumnReport, cleaning_report, merged_texts
from workbench.refinery.values import texts_of

__all__ = [
    "PIPELINES",
    "STEPS",
    "CleaningReport",
    "ColumnReport",
    "Pipeline",
    "StepTrace",
    "cleaning_report",
    "filter_rows",
    "get_pipeline",
    "merged_texts",
    "texts_of",
    "unmatched_filter_values",
]
