"""From verdicts to the next prompt: proposals, what people take of them, and a trial on the dev pool.

The next iteration starts from `refined_prompt.yaml`. A new prompt that does worse on the dev verdicts is shown, but not
taken: then that file holds the present prompt.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from workbench import classification, llm, metrics
from workbench.errors import ParameterError, WorkbenchError, nearest
from workbench.measuring import prompt_of, shown_items, texts_of
from workbench.parameters import Parameters, RefineSection
from workbench.records import Pool, Run
from workbench.runs import RunStore
from workbench.stages import Notes, parameters_of

CHOICES = {("refine", "accept"), ("refine", "strike"), ("refine", "adopt")}
"""Parameters that people set after they have seen the proposals."""


def refine(notes: Notes, parameters: Parameters) -> None:
    """Write the refined prompt, the proposals and the difference of an iteration."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    options, prompt = parameters.refine, prompt_of(notes.run, store, iteration)
    verdicts = store.validations(run_id)
    texts = texts_of(store, run_id)
    verdicts = verdicts.assign(text=verdicts["item_id"].map(texts))
    written, fault = _written_rules(notes, prompt, verdicts, parameters)
    refinement = llm.refine_prompt(
        prompt,
        verdicts,
        max_examples=options.max_examples,
        max_tokens=options.max_tokens,
        additional_examples=options.own_examples(),
        written_rules=written,
        selection=llm.Selection(options.accept, options.strike),
        to_classify=texts[~texts.index.isin(verdicts["item_id"])].tolist(),
    )
    if options.accept != "none" and iteration + 1 >= parameters.run.iterations:  # later refinements may propose more
        check_ids(options, _ids(notes.run, store) | {each.proposal_id for each, _ in refinement.proposals})
    is_new = refinement.prompt.fingerprint != prompt.fingerprint
    trial = _tried(notes, refinement.prompt, verdicts, parameters) if is_new else None
    adopted = not trial or not trial["is_worse"] or options.adopt == "always"
    record = _record(refinement, trial, adopted, parameters)
    record |= {"iteration": iteration, "written_rules": [rule.to_dict("written") for rule in written]}
    store.save(run_id, "proposals", record, iteration)
    store.save(run_id, "prompt_diff", refinement.diff, iteration)
    store.save(run_id, "refined_prompt", (refinement.prompt if adopted else prompt).to_yaml(), iteration)
    brought = refinement.improvement_metrics() if adopted else {"examples_added": 0, "categories_improved": []}
    summary = " ".join(filter(None, (refinement.summary, record["sentence"], fault)))
    notes.facts.update(brought, adopted=adopted, trial=trial, summary=summary)


def check_ids(options: RefineSection, known: Collection[str], before: Collection[str] = ()) -> None:
    """Refuse ids to accept or strike that match nothing; those that stood there `before` may match later.

    Raises ParameterError with the nearest ids.
    """
    accept = [] if isinstance(options.accept, str) else options.accept
    for name, ids in (("accept", accept), ("strike", options.strike)):
        if unknown := [each for each in ids if each not in known and each not in before]:
            raise ParameterError(
                f"refine.{name}: no rule or example has the id {', '.join(map(repr, unknown))}.",
                hint=nearest(unknown[0], sorted(known)),
            )


def check_choices(run: Run, store: RunStore, parameters: Parameters) -> None:
    """Refuse new ids that match nothing, once there are proposals; raises ParameterError."""
    before = parameters_of(run).refine
    if store.newest(run.run_id, "proposals"):
        check_ids(parameters.refine, _ids(run, store), {*before.strike, *before.accept})


def _ids(run: Run, store: RunStore) -> set[str]:
    """Give the ids of everything that was proposed in a run or stands in its prompts."""
    known: set[str] = set()
    for iteration in range(1, (store.newest(run.run_id, "prompt") or 0) + 1):
        known |= llm.ids_in(prompt_of(run, store, iteration))
        if store.has(run.run_id, "proposals", iteration):
            known |= {each["proposal_id"] for each in store.load(run.run_id, "proposals", iteration)["proposals"]}
    return known


def _tried(notes: Notes, candidate: llm.Prompt, verdicts: pd.DataFrame, parameters: Parameters) -> dict[str, Any]:
    """Try a new prompt on the dev verdicts that neither it nor an earlier prompt shows."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    true = metrics.judged_in(verdicts, Pool.DEV, shown_items(notes.run, store, iteration, candidate))
    before = store.load(run_id, "predictions", iteration)
    if true.empty:
        return metrics.try_prompt(true, before, before)
    live = parameters.classify.model_copy(update={"mode": "live"})  # nobody waits a day for a few items
    parameters = parameters.model_copy(update={"classify": live})
    after, _ = classification.classify_items(notes, candidate, parameters, only=set(true.index))
    return metrics.try_prompt(true, before, after)


def _record(
    refinement: llm.Refinement, trial: dict[str, Any] | None, adopted: bool, parameters: Parameters
) -> dict[str, Any]:
    """Give the content of proposals.json."""
    options = parameters.refine
    words = {True: "accepted", False: "struck"}
    proposals = [proposal.to_dict(words[taken]) for proposal, taken in refinement.proposals]
    return {
        "adopted": adopted,
        "sentence": _sentence(trial, adopted),
        "trial": trial,
        "accept": options.accept,
        "strike": list(options.strike),
        "summary": refinement.summary,
        "proposals": proposals,
    }


def _sentence(trial: dict[str, Any] | None, adopted: bool) -> str:
    if trial is None:
        return "The next iteration keeps the present prompt."
    if not adopted:
        end = "It does worse and is not taken: the next iteration keeps the present prompt."
    elif trial["is_worse"]:
        end = "It does worse, but is taken, because refine.adopt is always."
    else:
        end = "It is taken." if trial["n"] else "It is taken untried."
    return f"{trial['sentence']} {end}"


def _written_rules(
    notes: Notes, prompt: llm.Prompt, verdicts: pd.DataFrame, parameters: Parameters
) -> tuple[list[llm.Proposal], str]:
    """Let the model write rules, if that is wanted; what it wrote before in this iteration stays. A fault is told."""
    store, run_id, iteration = notes.store, notes.run.run_id, notes.step.iteration
    if not parameters.refine.llm_rules:
        return [], ""
    if store.has(run_id, "proposals", iteration):
        kept = store.load(run_id, "proposals", iteration)["written_rules"]
        if kept:
            return [llm.Proposal.from_dict(each) for each in kept], ""
    lessons = llm.learn(prompt, verdicts)
    if not lessons.pairs:
        return [], ""
    try:
        request = llm.request_rules(prompt, lessons.candidates, lessons.ordered_pairs)
        answer = classification.write(notes, request, parameters)
        return llm.read_rules(answer, lessons.candidates, lessons.ordered_pairs), ""
    except WorkbenchError as error:
        notes.store.log(run_id).warning("no rules were written: %s", error)
        return [], f"The model wrote no rules: {error.message}"


def is_open(run: Run, iterations: int, store: RunStore) -> bool:
    """Say whether a refinement is still to come, or may be made again because no iteration has begun with it."""
    return any(not store.has(run.run_id, "prompt", each + 1) for each in range(1, iterations))


def reopen(run: Run, store: RunStore) -> None:
    """Have a refinement made again that no iteration has begun with."""
    newest = store.newest(run.run_id, "refined_prompt")
    if newest and not store.has(run.run_id, "prompt", newest + 1):
        store.start_stage(run.run_id, "refine", newest)
