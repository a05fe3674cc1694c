# A shell as the entrypoint, so the root cgroup has processes: what is said, what is true, what the repair makes of it.
. /vm/inner/lib.sh
steps=(--only cgroup-mounts,cgroup-delegation)
verify refused "${steps[@]}" --repair none
picture before
start_inner
truth limited -m 64m bb /busybox true
picture tried
truth plain bb /busybox true
verify repaired "${steps[@]}"
picture after
truth again -m 64m bb /busybox sh -c 'cat /sys/fs/cgroup/memory.max; cat /proc/self/cgroup'
stop_inner
verify twice "${steps[@]}"
