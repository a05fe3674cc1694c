//! References of images: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, as the docker CLI reads them.
//!
//! The grammar is that of github.com/distribution/reference (`regexp.go`, `normalize.go`). The Engine API, unlike the CLI,
//! pulls every tag of a name that comes without one, so a pull always uses [`Reference::tag_or_digest`].

use std::fmt;
use std::sync::LazyLock;

use anyhow::ensure;
use regex::Regex;

/// The tag of a reference that has neither tag nor digest (`TagNameOnly` of the reference package).
const DEFAULT_TAG: &str = "latest";
/// The longest name with its host, in bytes (`RepositoryNameTotalLengthMax`).
const MAX_NAME: usize = 255;

static GRAMMAR: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
    let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let host = format!("(?:{label}(?:\\.{label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?");
    let digest = "sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}";
    Regex::new(&format!(
        "^(?<name>(?:{host}/)?{part}(?:/{part})*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(?<digest>{digest}))?$"
    ))
});

/// A valid reference of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Parses a reference. The error says what is invalid and what is valid.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let grammar = GRAMMAR.as_ref().map_err(Clone::clone)?;
        let parts = grammar.captures(text).filter(|parts| parts["name"].len() <= MAX_NAME);
        let part = |name: &str| Some(parts.as_ref()?.name(name)?.as_str().to_owned());
        let name = part("name");
        ensure!(
            name.is_some(),
            "`{}` is not a valid image reference: use [HOST[:PORT]/]NAME[:TAG][@DIGEST] in lower case",
            crate::diagnosis::redact::without_logins(text)
        );
        Ok(Self { name: name.unwrap_or_default(), tag: part("tag"), digest: part("digest") })
    }

    /// The name with its host, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest, or else the tag, or else `latest`: the one image that a pull asks for.
    pub fn tag_or_digest(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or(DEFAULT_TAG)
    }

    /// The names under which a daemon may list it: as it was given, and without its host, since the host of Docker Hub and
    /// the folder `library` there are left out (`FamiliarName`).
    pub fn listed_names(&self) -> Vec<&str> {
        let host =
            self.name.split_once('/').filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost");
        let names = [Some(self.name.as_str()), host.map(|(_, name)| name)];
        let is_folder = |rest: &&str| !rest.contains('/');
        names
            .into_iter()
            .flatten()
            .map(|name| name.strip_prefix("library/").filter(is_folder).unwrap_or(name))
            .collect()
    }

    /// The same with the tag or digest. A tag beside a digest is left out, since the pull stores none.
    pub fn listed(&self) -> Vec<String> {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        let whole = |name: &str| format!("{name}{separator}{}", self.tag_or_digest());
        self.listed_names().into_iter().map(whole).collect()
    }
}

/// As it was given.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_reference_names_one_image() {
        for (text, name, image) in [
            ("centos", "centos", "latest"),
            ("centos:7", "centos", "7"),
            ("localhost:5000/x", "localhost:5000/x", "latest"),
            ("localhost:5000/x:1", "localhost:5000/x", "1"),
            ("a.b:5000/x/y_z:Tag", "a.b:5000/x/y_z", "Tag"),
            ("[::1]:5000/x", "[::1]:5000/x", "latest"),
            (&format!("x@sha256:{HEX}"), "x", &format!("sha256:{HEX}")),
            (&format!("h:1/x:2@sha256:{HEX}"), "h:1/x", &format!("sha256:{HEX}")),
            // Image ids have the form of a name.
            (&format!("sha256:{HEX}"), "sha256", HEX),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.name(), reference.tag_or_digest()), (name, image), "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn invalid_references_are_refused() {
        let long = format!("{}/x", "a".repeat(254));
        for bad in [
            "",
            ":::",
            "Upper/Case",
            "Upper",
            "a b",
            "x:",
            "x@sha256:1",
            "-x",
            "http://x/y",
            "x/",
            "/x",
            "x:a:b",
            "x..y",
            "x\n",
            "x@md5:0123456789abcdef0123456789abcdef",
            "-h/x",
            &long,
        ] {
            let error = Reference::parse(bad).unwrap_err().to_string();
            assert!(error.contains("not a valid image reference"), "{bad}: {error}");
        }
    }

    #[test]
    fn error_does_not_repeat_a_login() {
        let error = Reference::parse("https://me:canary@registry/x").unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn the_names_that_daemons_list_are_known() {
        for (text, listed) in [
            ("busybox", &["busybox:latest"][..]),
            ("hub.example/library/busybox:1", &["hub.example/library/busybox:1", "busybox:1"]),
            ("library/busybox", &["busybox:latest"]),
            ("hub.example/me/app", &["hub.example/me/app:latest", "me/app:latest"]),
            ("me/app", &["me/app:latest"]),
            ("r:5000/library/x", &["r:5000/library/x:latest", "x:latest"]),
            (&format!("library/x:1@sha256:{HEX}"), &[&format!("x@sha256:{HEX}")]),
        ] {
            assert_eq!(Reference::parse(text).unwrap().listed(), listed, "{text}");
        }
    }
}
