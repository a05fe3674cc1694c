//! Worlds that are sound and not well: what is slow, and what is silent, is a warning with its figure.

use serde_json::Value;

use crate::harness::{Forky, Outer, report};

/// A dockerd that serves; `check STEP OPTIONS` prints a line with the step's name, the exit code and the report on one line.
const TOOLS: &str = r#"
check() { dindcheck verify --attach --format json --only "$@" 2>/dev/null | tr -d '\n'; echo; }
wrap() { # NAME SCRIPT: a wrapper of a program, which keeps its name
    own=$(command -v "$1"); real=$(readlink -f "$own"); mkdir -p /opt/real; cp -P "$own" "/opt/real/$1" && rm "$own"
    printf '#!/bin/bash\n%s\nexec -a %s %s "$@"\n' "$2" "$1" "$( [ -L "/opt/real/$1" ] && echo "$real" || echo "/opt/real/$1")" >"$own"
    chmod 755 "$own"
}
unwrap() { own=$(command -v "$1"); rm "$own"; mv "/opt/real/$1" "$own"; }
serve
"#;

/// The reports that a script prints, one a line.
fn reports(script: &str) -> Vec<Value> {
    let played = Outer::new(Forky).play(&format!("{TOOLS}{script}"));
    let parsed = played.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let reports = parsed.unwrap_or_else(|error| panic!("{error}: {}", played.said()));
    for report in &reports {
        assert_eq!((&report["exit_code"], &report["verdict"]), (&0.into(), &"sound".into()), "{report:#}");
    }
    reports
}

/// The warning of a step with this cause.
fn warning<'r>(report: &'r Value, step: &str, cause: &str) -> Option<&'r Value> {
    let findings = report::step(report, step)["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["cause"] == cause && finding["level"] == "warn")
}

#[test]
#[ignore = "needs root and the test bed"]
fn slow_start_is_a_warning_with_the_part_that_took_it() {
    let seen = reports(
        r#"wrap runc 'case " $* " in *" create "*) sleep 4;; esac'; check container-run; unwrap runc
        wrap iptables 'sleep 1.5'; check container-run; unwrap iptables
        check container-run"#,
    );
    for (report, part) in seen.iter().zip(["runc (", "the network: "]) {
        let slow = warning(report, "container-run", "container-start-slow");
        let what = report::text(&slow.unwrap_or_else(|| panic!("{report:#}"))["what"]);
        assert!(what.starts_with("a container took ") && what.contains(part), "{what}");
    }
    assert_eq!(seen.len(), 3);
    assert_eq!(warning(&seen[2], "container-run", "container-start-slow"), None, "{:#}", seen[2]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn resolver_that_answers_nobody_is_a_warning_that_a_profile_mutes() {
    let seen = reports(
        "echo 'nameserver 192.0.2.53' >/etc/resolv.conf; check container-network
        printf 'extends: default\ncauses: {dns-resolver-not-answering: pass}\n' >/root/air-gapped.yaml
        check container-network --profile /root/air-gapped.yaml",
    );
    let cause = "dns-resolver-not-answering";
    let silent = warning(&seen[0], "container-network", cause).unwrap_or_else(|| panic!("{:#}", seen[0]));
    assert!(report::text(&silent["what"]).contains("within 800 ms") && seen.len() == 2, "{silent}");
    assert_eq!(warning(&seen[1], "container-network", cause), None, "{:#}", seen[1]);
}
