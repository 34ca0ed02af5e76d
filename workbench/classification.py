"""Who is asked, and with what money: the classifier that parameters describe, what it will cost, what it has cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from workbench import intake, llm, metrics, refinery, tracking
from workbench.errors import BudgetReached, ParameterError, UsageError
from workbench.parameters import Parameters
from workbench.records import Status
from workbench.runs import RunStore
from workbench.settings import find_file, shown
from workbench.stages import Notes
from workbench.values import amount_text

_ANEW = "asked_anew_since"
ASSUMED_LOW = 0.3
"""Share of the items with a low score in an estimate, as long as a run has no scores."""


def provider_of(parameters: Parameters, *, asks: bool = True) -> llm.Provider:
    """Make the provider that classifies, or one that only says what it would cost; raises UsageError."""
    section = parameters.classify
    options = section.provider_options() | ({"asks": False} if section.provider == "openai" and not asks else {})
    return llm.get_provider(section.provider, **options)


def check(parameters: Parameters, *, asks: bool = True) -> llm.Prompt:
    """Find every mistake about prompt, provider and budget before anything is sent; gives the prompt."""
    prompt = llm.load_prompt(find_file(parameters.classify.prompt))
    with parameters.told_at("classify", "provider"):
        provider = provider_of(parameters, asks=asks)
    classifier = llm.classifier_of(prompt, provider, _limits(parameters, 0.0))
    if parameters.classify.judge:
        with parameters.told_at("classify", "judge"):
            asked = _judge_of(parameters, asks=asks)
        judge = llm.Classifier(prompt, asked, _judge_limits(parameters, 0.0))
        if judge.provider.fingerprint == classifier.provider.fingerprint:
            raise ParameterError(
                f"classify.judge is {judge.provider.model!r} itself: it would agree with itself.",
                hint="name another model, or leave classify.judge out.",
            )
    return prompt


def estimate(
    items: pd.DataFrame,
    prompt: llm.Prompt,
    parameters: Parameters,
    store: RunStore,
    run_id: str | None = None,
    iteration: int = 0,
) -> llm.Estimate:
    """Estimate what it costs to classify items, and to have a second opinion on some of them; nothing is sent."""
    limits = _limits(parameters, spent(store, run_id) if run_id else 0.0)
    cache = _cache(parameters, store, run_id, iteration)
    found = llm.estimate(items, prompt, provider_of(parameters, asks=False), limits, cache)
    options = parameters.classify.judge
    if options is None:
        return found
    low = _share_of_low_scores(store, run_id, options.below)
    asked = items.sample(round(found.items * (low + (1 - low) * options.share)), random_state=parameters.run.seed)
    judge = llm.estimate(asked, prompt, _judge_of(parameters, asks=False), _judge_limits(parameters, 0.0), cache)
    return replace(found, judge=judge)


def _share_of_low_scores(store: RunStore, run_id: str | None, below: float) -> float:
    """Give the share of the items that the judge is asked about for their score: that of the run's last iteration."""
    if not run_id or not (newest := store.newest(run_id, "predictions")):
        return ASSUMED_LOW
    score = store.load(run_id, "predictions", newest, columns=["score"])["score"]
    return float((score < below).mean()) if len(score) else 0.0


def estimate_input(parameters: Parameters, store: RunStore) -> llm.Estimate:
    """Estimate the first iteration of a run that was not started: reads and cleans the rows, keeps nothing.

    No key is needed for it.
    """
    prompt, options = check(parameters, asks=False), parameters.ingest
    pipeline = refinery.get_pipeline(options.pipeline, abbreviations=options.abbreviations)
    prepared = intake.Intake(options, pipeline, store, gold_column=parameters.validate_.gold_column)
    for _ in prepared.parts():
        pass
    return estimate(pa.concat_tables(prepared.items()).to_pandas(), prompt, parameters, store)


