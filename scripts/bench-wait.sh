#!/bin/bash
# bench-wait.sh BINARY [TIMES]: measures how late waits end after the daemon logs that it listens, and after its death.
# Prints a table.
set -euo pipefail
cd "$(dirname "$0")/.."
image=$(tests/bed/outer.sh "$1" trixie)
times=${2:-5}

tests/bed/engine.sh docker run --rm --privileged -v /var/lib/docker -e TIMES="$times" --entrypoint bash "$image" -c '
now() { echo "${EPOCHREALTIME/./}"; }
stop() { kill -TERM "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; rm -f /root/log; }
# late WAIT...: milliseconds from "API listen on" to the end of the wait.
late() {
    dockerd >/root/log 2>&1 & daemon=$!
    "$@" >/dev/null 2>&1; local at; at=$(now)
    local said; said=$(date -d "$(grep -m 1 "API listen on" /root/log | cut -d\" -f2)" +%s%6N)
    echo $(((at - said) / 1000)); stop
}
# mourn WAIT...: milliseconds from the death of a daemon that never served; none after 5 seconds.
mourn() {
    dockerd >/root/log 2>&1 & daemon=$!
    (sleep 0.2; kill -KILL "$daemon"; now >/root/died) & 
    timeout 5 "$@" >/dev/null 2>&1; local code=$? at; at=$(now)
    wait "$daemon" 2>/dev/null; pkill -KILL containerd; rm -f /var/run/docker.pid
    if [[ $code == 124 ]]; then echo never; else echo $(((at - $(cat /root/died)) / 1000)); fi
}
loop() { until docker info; do sleep 1; done; }
export -f loop
row() {
    local name=$1 i; shift
    local lates=() deaths=()
    for ((i = 0; i < TIMES; i++)); do lates+=("$(late "$@")"); deaths+=("$(mourn "$@")"); done
    printf "| %s | %s | %s |\n" "$name" "$(ends "${lates[@]}")" "$(ends "${deaths[@]}")"
}
# ends NUMBER...: the least and the most.
ends() {
    local sorted; mapfile -t sorted < <(printf "%s\n" "$@" | sort -n)
    if [[ ${sorted[0]} == "${sorted[-1]}" ]]; then echo "${sorted[0]}"; else echo "${sorted[0]} .. ${sorted[-1]}"; fi
}
echo "| ms after ($TIMES runs, least and most) | \`API listen on\` | the death of the daemon |"
echo "|---|---|---|"
row "\`dindcheck wait\`" dindcheck wait
row "\`until docker info; do sleep 1; done\`" bash -c loop' 2>/dev/null
