"""Texts that differ: one in the middle of every kind of text, no two nearly the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer

MOST_TEXTS = 10_000
"""Of more texts, as many at equal distances in the order of their ids (which are hashes) stand for all."""
TOO_ALIKE = 0.8
"""Two texts whose character n-grams have this cosine say nearly the same."""


def medoids(texts: pd.Series[str], size: int) -> list[Any]:
    """Choose texts in the middle of clusters of character 2- to 4-grams (k-means, nearest to the centre).

    Where two of them are nearly the same, the second gives way to the text that is least like all chosen ones. The
    choice depends on the texts alone. Gives at most `size` labels of the index.
    """
    distinct = texts[texts.str.strip() != ""].drop_duplicates()
    step = -(-len(distinct) // MOST_TEXTS)
    candidates = distinct.iloc[:: max(step, 1)]
    size = min(size, len(candidates))
    if not size:
        return []
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=20_000, dtype=np.float32)
    vectors = grams.fit_transform(candidates)
    middles = _middles(vectors, size)
    return list(candidates.index[_unlike(vectors, middles, size)])


def _middles(vectors: Any, size: int) -> list[int]:
    """Give the text nearest to each centre, the largest cluster first."""
    model = MiniBatchKMeans(n_clusters=size, random_state=0, n_init=1, batch_size=2048, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different texts than clusters
        cluster = model.fit_predict(vectors)
    nearness = np.asarray(vectors.multiply(model.cluster_centers_[cluster]).sum(axis=1)).ravel()
    order = np.lexsort((-nearness, cluster))
    first = order[np.unique(cluster[order], return_index=True)[1]]
    return [int(place) for place in first[np.argsort(-np.bincount(cluster)[cluster[first]], kind="stable")]]


def _unlike(vectors: Any, middles: list[int], size: int) -> list[int]:
    """Keep the middles that differ, and fill up with what is least like everything chosen."""
    likeness: NDArray[np.float64] = np.zeros(vectors.shape[0])
    chosen: list[int] = []
    for place in middles:
        if likeness[place] < TOO_ALIKE:
            chosen.append(place)
            likeness = np.maximum(likeness, (vectors @ vectors[place].T).toarray().ravel())
    while len(chosen) < size:
        likeness[chosen] = np.inf
        place = int(np.argmin(likeness))
        chosen.append(place)
        likeness = np.maximum(likeness, (vectors @ vectors[place].T).toarray().ravel())
    return chosen
