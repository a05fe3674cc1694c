#!/bin/bash
# engine.sh SUITE: the outer engine of that suite, in a mount namespace of its own with its tree as the root.

set -eu
root=/trees/$1
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mkdir -p data old share vm
mount --rbind /sys sys
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount --bind /share share
mount --bind /vm vm
mount --bind "/data/$1" data
pivot_root . old
hash -r
umount -l /old
rm -f /share/docker.sock
exec dockerd --data-root /data --exec-root /run/docker --pidfile /run/docker.pid -H unix:///share/docker.sock \
    --shutdown-timeout 5
