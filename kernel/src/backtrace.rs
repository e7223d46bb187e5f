//! Who called whom, by the chain of frame pointers.
//!
//! The image is built with them, and its entry code begins with a zero one. Nothing of the chain is
//! believed: only addresses on stacks are read, and only upwards.
#![allow(unsafe_code)]

use core::fmt::{self, Write};

use crate::symbols::{self, Symbols};
use crate::{layout, stacks};

/// Writes one line for each caller, the innermost first. `called` is the stack pointer right after a
/// call that has led nowhere: the caller has no frame on the chain yet, but its address is there.
pub(crate) fn write(out: &mut impl Write, rip: u64, rbp: u64, called: Option<u64>) -> fmt::Result {
    let symbols = Symbols::new(symbols::embedded());
    line(out, &symbols, rip)?;
    let read = |address: u64| {
        let aligned = address.is_multiple_of(8) && stacks::contain(address);
        // SAFETY: the eight bytes are on a stack, all of which are mapped.
        aligned.then(|| unsafe { (address as *const u64).read_volatile() })
    };
    for caller in called.and_then(read).into_iter().chain(callers(rbp, read)) {
        // A return address is behind the call, which may be the last thing in its function.
        line(out, &symbols, caller.wrapping_sub(1))?;
    }
    Ok(())
}

/// Return addresses, as far as the chain holds.
fn callers(rbp: u64, read: impl Fn(u64) -> Option<u64>) -> impl Iterator<Item = u64> {
    let mut rbp = rbp;
    core::iter::from_fn(move || {
        let (next, caller) = (read(rbp)?, read(rbp.checked_add(8)?)?);
        // A chain that does not lead upwards would never end.
        rbp = if next > rbp { next } else { 0 };
        (caller != 0).then_some(caller)
    })
    .take(DEPTH_MAX)
}

fn line(out: &mut impl Write, symbols: &Symbols<'_>, address: u64) -> fmt::Result {
    let known = layout::code().contains(&address).then(|| symbols.find(address)).flatten();
    match known {
        Some((name, offset)) => {
            writeln!(out, "  {address:#x} {name}+{offset:#x}")
        }
        None => writeln!(out, "  {address:#x}"),
    }
}

const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    //! A chain is followed to its end, and one that turns on itself ends too.

    use super::callers;
    use std::vec::Vec;

    fn follow(memory: &[(u64, u64)], rbp: u64) -> Vec<u64> {
        let read = |address| memory.iter().find(|(at, _)| *at == address).map(|(_, value)| *value);
        callers(rbp, read).collect()
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let memory = [(0x10, 0x30), (0x18, 0xaaa), (0x30, 0), (0x38, 0xbbb)];
        assert_eq!(follow(&memory, 0x10), [0xaaa, 0xbbb]);
        assert_eq!(follow(&memory, 0x50), [] as [u64; 0]);
        assert_eq!(follow(&memory, u64::MAX), [] as [u64; 0]);
    }

    #[test]
    fn a_chain_that_turns_back_ends() {
        assert_eq!(follow(&[(0x30, 0x10), (0x38, 1), (0x10, 0x30), (0x18, 2)], 0x30), [1]);
        assert_eq!(follow(&[(0x30, 0x30), (0x38, 1)], 0x30), [1]);
    }
}
