"""The embedded classifier: its contract, what it learns from a prompt, and how far its scores can be trusted."""

import json
import random
import re
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.llm.parsing import parse_answer
from workbench.llm.prompt import Category, Example, Prompt, load_prompt
from workbench.llm.providers import NumberedItem, Request, get_provider
from workbench.llm.providers.lexical import LexicalProvider
from workbench.llm.providers.lexical_text import is_unintelligible

DATA = Path(__file__).parents[2] / "shared" / "data"
PROMPTS = Path(__file__).parents[1] / "parameters" / "prompts"
STANDING = [Category(name="Otros", description="lo demás"), Category(name="Indeterminado", description="ilegible")]
PROVIDER = LexicalProvider()


def a_prompt(*categories: Category, examples: tuple[tuple[str, str], ...] = ()) -> Prompt:
    return Prompt(
        name="trial",
        categories=[*categories, *STANDING],
        examples=[Example(text=text, category=category) for text, category in examples],
    )


EXPENSES = a_prompt(
    Category(name="Pop", description="Material de punto de venta", keywords=["vinil", "lona", "mampara", "exhibidor"]),
    Category(name="Viajes", description="Vuelos, hoteles y traslados", keywords=["vuelo", "hospedaje", "taxi"]),
    Category(name="Promoción", description="Artículos promocionales. No incluye lonas.", keywords=["gorra", "termo"]),
)


def ask(prompt: Prompt, *texts: str) -> list[tuple[str, str, float]]:
    items = tuple(NumberedItem(number, {"cleanText": text}) for number, text in enumerate(texts, start=1))
    parsed = parse_answer(PROVIDER.complete(Request(prompt, items)).text, prompt, [item.number for item in items])
    assert not parsed.faults
    assert not parsed.unknown
    return [tuple(parsed.good[item.number]) for item in items]


def category_of(prompt: Prompt, text: str) -> str:
    return ask(prompt, text)[0][0]


def test_it_is_registered_and_costs_nothing() -> None:
    provider = get_provider("lexical")
    response = provider.complete(Request(EXPENSES, (NumberedItem(1, {"cleanText": "vuelo"}),)))
    assert (response.usage.calls, response.usage.input_tokens, response.usage.output_tokens) == (1, 0, 0)
    assert re.search(r"\d", provider.fingerprint)
    assert provider.name == "lexical"


def test_keywords_decide_and_stand_in_the_reason() -> None:
    [(category, reason, score)] = ask(EXPENSES, "instalacion de vinil en tienda")
    assert (category, "'vinil'" in reason) == ("Pop", True)
    assert score > 0.7


@pytest.mark.parametrize("text", ["GORRAS bordadas", "gorra bordada", "Promocion de termos", "térmos"])
def test_case_accents_and_plural_do_not_matter(text: str) -> None:
    assert category_of(EXPENSES, text) == "Promoción"


def test_a_misspelt_word_is_still_recognised() -> None:
    assert category_of(EXPENSES, "hospedage en hotel") == "Viajes"


def test_what_a_description_excludes_does_not_speak_for_its_category() -> None:
    assert category_of(EXPENSES, "lona impresa") == "Pop"


def test_the_closest_example_stands_in_the_reason() -> None:
    prompt = EXPENSES.with_examples([Example(text="renta de sala para junta", category="Viajes")])
    [(category, reason, _)] = ask(prompt, "renta de sala para juntas de ventas")
    assert category == "Viajes"
    assert "like the example 'renta de sala para junta'" in reason


def test_an_example_decides_its_own_text_against_keywords() -> None:
    prompt = EXPENSES.with_examples([Example(text="Vinil para taxi", category="Promoción")])
    [(category, _, score)] = ask(prompt, "vinil para taxi")
    assert (category, score) == ("Promoción", 0.98)


def test_an_example_can_teach_the_unclassifiable_category() -> None:
    prompt = EXPENSES.with_examples([Example(text="folio interno", category="Indeterminado")])
    assert ask(prompt, "folio interno")[0][::2] == ("Indeterminado", -1)


