# The two commands of README: `make demo` and `make test`. Each makes .venv when it is missing and does all its set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-slow docs clean

demo: $(VENV)/light
	$(BIN)/hevitpose predict examples/skier.jpg --draw --output out

test: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow

# The tables of README and docs, from results/, and the diagram of docs/architecture.md, from the imports.
docs: $(VENV)/dev
	$(BIN)/python tools/update_tables.py
	$(BIN)/python tools/architecture_diagram.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("hevitpose needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/light: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(PIP) install --constraint constraints.txt --editable '.[train,export,openvino,video,baselines,hub,dev]'
	touch $@ $(VENV)/light

clean:
	rm -rf $(VENV) out build dist
