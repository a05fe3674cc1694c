//! Checks that what a log driver writes to is there: a socket of this machine, or a server.

use std::path::Path;

use nix::errno::Errno;

use super::super::values::go_bool;
use super::{Breaks, Logging, Problem, UNUSABLE, finding, instead, with_source};
use crate::facts::daemon::Daemon;
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::host::trial::{ReachRequest, Trial};
use crate::step::Cx;

/// Where journald listens (`journal.Enabled` of go-systemd).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Where syslog listens, if no address is given (srslog).
const SYSLOG: &[&str] = &["/dev/log", "/var/run/syslog", "/var/run/log"];

/// What a driver connects to when a container starts.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// One of these sockets.
    Sockets(Vec<String>),
    /// `host:port`.
    Server(String),
    /// An address that the driver refuses.
    Invalid,
}

/// The finding where it is not there.
pub(super) fn judge(cx: &Cx<'_>, daemon: &Daemon, logging: &Logging<'_>) -> anyhow::Result<Option<Finding>> {
    Ok(match target(logging) {
        None => None,
        Some(Target::Sockets(paths)) => deaf(cx.host, &paths)?.then(|| {
            let what = format!("nothing listens at {}", paths.join(" or "));
            let hint = format!("{}, or {}", start(logging.driver), instead(daemon));
            let breaks = if logging.driver == "syslog" && paths.len() == 1 {
                Breaks::Daemon
            } else {
                Breaks::Containers
            };
            finding(daemon, logging, &Problem::new(breaks, what, hint))
        }),
        Some(Target::Server(server)) => silent(cx, daemon, logging, &server)?,
        Some(Target::Invalid) => {
            let what = format!("its address `{}` is invalid", logging.shown(&address_key(logging)));
            Some(finding(daemon, logging, &Problem::new(Breaks::Daemon, what, example(logging.driver))))
        }
    })
}

/// The option with the address.
fn address_key(logging: &Logging<'_>) -> String {
    format!("{}-address", logging.driver)
}

/// A valid address.
fn example(driver: &str) -> String {
    let address = match driver {
        "syslog" => "udp://192.0.2.1:514",
        "gelf" => "udp://192.0.2.1:12201",
        _ => "tcp://127.0.0.1:24224",
    };
    format!("set `\"{driver}-address\": \"{address}\"` in log-opts, with the address of your server")
}

/// How to start what listens at the sockets.
fn start(driver: &str) -> &'static str {
    match driver {
        "journald" => {
            "mount the host's journal into the outer container: `-v /run/systemd/journal:/run/systemd/journal`"
        }
        _ => "start the program that listens there (`rsyslogd`)",
    }
}

/// What the driver connects to; `None` where it connects to nothing before a container starts.
fn target(logging: &Logging<'_>) -> Option<Target> {
    let on = |key: &str| logging.value(key).and_then(go_bool);
    match logging.driver {
        "journald" => Some(Target::Sockets(vec![JOURNAL.to_owned()])),
        "syslog" => match logging.value("syslog-address") {
            None => Some(Target::Sockets(SYSLOG.iter().map(ToString::to_string).collect())),
            Some(address) => parse(address, &["tcp", "tcp+tls", "udp", "unix", "unixgram"], Some(514)),
        },
        "gelf" => parse(logging.value("gelf-address")?, &["tcp", "udp"], None),
        "fluentd" if on("fluentd-async") == Some(true) || on("fluentd-async-connect") == Some(true) => None,
        "fluentd" => {
            let address = logging.value("fluentd-address").unwrap_or("127.0.0.1:24224");
            let address =
                if address.contains("://") { address.to_owned() } else { format!("tcp://{address}") };
            parse(&address, &["tcp", "tls", "udp", "unix", "unixgram"], Some(24224))
        }
        "splunk" if on("splunk-verify-connection") == Some(false) => None,
        "splunk" => splunk(logging.value("splunk-url")?),
        _ => None,
    }
}

/// `scheme://host:port` or `unix:///path`. Without a port the default counts, if there is one.
fn parse(address: &str, schemes: &[&str], default: Option<u16>) -> Option<Target> {
    let Some((scheme, rest)) = address.split_once("://").filter(|(scheme, _)| schemes.contains(scheme))
    else {
        return Some(Target::Invalid);
    };
    match scheme {
        "unix" | "unixgram" => return Some(Target::Sockets(vec![rest.to_owned()])),
        "udp" => return None,
        _ => {}
    }
    let host = rest.split('/').next().unwrap_or_default();
    Some(with_port(host, default).map_or(Target::Invalid, Target::Server))
}

