# Everything a fresh machine needs: Python >= 3.11, git, make.
#   make run    set up, then run the benchmark on the embedded model      make test       set up, then the tests
#   make run samples=4 tasks=safety_assessment   the same with settings, as after --config of snakemake
#   make check  linters, types, formatting, generated files               make test-slow  soak, calibration, Slurm, podman, browser
#   make lock   refresh the hash-pinned lock                              make generate   rewrite generated files
#   make docs   build the documentation into docs/_build/html
#   make tasks-audit   recompute the truth of the shipped tasks           make clean      remove the environment and caches

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CORES  ?= all
WORKERS ?= 4

TARGETS := run test test-slow check docs lock generate tasks-audit clean setup
OTHERS := $(filter-out $(TARGETS) $(READY),$(MAKECMDGOALS))
OF_MAKE := $(addsuffix =%,PYTHON VENV BIN READY CORES WORKERS)
SETTINGS = $(filter-out $(OF_MAKE),$(MAKEOVERRIDES))

# A run and the tests start Python hundreds of times; without compiled files, each start would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: $(TARGETS)

ifneq ($(OTHERS),)
$(error unknown: $(OTHERS). Targets: $(TARGETS). Settings of a run look like samples=4)
endif

run: setup
	$(BIN)/snakemake --cores $(CORES) $(if $(SETTINGS),--config $(SETTINGS))

test: setup
	$(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/slurm.lock
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python -m ai_dev_tools.cli.generate --check

docs: setup
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

generate: setup
	$(BIN)/python -m ai_dev_tools.cli.generate

tasks-audit: setup
	$(BIN)/python -m ai_dev_tools.benchmark.tasks.audit

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header \
	  --quiet --upgrade --output-file envs/requirements.lock
	$(BIN)/uv pip compile --group slurm --constraint envs/requirements.lock --universal --generate-hashes --no-header \
	  --quiet --upgrade --output-file envs/slurm.lock

setup: $(READY)

$(READY): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, but $(PYTHON) is " + sys.version.split()[0] + ": set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (about a minute) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src  # as pip does for all others: a start takes 0.1 s more where nothing was compiled
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
