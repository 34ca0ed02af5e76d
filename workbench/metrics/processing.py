"""What came out of an iteration: how much, how sure, of which categories, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench.metrics.accuracy import Accuracy
from workbench.metrics.numbers import finite, share, wilson
from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE, MEDIUM_SCORE, Band, Status


def iteration_metrics(
    predictions: pd.DataFrame,
    items: pd.DataFrame,
    *,
    accuracy: Accuracy | None = None,
    processing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give the content of metrics.json: plain data without NaN; docs/metrics.md explains every number.

    Args:
        predictions: one row per item with the columns of `records.Prediction`.
        items: item_id, n_rows and, if there is one, amount.
        accuracy: measured accuracy; null before a review, and where no verdict was usable.
        processing: what the classifier reports (seconds, items_per_second, calls, tokens, cached); passed through.
    """
    table = _with_weights(predictions, items)
    status = table["status"]
    classified = table[status != Status.PENDING]
    score = classified["score"].astype("float64")
    bands = _bands(score)
    scored = score[score.notna() & (score != AMBIGUOUS_SCORE)]
    return {
        "accuracy": accuracy.to_dict() if accuracy and accuracy.overall.n else None,
        "accuracy_note": accuracy.notes[0] if accuracy and accuracy.left_out and not accuracy.overall.n else None,
        "confident_share": share(bands[Band.HIGH.value], len(scored)),
        "ambiguous_rate": share(bands[Band.AMBIGUOUS.value], len(classified)),
        "average_score": finite(scored.mean()) if len(scored) else None,
        "items": len(table),
        "rows": int(table["n_rows"].sum()),
        "amount": _total(table["amount"]),
        **{state.value: int((status == state).sum()) for state in (Status.PENDING, Status.FAILED, Status.REPAIRED)},
        "coverage": _coverage(table),
        "failed_share": share(int((status == Status.FAILED).sum()), len(classified)),
        "bands": bands,
        **_distribution(classified),
        "processing_stats": _processing_stats(classified, bands, scored),
        "position_audit": _position_audit((processing or {}).get("position_audit")),
        "processing": {str(name): _plain(value) for name, value in (processing or {}).items()},
    }


def _position_audit(found: Mapping[str, int] | None) -> dict[str, Any] | None:
    """Give how often an answer changed when its item was asked again in other company; null where nobody asked."""
    return None if not found else {"changed": found["changed"], **wilson(found["changed"], found["asked"]).to_dict()}


def _with_weights(predictions: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Put n_rows and the amount (null where there is none) beside every prediction."""
    weights = items[["item_id", "n_rows"]].copy()
    weights["amount"] = pd.to_numeric(items["amount"], errors="coerce") if "amount" in items.columns else None
    columns = ["item_id", "category", "score", "status"]
    table = predictions[columns].merge(weights, on="item_id", how="left")
    return table.assign(n_rows=table["n_rows"].fillna(0), amount=table["amount"].astype("float64"))


def _bands(score: pd.Series[float]) -> dict[str, int]:
    """Count the items of each band, by the limits of `records.band_of`."""
    ambiguous, high = score == AMBIGUOUS_SCORE, score >= HIGH_SCORE
    medium = (score >= MEDIUM_SCORE) & ~high
    low = score.notna() & ~ambiguous & ~high & ~medium
    counts = {Band.HIGH: high, Band.MEDIUM: medium, Band.LOW: low, Band.AMBIGUOUS: ambiguous}
    return {band.value: int(members.sum()) for band, members in counts.items()}


def _coverage(table: pd.DataFrame) -> dict[str, float | None]:
    """Give the share of items, rows and absolute amount that has a valid answer: neither pending nor failed."""
    answered = ~table["status"].isin([Status.PENDING, Status.FAILED])
    sizes = {"items": table["n_rows"] * 0 + 1, "rows": table["n_rows"], "amount": table["amount"].abs()}
    return {name: finite(share(size[answered].sum(), size.sum())) for name, size in sizes.items()}


def _distribution(classified: pd.DataFrame) -> dict[str, Any]:
    """Sum items, rows and amounts per category, the largest category first in all three."""
    groups = classified.groupby("category")
    sizes = sorted(groups.size().items(), key=lambda pair: (-pair[1], str(pair[0])))
    names = [str(name) for name, _ in sizes]
    rows, amounts = groups["n_rows"].sum(), groups["amount"].sum()
    has_amounts = bool(classified["amount"].notna().any())
    return {
        "category_counts": {str(name): int(n) for name, n in sizes},
        "category_rows": {name: int(rows[name]) for name in names},
        "category_amounts": {name: finite(amounts[name]) or 0.0 for name in names} if has_amounts else None,
    }


def _processing_stats(classified: pd.DataFrame, bands: Mapping[str, int], scored: pd.Series[float]) -> dict[str, Any]:
    """Give the five numbers that a service shows after classifying; records are items."""
    return {
        "total_processed": len(classified),
        "categories_found": int(classified["category"].nunique()),
        "average_score": finite(scored.mean()) if len(scored) else None,
        "with_high_confidence": bands[Band.HIGH.value],
        "ambiguous": bands[Band.AMBIGUOUS.value],
    }


def _total(amount: pd.Series[float]) -> float | None:
    return finite(amount.sum(min_count=1))


def _plain(value: Any) -> Any:
    """Make a reported value fit for JSON: numbers finite, mappings and lists gone through, anything else as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    number = finite(value)
    return int(number) if number is not None and number.is_integer() and not isinstance(value, float) else number
