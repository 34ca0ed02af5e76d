"""Who is asked, and with what money: the classifier that parameters describe, what it will cost, what it has cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from workbench import intake, llm, refinery, tracking
from workbench.errors import BudgetReached, ParameterError
from workbench.parameters import Parameters
from workbench.runs import RunStore
from workbench.settings import find_file, shown
from workbench.stages import Notes


def provider_of(parameters: Parameters, *, asks: bool = True) -> llm.Provider:
    """Make the provider that classifies, or one that only says what it would cost; raises UsageError."""
    section = parameters.classify
    options = section.provider_options() | ({"asks": False} if section.provider == "openai" and not asks else {})
    return llm.get_provider(section.provider, **options)


def check(parameters: Parameters, *, asks: bool = True) -> llm.Prompt:
    """Find every mistake about prompt, provider and budget before anything is sent; gives the prompt."""
    prompt = llm.load_prompt(find_file(parameters.classify.prompt))
    llm.classifier_of(prompt, provider_of(parameters, asks=asks), _limits(parameters, 0.0))
    return prompt


def estimate(
    items: pd.DataFrame, prompt: llm.Prompt, parameters: Parameters, store: RunStore, run_id: str | None = None
) -> llm.Estimate:
    """Estimate what it costs to classify items; nothing is sent."""
    limits = _limits(parameters, spent(store, run_id) if run_id else 0.0)
    return llm.estimate(items, prompt, provider_of(parameters, asks=False), limits, _cache(parameters, store))


def estimate_input(parameters: Parameters, store: RunStore) -> llm.Estimate:
    """Estimate the first iteration of a run that was not started: reads and cleans the rows, keeps nothing.

    No key is needed for it.
    """
    prompt, options = check(parameters, asks=False), parameters.ingest
    pipeline = refinery.get_pipeline(options.pipeline, abbreviations=options.abbreviations)
    prepared = intake.Intake(options, pipeline, gold_column=parameters.validate_.gold_column)
    for _ in prepared.parts():
        pass
    return estimate(prepared.items(), prompt, parameters, store)


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
    classifier = llm.classifier_of(prompt, provider_of(parameters), limits, _cache(parameters, store), memory)
    if parameters.classify.keep_raw:
        classifier.on_call = partial(store.append, run_id, "raw_answers", iteration=notes.step.iteration)
    earlier = _spending(store, run_id, notes.step.iteration)
    good_calls = 0

    def progress(at: llm.Progress) -> None:
        nonlocal good_calls
        if at.last_call:
            good_calls += at.last_call.good
            notes.tracker.log(tracking.chunk_metrics(at.last_call))
        _spend(notes, earlier, at.cost_usd if at.usage.calls else None, classifier.provider.model)
        notes.progress(at.done, at.total, str(at))

    predictions = classifier.classify(items, on_progress=progress)
    if classifier.left:
        raise BudgetReached(
            f"the budget of {parameters.classify.budget_usd:g} USD is used up: {spent(store, run_id):.4f} USD spent,"
            f" {len(predictions) - classifier.left:,} of {len(predictions):,} items done, {classifier.left:,} left.",
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


def _cache(parameters: Parameters, store: RunStore) -> llm.AnswerCache:
    kept = store.answers(llm.Answer)
    return kept if parameters.classify.cache else llm.WriteOnly(kept)
