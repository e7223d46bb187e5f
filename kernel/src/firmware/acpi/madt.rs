//! The cores of a machine, from the Multiple APIC Description Table (ACPI 6.5, section 5.2.12).

use crate::firmware::bytes::{u8_at, u32_at};

/// At most this many cores are used; the 82599 has 128 queues, and RSS spreads over 16.
pub const CORES_MAX: usize = 64;

/// The local APIC identifiers of the cores that may be started, in the table's order.
#[derive(Clone, Debug)]
pub struct Cores {
    list: [u32; CORES_MAX],
    count: usize,
    /// Cores beyond [`CORES_MAX`].
    pub beyond: usize,
}

impl Cores {
    /// The identifiers.
    pub fn apic_ids(&self) -> &[u32] {
        &self.list[..self.count]
    }

    /// The same cores, but with this one, which is running already, at the front.
    pub fn led_by(mut self, apic_id: u32) -> Cores {
        match self.apic_ids().iter().position(|&id| id == apic_id) {
            Some(at) => self.list[..=at].rotate_right(1),
            None => {
                self.count = (self.count + 1).min(CORES_MAX);
                self.list[..self.count].rotate_right(1);
                self.list[0] = apic_id;
            }
        }
        self
    }

    fn add(&mut self, apic_id: u32) {
        if self.apic_ids().contains(&apic_id) {
            return;
        }
        if self.count == CORES_MAX {
            self.beyond += 1;
            return;
        }
        self.list[self.count] = apic_id;
        self.count += 1;
    }
}

/// Reads a checked table. Entries of other kinds are passed over; one that cannot be ends the list.
pub fn read(madt: &[u8]) -> Cores {
    let mut cores = Cores { list: [0; CORES_MAX], count: 0, beyond: 0 };
    let mut rest = madt.get(ENTRIES_AT..).unwrap_or_default();
    while let (Some(kind), Some(length)) = (u8_at(rest, 0), u8_at(rest, 1)) {
        let Some(entry) = rest.get(..usize::from(length)).filter(|entry| entry.len() >= 2) else {
            break;
        };
        // Type, length, and at which offset the identifier and the flags stand.
        let core = match kind {
            LOCAL_APIC => (u8_at(entry, 3).map(u32::from), u32_at(entry, 4)),
            LOCAL_X2APIC => (u32_at(entry, 4), u32_at(entry, 8)),
            _ => (None, None),
        };
        if let (Some(apic_id), Some(flags)) = core
            && flags & ENABLED != 0
        {
            cores.add(apic_id);
        }
        rest = &rest[entry.len()..];
    }
    cores
}

const ENTRIES_AT: usize = 44;
const LOCAL_APIC: u8 = 0;
const LOCAL_X2APIC: u8 = 9;
const ENABLED: u32 = 1;

#[cfg(test)]
mod tests {
    //! Cores are read in order, once each, as the crate `acpi` reads them; what cannot be ends it.

    use super::*;
    use crate::firmware::acpi::tests::made;
    use std::vec::Vec;

    fn local(apic_id: u8, flags: u32) -> Vec<u8> {
        let mut entry = std::vec![LOCAL_APIC, 8, 0, apic_id];
        entry.extend(flags.to_le_bytes());
        entry
    }

    fn x2(apic_id: u32) -> Vec<u8> {
        let mut entry = std::vec![LOCAL_X2APIC, 16, 0, 0];
        entry.extend(apic_id.to_le_bytes());
        entry.extend(1u32.to_le_bytes());
        entry.extend([0; 4]);
        entry
    }

    fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
        let body: Vec<u8> = [0; 8].into_iter().chain(entries.concat()).collect();
        made(b"APIC", &body)
    }

    #[test]
    fn cores_are_read_in_order_and_once() {
        let io_apic = std::vec![1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let table = madt(&[local(0, 1), io_apic, local(2, 0), local(4, 1), x2(4), x2(300)]);
        assert_eq!(read(&table).apic_ids(), [0, 4, 300]);
        assert_eq!(read(&table).led_by(4).apic_ids(), [4, 0, 300]);
        assert_eq!(read(&table).led_by(9).apic_ids(), [9, 0, 4, 300]);
    }

    #[test]
    fn an_entry_that_cannot_be_ends_the_list() {
        assert_eq!(read(&madt(&[local(1, 1), std::vec![0, 0], local(2, 1)])).apic_ids(), [1]);
        assert_eq!(read(&madt(&[local(1, 1), std::vec![0, 200]])).apic_ids(), [1]);
        assert_eq!(read(&madt(&[std::vec![0, 3, 0]])).apic_ids(), [] as [u32; 0]);
        assert_eq!(read(&[]).apic_ids(), [] as [u32; 0]);
    }

    #[test]
    fn more_cores_than_there_is_room_for_are_counted() {
        let many: Vec<Vec<u8>> = (0..CORES_MAX as u32 + 3).map(x2).collect();
        let cores = read(&madt(&many));
        assert_eq!((cores.apic_ids().len(), cores.beyond), (CORES_MAX, 3));
        assert_eq!(cores.led_by(CORES_MAX as u32 + 1).apic_ids().len(), CORES_MAX);
    }
}