def test_the_higher_priority_wins_where_keywords_of_two_categories_stand_in_the_text() -> None:
    def prompt(first: int, second: int) -> Prompt:
        return a_prompt(
            Category(name="Renta", keywords=["renta"], priority=first),
            Category(name="Flotilla", keywords=["camioneta"], priority=second),
        )

    assert category_of(prompt(1, 0), "renta de camioneta") == "Renta"
    assert category_of(prompt(0, 1), "renta de camioneta") == "Flotilla"


def test_text_that_no_category_speaks_of_gets_the_fallback_with_a_low_score() -> None:
    [(category, _, score)] = ask(EXPENSES, "poliza juridica trimestral")
    assert category == "Otros"
    assert 0 <= score < 0.4


@pytest.mark.parametrize(
    "text", ["", "   ", "-", "12345", "...", "asdfgh", "xxxxx", "qwerty", "n/a", "lkjhg fdsa", "sin descripcion"]
)
def test_what_nobody_understands_is_unclassifiable(text: str) -> None:
    assert ask(EXPENSES, text)[0][::2] == ("Indeterminado", -1)


REAL_NAMES = """\
hdmi|pvc 1/2 thw|cctv|600v|hp 15 dy|krylon|schlage|whirlpool|nvidia gtx|skechers|scotchgard|xbox|npt 3/4 sch 40
mtto a/c|pzas mts|3 kg|lg oled|tyvek|syrup|coca cola 600ml|cfdi|ptfe|m2|bardahl|johnnie walker|schweppes|日本酒"""


@pytest.mark.parametrize("text", re.split(r"[|\n]", REAL_NAMES))
def test_brands_abbreviations_and_units_are_intelligible(text: str) -> None:
    assert not is_unintelligible(text)


def test_an_unknown_word_of_the_prompt_is_understood() -> None:
    prompt = a_prompt(Category(name="Marcas", keywords=["xzqwk"]))
    assert category_of(prompt, "xzqwk") == "Marcas"


@settings(deadline=None, max_examples=150)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_any_text_gets_an_answer_of_the_prompt_with_a_valid_score(texts: list[str]) -> None:
    for category, reason, score in ask(EXPENSES, *texts):
        assert category in EXPENSES.category_names
        assert (score == -1) == (category == EXPENSES.unclassifiable)
        assert score == -1 or 0 <= score <= 1
        assert reason


TEXTS = st.text(alphabet="abcdeiloprst 0", max_size=30)


@settings(deadline=None, max_examples=60)
@given(st.lists(TEXTS, min_size=2, max_size=10), st.randoms(use_true_random=False))
def test_an_answer_does_not_depend_on_the_other_items(texts: list[str], order: random.Random) -> None:
    together = ask(EXPENSES, *texts)
    shuffled = order.sample(range(len(texts)), len(texts))
    again = ask(EXPENSES, *(texts[place] for place in shuffled))
    assert [again[shuffled.index(place)] for place in range(len(texts))] == together
    assert [ask(EXPENSES, text)[0] for text in texts] == together


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="aábcdeéfginñoóprstuv ", max_size=40))
def test_case_and_accents_never_change_an_answer(text: str) -> None:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    assert ask(EXPENSES, text.upper()) == ask(EXPENSES, plain)


def test_several_fields_count_together() -> None:
    items = (NumberedItem(1, {"cleanText": "servicio", "cleanSupplier": "hospedaje el sol"}),)
    answer = json.loads(PROVIDER.complete(Request(EXPENSES, items)).text)["results"][0]
    assert answer["category"] == "Viajes"


