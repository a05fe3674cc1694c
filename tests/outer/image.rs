//! Does `image` tell of an image what is wrong with it, from the outer daemon's side?

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::bed::{self, docker};

/// A shell entrypoint as docker-library's images have one: dockerd with TLS, the command beside it.
const ENTRY: &str = "#!/bin/sh
set -e
mkdir -p /run/lock
BEFORE
exec dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2376 --tlsverify --tlscacert=/certs/server/ca.pem \\
    --tlscert=/certs/server/cert.pem --tlskey=/certs/server/key.pem \"$@\"
";

/// Builds an image with this entrypoint, after further lines of its Dockerfile.
fn build(tag: &str, before: &str, lines: &str, certificates: &Path) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("entry.sh"), ENTRY.replace("BEFORE", before)).unwrap();
    let copied =
        Command::new("cp").arg("-r").arg(certificates).arg(dir.path().join("certs")).status().unwrap();
    assert!(copied.success());
    let dockerfile = format!(
        "FROM dindcheck-base:trixie\nCOPY certs /certs\nCOPY entry.sh /entry.sh\nRUN chmod 755 /entry.sh\n{lines}\n\
         VOLUME /var/lib/docker\nENTRYPOINT [\"/entry.sh\"]\n"
    );
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    bed::build(tag, dir.path());
}

fn certificates() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").arg("src/entrypoint/tls.sh").arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
}

/// The outer engine's socket.
fn socket() -> String {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/engine.sh");
    let status = Command::new(engine).arg("status").output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    status.lines().find_map(|line| line.strip_prefix("socket ")).expect("the engine's socket").to_owned()
}

/// `dindcheck image` on this machine, which sees of the outer engine its API alone.
fn image(words: &[&str]) -> Output {
    image_at(&format!("unix://{}", socket()), words)
}

fn image_at(host: &str, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dindcheck"))
        .args(["image", "--host", host, "--pull", "never", "--timeout", "150s"])
        .args(words)
        .output()
        .unwrap()
}

