# Every target makes .venv first when it is missing or stale: python3, its venv module and make are all a machine needs.
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := engine daemon plugins

# Stale means: the lock files or pyproject.toml changed (the stamps below), this folder was moved (an environment holds
# its own path), or the interpreter it was made from is gone. The last two make it anew from nothing.
ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && cat $(VENV)/made-in 2>/dev/null),$(CURDIR))
STALE := stale
endif

INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCK := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE)

.PHONY: run test torture torture-long check bench house lock clean stale

run: $(VENV)/runtime
	$(BIN)/dropmill --config etc/dropmill.toml serve

# Tests marked `alone` change or measure something of the whole machine, so they get it to themselves.
test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not alone and not torture" $(PYTEST)
	$(BIN)/python -m pytest -m alone $(PYTEST) || [ $$? -eq 5 ]

# What RELIABILITY.md shows: within an hour. SEED and RECORD repeat a course or take it up; `make torture-long` goes on for
# HOURS, ten times the goals.
torture: $(VENV)/dev
	$(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED)) $(if $(RECORD),--resume $(RECORD)) --minutes 60 --write

torture-long: $(VENV)/dev
	$(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED)) --resume $(or $(RECORD),torture-long.jsonl) \
	    --scale 10 --minutes $$(($(or $(HOURS),8) * 60))

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/rules

bench: $(VENV)/dev
	$(BIN)/python -m bench

house: $(VENV)/dev
	$(BIN)/python -m tests.rules.house

# The only target that needs uv. UPGRADE=--upgrade takes the newest versions; without it only what pyproject.toml asks
# for moves.
lock:
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(PYTHON) -m pip install uv" >&2; exit 1; }
	$(LOCK) --group build --output-file requirements.txt
	$(LOCK) --group build --group dev --extra postgres --constraint requirements.txt --output-file requirements-dev.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(PACKAGES) tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/runtime: requirements.txt pyproject.toml $(STALE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Dropmill needs Python 3.11 or newer; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(if $(STALE),--clear) $(VENV)
	$(INSTALL) --require-hashes -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $(VENV)/made-in
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.txt
	$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@
