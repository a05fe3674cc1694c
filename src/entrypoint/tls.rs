//! The certificates of a daemon with TLS: created with openssl where they are missing, in the layout of docker-library's
//! images (`ca`, `server`, `client` below DOCKER_TLS_CERTDIR).

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::facts::programs::locate;
use crate::host::{SystemReader, SystemWriter};

/// The script that creates them.
const SCRIPT: &str = include_str!("tls.sh");
/// The script's deadline: three keys of 4096 bits take seconds, and many on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Creates the missing certificates.
///
/// # Errors
///
/// Where certificates are missing and openssl is not there, or the script fails.
pub fn provide(host: &dyn SystemReader, machine: &dyn SystemWriter, dir: &Path) -> anyhow::Result<()> {
    let has = |name: &str| host.stat(&dir.join("server").join(name)).is_ok_and(|stat| stat.size > 0);
    let complete = ["ca.pem", "cert.pem", "key.pem"].iter().all(|name| has(name));
    if locate(host, "openssl")?.is_none() {
        ensure!(
            complete,
            "DOCKER_TLS_CERTDIR is {0}, but server/ca.pem, cert.pem or key.pem is missing there, and openssl to \
             create them as well: install openssl, mount certificates, or pass `-e DOCKER_TLS_CERTDIR=` for no TLS",
            dir.display()
        );
        return Ok(());
    }
    let dir = dir.display().to_string();
    let ran = machine.execute(Path::new("/bin/sh"), &["-c", SCRIPT, "sh", &dir], TIMEOUT)?;
    ensure!(ran.code == 0, "cannot create the certificates in {dir}: {}", ran.stderr.trim());
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "certificates of the test's own")]
mod tests {
    use super::*;
    use crate::host::live::Live;

    #[test]
    #[ignore = "needs openssl, and takes seconds"]
    fn certificates_are_created_once_and_are_valid() {
        let (dir, host) = (tempfile::tempdir().unwrap(), Live::default());
        provide(&host, &host, dir.path()).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let first = read("server/cert.pem");
        provide(&host, &host, dir.path()).unwrap();
        assert_eq!(read("server/cert.pem"), first);
        for name in ["client/key.pem", "client/ca.pem", "server/ca.pem"] {
            assert!(!read(name).is_empty());
        }
        let ca = dir.path().join("ca/cert.pem").display().to_string();
        let cert = dir.path().join("client/cert.pem").display().to_string();
        let ran =
            host.run(Path::new("/usr/bin/openssl"), &["verify", "-CAfile", &ca, &cert], TIMEOUT).unwrap();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
}
