//! What is in the outer container: environment variables, files, processes, and daemons with what they run.

use crate::harness::{Bookworm, Forky, Outer, SUITES, Suite, each_engine};
use crate::unusual::{Row, play, row};

const SURROUNDINGS: &[Row] = &[
    row("client_variables_of_another_daemon")
        .before("export DOCKER_HOST=tcp://10.1.1.1:2375 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/no DOCKER_API_VERSION=1.24 DOCKER_CONTEXT=x")
        .after("unset DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION DOCKER_CONTEXT"),
    row("proxy_in_the_environment")
        .before("export HTTPS_PROXY=http://10.1.1.1:3128 NO_PROXY=localhost")
        .after("unset HTTPS_PROXY NO_PROXY")
        .warns(&[("network", "proxy-required")]),
    row("tmpdir_elsewhere").before("mkdir -p '/var/tmp/a b'; export TMPDIR='/var/tmp/a b'").after("unset TMPDIR"),
    row("no_home_and_another_language")
        .before("unset HOME; export LANG=de_DE.UTF-8 LC_ALL=C TZ=Asia/Kathmandu")
        .after("export HOME=/root; unset LANG LC_ALL TZ"),
    row("strict_umask").before("umask 077").after("umask 022"),
    row("ignored_signals").before("trap '' CHLD PIPE HUP USR1").after("trap - CHLD PIPE HUP USR1"),
    row("directory_that_is_gone").before("mkdir /gone; cd /gone; rmdir /gone").after("cd /"),
    row("no_resolv_conf")
        .before("cp /etc/resolv.conf /root/resolv; umount /etc/resolv.conf; rm -f /etc/resolv.conf")
        .after("cp /root/resolv /etc/resolv.conf")
        .warns(&[("network", "resolv-conf-unusable")]),
    row("odd_resolv_conf")
        .before("printf '# a\\r\\n;b\\noptions ndots:5 edns0 trust-ad\\nsearch a.b c.d e\\nnameserver fe80::1%%eth0\\nnameserver 10.9.9.9\\nnameserver 10.9.9.8\\nnameserver 10.9.9.7\\nnameserver 10.9.9.6\\n' >/etc/resolv.conf")
        .after("cp /root/resolv /etc/resolv.conf"),
    row("cgroup_of_its_own")
        .before("for c in /sys/fs/cgroup/*/; do mkdir -p $c/sub && { [[ ! -e $c/cpuset.mems ]] || { cat $c/cpuset.mems >$c/sub/cpuset.mems; cat $c/cpuset.cpus >$c/sub/cpuset.cpus; }; echo $$ >$c/sub/cgroup.procs; }; done")
        .after("for c in /sys/fs/cgroup/*/; do echo $$ >$c/cgroup.procs; rmdir $c/sub; done"),
    row("quota_of_an_ancestor")
        .before("mkdir -p /sys/fs/cgroup/cpu/top/sub; echo 20000 >/sys/fs/cgroup/cpu/top/cpu.cfs_quota_us; echo $$ >/sys/fs/cgroup/cpu/top/sub/cgroup.procs")
        .args("--cgroup-parent=/top/sub")
        .after("echo $$ >/sys/fs/cgroup/cpu/cgroup.procs; rmdir /sys/fs/cgroup/cpu/top/sub /sys/fs/cgroup/cpu/top || true"),
    row("processes_of_low_priority").before("renice -n 19 $$").after("true"),
    row("mounts_shared_with_others").before("mount --make-rshared /").after("mount --make-rprivate /"),
    row("tmp_in_memory").before("mount -t tmpfs -o noexec,nosuid,nodev none /tmp").after("umount /tmp"),
];

const ALREADY_THERE: &[Row] = &[
    row("images_containers_and_networks_of_a_daemon_before")
        .before("dockerd >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done; \
            tar -C /usr/bin -c true | docker import - mine:1; docker tag mine:1 mine:2; docker create --name old mine:1 /true; \
            docker network create one; docker network create two; docker volume create kept; kill $server; wait $server || true"),
    row("daemon_that_serves")
        .before("dockerd >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done")
        .own("--attach"),
    row("daemon_that_serves_and_runs_containers")
        .before("for n in one two; do docker network inspect $n; done; docker create --name more --network two mine:1 /true")
        .own("--attach")
        .after("kill $server; wait $server || true"),
    row("daemon_without_masquerading_that_serves")
        .before("dockerd --ip-masq=false >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done")
        .own("--attach")
        .after("kill $server; wait $server || true")
        .warns(&[("container-network", "container-network-switched-off")]),
    row("daemon_without_rules_that_serves")
        .before("dockerd --iptables=false >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done")
        .own("--attach")
        .after("kill $server; wait $server || true")
        .warns(&[("container-network", "container-network-switched-off")]),
    row("daemon_without_a_network_that_serves")
        .before("dockerd --bridge=none >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done")
        .own("--attach")
        .after("kill $server; wait $server || true")
        .warns(&[("container-network", "container-network-switched-off")]),
    row("daemon_with_mapped_users_that_serves")
        .before("dockerd --userns-remap=default >/root/d.log 2>&1 & server=$!; until docker version >/dev/null 2>&1; do sleep 0.05; done")
        .own("--attach")
        .after("kill $server; wait $server || true"),
];

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [SURROUNDINGS, ALREADY_THERE].concat()
}

each_engine! {
    odd_surroundings: Forky, of SUITES;
    what_is_already_there: Bookworm, of SUITES;
}

fn odd_surroundings(suite: Suite) {
    play(suite, &Outer::new(suite), SURROUNDINGS);
}

fn what_is_already_there(suite: Suite) {
    play(suite, &Outer::new(suite), ALREADY_THERE);
}
