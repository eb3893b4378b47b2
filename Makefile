# The commands of this project. `make help` lists them. Each stage has a target, which brings the
# stage and everything before it up to date.

CORES ?= 4
CONFIG ?= config/experiments.yaml
RESULTS ?= results
# What a bundle contains in addition: blocks, images, snapshots (separated by commas).
INCLUDE ?=
# Which image `make conformance` checks: a name of config/images, or an experiment file.
IMAGE ?=
# What chooses the instants of the faults of `make test-faults`; another one each time without it.
SEED ?=
# What `make test` runs; for example `make test TESTS=tests/unit`.
TESTS ?= tests/unit tests/workflow tests/infrastructure tests/e2e

# Recipes run apart from the settings of the user's environment (envs/environment.txt).
SHELL := scripts/with-environment
.SHELLFLAGS := bash -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# As in the activated environment. libvirtd and other programs are in sbin.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
# A variable's text for the shell, as written.
quoted = '$(subst ','\'',$(value $(1)))'
# The commands read these variables, and make gives them its own: what the shell set would be dropped
# in silence, and another folder be filled or removed. The tests choose theirs themselves.
chosen_by = $(if $(filter undefined,$(origin $(1))),,$(if $(subst x$(value $(1))x,,x$(value $(2))x),$(call refuse,$(1),$(2))))
refuse = $(error $(1)=$(call shown,$(1)) is set, and make takes $(2)=$(call shown,$(2)); remedy: make $(MAKECMDGOALS) $(2)=$(call shown,$(1)), or unset $(1))
shown = $(shell printf %q $(call quoted,$(1)))
ifneq ($(filter-out help setup lint test test-all test-planted test-kvm,$(MAKECMDGOALS)),)
$(call chosen_by,SCHEDLAB_RESULTS,RESULTS)
$(call chosen_by,SCHEDLAB_EXPERIMENTS,CONFIG)
endif
$(if $(filter conformance,$(MAKECMDGOALS)),$(call chosen_by,SCHEDLAB_IMAGE,IMAGE))
$(if $(filter test-faults,$(MAKECMDGOALS)),$(call chosen_by,SCHEDLAB_SEED,SEED))
# A misspelt variable, such as RESULT=, would leave the default in force.
variables = CORES CONFIG RESULTS INCLUDE IMAGE TESTS NESTED SEED
unknown := $(filter-out $(variables),$(foreach one,$(.VARIABLES),$(if $(filter command,$(origin $(one))),$(one))))
$(if $(unknown),$(error $(unknown): no variable of this Makefile; remedy: correct it to one of $(variables)))
# Make would expand what is given after the target to export it.
unexport $(variables)
# As written: nothing in a name is expanded by make, by the shell or by Snakemake, which reads a
# value of --config as YAML (2024_11_26 is a number, and what follows a # a comment).
# A default is no choice: results that the user names are read with their own experiment.
ifeq ($(origin CONFIG),file)
unexport SCHEDLAB_EXPERIMENTS
else
export SCHEDLAB_EXPERIMENTS = $(value CONFIG)
endif
ifeq ($(origin RESULTS),file)
unexport SCHEDLAB_RESULTS
else
export SCHEDLAB_RESULTS = $(value RESULTS)
endif
export SCHEDLAB_IMAGE = $(value IMAGE)
# Snakemake takes quotation marks at the ends away, so a blank is before and after them.
export SCHEDLAB_CHOSEN_EXPERIMENTS = experiments= '$(subst ','',$(value CONFIG))' $()
export SCHEDLAB_CHOSEN_INCLUDE = include= '$(subst ','',$(value INCLUDE))' $()
export SCHEDLAB_CHOSEN_RESULTS = results= '$(subst ','',$(value RESULTS))' $()

# Tests with real machines run one at a time, without other tests, because they measure times.
PYTEST = python -m schedlab.toolchain pytest --durations=15
# The words as written, each for the shell.
each_quoted = $(foreach word,$(1),'$(subst ','\'',$(word))')
REAL = $(call each_quoted,$(filter tests/e2e%,$(value TESTS)))
APART = $(call each_quoted,$(filter-out tests/e2e%,$(value TESTS)))
# One of the others that hangs fails after 15 minutes, so that the rest still runs.
PYTEST_APART = $(if $(APART),$(PYTEST) --numprocesses=auto --dist=worksteal --timeout=900 $(APART),true)
PYTEST_REAL = $(if $(REAL),$(PYTEST) $(REAL),true)

