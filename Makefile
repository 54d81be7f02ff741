# `make demo` and `make test` need nothing but Python 3.11+, a C compiler and the package index.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
BENCH := build/bench-venv/bin
BENCH_READY := build/bench-venv/.ready
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

.PHONY: help demo test torture soak mutants lint docs bench bench-peers figures sanitize clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

BUILT_FROM := pyproject.toml setup.py $(wildcard src/*.pyx) src/_atomics.h $(wildcard src/*.pxi)

$(READY): INTERPRETER = $(PYTHON)
$(BENCH_READY): INTERPRETER = $(BENCH_PYTHON)
$(READY) $(BENCH_READY): $(BUILT_FROM)
	@test -n "$(PYTHON)" || { echo "Penstock needs Python 3.11 or newer; none was found." >&2; exit 1; }
	test -x $(@D)/bin/python || $(INTERPRETER) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(READY)  ## Take 1,000 tickets through a simulated provider
	@rm -rf demo && mkdir demo
	$(BIN)/penstock run examples/tickets.jsonl --output demo/answers.parquet --simulate --model simulated \
		--prompt 'Answer this support ticket in two sentences: {{ text }}' --rpm 9000 --allow-failed 2%
	@echo; echo "Some rows of demo/answers.parquet:"
	@$(BIN)/python -c "import pyarrow.parquet as p; [print(' ', r['id'], '|', r['outcome'], '|', (r['output'] or r['error_message'])[:60]) for r in p.read_table('demo/answers.parquet').slice(495, 4).to_pylist()]"

test: lint  ## Check style and types, then run every test
	$(BIN)/python -m pytest -n $$(($(CORES) + 1)) --dist loadgroup

torture: $(READY)  ## Kill it, fail its disk, play 10,000 schedules: the long form of tests/torture
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,torture]'
	$(BIN)/python -m pytest tests/torture --long --timeout 900 -n $(CORES) --dist worksteal \
		--figures build/torture.json

MINUTES ?= 30
soak: $(READY)  ## Run at full speed for 30 minutes, in which nothing may grow (MINUTES=n for another time)
	PYTHONPATH=tests $(BIN)/python tests/torture/soak.py --minutes $(MINUTES) --figures build/soak.json

mutants: $(READY)  ## Break one rule after the other, and see a test fail (ONLY="name ...")
	cd tests && ../$(BIN)/python -m torture.mutate --jobs $(CORES) $(ONLY)

lint: $(READY)  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## Write docs/cli.md anew from the commands
	$(BIN)/python -m penstock.cli.reference > docs/cli.md

# Measured is what runs on the system's own Python, where that can build extensions: distributions build
# theirs with profile-guided optimization, which pyenv and a plain ./configure do not.
BENCH_PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, os, sys, sysconfig; \
	sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
	2>/dev/null && echo /usr/bin/python3 || echo $(PYTHON))

# A quick look needs a minute or two and proves little: `make bench QUICK=1`. SAVE= saves nothing.
RECORDS ?= $(if $(QUICK),20000,1000000)
PAIRS ?= $(if $(QUICK),3,5)
SAVE ?= $(if $(QUICK),build/bench,benches/results)
SAVING = $(if $(SAVE),--save $(SAVE))

bench: $(BENCH_READY)  ## Time the core, and the engine against Go, plain and over TLS (QUICK=1: a look)
	@mkdir -p $(or $(SAVE),build/bench)
	$(BENCH)/python -m pytest benches/test_core.py --benchmark-only -p no:xdist -q \
		--benchmark-json=$(or $(SAVE),build/bench)/core-$(shell date -u +%F).json
	$(BENCH)/python benches/engine.py --records $(RECORDS) --pairs $(PAIRS) $(SAVING)
	$(BENCH)/python benches/in_flight.py --seconds $(if $(QUICK),5,20) $(SAVING)
	$(BENCH)/python benches/workers.py --records $(RECORDS) --pairs $(PAIRS) $(SAVING)
	$(BENCH)/python benches/start.py $(SAVING)
	$(BENCH)/python benches/pacing.py $(SAVING)
	$(BENCH)/python benches/scale.py $(if $(QUICK),--rows 200000) $(SAVING)
	$(if $(QUICK),,$(if $(SAVE),$(BENCH)/python benches/publish.py --results $(SAVE)))

bench-peers: $(BENCH_READY)  ## The same server asked by other clients, each in an environment of its own
	$(BENCH)/python benches/peers.py --install --records $(if $(QUICK),5000,100000) \
		--pairs $(if $(QUICK),1,3) $(SAVING)
	$(if $(QUICK),,$(if $(SAVE),$(BENCH)/python benches/publish.py --results $(SAVE)))

figures: $(READY)  ## Write the README's figures anew from the newest results
	$(BIN)/python benches/publish.py

# -fsanitize needs its own build: it never touches the one that is installed.
sanitize: $(READY)  ## Test the core under the address and undefined-behaviour sanitizers
	PENSTOCK_SANITIZE=1 $(BIN)/python setup.py -q build --build-base build/sanitize --force
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 PYTHONMALLOC=malloc \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		PYTHONPATH=$$(echo build/sanitize/lib*) $(BIN)/python -m pytest tests/core -q

clean:  ## Remove what was built
	rm -rf .venv build src/penstock/_core.*.so src/penstock/_wire.*.so src/*.egg-info
