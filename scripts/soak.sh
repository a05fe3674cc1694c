#!/bin/bash
# soak.sh BINARY [RUNS] [SUITE]: runs verify again and again on one data root, in a real outer container, and ends every
# second run by SIGKILL, at another moment each time. Fails at the first whole run that is not sound or leaves anything, and
# where anything has grown since the first.
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
    echo "run directories $(find /run/dindcheck /tmp/dindcheck -mindepth 1 2>/dev/null | wc -l)"
    echo "files below /etc/docker $(find /etc/docker -mindepth 1 2>/dev/null | wc -l)"
    echo "interfaces $(ip -o link | wc -l)"
    echo "rules $( (iptables-save; ip6tables-save) 2>/dev/null | grep -vcE "^[#:]")"
    cd /var/lib/docker
    echo "containers, volumes, layers $(find containers volumes image/overlay2/imagedb/content overlay2 -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)"
    echo "half mebibytes of the data root $(($(du -sk . | cut -f1) / 512))"
}
whole() {
    dindcheck verify >/root/out 2>&1 && ! grep -q "^left over" /root/out && return
    echo "run $1:"
    cat /root/out
    exit 1
}
# Ends a run by SIGKILL after so many thousandths of its life.
killed() {
    dindcheck verify >/dev/null 2>&1 &
    sleep "$(awk "BEGIN { print $life * $1 / 1000 }")"
    kill -KILL $! 2>/dev/null
    wait $! 2>/dev/null
}
names() { find /run /tmp /etc/docker /var/lib/docker -xdev 2>/dev/null | sort; }
whole 0
measure >/root/first
names >/root/first.names
began=${EPOCHREALTIME/./}
whole 1
life=$(awk "BEGIN { print (${EPOCHREALTIME/./} - $began) / 1000000 }")
for run in $(seq 2 "$RUNS"); do
    # 619 is prime to 1000, and its multiples lie evenly over the life of a run.
    if ((run % 2)); then whole "$run"; else killed $((run / 2 * 619 % 1000)); fi
done
whole "$((RUNS + 1))"
measure >/root/last
names >/root/last.names
diff /root/first /root/last || { diff /root/first.names /root/last.names; exit 1; }
echo "nothing grew in $RUNS runs, half of them killed"
cat /root/last'
