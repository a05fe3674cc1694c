#!/bin/bash
# sandbox.sh BINARY [FILTER...]: does every check see its fault first, and nothing where all is well? Makes what the worlds of
# tests/sandbox are made of, plays the matrix in them, and prints its table. DINDCHECK_FAULT=devices plays a part of it.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(readlink -f "$1")
shift

if ! grep -q '^[^ ]* /sys/fs/cgroup/[^ ]* cgroup ' /proc/mounts; then
    echo "sandbox.sh: this machine has no cgroup v1 hierarchies, which many rows break; make vm-test plays v2" >&2
    exit 1
fi
for suite in bookworm trixie forky; do tests/bed/tree.sh "$suite" >/dev/null; done
tests/bed/rootless.sh >/dev/null

# The matrix plays several rows at a time by itself.
export DINDCHECK_BINARY=$binary
cargo test --locked --test sandbox -- --ignored --nocapture --test-threads=1 --skip by_hand "$@"