def test_another_process_gives_the_same_answers() -> None:
    script = (
        "from workbench.llm.prompt import load_prompt\n"
        "from workbench.llm.providers import NumberedItem, Request, get_provider\n"
        f"prompt = load_prompt({str(PROMPTS / 'compranet_contracts.yaml')!r})\n"
        "texts = ['obra de drenaje', 'curso de ingles', 'renta de autos', 'zzz', 'lote 3']\n"
        "items = tuple(NumberedItem(n, {'t': text}) for n, text in enumerate(texts, 1))\n"
        "print(ascii(get_provider('lexical').complete(Request(prompt, items)).text))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(PROMPTS.parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert "Obra P" in runs[0]


def test_threads_share_one_provider() -> None:
    prompts = [EXPENSES.with_examples([Example(text=f"caso {number}", category="Pop")]) for number in range(6)]
    provider = LexicalProvider()

    def run(number: int) -> str:
        items = (NumberedItem(1, {"t": f"caso {number % 6}"}), NumberedItem(2, {"t": "taxi al hotel"}))
        return provider.complete(Request(prompts[number % 6], items)).text

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(run, range(48)))
    assert answers == [run(number) for number in range(48)]


def test_a_prompt_of_one_category_either_answers_it_or_the_fallback() -> None:
    prompt = a_prompt(Category(name="Papelería", keywords=["papel", "pluma"]))
    assert [category for category, *_ in ask(prompt, "plumas y papel", "dragado de puerto")] == ["Papelería", "Otros"]


def test_a_prompt_of_the_two_standing_categories_always_falls_back() -> None:
    assert category_of(Prompt(name="bare", categories=list(STANDING)), "papel bond") == "Otros"


def test_a_prompt_without_keywords_answers_by_its_names() -> None:
    prompt = a_prompt(*(Category(name=name) for name in ("Papelería", "Transporte", "Alimentos")))
    assert category_of(prompt, "transporte de personal") == "Transporte"


def test_a_prompt_of_200_categories_with_4000_keywords_is_learnt_in_seconds() -> None:
    syllables = [first + vowel for first in "bcdfglmnprst" for vowel in "aeiou"]
    draw = random.Random(3)
    words = ["".join(draw.choices(syllables, k=4)) for _ in range(4000)]
    prompt = a_prompt(
        *(Category(name=f"Tema {number}", keywords=words[number * 20 : number * 20 + 20]) for number in range(200))
    )
    answers = ask(prompt, *words[::97])
    assert sum(category == f"Tema {place * 97 // 20}" for place, (category, *_) in enumerate(answers)) > 0.9 * len(
        answers
    )


