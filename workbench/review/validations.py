"""Verdicts become validations, the records that a run keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from workbench.errors import VerdictError
from workbench.records import VALIDATION_COLUMNS, pool_of
from workbench.settling import settled


def to_validations(
    verdicts: pd.DataFrame,
    sample: pd.DataFrame,
    *,
    iteration: int,
    texts: pd.Series[str],
    reviewer: str = "reviewer",
    now: datetime | None = None,
) -> pd.DataFrame:
    """Make validations of verdicts.

    Args:
        verdicts: `TakenVerdicts.frame`; a reviewer named there comes before the argument.
        sample: the drawn predictions that were judged.
        iteration: whose predictions they are.
        texts: the clean text by item_id; it assigns the pool.
        reviewer: who decided, where the verdicts do not say.
        now: the time of the verdicts, by default the current one; a time without a zone counts as UTC.

    Returns:
        One row per verdict with the columns of `records.Validation`. Raises VerdictError for an item without a text.
    """
    text = verdicts["item_id"].map(texts)
    if text.isna().any():
        raise VerdictError(f"item {verdicts['item_id'][text.isna()].iloc[0]!r} has no clean text.")
    now = now or datetime.now(UTC)
    moment = now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
    frame = verdicts.assign(
        iteration=iteration,
        reviewer=verdicts["reviewer"].fillna(reviewer),
        category=verdicts["item_id"].map(sample.set_index("item_id")["category"]),
        validated_at=moment.isoformat(timespec="microseconds"),
        pool=text.map(lambda value: pool_of(value).value).astype("str"),
    )
    return frame[list(VALIDATION_COLUMNS)].reset_index(drop=True)


def true_categories(validations: pd.DataFrame) -> pd.Series[str]:
    """Give the category that people stand for, by item_id, as `settling.settled` says.

    Items that are called wrong without naming the right category are left out.
    """
    latest = settled(validations)
    return latest["true_category"].set_axis(latest["item_id"]).dropna()
