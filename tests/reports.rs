//! Reports in every format, of runs with every outcome: what they hold, and the files that they are written to.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "tests read and write files, and their checks have the signature of a step's"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;
use dindcheck::diagnosis::{CauseId, causes};
use dindcheck::engine::fake::FakeEngine;
use dindcheck::finding::{Finding, Level, Reach};
use dindcheck::host::fake::Fake;
use dindcheck::interrupt::Interrupt;
use dindcheck::options::PlanRequest;
use dindcheck::plan::{Plan, Planned};
use dindcheck::profile::Mode;
use dindcheck::repair_log::RepairLog;
use dindcheck::report::files::Outputs;
use dindcheck::report::formats::{self, Format};
use dindcheck::report::{Event, Report, document};
use dindcheck::runner::{self, Doors};
use dindcheck::step::{Cx, Phase, Repair, Step};
use quick_junit::TestCaseStatus;

mod readme;
mod snapshot;

const CAUSE: CauseId = causes::CGROUP_MOUNTED_READ_ONLY;
/// A text with the markup of every format, which each must escape.
const MARKUP: &str = "a <b> & \"c\" ]]> | `d` \u{1b}[31m\u{7}\n::error::x %0A é";

const fn step(id: &'static str, phase: Phase, check: fn(&Cx<'_>) -> anyhow::Result<Vec<Finding>>) -> Step {
    Step {
        id,
        title: "a step",
        why: "It is a test.",
        phase,
        worst: Level::Fail,
        needs: &[],
        rests_on: &[],
        check,
        repair: None,
    }
}
fn passes(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::pass("fine").with("path", "/x")])
}
fn warns(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::warn(CAUSE, MARKUP).with("path", MARKUP).hint(MARKUP)])
}
fn fails(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::fail(CAUSE, MARKUP).with("path", MARKUP)])
}
fn cannot_check(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    bail!("no permission: {MARKUP}")
}
fn checks_mark(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if cx.host.exists(Path::new("/mark"))? { passes(cx) } else { fails(cx) }
}
fn makes_mark(_: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    Ok(log.create_dir(Path::new("/mark"))?)
}

static PASSES: Step = step("passes", Phase::Environment, passes);
static WARNS: Step = step("warns", Phase::Environment, warns);
static FAILS: Step = step("fails", Phase::Environment, fails);
static CANNOT: Step = step("cannot-check", Phase::Environment, cannot_check);
static DAEMON: Step = step("daemon", Phase::Daemon, passes);
static REPAIRED: Step = Step {
    repair: Some(Repair { title: "make the mark", reach: Reach::Container, apply: makes_mark }),
    ..step("repaired", Phase::Environment, checks_mark)
};

/// Runs these steps, also after a failure; `watch` gets the events.
fn run(steps: &[&'static Step], watch: &mut dyn FnMut(&Event<'_>)) -> Report {
    let host = Fake::new();
    let mut plan = Plan::new(&host, &PlanRequest { keep_going: true, ..PlanRequest::default() }).unwrap();
    plan.steps = steps.iter().map(|step| Planned { step, mode: Mode::Require, skip: None }).collect();
    let (engine, interrupt) = (FakeEngine::default(), Interrupt::default());
    runner::run(&plan, &Doors { host: &host, machine: &host, engine: &engine, interrupt: &interrupt }, watch)
}

/// A run with every outcome, a sound one, and one with a step that cannot be checked.
fn runs() -> [Report; 3] {
    let quiet = &mut |_: &Event<'_>| {};
    [
        run(&[&PASSES, &WARNS, &REPAIRED, &FAILS, &CANNOT, &DAEMON], quiet),
        run(&[&PASSES, &DAEMON], quiet),
        run(&[&PASSES, &CANNOT, &DAEMON], quiet),
    ]
}

