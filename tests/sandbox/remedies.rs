//! The remedy of every row of the matrix, in the order of the ladder: a text that the report prints and that mends the world
//! as it stands, or why no world can show it.

use crate::fault::Fault;
use crate::faults;
use crate::matrix::at_once;
use crate::remedy::mend;
use crate::selection;
use crate::shared::matrix::sample_engine;
use crate::shared::notes;
use crate::shared::remedy::Remedy::{
    self, Argument, Begins, Command, Export, Flag, Install, Key, Member, NotHere, Outer, Unset,
    WithoutArgument, WithoutKey, WithoutMember,
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
    (
        "without-sys-resource",
        NotHere("a machine that lacks the capability itself cannot give it to a container"),
    ),
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
    ("no-dev-fuse", Command("rm -f /dev/fuse; mknod -m 666 /dev/fuse c 10 229")),
    ("dev-nodev", Command("mount -o remount,bind,dev,rw /dev")),
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
    ("no-docker-init", Install("apt-get install docker.io", "/usr/bin/docker-init")),
    ("clock-before-the-engine", OF_THE_MACHINE),
    ("no-iptables", Argument("--iptables=false --bridge=none")),
    ("iptables-dangling", Argument("--iptables=false --bridge=none")),
    ("no-ip6tables", Install("apt-get install iptables", "/usr/sbin/ip6tables")),
    ("dockerd-not-executable", Command("chmod +x /usr/sbin/dockerd")),
    ("containerd-empty", Install("apt-get install --reinstall containerd", "/usr/bin/containerd")),
    ("runc-not-executable", Command("chmod +x /usr/sbin/runc")),
    ("runc-of-another-machine", Install("apt-get install --reinstall runc", "/usr/sbin/runc")),
    ("shim-cut-short", Install("apt-get install --reinstall containerd", "/usr/bin/containerd-shim-runc-v2")),
    ("dockerd-without-its-loader", Install("apt-get install --reinstall docker.io", "/usr/sbin/dockerd")),
    ("containerd-crashes", Install("apt-get install --reinstall containerd", "/usr/bin/containerd")),
    ("iptables-of-a-broken-version", Install("apt-get install iptables", "/usr/sbin/iptables")),
    ("dockerd-not-in-path", Export("export PATH=$PATH:/usr/sbin")),
    // daemon-config
    ("json-with-a-trailing-comma", NotHere("what the file was to say is known to its author alone")),
    ("json-is-no-object", NotHere("what the file was to say is known to its author alone")),
    ("json-cut-short", NotHere("what the file was to say is known to its author alone")),
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
    ("bridge-and-bip", WithoutArgument("--bridge=br9")),
    ("an-unknown-flag", WithoutArgument("--no-such-flag")),
    ("tls-without-its-files", NotHere("the certificates of an authority that the daemon is to trust")),
    ("systemd-cgroup-driver-without-systemd", Key("\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]")),
    ("an-unknown-default-runtime", WithoutKey("default-runtime")),
    (
        "userns-remap-to-a-user-without-ids",
        Command("echo games:100000:65536 >> /etc/subuid; echo games:100000:65536 >> /etc/subgid"),
    ),
    ("docker-ramdisk", Unset("unset DOCKER_RAMDISK")),
    ("the-nftables-experiment-of-28", Unset("unset DOCKER_FIREWALL_BACKEND")),
    ("tcp-without-tls", WithoutArgument("--host=tcp://0.0.0.0:2375")),
    ("tcp-without-tls-where-that-fails", WithoutArgument("--host=tcp://0.0.0.0:2375")),
    ("storage-option-of-another-driver", WithoutArgument("--storage-opt=dm.basesize=20G")),
    // storage
    ("data-root-on-overlay", VOLUME),
    ("overlay2-on-overlay", VOLUME),
    ("containerd-store-on-overlay", Outer("-v dind-images:/var/lib/docker")),
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
    ("data-root-immutable", Command("chattr -i -a /var/lib/docker")),
    ("data-root-without-d-type", VOLUME),
    ("data-root-without-d-type-for-an-older-containerd", VOLUME),
    ("overlay2-without-d-type", VOLUME),
    ("devicemapper-without-loop-devices", WithoutArgument("--storage-driver=devicemapper")),
    ("a-driver-that-was-removed", WithoutArgument("--storage-driver=aufs")),
    ("devicemapper-after-25", WithoutArgument("--storage-driver=devicemapper")),
    ("a-graphdriver-for-the-containerd-store", Unset("unset DOCKER_DRIVER")),
    ("aufs-used-before", Command("rm -r /var/lib/docker/aufs")),
    ("several-drivers-used-before", Argument("--storage-driver=overlay2")),
    ("btrfs-used-before", Argument("--storage-driver=overlay2")),
    ("overlay2-used-before-on-overlay", VOLUME),
    ("btrfs-on-ext4", WithoutArgument("--storage-driver=btrfs")),
    ("zfs-without-zfs", WithoutArgument("--storage-driver=zfs")),
    ("fuse-overlayfs-without-its-program", WithoutArgument("--storage-driver=fuse-overlayfs")),
    ("an-unknown-driver", WithoutArgument("--storage-driver=nosuch")),
    // network
    (
        "kernel-without-nf-tables",
        Command(
            "update-alternatives --set iptables /usr/sbin/iptables-legacy; update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy",
        ),
    ),
    (
        "kernel-without-legacy-tables",
        Command(
            "update-alternatives --set iptables /usr/sbin/iptables-nft; update-alternatives --set ip6tables /usr/sbin/ip6tables-nft",
        ),
    ),
    ("kernel-without-legacy-ipv6-tables", Key("\"ip6tables\": false")),
    ("ip-forward-not-writable", Outer("--sysctl net.ipv4.ip_forward=1")),
    ("rules-of-both-kinds", Command("update-alternatives --set iptables /usr/sbin/iptables-legacy")),
    ("xtables-lock-held", Begins("kill ")),
    ("outer-mtu-1400", Argument("--mtu=1400")),
    ("mtu-given-above-the-outer", Argument("--mtu=1500")),
    ("resolver-on-the-loopback", NotHere("which name servers containers reach is known outside only")),
    ("no-resolver", NotHere("which name servers containers reach is known outside only")),
    ("no-resolv-conf", NotHere("which name servers containers reach is known outside only")),
    (
        "embedded-resolver-of-the-outer-network",
        NotHere("which name servers containers reach is known outside only"),
    ),
    ("bip-is-the-outer-subnet", Argument("--bip=192.168.200.1/24")),
    ("bip-within-the-outer-subnet", Argument("--bip=192.168.200.1/24")),
    (
        "the-only-pool-is-taken",
        Key("\"default-address-pools\": [{\"base\": \"10.201.0.0/16\", \"size\": 24}]"),
    ),
    ("strict-reverse-path-filter", Begins("sysctl -w ")),
    ("bridge-that-is-not-there", Command("ip link add br9 type bridge; ip link set br9 up")),
    ("no-route-out", NotHere("the address of the router is known outside only")),
    (
        "an-outer-proxy",
        NotHere("the proxy is there on purpose, and the configuration of clients is no part of this world"),
    ),
    ("ipv6-without-a-subnet", Argument("--fixed-cidr-v6 fd00:dead:beef::/64")),
    ("few-open-files", Outer("--ulimit nofile=1048576:1048576")),
    ("rather-few-open-files", Outer("--ulimit nofile=1048576:1048576")),
    ("few-processes", Outer("--pids-limit=-1")),
    ("little-memory", Outer("--memory=512m")),
    ("tmp-missing", Command("mkdir -m 1777 /tmp")),
    ("tmp-is-a-file", Command("mv /tmp /tmp.old; mkdir -p /tmp; chmod 1777 /tmp")),
    ("tmp-is-a-dangling-link", Command("mkdir -p /nowhere; chmod 1777 /tmp")),
    ("tmp-full", Command("mount -t tmpfs -o mode=1777 tmpfs /tmp")),
    ("tmp-without-inodes", Command("mount -t tmpfs -o mode=1777 tmpfs /tmp")),
    ("tmpdir-missing", Command("mkdir -p -m 1777 /nowhere")),
    ("tmpdir-relative", Unset("unset TMPDIR")),
    ("runtime-dir-missing", Unset("unset XDG_RUNTIME_DIR")),
    ("tmp-missing-beside-a-tmpdir", Command("mkdir -m 1777 /tmp")),
    (
        "docker-tmpdir-is-a-file",
        Command("mv /opt/file /opt/file.old; mkdir -p /opt/file; chmod 1777 /opt/file"),
    ),
    ("var-run-is-a-dangling-link", Command("mkdir -p /nowhere")),
    ("exec-root-relative", Argument("--exec-root=/var/run/docker")),
    ("exec-root-is-a-file", Command("mv /opt/e /opt/e.old; mkdir -p /opt/e")),
    ("pid-file-is-a-directory", WithoutArgument("--pidfile=/opt")),
    ("directory-of-the-socket-missing", Command("mkdir -p /opt/nowhere")),
    ("containerds-directory-is-a-dangling-link", Command("mkdir -p /nowhere")),
    ("socket-of-108-bytes", Argument("--host=unix:///var/run/docker.sock")),
    ("exec-root-of-72-bytes", Argument("--exec-root=/var/run/docker")),
    ("log-driver-unknown", Argument("--log-driver=json-file")),
    ("log-driver-journald-without-a-journal", Argument("--log-driver=json-file")),
    ("log-driver-syslog-without-a-syslog", Argument("--log-driver=json-file")),
    ("log-driver-fluentd-without-a-server", Member("log-opts", "\"fluentd-async\": \"true\"")),
    ("log-driver-gelf-without-an-address", Key("\"log-driver\": \"json-file\"")),
    ("log-option-unknown", WithoutMember("log-opts", "nosuch")),
    ("log-option-with-an-invalid-size", Member("log-opts", "\"max-size\": \"10m\"")),
    ("log-mode-unknown", Argument("--log-opt=mode=non-blocking")),
    (
        "default-runtime-without-its-program",
        NotHere("two settings have to change; the row of another runtime shows the second one"),
    ),
    ("another-runtime-without-its-program", WithoutMember("runtimes", "x")),
    ("default-runtime-without-its-shim", Key("\"default-runtime\": \"runc\"")),
    ("runtime-of-no-kind", NotHere("the runtime's own program is known to the author of the entry")),
    ("authorization-plugin-that-does-not-run", WithoutArgument("--authorization-plugin=nosuch")),
    (
        "address-pool-smaller-than-its-networks",
        Key("\"default-address-pools\": [{\"base\": \"10.9.0.0/24\", \"size\": 28}]"),
    ),
    ("bip-is-a-network", Key("\"bip\": \"172.30.0.1/16\"")),
    ("fixed-cidr-outside-of-bip", WithoutKey("fixed-cidr")),
    ("default-gateway-outside-of-bip", WithoutKey("default-gateway")),
    ("seccomp-profile-missing", WithoutKey("seccomp-profile")),
    (
        "ulimit-without-a-name",
        Member("default-ulimits", "\"nofile\": {\"Name\": \"nofile\", \"Soft\": 100, \"Hard\": 500}"),
    ),
    ("storage-option-with-an-invalid-size", WithoutArgument("--storage-opt=overlay2.size=big")),
    ("data-root-is-a-dangling-link", Command("mkdir -p /opt/nowhere")),
    ("data-root-is-a-link-to-itself", Command("rm /var/lib/docker; mkdir -p /var/lib/docker")),
    ("data-root-relative", Argument("--data-root=/var/lib/docker")),
    ("data-root-with-temporary-files-read-only", Command("umount /var/lib/docker/tmp")),
    ("size-limit-without-quotas", WithoutArgument("--storage-opt=overlay2.size=1G")),
    ("size-limit-of-vfs-without-quotas", WithoutArgument("--storage-opt=size=1G")),
    // daemon-state
    ("pid-file-names-another-process", Command("rm /var/run/docker.pid")),
    ("containerd-pid-file-names-another-process", Command("rm /var/run/docker/containerd/containerd.pid")),
    ("socket-is-a-directory", Command("rmdir /var/run/docker.sock")),
    ("socket-of-the-outer-daemon", Outer("without -v /var/run/docker.sock:/var/run/docker.sock")),
    ("socket-path-bind-mounted", Outer("without -v /var/run/docker.sock:/var/run/docker.sock")),
    ("containerd-socket-dead", Command("rm /run/containerd/containerd.sock")),
    ("port-in-use", Argument("--host=tcp://127.0.0.1:2376")),
    ("daemon-runs-already", Flag("--attach")),
    ("another-daemon-on-the-data-root", Begins("kill ")),
];

/// The remedy of a row.
pub(crate) fn of(fault: &Fault) -> Option<Remedy> {
    REMEDIES.iter().find(|(name, _)| *name == fault.name).map(|(_, remedy)| *remedy)
}

/// Applies the remedies, and prints what they came to: of each kind of fault one by `make test`, all by `make test-all`.
/// `DINDCHECK_FAULT` picks rows as it does for the matrix.
pub(crate) fn hold() {
    notes::clear("sandbox");
    let picked =
        selection::mended(&faults::all(), |fault| of(fault).is_some_and(|remedy| remedy.text().is_some()));
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
