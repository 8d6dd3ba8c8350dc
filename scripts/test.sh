#!/bin/sh
# Runs vet and every test, then says how many passed, failed and were skipped and
# why; without arguments also the fuzz targets of the file readers for a short
# time. Arguments go to `go test`.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The report's page is tested in Chromium. Where we may, we install it; without it
# those tests are skipped.
if ! command -v chromium >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium" >&2
    timeout 240 sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium' >/dev/null 2>&1 ||
        echo "chromium cannot be installed: the report's page is not tested in a browser" >&2
fi

go vet ./... || exit 1
# One package at a time: llama.cpp's CPU threads meet at spinning barriers, and two
# test programs that share the cores make each other tens of times slower.
go test -p 1 -json -timeout 25m "$@" ./... >"$log"
status=$?
go run ./internal/testsummary <"$log"
[ $status -eq 0 ] || exit $status
[ $# -gt 0 ] || scripts/fuzz.sh 5s
