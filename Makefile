# Everything a person types: `make help` lists it. Nothing is installed outside this folder, but for a browser where there is none.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PORT ?= 8000
# The first Python 3.11+ that runs and can make a virtual environment; PYTHON=/path/to/python overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
EVERY_PEER := bentoml kserve litserve mlserver
PEERS ?= $(EVERY_PEER)
PIP := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all:

.PHONY: help up docker-compose serve build test check test-containers test-faults bench bench-peers lock models image sbom scan pages clean chromium

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

serve: .venv/runtime ## serve models/ on http://127.0.0.1:$PORT (8000)
	@PORT=$(PORT) .venv/bin/python -m app serve

build: .venv/runtime ## optimise models/, write models.lock, replay the golden samples
	@.venv/bin/python -m app build

test: .venv/dev .venv-sam/ready .venv-scan/ready .venv-kserve/ready chromium ## install and pass the tests
	.venv/bin/python -m pytest

check: .venv/dev ## ruff, mypy --strict, import-linter, house rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q tests/house

test-containers: .venv/dev .venv-sam/ready .venv-scan/ready docker-compose ## what needs a Docker engine: the image, the emulator in it, SAM
	.venv/bin/python -m pytest -m containers tests/containers

scan: .venv/dev .venv-sam/ready .venv-scan/ready ## cfn-lint, checkov and hadolint over template and Dockerfile (`make test` has them too)
	.venv/bin/python -m pytest tests/scans

test-faults: .venv/dev ## every call to AWS and every SQL statement gone wrong (about ten minutes; FAULT_SEED, FAULT_PAIRS, FAULT_JOBS)
	.venv/bin/python -m pytest -m faults -s tests/faults

bench: .venv/dev .venv-peers/pandas/ready ## cold start, warm, JSON, deliveries, files and memory into docs/benchmarks.md
	.venv/bin/python -m benchmarks

bench-peers: .venv/dev $(PEERS:%=.venv-peers/%/ready) ## the same against KServe, MLServer, BentoML and LitServe (PEERS="kserve mlserver" for some)
	.venv/bin/python -m benchmarks peers-tensor peers-row $(if $(filter-out $(PEERS),$(EVERY_PEER)),--peers $(shell echo $(PEERS) | tr ' ' ','))

image: ## build the container image onnx-lambda
	docker build -t onnx-lambda .

up: ## the whole stack on this machine: http://127.0.0.1:8080 (docs/local.md)
	@if docker compose version >/dev/null 2>&1; then docker compose up --build; else docker-compose up --build; fi

sbom: image ## build the image and write its bill of materials (CycloneDX) into onnx-lambda.cdx.json
	docker run --rm --entrypoint cat onnx-lambda /usr/share/onnx-lambda/sbom.cdx.json > onnx-lambda.cdx.json

pages: .venv/dev ## write the diagram and the table of costs into docs/ again, of template.yaml and deployment/prices.json
	.venv/bin/python -m deployment

models: .venv/dev ## train the example models again
	.venv/bin/python -m training

lock: .venv/dev ## resolve the newest versions into requirements/*.lock
	.venv/bin/python -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	sh requirements/lock.sh .venv-lock/bin/uv

clean: ## delete everything that was installed or built here
	rm -f models/models.lock models/*/*/model.prepared.onnx models/*/*/model.prepared.data
	rm -rf .venv .venv-sam .venv-scan .venv-kserve .venv-lock .venv-peers .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "onnx-lambda needs Python 3.11 or newer with venv and ensurepip; none was found." >&2; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3-venv) or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; fi
	@"$(PYTHON)" -m venv .venv

.venv/runtime: requirements/runtime.lock | .venv/bin/python
	@echo "Installing what serving needs into .venv (once) ..."
	@.venv/bin/python $(PIP) -r requirements/runtime.lock
	@# The command of this checkout, without the build tools that installing it as a package would take.
	@echo "$(CURDIR)" > "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/onnx-lambda.pth"
	@printf '#!/bin/sh\nexec "%s/.venv/bin/python" -m app "$$@"\n' "$(CURDIR)" > .venv/bin/onnx-lambda && chmod +x .venv/bin/onnx-lambda
	@touch $@

.venv/dev: requirements/dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing what the tests and checks need into .venv (once) ..."
	@.venv/bin/python $(PIP) -r requirements/dev.lock
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@ .venv/runtime

# aws-sam-cli pins libraries that the project needs newer, so it lives in an environment of its own; the
# Lambda runtime interface emulator is inside its wheel.
.venv-sam/ready: requirements/sam.lock | .venv/bin/python
	@echo "Installing the SAM command line and the Lambda emulator into .venv-sam (once) ..."
	@.venv/bin/python -m venv .venv-sam
	@.venv-sam/bin/python $(PIP) -r requirements/sam.lock
	@touch $@

# checkov pins libraries of AWS's that SAM needs newer.
.venv-scan/ready: requirements/scan.lock | .venv/bin/python
	@echo "Installing the scanners into .venv-scan (once) ..."
	@.venv/bin/python -m venv .venv-scan
	@.venv-scan/bin/python $(PIP) -r requirements/scan.lock
	@touch $@

# kserve's client brings a whole server of requirements with it.
.venv-kserve/ready: requirements/kserve.lock | .venv/bin/python
	@echo "Installing kserve's client into .venv-kserve (once) ..."
	@.venv/bin/python -m venv .venv-kserve
	@.venv-kserve/bin/python $(PIP) -r requirements/kserve.lock
	@touch $@

# The page is tested in the system's own browser: a real one, and nothing to download with every new version of the tests' library.
chromium:
	@for browser in chromium chromium-browser google-chrome; do if command -v "$$browser" >/dev/null; then exit 0; fi; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing Chromium (once) ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
	  echo "The page is tested in a real browser, and none was found: install chromium, chromium-browser or google-chrome" >&2; \
	  echo "(Debian, Ubuntu: sudo apt-get install chromium), then make $(MAKECMDGOALS) again." >&2; exit 1; fi

docker-compose:
	@if docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing docker-compose (once) ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null; \
	else \
	  echo "The whole stack is tested with Docker's compose, and none was found: install its plugin, or docker-compose" >&2; exit 1; fi

# Every other model server has an environment of its own: their requirements contradict each other's and the project's.
.venv-peers/%/ready: requirements/peers/%.lock | .venv/bin/python
	@echo "Installing $* into .venv-peers/$* (once) ..."
	@.venv/bin/python -m venv .venv-peers/$*
	@.venv-peers/$*/bin/python $(PIP) -r $<
	@touch $@
