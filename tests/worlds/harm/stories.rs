//! Things of somebody else that only one kind of mistake takes away, each in a world of its own.

use super::answer;
use super::census::{Answer, Census, Thing};
use super::judge::Judge;
use crate::harness::{Bookworm, Forky, Outer, Suite, Trixie, docker_output, each_engine};

each_engine! {
    what_was_made_by_hand_after_a_killed_run_stays: Forky, of &[Bookworm, Forky];
    what_the_command_of_an_entrypoint_makes_stays: Bookworm, of &[Bookworm, Forky];
}

/// Nothing is taken away, and nothing is added.
#[track_caller]
fn same(before: &Census, after: &Census, what: &str) {
    let wrong = [before.without(after).listed("gone:"), after.without(before).listed("new:")].concat();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// What was made by hand between two censuses is there in the third.
#[track_caller]
fn stays(answer: &Answer, before: &str, made: &str, after: &str, said: &str) {
    let (before, made) = (answer.census(before), answer.census(made));
    let gone = made.without(&before).without(&answer.census(after));
    assert!(!made.without(&before).0.is_empty(), "nothing was made by hand");
    assert!(gone.0.is_empty(), "{}\n{said}", gone.listed("gone:").join("\n"));
}

fn what_was_made_by_hand_after_a_killed_run_stays(suite: Suite) {
    // Before the run there is the outer container alone; nobody else runs a dockerd afterwards.
    let answer = answer(
        suite,
        "dindcheck verify --until container-run >/dev/null 2>&1 & run=$!; served; slay daemons $run 0.2
         section killed census
         their_files; their_rules; their_mount; their_containerd
         section made census
         reports verify verify --until container-run",
    );
    assert_eq!(answer.code("verify"), 0, "{}", answer.said("verify"));
    stays(&answer, "killed", "made", "verify: after", answer.said("verify"));
}

fn what_the_command_of_an_entrypoint_makes_stays(suite: Suite) {
    let answer = answer(
        suite,
        "mkdir -p /etc/docker
         cat >/root/command <<END
$(declare -f)
section started census
their_files; their_rules; their_mount; their_containerd
section made census
END
         dindcheck entrypoint --until daemon-info -- bash /root/command 2>/root/err
         section said cat /root/err
         section ended census",
    );
    stays(&answer, "started", "made", "ended", answer.text("said"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn run_that_is_killed_while_its_dockerd_starts_leaves_nothing() {
    // dockerd does not handle SIGTERM yet: it ends at once, its containerd a moment later.
    let answer = answer(
        Trixie,
        "for after in 0.12 0.16 0.2 0.24 0.28 0.32 0.36 0.4 0.44 0.48; do
             dindcheck verify >/dev/null 2>&1 & run=$!; sleep $after; kill -KILL $run; wait $run 2>/dev/null
             dindcheck verify --until daemon-info >/root/out 2>&1 || cat /root/out >>/root/left
             grep '^left over' /root/out >>/root/left
         done
         section left bash -c 'cat /root/left; ls -d /run/docker /run/containerd 2>/dev/null; true'",
    );
    assert_eq!(answer.text("left").trim(), "");
}

#[test]
#[ignore = "needs root and the test bed"]
fn containerd_of_a_killed_run_that_another_dockerd_took_over_stays() {
    // The kernel ends dockerd's containerd with dockerd, but for a moment after the fork: here one is left by hand.
    let answer = answer(
        Forky,
        "dindcheck verify --until container-run >/dev/null 2>&1 & run=$!; served; slay daemons $run 0.2
         section killed census
         cd /run/docker/containerd
         DINDCHECK_RUN=$(ls /run/dindcheck | head -1) setsid containerd --config containerd.toml >/root/log 2>&1 </dev/null &
         until ctr -a /run/docker/containerd/containerd.sock version >/dev/null 2>&1; do sleep 0.05; done
         their_dockerd --containerd=/run/docker/containerd/containerd.sock
         section number pgrep -xc containerd
         section made census
         reports verify verify --until daemon-info
         reports attach verify --attach --until daemon-info
         reports entrypoint entrypoint -- true",
    );
    assert_eq!(answer.text("number").trim(), "1", "dockerd started a containerd of its own");
    for command in ["verify", "attach", "entrypoint"] {
        stays(&answer, "killed", "made", &format!("{command}: after"), answer.said(command));
    }
    let said = answer.said("verify");
    assert!(said.contains("containerd; `kill -9 ") || said.contains("containerd, left since "), "{said}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn tables_of_the_nftables_backend_go() {
    // Debian's dockerd has no such backend: this one leaves what a later one does.
    let answer = answer(
        Forky,
        "real=$(which dockerd); mv $real $real.real
         cat >$real <<END
#!/bin/bash
[[ \\$1 == --version ]] && { echo 'Docker version 29.0.0, build 1'; exit; }
nft add table ip docker-bridges; nft add chain ip docker-bridges filter-FORWARD; nft add table ip6 docker-bridges
exec $real.real \"\\${@/--firewall-backend=nftables/--debug}\"
END
         chmod +x $real
         echo 1 >/proc/sys/net/ipv4/ip_forward
         nft add table ip theirs; nft add table inet docker-bridges
         section before nft list tables
         reports verify verify --until daemon-info -- --firewall-backend=nftables
         section after nft list tables
         dindcheck verify --until daemon-info -- --firewall-backend=nftables >/root/log 2>&1 & run=$!; served; slay daemons $run 0.2
         section killed nft list tables
         reports again verify --until daemon-info -- --firewall-backend=nftables
         section last nft list tables",
    );
    for run in ["verify", "again"] {
        assert_eq!(answer.code(run), 0, "{}", answer.said(run));
    }
    assert!(answer.text("killed").contains("table ip6 docker-bridges"), "{}", answer.text("killed"));
    for after in ["after", "last"] {
        assert_eq!(answer.text("before").trim(), answer.text(after).trim(), "{after}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn rules_of_a_table_of_hundreds_of_kibibytes_stay() {
    let answer = answer(
        Bookworm,
        "{ echo '*filter'; echo ':MINE - [0:0]'
           for i in {1..4000}; do echo \"-A MINE -s 198.18.$((i / 256)).$((i % 256))/32 -m comment --comment theirs -j RETURN\"; done
           echo COMMIT; } | iptables-restore --noflush
         section size bash -c 'iptables-save | wc -c'
         section before census
         reports verify verify --until container-run",
    );
    assert!(answer.text("size").trim().parse::<u32>().unwrap() > 128 << 10, "{}", answer.text("size"));
    assert_eq!(answer.code("verify"), 0, "{}", answer.said("verify"));
    let rules = |census: Census| census.only(|thing| thing.kind == "rule");
    same(&rules(answer.census("before")), &rules(answer.after("verify")), answer.said("verify"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn live_daemon_under_another_name_keeps_a_pid_file_that_is_younger_than_it() {
    let answer = answer(
        Trixie,
        "cp $(which dockerd) /root/engine
         /root/engine --data-root /srv/theirs --exec-root /run/theirs -H unix:///run/theirs.sock >/root/theirs.log 2>&1 &
         until docker -H unix:///run/theirs.sock version >/dev/null 2>&1; do sleep 0.05; done
         sleep 3; cat /run/docker.pid >/root/pid; cat /root/pid >/run/docker.pid
         section made census
         play verify verify --until daemon-state",
    );
    let is_file = |thing: &Thing| thing.name.starts_with("/run/docker.pid");
    let (made, after) = (answer.census("made").only(is_file), answer.after("verify").only(is_file));
    assert!(!made.0.is_empty(), "the daemon has no pid file");
    same(&made, &after, answer.said("verify"));
    assert!(answer.said("verify").contains("/docker.pid"), "{}", answer.said("verify"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn looks_recover_nothing() {
    let answer = answer(
        Trixie,
        "dindcheck verify --record /root/recording --until storage >/dev/null 2>&1
         dindcheck verify >/root/log 2>&1 & run=$!; served; slay daemons $run 0.2
         section killed census
         play plan plan
         play wait wait --timeout 1s
         play diagnose diagnose /root/log
         play replay verify --replay /root/recording
         play none verify --repair none --until storage
         play attach verify --attach unix:///run/nobody.sock --until daemon-info",
    );
    let killed = answer.census("killed");
    for command in ["plan", "wait", "diagnose", "replay", "none", "attach"] {
        same(&killed, &answer.after(command), &format!("{command}: {}", answer.said(command)));
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn process_that_got_the_pid_of_a_dockerd_after_a_restart_stays() {
    let outer = Outer::new(Trixie).args(&["--init", "--entrypoint", "tail"]).start(&["-f", "/dev/null"]);
    let script = |script: &str| outer.exec(&["bash", "-c", &format!("{}\n{script}", super::TOOLS)]);
    let daemons = script(
        "dindcheck verify >/dev/null 2>&1 & run=$!
         served
         echo $(pidof dockerd containerd); slay daemons $run 0.5",
    );
    docker_output(&["restart", "-t", "0", &outer.0]);
    // Each in a process group of its own, of which the number is the pid as well, and with a child.
    let taken = script(&format!(
        "for pid in {daemons}; do
             echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid; setsid bash -c 'sleep 1000 & wait' &
         done
         until [[ $(pgrep -xc sleep) == $(wc -w <<<'{daemons}') ]]; do sleep 0.05; done
         echo $(for pid in {daemons}; do cat /proc/$pid/comm; pgrep -lP $pid; done)"
    ));
    let stand = taken.split_whitespace().filter(|word| ["bash", "sleep"].contains(word)).count();
    assert_eq!(stand, 2 * daemons.split_whitespace().count(), "the pids {daemons} are not free: {taken}");
    let left = script(&format!(
        "dindcheck verify --until daemon-info >/root/out 2>&1
         echo $(for pid in {daemons}; do cat /proc/$pid/comm; pgrep -lP $pid; done); cat /root/out >&2"
    ));
    assert_eq!(left, taken);
}

#[test]
#[ignore = "needs root and the test bed"]
fn younger_dockerd_in_the_pid_file_stays() {
    // The run is killed as soon as its dockerd is there, and then, before it may have noted which one that is.
    for (wait, theirs) in [
        ("until pidof dockerd >/dev/null; do :; done", "dockerd"),
        (
            "until pidof dockerd >/dev/null; do :; done",
            "dockerd --data-root /srv/theirs --exec-root /run/theirs -H unix:///run/theirs.sock",
        ),
        ("sleep 0.1", "dockerd"),
    ] {
        let answer = answer(
            Forky,
            &format!(
                "dindcheck verify >/dev/null 2>&1 & run=$!; {wait}; slay daemons $run 0
                 section killed census
                 {theirs} >/root/theirs.log 2>&1 & theirs=$!
                 until grep -q 'API listen on' /root/theirs.log; do sleep 0.05; done
                 section made census
                 reports verify verify
                 section pid-file cat /var/run/docker.pid
                 section theirs echo $theirs"
            ),
        );
        let said = format!("{wait}; {theirs}: {}", answer.said("verify"));
        stays(&answer, "killed", "made", "verify: after", &said);
        assert_eq!(answer.text("pid-file").trim(), answer.text("theirs").trim(), "{theirs}");
    }
}

/// A chain of 4000 rules, about 200 KiB.
const MANY: &str = "{ echo '*filter'; echo ':MINE - [0:0]'; for i in {1..4000}; do \
    echo \"-A MINE -s 10.$((i / 250)).$((i % 250)).1/32 -j RETURN\"; done; echo COMMIT; } | iptables-restore -n";

#[test]
#[ignore = "needs root and the test bed"]
fn many_rules_stay_exactly_and_ours_are_removed() {
    let answer = answer(
        Trixie,
        &format!(
            "{MANY}
             section before census
             reports whole verify --until container-run
             dindcheck verify --until container-run >/dev/null 2>&1 & run=$!; served; slay daemons $run 0.2
             section killed census
             reports next verify --until container-run"
        ),
    );
    let rules = |census: Census| census.only(|thing| thing.kind == "rule");
    let before = rules(answer.census("before"));
    assert!(before.0.len() > 4000 && rules(answer.census("killed")).0.len() > before.0.len());
    for run in ["whole", "next"] {
        assert_eq!(answer.code(run), 0, "{}", answer.said(run));
        same(&before, &rules(answer.after(run)), run);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn many_rules_made_after_a_killed_run_stay_exactly() {
    let answer = answer(
        Trixie,
        &format!(
            "section before census
             dindcheck verify --until container-run >/dev/null 2>&1 & run=$!; served; slay daemons $run 0.2
             section killed census
             {MANY}
             section made census
             reports next verify --until container-run"
        ),
    );
    assert_eq!(answer.code("next"), 0, "{}", answer.said("next"));
    stays(&answer, "killed", "made", "next: after", answer.said("next"));
    let judge = Judge::new(&answer.census("before"), &answer.census("killed"), &answer.census("made"));
    let left = judge.unnamed_of_any_kind(&answer.after("next"), &answer.leftovers("next"));
    assert!(left.is_empty(), "{}", left.join("\n"));
}
