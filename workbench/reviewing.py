"""A review from the owner's side: the items laid out for reviewers, and the numbers that their verdicts give.

Reviewers' kernels only read what is prepared here (`runs/review_lists.py`), so that each of them stays small.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from workbench import delivery, metrics, validation
from workbench.errors import UsageError
from workbench.measuring import compare, measure, measured_now, prompt_of, texts_of
from workbench.records import CLEAN_PREFIX, Run, fold, skeleton
from workbench.runs import RunStore
from workbench.stages import LOCK_WAIT, Notes, Step
from workbench.values import value_text

VERSION = "4"
"""Of the rows that are prepared: another one makes old ones prepared anew."""

ROWS_SHOWN = 5
COLUMNS_SHOWN = 20
VALUES_SHOWN = 3
COMPARED = ("iteration", "accuracy", "confident_share", "ambiguous_rate", "examples")
"""What is told of every iteration side by side."""

DAY = r"\d{4}-\d\d-\d\d(?:[T ].*)?"
"""A day in a text: the first and the last of them are told, not each."""

CELL = 200
"""Characters of an original value that are shown."""


def prepare(run: Run, store: RunStore, iteration: int) -> bool:
    """Lay out an iteration's items for its reviewers; says whether that had to be done (again)."""
    decisions = store.decisions(run.run_id, iteration)
    made_from = _made_from(run, store, iteration)
    anew = decisions.prepared_from() != made_from
    if anew:
        decisions.prepare(made_from, _about(run, store, iteration), _items(run, store, iteration))
    decisions.count_anew()
    return anew


def newest_iteration(run: Run, store: RunStore) -> int:
    """Find the newest iteration with a sample; raises UsageError where there is none."""
    iteration = store.newest(run.run_id, "sample")
    if iteration is None:
        raise UsageError(
            f"run {run.run_id!r} has no sample to review yet.",
            hint=f"go on with it until one is drawn: `workbench run … --run-id {run.run_id} --resume`.",
        )
    return iteration


def _made_from(run: Run, store: RunStore, iteration: int) -> str:
    files = ("predictions", "sample", "review_items", "prompt")
    paths = [store.path(run.run_id, name, iteration) for name in files]
    facts = [(path.name, stat.st_size, stat.st_mtime_ns) for path in paths if path.exists() and (stat := path.stat())]
    return _digest(repr((VERSION, facts)))


def _about(run: Run, store: RunStore, iteration: int) -> dict[str, Any]:
    prompt = prompt_of(run, store, iteration)
    categories = [{"name": each.name, "description": each.description} for each in prompt.categories]
    used = set(store.load(run.run_id, "predictions", iteration, columns=["category"])["category"].dropna())
    known = {each["name"] for each in categories}
    categories += [{"name": name, "description": ""} for name in sorted(used - known)]
    amount = run.parameters["ingest"].get("amount_column")
    ours = run.parameters["classify"].get("provider") == "lexical"
    about = {"run": run.name, "run_id": run.run_id, "iteration": iteration, "categories": categories}
    return about | {"amount": amount, "own_reasons": ours}  # ours are told in the reviewer's language


def _items(run: Run, store: RunStore, iteration: int) -> Iterator[dict[str, Any]]:
    """Give the rows of `review_items`, one per classified item."""
    asked = validation.asked_about(store, run.run_id, iteration)[["item_id", "blind", "overlap"]]
    asked = asked.drop_duplicates("item_id").assign(position=range(1, asked["item_id"].nunique() + 1))
    answered = store.load(run.run_id, "predictions", iteration).dropna(subset="category")
    table: pd.DataFrame = answered.merge(store.load(run.run_id, "items"), on="item_id")
    table = table.merge(asked, on="item_id", how="left")
    fields = [str(name) for name in table if str(name).startswith(CLEAN_PREFIX)]
    table["alike"] = _alike(table, fields)
    said, behind = _said_before(store, run.run_id, iteration), _rows_behind(store, run.run_id, set(asked["item_id"]))
    for record in table.to_dict("records"):
        item = {str(name): _plain(value) for name, value in record.items()}
        texts = {name.removeprefix(CLEAN_PREFIX): item[name] for name in fields}
        card = {"fields": texts, "amount": item.get("amount"), "said": said.get(item["item_id"], [])}
        yield _row(item, card | behind.get(item["item_id"], {}))


