"""A review with many categories, several fields and two iterations, as reviewers see it: every view, at every size."""

import os
import re

import pytest
from browsing import CONTRAST, Served, Visitor, Wire, reviewed_run, through, until
from review_runs import decision

from workbench import reviewing, workflow
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs.review_lists import Filters
from workbench.stages import next_step
from workbench.widgets.session import NOTE_LENGTH

pytestmark = pytest.mark.skipif(os.name != "posix", reason="serves a review")

NAMES = ("Ana", "Beto", "Carla", "Dora", "Eva", "Fito", "Gala", "Hugo", "Julia", "Olga", "Lea")
CATEGORIES = {
    "Viajes": "vuelo", "Alimentación": "tacos", "Uniformes": "playera", "Papelería": "toner", "Limpieza": "cloro",
    "Jardinería": "pasto", "Mensajería": "paquete", "Telefonía": "celular", "Energía": "luz", "Agua": "garrafon",
    "Renta": "bodega", "Seguros": "poliza", "Capacitación": "curso", "Publicidad": "lona", "Eventos": "carpa",
    "Música": "banda", "Fotografía": "retrato", "Taller de imprenta": "folleto", "Mobiliario": "silla",
    "Cómputo": "laptop", "Óptica": "lentes", "Farmacia": "gasa", "Ferretería": "clavo", "Vehículos": "llanta",
}  # fmt: skip
PLACES = ("norte", "sur", "centro", "bajio", "golfo")
SIZES = ((1280, 720), (1024, 768), (768, 1024))


def write_project(folder):
    """120 texts in two columns, each on one to four rows of other days and vendors; 26 categories."""
    described = {"Viajes": "renta de autos"}
    categories = [
        f"  - {{name: {name}, description: {described.get(name, 'gastos')}, keywords: [{word}]}}"
        for name, word in CATEGORIES.items()
    ]
    categories += ["  - {name: Otros, description: lo demás}", "  - {name: Indeterminado, description: ilegible}"]
    prompt = "name: many\nrole: You sort expenses.\ntask: Give every expense one category.\ncategories:\n"
    (folder / "prompt.yaml").write_text(prompt + "\n".join(categories), encoding="utf-8")
    texts = [(f"{word.upper()} {place}", f"entrega {place}") for word in CATEGORIES.values() for place in PLACES]
    rows = [
        f"{number},2026-03-{day + 1:02},Emisor {day},{text},{detail},{100 * number}.50"
        for number, (text, detail) in enumerate(texts, start=1)
        for day in range(number % 4 + 1)
    ]
    table = ["Folio,Fecha,Emisor,Concepto,Detalle,Importe", *rows]
    (folder / "expenses.csv").write_text("\n".join(table), encoding="utf-8")
    (folder / "run.yaml").write_text(
        "run: {name: many, iterations: 2}\n"
        "ingest: {input: expenses.csv, columns: [Concepto, Detalle], amount_column: Importe}\n"
        "classify: {prompt: prompt.yaml}\n"
        "validate: {sample_size: 60, overlap_share: 0.5}\n",
        encoding="utf-8",
    )


def judge(store, iteration, name, choose, count=60):
    """Let somebody go through the queue without a browser; `choose` says what an item is, or None for right."""
    decisions = store.decisions("one", iteration)
    for n in range(count):
        item = decisions.next(name, Filters())
        if item is None:
            return
        category = choose(item)
        verdict = "incorrect" if category else "correct"
        decisions.decide(name, [decision(f"{name}-{iteration}-{n}", item, verdict, category)])


def to_publicity(item):
    return "Publicidad" if item["category"] in ("Renta", "Agua", "Óptica", "Música") else None


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser):
    """The second iteration's review; two people have reviewed the first."""
    folder = tmp_path_factory.mktemp("views")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("WORKBENCH_DATABASE_URL", raising=False)
        patch.delenv("WORKBENCH_LANG", raising=False)
        write_project(folder)
        run, store = reviewed_run(folder)
        with store:
            for name in ("Xenia", "Yago"):
                judge(store, 1, name, to_publicity)
            parameters = load_parameters("run.yaml")
            run = workflow.validate(run, parameters, store)
            while run.state != RunState.AWAITING_REVIEW:
                run = getattr(workflow, next_step(run, store).stage)(run, parameters, store)
            reviewing.prepare(run, store, 2)
            served = Served(run, store, NAMES, iteration=2)
            yield served
            served.stop()


