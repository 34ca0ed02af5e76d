"""What the numbers of an iteration say, in sentences: for the terminal, the page and the notebooks alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WEAKEST_SHOWN = 3

Facts = Mapping[str, Any]


def accuracy_sentences(metrics: Facts) -> list[str]:
    """Say how accurate an iteration is, how sure that is, and where it is weak.

    Args:
        metrics: metrics.json.
    """
    accuracy = metrics["accuracy"]
    sentences = [_coverage(metrics)]
    if not accuracy:
        return [*([note] if (note := metrics.get("accuracy_note")) else []), *sentences]
    weak = [_macro(accuracy["macro_f1"]), *_weakest(accuracy)]
    return [_three_ways(accuracy), *accuracy["notes"], *sentences, *weak, *_calibration(metrics["calibration"])]


def _calibration(found: Facts) -> list[str]:
    """Say what a score is worth, and from which score on answers may be accepted."""
    accepted, ece = found["acceptance"], found["ece"]
    told = [found["note"]] if found["note"] else []
    if ece:
        low, high = 100 * ece["low"], 100 * ece["high"]
        told.append(f"Scores are off by {100 * ece['estimate']:.0f} points on average ({low:.0f}–{high:.0f}).")
    if accepted["score"] is None:
        return [*told, f"Nothing may be accepted without a review: {accepted['note']}"]
    shares = {name: percent(value) for name, value in accepted["shares"].items() if value is not None}
    covered = ", ".join(f"{value} of the {name}" for name, value in shares.items())
    return [
        *told,
        f"From score {accepted['score']:.2f} on answers may be accepted without a review at a precision of "
        f"{100 * accepted['target']:g} % (surely above {percent(accepted['precision']['low'])}): {covered}.",
    ]


def decision_sentences(rows: Mapping[str, int], contradicted: int) -> list[str]:
    """Say how many rows people and the model decided, and on how many items the model contradicts a person.

    >>> decision_sentences({"model": 1200, "human": 30}, 0)
    ['In the final table people decided 30 rows and the model 1,200.']
    """
    human, propagated = rows.get("human", 0), rows.get("propagated", 0)
    told = f"people decided {human:,} row{'' if human == 1 else 's'}"
    told += f", {propagated:,} more have the text of one of those" if propagated else ""
    sentences = [f"In the final table {told} and the model {rows.get('model', 0):,}."]
    if contradicted:
        many = contradicted > 1
        sentences.append(
            f"On {contradicted:,} item{'s' if many else ''} the model has changed its mind against a person: the "
            f"person's category stands, and the review sheet asks about {'them' if many else 'it'} again."
        )
    return sentences


def _three_ways(accuracy: Facts) -> str:
    parts = [f"Right are {_measured(accuracy)} of the items"]
    if accuracy["by_rows"]:
        parts.append(f"{_measured(accuracy['by_rows'])} of the rows")
    if accuracy["by_amount"]:
        parts.append(f"{_measured(accuracy['by_amount'])} of the amount (credit notes count by their absolute amount)")
    return f"{', '.join(parts)}; 95 % intervals from {accuracy['n']:,} verdicts."


def _coverage(metrics: Facts) -> str:
    covered = metrics["coverage"]["items"]
    failed = metrics["failed_share"]
    told = (
        f"{percent(covered)} of the items have a valid answer" if covered is not None else "No item has an answer yet"
    )
    return f"{told}{f'; {percent(failed)} failed' if failed else ''}."


def _macro(macro: Facts) -> str:
    if macro["estimate"] is None:
        return "There is no macro-F1: no verdict names a true category."
    thin = f"; n is too small in {len(macro['thin'])} of them" if macro["thin"] else ""
    return f"Macro-F1 is {macro['estimate']:.2f} over {macro['categories']} categories with verdicts{thin}."


def _weakest(accuracy: Facts) -> list[str]:
    """Name the categories that are surely weak: those whose upper bound is lowest, among those with enough verdicts."""
    enough = [row for row in accuracy["by_category"] if not row["note"] and row["estimate"] < 1]
    weak = sorted(enough, key=lambda row: (row["high"], row["category"]))[:WEAKEST_SHOWN]
    if not weak:
        return []
    named = ", ".join(f"{row['category']} ({_measured(row)} found, n = {row['n']})" for row in weak)
    return [f"Weakest of the categories with enough verdicts: {named}."]


def _measured(share: Facts) -> str:
    return f"{percent(share['estimate'])} ({100 * share['low']:.1f}–{percent(share['high'])})"


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.8349)
    '83.5 %'
    """
    return f"{100 * share:.1f} %"
