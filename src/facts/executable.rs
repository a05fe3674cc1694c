//! Why can a program not be run? What its first bytes say: machine and interpreter.
//!
//! The kernel's answer alone is misleading: ENOENT on a file that is there means that its *interpreter* is not
//! (an Alpine program on Debian), ENOEXEC that it is for another processor or is no program at all.

use std::path::{Path, PathBuf};

use crate::host::Host;

/// The headers of a program, and the name of its loader, stand at its beginning.
const HEAD: usize = 4096;

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executable {
    /// A program of the machine `machine` (`e_machine` of elf(5)), started by `interpreter` if that is named.
    Elf {
        /// `e_machine`.
        machine: u16,
        /// `PT_INTERP`: the dynamic loader.
        interpreter: Option<PathBuf>,
    },
    /// A script, and what it is to be run with.
    Script(PathBuf),
    /// An empty file.
    Empty,
    /// Something else, which the kernel refuses with ENOEXEC.
    Other,
}

/// Reads the kind of a file.
pub fn kind(bytes: &[u8]) -> Executable {
    match bytes {
        [] => Executable::Empty,
        [b'#', b'!', line @ ..] => {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let words = String::from_utf8_lossy(line);
            Executable::Script(words.split_whitespace().next().unwrap_or_default().into())
        }
        [0x7f, b'E', b'L', b'F', class, data, ..] => elf(bytes, *class == 2, *data == 1),
        _ => Executable::Other,
    }
}

/// The machine and the interpreter of an ELF file; what is cut off reads as having none.
fn elf(bytes: &[u8], wide: bool, little: bool) -> Executable {
    let reader = Reader { bytes, little };
    let Some(machine) = reader.number(18, 2) else { return Executable::Other };
    let interpreter = if wide {
        reader.interpreter(32, 8, 54, 56, (8, 32))
    } else {
        reader.interpreter(28, 4, 42, 44, (4, 16))
    };
    Executable::Elf { machine: u16::try_from(machine).unwrap_or_default(), interpreter }
}

/// Numbers of an ELF file in its own byte order.
struct Reader<'b> {
    bytes: &'b [u8],
    little: bool,
}

impl Reader<'_> {
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
    }

    fn offset(&self, at: usize, size: usize) -> Option<usize> {
        usize::try_from(self.number(at, size)?).ok()
    }

    /// The text of the `PT_INTERP` segment. `phoff` is the place of `e_phoff`, `width` the size of an address,
    /// `entsize` and `count` are the places of `e_phentsize` and `e_phnum`, `file` those of `p_offset` and
    /// `p_filesz` in a program header.
    fn interpreter(
        &self,
        phoff: usize,
        width: usize,
        entsize: usize,
        count: usize,
        file: (usize, usize),
    ) -> Option<PathBuf> {
        const PT_INTERP: u64 = 3;
        let (table, size) = (self.offset(phoff, width)?, self.offset(entsize, 2)?);
        let headers = (0..self.offset(count, 2)?).filter_map(|index| table.checked_add(index * size));
        let header = headers.into_iter().find(|at| self.number(*at, 4) == Some(PT_INTERP))?;
        let (start, length) = (self.offset(header + file.0, width)?, self.offset(header + file.1, width)?);
        let text = self.bytes.get(start..start.checked_add(length)?)?;
        Some(String::from_utf8_lossy(text).trim_end_matches('\0').into())
    }
}

/// The machine this program was built for, and so this one (`e_machine` of elf(5)).
pub const fn own_machine() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

/// The name of a machine.
pub fn machine_name(machine: u16) -> String {
    let known = [
        (3, "i386"),
        (40, "arm"),
        (62, "x86_64"),
        (183, "aarch64"),
        (243, "riscv"),
        (22, "s390x"),
        (21, "ppc64"),
    ];
    let name = known.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    name.map_or_else(|| format!("machine {machine}"), ToOwned::to_owned)
}

/// What keeps the kernel from running the file, where its first bytes tell.
pub fn fault(host: &dyn Host, path: &Path) -> Option<String> {
    let bytes = host.read_head(path, HEAD).ok()?;
    let absent = |interpreter: &Path| !host.exists(interpreter).unwrap_or(true);
    match kind(&bytes) {
        Executable::Empty => Some("it is an empty file".to_owned()),
        Executable::Other => Some("it is neither a program nor a script".to_owned()),
        Executable::Script(interpreter) if absent(&interpreter) => {
            Some(format!("it is a script for {}, which is not here", interpreter.display()))
        }
        Executable::Elf { machine, .. } if machine != own_machine() => Some(format!(
            "it is a program for {}, and this is {}",
            machine_name(machine),
            machine_name(own_machine())
        )),
        Executable::Elf { interpreter: Some(interpreter), .. } if absent(&interpreter) => Some(format!(
            "its loader {} is not here: it was built for another C library",
            interpreter.display()
        )),
        Executable::Elf { .. } | Executable::Script(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A 64-bit little-endian ELF header with one program header that names an interpreter.
    fn program(machine: u16, interpreter: &str) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64; // e_phoff
        bytes[54] = 56; // e_phentsize
        bytes[56] = 1; // e_phnum
        bytes[64] = 3; // PT_INTERP
        bytes[72] = 120; // p_offset
        bytes[96] = u8::try_from(interpreter.len() + 1).unwrap(); // p_filesz
        bytes.extend(interpreter.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn reads_machine_and_interpreter() {
        let expected = Executable::Elf { machine: 183, interpreter: Some("/lib/ld-musl.so.1".into()) };
        assert_eq!(kind(&program(183, "/lib/ld-musl.so.1")), expected);
        assert_eq!(kind(b"#! /bin/sh -e\nx"), Executable::Script("/bin/sh".into()));
        assert_eq!((kind(b""), kind(b"PK")), (Executable::Empty, Executable::Other));
    }

    #[test]
    fn a_header_that_is_cut_off_or_lies_is_no_panic() {
        let whole = program(62, "/lib64/ld.so");
        for end in 0..whole.len() {
            let _ = kind(&whole[..end]);
        }
        let _ = kind(&[&b"\x7fELF\x02\x01"[..], &[0xff; 200]].concat());
    }

    #[test]
    fn names_the_missing_loader() {
        let host = Fake::new().file("/usr/bin/runc", "#!/no/such/shell\n");
        assert!(fault(&host, Path::new("/usr/bin/runc")).unwrap().contains("/no/such/shell"));
        assert_eq!(fault(&host, Path::new("/usr/bin/other")), None);
    }
}