@pytest.fixture(scope="module")
def disputed(served):
    """Two people disagree about items of the second iteration."""
    judge(served.store, 2, "Xenia", lambda item: None, count=10)
    judge(served.store, 2, "Yago", lambda item: "Seguros", count=10)


def told(page):
    return page.inner_text(".strip")


def test_a_card_shows_every_field_the_rows_behind_it_and_marks_what_the_reason_names(served, visit):
    ana = visit("Ana")
    ana.page.click("button.more")
    ana.page.select_option("[data-key=by-order]", "rows")
    ana.page.wait_for_selector(".covers >> text=Representa 4 renglones · Importe")
    assert ana.page.locator(".field h3").all_inner_texts() == ["Concepto", "Detalle"]
    text, detail = ana.page.locator(".field .text").all_inner_texts()
    assert detail == f"entrega {text.split()[1]}"
    assert ana.page.locator(".field mark").first.inner_text() in ana.page.inner_text(".reason")
    assert "Antes: iteración 1: " in ana.page.inner_text(".before")
    head = ana.page.locator(".rows thead th").all_inner_texts()
    assert head[:2] == ["Concepto", "Detalle"] and {"Fecha", "Emisor", "Importe", "Folio"} < set(head)
    rows = ana.page.locator(".rows tbody tr").all_inner_texts()
    assert len(rows) == 4 and all(
        f"2026-03-0{n}" in row and text.upper() in row.upper() for n, row in enumerate(rows, 1)
    )
    assert "2026-03-01 – 2026-03-04" in ana.page.inner_text(".rows tfoot")


def test_twenty_six_categories_are_reached_by_pages_of_numbers_by_letters_without_accents_and_by_mouse(served, visit):
    beto = visit("Beto")
    page, names = beto.page, [*CATEGORIES, "Otros", "Indeterminado"]
    assert page.inner_text(".pager span") == "Página 1 de 3"
    expected = []
    for pages, key in ((0, "9"), (1, "1"), (2, "8")):
        for _ in range(pages):
            page.keyboard.press("0")
        shown = page.locator(".category").all_inner_texts()
        assert [name.split("\n")[-1] for name in shown] == names[9 * pages : 9 * pages + 9]
        beto.press(key)
        expected.append(names[9 * pages + int(key) - 1])
    page.keyboard.press("0")
    page.keyboard.press("0")
    page.keyboard.press("0")
    assert page.inner_text(".pager span") == "Página 1 de 3"
    for typed, name in (("optic", "Óptica"), ("MUSICA", "Música"), ("computo", "Cómputo")):
        item = beto.item()
        page.keyboard.press("/")
        page.keyboard.type(typed)
        assert page.locator(".category").count() == 1
        page.keyboard.press("Enter")
        beto.until_other(item)
        expected.append(name)
    item = beto.item()
    page.click(".pager button")
    page.click(".category:has-text('Publicidad')")
    beto.until_other(item)
    given = served.verdicts("Beto")
    chosen = given["corrected_category"].where(~given["is_correct"].astype(bool), given["category"])
    assert list(chosen) == [*expected, "Publicidad"]


def test_a_page_of_categories_is_not_turned_while_a_decision_is_on_its_way(served, visit):
    wire = Wire(served.port)
    julia = visit("Julia", through(served.now.links["Julia"], wire.port))
    item = julia.item()
    wire.hold()
    julia.page.keyboard.press("s")
    for key in "03":
        julia.page.keyboard.press(key)
    julia.page.click(".pager button")
    assert julia.page.inner_text(".pager span") == "Página 1 de 3"
    wire.release()
    julia.until_other(item)
    assert served.decided("Julia") == [item]
    wire.close()


def test_what_is_typed_in_full_comes_before_what_begins_with_it_contains_it_or_is_described_by_it(served, visit):
    olga = visit("Olga")
    page, item = olga.page, olga.item()
    for typed, names in (
        ("m", ["Mensajería", "Música", "Mobiliario", "Alimentación", "Uniformes"]),
        ("imp", ["Taller de imprenta", "Limpieza"]),
        ("RENTÁ", ["Renta", "Taller de imprenta", "Viajes"]),
    ):
        page.fill(".ahead", typed)
        shown = [name.split("\n")[-1] for name in page.locator(".category").all_inner_texts()]
        assert shown[:5] == names
    page.keyboard.press("Enter")
    olga.until_other(item)
    said = served.verdicts("Olga").set_index("item_id").loc[item]
    assert (said["category"] if said["is_correct"] else said["corrected_category"]) == "Renta"


