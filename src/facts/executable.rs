//! Why the kernel cannot run a file, read from its first bytes: machine, interpreter and length.
//!
//! The kernel's errno alone misleads: ENOENT on a file that exists means that its *interpreter* is missing (an Alpine
//! program on Debian), ENOEXEC that it is for another processor or is no program at all.

use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::host::{self, HostResult, SystemReader};

/// The bytes that are read of a file: the headers of a program and the path of its loader stand at its beginning.
const HEAD: usize = 4096;

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executable {
    /// An ELF file with a whole ELF header (elf(5)).
    Elf {
        /// `e_machine`.
        machine: u16,
        /// `PT_INTERP`: the dynamic loader, where the program names one.
        interpreter: Option<PathBuf>,
        /// The offset in bytes at which its last segment or its header tables end: a shorter file is truncated.
        end: u64,
    },
    /// An ELF file that ends within the ELF header, which has this many bytes.
    Truncated(u64),
    /// An ELF file of an unknown class, byte order or version, for which the kernel alone decides.
    UnknownElf,
    /// A script, and the interpreter of its first line.
    Script(PathBuf),
    /// An empty file.
    Empty,
    /// Something else, which the kernel refuses with ENOEXEC.
    Other,
}

/// Reads the kind of a file from its first bytes.
pub fn kind(bytes: &[u8]) -> Executable {
    match bytes {
        [] => Executable::Empty,
        [b'#', b'!', line @ ..] => {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            Executable::Script(line.split_whitespace().next().unwrap_or_default().into())
        }
        [0x7f, b'E', b'L', b'F', 2, ..] => elf::<FileHeader64<Endianness>>(bytes),
        [0x7f, b'E', b'L', b'F', ..] => elf::<FileHeader32<Endianness>>(bytes),
        _ => Executable::Other,
    }
}

/// Reads the ELF header and the program headers; a table that is not within these bytes counts as empty.
fn elf<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Executable {
    if bytes.len() < size_of::<Header>() {
        return Executable::Truncated(size_of::<Header>() as u64);
    }
    let Ok((header, endian)) = Header::parse(bytes).and_then(|header| Ok((header, header.endian()?))) else {
        return Executable::UnknownElf;
    };
    let segments = header.program_headers(endian, bytes).unwrap_or_default();
    let interpreter = segments.iter().find_map(|segment| segment.interpreter(endian, bytes).ok().flatten());
    let ends = segments.iter().filter_map(|segment| {
        let (start, length) = segment.file_range(endian);
        start.checked_add(length)
    });
    Executable::Elf {
        machine: header.e_machine(endian).0,
        interpreter: interpreter.map(|path| String::from_utf8_lossy(path).into_owned().into()),
        end: ends.fold(tables_end(header, endian), u64::max),
    }
}

/// The offset at which the last of the two header tables ends; 0 where there is none.
fn tables_end<Header: FileHeader<Endian = Endianness>>(header: &Header, endian: Endianness) -> u64 {
    let end = |offset: u64, size: u16, count: u16| match count {
        0 => 0,
        count => offset.saturating_add(u64::from(size) * u64::from(count)),
    };
    let segments = end(header.e_phoff(endian).into(), header.e_phentsize(endian), header.e_phnum(endian));
    let sections = end(header.e_shoff(endian).into(), header.e_shentsize(endian), header.e_shnum(endian));
    segments.max(sections)
}

/// The name of a machine by its `e_machine` number.
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

/// What the headers of a file say about running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The kernel refuses it, or it ends before `main`; why.
    Faulty(String),
    /// A whole program for this machine whose loader is installed.
    Whole,
    /// Its first bytes do not decide it.
    Unclear,
}

/// Reads the headers of a file and checks what they name: machine, interpreter, length.
pub fn look(host: &dyn SystemReader, path: &Path) -> HostResult<Look> {
    let absent = |interpreter: &Path| !host.exists(interpreter).unwrap_or(true);
    let faulty = |why: String| Ok(Look::Faulty(why));
    match kind(&host.read_head(path, HEAD)?) {
        Executable::Empty => faulty("it is an empty file".to_owned()),
        Executable::Other => faulty("it is neither a program nor a script".to_owned()),
        Executable::Script(interpreter) if absent(&interpreter) => {
            faulty(format!("it is a script for {}, which is not here", interpreter.display()))
        }
        Executable::Script(_) | Executable::UnknownElf => Ok(Look::Unclear),
        Executable::Elf { machine, .. } if machine != host::own_machine() => faulty(format!(
            "it is a program for {}, and this is {}",
            machine_name(machine),
            machine_name(host::own_machine())
        )),
        Executable::Elf { interpreter: Some(loader), .. } if absent(&loader) => {
            faulty(format!("its loader {} is not here: it was built for another C library", loader.display()))
        }
        Executable::Elf { end, .. } | Executable::Truncated(end) => {
            let size = host.stat(path)?.size;
            if size < end { faulty(truncated(size, end)) } else { Ok(Look::Whole) }
        }
    }
}

