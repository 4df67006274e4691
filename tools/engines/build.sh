#!/usr/bin/env bash
# Builds other people's engines at their pinned versions, from package
# registries, and prints the folder of each: build.sh [NAME …], by default all.
# What is built is kept under .cache/engines by name and version. A build is
# quiet; one that fails shows the end of its log.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${PARLEY_CACHE:-$PWD/.cache}/engines
engines=(llama-server ollama llama-cpp-python)

exec 3>&2

# need FILE PACKAGE wants a command, or a header by its path. Where we may, the
# Debian package that has it is installed.
need() {
  if command -v "$1" >/dev/null || [ -e "$1" ]; then return; fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y "$2" || { apt-get update && apt-get install -y "$2"; }
    return
  fi
  echo "tools/engines needs $1: install it (Debian has it in the package $2)" >&3
  exit 3
}

# llama.cpp's server. Its source is a git bundle in an npm package. What is
# left out (a page, TLS, OpenMP, kernels for large batches) changes no answer.
llama_server_version=3.22.1 # of node-llama-cpp, which has llama.cpp 0.5.0
llama_server() {
  need npm npm
  need git git
  need cmake cmake
  need make make
  need g++ g++
  npm pack --silent "node-llama-cpp@$llama_server_version"
  tar -xzf node-llama-cpp-*.tgz
  git clone --quiet package/llama/gitRelease.bundle source
  cmake -S source -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
    -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_LLAMAFILE=OFF -DGGML_OPENMP=OFF \
    -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF
  cmake --build build --target llama-server --parallel "$(getconf _NPROCESSORS_ONLN)"
  cp build/bin/llama-server .
  rm -rf node-llama-cpp-*.tgz package source build
}

# Ollama, with the engine that it carries. Two headers that its source wants
# are not in its Go module.
ollama_version=0.17.4
ollama() {
  need go golang-go
  need g++ g++
  need pip3 python3-pip
  need /usr/include/nlohmann/json.hpp nlohmann-json3-dev
  need /usr/include/stb/stb_image.h libstb-dev
  pip3 download --quiet --disable-pip-version-check --no-deps --no-binary :all: miniaudio==1.71
  tar -xzf miniaudio-*.tar.gz
  GOBIN=$PWD CGO_ENABLED=1 CGO_CFLAGS=-O2 CGO_CXXFLAGS="-O1 -I$PWD/miniaudio-1.71" \
    go install -trimpath -ldflags="-s -w -X github.com/ollama/ollama/version.Version=$ollama_version" "github.com/ollama/ollama@v$ollama_version"
  rm -rf miniaudio-*
}

# The server of llama.cpp's Python binding, which builds its own llama.cpp, and
# always that project's library for programs, too, unless it is told not to.
llama_cpp_python_version=0.3.36
llama_cpp_python() {
  need python3 python3
  need pip3 python3-pip
  need cmake cmake
  need make make
  need g++ g++
  pip3 download --quiet --disable-pip-version-check --no-deps --no-binary :all: "llama-cpp-python==$llama_cpp_python_version"
  mkdir source
  tar -xzf llama_cpp_python-*.tar.gz -C source --strip-components=1
  sed -i.orig 's/set(LLAMA_BUILD_COMMON ON /set(LLAMA_BUILD_COMMON OFF /' source/CMakeLists.txt
  python3 -m venv python || { echo "python3 cannot make a virtual environment: install python3-venv" >&3; exit 3; }
  CMAKE_ARGS="-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DGGML_LLAMAFILE=OFF -DGGML_OPENMP=OFF -DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_CXX_FLAGS_RELEASE=-O1" \
    python/bin/pip install --quiet --disable-pip-version-check "./source[server]" \
    fastapi==0.165.0 uvicorn==0.54.0 starlette==1.10.0 starlette-context==0.3.6 sse-starlette==3.7.0 pydantic-settings==2.16.3
  rm -rf source llama_cpp_python-*.tar.gz
}

# build NAME makes the folder of an engine, unless a build made it before.
build() {
  local function=${1//-/_} version folder status
  version=${function}_version
  folder=$cache/$1-${!version}
  if [ ! -e "$folder/ready" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    # Not as a condition: in one, a shell goes on after an error.
    set +e
    (set -ex; cd "$folder"; "$function") >"$folder.log" 2>&1
    status=$?
    set -e
    if [ $status != 0 ]; then
      if [ $status != 3 ]; then tail -n 30 "$folder.log" >&2; fi
      echo "tools/engines could not build $1; the whole log is $folder.log" >&2
      exit 1
    fi
    touch "$folder/ready"
  fi
  echo "$folder"
}

if [ $# -eq 0 ]; then set -- "${engines[@]}"; fi
for name; do
  declare -F "${name//-/_}" >/dev/null || { echo "tools/engines knows no engine $name: it has ${engines[*]}" >&2; exit 1; }
  build "$name"
done
