//! Flow Director: filters that send a flow to a queue (7.1.2.7, 8.2.3.21).
//!
//! A filter lies in the bucket that software computed. The card computes the bucket of each frame
//! from its masked fields and looks there and nowhere else, so a filter stored under a wrong bucket
//! never matches.
//!
//! Signature mode accepts its commands and steers nothing. Perfect filters for IPv6 never match:
//! Linux and DPDK refuse to program them and no silicon has shown that they work.

use crate::packet::{Packet, Protocol, word};
use crate::storage::Storage;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fdircmd, fdirctrl, fdirhash, fdirm};
use std::collections::BTreeMap;

pub(crate) struct FlowDirector {
    buckets: BTreeMap<u16, Vec<Filter>>,
    filters: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Filter {
    key: Key,
    index: u16,
    target: Target,
}

/// Where a matching frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) drop: bool,
    pub(crate) queue: Option<u32>,
    /// What a descriptor reports: bucket and software index.
    pub(crate) report: u32,
}

/// The fields that are compared and hashed, already masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Key {
    source: u32,
    destination: u32,
    /// Source port high, destination port low.
    ports: u32,
    flex: u16,
    vlan: u16,
    pool: u8,
    /// IPv6 in bit 2, protocol in bits 1:0.
    flow: u8,
}

impl FlowDirector {
    pub(crate) fn new() -> FlowDirector {
        FlowDirector { buckets: BTreeMap::new(), filters: 0 }
    }

    /// Panics if the table's books disagree.
    pub(crate) fn check(&self) {
        let filters: usize = self.buckets.values().map(Vec::len).sum();
        assert_eq!(self.filters as usize, filters);
        assert!(filters <= 8192 - 2, "{filters} filters");
    }

    fn clear(&mut self, storage: &mut Storage) {
        self.buckets.clear();
        self.filters = 0;
        storage.set(regs::FDIRFREE, capacity(storage));
    }

    /// A write of FDIRCTRL: the table starts empty and is ready at once.
    pub(crate) fn write_control(&mut self, storage: &mut Storage, value: u32) {
        storage.set(regs::FDIRCTRL, value | fdirctrl::INIT_DONE);
        self.clear(storage);
    }

    /// A write of FDIRCMD, with a table that is `full` by a planted fault or has its room; true if it
    /// is (nearly) full.
    pub(crate) fn write_command(&mut self, storage: &mut Storage, value: u32, full: bool) -> bool {
        let room = if full { 0 } else { capacity(storage) };
        if value & fdircmd::CLEARHT != 0 {
            self.clear(storage);
        }
        let bucket = (storage.at(regs::FDIRHASH) & fdirhash::BUCKET) as u16;
        let index = (storage.at(regs::FDIRHASH) >> fdirhash::INDEX_SHIFT & 0x7FFF) as u16;
        let mut found = 0;
        match value & fdircmd::CMD {
            fdircmd::ADD => self.add(storage, room, bucket, index, value),
            fdircmd::REMOVE => self.remove(storage, bucket, index),
            fdircmd::QUERY if self.position(bucket, index).is_some() => found = fdircmd::VALID,
            _ => {}
        }
        // The command is done when its bits read zero.
        storage.set(regs::FDIRCMD, value & !(fdircmd::CMD | fdircmd::VALID) | found);
        let free = room.saturating_sub(self.filters);
        storage.set(regs::FDIRFREE, free);
        let threshold = storage.at(regs::FDIRCTRL) >> fdirctrl::FULL_SHIFT;
        value & fdircmd::CMD == fdircmd::ADD && free < (threshold * 16).max(1)
    }

    fn add(&mut self, storage: &mut Storage, room: u32, bucket: u16, index: u16, command: u32) {
        let filter = Filter {
            key: Key::written(storage, command),
            index,
            target: Target {
                drop: command & fdircmd::DROP != 0,
                queue: (command & fdircmd::QUEUE_EN != 0)
                    .then_some(command >> fdircmd::QUEUE_SHIFT & 0x7F),
                report: u32::from(bucket) << 16 | u32::from(index),
            },
        };
        let filters = self.buckets.entry(bucket).or_default();
        if let Some(same) = filters.iter_mut().find(|same| same.key == filter.key) {
            *same = filter;
        } else if self.filters < room {
            filters.push(filter);
            self.filters += 1;
            let longest = storage.at(regs::FDIRLEN).max(filters.len() as u32);
            storage.set(regs::FDIRLEN, longest.min(0x3F));
        } else {
            return count_half(storage, regs::FDIRFSTAT, 0, 0xFF);
        }
        count_half(storage, regs::FDIRUSTAT, 0, 0xFFFF);
    }

    fn remove(&mut self, storage: &mut Storage, bucket: u16, index: u16) {
        let Some(position) = self.position(bucket, index) else {
            return count_half(storage, regs::FDIRFSTAT, 8, 0xFF);
        };
        if let Some(filters) = self.buckets.get_mut(&bucket) {
            filters.remove(position);
            self.filters -= 1;
            count_half(storage, regs::FDIRUSTAT, 16, 0xFFFF);
        }
    }

    fn position(&self, bucket: u16, index: u16) -> Option<usize> {
        self.buckets.get(&bucket)?.iter().position(|filter| filter.index == index)
    }

