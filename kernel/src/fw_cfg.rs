//! Files that QEMU was given with `-fw_cfg name=opt/penstock/NAME,file=PATH`.
//!
//! Asked for in virtual machines only: on a bare one nobody knows what is at these ports.
#![allow(unsafe_code)]

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use x86_64::instructions::port::Port;

use crate::cpuid;
use crate::firmware::fw_cfg::{ENTRY_BYTES, SIZE_MAX, read};
use crate::machine::File;
use crate::{heap, log};

/// The files that are ours; none where there is no QEMU.
///
/// # Errors
/// One sentence, behind a line that names the file, when there is no memory for one.
pub(crate) fn files() -> Result<Vec<File>, &'static str> {
    let mut signature = [0; 4];
    if cpuid::is_guest() {
        select(SIGNATURE);
        fill(&mut signature);
    }
    if &signature != b"QEMU" {
        return Ok(Vec::new());
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
    let mut files = Vec::new();
    for entry in entries.iter().filter_map(read) {
        let (name, size) = (entry.name, entry.size as usize);
        if entry.size > SIZE_MAX || !heap::has_room(size) {
            let expected = "expected at most 16 MiB, and memory for it";
            log::line(log::Level::Error, format_args!("fw_cfg {name}: {size} bytes: {expected}"));
            return Err("boot: a file is too large");
        }
        let mut bytes = vec![0; size];
        select(entry.selector);
        fill(&mut bytes);
        files.push(File { name: String::from(name).leak(), bytes: bytes.leak() });
    }
    Ok(files)
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
