# Two commands matter: `make demo` runs everything and leaves it up; `make test` runs the whole suite on this machine.
# `make test-cluster` does the same on a Kubernetes. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Any Python 3.12 will do: one on the PATH, or one of pyenv's.
PYTHON ?= $(shell for p in python3.12 "$$(pyenv root 2>/dev/null)"/versions/3.12.*/bin/python python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null && echo "$$p" && break; done)
UV := $(or $(shell command -v uv 2>/dev/null | xargs -r -I{} sh -c '{} --version >/dev/null 2>&1 && echo {}'),.tools/bin/uv)
HEADRACE := .venv/bin/headrace
COMPILE = $(UV) pip compile -q --python $(PYTHON) --no-annotate --no-header

.PHONY: help setup setup-dev demo up down run predict test lint bench screenshots lock golden chart-readme images clean

help: ## Show this.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: .venv/.installed .venv-serving/.installed ## Make both environments (platform, serving).

setup-dev: .venv/.installed-dev .venv-serving/.installed ## The same, with what tests and linters need.

demo: setup data ## Everything: stack up, Fashion-MNIST trained, promoted, and asked through its endpoint.
	@$(HEADRACE) up
	@$(HEADRACE) run fashion_mnist
	@$(HEADRACE) predict fashion_mnist --count 10
	@$(HEADRACE) predict fashion_mnist --accuracy
	@$(HEADRACE) status --login

.PHONY: data
data:
	@dpkg -s dataset-fashion-mnist >/dev/null 2>&1 || \
		echo "The real images are not installed (apt-get install dataset-fashion-mnist); they will be downloaded."

up: setup ## Start the embedded stack.
	@$(HEADRACE) up

down: ## Stop the embedded stack; its state stays in .headrace/.
	@if [ -x $(HEADRACE) ]; then $(HEADRACE) down; fi

test: setup-dev data ## The whole suite: unit, contract, DAG and end-to-end on the embedded stack.
	.venv/bin/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)

# The project's own Kubernetes for tests: docs are in tests/cluster/node. Its home outlives the checkout.
CLUSTER_NODE = PYTHONPATH=tests .venv/bin/python -m cluster.node
.PHONY: cluster-build cluster-up cluster-down cluster-status test-cluster

cluster-build: setup-dev ## Build the test cluster's programs and every image (as root; the first time ~15 min).
	@$(CLUSTER_NODE) build $(IMAGES:%=headrace/%:$(TAG))

cluster-up: setup-dev ## Start a single-node Kubernetes on this machine (as root; it is built first where it is not).
	@$(CLUSTER_NODE) up

cluster-down: setup-dev ## End it; its programs and images stay.
	@$(CLUSTER_NODE) down

cluster-status: setup-dev ## How it is.
	@$(CLUSTER_NODE) status

test-cluster: setup-dev data cluster-build cluster-up ## The platform on a real Kubernetes: chart, pods, MinIO, faults, upgrades.
	.venv/bin/python -m pytest tests/helm tests/contract/test_store_on_minio.py tests/cluster $(PYTEST_ARGS)

lint: setup-dev ## Style, types and layers.
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

bench: setup-dev ## Measure; prints a table and writes bench/results.json.
	PYTHONPATH=tests .venv/bin/python -m bench $(BENCH_ARGS)

screenshots: setup-dev ## Take the README's pictures of the running stack with headless Chromium.
	.venv/bin/python docs/screenshots.py

golden: setup-dev ## Write the golden files of rendered manifests anew; review the diff.
	REGENERATE_GOLDEN=1 .venv/bin/python -m pytest -q tests/unit tests/helm

chart-readme: setup-dev ## Write the chart's README anew, from its schema and defaults.
	.venv/bin/python helm/generate_readme.py

lock: $(UV) ## Renew the locks from the *.in files.
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(COMPILE) docker/serving/requirements.in -o docker/serving/requirements.txt
	$(COMPILE) -c requirements.txt docker/airflow/requirements.in -o docker/airflow/requirements.txt
	$(COMPILE) -c requirements.txt --excludes docker/mlflow/excludes.txt docker/mlflow/requirements.in -o docker/mlflow/requirements.txt
	$(COMPILE) -c requirements.txt --excludes docker/trainer/excludes.txt docker/trainer/requirements.in -o docker/trainer/requirements.txt

# What images are built from and called. Proxies and the package index are the caller's own variables; no image keeps them.
IMAGES ?= airflow trainer serving mlflow
PYTHON_IMAGE ?= python:3.12-slim-bookworm
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION ?= $(shell git describe --always --dirty --abbrev=40 2>/dev/null)
DOCKER_BUILD_FLAGS ?=
PASSED_ON := $(foreach name,PIP_INDEX_URL HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy,\
	$(if $($(name)),--build-arg $(name)))

images: $(IMAGES:%=image-%) ## Build the images (IMAGES, TAG, PYTHON_IMAGE, DOCKER_BUILD_FLAGS) and print their sizes.
	@base=$$(docker image inspect --format '{{.Size}}' "$(PYTHON_IMAGE)") && for name in $(IMAGES); do \
		size=$$(docker image inspect --format '{{.Size}}' "headrace/$$name:$(TAG)") && \
		printf '%-28s %5d MB, %5d MB of them on top of the base\n' "headrace/$$name:$(TAG)" \
			$$((size / 1000000)) $$(((size - base) / 1000000)); done

.PHONY: $(IMAGES:%=image-%)
$(IMAGES:%=image-%): image-%:
	docker build $(DOCKER_BUILD_FLAGS) $(PASSED_ON) --build-arg PYTHON_IMAGE="$(PYTHON_IMAGE)" --build-arg VERSION="$(TAG)" \
		--build-arg REVISION="$(REVISION)" --file docker/$*/Dockerfile --tag "headrace/$*:$(TAG)" .

clean: down ## Stop the stack and remove everything generated, state included.
	@if [ -L .headrace/postgres ]; then rm -rf "$$(readlink -f .headrace/postgres)"; fi
	rm -rf .headrace .venv .venv-serving .tools

.venv/.installed: requirements.txt pyproject.toml | $(UV)
	$(call environment,.venv,requirements.txt)

.venv/.installed-dev: requirements-dev.txt .venv/.installed | $(UV)
	@echo "adding what tests need to .venv"
	@$(UV) pip install -q --python .venv/bin/python -r requirements-dev.txt
	@touch $@

.venv-serving/.installed: docker/serving/requirements.txt pyproject.toml | $(UV)
	$(call environment,.venv-serving,docker/serving/requirements.txt)

.tools/bin/uv:
	@test -n "$(PYTHON)" || { echo "Headrace needs Python 3.12: install it, or say where it is with make PYTHON=…"; exit 1; }
	@echo "installing uv into .tools"
	@"$(PYTHON)" -m venv .tools && .tools/bin/pip install -q uv

# environment(folder, lock): a virtual environment with exactly the lock's packages, and the checkout itself.
define environment
	@test -n "$(PYTHON)" || { echo "Headrace needs Python 3.12: install it, or say where it is with make PYTHON=…"; exit 1; }
	@echo "installing $(2) into $(1)"
	@test -x $(1)/bin/python || $(UV) venv -q --python "$(PYTHON)" $(1)
	@$(UV) pip sync -q --python $(1)/bin/python $(2)
	@$(UV) pip install -q --python $(1)/bin/python --no-deps -e .
	@touch $@
endef
