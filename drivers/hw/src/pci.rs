//! The configuration space of one PCI function: identity, command, BARs, capabilities.
//!
//! Written here rather than taken from the `pci_types` crate because its walk along the
//! capabilities has no end when they form a ring, as they do in a function that has left the bus
//! and reads all ones.
//!
//! To have read: PCI Local Bus 3.0 chapter 6, PCI Express Base section 7.5.

use core::fmt;

use crate::Mmio;

/// A PCI function, reached through its configuration space (4 KB with ECAM, 256 bytes without).
#[derive(Clone, Debug)]
pub struct Function<C> {
    config: C,
}

/// Why a function cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciError {
    /// Nothing answers: the vendor reads all ones.
    Absent,
    /// The BAR of this number is not there, or is no memory.
    NoMemoryBar(u8),
    /// The function has no MSI-X capability.
    NoMsix,
    /// The capabilities form a ring.
    CapabilityRing,
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PciError::Absent => f.write_str("no PCI function answers"),
            PciError::NoMemoryBar(number) => write!(f, "BAR {number} is no memory"),
            PciError::NoMsix => f.write_str("no MSI-X capability"),
            PciError::CapabilityRing => f.write_str("the PCI capabilities form a ring"),
        }
    }
}

/// What a BAR decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Memory; 64 bits wide BARs take the next number too.
    Memory {
        /// Wider than 32 bits.
        is_64_bit: bool,
        /// Reads have no effect.
        is_prefetchable: bool,
    },
    /// I/O ports.
    Ports,
}

/// A base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where it is, as firmware or the kernel placed it; 0 if nobody did.
    pub address: u64,
    /// How many bytes it decodes.
    pub bytes: u64,
    /// What it decodes.
    pub kind: BarKind,
}

/// Where the MSI-X structures of a function lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixTables {
    /// How many vectors.
    pub vectors: u16,
    /// The BAR that holds the table.
    pub table_bar: u8,
    /// Where in it.
    pub table_offset: u32,
}

impl<C: Mmio> Function<C> {
    /// The function behind `config`.
    ///
    /// # Errors
    /// [`PciError::Absent`].
    pub fn new(config: C) -> Result<Function<C>, PciError> {
        let function = Function { config };
        if function.vendor() == 0xFFFF { Err(PciError::Absent) } else { Ok(function) }
    }

    /// Who made it.
    pub fn vendor(&self) -> u16 {
        self.config.read32(IDENTITY) as u16
    }

    /// What it is.
    pub fn device(&self) -> u16 {
        (self.config.read32(IDENTITY) >> 16) as u16
    }

    /// Class, subclass and interface.
    pub fn class(&self) -> u32 {
        self.config.read32(CLASS) >> 8
    }

    /// Lets the function decode memory and reach memory, without its interrupt line.
    pub fn enable(&self) {
        self.command(MEMORY_SPACE | BUS_MASTER | NO_LINE, PORT_SPACE);
    }

    /// Stops the function from reaching memory. What follows may use the memory it was told of,
    /// however it behaves.
    pub fn disable_bus_master(&self) {
        self.command(0, BUS_MASTER);
    }

    fn command(&self, set: u32, clear: u32) {
        // The upper half is the status: ones there would clear what it reports.
        let command = self.config.read32(COMMAND) & 0xFFFF;
        self.config.write32(COMMAND, command & !clear | set);
    }

    /// BAR `number` (0 to 5) and its size. While its size is asked for it decodes nothing.
    pub fn bar(&self, number: u8) -> Option<Bar> {
        let at = BARS + 4 * u32::from(number);
        if number > 5 {
            return None;
        }
        let low = self.config.read32(at);
        let is_64_bit = low & 7 == 4;
        if is_64_bit && number == 5 {
            return None;
        }
        let command = self.config.read32(COMMAND) & 0xFFFF;
        self.config.write32(COMMAND, command & !(MEMORY_SPACE | PORT_SPACE));
        let mut mask = u64::from(self.ones(at));
        let mut address = u64::from(low);
        if is_64_bit {
            address |= u64::from(self.config.read32(at + 4)) << 32;
            mask |= u64::from(self.ones(at + 4)) << 32;
        } else {
            mask |= !0 << 32;
        }
        self.config.write32(COMMAND, command);
        let (kind, flags) = if low & 1 != 0 {
            (BarKind::Ports, 3)
        } else {
            (BarKind::Memory { is_64_bit, is_prefetchable: low & 8 != 0 }, 15)
        };
        let bytes = (!(mask & !flags)).wrapping_add(1);
        (mask & !flags & 0xFFFF_FFFF != 0 || is_64_bit && mask >> 32 != 0).then_some(Bar {
            address: address & !flags,
            bytes,
            kind,
        })
    }

