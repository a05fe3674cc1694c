# limit: 300
# Evacuations against whatever puts processes into a container: docker exec, runc exec, and the one write that both end in,
# more often than they can.
. /vm/lib.sh
outer --name race -e RUNS="$ARGUMENT" -- /vm/inner/race.sh &
await 30 test -e "$OUT/ready"
id=$(docker inspect -f '{{.Id}}' race)
engine=$(pgrep -o dockerd)
running() { [[ ! -e $OUT/done ]]; }
counted() { local n=0; while running; do "$@" >/dev/null 2>&1 && n=$((n + 1)); done; echo "$n $1"; }
direct() { nsenter -t "$engine" -m runc --root /run/docker/runtime-runc/moby exec "$id" true; }
joins() { (echo $BASHPID >"/sys/fs/cgroup/docker/$id/cgroup.procs") && busybox usleep 3000; }
counted docker exec race true >"$OUT/arrived.docker" &
counted direct >"$OUT/arrived.runc" &
counted joins >"$OUT/arrived.joins" &
wait
