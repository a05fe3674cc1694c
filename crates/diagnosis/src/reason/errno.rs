//! The errnos that messages of Go and Rust programs spell out.

/// An errno, as its symbol and the words that Go has for it (Go `syscall/zerrors_linux_amd64.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno {
    /// `ENOENT`.
    pub name: &'static str,
    /// `no such file or directory`.
    pub words: &'static str,
}

const fn row(name: &'static str, words: &'static str) -> Errno {
    Errno { name, words }
}

/// The errnos that a message may end in. Some have several wordings; the first is the kernel's own.
static ALL: &[Errno] = &[
    row("EPERM", "operation not permitted"),
    row("EACCES", "permission denied"),
    row("ENOENT", "no such file or directory"),
    row("ENOENT", "executable file not found in $path"),
    row("ENOTDIR", "not a directory"),
    row("EISDIR", "is a directory"),
    row("EEXIST", "file exists"),
    row("ENOTEMPTY", "directory not empty"),
    row("ENOSPC", "no space left on device"),
    row("EDQUOT", "disk quota exceeded"),
    row("EROFS", "read-only file system"),
    row("EINVAL", "invalid argument"),
    row("EBUSY", "device or resource busy"),
    row("ENOSYS", "function not implemented"),
    row("EOPNOTSUPP", "operation not supported"),
    row("ENOEXEC", "exec format error"),
    row("ETXTBSY", "text file busy"),
    row("ELOOP", "too many levels of symbolic links"),
    row("ENAMETOOLONG", "file name too long"),
    row("EMFILE", "too many open files"),
    row("ENFILE", "too many open files in system"),
    row("ENOMEM", "cannot allocate memory"),
    row("EAGAIN", "resource temporarily unavailable"),
    row("ENODEV", "no such device"),
    row("ENXIO", "no such device or address"),
    row("EIO", "input/output error"),
    row("EXDEV", "invalid cross-device link"),
    row("EPIPE", "broken pipe"),
    row("EADDRINUSE", "address already in use"),
    row("EADDRNOTAVAIL", "cannot assign requested address"),
    row("ECONNREFUSED", "connection refused"),
    row("ECONNRESET", "connection reset by peer"),
    row("ENETUNREACH", "network is unreachable"),
    row("EHOSTUNREACH", "no route to host"),
    row("ETIMEDOUT", "connection timed out"),
    row("ETIMEDOUT", "i/o timeout"),
];

impl Errno {
    /// The errno whose words these are; a full stop at their end does not count.
    pub fn of(words: &str) -> Option<Self> {
        let words = words.trim().trim_end_matches('.');
        ALL.iter().find(|errno| errno.words.eq_ignore_ascii_case(words)).copied()
    }

    /// Whether it is one of these symbols.
    pub fn is(self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }
}
