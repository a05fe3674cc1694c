//! The remedy of every row of the matrix, in the order of the ladder: a text that the report prints and that mends the world
//! as it stands, or why no world can show it.

use crate::fault::Fault;
use crate::faults;
use crate::matrix::at_once;
use crate::remedy::mend;
use crate::shared::matrix::sample_engine;
use crate::shared::notes;
use crate::shared::remedy::Remedy::{
    self, Argument, Begins, Command, Install, Key, NotHere, Outer, Unset, WithoutArgument, WithoutKey,
};

const UNCONFINED: Remedy = Outer("--security-opt seccomp=unconfined");
const PRIVILEGED: Remedy = Outer("--privileged");
const VOLUME: Remedy = Outer("-v dind-data:/var/lib/docker");
const UNDROPPED: Remedy = Outer("without --cap-drop");
const REMOUNT_DATA: Remedy = Command("mount -o remount,bind,exec,dev,suid /var/lib/docker");
const OF_THE_MACHINE: Remedy = NotHere("it changes a setting that all of this machine shares");
const OF_THE_KERNEL: Remedy = NotHere("it takes another kernel, or a module of this one");

const REMEDIES: &[(&str, Remedy)] = &[
    // privileges
    ("not-privileged", PRIVILEGED),
    ("no-capability-at-all", PRIVILEGED),
    ("without-sys-admin", PRIVILEGED),
    ("without-net-admin", Outer("--cap-add NET_ADMIN")),
    ("without-chown", UNDROPPED),
    ("without-dac-override", UNDROPPED),
    ("without-fowner", UNDROPPED),
    ("without-fsetid", UNDROPPED),
    ("without-kill", UNDROPPED),
    ("without-setgid", UNDROPPED),
    ("without-setuid", UNDROPPED),
    ("without-setpcap", UNDROPPED),
    ("without-net-bind-service", UNDROPPED),
    ("without-net-raw", UNDROPPED),
    ("without-sys-chroot", UNDROPPED),
    ("without-mknod", UNDROPPED),
    ("without-audit-write", UNDROPPED),
    ("without-setfcap", UNDROPPED),
    ("not-root", Outer("--user 0")),
    ("a-user-namespace-of-one-id", NotHere("the map of a user namespace is written once, by who made it")),
    ("without-sys-time", PRIVILEGED),
    ("filter-refuses-nothing-needed", UNCONFINED),
    ("without-sys-resource", Outer("--cap-add SYS_RESOURCE")),
    ("no-new-privileges", Outer("without `--security-opt no-new-privileges`")),
    ("filter-refuses-mount", UNCONFINED),
    ("filter-refuses-unshare", UNCONFINED),
    ("filter-refuses-pivot-root", UNCONFINED),
    ("filter-refuses-keyctl", UNCONFINED),
    ("filter-refuses-clone3", UNCONFINED),
    // kernel
    ("no-more-uts-namespaces", OF_THE_MACHINE),
    ("no-more-ipc-namespaces", OF_THE_MACHINE),
    ("no-more-pid-namespaces", OF_THE_MACHINE),
    ("no-more-network-namespaces", OF_THE_MACHINE),
    ("no-more-mount-namespaces", OF_THE_MACHINE),
    ("a-kernel-of-2-6", OF_THE_KERNEL),
    ("a-user-namespace-with-every-id", PRIVILEGED),
    ("no-route-netlink", OF_THE_KERNEL),
    ("root-may-have-few-keys", OF_THE_MACHINE),
    ("few-inotify-instances", OF_THE_MACHINE),
    ("no-bridge-netfilter-and-icc-off", WithoutArgument("--icc=false")),
    // mounts
    ("proc-sys-read-only", Command("mount -o remount,bind,rw /proc/sys")),
    ("proc-read-only", Command("mount -o remount,bind,rw /proc")),
    ("sys-read-only", Command("mount -o remount,bind,rw /sys")),
    ("proc-masked", Outer("--security-opt systempaths=unconfined")),
    ("no-dev-null", Command("rm -f /dev/null; mknod -m 666 /dev/null c 1 3")),
    ("dev-null-is-a-file", Command("rm -f /dev/null; mknod -m 666 /dev/null c 1 3")),
    ("no-dev-zero", Command("rm -f /dev/zero; mknod -m 666 /dev/zero c 1 5")),
    ("no-dev-urandom", Command("rm -f /dev/urandom; mknod -m 666 /dev/urandom c 1 9")),
    ("no-dev-fuse", Command("mknod -m 666 /dev/fuse c 10 229")),
    ("dev-nodev", Command("mount -o remount,dev /dev")),
    ("no-dev-shm", Command("mkdir -p /dev/shm; mount -t tmpfs -o mode=1777 shm /dev/shm")),
    (
        "no-dev-pts",
        Command("mkdir -p /dev/pts; mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts"),
    ),
    ("tmp-read-only", Outer("--tmpfs /tmp:exec")),
    ("root-read-only", Outer("without --read-only")),
    // cgroup-mounts and cgroup-delegation
    ("cgroups-not-mounted", Command("dindcheck verify --until cgroup-mounts --repair container")),
    ("cgroup-tmpfs-empty", Command("dindcheck verify --until cgroup-mounts --repair container")),
    ("devices-not-mounted", Begins("mkdir -p /sys/fs/cgroup/devices ")),
    ("devices-hidden-by-tmpfs", Command("dindcheck verify --until cgroup-mounts --repair container")),
    ("all-hierarchies-read-only", Command("dindcheck verify --until cgroup-mounts --repair container")),
    ("devices-read-only", Command("mount -o remount,bind,rw /sys/fs/cgroup/devices")),
    ("pids-read-only", Command("mount -o remount,bind,rw /sys/fs/cgroup/pids")),
    (
        "cgroup-tmpfs-and-hierarchies-read-only",
        Command("dindcheck verify --until cgroup-mounts --repair container"),
    ),
    ("memory-required-and-not-mounted", Begins("mkdir -p /sys/fs/cgroup/memory ")),
    ("pids-required-and-not-mounted", Begins("mkdir -p /sys/fs/cgroup/pids ")),
    ("memory-not-mounted", Begins("mkdir -p /sys/fs/cgroup/memory ")),
    ("cpu-not-mounted", Begins("mkdir -p /sys/fs/cgroup/cpu ")),
    ("freezer-not-mounted", Begins("mkdir -p /sys/fs/cgroup/freezer ")),
    ("systemd-hierarchy-not-mounted", Begins("mkdir -p /sys/fs/cgroup/systemd ")),
    ("net-prio-required-and-without-hierarchy", OF_THE_MACHINE),
    (
        "hierarchies-show-the-host-root",
        NotHere("its inner containers' cgroups would be made in the machine's own root"),
    ),
    ("pids-shows-another-sub-tree", Begins("umount /sys/fs/cgroup/pids ")),
    ("v2-view-without-controllers", OF_THE_MACHINE),
    ("v2-view-read-only", Command("mount -o remount,bind,rw /sys/fs/cgroup")),
    (
        "v2-root-threaded",
        NotHere("this machine's v2 tree has no controllers, so a daemon on it has no limits to give"),
    ),
    ("cpuset-of-another-sub-tree-is-empty", Begins("echo ")),
    ("devices-of-the-outer-container-denied", Outer("--device-cgroup-rule 'a *:* rwm'")),
    ("v2-view-of-the-host", OF_THE_MACHINE),
    // binaries
    ("no-dockerd", Install("apt-get install docker.io", "/usr/sbin/dockerd")),
    ("no-containerd", Install("apt-get install containerd", "/usr/bin/containerd")),
    ("no-shim", Install("apt-get install containerd", "/usr/bin/containerd-shim-runc-v2")),
    ("no-runc", Install("apt-get install runc", "/usr/sbin/runc")),
    ("no-docker-proxy", Argument("--userland-proxy=false")),
    ("no-docker-proxy-in-20-10", Argument("--userland-proxy=false")),
    ("no-docker-init", Install("apt-get install tini", "/usr/bin/docker-init")),
    ("clock-before-the-engine", OF_THE_MACHINE),
    ("no-iptables", Argument("--iptables=false --bridge=none")),
    ("iptables-dangling", Install("apt-get install iptables", "/usr/sbin/iptables")),
    ("no-ip6tables", Install("apt-get install iptables", "/usr/sbin/ip6tables")),
    ("dockerd-not-executable", Command("chmod +x /usr/sbin/dockerd")),
    ("containerd-empty", Install("apt-get install --reinstall containerd", "/usr/bin/containerd")),
    ("runc-not-executable", Command("chmod +x /usr/sbin/runc")),
    ("runc-of-another-machine", Install("apt-get install --reinstall runc", "/usr/sbin/runc")),
    ("shim-cut-short", Install("apt-get install --reinstall containerd", "/usr/bin/containerd-shim-runc-v2")),
    ("dockerd-without-its-loader", Install("apt-get install --reinstall docker.io", "/usr/sbin/dockerd")),
    ("containerd-crashes", Install("apt-get install --reinstall containerd", "/usr/bin/containerd")),
    ("iptables-of-a-broken-version", Install("apt-get install iptables", "/usr/sbin/iptables")),
    ("dockerd-not-in-path", Unset("unset PATH")),
    // daemon-config
    ("json-with-a-trailing-comma", NotHere("")),
    ("json-is-no-object", NotHere("")),
    ("json-cut-short", NotHere("")),
    ("json-with-an-unknown-key", WithoutKey("storage-drivers")),
    ("json-with-a-key-of-a-later-version", WithoutKey("firewall-backend")),
    ("json-with-a-wrong-type", Key("\"debug\": true")),
    ("json-with-a-wrong-list", Key("\"hosts\": [\"unix:///var/run/docker.sock\"]")),
    ("json-is-a-directory", Command("rmdir /etc/docker/daemon.json")),
    ("json-with-a-wrong-address", Key("\"bip\": \"172.30.0.1/16\"")),
    ("storage-driver-in-both", WithoutKey("storage-driver")),
    ("hosts-in-both", WithoutKey("hosts")),
    ("data-root-in-both", WithoutKey("data-root")),
    ("log-level-in-both", WithoutKey("log-level")),
    ("icc-off-without-iptables", WithoutArgument("--icc=false")),
    ("bridge-and-bip", NotHere("")),
    ("an-unknown-flag", WithoutArgument("--no-such-flag")),
    ("tls-without-its-files", NotHere("")),
    ("systemd-cgroup-driver-without-systemd", Key("\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]")),
    ("an-unknown-default-runtime", NotHere("")),
    ("userns-remap-to-a-user-without-ids", Command("echo games:100000:65536 >> /etc/subuid")),
    ("docker-ramdisk", Unset("unset DOCKER_RAMDISK")),
    ("the-nftables-experiment-of-28", Unset("unset DOCKER_FIREWALL_BACKEND")),
    ("tcp-without-tls", NotHere("")),
    ("tcp-without-tls-where-that-fails", NotHere("")),
    ("storage-option-of-another-driver", WithoutArgument("--storage-opt=dm.basesize")),
    // storage
    ("data-root-on-overlay", VOLUME),
    ("overlay2-on-overlay", VOLUME),
    ("containerd-store-on-overlay", VOLUME),
    ("data-root-read-only", Command("mount -o remount,bind,rw /var/lib/docker")),
    ("data-root-noexec", REMOUNT_DATA),
    ("data-root-noexec-with-vfs", REMOUNT_DATA),
    ("data-root-nodev", REMOUNT_DATA),
    ("data-root-nosuid", REMOUNT_DATA),
    ("data-root-is-a-file", VOLUME),
    ("data-root-with-little-space", VOLUME),
    ("data-root-with-few-inodes", VOLUME),
    ("data-root-full", VOLUME),
    ("data-root-without-inodes", VOLUME),
    ("data-root-immutable", Command("chattr -i /var/lib/docker")),
    ("data-root-without-d-type", VOLUME),
    ("data-root-without-d-type-for-an-older-containerd", VOLUME),
    ("overlay2-without-d-type", VOLUME),
    ("devicemapper-without-loop-devices", WithoutArgument("--storage-driver")),
    ("a-driver-that-was-removed", WithoutArgument("--storage-driver")),
    ("devicemapper-after-25", WithoutArgument("--storage-driver")),
    ("a-graphdriver-for-the-containerd-store", Unset("unset DOCKER_DRIVER")),
    ("aufs-used-before", Command("rm -r /var/lib/docker/aufs")),
    ("several-drivers-used-before", Argument("--storage-driver=overlay2")),
    ("btrfs-used-before", Argument("--storage-driver=overlay2")),
    ("overlay2-used-before-on-overlay", VOLUME),
    ("btrfs-on-ext4", Argument("--storage-driver=vfs")),
    ("zfs-without-zfs", Argument("--storage-driver=vfs")),
    ("fuse-overlayfs-without-its-program", WithoutArgument("--storage-driver")),
    ("an-unknown-driver", WithoutArgument("--storage-driver")),
    // network
    ("kernel-without-nf-tables", Command("update-alternatives --set iptables /usr/sbin/iptables-legacy")),
    ("kernel-without-legacy-tables", Command("update-alternatives --set iptables /usr/sbin/iptables-nft")),
    ("kernel-without-legacy-ipv6-tables", Key("\"ip6tables\": false")),
    ("ip-forward-not-writable", Outer("--sysctl net.ipv4.ip_forward=1")),
    ("rules-of-both-kinds", Command("update-alternatives --set iptables /usr/sbin/iptables-legacy")),
    ("xtables-lock-held", NotHere("")),
    ("outer-mtu-1400", Argument("--mtu 1400")),
    ("mtu-given-above-the-outer", Argument("--mtu 1500")),
    ("resolver-on-the-loopback", NotHere("")),
    ("no-resolver", NotHere("")),
    ("no-resolv-conf", NotHere("")),
    ("embedded-resolver-of-the-outer-network", NotHere("")),
    ("bip-is-the-outer-subnet", NotHere("")),
    ("bip-within-the-outer-subnet", NotHere("")),
    (
        "the-only-pool-is-taken",
        Argument("--bip 10.200.0.1/24 --default-address-pool base=10.201.0.0/16,size=24"),
    ),
    ("strict-reverse-path-filter", Command("sysctl -w 'net/ipv4/conf/eth0/rp_filter=2'")),
    ("bridge-that-is-not-there", Command("ip link add br9 type bridge; ip link set br9 up")),
    ("no-route-out", NotHere("the address of the router is known outside only")),
    ("an-outer-proxy", NotHere("")),
    ("ipv6-without-a-subnet", Argument("--fixed-cidr-v6 fd00:dead:beef::/64")),
    ("few-open-files", NotHere("to be written")),
    ("rather-few-open-files", NotHere("to be written")),
    ("few-processes", NotHere("to be written")),
    ("little-memory", NotHere("to be written")),
    ("tmp-missing", NotHere("to be written")),
    ("tmp-is-a-file", NotHere("to be written")),
    ("tmp-is-a-dangling-link", NotHere("to be written")),
    ("tmp-full", NotHere("to be written")),
    ("tmp-without-inodes", NotHere("to be written")),
    ("tmpdir-missing", NotHere("to be written")),
    ("tmpdir-relative", NotHere("to be written")),
    ("runtime-dir-missing", NotHere("to be written")),
    ("tmp-missing-beside-a-tmpdir", NotHere("to be written")),
    ("docker-tmpdir-is-a-file", NotHere("to be written")),
    ("var-run-is-a-dangling-link", NotHere("to be written")),
    ("exec-root-relative", NotHere("to be written")),
    ("exec-root-is-a-file", NotHere("to be written")),
    ("pid-file-is-a-directory", NotHere("to be written")),
    ("directory-of-the-socket-missing", NotHere("to be written")),
    ("containerds-directory-is-a-dangling-link", NotHere("to be written")),
    ("socket-of-108-bytes", NotHere("to be written")),
    ("exec-root-of-72-bytes", NotHere("to be written")),
    ("log-driver-unknown", NotHere("to be written")),
    ("log-driver-journald-without-a-journal", NotHere("to be written")),
    ("log-driver-syslog-without-a-syslog", NotHere("to be written")),
    ("log-driver-fluentd-without-a-server", NotHere("to be written")),
    ("log-driver-gelf-without-an-address", NotHere("to be written")),
    ("log-option-unknown", NotHere("to be written")),
    ("log-option-with-an-invalid-size", NotHere("to be written")),
    ("log-mode-unknown", NotHere("to be written")),
    ("default-runtime-without-its-program", NotHere("to be written")),
    ("another-runtime-without-its-program", NotHere("to be written")),
    ("default-runtime-without-its-shim", NotHere("to be written")),
    ("runtime-of-no-kind", NotHere("to be written")),
    ("authorization-plugin-that-does-not-run", NotHere("to be written")),
    ("address-pool-smaller-than-its-networks", NotHere("to be written")),
    ("bip-is-a-network", NotHere("to be written")),
    ("fixed-cidr-outside-of-bip", NotHere("to be written")),
    ("default-gateway-outside-of-bip", NotHere("to be written")),
    ("seccomp-profile-missing", NotHere("to be written")),
    ("ulimit-without-a-name", NotHere("to be written")),
    ("storage-option-with-an-invalid-size", NotHere("to be written")),
    ("data-root-is-a-dangling-link", NotHere("to be written")),
    ("data-root-is-a-link-to-itself", NotHere("to be written")),
    ("data-root-relative", NotHere("to be written")),
    ("data-root-with-temporary-files-read-only", NotHere("to be written")),
    ("size-limit-without-quotas", NotHere("to be written")),
    ("size-limit-of-vfs-without-quotas", NotHere("to be written")),
    // daemon-state
    ("pid-file-names-another-process", Command("rm /var/run/docker.pid")),
    ("containerd-pid-file-names-another-process", Command("rm /var/run/docker/containerd/containerd.pid")),
    ("socket-is-a-directory", Command("rmdir /var/run/docker.sock")),
    ("socket-of-the-outer-daemon", Outer("without -v")),
    ("socket-path-bind-mounted", Outer("without -v")),
    ("containerd-socket-dead", Command("rm /run/containerd/containerd.sock")),
    ("port-in-use", NotHere("")),
    ("daemon-runs-already", NotHere("")),
    ("another-daemon-on-the-data-root", NotHere("")),
];