def test_enter_in_an_empty_field_of_categories_decides_nothing(served, visit):
    olga = visit("Olga")
    item, decided = olga.item(), served.decided("Olga")
    olga.page.keyboard.press("/")
    olga.page.keyboard.type(" ")
    olga.page.keyboard.press("Enter")
    assert olga.page.get_attribute(".view", "aria-busy") != "true"
    olga.page.keyboard.press("Escape")
    assert olga.press("u") == item
    assert served.decided("Olga") == [*decided, item]


def test_everything_can_be_done_by_mouse(served, visit):
    carla = visit("Carla")
    page = carla.page

    def click(name):
        item = carla.item()
        page.get_by_role("button", name=name).click()
        carla.until_other(item)
        return item

    page.locator(".note textarea").click()
    page.keyboard.type("visto")
    accepted, unsure, skipped = click("Aceptar"), click("No sé"), click("Omitir")
    click("Atrás")
    assert carla.item() == skipped
    click("Adelante")
    click("Deshacer")
    assert carla.item() == skipped
    assert served.decided("Carla") == [accepted, unsure, skipped]
    assert served.verdicts("Carla")["user_notes"].tolist() == ["visto"]
    page.get_by_role("tab", name="Búsqueda").click()
    page.wait_for_selector("form[role=search]")
    page.get_by_role("tab", name="Cola").click()
    page.wait_for_selector("article.item")


def test_the_last_ten_are_taken_back_one_by_one_also_after_a_reload(served, visit):
    dora = visit("Dora")
    done = [dora.press("a") for _ in range(12)]
    for item in (done[11], done[10], done[9]):
        dora.press("z")
        assert dora.item() == item
    dora.page.reload()
    dora.page.wait_for_selector("article.item")
    for item in reversed(done[2:9]):
        dora.page.keyboard.press("z")
        until(lambda item=item: dora.item() == item)
    dora.page.keyboard.press("z")
    until(lambda: "últimos diez pasos" in dora.told())
    assert sorted(served.verdicts("Dora")["item_id"]) == sorted(done[:2])


