//! Which frames the card takes at all: addresses and VLANs (7.1.1).

use alloc::vec::Vec;

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fctrl, mcstctrl, rah, vlnctrl};

use crate::error::Error;
use crate::registers::Registers;

/// What the card takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    /// The station address; `None` keeps the one that the EEPROM holds.
    pub station: Option<[u8; 6]>,
    /// Further unicast addresses: at most 127.
    pub unicast: Vec<[u8; 6]>,
    /// Multicast.
    pub multicast: Multicast,
    /// Every unicast frame, whoever it is for.
    pub promiscuous: bool,
    /// Tagged frames of these VLANs only; `None` takes every tag. Untagged frames are always taken.
    pub vlans: Option<Vec<u16>>,
}

/// Which multicast frames the card takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Multicast {
    /// Every one.
    All,
    /// Those to these groups, and those that share twelve bits of the address with one: who asked
    /// for few must still look.
    Groups(Vec<[u8; 6]>),
}

impl Default for Filters {
    fn default() -> Filters {
        Filters {
            station: None,
            unicast: Vec::new(),
            multicast: Multicast::All,
            promiscuous: false,
            vlans: None,
        }
    }
}

impl Filters {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let room = regs::RAL.count() as usize - 1;
        if self.unicast.len() > room {
            return Err(Error::UnicastAddresses(self.unicast.len()));
        }
        Ok(())
    }

    /// Writes all of it; `station` is the address in use.
    pub(crate) fn program<D: Device>(&self, card: &Registers<D>, station: [u8; 6]) {
        for index in 0..regs::RAL.count() {
            let address = match index {
                0 => Some(&station),
                _ => self.unicast.get(index as usize - 1),
            };
            write_address(card, index, address);
        }
        let mut control = fctrl::BAM;
        if self.promiscuous {
            control |= fctrl::UPE;
        }
        let mut table = [0u32; MTA_WORDS];
        match &self.multicast {
            Multicast::All => control |= fctrl::MPE,
            Multicast::Groups(groups) => groups.iter().for_each(|group| {
                let hash = multicast_hash(group);
                table[hash / 32] |= 1 << (hash % 32);
            }),
        }
        for (index, word) in table.into_iter().enumerate() {
            card.write(regs::MTA.at(index as u32), word);
        }
        // Offset 0: bits 47:36 of the address.
        card.write(regs::MCSTCTRL, mcstctrl::MFE);
        self.program_vlans(card);
        card.write(regs::FCTRL, control);
    }

    fn program_vlans<D: Device>(&self, card: &Registers<D>) {
        let mut table = [0u32; VFTA_WORDS];
        for vlan in self.vlans.iter().flatten().map(|&vlan| usize::from(vlan & 0xFFF)) {
            table[vlan / 32] |= 1 << (vlan % 32);
        }
        for (index, word) in table.into_iter().enumerate() {
            card.write(regs::VFTA.at(index as u32), word);
        }
        let filter = if self.vlans.is_some() { vlnctrl::VFE } else { 0 };
        card.write(regs::VLNCTRL, ETHERTYPE_VLAN | filter);
    }
}

/// The station address that the EEPROM's auto-read left in the first filter.
pub(crate) fn read_station<D: Device>(card: &Registers<D>) -> Option<[u8; 6]> {
    let low = card.read(regs::RAL.at(0)).to_le_bytes();
    let high = card.read(regs::RAH.at(0));
    let [e, f, ..] = high.to_le_bytes();
    let address = [low[0], low[1], low[2], low[3], e, f];
    let is_unicast = address[0] & 1 == 0 && address != [0; 6];
    (high & rah::AV != 0 && is_unicast).then_some(address)
}

fn write_address<D: Device>(card: &Registers<D>, index: u32, address: Option<&[u8; 6]>) {
    let &[a, b, c, d, e, f] = address.unwrap_or(&[0; 6]);
    let valid = if address.is_some() { rah::AV } else { 0 };
    // Low first: the pair becomes valid with the second write.
    card.write(regs::RAL.at(index), u32::from_le_bytes([a, b, c, d]));
    card.write(regs::RAH.at(index), u32::from(u16::from_le_bytes([e, f])) | valid);
}

/// Bits 47:36 of the address, its last byte on top.
fn multicast_hash(address: &[u8; 6]) -> usize {
    usize::from(u16::from_le_bytes([address[4], address[5]]) >> 4)
}

const MTA_WORDS: usize = 128;
const VFTA_WORDS: usize = 128;
const ETHERTYPE_VLAN: u32 = 0x8100;
