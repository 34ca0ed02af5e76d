"""The review of an iteration: what people are asked, what comes back, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import llm, metrics, review, sampling
from workbench.errors import UsageError, VerdictError, few
from workbench.measuring import prompt_of, texts_of
from workbench.parameters import Parameters, ValidateSection
from workbench.records import PREDICTION_COLUMNS, Run
from workbench.runs import RunStore
from workbench.settings import find_file, language
from workbench.stages import Notes, parameters_of

FIRST = "reviewer"
"""Who stands behind verdicts whose file names nobody."""

SECOND = "second reviewer"
"""Who stands behind the second sheet, where it names nobody."""


def draw_sample(notes: Notes, parameters: Parameters) -> None:
    """Draw what people shall check, find what they shall look at again, and write the review sheets."""
    store, run_id, iteration, options = notes.store, notes.run.run_id, notes.step.iteration, parameters.validate_
    predictions, texts = store.load(run_id, "predictions", iteration), texts_of(store, run_id)
    seed = parameters.run.seed + iteration
    sample = sampling.draw(
        _candidates(notes, predictions, options),
        strategy=options.strategy,
        size=options.sample_size,
        seed=seed,
        exclude=[*store.validations(run_id)["item_id"], *texts.index[texts == ""]],
        confidence_threshold=options.confidence_threshold,
    )
    shares = {"blind_share": options.blind_share, "overlap_share": options.overlap_share}
    store.save(run_id, "sample", sampling.mark_for_reviewers(sample, **shares, seed=seed), iteration)
    ask_again(notes.run, store, iteration)
    if options.gold_column is None:
        write_review_sheets(notes.run, store, iteration)
    notes.facts["sampling"] = sampling.sampling_stats(
        predictions, sample, options.confidence_threshold, target_size=options.sample_size
    )


def ask_again(run: Run, store: RunStore, iteration: int) -> None:
    """Find what people should look at again in an iteration."""
    predictions, validations = store.load(run.run_id, "predictions", iteration), store.validations(run.run_id)
    again = review.second_look(predictions, validations, texts_of(store, run.run_id))
    store.save(run.run_id, "review_items", again, iteration)


def _candidates(notes: Notes, predictions: pd.DataFrame, options: ValidateSection) -> pd.DataFrame:
    """Put beside the predictions what the strategy needs to know of the items."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    size = "amount" if options.weight_by == "amount" else "n_rows"
    columns: dict[str, Callable[[], pd.Series[Any]]] = {
        "text": lambda: predictions["item_id"].map(texts_of(store, run_id)),
        "weight": lambda: predictions["item_id"].map(store.load(run_id, "items").set_index("item_id")[size]),
        "error_rate": lambda: predictions["category"].map(metrics.error_rates(store.validations(run_id))),
        "previous_category": lambda: predictions["item_id"].map(_categories(store, run_id, iteration - 1)),
    }
    needed = {name: columns[name]() for name in sampling.NEEDS.get(options.strategy, ())}
    return predictions.assign(**needed)


def _categories(store: RunStore, run_id: str, iteration: int) -> pd.Series[str]:
    """Give the category of every item in an iteration; none before the first."""
    if iteration < 1:
        return pd.Series(dtype="str")
    before: pd.DataFrame = store.load(run_id, "predictions", iteration)
    return before.set_index("item_id")["category"]


def check_more(run: Run, store: RunStore, iteration: int, file: str | Path) -> None:
    """Refuse more verdicts than an iteration was validated with, before anything is touched.

    Raises UsageError where the next prompt is made from those that there are, VerdictError for a file of another kind.
    """
    review.read_verdicts(file)
    if store.has(run.run_id, "refined_prompt", iteration):
        raise UsageError(
            f"iteration {iteration} of run {run.run_id!r} takes no more verdicts: the next prompt is made from them.",
            hint="review the newest iteration; its sheet comes from `workbench export RUN --sample FILE.xlsx`.",
        )


@dataclass(frozen=True)
class _Sheet:
    """A file that holds verdicts."""

    path: Path
    reviewer: str
    """Who stands behind it, where it does not say."""
    before: str = ""
    """What stands before what is said of it: its name, where it is not the file that is meant first."""
    saved_at: str = ""
    """What was said later stands; empty: what it says stands."""


