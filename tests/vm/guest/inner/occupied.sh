# A shell as the entrypoint, so the root cgroup has processes. What is said, what is true, what a repair makes of it after
# an engine has tried and left the root threaded.
. /vm/inner/lib.sh
verify refused --repair none
start_inner
truth limited -m 64m bb /busybox true
picture tried
verify repaired --only cgroup-mounts,cgroup-delegation
picture after
truth again -m 64m bb /busybox cat /sys/fs/cgroup/memory.max
stop_inner
