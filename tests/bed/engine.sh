#!/bin/bash
# engine.sh start|stop|status|docker ARGS...|enter CMD...: starts, stops and speaks to a real outer Docker engine.
#
# The engine is the one of a Debian tree (tree.sh), in mount, network, pid, uts and ipc namespaces of its own
# (engine-init.sh), so it neither needs nor disturbs an engine of this machine. DINDCHECK_ENGINE names it (several may
# run at once), DINDCHECK_ENGINE_SUITE says whose engine it is. Images stay from one start to the next; containers do not.

source "$(dirname "$0")/lib.sh"

name=${DINDCHECK_ENGINE:-main}
suite=${DINDCHECK_ENGINE_SUITE:-trixie}
dir=$BED/engine-$name
run=$dir/run
[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || die "DINDCHECK_ENGINE=$name: use a-z, 0-9 and -"

main() {
    need_root
    case ${1:-} in
        start) start ;;
        stop) stop ;;
        status) status ;;
        docker) enter "$@" ;;
        enter) shift && enter --pid "$@" ;;
        *) die "usage: engine.sh start|stop|status|docker ARGS...|enter COMMAND..." ;;
    esac
}

start() {
    host_packages unshare=util-linux nsenter=util-linux setsid=util-linux
    lock "engine-$name"
    if running; then
        [[ $engine_suite == "$suite" ]] || die "engine $name is one of $engine_suite, not of $suite; stop it first"
        answers && return
        log "engine $name does not answer"
        end
    fi
    clean_up # what a killed engine left

    local tree began=$EPOCHREALTIME launcher
    tree=$("$HERE/tree.sh" "$suite")
    mkdir -p "$run" "$dir/root" "$dir/share" "$dir/data-$suite"
    [[ $(stat -f -c %T "$dir") != overlayfs ]] ||
        log "$dir is on an overlay file system: the engine falls back to vfs, slow (DINDCHECK_BED=DIR names a better place)"

    : >"$run/dockerd.log"
    setsid unshare --mount --net --pid --uts --ipc --fork --kill-child \
        bash "$HERE/engine-init.sh" "$tree" "$dir" "$suite" "$(cgroup_name)" \
        </dev/null >>"$run/dockerd.log" 2>&1 {LOCK_FD}>&- &
    launcher=$!
    trap 'failed "start of engine $name was broken off"' EXIT
    await 60 listening "$launcher" || failed "engine $name did not start"
    running || failed "engine $name did not start"
    answers || failed "engine $name listens, but does not answer"
    remove_containers
    trap - EXIT
    log "engine $name ($suite) up in $(seconds_since "$began") s"
}

# Up, or past hope: failed() sorts out which.
listening() { [[ $(<"$run/dockerd.log") == *'API listen on /run/bed/'* ]] || ! kill -0 "$1" 2>/dev/null; }

failed() {
    trap - EXIT
    log "$1; the first errors of $run/dockerd.log:"
    grep -m 5 -vE '^time=.* level=(debug|info|warning) ' "$run/dockerd.log" >&2 || tail -n 5 "$run/dockerd.log" >&2
    ! running || end
    clean_up keep-log
    exit 1
}

stop() {
    lock "engine-$name"
    local began=$EPOCHREALTIME
    if running; then
        remove_containers
        end
        log "engine $name stopped in $(seconds_since "$began") s"
    fi
    clean_up
}

# Ends the init of the engine's pid namespace, and with it everything in there.
end() {
    kill -TERM "$engine_pid" 2>/dev/null || true
    await 15 gone || {
        log "engine $name does not end by itself: killing it"
        kill -KILL "$engine_pid" 2>/dev/null || true
        await 15 gone || die "engine $name (process $engine_pid) cannot be killed"
    }
}

gone() { ! running; }

status() {
    running || {
        echo "engine $name: stopped"
        exit 1
    }
    printf '%s\n' "engine $name: running" "suite $engine_suite" "version $(engine_version)" "pid $engine_pid" \
        "share $dir/share (is /share for docker -v)" "socket $run/docker.sock" "log $run/dockerd.log" \
        "cgroup-parent /$(cgroup_name)"
}

# enter [--pid] COMMAND...: in the engine's namespaces. Its pid namespace is entered only where asked for: that takes a
# fork, and then a signal to this process (a test's timeout) does not reach the command. docker needs only the socket.
enter() {
    local pid=()
    [[ $1 != --pid ]] || { pid=(--pid) && shift; }
    running || die "engine $name is not running (engine.sh start)"
    unset "${!DOCKER_@}" LD_PRELOAD LD_LIBRARY_PATH
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DOCKER_BUILDKIT=0
    exec nsenter --target "$engine_pid" --mount --net --uts --ipc "${pid[@]}" -- "$@"
}

quiet_docker() { (enter timeout 20 docker "$@") </dev/null 2>/dev/null; }
engine_version() { quiet_docker version -f '{{.Server.Version}}'; }
answers() { engine_version >/dev/null; }

remove_containers() {
    local ids
    ids=$(quiet_docker ps -aq) || return 0
    # shellcheck disable=SC2086  # a list of ids
    [[ -z $ids ]] || quiet_docker rm -fv $ids >/dev/null || log "some containers could not be removed"
}

# Whether the engine that the state file tells of is alive. A process id comes back after a while, so its start time and
# the boot it belongs to are part of the identity. Sets engine_pid and engine_suite.
running() {
    local began boot
    [[ -r $run/state ]] && read -r engine_pid began boot engine_suite <"$run/state" || return 1
    [[ $boot == "$(</proc/sys/kernel/random/boot_id)" && $(start_time "$engine_pid") == "$began" ]]
}

# Field 22 of stat; the name in field 2 may hold spaces, so count from its closing bracket.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

clean_up() {
    await 10 remove_cgroups || log "cgroups are left: $(cgroups | tr '\n' ' ')"
    rm -f "$run"/{state,docker.sock}
    [[ ${1:-} == keep-log ]] || rm -f "$run/dockerd.log"
}

# One bed may have an engine of the same name as another bed on this machine; their cgroups must differ.
cgroup_name() { printf 'dindcheck-bed-%s-%x' "$name" "$(cksum <<<"$BED" | cut -d' ' -f1)"; }

cgroups() {
    local mountpoint
    findmnt -rn -t cgroup,cgroup2 -o TARGET | while read -r mountpoint; do
        find "$mountpoint/$(cgroup_name)" -depth -type d 2>/dev/null || true
    done
}

# Only empty directories go this way; a cgroup that still holds a process stays and is tried again.
remove_cgroups() {
    cgroups | xargs -r rmdir 2>/dev/null || true
    [[ -z $(cgroups) ]]
}

# await SECONDS CONDITION...: poll until it holds, or return 1 at the deadline.
await() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        sleep 0.03
    done
}

seconds_since() { printf '%d.%02d' $(((${EPOCHREALTIME/./} - ${1/./}) / 1000000)) $(((${EPOCHREALTIME/./} - ${1/./}) / 10000 % 100)); }

main "$@"
