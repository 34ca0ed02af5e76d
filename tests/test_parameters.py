"""A wrong parameter is named with the place where it stands, and with what may stand there."""

import pytest

from workbench.cli import main
from workbench.errors import NotRegistered, ParameterError, ReadError
from workbench.parameters import TimeLimit, load_parameters
from workbench.workflow import check

FILE = """\
run: {name: "a b", iterations: 2}
ingest:
  input: expenses.csv
  columns: [Concepto, Concepto]
  delimiter: ab
classify:
  prompt: prompt.yaml
validate:
  stratgy: random
refine:
  additional_examples:
    - {text: a, categroy: b}
"""


def test_every_wrong_value_of_a_file_is_told_with_its_line_and_the_nearest_name(project):
    (project / "wrong.yaml").write_text(FILE)
    with pytest.raises(ParameterError) as caught:
        load_parameters("wrong.yaml")
    for words in (
        "wrong.yaml: line 1: run.name: 'a b' cannot be the name of a run: it may hold up to 80 letters",
        "line 4: ingest.columns: 'Concepto' stands there twice",
        "line 5: ingest.delimiter is 'ab', but should have at most 1 character",
        "line 9: unknown field 'validate.stratgy'",
        "line 12: unknown field 'refine.additional_examples.0.categroy'",
        "did you mean 'strategy'?",
        "did you mean 'category'?",
    ):
        assert words in str(caught.value)


OVERRIDES = {
    "ingest.engin=dask": "command line, ingest.engin=dask: unknown field 'ingest.engin'. Hint: did you mean 'engine'?",
    "run.iterations=0": "command line, run.iterations=0: run.iterations is 0, but should be greater than",
    "validat.strategy=random": "unknown field 'validat'. Hint: did you mean 'validate'?",
    "classify.judge={provide: lexical}": "unknown field 'classify.judge.provide'",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_mistake_of_the_command_line_is_not_looked_for_in_the_file(project, override):
    with pytest.raises(ParameterError) as caught:
        load_parameters("run.yaml", [override])
    assert OVERRIDES[override] in str(caught.value)
    assert "line 1" not in str(caught.value) and "run.yaml" not in str(caught.value)


UNKNOWN = {
    "  pipeline: v4\n": "run.yaml, line 3: ingest.pipeline: no pipeline 'v4'",
    "  deduplication: contents\n": "run.yaml, line 3: ingest.deduplication: no ",
    "  input: expenses.csv\nvalidate:\n  strategy: ramdom\n": "run.yaml, line 5: validate.strategy: no ",
    "  input: expenses.csv\nclassify:\n  prompt: prompt.yaml\n  provider: opnai\n": "line 6: classify.provider: no ",
}


@pytest.mark.parametrize("lines", UNKNOWN)
def test_a_name_that_nothing_has_is_told_with_its_line(project, lines):
    text = f"ingest:\n  columns: Concepto\n{lines}"
    text += "" if "input" in lines else "  input: expenses.csv\n"
    text += "" if "classify" in lines else "classify: {prompt: prompt.yaml}\n"
    (project / "run.yaml").write_text(text)
    with pytest.raises(NotRegistered) as caught:
        check(load_parameters("run.yaml"))
    assert UNKNOWN[lines] in str(caught.value)
    assert caught.value.hint
    with pytest.raises(NotRegistered, match=r"command line, validate\.strategy=best: "):
        check(
            load_parameters(
                "run.yaml",
                [
                    "validate.strategy=best",
                    "ingest.pipeline=v3",
                    "classify.provider=lexical",
                    "ingest.deduplication=content_only",
                ],
            )
        )


def test_an_example_of_an_unknown_category_is_told_with_its_place(project):
    change = "refine.additional_examples=[{text: a, category: Viaje}]"
    with pytest.raises(ParameterError, match=r"command line, refine.additional_examples=.*no category 'Viaje'"):
        check(load_parameters("run.yaml", [change]))


def test_a_section_of_nothing_has_its_defaults(project):
    (project / "run.yaml").write_text((project / "run.yaml").read_text().replace("{max_examples: 6}", ""))
    parameters = load_parameters("run.yaml", ["run.time_limit=null"])
    assert parameters.run.time_limit == TimeLimit()
    assert parameters.refine.max_examples == 40
    assert parameters == load_parameters("run.yaml", ["refine.max_examples=40"])


def test_a_column_is_previewed_once(project, capsys):
    assert main(["preview", "expenses.csv", "--columns", "Concepto, Concepto"]) == 2
    assert "--columns names 'Concepto' twice" in capsys.readouterr().err


def test_patterns_that_leave_every_file_out_are_named_and_not_the_folder_blamed(project, capsys):
    with pytest.raises(ReadError, match="holds no file that can be read") as caught:
        check(load_parameters("run.yaml", ["ingest.input=.", "ingest.exclude=['*.csv']"]))
    assert "it holds 2 other files, and what fits *.csv is left out" in caught.value.hint
    assert main(["inspect", "expenses.csv", "--exclude", "*.csv"]) == 1
    assert "what fits *.csv is left out" in capsys.readouterr().err
