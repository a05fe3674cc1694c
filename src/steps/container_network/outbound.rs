//! Checks outbound traffic of an inner container: gateway, path MTU, resolvers and destinations.

use super::{Compared, switched_off};
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Expected, Off};
use crate::finding::Finding;
use crate::probe::reach::{Attempt, Kind, PathMtu, RESOLVER, Reached};
use crate::text::seconds;

pub(super) const OUT: CauseId = causes::CONTAINER_OUTBOUND_NETWORK_UNREACHABLE;
const DNS: CauseId = causes::CONTAINER_DNS_BROKEN;
const MTU: CauseId = causes::MTU_MISMATCH;

/// The findings on everything beyond the bridge.
pub(super) fn judge(reached: &Reached, compared: &Compared, expected: &Expected) -> Vec<Finding> {
    let off = expected.no_way_out();
    let mut findings: Vec<_> =
        reached.of(Kind::Outer).map(|attempt| gateway(attempt, compared, off)).collect();
    findings.extend(reached.mtu.as_ref().map(path_mtu));
    findings.push(resolvers(reached, compared, off));
    findings.extend(reached.of(Kind::Name).map(|attempt| named(attempt, DNS, "resolves")));
    findings.extend(reached.of(Kind::Endpoint).map(|attempt| named(attempt, OUT, "is reached")));
    findings
}

/// The gateway of this container.
fn gateway(attempt: &Attempt, compared: &Compared, off: Option<&Off>) -> Finding {
    let to = &attempt.to;
    match &attempt.error {
        None => Finding::pass(format!("this container's gateway {to} answers an inner container"))
            .with("to", to)
            .with("answer", &attempt.answer),
        Some(error) if compared.outer => {
            if let Some(off) = off {
                return switched_off("an inner container reaches only this container", off)
                    .with("tried", error);
            }
            let what = format!(
                "an inner container does not reach this container's gateway {to}, which answers this container: {error}"
            );
            Finding::fail(OUT, what).with("to", to).with("errno", error.errno)
        }
        Some(error) => Finding::pass(format!(
            "this container's gateway {to} answers neither an inner container nor this one"
        ))
        .with("tried", error),
    }
}

/// The path MTU.
fn path_mtu(mtu: &PathMtu) -> Finding {
    let PathMtu { own, path, small, large } = *mtu;
    let hint = format!("start dockerd with --mtu {}", path.min(own));
    let finding = if path < own {
        let what = format!("an inner container sends packets of {own} bytes, but the path MTU is {path}");
        Finding::warn(MTU, what).hint(hint)
    } else if small && !large {
        let what = format!("packets of {own} bytes from an inner container are lost, small ones are not");
        Finding::fail(MTU, what)
            .hint("find the largest that passes (`ping -M do -s`), and start dockerd with that --mtu")
    } else if large {
        Finding::pass(format!("packets of {own} bytes pass to this container's gateway"))
    } else {
        Finding::pass(format!("packets of {own} bytes were not refused on the path"))
    };
    finding.with("inner_mtu", own).with("path_mtu", path)
}

/// One resolver that answers is enough, whatever the answer is.
fn resolvers(reached: &Reached, compared: &Compared, off: Option<&Off>) -> Finding {
    let mut all = reached.of(Kind::Resolver).peekable();
    let names = reached.of(Kind::Resolver).map(|attempt| attempt.to.as_str()).collect::<Vec<_>>().join(", ");
    let none = all.peek().is_none();
    if let Some(good) = all.find(|attempt| attempt.error.is_none()) {
        return Finding::pass(format!("the resolver {} answers", good.to)).with("answer", &good.answer);
    }
    let error = reached.of(Kind::Resolver).find_map(|attempt| attempt.error.clone());
    let with_error = |finding: Finding| match &error {
        Some(error) => finding.with("tried", error).with("errno", error.errno),
        None => finding,
    };
    if let Some(off) = off.filter(|_| compared.resolver && !none) {
        return with_error(switched_off("no resolver of an inner container answers", off));
    }
    if compared.resolver {
        let what = if none {
            "an inner container has no resolver, but this container has one".to_owned()
        } else {
            format!("no resolver of an inner container answers ({names}), but one of this container does")
        };
        return with_error(Finding::fail(DNS, what).with("to", names))
            .hint("give inner containers a resolver that answers: `dockerd --dns ADDRESS`");
    }
    if none {
        // `network` says that there is none.
        return Finding::pass("neither an inner container nor this one has a resolver");
    }
    let within = seconds(RESOLVER);
    let what = format!(
        "no resolver answers within {within}, neither an inner container nor this one ({names}): nothing can be pulled by name"
    );
    with_error(Finding::warn(causes::DNS_RESOLVER_NOT_ANSWERING, what)).with("resolvers", names).hint(
        "write a name server that answers into /etc/resolv.conf of the outer container (`docker run --dns ADDRESS`), or \
         give one to the inner containers alone (`dockerd --dns ADDRESS`); where there is no DNS on purpose, mute this in the \
         profile: `causes: {dns-resolver-not-answering: pass}`",
    )
}

/// A destination that the profile names.
fn named(attempt: &Attempt, cause: CauseId, verb: &str) -> Finding {
    let to = &attempt.to;
    match &attempt.error {
        None => Finding::pass(format!("{to} {verb} from an inner container")).with("answer", &attempt.answer),
        Some(error) => {
            Finding::fail(cause, format!("an inner container must reach {to} and does not: {error}"))
                .with("to", to)
                .with("errno", error.errno)
        }
    }
}
