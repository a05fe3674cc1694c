//! Applies the remedy that a report prints, word for word, and looks whether the world is sound then.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::fault::{Fault, Start};
use crate::matrix;
use crate::shared::remedy::Remedy;
use crate::shared::report;
use crate::world::{Line, Suite, World, bed};

use Remedy::{
    Argument, Begins, Command, Export, Flag, Install, Key, Member, NotHere, Outer, Setting, Unset,
    WithoutArgument, WithoutKey, WithoutMember,
};

/// The broken world with the remedy applied, and how dindcheck is started in it.
fn apply(
    remedy: Remedy,
    fault: &Fault,
    suite: Suite,
    world: World,
    printed: &str,
) -> anyhow::Result<(World, Start)> {
    if let Outer(setting) = remedy {
        return outer(setting, fault, suite);
    }
    let mut start = fault.start();
    match remedy {
        Command(text) => run(&world, text)?,
        Begins(text) => {
            let command = printed.split('`').skip(1).step_by(2).find(|one| one.starts_with(text));
            run(&world, command.with_context(|| format!("no command `{text}...`"))?)?;
        }
        Argument(text) => start.argument(text),
        Flag(text) => start.flags = text,
        Export(text) => start.export(text)?,
        Member(object, text) => edit(&world, |file| {
            let member: Value = serde_json::from_str(&format!("{{{text}}}")).context("a member")?;
            let inner = file.entry(object).or_insert_with(|| Value::Object(serde_json::Map::new()));
            let inner = inner.as_object_mut().with_context(|| format!("{object} is no object"))?;
            inner.extend(member.as_object().cloned().unwrap_or_default());
            Ok(())
        })?,
        WithoutMember(object, name) => edit(&world, |file| {
            let inner = file.get_mut(object).and_then(Value::as_object_mut);
            inner
                .and_then(|inner| inner.remove(name))
                .map(drop)
                .with_context(|| format!("no {name} in {object}"))
        })?,
        WithoutArgument(text) => start.without_argument(text)?,
        Key(text) => edit(&world, |file| {
            let member: Value = serde_json::from_str(&format!("{{{text}}}")).context("a member")?;
            file.extend(member.as_object().cloned().unwrap_or_default());
            Ok(())
        })?,
        WithoutKey(name) => edit(&world, |file| {
            file.remove(name).map(drop).with_context(|| format!("daemon.json has no {name}"))
        })?,
        Unset(text) => {
            let name = text.strip_prefix("unset ").context("unset NAME")?;
            let before = start.env.len();
            start.env.retain(|(variable, _)| variable != name);
            ensure!(start.env.len() < before, "{name} is not set");
        }
        Install(_, file) => install(&world, suite, file)?,
        Setting(_) => anyhow::bail!("the profile of a row is its own"),
        Outer(_) | NotHere(_) => {}
    }
    Ok((world, start))
}

/// Runs a command as somebody would who pastes it.
fn run(world: &World, command: &str) -> anyhow::Result<()> {
    let played = world.run(Line::new(["/bin/sh", "-c", command]));
    ensure!(played.code == 0, "`{command}` fails: {}", played.said());
    Ok(())
}

/// A setting of the outer container: what an engine does with it, in a new world.
fn outer(setting: &str, fault: &Fault, suite: Suite) -> anyhow::Result<(World, Start)> {
    let mut start = fault.start();
    let words: Vec<_> = setting.split(' ').collect();
    let world = match words[..] {
        // What such an engine keeps from a container that is not privileged is what the row took away.
        ["--privileged"] | ["without", ..] => {
            (start.under, start.refuses) = (&[], &[]);
            World::new(suite)?
        }
        ["--security-opt", "seccomp=unconfined"] => {
            start.refuses = &[];
            fault.world(suite)?
        }
        ["--user" | "--cap-add" | "--ulimit", _] => {
            start.under = &[];
            fault.world(suite)?
        }
        ["--pids-limit=-1" | "--memory=512m"]
        | ["--security-opt", "systempaths=unconfined"]
        | ["--device-cgroup-rule", ..] => World::new(suite)?,
        ["--tmpfs", place] => {
            let (path, options) = place.split_once(':').unwrap_or((place, ""));
            let world = fault.world(suite)?;
            world.sh(&format!("mount -t tmpfs -o rw,nosuid,nodev,{options} tmpfs {path}"));
            world
        }
        ["-v", volume] => {
            let path = volume.rsplit(':').next().unwrap_or(volume);
            let world = fault.world(suite)?;
            world.sh(&format!("mkdir -p /opt/volume; [ -d {path} ] || {{ rm -f {path}; mkdir {path}; }}; mount --bind /opt/volume {path}"));
            world
        }
        ["--sysctl", assignment] => {
            let world = World::new(suite)?;
            world.sh(&format!("sysctl -qw {assignment}\n{}", fault.breaks));
            world
        }
        _ => anyhow::bail!("`{setting}` is no setting that these worlds know"),
    };
    Ok((world, start))
}

