# Both commands make .venv themselves, with the versions of constraints.txt; Python compiles what it imports. The pip that
# comes with Python 3.11 takes a minute longer to find out what goes together; this one would show a page of setuptools on
# what an editable installation is.
PYTHON ?= python3
EXTRAS := parity,train,dev
PIP := PYTHONWARNINGS=ignore::UserWarning .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

# glibc is asked for huge pages, and keeps what is freed: fetching memory anew for each model took a tenth of the tests.
MALLOC := glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=8000000000:glibc.malloc.top_pad=268435456

# Python keeps what it compiles, whatever the environment says: many processes import the same.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo docs peers peers-back peers-table test

demo: .venv/.installed
	.venv/bin/python examples/demo.py

# One test process a core, hence one thread each. Files are handed out in the order of conftest.py, long ones first, and
# not by their number of tests.
test: .venv/.installed
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 GLIBC_TUNABLES=$(MALLOC) .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The pages as a site, in out/site; a broken link fails.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

# Environments of published packages, in which `parity_tests/peers` records what they answer.
peers: .venv/.installed
	.venv/bin/python -m parity_tests.peers.environments

# What they make of files that this project writes: docs/peers_back.json and docs/peers.md. Checkouts of packages that are in
# no index lie in .peers/sources.
peers-back: .venv/.installed
	.venv/bin/python -m parity_tests.peers.back --table docs/peers_back.json
	.venv/bin/python docs/pages.py

# How near this project is to what they answered, of recordings that are kept: docs/peers.json and docs/peers.md.
peers-table: .venv/.installed
	.venv/bin/python -m pytest parity_tests/tests/peers -m "not planted" --peers-table docs/peers.json
	.venv/bin/python docs/pages.py

.venv/.docs: .venv/.installed
	$(PIP) -e '.[docs]'
	touch $@

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) -e '.[$(EXTRAS)]'
	touch $@
