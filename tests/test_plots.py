import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from workbench import plots

CATEGORIES = [
    *("Promoción Cerveza", "Evento capacitación", "Renta de locales comerciales", "Publicidad", "Pop"),
    *("Fletes, envíos y mensajería", "Cafetería y atención a visitantes", "Mantenimiento de equipo de refrigeración"),
    *("Papelería", "Uniformes", "Combustible", "Viáticos", "Hospedaje", "Servicios de limpieza", "Vigilancia"),
    *("Energía eléctrica", "Telefonía e internet", "Honorarios profesionales", "Software y licencias"),
    *("Seguros <y> fianzas & más", "Impuestos y derechos", "Gastos $ menores $ varios", "Otros", "Indeterminado"),
]


def some_metrics(names=tuple(CATEGORIES), amounts=True):
    counts = {name: 3 * (len(names) - n) for n, name in enumerate(names)}
    money = {name: 100.5 * count - 50 for name, count in counts.items()}
    return {
        "category_counts": counts,
        "category_rows": {name: 2 * count for name, count in counts.items()},
        "category_amounts": money if amounts else None,
    }


def some_predictions(scores):
    return pd.DataFrame({"score": scores, "status": ["ok"] * len(scores)})


def some_accuracy(names=tuple(CATEGORIES)):
    rows = [{"category": name, "n": 5, "correct": 4} for name in names]
    pairs = [{"true": one, "predicted": other, "n": 1} for one, other in pairwise(names)]
    pairs += [{"true": names[0], "predicted": "Solo predicha", "n": 2}]
    return {"by_category": rows, "confused_pairs": pairs}


def some_history():
    reviewed = {"estimate": 0.68, "low": 0.583, "high": 0.763, "n": 100}
    return {"iterations": [{"iteration": 1, "accuracy": reviewed}, {"iteration": 2, "accuracy": None}]}


def some_comparison(moves=20):
    ways = [{"from": CATEGORIES[n], "to": CATEGORIES[n + 1], "items": 50 - n} for n in range(moves)]
    changed = sum(way["items"] for way in ways)
    return {
        "iteration_number": 2,
        "items_changed": changed,
        "items_compared": 5000,
        "distribution_comparison": {"moves": ways},
    }


PICTURES = {
    "categories": lambda: plots.categories(some_metrics()),
    "categories without amounts": lambda: plots.categories(some_metrics(amounts=False)),
    "one category": lambda: plots.categories(some_metrics(["Pop"])),
    "very many categories": lambda: plots.categories(some_metrics([f"c{n}" for n in range(90)])),
    "no category": lambda: plots.categories(some_metrics([])),
    "scores": lambda: plots.scores(some_predictions([*np.linspace(0, 1, 101), -1.0, None])),
    "only ambiguous scores": lambda: plots.scores(some_predictions([-1.0])),
    "no score": lambda: plots.scores(some_predictions([])),
    "accuracy": lambda: plots.accuracy(some_history()),
    "accuracy of entries": lambda: plots.accuracy(some_history()["iterations"]),
    "no accuracy": lambda: plots.accuracy([{"iteration": 1, "accuracy": None}]),
    "confusion": lambda: plots.confusion(some_accuracy()),
    "small confusion": lambda: plots.confusion(some_accuracy(["Pop"])),
    "no confusion": lambda: plots.confusion(None),
    "moves": lambda: plots.moves(some_comparison()),
    "no move": lambda: plots.moves(some_comparison(0)),
    "deduplication": lambda: plots.deduplication({"original_rows": 13_549, "deduplicated_rows": 5_432}),
    "deduplication of nothing": lambda: plots.deduplication({"original_rows": 0, "deduplicated_rows": 0}),
}


def texts_of(figure):
    return [element.text for element in ElementTree.fromstring(plots.to_svg(figure)).iter() if element.text]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_shows_itself_in_a_notebook_and_in_a_page(name):
    figure = PICTURES[name]()
    assert isinstance(figure, Figure)
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == pytest.approx(2 * size["width"], abs=2)
    svg = plots.to_svg(figure)
    assert svg.startswith("<svg")
    ElementTree.fromstring(svg)


@pytest.mark.parametrize("name", ["accuracy", "scores", "moves"])
def test_the_same_data_give_the_same_svg(name):
    figure = PICTURES[name]()
    figure._repr_png_()
    assert {plots.to_svg(PICTURES[name]()) for _ in range(3)} == {plots.to_svg(figure)}
    assert "<dc:date>" not in plots.to_svg(figure)


def test_names_are_written_as_they_are():
    texts = texts_of(plots.categories(some_metrics()))
    assert {"Gastos $ menores $ varios", "Seguros <y> fianzas & más", "Promoción Cerveza"} <= set(texts)


def test_a_share_is_written_at_the_end_of_its_bar():
    texts = texts_of(
        plots.categories({"category_counts": {"Pop": 3, "Renta": 1}, "category_rows": {"Pop": 1, "Renta": 0}})
    )
    assert {"75.0 %", "25.0 %", "100.0 %", "0 %"} <= set(texts)


def test_the_smallest_of_very_many_categories_are_summed_up():
    assert "51 smaller categories" in texts_of(PICTURES["very many categories"]())


def test_scores_are_counted_by_band_and_the_limits_belong_to_the_higher_one():
    texts = texts_of(plots.scores(some_predictions([0.7, 0.4, 0.39, -1.0])))
    assert "high 1 (25.0 %)  ·  medium 1 (25.0 %)  ·  low 1 (25.0 %)  ·  ambiguous 1 (25.0 %)" in texts


def test_a_score_at_a_limit_stands_in_the_bar_of_its_band():
    axes = plots.scores(some_predictions([0.7, 0.7, 0.4])).axes[1]
    heights = {round(bar.get_x(), 2): bar.get_height() for bar in axes.patches}
    assert heights[0.7] == 2
    assert heights[0.4] == 1


def test_an_iteration_without_a_review_is_said_to_have_none():
    texts = texts_of(plots.accuracy(some_history()))
    assert "not reviewed" in texts
    assert {"68.0 %", "n = 100"} <= set(texts)


def test_pending_items_are_not_in_the_scores():
    frame = pd.DataFrame({"score": [0.9, None], "status": ["ok", "pending"]})
    assert any(text.startswith("high 1 (100.0 %)") for text in texts_of(plots.scores(frame)))


def test_a_confusion_shows_only_categories_that_occur():
    texts = texts_of(plots.confusion(some_accuracy(["Pop", "Renta"])))
    assert "Solo predicha" in texts
    assert "Otros" not in texts


def test_moves_are_the_most_frequent_ones():
    texts = texts_of(plots.moves(some_comparison()))
    assert sum(" → " in text for text in texts) == 15
    assert any("15 most frequent of 20 changes" in text for text in texts)


def test_threads_can_draw_at_the_same_time():
    expected = plots.to_svg(PICTURES["moves"]())
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(lambda _: plots.to_svg(PICTURES["moves"]()), range(8)))
    assert set(drawn) == {expected}


def test_drawing_does_not_load_pyplot():
    code = "import sys, workbench.plots as p; p.moves; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
