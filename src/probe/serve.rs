//! How does a container show that it is reached? It greets whoever connects.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::host::{HostError, HostResult};

/// What it says, so that nobody else is taken for it.
pub const GREETING: &[u8] = b"dindcheck probe\n";
/// The longest wait for the rest of a greeting.
const PATIENCE: Duration = Duration::from_millis(500);

/// Listens, and greets in the background until the process ends.
pub fn greet(port: u16) -> HostResult<()> {
    let failed = |error: std::io::Error| HostError::io("listen on port", port.to_string(), &error);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(failed)?;
    let greets = move || {
        for mut caller in listener.incoming().flatten() {
            let _ = caller.write_all(GREETING);
        }
    };
    thread::Builder::new().spawn(greets).map_err(failed)?;
    Ok(())
}

/// Connects to such a one and waits for its greeting.
pub fn visit(address: SocketAddr, within: Duration) -> HostResult<()> {
    let failed =
        |op: &'static str| move |error: std::io::Error| HostError::timed(op, address.to_string(), &error);
    let mut stream = TcpStream::connect_timeout(&address, within).map_err(failed("connect to"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed("bound the waiting on"))?;
    let mut said = Vec::new();
    let most = GREETING.len() as u64;
    Read::by_ref(&mut stream).take(most).read_to_end(&mut said).map_err(failed("read a greeting from"))?;
    if said == GREETING {
        return Ok(());
    }
    // A proxy that reaches nobody accepts and hangs up.
    let errno = if said.is_empty() { nix::errno::Errno::ECONNRESET } else { nix::errno::Errno::EPROTO };
    Err(HostError::new("be greeted by", address.to_string(), errno))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn the_greeting_is_heard_and_nobody_else_is_taken_for_it() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        greet(port).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        visit(address, PATIENCE).unwrap();
        let rude = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = rude.local_addr().unwrap();
        let hangs_up = thread::spawn(move || drop(rude.accept()));
        let error = visit(address, PATIENCE).unwrap_err();
        assert_eq!(error.errno(), Errno::ECONNRESET);
        hangs_up.join().unwrap();
        assert_eq!(visit(address, PATIENCE).unwrap_err().errno(), Errno::ECONNREFUSED);
    }

    #[test]
    fn who_says_nothing_is_given_up() {
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = visit(mute.local_addr().unwrap(), PATIENCE).unwrap_err();
        assert_eq!(error.errno(), Errno::ETIMEDOUT);
    }
}
