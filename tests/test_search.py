"""Searching: without case and accents, escaped, paged, with the history of every hit."""

import json
import re
from html import unescape

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import workflow
from workbench.errors import ColumnNotFound, UsageError
from workbench.parameters import load_parameters
from workbench.runs import open_store
from workbench.search import Query, SearchIndex, fold, highlight

ITEMS = pd.DataFrame(
    {
        "item_id": list("abcd"),
        "cleanText": ["renta de oficina", "Instalación VINIL", None, "vinil <b>"],
        "cleanNote": ["", "oficina", "renta mensual", None],
        "n_rows": [1, 2, 3, 4],
    }
)
CATEGORIES = pd.Series({"a": "Renta", "b": "Publicación", "c": "Renta", "d": "Publicación"})


def found(keyword, **options):
    hits = SearchIndex(ITEMS, CATEGORIES).search(Query(keyword, **options))
    return hits.items["item_id"].tolist(), hits.matched_fields, hits.total


def test_case_and_accents_do_not_matter():
    assert found("INSTALACION")[0] == ["b"]
    assert found("vínil")[0] == ["b", "d"]


def test_every_word_must_occur_in_one_field_and_the_fields_are_named():
    assert found("oficina renta") == (["a"], [["cleanText"]], 1)
    assert found("ofi") == (["a", "b"], [["cleanText"], ["cleanNote"]], 2)


def test_fields_and_category_narrow_the_search():
    assert found("renta", fields=("Note",))[0] == ["c"]
    assert found("vinil", category="publicacion")[0] == ["b", "d"]
    assert found("vinil", category="renta")[0] == []


def test_pages_share_the_hits_out():
    assert found("i", limit=2) == (["a", "b"], [["cleanText"], ["cleanText", "cleanNote"]], 3)
    assert found("i", limit=2, page=2)[0] == ["d"]
    assert found("i", limit=2, page=9)[0] == []


@pytest.mark.parametrize("options", [{"page": 0}, {"limit": 0}, {"limit": 1001}])
def test_impossible_pages_are_refused(options):
    with pytest.raises(UsageError, match="cannot be shown"):
        Query("vinil", **options)


def test_nothing_to_search_for_and_unknown_names_are_answered():
    with pytest.raises(UsageError, match="nothing to search"):
        Query(" ´ ")
    with pytest.raises(ColumnNotFound, match="cleanText"):
        found("vinil", fields=("Tex",))
    with pytest.raises(UsageError, match="Renta"):
        found("vinil", category="Rentas")


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30), st.text(min_size=1, max_size=3))
def test_highlights_escape_everything_and_lose_nothing(text, keyword):
    marked = highlight(text, fold(keyword).split())
    assert unescape(marked.replace("<mark>", "").replace("</mark>", "")) == unescape(text.replace("&", "&amp;"))
    assert not re.search(r"<(?!/?mark>)", marked)


def test_among_200000_items_every_hit_is_counted_and_the_last_page_is_found():
    count = 200_000
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(count)],
            "cleanText": [f"instalación vinil {n} renta oficina {n % 97}" for n in range(count)],
            "n_rows": 1,
        }
    )
    index = SearchIndex(items, pd.Series("Pop", index=items["item_id"], dtype="str"))
    assert index.search(Query("INSTALACION", category="Pop")).total == count
    assert index.search(Query("nothing", category="Pop")).total == 0
    expected = [f"i{n}" for n in range(count) if n % 97 == 96 or "96" in str(n)]
    found = index.search(Query("renta 96", category="Pop", limit=50, page=-(-len(expected) // 50)))
    assert (found.total, found.items["item_id"].iloc[-1]) == (len(expected), expected[-1])


def test_a_hit_tells_what_was_said_of_it_in_every_iteration(loop, project):
    store = open_store()
    run = loop(load_parameters("run.yaml", ["validate.sample_size=24"]), store)
    answer = workflow.search(run, store, Query("playera"))
    json.dumps(answer, allow_nan=False)
    assert (answer["total_count"], answer["total_pages"], answer["searched_fields"]) == (2, 1, ["cleanConcepto"])
    hit = answer["results"][0]
    assert hit["highlights"] == {"cleanConcepto": "<mark>playera</mark> polo"}
    assert hit["all_clean_fields"] == {"cleanConcepto": "playera polo"}
    assert hit["current_classification"]["category"] == "Uniformes"
    assert hit["current_classification"]["decided_by"] == "human"
    rows = store.load(run.run_id, "rows")
    assert rows.loc[hit["original_index"], "item_id"] == hit["item_id"]
    first, second = hit["validation_history"]
    assert (first["iteration"], first["change_type"]) == (1, "manual")
    assert first["user_validation"]["validated_at"] == first["validated_at"]
    assert (second["change_type"], second["user_validation"]) == ("automatic", None)
    assert (second["old_category"], second["old_score"]) == (first["llm_category"], first["new_score"])
    assert hit["has_improved"] in (True, False, None)


def test_what_the_first_search_prepared_is_kept_and_made_anew_when_the_items_change(ran):
    run, store = ran("run.iterations=1")
    before = workflow.search(run, store, Query("taxi"))
    kept = store.path(run.run_id, "search")
    made = kept.stat().st_mtime_ns
    assert workflow.search(run, store, Query("taxi")) == before
    assert kept.stat().st_mtime_ns == made
    items = store.load(run.run_id, "items")
    store.save(run.run_id, "items", items.assign(cleanConcepto=items["cleanConcepto"].str.replace("taxi", "barco")))
    assert workflow.search(run, store, Query("taxi"))["total_count"] == 0
    assert workflow.search(run, store, Query("barco"))["total_count"] == before["total_count"]