    /// What a BAR reads after ones were written to it; it is put back.
    fn ones(&self, at: u32) -> u32 {
        let before = self.config.read32(at);
        self.config.write32(at, !0);
        let mask = self.config.read32(at);
        self.config.write32(at, before);
        mask
    }

    /// BAR `number`, which must be memory that has been placed.
    ///
    /// # Errors
    /// [`PciError::NoMemoryBar`].
    pub fn memory_bar(&self, number: u8) -> Result<Bar, PciError> {
        let bar = self.bar(number).ok_or(PciError::NoMemoryBar(number))?;
        let is_memory = matches!(bar.kind, BarKind::Memory { .. });
        if is_memory && bar.address != 0 { Ok(bar) } else { Err(PciError::NoMemoryBar(number)) }
    }

    /// Where the first capability of kind `id` lies, if there is one.
    ///
    /// # Errors
    /// [`PciError::CapabilityRing`].
    pub fn capability(&self, id: u8) -> Result<Option<u32>, PciError> {
        if self.config.read32(COMMAND) & HAS_CAPABILITIES == 0 {
            return Ok(None);
        }
        let mut at = self.config.read32(CAPABILITIES) & 0xFC;
        for _ in 0..CAPABILITIES_MAX {
            if at < FIRST_CAPABILITY {
                return Ok(None);
            }
            let head = self.config.read32(at);
            if head as u8 == id {
                return Ok(Some(at));
            }
            at = head >> 8 & 0xFC;
        }
        Err(PciError::CapabilityRing)
    }

    /// Where the MSI-X table lies and how long it is.
    ///
    /// # Errors
    /// [`PciError::NoMsix`], [`PciError::CapabilityRing`].
    pub fn msix(&self) -> Result<MsixTables, PciError> {
        let at = self.capability(MSIX)?.ok_or(PciError::NoMsix)?;
        let table = self.config.read32(at + 4);
        Ok(MsixTables {
            vectors: (self.config.read32(at) >> 16 & 0x7FF) as u16 + 1,
            table_bar: (table & 7) as u8,
            table_offset: table & !7,
        })
    }

    /// Lets the function send MSI-X messages; vectors whose table entry is masked stay silent.
    ///
    /// # Errors
    /// As [`msix`](Self::msix).
    pub fn enable_msix(&self) -> Result<(), PciError> {
        let at = self.capability(MSIX)?.ok_or(PciError::NoMsix)?;
        let head = self.config.read32(at);
        self.config.write32(at, head & !MSIX_MASK_ALL | MSIX_ENABLE);
        Ok(())
    }
}

const IDENTITY: u32 = 0x00;
const COMMAND: u32 = 0x04;
const CLASS: u32 = 0x08;
const BARS: u32 = 0x10;
const CAPABILITIES: u32 = 0x34;
const FIRST_CAPABILITY: u32 = 0x40;

const PORT_SPACE: u32 = 1 << 0;
const MEMORY_SPACE: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;
const NO_LINE: u32 = 1 << 10;
/// In the status, the upper half of the command's word.
const HAS_CAPABILITIES: u32 = 1 << 20;

const MSIX: u8 = 0x11;
const MSIX_MASK_ALL: u32 = 1 << 30;
const MSIX_ENABLE: u32 = 1 << 31;

/// Capabilities that fit into 256 bytes.
const CAPABILITIES_MAX: usize = 48;

#[cfg(test)]
mod tests {
    //! Proves what a driver reads of a function laid out like an 82599's, and that no contents
    //! keep it from ending.
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use proptest::prelude::*;

