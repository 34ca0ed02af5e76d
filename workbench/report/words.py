"""What the numbers of an iteration say, in sentences: for the terminal, the page, the notebooks and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import few
from workbench.metrics import best_iteration, overall_trend
from workbench.values import amount_text

WEAKEST_SHOWN = 3

Facts = Mapping[str, Any]


def accuracy_sentences(metrics: Facts) -> list[str]:
    """Say how accurate an iteration is and how sure that is.

    Args:
        metrics: metrics.json.
    """
    accuracy = metrics["accuracy"]
    if not accuracy:
        note = metrics.get("accuracy_note") or "Nobody knows yet: no item of it was reviewed."
        return [note, _coverage(metrics), *_position_audit(metrics)]
    left_out = [f"{reason} ({count:,})" for reason, count in accuracy["left_out"].items()]
    told = [f"Verdicts are left out where the item {', '.join(left_out)}."] if left_out else []
    return [_three_ways(accuracy), *accuracy["notes"], _coverage(metrics), *told, *_position_audit(metrics)]


def _position_audit(metrics: Facts) -> list[str]:
    """Say how much an answer depends on the place and the neighbours of its item; nothing where nobody asked."""
    audit = metrics.get("position_audit")
    if not audit or not audit["n"]:
        return []
    return [
        f"Asked again in other chunks, {audit['changed']:,} of {audit['n']:,} items got another category:"
        f" {_measured(audit)}. So much of the answers hangs on chance and on an item's neighbours."
    ]


def judge_sentences(judge: Facts | None) -> list[str]:
    """Say how far the second opinion agrees; nothing where there was none.

    Args:
        judge: `judge` of metrics.json.
    """
    if not judge:
        return []
    broke = [f"The second opinion did not come to its end: {judge['error']}"] if judge["error"] else []
    if not judge["answered"]:
        return broke or ["The second opinion was asked about nothing."]
    above = f"of the items with a score of {judge['below']:g} or more"
    named = {"random": f"{above}, by a sample of chance,", "low_score": "of the others, with a lower score,"}
    parts = [
        f"{_measured(part['agreement'])} {named[name]} n = {part['agreement']['n']}{_kappa(part['kappa'])}"
        for name in ("random", "low_score")
        if (part := judge[name])["agreement"]
    ]
    told = f"A second opinion by {judge['model']} agrees on {'; on '.join(parts)}"
    n = judge["disagreements"]
    return [f"{told}. It disagrees on {n:,} item{'' if n == 1 else 's'} (judge_category in the predictions).", *broke]


def _kappa(kappa: float | None) -> str:
    return "" if kappa is None else f", kappa {kappa:.2f}"


def trend_sentences(history: Sequence[Facts]) -> list[str]:
    """Say where accuracy went over the iterations that were reviewed; nothing for fewer than two.

    Args:
        history: the entries of history.json.
    """
    measured = [entry["accuracy"] for entry in history]
    reviewed = sum(bool(each) for each in measured)
    if reviewed < 2:
        return []
    trend = {"stable": "no trend that the intervals would carry"}
    told = trend.get(overall_trend(measured), f"a trend: {overall_trend(measured)}")
    best = best_iteration(measured)
    return [f"Over {reviewed} reviewed iterations there is {told}; iteration {best} has the highest lower bound."]


def weak_sentences(metrics: Facts) -> list[str]:
    """Say on which categories an iteration is weak, and of which nothing can be said."""
    accuracy = metrics["accuracy"]
    if not accuracy:
        return ["Nobody knows before a review."]
    thin = accuracy["macro_f1"]["thin"]
    unknown = [f"n too small to say anything: {few(thin, 8)}."] if thin else []
    return [*_weakest(accuracy), *_most_confused(accuracy), _macro(accuracy["macro_f1"]), *unknown]


def better_sentences(comparison: Facts) -> list[str]:
    """Say whether an iteration is better than the one before, what moved and what it cost.

    Args:
        comparison: comparison.json.
    """
    cost = comparison["performance_comparison"]
    told = [comparison["recommendations"][0]]
    changed, compared = comparison["items_changed"], comparison["items_compared"]
    told.append(f"{changed:,} of {compared:,} items changed their category.")
    if cost["cost_difference"]:
        told.append(f"It cost {amount_text(abs(cost['cost_difference']))} USD {_direction(cost['cost_difference'])}.")
    elif cost["tokens_difference"]:
        told.append(f"It took {abs(cost['tokens_difference']):,.0f} tokens {_direction(cost['tokens_difference'])}.")
    return told


def _direction(difference: float) -> str:
    return "more" if difference > 0 else "less"


def acceptance_sentences(calibration: Facts) -> list[str]:
    """Say from which score on answers may be accepted without a review, and what a score is worth."""
    accepted, ece = calibration["acceptance"], calibration["ece"]
    told = [calibration["note"]] if calibration["note"] else []
    if ece:
        low, high = 100 * ece["low"], 100 * ece["high"]
        told.append(f"Scores are off by {100 * ece['estimate']:.0f} points on average ({low:.0f}–{high:.0f}).")
    if accepted["score"] is None:
        return [f"Nothing may be accepted without a review: {accepted['note']}", *told]
    covered = [
        f"{_count(name, accepted['counts'][name])} ({percent(share)})"
        for name, share in accepted["shares"].items()
        if share is not None
    ]
    return [
        f"From score {accepted['score']:.2f} on answers may be accepted without a review at a precision of "
        f"{100 * accepted['target']:g} % (surely above {percent(accepted['precision']['low'])}): {', '.join(covered)}.",
        *told,
    ]


def _count(name: str, value: float) -> str:
    return f"an amount of {value:,.2f}" if name == "amount" else f"{value:,.0f} {name}"


def reviewer_sentences(reviewed: Facts) -> list[str]:
    """Say how far reviewers agree, and how far the suggestion sways them; nothing where nobody tried.

    Args:
        reviewed: validations.json.
    """
    agreed, blind = reviewed["agreement"], reviewed.get("blind")
    told = []
    if agreed["items"]:
        names = {"kappa": "Cohen's kappa", "alpha": "Krippendorff's alpha"}
        known = [f"{name} {agreed[key]:.2f}" for key, name in names.items() if agreed[key] is not None]
        many = "items" if agreed["items"] > 1 else "item"
        told.append(
            f"Reviewers agree on {percent(agreed['percent'])} of {agreed['items']:,} {many} that two or more judged"
            f"{f' ({known[0]})' if known else ''}; {len(agreed['disputed'])} disputed and left out of the numbers."
        )
    if blind and blind["difference"]:
        shown, hidden, difference = blind["shown"], blind["hidden"], blind["difference"]
        points = "{:+.0f} points (95 %: {:+.0f} to {:+.0f})".format(
            *(100 * difference[name] for name in ("estimate", "low", "high"))
        )
        told.append(
            f"People agree with {percent(shown['estimate'])} of the suggestions that they see (n = {shown['n']}) and "
            f"with {percent(hidden['estimate'])} of the hidden ones (n = {hidden['n']}): seeing them makes a "
            f"difference of {points}."
        )
    return told


def second_look_sentences(suspects: Sequence[Facts], disputed: int) -> list[str]:
    """Say which verdicts deserve a second look: disputed ones, and those that others contradict."""
    told = []
    if disputed:
        many = "items are" if disputed > 1 else "item is"
        told.append(f"{disputed:,} {many} disputed between reviewers: let a third person decide.")
    if suspects:
        first = suspects[0]
        many = "verdicts look" if len(suspects) > 1 else "verdict looks"
        told.append(
            f"{len(suspects):,} {many} like slips, because nearly the same text was judged otherwise: "
            f"{first['text']!r} is {first['human_category']} for {first['reviewer']}, but {first['other_text']!r} is "
            f"{first['other_category']}."
        )
    return told


def review_sentences(found: Sequence[Facts], measured: Facts, comparison: Facts | None) -> list[str]:
    """Say what to review next and how much more of it.

    Args:
        found: what `metrics.what_to_review` gives.
        measured: metrics.json.
        comparison: comparison.json; null for a first iteration.
    """
    more = comparison["paired"]["review_more"] if comparison else None
    told = [f"About {more:,} more verdicts would show whether this iteration is better than the last."] if more else []
    if not measured["accuracy"]:
        told.append("A sample, drawn by chance: 100 verdicts tell accuracy to about ten points, 400 to five.")
    for each in found:
        amount = f", an amount of {each['amount']:,.2f}" if each["amount"] is not None else ""
        many = "items" if each["items"] > 1 else "item"
        told.append(
            f"{each['items']:,} unreviewed {many} ({each['rows']:,} rows{amount}) {each['why']}: "
            f"`validate.strategy: {each['how']}` draws from them."
        )
    return told or ["Nothing stands out: a plain sample keeps the numbers fresh."]


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
    return f"{', '.join(parts)}; 95 % intervals from {accuracy['n']:,} verdict{'' if accuracy['n'] == 1 else 's'}."


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
    many = "categories" if macro["categories"] != 1 else "category"
    return f"Macro-F1 is {macro['estimate']:.2f} over {macro['categories']} {many} with verdicts{thin}."


def _weakest(accuracy: Facts) -> list[str]:
    """Name the categories that are surely weak: those whose upper bound is lowest, among those with enough verdicts.

    One that is found more often than all together are right is not among them.
    """
    enough = [row for row in accuracy["by_category"] if not row["note"]]
    below = (row for row in enough if row["estimate"] < 1 and row["estimate"] <= accuracy["estimate"])
    weak = sorted(below, key=lambda row: (row["high"], row["category"]))
    if not enough:
        return ["No category has enough verdicts yet to be called weak or strong."]
    if not weak:
        return ["No weak one shows: each category with enough verdicts is found as often as all are right, or more."]
    named = ", ".join(f"{row['category']} ({_measured(row)} found, n = {row['n']})" for row in weak[:WEAKEST_SHOWN])
    return [f"Weakest of the categories with enough verdicts: {named}."]


def _most_confused(accuracy: Facts) -> list[str]:
    pairs = [pair for pair in accuracy["confused_pairs"] if pair["n"] > 1][:WEAKEST_SHOWN]
    named = ", ".join(f"{pair['true']} taken for {pair['predicted']} ({pair['n']})" for pair in pairs)
    return [f"Most often: {named}."] if pairs else []


def _measured(share: Facts) -> str:
    return f"{percent(share['estimate'])} ({100 * share['low']:.1f}–{percent(share['high'])})"


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.8349)
    '83.5 %'
    """
    return f"{100 * share:.1f} %"
