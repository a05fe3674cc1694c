//! The content of a file as a recording stores it: whole for kinds of files that are known to hold no secrets, else with
//! every value covered.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::diagnosis::redact::{WITHHELD, cover, without_logins};
use crate::redact;

/// Files that are stored whole, but for logins in URLs: the kernel's own, and tables of names and addresses.
const PLAIN: &[&str] = &[
    "/proc/",
    "/sys/",
    "/boot/config-",
    "/lib/modules/",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/etc/os-release",
    "/etc/subuid",
    "/etc/subgid",
];
/// Keys of containerd's configuration whose values are stored (containerd `cmd/containerd/server/config`).
const CONTAINERD_KEYS: &[&str] =
    &["version", "root", "state", "oom_score", "disabled_plugins", "required_plugins"];
/// The keys of a profile of dindcheck.
const PROFILE_KEYS: &[&str] = &[
    "extends",
    "description",
    "steps",
    "causes",
    "repair",
    "controllers",
    "storage",
    "network",
    "daemon",
    "image",
    "container",
    "format",
];
/// The bytes of an ELF file.
const ELF: &[u8] = b"\x7fELF";

/// The content of a file without secrets.
pub(super) fn safe(path: &str, bytes: &[u8]) -> Vec<u8> {
    if path.starts_with("/proc/") && path.ends_with("/environ") || path == "/proc/cmdline" {
        return WITHHELD.into();
    }
    if path.starts_with("/proc/") && path.ends_with("/cmdline") {
        return command_line(bytes);
    }
    if bytes.starts_with(ELF) || path == "/proc/config.gz" {
        return bytes.to_vec();
    }
    match decode(bytes) {
        Text::Utf8(text) => safe_text(path, text).into_bytes(),
        Text::Wide(text, number) => {
            format!("\u{feff}{}", safe_text(path, &text)).encode_utf16().flat_map(number).collect()
        }
        // What is not text stays what is not text.
        Text::Invalid(text) => [safe_text(path, &text).as_bytes(), b"\xff"].concat(),
    }
}

/// The program of a command line, since its arguments may hold secrets; of dockerd also the arguments that are safe. A
/// program may join its arguments (setproctitle).
fn command_line(bytes: &[u8]) -> Vec<u8> {
    let mut words = bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    if Path::new(OsStr::from_bytes(program)).file_name() != Some(OsStr::new("dockerd")) {
        let end = program.iter().position(u8::is_ascii_whitespace).unwrap_or(program.len());
        return program[..end].to_vec();
    }
    let args: Vec<_> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let shown = redact::arguments(&args).into_iter().map(|arg| [b"\0", arg.as_bytes()].concat());
    [program.to_vec(), shown.collect::<Vec<_>>().concat(), b"\0".to_vec()].concat()
}

/// Text in the encodings that dockerd reads.
enum Text<'b> {
    Utf8(&'b str),
    /// UTF-16 after its byte order mark, and how a unit is written.
    Wide(String, fn(u16) -> [u8; 2]),
    Invalid(String),
}

fn decode(bytes: &[u8]) -> Text<'_> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Text::Wide(wide(rest, u16::from_le_bytes), u16::to_le_bytes),
        [0xfe, 0xff, rest @ ..] => Text::Wide(wide(rest, u16::from_be_bytes), u16::to_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8(text),
            Err(_) => Text::Invalid(String::from_utf8_lossy(bytes).into_owned()),
        },
    }
}

/// The same of a text.
fn safe_text(path: &str, text: &str) -> String {
    if text.contains("-----BEGIN ") {
        return WITHHELD.to_owned();
    }
    if text.starts_with("#!") {
        return without_logins(text.lines().next().unwrap_or_default()).into_owned();
    }
    let is_number = text.trim().bytes().all(|byte| byte.is_ascii_digit());
    if is_number || PLAIN.iter().any(|plain| path.starts_with(plain)) {
        return without_logins(text).into_owned();
    }
    match path {
        "/etc/group" | "/etc/passwd" => without_passwords(text),
        "/etc/containerd/config.toml" => without_tables(text),
        _ => profile(text).unwrap_or_else(|| redact::json(text)),
    }
}

/// Lines of group(5) or passwd(5), with the second field covered.
fn without_passwords(text: &str) -> String {
    let line = |line: &str| {
        let fields: Vec<_> = line.split(':').enumerate().collect();
        let shown = |(at, field): &(usize, &str)| if *at == 1 { cover(field) } else { (*field).to_owned() };
        format!("{}\n", fields.iter().map(shown).collect::<Vec<_>>().join(":"))
    };
    text.lines().map(line).collect()
}

/// The known keys before the first table; a plugin's table may hold the logins of registries.
fn without_tables(text: &str) -> String {
    let top = text.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let known =
        top.filter(|line| line.split_once('=').is_some_and(|(key, _)| CONTAINERD_KEYS.contains(&key.trim())));
    known.map(|line| format!("{}\n", without_logins(line))).collect()
}

