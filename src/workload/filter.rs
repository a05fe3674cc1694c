//! Failures because a seccomp filter of the outer container refuses a system call that the inner engine needs.

use crate::diagnosis::causes;
use crate::diagnosis::reason::Reason;
use crate::facts::caps::Cap;
use crate::facts::status::{Seccomp, Status};
use crate::finding::{Finding, Level};
use crate::host::SystemReader;

/// What runc says if `unshare` is refused to its child, which ends without a word (runc `libcontainer/nsenter`).
const NO_CHILD: &str = "can't get final child's PID from pipe";

/// The finding, blamed on the filter if there is one, the message names a system call that was refused (EPERM, ENOSYS), and
/// the capabilities for it are held: then nothing but the filter refuses it.
pub fn blame_filter(host: &dyn SystemReader, finding: Finding) -> Finding {
    let call = (finding.level == Level::Fail).then(|| message_of(&finding)).flatten().and_then(refused_call);
    let Some(call) = call else { return finding };
    let filtered = Status::read(host).is_ok_and(|own| {
        own.seccomp == Seccomp::Filter
            && [Cap::SYS_ADMIN, Cap::NET_ADMIN].iter().all(|cap| own.effective.has(*cap))
    });
    if !filtered {
        return finding;
    }
    let hint = format!(
        "the seccomp filter of the outer container refuses {call}: allow it in the profile that `--security-opt seccomp=<file>` names (\"names\": [\"{call}\"], \"action\": \"SCMP_ACT_ALLOW\"), or start the outer container with `--security-opt seccomp=unconfined`"
    );
    let what = format!("the seccomp filter of this container refuses {call}: {}", finding.what);
    Finding { what, cause: Some(causes::SECCOMP_BLOCKS_SYSTEM_CALL), ..finding }.with("call", call).hint(hint)
}

/// The message of the engine in the evidence.
fn message_of(finding: &Finding) -> Option<&str> {
    let of =
        |key: &str| finding.evidence.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str());
    of("message").or_else(|| of("first_error")).or_else(|| of("last_words"))
}

fn refused_call(message: &str) -> Option<&'static str> {
    if message.contains(NO_CHILD) { Some("unshare") } else { Reason::of(message).refused_call() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn status(seccomp: u8, effective: &str) -> Fake {
        let text =
            format!("CapEff:\t{effective}\nCapBnd:\t{effective}\nNoNewPrivs:\t0\nSeccomp:\t{seccomp}\n");
        Fake::new().file("/proc/self/status", &text)
    }

    fn failing(message: &str) -> Finding {
        Finding::fail(causes::CONTAINER_START_FAILED, "no").with("message", message)
    }

    const ALL: &str = "000001ffffffffff";
    const SETNS: &str = "unable to start container process: error spawning mount remapping thread: mount source thread: \
                         join container mntns: setns: operation not permitted: unknown";

    #[test]
    fn refused_call_is_the_filters_if_the_capabilities_are_held() {
        for (message, call) in [
            (SETNS, "setns"),
            ("setns: function not implemented", "setns"),
            (
                "runc create failed: unable to start container process: can't get final child's PID from pipe: EOF",
                "unshare",
            ),
            (
                "error jailing process inside rootfs: unmount dst=., flags=MS_NOSUID: operation not permitted",
                "umount2",
            ),
            ("error during container init: sethostname: operation not permitted", "sethostname"),
            ("unable to setup user: setgroups: operation not permitted", "setgroups"),
            ("error jailing process inside rootfs: pivot_root .: operation not permitted", "pivot_root"),
        ] {
            let blamed = blame_filter(&status(2, ALL), failing(message));
            assert_eq!(blamed.cause, Some(causes::SECCOMP_BLOCKS_SYSTEM_CALL), "{message}");
            assert!(
                blamed.hint.as_deref().unwrap().contains(&format!("refuses {call}:")),
                "{message}: {blamed:?}"
            );
        }
    }

    #[test]
    fn without_a_filter_or_without_the_capability_the_finding_stays() {
        for host in [status(0, ALL), status(2, "00000000a80425fb")] {
            assert_eq!(blame_filter(&host, failing(SETNS)), failing(SETNS));
        }
        let other = failing("no space left on device");
        assert_eq!(blame_filter(&status(2, ALL), other.clone()), other);
    }
}