/// The report of a run of these steps, each with its mode and why it is left out; the others run.
fn run_of(steps: &[(&'static Step, Mode, Option<&str>)]) -> Report {
    let host = Fake::new();
    let mut plan = Plan::new(&host, &PlanRequest::default()).unwrap();
    let planned = |(step, mode, skip): &(&'static Step, Mode, Option<&str>)| Planned {
        step,
        mode: *mode,
        skip: skip.map(ToOwned::to_owned),
    };
    plan.steps = steps.iter().map(planned).collect();
    let (engine, interrupt) = (FakeEngine::default(), Interrupt::default());
    let doors = Doors { host: &host, machine: &host, engine: &engine, interrupt: &interrupt };
    runner::run(&plan, &doors, &mut |_| {})
}

/// The report in the format of that name, without colours.
fn text(report: &Report, format: &str) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    out.write_all(formats::find(format).unwrap().text(report).unwrap().as_bytes()).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

#[test]
fn published_schema_is_the_schema_of_the_report() {
    let schema = serde_json::to_string_pretty(&document::schema()).unwrap() + "\n";
    snapshot::check(Path::new("schema/report-v1.json"), &schema);
}

#[test]
fn readme_table_lists_every_format() {
    let head = "| format | what it holds | read by | `dindcheck image` |\n|---|---|---|---|\n";
    let table = formats::ALL.iter().fold(head.to_owned(), |table, format| table + &row(format));
    readme::check("formats", &table);
}

/// A row of the README's table of formats.
fn row(format: &Format) -> String {
    let images = if format.has_images() { "yes" } else { "" };
    format!("| `{}` | {} | {} | {images} |\n", format.name, format.about, format.readers)
}

#[test]
fn names_of_formats_are_unique() {
    let names: BTreeSet<_> = formats::ALL.iter().map(|format| format.name).collect();
    assert_eq!(names.len(), formats::ALL.len());
}

#[test]
fn junit_has_a_test_case_for_each_step_and_counts_them() {
    for (report, (failures, errors, skipped)) in runs().iter().zip([(1, 1, 1), (0, 0, 0), (0, 1, 1)]) {
        let xml = text(report, "junit");
        let read =
            quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}:\n{xml}"));
        let suite = &read.test_suites[0];
        assert_eq!(
            (suite.failures, suite.errors, suite.tests),
            (failures, errors, report.steps.len()),
            "{xml}"
        );
        let skips =
            suite.test_cases.iter().filter(|case| matches!(case.status, TestCaseStatus::Skipped { .. }));
        assert_eq!(skips.count(), skipped);
        let names: Vec<_> = suite.test_cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, report.steps.iter().map(|step| step.step.id).collect::<Vec<_>>());
    }
}

#[test]
fn github_has_one_error_and_markup_begins_no_command() {
    let [all, sound, _] = runs();
    let lines = text(&all, "github");
    assert!(
        lines.starts_with("::error title=Docker-in-Docker fails at fails%2C cgroup-mounted-read-only::a <b>")
    );
    let levels: Vec<_> = lines.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(levels, ["::error", "::warning", "::notice"], "{lines}");
    assert_eq!(text(&sound, "github").lines().count(), 1);
}

#[test]
fn html_and_markdown_escape_markup() {
    let [all, sound, _] = runs();
    let page = text(&all, "html");
    for piece in [
        "broken",
        "a &#60;b&#62; &#38; &#34;c&#34;",
        "cgroup-mounted-read-only",
        "make the mark",
        "rmdir /mark",
    ] {
        assert!(page.contains(piece), "`{piece}` is not in\n{page}");
    }
    assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains("http"), "{page}");
    assert!(text(&sound, "html").contains("class=\"sound\">sound"));
    let summary = text(&all, "markdown");
    assert!(
        summary.starts_with("## dindcheck: broken at `fails`\n") && !summary.contains("<b>"),
        "{summary}"
    );
    assert!(summary.contains("| failed | `fails` | a &lt;b> &amp; \"c\" \\]\\]> \\| \\`d\\`"), "{summary}");
}

#[test]
fn run_that_left_steps_out_is_called_sound_in_no_format() {
    let (require, left_out) = (Mode::Require, Some("after --until"));
    let until =
        run_of(&[(&PASSES, require, None), (&WARNS, require, left_out), (&DAEMON, require, left_out)]);
    let only = run_of(&[(&PASSES, require, None), (&WARNS, require, left_out), (&DAEMON, require, None)]);
    for (report, headline) in [
        (&until, "no failure until ID; 2 steps not run"),
        (&only, "no failure in the 2 steps that ran; 1 step not run"),
    ] {
        let plain = headline.replace("ID", "passes");
        for format in formats::ALL.iter().map(|format| format.name).filter(|name| *name != "json") {
            let page = text(report, format);
            let shown = if format == "markdown" { headline.replace("ID", "`passes`") } else { plain.clone() };
            assert!(page.contains(&shown), "{format}: {page}");
            for word in ["sound (", ">sound<", "dindcheck: sound", "works here"] {
                assert!(!page.contains(word), "{format} has `{word}`: {page}");
            }
        }
        let json: serde_json::Value = serde_json::from_str(&text(report, "json")).unwrap();
        assert_eq!((&json["headline"], &json["exit_code"]), (&plain.into(), &0.into()));
        assert_eq!((&json["coverage"]["complete"], &json["complete"]), (&false.into(), &true.into()));
    }
    let json: serde_json::Value = serde_json::from_str(&text(&until, "json")).unwrap();
    assert_eq!(
        json["coverage"],
        serde_json::json!({
            "complete": false, "steps_run": ["passes"], "steps_not_run": ["warns", "daemon"], "skipped_by_profile": [],
        })
    );
}

