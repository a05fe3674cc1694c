//! What will dockerd do, given its arguments, daemon.json, its environment and its version?
//!
//! Everything that later steps need to know of it (where it stores, listens and logs, which firewall it uses)
//! is worked out here as dockerd itself does it, before it is started.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;
use serde_json::Value;

use super::programs::{Dockerd, Place, Said};
use super::version::Version;
use crate::diagnosis::causes;
use crate::finding::Finding;
use crate::host::SystemReader;

pub mod file;
pub mod flags;
pub mod hosts;
pub mod layout;
pub mod options;
pub mod rootless;
pub mod settings;
pub mod store;
pub mod tls;
pub mod values;

pub use layout::Layout;
pub use rootless::is_rootless;
pub use settings::{Containerd, Firewall, Settings};
pub use store::Store;
pub use tls::Tls;
pub use values::Values;

/// How a dockerd is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The program: a name to be found in PATH, or a path.
    pub command: &'a str,
    /// Its arguments, after those that dindcheck adds.
    pub args: &'a [String],
    /// `--data-root`, where it is not dockerd's own choice.
    pub data_root: Option<&'a Path>,
    /// Whether dindcheck adds `--debug`.
    pub debug: bool,
}

/// The daemon as it will be.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its version.
    pub version: Version,
    /// Its configuration file.
    pub config: PathBuf,
    /// Whether that file is there.
    pub config_found: bool,
    /// What was given as a flag.
    pub flags: flags::Flags,
    /// What the file says.
    pub file: file::ConfigFile,
    /// Flags and file against each other and on their own: what dockerd refuses to start with.
    pub problems: Vec<Finding>,
    /// What follows from all of it; where there are problems, as far as it can be read.
    pub settings: Settings,
}

