//! Loads the built-in image, which needs no registry, or finds or pulls the image of the profile.

use std::time::Duration;

use crate::diagnosis::{self, CauseId, causes};
use crate::engine::EngineError;
use crate::engine::image::architecture;
use crate::finding::{Finding, Level};
use crate::options::ImageChoice;
use crate::step::{Cx, Phase, Step};
use crate::workload;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "image",
    title: "Test image",
    why: "Loading an image unpacks layers with the storage driver; without one there is no container.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["daemon-start"],
    check,
    repair: None,
};

/// The deadline of a small request.
const PATIENCE: Duration = Duration::from_secs(20);

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    match &cx.options.image {
        ImageChoice::Builtin => builtin(cx),
        ImageChoice::Reference(reference) => named(cx, reference),
    }
}

/// Loads the built-in image and checks that the daemon knows it.
fn builtin(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let failed = causes::IMAGE_LOAD_FAILED;
    let loaded = cx.engine.load_builtin(cx.options);
    let found = loaded.and_then(|name| Ok((cx.engine.find_image(&name, PATIENCE)?, name)));
    let finding = match found {
        Ok((Some(_), name)) => {
            Finding::pass("the built-in image is loaded, without a registry").with("image", name)
        }
        Ok((None, name)) => {
            Finding::fail(failed, format!("the daemon loaded the built-in image but does not know {name}"))
        }
        Err(EngineError::Refused { ref message, .. }) if is_full(message) => {
            Finding::fail(causes::DISK_FULL, "there is no space for the built-in image")
                .with("message", message)
        }
        Err(error) => {
            let message = if let EngineError::Refused { message, .. } = &error { message } else { "" };
            let cause = diagnosis::of_message(message).unwrap_or(failed);
            error.into_finding(cause, failed)?
        }
    };
    Ok(vec![workload::blame_filter(cx.host, finding)])
}

