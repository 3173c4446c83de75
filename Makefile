# Everything starts here: `make demo` and `make test` both work as the first command on a fresh clone.
PYTHON ?= python3
SERVE ?= 1
MINUTES ?= 30
UV_VERSION := 0.13.8
BIN := .venv/bin
# Where it is set, as in many images, each of the hundreds of processes compiles all that it imports anew.
export PYTHONDONTWRITEBYTECODE :=
# Two test processes of one thread each: side by side, threads would only wait for each other's cores.
# The long files come first (tests/conftest.py), not those with the most tests.
PYTEST_TWO := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test real browser drills soak image quick check format lock clean

help:  ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready  ## Make .venv with everything in it, `.venv/bin/glint` included

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Glint needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## Render parts, train, serve, post photos (SERVE=0 stops after printing)
	SERVE=$(SERVE) $(BIN)/python tests/demo.py

check: setup  ## Lint, format check, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## Check, then run every test but those that take minutes
	$(PYTEST_TWO) -m "not real and not drill and not browser and not image"

real: setup  ## Run the tests that take minutes on photos of real parts
	$(BIN)/python -m pytest -m real

browser: setup  ## Run the tests of the operator's station in Chromium and Firefox (needs chromium, firefox-esr)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser

drills: setup  ## Provoke the faults of a plant, minutes of them; write docs/drills.md
	rm -rf .drills
	GLINT_DRILL_RESULTS=.drills $(BIN)/python -m pytest tests/drills -m "not real and not browser and not image"
	$(BIN)/python -m tests.drills.table .drills drills

soak: setup  ## Load a service for 30 minutes (BUNDLE=... PHOTOS=...); write docs/drills.md
	$(BIN)/python -m tests.drills.soak --minutes $(MINUTES) --docs $(if $(BUNDLE),--bundle $(BUNDLE) --photos $(PHOTOS))

image: setup  ## Build and run the container image (needs root, buildah, debootstrap, network); write docs/drills.md
	rm -rf .drills/image
	GLINT_DRILL_RESULTS=.drills/image $(BIN)/python -m pytest -m image
	$(BIN)/python -m tests.drills.table .drills/image image

quick: check  ## Check, then run the tests that take seconds
	$(PYTEST_TWO) -m "not slow and not real and not drill and not browser and not image"

format: setup  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup  ## Write requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip compile pyproject.toml --extra training --extra dev --extra postgres --extra s3 --extra parquet \
		--extra telemetry --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
		--output-file requirements.lock

clean:  ## Remove what was made, bundles aside
	rm -rf .venv demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
