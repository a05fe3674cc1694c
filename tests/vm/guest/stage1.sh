#!/bin/sh
# /init of the initial file system: the modules, then the disk, then stage2.sh as the first process of the Debian tree on it.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
    $b insmod "/modules/$module" 2>/dev/null || echo "@@ $module was not loaded"
done </modules.list

tries=0
until $b mount -t ext4 -o noatime /dev/vda /disk 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "@@ no disk" && $b poweroff -f; }
    $b usleep 50000
done
$b mount -t tmpfs -o mode=755 vm /disk/vm
$b cp -a /vm/. /disk/vm/
for mounted in proc sys dev; do $b mount --move /$mounted /disk/$mounted; done
exec $b switch_root /disk /vm/stage2.sh
