//! `profile`: list, show and validate profiles.

use crate::cli::ProfileCommand;
use crate::host::Host;
use crate::profile;
use crate::report::exit;

/// Carries it out.
pub fn profile(host: &dyn Host, command: &ProfileCommand) -> anyhow::Result<u8> {
    match command {
        ProfileCommand::List => {
            for (name, description) in profile::built_in() {
                anstream::println!("{name:<12} {description}");
            }
        }
        ProfileCommand::Show { name } => {
            let shown = serde_yaml::to_string(&profile::load(host, name)?)?;
            anstream::print!("{shown}");
        }
        ProfileCommand::Validate { names } => {
            for name in names {
                profile::load(host, name)?;
                anstream::println!("{name}: valid");
            }
        }
    }
    Ok(exit::SOUND)
}