/// The server of an URL of Splunk.
fn splunk(url: &str) -> Option<Target> {
    let (default, rest) = match url.split_once("://")? {
        ("http", rest) => (80, rest),
        ("https", rest) => (443, rest),
        _ => return None,
    };
    with_port(rest.split('/').next()?, Some(default)).map(Target::Server)
}

/// `host:port`.
fn with_port(host: &str, default: Option<u16>) -> Option<String> {
    match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Some(host.to_owned()),
        Some((_, port)) if !port.ends_with(']') => None,
        _ => default.filter(|_| !host.is_empty()).map(|port| format!("{host}:{port}")),
    }
}

/// Whether nothing listens at any of these sockets.
fn deaf(host: &dyn SystemReader, paths: &[String]) -> anyhow::Result<bool> {
    for path in paths {
        match host.connect(Path::new(path)) {
            Ok(()) => return Ok(false),
            // EPROTOTYPE: a datagram socket, which a program holds. ENODATA: a recording that does not have the question.
            Err(error) if matches!(error.errno(), Errno::EPROTOTYPE | Errno::ENODATA) => return Ok(false),
            Err(error) if error.is_absent() || error.errno() == Errno::ECONNREFUSED => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether a server accepts no connection now. Where it does not answer in time, it may answer later.
fn silent(
    cx: &Cx<'_>,
    daemon: &Daemon,
    logging: &Logging<'_>,
    server: &str,
) -> anyhow::Result<Option<Finding>> {
    let request = ReachRequest { endpoints: vec![server.to_owned()], ..ReachRequest::default() };
    let report = match cx.host.trial(&Trial::Reach(request)) {
        Err(error) if error.errno() == Errno::ENODATA => return Ok(None),
        report => report?,
    };
    let Some(error) = report.first_failed().and_then(|attempt| attempt.error.as_ref()) else {
        return Ok(None);
    };
    let what = format!("{server} does not accept connections ({error})");
    let hint = match logging.driver {
        "fluentd" => {
            format!("add `\"fluentd-async\": \"true\"` to log-opts, start the server, or {}", instead(daemon))
        }
        "splunk" => {
            format!(
                "add `\"splunk-verify-connection\": \"false\"` to log-opts, start the server, or {}",
                instead(daemon)
            )
        }
        _ => format!("start the server, or {}", instead(daemon)),
    };
    let refused = matches!(error.errno(), Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH);
    let finding = if refused {
        finding(daemon, logging, &Problem::new(Breaks::Containers, what, hint))
    } else {
        let what =
            format!("log driver {}: {what}; no container starts as long as that is so", logging.driver);
        with_source(daemon, Finding::warn(UNUSABLE, what)).hint(hint)
    };
    Ok(Some(finding.with("server", server).with("errno", format!("{:?}", error.errno()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::version::Version;

    fn target_of(driver: &'static str, options: &'static str) -> Option<Target> {
        let pairs = options.split(',').filter_map(|pair| pair.split_once('='));
        target(&Logging { driver, options: pairs.collect(), version: Version::new(28, 5, 2) })
    }

    #[test]
    fn target_is_what_the_driver_connects_to_when_a_container_starts() {
        let server = |server: &str| Some(Target::Server(server.to_owned()));
        let socket = |path: &str| Some(Target::Sockets(vec![path.to_owned()]));
        for (driver, options, wanted) in [
            ("fluentd", "", server("127.0.0.1:24224")),
            ("fluentd", "fluentd-async=true", None),
            ("fluentd", "fluentd-address=logs", server("logs:24224")),
            ("fluentd", "fluentd-address=tcp://logs:1", server("logs:1")),
            ("fluentd", "fluentd-address=unix:///x.sock", socket("/x.sock")),
            ("fluentd", "fluentd-address=[::1]:7", server("[::1]:7")),
            ("gelf", "gelf-address=udp://logs:9", None),
            ("gelf", "gelf-address=tcp://logs:9", server("logs:9")),
            ("gelf", "gelf-address=tcp://logs", Some(Target::Invalid)),
            ("syslog", "syslog-address=tcp://logs", server("logs:514")),
            ("syslog", "syslog-address=foo://x", Some(Target::Invalid)),
            ("syslog", "syslog-address=udp://logs:514", None),
            ("splunk", "splunk-url=https://logs:8088,splunk-token=t", server("logs:8088")),
            ("splunk", "splunk-url=https://logs,splunk-verify-connection=false", None),
            ("journald", "", socket(JOURNAL)),
            ("json-file", "", None),
        ] {
            assert_eq!(target_of(driver, options), wanted, "{driver} {options}");
        }
    }
}
