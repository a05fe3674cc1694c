#!/bin/bash
# bench.sh BINARY: compares verify with the usual script and with the floor, as ratios of one run in a real outer container.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
rounds=${DINDCHECK_BENCH_ROUNDS:-5}

source scripts/engine.sh

cargo build --release --locked --example bench
for suite in ${DINDCHECK_BENCH_SUITES:-bookworm trixie forky}; do
    image=$(tests/bed/outer.sh "$binary" "$suite")
    share=$("$engine" status | sed -n 's/^share \([^ ]*\).*/\1/p')
    install -m 755 "$(dirname "$binary")/examples/bench" "$share/bench"
    echo "== inner engine of $suite"
    "$engine" docker run --rm --privileged -v /share:/share:ro --entrypoint /share/bench "$image" "$rounds"
done
