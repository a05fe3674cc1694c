# What the scripts in an outer container share. Sourced.

export DOCKER_HOST=unix:///var/run/docker.sock
# No name server answers in these machines.
export DINDCHECK_PROFILE=/dev/shm/vm.yaml
printf 'extends: default\ncauses: {dns-resolver-not-answering: pass, container-start-slow: pass, data-root-slow: pass}\n' >$DINDCHECK_PROFILE

# verify NAME [ARGS]...: dindcheck's report as /out/NAME.json.
verify() {
    local name=$1
    shift
    timeout -k 5 150 /vm/dindcheck verify --format json "$@" >"/out/$name.json" 2>"/out/$name.err"
}

# The inner engine by hand, with an image of nothing but busybox.
start_inner() {
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

# truth NAME ARGS...: what does the inner engine do with such a container? /out/NAME.truth has the exit code, then what was said.
truth() {
    local name=$1 said code=0
    shift
    said=$(docker run --rm "$@" 2>&1) || code=$?
    printf '%s\n' "$code" "$said" >"/out/$name.truth"
}

# picture NAME: the cgroup that this namespace calls its root, as /out/NAME.cgroup.
picture() {
    local file dir=/sys/fs/cgroup
    for file in type procs controllers subtree_control; do
        echo "$file: $(tr '\n' ' ' 2>&1 <$dir/cgroup.$file)"
    done >"/out/$1.cgroup"
}
