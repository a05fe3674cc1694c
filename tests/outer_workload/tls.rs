//! Daemons that are reached over TLS, and everything that can be in the way.

use std::process::Command;
use std::sync::OnceLock;

use crate::bed::share;
use crate::world::{SERVES, World};

const MISMATCH: &str = "client-tls-certificate-mismatch";
const PORT: &str = "client-tls-port-mismatch";

/// Makes certificates as an entrypoint does, with keys that are small for speed: a daemon's and a client's, a daemon's that
/// is over at once, one of the next century, and those of somebody else.
const MAKE: &str = r#"
    set -e; cd "$1"; script=$2
    for who in ours others; do
        for key in ca server client; do mkdir -p $who/$key; openssl genrsa -out $who/$key/key.pem 2048 2>/dev/null; done
        sh "$script" $who
    done
    cp -r ours/server over
    openssl x509 -req -in over/csr.pem -CA ours/ca/cert.pem -CAkey ours/ca/key.pem -CAcreateserial -out over/cert.pem \
        -days 0 -extfile over/openssl.cnf -extensions x509_exts
    cp -r ours/server early; : >early/index; echo 01 >early/serial; mkdir early/made
    printf '%s\n' '[ca]' default_ca=d '[d]' database=early/index serial=early/serial new_certs_dir=early/made default_md=sha256 \
        policy=p '[p]' commonName=optional >early/ca.cnf
    openssl ca -batch -notext -config early/ca.cnf -cert ours/ca/cert.pem -keyfile ours/ca/key.pem \
        -startdate 21000101000000Z -enddate 21010101000000Z -in early/csr.pem -out early/cert.pem 2>/dev/null
    mkdir wrong-ca stranger nobody
    cp ours/client/cert.pem ours/client/key.pem wrong-ca; cp others/client/ca.pem wrong-ca
    cp others/client/cert.pem others/client/key.pem stranger; cp ours/client/ca.pem stranger
    cp ours/client/ca.pem nobody
    chmod -R a+rX ."#;

/// The certificates as containers see them.
fn certificates() -> &'static str {
    static MADE: OnceLock<String> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = share().join("tls");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).expect("a directory");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/entrypoint/tls.sh");
        let out =
            Command::new("bash").args(["-c", MAKE, "make"]).arg(&dir).arg(script).output().expect("bash");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        "/share/tls".to_owned()
    })
}

/// A world whose daemon, with the certificate of `server` (none: without TLS), is asked with those of `client`.
fn world(suite: &'static str, server: &str, client: &str) -> World {
    let dir = certificates();
    let tls = match server {
        "" => "--tls=false".to_owned(),
        server => format!(
            "--tlsverify --tlscacert {dir}/ours/ca/cert.pem --tlscert {dir}/{server}/cert.pem --tlskey {dir}/{server}/key.pem"
        ),
    };
    let daemon = format!(
        "ATTACHED=yes; dockerd -H unix:///var/run/docker.sock -H tcp://127.0.0.1:2376 {tls} >/tmp/dockerd.log 2>&1 &\n\
         {SERVES}; export DOCKER_HOST=tcp://localhost:2376"
    );
    let asked = match client {
        "" => String::new(),
        client => format!("export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={dir}/{client}"),
    };
    World::new(suite).broken(&daemon).broken(&asked).options("--attach")
}

#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn a_daemon_behind_tls_is_sound() {
    let wait = "/share/dindcheck wait --timeout 9s >&2; echo $?";
    for suite in ["bookworm", "forky"] {
        let played = world(suite, "ours/server", "ours/client").also(wait).play();
        played.holds();
        let step = played.step("container-network");
        assert!(["passed", "warned"].contains(&step["outcome"].as_str().unwrap()), "{step:#}");
        assert_eq!(played.said, "0", "{suite}: wait");
    }
}

#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn what_is_wrong_with_tls_is_told() {
    for (server, client, cause, words) in [
        ("ours/server", "nothing", MISMATCH, "nothing/ca.pem: No such file or directory (ENOENT)"),
        ("ours/server", "wrong-ca", MISMATCH, "the daemon's certificate is not accepted"),
        ("over", "ours/client", MISMATCH, "xpired"),
        ("ours/server", "stranger", MISMATCH, "does not accept this client's certificate"),
        ("ours/server", "nobody", MISMATCH, "does not accept this client's certificate"),
        ("", "ours/client", PORT, "answers without TLS"),
        ("ours/server", "", PORT, "speaks TLS, and was asked without"),
    ] {
        let wait = "timeout 20 /share/dindcheck wait --timeout 2s >&2; echo $?";
        let played = world("trixie", server, client).also(wait).play();
        played.fails("daemon-start", cause);
        let what = played.report["first_failure"]["what"].as_str().expect("words");
        assert!(what.contains(words), "{what}");
        // Certificates may still be made; nothing else heals with time.
        assert_eq!(played.said, if client == "nothing" { "2" } else { "1" }, "{what}: wait");
    }
}

/// The machine's clock is everybody's, so it is the certificate that is of another time. The daemon is its own registry.
#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn a_registry_whose_certificate_is_of_another_time() {
    let dir = certificates();
    for (suite, server, words) in [("bookworm", "early", "is before 2100-"), ("forky", "over", " is after ")]
    {
        let registry = format!(
            "ip addr add 10.77.0.1/32 dev lo; ATTACHED=yes; dockerd -H unix:///var/run/docker.sock -H tcp://10.77.0.1:2376 \
             --tls --tlscacert {dir}/ours/ca/cert.pem --tlscert {dir}/{server}/cert.pem --tlskey {dir}/{server}/key.pem >/tmp/dockerd.log 2>&1 &\n\
             {SERVES}"
        );
        let world = World::new(suite).broken(&registry).options("--attach --image 10.77.0.1:2376/x/y:1");
        let played = world.play();
        played.fails("image", "system-clock-wrong");
        let message = played.step("image")["findings"].to_string();
        assert!(message.contains(words), "{message}");
    }
}
