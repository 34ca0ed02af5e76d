"""The dashboard's page: quick to show, back by itself after a cut, and honest about what could not be stored."""

import inspect
import json
import os

import pytest
from browsing import Wire, through, until

from workbench import reviewing
from workbench.llm.providers import lexical
from workbench.llm.reasons import WORDS
from workbench.widgets.links import link, secret_of
from workbench.widgets.session import TRIES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="counts and kills processes")

NAMES = ("Ana", "Beto", "Carla", "Dora", "Eva", "Fito", "Gala", "Hugo", "Ines", "Kim")
SAMPLE = 60


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
    first, second = served.verdicts("Carla").to_dict("records")
    assert first["is_correct"]
    assert (second["category"] if second["is_correct"] else second["corrected_category"]) == "Uniformes"  # key 3
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
        dora.page.locator(".trouble button").focus()
        dora.page.keyboard.press("Enter")
        assert not dora.page.is_visible(".trouble")
        assert dora.page.evaluate("document.activeElement.tagName") == "MAIN"
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
    source = inspect.getsource(lexical)
    ours = [text["en"] for text in json.loads(WORDS.read_text(encoding="utf-8")).values()]
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


class Keyboard:
    """Somebody who moves by Tab and Enter, and asks where the focus is after each redraw."""

    def __init__(self, visitor):
        self.visitor, self.page = visitor, visitor.page

    def focus(self):
        """The name of the control that has the focus, or the kind of element."""
        return self.page.evaluate("document.activeElement.dataset.key ?? document.activeElement.tagName")

    def enter(self, key):
        self.page.locator(f"[data-key='{key}']").focus()
        self.page.keyboard.press("Enter")

    def kept(self, key):
        """Where the focus belongs: on the same control, or on the view where that is gone."""
        return key if self.page.locator(f"[data-key='{key}']:enabled").count() else "MAIN"


def test_on_a_low_screen_header_and_actions_scroll_with_the_page_and_cover_nothing(served, visit):
    hugo = visit("Hugo")
    page = hugo.page
    page.set_viewport_size({"width": 640, "height": 360})  # 1280 × 720 at 200 %
    place = "name => { const b = document.querySelector(name).getBoundingClientRect(); return [b.top, b.bottom]; }"
    page.evaluate("scrollTo(0, document.querySelector('article.item').getBoundingClientRect().top)")
    until(lambda: abs(page.evaluate(place, "article.item")[0]) < 2)
    assert page.evaluate(place, ".bar")[1] <= 0
    assert page.evaluate(place, ".actions")[0] >= page.evaluate(place, ".choices")[1]
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    until(lambda: page.evaluate(place, ".live")[1] <= 361)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    hugo.press("s")
    assert page.evaluate("scrollY") == 0


def test_the_focus_stays_on_the_control_that_was_pressed_when_language_theme_or_view_change(served, visit):
    gala = Keyboard(visit("Gala"))
    titles = {"es": "Revisión", "en": "Review"}
    for key, view, there in (
        ("q", "queue", "article"),
        ("g", "groups", ".group-list h2"),
        ("f", "search", "form"),
        ("r", "results", "p"),
    ):
        gala.page.keyboard.press(key)
        gala.page.wait_for_selector(f".view {there}")
        assert gala.focus() == ("INPUT" if view == "search" else "MAIN")
        gala.page.keyboard.press("Escape")
        for lang in ("en", "es"):
            gala.enter("language")
            gala.page.wait_for_selector(f"h1 >> text={titles[lang]}")
            assert gala.focus() == "language"
        for theme in ("dark", "light", "auto"):
            gala.enter("theme")
            gala.page.wait_for_selector(f".wbr[data-theme={theme}]")
            assert gala.focus() == "theme"
    for view in ("groups", "queue"):
        gala.enter(view)
        assert gala.focus() == "MAIN"
    gala.page.locator("[data-key=queue]").focus()
    for key, view in (("ArrowRight", "groups"), ("ArrowRight", "search"), ("ArrowLeft", "groups")):
        gala.page.keyboard.press(key)
        assert gala.focus() == view
    gala.page.keyboard.press("Enter")
    gala.page.wait_for_selector(".group-list h2")


