"""The review dashboard in a real Chromium, served by the real Voila: nothing lost, nothing wrong, nobody in."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest
from browsing import CONTRAST, Wire, query_of, through, until
from review_runs import decision

from workbench import metrics, reviewing, stages, workflow
from workbench.records import RunState
from workbench.runs.review_lists import Filters
from workbench.widgets.links import link, secret_of, sign
from workbench.widgets.server import REFUSED

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes")

NAMES = ("Ana", "Beto", "Carla", "Dora", "Eva", "Fito", "Gil", "Hugo", "Ines", "Juan López")


def test_everything_can_be_done_by_keyboard(served, visit):
    ana = visit("Ana")
    accepted = ana.press("a")
    ana.page.keyboard.press("n")
    ana.page.keyboard.type("a1u: no es tecla")
    ana.page.keyboard.press("Escape")
    by_number = ana.press("3")
    ana.page.keyboard.press("/")
    before = ana.item()
    ana.page.keyboard.type("INDÉTER")
    ana.page.keyboard.press("Enter")
    ana.until_other(before)
    unsure, skipped = ana.press("u"), ana.press("s")
    said = served.verdicts("Ana").set_index("item_id")
    assert list(said.index) == [accepted, by_number, before]
    assert said.loc[accepted, "is_correct"]
    assert said.loc[by_number, "user_notes"] == "a1u: no es tecla"
    assert said.loc[before, "corrected_category"] == "Indeterminado"
    assert served.decided("Ana")[3:] == [unsure, skipped]
    ana.press("z")
    assert ana.item() == skipped
    ana.press("z")
    ana.press("z")
    assert ana.item() == before
    assert list(served.verdicts("Ana")["item_id"]) == [accepted, by_number]
    ana.press("b")
    assert ana.item() == by_number
    ana.press("ArrowLeft")
    assert "aceptó" in ana.page.inner_text(".mine")
    ana.press("ArrowRight")
    assert ana.item() == by_number


def test_a_double_click_and_ten_keys_in_a_second_judge_only_what_was_on_screen(served, visit):
    beto = visit("Beto")
    before = beto.item()
    beto.page.locator("button.primary").dblclick()
    beto.until_other(before)
    assert served.decided("Beto") == [before]
    beto.page.evaluate(
        "() => { for (let k = 0; k < 10; k++) setTimeout(() => document.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'a', bubbles: true})), 90 * k); }"
    )
    beto.page.wait_for_timeout(2500)
    beto.page.wait_for_function("() => !document.querySelector('.wbr [aria-busy=true]')")
    decided, seen = served.decided("Beto"), beto.page.evaluate("window.seen")
    assert 2 <= len(decided) <= 11
    assert len(set(decided)) == len(decided)
    assert set(decided) <= set(seen)


def test_a_reload_restores_item_note_filters_and_language(served, visit):
    carla = visit("Carla")
    carla.press("a")
    carla.page.click("button.more")
    carla.page.select_option("label:has-text('Orden') select", "money")
    carla.page.wait_for_timeout(300)
    carla.page.click("text=English")
    item = carla.item()
    carla.page.fill(".note textarea", "a medias")
    carla.page.wait_for_timeout(800)
    carla.page.reload()
    carla.page.wait_for_selector("article.item")
    assert carla.item() == item
    assert carla.page.input_value(".note textarea") == "a medias"
    assert carla.page.inner_text(".wbr h1") == "Review"
    assert "(1)" in carla.page.inner_text("button.more")


def test_a_second_tab_cannot_judge_what_the_first_has_judged(served, visit):
    dora = visit("Dora")
    second = dora.context.new_page()
    dora.open(second)
    item = dora.item()
    assert dora.item(second) == item
    dora.press("a")
    second.keyboard.press("3")
    dora.until_other(item, second)
    assert "otra pestaña" in second.inner_text(".wbr .live")
    assert served.decided("Dora") == [item]
    assert served.verdicts("Dora")["is_correct"].tolist() == [True]


def test_a_cut_of_twenty_seconds_loses_nothing_and_judges_only_what_was_on_screen(served, visit):
    wire = Wire(served.port)
    eva = visit("Eva", through(served.now.links["Eva"], wire.port))
    item = eva.item()
    wire.break_now()
    cut = time.monotonic()
    for key in "a3ua":
        eva.page.keyboard.press(key)
    eva.page.wait_for_selector(".offline:not([hidden])", timeout=7000)
    assert "1 decisión espera" in eva.page.inner_text(".offline")
    assert served.decided("Eva") == []
    eva.page.wait_for_timeout(max(0, 1000 * (20 - (time.monotonic() - cut))))
    wire.mend()
    eva.page.click(".offline .reload")
    eva.page.wait_for_selector("article.item")
    until(lambda: served.decided("Eva") == [item])
    eva.until_other(item)
    assert served.verdicts("Eva")["is_correct"].tolist() == [True]
    wire.close()


def test_a_killed_kernel_and_a_killed_server_are_told_and_lose_nothing(served, visit):
    fito = visit("Fito")
    done = [fito.press("a")]
    for kill in ("kernel", "server"):
        item = fito.item()
        if kill == "kernel":
            [kernel.kill() for kernel in served.kernels()]
        else:
            served.kill()
        fito.page.keyboard.press("a")
        fito.page.wait_for_selector(".offline:not([hidden])", timeout=7000)
        if kill == "server":
            served.start()
        fito.page.click(".offline .reload")
        fito.page.wait_for_selector("article.item")
        done.append(item)
        until(lambda: served.decided("Fito") == done)
        fito.until_other(item)
    assert served.verdicts("Fito")["is_correct"].all()


def test_five_at_once_never_judge_the_same_item(served, visit):
    others = [visit(name) for name in NAMES[4:9]]
    assert len({visitor.item() for visitor in others}) == 5
    known = {name: served.decided(name) for name in NAMES[4:9]}
    for _ in range(4):
        for visitor in others:
            visitor.press("a")
    new = [item for name in NAMES[4:9] for item in served.decided(name)[len(known[name]) :]]
    assert len(new) == len(set(new)) == 20


def judge(served, name, count, verdict, category=None):
    """Let somebody decide without a browser."""
    decisions = served.store.decisions("one", 1)
    for n in range(count):
        item = decisions.next(name, Filters())
        decisions.decide(name, [decision(f"{name}-{verdict}-{n}", item, verdict, category)])


def test_groups_search_and_results_work_and_html_is_only_text(served, visit):
    page = visit("Juan López").page
    page.keyboard.press("g")
    page.click(".group")
    page.wait_for_selector(".members tbody tr")
    others = page.locator(".members tbody tr").count() - 1
    assert others > 1
    page.locator(".members tbody input").first.uncheck()
    page.select_option(".members .actions select", "Uniformes")
    page.click(f".members .actions button:has-text('Corregir {others}')")
    assert "→ Uniformes" in page.inner_text(".preview")
    assert served.verdicts("Juan López").empty
    page.click(".preview button.primary")
    until(lambda: list(served.verdicts("Juan López")["corrected_category"]) == ["Uniformes"] * others)
    page.keyboard.press("z")
    until(lambda: served.verdicts("Juan López").empty)

    page.keyboard.press("f")
    page.fill("form[role=search] input", "vísa")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")
    assert page.inner_text(".hit mark").lower() == "visa"
    page.select_option(".hit select", "Comida")
    page.click(".hit-actions >> text=Corregir")
    until(lambda: len(served.verdicts("Juan López")) == 1)
    page.wait_for_selector(".hit details:has-text('Historia')")
    page.click(".hit >> text=Abrir en la cola")
    page.wait_for_selector("article.item")
    assert "<img src=x" in page.inner_text(".rows")
    assert page.evaluate("window.hacked") is None

    judge(served, "Yago", 12, "incorrect", "Indeterminado")
    judge(served, "Yago", 12, "correct")
    reviewing.refresh_results(served.run, served.store, 1, "")
    page.keyboard.press("r")
    page.wait_for_selector(".panel")
    shown = page.inner_text(".results").lower()
    for part in (
        "exactitud por categoría",
        "confusiones",
        "iteraciones",
        "evolución",
        "quién revisó qué",
        "vale un puntaje",
        "qué conviene revisar ahora",
        "vale la pena cambiar",
    ):
        assert part in shown
    page.keyboard.press("q")
    page.wait_for_selector("article.item")
    page.keyboard.press("s")
    page.wait_for_selector("text=Omitido")
    progress = served.store.decisions("one", 1).progress("Ana")
    right = metrics.wilson(progress["correct"], progress["judged"])
    for share in (right.estimate, right.low, right.high):
        assert f"{round(100 * share)}%" in page.inner_text(".strip")


def test_the_page_can_be_read_by_everybody(served, visit):
    gil = visit("Gil", color_scheme="dark")
    page = gil.page
    page.keyboard.press("q")
    page.wait_for_selector("article.item")
    snapshot = page.locator(".wbr").aria_snapshot()
    for named in (
        'heading "Revisión"',
        'tab "Cola',
        "progressbar",
        'article "Elemento',
        "searchbox",
        "textbox",
        "status",
    ):
        assert named in snapshot, snapshot
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('.wbr button, .wbr input, .wbr select, .wbr textarea')]"
        ".filter((node) => !(node.ariaLabel || node.textContent.trim() || node.labels?.length)).length"
    )
    assert unnamed == 0
    for _ in range(2):
        for key, there in (("q", "article.item"), ("g", ".group-list"), ("f", "form"), ("r", ".view p, .panel")):
            page.keyboard.press(key)
            page.wait_for_selector(there)
            assert page.evaluate(CONTRAST) == []
            page.keyboard.press("Escape")
        page.emulate_media(color_scheme="light")
    for width, height in ((1280, 720), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press("q")
        page.wait_for_selector("article.item")
        assert page.evaluate("document.querySelector('.wbr').scrollWidth <= innerWidth")
        assert page.locator("button.primary").is_visible()


def answer(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_without_a_good_link_the_answer_is_403_and_no_kernel_starts(served):
    good, address = query_of(served.now.links["Ana"]), f"http://127.0.0.1:{served.port}/"
    secret = secret_of(served.store.folder)
    past = int(time.time()) - 5
    bad = [
        {},
        good | {"reviewer": "Beto"},
        good | {"until": str(int(good["until"]) + 1)},
        good | {"sig": "0" * 64},
        good | {"sig": "ñ"},
        {"reviewer": "Ana", "until": past, "sig": sign(secret, "one/1", "Ana", past)},
        query_of(link("http://x", secret, "other/1", "Ana")),
    ]
    before = len(served.kernels())
    assert [answer(f"{address}?{urlencode(query)}") for query in bad] == [(403, REFUSED)] * len(bad)
    assert len(served.kernels()) == before
    for path in (
        "voila/files/review.ipynb",
        "voila/files/../pyproject.toml",
        "review.ipynb",
        "voila/render/review.ipynb",
    ):
        assert answer(address + path)[0] in (403, 404), path
    assert oct((served.store.folder / ".review-secret").stat().st_mode & 0o777) == "0o600"
    assert secret.decode() not in (served.run.folder / "review.log").read_text()
    assert good["sig"] not in (served.run.folder / "review.log").read_text()


def test_overrides_do_nothing_and_code_that_is_sent_is_not_run(served, tmp_path):
    import websocket

    url = served.now.links["Hugo"] + "&template=nope&theme=dark"
    with urllib.request.urlopen(url, timeout=60) as page:
        kernel = re.search(r'"kernelId": ?"([0-9a-f-]{36})"', page.read().decode())[1]
    socket = websocket.create_connection(
        f"ws://127.0.0.1:{served.port}/api/kernels/{kernel}/channels", origin=f"http://127.0.0.1:{served.port}"
    )
    header = {"msg_id": "1", "username": "x", "session": "s", "msg_type": "execute_request", "version": "5.3"}
    code = {"code": f"open({str(tmp_path / 'run')!r}, 'w')", "silent": False}
    message = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": code,
        "channel": "shell",
        "buffers": [],
    }
    socket.send(json.dumps(message))
    time.sleep(2)
    socket.close()
    assert not (tmp_path / "run").exists()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(
            f"ws://127.0.0.1:{served.port}/api/kernels/{kernel}/channels", origin="http://evil.example"
        )


def test_the_run_goes_on_with_the_verdicts_of_the_dashboard(served):
    parameters = stages.parameters_of(served.run)
    judge(served, "Zoe", 25, "correct")
    given = served.store.validations("one", 1)
    run = workflow.validate(served.run, parameters, served.store)
    assert run.state == RunState.FINISHED
    assert served.store.facts("one", "validate", 1)["verdicts"] == len(given) >= 25
    assert served.store.load("one", "metrics", 1)["accuracy"]["n"] >= 25
    assert "count them" in reviewing.take_in(run, served.store, 1)
