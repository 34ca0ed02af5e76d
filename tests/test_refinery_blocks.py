from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.refinery import blocks, get_pipeline, merged_texts

NAMES = ("v1", "v2", "v3")
DATA = Path(__file__).parents[2] / "shared" / "data"

parts = st.one_of(
    st.sampled_from(["inst", "pza", "de", "la", "no.", "n°", "5", "i.v.a.", "s.a.", "???", "COCA-COLA", *"½ßµæ™éÑøð"]),
    st.sampled_from([" ", "  ", "\n", "\0", "\xa0", "\x85", "\xad", "."]),
    st.text(st.characters(max_codepoint=255), max_size=3),
    st.text(st.characters(exclude_categories=()), max_size=3),
)
columns = st.lists(st.one_of(st.none(), st.lists(parts, max_size=8).map("".join)), max_size=30)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=120)
@given(texts=columns)
def test_the_block_path_gives_what_the_plain_steps_give(name: str, texts: list[str | None]) -> None:
    pipeline = get_pipeline(name)
    cleaned = pipeline.clean(pd.Series(texts, dtype=object))
    plain = [pipeline.clean(text) for text in texts]
    assert [text if isinstance(text, str) else None for text in cleaned] == plain


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_many_blocks_is_cleaned_like_its_texts(name: str) -> None:
    texts = [
        f"INST. Nº {number} DE PZA{'™' if number % 97 == 0 else ''}, AÑO  {number % 13}" for number in range(60_000)
    ]
    texts[5] = "LARGO " * 400_000
    assert sum(map(len, texts)) > 3 * blocks.BLOCK_BYTES
    pipeline = get_pipeline(name)
    cleaned = pipeline.clean(pd.Series(texts))
    for row in (0, 1, 5, 97, 30_000, 59_999):
        assert cleaned[row] == pipeline.clean(texts[row])
    assert cleaned.nunique() == len(set(map(pipeline.clean, set(texts))))


@pytest.mark.parametrize("name", NAMES)
def test_texts_padded_with_blanks_are_cleaned_like_their_neighbours(name: str) -> None:
    texts = [pad(text, 30) for text in ("INST. DE PZA", "", "de la", "???", "AÑO ½") for pad in (str.ljust, str.center)]
    pipeline = get_pipeline(name)
    assert pipeline.clean(pd.Series(texts)).tolist() == [pipeline.clean(text) for text in texts]


def test_every_shipped_pipeline_has_a_plan() -> None:
    assert all(blocks.plan(get_pipeline(name).steps) is not None for name in NAMES)


def test_real_contract_titles_are_cleaned_alike_in_blocks_and_one_by_one() -> None:
    path = DATA / "compranet_contracts" / "compranet_contracts.csv"
    if not path.exists():
        pytest.skip("the shared data is not here")
    df = pd.read_csv(path, usecols=["TITULO_CONTRATO"])
    for name in NAMES:
        pipeline = get_pipeline(name)
        cleaned = pipeline.clean_frame(df, "TITULO_CONTRATO")
        titles = df["TITULO_CONTRATO"].dropna()
        assert cleaned["cleanTITULO_CONTRATO"].dropna().tolist() == [pipeline.clean(title) for title in titles]
        assert (cleaned["cleanTITULO_CONTRATO"] != "").all()
        assert set(merged_texts(cleaned, "TITULO_CONTRATO")) == {"clean", "original", "n_rows", "n_originals"}
