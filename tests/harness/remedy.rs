//! What mends a fault: a text that dindcheck prints, and how it is applied to a world.

/// What mends a fault. Each text stands in the report as it stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// A command, run in the broken world.
    Command(&'static str),
    /// A command between backquotes that begins so; the rest holds names of this world.
    Begins(&'static str),
    /// Arguments that dockerd is started with.
    Argument(&'static str),
    /// An argument that dockerd is no longer started with.
    WithoutArgument(&'static str),
    /// A member of daemon.json that is set.
    Key(&'static str),
    /// A member of daemon.json that is removed.
    WithoutKey(&'static str),
    /// A member of an object of daemon.json (the first text) that is set.
    Member(&'static str, &'static str),
    /// A member of an object of daemon.json that is removed.
    WithoutMember(&'static str, &'static str),
    /// An option of dindcheck's own.
    Flag(&'static str),
    /// A variable that is set anew, `export NAME=$NAME:MORE`.
    Export(&'static str),
    /// A variable that is unset, `unset NAME`.
    Unset(&'static str),
    /// Keys of dindcheck's own profile.
    Setting(&'static str),
    /// A setting of the outer container.
    Outer(&'static str),
    /// The installation of a program, and the file that it brings.
    Install(&'static str, &'static str),
    /// None that a world can show, and why.
    NotHere(&'static str),
}

impl Remedy {
    /// What the report prints of it.
    pub(crate) fn text(self) -> Option<&'static str> {
        match self {
            Self::Command(text)
            | Self::Begins(text)
            | Self::Argument(text)
            | Self::WithoutArgument(text)
            | Self::Key(text)
            | Self::WithoutKey(text) => Some(text),
            Self::Member(_, text) | Self::WithoutMember(_, text) | Self::Flag(text) | Self::Export(text) => {
                Some(text)
            }
            Self::Unset(text) | Self::Setting(text) | Self::Outer(text) | Self::Install(text, _) => {
                Some(text)
            }
            Self::NotHere(_) => None,
        }
    }
}
