#!/usr/bin/env bash
# Builds other people's engines, or those that are named, and tests what
# Parley's side of them relies on: run.sh [NAME …].
set -euo pipefail
cd "$(dirname "$0")/../.."
PARLEY_ENGINES=$(tools/engines/build.sh "$@")
export PARLEY_ENGINES
export PARLEY_BINARY=$PWD/parley
CGO_ENABLED=0 go test -count=1 -timeout=5m -tags engines ./tools/engines/
