PYTHON ?= python3
BIN := .venv/bin
DATA := data/quickstart

.PHONY: install quickstart test lint wheel-check docs clean

.venv/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

install: .venv/.installed

# Simulate, prepare, train, evaluate, report: the whole way, in less than four minutes after the install.
quickstart: .venv/.installed
	test -d $(DATA)/dialogues || $(BIN)/semantic simulate $(DATA)/dialogues --dialogues 400 --products 2000 --seed 0
	$(BIN)/semantic prepare mmd $(DATA)/dialogues --out $(DATA)/store
	$(BIN)/semantic train quickstart_bag --set data.store=$(DATA)/store --resume
	$(BIN)/semantic train quickstart --set data.store=$(DATA)/store --resume
	$(BIN)/semantic report runs/quickstart runs/quickstart_bag --out report

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy sees the mapped folders as one package only where they are installed as one: in a wheel.
wheel-check: .venv/.installed-test
	rm -rf build  # modules that are gone would stay in build/lib, and get into the wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel . > /dev/null
	$(BIN)/python -m pip install --quiet --no-deps --target build/typed build/wheel/*.whl
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --python-executable ../../$(BIN)/python -p semantic

test: lint wheel-check
	$(BIN)/pytest -n 2

.venv/.installed-docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

# The site, in site/: pages of docs/, the README, every field and every module. Nothing is read from a network.
docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf build report site .pytest_cache .ruff_cache .mypy_cache
