//! What `binaries` finds of programs that are missing or cannot run.

use crate::harness::{ENDS, Forky, Suite, World, each_engine};

/// Programs, how each is broken, and what is found.
fn cases() -> Vec<(String, &'static str)> {
    let away = |name: &str| format!("mv $(command -v {name}) /root/");
    let spoil = |name: &str, how: &str| format!("f=$(readlink -f $(command -v {name})); {how} \"$f\"");
    vec![
        (away("dockerd"), "fail docker-program-missing"),
        (away("containerd"), "fail containerd-program-missing"),
        (away("containerd-shim-runc-v2"), "fail containerd-shim-program-missing"),
        (away("runc"), "fail runc-program-missing"),
        (away("docker-proxy"), "fail docker-proxy-program-missing"),
        (away("docker-init"), "warn docker-init-program-missing"),
        (away("iptables"), "fail iptables-program-missing"),
        (spoil("runc", "chmod -x"), "fail binary-not-runnable"),
        (spoil("runc", "truncate -s 0"), "fail binary-not-runnable"),
        (spoil("dockerd", "truncate -s 99999"), "fail binary-not-runnable"),
        (spoil("runc", "printf '#!/no/shell\\n' | tee"), "fail binary-not-runnable"),
    ]
}

each_engine! {
    missing_or_broken_program_is_named: Forky, of ENDS;
}

fn missing_or_broken_program_is_named(suite: Suite) {
    for (broken, expected) in cases() {
        let seen = World::of_steps(suite, "binaries").broken(&broken).play();
        assert_eq!(seen.problems(), [format!("binaries {expected}")], "{}: {broken}", suite.name());
    }
}
