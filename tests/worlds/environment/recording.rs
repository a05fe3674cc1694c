//! A recording of a world, played back in another container by a user who owns nothing.

use crate::harness::{Bookworm, Outer, Trixie, bed, outer, report};

/// What is broken, further arguments of `docker run`, options of `verify`, arguments of dockerd.
const WORLDS: &[(&str, &[&str], &str, &str)] = &[
    ("true", &[], "--repair none", ""),
    ("umount -R /sys/fs/cgroup", &[], "--repair none", ""),
    ("umount -R /sys/fs/cgroup", &[], "--repair container", ""),
    (
        "sleep 99 & echo $! >/run/docker.pid; touch -d '1 hour ago' /run/docker.pid",
        &[],
        "--repair container",
        "",
    ),
    ("mkdir /run/docker.sock", &[], "--repair none --keep-going", ""),
    ("mv /usr/sbin/dockerd /root/", &[], "--repair none", ""),
    ("mkdir -p /etc/docker; echo '{,' >/etc/docker/daemon.json", &[], "--repair none --profile ci", ""),
    ("mount -o remount,bind,ro /var/lib/docker", &["-e", "TOKEN=hush"], "--repair none", ""),
    ("true", &["-e", "HTTP_PROXY=http://sam:hush@proxy:1"], "--only storage,network", "--bip=172.17.0.1/16"),
];

#[test]
#[ignore = "needs root and the test bed"]
fn replay_by_an_ordinary_user_gives_the_same_findings_and_no_secret() {
    for (broken, docker, options, daemon) in WORLDS {
        let file = outer::unique("recording");
        let until = if options.contains("--only") { "" } else { "--until daemon-state" };
        let recorded = Outer::new(Trixie).shared().args(docker).play(&format!(
            "{{ {broken}; }} >&2; dindcheck verify {until} {options} --format json --record /share/{file} -- {daemon}; \
             chmod a+r /share/{file}"
        ));
        let ordinary = Outer::unprivileged(Bookworm).shared().args(&["--user", "65534", "--network", "none"]);
        let replayed = ordinary.play(&format!("dindcheck --replay /share/{file} --format json"));
        let (seen, again) = (recorded.json(), replayed.json());
        assert_eq!(report::timeless_environment(&seen), report::timeless_environment(&again), "{broken}");
        assert_eq!((&seen["verdict"], &seen["first_failure"]), (&again["verdict"], &again["first_failure"]));
        let kept = bed::share().join(file);
        let text = std::fs::read_to_string(&kept).expect("the recording");
        assert!(!text.contains("hush"), "a secret was recorded");
        std::fs::remove_file(kept).expect("remove the recording");
    }
}
