"""Near-duplicates share a pool, so that none of them measures a prompt that shows another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.likeness import NEARLY_THE_SAME, likeness


def share_pools(validations: pd.DataFrame, ledger: pd.DataFrame, texts: pd.Series[str]) -> pd.DataFrame:
    """Give new verdicts the pool of what was validated before: of the item itself, else of its nearest near-duplicate.

    Without either, the pool stays what the hash of the text says (`records.pool_of`), whatever else is in the sample;
    only two new items that are nearly the same, but hash differently, share the pool of the first, by time and text.

    Args:
        validations: the new verdicts, columns of `records.Validation`.
        ledger: all earlier verdicts of the run, the same columns.
        texts: the clean text by item_id.
    """
    known = ledger.drop_duplicates("item_id").set_index("item_id")["pool"].to_dict()
    first = validations.sort_values("validated_at", kind="stable").drop_duplicates("item_id").set_index("item_id")
    new, judged_at = first.loc[~first.index.isin(list(known)), "pool"], first["validated_at"]
    order = sorted(new.index, key=lambda item_id: (judged_at[item_id], texts[item_id], item_id))
    placed = [item_id for item_id in known if item_id in texts.index]
    every = [*placed, *order]
    for position, row in enumerate(likeness([texts[item] for item in order], [texts[item] for item in every])):
        before = row[: len(placed) + position]
        twin = int(np.argmax(before)) if len(before) else 0
        is_near = len(before) and before[twin] >= NEARLY_THE_SAME - 1e-9
        known[order[position]] = known[every[twin]] if is_near else new[order[position]]
    return validations.assign(pool=validations["item_id"].map(known).astype("str"))