    /// Configuration space: values, and which bits of them can be written.
    struct Config {
        words: RefCell<Vec<u32>>,
        writable: Vec<u32>,
    }

    impl Mmio for Config {
        fn read32(&self, offset: u32) -> u32 {
            self.words.borrow().get(offset as usize / 4).copied().unwrap_or(!0)
        }

        fn write32(&self, offset: u32, value: u32) {
            if let Some(word) = self.words.borrow_mut().get_mut(offset as usize / 4) {
                let writable = self.writable[offset as usize / 4];
                *word = *word & !writable | value & writable;
            }
        }
    }

    fn config() -> Config {
        let (mut words, mut writable) = (vec![0u32; 64], vec![0u32; 64]);
        for (at, value, mask) in [
            (0x00, 0x10FB_8086, 0),
            (0x04, 0x0010_0000, 0x0547),
            (0x08, 0x0200_0001, 0),
            (0x10, 0xE000_0004, 0xFFFE_0000u32),
            (0x14, 0x0000_0001, 0xFFFF_FFFF),
            (0x18, 0x0000_C001, 0xFFFF_FFE0),
            (0x20, 0xE002_0004, 0xFFFF_C000),
            (0x24, 0x0000_0001, 0xFFFF_FFFF),
            (0x34, 0x40, 0),
            (0x40, 0x0003_5001, 0),
            (0x50, 0x0180_7005, 0),
            (0x70, 0x003F_0011, 0xC000_0000),
            (0x74, 0x0000_0004, 0),
        ] {
            words[at / 4] = value;
            writable[at / 4] = mask;
        }
        Config { words: RefCell::new(words), writable }
    }

    #[test]
    fn a_function_tells_of_itself() {
        let function = Function::new(config()).expect("present");
        assert_eq!((function.vendor(), function.device()), (0x8086, 0x10FB));
        assert_eq!(function.class(), 0x02_0000);
        let kind = BarKind::Memory { is_64_bit: true, is_prefetchable: false };
        let registers = Bar { address: 0x1_E000_0000, bytes: 0x2_0000, kind };
        assert_eq!(function.memory_bar(0), Ok(registers));
        assert_eq!(function.bar(2).map(|bar| (bar.bytes, bar.kind)), Some((32, BarKind::Ports)));
        assert_eq!(function.memory_bar(2), Err(PciError::NoMemoryBar(2)));
        assert_eq!((function.bar(3), function.bar(6)), (None, None));
        let tables = MsixTables { vectors: 64, table_bar: 4, table_offset: 0 };
        assert_eq!(function.msix(), Ok(tables));
        assert_eq!(function.capability(0x10), Ok(None));
        assert_eq!(function.memory_bar(0), Ok(registers), "asking leaves it where it was");
    }

    #[test]
    fn commands_are_set_and_cleared() {
        let function = Function::new(config()).expect("present");
        function.enable();
        assert_eq!(function.config.read32(COMMAND), 0x0010_0406);
        function.disable_bus_master();
        assert_eq!(function.config.read32(COMMAND), 0x0010_0402);
        function.enable_msix().expect("has it");
        assert_eq!(function.config.read32(0x70), 0x803F_0011);
    }

    #[test]
    fn a_function_that_has_left_the_bus_ends_every_walk() {
        let gone = Config { words: RefCell::new(vec![!0; 64]), writable: vec![0; 64] };
        let function = Function { config: gone };
        assert_eq!(function.capability(MSIX), Err(PciError::CapabilityRing));
        assert_eq!(function.msix(), Err(PciError::CapabilityRing));
        let gone = Config { words: RefCell::new(vec![!0; 64]), writable: vec![0; 64] };
        assert!(Function::new(gone).is_err_and(|error| error == PciError::Absent));
    }

    proptest! {
        #[test]
        fn any_contents_are_survived(
            words in proptest::collection::vec(any::<u32>(), 64),
            writable in proptest::collection::vec(any::<u32>(), 64),
        ) {
            let function = Function { config: Config { words: RefCell::new(words), writable } };
            for number in 0..8 {
                let _ = function.memory_bar(number);
            }
            let _ = (function.msix(), function.enable_msix(), function.capability(5));
            function.enable();
        }
    }
}