def _row(item: dict[str, Any], card: dict[str, Any]) -> dict[str, Any]:
    """Give one row: what is asked for or counted as columns, what is only shown as one text of JSON."""
    wanted, blind = (2 if item["overlap"] else 1), bool(item["blind"])
    answer = [item["category"], item["reason"] or "", item["score"]]
    return {
        "item_id": item["item_id"],
        "position": item["position"] and int(item["position"]),
        "category": item["category"],
        "score": -1.0 if item["score"] is None else item["score"],
        "n_rows": int(item["n_rows"]),
        "money": abs(item.get("amount") or 0.0),
        "changed": int(bool(card["said"]) and card["said"][-1][1] != item["category"]),
        "wanted": wanted,
        "open": wanted,
        "disputed": 0,
        "blind": int(blind),
        "revision": _digest(repr(answer)),
        "alike": "" if blind else item["alike"],
        "words": fold("\n".join(text for text in card["fields"].values() if text)),
        "card": json.dumps(card | {"reason": answer[1]}, ensure_ascii=False),
    }


def _said_before(store: RunStore, run_id: str, iteration: int) -> dict[str, list[list[Any]]]:
    """Give the answers of the earlier iterations by item: [iteration, category, score]."""
    said: dict[str, list[list[Any]]] = {}
    for each in range(1, iteration):
        before = store.load(run_id, "predictions", each, columns=["item_id", "category", "score"])
        for item, category, score in before.dropna(subset="category").itertuples(index=False):
            said.setdefault(item, []).append([each, category, _plain(score)])
    return said


def _alike(table: pd.DataFrame, fields: list[str]) -> pd.Series[str]:
    """Name the group of items that say nearly the same in one category; empty where an item is alone."""
    texts = table[fields].astype("str").fillna("").agg(" ".join, axis=1)
    groups = texts.map(lambda text: _digest(skeleton(text))).astype("str")
    alone = ~(groups + "\n" + table["category"]).duplicated(keep=False)
    return groups.mask(alone, "")


def _rows_behind(store: RunStore, run_id: str, asked: set[str]) -> dict[str, dict[str, Any]]:
    """Give by item the first original rows behind it, and of every column its range or its most frequent values."""
    parameters = store.get(run_id).parameters
    gold, classified = parameters["validate"]["gold_column"], parameters["ingest"]["columns"]
    kept = [pair for pair in store.load(run_id, "schema")["stored_as"].items() if pair[0] != gold]  # no truth is shown
    stored_as = dict(sorted(kept, key=lambda pair: pair[0] not in classified)[:COLUMNS_SHOWN])  # the texts come first
    parts = store.batches(run_id, "rows", columns=["item_id", *dict.fromkeys(stored_as.values())])
    rows = pd.concat([part[part["item_id"].isin(asked)] for part in parts], ignore_index=True)
    found: dict[str, dict[str, Any]] = {}
    for item, group in rows.groupby("item_id", sort=False):
        first = group.head(ROWS_SHOWN)
        cells = [[_cell(value) for value in first[stored]] for stored in stored_as.values()]
        summary = [_summary(group.loc[:, stored]) for stored in stored_as.values()] if len(group) > 1 else []
        found[str(item)] = {"columns": list(stored_as), "rows": list(zip(*cells, strict=True)), "summary": summary}
    return found


def lay_out_seen(run: Run, store: RunStore, iteration: int) -> None:
    """Lay out the rows behind items outside the sample that a reviewer has opened; inside it, `prepare` has done so."""
    decisions = store.decisions(run.run_id, iteration)
    if wanted := decisions.without_rows():
        found = _rows_behind(store, run.run_id, wanted)
        decisions.lay_out_rows({item: found.get(item, {"rows": []}) for item in wanted})


