# SPDX-License-Identifier: MIT
# The targets are also what .ci/run calls. `make` alone lists them.

PYTHON ?=
PYTHONS = $(PYTHON) python3.12 python3.13 python3.11 python3
BIN = .venv/bin
PROFILE ?= default
.DEFAULT_GOAL = help
# Hundreds of processes would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help results test lab env lint notebooks readme constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

results: env  ## run the workbook: table and figures in outputs/results/ (PROFILE=smoke, default or paper)
	@$(BIN)/vgic run --profile $(PROFILE)

test: env  ## run all tests, with a smoke run of the workbook
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=10

lab: env  ## open the desk and the other notebooks in JupyterLab
	$(BIN)/jupyter lab --config=tools/lab_config.py notebooks/explore.ipynb

# The first of these that runs and is new enough; pyenv leaves names that exist and fail.
env:  ## create or update .venv
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    exec $$python tools/setup_env.py; \
	  fi; \
	done; \
	echo "environment: error: no Python 3.11, 3.12 or 3.13 found; install one, or run: make PYTHON=/path/to/python env" >&2; \
	exit 1

lint: env  ## check style, and format
	$(BIN)/ruff format .
	$(BIN)/ruff check .

notebooks: env  ## strip outputs and normalise cell ids before a commit
	$(BIN)/nbstripout notebooks/*.ipynb

readme: env  ## put tracked tables and numbers into README, docs/ and cards
	$(BIN)/python tools/readme_tables.py

constraints: env  ## renew the versions in constraints.txt
	$(BIN)/uv pip compile --universal --no-header --no-annotate --all-extras --upgrade pyproject.toml -o constraints.txt

clean:  ## remove the environment and caches; data and outputs stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info
	find vgic_lib tests tools benchmarks notebooks -name __pycache__ -prune -exec rm -rf {} +
