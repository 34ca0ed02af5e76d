"""What a manager wants to know of a run, as plain data: how much, how good, what changed, where to look next."""

from __future__ import annotations

from typing import Any

from workbench.records import RunState
from workbench.report.answers import answers
from workbench.report.words import decision_sentences
from workbench.runs import RunStore
from workbench.settings import shown

ID_SHOWN = 8
"""Characters of an item id that are shown; `workbench search` shows as many."""


def summary(store: RunStore, run_id: str) -> dict[str, Any]:
    """Sum a run up, however far it has come.

    Returns:
        `run_id`, `state`, `inputs` (paths), `rows`, `rows_left_out`, `items`, `efficiency_gain_pct`, `files` (how many
        were read, which failed and why, which are identical), `cost` (`usd`, `calls`, `tokens`), `iterations` (one
        line each: accuracy with its 95 % interval, confident share, ambiguous rate, examples, seconds), `answers` (to
        the six questions, of the newest iteration), `decisions` (sentences on who decided) and `next` (pairs of what
        and where); null = not known yet.
    """
    run, entries = store.get(run_id), iterations(store, run_id)
    read = store.facts(run_id, "ingest") if store.stage_done(run_id, "ingest") else {}
    return {
        "run_id": run_id,
        "state": str(run.state),
        "inputs": run.parameters["ingest"]["input"],
        "rows": read.get("rows"),
        "rows_left_out": read.get("rows_left_out", 0),
        "items": read.get("deduplicated_rows"),
        "efficiency_gain_pct": read.get("efficiency_gain_pct"),
        "files": read.get("files"),
        "cost": _cost(store, run_id, entries),
        "iterations": [_iteration(entry) for entry in entries],
        "answers": answers(store, run_id),
        "proposals": proposals(store, run_id),
        "decisions": _decisions(store, run_id),
        "next": _next(store, run_id, run.state),
    }


def iterations(store: RunStore, run_id: str) -> list[dict[str, Any]]:
    """Give the entries of history.json; none before the first classification."""
    return list(store.load(run_id, "history")["iterations"]) if store.has(run_id, "history") else []


def _iteration(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("iteration", "accuracy", "confident_share", "ambiguous_rate", "examples")}
    return {**kept, "seconds": entry["processing"]["seconds"]}


def _cost(store: RunStore, run_id: str, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Sum up what a run has cost: `usd` (null where no price is known), `calls` and `tokens` of what is finished."""
    numbers = range(1, (store.newest(run_id, "spending") or 0) + 1)
    spent = [store.load(run_id, "spending", n)["cost_usd"] for n in numbers if store.has(run_id, "spending", n)]
    if not entries and not spent:
        return None
    sums = {name: sum(entry["processing"].get(name) or 0 for entry in entries) for name in ("calls", "tokens")}
    return {"usd": sum(spent) if spent else None, **sums}


def proposals(store: RunStore, run_id: str) -> list[dict[str, Any]]:
    """List what the last refinement proposed: `id`, `status`, `what` (a rule or an example), `evidence` (item ids)."""
    newest = store.newest(run_id, "proposals")
    found = store.load(run_id, "proposals", newest)["proposals"] if newest else []
    return [
        {
            "id": each["proposal_id"],
            "status": each["status"],
            "what": each["text"] if each["kind"] == "rule" else f"{each['text']} → {each['category']}",
            "evidence": [item[:ID_SHOWN] for item in each["evidence"]],
        }
        for each in found
    ]


def _decisions(store: RunStore, run_id: str) -> list[str]:
    """Say whose categories stand in the final table, and where the model has changed its mind against a person."""
    if not store.has(run_id, "classified"):
        return []
    rows = store.load(run_id, "classified", columns=["decided_by"])["decided_by"].value_counts()
    newest = store.newest(run_id, "review_items")
    again = len(store.load(run_id, "review_items", newest, columns=["item_id"])) if newest else 0
    return decision_sentences({str(who): int(n) for who, n in rows.items()}, again)


def _next(store: RunStore, run_id: str, state: RunState) -> list[tuple[str, str]]:
    places = [
        (name, shown(store.path(run_id, artifact)))
        for name, artifact in (("classified rows", "classified_workbook"), ("report", "report"))
        if store.has(run_id, artifact)
    ]
    if state == RunState.AWAITING_REVIEW:
        sheet = shown(store.path(run_id, "review_sheet", store.newest(run_id, "sample")))
        places.append(("review", f"workbench review {run_id}, or fill in {sheet} and save it; then"))
        places.append(("go on", f"workbench run PARAMETERS.yaml --run-id {run_id} --resume"))
    elif state == RunState.FINISHED:
        places.append(("check more by hand", f"workbench review {run_id}"))
    else:
        places.append(("go on", f"workbench run PARAMETERS.yaml --run-id {run_id} --resume"))
    return places
