#!/bin/bash
# The first process of the machine: sets cgroups up as the kernel's command line says (vm.cgroup=), plays the plan, gives
# the results back on the second disk and switches off.
#
# Each line of the plan is a scenario: its id, the outer engine's suite, the inner engine's suite, the script, its argument.
# Lines with the same outer engine follow each other, and share its one start. `- hybrid` mounts the v2 tree beside those of
# v1 for the lines that follow.

source /vm/lib.sh

main() {
    world
    local id outer inner scenario argument up=
    while read -r id outer inner scenario argument; do
        if [[ $id == - ]]; then
            [[ -z $up ]] || stop_engine
            up=
            unified
            continue
        fi
        if [[ $up != "$outer" ]]; then
            [[ -z $up ]] || stop_engine
            start_engine "$outer" || break
            up=$outer
        fi
        play "$id" "$outer" "$inner" "$scenario" "$argument"
    done </vm/plan
    say "plan done"
    give_back
    busybox poweroff -f
}

world() {
    hostname vm
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /dev/pts /dev/shm /dev/mqueue /run/lock
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs /tmp
    mount -t tmpfs -o mode=755 tmpfs /share
    mount -t mqueue mqueue /dev/mqueue
    ln -sfn pts/ptmx /dev/ptmx
    ln -sfn /proc/self/fd /dev/fd
    ip link set lo up
    mkdir -p /share/out
    cgroups "$(sed -n 's/.*\bvm\.cgroup=\([^ ]*\).*/\1/p' /proc/cmdline)"
    {
        cat /proc/cgroups
        findmnt -rn -t cgroup,cgroup2
    } >/share/out/world
    say "world up"
}

cgroups() {
    case $1 in
        v2*) mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup ;;
        v1*) cgroups_v1 ;;
        hybrid*)
            cgroups_v1
            unified
            ;;
        *) say "unknown cgroup mode $1" ;;
    esac
}

unified() {
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup/unified
}

# As systemd mounts them. What the kernel does not give (6.12 without memory and cpuset of v1) is not there afterwards.
cgroups_v1() {
    local root=/sys/fs/cgroup list one
    mount -t tmpfs -o mode=755 cgroup $root
    for list in cpuset cpu,cpuacct memory devices freezer net_cls,net_prio blkio perf_event hugetlb pids rdma misc; do
        mkdir $root/$list
        mount -t cgroup -o $list cgroup $root/$list 2>/dev/null || { rmdir $root/$list && continue; }
        [[ $list != *,* ]] || for one in ${list//,/ }; do ln -s $list $root/$one; done
    done
    mkdir $root/systemd
    mount -t cgroup -o none,name=systemd,xattr cgroup $root/systemd
}

start_engine() {
    engine_log=/share/out/outer-$1.log
    unshare --mount bash /vm/engine.sh "$1" >"$engine_log" 2>&1 &
    engine=$!
    await 90 up_or_dead
    grep -q 'API listen on' "$engine_log" || { say "the outer engine of $1 does not start" && return 1; }
    say "engine $1 up"
}

up_or_dead() { grep -q 'API listen on' "$engine_log" || ! kill -0 $engine 2>/dev/null; }

stop_engine() {
    kill -TERM $engine
    wait $engine
    say "engine stopped"
}

play() {
    export OUT=/share/out/$1 OUTER=$2 INNER=$3 ARGUMENT=$5
    mkdir -p "$OUT"
    local began
    began=$(uptime_ms)
    timeout -k 5 "$(limit "$4")" bash "/vm/scenarios/$4.sh" >"$OUT/log" 2>&1 </dev/null
    echo "$? $(($(uptime_ms) - began))" >"$OUT/end"
    docker ps -aq | xargs -r docker rm -fv >/dev/null 2>&1
    give_back
    say "played $1 ($OUTER/$INNER $4): $(<"$OUT/end")"
}

# A scenario says how many seconds it may take; most are content with what follows.
limit() {
    local own
    own=$(sed -n 's/^# limit: //p' "/vm/scenarios/$1.sh")
    echo "${own:-180}"
}

give_back() {
    tar -C /share/out -cf /dev/vdb .
    sync
}

main
