import csv
from pathlib import Path

import pytest

from workbench.errors import UsageError
from workbench.refinery import get_pipeline
from workbench.refinery.abbreviations import SHIPPED, read_words


def shipped() -> list[dict[str, str]]:
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_shipped_list_has_no_doubles_chains_or_stop_words() -> None:
    rows = shipped()
    keys = [row["abbreviation"] for row in rows]
    assert len(keys) >= 150 and len(keys) == len(set(keys))
    stop_words = read_words("stop_words_es.txt")
    spelt = {word for row in rows for word in row["expansion"].split()}
    assert not spelt & set(keys)
    assert not (spelt | set(keys)) & stop_words
    assert all(row["note"] for row in rows)


def test_the_shipped_list_is_written_as_cleaning_writes() -> None:
    pipeline = get_pipeline("v3")
    for row in shipped():
        assert pipeline.clean(row["expansion"]) == row["expansion"]
        assert pipeline.clean(row["abbreviation"].upper() + ".") == row["expansion"]


def test_a_mapping_of_ones_own_comes_on_top_of_the_shipped_list() -> None:
    pipeline = get_pipeline("v3", abbreviations={"OXX.": "Tienda de Conveniencia", "PZA": "plaza"})
    assert pipeline.clean("OXX PZA INST") == "tienda conveniencia plaza instalacion"
    assert get_pipeline("v3").clean("OXX PZA") == "oxx pieza"
    assert pipeline.version_fingerprint != get_pipeline("v3").version_fingerprint


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_of_ones_own_is_read_whatever_its_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "own.csv"
    lines = [["Abbreviation", "Expansion", "note"], ["ñd", "Ñandú", ""], [], ["xyz", "equis", "", "more"]]
    path.write_text("\n".join(delimiter.join(line) for line in lines), encoding="utf-8-sig")
    assert get_pipeline("v3", abbreviations=path).clean("ÑD XYZ") == "nandu equis"
    assert get_pipeline("v3", abbreviations=str(path)).clean("ÑD XYZ") == "nandu equis"


def test_an_abbreviation_that_stands_for_itself_is_left_alone() -> None:
    assert get_pipeline("v3", abbreviations={"habil": "habil"}).clean("DIA HABIL") == "dia habil"


def test_a_chain_is_followed_to_its_end() -> None:
    pipeline = get_pipeline("v3", abbreviations={"pieza": "articulo", "zz": "PZA"})
    assert pipeline.clean("PZA PIEZA ZZ") == "articulo articulo articulo"


def test_a_dotted_abbreviation_is_one_word() -> None:
    assert get_pipeline("v3", abbreviations={"M.N.": "moneda nacional"}).clean("100 M.N.") == "100 moneda nacional"


def test_all_faults_of_a_list_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "abbreviation,expansion\nC/U,cada uno\nvacio\nstop,de la\nok,bueno\nuno1,dos2\ndos2,uno1\n", "utf-8"
    )
    with pytest.raises(UsageError) as caught:
        get_pipeline("v3", abbreviations=path)
    message = str(caught.value)
    assert "line 2: 'C/U' is not one word" in message
    assert "line 3: 'vacio' has no expansion" in message
    assert "line 4: 'stop' has no expansion" in message
    assert "'uno1' leads back" in message and "'dos2' leads back" in message
    assert caught.value.hint


def test_a_file_without_the_two_columns_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("corta,larga\na,b\n")
    with pytest.raises(UsageError, match="'abbreviation' and 'expansion'"):
        get_pipeline("v3", abbreviations=path)
    path.write_text("")
    with pytest.raises(UsageError, match="'abbreviation' and 'expansion'"):
        get_pipeline("v3", abbreviations=path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        get_pipeline("v3", abbreviations=tmp_path / "none.csv")


def test_a_pipeline_without_abbreviations_refuses_some() -> None:
    with pytest.raises(UsageError, match="use v3"):
        get_pipeline("v1", abbreviations={"a": "b"})
