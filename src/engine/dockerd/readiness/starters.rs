//! Which process is a dockerd that is to serve, and which may still start one.

use crate::facts::process::Process;

/// Whether a process is a dockerd that is to serve, and not one that only prints its version.
pub(super) fn is_daemon(process: &Process) -> bool {
    let mut args = process.command.split(' ');
    let only_prints = |arg: &str| ["--version", "-v", "--help", "-h", "--validate"].contains(&arg);
    !process.zombie && args.next().is_some_and(|arg| name(arg) == "dockerd") && !args.any(only_prints)
}

/// Whether a process may become one, or start one: a script whose name begins like dockerd's, an init of such a script,
/// dindcheck.
pub(super) fn may_start_one(process: &Process) -> bool {
    let mut args = process.command.split(' ').map(name);
    let starts = |arg: &str| arg.starts_with("dockerd") || arg.starts_with("start-docker");
    let is_dindcheck = |args: &mut dyn Iterator<Item = &str>| match (args.next(), args.next()) {
        (Some("dindcheck"), what) => !matches!(what, Some("wait" | "diagnose" | "probe")),
        // The check of an entrypoint, which runs as /proc/self/exe.
        (Some("exe"), what) => what == Some("__check"),
        _ => false,
    };
    !process.zombie && (process.command.split(' ').map(name).any(starts) || is_dindcheck(&mut args))
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A process and its ancestors: those that wait for a daemon do not count as its starters.
pub(super) fn ancestors(all: &[Process], pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    while let Some(parent) =
        all.iter().find(|process| Some(&process.id.pid) == found.last()).map(|p| p.parent)
    {
        if found.contains(&parent) {
            break;
        }
        found.push(parent);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::process::ProcessId;

    fn process(pid: i32, parent: i32, command: &str) -> Process {
        let id = ProcessId { pid, start: 1 };
        Process { id, parent, group: pid, zombie: false, command: command.to_owned() }
    }

    #[test]
    fn a_command_line_shows_a_daemon_a_starter_or_neither() {
        for (command, daemon, starter) in [
            ("dockerd --debug", true, true),
            ("/usr/bin/dockerd", true, true),
            ("/usr/bin/dockerd --version", false, true),
            ("docker-init -- dockerd", false, true),
            ("sh /usr/local/bin/dockerd-entrypoint.sh", false, true),
            ("/usr/local/bin/dindcheck entrypoint -- sh", false, true),
            ("dindcheck", false, true),
            ("/proc/self/exe __check {}", false, true),
            ("/proc/self/exe __become", false, false),
            ("dindcheck wait --timeout 1s", false, false),
            ("bash /usr/bin/run-tests", false, false),
        ] {
            let process = process(7, 1, command);
            assert_eq!((is_daemon(&process), may_start_one(&process)), (daemon, starter), "{command}");
        }
        let zombie = Process { zombie: true, ..process(7, 1, "dockerd") };
        assert!(!is_daemon(&zombie) && !may_start_one(&zombie));
    }

    #[test]
    fn the_ancestors_of_a_process_end_at_the_first_one() {
        let all =
            [process(1, 0, "init"), process(5, 1, "sh -c 'dockerd & dindcheck wait'"), process(9, 5, "x")];
        assert_eq!(ancestors(&all, 9), [9, 5, 1, 0]);
    }
}