def take_verdicts(notes: Notes, options: ValidateSection) -> tuple[list[str], list[str]]:
    """Keep the verdicts that gold column, review sheets and verdicts file give.

    Says what is wrong, so that it was not taken, and what people should know although nothing is.
    """
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    if options.gold_column:
        return _take_gold(notes, options.gold_column), []
    prompt, texts = prompt_of(notes.run, store, iteration), texts_of(store, run_id)
    asked, sampled = asked_about(store, run_id, iteration), store.load(run_id, "sample", iteration)["item_id"]
    known = set(store.validations(run_id)["item_id"]) - set(asked["item_id"])
    faults, told = list[str](), list[str]()
    for sheet, raw in [(sheet, review.read_verdicts(sheet.path)) for sheet in _sheets(notes, options)]:
        wanted = raw[~raw["item_id"].isin(known)]
        taken = review.take_verdicts(wanted, asked, prompt.category_names, prompt.find_category)
        given = review.to_validations(taken.frame, asked, iteration=iteration, texts=texts, reviewer=sheet.reviewer)
        before = store.validations(run_id, iteration)
        verdicts = _not_outdated(given, before, sheet)
        store.add_validations(run_id, review.share_pools(verdicts, store.validations(run_id), texts))
        faults += [sheet.before + fault for fault in taken.faults]
        told += [sheet.before + each for each in (*_not_asked(raw, known, sampled), *_replaced(verdicts, before))]
    return faults, told


def _take_gold(notes: Notes, column: str) -> list[str]:
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    prompt, texts = prompt_of(notes.run, store, iteration), texts_of(store, run_id)
    sample = store.load(run_id, "sample", iteration)
    gold = review.gold_categories(store.load(run_id, "rows"), column)
    taken = review.verdicts_from_gold(sample, gold, prompt.find_category)
    verdicts = review.to_validations(taken.frame, sample, iteration=iteration, texts=texts)
    store.add_validations(run_id, review.share_pools(verdicts, store.validations(run_id), texts))
    return list(taken.faults)


def _not_outdated(verdicts: pd.DataFrame, before: pd.DataFrame, sheet: _Sheet) -> pd.DataFrame:
    """Leave out verdicts of a sheet that the same reviewers have changed after it was saved."""
    if not sheet.saved_at:
        return verdicts
    later = before.loc[before["validated_at"] > sheet.saved_at, ["item_id", "reviewer"]]
    return verdicts[~pd.MultiIndex.from_frame(verdicts[["item_id", "reviewer"]]).isin(pd.MultiIndex.from_frame(later))]


def _not_asked(raw: pd.DataFrame, known: set[str], sampled: pd.Series[str]) -> list[str]:
    """Tell of verdicts that are left out, as their items are `known` from earlier and not asked about now."""
    decided = raw[["is_correct", "corrected_category"]].notna().any(axis=1)
    count = int((decided & raw["item_id"].isin(known)).sum())
    if not count:
        return []
    one = "1 row is of an item that was judged before and is not asked about now"
    many = f"{count:,} rows are of items that were judged before and are not asked about now"
    question = "" if raw["item_id"].isin(sampled).any() else "; is this the sheet of another iteration?"
    return [(one if count == 1 else many) + (question or ".")]


