//! The fault matrix: worlds made of namespaces, with real engines in them, broken one way at a time. Each check finds the
//! fault that it is there for, and nothing where all is well.
//!
//! See README.md. These tests need root and the trees of the bed (tests/bed).
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the machine themselves")]
#![expect(clippy::print_stdout, reason = "the table is what the matrix is for")]

mod fault;
mod faults;
mod logs;
mod matrix;
mod pairs;
mod recordings;
#[cfg(test)]
mod registry;
mod remedies;
mod remedy;
mod replay;
mod rootless;
mod seccomp;
mod selection;
#[path = "../harness/mod.rs"]
mod shared;
mod snapshot;
mod world;

#[test]
fn what_make_test_samples_is_documented() {
    shared::matrix::documented("sandbox", &selection::matrices(&faults::all()));
}

#[test]
#[ignore = "needs root and the bed"]
fn fault_is_found_first_by_its_step() {
    matrix::run(&selection::rows(&faults::all()));
}

#[test]
#[ignore = "needs root and the bed"]
fn of_two_faults_the_earlier_step_fails() {
    matrix::look_only(&pairs::all());
}

#[test]
#[ignore = "needs root and the bed"]
fn remedy_that_a_report_prints_mends_the_world() {
    remedies::hold();
}

#[test]
#[ignore = "needs root and the bed"]
fn healthy_world_is_sound() {
    for suite in fault::EVERY_ENGINE {
        let (played, report) = matrix::healthy(*suite);
        assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
        println!("{} {:?} {:?}", suite.name(), shared::report::warnings(&report), report["duration_ms"]);
    }
}

#[test]
#[ignore = "needs root, the bed, and tests/bed/rootless.sh"]
fn rootless_daemon_is_sound_by_its_own_profile() {
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