def test_progress_pace_time_left_and_accuracy_are_told(served, visit):
    eva = visit("Eva")
    asked_in_all = served.store.decisions("one", 2).progress("Eva")["asked"]
    before = int(re.search(r"(\d+) / \d+", told(eva.page))[1])
    assert "por minuto" not in told(eva.page)
    for key in "aaa2":
        eva.press(key)
    shown = told(eva.page)
    done, asked = map(int, re.search(r"(\d+) / (\d+) listos", shown).groups())
    assert before <= done and asked == asked_in_all >= 60
    assert "4 por usted" in shown
    pace, left = re.search(r"([\d.]+) por minuto\s+(\d+) min para terminar", shown).groups()
    assert float(pace) > 1 and int(left) == -(-(asked - done) // float(pace))
    share, low, high = map(int, re.search(r"(\d+)% correctos hasta ahora \((\d+)% – (\d+)%\)", shown).groups())
    assert low <= share <= high
    assert eva.page.locator("progress").get_attribute("max") == str(asked)


def test_every_filter_and_order_shows_what_it_says(served, disputed, visit):
    decisions = served.store.decisions("one", 2)
    decisions.count_anew()
    fito = visit("Fito")
    page = fito.page
    decided = fito.press("2")
    fito.press("u")
    page.click("button.more")

    def first(name, value):
        """The first item that a filter shows, which is the one that the database gives for it."""
        box = page.locator(f"[data-key=by-{name}]")
        expected = decisions.next("Fito", Filters.from_plain({"show": "all", name: value}))
        if isinstance(value, bool):
            box.set_checked(value)
        elif name == "keyword":
            box.fill(value)
            box.press("Enter")
        else:
            box.select_option(value)
        shown = "document.querySelector('article.item')?.dataset.item"
        until(lambda: page.evaluate(shown) == (expected and expected["item_id"]))
        return page.inner_text("article.item") if expected else ""

    page.select_option("[data-key=by-show]", "all")
    for band, word in (("high", "alto"), ("medium", "medio"), ("low", "bajo"), ("ambiguous", "ambiguo")):
        shown = first("band", band)
        assert not shown or f"· {word}" in shown
    assert "El modelo dice\nVehículos" in (first("band", "") and first("category", "Vehículos"))
    assert "clavo" in (first("category", "") and first("keyword", "CLAVO").lower())
    assert first("keyword", "") and first("changed", True)
    said, before = page.inner_text(".said strong"), page.inner_text(".before")
    assert f"iteración 1: {said} (" not in before
    assert first("changed", False) and first("disputed", True)
    assert (
        len(
            {
                row.corrected_category
                for row in served.store.validations("one", 2).itertuples()
                if row.item_id == fito.item()
            }
        )
        > 1
    )
    assert first("disputed", False)
    for order in ("score", "rows", "money", "sampled"):
        assert first("order", order)
    page.select_option("[data-key=by-show]", "mine")
    until(lambda: page.locator("article.item").count() and fito.item() == decided)
    assert "Usted corrigió a" in page.inner_text(".mine")
    page.select_option("[data-key=by-show]", "unsure")
    page.wait_for_selector(".mine >> text=Usted no estaba seguro")


def test_results_compare_iterations_and_tell_who_agrees_and_disagrees(served, disputed, visit):
    gala = visit("Gala")
    gala.page.keyboard.press("r")
    gala.page.wait_for_selector("text=Los números se están calculando")
    reviewing.refresh_results(served.run, served.store, 2, "")
    gala.page.wait_for_selector(".results .panel")  # by itself, once there are numbers
    shown = gala.page.inner_text(".results")
    for part in (
        "Contra la iteración anterior",
        "elementos comparables",
        "juzgados por dos o más",
        "Xenia",
        "Yago",
        "Desacuerdos",
    ):
        assert part in shown, part
    names = gala.page.locator(".panel:has(h2:text-is('Evolución de las categorías')) thead th").all_inner_texts()
    assert names == ["Categoría", "iteración 1", "iteración 2"]
    assert gala.page.locator(".panel:has(h2:text-is('Iteraciones')) tbody tr").count() == 2


def test_a_note_of_thousands_of_letters_is_kept_whole_and_a_full_one_says_so(served, visit):
    hugo = visit("Hugo")
    text = "".join(f"renglón {n}: ñandú «raro» \U0001f600\n" for n in range(150)).strip()
    assert 4000 < len(text) < NOTE_LENGTH
    hugo.page.fill(".note textarea", text)
    hugo.page.wait_for_timeout(800)
    hugo.page.reload()
    hugo.page.wait_for_selector("article.item")
    assert hugo.page.input_value(".note textarea") == text
    hugo.page.keyboard.press("Escape")
    item = hugo.press("a")
    assert served.verdicts("Hugo").set_index("item_id").loc[item, "user_notes"] == text
    hugo.page.keyboard.press("n")
    hugo.page.keyboard.insert_text("x" * (NOTE_LENGTH + 5))
    assert len(hugo.page.input_value(".note textarea")) == NOTE_LENGTH
    assert "La nota está llena: 10,000 caracteres." in hugo.told()


def test_a_note_is_kept_until_it_is_stored_whatever_comes_between(served, visit):
    wire = Wire(served.port)
    lea = visit("Lea", through(served.now.links["Lea"], wire.port))
    page, note = lea.page, ".note textarea"
    lea.press("a")
    item = lea.item()
    page.fill(note, "para después")
    page.keyboard.press("Escape")
    lea.press("b")
    assert page.input_value(note) == ""
    lea.press("ArrowRight")
    assert (lea.item(), page.input_value(note)) == (item, "para después")
    wire.hold()
    page.fill(note, "sin conexión")
    page.wait_for_timeout(400)
    wire.break_now()
    wire.release()
    wire.mend()
    page.reload()
    page.wait_for_selector("article.item")
    assert (lea.item(), page.input_value(note)) == (item, "sin conexión")
    page.keyboard.press("Escape")
    lea.press("3")
    said = served.verdicts("Lea").set_index("item_id")
    assert said.loc[item, "user_notes"] == "sin conexión"
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.includes('note'))") == []
    lea.press("b")
    assert page.input_value(note) == "sin conexión"
    wire.close()


