//! How long does `dindcheck verify` take beside the usual script and beside the floor?
//!
//! Runs inside an outer container: `bench ROUNDS`. The floor is the least that proves the same: dockerd
//! started, one ping as soon as its socket is there, an image loaded, a container created, started, waited
//! for and removed, dockerd stopped - by raw HTTP, without a check or a report. The script is what people
//! write: `dockerd &`, `until docker info; do sleep 1; done`, `docker run`. All three run in turn, on the same
//! data root, with the same image; figures are medians, compared as ratios within this one run.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring program, no part of the library"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

const BINARY: &str = "/usr/local/bin/dindcheck";
const SOCKET: &str = "/var/run/docker.sock";
const IMAGE: &str = "dindcheck-floor:1";
const TAR: &str = "/tmp/floor.tar";
const LOOK: Duration = Duration::from_millis(5);

/// What people write, with a load in place of a pull.
const SCRIPT: &str = "dockerd >/tmp/script.log 2>&1 & pid=$!
until docker info >/dev/null 2>&1; do sleep 1; done
docker load -qi /tmp/floor.tar >/dev/null && docker run --rm dindcheck-floor:1 >/dev/null; code=$?
docker rmi -f dindcheck-floor:1 >/dev/null; kill $pid; wait $pid; exit $code";

fn main() -> anyhow::Result<()> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    std::fs::write(TAR, image()?)?;
    floor().context("the floor")?; // a first start fills the data root and the page cache
    let mut floors = Vec::new();
    let mut scripts = Vec::new();
    let mut verifies = [Vec::new(), Vec::new()];
    let mut environments = Vec::new();
    let mut peaks = Vec::new();
    for _ in 0..rounds {
        floors.push(floor().context("the floor")?);
        for (args, times) in [&["--until", "container-run"][..], &[]].into_iter().zip(&mut verifies) {
            let run = verify(args)?;
            times.push(run.wall);
            environments.push(run.environment);
            peaks.push(run.peak);
        }
        scripts.push(script()?);
    }
    let mut deaths = (0..rounds).map(|_| death()).collect::<anyhow::Result<Vec<_>>>()?;
    let floor = median(&mut floors);
    println!("medians of {rounds} rounds, each in turn on the same data root:");
    row("floor (raw API)", floor, floor);
    row("verify --until container-run", median(&mut verifies[0]), floor);
    row("verify", median(&mut verifies[1]), floor);
    row("usual script", median(&mut scripts), floor);
    println!("verdict after a death        {:8.1} ms", median(&mut deaths) * 1000.0);
    println!("environment phase            {:8.1} ms", median(&mut environments) * 1000.0);
    println!(
        "peak RSS of dindcheck        {:8.1} MiB",
        peaks.iter().copied().max().unwrap_or(0) as f64 / 1024.0
    );
    Ok(())
}

