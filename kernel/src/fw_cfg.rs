//! Files that QEMU was given with `-fw_cfg name=opt/penstock/NAME,file=PATH`.
//!
//! Asked for in virtual machines only: on a bare one nobody knows what is at these ports.
#![allow(unsafe_code)]

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use x86_64::instructions::port::Port;

use crate::cpuid;
use crate::firmware::fw_cfg::{ENTRY_BYTES, read};
use crate::machine::File;

/// The files that are ours; none where there is no QEMU.
pub(crate) fn files() -> Vec<File> {
    let mut signature = [0; 4];
    if cpuid::is_guest() {
        select(SIGNATURE);
        fill(&mut signature);
    }
    if &signature != b"QEMU" {
        return Vec::new();
    }
    let mut count = [0; 4];
    select(DIRECTORY);
    fill(&mut count);
    let mut entries = Vec::new();
    for _ in 0..u32::from_be_bytes(count).min(ENTRIES_MAX) {
        let mut entry = [0; ENTRY_BYTES];
        fill(&mut entry);
        entries.push(entry);
    }
    let file = |entry: &[u8; ENTRY_BYTES]| {
        let entry = read(entry)?;
        let mut bytes = vec![0; entry.size as usize];
        select(entry.selector);
        fill(&mut bytes);
        Some(File { name: String::from(entry.name).leak(), bytes: bytes.leak() })
    };
    entries.iter().filter_map(file).collect()
}

fn select(selector: u16) {
    // SAFETY: the port belongs to QEMU's device, which was asked for its name first; selecting
    // changes what is read next and nothing else.
    unsafe { Port::new(0x510).write(selector) };
}

fn fill(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: as above; reading moves on to the next byte.
        *byte = unsafe { Port::new(0x511).read() };
    }
}

const SIGNATURE: u16 = 0;
const DIRECTORY: u16 = 0x19;
const ENTRIES_MAX: u32 = 256;
