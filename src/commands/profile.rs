//! `profile`: list, show and validate profiles.

use crate::cli::ProfileCommand;
use crate::host::SystemReader;
use crate::{exit, plan, profile};

/// Runs the subcommand.
pub fn profile(host: &dyn SystemReader, command: &ProfileCommand) -> anyhow::Result<u8> {
    match command {
        ProfileCommand::List => {
            for (name, description) in profile::built_in() {
                anstream::println!("{name:<12} {description}");
            }
        }
        ProfileCommand::Show { name } => {
            let shown = serde_yaml::to_string(&plan::load_profile(host, name)?)?;
            anstream::print!("{shown}");
        }
        ProfileCommand::Validate { names } => {
            for name in names {
                plan::load_profile(host, name)?;
                anstream::println!("{name}: valid");
            }
        }
    }
    Ok(exit::SOUND)
}