def test_the_focus_stays_where_it_was_when_an_item_was_decided_corrected_and_taken_back(served, visit):
    gala = visit("Gala")
    by_keyboard = Keyboard(gala)
    gala.page.keyboard.press("q")
    gala.page.wait_for_selector("article.item")
    category = gala.page.locator(".category").nth(1).get_attribute("data-key")
    for key in ("press/a", category, "press/u", "press/s", "press/b", "press/ArrowRight", "press/z", "press/z"):
        item = gala.item()
        by_keyboard.enter(key)
        gala.until_other(item)
        assert by_keyboard.focus() == by_keyboard.kept(key), key
    item = gala.item()
    gala.page.keyboard.press("/")
    gala.page.keyboard.type("indeter")
    gala.page.keyboard.press("Enter")
    gala.until_other(item)
    assert by_keyboard.focus() == "MAIN"  # the field was this item's: keys decide again
    gala.press("u")
    assert by_keyboard.focus() == "MAIN"
    assert gala.page.locator(".live .unseen").text_content().strip().startswith(gala.page.inner_text(".text"))


def test_a_key_that_is_held_on_a_button_presses_it_once(served, visit):
    hugo = visit("Hugo")
    item, before = hugo.item(), served.decided("Hugo")
    hugo.page.locator("button.primary").focus()
    for _ in range(20):
        hugo.page.keyboard.down("Enter")
        hugo.page.wait_for_timeout(30)
    hugo.page.keyboard.up("Enter")
    hugo.until_other(item)
    assert served.decided("Hugo") == [*before, item]
    second = hugo.item()
    for _ in range(20):
        hugo.page.keyboard.down("a")
        hugo.page.wait_for_timeout(30)
    hugo.page.keyboard.up("a")
    hugo.until_other(second)
    assert served.decided("Hugo") == [*before, item, second]


def test_the_focus_stays_in_the_filters_and_leaves_them_by_enter(served, visit):
    hugo = visit("Hugo")
    by_keyboard = Keyboard(hugo)
    by_keyboard.enter("filters")
    assert by_keyboard.focus() == "filters"
    hugo.page.locator("[data-key=by-order]").focus()
    hugo.page.keyboard.press("ArrowDown")
    hugo.page.wait_for_selector("button.more:has-text('(1)')")
    assert by_keyboard.focus() == "by-order"
    hugo.page.locator("[data-key=by-keyword]").fill("vuelo")
    hugo.page.keyboard.press("Enter")
    hugo.page.wait_for_selector("button.more:has-text('(2)')")
    assert by_keyboard.focus() == "MAIN"


def test_the_focus_is_never_lost_when_a_group_is_stored_or_a_verdict_is_given_in_the_search(served, visit):
    gala = visit("Gala")
    by_keyboard, page = Keyboard(gala), gala.page
    page.keyboard.press("g")
    page.fill(".filters input", "taxi")
    page.keyboard.press("Enter")
    page.wait_for_selector(".members tbody tr")
    assert page.evaluate("document.activeElement.className") == "members"  # Tab goes on in what was asked for
    by_keyboard.enter("accept")
    page.locator(".preview button:not(.primary)").focus()
    page.keyboard.press("Enter")
    assert by_keyboard.focus() == "accept"
    page.keyboard.press("Enter")
    page.wait_for_selector(".preview button.primary")
    before = len(served.decided("Gala"))
    page.keyboard.press("Enter")
    page.wait_for_selector(".live >> text=Se deshacen en un paso")
    page.wait_for_function("() => !document.querySelector('.preview button')")
    assert by_keyboard.focus() == "MAIN"
    assert len(served.decided("Gala")) > before
    page.keyboard.press("z")
    page.wait_for_selector(".live >> text=Deshecho")
    assert by_keyboard.focus() == "MAIN"

    page.keyboard.press("f")
    page.fill("form[role=search] input", "o")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")
    assert page.evaluate("document.activeElement.className") == "hits"
    key = page.locator(".hit-actions .act").first.get_attribute("data-key")
    by_keyboard.enter(key)
    page.wait_for_selector(f".hit:has([data-key='{key}']) >> text=Historia")
    page.wait_for_selector(".live >> text=Aceptado")
    assert by_keyboard.focus() == key
    pages = int(page.inner_text(".pager span").split()[-1])
    for number in range(2, pages + 1):
        by_keyboard.enter("later")
        page.wait_for_selector(f".pager >> text=Página {number} de")
        assert by_keyboard.focus() == ("MAIN" if number == pages else "later")