fn row(name: &str, seconds: f64, floor: f64) {
    println!("{name:<28} {seconds:8.3} s   {:5.2} x the floor", seconds / floor);
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The least that proves it.
fn floor() -> anyhow::Result<f64> {
    let begun = Instant::now();
    let log = std::fs::File::create("/tmp/floor.log")?;
    let mut dockerd = Command::new("dockerd")
        .arg("--debug")
        .stdout(log.try_clone()?)
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()?;
    let done = exercise();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(dockerd.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).context("stop dockerd of the floor")?;
    dockerd.wait()?;
    done?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Ping, load, create, start, wait, remove.
fn exercise() -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while UnixStream::connect(SOCKET).is_err() {
        ensure!(Instant::now() < end, "no socket after a minute");
        sleep(LOOK);
    }
    ask("GET", "/_ping", "", &[])?;
    ask("POST", "/images/load?quiet=1", "application/x-tar", &std::fs::read(TAR)?)?;
    let spec = json!({"Image": IMAGE}).to_string();
    let made = ask("POST", "/containers/create", "application/json", spec.as_bytes())?;
    let made: serde_json::Value = serde_json::from_slice(&made)?;
    let id = made["Id"].as_str().context("no id")?;
    ask("POST", &format!("/containers/{id}/start"), "", &[])?;
    let ended: serde_json::Value =
        serde_json::from_slice(&ask("POST", &format!("/containers/{id}/wait"), "", &[])?)?;
    ensure!(ended["StatusCode"] == 0, "the container ended with {ended}");
    ask("DELETE", &format!("/containers/{id}"), "", &[])?;
    ask("DELETE", &format!("/images/{IMAGE}"), "", &[])?;
    Ok(())
}

/// One request over HTTP/1.0, whose answer ends with the connection.
fn ask(method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut socket = UnixStream::connect(SOCKET)?;
    write!(
        socket,
        "{method} {path} HTTP/1.0\r\nHost: d\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    socket.write_all(body)?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    ensure!(head.split(' ').nth(1).is_some_and(|code| code.starts_with('2')), "{method} {path}: {head}");
    Ok(answer.split_off(end + 4))
}

/// The binary as an image whose command is the probe.
fn image() -> anyhow::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    layer.append_path_with_name(BINARY, "dindcheck")?;
    let layer = layer.into_inner()?;
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/dindcheck", "probe"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}})
    .to_string();
    let manifest =
        json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).to_string();
    let mut saved = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("layer.tar", &layer[..]),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        saved.append_data(&mut header, name, bytes)?;
    }
    Ok(saved.into_inner()?)
}

/// A measured run of dindcheck.
struct Verified {
    wall: f64,
    environment: f64,
    peak: u64,
}

fn verify(args: &[&str]) -> anyhow::Result<Verified> {
    let begun = Instant::now();
    let mut child = Command::new(BINARY)
        .args(["verify", "--format", "json", "--output", "json=/tmp/verify.json"])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let peak = watch(&mut child)?;
    let wall = begun.elapsed().as_secs_f64();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read("/tmp/verify.json")?)?;
    ensure!(report["verdict"] == "sound", "verify is not sound: {}", report["first_failure"]);
    let of_environment = |step: &&serde_json::Value| step["phase"] == "environment";
    let steps = report["steps"].as_array().context("no steps")?;
    let environment =
        steps.iter().filter(of_environment).filter_map(|step| step["duration_ms"].as_f64()).sum::<f64>();
    Ok(Verified { wall, environment: environment / 1000.0, peak })
}

/// dockerd is killed while it starts: from its death to the end of dindcheck, report and clean-up included.
fn death() -> anyhow::Result<f64> {
    let mut child = Command::new(BINARY)
        .args(["verify", "--format", "json", "--output", "json=/tmp/verify.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    loop {
        ensure!(child.try_wait()?.is_none(), "dindcheck ended before dockerd started");
        let Some(pid) = child_named(child.id(), "dockerd")? else {
            sleep(Duration::from_millis(1));
            continue;
        };
        // A dockerd that was only asked for its version is gone by then.
        sleep(Duration::from_millis(100));
        if nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).is_ok()
        {
            break;
        }
    }
    let dead = Instant::now();
    child.wait()?;
    let took = dead.elapsed().as_secs_f64();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read("/tmp/verify.json")?)?;
    ensure!(report["first_failure"]["step"] == "daemon-start", "{}", report["first_failure"]);
    Ok(took)
}

/// The process of that name whose parent is this one.
fn child_named(parent: u32, name: &str) -> anyhow::Result<Option<i32>> {
    for entry in std::fs::read_dir("/proc")? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let Ok(pid) = file.parse::<i32>() else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
        if head.ends_with(&format!("({name}")) && rest.split(' ').nth(1) == Some(&parent.to_string()) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Waits for a child; its highest resident set in KiB (`VmHWM`).
fn watch(child: &mut Child) -> anyhow::Result<u64> {
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let high = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
        peak = peak.max(high.unwrap_or(0));
        sleep(LOOK);
    }
    Ok(peak)
}

fn script() -> anyhow::Result<f64> {
    let begun = Instant::now();
    let status = Command::new("bash").args(["-c", SCRIPT]).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "the script ended with {status}");
    Ok(begun.elapsed().as_secs_f64())
}
