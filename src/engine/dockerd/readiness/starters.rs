//! Which process is a daemon, and which may still start one?

use crate::facts::process::Process;

/// Whether a process is a dockerd that is to serve, and not one that only says its version.
pub(super) fn is_daemon(process: &Process) -> bool {
    let mut words = process.command.split(' ');
    let answers = |word: &str| ["--version", "-v", "--help", "-h", "--validate"].contains(&word);
    !process.zombie && words.next().is_some_and(|word| name(word) == "dockerd") && !words.any(answers)
}

/// Whether a process may become one, or start one: a script with dockerd in a name, an init of such, dindcheck.
pub(super) fn may_start_one(process: &Process) -> bool {
    let mut words = process.command.split(' ').map(name);
    let starts = |word: &str| word.starts_with("dockerd") || word.starts_with("start-docker");
    let own = |words: &mut dyn Iterator<Item = &str>| {
        words.next() == Some("dindcheck") && !matches!(words.next(), Some("wait" | "diagnose" | "probe"))
    };
    !process.zombie && (process.command.split(' ').map(name).any(starts) || own(&mut words))
}

/// The last part of a path.
fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A process and everything it descends from: what waits is no hope for what it waits for.
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
    fn hopes_are_told_from_daemons_and_from_the_rest() {
        for (command, daemon, hope) in [
            ("dockerd --debug", true, true),
            ("/usr/bin/dockerd", true, true),
            ("/usr/bin/dockerd --version", false, true),
            ("docker-init -- dockerd", false, true),
            ("sh /usr/local/bin/dockerd-entrypoint.sh", false, true),
            ("/usr/local/bin/dindcheck entrypoint -- sh", false, true),
            ("dindcheck", false, true),
            ("dindcheck wait --timeout 1s", false, false),
            ("bash /usr/bin/run-tests", false, false),
        ] {
            let process = process(7, 1, command);
            assert_eq!((is_daemon(&process), may_start_one(&process)), (daemon, hope), "{command}");
        }
        let zombie = Process { zombie: true, ..process(7, 1, "dockerd") };
        assert!(!is_daemon(&zombie) && !may_start_one(&zombie));
    }

    #[test]
    fn who_waits_is_no_hope() {
        let all =
            [process(1, 0, "init"), process(5, 1, "sh -c 'dockerd & dindcheck wait'"), process(9, 5, "x")];
        assert_eq!(ancestors(&all, 9), [9, 5, 1, 0]);
    }
}