/// The finding for a file of `size` bytes whose headers name `end` bytes.
fn truncated(size: u64, end: u64) -> String {
    format!("it is cut off: {size} bytes are there, and {end} belong to it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A 64-bit little-endian ELF header with one program header that names an interpreter.
    fn program(machine: u16, interpreter: &str) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01"); // 64 bits, little-endian, version 1
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
    fn machine_interpreter_and_length_are_read() {
        let whole = program(183, "/lib/ld-musl.so.1");
        let (interpreter, end) = (Some("/lib/ld-musl.so.1".into()), whole.len() as u64);
        assert_eq!(kind(&whole), Executable::Elf { machine: 183, interpreter, end });
        assert_eq!(kind(b"#! /bin/sh -e\nx"), Executable::Script("/bin/sh".into()));
        assert_eq!((kind(b""), kind(b"PK")), (Executable::Empty, Executable::Other));
    }

    /// The same program for a big-endian machine.
    fn big_endian(machine: u16) -> Vec<u8> {
        let mut bytes = program(machine, "/lib/ld64.so.1");
        bytes[5] = 2;
        for (at, width) in [(18, 2), (32, 8), (54, 2), (56, 2), (64, 4), (72, 8), (96, 8)] {
            bytes[at..at + width].reverse();
        }
        bytes
    }

    #[test]
    fn every_truncated_program_is_truncated_and_keeps_its_verdict() {
        let whole = program(host::own_machine(), "/lib64/ld.so");
        for length in 1..whole.len() {
            match kind(&whole[..length]) {
                Executable::Other => assert!(length < 4, "{length}"),
                Executable::Truncated(end) => assert!(length < 64 && end >= 52, "{length}"),
                Executable::Elf { end, .. } => assert!(end > length as u64, "{length}"),
                other => panic!("{length}: {other:?}"),
            }
        }
    }

    #[test]
    fn file_of_the_other_byte_order_is_read_in_its_own() {
        let interpreter = Some("/lib/ld64.so.1".into());
        let end = program(22, "/lib/ld64.so.1").len() as u64;
        assert_eq!(kind(&big_endian(22)), Executable::Elf { machine: 22, interpreter, end });
        let mut lying = program(62, "/lib64/ld.so");
        lying[5] = 2;
        assert!(matches!(kind(&lying), Executable::Elf { machine: 0x3e00, interpreter: None, .. }));
    }

    #[test]
    fn unaligned_headers_are_read() {
        let mut bytes = vec![0];
        bytes.extend(program(62, "/lib64/ld.so"));
        let interpreter = Some("/lib64/ld.so".into());
        let end = bytes.len() as u64 - 1;
        assert_eq!(kind(&bytes[1..]), Executable::Elf { machine: 62, interpreter, end });
    }

    #[test]
    fn huge_counts_and_offsets_end_in_a_verdict() {
        let mut counts = program(62, "/lib64/ld.so");
        counts[56..58].fill(0xff); // e_phnum: PN_XNUM
        counts[58] = 64; // e_shentsize
        counts[60..62].fill(0xff); // e_shnum
        assert_eq!(kind(&counts), Executable::Elf { machine: 62, interpreter: None, end: 64 * 0xffff });
        let mut offsets = program(62, "/lib64/ld.so");
        offsets[72..80].fill(0xff); // p_offset
        assert!(matches!(kind(&offsets), Executable::Elf { interpreter: None, .. }));
        offsets[32..40].fill(0xff); // e_phoff
        assert!(matches!(kind(&offsets), Executable::Elf { end: u64::MAX, .. }));
        assert_eq!(kind(&[&b"\x7fELF\x02\x01"[..], &[0xff; 200]].concat()), Executable::UnknownElf);
    }

    #[test]
    fn faulty_file_is_reported_with_its_fault() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let host = Fake::new()
            .file("/shell", "#!/no/such/shell\n")
            .file("/script", "#!/shell\n")
            .binary("/whole")
            .file("/loader", &text(&program(62, "/no/ld.so")))
            .file("/cut", &text(&program(62, "/lib/ld.so")[..110]))
            .file("/stub", "\x7fELF\x02\x01\x01");
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
        assert!(why("/stub").contains("cut off: 7 bytes are there, and 64"));
        assert!(look("/none").is_err());
    }
}
