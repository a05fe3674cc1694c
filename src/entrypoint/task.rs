//! What the entrypoint runs: the arguments behind `--`, read as docker-library's dockerd-entrypoint.sh reads its own.
//!
//! None, or options alone: dockerd itself, at the addresses that the script gives it (its `--host`, and TLS by
//! DOCKER_TLS_CERTDIR). `dockerd ...`: dockerd with these arguments. Anything else is a command beside the daemon.

use std::path::{Path, PathBuf};

use crate::facts::endpoint::{DEFAULT_SOCKET, Endpoint};
use crate::host::SystemReader;

/// The port with TLS, and the one without.
const PORTS: (u16, u16) = (2376, 2375);

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The command and its arguments; empty where the daemon itself is what runs.
    pub command: Vec<String>,
    /// dockerd's arguments.
    pub daemon_args: Vec<String>,
    /// The directory of the certificates to create, if any.
    pub certificates: Option<PathBuf>,
    /// A notice for the user.
    pub notice: Option<String>,
}

impl Task {
    /// Reads the arguments; `further` are arguments of dockerd (`--dockerd-arg`).
    pub fn read(host: &dyn SystemReader, argv: &[String], further: &[String]) -> Self {
        let set = |name: &str| host.env(name).filter(|value| !value.is_empty());
        let address = set("DOCKER_HOST");
        let mut task = match argv.first().map(String::as_str) {
            Some(first) if first == "dockerd" || first.ends_with("/dockerd") => {
                Self::daemon(argv[1..].to_vec())
            }
            Some(first) if !first.starts_with('-') => {
                Self { command: argv.to_vec(), ..Self::daemon(Vec::new()) }
            }
            _ => {
                let certificates = set("DOCKER_TLS_CERTDIR").map(PathBuf::from);
                let mut args = addresses(address.as_deref(), certificates.as_deref());
                args.extend(argv.iter().cloned());
                Self { certificates, ..Self::daemon(args) }
            }
        };
        task.daemon_args.extend(further.iter().cloned());
        if !task.command.is_empty() {
            task.serve_at(address.as_deref());
        }
        task
    }

    fn daemon(daemon_args: Vec<String>) -> Self {
        Self { command: Vec::new(), daemon_args, certificates: None, notice: None }
    }

    /// The command will connect to DOCKER_HOST, so the daemon listens at a socket that is named there.
    fn serve_at(&mut self, address: Option<&str>) {
        let named = |arg: &String| arg == "-H" || arg.starts_with("--host") || arg.starts_with("-H");
        match address.map(|address| (address, Endpoint::parse(address))) {
            Some((address, Ok(Endpoint::Unix(_)))) if !self.daemon_args.iter().any(named) => {
                self.daemon_args.insert(0, format!("--host={address}"));
            }
            Some((address, Ok(Endpoint::Tcp(_)))) if !self.daemon_args.iter().any(named) => {
                self.notice = Some(format!(
                    "DOCKER_HOST is {address}, so the command uses that daemon and not the one of this container"
                ));
            }
            _ => {}
        }
    }
}

/// dockerd's default addresses.
fn addresses(docker_host: Option<&str>, certificates: Option<&Path>) -> Vec<String> {
    let default = format!("unix://{DEFAULT_SOCKET}");
    let socket = docker_host.filter(|address| address.starts_with("unix://")).unwrap_or(&default);
    let mut args = vec![format!("--host={socket}")];
    match certificates {
        None => args.push(format!("--host=tcp://0.0.0.0:{}", PORTS.1)),
        Some(dir) => {
            let file =
                |flag: &str, name: &str| format!("--{flag}={}", dir.join("server").join(name).display());
            args.push(format!("--host=tcp://0.0.0.0:{}", PORTS.0));
            args.push("--tlsverify".to_owned());
            args.extend([
                file("tlscacert", "ca.pem"),
                file("tlscert", "cert.pem"),
                file("tlskey", "key.pem"),
            ]);
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn read(host: &Fake, line: &str) -> Task {
        let argv: Vec<_> = line.split_whitespace().map(ToOwned::to_owned).collect();
        Task::read(host, &argv, &["--debug".to_owned()])
    }

    #[test]
    fn options_alone_run_dockerd_at_its_default_addresses() {
        let task = read(&Fake::new(), "--storage-driver=vfs");
        assert_eq!(
            task.daemon_args.join(" "),
            "--host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2375 --storage-driver=vfs --debug"
        );
        assert!(task.command.is_empty());
        let tls =
            Fake::new().variable("DOCKER_TLS_CERTDIR", "/certs").variable("DOCKER_HOST", "unix:///x.sock");
        assert_eq!(
            read(&tls, "").daemon_args.join(" "),
            "--host=unix:///x.sock --host=tcp://0.0.0.0:2376 --tlsverify --tlscacert=/certs/server/ca.pem \
             --tlscert=/certs/server/cert.pem --tlskey=/certs/server/key.pem --debug"
        );
    }

    #[test]
    fn dockerd_by_name_gets_its_arguments_unchanged() {
        let host = Fake::new().variable("DOCKER_TLS_CERTDIR", "/certs");
        let task = read(&host, "dockerd -H unix:///y");
        assert_eq!(
            (task.daemon_args.join(" "), task.certificates),
            ("-H unix:///y --debug".to_owned(), None)
        );
    }

    #[test]
    fn a_command_has_the_daemon_at_its_docker_host() {
        let task = read(&Fake::new().variable("DOCKER_HOST", "unix:///x.sock"), "sh -c true");
        assert_eq!(task.command, ["sh", "-c", "true"]);
        assert_eq!(task.daemon_args, ["--host=unix:///x.sock", "--debug"]);
        assert_eq!(read(&Fake::new().variable("DOCKER_HOST", ""), "sh").daemon_args, ["--debug"]);
        let elsewhere = read(&Fake::new().variable("DOCKER_HOST", "tcp://docker:2375"), "sh");
        assert!(elsewhere.notice.unwrap().contains("tcp://docker:2375"));
    }
}
