"""What every member of a registry promises; a new pipeline or provider gets these tests for one line."""

import json
from pathlib import Path

import pandas as pd
import pytest

from workbench import llm, refinery

ROOT = Path(__file__).parents[1]
PROMPT = llm.load_prompt(ROOT / "parameters" / "prompts" / "business_expenses.yaml")
TEXTS = ["vinil para ventana", "hotel 2 noches", "zxcvq", "", "¿?", "cerveza " * 200, "plain english text", "123"]


@pytest.mark.parametrize("name", list(llm.PROVIDERS))
def test_a_provider_answers_every_item_once_with_a_category_of_the_prompt(name):
    provider = llm.get_provider(name)
    numbers = range(1, len(TEXTS) + 1)
    items = tuple(llm.NumberedItem(number, {"cleanText": text}) for number, text in zip(numbers, TEXTS, strict=True))
    response = provider.complete(llm.Request(PROMPT, items))
    assert [answer["id"] for answer in json.loads(response.text)["results"]] == list(numbers)
    parsed = llm.parse_answer(response.text, PROMPT, numbers)
    assert set(parsed.good) == set(numbers)
    assert response.usage.calls == 1
    assert provider.fingerprint == llm.get_provider(name).fingerprint


@pytest.mark.parametrize("name", list(llm.PROVIDERS))
def test_a_provider_classifies_a_table_item_by_item(name):
    items = pd.DataFrame({"item_id": [f"i{number}" for number in range(len(TEXTS))], "cleanText": TEXTS})
    whole = llm.classify(items, PROMPT, llm.get_provider(name))
    apart = llm.classify(items, PROMPT, llm.get_provider(name), chunk_size=1, concurrency=4)
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
