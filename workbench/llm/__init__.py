"""Classifying items with a prompt: prompts, providers, the classifier, and the cache of answers that were paid for."""

from workbench.llm.batch_memory import BatchMemory
from workbench.llm.budget import Budget, Price, PriceList, load_prices
from workbench.llm.cache import Answer, AnswerCache, MemoryCache, WriteOnly, answer_key
from workbench.llm.classifier import Classifier, classifier_of, classify
from workbench.llm.estimating import Estimate, estimate
from workbench.llm.faults import CallFailed
from workbench.llm.health import Check, Health, check_provider
from workbench.llm.judge import NO_JUDGEMENTS, SecondOpinion, ask_judge, draw_for_judge
from workbench.llm.limits import Limits
from workbench.llm.parsing import GoodAnswer, ParsedAnswer, parse_answer
from workbench.llm.passes import answer_keys
from workbench.llm.progress import Progress
from workbench.llm.prompt import Category, Example, Prompt, ScoreRange, load_prompt
from workbench.llm.prompt_refinement import (
    Lessons,
    Refinement,
    Wishes,
    estimate_tokens,
    learn,
    own_examples,
    refine_prompt,
)
from workbench.llm.proposals import Proposal, Selection, ids_in
from workbench.llm.providers import PROVIDERS, NumberedItem, Provider, Request, Response, Usage, Writing, get_provider
from workbench.llm.reasons import reason_in
from workbench.llm.rule_writing import ANSWER_TOKENS, read_rules, request_rules, write

__all__ = [
    "ANSWER_TOKENS",
    "NO_JUDGEMENTS",
    "PROVIDERS",
    "Answer",
    "AnswerCache",
    "BatchMemory",
    "Budget",
    "CallFailed",
    "Category",
    "Check",
    "Classifier",
    "Estimate",
    "Example",
    "GoodAnswer",
    "Health",
    "Lessons",
    "Limits",
    "MemoryCache",
    "NumberedItem",
    "ParsedAnswer",
    "Price",
    "PriceList",
    "Progress",
    "Prompt",
    "Proposal",
    "Provider",
    "Refinement",
    "Request",
    "Response",
    "ScoreRange",
    "SecondOpinion",
    "Selection",
    "Usage",
    "Wishes",
    "WriteOnly",
    "Writing",
    "answer_key",
    "answer_keys",
    "ask_judge",
    "check_provider",
    "classifier_of",
    "classify",
    "draw_for_judge",
    "estimate",
    "estimate_tokens",
    "get_provider",
    "ids_in",
    "learn",
    "load_prices",
    "load_prompt",
    "own_examples",
    "parse_answer",
    "read_rules",
    "reason_in",
    "refine_prompt",
    "request_rules",
    "write",
]
