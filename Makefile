# Everything a person types. Each target makes what it needs on a machine that has only
# Python >= 3.11, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEDS ?= 500

.PHONY: up kafka prometheus test check sim bench lock clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "casino needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (once; about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

up: $(STAMP) ## Run the casino until Ctrl-C
	@exec $(BIN)/casino up

check: $(STAMP) ## Style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kafka: $(STAMP) ## Get the Kafka that tests run, once, into .tools/kafka or CASINO_KAFKA_JARS
	@$(BIN)/python -m tests.kafka.install

prometheus: $(STAMP) ## Get the Prometheus that tests run, once, into .tools/prometheus
	@$(BIN)/python -m tests.prometheus.install

# On two cores three workers took 16 minutes and two took longer, because starts and faults are waited for. In the
# order of the folders, so that the long tests of whole casinos are not left to the end.
test: check kafka prometheus ## Every check and every test
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 20

sim: $(STAMP) ## Simulate SEEDS=500 seeded worlds and check every promise in each; SEED=n replays one
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED) --timeline,--seeds $(SEEDS))

bench: $(STAMP) ## Compare the casino with its baselines, in 15 minutes; the page is .casino/bench/index.html. Or SCENARIO=spin, ARGS=…
	$(BIN)/casino bench $(or $(SCENARIO),compare) --out .casino/bench $(ARGS)

lock: $(STAMP) ## Pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --group dev pyproject.toml -o requirements.lock

clean: ## Remove the virtual environment and caches; keeps data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .tools
