"""Looking items up in a run: the search of the validation service, with everything that was said of each hit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench import metrics, review
from workbench.errors import UsageError
from workbench.records import Run
from workbench.runs import RunStore
from workbench.search import Query, SearchIndex, highlight


class Finder:
    """A run's items, opened once for any number of searches."""

    def __init__(self, run: Run, store: RunStore, texts: pd.Series[str]) -> None:
        """Load the items, what every iteration said and what people decided; raises UsageError before the first."""
        self._store, self._run_id = store, run.run_id
        newest = store.newest(run.run_id, "predictions")
        if newest is None:
            raise UsageError(f"run {run.run_id!r} is not classified yet.", hint="go on with it by --resume.")
        said = {each: store.load(run.run_id, "predictions", each) for each in range(1, newest + 1)}
        self._validations = store.validations(run.run_id)
        self._true = review.true_categories(self._validations)
        final = review.final_answers(said[newest], self._validations, texts)
        self._final = final.set_index("item_id")
        self._said = {each: frame.set_index("item_id", drop=False) for each, frame in said.items()}
        self._index = SearchIndex(store.load(run.run_id, "items"), self._final["category"])

    def find(self, query: Query) -> dict[str, Any]:
        """Search; gives plain data in the fields of `POST /api/validation/search` (docs/commands.md)."""
        hits = self._index.search(query)
        ids = list(hits.items["item_id"])
        said = {each: frame.loc[frame.index.intersection(ids)] for each, frame in self._said.items()}
        judged = self._validations[self._validations["item_id"].isin(ids)]
        histories = metrics.item_histories(said, judged)
        records = hits.items.to_dict("records")
        results = [
            self._result(record, matched, histories.get(record["item_id"], []), query)
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
        self, record: dict[Any, Any], matched: list[str], history: list[dict[str, Any]], query: Query
    ) -> dict[str, Any]:
        item, answer = record["item_id"], self._final.loc[record["item_id"]]
        fields = {name: _plain(record[name]) for name in self._index.fields}
        return {
            "item_id": item,
            "n_rows": int(record["n_rows"]),
            "matched_fields": matched,
            "highlights": {name: highlight(fields[name] or "", query.words) for name in matched},
            "all_clean_fields": fields,
            "current_classification": {name: _plain(answer[name]) for name in CLASSIFICATION},
            "validation_history": history,
            "has_improved": metrics.has_improved(history, self._true.get(item)),
        }

    def with_first_rows(self, found: dict[str, Any]) -> dict[str, Any]:
        """Add `original_index` to every hit: the number of its first row, from 0; it reads the rows once."""
        rows = self._store.load(self._run_id, "rows", columns=["row_id", "item_id"])
        ids = [result["item_id"] for result in found["results"]]
        first = rows[rows["item_id"].isin(ids)].drop_duplicates("item_id").set_index("item_id")["row_id"]
        results = [{"original_index": int(first[each["item_id"]]), **each} for each in found["results"]]
        return {**found, "results": results}


CLASSIFICATION = ("category", "score", "reason", "status", "decided_by")


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value
