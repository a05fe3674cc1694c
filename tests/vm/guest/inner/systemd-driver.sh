# An engine that leaves cgroups to a systemd that is not there.
. /vm/inner/lib.sh
verify all -- --exec-opt native.cgroupdriver=systemd
start_inner --exec-opt native.cgroupdriver=systemd
truth plain bb /busybox true
stop_inner
