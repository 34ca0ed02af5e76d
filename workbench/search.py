"""Finding items by keyword: without case and accents, over all clean fields or some, with the places marked."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.records import CLEAN_PREFIX, clean_name, clean_text, fold

__all__ = ["Hits", "Query", "SearchIndex", "fold", "highlight", "prepare"]

MOST_PER_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; raises UsageError where it cannot be searched for."""

    keyword: str
    """Every word of it must occur in one field, whole or as a part of a word."""
    fields: tuple[str, ...] | None = None
    """Clean fields, by their own or by their original name; null = all."""
    category: str | None = None
    page: int = 1
    limit: int = 50

    def __post_init__(self) -> None:
        """Check the numbers and the keyword."""
        if not self.words:
            raise UsageError(
                f"there is nothing to search for in {self.keyword!r}.", hint="name a word or a part of one."
            )
        if self.page < 1 or not 1 <= self.limit <= MOST_PER_PAGE:
            raise UsageError(
                f"page {self.page} of {self.limit} items each cannot be shown.",
                hint=f"pages are counted from 1 and hold 1 to {MOST_PER_PAGE:,} items.",
            )

    @property
    def words(self) -> list[str]:
        """The words of the keyword, without case and accents."""
        return fold(self.keyword).split()


@dataclass(frozen=True, slots=True)
class Hits:
    """One page of what was found."""

    items: pd.DataFrame
    """The items of the page, all their columns, in the order of their first rows."""
    matched_fields: list[list[str]]
    """Per item, the fields in which every word occurs."""
    total: int
    """Items on all pages."""
    searched_fields: list[str]


def highlight(text: str, words: Sequence[str]) -> str:
    """Escape a text for HTML and put `<mark>` around the places where folded words occur.

    >>> highlight("Instalación <b> de vinil", ["instalacion", "vin"])
    '<mark>Instalación</mark> &lt;b&gt; de <mark>vin</mark>il'
    """
    folded, origin = [], []
    for place, letter in enumerate(text):
        plain = fold(letter)
        folded.append(plain)
        origin += [place] * len(plain)
    whole, marked = "".join(folded), [False] * len(text)
    for word in words:
        start = whole.find(word)
        while start >= 0:
            for place in range(origin[start], origin[start + len(word) - 1] + 1):
                marked[place] = True
            start = whole.find(word, start + 1)
    return _marked(text, marked)


def _marked(text: str, marked: Sequence[bool]) -> str:
    parts, start = [], 0
    for place in range(1, len(text) + 1):
        if place == len(text) or marked[place] != marked[start]:
            piece = html.escape(text[start:place])
            parts.append(f"<mark>{piece}</mark>" if marked[start] else piece)
            start = place
    return "".join(parts)


FOLDED = "folded "


def prepare(items: pd.DataFrame) -> pd.DataFrame:
    """Add what an index over the items needs: `folded <field>` for every clean field, and the clean `text`."""
    fields = [str(name) for name in items.columns if str(name).startswith(CLEAN_PREFIX)]
    folded = {FOLDED + name: pd.Series(_folded(items[name]).to_pylist(), items.index, "str") for name in fields}
    texts = [clean_text(row) for row in items[fields].itertuples(index=False)]
    return items.assign(**folded, text=pd.Series(texts, items.index, "str"))


class SearchIndex:
    """The items of a run, prepared once so that every search takes milliseconds."""

    def __init__(self, items: pd.DataFrame, categories: pd.Series[str]) -> None:
        """Fold the clean fields of `items`, or take what `prepare` added; `categories`: the category by item_id."""
        self.items = items.reset_index(drop=True)
        self.fields = [str(name) for name in items.columns if str(name).startswith(CLEAN_PREFIX)]
        self.categories = items["item_id"].map(categories).astype("str").to_numpy(dtype=object)
        ready = {name: self.items.get(FOLDED + name) for name in self.fields}
        self._folded = {
            name: _folded(self.items[name]) if known is None else pa.array(known, pa.large_string(), from_pandas=True)
            for name, known in ready.items()
        }

    def search(self, query: Query) -> Hits:
        """Find the items of a page; raises ColumnNotFound for an unknown field, UsageError for an unknown category."""
        fields = self._fields(query.fields)
        found = {name: self._matches(name, query.words) for name in fields}
        hit = np.logical_or.reduce(list(found.values()))
        if query.category is not None:
            hit = hit & (self.categories == self._category(query.category))
        places = np.flatnonzero(hit)
        page = places[(query.page - 1) * query.limit : query.page * query.limit]
        matched = [[name for name in fields if found[name][place]] for place in page]
        return Hits(self.items.iloc[page].reset_index(drop=True), matched, len(places), fields)

    def _fields(self, wanted: Sequence[str] | None) -> list[str]:
        names = [name if name in self.fields else clean_name(name) for name in wanted or self.fields]
        for given, name in zip(wanted or (), names, strict=False):
            if name not in self.fields:
                raise ColumnNotFound(f"there is no clean field {given!r}.", hint=nearest(given, self.fields))
        return names

    def _category(self, wanted: str) -> str:
        known = {fold(str(name)): str(name) for name in pd.unique(self.categories) if isinstance(name, str)}
        if fold(wanted) not in known:
            raise UsageError(f"no item is in a category {wanted!r}.", hint=nearest(wanted, sorted(known.values())))
        return known[fold(wanted)]

    def _matches(self, field: str, words: Sequence[str]) -> NDArray[np.bool_]:
        texts = self._folded[field]
        masks = [pc.fill_null(pc.match_substring(texts, word), False).to_numpy(zero_copy_only=False) for word in words]
        found: NDArray[np.bool_] = np.logical_and.reduce(masks)
        return found


def _folded(column: pd.Series[str]) -> pa.Array:
    """Fold a column: ASCII at once, the few other texts one by one."""
    texts = pa.array(column.astype("str"), type=pa.large_string(), from_pandas=True)
    lower = pc.ascii_lower(texts)
    special = pc.invert(pc.fill_null(pc.string_is_ascii(texts), True))
    if not pc.any(special).as_py():
        return lower
    replaced = pa.array([fold(text) for text in texts.filter(special).to_pylist()], type=pa.large_string())
    return pc.replace_with_mask(lower, special, replaced)
