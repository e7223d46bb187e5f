//! What a boot loader hands over, whichever it is.

use super::ranges::Ranges;
use core::ops::Range;

/// At most this many boot modules are looked at.
pub const MODULES_MAX: usize = 16;

/// Who loaded us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// QEMU's `-kernel`, Firecracker, Cloud Hypervisor.
    Pvh,
    /// GRUB, on BIOS or UEFI.
    Multiboot2,
}

impl Loader {
    /// The protocol's own name.
    pub fn name(self) -> &'static str {
        match self {
            Loader::Pvh => "PVH",
            Loader::Multiboot2 => "Multiboot2",
        }
    }
}

/// A file that the loader put into memory beside the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module<'m> {
    /// Where its bytes are.
    pub at: Range<u64>,
    /// What the loader was told to say about it: GRUB gives the words behind the file name.
    pub words: &'m [u8],
}

/// Everything that is known when the first line of Rust runs.
#[derive(Clone, Debug)]
pub struct Handover<'m> {
    /// The protocol.
    pub loader: Loader,
    /// The command line, without its final zero.
    pub command_line: &'m [u8],
    /// Memory that is free to use, as firmware says it.
    pub usable: Ranges,
    /// All memory that is there: usable, and what firmware keeps its tables in.
    pub memory: Ranges,
    /// Boot modules.
    pub modules: [Module<'m>; MODULES_MAX],
    /// How many of them there are.
    pub module_count: usize,
    /// The ACPI root pointer: its bytes, or what follows it on the machine.
    pub rsdp: Option<&'m [u8]>,
}

impl<'m> Handover<'m> {
    pub(super) fn new(loader: Loader) -> Handover<'m> {
        Handover {
            loader,
            command_line: &[],
            usable: Ranges::new(),
            memory: Ranges::new(),
            modules: [const { Module { at: 0..0, words: &[] } }; MODULES_MAX],
            module_count: 0,
            rsdp: None,
        }
    }

    /// The modules that are there.
    pub fn modules(&self) -> &[Module<'m>] {
        &self.modules[..self.module_count]
    }

    /// The module that holds the command line, where the loader's own is empty: on a disk it is a
    /// file that can be edited without knowing the loader's language.
    pub fn command_line_file(&self) -> Option<&Module<'m>> {
        let is_it = |module: &&Module<'_>| module.words.trim_ascii() == COMMAND_LINE_FILE;
        self.modules().iter().find(is_it).filter(|_| self.command_line.trim_ascii().is_empty())
    }

    pub(super) fn add_module(&mut self, module: Module<'m>) {
        if module.at.start < module.at.end && self.module_count < MODULES_MAX {
            self.modules[self.module_count] = module;
            self.module_count += 1;
        }
    }

    /// Takes in the entries of a memory map: base, length, and the type of the ACPI specification,
    /// section 15 (E820). What any entry calls reserved stays so, even where another calls it
    /// usable.
    pub(super) fn read_map(&mut self, entries: impl Iterator<Item = (u64, u64, u32)> + Clone) {
        let ranges = entries
            .take(MAP_ENTRIES_MAX)
            .map(|(base, length, kind)| (base..base.saturating_add(length), kind));
        for (range, kind) in ranges.clone() {
            if [USABLE, ACPI_TABLES, ACPI_STORAGE].contains(&kind) {
                self.memory.add(range.clone());
            }
            if kind == USABLE {
                self.usable.add(range);
            }
        }
        for (range, kind) in ranges {
            if kind != USABLE {
                self.usable.remove(range);
            }
        }
    }
}

/// What a loader is told to say about it.
const COMMAND_LINE_FILE: &[u8] = b"cmdline.txt";

/// More entries than this in one map are not looked at.
const MAP_ENTRIES_MAX: usize = 1024;

const USABLE: u32 = 1;
const ACPI_TABLES: u32 = 3;
const ACPI_STORAGE: u32 = 4;
