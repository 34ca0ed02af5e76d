"""No item measures a prompt that it, or one that says nearly the same, had a part in."""

import random

import pandas as pd
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench import measuring, reviewing, stages, workflow
from workbench.likeness import near_any
from workbench.parameters import load_parameters
from workbench.records import VALIDATION_COLUMNS, Pool, pool_of, skeleton
from workbench.review import share_pools
from workbench.runs import open_store
from workbench.runs.decisions import Decision
from workbench.runs.review_lists import Filters

LEFT_OUT = "is in the prompt, or nearly the same as an example there"
WORDS = st.text(alphabet="abcdefghijklmnñopqrstuvwxyzáéü", min_size=3, max_size=10)


@settings(deadline=None, max_examples=100)
@given(st.lists(WORDS, min_size=1, max_size=6), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_pool_does_not_depend_on_order_numbers_case_and_accents(
    words: list[str], number: int, order: random.Random
) -> None:
    shuffled = [*order.sample(words, len(words)), words[0].upper(), f"{number}", f"x{number}", "de"]
    assert pool_of(" ".join(words)) == pool_of(" ".join(shuffled))


@given(st.text(max_size=20))
@example("🄐™")
@settings(deadline=None, max_examples=100)
def test_every_text_has_a_pool_and_a_skeleton_that_stays(text: str) -> None:
    assert pool_of(text) in set(Pool)
    assert skeleton(skeleton(text)) == skeleton(text)


def test_the_pools_have_their_shares() -> None:
    pools = pd.Series([pool_of(f"texto {chr(97 + n % 26)}{n // 26 * 'z'}abc") for n in range(3000)]).value_counts(
        normalize=True
    )
    assert pools["prompt"] == pytest.approx(0.5, abs=0.04)
    assert pools["dev"] == pytest.approx(0.2, abs=0.04)


def verdicts(pools):
    return pd.DataFrame(
        [(item, 1, "ana", "Pop", True, None, "", "2026", pool) for item, pool in pools.items()],
        columns=VALIDATION_COLUMNS,
    )


def test_a_new_item_takes_the_pool_of_the_near_duplicate_that_was_judged_before() -> None:
    texts = pd.Series(
        {"a": "toner laser negro hp", "b": "tonner laser negro hp 85a", "c": "silla plegable", "d": "mesa"}
    )
    ledger = verdicts({"a": "holdout"})
    shared = share_pools(verdicts({"b": "prompt", "c": "dev", "a": "prompt"}), ledger, texts)
    assert dict(zip(shared["item_id"], shared["pool"], strict=True)) == {"b": "holdout", "c": "dev", "a": "holdout"}


def test_two_near_duplicates_in_one_sample_share_a_pool_whatever_their_order() -> None:
    texts = pd.Series({"a": "toner laser negro hp", "b": "tonner laser negro hp"})
    nothing = verdicts({})
    one = share_pools(verdicts({"a": "prompt", "b": "dev"}), nothing, texts)
    two = share_pools(verdicts({"b": "dev", "a": "prompt"}), nothing, texts)
    assert set(one["pool"]) == set(two["pool"]) == {"prompt"}  # that of the first by text
    assert share_pools(nothing, nothing, texts).empty


def test_near_is_what_differs_in_order_numbers_plurals_or_a_slip() -> None:
    shown = ["renta de oficina enero 2024 folio 123"]
    texts = ["OFICINA folio 98 renta enero", "rentas de oficinas enero folios", "rneta oficina enero folio", "12", ""]
    assert near_any(texts, shown).tolist() == [True, True, True, False, False]
    assert near_any(texts, []).tolist() == [False] * 5
    assert near_any([], shown).tolist() == []


def test_a_near_duplicate_smuggled_into_a_prompt_measures_neither_it_nor_its_descendants(loop, project):
    store = open_store()
    parameters = load_parameters("run.yaml", ["run.iterations=3", "validate.sample_size=8"])
    run = workflow.start(parameters, store, run_id="one")
    while (step := stages.next_step(run, store)) != stages.Step("classify", 2):
        options = {"run_id": "one"} if step.stage == "ingest" else {}
        run = getattr(workflow, step.stage)(*([] if options else [run]), parameters, store, **options)
    held = store.validations("one").query("pool == 'holdout'")["item_id"].iloc[0]
    text = measuring.texts_of(store, "one")[held]
    path = store.path("one", "refined_prompt", 1)
    prompt = yaml.safe_load(path.read_text())
    twin = {"text": " ".join(["77", *reversed(text.upper().split()), "2-b"]), "category": "Otros"}
    path.write_text(yaml.safe_dump({**prompt, "examples": [*prompt.get("examples", []), twin]}, allow_unicode=True))
    run = loop(parameters, store)
    clean = yaml.safe_load(store.path("one", "prompt", 3).read_text())
    clean["examples"] = [each for each in clean.get("examples", []) if each["text"] != twin["text"]]
    store.path("one", "prompt", 3).write_text(yaml.safe_dump(clean, allow_unicode=True))
    for iteration in (2, 3):
        assert held in measuring.shown_items(run, store, iteration)
        assert store.load("one", "metrics", iteration)["accuracy"]["left_out"][LEFT_OUT] >= 1
    assert held not in measuring.shown_items(run, store, 1)


@pytest.mark.parametrize("place", ["rules", "description", "text"])
def test_an_item_that_a_prompt_quotes_in_its_own_words_does_not_measure_it(loop, project, place):
    store = open_store()
    parameters = load_parameters("run.yaml", ["run.iterations=1", "validate.sample_size=30"])
    run = loop(parameters, store)
    texts = measuring.texts_of(store, "one")[store.validations("one")["item_id"].drop_duplicates()]
    held, text = next((item, text) for item, text in texts.items() if len(text.split()) >= 3)
    assert held not in measuring.shown_items(run, store, 1)
    path, said = store.path("one", "prompt", 1), f"Si dice «{text.upper()}», es Otros."
    prompt = yaml.safe_load(path.read_text())
    if place == "description":
        prompt["categories"][0]["description"] = said
    else:
        prompt[place] = [said] if place == "rules" else f"Clasifica los gastos.\n{said}\n"
    path.write_text(yaml.safe_dump(prompt, allow_unicode=True))
    assert held in measuring.shown_items(run, store, 1)


def test_the_ledger_of_a_run_never_splits_near_duplicates_over_pools(loop, project):
    lines = [
        f"{n:03d},{kind} {word} {n},{n}.5,Active,Otros"
        for n, (kind, word) in enumerate(
            (kind, word) for word in ("rojo", "azul", "verde") for kind in ("toner", "toners", "TONER HP", "cartucho")
        )
    ]
    with (project / "expenses.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    store = open_store()
    run = loop(load_parameters("run.yaml", ["validate.sample_size=18", "run.iterations=2"]), store)
    pools = store.validations(run.run_id).drop_duplicates("item_id").set_index("item_id")["pool"]
    texts = measuring.texts_of(store, run.run_id)[pools.index]
    by_skeleton = pools.groupby(texts.map(skeleton)).nunique()
    assert len(pools) > 30
    assert (by_skeleton == 1).all()


def test_verdicts_of_the_dashboard_inherit_the_pool_of_their_near_duplicates(loop, project) -> None:
    texts = [f"renta de lona impresa {word}" for word in ("norte", "nortea", "nortes", "norteo", "nortei", "norten")]
    assert len({pool_of(text) for text in texts}) > 1
    rows = [f"{n},{text},1,Active,Otros" for n, text in enumerate(texts)]
    (project / "expenses.csv").write_text("\n".join(["Folio,Concepto,Importe,Estado,Verdad", *rows]) + "\n")
    store = open_store()
    run = loop(load_parameters("run.yaml", ["validate.gold_column=null", "run.iterations=1"]), store)
    reviewing.prepare(run, store, 1)
    review = store.decisions(run.run_id, 1)
    first = review.next("Ana", Filters())
    while item := review.next("Ana", Filters()):
        review.decide("Ana", [Decision(item["item_id"], item["item_id"], item["rev"], "correct")])
    own = pool_of(first["fields"]["Concepto"])
    reviewing.refresh_results(run, store, 1, "")
    assert set(store.validations(run.run_id)["pool"]) == {own}
    assert len(review.undo("Ana", "back")) == 1
    reviewing.refresh_results(run, store, 1, "")
    assert len(store.validations(run.run_id)) == len(texts) - 1
    run = loop(load_parameters("run.yaml", ["validate.gold_column=null", "run.iterations=1"]), store)
    assert set(store.load(run.run_id, "validations", 1)["pool"]) == {own}
