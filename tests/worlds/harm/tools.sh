# Bash functions for worlds in which something is somebody else's. Prefixed to the scripts of this folder.

# The pid namespace of this script: what runs in another one belongs to an inner container.
here=$(readlink /proc/self/ns/pid)

# Everything that a program could harm, a line each: KIND, NAME, IDENTITY, with tabs between them. Of objects, the label of
# dindcheck is the last word of the identity, which ends with a space where there is none.
census() { { processes; mounts; files; links; rules; sysctls; cgroups; } 2>/dev/null | sort -u; }

# Processes with their start times; not those of this function.
processes() {
    local stat pid name fields
    for stat in /proc/[0-9]*/stat; do
        read -r fields <"$stat" || continue
        pid=${fields%% *} name=${fields#*(} name=${name%)*}
        fields=${fields##*) }
        set -- $fields
        [[ $1 == Z || $name == bash || $name == sort ]] && continue
        printf 'process\t%s\t%s started at %s\n' "$pid" "$name" "${20}"
    done
}

mounts() { awk '{ for (i = 7; $i != "-"; i++); printf "mount\t%s\tmount %s of %s %s\n", $5, $1, $(i + 1), $4 }' /proc/self/mountinfo; }

# Files with device, inode and content. Of the data root only the names, since the daemon rewrites them, but for volumes.
files() {
    local roots=(/run /tmp /etc/docker /opt /root/theirs /mnt/theirs)
    find "${roots[@]}" -printf 'file\t%p\t%y %D:%i %m %l\n'
    find "${roots[@]}" -type f -size -1024k -not -path '/run/docker/*' -not -name '*.db' -print0 | xargs -0r sha256sum | awk '{ print "content\t" $2 "\t" $1 }'
    find /var/lib/docker -maxdepth 2 -not -path '*/tmp/*' -not -path '*/tmp-old' -printf 'file\t%p\t%y\n'
    find /var/lib/docker/volumes /var/lib/docker/theirs -type f -not -name metadata.db -print0 | xargs -0r sha256sum | awk '{ print "content\t" $2 "\t" $1 }'
}

links() { local link; for link in /sys/class/net/*; do printf 'link\t%s\tindex %s\n' "${link##*/}" "$(<"$link/ifindex")"; done; }

# Rules without counters, and without the chains that are there as soon as a table is.
rules() {
    local family
    for family in iptables ip6tables; do
        "$family-save" | sed -E '/^(#|COMMIT|:(INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) ACCEPT)/d; s/ \[[0-9]+:[0-9]+\]$//' |
            awk -v family="$family" '/^\*/ { table = $0; next } { print "rule\t" family " " table " " $0 "\t" ++seen[table $0] }'
    done
    ip route | sed 's/^/route\t/; s/ *$/\t/'
}

sysctls() {
    local name
    for name in ipv4/ip_forward ipv4/conf/all/forwarding ipv6/conf/all/forwarding ipv6/conf/default/forwarding ipv4/conf/all/route_localnet ipv4/conf/docker0/route_localnet; do
        [[ -e /proc/sys/net/$name ]] && printf 'sysctl\t%s\t%s\n' "$name" "$(<"/proc/sys/net/$name")"
    done
}

cgroups() { find /sys/fs/cgroup -type d -printf 'cgroup\t%p\t%i\n'; }

# What the daemon keeps, where one answers.
objects() {
    [[ -S /var/run/docker.sock ]] || return
    docker ps -aq --no-trunc | xargs -r docker inspect -f '{{printf "object\tcontainer %s\t%s pid %v since %s " .Name .Id .State.Pid .State.StartedAt}}{{with .Config.Labels}}{{index . "dindcheck.run"}}{{end}}'
    docker images -aq --no-trunc | sort -u | xargs -r docker inspect -f '{{printf "object\timage %s\t%v " .Id .RepoTags}}{{with .Config.Labels}}{{index . "dindcheck.run"}}{{end}}'
    docker volume ls -q | xargs -r docker volume inspect -f '{{printf "object\tvolume %s\t%s " .Name .CreatedAt}}{{with .Labels}}{{index . "dindcheck.run"}}{{end}}'
    docker network ls -q --no-trunc | xargs -r docker network inspect -f '{{printf "object\tnetwork %s\t%s " .Name .Id}}{{with .Labels}}{{index . "dindcheck.run"}}{{end}}'
}

# Prints a section of the answer: `section NAME COMMAND...`.
section() { printf '\n=== %s\n' "$1"; "${@:2}"; }

# The processes of an engine, as SIGKILL finds them, without those of inner containers.
engine() {
    local pid
    for pid in $(pgrep -f '^(/proc/self/exe|[^ ]*(dindcheck|dockerd|containerd))'); do
        [[ $(readlink "/proc/$pid/ns/pid") == "$here" ]] && echo "$pid"
    done
}

# Waits until the dockerd of a run serves.
served() { until docker version >/dev/null 2>&1; do sleep 0.02; done; }

# Sends SIGKILL to a run, `alone` or with the daemon that it started, and waits for what then ends by itself.
slay() {
    local kind=$1 pid=$2 after=$3
    sleep "$after"
    case $kind in
        alone) kill -KILL "$pid" ;;
        daemons) kill -KILL "$pid" $(engine) ;;
    esac 2>/dev/null
    wait "$pid" 2>/dev/null
    # A person starts no other dockerd before this one has ended, and loses patience with one that does not end.
    ended 20 || { kill -KILL $(pidof dockerd); ended 20; }
    local tries
    for ((tries = 100; tries > 0; tries--)); do
        [[ $(for pid in $(engine); do tr '\0' ' ' <"/proc/$pid/cmdline"; done) == *dindcheck* ]] || break
        read -rt 0.05 <><(:)
    done
    # The command of an entrypoint is its user's, and ends by itself.
    while pidof sleep >/dev/null; do read -rt 0.05 <><(:); done
}

