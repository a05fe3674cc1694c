#!/bin/bash
# soak.sh BINARY [RUNS] [SUITE]: runs verify again and again on one data root, in a real outer container. Fails at the first
# run that is not sound, and where anything has grown since the first.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1 runs=${2:-300} suite=${3:-trixie}

source scripts/engine.sh

image=$(tests/bed/outer.sh "$binary" "$suite")
"$engine" docker run --rm --privileged -v /var/lib/docker -e RUNS="$runs" --entrypoint bash "$image" -c '
measure() {
    echo "processes $(ps -e --no-headers | grep -cvE " (bash|ps|grep|find|wc|awk|du|ip)$")"
    echo "mounts $(wc -l </proc/self/mountinfo)"
    echo "cgroups $(find /sys/fs/cgroup -type d | wc -l)"
    echo "files below /run, /tmp, /etc/docker $(find /run /tmp /etc/docker -xdev 2>/dev/null | wc -l)"
    echo "interfaces $(ip -o link | wc -l)"
    echo "rules $( (iptables-save; ip6tables-save) 2>/dev/null | grep -vcE "^[#:]")"
    cd /var/lib/docker
    echo "containers, volumes, layers $(find containers volumes image/overlay2/imagedb/content overlay2 -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)"
    echo "half mebibytes of the data root $(($(du -sk . | cut -f1) / 512))"
}
dindcheck verify >/dev/null 2>&1
measure >/root/first
for run in $(seq "$RUNS"); do
    dindcheck verify >/root/out 2>&1 || { echo "run $run:"; cat /root/out; exit 1; }
done
measure >/root/last
diff /root/first /root/last && echo "nothing grew in $RUNS runs" && cat /root/last'
