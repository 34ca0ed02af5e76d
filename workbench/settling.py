"""What stands of several people's verdicts on one item: the majority; where there is none, a third person decides."""

from __future__ import annotations

import pandas as pd

__all__ = ["disputed", "settled", "true_category"]


def true_category(validations: pd.DataFrame) -> pd.Series[str]:
    """Give the category that each verdict stands for; null where it says "wrong" and names none."""
    is_correct = validations["is_correct"].astype("bool")
    return validations["category"].where(is_correct, validations["corrected_category"]).astype("str")


def settled(validations: pd.DataFrame) -> pd.DataFrame:
    """Give one verdict per item, sorted by item: what most reviewers stand for.

    Of each reviewer the newest verdict on an item counts. Where more of them stand for one category than for any
    other, the newest verdict for it is given; where they are tied, the newest of all, with `disputed` true: it keeps
    its place in the final table until a third person decides, but it measures nothing.

    Args:
        validations: verdicts of any iterations, columns of `records.Validation`.

    Returns:
        The columns of `records.Validation`, `true_category` (null where unnamed) and `disputed`.
    """
    ordered = validations.sort_values(["validated_at", "iteration"], kind="stable", ignore_index=True)
    said = ordered.drop_duplicates(["item_id", "reviewer"], keep="last")
    said = said.assign(true_category=true_category(said))
    stands_for = said["true_category"].fillna("\0not " + said["category"].astype("str"))
    votes = said.groupby([said["item_id"], stands_for])["reviewer"].transform("size")
    leading = said[votes == votes.groupby(said["item_id"]).transform("max")]
    options = stands_for[leading.index].groupby(leading["item_id"]).transform("nunique")
    kept = leading.assign(disputed=options > 1).drop_duplicates("item_id", keep="last")
    return kept.sort_values("item_id", ignore_index=True)


def disputed(validations: pd.DataFrame) -> pd.DataFrame:
    """List the items on which reviewers are tied, for a third person: the newest verdict of each reviewer.

    Columns of `records.Validation` and `true_category`, sorted by item and time.
    """
    tied = settled(validations).query("disputed")["item_id"]
    ordered = validations[validations["item_id"].isin(tied)].sort_values(["validated_at", "iteration"], kind="stable")
    newest = ordered.drop_duplicates(["item_id", "reviewer"], keep="last")
    newest = newest.assign(true_category=true_category(newest))
    return newest.sort_values(["item_id", "validated_at"], kind="stable", ignore_index=True)
