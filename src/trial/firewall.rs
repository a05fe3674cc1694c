//! Does the firewall program that dockerd will use make the tables, chains and rules of a Docker network?
//!
//! The rules are dockerd's own, with other names (moby daemon/libnetwork/drivers/bridge/internal). All of them are
//! loaded by one program start; only where that fails are they added one by one, to learn which is refused.

use crate::host::trial::Firewall;
use crate::host::trial::TrialReport;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::network::RUN;
use super::own_network;
use crate::host::live::Live;
use crate::host::{HostError, HostResult, Ran, SystemReader};

/// An iptables that works holds its lock for milliseconds.
const LOCK_TRIES: u32 = 5;
/// For each program start.
const WITHIN: Duration = Duration::from_secs(5);

/// A rule: the attempt's name, its table, and iptables' words for it.
type Rule = (&'static str, &'static str, &'static str);

/// dockerd's rules for IPv4.
const RULES: &[Rule] = &[
    ("nat", "nat", "-N DINDCHECK"),
    ("masquerade", "nat", "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"),
    ("addrtype", "nat", "-A PREROUTING -m addrtype --dst-type LOCAL -j DINDCHECK"),
    ("filter", "filter", "-N DINDCHECK"),
    ("conntrack", "filter", "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    (
        "publish",
        "nat",
        "-A DINDCHECK ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
    ),
];
/// What Docker 28 adds for each container on a bridge.
const RAW: Rule = ("raw", "raw", "-A PREROUTING -d 172.17.0.2 ! -i docker0 -j DROP");
/// dockerd's rules for IPv6.
const SIX: &[Rule] = &[
    ("nat6", "nat", "-N DINDCHECK"),
    ("masquerade6", "nat", "-A POSTROUTING -s fd00:db8::/64 ! -o docker0 -j MASQUERADE"),
    ("addrtype6", "nat", "-A PREROUTING -m addrtype --dst-type LOCAL -j DINDCHECK"),
    ("filter6", "filter", "-N DINDCHECK"),
];
/// The same for nft.
const NFT: &str = r#"
table ip dindcheck {
  chain publish { }
  chain pre { type nat hook prerouting priority -100; policy accept; fib daddr type local counter jump publish; }
  chain post { type nat hook postrouting priority 100; policy accept; oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade; }
  chain forward-filter { type filter hook forward priority 0; policy accept; ct state established,related counter accept; }
  chain direct { type filter hook prerouting priority -300; policy accept; ip daddr 172.17.0.2 iifname != "docker0" counter drop; }
}
add rule ip dindcheck publish iifname != "docker0" tcp dport 80 counter dnat to 172.17.0.2:80
"#;

/// Attempts `backend` (its detail is `nft` or `legacy`) and one for each rule; then `other` for each further program.
pub(super) fn perform(firewall: &Firewall, own_run: bool, report: &mut TrialReport) {
    match firewall {
        Firewall::Nft { program } => nft(program, own_run, report),
        Firewall::Iptables { program, six, raw, others } => {
            report.attempt("backend", Ok(()));
            report.detail(if is_nft(program) { "nft" } else { "legacy" });
            let rules = [RULES, if *raw { &[RAW] } else { &[] }].concat();
            load(program, "iptables-restore", &rules, own_run, report);
            let works = report.get("nat").is_some_and(|attempt| attempt.error.is_none());
            if let (Some(six), true) = (six, works) {
                load(six, "ip6tables-restore", SIX, own_run, report);
            }
            for other in others.iter().filter(|_| !works) {
                let tried = run(other, &["--wait", "-t", "nat", "-N", "DINDCHECK"]);
                report.attempt("other", tried.map(drop).map_err(|(error, _)| error));
                report.detail(other.display().to_string());
            }
        }
    }
}

/// Rules of the other kind in the real network namespace, which are only read. The legacy kernel tables tell of
/// themselves in /proc; those of nft take a program. Attempt `nft-rules`, with their number.
pub(super) fn read_rules_of_other_kind(program: &Path, others: &[PathBuf], report: &mut TrialReport) {
    let Some(nft) = others.iter().find(|other| is_nft(other)).filter(|_| !is_nft(program)) else { return };
    if let Ok(ran) = run(nft, &["-t", "nat", "-S"]) {
        let rules = ran.stdout.lines().filter(|line| line.starts_with("-A")).count();
        report.attempt("nft-rules", Ok(()));
        report.detail(if ran.truncated { format!("more than {rules}") } else { rules.to_string() });
    }
}

/// Whether someone holds the lock of the legacy iptables, for which dockerd waits without end. Attempt `lock`; a lock
/// that is free is held for an instant.
pub(super) fn look_at_lock(program: &Path, report: &mut TrialReport) {
    if is_nft(program) {
        return;
    }
    let path = Path::new(RUN).join("xtables.lock");
    let mut held = Ok(());
    for _ in 0..LOCK_TRIES {
        let Ok(file) = std::fs::OpenOptions::new().read(true).open(&path) else { return };
        let Err((_, Errno::EWOULDBLOCK)) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            held = Ok(());
            break;
        };
        held = Err(HostError::new("lock", &path, Errno::EWOULDBLOCK));
        std::thread::sleep(Duration::from_millis(10));
    }
    report.attempt("lock", held);
}

