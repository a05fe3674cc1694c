//! The settings of a dockerd before it is started, from its arguments, daemon.json, its environment and its version.
//!
//! The steps ask here where it stores, listens and logs and which firewall it uses; the values are derived as dockerd
//! itself derives them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;
use serde_json::Value;

use super::programs::{Dockerd, Place, Said};
use super::version::Version;
use crate::diagnosis::causes;
use crate::diagnosis::redact::is_safe_option;
use crate::finding::{Finding, quoted};
use crate::host::SystemReader;

pub mod expected;
pub mod file;
pub mod flags;
pub mod given;
pub mod hosts;
pub mod layout;
mod mismatch;
pub mod options;
pub mod rootless;
pub mod running;
pub mod secrets;
pub mod settings;
pub mod store;
pub mod tls;
pub mod values;

pub use expected::{Expected, Off, Room};
pub use layout::Layout;
pub use rootless::is_rootless;
pub use running::Running;
pub use settings::{Containerd, Firewall, Settings};
pub use store::Store;
pub use tls::Tls;
pub use values::Values;

/// How dockerd will be started.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The program: a name in PATH, or a path.
    pub command: &'a str,
    /// Its arguments, which follow those that dindcheck adds.
    pub args: &'a [String],
    /// `--data-root`, where dindcheck sets it.
    pub data_root: Option<&'a Path>,
    /// Whether dindcheck adds `--debug`.
    pub debug: bool,
}

/// A daemon before it is started.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its version.
    pub version: Version,
    /// Its configuration file.
    pub config: PathBuf,
    /// Whether that file exists.
    pub config_found: bool,
    /// The flags.
    pub flags: flags::Flags,
    /// The content of the file.
    pub file: file::ConfigFile,
    /// What dockerd refuses to start with: invalid flags, an invalid file, an option in both.
    pub problems: Vec<Finding>,
    /// The resulting settings; where there are problems, those that could be derived.
    pub settings: Settings,
}

impl Daemon {
    /// Reads the settings. An error where the version of dockerd is unknown or its configuration file cannot be read.
    pub fn read(host: &dyn SystemReader, daemon: &Invocation<'_>) -> anyhow::Result<Self> {
        let version = version(&Dockerd::read(host, daemon.command)?)?;
        let args = command_line(host, daemon);
        let flags = flags::parse(&args[1..], version);
        let (config, given) = config_file(host, &flags);
        let mut problems = flags.problems.clone();
        let bytes = match host.read(&config) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.is_absent() => None,
            Err(error) if error.errno() == Errno::EISDIR => {
                problems.push(directory(&config));
                None
            }
            Err(error) => {
                return Err(error).context("cannot read the daemon's configuration file");
            }
        };
        if bytes.is_none() && given && problems.len() == flags.problems.len() {
            problems.push(missing(&config));
        }
        let file = bytes.as_ref().map(|bytes| file::parse(&config, bytes, version)).unwrap_or_default();
        problems.extend(file.problems.iter().cloned());
        problems.extend(conflict(&flags, &file, &config));
        let settings = Settings::read(host, version, &flags, &file)?;
        Ok(Self { version, config, config_found: bytes.is_some(), flags, file, problems, settings })
    }
}

/// The version of a dockerd that runs.
fn version(dockerd: &Dockerd) -> anyhow::Result<Version> {
    match (&dockerd.place, &dockerd.said) {
        (_, Some(Said::Answered(Some(version), _))) => Ok(*version),
        (_, Some(Said::Answered(None, output))) => bail!("dockerd prints no version: {output}"),
        (_, Some(Said::Broken(why, _))) => bail!("dockerd cannot be run: {why}"),
        (Place::NotExecutable(path), _) => bail!("{} is not executable", path.display()),
        _ => bail!("dockerd is not in PATH"),
    }
}

/// The configuration file, and whether `--config-file` names it.
fn config_file(host: &dyn SystemReader, flags: &flags::Flags) -> (PathBuf, bool) {
    match flags.values.get("config-file").and_then(Value::as_str) {
        Some(path) => (PathBuf::from(path), true),
        None => (default_config(host), false),
    }
}

/// The default of `--config-file`: under rootlesskit it is below the user's configuration directory.
pub fn default_config(host: &dyn SystemReader) -> PathBuf {
    let home = || host.env_os("HOME").map(|home| Path::new(&home).join(".config"));
    let config = || host.env_os("XDG_CONFIG_HOME").map(PathBuf::from);
    match is_rootless(host).then(|| config().or_else(home)).flatten() {
        Some(dir) => dir.join("docker/daemon.json"),
        None => "/etc/docker/daemon.json".into(),
    }
}