def test_a_text_that_is_typed_while_an_answer_is_on_its_way_decides_nothing(served, visit):
    wire = Wire(served.port)
    ines = visit("Ines", through(served.now.links["Ines"], wire.port))
    keyboard, done = ines.page.keyboard, []
    ines.page.evaluate(
        "() => { window.now = Date.now(); Date.now = () => window.now; }"
    )  # however slow this machine is
    for begun, decision in (("/indeter", "Enter"), ("n a", "u"), ("", "a")):
        done.append(ines.item())
        keyboard.type(begun)
        if decision == "u":
            keyboard.press("Escape")
        wire.hold()
        keyboard.press(decision)
        keyboard.type("/mu0a3n")
        wire.release()
        ines.until_other(done[-1])
        keyboard.type("si")
        ines.page.evaluate("window.now += 900")
        keyboard.type("ca asus 1a0a2 fusa")
        keyboard.press("Enter")
        assert ines.page.input_value(".ahead") == ines.page.input_value(".note textarea") == ""
        assert ines.page.get_attribute("#tab-queue", "aria-selected") == "true"
        assert served.decided("Ines") == done
        ines.page.evaluate("window.now += 301")
    done += [ines.press("a"), ines.press("a")]
    assert served.decided("Ines") == done
    wire.close()


def test_a_command_pressed_again_before_its_answer_is_lost_and_the_next_one_counts(served, visit):
    wire = Wire(served.port)
    ines = visit("Ines", through(served.now.links["Ines"], wire.port))
    ines.page.evaluate("() => { window.now = Date.now(); Date.now = () => window.now; }")
    done = served.decided("Ines")
    for _ in range(3):
        done.append(ines.item())
        wire.hold()
        for _ in range(3):
            ines.page.keyboard.press("a")
        wire.release()
        ines.until_other(done[-1])
    assert served.decided("Ines") == done
    wire.close()


def test_the_second_click_of_a_double_click_does_not_fall_on_the_next_item(served, visit):
    kim = visit("Kim")
    page, done = kim.page, served.decided("Kim")
    page.evaluate("() => { const now = performance.now(); window.rested = 0; performance.now = () => now + rested; }")
    for button in ("button.primary", ".category >> nth=2", "[data-key='press/z']"):
        box = page.locator(button).bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        item = kim.item()
        done += [item] if button != "[data-key='press/z']" else []
        for click in (1, 2):
            page.mouse.down(click_count=click)
            page.mouse.up(click_count=click)
            kim.until_other(item)
        assert served.decided("Kim") == done
        page.evaluate("rested += 401")
    page.mouse.down(click_count=3)  # somebody who clicks fast, and has had time to read
    page.mouse.up(click_count=3)
    until(lambda: len(served.verdicts("Kim")) == len(done) - 2)


