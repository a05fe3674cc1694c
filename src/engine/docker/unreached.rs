//! What is wrong with an address at which no daemon answers, and what makes one answer there.

use nix::errno::Errno;

use super::names::{NameError, NameFailure};
use super::reason::Reason;
use crate::diagnosis::{CauseId, causes};
use crate::facts::endpoint::Endpoint;

/// Why nothing answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The cause.
    pub cause: CauseId,
    /// What the system or a name server says.
    pub reason: String,
    /// What to do about exactly that; `None` where nothing better is known than the cause's remedy.
    pub hint: Option<String>,
}

impl Unreached {
    /// By the error of a connection.
    pub fn of(endpoint: &Endpoint, error: &std::io::Error) -> Self {
        Self::by(endpoint, &Reason::of(error))
    }

    /// Nobody accepted or refused the connection so far, if its name is resolved at all.
    pub fn silent(endpoint: &Endpoint) -> Self {
        let timed_out = Self::by(endpoint, &Reason::System(Errno::ETIMEDOUT));
        let address = match endpoint {
            Endpoint::Unix(_) => return timed_out,
            Endpoint::Tcp(address) => address,
            Endpoint::Tls(to) => &to.address,
        };
        if address.parse::<std::net::SocketAddr>().is_ok() {
            return timed_out;
        }
        let (name, port) = address.rsplit_once(':').unwrap_or((address, ""));
        Self {
            reason: format!("the name `{name}` is not resolved, or nobody accepts the connection"),
            hint: Some(format!(
                "use the daemon's IP address instead of `{name}`; if it does not answer either, let TCP port {port} through"
            )),
            ..timed_out
        }
    }

    pub(super) fn by(endpoint: &Endpoint, reason: &Reason) -> Self {
        let (cause, hint) = match reason {
            Reason::Name(error) => (causes::DOCKER_HOST_NAME_UNRESOLVED, Some(name_hint(error))),
            Reason::System(errno) => (causes::DAEMON_NOT_REACHABLE, errno_hint(*errno, endpoint)),
            Reason::Bad(_) | Reason::Other(_) => (causes::DAEMON_NOT_REACHABLE, None),
        };
        Self { cause, reason: reason.sentence(endpoint), hint }
    }
}

/// What makes a name known.
fn name_hint(error: &NameError) -> String {
    let name = &error.name;
    match error.why {
        NameFailure::Invalid => "write the address as tcp://HOST:PORT".to_owned(),
        NameFailure::Unknown(..) => format!(
            "correct `{name}`, or make it known here: `docker network connect NETWORK CONTAINER` joins the network of the \
             daemon's container, `alias: {name}` names a service of GitLab, and `docker run --add-host {name}:ADDRESS` \
             writes it into /etc/hosts; if it was known before, the daemon's container ended: see `docker logs`"
        ),
        NameFailure::Refused(..)
        | NameFailure::Silent(_)
        | NameFailure::Unreachable(..)
        | NameFailure::Late => {
            format!(
                "use the daemon's IP address instead of `{name}`, or write a name server that answers into /etc/resolv.conf \
                 (`docker run --dns ADDRESS`)"
            )
        }
        NameFailure::File(_) => "make /etc/hosts and /etc/resolv.conf readable".to_owned(),
    }
}

/// What makes a connection succeed that failed with this errno.
fn errno_hint(errno: Errno, endpoint: &Endpoint) -> Option<String> {
    let address = match endpoint {
        Endpoint::Unix(path) => return socket_hint(errno, &path.display().to_string()),
        Endpoint::Tcp(address) => address.as_str(),
        Endpoint::Tls(to) => to.address.as_str(),
    };
    let port = address.rsplit(':').next().unwrap_or(address);
    Some(match errno {
        Errno::ECONNREFUSED => format!(
            "start the daemon with this listener (`dockerd -H tcp://0.0.0.0:{port}`; with TLS by `--tlsverify`), or correct \
             the address: `ss -ltn` in the daemon's container shows its ports, and localhost is this container alone"
        ),
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => format!(
            "correct {address}, or join its network (`docker network connect NETWORK CONTAINER`): `ip route` shows the \
             networks that are reachable from here"
        ),
        Errno::ETIMEDOUT => format!(
            "correct {address}, or let TCP port {port} through: a firewall drops the connection, or no machine has this \
             address"
        ),
        _ => return None,
    })
}

/// The same for a Unix socket.
fn socket_hint(errno: Errno, path: &str) -> Option<String> {
    Some(match errno {
        Errno::ENOENT => format!(
            "start the daemon with `-H unix://{path}`, or share its socket with this container (`docker run -v \
             DIRECTORY:DIRECTORY`)"
        ),
        Errno::ECONNREFUSED => {
            format!("start the daemon: the one that made {path} has ended, and `dockerd` makes it anew")
        }
        Errno::EACCES | Errno::EPERM => {
            "run dindcheck as root, or as a member of the socket's group".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::http;

    /// Why nothing answers at this address of the loopback or at this socket.
    fn unreached(endpoint: &Endpoint) -> Unreached {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(http::request(endpoint, "GET", "/_ping")).unwrap_err();
        Unreached::of(endpoint, &error)
    }

    #[test]
    fn each_kind_of_address_that_does_not_answer_has_its_own_hint() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = unreached(&Endpoint::Tcp(address.to_string()));
        assert_eq!(refused.cause, causes::DAEMON_NOT_REACHABLE);
        assert!(refused.reason.contains("ECONNREFUSED"), "{refused:?}");
        assert!(refused.hint.unwrap().contains(&format!("`dockerd -H tcp://0.0.0.0:{}`", address.port())));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let missing = unreached(&Endpoint::Unix(path.clone()));
        assert!(missing.hint.unwrap().contains(&format!("-H unix://{}", path.display())));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(unreached(&Endpoint::Unix(path)).hint.unwrap().contains("has ended"));
        // RFC 5737 and 6890: no route leads to these from a machine; which error comes depends on its routes.
        let silent = Unreached::silent(&Endpoint::Tcp("192.0.2.1:2375".into()));
        assert!(silent.reason.contains("ETIMEDOUT") && silent.hint.unwrap().contains("TCP port 2375"));
    }

    #[test]
    fn failures_of_a_name_are_told_apart() {
        let hint = |why| {
            let reason = Reason::Name(NameError { name: "docker".into(), why });
            let of = Unreached::by(&Endpoint::Tcp("docker:2375".into()), &reason);
            assert_eq!(of.cause, causes::DOCKER_HOST_NAME_UNRESOLVED);
            of.hint.unwrap()
        };
        let server = "192.0.2.53".parse().unwrap();
        assert!(hint(NameFailure::Unknown(server, vec!["docker".into()])).contains("`alias: docker`"));
        assert!(hint(NameFailure::Silent(server)).contains("/etc/resolv.conf"));
    }
}
