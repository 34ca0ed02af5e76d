# make demo   the main job on the shipped example        make test   checks and tests, as CI runs them
# make check  style, types, layers, notebooks            make lab    the notebooks in JupyterLab
# make review the newest run's review dashboard           make bench  the benchmarks
# make lock   write the lock anew                        make clean  remove what was installed and cached

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m

# The lock holds names and exact versions; as a constraint it serves every extra, and the build of the package too.
export PIP_CONSTRAINT := requirements.lock
export PIP_BUILD_CONSTRAINT := requirements.lock
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Containers often switch compiled files off; then the kernel of every stage would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lab review bench lock clean help
.DEFAULT_GOAL := help

help:
	@sed -n '1,4s/^# //p' Makefile

demo: $(VENV)/.core
	$(BIN)/workbench run parameters/demo.yaml

test: check $(VENV)/.browser
	$(RUN) pytest -n auto --dist worksteal

check: $(VENV)/.dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(BIN)/lint-imports --no-logo
	$(RUN) pytest tests/test_house.py

lab: $(VENV)/.lab
	$(BIN)/workbench lab

review: $(VENV)/.review
	$(BIN)/workbench review

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/cleaning.py
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/review.py
	$(BIN)/python benchmarks/tokens.py
	$(BIN)/python benchmarks/dispatcher.py
	$(BIN)/python benchmarks/readers.py
	$(BIN)/python benchmarks/labels_needed.py
	$(BIN)/python benchmarks/prompt_quality.py
	$(BIN)/python benchmarks/whole_run.py

lock: $(VENV)/.core
	$(RUN) pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --upgrade --no-annotate --no-header --no-emit-index-url \
	  --python-version 3.11 --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.core: pyproject.toml requirements.lock
	@echo "Installing the locked dependencies into $(VENV) (a minute or so) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Installing what checks and tests need …"
	@$(RUN) pip install --quiet --editable '.[test,check]'
	@touch $@

$(VENV)/.lab: $(VENV)/.core
	@echo "Installing JupyterLab …"
	@$(RUN) pip install --quiet --editable '.[lab]'
	@touch $@

$(VENV)/.review: $(VENV)/.core
	@echo "Installing the review dashboard …"
	@$(RUN) pip install --quiet --editable '.[review]'
	@touch $@

# The dashboard's tests drive a real browser; without one they are skipped. Only Debian's root can install it.
$(VENV)/.browser: $(VENV)/.dev
	@if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing chromium …"; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null || true; fi
	@touch $@

$(VENV)/.bench: $(VENV)/.core
	@echo "Installing what the benchmarks compare with …"
	@$(RUN) pip install --quiet --editable '.[bench]'
	@touch $@
