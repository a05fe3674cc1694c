//! Daemons that are reached over TLS, and everything that can be in the way.

use std::process::Command;
use std::sync::OnceLock;

use crate::harness::verify::SERVES;
use crate::harness::{Bookworm, Forky, Outer, Suite, Trixie, World, bed, each_engine};
use crate::shared::matrix::{self, Matrix};

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
        let dir = bed::share().join("tls");
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
fn world(suite: Suite, server: &str, client: &str) -> World {
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
    World::new(suite).outer(Outer::new(suite).shared()).broken(&daemon).broken(&asked).options("--attach")
}

each_engine! {
    daemon_behind_tls_is_sound: Forky, of &[Bookworm, Forky];
}

/// What `make test` samples of TLS.
pub(super) fn matrices() -> Vec<Matrix> {
    let named = |(server, client, ..): &Fault| format!("{server:?} asked with {client:?}");
    let (sample, rest) = FAULTS.split_at(SAMPLE);
    let kind = "tls_fault_is_named, each of its two causes".to_owned();
    let faults =
        Matrix { kind, sample: sample.iter().map(named).collect(), rest: rest.iter().map(named).collect() };
    engine_matrices().into_iter().chain([faults]).collect()
}

fn daemon_behind_tls_is_sound(suite: Suite) {
    let wait = "dindcheck wait --timeout 30s >&2; echo $?";
    let seen = world(suite, "ours/server", "ours/client").then(wait).play();
    seen.is_sound();
    let step = seen.step("container-network");
    assert!(["passed", "warned"].contains(&step["outcome"].as_str().unwrap()), "{step:#}");
    assert_eq!(seen.answer, "0", "{}: wait", suite.name());
}

/// The daemon's certificate, the client's, the cause, and words of the finding.
type Fault = (&'static str, &'static str, &'static str, &'static str);

/// The first `SAMPLE` of them are those of `make test`.
const FAULTS: &[Fault] = &[
    ("ours/server", "nothing", MISMATCH, "nothing/ca.pem: No such file or directory (ENOENT)"),
    ("ours/server", "wrong-ca", MISMATCH, "the daemon's certificate is not accepted"),
    ("ours/server", "stranger", MISMATCH, "does not accept this client's certificate"),
    ("", "ours/client", PORT, "answers without TLS"),
    ("over", "ours/client", MISMATCH, "xpired"),
    ("ours/server", "nobody", MISMATCH, "does not accept this client's certificate"),
    ("ours/server", "", PORT, "expects TLS, and the request came without"),
];
const SAMPLE: usize = 4;

#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn tls_fault_is_named() {
    for (server, client, cause, words) in matrix::chosen(&FAULTS[..SAMPLE], FAULTS) {
        let wait = "timeout 60 dindcheck wait --timeout 2s >&2; echo $?";
        let seen = world(Trixie, server, client).then(wait).play();
        seen.fails("daemon-start", cause);
        let what = seen.report["first_failure"]["what"].as_str().expect("words");
        assert!(what.contains(words), "{what}");
        // Certificates may still be made; nothing else heals with time.
        assert_eq!(seen.answer, if client == "nothing" { "2" } else { "1" }, "{what}: wait");
    }
}

/// The machine's clock is everybody's, so it is the certificate that is of another time. The daemon is its own registry.
#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn registry_certificate_of_another_time_is_a_wrong_clock() {
    let dir = certificates();
    for (suite, server, words) in [(Bookworm, "early", "is before 2100-"), (Forky, "over", " is after ")] {
        let registry = format!(
            "ip addr add 10.77.0.1/32 dev lo; ATTACHED=yes; dockerd -H unix:///var/run/docker.sock -H tcp://10.77.0.1:2376 \
             --tls --tlscacert {dir}/ours/ca/cert.pem --tlscert {dir}/{server}/cert.pem --tlskey {dir}/{server}/key.pem >/tmp/dockerd.log 2>&1 &\n\
             {SERVES}"
        );
        let world = World::new(suite)
            .outer(Outer::new(suite).shared())
            .broken(&registry)
            .options("--attach --image 10.77.0.1:2376/x/y:1");
        let seen = world.play();
        seen.fails("image", "system-clock-wrong");
        let message = seen.step("image")["findings"].to_string();
        assert!(message.contains(words), "{message}");
    }
}
