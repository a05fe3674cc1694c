//! A world: what a privileged outer container sees, made of namespaces over a Debian tree of the bed.
//!
//! A thread takes namespaces of its own and builds the world around itself as Docker 26 does for
//! `docker run --privileged -v /var/lib/docker` on this kernel: what it starts is in the world, as with
//! `docker exec`. The world ends with the thread, and with this process even if it is killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, Once, atomic::AtomicU32, atomic::Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

mod cgroups;
mod mounts;
mod network;

pub(crate) use crate::shared::bed::{Suite, dir as bed};
pub(crate) use crate::shared::played::Played;
use cgroups::Cgroups;

/// No command in a world takes longer.
const DEADLINE: Duration = Duration::from_secs(240);
/// What Docker gives where the image says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command to be run in a world.
#[derive(Default)]
pub(crate) struct Line {
    words: Vec<String>,
    env: Vec<(String, String)>,
}

impl Line {
    /// A program and its arguments.
    pub(crate) fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self { words: words.into_iter().map(ToOwned::to_owned).collect(), env: Vec::new() }
    }

    /// Further variables.
    pub(crate) fn env(mut self, env: &[(impl AsRef<str>, impl AsRef<str>)]) -> Self {
        let owned = |text: &dyn AsRef<str>| text.as_ref().to_owned();
        self.env.extend(env.iter().map(|(key, value)| (owned(key), owned(value))));
        self
    }
}

/// A world that runs.
pub(crate) struct World {
    dir: PathBuf,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    cgroups: Cgroups,
    outputs: AtomicU32,
}

/// Something that the world's thread is to do.
enum Order {
    Start { line: Line, streams: (File, File), started: Sender<std::io::Result<Child>> },
    Write { path: PathBuf, bytes: Vec<u8>, done: Sender<std::io::Result<()>> },
}

impl World {
    /// A healthy world with that suite's engine.
    pub(crate) fn new(suite: Suite) -> anyhow::Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let name = format!("{}-{}", std::process::id(), next(&WORLDS));
        let dir = bed().join("sandbox").join(&name);
        let tree = bed().join("trees").join(suite.name());
        ensure!(
            tree.join("usr/bin/dockerd").exists() || tree.join("usr/sbin/dockerd").exists(),
            "{} is missing: tests/bed/tree.sh {}",
            tree.display(),
            suite.name()
        );
        let cgroups = Cgroups::make(&format!("{PREFIX}{name}"))?;
        let mut world = Self { dir, orders: None, thread: None, cgroups, outputs: AtomicU32::new(0) };
        let (orders, inbox) = channel();
        let (built, is_built) = channel();
        let mut site = Site {
            dir: world.dir.clone(),
            tree,
            tools: tools()?,
            cgroups: world.cgroups.clone(),
            outside: None,
        };
        world.thread = Some(std::thread::Builder::new().name(name).spawn(move || match site.build() {
            Ok(init) => {
                let _ = built.send(Ok(()));
                site.serve(init, &inbox);
            }
            Err(error) => drop(built.send(Err(error))),
        })?);
        is_built.recv().context("the world's thread ended")?.context("build a world")?;
        world.orders = Some(orders);
        Ok(world)
    }

    /// Runs a shell script in the world; panics unless it succeeds.
    pub(crate) fn sh(&self, script: &str) -> String {
        let played = self.run(Line::new(["/bin/sh", "-ec", script]));
        assert_eq!(played.code, 0, "{script}: {}", played.said());
        played.stdout
    }

    /// Writes a file of the root file system.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let (done, is_done) = channel();
        self.order(Order::Write { path: path.into(), bytes: bytes.to_vec(), done });
        is_done.recv().expect("the world is up").unwrap_or_else(|error| panic!("write {path}: {error}"));
    }

    /// Where a file below /opt is on the machine.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.dir.join(path.trim_start_matches('/'))
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: Line) -> Played {
        let stem = self.dir.join(format!("output-{}", next(&self.outputs)));
        let files = (stem.with_extension("out"), stem.with_extension("err"));
        let streams = (File::create(&files.0).unwrap(), File::create(&files.1).unwrap());
        let (started, is_started) = channel();
        let begin = Instant::now();
        let said = format!("{:?}", line.words);
        self.order(Order::Start { line, streams, started });
        let mut child =
            is_started.recv().expect("the world is up").unwrap_or_else(|error| panic!("{said}: {error}"));
        let code = wait(&mut child).unwrap_or_else(|| panic!("{said} did not end in {DEADLINE:?}"));
        let took = begin.elapsed();
        let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Played { code, stdout: text(&files.0), stderr: text(&files.1), took }
    }

    fn order(&self, order: Order) {
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).expect("the world is up");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.orders.take());
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        let removed = self.cgroups.remove().and(remove(&self.dir));
        if !std::thread::panicking() {
            assert!(ended, "the world's thread panicked");
            removed.unwrap_or_else(|error| panic!("{} leaves something: {error:#}", self.dir.display()));
        }
    }
}

