# Everything starts here; `make` lists the targets. Needs Python >= 3.11 and make; the rest is installed into .venv, pinned.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps

PYPROJECTS := pyproject.toml plugin_sdk/pyproject.toml core/pyproject.toml $(sort $(wildcard plugins/*/pyproject.toml))
# The list of packages is part of the stamp's name: a plugin that comes or goes makes another stamp.
MEMBERS := $(STAMPS)/members-$(shell echo $(PYPROJECTS) | cksum | cut -d ' ' -f 1)
SOURCES := plugin_sdk/src core/src $(sort $(wildcard plugins/*/src))

empty :=
space := $(empty) $(empty)
export MYPYPATH := $(subst $(space),:,$(SOURCES) tools)

.DEFAULT_GOAL := help
.PHONY: help dev run test check fmt bench test-deep test-plugin new-plugin pins manifests public-names

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

dev: $(STAMPS)/dev $(MEMBERS) ## make .venv with all packages, editable, and the tools

run: $(STAMPS)/runtime $(MEMBERS) ## serve with ./conf.d (ARGS="..." goes to `hookway serve`)
	@exec $(BIN)/hookway serve --conf-d conf.d $(ARGS)

test: dev ## run the tests (ARGS="..." goes to pytest)
	@$(BIN)/python -m pytest -q $(ARGS)

check: dev ## lint, formatting, types, who imports whom, manifests
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@contracts=$$($(BIN)/lint-imports --no-logo) || { echo "$$contracts"; exit 1; }
	@$(BIN)/hookway manifests --check

fmt: dev ## format and sort imports, in place
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: dev ## measure against the floors (ARGS="..." goes to the benchmark)
	@$(BIN)/python tests/bench/run.py $(ARGS)

test-deep: dev ## run the slow tests: soak, crash, fuzz
	@HOOKWAY_DEEP=1 $(BIN)/python -m pytest -q tests/deep $(ARGS)

test-plugin: dev ## run one plugin's tests: PLUGIN=provider_echo [ISOLATED=1: only SDK, core and it are installed]
	@test -f "plugins/$(PLUGIN)/pyproject.toml" || { echo "PLUGIN=$(PLUGIN): no such directory in plugins/" >&2; exit 2; }
ifdef ISOLATED
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-isolated/$(PLUGIN)
	@$(BIN)/uv pip install --quiet --python .venv-isolated/$(PLUGIN)/bin/python --constraint requirements/dev.txt \
		--editable plugin_sdk --editable core --editable 'plugins/$(PLUGIN)[test]' pytest-timeout
	@.venv-isolated/$(PLUGIN)/bin/python -m pytest -q -p no:cacheprovider plugins/$(PLUGIN) $(ARGS)
else
	@$(BIN)/python -m pytest -q plugins/$(PLUGIN) $(ARGS)
endif

new-plugin: dev ## copy the smallest plugin of a kind under a new name: NAME=provider_acme, or NAME=acme KIND=provider
	@$(BIN)/python tools/new_plugin.py "$(NAME)" $(KIND)

pins: $(STAMPS)/uv ## refresh requirements/*.txt (UPGRADE=1 moves every version)
	@$(BIN)/python tools/pins.py $(if $(UPGRADE),--upgrade)

manifests: dev ## write each plugin's hookway-plugin.json after a change of what it registers
	@$(BIN)/hookway manifests

public-names: dev ## record hookway_sdk.__all__ after a deliberate change of it
	@$(BIN)/python tools/public_names.py

# What is installed, as files whose dates make can compare.

$(STAMPS)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Hookway needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/runtime: $(STAMPS)/uv requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/runtime.txt
	@touch $@

# dev.txt holds all of runtime.txt, at the same versions.
$(STAMPS)/dev: $(STAMPS)/uv requirements/dev.txt requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/dev.txt
	@touch $(STAMPS)/runtime $@

$(MEMBERS): $(STAMPS)/uv $(PYPROJECTS)
	@$(BIN)/python tools/install_members.py
	@rm -f $(STAMPS)/members-*
	@touch $@
