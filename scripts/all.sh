#!/bin/bash
# all.sh BINARY: does everything hold that needs root? Worlds first, then the sandbox; beside them the virtual machines at the
# lowest priority, which take what is left of the processors: worlds wait more than they work. Their output comes at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)

# A process group of its own, so that what it started ends with it.
set -m
nice -n 19 scripts/vm-test.sh "$1" >"$log" 2>&1 &
machines=$!
set +m
cleanup() {
    kill -TERM -- "-$machines" 2>/dev/null || true
    rm -f "$log"
}
trap cleanup EXIT

scripts/worlds.sh "$1"
scripts/sandbox.sh "$1"
code=0
wait "$machines" || code=$?
cat "$log"
exit "$code"