/// A profile with covered arguments of dockerd and a covered command; `None` for any other text.
fn profile(text: &str) -> Option<String> {
    let mut value: serde_json::Value = crate::yaml::from_str(text, crate::yaml::Limits::HAND_WRITTEN).ok()?;
    let members = value.as_object()?;
    if members.is_empty() || members.keys().any(|key| !PROFILE_KEYS.contains(&key.as_str())) {
        return None;
    }
    if let Some(args) = value.pointer_mut("/daemon/args") {
        *args = match serde_json::from_value::<Vec<String>>(args.clone()) {
            Ok(given) => redact::arguments(&given).into(),
            Err(_) => WITHHELD.into(),
        };
    }
    for pointer in ["/container/command", "/container/output"] {
        value.pointer_mut(pointer).into_iter().for_each(cover_strings);
    }
    Some(without_logins(&value.to_string()).into_owned())
}

fn cover_strings(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = cover(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(cover_strings),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str, text: &str) -> String {
        String::from_utf8(safe(path, text.as_bytes())).unwrap()
    }

    #[test]
    fn kinds_of_files_that_hold_no_secrets_are_whole() {
        for (path, text) in [
            ("/proc/self/cgroup", "0::/a@b\n"),
            ("/etc/resolv.conf", "search a.b\nnameserver 1.1.1.1\n"),
            ("/var/run/docker.pid", "4711\n"),
            ("/etc/subuid", "sam:1000:65536\n"),
        ] {
            assert_eq!(kept(path, text), text);
        }
        let program = [ELF, &[0xff, 0, 1]].concat();
        assert_eq!(safe("/usr/bin/dockerd", &program), program);
    }

    #[test]
    fn canary_survives_in_no_file() {
        for (path, text) in [
            ("/proc/7/cmdline", "mysql\0--password=canary\0"),
            ("/proc/7/cmdline", "dockerd\0--log-opt\0env=canary\0--http-proxy=http://me:canary@p\0"),
            ("/proc/1/environ", "TOKEN=canary\0"),
            ("/proc/cmdline", "quiet ks=http://me:canary@x/"),
            ("/certs/key.pem", "-----BEGIN PRIVATE KEY-----\ncanary"),
            (
                "/etc/docker/daemon.json",
                r#"{"labels": ["a=canary"], "log-opts": {"splunk-token": "canary"}}"#,
            ),
            ("/etc/docker/daemon.json", r#"{"labels": ["a=canary""#),
            ("/root/.docker/config.json", r#"{"auths": {"r": {"auth": "canary"}}}"#),
            (
                "/etc/systemd/system/docker.service.d/proxy.conf",
                "Environment=HTTP_PROXY=http://me:canary@p\n",
            ),
            ("/etc/group", "docker:canary:99:sam\n"),
            ("/etc/containerd/config.toml", "root = '/c'\n[plugins.registry.auth]\npassword = 'canary'\n"),
            ("/entrypoint.sh", "#!/bin/sh\nexport TOKEN=canary\n"),
            ("/p.yaml", "extends: ci\ndaemon:\n  args: [--log-opt, env=canary]\n"),
            ("/p.yaml", "daemon: {args: canary}\ncontainer: {command: [x, canary]}\n"),
            ("/anything", "password: canary\n"),
        ] {
            let stored = kept(path, text);
            assert!(!stored.contains("canary"), "{path}: {stored}");
        }
        for text in ["\u{feff}{\"labels\": [\"a=canary\"]}", "canary"] {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let wide = [&[0xff, 0xfe][..], &wide].concat();
            let stored = String::from_utf8_lossy(&safe("/etc/docker/daemon.json", &wide)).replace('\0', "");
            assert!(!stored.contains("canary"), "{stored}");
        }
        let stored = safe("/etc/docker/daemon.json", b"{\"a\": \"canary\xff\"}");
        assert!(
            std::str::from_utf8(&stored).is_err() && !String::from_utf8_lossy(&stored).contains("canary")
        );
    }

    #[test]
    fn what_a_replay_needs_stays() {
        assert_eq!(kept("/proc/7/cmdline", "mysql\0--password=x\0"), "mysql");
        assert_eq!(kept("/proc/7/cmdline", "mysql: password x"), "mysql:");
        let dockerd = "/usr/bin/dockerd\0--exec-root=/r\0--label\0a=x\0";
        assert_eq!(kept("/proc/7/cmdline", dockerd), dockerd);
        assert_eq!(kept("/etc/group", "docker:x:99:sam\nroot:x:0:\n"), "docker:x:99:sam\nroot:x:0:\n");
        assert_eq!(kept("/etc/containerd/config.toml", "root = '/c'\n[x]\n"), "root = '/c'\n");
        assert_eq!(kept("/usr/bin/x", "#!/bin/sh -e\nexit\n"), "#!/bin/sh -e");
        let profile =
            kept("/p.yaml", "extends: ci\nsteps: {build: skip}\ndaemon: {args: [--debug, --label=a=b]}\n");
        let read: serde_json::Value =
            crate::yaml::from_str(&profile, crate::yaml::Limits::HAND_WRITTEN).unwrap();
        assert_eq!(read["daemon"]["args"], serde_json::json!(["--debug", "--label=a=x"]));
        assert_eq!((&read["extends"], &read["steps"]["build"]), (&"ci".into(), &"skip".into()));
    }
}
