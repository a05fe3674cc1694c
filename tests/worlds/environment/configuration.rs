//! `daemon-config` against dockerd itself, on configurations that dockerd accepts and refuses.

use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::{Forky, Outer, SUITES, Suite, each_engine, report};

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

each_engine! {
    configuration_is_judged_as_dockerd_judges_it: Forky, of SUITES;
}

/// What dindcheck and dockerd make of each configuration: a line of name, report, dockerd's answer and its last words.
fn script() -> String {
    let mut script = ASK_DOCKERD.to_owned();
    for (name, json, args) in CONFIGS {
        let file = if json.is_empty() {
            "rm -f /etc/docker/daemon.json".to_owned()
        } else {
            format!("printf %s '{json}' >/etc/docker/daemon.json")
        };
        let _ = writeln!(
            script,
            "{file}; ours=$(dindcheck verify --only daemon-config --repair none --format json -- {args} 2>/dev/null | \
             tr -d '\\n'); accepts {args} && theirs=accepts || theirs=refuses; \
             printf '%s\\t%s\\t%s\\t%s\\n' '{name}' \"$ours\" $theirs \"$(tail -n 1 /tmp/said)\""
        );
    }
    script
}

fn configuration_is_judged_as_dockerd_judges_it(suite: Suite) {
    let played = Outer::new(suite).play(&script());
    assert_eq!(played.stdout.lines().count(), CONFIGS.len(), "{}", played.said());
    let wrong: Vec<_> = played.stdout.lines().filter_map(|line| complaint(suite, line)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a line, if anything is; prints it in short.
fn complaint(suite: Suite, line: &str) -> Option<String> {
    let fields: Vec<_> = line.split('\t').collect();
    let [name, ours, theirs, why] = fields[..] else { return Some(format!("not four fields: {line}")) };
    let report: Value = serde_json::from_str(ours).unwrap_or_else(|error| panic!("{name}: {error}: {ours}"));
    let judged = if report["verdict"] == "sound" { "accepts" } else { "refuses" };
    let problems = report::problems(&report).join(", ");
    println!("{:<9} {name:<28} {judged} {problems}", suite.engine());
    let wrong =
        format!("{} {name}: dockerd {theirs} ({why}), dindcheck {judged}: {problems}", suite.engine());
    (judged != theirs).then_some(wrong)
}
