"""The six questions that a review answers, each in sentences and with the data of one chart.

This is the one place that answers them: terminal, report, notebook and dashboard only lay the answers out. A chart is
plain data (`kind`, `title`, `note`, `rows`); `plots.chart` draws it and `console.chart` writes it as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench import metrics, review
from workbench.report import words
from workbench.runs import RunStore

Facts = Mapping[str, Any]

CATEGORIES_SHOWN = 25
"""Categories in the chart; the rest are summed up in its note."""


def answers(store: RunStore, run_id: str, iteration: int | None = None) -> list[dict[str, Any]]:
    """Answer the six questions for an iteration, the newest that is measured by default.

    Returns:
        Six entries in their order: `key` (accuracy, weak, better, accept, review, prompt), `question`, `sentences`,
        `chart` (or null where there is nothing to draw). Nothing before the first classification.
    """
    iteration = iteration or store.newest(run_id, "metrics")
    if iteration is None:
        return []
    measured = store.load(run_id, "metrics", iteration)
    comparison = store.load(run_id, "comparison", iteration) if store.has(run_id, "comparison", iteration) else None
    history = store.load(run_id, "history")["iterations"][:iteration]
    return [
        _accuracy(measured, history, _reviewers(store, run_id, iteration)),
        _weak(measured),
        _better(comparison),
        _accept(measured),
        _review(store, run_id, iteration, comparison),
        _prompt(measured, comparison, _refined(store, run_id, iteration)),
    ]


def _answer(key: str, question: str, sentences: list[str], chart: dict[str, Any] | None) -> dict[str, Any]:
    return {"key": key, "question": question, "sentences": sentences, "chart": chart}


def _chart(kind: str, title: str, note: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any] | None:
    return {"kind": kind, "title": title, "note": note, "rows": rows, **more} if rows else None


def _reviewers(store: RunStore, run_id: str, iteration: int) -> list[str]:
    """Say how reviewers compare, as far as the iterations up to this one were reviewed."""
    known = [each for each in range(iteration, 0, -1) if store.has(run_id, "validations_json", each)]
    return words.reviewer_sentences(store.load(run_id, "validations_json", known[0])) if known else []


def _accuracy(measured: Facts, history: list[Facts], reviewers: list[str]) -> dict[str, Any]:
    known = {f"iteration {entry['iteration']}": entry["accuracy"] for entry in history if entry["accuracy"]}
    if measured["accuracy"]:
        newest = f"iteration {history[-1]['iteration']}"
        known |= {f"{newest}, by {size}": measured["accuracy"][f"by_{size}"] for size in ("rows", "amount")}
    rows = [{"name": name, **_interval(found), "thin": False} for name, found in known.items() if found]
    sentences = [
        *words.accuracy_sentences(measured),
        *words.judge_sentences(measured.get("judge")),
        *words.trend_sentences(history),
        *reviewers,
    ]
    note = "Share that is right, with the 95 % interval; n = verdicts that count"
    chart = _chart("intervals", "How often each iteration is right", note, rows)
    return _answer("accuracy", "How accurate is this iteration, and how sure are we?", sentences, chart)


def _interval(found: Facts) -> dict[str, Any]:
    return {name: found[name] for name in ("estimate", "low", "high", "n")}


def _weak(measured: Facts) -> dict[str, Any]:
    found = measured["accuracy"]["by_category"] if measured["accuracy"] else []
    rows = [{"name": row["category"], **_interval(row), "thin": bool(row["note"])} for row in found]
    rows = sorted(rows, key=lambda row: (row["thin"], row["high"], row["name"]))
    note = "Share of each true category that is found, with the 95 % interval; grey = n too small"
    if len(rows) > CATEGORIES_SHOWN:
        note += f"; {len(rows) - CATEGORIES_SHOWN} more in the table"
    chart = _chart("intervals", "Where it is weak", note, rows[:CATEGORIES_SHOWN])
    return _answer("weak", "On which categories is it weak?", words.weak_sentences(measured), chart)


def _better(comparison: Facts | None) -> dict[str, Any]:
    question = "Is it really better than the last one?"
    if comparison is None:
        return _answer("better", question, ["There is no iteration before it to compare with."], None)
    paired = comparison["paired"]
    kinds = (("both_right", "right both times", ""), ("fixed", "fixed", "good"), ("broken", "broken", "bad"))
    rows = [
        {"name": name, "value": paired[kind], "text": f"{paired[kind]:,}", "tone": tone}
        for kind, name, tone in (*kinds, ("both_wrong", "wrong both times", ""))
        if paired["n"]
    ]
    title = (
        f"Iteration {comparison['iteration_number']} against {comparison['baseline_iteration']}: {paired['verdict']}"
    )
    chart = _chart("bars", title, f"{paired['n']:,} reviewed items that neither prompt was made from", rows)
    return _answer("better", question, words.better_sentences(comparison), chart)


def _accept(measured: Facts) -> dict[str, Any]:
    question = "What may be accepted without review at the precision I need?"
    if not measured["accuracy"]:
        return _answer("accept", question, ["Nothing before a review: no score is known to be worth anything."], None)
    accepted = measured["calibration"]["acceptance"]
    note = "Precision of all answers from a score on, and the lower 95 % bound that must reach the target"
    rows = accepted["curve"]
    chart = _chart("curve", "From which score on answers may be accepted", note, rows)
    chart = chart and {**chart, "target": accepted["target"], "score": accepted["score"]}
    return _answer("accept", question, words.acceptance_sentences(measured["calibration"]), chart)


def _review(store: RunStore, run_id: str, iteration: int, comparison: Facts | None) -> dict[str, Any]:
    measured, validations = store.load(run_id, "metrics", iteration), store.validations(run_id)
    found = metrics.what_to_review(
        store.load(run_id, "predictions", iteration),
        store.load(run_id, "items"),
        validations["item_id"],
        metrics.thin_categories(measured),
        _previous(store, run_id, iteration),
    )
    rows = [{"name": each["why"], "value": each["items"], "text": f"{each['items']:,}", "tone": ""} for each in found]
    chart = _chart("bars", "What nobody has reviewed yet", "Items by what speaks for a review; some count twice", rows)
    again = words.second_look_sentences(
        suspects(store, run_id, iteration), int(review.disputed(validations)["item_id"].nunique())
    )
    sentences = [*again, *words.review_sentences(found, measured, comparison)]
    return _answer("review", "What should I review next?", sentences, chart)


def suspects(store: RunStore, run_id: str, iteration: int | None = None) -> list[dict[str, Any]]:
    """List the verdicts that look like slips (`review.suspects`), as the last review up to an iteration left them."""
    last = iteration or store.newest(run_id, "suspects") or 0
    known = [each for each in range(last, 0, -1) if store.has(run_id, "suspects", each)]
    return store.load(run_id, "suspects", known[0]).to_dict("records") if known else []


def _previous(store: RunStore, run_id: str, iteration: int) -> pd.Series[str] | None:
    if iteration < 2:
        return None
    before: pd.DataFrame = store.load(run_id, "predictions", iteration - 1, columns=["item_id", "category"])
    return before.set_index("item_id")["category"]


def _refined(store: RunStore, run_id: str, iteration: int) -> Facts | None:
    """Give proposals.json of the newest refinement up to an iteration."""
    newest = next((each for each in range(iteration, 0, -1) if store.has(run_id, "proposals", each)), None)
    return store.load(run_id, "proposals", newest) if newest else None


def _prompt(measured: Facts, comparison: Facts | None, refined: Facts | None) -> dict[str, Any]:
    advice = metrics.prompt_advice(measured, comparison)
    sentences = [*advice["sentences"], *metrics.worth_changing(measured, refined)]
    pairs = (measured["accuracy"] or {"confused_pairs": []})["confused_pairs"][:10]
    rows = [
        {"name": f"{pair['true']} → {pair['predicted']}", "value": pair["n"], "text": f"{pair['n']:,}", "tone": "bad"}
        for pair in pairs
    ]
    chart = _chart("bars", "What is taken for what", "Mistakes that people found: true → predicted category", rows)
    return _answer("prompt", "Is the prompt worth changing again?", sentences, chart)
