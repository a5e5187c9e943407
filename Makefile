# Every target that needs Python depends on `setup`, which does nothing when .venv is up to date.

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.setup-done
SOURCES := mlc dialects frontends lowering codegen
VIEW  := build/typecheck
JOBS  ?= 2

# The newest interpreter that really runs (a version manager's shim may exist without its version).
FIND_PYTHON = for v in 3.14 3.13 3.12 3.11; do \
    python$$v -c '' 2>/dev/null && { echo python$$v; exit; }; done; \
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo python3

.DEFAULT_GOAL := help
.PHONY: help setup test test-full quick lint typecheck typecheck-view format fuzz demo docs bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## Create .venv and install mlc into it, editable, with everything the tests need

$(VENV)/bin/python:
	@python=$${PYTHON:-$$($(FIND_PYTHON))}; \
	    [ -n "$$python" ] || { echo "mlc needs Python 3.11 or newer; none was found" >&2; exit 1; }; \
	    echo "creating $(VENV) with $$python"; $$python -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@if command -v uv >/dev/null; then \
	    uv pip install --quiet --python $(PY) -e '.[test,gpu,fuzz]' -c constraints.txt; \
	else \
	    $(PY) -m pip install --quiet --disable-pip-version-check -e '.[test,gpu,fuzz]' -c constraints.txt; fi
	@touch $@

test: setup ## Run everything that CI runs: lint, types, docs, then all tests once
	@status=0; \
	    $(MAKE) --no-print-directory lint || status=1; \
	    $(MAKE) --no-print-directory typecheck || status=1; \
	    $(MAKE) --no-print-directory docs || status=1; \
	    $(PY) -m pytest -n $(JOBS) --durations=15 || status=1; \
	    exit $$status

test-full: setup ## Run ONNX's backend suite in every configuration and write docs/reference/onnx.md
	@$(PY) -m benchmarks.onnx_suite --every -o docs/reference/onnx.md

quick: setup ## Run the tests that take a few seconds each at most
	@$(PY) -m pytest -n $(JOBS) -m 'not slow' -q

lint: setup ## Check style and formatting
	@$(PY) -m ruff check --quiet --output-format=concise . && $(PY) -m ruff format --quiet --check .

typecheck: setup typecheck-view ## Check types (strict)
	@$(PY) -m basedpyright --level error

# Type checkers can't follow the editable install's import hook: show them the whole package in one folder.
typecheck-view:
	@rm -rf $(VIEW) && mkdir -p $(VIEW) && cp -rs $(CURDIR)/mlc $(VIEW)/mlc
	@for folder in dialects frontends lowering codegen; do cp -rs $(CURDIR)/$$folder $(VIEW)/mlc/$$folder; done

format: setup ## Rewrite the sources in the house style
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format --quiet .

SECONDS ?= 600
fuzz: setup ## Fuzz the compiler with damaged models for SECONDS (default 600)
	@mkdir -p build/fuzz && cd build/fuzz && PYTHONPATH=$(CURDIR) MLC_JOBS=1 \
	    $(CURDIR)/$(PY) $(CURDIR)/tests/fuzz/fuzz_onnx.py corpus -max_total_time=$(SECONDS) -print_final_stats=1

demo: setup $(VENV)/.compare-done ## Compile ResNet-50, check it against the reference, time it beside onnxruntime
	@$(PY) -m benchmarks.demo

bench: setup $(VENV)/.compare-done ## Print every figure: kernels, models, compile time, overheads, memory
	@$(PY) -m benchmarks

# Where a peer can't be installed, what is left is timed.
$(VENV)/.compare-done: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[compare]' -c constraints.txt \
	    && touch $@ || echo "not all peers could be installed: timing without them" >&2

docs: $(VENV)/.docs-done ## Build the documentation into site/, warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict  # --quiet would hide warnings from --strict

$(VENV)/.docs-done: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[docs]' -c constraints.txt
	@touch $@

clean: ## Remove what builds and tests leave behind (not .venv)
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage*
	find $(SOURCES) tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
