//! Why a daemon does not answer, in words: the errors of hyper, bollard and the system by their types.

use std::error::Error;
use std::io;

use bollard::errors::Error as Bollard;
use nix::errno::Errno;

use super::http::BadAnswer;
use super::names::NameError;
use crate::facts::endpoint::Endpoint;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// The name of the host has no address.
    Name(NameError),
    /// A system call failed.
    System(Errno),
    /// What came is no answer.
    Bad(BadAnswer),
    /// Anything else, as the innermost error says it.
    Other(String),
}

impl Reason {
    /// The reason among an error and its sources.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let chain = chain(error);
        let reason = chain.iter().find_map(|error| known(*error));
        reason.unwrap_or_else(|| Self::Other(chain.last().map_or(String::new(), ToString::to_string)))
    }

    /// The words for people, with the next thing to do.
    pub(super) fn sentence(&self, endpoint: &Endpoint) -> String {
        match self {
            Self::Name(error) => error.to_string(),
            Self::System(errno) => {
                let meaning = format!("{} ({errno:?})", errno.desc());
                match advice(*errno, endpoint) {
                    Some(advice) => format!("{meaning}; {advice}"),
                    None => meaning,
                }
            }
            Self::Bad(bad) => bad.to_string(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// An error and all errors behind it, the innermost last. The error inside an `io::Error` is not among its sources.
pub(super) fn chain<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let inner = |error: &&'e (dyn Error + 'static)| -> Option<&'e (dyn Error + 'static)> {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref() {
            // Both stand for what is in them, and so have its sources.
            Some(Bollard::IOError { err }) => return Some(err),
            Some(Bollard::HyperResponseError { err }) => return Some(err),
            _ => {}
        }
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), inner).collect()
}

/// What one error of a chain says by its type.
fn known(error: &(dyn Error + 'static)) -> Option<Reason> {
    if let Some(bad) = error.downcast_ref::<BadAnswer>() {
        return Some(Reason::Bad(bad.clone()));
    }
    if let Some(name) = error.downcast_ref::<NameError>() {
        return Some(Reason::Name(name.clone()));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return of_io(io);
    }
    match error.downcast_ref() {
        Some(Bollard::RequestTimeoutError) => return Some(Reason::System(Errno::ETIMEDOUT)),
        Some(Bollard::SocketNotFoundError(_)) => return Some(Reason::System(Errno::ENOENT)),
        _ => {}
    }
    let hyper = error.downcast_ref::<hyper::Error>()?;
    match hyper {
        error if error.is_parse() => Some(Reason::Bad(BadAnswer::NotHttp)),
        error if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            Some(Reason::Bad(BadAnswer::Cut))
        }
        error if error.is_timeout() => Some(Reason::System(Errno::ETIMEDOUT)),
        _ => None,
    }
}

/// What an error of the system says; those that only wrap another one say nothing.
fn of_io(error: &io::Error) -> Option<Reason> {
    if let Some(number) = error.raw_os_error() {
        return Some(Reason::System(Errno::from_raw(number)));
    }
    // The errors that std, tokio and hyper make themselves.
    match error.kind() {
        _ if error.get_ref().is_some_and(|inner| inner.source().is_some() || known(inner).is_some()) => None,
        io::ErrorKind::TimedOut => Some(Reason::System(Errno::ETIMEDOUT)),
        io::ErrorKind::UnexpectedEof => Some(Reason::Bad(BadAnswer::Cut)),
        io::ErrorKind::ConnectionRefused => Some(Reason::System(Errno::ECONNREFUSED)),
        io::ErrorKind::ConnectionReset => Some(Reason::System(Errno::ECONNRESET)),
        io::ErrorKind::BrokenPipe => Some(Reason::System(Errno::EPIPE)),
        io::ErrorKind::NotFound => Some(Reason::System(Errno::ENOENT)),
        io::ErrorKind::PermissionDenied => Some(Reason::System(Errno::EACCES)),
        _ => None,
    }
}

/// The next thing to do about the error of a connection.
fn advice(errno: Errno, endpoint: &Endpoint) -> Option<String> {
    let is_socket = matches!(endpoint, Endpoint::Unix(_));
    Some(match errno {
        Errno::ENOENT if is_socket => "start the daemon, or mount its socket into this container".to_owned(),
        Errno::EACCES | Errno::EPERM if is_socket => {
            "run dindcheck as root, or as a member of the socket's group".to_owned()
        }
        Errno::ECONNREFUSED => format!("nothing listens there: start the daemon, or correct {endpoint}"),
        Errno::ECONNRESET | Errno::EPIPE => "the daemon closed the connection: its log says why".to_owned(),
        Errno::ETIMEDOUT | Errno::EHOSTUNREACH | Errno::ENETUNREACH => {
            format!("check the network and the firewall on the way to {endpoint}")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// A wrapper whose own words are of no use, as hyper's legacy client is one.
    #[derive(Debug)]
    struct Wrapper(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Error in the hyper legacy client")
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    fn sentence(error: impl Error + Send + Sync + 'static) -> String {
        let endpoint = Endpoint::Unix("/run/x.sock".into());
        Reason::of(&Wrapper(Box::new(Wrapper(Box::new(error))))).sentence(&endpoint)
    }

    #[test]
    fn innermost_error_is_named_and_no_wrapper() {
        let os = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        for (said, words) in [
            (sentence(os(Errno::ECONNREFUSED)), "Connection refused (ECONNREFUSED); nothing listens there"),
            (sentence(os(Errno::ENOENT)), "No such file or directory (ENOENT); start the daemon"),
            (sentence(os(Errno::EACCES)), "Permission denied (EACCES); run dindcheck as root"),
            (sentence(io::Error::other(os(Errno::EPIPE))), "(EPIPE); the daemon closed"),
            (sentence(io::Error::from(io::ErrorKind::UnexpectedEof)), "closed the connection"),
            (sentence(Bollard::RequestTimeoutError), "(ETIMEDOUT)"),
            (sentence(io::Error::other(BadAnswer::NotHttp)), "not in HTTP"),
            (sentence(io::Error::other("its own words")), "its own words"),
        ] {
            assert!(said.contains(words), "{said}");
            assert!(!said.contains("hyper"), "{said}");
        }
    }
}
