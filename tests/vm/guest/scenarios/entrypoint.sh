# limit: 420
# dindcheck as the first process of outer containers: the command's code, signals, orphans, and the daemon's end.
. /vm/lib.sh
entry() {
    local name=$1
    shift
    docker run -d --name "$name" --privileged -v /vm:/vm:ro -v /var/lib/docker --entrypoint /vm/dindcheck \
        "dindcheck-base:$INNER" entrypoint --until daemon-info -- "$@" >/dev/null
}
said() { docker logs "$1" 2>&1 | grep -q "$2"; }
report() { echo "$*" >>"$OUT/entrypoint.said"; }

# Orphans lose their parent before they end; a zombie stays in /proc.
entry first bash -c '
    for ((i = 0; i < 1000; i++)); do (sleep 0.2 &); done
    orphans() { for stat in /proc/[0-9]*/stat; do read -r line <$stat && [[ $line == *"(sleep)"* ]] && return 0; done 2>/dev/null; return 1; }
    while orphans; do busybox usleep 200000; done
    echo no orphan is left
    for signal in TERM INT HUP USR1 WINCH; do trap "echo got $signal" $signal; done
    trap "exit 3" USR2
    echo ready
    while :; do busybox usleep 50000; done'
await 240 said first ready
said first 'no orphan is left' && report reaped
for signal in TERM INT HUP USR1 WINCH; do
    docker kill -s $signal first >/dev/null
    await 20 said first "got $signal" && report $signal
done
docker kill -s USR2 first >/dev/null
report "code $(docker wait first)"

entry second bash -c 'echo ready; exec sleep 1000'
await 120 said second ready
began=$(uptime_ms)
docker stop -t 30 second >/dev/null
echo $(($(uptime_ms) - began)) >"$OUT/stop_ms"
report "stopped with $(docker wait second)"
said second 'dockerd stopped within' && report cleanly
said second 'left over' && report 'with something left'
for name in first second; do docker logs $name >"$OUT/$name.logs" 2>&1; done
true