def _replaced(verdicts: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    """Tell of verdicts that take the place of other answers of the same reviewers on the same items."""
    both = verdicts.merge(before, on=["item_id", "reviewer"], suffixes=("", "_before"))
    same_category = both["corrected_category"].fillna("") == both["corrected_category_before"].fillna("")
    other = both[(both["is_correct"] != both["is_correct_before"]) | ~same_category]
    if other.empty:
        return []
    names, were = sorted(set(other["reviewer"])), "verdict was" if len(other) == 1 else "verdicts were"
    told = f"{len(other):,} earlier {were} replaced by another answer of the same name ({few(names)})."
    return [f"{told} Sheets of two people are kept apart by --reviewer NAME." if FIRST in names else told]


def _sheets(notes: Notes, options: ValidateSection) -> Iterator[_Sheet]:
    """Give the run's own sheets, then the file that was given: where a reviewer stands in both, the file counts."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    own = {"review_sheet": FIRST, "second_review_sheet": SECOND}
    paths = {store.path(run_id, name, iteration): reviewer for name, reviewer in own.items()}
    there = {path: reviewer for path, reviewer in paths.items() if path.exists()}
    if not options.verdicts:
        for path, reviewer in there.items() or paths.items():
            yield _Sheet(path, reviewer, f"{path.name}, " if reviewer == SECOND else "")
        return
    given, behind = find_file(options.verdicts), FIRST
    for path, reviewer in there.items():
        if given.exists() and path.samefile(given):
            behind = reviewer
        else:
            saved = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="microseconds")
            yield _Sheet(path, reviewer, f"{path.name}, ", saved)
    yield _Sheet(Path(options.verdicts), options.reviewer or behind)


def keep_verdicts(notes: Notes) -> None:
    """Write what people decided in an iteration, how reviewers compare, and which verdicts look like slips."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    validations, every = store.validations(run_id, iteration), store.validations(run_id)
    store.save(run_id, "validations", validations, iteration)
    marks = _marks(store, run_id, iteration)
    store.save(run_id, "validations_json", metrics.validation_document(validations, every, marks), iteration)
    store.save(run_id, "suspects", review.suspects(every, texts_of(store, run_id)), iteration)


def _marks(store: RunStore, run_id: str, last: int) -> pd.DataFrame | None:
    """Say which items were judged without the suggestion, over all samples that know it."""
    samples = {each: store.load(run_id, "sample", each) for each in range(1, last + 1)}
    marked = [frame[["item_id", "blind"]].assign(iteration=n) for n, frame in samples.items() if "blind" in frame]
    return pd.concat(marked, ignore_index=True) if marked else None


def asked_about(store: RunStore, run_id: str, iteration: int) -> pd.DataFrame:
    """Give what reviewers are asked: the sample, and the items that people should look at again.

    Columns of `records.Prediction`, `blind` (the suggestion is hidden) and `overlap` (two reviewers judge it).
    """
    sample = store.load(run_id, "sample", iteration)
    again = store.load(run_id, "review_items", iteration) if store.has(run_id, "review_items", iteration) else None
    parts = [sample, again] if again is not None and len(again) else [sample]
    both: pd.DataFrame = pd.concat([part.reindex(columns=[*PREDICTION_COLUMNS, "blind", "overlap"]) for part in parts])
    marks = {name: both[name].eq(True) for name in ("blind", "overlap")}
    return both.assign(**marks).reset_index(drop=True)


def judged(store: RunStore, run_id: str, iteration: int) -> set[str]:
    """Give the items of an iteration's sample that have a verdict in it, by however many people."""
    sample: pd.DataFrame = store.load(run_id, "sample", iteration, columns=["item_id"])
    return set(sample["item_id"]) & set(store.validations(run_id, iteration)["item_id"])


def nothing_to_ask(notes: Notes) -> str:
    """Say why an iteration does not wait for a review; empty where its sample holds an item.

    Items to look at again alone are no reason to wait: what people decided of them stands until somebody looks.
    """
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    if len(store.load(run_id, "sample", iteration)):
        return ""
    items = store.load(run_id, "items", columns=["item_id"])["item_id"]
    judged = set(store.validations(run_id)["item_id"])
    left = len(set(items) - judged)
    if not judged:
        return "No item has both a text and an answer; there is nothing to draw."
    but = f", but for {left} without answer or text" if left else ""
    return f"Every item has a verdict already{but}; there is nothing to draw."


def share_pools(store: RunStore, run_id: str, iteration: int) -> None:
    """Give verdicts from the dashboard the pool of what was validated before, too."""
    every = store.validations(run_id)
    new = every["iteration"] == iteration
    shared = review.share_pools(every[new], every[~new], texts_of(store, run_id))
    changed = shared[shared["pool"] != every.loc[new, "pool"]]
    store.set_pools(run_id, dict(zip(changed["item_id"], changed["pool"], strict=True)))


def write_review_sheets(run: Run, store: RunStore, iteration: int) -> None:
    """Write the sheet that a reviewer fills in, and a second one where some items are for two."""
    asked = asked_about(store, run.run_id, iteration)
    sheets = {"review_sheet": asked}
    if asked["overlap"].any() and parameters_of(run).validate_.gold_column is None:
        sheets["second_review_sheet"] = asked[asked["overlap"]].reset_index(drop=True)
    for name, rows in sheets.items():
        write_sheet(run, store, iteration, store.path(run.run_id, name, iteration), rows)


def check_sheet_free(run: Run, to: Path) -> None:
    """Raise UsageError where a sheet would be written over what somebody has filled in, or over another file."""
    if not to.exists():
        return
    try:
        is_filled_in = review.is_filled_in(to)
    except VerdictError:
        hint = "choose another name for the sheet."
        raise UsageError(f"{to} is there already, and it is no review sheet.", hint=hint) from None
    if is_filled_in:
        taken_by = f"`workbench validate PARAMETERS.yaml --run-id {run.run_id} --from {to}`"
        raise UsageError(
            f"{to} is filled in already; a new sheet in its place would undo that.",
            hint=f"take its verdicts by {taken_by}, or choose another name for the new sheet.",
        )


def write_sheet(run: Run, store: RunStore, iteration: int, to: Path, asked: pd.DataFrame) -> None:
    """Write a sheet that a reviewer fills in; reasons of our own provider are told in the reviewer's language."""
    if parameters_of(run).classify.provider == "lexical":
        told = asked["reason"].map(partial(llm.reason_in, language()), na_action="ignore")
        asked = asked.assign(reason=told)
    review.write_review_sheet(
        to,
        asked,
        store.load(run.run_id, "items"),
        prompt_of(run, store, iteration).category_names,
        language=language(),
    )
