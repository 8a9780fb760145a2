# Two commands are the product's door: `make run` and `make test`. Both do all the set-up that they need.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready

.PHONY: run test quick lint types schemas bench clean

run: $(STAMP)
	$(VENV)/bin/flowledger demo $(ARGS)

test: $(STAMP) lint types
	$(PY) tools/run_tests.py $(ARGS)

# Only what needs no server, in about a minute.
quick: $(STAMP)
	$(PY) -m pytest -q -n 2 -m "not kafka and not postgres and not slow" $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

types: $(STAMP)
	$(VENV)/bin/mypy

schemas: $(STAMP)
	$(PY) tools/schemas.py

bench: $(STAMP)
	$(VENV)/bin/flowledger bench $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) tools/setup_venv.py $(VENV)
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
