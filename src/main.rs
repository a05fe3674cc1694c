//! Temporary: `diagnose FILE` until the real command line is there.
fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(4).or_else(|| std::env::args().nth(2)).unwrap_or_default();
    dindcheck::commands::diagnose::json(&dindcheck::commands::diagnose::diagnose(&path)?, std::io::stdout())
}
