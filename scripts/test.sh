#!/bin/bash
# test.sh: plays every part of `make test`, tells how far it is, and prints how long each part took. A part that fails does
# not keep the others from being played, except the build, without which there is nothing to play.
# DINDCHECK_FULL=1 (`make test-all`) plays the whole of each matrix instead of a sample.
set -euo pipefail
cd "$(dirname "$0")/.."

full=0
[[ ${DINDCHECK_FULL:-} != 1 ]] || full=1
export DINDCHECK_FULL=$full

# Part; what it plays; seconds on two quiet processors with a warm bed, of the sample and of everything.
parts=(
    "build|the binary, and every test|300|300"
    "unit|what needs neither root nor an engine|40|40"
    "worlds|real outer containers with real engines in them|720|4500"
    "sandbox|the fault matrix, in namespaces|520|900"
    "vm|other kernels and cgroups, in virtual machines|420|1020"
)
logs=target/test
began=$SECONDS
results=() failed=0 heart=
trap '[[ -z $heart ]] || kill "$heart" 2>/dev/null' EXIT

main() {
    mkdir -p "$logs"
    announce
    local part number=0
    for part in "${parts[@]}"; do
        number=$((number + 1))
        play "$number" "${part%%|*}"
    done
    table
    exit "$failed"
}

# field PART NUMBER: a field of its line.
field() { cut -d'|' -f"$2" <<<"$1"; }
seconds() { field "$1" $((3 + full)); }
minutes() { echo "$((($1 + 30) / 60)) min"; }
tell() { printf '\n== %s\n' "$*"; }

announce() {
    local part sum=0
    for part in "${parts[@]}"; do sum=$((sum + $(seconds "$part"))); done
    tell "${#parts[@]} parts, about $(minutes $sum) on two quiet processors; where the bed is not there yet, about 5 min more"
    for part in "${parts[@]}"; do
        printf '   %-8s %-50s %4s s\n' "$(field "$part" 1)" "$(field "$part" 2)" "$(seconds "$part")"
    done
}

# play NUMBER NAME: a part, with its output passed on and kept.
play() {
    local at=$SECONDS code=0 where="part $1 of ${#parts[@]}: $2"
    if [[ $2 != build && ${broken:-} == yes ]]; then
        failed=1
        results+=("$2|NOT PLAYED: the build failed|0")
        return
    fi
    tell "$where ($((at - began)) s so far)"
    while sleep 60 >/dev/null 2>&1; do tell "$where, $((SECONDS - at)) s of about $(seconds "${parts[$1 - 1]}"); $((SECONDS - began)) s so far"; done &
    heart=$!
    "part_$2" 2>&1 | tee "$logs/$2.log" || code=$?
    kill "$heart" 2>/dev/null
    wait "$heart" 2>/dev/null || true
    heart=
    results+=("$2|$(verdict "$code" "$logs/$2.log")|$((SECONDS - at))")
    ((code == 0)) || failed=1
    [[ $2 != build ]] || ((code == 0)) || broken=yes
}

# The two builds have nothing in common, and each ends with a crate that only one processor works at.
part_build() {
    local binary
    make --no-print-directory build &
    binary=$!
    cargo test --locked --all-targets --no-run && wait "$binary"
}
part_unit() { make --no-print-directory unit; }
part_worlds() { make --no-print-directory worlds-test; }
part_sandbox() { make --no-print-directory sandbox-test; }
part_vm() { make --no-print-directory vm-test; }

# verdict CODE LOG: what a part came to, with the sum of what cargo's test harness says.
verdict() {
    local word=passed
    (($1 == 0)) || word=FAILED
    awk -v word="$word" '/^test result: / { passed += $4; failed += $6 }
        END { printf "%s%s", word, passed + failed ? sprintf(" (%d tests passed, %d failed)", passed, failed) : "" }' "$2"
}

table() {
    local result
    tell "all parts"
    for result in "${results[@]}"; do
        printf '   %-8s %6s s   %s\n' "$(field "$result" 1)" "$(field "$result" 3)" "$(field "$result" 2)"
    done
    printf '   %-8s %6s s   %s\n' total $((SECONDS - began)) \
        "$( ((failed)) && echo FAILED || echo passed), $(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s"
}

main
