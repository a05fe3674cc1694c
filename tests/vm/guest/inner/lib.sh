# What do the scripts in an outer container share? Sourced.

export DOCKER_HOST=unix:///var/run/docker.sock

# verify NAME [ARGS]...: dindcheck's report as /out/NAME.json, its exit code and time as /out/NAME.code.
verify() {
    local name=$1 began code=0
    shift
    began=${EPOCHREALTIME/./}
    timeout 150 /vm/dindcheck verify --format json "$@" >"/out/$name.json" 2>"/out/$name.err" || code=$?
    echo "$code $(((${EPOCHREALTIME/./} - began) / 1000))" >"/out/$name.code"
}

# The inner engine by hand, with an image of nothing but busybox.
start_inner() {
    mkdir -p /var/log
    dockerd "$@" >/out/dockerd.log 2>&1 &
    inner=$!
    until grep -q 'API listen on' /out/dockerd.log; do
        kill -0 $inner 2>/dev/null || return 1
        busybox usleep 50000
    done
    tar -C /usr/bin -c busybox | docker import - bb >/dev/null
}

stop_inner() {
    kill $inner
    wait $inner
}

# truth NAME ARGS...: what does the inner engine really do with this container? /out/NAME.code and what docker says.
truth() {
    local name=$1 code=0
    shift
    docker run --rm "$@" >"/out/$name.truth" 2>&1 || code=$?
    echo "$code" >"/out/$name.code"
}

# The cgroup that this namespace calls its root, as a few lines.
picture() {
    local file dir=/sys/fs/cgroup
    for file in type procs controllers subtree_control; do
        echo "$file: $(tr '\n' ' ' 2>&1 <$dir/cgroup.$file)"
    done >"/out/$1.cgroup"
}