#[test]
fn step_that_the_profile_skips_is_named_and_leaves_the_run_whole() {
    let report = run_of(&[(&PASSES, Mode::Require, None), (&WARNS, Mode::Skip, Some("profile x"))]);
    assert!(text(&report, "brief").starts_with("dindcheck: sound; warns not checked ("));
    assert!(text(&report, "github").contains("Docker-in-Docker works here; warns not checked"));
    let json: serde_json::Value = serde_json::from_str(&text(&report, "json")).unwrap();
    assert_eq!(json["coverage"]["complete"], true);
    assert_eq!(json["coverage"]["skipped_by_profile"], serde_json::json!(["warns"]));
    let build = dindcheck::steps::find("build").unwrap();
    let usual = run_of(&[(&PASSES, Mode::Require, None), (build, Mode::Skip, Some("profile default"))]);
    assert!(text(&usual, "brief").starts_with("dindcheck: sound ("));
}

#[test]
fn run_without_a_step_is_not_sound() {
    let report = run_of(&[(&PASSES, Mode::Require, Some("not in --only"))]);
    assert_eq!(report.verdict().exit_code(), 2);
    assert!(text(&report, "brief").starts_with("dindcheck: unknown: no step ran ("));
}

#[test]
fn human_has_the_first_failure_before_the_steps_in_80_columns() {
    for report in runs() {
        let page = text(&report, "human");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }
    let [all, ..] = runs();
    let page = text(&all, "human");
    let at = |piece: &str| page.find(piece).unwrap_or_else(|| panic!("`{piece}` is not in\n{page}"));
    assert!(page.starts_with("dindcheck: broken at fails ("));
    assert!(at("what") < at("cause") && at("cause") < at("evidence") && at("evidence") < at("remedy"));
    assert!(at("remedy") < at("\nenvironment\n"));
    assert_eq!(text(&all, "brief").lines().next(), page.lines().next());
}

#[test]
fn file_is_whole_after_every_step_and_never_sound_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut outputs = Outputs::open(&[("json".to_owned(), link.clone())]).unwrap();
    let mut seen = Vec::new();
    let report = run(&[&PASSES, &DAEMON], &mut |event| {
        if let Event::Concluded(report) = event {
            outputs.write(report);
            let so_far: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            seen.push((
                so_far["steps"].as_array().unwrap().len(),
                so_far["verdict"].clone(),
                so_far["complete"].clone(),
            ));
        }
    });
    outputs.write(&report);
    assert_eq!(seen, [(1, "unknown".into(), false.into()), (2, "unknown".into(), false.into())]);
    let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(&link).unwrap()).unwrap();
    assert_eq!((&whole["verdict"], &whole["complete"]), (&"sound".into(), &true.into()));
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no other file is left");
}

#[test]
fn pipe_gets_the_report_once_and_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut both = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut outputs = Outputs::open(&[("brief".to_owned(), pipe.clone())]).unwrap();
    let report = run(&[&PASSES, &DAEMON], &mut |event| {
        if let Event::Concluded(report) = event {
            outputs.write(report);
        }
    });
    outputs.write(&report);
    let mut bytes = vec![0; 4096];
    let length = std::io::Read::read(&mut both, &mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..length]);
    assert_eq!(text.matches("dindcheck: ").count(), 1, "{text}");
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&std::fs::metadata(&pipe).unwrap().file_type()));
}

/// Strict readers that others wrote: Python's jsonschema and expat.
const READERS: &str = r#"
import json, sys, xml.dom.minidom, html.parser
import jsonschema
input = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(input["schema"])
validator = jsonschema.Draft202012Validator(input["schema"])
for report in input["reports"]:
    validator.validate(json.loads(report["json"]))
    suite = xml.dom.minidom.parseString(report["junit"].encode()).getElementsByTagName("testsuite")[0]
    assert int(suite.getAttribute("tests")) == len(suite.getElementsByTagName("testcase"))
    class Balance(html.parser.HTMLParser):
        open = []
        def handle_starttag(self, tag, attrs):
            if tag != "meta": self.open.append(tag)
        def handle_endtag(self, tag):
            assert self.open.pop() == tag, tag
    page = Balance()
    page.feed(report["html"])
    assert not page.open, page.open
broken = json.loads(input["reports"][0]["json"])
broken["steps"][0]["outcome"] = "fine"
assert not validator.is_valid(broken)
"#;

#[test]
#[ignore = "needs python3 with jsonschema"]
fn strict_readers_accept_reports_of_every_outcome() {
    let report = |report: &Report| {
        serde_json::json!({
            "json": text(report, "json"), "junit": text(report, "junit"), "html": text(report, "html"),
        })
    };
    let input = serde_json::json!({ "schema": document::schema(), "reports": runs().each_ref().map(report) });
    let mut python = Command::new("python3").args(["-c", READERS]).stdin(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    assert!(python.wait().unwrap().success());
}
