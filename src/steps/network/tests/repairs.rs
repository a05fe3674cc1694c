use super::*;
use crate::options::PlanRequest;
use crate::profile::Grant;

/// The result and the changes of the repair on this machine.
fn repaired(host: &Fake, grant: Grant) -> (anyhow::Result<()>, Vec<String>) {
    let args = ["--firewall-backend=nftables".to_owned()];
    let request = PlanRequest { repair: Some(grant), daemon_args: args.into(), ..PlanRequest::default() };
    let (end, changes) = crate::testing::repair_with(&STEP, host, &request);
    (end, changes.into_iter().map(|change| format!("{} | {}", change.did, change.undo)).collect())
}

fn nft_machine() -> Fake {
    let mut tried = all_accepted("nft");
    tried.attempt("nft", Ok(()));
    quiet("29.0.0").program("/usr/bin/nft --version", 0, "").answers_trial(tried)
}

#[test]
fn repair_enables_forwarding_for_the_nftables_backend() {
    let (end, changes) = repaired(&nft_machine(), Grant::Container);
    assert!(end.is_ok(), "{end:?}");
    let expected = "wrote 1 to /proc/sys/net/ipv4/ip_forward | printf %s 0 > /proc/sys/net/ipv4/ip_forward";
    assert_eq!(changes, [expected]);
}

#[test]
fn forwarding_of_the_host_is_not_changed() {
    let host = nft_machine().file("/proc/sys/net/core/dev_weight", "64\n");
    let (end, changes) = repaired(&host, Grant::Host);
    assert!(end.unwrap_err().to_string().contains("the host's network namespace"));
    assert!(changes.is_empty());
}

/// A kernel without nf_tables until its modules are requested.
fn without_nf_tables() -> Fake {
    let mut tried = all_accepted("nft");
    tried.attempt("nft", Err(HostError::new("run", "/usr/bin/nft", Errno::EIO)));
    quiet("29.0.0")
        .file("/proc/sys/net/ipv4/ip_forward", "1\n")
        .program("/usr/bin/nft --version", 0, "")
        .answers_trial(tried)
        .reacts(|fake, line| {
            if let Some(module) = line.strip_prefix("request_module ") {
                fake.set(&format!("/sys/module/{module}/refcnt"), "0");
            }
        })
}

#[test]
fn modules_are_loaded_only_with_the_reach_host() {
    let (end, changes) = repaired(&without_nf_tables(), Grant::Container);
    assert!(end.is_ok() && changes.is_empty());
    let (end, changes) = repaired(&without_nf_tables(), Grant::Host);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(changes.len(), 3);
    assert_eq!(
        changes[0],
        "loaded the module nf_tables into the host's kernel | modprobe -r nf_tables # on the host"
    );
}

#[test]
fn modules_that_do_not_load_are_an_error() {
    let host = without_nf_tables().reacts(|_, _| {}).program("/usr/bin/modprobe nf_tables", 1, "");
    let host =
        host.program("/usr/bin/modprobe nft_compat", 1, "").program("/usr/bin/modprobe nft_chain_nat", 1, "");
    let (end, changes) = repaired(&host, Grant::Host);
    assert!(end.unwrap_err().to_string().starts_with("none of nf_tables"));
    assert!(changes.is_empty());
}

#[test]
fn repair_makes_the_sysctl_writable() {
    let table = "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /proc rw - proc proc rw\n\
        3 2 0:2 /sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_forward ro,nosuid - proc proc rw\n";
    let host =
        read_only(quiet("26.1.5")).file("/proc/self/mountinfo", table).answers_trial(all_accepted("nft"));
    let (end, changes) = crate::testing::repair(&STEP, &host);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(changes[0].undo.to_string(), "mount -o remount,bind,ro /proc/sys/net/ipv4/ip_forward");
}
