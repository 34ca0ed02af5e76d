"""Verdicts of people that other verdicts contradict: probably slips, listed for a second look."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.likeness import NEARLY_THE_SAME, gram_vectors
from workbench.review.precedence import CONTRADICTION_COLUMNS, contradictions
from workbench.settling import disputed, settled, true_category

MOST_TEXTS = 20_000
"""Verdicts that are compared; of more, the newest."""

SUSPECT_COLUMNS = (
    *("item_id", "text", "human_category", "reviewer", "iteration", "against", "for_it"),
    *("other_text", "other_category", "similarity"),
)


def suspects(validations: pd.DataFrame, texts: pd.Series[str]) -> pd.DataFrame:
    """List human verdicts that verdicts on identical or nearly identical texts contradict.

    A verdict is suspected where more near-identical items (`likeness`) are given
    another category than the same one. What was said twice of an item (by two people, or again on a second look) is
    no slip and is left out, and so are disputed items, which a third person decides anyway. The idea is that of
    confident learning (Northcutt, Jiang and Chuang 2021, J. Artificial Intelligence Research 70): a verdict that its
    neighbours foretell otherwise is probably wrong; neighbours take the place of a model here.

    Args:
        validations: verdicts of all iterations, columns of `records.Validation`.
        texts: the clean text by item_id.

    Returns:
        `SUSPECT_COLUMNS`, the most contradicted first: how many near-identical items are `against` it and `for_it`, and
        the nearest that contradicts.
    """
    known = settled(validations)
    known = known.assign(text=known["item_id"].map(texts))
    known = known[known["true_category"].notna() & ~known["disputed"] & (known["text"].fillna("") != "")]
    known = known.sort_values("validated_at", kind="stable").tail(MOST_TEXTS).reset_index(drop=True)
    pairs = _near_pairs(known)
    if pairs.empty:
        return pd.DataFrame(columns=list(SUSPECT_COLUMNS))
    votes = pairs.groupby("left")["same"].agg(["sum", "size"])
    against, for_it = (votes["size"] - votes["sum"]), votes["sum"]
    contradicting = pairs[~pairs["same"]].sort_values("similarity", ascending=False, kind="stable")
    nearest = contradicting.drop_duplicates("left").set_index("left")
    chosen = [place for place in nearest.index if against[place] > for_it[place]]
    found = known.loc[chosen].assign(
        human_category=known.loc[chosen, "true_category"],
        against=against.loc[chosen].astype("int64"),
        for_it=for_it.loc[chosen].astype("int64"),
        other_text=known["text"].loc[nearest.loc[chosen, "right"]].to_numpy(),
        other_category=known["true_category"].loc[nearest.loc[chosen, "right"]].to_numpy(),
        similarity=nearest.loc[chosen, "similarity"].round(3),
    )
    found = found[~found["item_id"].isin(_said_twice(validations))]
    order = ["against", "similarity", "item_id"]
    return found.sort_values(order, ascending=[False, False, True], ignore_index=True)[list(SUSPECT_COLUMNS)]


def _near_pairs(known: pd.DataFrame) -> pd.DataFrame:
    """Pair every text with those that say nearly the same: left, right (places), similarity, same (category)."""
    if len(known) < 2:
        return pd.DataFrame()
    vectors: Any = gram_vectors(list(known["text"]))
    parts = []
    for start in range(0, len(known), 1000):
        near = (vectors[start : start + 1000] @ vectors.T).tocoo()
        keep = (near.data >= NEARLY_THE_SAME - 1e-9) & (near.row + start != near.col)
        part = {"left": near.row[keep] + start, "right": near.col[keep], "similarity": near.data[keep]}
        parts.append(pd.DataFrame(part))
    pairs = pd.concat(parts, ignore_index=True)
    category = known["true_category"].to_numpy()
    return pairs.assign(same=category[pairs["left"]] == category[pairs["right"]])


def _said_twice(validations: pd.DataFrame) -> set[str]:
    """Name the items of which the same was said twice, by two people or in two iterations."""
    table = settled(validations).set_index("item_id")["true_category"]
    agreeing = validations[true_category(validations) == validations["item_id"].map(table)]
    times = agreeing.drop_duplicates(["item_id", "reviewer", "iteration"])["item_id"].value_counts()
    return set(times.index[times > 1])


def second_look(predictions: pd.DataFrame, validations: pd.DataFrame, texts: pd.Series[str]) -> pd.DataFrame:
    """List what people should look at again: what the model now contradicts, what is disputed, what looks like a slip.

    Returns:
        `CONTRADICTION_COLUMNS`, each item once; `reason` starts with why it is asked about again. Sorted by item.
    """
    said = settled(validations).set_index("item_id")
    about = predictions.set_index("item_id", drop=False)
    slips = suspects(validations, texts).set_index("item_id")
    why = {item: f"(like {row.other_text!r}, which is {row.other_category}) " for item, row in slips.iterrows()}
    for item, group in disputed(validations).groupby("item_id"):
        each = zip(group["reviewer"], group["true_category"].fillna("not " + group["category"]), strict=True)
        why[item] = f"({', '.join(f'{who}: {what}' for who, what in each)}) "
    known = set(about.index[about["category"].notna()])
    chosen = [item for item in why if item in known]
    again = about.loc[chosen].assign(
        reason=[why[item] + str(about.at[item, "reason"]) for item in chosen],
        human_category=said["true_category"].reindex(chosen),
        reviewer=said["reviewer"].reindex(chosen),
    )
    found = pd.concat([again.reindex(columns=list(CONTRADICTION_COLUMNS)), contradictions(predictions, validations)])
    return found.drop_duplicates("item_id").sort_values("item_id", ignore_index=True)