SNAKEMAKE_WITH = snakemake --cores $(call quoted,CORES) --config "$$SCHEDLAB_CHOSEN_EXPERIMENTS" "$$SCHEDLAB_CHOSEN_RESULTS"
SNAKEMAKE = $(SNAKEMAKE_WITH) --

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@printf '  CORES=%s  CONFIG=%s  RESULTS=%s   (set them after the target)\n' $(call quoted,CORES) $(call quoted,CONFIG) $(call quoted,RESULTS)

.PHONY: setup
setup: ## Install system packages, .venv and tools, if they are missing
	@scripts/setup

.PHONY: report
report: setup ## Run everything that is not up to date and write results/report.html
	@$(SNAKEMAKE) report

.PHONY: bundle
bundle: setup ## Pack results/bundle.tar.zst to share (INCLUDE=blocks,images adds these)
	@$(SNAKEMAKE_WITH) "$$SCHEDLAB_CHOSEN_INCLUDE" -- bundle

.PHONY: image
image: setup ## Build the base disk and the schedulers' images
	@$(SNAKEMAKE) all_images

.PHONY: provision
provision: setup ## Create the clusters and save them
	@$(SNAKEMAKE) all_provisioned

.PHONY: configure
configure: setup ## Install and start the schedulers on the clusters and save them
	@$(SNAKEMAKE) all_configured

.PHONY: benchmark
benchmark: setup ## Run the trials
	@$(SNAKEMAKE) all_trials

.PHONY: collect
collect: setup ## Make the tables from the trials
	@$(SNAKEMAKE) tables

.PHONY: conformance
conformance: setup ## Check one image from base disk to report (IMAGE=trixie, or an experiment file)
	@schedlab conformance -- "$$SCHEDLAB_IMAGE"

.PHONY: doctor
doctor: ## Check that this machine can run the experiment
	@.venv/bin/schedlab --version > /dev/null 2>&1 || scripts/setup
	@schedlab doctor

.PHONY: reap
reap: setup ## Remove what interrupted runs left behind
	@schedlab reap

.PHONY: disk
disk: setup ## Show what uses how much disk, and what nothing needs (schedlab disk --prune removes it)
	@schedlab disk

.PHONY: clean
clean: ## Remove all results, also finished trials, but not the cache of tools and images
	@command -v schedlab > /dev/null || { echo "make clean needs schedlab: make setup" >&2; exit 1; }
	@schedlab clean $(if $(filter file,$(origin RESULTS)),,--results "$$SCHEDLAB_RESULTS")

.PHONY: lint
lint: ## Check the sources without running them
	@scripts/setup --test
	@scripts/lint

.PHONY: test
test: ## Check the sources and run the tests, also on two real clusters
	@scripts/setup --test
	@scripts/lint
	@$(PYTEST_APART)
	@$(PYTEST_REAL)

.PHONY: test-all
test-all: ## Like test, but run every test, also of the other schedulers and of faults (hours)
	@scripts/setup --test
	@scripts/lint
	@SCHEDLAB_TEST_ALL=1 $(PYTEST_APART)
	@SCHEDLAB_TEST_ALL=1 $(PYTEST_REAL)
	@$(PYTEST) tests/faults/injected.py tests/faults/planted.py

.PHONY: test-faults
test-faults: ## Check that faults in the middle of real runs leave nothing and lose nothing (1 to 2 hours, emulated)
	@scripts/setup --test
	@SCHEDLAB_SEED=$(call quoted,SEED) $(PYTEST) tests/faults/injected.py

.PHONY: test-planted
test-planted: ## Check that the report finds faults that are planted in real clusters (2 hours, emulated)
	@scripts/setup --test
	@$(PYTEST) tests/faults/planted.py

# A folder for a guest that has KVM where this machine has none: it takes 16 GB and is kept.
NESTED ?=

.PHONY: test-kvm
test-kvm: ## Run a real cluster with hardware virtualisation (as root; NESTED=FOLDER: in an emulated guest that has it)
	@scripts/setup --test
	@$(if $(value NESTED),python tests/e2e/nested.py $(call quoted,NESTED),SCHEDLAB_TEST_KVM=1 $(PYTEST) tests/e2e/test_kvm.py)
