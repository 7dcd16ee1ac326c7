# Needs make and Python 3.11 or newer; everything else is installed into .venv.
# Another Python: make up PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
EXTRAS_VENV := .venv-extras
PINNED := pyproject.toml requirements/constraints.txt tools/install

export PYTHON
# With it set, every start of a Python process compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE
# The tests run many processes; one numerical thread each is faster than cores times as many.
check check-extras chaos bench: export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help up check lint test check-extras chaos bench lock format changelog clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '%-20s %s\n' "$$target" "$$text"; done

up: $(VENV)/.installed ## run everything on this machine, fit the shipped series, serve on port 5000
	@exec $(VENV)/bin/tally up --demo dataset_simple

check: lint test ## lint, types, import contracts, and all tests but the long ones

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# With -j, too: the quick part first. Most tests wait for processes, so two run side by side.
test: $(VENV)/.installed-dev | lint
	$(VENV)/bin/pytest -m "not slow" --ignore=tests/extras -n 2 --dist loadfile

check-extras: $(EXTRAS_VENV)/.installed ## fit and reload with every optional forecasting library
	TALLY_REQUIRE_EXTRAS=1 $(EXTRAS_VENV)/bin/pytest tests/extras

chaos: $(VENV)/.installed-dev ## the long form of the chaos and soak tests
	$(VENV)/bin/pytest -m slow

bench: $(VENV)/.installed-dev ## measure side by side; writes benchmarks/results
	$(VENV)/bin/python -m benchmarks

format: $(VENV)/.installed-dev ## fix what can be fixed without thought
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

lock: $(VENV)/.installed-dev ## pin the newest versions that pyproject.toml allows
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--all-extras --group dev --group build --no-header --no-annotate \
		--output-file requirements/constraints.txt pyproject.toml

changelog: $(VENV)/.installed-dev ## compile changelog.d into CHANGELOG.md: make changelog VERSION=1.0.0
	$(VENV)/bin/towncrier build --yes --version $(VERSION)

clean: ## remove what the other targets made, except served models (.tally)
	rm -rf $(VENV) $(EXTRAS_VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .servers
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(PINNED)
	@echo "installing into $(VENV) ..."
	@tools/install $(VENV) '.[nats,plot]'
	@touch $@

$(VENV)/.installed-dev: $(PINNED)
	@echo "installing into $(VENV), with servers' clients and test tools ..."
	@tools/install $(VENV) --group dev '.[distributed,arrow,plot]'
	@touch $(VENV)/.installed $@

# Apart from .venv, whose tests show that the base install needs none of these libraries.
$(EXTRAS_VENV)/.installed: $(PINNED)
	@echo "installing into $(EXTRAS_VENV), with every forecasting library ..."
	@tools/install $(EXTRAS_VENV) --group dev '.[statsforecast,statsmodels,prophet]'
	@touch $@
