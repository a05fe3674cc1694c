//! Errors in words, with the meaning and the name of an errno: `No such file or directory (ENOENT)`.

use std::error::Error;
use std::io;

use nix::errno::Errno;

/// An error of the system in words.
pub fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| named(Errno::from_raw(errno)))
}

/// An error with its causes in one line.
pub fn chain(error: &anyhow::Error) -> String {
    error.chain().map(words).collect::<Vec<_>>().join(": ")
}

/// One error of a chain.
fn words(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return reason(error);
    }
    error.downcast_ref::<Errno>().map_or_else(|| error.to_string(), |errno| named(*errno))
}

fn named(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn errno_of_every_type_has_its_meaning_and_name() {
        let io: anyhow::Result<()> = Err(io::Error::from_raw_os_error(2)).context("open /x");
        assert_eq!(chain(&io.unwrap_err()), "open /x: No such file or directory (ENOENT)");
        let errno: anyhow::Result<()> = Err(Errno::EBUSY).context("mount");
        assert_eq!(chain(&errno.unwrap_err()), "mount: Device or resource busy (EBUSY)");
        assert_eq!(chain(&anyhow::anyhow!("plain")), "plain");
        assert_eq!(reason(&io::ErrorKind::TimedOut.into()), "timed out");
    }
}
