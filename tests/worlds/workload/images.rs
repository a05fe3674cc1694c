//! Registries that say no, each in its own way.

use crate::harness::{ENDS, SUITES, Trixie, World, faults};

/// An address that dockerd does not take for a registry of this machine, which it would forgive everything.
const ELSEWHERE: &str = "ip addr add 10.77.0.1/32 dev lo";

/// A registry at port 5000 that answers every request like this.
fn registry(status: &str, body: &str) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>9,LocalPort=>5000,ReuseAddr=>1) or die; \
         $b=q({body}); while($c=$s->accept){{ $q=\"\"; while(<$c>){{ last if /^\\r?$/; $q=$_ unless $q }} \
         if ($q =~ m(/v2/ )) {{ print $c \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{{}}\" }} \
         else {{ print $c \"HTTP/1.1 {status}\\r\\nContent-Type: application/json\\r\\nContent-Length: \".length($b).\"\\r\\nConnection: close\\r\\n\\r\\n$b\" }} \
         close $c }}' & listens 5000"
    )
}

/// A world that is to pull from one that refuses like this.
fn refused(world: World, status: &str, code: &str, message: &str) -> World {
    let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}");
    world.broken(&registry(status, &body)).options("--image localhost:5000/x/y:1")
}

/// A registry that speaks plain HTTP to those who expect TLS.
const PLAIN: &str = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>9,LocalPort=>5000); \
    while($c=$s->accept){ sysread $c,$b,9999; print $c \"HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n\"; close $c }' & listens 5000";
/// A registry that accepts, and says nothing.
const MUTE: &str = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>9,LocalPort=>5000); push @c,$s->accept while 1' & listens 5000";

faults! {
    registry_answers_manifest_unknown: SUITES, |w| refused(w, "404 Not Found", "MANIFEST_UNKNOWN", "manifest unknown")
        => fails "image" "image-not-found";
    registry_answers_name_unknown: SUITES,
        |w| refused(w, "404 Not Found", "NAME_UNKNOWN", "repository name not known to registry")
        => fails "image" "image-not-found";
    registry_answers_unauthorized: SUITES,
        |w| refused(w, "401 Unauthorized", "UNAUTHORIZED", "authentication required")
        => fails "image" "registry-unauthorized";
    registry_answers_denied: SUITES,
        |w| refused(w, "403 Forbidden", "DENIED", "requested access to the resource is denied")
        => fails "image" "registry-unauthorized";
    registry_answers_too_many_requests: SUITES,
        |w| refused(w, "429 Too Many Requests", "TOOMANYREQUESTS", "You have reached your pull rate limit.")
        => fails "image" "registry-rate-limit";
    registry_answers_service_unavailable: SUITES,
        |w| refused(w, "503 Service Unavailable", "UNAVAILABLE", "service unavailable")
        => fails "image" "registry-unreachable";
    registry_refuses_connections: SUITES, |w| w.options("--image localhost:5000/x:1")
        => fails "image" "registry-unreachable";
    registry_never_answers: &[Trixie],
        |w| w.broken(MUTE).options("--image localhost:5000/x:1").profile("image:\n  timeout: 3s")
        => fails "image" "registry-unreachable", |seen| { seen.within(120); };
    registry_without_tls: ENDS,
        |w| w.broken(ELSEWHERE).broken(PLAIN).options("--image 10.77.0.1:5000/x/y:1")
        => fails "image" "registry-insecure-http";
    registry_name_does_not_resolve: &[Trixie], |w| w.options("--image no-such-host.invalid:5000/x:1")
        => fails "image" "registry-unreachable";
}
