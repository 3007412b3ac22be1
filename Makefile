# Two commands do everything on a fresh machine: make demo, make test.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test fuzz lint format bench clean

demo: $(VENV)/.demo
	$(BIN)/embedkit demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz 60

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/extract.py
	$(BIN)/python benchmarks/solver.py
	$(BIN)/python benchmarks/bootstrap.py

clean:
	rm -rf demo results build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "embedkit needs Python 3.11 or later, this is " + sys.version'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing embedkit and its demo into $(VENV): torch is large, this takes minutes the first time"
	$(PIP) install -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing embedkit and its development tools into $(VENV): torch is large, this takes minutes the first time"
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo
