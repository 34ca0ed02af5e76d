"""The dashboard's page: quick to show, back by itself after a cut, and honest about what could not be stored."""

import inspect
import json
import os

import pytest
from browsing import Wire, through, until

from workbench import reviewing
from workbench.llm.providers import lexical
from workbench.widgets.review import CARD
from workbench.widgets.session import TRIES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="counts and kills processes")

NAMES = ("Ana", "Beto", "Carla", "Dora", "Eva", "Fito")
SAMPLE = 40


def pids(served):
    return {kernel.pid for kernel in served.kernels()}


def test_a_kernel_is_ready_before_somebody_comes_and_a_page_that_is_left_ends_its_own(served, visit):
    until(lambda: len(pids(served)) == 1)
    ready = pids(served)
    ana = visit("Ana")
    until(lambda: len(pids(served)) == 2)
    assert ready < pids(served)
    for _ in range(3):
        ana.page.reload()
        ana.page.wait_for_selector("article.item")
    ana.page.goto("about:blank")
    until(lambda: len(pids(served)) == 1)
    assert not ready & pids(served)
    ana.page.go_back()
    ana.page.wait_for_selector("article.item")
    ana.press("a")
    assert len(served.decided("Ana")) == 1


def test_a_visit_asks_for_one_page_and_one_script_and_nothing_that_runs_code_from_elsewhere(served, visit):
    beto = visit("Beto")
    assert len(beto.asked) <= 3, beto.asked
    reply = beto.page.reload()
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self' blob:;" in policy and "default-src 'none'" in policy
    size = beto.page.evaluate("performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)")
    assert size < 20_000


def test_a_short_cut_heals_by_itself_and_stores_the_decision_once(served, visit):
    wire = Wire(served.port)
    carla = visit("Carla", through(served.now.links["Carla"], wire.port))
    for verdict in "a3":
        item = carla.item()
        wire.break_now()
        carla.page.keyboard.press(verdict)
        carla.page.wait_for_timeout(1200)
        wire.mend()
        carla.until_other(item)
    assert len(served.decided("Carla")) == 2
    assert served.verdicts("Carla")["is_correct"].tolist() == [True, False]
    wire.close()


def test_a_decision_that_cannot_be_stored_is_tried_three_times_and_then_told_to_both_sides(served, visit):
    dora = visit("Dora")
    message = {"op": "decide", "key": "lost", "item": dora.item(), "rev": "?", "verdict": "choose", "tries": 0}
    message |= {"category": "Nada", "text": "VUELO norte"}
    slot = "workbench-review/one/1/Dora/lost"
    dora.page.evaluate("([name, text]) => localStorage.setItem(name, text)", [slot, json.dumps(message)])
    for number in range(1, TRIES + 1):
        dora.page.reload()
        dora.page.wait_for_selector(".trouble:not([hidden])")
        told = dora.page.inner_text(".trouble")
        assert "«VUELO norte»" in told and ("ya no se enviará" in told) == (number == TRIES)
    dora.page.reload()
    dora.page.wait_for_selector("article.item")
    dora.page.wait_for_timeout(500)
    assert not dora.page.is_visible(".trouble")
    logged = [json.loads(line) for line in (served.run.folder / "run.log").read_text().splitlines()]
    logged = [line for line in logged if line.get("reviewer") == "Dora"]
    assert len(logged) == TRIES
    assert logged[-1]["code"] in told
    assert "given up" in logged[-1]["message"] and "'Nada'" in logged[-1]["sent"]


def test_an_item_outside_the_sample_shows_the_rows_behind_it_once_it_is_opened(served, visit):
    eva = visit("Eva")
    eva.page.keyboard.press("f")
    eva.page.fill("form[role=search] input", "playera")
    eva.page.keyboard.press("Enter")
    eva.page.click(".hit:not(:has-text('en la muestra')) >> nth=0 >> text=Abrir en la cola")
    eva.page.wait_for_selector("article.item >> text=Buscando los renglones originales")
    eva.page.keyboard.press("n")
    eva.page.keyboard.type("sigo escribiendo")
    reviewing.lay_out_seen(served.run, served.store, 1)
    eva.page.wait_for_selector("article.item .rows table")
    assert "PLAYERA" in eva.page.inner_text(".rows") and "Emisor" in eva.page.inner_text(".rows")
    assert eva.page.input_value(".note textarea") == "sigo escribiendo"
    assert served.store.decisions("one", 1).without_rows() == set()


def test_every_sentence_that_is_translated_is_one_of_the_embedded_provider():
    texts = json.loads((CARD / "texts.json").read_text())
    source = inspect.getsource(lexical)
    ours = [text["en"] for name, text in texts.items() if name.startswith("reason_")]
    assert len(ours) == 11 and all(words.removesuffix("s") in source for words in ours)


def test_reasons_of_the_embedded_provider_are_told_in_the_language_of_the_page(served, visit):
    page = visit("Fito").page
    for words in ("vuelo", "toner", "playera"):
        page.keyboard.press("f")
        page.fill("form[role=search] input", words)
        page.keyboard.press("Enter")
        page.wait_for_selector(".hit mark >> nth=0")
        page.keyboard.press("Escape")
        told = " ".join(page.locator(".hit .reason").all_inner_texts())
        assert told and not set(told.replace("'", " ").split()) & {"keyword", "word", "its", "next", "example"}, told
    page.keyboard.press("q")
    page.click("button[lang=en]")
    page.keyboard.press("f")
    page.wait_for_selector(".hit >> nth=0")
    assert "keyword 'playera'" in page.inner_text(".hits")


def test_a_figure_in_a_table_of_the_results_stays_on_one_line(served, visit):
    reviewing.refresh_results(served.run, served.store, 1, "")
    eva = visit("Eva")
    eva.page.set_viewport_size({"width": 700, "height": 700})
    eva.page.keyboard.press("r")
    eva.page.wait_for_selector("td.figure")
    lines = "cells => cells.map(cell => { const range = document.createRange(); range.selectNodeContents(cell);"
    lines += " return range.getClientRects().length; })"
    assert set(eva.page.locator("td.figure").evaluate_all(lines)) == {1}