/// The finding for a missing file that `--config-file` names; without the flag a missing file is no problem.
fn missing(config: &Path) -> Finding {
    let what = format!("the configuration file {} of --config-file is missing", config.display());
    Finding::fail(causes::DAEMON_JSON_INVALID, what).with("path", config.display())
}

/// The finding for a directory at that path: a bind mount of a file that is missing on the outer host creates one.
fn directory(config: &Path) -> Finding {
    let what = format!("{} is a directory, and dockerd needs a file", config.display());
    Finding::fail(causes::DAEMON_JSON_INVALID, what)
        .with("path", config.display())
        .with("errno", "EISDIR")
        .hint(format!("`rmdir {}`, and mount a file there if one was meant", quoted(config)))
}

/// The finding for options that are given both as a flag and in the file, which dockerd refuses even for equal values.
fn conflict(flags: &flags::Flags, file: &file::ConfigFile, config: &Path) -> Option<Finding> {
    let merges = |key: &str| options::ALL.iter().any(|option| option.key == key && option.merges);
    let both: Vec<_> =
        flags.values.keys().filter(|key| file.values.contains_key(**key) && !merges(key)).copied().collect();
    let first = both.first()?;
    let named = both.join(", ");
    let what = format!("{named}: given both as a flag and in {}, which dockerd refuses", config.display());
    let mut finding = Finding::fail(causes::DAEMON_JSON_FLAG_CONFLICT, what).with("path", config.display());
    if is_safe_option(first) {
        finding = finding.with("flag", &flags.values[first]).with("file", &file.values[*first]);
    }
    Some(finding.hint(format!("remove \"{first}\" from {} or from dockerd's arguments", config.display())))
}

/// The command line of dockerd: what dindcheck adds, then the profile's arguments.
///
/// An own flag is left out where the configuration file sets the option: `--debug` always, `--data-root` if the file says
/// the same. dockerd would refuse the option in both.
pub fn command_line(host: &dyn SystemReader, daemon: &Invocation<'_>) -> Vec<String> {
    let own = |key: &str| own_value(host, daemon.args, key);
    let debug = daemon.debug && !given(daemon.args, "debug") && own("debug").is_none();
    let root =
        daemon.data_root.filter(|root| own("data-root").as_ref().and_then(Value::as_str) != root.to_str());
    let mut line = vec![daemon.command.to_owned()];
    line.extend(debug.then(|| "--debug".to_owned()));
    line.extend(root.map(|root| format!("--data-root={}", root.display())));
    line.extend(daemon.args.iter().cloned());
    line
}

/// Whether the arguments give an option, as any version reads them.
fn given(args: &[String], key: &str) -> bool {
    options::changes().into_iter().any(|version| flags::parse(args, version).values.contains_key(key))
}

