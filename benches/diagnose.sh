#!/bin/sh
# How fast is `diagnose` on a debug log, beside grep with a few of the same words, in one run?
# usage: benches/diagnose.sh BINARY [MEBIBYTES]
set -eu
binary=$1 size=${2:-1024}
root=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp) && trap 'rm -f "$log" "$log.one" "$log.out"' EXIT
for version in "$root"/crates/diagnosis/tests/logs/*/healthy-debug.log; do grep level= "$version"; done >"$log.one"
while [ "$(($(wc -c <"$log.one") * 8))" -lt $((size << 20)) ]; do cat "$log.one" "$log.one" >"$log" && mv "$log" "$log.one"; done
: >"$log"
while [ "$(wc -c <"$log")" -lt $((size << 20)) ]; do cat "$log.one" >>"$log"; done
bytes=$(wc -c <"$log")
cat "$log" >/dev/null

run() { # NAME COMMAND...: user time is what one core did, however busy the machine is
    name=$1 && shift
    /usr/bin/time -o "$log.time" -f '%U %e %M' "$@" >"$log.out" || true # grep stops early for /dev/null
    tail -n 1 "$log.time" | awk -v n="$name" -v b="$bytes" '{ printf "%-10s %6.2f s user  %6.2f s  %7.0f MB/s of user time  %5.1f MiB\n", n, $1, $2, b / 1e6 / ($1 > 0 ? $1 : 0.01), $3 / 1024 }'
    rm -f "$log.time"
}
echo "$bytes bytes"
for _ in 1 2 3; do
    run dindcheck "$binary" diagnose --format json "$log"
    run grep grep -cE 'failed to start daemon|failed to mount overlay|permission denied|operation not permitted|no such file or directory|not found in \$PATH|isn.t mounted|invalid argument' "$log"
done
