//! A real outer container, to the end of a script or in the background.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Played, Suite, bed, docker, docker_output};

/// No script in an outer container takes longer, whatever else the machine does.
const DEADLINE: Duration = Duration::from_secs(600);

/// Every capability that `--privileged` gives but `CAP_SYS_RESOURCE`, which the machine itself may lack and then cannot give.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ";

/// Functions for scripts: `snapshot` prints processes, mounts, files, cgroups, interfaces, rules, routes and sysctls;
/// `same` fails and shows the difference where they are not as they were at `before`; `serve` starts dockerd and waits for
/// it; `listens PORT` waits for a server in the background; `now` and `logged WORDS` are times in microseconds, the latter that of a line of dockerd's log.
const TOOLS: &str = r#"
snapshot() {
    ps -eo comm --no-headers | grep -vE '^(bash|ps|sort|grep|find|sed|awk|cat|ip)$' | sort
    awk '{print $3, $4, $5, $6, $9}' /proc/self/mountinfo | sort
    find /run /etc/docker /opt -xdev 2>/dev/null | sort
    find /sys/fs/cgroup /tmp -type d | sort
    ip -o link | sed 's/^[0-9]*: //' | sort
    iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'; nft list ruleset 2>/dev/null
    ip route; ip -6 route
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/{all,default}/forwarding
}
before() { snapshot >/root/before 2>&1; }
same() { snapshot >/root/after 2>&1; diff /root/before /root/after >&2; }
serve() { dockerd >/root/dockerd.log 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.05; done; }
listens() { until ss -Hltn "sport = :$1" | grep -q .; do sleep 0.05; done; }
now() { echo "${EPOCHREALTIME/./}"; }
logged() { date -d "$(grep -m 1 "$1" /root/dockerd.log | grep -o 'time="[^"]*"' | cut -d'"' -f2)" +%s%6N; }
"#;

/// An outer container to be.
#[derive(Clone)]
pub(crate) struct Outer {
    image: String,
    args: Vec<String>,
}

impl Outer {
    /// A privileged one with that suite's inner engine, dindcheck in PATH, and a volume for the data root.
    pub(crate) fn new(suite: Suite) -> Self {
        Self::unprivileged(suite).args(&["--privileged"])
    }

    /// The same without `--privileged`.
    pub(crate) fn unprivileged(suite: Suite) -> Self {
        Self { image: format!("dindcheck-outer:{}", suite.name()), args: Vec::new() }
    }

    /// Not privileged, but with everything that `--privileged` gives except these capabilities.
    pub(crate) fn lacking(suite: Suite, lacks: &[&str]) -> Self {
        let given = CAPABILITIES.split_whitespace().filter(|cap| !lacks.contains(cap));
        let caps: Vec<_> = given.map(|cap| format!("--cap-add={cap}")).collect();
        Self::unprivileged(suite)
            .args(
                &["seccomp", "apparmor", "systempaths"]
                    .map(|what| format!("--security-opt={what}=unconfined")),
            )
            .args(&["--cap-drop=ALL"])
            .args(&caps)
    }

    /// Without a volume: the data root is on the container's own overlay.
    pub(crate) fn without_volume(mut self) -> Self {
        self.image = self.image.replace("dindcheck-outer", "dindcheck-base");
        self.shared()
            .args(&["-e", "PATH=/share:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    }

    /// With the bed's share at /share.
    pub(crate) fn shared(self) -> Self {
        bed::share();
        self.args(&["-v", "/share:/share"])
    }

    /// Further arguments of `docker run`.
    pub(crate) fn args(mut self, args: &[impl AsRef<str>]) -> Self {
        self.args.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Without the arguments of `docker run` that hold this word.
    pub(crate) fn without(mut self, word: &str) -> Self {
        self.args.retain(|arg| !arg.contains(word));
        self
    }

    /// Plays a bash script, with `TOOLS` at hand, to its end.
    #[track_caller]
    pub(crate) fn play(&self, script: &str) -> Played {
        let name = unique("world");
        let script = format!("{TOOLS}\n{script}");
        let mut run = vec!["run", "--rm", "--name", &name, "--entrypoint", "/bin/bash"];
        run.extend(self.args.iter().map(String::as_str));
        run.extend([self.image.as_str(), "-c", &script]);
        let began = Instant::now();
        let output = bed::within(docker(&run), DEADLINE).unwrap_or_else(|| {
            let _ = docker(&["rm", "-fv", &name]).output();
            panic!("the outer container did not end in {DEADLINE:?}: {script}")
        });
        Played::of(&output, began.elapsed())
    }

    /// Starts it in the background, with these words for its entrypoint: the image's own is `dindcheck entrypoint --`.
    #[track_caller]
    pub(crate) fn start(&self, words: &[&str]) -> Background {
        let name = unique("background");
        let mut run = vec!["run", "-d", "--name", &name];
        run.extend(self.args.iter().map(String::as_str));
        run.push(&self.image);
        docker_output(&[&run, words].concat());
        Background(name)
    }
}

/// A container in the background, removed when it goes out of scope.
pub(crate) struct Background(pub(crate) String);

impl Background {
    /// Both streams so far.
    pub(crate) fn logs(&self) -> String {
        let logs = docker(&["logs", &self.0]).output().expect("docker");
        String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned()
    }

    /// Waits until the logs hold these words.
    #[track_caller]
    pub(crate) fn prints(&self, words: &str) {
        let printed = bed::until(DEADLINE / 3, || self.logs().contains(words));
        assert!(printed, "no `{words}` in\n{}", self.logs());
    }

    /// Sends a signal to its first process.
    #[track_caller]
    pub(crate) fn kill(&self, signal: &str) {
        docker_output(&["kill", "-s", signal, &self.0]);
    }

    /// `docker stop`; how long it took.
    #[track_caller]
    pub(crate) fn stop(&self) -> Duration {
        let began = Instant::now();
        docker_output(&["stop", "-t", "60", &self.0]);
        began.elapsed()
    }

    /// Runs a command in it; what it prints. Fails the test where the command fails.
    #[track_caller]
    pub(crate) fn exec(&self, words: &[&str]) -> String {
        docker_output(&[&["exec", &self.0], words].concat())
    }

    /// The exit code, once it ended.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        docker_output(&["wait", &self.0])
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = docker(&["rm", "-fv", &self.0]).output();
    }
}

/// A name that nothing else of this run has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