/// The remedy of a row.
pub(crate) fn of(fault: &Fault) -> Option<Remedy> {
    REMEDIES.iter().find(|(name, _)| *name == fault.name).map(|(_, remedy)| *remedy)
}

/// Applies every remedy, and prints what it came to. `DINDCHECK_FAULT` picks rows as it does for the matrix.
pub(crate) fn hold() {
    notes::clear("sandbox");
    let picked = crate::selection::picked(&faults::all());
    let mended = at_once(&picked, |fault| {
        let remedy = of(fault).expect("a remedy");
        let mended = mend(fault, sample_engine(fault.name, fault.suites), remedy);
        println!(
            "{:<52} {:<60} {}",
            mended.fault,
            mended.remedy.text().unwrap_or("none here"),
            mended.complaint.as_deref().unwrap_or("holds")
        );
        mended
    });
    let bad: Vec<_> =
        mended.iter().filter_map(|one| Some(format!("{}: {}", one.fault, one.complaint.as_ref()?))).collect();
    assert!(bad.is_empty(), "{} remedies do not hold: {}", bad.len(), bad.join("\n"));
    for one in mended {
        notes::add("sandbox", one.fault, one.cause, one.remedy, &one.printed);
    }
    let alike = notes::alike(&notes::all(&["sandbox"]));
    assert!(alike.is_empty(), "faults that other things mend read alike: {alike:#?}");
}

#[test]
fn every_row_has_a_remedy_or_a_reason() {
    let names: Vec<_> = faults::all().iter().map(|fault| fault.name).collect();
    let lacking: Vec<_> = faults::all().into_iter().filter(|fault| of(fault).is_none()).collect();
    let lacking: Vec<_> = lacking.iter().map(|fault| fault.name).collect();
    assert!(lacking.is_empty(), "rows without a line in REMEDIES: {lacking:?}");
    for (name, remedy) in REMEDIES {
        assert!(names.contains(name), "{name} is no row");
        let reason = if let NotHere(why) = remedy { why } else { "that which it prints" };
        assert!(reason.len() > 10, "{name} says neither what mends it nor why nothing can");
    }
}
