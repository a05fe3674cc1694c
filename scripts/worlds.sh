#!/bin/bash
# worlds.sh BINARY [FILTER...]: plays tests/worlds, which need root and real engines. Brings up the bed and ends what it
# started.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(readlink -f "$1")
shift

# A terminal to drive, and certificates.
bash -c 'source tests/bed/lib.sh && host_packages tmux=tmux openssl=openssl'
source scripts/engine.sh

for suite in bookworm trixie forky; do tests/bed/outer.sh "$binary" "$suite" >/dev/null; done
export DINDCHECK_BINARY=$binary
rm -f target/*/tmp/remedies-worlds.jsonl
cargo test --locked --test worlds -- --ignored --test-threads="${DINDCHECK_WORLDS_AT_ONCE:-3}" --skip read_alike "$@"
# Of what the worlds above have noted.
(($#)) || cargo test --locked --test worlds -- --ignored --nocapture read_alike
