//! A daemon that floods its log while the command runs, and a stderr that nobody reads.

use crate::daemon::floods::LARGEST;
use crate::harness::Trixie;

use super::{QUICK, play};

/// dockerd with a child that writes into its log as fast as the machine can, from the moment on that a file exists.
const FLOODING: &str = r#"
mkdir /root/fake; cat >/root/fake/dockerd <<'END'
#!/bin/bash
[[ $1 == --version ]] && exec /usr/sbin/dockerd --version
( until [[ -e /root/flood ]]; do sleep 0.05; done
  exec yes 'time="2026-01-01T00:00:00Z" level=info msg="nothing of interest"' >&2 ) &
exec /usr/sbin/dockerd "$@"
END
chmod +x /root/fake/dockerd; PATH=/root/fake:$PATH
"#;

/// Waits until the log was cut, however slow the machine is.
const IS_CUT: &str =
    "until grep -qa ' bytes of this log were dropped here' /run/dindcheck/*/dockerd.log; do sleep 0.05; done";

#[test]
#[ignore = "needs root and the test bed"]
fn flooded_log_stays_below_a_size_while_the_command_runs() {
    let run = format!(
        r"{FLOODING}
cat >/root/command <<'END'
touch /root/flood; {IS_CUT}
for i in $(seq 100); do wc -c </run/dindcheck/*/dockerd.log; sleep 0.02; done | sort -n | tail -n 1
END
dindcheck entrypoint {QUICK} -- bash /root/command"
    );
    let played = play(Trixie, &run);
    assert_eq!(played.code, 0, "{}", played.said());
    let largest: u64 = played.stdout.trim().parse().unwrap();
    println!("the log had up to {} MiB", largest >> 20);
    assert!(largest < LARGEST, "{largest} bytes");
}

#[test]
#[ignore = "needs root and the test bed"]
fn stderr_that_nobody_reads_keeps_neither_signals_nor_the_log_waiting() {
    // The FIFO is full when the flood has begun; a reader that never reads holds it open.
    let script = format!(
        r"{FLOODING}
mkfifo /root/stderr; sleep 1000 <>/root/stderr & reader=$!
dindcheck entrypoint {QUICK} -- dockerd 2>/root/stderr & pid=$!
until docker version >/dev/null 2>&1; do sleep 0.05; done
until [[ $(pgrep -xc dindcheck) == 1 ]]; do sleep 0.05; done
touch /root/flood; {IS_CUT}
wc -c </run/dindcheck/*/dockerd.log
kill -TERM $pid; wait $pid; code=$?
kill $reader; exit $code"
    );
    let played = play(Trixie, &script);
    assert_eq!(played.code, 0, "{}", played.said());
    let size: u64 = played.stdout.trim().parse().unwrap();
    assert!(size < LARGEST, "{size} bytes");
}
