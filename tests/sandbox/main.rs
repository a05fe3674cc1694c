//! Does every check see the fault it is there for, and nothing where all is well?
//!
//! Real worlds, broken one way at a time, with real engines in them; see README.md. These tests need root and
//! the trees of the bed (tests/bed).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the machine themselves")]
#![allow(clippy::print_stdout, reason = "the table is what the matrix is for")]

mod fault;
mod faults;
mod logs;
mod matrix;
mod pairs;
mod recordings;
#[cfg(test)]
mod registry;
mod replay;
mod rootless;
mod seccomp;
mod snapshot;
mod world;

#[test]
#[ignore = "needs root and the bed"]
fn every_fault_is_seen_by_its_step_first() {
    matrix::run(&matrix::rows(&faults::all()));
}

#[test]
#[ignore = "needs root and the bed"]
fn of_two_faults_the_earlier_step_speaks() {
    matrix::look_only(&pairs::all());
}

#[test]
#[ignore = "needs root and the bed"]
fn a_healthy_world_is_sound_with_every_engine() {
    for suite in fault::EVERY_ENGINE {
        let (played, report) = matrix::healthy(*suite);
        assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
        println!("{} {:?} {:?}", suite.name(), matrix::warnings(&report), report["duration_ms"]);
    }
}

#[test]
#[ignore = "needs root, the bed, and tests/bed/rootless.sh"]
fn a_rootless_daemon_holds_by_its_own_profile() {
    rootless::holds();
}

#[test]
#[ignore = "writes tests/fixtures/worlds anew; needs root, the bed, gzip and xxd"]
fn by_hand_recordings() {
    recordings::make();
}

#[test]
#[ignore = "needs root and the bed"]
fn by_hand() {
    use world::{Line, Suite, World};
    let begin = std::time::Instant::now();
    let world = World::new(match std::env::var("SUITE").as_deref() {
        Ok("bookworm") => Suite::Bookworm,
        Ok("forky") => Suite::Forky,
        _ => Suite::Trixie,
    })
    .unwrap();
    println!("up in {:?}", begin.elapsed());
    if let Ok(files) = std::env::var("FILES") {
        let copied =
            std::process::Command::new("cp").args(["-a", &files]).arg(world.outside("/opt")).status();
        assert!(copied.unwrap().success(), "{files}");
    }
    let script = std::env::var("SCRIPT")
        .unwrap_or_else(|_| "cat /proc/self/mountinfo /proc/self/cgroup; ip a; ip r".into());
    let played = world.run(Line::new(["/bin/sh", "-c", &script]));
    println!("{}\n{:?}", played.said(), played.took);
    let begin = std::time::Instant::now();
    drop(world);
    println!("down in {:?}", begin.elapsed());
}
