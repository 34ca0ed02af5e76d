"""Reviews for tests: made-up items, laid out without a classification."""

import json

from workbench.records import fold
from workbench.runs.decisions import Decision

ABOUT = {
    "run": "small",
    "run_id": "one",
    "iteration": 1,
    "amount": "Importe",
    "categories": [{"name": name, "description": ""} for name in ("Viajes", "Comida", "Uniformes", "Otros")],
}


def made_up_item(number, **changes):
    """A row of `review_items`: item-<number>, predicted Viajes."""
    text = changes.pop("text", f"vuelo {number} méxico")
    card = {"fields": {"Concepto": text}, "amount": 10.0 * number, "said": [], "reason": "word 'vuelo'"}
    row = {
        "item_id": f"item-{number:05d}",
        "position": number + 1,
        "category": "Viajes",
        "score": 0.5,
        "n_rows": number + 1,
        "money": 10.0 * number,
        "changed": 0,
        "wanted": 1,
        "disputed": 0,
        "blind": 0,
        "revision": "r",
        "alike": "",
        "words": fold(text),
        "card": json.dumps(card),
    } | changes
    return {"open": row["wanted"], **row}


def made_up_review(store, items, run_id="one"):
    """A run with these items to review in its first iteration; gives its decisions."""
    if not store.exists(run_id):
        store.create({"ingest": {}}, run_id=run_id)
    decisions = store.decisions(run_id, 1)
    decisions.prepare("made up", ABOUT, items)
    return decisions


def decision(key, item, verdict="correct", category=None, **more):
    """What a card sends of an item that it shows."""
    return Decision(key, item["item_id"], item["rev"], verdict, category, **more)
