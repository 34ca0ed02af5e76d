"""The rules of the house, held by tests: dependencies, notebooks, documentation, sizes."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted((ROOT / "workbench").rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def requirements(lines):
    found = [Requirement(line) for line in lines if not line.startswith(PROJECT["name"])]  # an extra of our own
    return {canonicalize_name(each.name): str(each.specifier) for each in found}


def test_the_conda_environment_mirrors_the_dependencies():
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = requirements(line for line in lines if line not in ("pip",) and not line.startswith("python>"))
    assert conda == requirements([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]])
    assert f"python{PROJECT['requires-python']}" in lines


def test_every_dependency_has_a_lower_bound_and_is_locked():
    locked = {
        canonicalize_name(Requirement(line).name) for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    declared = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    assert set(requirements(declared)) <= locked
    assert [line for line in requirements(declared).items() if ">=" not in line[1]] == []


def test_the_lock_holds_names_and_exact_versions_only():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ; .+)?", line), line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_short_stripped_and_has_one_cell_of_literal_parameters(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) <= 10
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    assert [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])] == code[:1]
    for node in ast.parse("".join(code[0]["source"])).body:
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        ast.literal_eval(node.value)
    for cell in code:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            assert not isinstance(node, ast.FunctionDef) or node.end_lineno - node.lineno < 3


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small_and_parameters_few(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} is too long"
            names = [each.arg for each in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
            assert len([name for name in names if name not in ("self", "cls")]) <= 6, f"{node.name} takes too much"


def test_every_file_is_checked_for_style():
    show = [sys.executable, "-m", "ruff", "check", "--show-files", str(ROOT)]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split("\n")
    assert set(map(str, [*MODULES, *NOTEBOOKS, *(ROOT / "tests").glob("*.py")])) <= set(shown)


def test_help_needs_no_heavy_import():
    heavy = ["pandas", "numpy", "pyarrow", "sqlalchemy", "papermill", "sklearn", "matplotlib", "pydantic"]
    program = (
        "import sys, workbench.cli\n"
        "try: workbench.cli.main(['--help'])\n"
        f"except SystemExit: pass\nprint([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_review_loads_no_grammar_that_it_does_not_need():
    program = "import sys\nfrom workbench.widgets import {}\nprint('lark' in sys.modules)"
    server = "server; server.load_quickly(); import nbformat, voila.app"
    for said in ("launcher", server):
        done = subprocess.run([sys.executable, "-c", program.format(said)], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"


def test_every_command_and_option_is_documented_and_every_documented_command_exists():
    from workbench.cli import _parser

    commands = next(action.choices for action in _parser()._actions if action.choices)
    sections = re.split(r"^## workbench (\w+)$", (ROOT / "docs" / "commands.md").read_text(), flags=re.M)
    assert sections[1::2] == list(commands)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))
    for stage in ("ingest", "classify", "validate"):  # they share one section
        text[stage] = text["refine"]
    for name, parser in commands.items():
        options = {option for action in parser._actions for option in action.option_strings if option != "-h"}
        assert [option for option in options - {"--help"} if f"`{option}`" not in text[name]] == [], name
    for path in DOCUMENTS:
        assert set(re.findall(r"^(?: {4}|.*bin/)workbench (\w+)", path.read_text(), flags=re.M)) <= set(commands), path


def test_every_parameter_is_documented():
    from workbench.parameters import Parameters

    text = (ROOT / "docs" / "parameters.md").read_text()
    for name, section in Parameters.model_fields.items():
        fields = section.annotation.model_fields
        for field in fields:
            assert f"`{(section.alias or name)}.{field}`" in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
