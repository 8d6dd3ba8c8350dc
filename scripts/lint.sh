#!/bin/sh
# gofmt, go vet and golangci-lint. The linter is built once, outside the module.
set -eu

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
    printf 'not formatted:\n%s\n' "$unformatted" >&2
    exit 1
fi
go vet ./...
lint=$PWD/build/golangci-lint
[ -x "$lint" ] || GOBIN=$PWD/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
"$lint" run ./...
