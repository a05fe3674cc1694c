//! Is dindcheck a good first process of an outer container? Codes, signals, orphans, the terminal, the daemon's end.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::bed::{Outer, Played, SUITES, docker};

/// A container in the background, removed when it goes out of sight.
struct Running(String);

impl Running {
    /// Starts `dindcheck entrypoint OPTIONS` in one, as its first process.
    fn start(suite: &str, run: &[&str], options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("entry-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let image = format!("dindcheck-outer:{suite}");
        let mut words = vec!["run", "-d", "--privileged", "--name", &name, "--entrypoint", "dindcheck"];
        words.extend(run);
        words.extend([image.as_str(), "entrypoint"]);
        words.extend(options);
        let started = docker(&words).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Self(name)
    }

    fn logs(&self) -> String {
        let logs = docker(&["logs", &self.0]).output().unwrap();
        String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned()
    }

    /// Waits until the logs hold these words so many times.
    fn said(&self, words: &str, times: usize) {
        let end = Instant::now() + Duration::from_secs(120);
        while self.logs().matches(words).count() < times {
            assert!(Instant::now() < end, "no `{words}` in\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&self, signal: &str) {
        assert!(docker(&["kill", "-s", signal, &self.0]).output().unwrap().status.success());
    }

    /// `docker stop`; how long it took.
    fn stop(&self) -> Duration {
        let began = Instant::now();
        assert!(docker(&["stop", "-t", "20", &self.0]).output().unwrap().status.success());
        began.elapsed()
    }

    /// The exit code, once it ended.
    fn code(&self) -> String {
        let code = docker(&["wait", &self.0]).output().unwrap();
        String::from_utf8_lossy(&code.stdout).trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = docker(&["rm", "-fv", &self.0]).output();
    }
}

/// The daemon alone is enough here.
const QUICK: [&str; 2] = ["--until", "daemon-info"];

/// A quick entrypoint of these words, as the first process.
fn quick(suite: &str, run: &[&str], options: &[&str]) -> Running {
    Running::start(suite, run, &[&QUICK[..], options].concat())
}

/// The same below a shell, to its end.
fn play(suite: &str, script: &str) -> Played {
    Outer::new(suite).args(&["-v", "/var/lib/docker"]).play(script)
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_command_has_the_daemon_and_its_code_is_ours() {
    for (suite, engine) in SUITES {
        for (script, code) in
            [("docker version -f {{.Server.Version}}", "0"), ("exit 3", "3"), ("kill -KILL $$", "137")]
        {
            let outer = quick(suite, &[], &["--", "sh", "-c", script]);
            assert_eq!(outer.code(), code, "{suite}, {script}: {}", outer.logs());
            assert!(
                code != "0"
                    || outer.logs().contains(&format!("\n{engine}"))
                    || outer.logs().starts_with(engine)
            );
            assert!(outer.logs().contains("dockerd stopped within"), "{suite}: {}", outer.logs());
        }
    }
    assert_eq!(quick("trixie", &[], &["--", "/no/such/program"]).code(), "127");
    assert_eq!(quick("trixie", &[], &["--", "/etc/passwd"]).code(), "126");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn every_signal_reaches_the_command() {
    let signals = ["TERM", "INT", "HUP", "USR1", "WINCH", "QUIT", "CONT", "RTMIN+3"];
    let traps: String = signals.iter().map(|signal| format!("trap 'echo got {signal}' {signal};")).collect();
    let script = format!("{traps} trap 'exit 9' USR2; echo ready; while :; do sleep 0.05; done");
    for (suite, _) in SUITES {
        let outer = quick(suite, &[], &["--", "bash", "-c", &script]);
        outer.said("ready\n", 1);
        for signal in signals {
            outer.kill(signal);
            outer.said(&format!("got {signal}\n"), 1);
        }
        outer.kill("USR2");
        assert_eq!(outer.code(), "9", "{suite}: {}", outer.logs());
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_thousand_orphans_are_reaped_as_first_process_and_as_another() {
    // Each orphan's parent ends before it does.
    let script = "ulimit -u 20000; for i in $(seq 1000); do (sleep 0.2 & ) ; done; \
                  for i in $(seq 600); do ps -eo ppid,stat,comm >/tmp/ps; grep -q sleep /tmp/ps || break; sleep 0.1; done; \
                  echo zombies $(grep -c [[:space:]]Z /tmp/ps) of $(grep -c sleep /tmp/ps)";
    for (suite, _) in SUITES {
        let outer = quick(suite, &[], &["--", "bash", "-c", script]);
        assert_eq!(outer.code(), "0");
        assert!(outer.logs().contains("zombies 0 of 0\n"), "{suite}: {}", outer.logs());
    }
    let below = play(
        "trixie",
        &format!(
            "dindcheck entrypoint {} -- bash -c '{script}'; ps -eo stat | grep -c Z >&2",
            QUICK.join(" ")
        ),
    );
    assert!(below.stdout.contains("zombies 0 of 0\n") && below.stderr.ends_with("0\n"), "{}", below.said());
    let init = quick("trixie", &["--init"], &["--", "bash", "-c", script]);
    assert_eq!(init.code(), "0");
    assert!(init.logs().contains("zombies 0 of 0\n"), "{}", init.logs());
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn docker_stop_is_quick_and_clean() {
    for (suite, _) in SUITES {
        let outer =
            quick(suite, &["-v", "/var/lib/docker"], &["--", "sh", "-c", "echo ready; exec sleep 1000"]);
        outer.said("ready\n", 1);
        let took = outer.stop();
        println!("{suite}: docker stop took {took:?}");
        // Not 137: docker did not have to kill it.
        assert_eq!(outer.code(), "143", "{suite}");
        assert!(outer.logs().contains("dockerd stopped within"), "{suite}: {}", outer.logs());
        assert!(!outer.logs().contains("left over"), "{suite}: {}", outer.logs());
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn nothing_is_left_when_the_command_ends() {
    // With containers that run when it ends.
    let script = r"
snap() {
    awk '{print $3, $4, $5, $6, $9}' /proc/self/mountinfo | sort; ip -o link | sed 's/^[0-9]*: //' | sort
    find /run /tmp /sys/fs/cgroup -xdev -type d | sort; ps -eo comm --no-headers | grep -vE '^(bash|ps|sort|grep|find|sed|awk|cat|ip)$' | sort
    iptables-save | grep -v '^#'
}
snap >/root/before 2>&1
dindcheck entrypoint --until daemon-info -- sh -c '
    tar -C /var/empty-image -c . | docker import - empty >/dev/null
    docker run -d --network host empty /busybox sleep 1000 >/dev/null && docker ps -q | wc -l'
code=$?
snap >/root/after 2>&1
diff /root/before /root/after >&2 && exit $code";
    for (suite, _) in SUITES {
        let played =
            play(suite, &format!("mkdir /var/empty-image; cp /bin/busybox /var/empty-image; {script}"));
        assert_eq!((played.code, played.stdout.trim()), (0, "1"), "{suite}: {}", played.said());
    }
}

/// An outer container whose cgroups are gone, which may not be repaired.
fn broken(options: &str) -> Played {
    let quick = QUICK.join(" ");
    play(
        "trixie",
        &format!("umount -R /sys/fs/cgroup; exec dindcheck entrypoint --repair none {quick} {options}"),
    )
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn where_the_check_fails_the_command_runs_only_if_that_is_wanted() {
    let stopped = broken("-- echo ran");
    assert_eq!((stopped.code, stopped.stdout.as_str()), (1, ""), "{}", stopped.said());
    assert!(stopped.stderr.contains("dindcheck: broken at cgroup-mounts"), "{}", stopped.said());
    let ran = broken("--on-failure continue -- sh -c 'echo ran; exit 4'");
    assert_eq!((ran.code, ran.stdout.as_str()), (4, "ran\n"), "{}", ran.said());
    let shell = broken("--on-failure shell -- echo ran");
    assert_eq!((shell.code, shell.stdout.as_str()), (1, ""), "{}", shell.said());
    assert!(shell.stderr.contains("/bin/sh runs instead"), "{}", shell.said());
    let typo = play("trixie", "dindcheck entrypoint --until mounts -- true");
    assert_eq!(typo.code, 64, "{}", typo.said());
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_daemon_that_dies_first_is_told_or_started_again_or_ends_the_command() {
    let dies = |policy: &str| {
        play(
            "trixie",
            &format!(
                "dindcheck entrypoint {} --on-daemon-death {policy} -- bash -c '
                trap \"exit 0\" TERM; kill -KILL $(pidof dockerd); for i in $(seq 100); do sleep 0.05; done
                docker version -f {{{{.Server.Version}}}}'",
                QUICK.join(" ")
            ),
        )
    };
    let told = dies("report");
    assert!(
        told.code != 0 && told.stderr.contains("ended before the command did, with signal 9"),
        "{}",
        told.said()
    );
    let again = dies("restart");
    assert_eq!((again.code, again.stdout.trim()), (0, "26.1.5+dfsg1"), "{}", again.said());
    assert!(again.stderr.contains("dockerd serves again"), "{}", again.said());
    let ended = dies("stop");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.said());
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn dockerd_itself_may_be_the_command() {
    for (suite, _) in SUITES {
        let outer = quick(suite, &["-v", "/var/lib/docker"], &["--", "dockerd", "--label=a=b"]);
        outer.said("API listen on", 1);
        let ready = docker(&["exec", &outer.0, "dindcheck", "wait"]).output().unwrap();
        assert!(ready.status.success(), "{}", String::from_utf8_lossy(&ready.stderr));
        let labels = docker(&["exec", &outer.0, "docker", "info", "-f", "{{.Labels}}"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&labels.stdout).trim(), "[a=b]");
        println!("{suite}: docker stop took {:?}", outer.stop());
        assert_eq!(outer.code(), "0", "{suite}: {}", outer.logs());
    }
}

#[test]
#[ignore = "needs root, the bed's engines, and openssl on this machine"]
fn options_alone_are_dockerds_with_tls_where_it_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").arg("src/entrypoint/tls.sh").arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tar = Command::new("tar").arg("-C").arg(dir.path()).args(["-c", "."]).output().unwrap().stdout;
    let script = "mkdir /certs; tar -x -C /certs; (dindcheck wait && cd /certs/client && \
        docker --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem -H tcp://localhost:2376 info -f {{.Driver}} >&2
        # Before the end of the check it would be the check that is ended.
        while [ $(grep -lx dindcheck /proc/[0-9]*/comm 2>/dev/null | wc -l) -gt 1 ]; do sleep 0.1; done
        kill -TERM 1) & exec dindcheck entrypoint --until daemon-info -- --storage-driver=vfs";
    let mut outer = docker(&[
        "run",
        "--rm",
        "-i",
        "--privileged",
        "-e",
        "DOCKER_TLS_CERTDIR=/certs",
        "--entrypoint",
        "bash",
        "dindcheck-outer:trixie",
        "-c",
        script,
    ])
    .stdin(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    outer.stdin.take().unwrap().write_all(&tar).unwrap();
    let done = outer.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.lines().any(|line| line == "vfs"), "{said}");
    assert_eq!(done.status.code(), Some(0), "{said}");
}

#[test]
#[ignore = "needs root, the bed's engines, and a kernel with the legacy iptables"]
fn the_legacy_iptables_is_used_where_that_is_said_and_where_its_tables_are_in_use() {
    let count = "echo legacy $(iptables-legacy -t nat -S | grep -c DOCKER) nft $(iptables-nft -t nat -S 2>/dev/null | grep -c DOCKER)";
    let run = format!("dindcheck entrypoint {} -- sh -c '{count}'", QUICK.join(" "));
    let legacy = |played: &Played| {
        let words: Vec<_> = played.stdout.split_whitespace().map(ToOwned::to_owned).collect();
        assert_eq!(played.code, 0, "{}", played.said());
        (words[1] != "0", words[3] != "0")
    };
    let said = play(
        "trixie",
        &format!(
            "export DOCKER_IPTABLES_LEGACY=1; {run}; code=$?; ls -d /usr/local/sbin/.d* >&2; exit $code"
        ),
    );
    assert_eq!(legacy(&said), (true, false), "{}", said.said());
    assert!(said.stderr.contains("DOCKER_IPTABLES_LEGACY is set"), "{}", said.said());
    assert!(said.stderr.contains("cannot access"), "the links are gone: {}", said.said());
    let in_use = play("trixie", &format!("iptables-legacy -t nat -N MINE; {run}"));
    assert_eq!(legacy(&in_use), (true, false), "{}", in_use.said());
    assert_eq!(legacy(&play("trixie", &run)), (false, true));
}

/// A terminal of 99 columns, driven by tmux in a server of its own.
struct Terminal(String);

impl Terminal {
    fn open(command: &str) -> Self {
        let terminal = Self(format!("dindcheck-{}", std::process::id()));
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            "99",
            "-y",
            "33",
            &format!("{command}; echo code=$?; sleep 60"),
        ]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let done = Command::new("tmux").args(["-L", &self.0]).args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn screen_has(&self, words: &str, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.tmux(&["capture-pane", "-p"]).contains(words) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Waits until the screen shows these words.
    fn shows(&self, words: &str) {
        let patience = Duration::from_secs(60);
        assert!(self.screen_has(words, patience), "no `{words}` on\n{}", self.tmux(&["capture-pane", "-p"]));
    }

    /// Sends keys, again and again where nothing comes of them: what they are for may not be there yet.
    fn until_it_shows(&self, words: &str, keys: &[&str]) {
        for _ in 0..30 {
            for key in keys {
                self.tmux(&["send-keys", key]);
            }
            if self.screen_has(words, Duration::from_secs(2)) {
                return;
            }
        }
        panic!("no `{words}` on\n{}", self.tmux(&["capture-pane", "-p"]));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

#[test]
#[ignore = "needs root, the bed's engines, and tmux"]
fn a_terminal_belongs_to_the_command() {
    let engine = format!("{}/tests/bed/engine.sh", env!("CARGO_MANIFEST_DIR"));
    // The prompt tells how the last command ended and how many jobs there are; keys wait for what they are for.
    let terminal = Terminal::open(&format!(
        "{engine} docker run -it --rm --privileged -e 'PS1=[$?,\\j] ' --entrypoint dindcheck \
         dindcheck-outer:trixie entrypoint --until daemon-info -- bash --norc -i"
    ));
    terminal.shows("sound");
    terminal.shows("[0,0]");
    let press = |key: &str| terminal.tmux(&["send-keys", key]);
    let type_in = |line: &str| terminal.tmux(&["send-keys", line, "Enter"]);
    type_in("stty size");
    terminal.shows("33 99");
    terminal.tmux(&["resize-window", "-x", "90", "-y", "30"]);
    terminal.until_it_shows("30 90", &["stty size", "Enter"]);
    // What is typed is on the screen as well: the quotes tell it from what is printed.
    type_in("sh -c 'echo one\"\"begun; exec sleep 500'");
    terminal.shows("onebegun");
    press("C-c");
    terminal.shows("[130,0]");
    type_in(
        "sh -c 'trap \"exit 7\" INT; trap \"echo go\"\"es-on\" CONT; echo two\"\"begun; while :; do sleep .1; done'",
    );
    terminal.shows("twobegun");
    press("C-z");
    terminal.shows("[148,1]");
    type_in("fg");
    terminal.shows("goes-on");
    press("C-c");
    terminal.shows("[7,0]");
    type_in("exit 5");
    terminal.shows("dockerd stopped within");
    terminal.shows("code=5");
    let screen = terminal.tmux(&["capture-pane", "-p"]);
    assert!(!screen.contains("job control"), "{screen}");
}
