//! Do the steps about the engine itself see real outer containers as they are? Needs root and the test bed
//! (tests/bed); `DINDCHECK_ENGINE` names its engine.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

use serde_json::Value;

mod bed;

use bed::{bed, share};

/// The engines of the bed: Debian's suites, by the inner engine that they hold.
const SUITES: [(&str, &str); 3] = [("bookworm", "20.10"), ("trixie", "26.1"), ("forky", "28.5")];
/// The newest of them.
const NEWEST: &str = "forky";

/// A privileged outer container, what is broken in it, and what dindcheck says there.
struct World {
    suite: &'static str,
    docker: Vec<String>,
    broken: String,
    steps: &'static str,
    options: String,
}

impl World {
    /// One with a volume for the data root.
    fn new(suite: &'static str, steps: &'static str) -> Self {
        let docker = vec!["-v".to_owned(), "/var/lib/docker".to_owned()];
        Self { suite, docker, broken: "true".into(), steps, options: "--repair none".into() }
    }

    /// Without that volume: the data root is on the container's overlay.
    fn without_volume(mut self) -> Self {
        self.docker.clear();
        self
    }

    fn docker(mut self, arg: &str) -> Self {
        self.docker.extend(arg.split(' ').map(ToOwned::to_owned));
        self
    }

    fn broken(mut self, script: &str) -> Self {
        script.clone_into(&mut self.broken);
        self
    }

    fn options(mut self, options: &str) -> Self {
        options.clone_into(&mut self.options);
        self
    }

    /// Runs a script in the container and returns what it printed.
    fn script(&self, script: &str) -> String {
        share();
        let mut args = vec!["docker", "run", "--rm", "--privileged", "-v", "/share:/share"];
        args.extend(self.docker.iter().map(String::as_str));
        let image = format!("dindcheck-base:{}", self.suite);
        // As process 1 the timeout of newer coreutils refuses to work.
        args.extend([image.as_str(), "bash", "-c", "timeout 300 bash -c \"$0\"; true", script]);
        bed("engine.sh", &args)
    }

    /// The report. Where nothing may be repaired, the world is as it was.
    fn report(&self) -> Value {
        let Self { broken, steps, options, .. } = self;
        let script = format!(
            "exec 3>&1 >&2; {{ {broken}; }}; world() {{ cut -d' ' -f3- /proc/self/mountinfo; find /var/lib /run /tmp /etc/docker | sort; }}; \
             before=$(world); /share/dindcheck verify --only {steps} --keep-going --format json {options} >&3; \
             after=$(world); printf '\\n---\\n' >&3; diff <(echo \"$before\") <(echo \"$after\") >&3"
        );
        let said = self.script(&script);
        let (report, changed) = said.split_once("\n---\n").unwrap_or((&said, ""));
        assert!(changed.is_empty() || !options.contains("--repair none"), "{broken}: {changed}");
        serde_json::from_str(report).unwrap_or_else(|error| panic!("no report ({error}): {said}"))
    }

    /// What the steps found that is not as it should be: `step level cause`.
    fn problems(&self) -> Vec<String> {
        problems(&self.report())
    }
}

/// `step level cause` of everything that is not as it should be.
fn problems(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().expect("steps").iter();
    let found = steps.flat_map(|step| {
        let errored = step["reason"].as_str().filter(|_| step["outcome"] == "errored");
        let errored = errored.map(|why| format!("{} errored {why}", step["id"].as_str().unwrap_or_default()));
        let findings = step["findings"].as_array().into_iter().flatten();
        let wrong = findings.filter(|finding| finding["level"] != "pass").map(|finding| {
            let word = |value: &Value| value.as_str().unwrap_or("none").to_owned();
            format!("{} {} {}", word(&step["id"]), word(&finding["level"]), word(&finding["cause"]))
        });
        wrong.chain(errored).collect::<Vec<_>>()
    });
    found.collect()
}

