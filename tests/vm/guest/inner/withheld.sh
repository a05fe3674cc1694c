# The parent has taken the memory controller back.
. /vm/inner/lib.sh
verify refused --repair none
verify repaired --only cgroup-mounts,cgroup-delegation
start_inner
truth limited -m 64m bb /busybox true
stop_inner
