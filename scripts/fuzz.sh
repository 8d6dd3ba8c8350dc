#!/bin/sh
# Fuzzes the readers of files that strangers write, each for the given time, and
# prints how far each came: scripts/fuzz.sh 10m
#
# Without cgo: the readers are Go, and instrumented builds would compile llama.cpp again.
set -eu
export CGO_ENABLED=0

time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() {
    go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 1 "$2" >"$log" 2>&1
}

# overrun reports whether Go's fuzzer failed at the end of its time and at nothing else: until
# Go 1.27 a worker that is still busy then can count as a failure (golang.org/issue/75804).
overrun() {
    grep -q '^ *context deadline exceeded$' "$log" && ! grep -qE 'Failing input|panic|_test\.go:' "$log"
}

while read -r target package; do
    fuzz "$target" "$package" || { overrun && fuzz "$target" "$package"; } || {
        cat "$log"
        exit 1
    }
    echo "$package $target: $(grep '^fuzz: elapsed' "$log" | tail -n 1)"
done <<'END'
FuzzParse ./models/gguf
FuzzParse ./models/safetensors
FuzzIndex ./models/safetensors
FuzzConfig ./lora
FuzzTemplate ./models/chat
FuzzCheckpoint ./models
FuzzParsePlan ./experiment
FuzzParseTaxonomy ./experiment
FuzzReadCheckpoint ./experiment
FuzzRepresentation ./hidden
FuzzStates ./hidden
END
