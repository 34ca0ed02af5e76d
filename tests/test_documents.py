"""YAML that people edit: every mistake shown where it stands, and nothing that runs without end."""

import pytest

from workbench.documents import parse_yaml
from workbench.errors import ParameterError


def test_a_key_that_stands_twice_is_named_with_both_lines():
    with pytest.raises(ParameterError, match=r"line 3: 'run' stands here a second time.*line 1"):
        parse_yaml("run: {name: a}\nclassify: {}\nrun: {name: b}\n", "x.yaml", ParameterError)


def test_aliases_may_be_used_but_not_to_blow_a_file_up():
    data, lines = parse_yaml("a: &here [1, 2]\nb: *here\n", "x.yaml", ParameterError)
    assert (data, lines[("b",)]) == ({"a": [1, 2], "b": [1, 2]}, 2)
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    with pytest.raises(ParameterError, match="unfolds to more than"):
        parse_yaml(bomb, "x.yaml", ParameterError)


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 5000, "- 1", "", "a: !!python/object:os.system x", "a: \t- x: [", "&a [*a]"]
)
def test_what_is_no_mapping_of_plain_values_is_refused(text):
    with pytest.raises(ParameterError):
        parse_yaml(text, "x.yaml", ParameterError)


def test_an_alias_of_itself_does_not_run_without_end():
    with pytest.raises(ParameterError):
        parse_yaml("a: &a {b: *a}\n", "x.yaml", ParameterError)
