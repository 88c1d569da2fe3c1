# Both commands make .venv themselves, with the versions of constraints.txt.
PYTHON ?= python3
EXTRAS := parity,train,dev

.PHONY: demo test

demo: .venv/.installed
	.venv/bin/python examples/demo.py

test: .venv/.installed
	.venv/bin/python -m pytest

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@