    /// Looks a frame up; counts the match or the miss.
    pub(crate) fn find(
        &self,
        storage: &mut Storage,
        frame: &[u8],
        packet: &Packet,
    ) -> Option<Target> {
        let control = storage.at(regs::FDIRCTRL);
        if control & fdirctrl::PERFECT == 0 || control & fdirctrl::PBALLOC == 0 {
            return None;
        }
        let target = Key::received(storage, frame, packet).and_then(|key| {
            let filters = self.buckets.get(&key.bucket(storage.at(regs::FDIRHKEY)))?;
            filters.iter().find(|filter| filter.key == key).map(|filter| filter.target)
        });
        let counter = if target.is_some() { regs::FDIRMATCH } else { regs::FDIRMISS };
        storage.count(counter, 1);
        target
    }
}

impl Key {
    /// The fields that software wrote, which must already be masked.
    fn written(storage: &Storage, command: u32) -> Key {
        let ports = storage.at(regs::FDIRPORT);
        let vlan = storage.at(regs::FDIRVLAN);
        Key {
            source: storage.at(regs::FDIRIPSA),
            destination: storage.at(regs::FDIRIPDA),
            ports: ports.rotate_left(16),
            flex: (vlan >> 16) as u16,
            vlan: vlan as u16,
            pool: (command >> fdircmd::POOL_SHIFT & 0x3F) as u8,
            flow: (command >> fdircmd::L4TYPE_SHIFT & 7) as u8,
        }
    }

    /// The masked fields of a frame; `None` for what is not matched at all.
    fn received(storage: &Storage, frame: &[u8], packet: &Packet) -> Option<Key> {
        let ip = packet.ip.as_ref().filter(|ip| !ip.v6)?;
        let address = |at: usize, mask| {
            let bytes = frame.get(at..)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes) & !storage.at(mask))
        };
        let ignored = storage.at(regs::FDIRM);
        let (protocol, ports, ports_mask) = match packet.transport {
            Some(transport) => {
                let ports = u32::from(transport.source) << 16 | u32::from(transport.destination);
                match transport.protocol {
                    Protocol::Udp => (1, ports, regs::FDIRUDPM),
                    Protocol::Tcp => (2, ports, regs::FDIRTCPM),
                    // SCTP has no mask of its own on this card.
                    Protocol::Sctp => (3, ports, regs::FDIRTCPM),
                }
            }
            None => (0, 0, regs::FDIRTCPM),
        };
        let mut vlan_mask = 0xEFFF;
        for (bit, field) in [(fdirm::VLAN_ID, 0x0FFF), (fdirm::VLAN_PRIORITY, 0xE000)] {
            if ignored & bit != 0 {
                vlan_mask &= !field;
            }
        }
        let flex_at = storage.at(regs::FDIRCTRL) >> fdirctrl::FLEX_SHIFT & fdirctrl::FLEX_MASK;
        let flex = word(frame, flex_at as usize * 2).unwrap_or(0);
        Some(Key {
            source: address(ip.source.start, regs::FDIRSIP4M)?,
            destination: address(ip.destination.start, regs::FDIRDIP4M)?,
            ports: ports & !ports_ignored(storage.at(ports_mask)),
            flex: if ignored & fdirm::FLEX != 0 { 0 } else { flex },
            vlan: packet.tag.unwrap_or(0) & vlan_mask,
            pool: 0,
            flow: if ignored & fdirm::L4 != 0 { 0 } else { protocol },
        })
    }

    /// The bucket: the card's hash over the masked fields, 13 bits of it.
    fn bucket(self, key: u32) -> u16 {
        let flow = u32::from(self.pool) << 24 | u32::from(self.flow) << 16 | u32::from(self.vlan);
        let common = self.source ^ self.destination ^ self.ports ^ u32::from(self.flex) << 16;
        let mut low = common.rotate_left(16);
        let high = common ^ flow ^ flow >> 16;
        let mut hash = 0;
        for round in 0..16 {
            if key >> round & 1 != 0 {
                hash ^= low >> round;
            }
            if key >> (round + 16) & 1 != 0 {
                hash ^= high >> round;
            }
            // The flow enters the low half only after the first round.
            if round == 0 {
                low ^= flow ^ flow << 16;
            }
        }
        (hash & fdirhash::BUCKET) as u16
    }
}

/// Counts in one field of a register that holds two; the field saturates.
fn count_half(storage: &mut Storage, reg: regs::Reg, shift: u32, limit: u32) {
    if storage.at(reg) >> shift & limit < limit {
        storage.count(reg, 1 << shift);
    }
}

/// A mask register holds both ports with their bits reversed, source in the low half; the key holds
/// them straight, source in the high half. Reversing all 32 bits does both at once.
fn ports_ignored(mask: u32) -> u32 {
    mask.reverse_bits()
}

/// Filters that fit: 2048, 4096 or 8192 less the few that the table itself takes.
fn capacity(storage: &Storage) -> u32 {
    match storage.at(regs::FDIRCTRL) & fdirctrl::PBALLOC {
        0 => 0,
        size => (1024 << size) - 2,
    }
}

/// Bytes of packet buffer that the table takes from receive.
pub(crate) fn table_bytes(storage: &Storage) -> usize {
    match storage.at(regs::FDIRCTRL) & fdirctrl::PBALLOC {
        0 => 0,
        size => (32 << size) * 1024,
    }
}

#[cfg(test)]
mod tests;
