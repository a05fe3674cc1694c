//! Warns of API addresses that anyone can connect to: such a client is root here, and with `--privileged` on the host.

use crate::diagnosis::causes;
use crate::facts::daemon::Daemon;
use crate::facts::daemon::given::given_member;
use crate::facts::daemon::hosts::Listen;
use crate::finding::Finding;

/// TCP addresses without client authentication: a warning, which the profile `strict` makes a failure.
pub(super) fn judge(daemon: &Daemon) -> Vec<Finding> {
    let tls = &daemon.settings.tls;
    let open = daemon
        .settings
        .hosts
        .iter()
        .filter(|listen| matches!(listen, Listen::Tcp(..)) && !listen.is_loopback());
    let protected = tls.on && tls.verify;
    open.filter(|_| !protected).map(|listen| warn(daemon, listen)).collect()
}

fn warn(daemon: &Daemon, listen: &Listen) -> Finding {
    let tls = &daemon.settings.tls;
    let how = if tls.on { "client authentication" } else { "TLS" };
    let what = format!("dockerd will listen on {listen} without {how}; anyone who can connect gets root");
    let finding = Finding::warn(causes::OPEN_TCP_LISTENER_WITHOUT_TLS, what).with("host", listen);
    let without = given_member(daemon, "hosts", &listen.to_string()).undo;
    if tls.chosen {
        return finding.hint(format!("{without}, listen on 127.0.0.1, or use --tlsverify"));
    }
    // `loadListeners` in dockerd's daemon.go: 1 s for each, and 15 s more unless --tls=false is given.
    finding
        .with("start_delay", "16 s")
        .hint(format!("{without}, listen on 127.0.0.1, or use --tlsverify; --tls=false at least avoids the 16 s that dockerd waits before it starts"))
}
