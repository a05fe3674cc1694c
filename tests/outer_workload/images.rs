//! Registries that say no, each in its own way.

use crate::world::{SUITES, World};

/// A registry at port 5000 that answers every request like this.
fn registry(status: &str, headers: &str, body: &str) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>9,LocalAddr=>\"127.0.0.1\",LocalPort=>5000,ReuseAddr=>1) or die; \
         $b=q({body}); while($c=$s->accept){{ $q=\"\"; while(<$c>){{ last if /^\\r?$/; $q=$_ unless $q }} \
         if ($q =~ m(/v2/ )) {{ print $c \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{{}}\" }} \
         else {{ print $c \"HTTP/1.1 {status}\\r\\nContent-Type: application/json\\r\\n{headers}Content-Length: \".length($b).\"\\r\\nConnection: close\\r\\n\\r\\n$b\" }} \
         close $c }}' & sleep 0.2"
    )
}

/// The body that registries answer with.
fn errors(code: &str, message: &str) -> String {
    format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}")
}

#[test]
#[ignore = "needs root and the test bed"]
fn registries_that_say_no_are_told_apart() {
    let cases = [
        ("404 Not Found", "MANIFEST_UNKNOWN", "manifest unknown", "image-not-found"),
        ("404 Not Found", "NAME_UNKNOWN", "repository name not known to registry", "image-not-found"),
        ("401 Unauthorized", "UNAUTHORIZED", "authentication required", "registry-unauthorized"),
        ("403 Forbidden", "DENIED", "requested access to the resource is denied", "registry-unauthorized"),
        (
            "429 Too Many Requests",
            "TOOMANYREQUESTS",
            "You have reached your pull rate limit.",
            "registry-rate-limit",
        ),
        ("503 Service Unavailable", "UNAVAILABLE", "service unavailable", "registry-unreachable"),
    ];
    for suite in SUITES {
        for (status, code, message, cause) in cases {
            let world = World::new(suite).broken(&registry(status, "", &errors(code, message)));
            world.options("--image localhost:5000/x/y:1").play().within(180).fails("image", cause);
        }
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_registry_that_nobody_serves() {
    for suite in SUITES {
        let world = World::new(suite).options("--image localhost:5000/x:1");
        world.play().within(180).fails("image", "registry-unreachable");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_registry_that_accepts_and_is_silent_ends_at_the_deadline() {
    let mute = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>9,LocalPort=>5000); push @c,$s->accept while 1' & sleep 0.2";
    let world = World::new("trixie").broken(mute).options("--image localhost:5000/x:1");
    world.profile("image:\n  timeout: 3s").play().within(120).fails("image", "registry-unreachable");
}
