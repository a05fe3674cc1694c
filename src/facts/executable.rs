//! Why can a program not be run? What its first bytes say: machine and interpreter.
//!
//! The kernel's answer alone is misleading: ENOENT on a file that is there means that its *interpreter* is not
//! (an Alpine program on Debian), ENOEXEC that it is for another processor or is no program at all.

use crate::host;
use std::path::{Path, PathBuf};

use crate::host::{HostResult, SystemReader};

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
        /// Where its last segment or its section table ends: a shorter file is cut off.
        end: u64,
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
    let layout = if wide { &WIDE } else { &NARROW };
    let Some(machine) = reader.number(18, 2) else { return Executable::Other };
    let interpreter = reader.interpreter(layout);
    let end = reader.sections_end(layout).max(reader.segments_end(layout));
    Executable::Elf { machine: u16::try_from(machine).unwrap_or_default(), interpreter, end }
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

    /// Where each program header stands.
    fn headers(&self, layout: &Layout) -> impl Iterator<Item = usize> {
        let table = self.offset(layout.phoff, layout.width);
        let size = self.offset(layout.phentsize, 2).unwrap_or_default();
        let count = self.offset(layout.phnum, 2).unwrap_or_default();
        (0..count).filter_map(move |index| table?.checked_add(index * size))
    }

    /// Where a segment lies in the file: its begin and its size.
    fn segment(&self, header: usize, layout: &Layout) -> Option<(u64, u64)> {
        let field = |at: usize| self.number(header.checked_add(at)?, layout.width);
        Some((field(layout.offset)?, field(layout.filesz)?))
    }

    /// The text of the `PT_INTERP` segment.
    fn interpreter(&self, layout: &Layout) -> Option<PathBuf> {
        const PT_INTERP: u64 = 3;
        let header = self.headers(layout).find(|at| self.number(*at, 4) == Some(PT_INTERP))?;
        let (start, length) = self.segment(header, layout)?;
        let start = usize::try_from(start).ok()?;
        let text = self.bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)?;
        Some(String::from_utf8_lossy(text).trim_end_matches('\0').into())
    }

    /// Where the last segment ends.
    fn segments_end(&self, layout: &Layout) -> u64 {
        let ends = self.headers(layout).filter_map(|header| {
            let (start, length) = self.segment(header, layout)?;
            start.checked_add(length)
        });
        ends.max().unwrap_or_default()
    }

    /// Where the table of sections ends; 0 where there is none.
    fn sections_end(&self, layout: &Layout) -> u64 {
        let table = self.number(layout.shoff, layout.width).unwrap_or_default();
        let field = |at| self.number(at, 2).unwrap_or_default();
        table.saturating_add(field(layout.shentsize) * field(layout.shnum))
    }
}

/// Where the fields of the ELF header and of a program header stand (elf(5)).
struct Layout {
    /// The size of an address.
    width: usize,
    phoff: usize,
    shoff: usize,
    phentsize: usize,
    phnum: usize,
    shentsize: usize,
    shnum: usize,
    /// `p_offset`.
    offset: usize,
    /// `p_filesz`.
    filesz: usize,
}

/// 64 bits.
const WIDE: Layout = Layout {
    width: 8,
    phoff: 32,
    shoff: 40,
    phentsize: 54,
    phnum: 56,
    shentsize: 58,
    shnum: 60,
    offset: 8,
    filesz: 32,
};
/// 32 bits.
const NARROW: Layout = Layout {
    width: 4,
    phoff: 28,
    shoff: 32,
    phentsize: 42,
    phnum: 44,
    shentsize: 46,
    shnum: 48,
    offset: 4,
    filesz: 16,
};

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

/// A look at a file that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The kernel will not run it, or it will not get far.
    Faulty(String),
    /// A whole program for this machine, whose loader is here.
    Whole,
    /// Its first bytes tell no more.
    Unclear,
}

/// Looks at the headers of a file, and for what they name.
pub fn look(host: &dyn SystemReader, path: &Path) -> HostResult<Look> {
    let absent = |interpreter: &Path| !host.exists(interpreter).unwrap_or(true);
    let faulty = |why: String| Ok(Look::Faulty(why));
    match kind(&host.read_head(path, HEAD)?) {
        Executable::Empty => faulty("it is an empty file".to_owned()),
        Executable::Other => faulty("it is neither a program nor a script".to_owned()),
        Executable::Script(interpreter) if absent(&interpreter) => {
            faulty(format!("it is a script for {}, which is not here", interpreter.display()))
        }
        Executable::Script(_) => Ok(Look::Unclear),
        Executable::Elf { machine, .. } if machine != host::own_machine() => faulty(format!(
            "it is a program for {}, and this is {}",
            machine_name(machine),
            machine_name(host::own_machine())
        )),
        Executable::Elf { interpreter: Some(loader), .. } if absent(&loader) => {
            faulty(format!("its loader {} is not here: it was built for another C library", loader.display()))
        }
        Executable::Elf { end, .. } if host.stat(path)?.size < end => faulty(format!(
            "it is cut off: {} bytes are there, and {end} belong to it",
            host.stat(path)?.size
        )),
        Executable::Elf { .. } => Ok(Look::Whole),
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
        let whole = program(183, "/lib/ld-musl.so.1");
        let (interpreter, end) = (Some("/lib/ld-musl.so.1".into()), whole.len() as u64);
        assert_eq!(kind(&whole), Executable::Elf { machine: 183, interpreter, end });
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
    fn says_what_is_wrong_with_a_file() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let host = Fake::new()
            .file("/shell", "#!/no/such/shell\n")
            .file("/script", "#!/shell\n")
            .binary("/whole")
            .file("/loader", &text(&program(62, "/no/ld.so")))
            .file("/cut", &text(&program(62, "/lib/ld.so")[..110]));
        let look = |path| look(&host, Path::new(path));
        let why = |path| match look(path).unwrap() {
            Look::Faulty(why) => why,
            other => format!("{other:?}"),
        };
        assert!(why("/shell").contains("/no/such/shell"));
        assert_eq!(look("/script").unwrap(), Look::Unclear);
        assert_eq!(look("/whole").unwrap(), Look::Whole);
        let here = host::own_machine() == 62;
        assert!(why("/loader").contains(if here { "another C library" } else { "this is" }));
        assert!(why("/cut").contains(if here { "cut off: 110 bytes" } else { "this is" }));
        assert!(look("/none").is_err());
    }
}
