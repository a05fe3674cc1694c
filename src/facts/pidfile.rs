//! Pid files, and whether the process that a pid file names can be the one that wrote it.

use std::path::{Path, PathBuf};

use crate::facts::process;
use crate::host::{HostResult, SystemReader};

/// Clock ticks in a second, as /proc counts them on every Linux (`USER_HZ`).
const TICKS: i64 = 100;
/// Seconds by which a process must have started after a file was written, so that it cannot have written it: the time of
/// the boot is known to a second, and clocks are corrected now and then.
const SLACK_SECONDS: i64 = 10;

/// A pid file that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// Its path.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
    /// The process that it names.
    pub names: Named,
}

/// What a pid file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// It does not hold a number above 0.
    Nobody,
    /// A number that no process of this pid namespace has.
    Dead(i32),
    /// A process.
    Process {
        /// The process ID.
        pid: i32,
        /// Its name (`comm`).
        name: String,
        /// It ended and was not reaped yet, so that the number is still taken.
        zombie: bool,
        /// It started clearly after the file was written, so that the file names another process. This holds where the
        /// file has the clock of this machine, and that was not set anew in between.
        later: bool,
    },
}

impl PidFile {
    /// Reads the file at `path`; `None` where it does not exist.
    pub fn read(host: &dyn SystemReader, path: &Path) -> HostResult<Option<Self>> {
        let Some(text) = host.read_if_there(path)? else { return Ok(None) };
        let written = host.stat(path)?.mtime / 1_000_000_000;
        let names = match text.trim().parse::<i32>() {
            Ok(pid) if pid > 0 => named(host, pid, written)?,
            _ => Named::Nobody,
        };
        Ok(Some(Self { path: path.to_owned(), text, names }))
    }
}

/// The process of that number; `written` is the modification time of the file, in seconds since 1970.
fn named(host: &dyn SystemReader, pid: i32, written: i64) -> HostResult<Named> {
    let Some(name) = name(host, pid)? else { return Ok(Named::Dead(pid)) };
    let process = process::find(host, pid);
    let started = process.as_ref().and_then(|process| {
        let ticks = i64::try_from(process.id.start).ok()?;
        Some(boot(host)? + ticks / TICKS)
    });
    Ok(Named::Process {
        pid,
        name,
        zombie: process.is_some_and(|process| process.zombie),
        later: started.is_some_and(|started| started > written.saturating_add(SLACK_SECONDS)),
    })
}

/// The name (`comm`) of a process; `None` where the process does not exist.
pub fn name(host: &dyn SystemReader, pid: i32) -> HostResult<Option<String>> {
    let comm = host.read_if_there(Path::new(&format!("/proc/{pid}/comm")));
    match comm {
        // It ended between open(2) and read(2).
        Err(error) if error.errno() == nix::errno::Errno::ESRCH => Ok(None),
        comm => Ok(comm?.map(|name| name.trim().to_owned())),
    }
}

/// The time of the boot, in seconds since 1970 (`btime` of proc_stat(5)).
pub(super) fn boot(host: &dyn SystemReader) -> Option<i64> {
    let stat = host.read_text(Path::new("/proc/stat")).ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A machine that booted at 1000 s, with process 7, which started 500 s later.
    fn world(name: &str, state: char) -> Fake {
        let stat = format!("7 ({name}) {state} 1 7 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 50000 0 0\n");
        Fake::new()
            .file("/proc/stat", "cpu 1\nbtime 1000\n")
            .file("/proc/7/comm", &format!("{name}\n"))
            .file("/proc/7/stat", &stat)
    }

    fn names(host: Fake, text: &str, written: i64) -> Named {
        let host =
            host.file("/run/x.pid", text).stat_of("/run/x.pid", |stat| stat.mtime = written * 1_000_000_000);
        PidFile::read(&host, Path::new("/run/x.pid")).unwrap().unwrap().names
    }

    #[test]
    fn named_process_is_told_by_number_state_and_start_time() {
        let process = |later, zombie| Named::Process { pid: 7, name: "sleep".into(), zombie, later };
        assert_eq!(names(world("sleep", 'S'), "7\n", 1200), process(true, false));
        assert_eq!(names(world("sleep", 'S'), "7", 9000), process(false, false));
        assert_eq!(names(world("sleep", 'S'), "7", 1489), process(true, false));
        for written in [1490, 1495, 1500, 1510] {
            assert_eq!(names(world("sleep", 'S'), "7", written), process(false, false), "{written}");
        }
        assert_eq!(names(world("sleep", 'Z'), "7", 1501), process(false, true));
        assert_eq!(names(world("sleep", 'S'), "8", 1200), Named::Dead(8));
        assert_eq!(names(world("sleep", 'S'), "junk", 1200), Named::Nobody);
        assert_eq!(names(world("sleep", 'S'), "-7", 1200), Named::Nobody);
        assert_eq!(PidFile::read(&Fake::new(), Path::new("/run/x.pid")).unwrap(), None);
    }

    #[test]
    fn file_that_a_living_process_writes_after_its_start_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        let script = format!("sleep 1.2; echo $$ > {}; sleep 1.2; cat", path.display());
        let host = crate::host::live::Live::default();
        let names = std::thread::scope(|scope| {
            scope.spawn(|| {
                host.run(Path::new("/bin/sh"), &["-c", &script], std::time::Duration::from_secs(9))
            });
            std::thread::sleep(std::time::Duration::from_millis(1800));
            PidFile::read(&host, &path).unwrap().unwrap().names
        });
        assert!(matches!(names, Named::Process { zombie: false, later: false, .. }), "{names:?}");
    }
}
