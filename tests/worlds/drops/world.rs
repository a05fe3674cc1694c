//! A world in which something drops traffic: the report names it, and the command of its hint, run word for word in the same
//! world, makes it sound.

use serde_json::Value;

use crate::harness::{Outer, Suite, report};
use crate::shared::notes;
use crate::shared::remedy::Remedy;

/// The steps that are played, from the daemon to the network of its containers.
const STEPS: &str = "daemon-start,daemon-info,image,container-run,container-network,teardown";

/// `look FILE` writes a report; `hint FILE` prints the first hint of a failure in it.
const FUNCTIONS: &str = r#"
look() { timeout 240 dindcheck verify --attach --only $STEPS --profile /root/profile.yaml --format json >$1 2>/root/log; echo "@@ $?"; cat $1; }
hint() { perl -0777 -ne '/"level": "fail"(?:[^{}]|\{[^{}]*\})*?"hint": "((?:[^"\\]|\\.)*)"/s and print $1 =~ s/\\(.)/$1/gr' $1; }
"#;

/// What is done to a world, and what the report must say of it.
pub(super) struct Drop {
    pub(super) name: &'static str,
    pub(super) suite: Suite,
    /// What is there before the daemon.
    pub(super) before: &'static str,
    /// Keys of the profile.
    pub(super) profile: &'static str,
    /// What drops traffic, once the daemon serves.
    pub(super) fault: &'static str,
    /// The cause of the first failure.
    pub(super) cause: &'static str,
    /// What the first failure names.
    pub(super) names: &'static [&'static str],
    /// Its hint, word for word.
    pub(super) hint: &'static str,
    /// What mends the world where the hint is none that can be run in it.
    pub(super) mends: Option<&'static str>,
}

impl Drop {
    /// Plays it: broken, and with the hint applied.
    #[track_caller]
    pub(super) fn play(&self) {
        let Self { before, profile, fault, .. } = self;
        let mend = self.mends.map_or("hint /root/first.json >/root/mend".to_owned(), |mends| {
            format!("cat >/root/mend <<'END'\n{mends}\nEND")
        });
        let script = format!(
            "{FUNCTIONS}\nSTEPS={STEPS}\n{{ {before}\nserve; {fault}\n}} >&2\n\
             printf 'extends: default\\n{profile}\\n' >/root/profile.yaml\n\
             look /root/first.json\n{mend}\nbash /root/mend >&2; look /root/second.json"
        );
        let played = Outer::new(self.suite).play(&script);
        let parts: Vec<&str> = played.stdout.split("@@ ").skip(1).collect();
        let [first, second] = parts.as_slice() else { panic!("the script broke off: {}", played.said()) };
        self.names_it(first);
        assert!(second.starts_with("0\n"), "{}: after `{}` not sound: {second}", self.name, self.hint);
    }

    /// The report of the broken world names what drops, with its evidence.
    #[track_caller]
    fn names_it(&self, answer: &str) {
        let (code, text) = answer.split_once('\n').expect("a code");
        let seen: Value = serde_json::from_str(text).expect("a report");
        assert_eq!(code, "1", "{}: {:?}", self.name, report::problems(&seen));
        assert_eq!(report::first_failure(&seen), ("container-network", self.cause), "{}", self.name);
        let failed = report::findings(report::step(&seen, "container-network"))
            .find(|finding| finding["level"] == "fail")
            .expect("a failure");
        for name in self.names {
            assert!(failed.to_string().contains(name), "{}: no `{name}` in {failed:#}", self.name);
        }
        assert_eq!(failed["hint"], self.hint, "{}: {failed:#}", self.name);
        let remedy = match self.mends {
            None => Remedy::Command(self.hint),
            Some(_) => Remedy::NotHere("what drops is outside of the container"),
        };
        notes::add("worlds", self.name, self.cause, remedy, self.hint);
    }
}

/// Rows as tests: the world, what drops, the cause, what is named, and the hint.
macro_rules! drops {
    ($($name:ident: $suite:expr, $before:expr, $profile:expr, $fault:expr
        => $cause:literal $names:expr, $hint:expr $(, mended by $mends:expr)?;)*) => {
        $(
            #[test]
            #[ignore = "needs root and the test bed"]
            fn $name() {
                let mends: &[&'static str] = &[$($mends)?];
                crate::drops::world::Drop {
                    name: stringify!($name),
                    suite: $suite,
                    before: $before,
                    profile: $profile,
                    fault: $fault,
                    cause: $cause,
                    names: &$names,
                    hint: $hint,
                    mends: mends.first().copied(),
                }
                .play();
            }
        )*
    };
}
pub(super) use drops;