/// The value of an option in the configuration file, as any version reads it. A file that cannot be read sets nothing.
fn own_value(host: &dyn SystemReader, args: &[String], key: &str) -> Option<Value> {
    let accepted = options::changes().into_iter().map(|version| flags::parse(args, version));
    let flags = accepted.min_by_key(|flags| flags.problems.len()).unwrap_or_default();
    let bytes = host.read(&config_file(host, &flags).0).ok()?;
    file::value(&bytes, key)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::diagnosis::CauseId;
    use crate::finding::Level;
    use crate::host::fake::Fake;

    /// A machine with a dockerd of that version in PATH.
    pub(crate) fn machine(version: &str) -> Fake {
        Fake::new().variable("PATH", "/usr/bin").program(
            "/usr/bin/dockerd --version",
            0,
            &format!("Docker version {version}, build 1"),
        )
    }

    /// The daemon on it, with these arguments.
    pub(crate) fn daemon(host: &Fake, args: &[&str]) -> Daemon {
        read(host, args).unwrap()
    }

    /// The same with the error.
    fn read(host: &Fake, args: &[&str]) -> anyhow::Result<Daemon> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Daemon::read(host, &Invocation { command: "dockerd", args: &args, data_root: None, debug: true })
    }

    /// The command line with these arguments of dockerd.
    fn line(host: &Fake, args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        command_line(host, &Invocation { command: "dockerd", args: &args, data_root: None, debug: true })
    }

    #[test]
    fn option_in_flags_and_file_is_a_conflict() {
        let host =
            machine("26.1.5").file("/etc/docker/daemon.json", r#"{"hosts": ["unix:///x"], "runtimes": {}}"#);
        let found = daemon(&host, &["-H", "tcp://x:1", "--add-runtime=a=b"]).problems;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].cause.map(CauseId::as_str), Some("daemon-json-flag-conflict"));
        assert!(found[0].what.starts_with("hosts: given both"));
    }

    #[test]
    fn own_debug_flag_is_left_out_where_the_file_sets_it() {
        let host = machine("26.1.5").file("/etc/docker/daemon.json", r#"{"debug": false}"#);
        assert_eq!(line(&host, &[]), ["dockerd"]);
        assert_eq!(daemon(&host, &[]).problems, []);
        assert_eq!(line(&machine("26.1.5"), &[]), ["dockerd", "--debug"]);
        let both = daemon(&host, &["--debug"]);
        assert!(
            both.problems.iter().any(|problem| problem.level == Level::Fail),
            "the user's own flag conflicts"
        );
        let other = machine("28.5.2").file("/x.json", r#"{"debug": true}"#);
        assert_eq!(line(&other, &["--config-file", "/x.json"]).len(), 3);
    }

    #[test]
    fn own_flags_are_left_out_however_the_file_is_found_and_written() {
        let debugs = |host: &Fake, args: &[&str]| line(host, args).contains(&"--debug".to_owned());
        let with = |text: &str| machine("20.10.24").file("/etc/docker/daemon.json", text);
        assert!(!debugs(&with(r#"{"debug": true} what 20.10 never reads"#), &[]));
        assert!(!debugs(&with(r#"{"group": {"debug": true}}"#), &[]));
        assert!(debugs(&with(r#"{"debugger": true}"#), &[]));
        let two = machine("28.5.2").file("/a.json", r#"{"debug": false}"#).file("/b.json", "{}");
        assert!(!debugs(&two, &["--config-file=/b.json", "--config-file=/a.json"]), "the last one counts");
        assert!(debugs(&two, &["--config-file=/a.json", "--config-file=/b.json"]));
        assert!(!debugs(&machine("28.5.2"), &["-Dl", "info"]), "the user's own flag");
        assert!(debugs(&machine("28.5.2"), &["--label", "--debug"]), "a value, not a flag");
        let wide: Vec<u8> = "\u{feff}{\"debug\": true}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(file::value(&wide, "debug"), Some(Value::Bool(true)));
    }

    #[test]
    fn own_data_root_is_left_out_where_the_file_says_the_same() {
        let root = Path::new("/d");
        let line = |json: &str| {
            let host = machine("28.5.2").file("/etc/docker/daemon.json", json);
            command_line(
                &host,
                &Invocation { command: "dockerd", args: &[], data_root: Some(root), debug: false },
            )
        };
        assert_eq!(line(r#"{"data-root": "/d"}"#), ["dockerd"]);
        assert_eq!(line(r#"{"data-root": "/e"}"#), ["dockerd", "--data-root=/d"]);
        assert_eq!(line("{}"), ["dockerd", "--data-root=/d"]);
    }

    #[test]
    fn findings_hold_no_value_that_may_be_a_secret() {
        let path = "/etc/docker/daemon.json";
        for (json, args) in [
            (r#"{"log-opts": {"splunk-token": "canary",}}"#, &[][..]),
            (r#"{"log-opts": {"splunk-token": canary}}"#, &[]),
            (r#"{"log-opts": {"splunk-token": "canary"}}"#, &["--log-opt=env=canary"]),
            (r#"{"labels": ["canary"]}"#, &["--label", "canary"]),
            (r#"{"labels": "canary", "canary2": "canary"}"#, &["canary"]),
            ("{}", &["--new-flag", "canary"]),
            ("{}", &["--log-opt", "canary"]),
            ("{}", &["--cluster-store-opt=canary"]),
            ("{}", &["--mtu=http://u:canary@p"]),
            ("{}", &["-xcanary"]),
            ("{}", &["--debug", "canary"]),
        ] {
            for version in ["20.10.24", "28.5.2"] {
                let found = daemon(&machine(version).file(path, json), args).problems;
                let said = format!("{found:?}").replace("canary2", "");
                assert!(!said.contains("canary"), "{json} {args:?}: {said}");
            }
        }
    }

    #[test]
    fn only_a_named_file_must_exist() {
        let host = machine("28.5.2");
        assert_eq!(daemon(&host, &[]).problems, []);
        assert!(daemon(&host, &["--config-file=/no.json"]).problems[0].what.contains("/no.json"));
    }

    #[test]
    fn directory_in_place_of_the_file_is_a_problem() {
        let path = "/etc/docker/daemon.json";
        let host = machine("28.5.2").dir(path).fails("read", path, Errno::EISDIR, None);
        let found = daemon(&host, &[]).problems;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("is a directory"), "{found:?}");
        assert_eq!(daemon(&host, &["--config-file", path]).problems.len(), 1);
    }

    #[test]
    fn unreadable_file_is_an_error() {
        let host = machine("28.5.2").file("/etc/docker/daemon.json", "{}").fails(
            "read",
            "/etc/docker/daemon.json",
            Errno::EACCES,
            None,
        );
        assert!(read(&host, &[]).is_err());
    }
}