# Waits until no dockerd is left, for so many seconds.
ended() {
    local tries
    for ((tries = $1 * 20; tries > 0; tries--)); do
        pidof dockerd >/dev/null || return 0
        sleep 0.05
    done
    return 1
}

# Ends somebody else's dockerd as a person does, and what it ran with it.
their_dockerd_ends() {
    kill -TERM "$dockerd"
    ended 30
    while pgrep -f '^[^ ]*(docker-proxy|containerd-shim[^ ]* -namespace moby)' >/dev/null; do sleep 0.05; done
}

# Waits until the daemon at the usual socket serves.
serving() {
    local tries
    for ((tries = 400; tries > 0; tries--)); do
        docker version >/dev/null 2>&1 && return
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    echo "somebody else's dockerd does not serve:" >&2
    tail -20 /root/theirs.log >&2
    exit 70
}

# Somebody else's files where a daemon's are: configuration, a registry's CA, plugins, what a containerd keeps.
their_files() {
    mkdir -p /etc/docker/certs.d/registry.example:5000 /run/containerd/theirs /run/docker/plugins /root/theirs
    echo '{"labels": ["theirs=1"]}' >/etc/docker/daemon.json
    echo 'a certificate' >/etc/docker/certs.d/registry.example:5000/ca.crt
    echo theirs >/etc/docker/key.json.theirs
    echo theirs | tee /run/containerd/theirs/file >/run/containerd/theirs.sock.lock
    echo unix:///run/theirs.sock >/run/docker/plugins/theirs.spec
    echo theirs >/run/docker/theirs
}

# A mount below the data root, with a file on it.
their_mount() {
    mkdir -p /var/lib/docker/theirs
    mount -t tmpfs theirs /var/lib/docker/theirs
    echo theirs >/var/lib/docker/theirs/file
}

# Somebody else's dockerd on the usual paths, with these options and with objects of its own.
their_dockerd() {
    dockerd "$@" >/root/theirs.log 2>&1 &
    dockerd=$!
    serving "$dockerd"
    tar -C / -c usr/bin/busybox | docker import --change 'CMD ["/usr/bin/busybox", "sleep", "1000"]' - theirs >/dev/null
    docker volume create theirs >/dev/null
    docker network create -o com.docker.network.bridge.name=theirs0 theirs >/dev/null
    docker run -d --stop-signal KILL --name theirs-1 -v theirs:/data -p 8081:81 theirs >/dev/null
    docker run -d --stop-signal KILL --name theirs-2 --network theirs theirs >/dev/null
    echo theirs >/var/lib/docker/volumes/theirs/_data/file
}

# Somebody else's rules, in the chains that are there.
their_rules() {
    iptables -N MINE
    iptables -A MINE -s 192.0.2.1 -j DROP
    iptables -A FORWARD -s 192.0.2.2 -j MINE
    iptables -t nat -A POSTROUTING -s 192.0.2.3 -j MASQUERADE
    ! iptables -n -L DOCKER-USER >/dev/null 2>&1 || iptables -I DOCKER-USER -s 192.0.2.4 -j DROP
    ip link add theirs1 type bridge
}

# Somebody else's containerd on the paths of the system's, with a container.
their_containerd() {
    mkdir -p /root/theirs/rootfs/bin
    cp /usr/bin/busybox /root/theirs/rootfs/bin/
    printf 'version = 2\nroot = "/root/theirs/containerd"\nstate = "/run/containerd"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "/run/containerd/containerd.sock"\n' >/root/theirs/containerd.toml
    setsid containerd --config /root/theirs/containerd.toml >/root/theirs-containerd.log 2>&1 &
    until ctr version >/dev/null 2>&1; do sleep 0.05; done
    setsid ctr run -d --rootfs /root/theirs/rootfs theirs /bin/busybox sleep 1000 >/root/ctr.log 2>&1 </dev/null || cat /root/ctr.log >&2
    until [[ $(ps -o comm= -p "$(ctr task ls | awk '/theirs/ { print $2 }')") == busybox ]]; do sleep 0.05; done
}

# Plays a command of dindcheck: its exit code, what it says, and what is there then.
play() {
    local name=$1
    shift
    timeout -k 5 120 dindcheck "$@" >/root/out 2>/root/err
    echo $? >/root/code
    section "$name: code" cat /root/code
    section "$name: said" cat /root/out /root/err
    section "$name: after" census
}

# The same with its report.
reports() {
    local name=$1 command=$2
    shift 2
    rm -f /root/report
    play "$name" "$command" --output json=/root/report "$@"
    section "$name: report" cat /root/report
}
