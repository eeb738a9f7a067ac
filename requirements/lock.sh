#!/bin/sh
# Resolves the newest versions for every platform and Python from 3.11 on. No index address is written down:
# the lock files name versions and hashes only.
set -eu
uv=$1
pin() { "$uv" pip compile --universal --upgrade --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet "$@"; }
pin pyproject.toml -o requirements/runtime.lock
pin pyproject.toml --group dev -c requirements/runtime.lock -o requirements/dev.lock
pin --group local -c requirements/dev.lock -o requirements/local.lock
pin --group sam -o requirements/sam.lock
pin --group scan -o requirements/scan.lock
pin pyproject.toml --extra arrow -c requirements/runtime.lock -o requirements/arrow.lock
pin pyproject.toml --extra text -c requirements/runtime.lock -o requirements/text.lock
pin --group kserve -o requirements/kserve.lock
mkdir -p requirements/peers
for peer in bentoml kserve litserve mlserver pandas; do pin --group "peer-$peer" -o "requirements/peers/$peer.lock"; done
