"""Verdicts of people: a review sheet goes out, a file with decisions comes back, and becomes validations.

The story: `write_review_sheet` → somebody fills it in → `read_verdicts` (what the file says) → `take_verdicts` (what of
it holds, and what is wrong with the rest) → `to_validations` (the records that a run keeps) → `share_pools` (what they
may be used for) → `final_answers` (who has the last word).
"""

from workbench.review.pools import share_pools
from workbench.review.precedence import DECIDERS, contradictions, final_answers
from workbench.review.sheet import write_review_sheet
from workbench.review.suspects import second_look, suspects
from workbench.review.validations import to_validations, true_categories
from workbench.review.verdict_files import is_filled_in, read_verdicts
from workbench.review.verdicts import TakenVerdicts, gold_categories, take_verdicts, verdicts_from_gold
from workbench.settling import disputed

__all__ = [
    "DECIDERS",
    "TakenVerdicts",
    "contradictions",
    "disputed",
    "final_answers",
    "gold_categories",
    "is_filled_in",
    "read_verdicts",
    "second_look",
    "share_pools",
    "suspects",
    "take_verdicts",
    "to_validations",
    "true_categories",
    "verdicts_from_gold",
    "write_review_sheet",
]
