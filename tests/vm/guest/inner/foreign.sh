# A process of another pid namespace sits in the root cgroup and cannot be named or moved from here.
. /vm/inner/lib.sh
touch /out/ready
until [[ -e /out/go ]]; do busybox usleep 20000; done
verify stuck --only cgroup-mounts,cgroup-delegation
picture after
touch /out/done
until [[ -e /out/gone ]]; do busybox usleep 20000; done
verify free --only cgroup-mounts,cgroup-delegation
