#!/usr/bin/env bash
# Tests every set of kernels: that of this processor, lesser ones by hiding what it
# has, and those of other processors under qemu's emulation. Each run is told which
# set it must find (KERNEL), and fails where it finds another one.
#
# AVX-VNNI, which qemu has not and servers seldom, is tested on AVX-512: of its instructions one alone is another one
# there, with the same effect. That the bytes are right of what desktops run a disassembler says.
#
#     tools/kernels/run.sh            those that can run anywhere; avx512 and avxvnni, which qemu has not, where the processor has AVX-512
#     KERNELS='avx512 avx2' …         these, or it fails
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

# What runs of the transformer: models of all architectures and types beside the logits of llama.cpp. All else
# would take plain Go and emulation many times as long, and asks every set that a processor has by itself already.
goldens='^TestLikeLlamaCpp$'

case $(uname -m) in
x86_64 | amd64) host=amd64 ;;
aarch64 | arm64) host=arm64 ;;
*) host=$(uname -m) ;;
esac

# build NAME ARCH [FLAG …] makes test binaries of both packages.
build() {
  local name=$1 arch=$2 os=linux
  shift 2
  if [ "$arch" = "$host" ]; then os=$(go env GOOS); fi
  for p in kernel transformer; do
    GOOS=$os GOARCH=$arch go test -c "$@" -o "$bin/$name-$p" "./internal/$p/"
  done
}

# need ARCH wants test binaries of a processor and, in qemu, its emulator.
need() {
  [ -e "$bin/$1-kernel" ] || build "$1" "$1"
  local name=qemu-x86_64
  if [ "$1" = arm64 ]; then name=qemu-aarch64; fi
  if ! command -v $name >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get install -y -qq qemu-user || { apt-get update -qq && apt-get install -y -qq qemu-user; }; } >&2
  fi
  qemu=$(command -v $name) || {
    echo "tools/kernels needs $name: install it (Debian, Ubuntu: apt-get install qemu-user), or name the sets to test in KERNELS" >&2
    exit 1
  }
}

# run SET WHERE BINARIES TESTS COMMAND… runs the kernels' tests and those of the
# transformer on a set.
tested=
run() {
  local set=$1 where=$2 binaries=$bin/$3 tests=$4 log=$bin/log
  shift 4
  echo "kernels: $set, $where"
  (cd internal/kernel && KERNEL=$set "$@" "$binaries-kernel" -test.v -test.timeout 5m >"$log" 2>&1) || { cat "$log"; exit 1; }
  grep -q "running \"$set\"" "$log" || { echo "the tests do not say that they ran on $set" >&2; exit 1; }
  if [ -n "$tests" ]; then
    (cd internal/transformer && "$@" "$binaries-transformer" -test.run "$tests" -test.timeout 5m)
  fi
  tested+="  $set: $where"$'\n'
}

# dotproducts compares the dot products that stand in the source, in their order, with those that a
# disassembler finds in a binary: the bytes are the project's own (_asm/encode.go).
dotproducts() {
  command -v objdump >/dev/null || { echo "tools/kernels needs objdump: install it (Debian, Ubuntu: apt-get install binutils)" >&2; exit 1; }
  echo 'kernels: avxvnni, its dot products as a disassembler reads them'
  grep -oE '^\s+VPDPBUSD_Y[0-9]+_Y[0-9]+_Y[0-9]+' internal/kernel/panel_amd64.s | tr -d '\t' |
    sed 's/^VPDPBUSD_Y\([0-9]*\)_Y\([0-9]*\)_Y\([0-9]*\)$/%ymm\1,%ymm\2,%ymm\3/' >"$bin/meant"
  objdump -d --no-show-raw-insn "$bin/amd64-kernel" | sed -n 's/.*{vex} vpdpbusd *//p' >"$bin/read"
  [ -s "$bin/meant" ] && cmp "$bin/meant" "$bin/read"
}

echo 'kernels: the assembly is what its generators write'
mkdir "$bin/written"
cp -r internal/kernel/_asm "$bin/written/"
(cd "$bin/written" && GOFLAGS=-mod=readonly sh -e) < <(sed -n 's|^//go:generate ||p' internal/kernel/generate.go)
for f in "$bin"/written/*.*; do
  cmp "$f" "internal/kernel/${f##*/}" || { echo "write it anew: go generate ./internal/kernel" >&2; exit 1; }
done

# here is the set that this processor runs by itself.
build "$host" "$host"
here=$(cd internal/kernel && "$bin/$host-kernel" -test.v -test.run '^TestExpectedKernel$' | sed -n 's/.*running "\(.*\)".*/\1/p')

wanted=${KERNELS:-}
if [ -z "$wanted" ]; then
  wanted='go avx2 neon'
  if [ "$here" = avx512 ]; then wanted="avx512 avxvnni $wanted"; else tested+="  avx512, avxvnni: NOT tested, this processor has no AVX-512 and qemu has not either"$'\n'; fi
fi

for set in $wanted; do
  case $set in
  go)
    build purego "$host" -tags=purego
    run go 'by the build tag purego' purego "$goldens" env
    # What a compiler makes of the reference differs, too: arm64 can multiply and add in one rounding.
    need amd64
    run go 'on an emulated Nehalem' amd64 '' "$qemu" -cpu Nehalem
    need arm64
    run go 'on an emulated Cortex-A53' arm64 '' "$qemu" -cpu cortex-a53
    ;;
  avx512)
    [ "$here" = avx512 ] || { echo "this processor runs $here, not avx512, which qemu has not either" >&2; exit 1; }
    run avx512 'on this processor' amd64 "$goldens" env
    ;;
  avxvnni)
    [ "$here" = avx512 ] || { echo "this processor runs $here, not avx512, which avxvnni is tested on" >&2; exit 1; }
    build evex amd64 -asmflags=parley/internal/kernel=-D=EVEX
    run avxvnni 'on this processor, by instructions of AVX-512' evex "$goldens" env
    dotproducts
    ;;
  avx2)
    if [ "$here" = avx512 ] || [ "$here" = avx2 ]; then
      run avx2 'on this processor' amd64 "$goldens" env GODEBUG=cpu.avx512f=off
    fi
    # Where nothing else exists, an instruction of a larger set does not go unnoticed.
    need amd64
    rest=$goldens
    [[ $tested != *" avx2:"* ]] || rest=
    run avx2 'on an emulated Haswell' amd64 "$rest" "$qemu" -cpu Haswell,-invpcid,-rtm,-hle,-tsc-deadline,-pcid
    ;;
  neon)
    need arm64
    if [ "$here" = neon ]; then
      run neon 'on this processor' arm64 "$goldens" env
    else
      run neon 'on an emulated arm64 with dot products' arm64 "$goldens" "$qemu" -cpu max
    fi
    ;;
  *)
    echo "there are no kernels $set: avx512, avxvnni, avx2, neon, go" >&2
    exit 1
    ;;
  esac
done
echo 'kernels tested:'
printf %s "$tested"