def _summary(values: pd.Series[Any]) -> str:
    """Say in a few words what a column holds: from – to, or its most frequent values."""
    known = values.dropna()
    if known.empty:
        return ""
    ranged = pd.api.types.is_datetime64_any_dtype(known.dtype) or pd.api.types.is_float_dtype(known.dtype)
    if ranged or known.astype("str").str.fullmatch(DAY).all():
        low, high = _cell(known.min()), _cell(known.max())
        return low if low == high else f"{low} – {high}"
    counts = known.map(_cell).value_counts()
    several = len(counts) > 1
    top = [f"{value} ({n})" if several and n > 1 else str(value) for value, n in counts.head(VALUES_SHOWN).items()]
    return ", ".join(top) + (f", +{len(counts) - VALUES_SHOWN}" if len(counts) > VALUES_SHOWN else "")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _cell(value: Any) -> str:
    text = value_text(value) or ""
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def _plain(value: Any) -> Any:
    return None if value is None or value != value or value is pd.NA else value


# --- results --------------------------------------------------------------------------------------------------------


def refresh_results(run: Run, store: RunStore, iteration: int, known: str) -> str:
    """Compute the numbers anew if verdicts have come since the mark `known`; gives the mark of now."""
    decisions = store.decisions(run.run_id, iteration)
    mark = decisions.count_anew()
    if mark != known:
        validation.share_pools(store, run.run_id, iteration)
        decisions.set_results(results(run, store, iteration), mark)
    return mark


def results(run: Run, store: RunStore, iteration: int) -> dict[str, Any]:
    """Measure an iteration with the verdicts there are now: what the Results view shows, as plain data."""
    measured = measured_now(run, store, iteration)
    entries = store.load(run.run_id, "history")["iterations"][:iteration]
    entries[-1] = entries[-1] | {key: measured[key] for key in COMPARED if key in measured}
    validations = store.validations(run.run_id)
    texts = texts_of(store, run.run_id)
    agreed = metrics.agreement(validations[validations["iteration"] == iteration])
    disputed = [{**each, "text": texts.get(each["item_id"], "")} for each in agreed["disputed"]]
    comparison = compare(run, store, iteration - 1, iteration) if iteration > 1 else None
    return {
        "iteration": iteration,
        "accuracy": measured["accuracy"],
        "calibration": measured["calibration"],
        "iterations": [{key: each[key] for key in COMPARED} for each in entries],
        "timeline": metrics.category_timeline(entries),
        "paired": comparison and comparison["paired"],
        "review_next": _review_next(run, store, iteration, measured),
        "prompt": metrics.prompt_advice(measured, comparison),
        "reviewers": store.decisions(run.run_id, iteration).reviewers(),
        "agreement": agreed | {"disputed": disputed},
    }


def _review_next(run: Run, store: RunStore, iteration: int, measured: dict[str, Any]) -> dict[str, Any]:
    """Say what nobody has reviewed yet and why it should be, and which large categories have too few verdicts."""
    thin = metrics.thin_categories(measured)
    judged = store.validations(run.run_id)["item_id"]
    said = store.load(run.run_id, "predictions", iteration)
    before = store.load(run.run_id, "predictions", iteration - 1) if iteration > 1 else None
    previous = None if before is None else before.set_index("item_id")["category"]
    reasons = metrics.what_to_review(said, store.load(run.run_id, "items"), judged, thin, previous)
    return {"reasons": reasons, "thin": thin}


def take_in(run: Run, store: RunStore, iteration: int) -> str:
    """Let verdicts that came after an iteration was validated count in its numbers; says what is to be done now."""
    done, late = (store.stage_done(run.run_id, stage, iteration) for stage in ("validate", "refine"))
    validations = store.validations(run.run_id, iteration)
    if done and not late and len(validations):
        with store.lock(run.run_id), store.lock(run.run_id, name="stage", wait_seconds=LOCK_WAIT):
            notes = Notes(store, run, Step("validate", iteration), None)
            validation.share_pools(store, run.run_id, iteration)
            validation.keep_verdicts(notes)
            measure(notes)
            delivery.deliver(run, store, texts_of(store, run.run_id))
    asked = len(validation.asked_about(store, run.run_id, iteration))
    given = f"{validations['item_id'].nunique():,} of {asked:,} items have a verdict."
    if late:
        return f"{given} Those that came after the next prompt was made count in the tables of the next stage alone."
    if done:
        return f"{given} The run's numbers and tables count them."
    return f"{given} Go on with `workbench run PARAMETERS.yaml --run-id {run.run_id} --resume`."
