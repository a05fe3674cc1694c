//! A container that runs, and took several seconds to start.

use std::time::Duration;

use crate::diagnosis::causes;
use crate::engine::containers::start_times::StartTimes;
use crate::finding::Finding;
use crate::text::seconds;

/// A small container starts in less than one second on a machine that is not busy.
const SLOW: Duration = Duration::from_secs(3);
/// On one whose processors are this busy, in percent, a start has its share of them only, and is not slow by itself...
const BUSY: u64 = 85;
/// ... up to this.
const SLOW_WHERE_BUSY: Duration = Duration::from_secs(15);

/// A part of a start, and what to do where it took the most.
struct Part {
    name: &'static str,
    took: Duration,
    hint: &'static str,
}

/// A warning, with the part that took the most.
pub(super) fn judge(times: &StartTimes) -> Option<Finding> {
    let whole = times.create + times.start;
    let slowest = parts(times).into_iter().max_by_key(|part| part.took)?;
    let what = format!(
        "a container took {} to start, most of it {} ({})",
        seconds(whole),
        slowest.name,
        seconds(slowest.took)
    );
    let busy = times.busy_percent;
    let limit = if busy.is_some_and(|percent| percent >= BUSY) { SLOW_WHERE_BUSY } else { SLOW };
    let finding = Finding::warn(causes::CONTAINER_START_SLOW, what)
        .with("create", seconds(times.create))
        .with("start", seconds(times.start))
        .with("network", seconds(times.network))
        .with("shim", seconds(times.shim))
        .with("runc", seconds(times.runtime))
        .with("processors_busy", busy.map_or("unknown".to_owned(), |percent| format!("{percent} %")))
        .hint(slowest.hint);
    (whole >= limit).then_some(finding)
}

/// Everything that a start consists of. What no program is seen for is the daemon's own time.
fn parts(times: &StartTimes) -> [Part; 5] {
    let StartTimes { create, start, network, shim, runtime, .. } = *times;
    let own = start.saturating_sub(network + shim + runtime);
    let part = |name, took, hint| Part { name, took, hint };
    [
        part(
            "the image: its layers were put together",
            create,
            "`docker info -f '{{.Driver}}'` shows the storage driver: vfs copies every layer, so mount a volume at the data \
             root (`docker run -v /var/lib/docker`); with overlay2 the disk is slow or full of work (`iostat -x 1`)",
        ),
        part(
            "runc",
            runtime,
            "`file $(command -v runc)` shows whether it is a wrapper; otherwise raise the outer container's CPU limit \
             (`docker update --cpus 2 CONTAINER`), or see what else uses the processors (`top`)",
        ),
        part(
            "the shim",
            shim,
            "`file $(command -v containerd-shim-runc-v2)` shows whether it is a wrapper; otherwise raise the outer container's \
             CPU limit (`docker update --cpus 2 CONTAINER`), or see what else uses the processors (`top`)",
        ),
        part(
            "the network: iptables or docker-proxy ran",
            network,
            "`iptables-save | wc -l` counts the rules, of which each costs time, and `time iptables -w -S` shows whether \
             another program holds the lock or iptables is a slow wrapper",
        ),
        part(
            "dockerd and containerd themselves",
            own,
            "`kill -USR1 $(pidof dockerd)` makes dockerd write what it waits for; raise the outer container's CPU limit \
             (`docker update --cpus 2 CONTAINER`) where it is small",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(create: u64, start: u64, network: u64, shim: u64, runtime: u64) -> StartTimes {
        let [create, start, network, shim, runtime] =
            [create, start, network, shim, runtime].map(Duration::from_millis);
        StartTimes { create, start, network, shim, runtime, busy_percent: Some(30) }
    }

    #[test]
    fn start_below_three_seconds_is_no_finding() {
        assert_eq!(judge(&times(900, 2000, 0, 0, 1900)), None);
    }

    #[test]
    fn start_on_a_busy_machine_is_slow_only_where_it_takes_far_longer() {
        let busy = |start| judge(&StartTimes { busy_percent: Some(99), ..times(100, start, 0, 0, start) });
        assert_eq!(busy(9000), None);
        assert!(busy(20_000).is_some());
    }

    #[test]
    fn slow_start_names_the_part_that_took_the_most() {
        for (times, part) in [
            (times(4000, 500, 0, 0, 0), "the image: its layers were put together (4.0 s)"),
            (times(100, 4000, 0, 0, 3500), "runc (3.5 s)"),
            (times(100, 4000, 0, 3500, 100), "the shim (3.5 s)"),
            (times(100, 4000, 3500, 0, 100), "the network: iptables or docker-proxy ran (3.5 s)"),
            (times(100, 4000, 0, 0, 100), "dockerd and containerd themselves (3.9 s)"),
        ] {
            let finding = judge(&times).unwrap();
            assert!(finding.what.ends_with(&format!("most of it {part}")), "{}", finding.what);
        }
    }
}
