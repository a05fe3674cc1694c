//! `dindcheck diagnose`: what is the first real error of a log?
use std::io::{self, Write};

use crate::diagnosis::{self, Diagnosis};

/// temporary
pub fn diagnose(path: &str) -> io::Result<Diagnosis> {
    if path == "-" {
        diagnosis::diagnose(io::stdin().lock())
    } else {
        diagnosis::diagnose(std::fs::File::open(path)?)
    }
}

/// temporary
pub fn json(diagnosis: &Diagnosis, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(diagnosis)?)
}