def test_what_is_decided_is_what_shows_while_another_item_is_being_opened_from_the_search(served, visit):
    wire = Wire(served.port)
    kim = visit("Kim", through(served.now.links["Kim"], wire.port))
    page, shown, done = kim.page, kim.item(), served.decided("Kim")
    page.keyboard.press("f")
    page.fill("form[role=search] input", "playera")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit >> nth=1")
    wire.hold()
    page.locator(".hit [data-key^='open/']").nth(1).click()
    page.click("#tab-queue")
    page.wait_for_selector(f"article.item[data-item='{shown}']")
    page.keyboard.press("a")
    wire.release()
    kim.until_other(shown)
    assert served.decided("Kim") == done
    page.wait_for_timeout(400)  # keys rest after one that was lost
    opened = kim.press("u")
    assert served.decided("Kim") == [*done, opened]
    wire.close()


def kept(op_key, item, **changes):
    """A decision that waits in a browser."""
    message = {"op": "decide", "key": op_key, "item": item, "verdict": "choose", "tries": 0, "text": "TAXI"} | changes
    return [f"workbench-review/one/1/Beto/{op_key}", json.dumps(message)]


def test_decisions_that_waited_are_sent_in_order_and_one_that_does_not_hold_any_more_is_told(served, visit):
    beto = visit("Beto")
    page = beto.page
    put = "([name, text]) => localStorage.setItem(name, text)"
    item = beto.item()
    rev = served.store.decisions("one", 1).item("Beto", item)["rev"]
    page.evaluate(put, kept("b-first", item, rev=rev, category="Indeterminado", at=1))
    page.evaluate(put, kept("a-second", item, rev=rev, category="Otros", at=2))
    page.reload()
    page.wait_for_selector(".live >> text=ya no vale")
    assert "«TAXI»" in beto.told()
    assert served.verdicts("Beto")["corrected_category"].tolist() == ["Indeterminado"]
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.includes('review')).length") == 0


def test_of_one_item_the_latest_decision_alone_is_kept(served, visit):
    wire = Wire(served.port)
    beto = visit("Beto", through(served.now.links["Beto"], wire.port))
    page, item = beto.page, beto.item()
    page.evaluate(
        "([name, text]) => localStorage.setItem(name, text)", kept("old", item, rev="?", category="Comida", at=1)
    )
    wire.hold()
    page.keyboard.press("3")
    waiting = page.evaluate("Object.keys(localStorage).filter((name) => name.includes('review'))")
    assert len(waiting) == 1 and not waiting[0].endswith("/old")
    wire.release()
    beto.until_other(item)
    wire.close()


def test_half_an_emoji_in_a_note_is_stored_as_a_sign_and_ends_nothing(served, visit):
    beto = visit("Beto")
    beto.page.evaluate(
        "() => { const box = document.querySelector('.note textarea');"
        " box.value = 'ojo \ud83d'; box.dispatchEvent(new Event('input')); }"
    )
    beto.page.wait_for_timeout(500)
    item = beto.press("a")
    assert served.verdicts("Beto").set_index("item_id").loc[item, "user_notes"] == "ojo \ufffd"


def test_what_waits_for_one_reviewer_is_not_sent_for_another_whose_name_begins_alike(served, visit):
    wire = Wire(served.port)
    other = link(f"http://127.0.0.1:{wire.port}", secret_of(served.store.folder), "one/1", "Beto/Hijo")
    beto = visit("Beto", other)
    wire.break_now()
    beto.page.keyboard.press("a")
    done = served.decided("Beto")
    wire.mend()
    beto.page.goto(through(served.now.links["Beto"], wire.port))
    beto.page.wait_for_selector("article.item")
    beto.page.wait_for_timeout(700)
    assert (served.decided("Beto"), served.decided("Beto/Hijo")) == (done, [])
    beto.page.goto(other)
    until(lambda: len(served.decided("Beto/Hijo")) == 1)
    wire.close()


def test_a_browser_that_forbids_storing_can_review(served, visit):
    page = visit("Beto").page
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })")
    page.reload()
    page.wait_for_selector("article.item")
    done = served.decided("Beto")
    page.keyboard.press("a")
    until(lambda: len(served.decided("Beto")) == len(done) + 1)


