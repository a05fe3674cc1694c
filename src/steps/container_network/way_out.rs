//! Does the inner container get out, with packets of its size, and does somebody answer its questions?

use super::Compared;
use crate::diagnosis::{CauseId, causes};
use crate::finding::Finding;
use crate::probe::reach::{Attempt, Kind, PathMtu, Reached};

const OUT: CauseId = causes::CONTAINER_OUTBOUND_NETWORK_UNREACHABLE;
const DNS: CauseId = causes::CONTAINER_DNS_BROKEN;
const MTU: CauseId = causes::MTU_MISMATCH;

/// Everything beyond the bridge.
pub(super) fn judge(reached: &Reached, compared: &Compared) -> Vec<Finding> {
    let mut findings: Vec<_> = reached.of(Kind::Outer).map(|attempt| way(attempt, compared)).collect();
    findings.extend(reached.mtu.as_ref().map(size));
    findings.push(resolvers(reached, compared));
    findings.extend(reached.of(Kind::Name).map(|attempt| wanted(attempt, DNS, "resolves")));
    findings.extend(reached.of(Kind::Endpoint).map(|attempt| wanted(attempt, OUT, "is reached")));
    findings
}

/// This container's own gateway.
fn way(attempt: &Attempt, compared: &Compared) -> Finding {
    let to = &attempt.to;
    match &attempt.error {
        None => Finding::pass(format!("the way out is open: {to}, this container's gateway, answers"))
            .with("answer", &attempt.answer),
        Some(error) if compared.outer => {
            let what = format!(
                "an inner container does not reach {to}, this container's gateway, which answers here: {error}"
            );
            Finding::fail(OUT, what).with("errno", error.errno)
        }
        Some(error) => {
            Finding::pass(format!("{to}, this container's gateway, answers neither inside nor here"))
                .with("tried", error)
        }
    }
}

/// The largest packet.
fn size(mtu: &PathMtu) -> Finding {
    let PathMtu { own, path, small, large } = *mtu;
    let hint = format!("start dockerd with --mtu {}", path.min(own));
    let finding = if path < own {
        let what = format!("an inner container sends packets of {own} bytes, and the way out takes {path}");
        Finding::warn(MTU, what).hint(hint)
    } else if small && !large {
        let what = format!(
            "packets of {own} bytes from an inner container vanish on the way out, and small ones do not"
        );
        Finding::fail(MTU, what)
            .hint("find the largest that passes (`ping -M do -s`), and start dockerd with that --mtu")
    } else if large {
        Finding::pass(format!("packets of {own} bytes pass to this container's gateway"))
    } else {
        Finding::pass(format!("nothing on the way out speaks against packets of {own} bytes"))
    };
    finding.with("inner_mtu", own).with("path_mtu", path)
}

/// One resolver that answers is enough, whatever it answers.
fn resolvers(reached: &Reached, compared: &Compared) -> Finding {
    let mut all = reached.of(Kind::Resolver).peekable();
    let names = reached.of(Kind::Resolver).map(|attempt| attempt.to.as_str()).collect::<Vec<_>>().join(", ");
    let none = all.peek().is_none();
    if let Some(good) = all.find(|attempt| attempt.error.is_none()) {
        return Finding::pass(format!("the resolver {} answers", good.to)).with("answer", &good.answer);
    }
    let error = reached.of(Kind::Resolver).find_map(|attempt| attempt.error.clone());
    let told = |finding: Finding| match &error {
        Some(error) => finding.with("tried", error).with("errno", error.errno),
        None => finding,
    };
    if compared.resolver {
        let what = if none {
            "an inner container has no resolver, and this one has".to_owned()
        } else {
            format!("no resolver of an inner container answers it ({names}), and one of this container does")
        };
        return told(Finding::fail(DNS, what))
            .hint("give inner containers a resolver that answers: `dockerd --dns ADDRESS`");
    }
    told(Finding::pass("no resolver answers, neither inside nor here")).with("resolvers", names)
}

/// What a profile names.
fn wanted(attempt: &Attempt, cause: CauseId, verb: &str) -> Finding {
    let to = &attempt.to;
    match &attempt.error {
        None => Finding::pass(format!("{to} {verb} from an inner container")).with("answer", &attempt.answer),
        Some(error) => {
            Finding::fail(cause, format!("{to} must be reached and is not, from an inner container: {error}"))
                .with("errno", error.errno)
        }
    }
}
