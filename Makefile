# Every target sets up what it needs: a virtual environment in .venv, at the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# Its dagster.yaml keeps Dagster's records in .dagster.
export DAGSTER_HOME ?= $(CURDIR)
# Empty: time zone rules from the tzdata package, also in Dagster's own processes.
export PYTHONTZPATH :=
# Empty: bytecode is kept, whatever the shell says. Without it, each worker and process compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo dev test test-long test-clock libfaketime test-ui test-lake test-lake-long postgres redis chromium soak check lint format docs docs-serve bench bench-big mutants profile dist clean
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.installed: EXTRAS := [test,dev,docs]
.venv/.package .venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.$(EXTRAS)' && touch .venv/.package $@

demo: .venv/.package ## Load the default data sources into data/klaviyo.duckdb (a sandbox, unless KLAVIYO_API_KEY is set)
	$(BIN)/klaviyo-pipeline demo

PORT ?= 3000
dev: .venv/.package ## Open Dagster's UI on the assets (a sandbox, unless KLAVIYO_API_KEY is set)
	$(BIN)/klaviyo-pipeline with-sandbox -- $(BIN)/dg dev --port $(PORT)

# The tests wait, for processes and for HTTP: more workers than cores keep a small machine busy. Each costs 15 s of CPU time.
WORKERS ?= 3
test: .venv/.installed ## Run the tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

LONG ?= long or newcomer or hypothesis or soak
test-long: .venv/.installed libfaketime ## Run what `make test` leaves out: long tests, further cases of wide tests, more examples of property tests
	KLAVIYO_SOAK=$${KLAVIYO_SOAK:-0.33} $(BIN)/pytest -n $(WORKERS) --dist worksteal -m '($(LONG)) and not lake and not ui' $(TESTS)

libfaketime:
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { echo 'libfaketime is not installed. Install it: sudo apt-get install libfaketime'; exit 1; }
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libfaketime >/dev/null; }

SHIFTS ?= 45-days 400-days leap-day new-year summer-time winter-time
FOLDERS ?= klaviyo_pipeline_tests
test-clock: .venv/.installed libfaketime ## Run the tests at other times: make test-clock SHIFTS=leap-day FOLDERS=klaviyo_pipeline_tests/cli
	@for shift in $(SHIFTS); do \
	  $(BIN)/python -m klaviyo_pipeline_tests.clocks.shifted $$shift $(BIN)/pytest -n $(WORKERS) --dist worksteal $(FOLDERS) || failed="$$failed $$shift"; \
	done; test -z "$$failed" || { echo "Tests failed with the clock at:$$failed"; exit 1; }

CHROMIUM ?= /usr/bin/chromium
chromium:
	@test -x "$(CHROMIUM)" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { echo 'No browser at $(CHROMIUM). Install it (sudo apt-get install chromium), or say where one is: make test-ui CHROMIUM=/path/to/chromium'; exit 1; }
	@test -x "$(CHROMIUM)" || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

.venv/.ui: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ui]' && touch $@

test-ui: .venv/.ui chromium ## Test Dagster's UI in a real browser; pictures and logs go to artifacts/ui
	CHROMIUM="$(CHROMIUM)" $(BIN)/pytest -x -m ui klaviyo_pipeline_tests/ui

POSTGRES := $(shell ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -1)
postgres:
	@test -n "$(POSTGRES)" || command -v postgres >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { echo 'There is no Postgres server. Install it: sudo apt-get install postgresql'; exit 1; }
	@test -n "$(POSTGRES)" || command -v postgres >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }

redis:
	@command -v redis-server >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null; } || { echo 'There is no Redis server. Install it: sudo apt-get install redis-server'; exit 1; }
	@command -v redis-server >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server >/dev/null; }

# An environment of its own: the extensions of a lake are built for an older DuckDB than the one in .venv.
.venv-lake/.installed: pyproject.toml constraints.txt constraints-lake.txt
	$(PYTHON) -m venv .venv-lake && sed '/^duckdb==/d' constraints.txt | cat - constraints-lake.txt > .venv-lake/constraints.txt
	.venv-lake/bin/pip install --quiet --disable-pip-version-check -c .venv-lake/constraints.txt -e '.[test,ducklake,celery,k8s,lake]' && touch $@

LAKE_TESTS := warehouse lake truth/test_every_mode.py privacy/test_lakes.py
test-lake: .venv-lake/.installed postgres redis ## Test DuckLake and workers, with Postgres, S3 and Redis on loopback; servers start and end with the tests
	.venv-lake/bin/pytest -n $(WORKERS) --dist worksteal --timeout 900 -m '$(or $(LAKE_MARKS),lake and not long)' $(addprefix klaviyo_pipeline_tests/,$(LAKE_TESTS))

test-lake-long: ## Test DuckLake with every test of the contract on every destination; takes half an hour
	$(MAKE) test-lake LAKE_MARKS=lake

soak: .venv/.installed ## Run the property tests for long
	KLAVIYO_SOAK=20 $(BIN)/pytest -n auto --timeout 7200 -m 'not lake' klaviyo_pipeline_tests/truth klaviyo_pipeline_tests/hostile
	KLAVIYO_SOAK=20 $(BIN)/pytest -n auto --timeout 7200 -m '(hypothesis or soak or long) and not lake' --ignore-glob '*/truth' --ignore-glob '*/hostile' --ignore-glob '*/ui'

check: .venv/.package ## Check settings, transfers, accounts and the database
	$(BIN)/klaviyo-pipeline check

lint: .venv/.installed ## Check style, types, imports between packages, and declared dependencies
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/deptry .

format: .venv/.installed ## Format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: .venv/.installed ## Write docs/reference and the files that have templates, and build the documentation into site/
	$(BIN)/python -m reference_docs && $(BIN)/zensical build --strict

docs-serve: .venv/.installed ## Serve the documentation on http://127.0.0.1:8000, and rebuild it on changes
	$(BIN)/zensical serve

.venv/.mutants: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]' && touch $@

# MODULES are parts of modules' paths: make mutants MODULES="ledger windows" SAMPLE=10
mutants: .venv/.mutants ## Put faults into the code, one by one, and check that the tests fail; takes hours for all modules
	$(BIN)/python -m mutation $(MODULES) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

.venv/.bench: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]' && touch $@

bench: .venv/.bench .venv-lake/.installed postgres ## Measure this project, a plain loader and dlt side by side; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.run --write

bench-big: .venv/.bench ## Measure tables of 20 million events and a first load of 5 million; takes hours and 40 GB of disk
	$(BIN)/python -m benchmarks.run tables analytics --tables 200000,2000000,20000000 --large 20000000
	$(BIN)/python -m benchmarks.parts --events 5000000 --stage-mb 500

profile: .venv/.bench ## Show where the time of a load goes
	$(BIN)/python -m benchmarks.profiling events

dist: .venv/.installed ## Build the wheel and the sdist into dist/, and check them
	rm -rf dist && $(BIN)/python -m build && $(BIN)/twine check --strict dist/*

clean: ## Remove files that the targets above can make again; keeps the rows in data/ and the records in .dagster/
	rm -rf .venv .venv-lake build dist site .cache *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
