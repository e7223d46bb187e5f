//! What core 0 has to tell the others, in words, until each of them has heard it.
//!
//! Mail may be full; then it is said again later. What has changed meanwhile takes the place of what it
//! was, so there is never more to tell than there is to know.

use alloc::vec::Vec;

use penstock_stack::mail::TOLD_WORDS_MAX;
use penstock_stack::{Cx, Wall};
use penstock_wire::Addr;

use crate::limits;

/// Something that every core is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An address is ours, with its prefix, or no more.
    Address { interface: u8, addr: Addr, prefix_bits: Option<u8> },
    /// An address may be another's, or is no more looked at.
    Tentative { interface: u8, addr: Addr, tentative: bool },
    /// The way to everywhere else, for a family.
    Gateway { interface: u8, is_v4: bool, gateway: Option<Addr> },
    /// What a link carries.
    Mtu { interface: u8, mtu: u16 },
    /// How the time of day runs.
    Clock(Wall),
    /// Where lines go.
    Log { server: Option<(Addr, u16)> },
    /// Some of the addresses of a name: those from `from` on, of `total`.
    Name { name: u16, from: u8, total: u8, addresses: [Addr; ADDRESSES_PER_NEWS] },
}

/// Addresses that fit in one message.
pub(crate) const ADDRESSES_PER_NEWS: usize = 3;

type Words = [u64; TOLD_WORDS_MAX];

impl News {
    /// As words of mail. The first says that they are ours, what they are, and what they are about.
    fn words(&self) -> Words {
        let flagged = |option: Option<Addr>| {
            (option.unwrap_or(Addr::UNSPECIFIED), u64::from(option.is_some()))
        };
        let words = |kind: u64, about: u64, rest: [u64; 7]| {
            let [a, b, c, d, e, f, g] = rest;
            [MARK | kind << 32 | about, a, b, c, d, e, f, g]
        };
        match *self {
            News::Address { interface, addr, prefix_bits } => {
                let bits = prefix_bits.map_or(0, |bits| 1 << 8 | u64::from(bits));
                words(ADDRESS, interface.into(), [addr.hi, addr.lo, bits, 0, 0, 0, 0])
            }
            News::Tentative { interface, addr, tentative } => {
                words(TENTATIVE, interface.into(), [addr.hi, addr.lo, tentative.into(), 0, 0, 0, 0])
            }
            News::Gateway { interface, is_v4, gateway } => {
                let (addr, is_some) = flagged(gateway);
                let about = u64::from(interface) << 8 | u64::from(is_v4);
                words(GATEWAY, about, [addr.hi, addr.lo, is_some, 0, 0, 0, 0])
            }
            News::Mtu { interface, mtu } => {
                words(MTU, interface.into(), [mtu.into(), 0, 0, 0, 0, 0, 0])
            }
            News::Clock(Wall { since, then, gain_ppm, until }) => {
                words(CLOCK, 0, [since.0, then.0, gain_ppm as u64, until.0, 0, 0, 0])
            }
            News::Log { server } => {
                let (addr, is_some) = flagged(server.map(|(addr, _)| addr));
                let port = server.map_or(0, |(_, port)| port.into());
                words(LOG, 0, [addr.hi, addr.lo, is_some, port, 0, 0, 0])
            }
            News::Name { name, from, total, addresses } => {
                let about = u64::from(name) << 16 | u64::from(from) << 8 | u64::from(total);
                let [a, b, c] = addresses;
                words(NAME, about, [a.hi, a.lo, b.hi, b.lo, c.hi, c.lo, 0])
            }
        }
    }

    /// Reads words of mail; `None`: they are an application's own.
    pub(crate) fn read(words: &[u64]) -> Option<News> {
        let [head, a, b, c, d, e, f, _] = *<&Words>::try_from(words).ok()?;
        if head & MARK_MASK != MARK {
            return None;
        }
        let (kind, about) = (head >> 32 & 0xff, head as u32);
        let addr = Addr { hi: a, lo: b };
        let option = (c & 1 != 0).then_some(addr);
        Some(match kind {
            ADDRESS => {
                let prefix_bits = (c >> 8 != 0).then_some(c as u8);
                News::Address { interface: about as u8, addr, prefix_bits }
            }
            TENTATIVE => News::Tentative { interface: about as u8, addr, tentative: c != 0 },
            GATEWAY => News::Gateway {
                interface: (about >> 8) as u8,
                is_v4: about & 1 != 0,
                gateway: option,
            },
            MTU => News::Mtu { interface: about as u8, mtu: a as u16 },
            CLOCK => News::Clock(Wall {
                since: penstock_stack::Instant(a),
                then: penstock_stack::Duration(b),
                gain_ppm: c as i32,
                until: penstock_stack::Instant(d),
            }),
            LOG => News::Log { server: option.map(|addr| (addr, d as u16)) },
            NAME => News::Name {
                name: (about >> 16) as u16,
                from: (about >> 8) as u8,
                total: about as u8,
                addresses: [addr, Addr { hi: c, lo: d }, Addr { hi: e, lo: f }],
            },
            _ => return None,
        })
    }

