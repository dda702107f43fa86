# `make` lists the targets. Each one sets up .venv first, which takes a minute or two once and no time afterwards.
# Written for GNU make 3.81 (macOS) and newer. Paths are relative, so a folder with a space in its name is fine.

# Bytecode that is not kept is compiled again in every process: 17 s instead of 7 s to import TensorFlow.
unexport PYTHONDONTWRITEBYTECODE
# Somebody else's packages, put first by this variable, would hide the locked ones.
unexport PYTHONPATH

LESSON := notebooks/00_a_machine_that_hears_digits.ipynb
ARGS ?=
ifeq ($(OS),Windows_NT)
RUN := .venv/Scripts/python.exe
else
RUN := .venv/bin/python
endif

# The first Python that the course can run on; `make lab PYTHON=/path/to/python3.12` chooses another.
CANDIDATES := python3 python3.13 python3.12 python3.11 python $(RUN)
SUITABLE := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
ifndef PYTHON
PYTHON = $(shell for each in $(CANDIDATES); do $$each -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$each && break; done)
endif

# TensorFlow's start-up lines on stderr would count as output of a lesson's first cell.
QUIET := TF_CPP_MIN_LOG_LEVEL=3
PYTEST := $(QUIET) $(RUN) -m pytest
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=180 --nbval-kernel-startup-timeout=120 \
  --nbval-sanitize-with tests/notebooks/sanitize.cfg -p no:cacheprovider

# Chromium for the browser tests: `make test-browser CHROMIUM=/path/to/chromium` chooses another.
BROWSERS := /usr/bin/chromium chromium chromium-browser google-chrome
ifndef CHROMIUM
CHROMIUM = $(shell for each in $(BROWSERS); do command -v $$each && break; done)
endif

.DEFAULT_GOAL := help
.PHONY: help environment lab test test-unit test-notebooks test-browser bench train train-people train-strings doctor lint lock data clean

help:
	@echo 'make lab           open lesson 0 in JupyterLab   (make lab ARGS=--no-browser prints the address)'
	@echo 'make test          unit tests, the examples in the documentation, every lesson from top to bottom'
	@echo 'make test-browser  the lessons in a real JupyterLab, in Chromium'
	@echo 'make bench         measure: features beside other libraries, sliders and live text in Chromium, the recognisers'
	@echo 'make train         train the recogniser of the lessons again, from the bundled recordings'
	@echo 'make train-people  train the default recogniser again, from the bundle and from real people (a download)'
	@echo 'make train-strings  train the two shipped recognisers of strings of digits again'
	@echo 'make doctor        check this machine and say what to do about each trouble'
	@echo 'make lint          check the style of the code'
	@echo 'make lock          make requirements.lock and environment.yml from pyproject.toml'
	@echo 'make data          make the bundled recordings again (needs npm, espeak-ng, flite and an hour)'
	@echo 'make clean         remove the environment and what running left behind; recordings stay'
	@echo ''
	@echo 'Needs Python 3.11, 3.12 or 3.13. To name one: make lab PYTHON=python3.12'

environment:
	@if [ -z "$(PYTHON)" ]; then \
	  echo 'No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: make lab PYTHON=/path/to/python3.12' >&2; \
	  exit 1; \
	fi
	@"$(PYTHON)" tools/set_up.py

# JupyterLab keeps its token and listens on this machine alone; root (in a container) must be allowed by name.
# What keeps it quiet without a network stands in tools/set_up.py.
lab: environment
	@$(QUIET) $(RUN) -m jupyterlab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url="/lab/tree/$(LESSON)" \
	  $$([ "$$(id -u)" = 0 ] && echo --allow-root) $(ARGS)

test: test-unit test-notebooks

test-unit: environment
	@$(PYTEST) -n 2 --dist loadfile tests asrlib --doctest-modules --ignore=tests/browser $(ARGS)

test-notebooks: environment
	@$(PYTEST) -n 2 --dist loadfile $(NBVAL) notebooks $(ARGS)

test-browser: environment
	@if [ -z "$(CHROMIUM)" ]; then \
	  echo 'No Chromium was found. Install it (Debian: sudo apt install chromium), or name one:' >&2; \
	  echo 'make test-browser CHROMIUM=/path/to/chromium' >&2; \
	  exit 1; \
	fi
	@CHROMIUM="$(CHROMIUM)" $(PYTEST) tests/browser $(ARGS)

# One after another: what runs beside a measurement is measured with it. Well over ten minutes.
bench: environment
	@$(QUIET) $(RUN) benchmarks/features.py
	@CHROMIUM="$(CHROMIUM)" $(QUIET) $(RUN) benchmarks/latency.py
	@$(QUIET) $(RUN) benchmarks/speed.py
	@$(QUIET) $(RUN) benchmarks/strings.py
	@$(QUIET) $(RUN) benchmarks/realtime.py
	@CHROMIUM="$(CHROMIUM)" $(QUIET) $(RUN) benchmarks/live.py
	@$(QUIET) $(RUN) benchmarks/export.py

# The command that made asrlib/assets/digits_synthetic.asr. One thread, because sums in another order give other weights.
ONE_THREAD := TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
train: environment
	@$(QUIET) $(ONE_THREAD) $(RUN) -m asrlib train --recipe shipped --out asrlib/assets/digits_synthetic.asr $(ARGS)

# The command that made asrlib/assets/digits.asr, from the bundle and the Free Spoken Digit Dataset.
train-people: environment
	@$(QUIET) $(ONE_THREAD) $(RUN) -m asrlib train --recipe people --data digits fsdd --out asrlib/assets/digits.asr $(ARGS)

# The commands that made asrlib/assets/strings.asr (hears the whole string first) and streaming.asr (never waits).
train-strings: environment
	@$(QUIET) $(ONE_THREAD) $(RUN) -m asrlib train --recipe strings --out asrlib/assets/strings.asr $(ARGS)
	@$(QUIET) $(ONE_THREAD) $(RUN) -m asrlib train --recipe streaming --out asrlib/assets/streaming.asr $(ARGS)

doctor: environment
	@$(QUIET) $(RUN) -m asrlib doctor

lint: environment
	@$(RUN) -m ruff check .

lock: environment
	@$(RUN) tools/lock.py $(ARGS)

data:
	@PYTHON="$(PYTHON)" data/build/rebuild.sh $(ARGS)

clean:
	rm -rf .venv build asrlib.egg-info .pytest_cache .ruff_cache .hypothesis
	find asrlib tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
