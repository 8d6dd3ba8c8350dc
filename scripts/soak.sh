#!/bin/sh
# Kills and resumes runs of the embedded model for DURATION (seconds, default 3600) and
# compares every finished one with an uninterrupted run; beside it runs the engine's soak
# test. Ends with a line of figures for each and 1 if anything differs.
#
#   scripts/soak.sh [DURATION]
set -eu
cd "$(dirname "$0")/.."
duration=${1:-3600}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
plan="--sources villain,assistant --questions 2 --completions 2 --seeds 42,7 --max-tokens 24 --quiet --threads 1"

# shellcheck disable=SC2086
run() { bin/personaprobe run $plan --out "$1" >/dev/null; }

# sums lists what a run promises to reproduce, without times and dates.
sums() {
    (cd "$1" && find . -name '*.json' ! -name manifest.json ! -name progress.json | sort |
        while read -r f; do
            printf '%s ' "$f"
            grep -vE '"(wall_minutes|timestamp|gpu_hours)"' "$f" | sha256sum
        done)
}

eval "$(make -s env)"
go test -c -o "$dir/engine.test" ./engine
run "$dir/reference"
(cd engine && PERSONAPROBE_SOAK=${duration}s exec "$dir/engine.test" -test.run 'TestSoak$' -test.v -test.timeout 0) >"$dir/engine.log" 2>&1 &
engine=$!
sums "$dir/reference" >"$dir/want"
end=$(($(date +%s) + duration))
runs=0 kills=0 different=0
while [ "$(date +%s)" -lt "$end" ]; do
    out=$dir/run$runs
    while :; do
        # shellcheck disable=SC2086
        timeout -s KILL "0.$(od -An -N1 -tu1 /dev/urandom | awk '{printf "%03d", 200 + $1 * 3}')" bin/personaprobe run $plan --out "$out" >/dev/null 2>&1 && break
        kills=$((kills + 1))
        [ $((kills % 12)) -ne 0 ] || { run "$out" && break; } # now and then to the end, or a slow machine never gets there
    done
    runs=$((runs + 1))
    sums "$out" >"$dir/got"
    cmp -s "$dir/want" "$dir/got" || different=$((different + 1))
    rm -rf "$out"
done
echo "$runs runs finished, $kills kills, $different differ"
status=0
wait $engine || status=1
cat "$dir/engine.log"
[ "$different" = 0 ] && exit $status
exit 1
