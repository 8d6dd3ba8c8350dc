#!/bin/sh
# gofmt, go vet and golangci-lint. The linter is built once, outside the module.
set -eu

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
    printf 'not formatted:\n%s\n' "$unformatted" >&2
    exit 1
fi
if command -v clang-format >/dev/null 2>&1; then
    git ls-files 'cgo/*.cu' 'cgo/*.cuh' 'cgo/*.c' 'cgo/*.cpp' 'cgo/*.h' | xargs clang-format --dry-run --Werror
fi
go vet ./...
lint=$PWD/build/golangci-lint
[ -x "$lint" ] || GOBIN=$PWD/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
"$lint" run ./...
