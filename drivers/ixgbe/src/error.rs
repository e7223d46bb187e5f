//! What can go wrong with a card, in words for a person.

use core::fmt;

use penstock_ixgbe_regs as regs;

/// Why a card could not be brought up, or brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing answers: every register reads all ones.
    Absent,
    /// Something the card does by itself did not happen in time.
    Timeout(Wait),
    /// The words of the EEPROM do not add up, so neither the address nor the link settings that
    /// were loaded from it can be trusted.
    EepromChecksum,
    /// The card has no valid station address, and none was configured.
    NoStationAddress,
    /// The number of queues: 1 to 128.
    Queues(u16),
    /// The descriptors of a ring: a power of two from 128 to 4096.
    Ring(u32),
    /// The MTU in bytes: 68 to 9710.
    Mtu(u16),
    /// A steering rule or a redirection entry names a queue that is not there, or that receive-side
    /// scaling cannot reach (16 and up).
    SteeredNowhere(u16),
    /// More steering rules than there are filters.
    SteerRules(usize),
    /// More unicast addresses than there are filters beside the station's own.
    UnicastAddresses(usize),
    /// The DMA memory is smaller than [`Config::memory_bytes`](crate::Config::memory_bytes).
    Memory,
}

/// Something that the card does by itself, and that the driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// STATUS.GIO clears: no DMA is outstanding (5.2.5.3.2).
    MasterDisable,
    /// CTRL.RST and CTRL.LNK_RST clear (4.2.1.6).
    Reset,
    /// EEC.ARD rises: the EEPROM was read (4.6.3).
    EepromAutoRead,
    /// EERD.DONE rises: a word of the EEPROM is there (8.2.3.2.2).
    EepromRead,
    /// RDRXCTL.DMAIDONE rises (4.6.3).
    DmaInit,
    /// SECRXSTAT.RDY rises: the receive path is empty (4.6.7).
    ReceivePathEmpty,
    /// FDIRCTRL.INIT_DONE rises (8.2.3.21.1).
    FlowDirectorInit,
    /// FDIRCMD.CMD clears: a filter is in (8.2.3.21).
    FlowDirectorCommand,
    /// RXDCTL.ENABLE of the queue rises (4.6.7).
    ReceiveQueueEnable(u16),
    /// TXDCTL.ENABLE of the queue rises (4.6.8).
    TransmitQueueEnable(u16),
}

impl Wait {
    /// How often it is looked at, and how many microseconds lie between two looks.
    pub(crate) const fn bound(self) -> (u32, u32) {
        match self {
            Wait::MasterDisable => (800, 100),
            Wait::Reset => (100, 1_000),
            Wait::EepromAutoRead => (100, 1_000),
            Wait::EepromRead => (10_000, 5),
            Wait::DmaInit => (100, 1_000),
            Wait::ReceivePathEmpty => (40, 1_000),
            Wait::FlowDirectorInit => (10, 1_000),
            Wait::FlowDirectorCommand => (10, 10),
            Wait::ReceiveQueueEnable(_) | Wait::TransmitQueueEnable(_) => (10, 1_000),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Absent => f.write_str("the card does not answer: every register reads all ones"),
            Error::Timeout(wait) => {
                let (times, every_us) = wait.bound();
                write!(f, "{wait} did not happen within {} us", times * every_us)
            }
            Error::EepromChecksum => f.write_str("the EEPROM's checksum is wrong"),
            Error::NoStationAddress => f.write_str("the EEPROM holds no valid station address"),
            Error::Queues(count) => write!(f, "{count} queues: expected 1 to {}", regs::RX_QUEUES),
            Error::Ring(count) => {
                write!(f, "{count} descriptors: expected a power of two from 128 to 4096")
            }
            Error::Mtu(mtu) => write!(f, "an MTU of {mtu} bytes: expected 68 to 9710"),
            Error::SteeredNowhere(queue) => {
                write!(f, "frames are steered to queue {queue}, which is not there")
            }
            Error::SteerRules(count) => write!(f, "{count} steering rules: expected 2045 at most"),
            Error::UnicastAddresses(count) => {
                write!(f, "{count} further unicast addresses: expected 127 at most")
            }
            Error::Memory => f.write_str("too little DMA memory for the rings"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::MasterDisable => f.write_str("the end of DMA (STATUS.GIO clear)"),
            Wait::Reset => f.write_str("the end of the reset (CTRL.RST clear)"),
            Wait::EepromAutoRead => f.write_str("the EEPROM auto-read (EEC.ARD)"),
            Wait::EepromRead => f.write_str("an EEPROM read (EERD.DONE)"),
            Wait::DmaInit => f.write_str("the DMA initialisation (RDRXCTL.DMAIDONE)"),
            Wait::ReceivePathEmpty => f.write_str("an empty receive path (SECRXSTAT.RDY)"),
            Wait::FlowDirectorInit => f.write_str("the Flow Director table (FDIRCTRL.INIT_DONE)"),
            Wait::FlowDirectorCommand => f.write_str("a Flow Director filter (FDIRCMD.CMD clear)"),
            Wait::ReceiveQueueEnable(queue) => write!(f, "receive queue {queue} (RXDCTL.ENABLE)"),
            Wait::TransmitQueueEnable(queue) => write!(f, "transmit queue {queue} (TXDCTL.ENABLE)"),
        }
    }
}
