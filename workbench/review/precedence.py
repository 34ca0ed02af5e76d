"""Who has the last word on an item: a person, a person on an identical item, or the model, in this order."""

from __future__ import annotations

import pandas as pd

from workbench.settling import settled

HUMAN, PROPAGATED, MODEL = "human", "propagated", "model"
DECIDERS = (HUMAN, PROPAGATED, MODEL)

CONTRADICTION_COLUMNS = ("item_id", "category", "reason", "score", "status", "attempts", "human_category", "reviewer")


def final_answers(predictions: pd.DataFrame, validations: pd.DataFrame, texts: pd.Series[str]) -> pd.DataFrame:
    """Put what people decided in place of what the model says; no later classification overwrites it.

    - `human`: the settled verdict on the item (`settling`) names its category (a verdict that calls the prediction
      wrong without naming the right category decides nothing).
    - `propagated`: the item itself was not judged, but people agree on the category of items with the same clean text.
    - `model`: everything else.

    Args:
        predictions: one row per item with the columns of `records.Prediction`.
        validations: verdicts of all iterations, columns of `records.Validation`.
        texts: the clean text by item_id.

    Returns:
        The predictions with `decided_by` added. Where people say something else than the model, `category` is theirs,
        `reason` says so and `score`, which was the model's for another category, is null.
    """
    decided = settled(validations).dropna(subset="true_category").set_index("item_id")
    own = predictions["item_id"].map(decided["true_category"]).astype("str")
    agreed = _agreed(decided.loc[~decided["disputed"], "true_category"], texts)
    shared = predictions["item_id"].map(texts).map(agreed).astype("str")
    category = own.fillna(shared)
    differs = category.notna() & (category != predictions["category"])
    by = (
        pd.Series(MODEL, index=predictions.index, dtype="str").mask(shared.notna(), PROPAGATED).mask(own.notna(), HUMAN)
    )
    said = predictions["category"].astype("str").fillna("nothing")
    who = predictions["item_id"].map(decided["reviewer"]).astype("str").fillna("a person, for the same text")
    return predictions.assign(
        category=category.fillna(predictions["category"]),
        reason=predictions["reason"].mask(differs, "decided by " + who + "; the model says " + said),
        score=predictions["score"].mask(differs),
        decided_by=by,
    )


def _agreed(true: pd.Series[str], texts: pd.Series[str]) -> pd.Series[str]:
    """Give the category of every clean text that people judged, where all verdicts on it agree."""
    by_text = pd.DataFrame({"text": true.index.to_series().map(texts).to_numpy(), "category": true.to_numpy()}).dropna()
    by_text = by_text[by_text["text"] != ""]
    agreed = by_text.groupby("text")["category"].agg(["nunique", "first"])
    return agreed.loc[agreed["nunique"] == 1, "first"]


def contradictions(predictions: pd.DataFrame, validations: pd.DataFrame) -> pd.DataFrame:
    """List the items on which the model has changed its mind against a person, for a second look.

    That is: the settled verdict names a category, and the model now says neither that nor what was judged then.

    Returns:
        `CONTRADICTION_COLUMNS`: the prediction, whose `reason` starts with what the person said, their category and
        their name; sorted by item.
    """
    decided = settled(validations).dropna(subset="true_category")
    about = decided[["item_id", "category", "true_category", "reviewer", "iteration"]]
    both = predictions.merge(about.rename(columns={"category": "judged"}), on="item_id")
    new = both["category"].notna() & (both["category"] != both["true_category"]) & (both["category"] != both["judged"])
    found = both[new].sort_values("item_id", ignore_index=True)
    before = "(" + found["reviewer"] + ", iteration " + found["iteration"].astype("str") + ": " + found["true_category"]
    found["reason"] = before + ") " + found["reason"]
    return found.rename(columns={"true_category": "human_category"})[list(CONTRADICTION_COLUMNS)]
