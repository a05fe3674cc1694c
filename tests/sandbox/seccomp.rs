//! A kernel that refuses a call, or lacks what the call asks for, shown by a filter with that errno.

/// A system call that is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    /// Its number on this architecture.
    pub(crate) call: i64,
    /// Only with these values of its arguments (by index, the low 32 bits).
    pub(crate) with: &'static [(u32, u32)],
    /// What it answers.
    pub(crate) errno: i32,
}

/// Instructions of classic BPF (linux/bpf_common.h) and values of seccomp (linux/seccomp.h).
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

/// The filter as setpriv(1) reads it: an array of `struct sock_filter`.
pub(crate) fn filter(refusals: &[Refusal]) -> Vec<u8> {
    let mut program = Vec::new();
    for refusal in refusals {
        let number = u32::try_from(refusal.call).expect("a system call's number");
        let arguments = refusal.with.iter().map(|(index, value)| (ARGUMENTS + 8 * index, *value));
        let tests: Vec<_> = std::iter::once((NUMBER, number)).chain(arguments).collect();
        for (index, (offset, value)) in tests.iter().enumerate() {
            // To the instruction after the refusal: the rest of the tests, and the return.
            let past = u8::try_from(2 * (tests.len() - index) - 1).expect("a short filter");
            program.push(instruction(LOAD, 0, 0, *offset));
            program.push(instruction(JUMP_IF_EQUAL, 0, past, *value));
        }
        program.push(instruction(RETURN, 0, 0, REFUSE | refusal.errno.unsigned_abs()));
    }
    program.push(instruction(RETURN, 0, 0, ALLOW));
    program.concat()
}

fn instruction(code: u16, equal: u8, other: u8, k: u32) -> Vec<u8> {
    [&code.to_ne_bytes()[..], &[equal, other], &k.to_ne_bytes()].concat()
}
