//! How long a container takes to be created and started, and which programs run while a start takes long.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::facts::process::{self, Process};
use crate::host::SystemReader;

/// A start that takes longer is looked at.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often.
const EVERY: Duration = Duration::from_millis(50);
/// Names of runtimes.
const RUNTIMES: [&str; 6] = ["runc", "docker-runc", "crun", "youki", "runsc", "kata-runtime"];
/// How the names of programs begin that dockerd runs for networks and ends at once.
const FIREWALL: [&str; 5] = ["iptables", "ip6tables", "xtables", "nft", "modprobe"];

/// The times of a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartTimes {
    /// Of the creation: the layers of the image and its own one.
    pub create: Duration,
    /// Of the start, everything below included.
    pub start: Duration,
    /// Of that, how long programs of the network ran.
    pub network: Duration,
    /// How long the shim ran before the runtime did.
    pub shim: Duration,
    /// How long the runtime ran.
    pub runtime: Duration,
    /// How much of all processors' time was used meanwhile, by whomever, in percent; `None` where /proc/stat does not say.
    pub busy_percent: Option<u64>,
}

/// A start that is being watched.
pub(super) struct StartWatch<'h> {
    host: &'h dyn SystemReader,
    began: Instant,
    /// The same in clock ticks since the boot, as the starts of processes are (proc_pid_stat(5)).
    began_ticks: u64,
    looked: Instant,
    runtime_seen: bool,
    processors: Option<Processors>,
}

/// What the processors did since the boot, in clock ticks (proc_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Processors {
    idle: u64,
    all: u64,
}

/// What a start waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Network,
    Shim,
    Runtime,
}

impl<'h> StartWatch<'h> {
    pub(super) fn begin(host: &'h dyn SystemReader) -> Self {
        let now = Instant::now();
        Self {
            host,
            began: now,
            began_ticks: ticks_now(),
            looked: now,
            runtime_seen: false,
            processors: Processors::read(host),
        }
    }

    /// Waits for a start, and watches it.
    pub(super) async fn until<T>(mut self, started: impl Future<Output = T>, times: &mut StartTimes) -> T {
        let mut started = std::pin::pin!(started);
        loop {
            tokio::select! {
                biased;
                end = &mut started => {
                    times.start = self.began.elapsed();
                    times.busy_percent = self.processors.and_then(|before| before.busy_until(Processors::read(self.host)?));
                    return end;
                }
                () = tokio::time::sleep(EVERY) => self.look(times),
            }
        }
    }

    /// Counts the time since the last look for what runs now.
    fn look(&mut self, times: &mut StartTimes) {
        // What ran in the first moments of a slow start is taken for what runs then.
        if self.began.elapsed() < PATIENCE {
            return;
        }
        let Ok(all) = process::all(self.host) else { return };
        let part = self.part(&all);
        let since = self.looked.elapsed();
        self.looked = Instant::now();
        match part {
            Some(Part::Network) => times.network += since,
            Some(Part::Shim) => times.shim += since,
            Some(Part::Runtime) => times.runtime += since,
            None => {}
        }
    }

    /// What the start waits for, by the processes that began since it did. A shim and a docker-proxy live on, so what ends
    /// at once counts first.
    fn part(&mut self, all: &[Process]) -> Option<Part> {
        let new = || all.iter().filter(|process| !process.zombie && process.id.start >= self.began_ticks);
        let any = |is: &dyn Fn(&str) -> bool| new().any(|process| programs(process).any(is));
        if any(&|name| FIREWALL.iter().any(|begin| name.starts_with(begin))) {
            return Some(Part::Network);
        }
        // `runc init` waits for its start inside the container.
        let is_runtime = |process: &Process| {
            !process.command.ends_with(" init") && programs(process).any(|name| RUNTIMES.contains(&name))
        };
        if new().any(is_runtime) {
            self.runtime_seen = true;
            return Some(Part::Runtime);
        }
        if !self.runtime_seen && any(&|name| name.starts_with("containerd-shim")) {
            return Some(Part::Shim);
        }
        any(&|name| name == "docker-proxy").then_some(Part::Network)
    }
}

impl Processors {
    fn read(host: &dyn SystemReader) -> Option<Self> {
        Self::parse(&host.read_text(Path::new("/proc/stat")).ok()?)
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in the first two.
    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }

    /// How busy they were until then, in percent.
    fn busy_until(self, later: Self) -> Option<u64> {
        let all = later.all.checked_sub(self.all).filter(|all| *all > 0)?;
        Some(100 - (later.idle.saturating_sub(self.idle) * 100 / all).min(100))
    }
}

/// The names of a process: its program, and where that is an interpreter its script.
fn programs(process: &Process) -> impl Iterator<Item = &str> {
    process.command.split(' ').take(2).map(|word| word.rsplit('/').next().unwrap_or(word))
}

/// The clock ticks since the boot.
fn ticks_now() -> u64 {
    let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|hertz| u64::try_from(hertz).ok());
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(since_boot.as_millis()).unwrap_or_default() * hertz.unwrap_or(100) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::process::ProcessId;
    use crate::host::fake::Fake;
    use crate::host::live::Live;

    fn new(command: &str) -> Process {
        let id = ProcessId { pid: 7, start: u64::MAX };
        Process { id, parent: 1, group: 7, zombie: false, command: command.to_owned() }
    }

    #[test]
    fn programs_that_end_at_once_count_before_those_that_live_on() {
        let host = Fake::new();
        let mut watch = StartWatch::begin(&host);
        let (proxy, shim) = ("/usr/bin/docker-proxy -proto tcp", "/usr/bin/containerd-shim-runc-v2 -id x");
        for (commands, part) in [
            (&["dockerd --debug"][..], None),
            (&[shim], Some(Part::Shim)),
            (&[shim, "/bin/bash /usr/sbin/runc --root /r create x"], Some(Part::Runtime)),
            (&[shim, "runc init"], None),
            (&[shim, "runc init", proxy], Some(Part::Network)),
            (&[shim, "runc --root /r create x", "iptables --wait -t nat -A DOCKER"], Some(Part::Network)),
        ] {
            let all: Vec<_> = commands.iter().map(|command| new(command)).collect();
            assert_eq!(watch.part(&all), part, "{commands:?}");
        }
        let old = Process { id: ProcessId { pid: 7, start: 0 }, ..new("runc --root /r create x") };
        assert_eq!(watch.part(&[old]), None);
    }

    #[test]
    fn busy_processors_are_counted_with_waiting_as_idle() {
        let at = |text| Processors::parse(text).unwrap();
        let before = at("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n");
        assert_eq!(before, Processors { idle: 800, all: 1000 });
        assert_eq!(before.busy_until(at("cpu  170 0 110 710 110 0 0 0 0 0")), Some(80));
        assert_eq!(before.busy_until(before), None);
        assert_eq!(Processors::parse("cpu  1 2"), None);
    }

    #[test]
    fn slow_start_is_counted_for_the_program_that_runs_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let runc = dir.path().join("runc");
        std::fs::copy("/bin/sleep", &runc).unwrap();
        let host = Live::default();
        let watch = StartWatch::begin(&host);
        #[expect(clippy::disallowed_methods, reason = "a program of the test")]
        let mut child = std::process::Command::new(&runc).arg("2").spawn().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut times = StartTimes::default();
        runtime.block_on(async {
            watch.until(tokio::time::sleep(Duration::from_millis(1600)), &mut times).await;
        });
        child.wait().unwrap();
        assert!(times.start >= Duration::from_millis(1600));
        assert!(times.runtime >= Duration::from_secs(1), "{times:?}");
    }
}
