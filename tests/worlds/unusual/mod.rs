//! Places that are fine and look odd: whatever works is sound, and warns of nothing but what a row names.

mod network;
mod options;
mod outers;
mod places;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Bookworm, Outer, SUITES, Suite, bed, report};
use crate::shared::matrix::Matrix;

/// One run of the whole ladder.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    name: &'static str,
    before: &'static str,
    json: &'static str,
    args: &'static str,
    own: &'static str,
    after: &'static str,
    warns: &'static [(&'static str, &'static str)],
    engines: &'static [Suite],
}

/// A row in which nothing is odd yet.
pub(crate) const fn row(name: &'static str) -> Row {
    Row { name, before: "", json: "", args: "", own: "", after: "", warns: &[], engines: SUITES }
}

impl Row {
    /// What is done to the place first, in bash.
    const fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    /// daemon.json; without it there is none.
    const fn json(self, json: &'static str) -> Self {
        Self { json, ..self }
    }

    /// Arguments of dockerd.
    const fn args(self, args: &'static str) -> Self {
        Self { args, ..self }
    }

    /// Further options of `dindcheck verify`.
    const fn own(self, own: &'static str) -> Self {
        Self { own, ..self }
    }

    /// What makes the place ordinary again.
    const fn after(self, after: &'static str) -> Self {
        Self { after, ..self }
    }

    /// Steps and causes of all warnings.
    const fn warns(self, warns: &'static [(&'static str, &'static str)]) -> Self {
        Self { warns, ..self }
    }

    /// The engines that know it.
    const fn of(self, engines: &'static [Suite]) -> Self {
        Self { engines, ..self }
    }

    /// Its part of the script.
    fn script(&self) -> String {
        let Self { name, before, json, args, own, after, .. } = self;
        let file = if json.is_empty() {
            "rm -f /etc/docker/daemon.json".to_owned()
        } else {
            format!("printf %s '{json}' >/etc/docker/daemon.json")
        };
        format!("{{ {file}\n{before}\n}} >&2\nplayed {name} {own} -- {args}\n{{ true; {after}\n}} >&2\n")
    }

    /// What is wrong with its report, if anything is.
    fn complaint(&self, suite: Suite, code: &str, report: &Value) -> Option<String> {
        let warned: BTreeSet<_> =
            report::warnings(report).into_iter().filter(|pair| !is_of_the_machine(suite, pair)).collect();
        let expected: BTreeSet<_> = self.warns.iter().copied().collect();
        let sound = code == "0" && report["verdict"] == "sound" && report["leftovers"] == json!([]);
        (!sound || warned != expected).then(|| {
            let problems = report::problems(report).join(", ");
            format!(
                "{} {}: exit code {code}, {problems}, leftovers {}",
                suite.engine(),
                self.name,
                report["leftovers"]
            )
        })
    }
}

/// A machine without `CAP_SYS_RESOURCE` gives it to no container, which is no fault of the row.
fn is_of_the_machine(suite: Suite, warning: &(&str, &str)) -> bool {
    let of_any = *warning == ("privileges", "cap-sys-resource-missing");
    let of_old = *warning == ("container-privileged", "capability-missing-for-container");
    bed::machine_lacks_sys_resource() && (of_any || suite == Bookworm && of_old)
}

/// Prints a line of name, exit code and report. The bed has no name server, and its neighbours make it slow.
const PLAYED: &str = "\
    mkdir -p /etc/docker\n\
    export DINDCHECK_PROFILE=/dev/shm/bed.yaml\n\
    printf 'extends: default\\ncauses: {dns-resolver-not-answering: pass, container-start-slow: pass, data-root-slow: pass}\\n' >$DINDCHECK_PROFILE\n\
    played() { local name=$1 out code; shift; out=$(timeout 240 dindcheck verify --format json \"$@\"); code=$?; \
    printf '%s\\t%s\\t%s\\n' \"$name\" $code \"$(tr -d '\\n' <<<\"$out\")\"; }\n";

/// Plays the rows of a table that this engine knows, one after the other in an outer container.
#[track_caller]
fn play(suite: Suite, outer: &Outer, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().filter(|row| row.engines.contains(&suite)).collect();
    let mut script = PLAYED.to_owned();
    if rows.is_empty() {
        return;
    }
    for row in &rows {
        script.push_str(&row.script());
    }
    let played = outer.play(&script);
    let lines: Vec<_> = played.stdout.lines().collect();
    assert_eq!(lines.len(), rows.len(), "{}", played.said());
    let complaints = rows.iter().zip(lines).filter_map(|(row, line)| {
        let [name, code, text] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(name, row.name);
        let report = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{name}: no report ({error}): {}", played.said()));
        row.complaint(suite, code, &report)
    });
    let complaints: Vec<_> = complaints.collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The rows of all tables.
fn rows() -> Vec<Row> {
    [network::rows(), options::rows(), places::rows(), outers::rows()].concat()
}

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    let tables = [
        network::engine_matrices(),
        options::engine_matrices(),
        places::engine_matrices(),
        outers::engine_matrices(),
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn tables_have_sixty_places_and_no_name_twice() {
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len());
    assert!(names.len() >= 60, "{}", names.len());
}

#[test]
fn warnings_of_the_rows_are_causes() {
    for (step, cause) in rows().iter().flat_map(|row| row.warns) {
        assert!(dindcheck::diagnosis::find(cause).is_some(), "{step} {cause}");
    }
}
