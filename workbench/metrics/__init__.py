"""Honest numbers: how right, how sure, how much; and whether an iteration is better than the last.

`numbers` and `estimates` hold the statistics; `accuracy` and `categories` measure against verdicts; `processing` sums
up an iteration; `comparison` and `paired` set two side by side; `evolution` looks at all of them. Everything that goes
into a file is plain data without NaN.
"""

from workbench.metrics.accuracy import Accuracy, Usable, measure_accuracy, usable_for_accuracy
from workbench.metrics.advice import prompt_advice, thin_categories, what_to_review
from workbench.metrics.agreement import agreement, second_opinion, sway
from workbench.metrics.calibration import acceptance, calibrate, calibration
from workbench.metrics.comparison import compare_iterations, with_pairs
from workbench.metrics.estimates import DESIGN_COLUMNS, Drawn, drawn_alike, drawn_as, estimate
from workbench.metrics.evolution import (
    best_iteration,
    category_timeline,
    changes,
    evolution,
    has_improved,
    item_histories,
    overall_trend,
    summarise_history,
)
from workbench.metrics.numbers import Interval, reviews_needed, wilson
from workbench.metrics.paired import Side, compare_on_shared_items, mcnemar, paired_difference
from workbench.metrics.processing import iteration_metrics
from workbench.metrics.prompt_trial import errors_left, judged_in, try_prompt, worth_changing
from workbench.metrics.verdicts import error_rates, validation_document, validation_stats

__all__ = [
    "DESIGN_COLUMNS",
    "Accuracy",
    "Drawn",
    "Interval",
    "Side",
    "Usable",
    "acceptance",
    "agreement",
    "best_iteration",
    "calibrate",
    "calibration",
    "category_timeline",
    "changes",
    "compare_iterations",
    "compare_on_shared_items",
    "drawn_alike",
    "drawn_as",
    "error_rates",
    "errors_left",
    "estimate",
    "evolution",
    "has_improved",
    "item_histories",
    "iteration_metrics",
    "judged_in",
    "mcnemar",
    "measure_accuracy",
    "overall_trend",
    "paired_difference",
    "prompt_advice",
    "reviews_needed",
    "second_opinion",
    "summarise_history",
    "sway",
    "thin_categories",
    "try_prompt",
    "usable_for_accuracy",
    "validation_document",
    "validation_stats",
    "what_to_review",
    "wilson",
    "with_pairs",
    "worth_changing",
]
