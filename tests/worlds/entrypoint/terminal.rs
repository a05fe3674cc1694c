//! The terminal of an interactive outer container belongs to the command.

use std::process::Command;
use std::time::Duration;

use crate::harness::bed;

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
        bed::until(patience, || self.tmux(&["capture-pane", "-p"]).contains(words))
    }

    /// Waits until the screen shows these words.
    fn shows(&self, words: &str) {
        let patience = Duration::from_secs(180);
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
#[ignore = "needs root, the test bed, and tmux"]
fn terminal_belongs_to_the_command() {
    let engine = format!("{}/tests/bed/engine.sh", env!("CARGO_MANIFEST_DIR"));
    // The prompt tells how the last command ended and how many jobs there are; keys wait for what they are for.
    let terminal = Terminal::open(&format!(
        "{engine} docker run -it --rm --privileged -e 'PS1=[$?,\\j] ' --entrypoint dindcheck \
         dindcheck-outer:trixie entrypoint --until daemon-info -- bash --norc -i"
    ));
    terminal.shows("no failure until");
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
