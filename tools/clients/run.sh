#!/usr/bin/env bash
# Installs the real clients at their pinned versions (cached under .cache by
# version) and runs them against ./parley.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tools/clients

need() { command -v "$1" >/dev/null || { echo "tools/clients needs $1: $2" >&2; exit 1; }; }
need python3 "install Python 3.10 or later"
need node "install Node.js 20 or later"
need npm "install npm, which comes with Node.js"
need curl "install curl"

stamp=$(cat $here/run.sh $here/python/requirements.txt $here/node/package.json | cksum | cut -d' ' -f1)
cache=${PARLEY_CACHE:-$PWD/.cache}/clients-$stamp
if [ ! -e "$cache/ready" ]; then
  rm -rf "$cache"
  mkdir -p "$cache"
  python3 -m venv "$cache/python" || { echo "python3 cannot make a virtual environment: install python3-venv" >&2; exit 1; }
  "$cache/python/bin/pip" install --quiet --disable-pip-version-check -r $here/python/requirements.txt
  # Of this one only the client is used, and not what it needs for pictures.
  "$cache/python/bin/pip" install --quiet --disable-pip-version-check --no-deps koboldapi==0.5.4 2>/dev/null
  # The JSON Schema test suite comes in the source of a validator.
  "$cache/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: -d "$cache" jsonschema==4.23.0
  tar -xzf "$cache/jsonschema-4.23.0.tar.gz" -C "$cache" jsonschema-4.23.0/json
  cp $here/node/package.json "$cache/"
  (cd "$cache" && npm install --silent --no-audit --no-fund)
  touch "$cache/ready"
fi
# Node looks for packages beside the script.
cp $here/node/*.mjs "$cache/"
(cd $here/gosdk && go build -o "$cache/gosdk" .)

PARLEY_JSON_SCHEMA_SUITE=$cache/jsonschema-4.23.0/json/tests go test -count=1 -tags clients -v -run PublicSuite ./internal/grammar/
go test -count=1 -tags clients -v -run Python ./examples/bot/
PARLEY_BINARY=$PWD/parley PARLEY_CLIENTS=$cache go test -count=1 -tags clients -v ./$here/
