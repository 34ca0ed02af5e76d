"""What every member of a registry promises; a new pipeline or provider gets these tests for one line."""

from pathlib import Path

import pandas as pd
import pytest
from openai_server import KEY, MODEL, OpenAIServer, lexical

from workbench import llm, refinery

ROOT = Path(__file__).parents[1]
PROMPT_FILE = ROOT / "parameters" / "prompts" / "business_expenses.yaml"
PROMPT = llm.load_prompt(PROMPT_FILE)
TEXTS = ["vinil para ventana", "hotel 2 noches", "zxcvq", "", "¿?", "cerveza " * 200, "plain english text", "123"]


@pytest.fixture(params=list(llm.PROVIDERS))
def provider(request, monkeypatch):
    """Every provider there is; those that need an endpoint get a real one on loopback."""
    if request.param != "openai":
        yield llm.get_provider(request.param)
        return
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer(lexical(str(PROMPT_FILE))) as server:
        yield llm.get_provider("openai", model=MODEL, base_url=server.url)


def test_a_provider_answers_every_item_once_with_a_category_of_the_prompt(provider):
    numbers = range(1, len(TEXTS) + 1)
    items = tuple(llm.NumberedItem(number, {"cleanText": text}) for number, text in zip(numbers, TEXTS, strict=True))
    response = provider.complete(llm.Request(PROMPT, items))
    parsed = llm.parse_answer(response.text, PROMPT, numbers)
    assert (set(parsed.good), parsed.faults, parsed.unknown) == (set(numbers), {}, 0)
    assert response.usage.calls == 1


def test_a_provider_classifies_a_table_item_by_item(provider):
    items = pd.DataFrame({"item_id": [f"i{number}" for number in range(len(TEXTS))], "cleanText": TEXTS})
    whole = llm.classify(items, PROMPT, provider)
    apart = llm.classify(items, PROMPT, provider, chunk_size=1, concurrency=4)
    pd.testing.assert_frame_equal(whole, apart)
    assert whole["item_id"].tolist() == items["item_id"].tolist()


@pytest.mark.parametrize("name", list(refinery.PIPELINES))
def test_a_pipeline_keeps_nulls_and_is_idempotent(name):
    pipeline = refinery.get_pipeline(name)
    texts = pd.Series([*TEXTS, None, "INSTALACIÓN VINIL   COCA-COLA"])
    once = pipeline.clean(texts)
    pd.testing.assert_series_equal(pipeline.clean(once), once)
    assert once.isna().tolist() == texts.isna().tolist()


@pytest.mark.parametrize("path", sorted((ROOT / "parameters" / "prompts").glob("*")), ids=lambda path: path.name)
def test_a_shipped_prompt_loads_and_saves_to_itself(path, tmp_path):
    prompt = llm.load_prompt(path)
    (tmp_path / "again.yaml").write_text(prompt.to_yaml(), encoding="utf-8")
    again = llm.load_prompt(tmp_path / "again.yaml")
    assert (again, again.fingerprint) == (prompt, prompt.fingerprint)
