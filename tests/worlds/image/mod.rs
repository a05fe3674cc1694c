//! `dindcheck image`: what it reports of images as outer containers, of which it sees the outer daemon's API alone.

mod packaging;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Played, bed, docker_output, report};
use crate::shared;

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

/// `dindcheck image` on this machine.
fn image(words: &[&str]) -> Played {
    image_at(&format!("unix://{}", bed::socket()), words)
}

fn image_at(host: &str, words: &[&str]) -> Played {
    let began = Instant::now();
    let fixed = ["image", "--host", host, "--pull", "never", "--timeout", "300s"];
    let output = Command::new(shared::program()).args(fixed).args(words).output().unwrap();
    Played::of(&output, began.elapsed())
}

/// The same API at a TCP port of the loopback, as a daemon on another machine has it; what it is asked to run in a
/// container it gets to know so much later.
fn over_tcp(later: Duration) -> String {
    let (socket, listener) = (bed::socket(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            pass_on(near.unwrap(), UnixStream::connect(&socket).unwrap(), later);
        }
    });
    format!("tcp://{address}")
}

/// Passes on what each side says, a request to start an exec only so much later.
fn pass_on(near: TcpStream, far: UnixStream, later: Duration) {
    let (mut in_near, mut out_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let (mut in_far, mut out_near) = (far, near);
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 << 10];
        while let Ok(length @ 1..) = in_near.read(&mut piece) {
            let text = String::from_utf8_lossy(&piece[..length]);
            let first = text.lines().next().unwrap_or_default();
            if first.contains("/exec/") && first.contains("/start") {
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

/// Name, what its entrypoint does first, further lines of its Dockerfile; the step, and the cause where it is one alone.
type Defect = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Each of them fails at its own step.
const DEFECTS: [Defect; 8] = [
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

/// Builds the images; their tags.
fn build_all(certificates: &Path) -> Vec<String> {
    build("image-sound", "", "", certificates);
    let defects = DEFECTS.iter().map(|(name, before, lines, ..)| {
        let tag = format!("image-{name}");
        build(&tag, before, lines, certificates);
        tag
    });
    std::iter::once("image-sound".to_owned()).chain(defects).collect()
}

#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn image_with_a_shell_entrypoint_is_sound_and_each_defect_fails_at_its_step() {
    let certificates = certificates();
    let tags = build_all(certificates.path());
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let page = tempfile::NamedTempFile::new().unwrap();
    let output = format!("html={}", page.path().display());
    let options = ["--format", "json", "--output", &output, "--parallel", "2"];
    let played = image(&[&options, &tags[..]].concat());
    let all = played.json();
    assert_eq!(played.code, 1);
    assert_eq!(
        (&all[0]["image"], &all[0]["verdict"]),
        (&"image-sound".into(), &"sound".into()),
        "{:#}",
        all[0]
    );
    let page = std::fs::read_to_string(page.path()).unwrap();
    assert!(page.contains("1 of 9 images are sound") && page.contains("docker-program-missing"), "{page}");
    let results = &all.as_array().unwrap()[1..];
    let wrong: Vec<_> =
        DEFECTS.iter().zip(results).filter_map(|(defect, result)| complaint(defect, result)).collect();
    for tag in &tags {
        let left = docker_output(&["ps", "-aq", "--filter", &format!("ancestor={tag}")]);
        assert_eq!(left, "", "a container of {tag} is left");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    docker_output(&[&["rmi"], &tags[..]].concat());
}

/// What is wrong with the result of a defect, if anything is.
fn complaint((name, _, _, step, cause): &Defect, result: &Value) -> Option<String> {
    let (seen_step, seen_cause) = report::first_failure(result);
    println!("{name}: {seen_step} {seen_cause}");
    let same = seen_step == *step && (cause.is_empty() || seen_cause == *cause);
    let wrong = format!(
        "{name}: {seen_step} {seen_cause}, log {}, notes {}",
        result["log"]["first_error"], result["notes"]
    );
    (!same || result["verdict"] != "broken").then_some(wrong)
}

#[test]
#[ignore = "needs root and the test bed"]
fn container_that_ends_while_its_daemon_is_waited_for_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let dockerfile =
        "FROM dindcheck-base:trixie\nENTRYPOINT [\"sh\", \"-c\", \"sleep 1; echo good bye; exit 3\"]\n";
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    bed::build("image-ends", dir.path());
    let ended = "the container ended with exit code 3 while dindcheck waited for its daemon";
    // At once, and between the daemon's promise to run something in it and the order to do it.
    for later in [Duration::ZERO, Duration::from_secs(2)] {
        let played = image_at(&over_tcp(later), &["--format", "json", "image-ends"]);
        let result = &played.json()[0];
        assert_eq!((played.code, report::first_failure(result).0), (1, "daemon-start"), "{result:#}");
        assert_eq!(result["first_failure"]["what"], ended, "{result:#}");
        assert_eq!(result["notes"], json!(["the container's last words: good bye"]), "{result:#}");
        assert_eq!(result["report"]["exit_code"], 0, "{result:#}");
    }
    docker_output(&["rmi", "image-ends"]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn image_whose_command_starts_no_daemon_says_so_and_is_not_taken_for_its_environment() {
    let commands = [
        ("image-shell", r#"["bash"]"#, "its command `bash` starts no daemon: it ended with exit code 0"),
        (
            "image-app",
            r#"["sleep", "1000"]"#,
            "its command `sleep 1000` starts no daemon: after 5 s no process",
        ),
    ];
    for (tag, command, _) in commands {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("Dockerfile"),
            format!("FROM dindcheck-base:trixie\nVOLUME /var/lib/docker\nENTRYPOINT []\nCMD {command}\n"),
        )
        .unwrap();
        bed::build(tag, dir.path());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = format!("json={}", file.path().display());
    let played = image(&["--parallel", "2", "--output", &output, "image-shell", "image-app"]);
    assert_eq!(played.code, 1, "{}", played.said());
    let all: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    for ((tag, _, what), result) in commands.iter().zip(all.as_array().unwrap()) {
        assert_eq!(report::first_failure(result), ("daemon-start", "image-starts-no-daemon"), "{result:#}");
        assert!(report::text(&result["first_failure"]["what"]).starts_with(what), "{result:#}");
        let remedy = report::text(&result["first_failure"]["remedy"]);
        assert!(remedy.starts_with(&format!("`dindcheck image --replace-entrypoint {tag}`")), "{remedy}");
        assert_eq!(result["report_about"], "environment");
        assert!(report::text(&result["report"]["headline"]).starts_with("no failure until daemon-state;"));
    }
    let text = played.stdout;
    assert!(!text.contains("sound"), "{text}");
    for heading in commands.map(|(tag, ..)| format!("the environment of {tag}, in a second container")) {
        assert!(text.contains(&heading), "{text}");
    }
    // The remedy, as it is printed.
    let replaced = image(&["--replace-entrypoint", "image-shell"]);
    assert_eq!(replaced.code, 0, "{}", replaced.said());
    assert!(replaced.stdout.contains("image-shell: sound ("), "{}", replaced.said());
    docker_output(&["rmi", "image-shell", "image-app"]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn replaced_entrypoint_starts_the_daemon_itself() {
    let replaced = ["--replace-entrypoint", "-v", "/var/lib/docker"];
    let played = image(&[&replaced[..], &["dindcheck-base:bookworm", "dindcheck-base:forky"]].concat());
    let text = played.said();
    assert_eq!(played.code, 0, "{text}");
    assert!(text.contains("dindcheck-base:bookworm: sound (") && text.contains("engine 20.10"), "{text}");
    let table = played.stdout.trim_end().rsplit("\n\n").next().unwrap();
    let rows: Vec<_> = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows, [["dindcheck-base:bookworm", "sound"], ["dindcheck-base:forky", "sound"]], "{text}");
    let remote = image_at(&over_tcp(Duration::ZERO), &[&replaced[..], &["dindcheck-base:trixie"]].concat());
    assert_eq!(remote.code, 0, "{}", remote.said());
}

#[test]
#[ignore = "needs root and the test bed"]
fn absent_image_is_an_error_of_the_check() {
    let absent = image(&["no-such-image"]);
    assert_eq!(absent.code, 2, "{}", absent.said());
    assert!(absent.said().contains("no-such-image"), "{}", absent.said());
}