    /// Whether `other` says something else about the same.
    fn is_about_the_same(&self, other: &News) -> bool {
        match (self, other) {
            (
                News::Address { interface, addr, .. },
                News::Address { interface: other_interface, addr: other_addr, .. },
            )
            | (
                News::Tentative { interface, addr, .. },
                News::Tentative { interface: other_interface, addr: other_addr, .. },
            ) => (interface, addr) == (other_interface, other_addr),
            (
                News::Gateway { interface, is_v4, .. },
                News::Gateway { interface: other_interface, is_v4: other_v4, .. },
            ) => (interface, is_v4) == (other_interface, other_v4),
            (News::Mtu { interface, .. }, News::Mtu { interface: other, .. }) => interface == other,
            (News::Clock(_), News::Clock(_)) | (News::Log { .. }, News::Log { .. }) => true,
            (News::Name { name, from, .. }, News::Name { name: other, from: other_from, .. }) => {
                (name, from) == (other, other_from)
            }
            _ => false,
        }
    }
}

/// What is yet to be told.
#[derive(Debug)]
pub(crate) struct Journal {
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    news: News,
    /// The cores that have not heard, a bit for each.
    untold: u128,
}

impl Journal {
    /// Room for all there can be about so many names.
    pub(crate) fn new(names: usize) -> Journal {
        let per_name = limits::ADDRESSES_PER_NAME.div_ceil(ADDRESSES_PER_NEWS);
        let room = 2 * ADDRESSES_MAX + 4 * limits::INTERFACES_MAX + 2 + per_name * names;
        Journal { records: Vec::with_capacity(room) }
    }

    /// Will tell every other core.
    pub(crate) fn post(&mut self, cx: &Cx<'_>, news: News) {
        let untold = u128::MAX >> (u128::BITS - u32::from(cx.cores())) & !1;
        if untold == 0 {
            return;
        }
        // Behind what was said before, which it may rest on: a gateway on its address.
        self.records.retain(|record| !record.news.is_about_the_same(&news));
        if self.records.len() < self.records.capacity() {
            self.records.push(Record { news, untold });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Tells what it can; who has no room for it hears it, and what came after it, another time.
    pub(crate) fn tell(&mut self, cx: &mut Cx<'_>) {
        if self.records.is_empty() {
            return;
        }
        for core in 1..cx.cores() {
            let bit = 1 << core;
            for record in self.records.iter_mut().filter(|record| record.untold & bit != 0) {
                if cx.tell(core, &record.news.words()).is_err() {
                    break;
                }
                record.untold &= !bit;
            }
        }
        self.records.retain(|record| record.untold != 0);
    }
}

/// The first bytes of our words: no application begins with them.
const MARK: u64 = 0x70_6c6e << 40;
const MARK_MASK: u64 = 0xff_ffff << 40;

/// As many as the stack keeps.
const ADDRESSES_MAX: usize = 64;

const ADDRESS: u64 = 1;
const TENTATIVE: u64 = 2;
const GATEWAY: u64 = 3;
const MTU: u64 = 4;
const CLOCK: u64 = 5;
const LOG: u64 = 6;
const NAME: u64 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_stack::{Duration, Instant};

    #[test]
    fn words_are_read_as_they_were_meant() {
        let addr = Addr::v4(0x0a00_0001);
        let six = Addr { hi: 0xfd << 56, lo: 7 };
        for news in [
            News::Address { interface: 3, addr, prefix_bits: Some(24) },
            News::Address { interface: 3, addr: six, prefix_bits: Some(0) },
            News::Address { interface: 3, addr, prefix_bits: None },
            News::Tentative { interface: 1, addr: six, tentative: true },
            News::Gateway { interface: 15, is_v4: true, gateway: Some(addr) },
            News::Gateway { interface: 15, is_v4: false, gateway: None },
            News::Mtu { interface: 2, mtu: 9000 },
            News::Clock(Wall {
                since: Instant(5),
                then: Duration(u64::MAX / 3),
                gain_ppm: -500,
                until: Instant(77),
            }),
            News::Log { server: Some((six, 514)) },
            News::Log { server: None },
            News::Name { name: 1023, from: 6, total: 8, addresses: [addr, six, addr] },
        ] {
            assert_eq!(News::read(&news.words()), Some(news));
        }
        assert_eq!(News::read(&[1, 2, 3]), None);
        assert_eq!(News::read(&[0; 8]), None);
    }
}
