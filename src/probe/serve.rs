//! A server that sends a greeting to every connection, and its client: how one container shows that another reached it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::host::{HostError, HostResult};

/// The greeting, which no other service sends.
pub const GREETING: &[u8] = b"dindcheck probe\n";
/// The deadline for the greeting after the connection.
const GREETING_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens on a port, at every IPv4 and IPv6 address, and greets in the background until the process ends. An error where
/// neither can be listened on.
pub fn greet(port: u16) -> HostResult<()> {
    // `net.ipv6.bindv6only` decides whether the first one takes IPv4 as well; if it does, the second one is refused.
    let six = greet_at(Ipv6Addr::UNSPECIFIED.into(), port);
    let four = greet_at(Ipv4Addr::UNSPECIFIED.into(), port);
    six.or(four)
}

/// Listens at one unspecified address.
fn greet_at(address: IpAddr, port: u16) -> HostResult<()> {
    let failed = |error: std::io::Error| HostError::io("listen on port", port.to_string(), &error);
    let listener = TcpListener::bind((address, port)).map_err(failed)?;
    let greets = move || {
        for mut caller in listener.incoming().flatten() {
            let _ = caller.write_all(GREETING);
        }
    };
    thread::Builder::new().spawn(greets).map_err(failed)?;
    Ok(())
}

/// Connects and waits for the greeting. Errors: `ETIMEDOUT` after a deadline, `ECONNRESET` where the connection is closed
/// without a greeting, `EPROTO` for another greeting.
pub fn expect_greeting(address: SocketAddr, within: Duration) -> HostResult<()> {
    let failed =
        |op: &'static str| move |error: std::io::Error| HostError::timed(op, address.to_string(), &error);
    let mut stream = TcpStream::connect_timeout(&address, within).map_err(failed("connect to"))?;
    stream.set_read_timeout(Some(GREETING_TIMEOUT)).map_err(failed("set the timeout of"))?;
    let mut received = Vec::new();
    let most = GREETING.len() as u64;
    Read::by_ref(&mut stream)
        .take(most)
        .read_to_end(&mut received)
        .map_err(failed("read the greeting of"))?;
    if received == GREETING {
        return Ok(());
    }
    // A proxy whose target does not answer accepts and closes.
    let errno = if received.is_empty() { nix::errno::Errno::ECONNRESET } else { nix::errno::Errno::EPROTO };
    Err(HostError::new("read the greeting of", address.to_string(), errno))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn greeting_is_received_and_another_service_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        greet(port).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        expect_greeting(address, GREETING_TIMEOUT).unwrap();
        let closing = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closing.local_addr().unwrap();
        let closes = thread::spawn(move || drop(closing.accept()));
        let error = expect_greeting(address, GREETING_TIMEOUT).unwrap_err();
        assert_eq!(error.errno(), Errno::ECONNRESET);
        closes.join().unwrap();
        assert_eq!(expect_greeting(address, GREETING_TIMEOUT).unwrap_err().errno(), Errno::ECONNREFUSED);
    }

    #[test]
    fn both_families_are_greeted() {
        let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        greet(port).unwrap();
        for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            expect_greeting(address.parse().unwrap(), GREETING_TIMEOUT).unwrap();
        }
    }

    #[test]
    fn silent_service_times_out() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = expect_greeting(silent.local_addr().unwrap(), GREETING_TIMEOUT).unwrap_err();
        assert_eq!(error.errno(), Errno::ETIMEDOUT);
    }
}