def test_every_view_can_be_read_at_every_size_in_both_languages_light_and_dark(served, visit):
    reviewing.refresh_results(served.run, served.store, 2, "")
    gala = visit("Gala")
    page = gala.page

    def opened(view):
        """Go to a view and show everything that it has."""
        page.keyboard.press({"queue": "q", "groups": "g", "search": "f", "results": "r"}[view])
        if view == "groups":
            page.select_option(".filters select", "Viajes")
            page.click(".filters button")
            page.click(".members .actions .primary")
        if view == "search":
            page.fill("form[role=search] input", "o")
            page.keyboard.press("Enter")
        page.wait_for_selector(
            {"queue": "article.item", "groups": ".preview ul", "search": ".hit", "results": ".panel"}[view]
        )

    page.keyboard.press("q")
    page.wait_for_selector(".wbr .view > *")
    page.click("button.more")
    for size in SIZES:
        page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        for view in ("queue", "groups", "search", "results"):
            opened(view)
            for theme in ("dark", "light", "auto"):
                page.click("[data-key=theme]")
                page.wait_for_selector(f".wbr[data-theme={theme}]")
                page.click("[data-key=language]")
                opened(view)
                assert page.evaluate(CONTRAST) == [], (view, theme)
            wide = "(node) => node.scrollWidth - node.clientWidth"
            assert [page.locator(f".wbr {part}").first.evaluate(wide) for part in (".bar", ".view")] == [0, 0], (
                view,
                size,
            )
        opened("queue")
        box = page.locator("button.primary").bounding_box()
        assert box["y"] + box["height"] <= size[1]


def test_bars_of_one_column_have_tracks_of_one_width(served, visit):
    reviewing.refresh_results(served.run, served.store, 2, "")
    page = visit("Gala").page
    page.keyboard.press("r")
    page.wait_for_selector(".bar-cell")
    columns = page.evaluate(
        "() => [...document.querySelectorAll('.results table')].flatMap((table) => {"
        " const rows = [...table.querySelectorAll('tbody tr')];"
        " return [...rows[0].children].map((_, k) => rows.map((row) => row.children[k]?.querySelector('.track')"
        "?.getBoundingClientRect().width).filter(Boolean)); }).filter((widths) => widths.length > 1)"
    )
    assert len(columns) >= 3
    assert [max(widths) - min(widths) < 1 for widths in columns] == [True] * len(columns)


def test_verdicts_that_come_after_the_next_prompt_was_made_change_no_numbers_and_that_is_said(served):
    before, given = served.store.path("one", "metrics", 1).read_bytes(), len(served.store.validations("one", 1))
    decisions = served.store.decisions("one", 1)
    item = decisions.item("Zita", served.store.validations("one", 1)["item_id"][0])
    assert decisions.decide("Zita", [decision("late", item)]) == "stored"
    assert len(served.store.validations("one", 1)) == given + 1
    told = reviewing.take_in(served.store.get("one"), served.store, 1)
    assert "came after the next prompt was made" in told and "count them" not in told
    assert served.store.path("one", "metrics", 1).read_bytes() == before


def test_a_very_long_text_leaves_the_answer_of_the_model_on_the_screen_and_the_page_says_its_language(served, visit):
    page = visit("Gala").page
    page.keyboard.press("q")
    page.wait_for_selector("article.item .answer")
    page.evaluate("document.querySelector('.field .text').textContent = 'renta de oficina '.repeat(1200)")
    assert page.locator(".answer").bounding_box()["y"] < 720
    for language in ("en", "es"):
        page.click(f"button[lang={language}]")
        assert page.get_attribute("html", "lang") == language


def test_the_language_at_the_start_is_that_of_the_environment(served, browser, monkeypatch):
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    english = Served(served.run, served.store, ["Ines"], iteration=2)
    ines = Visitor(browser, english.now.links["Ines"])
    ines.page.wait_for_selector(".view > *")
    assert ines.page.inner_text("h1") == "Review"
    assert ines.page.locator(".wbr").get_attribute("lang") == "en"
    ines.close()
    english.stop()
