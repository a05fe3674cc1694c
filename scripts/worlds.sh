#!/bin/bash
# worlds.sh BINARY [FILTER...]: do the tests hold that need root and a real engine? Brings up the bed, runs them, and ends
# what it started.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
shift

# A terminal to drive, and certificates.
bash -c 'source tests/bed/lib.sh && host_packages tmux=tmux openssl=openssl'
source scripts/engine.sh

for suite in bookworm trixie forky; do tests/bed/outer.sh "$binary" "$suite" >/dev/null; done
cargo test --locked --test outer --test outer_env1 --test outer_env2 --test outer_workload -- --ignored --test-threads=3 "$@"
