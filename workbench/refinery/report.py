"""What cleaning did to a table, in numbers; reports of batches can be added up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from workbench.records import clean_name
from workbench.refinery.values import as_names, require_columns, texts_of

SAMPLES = 5


@dataclass(frozen=True)
class ColumnReport:
    """What cleaning did to one column."""

    rows: int
    nulls: int
    changed: int
    """Rows whose clean text differs from the original."""
    distinct_before: int | None
    """Distinct originals; None in the sum of several batches, whose texts overlap."""
    distinct_after: int | None
    emptied: int
    """Rows that held something of which nothing is left, such as "???"."""
    emptied_samples: tuple[str, ...] = ()

    def __add__(self, other: ColumnReport) -> ColumnReport:
        """Add the counts; distinct counts cannot be added and become None."""
        samples = tuple(dict.fromkeys(self.emptied_samples + other.emptied_samples))[:SAMPLES]
        return ColumnReport(
            rows=self.rows + other.rows,
            nulls=self.nulls + other.nulls,
            changed=self.changed + other.changed,
            distinct_before=None,
            distinct_after=None,
            emptied=self.emptied + other.emptied,
            emptied_samples=samples,
        )


@dataclass(frozen=True)
class CleaningReport:
    """What cleaning did, by original column; an empty report is the start of a sum."""

    columns: dict[str, ColumnReport]

    def __add__(self, other: CleaningReport) -> CleaningReport:
        """Add column by column."""
        total = dict(self.columns)
        for name, report in other.columns.items():
            total[name] = total[name] + report if name in total else report
        return CleaningReport(total)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Give plain data for JSON."""
        listed = {name: asdict(report) for name, report in self.columns.items()}
        return {name: fields | {"emptied_samples": list(fields["emptied_samples"])} for name, fields in listed.items()}

    def to_frame(self) -> pd.DataFrame:
        """Give one row per column, for a notebook."""
        return pd.DataFrame.from_dict(self.to_dict(), orient="index").rename_axis("column").reset_index()


def cleaning_report(df: pd.DataFrame, columns: str | list[str], *, distinct: bool = True) -> CleaningReport:
    """Count what cleaning did, from a table that has the clean columns already. Raises ColumnNotFound.

    Without `distinct`, distinct values are not counted (None): the reports of several batches cannot add them up.
    """
    names = as_names(columns)
    require_columns(df, [part for name in names for part in (name, clean_name(name))])
    return CleaningReport({name: _report(texts_of(df[name]), df[clean_name(name)], distinct) for name in names})


def _report(before: pd.Series[str], after: pd.Series[str], distinct: bool) -> ColumnReport:
    emptied = before.notna() & (before != "") & (after == "")
    return ColumnReport(
        rows=len(before),
        nulls=int(before.isna().sum()),
        changed=int((before.notna() & (before != after)).sum()),
        distinct_before=int(before.nunique()) if distinct else None,
        distinct_after=int(after.nunique()) if distinct else None,
        emptied=int(emptied.sum()),
        emptied_samples=tuple(before[emptied].drop_duplicates().head(SAMPLES)),
    )


def merged_texts(df: pd.DataFrame, column: str) -> pd.DataFrame:
    """List the originals that cleaning made equal, so that a wrong merger can be seen.

    One row per original: `clean`, `original`, `n_rows`, `n_originals`; only clean texts with several originals, those
    with the most first. Raises ColumnNotFound.
    """
    require_columns(df, [column, clean_name(column)])
    pairs = pd.DataFrame({"clean": texts_of(df[clean_name(column)]), "original": texts_of(df[column])}).dropna()
    counted = pairs.groupby(["clean", "original"], sort=False).size().rename("n_rows").reset_index()
    counted["n_originals"] = counted.groupby("clean")["original"].transform("size")
    several = counted[counted["n_originals"] > 1]
    return several.sort_values(["n_originals", "clean", "original"], ascending=[False, True, True], ignore_index=True)
