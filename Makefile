# Two commands are the product's door: `make run` and `make test`. Both do all the set-up that they need.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
CONSOLE := web/dist/.built
# Python's packages and the console's are fetched side by side.
MAKEFLAGS += --jobs=2

.PHONY: run test coverage quick lint types web web-check FORCE schemas traceability bench audit sbom clean

run: $(STAMP) $(CONSOLE)
	$(VENV)/bin/flowledger demo $(ARGS)

test: $(STAMP) $(CONSOLE) lint types web-check
	$(PY) tools/run_tests.py $(ARGS)

# The tests with the lines that they miss; each package that decides, records or shows has a floor (tools/run_tests.py).
coverage: $(STAMP) $(CONSOLE) web-check
	$(PY) tools/run_tests.py --coverage $(ARGS)

# Only what needs no server, in about a minute.
quick: $(STAMP)
	$(PY) -m pytest -q -n 2 -m "not kafka and not postgres and not slow" $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/vulture
	$(VENV)/bin/deptry . --no-ansi
	$(PY) tools/traceability.py --ids

types: $(STAMP)
	$(VENV)/bin/mypy

schemas: $(STAMP)
	$(PY) tools/schemas.py

traceability: $(STAMP)
	$(PY) tools/traceability.py

# Known holes in what we depend on. It asks a vulnerability service; where that can't be reached it says so and fails.
audit: $(STAMP)
	$(PY) tools/audit.py $(ARGS)

# What a release is made of (CycloneDX).
sbom: $(STAMP)
	$(PY) tools/sbom.py $(ARGS)

bench: $(STAMP)
	$(VENV)/bin/flowledger bench $(ARGS)

# The console's pages: types, and what computes.
web-check: $(CONSOLE)
	$(PY) tools/build_web.py check

web: $(CONSOLE)

$(PY): tools/setup_venv.py
	$(PYTHON) tools/setup_venv.py $(VENV) --only-python

# it looks by itself whether anything changed
$(CONSOLE): $(PY) FORCE
	$(PY) tools/build_web.py

FORCE:

$(STAMP): pyproject.toml constraints.txt | $(PY)
	$(PYTHON) tools/setup_venv.py $(VENV)
	touch $@

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
