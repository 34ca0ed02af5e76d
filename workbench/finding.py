"""Looking items up in a run: the search of the validation service, with everything that was said of each hit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench import metrics, review
from workbench.errors import UsageError
from workbench.records import Run
from workbench.runs import RunStore
from workbench.search import Query, SearchIndex, highlight, prepare


class Finder:
    """A run's items, opened once for any number of searches."""

    def __init__(self, run: Run, store: RunStore) -> None:
        """Load the items and their categories as they stand; raises UsageError before the first classification."""
        self._store, self._run_id = store, run.run_id
        newest = store.newest(run.run_id, "predictions")
        if newest is None:
            raise UsageError(f"run {run.run_id!r} is not classified yet.", hint="go on with it by --resume.")
        self._said = {each: store.load(run.run_id, "predictions", each) for each in range(1, newest + 1)}
        self._validations = store.validations(run.run_id)
        self._true = review.true_categories(self._validations)
        self._table = _prepared(store, run.run_id)
        self._index = SearchIndex(self._table, self._categories(self._said[newest]))

    def _categories(self, said: pd.DataFrame) -> pd.Series[str]:
        """Give the category of every item as it stands: people's, where they judged it or the same text."""
        judged = self._table["item_id"].isin(self._validations["item_id"])
        same = self._table["text"].isin(self._table.loc[judged, "text"])
        answers = self._answers(list(self._table.loc[judged | same, "item_id"]))
        categories = said["category"].set_axis(said["item_id"]).copy()
        categories.loc[answers.index] = answers["category"]
        return categories

    def _answers(self, item_ids: list[str]) -> pd.DataFrame:
        """Give what stands of some items, by item id: a person's word, or the newest iteration's."""
        said = self._said[max(self._said)]
        known = self._table["item_id"].isin([*item_ids, *self._validations["item_id"]])
        texts = self._table.loc[known].set_index("item_id")["text"]
        chosen = said[said["item_id"].isin(item_ids)]
        return review.final_answers(chosen, self._validations, texts).set_index("item_id")

    def find(self, query: Query) -> dict[str, Any]:
        """Search; gives plain data in the fields of `POST /api/validation/search` (docs/commands.md)."""
        hits = self._index.search(query)
        ids = list(hits.items["item_id"])
        said = {each: frame[frame["item_id"].isin(ids)] for each, frame in self._said.items()}
        answers = self._answers(ids)
        judged = self._validations[self._validations["item_id"].isin(ids)]
        histories = metrics.item_histories(said, judged)
        records = hits.items.to_dict("records")
        results = [
            self._result(record | {"answer": answers.loc[record["item_id"]]}, matched, histories, query)
            for record, matched in zip(records, hits.matched_fields, strict=True)
        ]
        return {
            "results": results,
            "total_count": hits.total,
            "page": query.page,
            "limit": query.limit,
            "total_pages": -(-hits.total // query.limit),
            "keyword": query.keyword,
            "searched_fields": hits.searched_fields,
            "category_filter": query.category,
        }

    def _result(
        self, record: dict[Any, Any], matched: list[str], histories: dict[str, list[dict[str, Any]]], query: Query
    ) -> dict[str, Any]:
        item, answer = record["item_id"], record["answer"]
        history = histories.get(item, [])
        fields = {name: _plain(record[name]) for name in self._index.fields}
        return {
            "original_index": int(record["first_row"]),
            "item_id": item,
            "n_rows": int(record["n_rows"]),
            "matched_fields": matched,
            "highlights": {name: highlight(fields[name] or "", query.words) for name in matched},
            "all_clean_fields": fields,
            "current_classification": {name: _plain(answer[name]) for name in CLASSIFICATION},
            "validation_history": history,
            "has_improved": metrics.has_improved(history, self._true.get(item)),
        }


def _prepared(store: RunStore, run_id: str) -> pd.DataFrame:
    """Give the items made ready for searching: prepared by the first search, kept, and made anew if the items change.

    Columns of the items, `first_row` (the number of the item's first row, from 0), and what `search.prepare` adds.
    """
    kept, items_file = store.path(run_id, "search"), store.path(run_id, "items")
    if kept.is_file() and kept.stat().st_mtime_ns >= items_file.stat().st_mtime_ns:
        ready: pd.DataFrame = store.load(run_id, "search")
        return ready
    items = store.load(run_id, "items")
    rows = store.load(run_id, "rows", columns=["row_id", "item_id"]).dropna(subset="item_id")
    first = rows.drop_duplicates("item_id").set_index("item_id")["row_id"]
    table = prepare(items.assign(first_row=items["item_id"].map(first)))
    store.save(run_id, "search", table)
    return table


CLASSIFICATION = ("category", "score", "reason", "status", "decided_by")


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value