/// Waits until it ends; `None` after the deadline.
fn wait(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status.code().unwrap_or(-1));
        }
        if Instant::now() > end {
            let _ = child.kill().and_then(|()| child.wait());
            return None;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// What the world's thread builds, and on what.
struct Site {
    dir: PathBuf,
    tree: PathBuf,
    tools: PathBuf,
    cgroups: Cgroups,
    outside: Option<File>,
}

impl Site {
    /// Makes the world around this thread and starts its first process.
    fn build(&mut self) -> anyhow::Result<Child> {
        use nix::sched::{CloneFlags, unshare};
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
            .context("unshare")?;
        mounts::detach()?;
        self.cgroups.open()?;
        let root = mounts::root(&self.dir, &self.tree, &self.tools)?;
        self.outside = Some(network::connect(&root)?);
        mounts::fill(&root, &self.dir, &self.cgroups)?;
        nix::unistd::sethostname("sandbox").context("sethostname")?;
        mounts::enter(&root)?;
        // The next child is its first process, and it lives as long as that one.
        unshare(CloneFlags::CLONE_NEWPID).context("unshare the pid namespace")?;
        let init = self.start(&Line::new(["/bin/sh", "-ec", INIT]), (Stdio::null(), Stdio::null()))?;
        self.play(STANDS).context("wait for the first process")?;
        self.play(network::ADDRESSES).context("addresses")?;
        Ok(init)
    }

    /// Starts what is asked for until nobody can ask any more, then ends the world.
    fn serve(&self, mut init: Child, inbox: &Receiver<Order>) {
        for order in inbox {
            match order {
                Order::Start { line, streams, started } => {
                    drop(started.send(self.start(&line, (streams.0.into(), streams.1.into()))));
                }
                Order::Write { path, bytes, done } => drop(done.send(std::fs::write(path, bytes))),
            }
        }
        let _ = init.kill().and_then(|()| init.wait());
    }

    /// Starts a command in the world and in its cgroups.
    fn start(&self, line: &Line, streams: (Stdio, Stdio)) -> std::io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        // It waits until it is in its cgroups; then its input ends.
        command.args(["-c", "read -r _ && exec \"$@\"", "sh"]).args(&line.words);
        command.env_clear().envs([("PATH", PATH), ("HOME", "/root"), ("HOSTNAME", "sandbox")]);
        command.envs(line.env.iter().map(|(key, value)| (key, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(streams.0).stderr(streams.1).spawn()?;
        self.cgroups.admit(child.id())?;
        let mut go = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        std::io::Write::write_all(&mut go, b"\n")?;
        Ok(child)
    }

    /// Runs a script of the builder to its end, in the world.
    fn play(&self, script: &str) -> anyhow::Result<()> {
        let status =
            self.start(&Line::new(["/bin/sh", "-ec", script]), (Stdio::null(), Stdio::inherit()))?.wait()?;
        ensure!(status.success(), "{script}: {status}");
        Ok(())
    }
}

/// The first process: a proc file system can be mounted only from within its pid namespace. tini reaps, and is killed
/// when the thread that started it ends.
const INIT: &str =
    "mount -t proc -o nosuid,nodev,noexec proc /proc; exec tini-static -p SIGKILL -- sleep infinity";
/// Waits until it has come so far.
const STANDS: &str = "until grep -qsx sleep /proc/[0-9]*/comm; do :; done";

/// Counts worlds, so that each has a name of its own.
static WORLDS: AtomicU32 = AtomicU32::new(0);
/// What the cgroups of worlds are called; an id follows.
const PREFIX: &str = "dindcheck-sandbox-";

fn next(counter: &AtomicU32) -> u32 {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// The program under test, on the machine.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    Ok(tools()?.join("usr/local/bin/dindcheck"))
}

/// A layer above the tree: the program under test.
fn tools() -> anyhow::Result<PathBuf> {
    static MADE: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap();
    if made.is_none() {
        let dir = bed().join("sandbox").join(format!("{}-tools", std::process::id()));
        let bin = dir.join("usr/local/bin");
        std::fs::create_dir_all(&bin).context("make the layer of the program under test")?;
        std::fs::copy(crate::shared::program(), bin.join("dindcheck")).context("copy dindcheck")?;
        *made = Some(dir);
    }
    Ok(made.clone().unwrap())
}

/// Removes what runs left that were killed.
fn sweep() {
    let gone = |name: &str| {
        let pid = name.trim_start_matches(PREFIX).split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        pid.is_some_and(|pid| pid != std::process::id() && !Path::new(&format!("/proc/{pid}")).exists())
    };
    for entry in std::fs::read_dir(bed().join("sandbox")).into_iter().flatten().flatten() {
        if gone(&entry.file_name().to_string_lossy()) {
            let _ = remove(&entry.path());
        }
    }
    cgroups::sweep(PREFIX, &gone);
}

/// Removes a directory with all that is in it.
fn remove(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| dir.display().to_string())
        }
        _ => Ok(()),
    }
}
