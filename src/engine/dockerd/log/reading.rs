//! Reads on in a file that grows, for a limited time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// How many bytes are read between two looks at the clock: in a diagnosis, the work of some milliseconds.
const CHUNK: usize = 4 << 10;

/// Passes on what stands from `position` to the file's end, for at most `within`. Returns whether the end was reached; an
/// error is the end too, since reading again does not help.
pub fn read_on(file: &File, position: &mut u64, within: Duration, take: &mut dyn FnMut(&[u8])) -> bool {
    read_on_while(file, position, within, &mut |bytes| {
        take(bytes);
        true
    })
}

/// The same, until `take` wants no more.
pub fn read_on_while(
    file: &File,
    position: &mut u64,
    within: Duration,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> bool {
    let (began, mut chunk) = (Instant::now(), [0; CHUNK]);
    loop {
        match file.read_at(&mut chunk, *position) {
            Ok(0) => return true,
            Ok(length) => {
                *position += length as u64;
                if !take(&chunk[..length]) {
                    return false;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
        if began.elapsed() >= within {
            return false;
        }
    }
}
