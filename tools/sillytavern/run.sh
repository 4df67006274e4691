#!/usr/bin/env bash
# Installs SillyTavern and a browser at their pinned versions (cached under
# .cache by version) and runs them against ./parley.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tools/sillytavern

need() { command -v "$1" >/dev/null || { echo "tools/sillytavern needs $1: $2" >&2; exit 1; }; }
need node "install Node.js 20 or later"
need npm "install npm, which comes with Node.js"
# The package's browser is for Linux on amd64.
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  PARLEY_BROWSER=${PARLEY_BROWSER:-$(command -v chromium || command -v google-chrome || true)}
  [ -n "$PARLEY_BROWSER" ] || { echo "tools/sillytavern needs a browser: install chromium, or name one in PARLEY_BROWSER" >&2; exit 1; }
  export PARLEY_BROWSER
elif ! ldconfig -p | grep libnss3 >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get install -y -qq libnss3 || { apt-get update -qq && apt-get install -y -qq libnss3; }; } >&2
  fi
fi
if [ "$(uname -sm)" = "Linux x86_64" ] && ! ldconfig -p | grep libnss3 >/dev/null; then
  echo "tools/sillytavern needs libnss3 for its browser: install it (Debian, Ubuntu: apt-get install libnss3)" >&2
  exit 1
fi

stamp=$(cat $here/run.sh $here/package.json | cksum | cut -d' ' -f1)
cache=${PARLEY_CACHE:-$PWD/.cache}/sillytavern-$stamp
if [ ! -e "$cache/ready" ]; then
  rm -rf "$cache"
  mkdir -p "$cache"
  cp $here/package.json "$cache/"
  (cd "$cache" && npm install --silent --no-audit --no-fund)
  touch "$cache/ready"
fi
# Node looks for packages beside the script.
cp $here/*.mjs $here/*.cjs "$cache/"

PARLEY_BINARY=$PWD/parley PARLEY_SILLYTAVERN=$cache go test -count=1 -tags clients -v ./$here/
