# A user namespace that the cgroups were not delegated to.
. /vm/inner/lib.sh
chmod 777 /out
cp -r /usr/bin/mkdir /tmp/
setpriv --reuid 1000 --regid 1000 --clear-groups unshare --user --map-root-user --mount --cgroup bash -c '
    . /vm/inner/lib.sh
    verify all --repair none
    verify delegation --only cgroup-delegation
    mkdir /sys/fs/cgroup/docker 2>/out/mkdir.truth
'