/// Whether a message says that a disk is full (`ENOSPC`, `EDQUOT` in Go's words).
fn is_full(message: &str) -> bool {
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

/// Finds an image by its name, or pulls it.
fn named(cx: &Cx<'_>, reference: &str) -> anyhow::Result<Vec<Finding>> {
    let missing = causes::IMAGE_NOT_FOUND;
    let hangs = causes::DAEMON_HANGS;
    let mut how = "is present";
    let mut found = match cx.engine.find_image(reference, PATIENCE) {
        Ok(found) => found,
        Err(error) => return Ok(vec![error.into_finding(missing, hangs)?]),
    };
    if found.is_none() {
        how = "was pulled";
        (cx.progress)(&format!("pulling {reference}"));
        if let Err(error) = cx.engine.pull(reference, cx.options.profile.image.timeout, cx.progress) {
            return Ok(vec![judge_pull(reference, error)?]);
        }
        found = match cx.engine.find_image(reference, PATIENCE) {
            Ok(found) => found,
            Err(error) => return Ok(vec![error.into_finding(missing, hangs)?]),
        };
    }
    Ok(match found {
        Some(image) => judge_image(reference, how, &image),
        None => vec![Finding::fail(missing, format!("{reference} was pulled but is not present"))],
    })
}

/// An image that is present: its architecture should be that of this machine.
fn judge_image(reference: &str, how: &str, image: &serde_json::Value) -> Vec<Finding> {
    let text = |key: &str| image.get(key).and_then(|value| value.as_str()).unwrap_or("?");
    let mut findings = vec![
        Finding::pass(format!("the image {reference} {how}"))
            .with("id", text("Id"))
            .with("architecture", text("Architecture")),
    ];
    let (theirs, ours) = (text("Architecture"), architecture());
    // 64-bit processors run the 32-bit programs of their family.
    let runs = matches!((ours, theirs), ("amd64", "386") | ("arm64", "arm"));
    if theirs != ours && theirs != "?" && !runs {
        findings.push(Finding::warn(
            causes::IMAGE_FOR_OTHER_ARCHITECTURE,
            format!("{reference} is for {theirs}, but this machine is {ours}"),
        ));
    }
    findings
}

/// Messages of a failed pull and their causes. The daemon passes the messages of the registry and of the network on (moby
/// `distribution/errors.go`, Go `net` and `crypto/x509`). The first matching row counts.
const PULL: &[(CauseId, &[&str])] = &[
    (causes::REGISTRY_RATE_LIMIT, &["toomanyrequests", "429 Too Many Requests"]),
    (causes::DISK_FULL, &["no space left on device", "disk quota exceeded"]),
    (causes::REGISTRY_INSECURE_HTTP, &["server gave HTTP response to HTTPS client"]),
    (causes::SYSTEM_CLOCK_WRONG, &["certificate has expired or is not yet valid"]),
    (
        causes::REGISTRY_CERTIFICATE_UNTRUSTED,
        &["x509:", "certificate signed by unknown authority", "tls: failed to verify"],
    ),
    (
        causes::IMAGE_NOT_FOUND,
        &[
            "manifest unknown",
            "not found: name unknown",
            "NAME_UNKNOWN",
            "MANIFEST_UNKNOWN",
            "repository name not known",
            "no matching manifest",
        ],
    ),
    (
        causes::REGISTRY_UNAUTHORIZED,
        &[
            "unauthorized",
            "no basic auth credentials",
            "authentication required",
            "401 Unauthorized",
            "403 Forbidden",
            "pull access denied",
            "insufficient_scope",
            "denied:",
        ],
    ),
    (
        causes::DNS_RESOLVER_NOT_ANSWERING,
        &["server misbehaving", "no such host", "Temporary failure in name resolution"],
    ),
    (
        causes::REGISTRY_UNREACHABLE,
        &[
            "connection refused",
            "i/o timeout",
            "network is unreachable",
            "no route to host",
            "Client.Timeout",
            "context deadline exceeded",
            "TLS handshake timeout",
            "connection reset",
            "EOF",
            "proxyconnect",
            "503 Service Unavailable",
            "502 Bad Gateway",
        ],
    ),
    (causes::IMAGE_NOT_FOUND, &["not found"]),
];

/// A pull that failed.
fn judge_pull(reference: &str, error: EngineError) -> anyhow::Result<Finding> {
    let EngineError::Refused { message, status, .. } = error else {
        return error.into_finding(causes::IMAGE_NOT_FOUND, causes::REGISTRY_UNREACHABLE);
    };
    let row = PULL.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
    // Docker 20.10 passes only the code of the registry on if there is no message.
    let refused =
        if message.trim() == "denied" { causes::REGISTRY_UNAUTHORIZED } else { causes::IMAGE_NOT_FOUND };
    let cause = row.map_or(refused, |(cause, _)| *cause);
    let why = match cause {
        causes::REGISTRY_RATE_LIMIT => "the rate limit of its registry is reached",
        causes::DISK_FULL => "the disk is full",
        causes::REGISTRY_INSECURE_HTTP => "its registry speaks plain HTTP and is not listed as insecure",
        causes::SYSTEM_CLOCK_WRONG => "a certificate is not valid now, or the clock is wrong",
        causes::REGISTRY_CERTIFICATE_UNTRUSTED => "the certificate of its registry is not trusted",
        causes::REGISTRY_UNAUTHORIZED => "its registry refuses: it is private, or does not exist",
        causes::DNS_RESOLVER_NOT_ANSWERING => "the name of its registry could not be resolved",
        causes::REGISTRY_UNREACHABLE => "its registry is unreachable",
        _ => "its registry does not have it",
    };
    Ok(Finding::fail(cause, format!("{reference} could not be pulled: {why}"))
        .with("message", message)
        .with("status", status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Level;

    fn cause_of(message: &str) -> &'static str {
        let error = EngineError::Refused { doing: "pull".into(), status: 500, message: message.into() };
        judge_pull("x", error).unwrap().cause.unwrap().as_str()
    }

    #[test]
    fn each_refusal_of_a_registry_has_its_cause() {
        for (message, cause) in [
            ("toomanyrequests: You have reached your pull rate limit.", "registry-rate-limit"),
            ("manifest for r:5000/x:1 not found: manifest unknown: manifest unknown", "image-not-found"),
            (
                "pull access denied for x, repository does not exist or may require 'docker login': denied: \
                 requested access to the resource is denied",
                "registry-unauthorized",
            ),
            ("Head \"https://r/v2/x/manifests/1\": no basic auth credentials", "registry-unauthorized"),
            (
                "Get \"https://r/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
                "registry-unreachable",
            ),
            (
                "Get \"https://r/v2/\": dial tcp: lookup r on 1.2.3.4:53: no such host",
                "dns-resolver-not-answering",
            ),
            ("Get \"https://r/v2/\": net/http: TLS handshake timeout", "registry-unreachable"),
            (
                "Get \"https://r/v2/\": http: server gave HTTP response to HTTPS client",
                "registry-insecure-http",
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "registry-certificate-untrusted",
            ),
            ("x509: certificate has expired or is not yet valid: current time 1999", "system-clock-wrong"),
            ("write /var/lib/docker/tmp/x: no space left on device", "disk-full"),
            ("denied", "registry-unauthorized"),
            ("something new", "image-not-found"),
        ] {
            assert_eq!(cause_of(message), cause, "{message}");
        }
    }

    #[test]
    fn image_for_another_architecture_warns() {
        let other = if architecture() == "s390x" { "arm64" } else { "s390x" };
        let findings = judge_image("x", "is there", &json!({"Id": "i", "Architecture": other}));
        assert_eq!(findings[1].level, Level::Warn);
        assert_eq!(judge_image("x", "is there", &json!({"Architecture": architecture()})).len(), 1);
        assert_eq!(judge_image("x", "is there", &json!({})).len(), 1);
    }
}
