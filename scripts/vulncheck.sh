#!/bin/sh
# Asks Go's vulnerability database about the program and everything it is made of. The
# database comes through the module proxy, so this needs no other host. It ends with 1
# if something can be reached, apart from known entries about ollama's server: they name
# no package, so they count as reached, but we build none of its Go code, only llama.cpp
# and ggml, and read GGUF files with our own code before llama.cpp does.
set -eu
cd "$(dirname "$0")/.."

ours_not="GO-2025-3557 GO-2025-3558 GO-2025-3559 GO-2025-3582 GO-2025-3689 GO-2025-3695 GO-2025-3824 GO-2025-4251"

eval "$(make -s env)"
db=$(cd / && go mod download -json golang.org/x/vulndb@latest | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
check=$PWD/build/govulncheck
[ -x "$check" ] || GOBIN=$PWD/build go install golang.org/x/vuln/cmd/govulncheck@v1.9.0
"$check" -db "file://$db/data/osv" ./... >"$log" 2>&1 || status=$?
[ "$status" = 0 ] || [ "$status" = 3 ] || { cat "$log"; exit "$status"; } # 3: something was found
reached=$(sed -n 's/^Vulnerability #[0-9]*: //p' "$log" | sort -u)
[ "$status" = 0 ] || [ -n "$reached" ] || { cat "$log"; exit 1; }
new=$(for id in $reached; do case " $ours_not " in *" $id "*) ;; *) echo "$id" ;; esac; done)
echo "$(go version | cut -d' ' -f3), database ${db##*@}: $(echo "$reached" | grep -c .) reached, $(echo "$new" | grep -c .) of them ours"
[ -z "$new" ] || { cat "$log"; exit 1; }
