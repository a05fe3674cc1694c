//! dindcheck
pub mod commands;
pub mod diagnosis;
pub mod yaml;
