//! Why a pull failed, from the message of the daemon, and what helps.

use crate::diagnosis::{CauseId, causes};
use crate::engine::EngineError;
use crate::engine::image::architecture;
use crate::finding::Finding;

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
pub(super) fn judge(reference: &str, error: EngineError) -> anyhow::Result<Finding> {
    let EngineError::Refused { message, status, .. } = error else {
        let finding = error.into_finding(causes::IMAGE_NOT_FOUND, causes::REGISTRY_UNREACHABLE)?;
        let late = finding.cause.filter(|cause| *cause == causes::REGISTRY_UNREACHABLE);
        return Ok(match late.and_then(|cause| hint(cause, reference, "")) {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
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
    let finding = Finding::fail(cause, format!("{reference} could not be pulled: {why}"));
    let finding = match hint(cause, reference, &message) {
        Some(hint) => finding.hint(hint),
        None => finding,
    };
    Ok(finding.with("message", message).with("status", status))
}

/// What helps with that answer.
fn hint(cause: CauseId, reference: &str, message: &str) -> Option<String> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let registry = registry(reference);
    let builtin = "or use the built-in image: `--image builtin`";
    Some(match cause {
        // The resolver may be what refuses.
        causes::REGISTRY_UNREACHABLE if says(&["lookup "]) => {
            format!(
                "the name of {registry} cannot be resolved from where dockerd runs: correct it, or give dockerd a resolver that knows it (/etc/resolv.conf); {builtin}"
            )
        }
        causes::REGISTRY_UNREACHABLE if says(&["connection refused"]) => {
            format!(
                "nothing listens at {registry}, or a firewall refuses: start it, or correct the port; {builtin}"
            )
        }
        causes::REGISTRY_UNREACHABLE if says(&["503", "502"]) => {
            format!(
                "{registry} answers that it cannot serve now: wait, or pull from a mirror (\"registry-mirrors\" in daemon.json); {builtin}"
            )
        }
        causes::REGISTRY_UNREACHABLE => {
            format!(
                "{registry} does not answer in time: `curl -v https://{registry}/v2/` where dockerd runs tells whether a firewall drops it; behind a proxy set \"proxies\" in daemon.json (23.0 and later) or HTTPS_PROXY; {builtin}"
            )
        }
        causes::REGISTRY_INSECURE_HTTP => {
            format!(
                "start dockerd with `--insecure-registry={registry}` (or \"insecure-registries\" in daemon.json), or give the registry TLS; {builtin}"
            )
        }
        causes::REGISTRY_UNAUTHORIZED if says(&["denied"]) => {
            format!(
                "the account that dockerd uses may not read {reference}: ask for access, or correct the name; {builtin}"
            )
        }
        causes::REGISTRY_UNAUTHORIZED => {
            format!(
                "{registry} wants a login, and dindcheck pulls without one: `docker pull {reference}` after `docker login {registry}`, then check again; {builtin}"
            )
        }
        causes::REGISTRY_RATE_LIMIT => {
            format!(
                "wait, or `docker pull {reference}` after `docker login {registry}`, which has another limit, or use a mirror (\"registry-mirrors\" in daemon.json); {builtin}"
            )
        }
        causes::IMAGE_NOT_FOUND if says(&["name unknown", "NAME_UNKNOWN", "repository name not known"]) => {
            format!("{registry} has no repository of that name: correct the name; {builtin}")
        }
        causes::IMAGE_NOT_FOUND if says(&["no matching manifest"]) => {
            format!(
                "{reference} exists, but not for this processor: choose another image, or build it for {}; {builtin}",
                architecture()
            )
        }
        causes::IMAGE_NOT_FOUND => format!("{registry} has no such tag or digest: correct it; {builtin}"),
        _ => return None,
    })
}

/// The host and port of a reference's registry; in a short name there is none.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "the daemon's default registry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause_of(message: &str) -> &'static str {
        let error = EngineError::Refused { doing: "pull".into(), status: 500, message: message.into() };
        judge("x", error).unwrap().cause.unwrap().as_str()
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
    fn hints_differ_where_other_things_help() {
        let hint = |message: &str| {
            let error = EngineError::Refused { doing: "pull".into(), status: 500, message: message.into() };
            judge("r.example:5000/x:1", error).unwrap().hint.unwrap_or_default()
        };
        let all = [
            "dial tcp 127.0.0.1:5000: connect: connection refused",
            "received unexpected HTTP status: 503 Service Unavailable",
            "net/http: TLS handshake timeout",
            "manifest unknown",
            "NAME_UNKNOWN: repository name not known to registry",
            "unauthorized: authentication required",
            "denied: requested access to the resource is denied",
        ]
        .map(hint);
        for (at, hint) in all.iter().enumerate() {
            assert!(!hint.is_empty() && !all[..at].contains(hint), "{hint}");
        }
        assert!(all[0].contains("r.example:5000"));
        let name = hint("dial tcp: lookup r.example on 10.0.0.1:53: read udp: connection refused");
        assert!(name.contains("cannot be resolved"), "{name}");
        assert_eq!(registry("alpine:3"), "the daemon's default registry");
    }
}
