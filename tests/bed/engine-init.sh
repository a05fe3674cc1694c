#!/bin/bash
# engine-init.sh TREE DIR SUITE CGROUP: makes what the outer engine sees. Run by engine.sh as the first process of new
# mount, network, pid, uts and ipc namespaces; makes a root file system there and becomes the init that keeps dockerd.
#
# The root is a tmpfs with the tree's /usr in it, so nothing the engine does changes the tree, and all of it is gone with
# the mount namespace. Only /data, /share and /run/bed are directories of the machine.

set -euo pipefail
tree=$1 dir=$2 suite=$3 cgroup=$4

# /proc is still the machine's here, so this is the process id that engine.sh sees.
read -ra stat </proc/self/stat
echo "${stat[0]} ${stat[21]} $(</proc/sys/kernel/random/boot_id) $suite" >"$dir/run/state"

mount -t tmpfs -o mode=755 bed "$dir/root"
cd "$dir/root"
mkdir -p data dev old proc root run share sys tmp usr var/lib var/log var/tmp
chmod 1777 tmp var/tmp
ln -s /run var/run
cp -a "$tree/etc" .
find "$tree" -maxdepth 1 -type l -exec cp -P {} . \; # bin -> usr/bin and the like

mount --bind "$tree/usr" usr
mount -o remount,bind,ro usr
[[ ! -d /lib/modules ]] || mount --bind /lib/modules usr/lib/modules
mount -t proc proc proc
# Of this network namespace. What is mounted below the machine's /sys stays out, but for the cgroups: without
# securityfs the engine leaves AppArmor alone and loads no profile into the machine's kernel.
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mkdir run/bed
mount --bind "$dir/run" run/bed
mount --bind "$dir/data-$suite" data
mount --bind "$dir/share" share

echo dindcheck-bed >/proc/sys/kernel/hostname
pivot_root . old
hash -r

# There is no way out of here. Whatever tries is refused at once (hence no limit to the refusals): unanswered, a name
# lookup takes 10 s and the pull of an image that is not there 35 s. sh reaps what is orphaned into it, dockerd would not.
# shellcheck disable=SC2016  # expanded by that sh
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -c '
    cd /
    umount -l /old
    rmdir /old
    ip link set lo up
    ip link add outside type bridge && ip link set outside up && ip route add default dev outside
    echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
    nft "table ip bed {
        chain outside {
            type filter hook forward priority -10
            oifname outside meta l4proto tcp reject with tcp reset
            oifname outside reject
        }
    }"
    dockerd "$@" &
    engine=$!
    trap "kill -TERM $engine" TERM
    while kill -0 $engine 2>/dev/null; do wait $engine; done
' init --data-root /data --exec-root /run/docker --pidfile /run/docker.pid --shutdown-timeout 5 \
    -H unix:///run/docker.sock -H unix:///run/bed/docker.sock --cgroup-parent "/$cgroup"
