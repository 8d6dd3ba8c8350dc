#!/bin/sh
# Writes NOTICE: the licence of every module that is linked into the program.
set -eu

{
    echo "personaprobe contains code of the modules below, each under its own licence."
    go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/personaprobe |
        sort -u | while read -r path version dir; do
        for file in "$dir"/LICENSE* "$dir"/LICENCE* "$dir"/COPYING* "$dir"/UNLICENSE* "$dir"/licenses/ftl.txt; do
            [ -f "$file" ] || continue
            printf '\n%s\n%s %s: %s\n\n' "$(printf '%080d' 0 | tr 0 -)" "$path" "$version" "$(basename "$file")"
            cat "$file"
        done
    done
    dir=$(go list -m -f '{{.Dir}}' github.com/ollama/ollama)
    for part in llama/llama.cpp ml/backend/ggml/ggml; do
        printf '\n%s\nllama.cpp and ggml (%s)\n\n' "$(printf '%080d' 0 | tr 0 -)" "$part"
        cat "$dir/$part/LICENSE"
    done
    printf '\n%s\nThe Go standard library and runtime\n\n' "$(printf '%080d' 0 | tr 0 -)"
    cat "$(go env GOROOT)/LICENSE"
} >NOTICE