def test_a_note_that_is_not_stored_yet_says_so_when_one_goes_on(served, visit):
    beto = visit("Beto")
    item = beto.press("a")
    beto.press("b")
    beto.page.fill(".note textarea", "mejor revisar")
    beto.page.keyboard.press("Escape")
    beto.press("ArrowRight")
    assert "La nota queda en este navegador" in beto.told()
    beto.page.keyboard.press("f")
    text = served.store.decisions("one", 1).item("Beto", item)["fields"]["Concepto"]
    beto.page.fill("form[role=search] input", text)
    beto.page.keyboard.press("Enter")
    beto.page.click(f"[data-key='accept/{item}']")
    beto.page.wait_for_selector(".live >> text=Aceptado")
    assert served.verdicts("Beto").set_index("item_id").loc[item, "user_notes"] == "mejor revisar"


def test_a_category_chosen_for_a_hit_stays_until_it_is_stored_and_the_proposed_one_is_no_correction(served, visit):
    page = visit("Kim").page
    page.keyboard.press("f")
    page.fill("form[role=search] input", "norte")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit >> nth=2")
    keys = page.locator(".hit [data-key^='correct/']").evaluate_all("nodes => nodes.map(node => node.dataset.key)")[:3]
    for key in keys:
        assert page.locator(f"[data-key='{key}']").is_disabled()
        page.select_option(f"[data-key='{key.replace('correct', 'to')}']", "Indeterminado")
    for number, key in enumerate(keys, start=1):
        page.click(f"[data-key='{key}']")
        until(lambda number=number: len(served.verdicts("Kim")) == number)
        page.wait_for_selector(f"[data-key='{key}']:disabled")
    assert served.verdicts("Kim")["corrected_category"].tolist() == ["Indeterminado"] * 3


def test_a_group_keeps_what_was_chosen_for_it_and_is_not_corrected_to_what_is_proposed(served, visit):
    page = visit("Kim").page
    page.keyboard.press("g")
    page.select_option(".filters select", "Viajes")
    page.click(".filters button")
    page.wait_for_selector("[data-key=correct]:disabled:has-text('Viajes')")
    page.select_option(".members .actions select", "Indeterminado")
    page.locator(".members tbody input").first.uncheck()
    left = page.locator(".members tbody input:checked").count()
    page.click("button[lang=en]")
    page.wait_for_selector(f"[data-key=correct]:enabled:has-text('Correct {left} to Indeterminado')")
    page.click("button[lang=es]")


def test_a_hit_takes_one_decision_while_its_answer_is_on_its_way(served, visit):
    wire = Wire(served.port)
    kim = visit("Kim", through(served.now.links["Kim"], wire.port))
    page, decided = kim.page, len(served.decided("Kim"))
    page.keyboard.press("f")
    page.fill("form[role=search] input", "taxi")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit >> nth=1")
    for number, release in ((0, lambda: None), (1, wire.release)):
        hit = page.locator(".hit").nth(number)
        if number:
            wire.hold()
        hit.locator("text=Aceptar").dblclick()
        if number:
            assert hit.get_attribute("aria-busy") == "true"
            hit.locator("select").select_option("Indeterminado")
            hit.locator("[data-key^=correct]").click()
        release()
        page.wait_for_selector(f".hit:not([aria-busy]):has-text('Historia') >> nth={number}")
        page.wait_for_timeout(300)
        assert "Aceptado" in kim.told()
        assert len(served.decided("Kim")) == decided + number + 1
    wire.close()


def test_decisions_that_wait_for_a_connection_are_counted_in_words(served, visit):
    wire = Wire(served.port)
    page = visit("Kim", through(served.now.links["Kim"], wire.port)).page
    wire.hold()
    for n in range(4):
        page.evaluate("name => localStorage.setItem(name, '')", f"workbench-review/one/1/Kim/{n}")
    page.evaluate("() => { const now = Date.now() + 60000; Date.now = () => now; }")
    page.wait_for_selector(".offline >> text=4 decisiones esperan en este navegador")
    wire.close()
