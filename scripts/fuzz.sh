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
while read -r target package; do
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 1 "$package" >"$log" 2>&1 || {
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
