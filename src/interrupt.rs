//! SIGINT, SIGTERM and SIGHUP as a flag that every wait polls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The flag of this process, which every [`Interrupt::listen`] returns.
static LISTENING: OnceLock<Interrupt> = OnceLock::new();

/// Whether a signal that this process listens to has asked it to end.
pub fn is_requested() -> bool {
    LISTENING.get().is_some_and(|interrupt| interrupt.signal().is_some())
}

/// The last signal that asked the program to end, if any. Cheap to clone and to read.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    ///
    /// Where a handler cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let flag = LISTENING.get_or_init(Self::default).clone();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&flag.0), value)?;
        }
        Ok(flag)
    }

    /// The name of the signal, if one came.
    pub fn signal(&self) -> Option<&'static str> {
        match i32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or_default() {
            0 => None,
            SIGINT => Some("SIGINT"),
            SIGHUP => Some("SIGHUP"),
            _ => Some("SIGTERM"),
        }
    }

    /// Sets the flag as that signal would (for tests).
    pub fn raise(&self, signal: i32) {
        self.0.store(usize::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
    }
}
