# `make build` and `make test` are all that most people need; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help env env-dev env-examples env-report env-export env-spark
.PHONY: build report export test test-bi test-examples test-histories mutate
.PHONY: test-faults test-hostile test-kills test-spark spark-up spark-down
.PHONY: lint format audit bench picture dictionary docs clean

PYTHON ?= python3
# Of the cluster that spark-up starts.
SPARK_WORKERS ?= 2
SPARK_WORKER_MEMORY ?= 2g
SPARK_PORT ?= 7077
# A uv of one's own is used; without one, pip puts it in .uv, which works even where
# the system's pip refuses to install.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
RUN := .venv/bin/

# Where Python may not keep the bytecode of what it imports, as in many containers, each
# start would compile it anew, seconds each time: it is compiled once, on installing.
ifdef PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
endif

# Handed on through the environment, so that no shell reads what they hold.
export DATA VARS
SHELL := /bin/bash

help:
	@echo 'make build                      demo data, or what is loaded: build and summary'
	@echo 'make build DATA="my lines.xlsx" load a file first (xlsx, csv, tsv, parquet)'
	@echo "make build VARS='{...}'         set vars; dbt_project.yml lists them"
	@echo 'make report                     a page and a slide deck of the last build: report/'
	@echo 'make export                     extracts of the last build for BI tools: export/'
	@echo 'make test                       all that CI runs'
	@echo 'make test-histories             200 random histories: daily builds equal full ones'
	@echo 'make test-hostile               10,000 made-up hostile files: no traceback'
	@echo 'make test-kills                 commands killed, disks full, clocks wrong'
	@echo 'make mutate                     is a wrong SQL model noticed? docs/mutants.md'
	@echo 'make test-faults                faults put in meet their gates: docs/faults.md'
	@echo 'make test-examples              run all of examples/, Dagster and Airflow too'
	@echo 'make test-bi                    a chart in Superset, on the extracts'
	@echo 'make format                     format Python and SQL'
	@echo 'make audit                      known faults and licences of what is installed'
	@echo 'make bench                      time and memory by size: docs/bench.md and .png'
	@echo 'make docs                       the dbt docs site, in target/'
	@echo 'make spark-up, spark-down       a Spark cluster of this machine: docs/spark.md'
	@echo 'make test-spark                 every table on Spark against DuckDB'
	@echo 'make clean                      remove built files; landing and warehouse stay'

.uv/bin/uv:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	    echo 'Neither uv nor pip was found. Install one of them: https://docs.astral.sh/uv'; \
	    exit 1; }
	@echo 'Installing uv into .uv'
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .uv uv

env: $(UV)
	@$(UV) sync --quiet --inexact

env-dev: $(UV)
	@$(UV) sync --quiet --inexact --group dev --extra report --extra tableau

env-report: $(UV)
	@$(UV) sync --quiet --inexact --extra report

env-export: $(UV)
	@$(UV) sync --quiet --inexact --extra tableau

env-spark: $(UV)
	@$(UV) sync --quiet --inexact --group dev --extra spark

report: env-report
	@$(RUN)retail-segments report

export: env-export
	@$(RUN)retail-segments export

build: env
	@$(RUN)retail-segments build $${DATA:+--data "$$DATA"} $${VARS:+--vars "$$VARS"}

test: env-dev lint
	$(RUN)pytest --numprocesses 2 --dist loadfile

test-histories: env-dev
	RETAIL_SEGMENTS_HISTORIES=200 $(RUN)pytest --numprocesses 2 tests/python/test_incremental.py

# One test per kind of file, dealt out to two processes.
test-hostile: env-dev
	RETAIL_SEGMENTS_HOSTILE=10000 $(RUN)pytest --numprocesses 2 --dist load \
	    tests/python/test_hostile_files.py tests/python/test_hostile_corpus.py

test-kills: env-dev
	$(RUN)pytest --numprocesses 2 tests/kills

mutate: env-dev
	$(RUN)python tests/mutation/run.py

test-faults: env-dev
	$(RUN)pytest --numprocesses 2 tests/faults

lint: env-dev
	$(UV) lock --check
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)sqlfluff lint --processes 2 models tests/singular analyses

format: env-dev
	$(RUN)ruff check --fix .
	$(RUN)ruff format .
	$(RUN)sqlfluff fix models tests/singular analyses

# Of what users get: the core and all extras but spark, which brings Java's world along.
LICENCES := MIT;BSD;Apache;ISC;0BSD;Python Software Foundation;PSF;Mozilla;MPL;HPND;MIT-CMU
# Looked at by hand: kneed (BSD) and the tests' axe (MIT) do not say it where tools look,
# text-unidecode may be had under the Artistic licence, and Tableau's library under its own.
LICENCES_SEEN := kneed text-unidecode tableauhyperapi axe-playwright-python

audit: env-report env-export
	@mkdir -p target
	$(UV) export --quiet --frozen --all-extras --all-groups --no-emit-project \
	    --output-file target/requirements.txt
	$(UV) tool run --from 'pip-audit>=2.9,<3' pip-audit --disable-pip --require-hashes \
	    --requirement target/requirements.txt
	$(UV) tool run --from 'pip-licenses>=5,<6' pip-licenses --python .venv/bin/python \
	    --from mixed --partial-match --allow-only '$(LICENCES)' \
	    --ignore-packages $(LICENCES_SEEN) --summary

bench: env-dev env-spark
	$(RUN)python bench/run.py $${DATA:+"$$DATA"}

picture: env-dev
	$(RUN)python docs/picture.py

dictionary: env
	$(RUN)python docs/dictionary.py

docs: env
	$(RUN)dbt docs generate --static
	@echo 'Open target/static_index.html'

spark-up: env-spark
	@$(RUN)retail-segments spark-up --workers $(SPARK_WORKERS) \
	    --worker-memory $(SPARK_WORKER_MEMORY) --port $(SPARK_PORT)

spark-down: env
	@$(RUN)retail-segments spark-down

# So has Superset.
.venv-superset/.done: tests/bi/requirements.txt | $(UV)
	$(UV) venv --quiet --clear .venv-superset
	$(UV) pip install --quiet --python .venv-superset -r $<
	touch $@

test-bi: env-dev .venv-superset/.done
	$(RUN)pytest tests/bi

test-spark: env-spark
	$(RUN)pytest tests/spark --capture no

clean:
	rm -rf target logs .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Airflow pins much that dbt pins otherwise, so it has an environment of its own.
.venv-airflow/.done: examples/airflow/requirements.txt | $(UV)
	$(UV) venv --quiet --clear .venv-airflow
	$(UV) pip install --quiet --python .venv-airflow -r $<
	touch $@

env-examples: env-dev .venv-airflow/.done
	@$(UV) sync --quiet --inexact --group dev --group examples

test-examples: env-examples
	$(RUN)pytest tests/examples
