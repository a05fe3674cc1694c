//! Do the steps about the engine itself see real outer containers as they are? Needs root and the test bed
//! (tests/bed); `DINDCHECK_ENGINE` names its engine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The engines of the bed: Debian's suites, by the inner engine that they hold.
const SUITES: [(&str, &str); 3] = [("bookworm", "20.10"), ("trixie", "26.1"), ("forky", "28.5")];
/// The newest of them.
const NEWEST: &str = "forky";

/// Calls a script of the bed and returns its standard output; fails the test where the script fails.
fn bed(script: &str, args: &[&str]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bed").join(script);
    let out = Command::new(path).args(args).output().expect("bash");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script} {args:?}: {stderr}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The directory that containers see as /share, with the binary in it.
fn share() -> &'static PathBuf {
    static SHARE: OnceLock<PathBuf> = OnceLock::new();
    SHARE.get_or_init(|| {
        for (suite, _) in SUITES {
            bed("image.sh", &[suite]);
        }
        let status = bed("engine.sh", &["status"]);
        let line = status.lines().find_map(|line| line.strip_prefix("share ")).expect("a share");
        let share = PathBuf::from(line.split(' ').next().expect("a path"));
        // A running binary cannot be overwritten, but another can take its place.
        let aside = share.join(format!("dindcheck.{}", std::process::id()));
        std::fs::copy(env!("CARGO_BIN_EXE_dindcheck"), &aside).expect("copy the binary");
        std::fs::rename(&aside, share.join("dindcheck")).expect("put it into place");
        share
    })
}

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

    /// The report, and below `changed` what differs in the world afterwards.
    fn report(&self) -> Value {
        let Self { broken, steps, options, .. } = self;
        let script = format!(
            "exec 3>&1 >&2; {{ {broken}; }}; world() {{ cat /proc/self/mountinfo; find /var/lib /run /tmp /etc/docker | sort; }}; \
             world >/share/before.$$; /share/dindcheck verify --only {steps} --keep-going --format json {options} >&3; \
             world >/share/after.$$; diff /share/before.$$ /share/after.$$ >&2; rm -f /share/before.$$ /share/after.$$; true"
        );
        let said = self.script(&script);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("no report ({error}): {said}"))
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
