# What the scripts of the machine share. Sourced.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DOCKER_HOST=unix:///share/docker.sock

# A line on the console, with the machine's clock.
say() { read -r seconds _ </proc/uptime && echo "@@ $seconds $*" >/dev/console; }

uptime_ms() {
    local seconds
    read -r seconds _ </proc/uptime
    seconds=${seconds/./}
    echo $((10#$seconds * 10))
}

# await SECONDS CONDITION...: poll until it holds, or return 1 at the deadline.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        busybox usleep 50000
    done
}

# outer [ARGS of docker run]... -- SCRIPT...: a privileged outer container that runs a script of /vm/inner, and may write to /out.
outer() {
    local args=()
    while [[ $1 != -- ]]; do args+=("$1") && shift; done
    shift
    unprivileged_outer --privileged "${args[@]}" -- "$@"
}

unprivileged_outer() {
    local args=()
    while [[ $1 != -- ]]; do args+=("$1") && shift; done
    shift
    docker run --rm -v /vm:/vm:ro -v "$OUT:/out" -v /var/lib/docker "${args[@]}" "dindcheck-base:$INNER" bash "$@"
}
