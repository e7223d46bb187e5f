//! Layer 2 filters: which frames the port takes at all (7.1.1).

use crate::storage::Storage;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fctrl, mcstctrl, rah, vlnctrl};

/// Whether the destination address of `frame` is taken: exact, hashed, broadcast or promiscuous.
pub(crate) fn takes_address(storage: &Storage, address: [u8; 6]) -> bool {
    let control = storage.at(regs::FCTRL);
    if address == [0xFF; 6] {
        return control & fctrl::BAM != 0;
    }
    if address[0] & 1 != 0 {
        return control & fctrl::MPE != 0
            || exact(storage, address)
            || storage.at(regs::MCSTCTRL) & mcstctrl::MFE != 0
                && hashed(storage, &regs::MTA, address);
    }
    control & fctrl::UPE != 0 || exact(storage, address)
}

/// Whether the VLAN tag of a frame is taken; untagged frames always are.
pub(crate) fn takes_vlan(storage: &Storage, tag: Option<u16>) -> bool {
    let control = storage.at(regs::VLNCTRL);
    let Some(tag) = tag.map(u32::from).filter(|_| control & vlnctrl::VFE != 0) else {
        return true;
    };
    let canonical = tag >> 12 & 1;
    if control & vlnctrl::CFIEN != 0 && canonical != (control & vlnctrl::CFI) >> 28 {
        return false;
    }
    storage.at(regs::VFTA.at(tag >> 5 & 0x7F)) >> (tag & 0x1F) & 1 != 0
}

fn exact(storage: &Storage, address: [u8; 6]) -> bool {
    let [a, b, c, d, e, f] = address;
    let low = u32::from_le_bytes([a, b, c, d]);
    let high = u32::from(u16::from_le_bytes([e, f])) | rah::AV;
    (0..regs::RAH.count()).any(|index| {
        storage.at(regs::RAH.at(index)) == high && storage.at(regs::RAL.at(index)) == low
    })
}

/// Twelve bits of the address, chosen by MCSTCTRL.MO, index a table of 4096 bits.
fn hashed(storage: &Storage, table: &regs::RegArray, address: [u8; 6]) -> bool {
    let upper = u32::from(u16::from_le_bytes([address[4], address[5]]));
    let shift = [4, 3, 2, 0][(storage.at(regs::MCSTCTRL) & mcstctrl::MO) as usize];
    let hash = upper >> shift & 0xFFF;
    storage.at(table.at(hash >> 5)) >> (hash & 0x1F) & 1 != 0
}

#[cfg(test)]
mod tests {
    //! Proves each filter alone: exact, broadcast, multicast hash, promiscuous, VLAN.
    use super::*;

    const OURS: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

    #[test]
    fn unicast_needs_a_valid_exact_entry() {
        let mut storage = Storage::new();
        storage.set(regs::RAL.at(127), 0x3322_1102);
        storage.set(regs::RAH.at(127), 0x0000_5544);
        assert!(!takes_address(&storage, OURS), "not valid");
        storage.set(regs::RAH.at(127), 0x8000_5544);
        assert!(takes_address(&storage, OURS));
        assert!(!takes_address(&storage, [2, 0, 0, 0, 0, 1]));
        storage.set(regs::FCTRL, fctrl::UPE);
        assert!(takes_address(&storage, [2, 0, 0, 0, 0, 1]));
        assert!(!takes_address(&storage, [0xFF; 6]), "broadcast has its own bit");
        storage.set(regs::FCTRL, fctrl::BAM);
        assert!(takes_address(&storage, [0xFF; 6]));
    }

    #[test]
    fn multicast_goes_by_twelve_bits() {
        let mut storage = Storage::new();
        let group = [0x01, 0x00, 0x5E, 0x00, 0x12, 0x34];
        assert!(!takes_address(&storage, group));
        // Offset 0: address bits 47:36, here 0x341.
        storage.set(regs::MTA.at(0x341 >> 5), 1 << (0x341 & 0x1F));
        assert!(!takes_address(&storage, group), "MFE is clear");
        storage.set(regs::MCSTCTRL, mcstctrl::MFE);
        assert!(takes_address(&storage, group));
        assert!(!takes_address(&storage, [0x01, 0x00, 0x5E, 0x00, 0x22, 0x34]));
        storage.set(regs::FCTRL, fctrl::MPE);
        assert!(takes_address(&storage, [0x01, 0x00, 0x5E, 0x00, 0x22, 0x34]));
    }

    #[test]
    fn vlans_go_by_the_table() {
        let mut storage = Storage::new();
        assert!(takes_vlan(&storage, Some(100)));
        storage.set(regs::VLNCTRL, vlnctrl::VFE | 0x8100);
        assert!(takes_vlan(&storage, None));
        assert!(!takes_vlan(&storage, Some(100)));
        storage.set(regs::VFTA.at(3), 1 << 4);
        assert!(takes_vlan(&storage, Some(0xE064)), "priority does not matter");
        storage.set(regs::VLNCTRL, vlnctrl::VFE | vlnctrl::CFIEN | 0x8100);
        assert!(!takes_vlan(&storage, Some(0x1064)), "the wrong canonical form");
    }
}