/// Changes the world's daemon.json.
fn edit(
    world: &World,
    change: impl Fn(&mut serde_json::Map<String, Value>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    const FILE: &str = "/etc/docker/daemon.json";
    let text = world.sh(&format!("mkdir -p /etc/docker; cat {FILE} 2>/dev/null || echo {{}}"));
    let mut file = serde_json::from_str(&text).context(FILE)?;
    change(&mut file)?;
    world.write(FILE, Value::Object(file).to_string().as_bytes());
    Ok(())
}

/// Puts a file of the tree where its package has it: these worlds reach no archive.
fn install(world: &World, suite: Suite, file: &str) -> anyhow::Result<()> {
    let from = bed().join("trees").join(suite.name()).join(file.trim_start_matches('/'));
    let to = world.outside("/opt/installed");
    let copied = std::process::Command::new("cp").arg("-a").arg(&from).arg(&to).status()?;
    ensure!(copied.success(), "{} cannot be copied", from.display());
    world.sh(&format!("rm -rf {file}; cp -a /opt/installed {file}; rm /opt/installed"));
    Ok(())
}

/// A row's remedy, as it was printed and as it was applied.
pub(crate) struct Mended {
    pub(crate) fault: &'static str,
    pub(crate) remedy: Remedy,
    pub(crate) cause: &'static str,
    /// What the report prints.
    pub(crate) printed: String,
    /// What does not hold.
    pub(crate) complaint: Option<String>,
}

/// Reads the remedy of a fault from its report, applies it and looks again.
pub(crate) fn mend(fault: &Fault, suite: Suite, remedy: Remedy) -> Mended {
    let mut mended =
        Mended { fault: fault.name, remedy, cause: fault.cause, printed: String::new(), complaint: None };
    let tried = look(fault, suite).and_then(|(world, printed)| {
        mended.printed = printed;
        holds(fault, suite, remedy, world, &mended.printed)
    });
    mended.complaint = tried.err().map(|error| format!("{error:#}"));
    mended
}

/// The broken world, and what the report prints to be done about the finding that the row is there for.
fn look(fault: &Fault, suite: Suite) -> anyhow::Result<(World, String)> {
    let world = fault.world(suite)?;
    let played = world.run(fault.line(&["verify", "--repair", "none", "--until", matrix::LAST]));
    let report = matrix::json(&played).with_context(|| played.said())?;
    let step = report::step(&report, fault.step);
    let level = format!("{:?}", fault.level).to_lowercase();
    let finding = report::findings(step)
        .find(|finding| finding["cause"] == fault.cause && finding["level"] == level.as_str())
        .with_context(|| format!("no finding of {} in {step}", fault.cause))?;
    let stock = dindcheck::diagnosis::find(fault.cause).map(|cause| cause.remedy).unwrap_or_default();
    Ok((world, finding["hint"].as_str().unwrap_or(stock).to_owned()))
}

/// Whether the remedy is printed, and the world sound with it: no repair, no failure, and nothing left of the finding.
fn holds(fault: &Fault, suite: Suite, remedy: Remedy, world: World, printed: &str) -> anyhow::Result<()> {
    let Some(text) = remedy.text() else { return Ok(()) };
    ensure!(printed.contains(text), "the report does not print `{text}`: {printed}");
    let (world, start) = apply(remedy, fault, suite, world, printed)?;
    fault.equip_patiently(&world, &start);
    let played = world.run(start.line(&[&["verify", "--repair", "none"], start.flags()].concat()));
    let report = matrix::json(&played).with_context(|| played.said())?;
    let first = &report["first_failure"];
    ensure!(played.code == 0 && first.is_null(), "`{text}` leads to {first} {}", report["diagnosis"]);
    let still = report::warnings(&report).contains(&(fault.step, fault.cause));
    ensure!(!still, "after `{text}` {} is still there", fault.cause);
    Ok(())
}