impl Daemon {
    /// Reads it. An error where dockerd or its version is not known: nothing follows then.
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
                return Err(error).context("the daemon's configuration file decides, and cannot be read");
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

/// The version of a dockerd that answers.
fn version(dockerd: &Dockerd) -> anyhow::Result<Version> {
    match (&dockerd.place, &dockerd.said) {
        (_, Some(Said::Answered(Some(version), _))) => Ok(*version),
        (_, Some(Said::Answered(None, words))) => bail!("dockerd says no version: {words}"),
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

/// Where the file is unless `--config-file` says it: beside the user's own files under rootlesskit.
pub fn default_config(host: &dyn SystemReader) -> PathBuf {
    let home = || host.env("HOME").map(|home| format!("{home}/.config"));
    match is_rootless(host).then(|| host.env("XDG_CONFIG_HOME").or_else(home)).flatten() {
        Some(dir) => Path::new(&dir).join("docker/daemon.json"),
        None => "/etc/docker/daemon.json".into(),
    }
}

/// A file that was named and is not there; without its name it would not be needed.
fn missing(config: &Path) -> Finding {
    let what =
        format!("the configuration file {} is not there, and --config-file names it", config.display());
    Finding::fail(causes::DAEMON_JSON_INVALID, what).with("path", config.display())
}

/// A bind mount of a file that was not there on the outer host makes a directory of it.
fn directory(config: &Path) -> Finding {
    let what = format!("{} is a directory, and dockerd reads it as a file", config.display());
    Finding::fail(causes::DAEMON_JSON_INVALID, what)
        .with("path", config.display())
        .with("errno", "EISDIR")
        .hint(format!("rmdir {}, and mount a file there if one was meant", config.display()))
}

/// What is given both as a flag and in the file, which dockerd refuses whatever the values.
fn conflict(flags: &flags::Flags, file: &file::ConfigFile, config: &Path) -> Option<Finding> {
    let merges = |key: &str| options::ALL.iter().any(|option| option.key == key && option.merges);
    let both: Vec<_> =
        flags.values.keys().filter(|key| file.values.contains_key(**key) && !merges(key)).copied().collect();
    let first = both.first()?;
    let named = both.join(", ");
    let what = format!("{named}: given both as a flag and in {}, which dockerd refuses", config.display());
    let mut finding = Finding::fail(causes::DAEMON_JSON_FLAG_CONFLICT, what).with("path", config.display());
    if !first.contains("proxy") {
        finding = finding.with("flag", &flags.values[first]).with("file", &file.values[*first]);
    }
    Some(finding.hint(format!("remove \"{first}\" from {} or from dockerd's arguments", config.display())))
}

/// The command line of dockerd: what dindcheck adds, then the profile's arguments.
///
/// dindcheck's own `--debug` is left out where daemon.json sets `debug`: dockerd refuses an option in both, and
/// the failure would be of dindcheck's making.
pub fn command_line(host: &dyn SystemReader, daemon: &Invocation<'_>) -> Vec<String> {
    let given = |long: &str, short: &str| {
        daemon.args.iter().any(|arg| arg == long || arg.starts_with(&format!("{long}=")) || arg == short)
    };
    let debug = daemon.debug && !given("--debug", "-D") && !debug_in_file(host, daemon.args);
    let mut line = vec![daemon.command.to_owned()];
    line.extend(debug.then(|| "--debug".to_owned()));
    line.extend(daemon.data_root.iter().map(|root| format!("--data-root={}", root.display())));
    line.extend(daemon.args.iter().cloned());
    line
}

/// Whether the configuration file sets `debug`, in any version; a file that cannot be read sets nothing.
fn debug_in_file(host: &dyn SystemReader, args: &[String]) -> bool {
    let named = args.iter().enumerate().find_map(|(index, arg)| match arg.strip_prefix("--config-file") {
        Some("") => args.get(index + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(ToOwned::to_owned),
        None => None,
    });
    let config = named.map_or_else(|| default_config(host), PathBuf::from);
    let text = host.read_text(&config).unwrap_or_default();
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(object)) => file::flatten(object).contains_key("debug"),
        _ => false,
    }
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

    /// The same where it may not be readable.
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
    fn a_key_in_both_places_is_dockerds_own_failure() {
        let host =
            machine("26.1.5").file("/etc/docker/daemon.json", r#"{"hosts": ["unix:///x"], "runtimes": {}}"#);
        let found = daemon(&host, &["-H", "tcp://x:1", "--add-runtime=a=b"]).problems;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].cause.map(CauseId::as_str), Some("daemon-json-flag-conflict"));
        assert!(found[0].what.starts_with("hosts: given both"));
    }

    #[test]
    fn our_own_debug_flag_gives_way_to_the_file() {
        let host = machine("26.1.5").file("/etc/docker/daemon.json", r#"{"debug": false}"#);
        assert_eq!(line(&host, &[]), ["dockerd"]);
        assert_eq!(daemon(&host, &[]).problems, []);
        assert_eq!(line(&machine("26.1.5"), &[]), ["dockerd", "--debug"]);
        let both = daemon(&host, &["--debug"]);
        assert!(both.problems.iter().any(|problem| problem.level == Level::Fail), "that is the user's own");
        let other = machine("28.5.2").file("/x.json", r#"{"debug": true}"#);
        assert_eq!(line(&other, &["--config-file", "/x.json"]).len(), 3);
    }

    #[test]
    fn only_a_named_file_must_be_there() {
        let host = machine("28.5.2");
        assert_eq!(daemon(&host, &[]).problems, []);
        assert!(daemon(&host, &["--config-file=/no.json"]).problems[0].what.contains("/no.json"));
    }

    #[test]
    fn a_directory_in_place_of_the_file_is_dockerds_own_failure() {
        let path = "/etc/docker/daemon.json";
        let host = machine("28.5.2").dir(path).fails("read", path, Errno::EISDIR, None);
        let found = daemon(&host, &[]).problems;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("is a directory"), "{found:?}");
        assert_eq!(daemon(&host, &["--config-file", path]).problems.len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_empty_one() {
        let host = machine("28.5.2").file("/etc/docker/daemon.json", "{}").fails(
            "read",
            "/etc/docker/daemon.json",
            Errno::EACCES,
            None,
        );
        assert!(read(&host, &[]).is_err());
    }
}
