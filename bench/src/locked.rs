//! Atomic read-modify-writes that were executed: instructions with a `lock` prefix, or an `xchg`
//! with memory, at addresses where callgrind counted something.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

/// How many such instructions `program` executed, given the text of a callgrind file made with
/// `--dump-instr=yes --compress-pos=no`.
///
/// # Errors
/// When the program cannot be disassembled.
pub fn executed(program: &Path, callgrind: &str) -> Result<u64, String> {
    let output = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(program)
        .output()
        .map_err(|error| format!("objdump: {error}: apt-get install binutils"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(count(&String::from_utf8_lossy(&output.stdout), callgrind))
}

/// Executions in a callgrind file of the atomic instructions in a listing.
fn count(listing: &str, callgrind: &str) -> u64 {
    let atomics: HashSet<u64> = listing.lines().filter_map(atomic).collect();
    let mut inclusive = false;
    let mut executions = 0;
    for line in callgrind.lines() {
        if std::mem::replace(&mut inclusive, line.starts_with("calls=")) {
            continue;
        }
        let mut words = line.split(' ');
        let address = words.next().and_then(hexadecimal);
        let cost = words.nth(1).and_then(|word| word.parse::<u64>().ok());
        if let (Some(address), Some(cost)) = (address, cost)
            && atomics.contains(&address)
        {
            executions += cost;
        }
    }
    executions
}

/// The address of a line like `  1f8ad:\tlock cmpxchg %rcx,(%rdi)`, if it is atomic.
fn atomic(line: &str) -> Option<u64> {
    let (address, instruction) = line.split_once(":\t")?;
    let locked = instruction.starts_with("lock");
    let exchange = instruction.starts_with("xchg") && instruction.contains('(');
    if locked || exchange { u64::from_str_radix(address.trim(), 16).ok() } else { None }
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only atomic instructions with a cost of their own count, and not the cost of a call.
    #[test]
    fn executions_of_atomic_instructions_are_counted() {
        let listing = "  1000:\tmov    %rax,%rbx\n  1010:\tlock cmpxchg %rcx,(%rdi)\n  \
                       1020:\txchg   %ax,%ax\n  1030:\txchg   %rax,(%rdi)\n";
        let callgrind = "fn=(1) f\n0x1000 1 5\n0x1010 2 7\n0x1020 3 9\n0x1030 4 2\n\
                         calls=1 0x5000 1\n0x1010 2 100\n";
        assert_eq!(count(listing, callgrind), 9);
    }
}
