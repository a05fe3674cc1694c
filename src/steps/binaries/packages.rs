//! The packages that bring a program of the engine, for hints.

/// The packages of Debian (and Ubuntu) and of Alpine. Programs of Docker's own packages have other names there: docker-ce,
/// containerd.io.
fn packages(program: &str) -> Option<(&'static str, &'static str)> {
    Some(match program {
        "dockerd" | "docker-proxy" | "docker-init" => ("docker.io", "docker"),
        "containerd" | "containerd-shim-runc-v2" => ("containerd", "containerd"),
        "runc" => ("runc", "runc"),
        "iptables" | "ip6tables" => ("iptables", "iptables"),
        "nft" => ("nftables", "nftables"),
        "fuse-overlayfs" => ("fuse-overlayfs", "fuse-overlayfs"),
        _ => return None,
    })
}

/// How a missing program is installed.
pub(super) fn install(program: &str) -> Option<String> {
    let (debian, alpine) = packages(program)?;
    let image = "or use an image that has the whole engine, such as docker:dind";
    Some(format!("install {program}: `apt-get install {debian}`, `apk add {alpine}`; {image}"))
}

/// How a broken program is installed anew.
pub(super) fn reinstall(program: &str) -> Option<String> {
    let (debian, alpine) = packages(program)?;
    let other = "(for this machine: `uname -m`)";
    Some(format!("install it anew: `apt-get install --reinstall {debian}`, `apk fix {alpine}` {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_that_dockerd_starts_has_a_package() {
        for program in
            ["dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy", "iptables", "nft"]
        {
            assert!(install(program).is_some_and(|hint| hint.contains("apt-get install")), "{program}");
        }
        assert_eq!(install("/opt/mine"), None);
    }
}
