#!/bin/sh
# Tests on a GPU, in two parts, because GPU hosts often have no Go and no network.
#
#   scripts/test-gpu.sh prepare   with Go: builds the tests, and copies ggml's sources,
#                                 into build/gpu, to be carried to the GPU host
#   scripts/test-gpu.sh run       on the GPU host, in a copy of this tree with build/gpu:
#                                 builds the plugins if nvcc is there, runs the tests
#   scripts/test-gpu.sh sanitize  the kernels' tests under compute-sanitizer
#   scripts/test-gpu.sh bench     times the kernels, and a model of the 7B shape end to end
#
# Without arguments: all but bench. ARCH chooses the GPU (default 90).
set -eu
cd "$(dirname "$0")/.."

packages="cgo/cudalib cgo/native engine experiment"
tests=build/gpu

prepare() {
    eval "$(make -s env)"
    mkdir -p "$tests"
    for p in $packages; do
        binary=$tests/$(echo "$p" | tr / -).test
        go test -c -ldflags '-s -w' -o "$binary" "./$p"
        gzip -nf "$binary" # a third of the bytes to carry
    done
    go build -trimpath -ldflags '-s -w' -o "$tests/personaprobe" ./cmd/personaprobe
    gzip -nf "$tests/personaprobe"
    rm -rf "$tests/ggml"
    mkdir -p "$tests/ggml"
    cp -r "$(go list -m -f '{{.Dir}}' github.com/ollama/ollama)/ml/backend/ggml/ggml/." "$tests/ggml"
    chmod -R u+w "$tests/ggml"
    find "$tests/ggml" -name '*.go' -delete # they are no packages of ours
}

# build makes what build/cuda lacks. A complete ggml plugin is not built again.
build() {
    command -v nvcc >/dev/null 2>&1 || PATH=$PATH:/usr/local/cuda/bin
    command -v nvcc >/dev/null 2>&1 || { echo "no nvcc; using build/cuda as it is" >&2; return 0; }
    ggml=
    [ -e build/cuda/libggml-cuda.so ] && [ ! -e build/cuda/ggml.built ] || ggml=$PWD/$tests/ggml
    cmake -S cgo/cuda -B build/cuda -G Ninja -DARCH="${ARCH:-90}" -DGGML_DIR="$ggml" >/dev/null
    cmake --build build/cuda --target all kernels_test
    [ -z "$ggml" ] || touch build/cuda/ggml.built
}

# each PACKAGE ARGS... runs a package's test binary where its sources are.
each() {
    p=$1
    shift
    binary=$PWD/$tests/$(echo "$p" | tr / -).test
    [ -x "$binary" ] && [ ! "$binary.gz" -nt "$binary" ] || { gzip -dkf "$binary.gz" && chmod +x "$binary"; }
    echo "== $p"
    (cd "$p" && PERSONAPROBE_PLUGINS="$root/build/cuda" $tool "$binary" "$@")
}

# only PACKAGE: the tests of a package that concern the GPU.
only() {
    case $1 in
    engine) echo 'GPU|Native' ;;
    experiment) echo StudyAgreesWithGolden ;;
    *) echo . ;;
    esac
}

# kernels CHECK ARGS... runs kernels_test under compute-sanitizer and shows all that it says
# only if it finds something.
kernels() {
    check=$1
    shift
    log=$tests/sanitizer.log
    compute-sanitizer --error-exitcode 9 --tool "$check" build/cuda/kernels_test "$@" >"$log" 2>&1 || { cat "$log"; return 9; }
    echo "== kernels_test, $check"
    tail -2 "$log"
}

root=$PWD
tool=
case ${1:-all} in
prepare) prepare ;;
run | all)
    [ "${1:-all}" = run ] || prepare
    build
    status=0
    build/cuda/kernels_test || status=1
    for p in $packages; do
        PERSONAPROBE_GOLDEN=full each "$p" -test.v -test.timeout 8m -test.run "$(only "$p")" || status=1
    done
    # The study's leakage against the golden evaluation, by llama.cpp as well.
    PERSONAPROBE_GOLDEN=full PERSONAPROBE_BACKEND=llama each experiment -test.v -test.run "$(only experiment)" || status=1
    [ "${1:-all}" = run ] || "$0" sanitize || status=1
    exit $status
    ;;
sanitize)
    for check in memcheck racecheck; do
        tool="compute-sanitizer --tool $check --error-exitcode 9"
        each cgo/cudalib -test.v -test.short -test.run '(Sample|Merge).*/gpu'
    done
    kernels memcheck
    # What cuBLAS's kernels leave to the copy engine, these two do not see, and report or fail.
    kernels initcheck ours
    kernels racecheck ours
    ;;
bench)
    each cgo/cudalib -test.run '^$' -test.bench . -test.benchtime 50x
    gzip -dkf "$tests/personaprobe.gz"
    chmod +x "$tests/personaprobe"
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    export PERSONAPROBE_PLUGINS="$root/build/cuda" PERSONAPROBE_CACHE="$dir/cache"
    "$tests/personaprobe" model synth --quiet --shape qwen2.5-7b "$dir/7b.gguf"
    "$tests/personaprobe" lora synth --shape qwen2.5-7b "$dir/lora"
    "$tests/personaprobe" bench --backend llama --model "$dir/7b.gguf" -a x="$dir/lora" --with x --rows 256 --profile
    "$tests/personaprobe" bench --backend native --model "$dir/7b.gguf" -a x="$dir/lora" --with x --rows 256,512 --profile
    ;;
*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