def classify_items(
    notes: Notes, prompt: llm.Prompt, parameters: Parameters, only: Collection[str] = ()
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Classify the items of a run, or some of them; gives the predictions and what they have cost.

    Raises BudgetReached, after everything that was paid for is kept.
    """
    store, run_id = notes.store, notes.run.run_id
    before = spent(store, run_id)
    limits, items = _limits(parameters, before), store.load(run_id, "items")
    if only:
        limits, items = limits.changed(sample_size=0, audit_sample=0), items[items["item_id"].isin(only)]
    memory = Batches(store, run_id, notes.step.iteration)
    memory.check(parameters.classify.mode)
    _begin_anew(parameters, store, run_id, notes.step.iteration)
    cache = _cache(parameters, store, run_id, notes.step.iteration)
    classifier = llm.classifier_of(prompt, provider_of(parameters), limits, cache, memory)
    classifier.log = store.log(run_id)
    if parameters.classify.keep_raw:
        classifier.on_call = partial(store.append, run_id, "raw_answers", iteration=notes.step.iteration)
    earlier = _spending(store, run_id, notes.step.iteration)
    good_calls = 0

    def progress(at: llm.Progress) -> None:
        nonlocal good_calls
        if at.last_call:
            good_calls += at.last_call.good
            notes.tracker.log(tracking.chunk_metrics(at.last_call))
        if at.more:
            return
        _spend(notes, earlier, at.cost_usd if at.usage.calls else None, classifier.provider.model)
        notes.progress(at.done, at.total, str(at))

    predictions = classifier.classify(items, on_progress=progress)
    if classifier.left or classifier.left_again:
        done = int((predictions["status"] != Status.PENDING).sum())
        again = f"{classifier.left_again:,} of them still to be asked again"
        left = f"{classifier.left:,} left" if classifier.left else again
        usd = amount_text(spent(store, run_id))
        raise BudgetReached(
            f"the budget of {parameters.classify.budget_usd:g} USD is used up: {usd} USD spent,"
            f" {done:,} of {len(predictions):,} items done, {left}.",
            hint=f"raise classify.budget_usd and go on with --run-id {run_id} --resume; what was answered is kept.",
        )
    processing = classifier.processing()
    notes.tracker.log(tracking.overall_metrics(processing, parameters.classify.concurrency, good_calls))
    return predictions, processing


def forget(items: pd.DataFrame, prompts: Iterable[llm.Prompt], parameters: Parameters, store: RunStore) -> int:
    """Forget the kept answers to items under these prompts; gives how many there were."""
    provider, limits = provider_of(parameters), _limits(parameters, 0.0)
    keys = [key for prompt in prompts for key in llm.answer_keys(items, prompt, provider, limits)]
    return store.answers().forget(keys)


def write(notes: Notes, request: llm.Writing, parameters: Parameters) -> str:
    """Let the model that classifies write a text; raises ProviderError, and BudgetReached before anything is sent."""
    store, run_id = notes.store, notes.run.run_id
    provider, left = provider_of(parameters), _limits(parameters, spent(store, run_id)).budget_usd
    budget, earlier = llm.Budget(left, provider.model), _spending(store, run_id, notes.step.iteration)
    tokens = llm.estimate_tokens(request.instructions) + llm.estimate_tokens(request.data)
    forecast = llm.Usage(1, tokens, 0, llm.ANSWER_TOKENS)
    if not budget.reserve(forecast):
        raise BudgetReached(f"the budget of {parameters.classify.budget_usd:g} USD has no room for it.")
    try:
        response = llm.write(provider, request)
    except llm.CallFailed as error:
        budget.settle(forecast, error.usage)
        raise
    else:
        budget.settle(forecast, response.usage)
    finally:
        _spend(notes, earlier, budget.spent, provider.model)
    return response.text


def _spend(notes: Notes, earlier: float, usd: float | None, model: str) -> None:
    if usd:
        spending = {"cost_usd": earlier + usd, "model": model}
        notes.store.save(notes.run.run_id, "spending", spending, notes.step.iteration)


@dataclass(frozen=True)
class Batches:
    """What is noted of an iteration's batches, in its batches.json."""

    store: RunStore
    run_id: str
    iteration: int

    def load(self) -> list[dict[str, Any]]:
        """Give what was noted last."""
        known = self.store.has(self.run_id, "batches", self.iteration)
        return list(self.store.load(self.run_id, "batches", self.iteration)) if known else []

    def save(self, notes: list[dict[str, Any]]) -> None:
        """Note it."""
        self.store.save(self.run_id, "batches", notes, self.iteration)

    def check(self, mode: str) -> None:
        """Raise ParameterError where answers that a batch will bring would be asked for call by call, too."""
        away = [note["batch_id"] or note["file_id"] for note in self.load() if "chunks" in note]
        if away and mode == "live":
            raise ParameterError(
                f"batch {', '.join(away)} of run {self.run_id!r} is still under way, and will be paid for.",
                hint="go on with classify.mode: batch; or cancel it at the service and remove "
                f"{shown(self.store.path(self.run_id, 'batches', self.iteration))}.",
            )


def ask_second_opinion(
    notes: Notes, prompt: llm.Prompt, parameters: Parameters, predictions: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Ask the judge, if there is one, about some of the items; keeps judgements.parquet.

    Gives the predictions with what the judge says beside them, and `judge` of metrics.json. Nothing that goes wrong
    with the judge is an error: it is told there.
    """
    options, store = parameters.classify.judge, notes.store
    if options is None:
        return predictions, None
    run_id, iteration = notes.run.run_id, notes.step.iteration
    before = _spending(store, run_id, iteration)

    def progress(at: llm.Progress) -> None:
        if at.more:
            return
        if at.usage.calls and at.cost_usd:
            spending = {"cost_usd": before + at.cost_usd, "model": parameters.classify.model}
            store.save(run_id, "spending", spending, iteration)
        notes.progress(at.done, at.total, f"second opinion: {at}")

    drawn = llm.draw_for_judge(predictions, below=options.below, share=options.share, seed=parameters.run.seed)
    about: dict[str, Any] = {"provider": options.provider, "model": options.model or options.provider}
    about |= {"below": options.below, "share": options.share}
    try:
        limits = _judge_limits(parameters, spent(store, run_id))
        judge = llm.Classifier(prompt, _judge_of(parameters), limits, _cache(parameters, store, run_id, iteration))
    except UsageError as error:
        return predictions, {**about, **metrics.second_opinion(llm.NO_JUDGEMENTS), "error": str(error)}
    said = llm.ask_judge(store.load(run_id, "items"), predictions, drawn, judge, progress)
    store.save(run_id, "judgements", said.judgements, iteration)
    left = f"the budget left {judge.left:,} of {len(drawn):,} items without a second opinion." if judge.left else None
    found = {**about, **metrics.second_opinion(said.judgements), "processing": judge.processing()}
    by_item = said.judgements.set_index("item_id")["judge_category"]
    judged = predictions.assign(judge_category=predictions["item_id"].map(by_item).astype("str"))
    why = said.error.replace("classify.", "classify.judge.") if said.error else left
    return judged, {**found, "error": why}


def _judge_of(parameters: Parameters, *, asks: bool = True) -> llm.Provider:
    section = parameters.classify.judge
    assert section is not None
    options = section.provider_options() | ({"asks": False} if section.provider == "openai" and not asks else {})
    return llm.get_provider(section.provider, **options)


def _judge_limits(parameters: Parameters, spent: float) -> llm.Limits:
    """The judge is asked as the classifier is, but call by call and about everything that was drawn."""
    return _limits(parameters, spent).changed(sample_size=0, mode="live", second_pass_below=0.0, audit_sample=0)


def spent(store: RunStore, run_id: str) -> float:
    """Give what a run has cost so far, in US dollars, interrupted classifications included."""
    iterations = range(1, (store.newest(run_id, "spending") or 0) + 1)
    return sum(_spending(store, run_id, iteration) for iteration in iterations)


def _spending(store: RunStore, run_id: str, iteration: int) -> float:
    known = store.has(run_id, "spending", iteration)
    return float(store.load(run_id, "spending", iteration)["cost_usd"]) if known else 0.0


def _limits(parameters: Parameters, spent: float) -> llm.Limits:
    budget = parameters.classify.budget_usd
    left = max(budget - spent, 1e-12) if budget else 0.0  # 0 would be no limit
    return llm.Limits(**parameters.classify.limits(), seed=parameters.run.seed, budget_usd=left)


def _cache(parameters: Parameters, store: RunStore, run_id: str | None = None, iteration: int = 0) -> llm.AnswerCache:
    """Give the kept answers; where all is asked anew, those that this iteration has been given since it was begun."""
    if parameters.classify.cache:
        return store.answers(llm.Answer)
    begun = store.manifest(run_id).get(_ANEW, {}).get(str(iteration)) if run_id else None
    return store.answers(llm.Answer, since=begun) if begun else llm.WriteOnly(store.answers(llm.Answer))


def _begin_anew(parameters: Parameters, store: RunStore, run_id: str, iteration: int) -> None:
    """Note when an iteration began to ask everything anew, so that going on with it asks nothing twice."""
    if not parameters.classify.cache and str(iteration) not in store.manifest(run_id).get(_ANEW, {}):
        begun = datetime.now(UTC).isoformat(timespec="microseconds")
        store.update_manifest(run_id, **{_ANEW: {str(iteration): begun}})
