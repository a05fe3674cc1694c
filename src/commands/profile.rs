//! `profile`: list, show and validate profiles.

use crate::cli::ProfileCommand;
use crate::host::SystemReader;
use crate::talk::print;
use crate::text::shown;
use crate::{exit, plan, profile};

/// Runs the subcommand.
pub fn profile(host: &dyn SystemReader, command: &ProfileCommand) -> anyhow::Result<u8> {
    match command {
        ProfileCommand::List => {
            let rows = profile::built_in().into_iter();
            print(
                &rows.map(|(name, description)| format!("{name:<12} {description}\n")).collect::<String>(),
            )?;
        }
        ProfileCommand::Show { name } => {
            print(&serde_yaml::to_string(&plan::load_profile(host, name)?)?)?;
        }
        ProfileCommand::Validate { names } => {
            for name in names {
                let shown = shown::path(name);
                plan::load_profile(host, name)?;
                print(&format!("{shown}: valid\n"))?;
            }
        }
    }
    Ok(exit::SOUND)
}
