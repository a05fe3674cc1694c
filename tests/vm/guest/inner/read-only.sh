# A cgroup tree that cannot be written.
. /vm/inner/lib.sh
[[ ${REMOUNT:-} != yes ]] || mount -o remount,bind,ro /sys/fs/cgroup
grep cgroup /proc/self/mountinfo >/out/mountinfo
verify refused --repair none
verify repaired --only cgroup-mounts,cgroup-delegation
picture after
[[ ${REMOUNT:-} == yes ]] || exit 0
start_inner
truth limited -m 64m bb /busybox true
stop_inner
