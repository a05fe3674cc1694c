# limit: 600
# What a v2 kernel says no to, one outer container each.
. /vm/lib.sh
fault() { say "fault $1" && OUT=$OUT/$1 && mkdir -p "$OUT"; }
cgroup_of() { docker inspect -f '{{.Id}}' "$1"; }

( fault entangled && outer -- /vm/inner/entangled.sh )
( fault read-only && outer -e REMOUNT=yes -- /vm/inner/read-only.sh )
( fault read-only-host && outer -v /sys/fs/cgroup:/sys/fs/cgroup:ro -- /vm/inner/read-only.sh )
( fault systemd-driver && outer -- /vm/inner/systemd-driver.sh )
( fault user-namespace && outer -- /vm/inner/user-namespace.sh )
( fault withheld
  outer --name withheld -- -c 'until [[ -e /out/go ]]; do busybox usleep 20000; done; . /vm/inner/withheld.sh' &
  withdrawn() { echo -memory >"/sys/fs/cgroup/docker/$(cgroup_of withheld)/../cgroup.subtree_control"; }
  await 30 withdrawn
  touch "$OUT/go"
  wait )
( fault host-namespace
  everyone() { for own in /proc/[0-9]*/cgroup; do echo "${own//[!0-9]/} $(<"$own")"; done 2>/dev/null | sort -n; }
  everyone >"$OUT/everyone.before"
  outer --cgroupns=host -- /vm/inner/host-namespace.sh
  everyone >"$OUT/everyone.after"
  find /sys/fs/cgroup -type d >"$OUT/groups.after" )
( fault foreign
  outer --name foreign -- /vm/inner/foreign.sh &
  await 30 test -e "$OUT/ready"
  sleep 1000 & alien=$!
  echo $alien >"/sys/fs/cgroup/docker/$(cgroup_of foreign)/cgroup.procs"
  touch "$OUT/go"
  await 60 test -e "$OUT/done"
  kill $alien
  touch "$OUT/gone"
  wait )
