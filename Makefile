# The commands of this project; `make help` lists them. Each stage can be run by itself: a target
# brings everything before it up to date and stops there.

CORES ?= 4
CONFIG ?= config/experiments.yaml
RESULTS ?= results
# What goes into a bundle beside the usual: blocks, images, snapshots (with commas between).
INCLUDE ?=
# What `make test` runs; for example `make test TESTS=tests/unit`.
TESTS ?= tests/unit tests/workflow tests/infrastructure tests/e2e

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# As in the activated environment; libvirtd and others are in sbin.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
export SCHEDLAB_EXPERIMENTS = $(CONFIG)
export SCHEDLAB_RESULTS = $(RESULTS)

# Tests with real machines run one at a time and beside nothing else: they measure, and have limits.
PYTEST = python -m schedlab.toolchain pytest --durations=15
REAL = $(filter tests/e2e%,$(TESTS))
APART = $(filter-out tests/e2e%,$(TESTS))
PYTEST_APART = $(if $(APART),$(PYTEST) --numprocesses=auto --dist=worksteal $(APART),true)
PYTEST_REAL = $(if $(REAL),$(PYTEST) $(REAL),true)

SNAKEMAKE_WITH = snakemake --cores $(CORES) --config experiments=$(CONFIG) results=$(RESULTS)
SNAKEMAKE = $(SNAKEMAKE_WITH) --

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  CORES=$(CORES)  CONFIG=$(CONFIG)  RESULTS=$(RESULTS)   (set them after the target)"

.PHONY: setup
setup: ## Install what is needed: system packages, .venv, tools (nothing to do takes no time)
	@scripts/setup

.PHONY: report
report: setup ## Run everything that is not up to date and write results/report.html
	@$(SNAKEMAKE) $(RESULTS)/report.html

.PHONY: bundle
bundle: setup ## Pack results/bundle.tar.zst to share (INCLUDE=blocks,images adds to it)
	@$(SNAKEMAKE_WITH) include=$(INCLUDE) -- $(RESULTS)/bundle.tar.zst

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

.PHONY: doctor
doctor: setup ## Check that this machine can run the experiment
	@schedlab doctor

.PHONY: reap
reap: setup ## Remove what interrupted runs left behind
	@schedlab reap

.PHONY: clean
clean: ## Remove the results, finished trials too; the cache of tools and images stays
	@if [ -x .venv/bin/schedlab ]; then schedlab reap; fi
	@rm -rf -- $(RESULTS) .snakemake

.PHONY: lint
lint: ## Check the sources without running them
	@scripts/setup --test
	@scripts/lint

.PHONY: test
test: ## Check the sources and run the tests, one on a real cluster
	@scripts/setup --test
	@scripts/lint
	@$(PYTEST_APART)
	@$(PYTEST_REAL)

.PHONY: test-all
test-all: ## Like test, but leave no test out: build what is missing, take the minutes
	@scripts/setup --test
	@scripts/lint
	@$(PYTEST_APART)
	@SCHEDLAB_TEST_ALL=1 $(PYTEST_REAL)