/// The same API at a TCP port of the loopback, as a daemon on another machine has it; what it is asked to run in a
/// container it gets to know so much later.
fn over_tcp(later: Duration) -> String {
    let (socket, listener) = (socket(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (near, far) = (stream.unwrap(), UnixStream::connect(&socket).unwrap());
            let (mut in_near, mut out_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (mut in_far, mut out_near) = (far, near);
            std::thread::spawn(move || {
                let mut piece = vec![0; 64 << 10];
                while let Ok(length @ 1..) = in_near.read(&mut piece) {
                    let text = String::from_utf8_lossy(&piece[..length]);
                    if text
                        .lines()
                        .next()
                        .is_some_and(|line| line.contains("/exec/") && line.contains("/start"))
                    {
                        std::thread::sleep(later);
                    }
                    if out_far.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
                let _ = out_far.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut in_far, &mut out_near);
                let _ = out_near.shutdown(Shutdown::Write);
            });
        }
    });
    format!("tcp://{address}")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Name, what its entrypoint does first, further lines of its Dockerfile; the step, and the cause where it is one alone.
const DEFECTS: [(&str, &str, &str, &str, &str); 8] = [
    ("no-dockerd", "", "RUN rm /usr/sbin/dockerd", "binaries", "docker-program-missing"),
    ("no-containerd", "", "RUN rm /usr/bin/containerd", "binaries", ""),
    ("no-runc", "", "RUN rm /usr/bin/runc /usr/sbin/runc || true", "binaries", ""),
    (
        "json",
        "",
        "RUN mkdir -p /etc/docker && echo '{' >/etc/docker/daemon.json",
        "daemon-config",
        "daemon-json-invalid",
    ),
    (
        "key",
        "",
        "RUN mkdir -p /etc/docker && echo '{\"no-such-key\":1}' >/etc/docker/daemon.json",
        "daemon-config",
        "",
    ),
    ("no-iptables", "", "RUN rm -f /usr/sbin/iptables", "binaries", "iptables-program-missing"),
    ("cgroups", "umount -R /sys/fs/cgroup", "", "daemon-start", "cgroup-v1-devices-not-mounted"),
    ("flag", "set -- --no-such-flag", "", "daemon-start", ""),
];

#[test]
#[ignore = "needs root, the bed's engines, and openssl on this machine"]
fn a_shell_entrypoint_with_tls_is_sound_and_each_defect_has_its_step() {
    let certificates = certificates();
    build("image-sound", "", "", certificates.path());
    let page = tempfile::NamedTempFile::new().unwrap();
    let output = format!("html={}", page.path().display());
    let mut words = vec!["--format", "json", "--output", &output, "--parallel", "2", "image-sound"];
    let tags: Vec<_> = DEFECTS.iter().map(|defect| format!("image-{}", defect.0)).collect();
    for ((_, before, lines, ..), tag) in DEFECTS.iter().zip(&tags) {
        build(tag, before, lines, certificates.path());
    }
    words.extend(tags.iter().map(String::as_str));
    let done = image(&words);
    let all: Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(
        (&all[0]["image"], &all[0]["verdict"]),
        (&"image-sound".into(), &"sound".into()),
        "{:#}",
        all[0]
    );
    let page = std::fs::read_to_string(page.path()).unwrap();
    assert!(page.contains("1 of 9 images are sound") && page.contains("docker-program-missing"), "{page}");
    let mut wrong = Vec::new();
    for ((name, _, _, step, cause), tried) in DEFECTS.iter().zip(&all.as_array().unwrap()[1..]) {
        let first = &tried["first_failure"];
        let same = first["step"] == *step && (cause.is_empty() || first["cause"] == *cause);
        println!("{name}: {first}");
        if !same || tried["verdict"] != "broken" {
            wrong.push(format!(
                "{name}: {first}, log {}, notes {}",
                tried["log"]["first_error"], tried["notes"]
            ));
        }
    }
    for image in ["image-sound"].into_iter().chain(tags.iter().map(String::as_str)) {
        let left = docker(&["ps", "-aq", "--filter", &format!("ancestor={image}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "a container of {image} is left");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let _ =
        docker(&[&["rmi", "image-sound"][..], &tags.iter().map(String::as_str).collect::<Vec<_>>()].concat())
            .output();
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_container_that_ends_while_it_is_asked_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let dockerfile =
        "FROM dindcheck-base:trixie\nENTRYPOINT [\"sh\", \"-c\", \"sleep 1; echo good bye; exit 3\"]\n";
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    bed::build("image-ends", dir.path());
    let ended = "the container ended with exit code 3 while dindcheck waited for its daemon";
    // At once, and between the daemon's promise to run something in it and the order to do it.
    for later in [Duration::ZERO, Duration::from_secs(2)] {
        let done = image_at(&over_tcp(later), &["--format", "json", "image-ends"]);
        let all: Value =
            serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
        let failure = &all[0]["first_failure"];
        assert_eq!((done.status.code(), &failure["step"]), (Some(1), &"daemon-start".into()), "{:#}", all[0]);
        assert_eq!(failure["what"], ended, "{:#}", all[0]);
        assert_eq!(
            all[0]["notes"],
            serde_json::json!(["the container's last words: good bye"]),
            "{:#}",
            all[0]
        );
        assert_eq!(all[0]["report"]["exit_code"], 0, "{:#}", all[0]);
    }
    let _ = docker(&["rmi", "image-ends"]).output();
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn without_the_images_entrypoint_dindcheck_starts_the_daemon_itself() {
    let done = image(&[
        "--replace-entrypoint",
        "-v",
        "/var/lib/docker",
        "dindcheck-base:bookworm",
        "dindcheck-base:forky",
    ]);
    let text = said(&done);
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("dindcheck-base:bookworm: sound (") && text.contains("engine 20.10"), "{text}");
    let table = text.rsplit("\n\n").next().unwrap();
    let rows: Vec<_> = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows, [["dindcheck-base:bookworm", "sound"], ["dindcheck-base:forky", "sound"]], "{text}");
    let remote = image_at(
        &over_tcp(Duration::ZERO),
        &["--replace-entrypoint", "-v", "/var/lib/docker", "dindcheck-base:trixie"],
    );
    assert_eq!(remote.status.code(), Some(0), "{}", said(&remote));
    let absent = image(&["no-such-image"]);
    assert_eq!(absent.status.code(), Some(2), "{}", said(&absent));
    assert!(said(&absent).contains("no-such-image"), "{}", said(&absent));
}
