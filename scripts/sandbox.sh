#!/bin/bash
# sandbox.sh BINARY [FILTER...]: plays the fault matrix of tests/sandbox and prints its table. Makes what its worlds are made
# of where that is missing. DINDCHECK_FAULT=devices plays a part of it.
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
cargo test --locked --lib host:: -- --ignored
cargo test --locked --test inputs -- --ignored
cargo test --locked --test sandbox -- --ignored --nocapture --test-threads=1 --skip by_hand "$@"
