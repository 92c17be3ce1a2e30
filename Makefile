# The commands of README: `make demo`, `make test` and `make test-web`. Each does all its set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_MODULES := web/node_modules/.package-lock.json
CHROMIUM := /usr/bin/chromium
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-slow test-web web docs clean

demo: $(VENV)/light
	$(BIN)/hevitpose predict examples/meadow.jpg --draw --output out

test: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(VENV)/dev
	$(PIP) install --constraint constraints.txt --editable '.[ray]'
	$(BIN)/python -m pytest -m slow

# The page (docs/web.md): web/dist for any host, and in the package, where `hevitpose serve` finds it. The package has the
# weights already, and no WebGPU: 4 MB of the wheel for pages that run on the same machine.
PAGE := src/hevitpose/serve/page
web: $(NODE_MODULES)
	cd web && npm run build
	rm -rf $(PAGE)
	mkdir -p $(PAGE)
	cp -r web/dist/. $(PAGE)
	rm -r $(PAGE)/models $(PAGE)/assets/*.jspi-*.wasm

test-web: $(VENV)/light $(CHROMIUM) web
	cd web && npm test
	cd web && PYTHON=../$(BIN)/python npm run test:browser

$(NODE_MODULES): web/package-lock.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(CHROMIUM):
	@test "$$(id -u)" = 0 || { echo "make test-web needs $@: apt-get install chromium"; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium

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
	$(PIP) install --constraint constraints.txt --editable '.[train,export,openvino,video,baselines,hub,serve,supervision,dev]'
	touch $@ $(VENV)/light

clean:
	rm -rf $(VENV) out build dist web/node_modules web/dist $(PAGE)
