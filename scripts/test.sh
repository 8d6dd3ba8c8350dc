#!/bin/sh
# Runs vet and every test, then says how many passed, failed and were skipped and
# why; without arguments also the fuzz targets of the file readers for a short
# time. Arguments go to `go test`.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT

go vet ./... || exit 1
# One package at a time: llama.cpp's CPU threads meet at spinning barriers, and two
# test programs that share the cores make each other tens of times slower.
go test -p 1 -json -timeout 25m "$@" ./... >"$log"
status=$?
go run ./internal/testsummary <"$log"
[ $status -eq 0 ] || exit $status
[ $# -gt 0 ] || scripts/fuzz.sh 10s