def test_the_examples_of_a_free_text_prompt_count(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("Clasifica:\n1. Viajes - vuelos, taxis\n2. Comida - tacos, refrescos\n", encoding="utf-8")
    prompt = load_prompt(path)
    assert category_of(prompt, "taxi al aeropuerto") == "Viajes"
    assert category_of(prompt.with_examples([Example(text="casetas", category="Viajes")]), "caseta puebla") == "Viajes"


WORDS = {
    "Obra": "barda zanja cimbra castillo losa firme muro techo zapata varilla trabe colado",
    "Salud": "gasa jeringa suero venda guante sonda cateter ampolleta bisturi cubreboca alcohol yeso",
    "Campo": "semilla abono arado riego cosecha surco vivero tractor forraje pasto silo bomba",
}
SYNTHETIC = {category: words.split() for category, words in WORDS.items()}
NOISE = ["lote", "unidad", "entrega", "urgente", "planta", "zona"]


def synthetic_items(draw: random.Random, count: int) -> list[tuple[str, str]]:
    """Texts of two telling words among noise that all categories share."""
    items = []
    for _ in range(count):
        category = draw.choice(list(SYNTHETIC))
        words = [
            *draw.sample(SYNTHETIC[category], 2),
            *draw.sample(NOISE, 2),
        ]
        items.append((" ".join(draw.sample(words, 4)), category))
    return items


def test_more_examples_make_it_better() -> None:
    draw = random.Random(11)
    prompt = a_prompt(*(Category(name=name, keywords=words[:2]) for name, words in SYNTHETIC.items()))
    tested = synthetic_items(draw, 200)
    shares = []
    for count in (0, 6, 20, 60):
        learnt = prompt.with_examples(
            [Example(text=text, category=name) for text, name in synthetic_items(draw, count)]
        )
        answers = ask(learnt, *(text for text, _ in tested))
        shares.append(sum(answer[0] == name for answer, (_, name) in zip(answers, tested, strict=True)) / len(tested))
    assert shares[0] + 0.1 < shares[1] < shares[2] < shares[3]
    assert shares[3] > 0.9


# ------------------------------------------------------------------------------------------ acceptance on real data


def real_items(file: str, text: str, gold: str) -> list[tuple[str, str]]:
    path = DATA / file
    if not path.exists():
        pytest.skip("the data for trials are not here")
    frame = pd.read_csv(path, dtype=str).drop_duplicates(text)
    return [
        (" ".join(re.findall(r"[^\W_]+", str(value).lower())), str(true))
        for value, true in zip(frame[text], frame[gold], strict=True)
    ]


def trial(prompt: Prompt, items: list[tuple[str, str]], count: int, seed: int) -> list[tuple[bool, float]]:
    """Answers to one half with examples of the other."""
    shuffled = random.Random(seed).sample(items, len(items))
    half = len(items) // 2
    learnt = prompt.with_examples([Example(text=text, category=name) for text, name in shuffled[:count]])
    answers = ask(learnt, *(text for text, _ in shuffled[half:]))
    return [(answer[0] == name, answer[2]) for answer, (_, name) in zip(answers, shuffled[half:], strict=True)]


def share(trials: list[tuple[bool, float]]) -> float:
    return sum(right for right, _ in trials) / len(trials)


def test_contract_titles_are_classified_and_examples_help() -> None:
    items = real_items("compranet_contracts/compranet_contracts.csv", "TITULO_CONTRATO", "TIPO_CONTRATACION")
    prompt = load_prompt(PROMPTS / "compranet_contracts.yaml")
    bare, some, many = (
        share([answer for seed in range(3) for answer in trial(prompt, items, count, seed)]) for count in (0, 40, 200)
    )
    assert bare > 0.71
    assert some > bare + 0.02
    assert many > some + 0.02


def test_product_descriptions_are_classified_among_57_divisions() -> None:
    items = real_items("sat_claveprodserv/sample_dev.csv", "description", "division_name")
    prompt = load_prompt(PROMPTS / "sat_divisions.yaml")
    assert share(trial(prompt, items, 0, 0)) > 0.44
    assert share(trial(prompt, items, 200, 0)) > 0.47


@pytest.mark.parametrize(
    ("file", "text", "gold", "prompt"),
    [
        ("compranet_contracts/compranet_contracts.csv", "TITULO_CONTRATO", "TIPO_CONTRATACION", "compranet_contracts"),
        ("sat_claveprodserv/sample_dev.csv", "description", "division_name", "sat_divisions"),
    ],
)
@pytest.mark.parametrize("count", [0, 80])
def test_a_score_is_about_the_share_of_right_answers(file: str, text: str, gold: str, prompt: str, count: int) -> None:
    items = real_items(file, text, gold)
    trials = trial(load_prompt(PROMPTS / f"{prompt}.yaml"), items, count, 1)
    for low, high in [(0, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)]:
        band = [answer for answer in trials if low <= answer[1] < high]
        if len(band) >= 30:
            assert abs(share(band) - sum(score for _, score in band) / len(band)) < 0.15


def test_real_texts_are_hardly_ever_called_unintelligible() -> None:
    contracts = real_items("compranet_contracts/compranet_contracts.csv", "TITULO_CONTRATO", "TIPO_CONTRATACION")
    products = real_items("sat_claveprodserv/sat_claveprodserv.csv", "description", "division_name")
    shop = real_items("coicop_product_labels/manual_labels_coicop2018.csv", "name", "code")
    texts = [text for items in (contracts, products[::10], shop) for text, _ in items]
    assert sum(map(is_unintelligible, texts)) / len(texts) < 0.001
