//! Creates the tables, chains and rules of a Docker network with the firewall program that dockerd will use.
//!
//! The rules are those of dockerd under other names (moby daemon/libnetwork/drivers/bridge/internal). One start of the
//! program loads all of them; only where that fails are they added one by one, to find the one that is refused.

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

/// How often the lock is tried: iptables normally holds it for milliseconds.
const LOCK_TRIES: u32 = 5;
/// The deadline of each program.
const WITHIN: Duration = Duration::from_secs(5);

/// A rule: the name of the attempt, its table, and its arguments for iptables.
type Rule = (&'static str, &'static str, &'static str);

/// The rules of dockerd for IPv4.
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
/// The rule that Docker 28 adds for each container on a bridge.
const RAW: Rule = ("raw", "raw", "-A PREROUTING -d 172.17.0.2 ! -i docker0 -j DROP");
/// The rules of dockerd for IPv6.
const SIX: &[Rule] = &[
    ("nat6", "nat", "-N DINDCHECK"),
    ("masquerade6", "nat", "-A POSTROUTING -s fd00:db8::/64 ! -o docker0 -j MASQUERADE"),
    ("addrtype6", "nat", "-A PREROUTING -m addrtype --dst-type LOCAL -j DINDCHECK"),
    ("filter6", "filter", "-N DINDCHECK"),
];
/// The rules of dockerd for nft.
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

/// Counts the nf_tables rules of the real network namespace where dockerd will use the legacy iptables. The legacy tables
/// are listed in /proc, those of nf_tables only by a program. Attempt `nft-rules`, with their number as its detail.
pub(super) fn count_nft_rules(program: &Path, others: &[PathBuf], report: &mut TrialReport) {
    let Some(nft) = others.iter().find(|other| is_nft(other)).filter(|_| !is_nft(program)) else { return };
    if let Ok(ran) = run(nft, &["-t", "nat", "-S"]) {
        let rules = ran.stdout.lines().filter(|line| line.starts_with("-A")).count();
        report.attempt("nft-rules", Ok(()));
        report.detail(if ran.truncated { format!("more than {rules}") } else { rules.to_string() });
    }
}

/// Tests the lock of the legacy iptables, for which dockerd waits without a deadline. Attempt `lock`; a free lock is taken
/// for an instant.
pub(super) fn test_lock(program: &Path, report: &mut TrialReport) {
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

/// Whether an iptables uses nf_tables: by the name of the file behind its links, else by its `--version`.
fn is_nft(program: &Path) -> bool {
    let file = std::fs::canonicalize(program).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (name.contains("nft"), name.contains("legacy")) {
        (true, _) => true,
        (_, true) => false,
        _ => run(program, &["--version"]).is_ok_and(|ran| ran.stdout.contains("(nf_tables)")),
    }
}

/// Loads all rules by one start of the restore program of the same binary, else one by one.
fn load(program: &Path, restore: &str, rules: &[Rule], own_run: bool, report: &mut TrialReport) {
    if own_run && load_at_once(program, restore, rules).is_some() {
        for (name, ..) in rules {
            report.attempt(name, Ok(()));
        }
        return;
    }
    // Rules that were loaded before the refusal would conflict.
    let _ = own_network();
    for (name, table, rule) in rules {
        let args: Vec<&str> = ["--wait", "-t", table].into_iter().chain(rule.split(' ')).collect();
        let (result, message) = split(run(program, &args));
        let good = report.attempt(name, result);
        report.detail(message);
        // Rules that need no earlier one are tried all the same: a kernel may lack only conntrack.
        if !good && *name == "nat" {
            return;
        }
    }
}

/// Loads all rules at once; `None` where that is not possible, or where any rule is refused.
fn load_at_once(program: &Path, restore: &str, rules: &[Rule]) -> Option<()> {
    let multi = std::fs::canonicalize(program).ok()?;
    multi.file_name()?.to_str()?.starts_with("xtables-").then_some(())?;
    let file = write(&restore_text(rules))?;
    run(&multi, &[restore, "-n", file.to_str()?]).ok().map(drop)
}

/// The rules in the format of iptables-restore, table by table.
fn restore_text(rules: &[Rule]) -> String {
    let mut text = String::new();
    for table in ["nat", "filter", "raw"] {
        let lines: Vec<String> = rules
            .iter()
            .filter(|(_, of, _)| *of == table)
            .map(|(_, _, rule)| match rule.strip_prefix("-N ") {
                Some(chain) => format!(":{chain} -\n"),
                None => format!("{rule}\n"),
            })
            .collect();
        if !lines.is_empty() {
            text.extend(["*", table, "\n", &lines.concat(), "COMMIT\n"]);
        }
    }
    text
}

/// Attempt `nft`: all rules in one transaction.
fn nft(program: &Path, own_run: bool, report: &mut TrialReport) {
    let file = if own_run { write(NFT) } else { None };
    let (result, message) = match file.as_deref().and_then(Path::to_str) {
        Some(file) => split(run(program, &["-f", file])),
        None => split(run(program, &[NFT])),
    };
    report.attempt("nft", result);
    report.detail(message);
}

/// Writes a file for a program into the /run of this child.
fn write(text: &str) -> Option<PathBuf> {
    let path = Path::new(RUN).join("dindcheck.rules");
    #[expect(clippy::disallowed_methods, reason = "a file in this child's own tmpfs")]
    std::fs::write(&path, text).ok()?;
    Some(path)
}

/// Runs a program. An exit code other than 0 is the error `EIO`, with the first lines that the program printed.
fn run(program: &Path, args: &[&str]) -> Result<Ran, (HostError, String)> {
    let ran: HostResult<Ran> = Live::default().run(program, args, WITHIN);
    match ran {
        Ok(ran) if ran.code == 0 => Ok(ran),
        Ok(ran) => {
            let line = args.join(" ");
            let lines = ran.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
            let message = lines.take(3).collect::<Vec<_>>().join("; ");
            let op = format!("run ({line}: exit {}: {message})", ran.code);
            Err((HostError::new(op, program, Errno::EIO), format!("{line}: exit {}: {message}", ran.code)))
        }
        Err(error) => {
            let message = error.to_string();
            Err((error, message))
        }
    }
}

/// The result of an attempt and its message.
fn split(ran: Result<Ran, (HostError, String)>) -> (HostResult<()>, String) {
    match ran {
        Ok(_) => (Ok(()), String::new()),
        Err((error, message)) => (Err(error), message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_appears_once_with_its_chains_first() {
        let text = restore_text(&[RULES, &[RAW]].concat());
        assert_eq!(text.matches("*nat\n").count(), 1);
        assert_eq!(text.matches("COMMIT\n").count(), 3);
        assert!(text.starts_with("*nat\n:DINDCHECK -\n-A POSTROUTING"), "{text}");
        assert!(!restore_text(RULES).contains("*raw"));
    }
}