/// A configuration: a name, daemon.json (empty: none), arguments.
type Config = (&'static str, &'static str, &'static str);

/// Sound and unsound ones, in every way that dockerd looks at.
const CONFIGS: &[Config] = &[
    ("nothing", "", ""),
    ("empty object", "{}", ""),
    ("empty file", " ", ""),
    ("null", "null", ""),
    ("list", "[]", ""),
    ("trailing comma", "{\"debug\": true,}", ""),
    ("second document", "{} {}", ""),
    ("byte order mark", "\u{feff}{}", ""),
    ("unknown key", "{\"no-such-key\": 1}", ""),
    ("flag name as key", "{\"label\": [\"a=b\"]}", ""),
    ("upper case key", "{\"Debug\": true}", ""),
    ("grouped key", "{\"anything\": {\"debug\": true}}", ""),
    ("object as text", "{\"group\": {\"debug\": true}}", ""),
    ("number as text", "{\"mtu\": \"1400\"}", ""),
    ("number with fraction", "{\"mtu\": 1400.0}", ""),
    ("text as list", "{\"dns\": \"1.1.1.1\"}", ""),
    ("bool as text", "{\"iptables\": \"false\"}", ""),
    ("both places", "{\"log-driver\": \"json-file\"}", "--log-driver=json-file"),
    ("both places, named", "{\"labels\": [\"a=b\"]}", "--label=c=d"),
    (
        "both places, runtimes",
        "{\"runtimes\": {\"a\": {\"path\": \"/bin/true\"}}}",
        "--add-runtime=b=/bin/true",
    ),
    ("label without value", "{\"labels\": [\"a\"]}", ""),
    ("dns name", "{\"dns\": [\"one.one\"]}", ""),
    ("log level", "{\"log-level\": \"loud\"}", ""),
    ("log level warning", "{\"log-level\": \"warning\"}", ""),
    ("negative mtu", "{\"mtu\": -1}", ""),
    ("proxies", "{\"proxies\": {\"http-proxy\": \"http://x:1\"}}", ""),
    ("graph", "{\"graph\": \"/var/lib/docker\"}", ""),
    ("oom score", "{\"oom-score-adjust\": -500}", ""),
    ("ip6tables", "{\"ip6tables\": true}", ""),
    ("bip6", "{\"bip6\": \"fd00::1/64\"}", ""),
    ("features", "{\"features\": {\"buildkit\": true}}", ""),
    ("feature without a value", "{\"features\": {\"buildkit\": null}}", ""),
    ("log option", "{\"log-opts\": {\"max-size\": 10}}", ""),
    ("feature with a number", "{\"features\": {\"buildkit\": 1}}", ""),
    ("default runtime", "{\"default-runtime\": \"kata\"}", ""),
    ("cgroup driver", "{\"exec-opts\": [\"native.cgroupdriver=none\"]}", ""),
    ("exec option", "{\"exec-opts\": [\"what=ever\"]}", ""),
    ("bridge and address", "{\"bridge\": \"none\", \"bip\": \"10.1.0.1/24\"}", ""),
    ("icc without rules", "{\"icc\": false, \"iptables\": false}", ""),
    ("foreign storage option", "{\"storage-opts\": [\"dm.basesize=20G\"]}", ""),
    ("storage option of vfs", "{\"storage-driver\": \"vfs\", \"storage-opts\": [\"overlay2.size=1G\"]}", ""),
    ("tls without files", "{\"tls\": true}", ""),
    ("group", "{\"group\": \"nosuchgroup\"}", ""),
    ("remap", "{\"userns-remap\": \"nosuchuser\"}", ""),
    ("systemd sockets", "{\"hosts\": [\"fd://\"]}", ""),
    ("host scheme", "{\"hosts\": [\"http://x:1\"]}", ""),
    ("unknown flag", "", "--no-such-flag"),
    ("flag without value", "", "--data-root"),
    ("argument", "", "run"),
    ("flag of 29", "", "--firewall-backend=iptables"),
    ("feature flag", "", "--feature=buildkit"),
    ("two short flags", "", "-Dl debug"),
    ("missing file", "", "--config-file=/no/such.json"),
];

/// dockerd itself on each: `--validate` where it has that, else (and where that has nothing to say) a real start.
const ASK_DOCKERD: &str = r#"
accepts() {
    if [[ $validates ]] && ! dockerd --validate "$@" >/tmp/said 2>&1; then return 1; fi
    : >/tmp/said # before the daemon is there: its own redirection comes too late for the first look
    dockerd "$@" >>/tmp/said 2>&1 & pid=$!
    for _ in {1..400}; do
        grep -q 'API listen on' /tmp/said && break
        kill -0 $pid 2>/dev/null || return 1
        sleep 0.05
    done
    kill $pid; wait $pid 2>/dev/null; return 0
}
validates=; dockerd --help | grep -q -- --validate && validates=1
mkdir -p /etc/docker
"#;

#[test]
#[ignore = "needs root and the test bed"]
fn configurations_are_judged_as_dockerd_judges_them() {
    use std::fmt::Write;
    let mut wrong = Vec::new();
    for (suite, engine) in SUITES {
        let mut script = ASK_DOCKERD.to_owned();
        for (name, json, args) in CONFIGS {
            let file = if json.is_empty() {
                "rm -f /etc/docker/daemon.json".to_owned()
            } else {
                format!("printf %s '{json}' >/etc/docker/daemon.json")
            };
            let _ = writeln!(
                script,
                "{file}; ours=$(/share/dindcheck verify --only daemon-config --repair none --format json -- {args} 2>/dev/null | \
                 tr -d '\\n'); accepts {args} && theirs=accepts || theirs=refuses; \
                 printf '%s\\t%s\\t%s\\t%s\\n' '{name}' \"$ours\" $theirs \"$(tail -n 1 /tmp/said)\""
            );
        }
        let said = World::new(suite, "daemon-config").script(&script);
        assert_eq!(said.lines().count(), CONFIGS.len(), "{said}");
        for line in said.lines() {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default();
            let (name, ours, theirs, why) = (next(), next(), next(), next());
            let report: Value =
                serde_json::from_str(ours).unwrap_or_else(|error| panic!("{name}: {error}: {ours}"));
            let judged = if report["verdict"] == "sound" { "accepts" } else { "refuses" };
            println!("{engine:<6} {name:<28} {judged} {}", problems(&report).join(", "));
            if judged != theirs {
                wrong.push(format!(
                    "{engine} {name}: dockerd {theirs} ({why}), dindcheck {judged}: {:?}",
                    problems(&report)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The four steps.
const ALL: &str = "binaries,daemon-config,storage,daemon-state";

#[test]
#[ignore = "needs root and the test bed"]
fn a_healthy_outer_container_has_nothing_wrong() {
    for (suite, engine) in SUITES {
        let report = World::new(suite, ALL).report();
        assert_eq!(problems(&report), Vec::<String>::new(), "{engine}");
        assert_eq!(report["verdict"], "sound");
        assert!(report["environment"]["engine"].as_str().is_some_and(|version| version.starts_with(engine)));
        assert_eq!(report["environment"]["storage_driver"], "overlay2");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn the_data_root_on_the_containers_overlay_counts_by_what_dockerd_makes_of_it() {
    for (suite, engine) in SUITES {
        let world = || World::new(suite, "storage").without_volume();
        assert_eq!(world().problems(), ["storage warn overlay-on-overlay-data-root"], "{engine}");
        let named = world().options("--repair none -- --storage-driver=overlay2");
        assert_eq!(named.problems(), ["storage fail overlay-on-overlay-data-root"], "{engine}");
        let vfs = world().options("--repair none -- -s vfs");
        assert_eq!(vfs.problems(), Vec::<String>::new(), "{engine}");
    }
    let flag = "mkdir -p /etc/docker; echo '{\"features\": {\"containerd-snapshotter\": true}}' >/etc/docker/daemon.json";
    let world = World::new(NEWEST, "storage").without_volume().broken(flag);
    assert_eq!(world.problems(), ["storage fail data-root-containerd-snapshotter-on-overlay"]);
    let system = World::new(NEWEST, "storage").broken(&format!(
        "{flag}; mkdir -p /run/containerd; python3 -c 1 2>/dev/null; touch /run/containerd/containerd.sock"
    ));
    assert_eq!(
        system.problems(),
        ["storage fail data-root-containerd-snapshotter-on-overlay"],
        "the system's containerd"
    );
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_bad_place_for_data_is_named() {
    for (broken, docker, expected) in [
        ("mount -o remount,bind,ro /var/lib/docker", "", "storage fail data-root-read-only"),
        ("rm -rf /data; touch /data", "", "storage fail data-root-not-writable"),
        (
            "mount -o remount,size=16k /small; head -c 99999 /dev/zero >/small/x",
            "--tmpfs /small",
            "storage fail disk-full",
        ),
        ("true", "--tmpfs /small:exec,size=100m", "storage warn low-disk-space"),
        ("true", "--tmpfs /small:exec,nr_inodes=100", "storage warn low-inodes"),
        (
            "mkdir -p /var/lib/docker/overlay2/x /var/lib/docker/btrfs/x",
            "",
            "storage fail several-graphdrivers-in-data-root",
        ),
        ("mkdir -p /var/lib/docker/aufs/x", "", "storage warn prior-storage-driver-unavailable"),
        ("true", "-e DOCKER_DRIVER=aufs", "storage fail daemon-removed-storage-driver"),
        ("true", "-e DOCKER_DRIVER=btrfs", "storage fail data-root-filesystem-unsupported"),
    ] {
        let options = match (docker.contains("/small"), broken.contains("/data")) {
            (true, _) => "--repair none -- --data-root=/small",
            (_, true) => "--repair none -- --data-root=/data",
            _ => "--repair none",
        };
        let mut world = World::new(NEWEST, "storage").broken(broken).options(options);
        if !docker.is_empty() {
            world = world.docker(docker);
        }
        assert_eq!(world.problems(), [expected], "{broken} {docker}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn missing_and_broken_programs_are_told_apart() {
    let away = |name: &str| format!("mv $(command -v {name}) /root/");
    let spoil = |name: &str, how: &str| format!("f=$(readlink -f $(command -v {name})); {how} \"$f\"");
    let cases = [
        (away("dockerd"), "fail docker-program-missing", "fail docker-program-missing"),
        (away("containerd"), "fail containerd-program-missing", "fail containerd-program-missing"),
        (
            away("containerd-shim-runc-v2"),
            "fail containerd-shim-program-missing",
            "fail containerd-shim-program-missing",
        ),
        (away("runc"), "fail runc-program-missing", "fail runc-program-missing"),
        (away("docker-proxy"), "fail docker-proxy-program-missing", "fail docker-proxy-program-missing"),
        (away("docker-init"), "warn docker-init-program-missing", "warn docker-init-program-missing"),
        (away("iptables"), "fail iptables-program-missing", "fail iptables-program-missing"),
        (spoil("runc", "chmod -x"), "fail binary-not-runnable", "fail binary-not-runnable"),
        (spoil("runc", "truncate -s 0"), "fail binary-not-runnable", "fail binary-not-runnable"),
        (spoil("dockerd", "truncate -s 99999"), "fail binary-not-runnable", "fail binary-not-runnable"),
        (
            spoil("runc", "printf '#!/no/shell\\n' | tee"),
            "fail binary-not-runnable",
            "fail binary-not-runnable",
        ),
    ];
    for (broken, old, new) in cases {
        for (suite, expected) in [("bookworm", old), (NEWEST, new)] {
            let found = World::new(suite, "binaries").broken(&broken).problems();
            assert_eq!(found, [format!("binaries {expected}")], "{suite}: {broken}");
        }
    }
}

/// dockerd in the outer container, as an ordinary script starts it.
const START: &str = "dockerd >/dev/null 2>&1 & until curl -s --unix-socket /run/docker.sock x/_ping >/dev/null 2>&1 || \
    docker version >/dev/null 2>&1; do sleep 0.1; done";

#[test]
#[ignore = "needs root and the test bed"]
fn traces_of_other_daemons_are_named() {
    let sleeper = "sleep 999 & sleep 0.1";
    let cases = [
        (format!("echo 99999 >/run/docker.pid; {sleeper}"), "", vec![]),
        (format!("touch -d '1 hour ago' /run/docker.pid; {sleeper}; echo $! >/x; cp /x /run/docker.pid; touch -d '1 hour ago' /run/docker.pid"), "", vec!["fail stale-docker-pid-file"]),
        (format!("mkdir -p /run/docker/containerd; {sleeper}; echo $! >/run/docker/containerd/containerd.pid"), "", vec!["fail stale-containerd-pid-file"]),
        ("mkdir /run/docker.sock".to_owned(), "", vec!["fail docker-socket-is-a-directory"]),
        ("true".to_owned(), "-v /run/bed/docker.sock:/var/run/docker.sock", vec!["fail docker-socket-is-the-outer-daemons"]),
        ("mkdir -p /run/containerd; touch /run/containerd/containerd.sock".to_owned(), "", vec!["fail containerd-socket-not-answering"]),
        (START.to_owned(), "", vec!["fail daemon-already-running"]),
        (format!("mkdir -p /var/lib/docker; {START}; kill -9 %1; wait %1"), "", vec![]),
        ("mkdir -p /var/lib/docker/volumes; touch /var/lib/docker/volumes/metadata.db; flock /var/lib/docker/volumes/metadata.db sleep 99 & sleep 0.3".to_owned(), "", vec!["fail data-root-shared-by-two-daemons"]),
        ("mkdir -p /var/lib/docker/.dindcheck-0001".to_owned(), "", vec!["warn leftovers-remain"]),
    ];
    for (broken, docker, expected) in cases {
        let mut world = World::new("trixie", "daemon-state").broken(&broken);
        if !docker.is_empty() {
            world = world.docker(docker);
        }
        let expected: Vec<_> = expected.into_iter().map(|what| format!("daemon-state {what}")).collect();
        assert_eq!(world.problems(), expected, "{broken} {docker}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn stale_pid_files_are_removed_and_the_daemon_starts() {
    for (suite, engine) in SUITES {
        let broken = "sleep 999 & mkdir -p /run/docker/containerd; \
             for file in /run/docker.pid /run/docker/containerd/containerd.pid; do echo $! >$file; touch -d '1 hour ago' $file; done";
        let world =
            World::new(suite, "daemon-state,daemon-start").broken(broken).options("--repair container");
        let report = world.report();
        let step = |id: &str| {
            let steps = report["steps"].as_array().expect("steps");
            steps.iter().find(|step| step["id"] == id).expect("the step").clone()
        };
        assert_eq!(step("daemon-state")["outcome"], "repaired", "{engine}: {report:#}");
        let changes = step("daemon-state")["repair"]["changes"].clone();
        assert_eq!(changes[0]["did"], "removed /var/run/docker.pid");
        assert_eq!(changes.as_array().map(Vec::len), Some(2), "{changes}");
        assert_eq!(step("daemon-start")["outcome"], "passed", "{engine}: {report:#}");
    }
}

/// The environment steps of a report, without what differs from run to run.
fn findings(report: &Value) -> Vec<Value> {
    let steps = report["steps"].as_array().expect("steps").iter();
    let environment = steps.filter(|step| step["phase"] == "environment").cloned();
    let timeless = environment.map(|mut step| {
        let fields = step.as_object_mut().expect("a step");
        fields.remove("started_ms");
        fields.remove("duration_ms");
        step
    });
    timeless.collect()
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_recording_is_played_back_by_an_ordinary_user() {
    let worlds = [
        ("true", "", "--repair none"),
        ("umount -R /sys/fs/cgroup", "", "--repair none"),
        ("umount -R /sys/fs/cgroup", "", "--repair container"),
        (
            "sleep 99 & echo $! >/run/docker.pid; touch -d '1 hour ago' /run/docker.pid",
            "",
            "--repair container",
        ),
        ("mkdir /run/docker.sock", "", "--repair none --keep-going"),
        ("mv /usr/sbin/dockerd /root/", "", "--repair none"),
        ("mkdir -p /etc/docker; echo '{,' >/etc/docker/daemon.json", "", "--repair none --profile ci"),
        ("mount -o remount,bind,ro /var/lib/docker", "-e TOKEN=hush", "--repair none"),
        ("true", "-e HTTP_PROXY=http://sam:hush@proxy:1", "--only storage,network -- --bip=172.17.0.1/16"),
    ];
    for (number, (broken, docker, options)) in worlds.into_iter().enumerate() {
        let (options, daemon) = options.split_once(" -- ").unwrap_or((options, ""));
        let file = format!("/share/recording-{}-{number}.json", std::process::id());
        let until = if options.contains("--only") { "" } else { "--until daemon-state" };
        let world = World::new("trixie", "none").broken(broken);
        let world = if docker.is_empty() { world } else { world.docker(docker) };
        let script = format!(
            "{{ {broken}; }} >&2; /share/dindcheck verify {until} {options} --format json --record {file} -- {daemon}; chmod a+r {file}"
        );
        let seen: Value = serde_json::from_str(&world.script(&script)).expect("a report");
        let plain = ["docker", "run", "--rm", "-v", "/share:/share", "--user", "65534", "--network", "none"];
        let image = "dindcheck-base:bookworm";
        let replay = ["bash", "-c", "/share/dindcheck --replay $0 --format json; true", &file];
        let played = bed("engine.sh", &[&plain[..], &[image], &replay].concat());
        let played: Value = serde_json::from_str(&played).unwrap_or_else(|error| panic!("{error}: {played}"));
        assert_eq!(findings(&seen), findings(&played), "{broken}");
        assert_eq!(
            (&seen["verdict"], &seen["first_failure"]),
            (&played["verdict"], &played["first_failure"])
        );
        let kept = share().join(file.trim_start_matches("/share/"));
        let text = std::fs::read_to_string(&kept).expect("the recording");
        assert!(!text.contains("hush"), "a secret was recorded");
        std::fs::remove_file(kept).expect("remove the recording");
    }
}
