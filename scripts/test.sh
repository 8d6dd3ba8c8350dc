#!/bin/sh
# Runs vet and every test, then says how many passed, failed and were skipped and
# why. Arguments go to `go test`.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT

go vet ./... || exit 1
go test -json -timeout 25m "$@" ./... >"$log"
status=$?
go run ./internal/testsummary <"$log"
exit $status
