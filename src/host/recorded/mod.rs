//! Recording a run, and replaying its environment phase elsewhere.
//!
//! [`Recorder`] passes every call on and stores the answer. [`Replay`] answers from a recording and needs neither root nor
//! the machine; a question that was not recorded is `ENODATA`.

use std::path::Path;

use nix::errno::Errno;

use super::HostResult;
use crate::diagnosis::redact::without_logins;
use crate::host::trial::Trial;

mod content;
mod recorder;
mod replay;

pub use recorder::Recorder;
pub use replay::Replay;

/// The answer; `None` where a recording does not have the question, since the program that made it did not ask it.
pub fn if_recorded<T>(answer: HostResult<T>) -> HostResult<Option<T>> {
    match answer {
        Err(error) if error.errno() == Errno::ENODATA => Ok(None),
        answer => answer.map(Some),
    }
}

/// The question of an operation on a path.
fn on(op: &str, path: &Path) -> String {
    format!("{op} {}", path.display())
}

/// The question to a program.
fn to(op: &str, program: &Path, args: &[&str]) -> String {
    format!("{op} {} {}", program.display(), without_logins(&args.join(" "))).trim_end().to_owned()
}

/// The question of a trial.
fn of(trial: &Trial) -> String {
    format!("trial {}", serde_json::to_string(trial).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::fake::Fake;
    use crate::host::recording::Recording;
    use crate::host::{SystemReader, SystemWriter};

    /// The answers to a fixed series of questions, with a change in between.
    fn answers<H: SystemReader + SystemWriter>(host: &H) -> Vec<String> {
        let path = Path::new("/proc/a");
        vec![
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.write(path, b"new")),
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.stat(Path::new("/none")).map_err(|error| error.errno())),
            format!("{:?}", host.env("DOCKER_DRIVER")),
            format!("{:?}", host.ask(Path::new("/bin/x"), &["--version"])),
            format!("{:?}", host.run(Path::new("/bin/x"), &["--version"], Duration::ZERO)),
            format!("{:?}", host.identity()),
            format!("{:?}", host.list(Path::new("/proc"))),
        ]
    }

    #[test]
    fn replay_gives_the_answers_in_their_order() {
        let host = Fake::new().file("/proc/a", "old").variable("DOCKER_DRIVER", "vfs").program(
            "/bin/x --version",
            0,
            "1.2.3",
        );
        let recorder = Recorder::new(&host, &host);
        let seen = answers(&recorder);
        let json = serde_json::to_string(&recorder.recording("12ab", &[], &())).unwrap();
        assert_eq!(answers(&Replay::new(Recording::parse(&json).unwrap())), seen);
    }

    #[test]
    fn variable_that_is_not_utf8_is_replayed_byte_by_byte() {
        use std::os::unix::ffi::OsStringExt;
        let path = std::ffi::OsString::from_vec(b"/odd\xff:/usr/bin".to_vec());
        let host = Fake::new().variable("PATH", path.clone()).variable("TOKEN", path.clone());
        let recorder = Recorder::new(&host, &host);
        assert_eq!(
            (recorder.env_os("PATH"), recorder.env_os("TOKEN")),
            (Some(path.clone()), Some(path.clone()))
        );
        let json = serde_json::to_string(&recorder.recording("1", &[], &())).unwrap();
        let replay = Replay::new(Recording::parse(&json).unwrap());
        assert_eq!((replay.env_os("PATH"), replay.env("TOKEN").as_deref()), (Some(path), Some("withheld")));
    }

    #[test]
    fn names_and_errors_that_are_not_utf8_are_replayed_byte_by_byte() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/dir/odd\xff"));
        let host = Fake::new().dir("/dir").link("/dir/link", "/x");
        host.write(odd, b"").unwrap();
        let recorder = Recorder::new(&host, &host);
        let ask = |host: &dyn SystemReader| {
            let error = host.read_link(odd).unwrap_err();
            (host.list(Path::new("/dir")).unwrap(), host.read_link(Path::new("/dir/link")).unwrap(), error)
        };
        let seen = ask(&recorder);
        let json = serde_json::to_string(&recorder.recording("1", &[], &())).unwrap();
        assert_eq!(ask(&Replay::new(Recording::parse(&json).unwrap())), seen);
        assert_eq!((seen.0[1].as_bytes(), seen.2.path.as_path()), (&b"odd\xff"[..], odd));
    }

    #[test]
    fn question_without_answer_is_enodata() {
        let host = Fake::new().file("/a", "text");
        let replay = Replay::new(Recorder::new(&host, &host).recording("1", &[], &()));
        assert_eq!(replay.read(Path::new("/a")).unwrap_err().errno(), Errno::ENODATA);
        assert_eq!(replay.env("PATH"), None);
    }

    #[test]
    fn secret_is_passed_on_and_not_stored() {
        let host = Fake::new().variable("TOKEN", "hush").file("/p", "http://u:hush@x");
        let recorder = Recorder::new(&host, &host);
        assert_eq!(recorder.env("TOKEN").as_deref(), Some("hush"));
        assert_eq!(recorder.read_text(Path::new("/p")).unwrap(), "http://u:hush@x");
        let json = serde_json::to_string(&recorder.recording("1", &[], &())).unwrap();
        assert!(!json.contains("hush"), "{json}");
    }
}
