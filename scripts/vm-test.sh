#!/bin/bash
# vm-test.sh BINARY: plays tests/vm, other kernels and other cgroups. Makes virtual machines of Debian
# packages, plays tests/vm in them, and prints a table. DINDCHECK_VM_ONLY=trixie/v2 plays a part of it.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(readlink -f "$1")
bed=${DINDCHECK_BED:-/var/cache/dindcheck}

tests/vm/qemu.sh
for suite in bookworm trixie forky; do tests/vm/kernel.sh "$suite" >/dev/null; done
tests/vm/disk.sh >/dev/null

export DINDCHECK_BINARY=$binary DINDCHECK_VM_OUT=${DINDCHECK_VM_OUT:-$bed/vm/out}
mkdir -p "$DINDCHECK_VM_OUT"
cargo test --locked --test vm -- --ignored --nocapture