/// Whether an iptables is of the nf_tables kind: by the name of the file behind its links, else by its own word.
fn is_nft(program: &Path) -> bool {
    let file = std::fs::canonicalize(program).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (name.contains("nft"), name.contains("legacy")) {
        (true, _) => true,
        (_, true) => false,
        _ => run(program, &["--version"]).is_ok_and(|ran| ran.stdout.contains("(nf_tables)")),
    }
}

/// All rules by one start of the restore program in the same file, else one by one up to the first refusal.
fn load(program: &Path, restore: &str, rules: &[Rule], own_run: bool, report: &mut TrialReport) {
    if own_run && load_at_once(program, restore, rules).is_some() {
        for (name, ..) in rules {
            report.attempt(name, Ok(()));
        }
        return;
    }
    // What was loaded before the refusal would be in the way.
    let _ = own_network();
    for (name, table, words) in rules {
        let args: Vec<&str> = ["--wait", "-t", table].into_iter().chain(words.split(' ')).collect();
        let (result, said) = split(run(program, &args));
        let good = report.attempt(name, result);
        report.detail(said);
        // What needs no earlier rule is tried all the same: a kernel may lack conntrack alone.
        if !good && *name == "nat" {
            return;
        }
    }
}

/// `None` where that is not possible, or where any rule is refused.
fn load_at_once(program: &Path, restore: &str, rules: &[Rule]) -> Option<()> {
    let multi = std::fs::canonicalize(program).ok()?;
    multi.file_name()?.to_str()?.starts_with("xtables-").then_some(())?;
    let file = write(&restore_text(rules))?;
    run(&multi, &[restore, "-n", file.to_str()?]).ok().map(drop)
}

/// The rules as iptables-restore reads them, table by table.
fn restore_text(rules: &[Rule]) -> String {
    let mut text = String::new();
    for table in ["nat", "filter", "raw"] {
        let lines: Vec<String> = rules
            .iter()
            .filter(|(_, of, _)| *of == table)
            .map(|(_, _, words)| match words.strip_prefix("-N ") {
                Some(chain) => format!(":{chain} -\n"),
                None => format!("{words}\n"),
            })
            .collect();
        if !lines.is_empty() {
            text.extend(["*", table, "\n", &lines.concat(), "COMMIT\n"]);
        }
    }
    text
}

/// Attempt `nft`: one transaction of all rules.
fn nft(program: &Path, own_run: bool, report: &mut TrialReport) {
    let file = if own_run { write(NFT) } else { None };
    let (result, said) = match file.as_deref().and_then(Path::to_str) {
        Some(file) => split(run(program, &["-f", file])),
        None => split(run(program, &[NFT])),
    };
    report.attempt("nft", result);
    report.detail(said);
}

/// A file for a program to read, in this child's own /run.
fn write(text: &str) -> Option<PathBuf> {
    let path = Path::new(RUN).join("dindcheck.rules");
    #[expect(clippy::disallowed_methods, reason = "a file in this child's own tmpfs")]
    std::fs::write(&path, text).ok()?;
    Some(path)
}

/// Runs a program; an exit code other than 0 is an error with the program's words. There is no errno for it: EIO.
fn run(program: &Path, args: &[&str]) -> Result<Ran, (HostError, String)> {
    let ran: HostResult<Ran> = Live::default().run(program, args, WITHIN);
    match ran {
        Ok(ran) if ran.code == 0 => Ok(ran),
        Ok(ran) => {
            let line = args.join(" ");
            let words = ran.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
            let said = words.take(3).collect::<Vec<_>>().join("; ");
            let op = format!("run ({line}: exit {}: {said})", ran.code);
            Err((HostError::new(op, program, Errno::EIO), format!("{line}: exit {}: {said}", ran.code)))
        }
        Err(error) => {
            let said = error.to_string();
            Err((error, said))
        }
    }
}

/// The result of an attempt, and the words that belong to it.
fn split(ran: Result<Ran, (HostError, String)>) -> (Result<(), HostError>, String) {
    match ran {
        Ok(_) => (Ok(()), String::new()),
        Err((error, said)) => (Err(error), said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_once_with_its_chains_before_its_rules() {
        let text = restore_text(&[RULES, &[RAW]].concat());
        assert_eq!(text.matches("*nat\n").count(), 1);
        assert_eq!(text.matches("COMMIT\n").count(), 3);
        assert!(text.starts_with("*nat\n:DINDCHECK -\n-A POSTROUTING"), "{text}");
        assert!(!restore_text(RULES).contains("*raw"));
    }
}
