//! Each step alone, as `--only` runs it, with a daemon of its own and with one that runs already.

use crate::harness::{Forky, Outer};

/// Runs each step that uses the daemon alone; with a running daemon each step, and those of the workload with an image of
/// its own. A line for each: what it was, the exit code, and how the report begins.
const ALONE: &str = r#"
alone() { dindcheck verify --format brief "$@" >/root/said 2>&1; echo "$? $* | $(head -n 1 /root/said)"; }
ladder=$(dindcheck list | awk '{print $2}'); workload=$(dindcheck list | awk '$1 == "workload" {print $2}')
for step in $workload; do alone --only $step; done
serve
for step in $ladder; do alone --attach --only $step; done
tar -C "$(dirname "$(command -v dindcheck)")" -c dindcheck | docker import --change 'CMD ["/dindcheck", "list"]' - own:1 >/dev/null
for step in $workload; do alone --attach --image own:1 --only $step; done
docker rmi own:1 >/dev/null; docker ps -aq; docker images -q
"#;

#[test]
#[ignore = "needs root and the test bed"]
fn each_step_runs_alone_and_is_not_called_sound() {
    let played = Outer::new(Forky).play(ALONE);
    assert_eq!(played.code, 0, "{}", played.said());
    let lines: Vec<_> = played.stdout.lines().collect();
    let workload = dindcheck::steps::ALL.iter().filter(|step| step.phase == dindcheck::step::Phase::Workload);
    assert_eq!(lines.len(), 2 * workload.count() + dindcheck::steps::ALL.len(), "{}", played.said());
    for line in lines {
        assert!(line.starts_with("0 --"), "{line}: {}", played.said());
        assert!(line.contains("| dindcheck: no failure ") && line.contains(" steps not run"), "{line}");
    }
}
