//! Path MTUs that routers have told of (RFC 1191, RFC 8201), by destination, for ten minutes.

use alloc::vec::Vec;

use penstock_wire::Addr;

/// How long one is believed (RFC 1191 section 6.3).
const AGE_MS: u32 = 10 * 60 * 1000;
/// No path is believed to carry less (Linux: min_pmtu; RFC 8200 section 5).
const V4_MIN: u16 = 552;
const V6_MIN: u16 = 1280;
/// How many places one address may stand in.
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: Addr,
    mtu: u16,
    learned_at: u32,
}

/// Whether a link towards `remote` may carry no more than `mtu` bytes.
//= rfc8201#4
//# If a node receives a Packet Too Big message reporting a next-hop MTU that is less than the IPv6
//# minimum link MTU, it must discard it.
pub(crate) fn is_credible(remote: Addr, mtu: u32) -> bool {
    remote.is_v4() || mtu >= V6_MIN as u32
}

/// A small cache: of four possible places the oldest makes room.
#[derive(Debug)]
pub(crate) struct PathMtus {
    entries: Vec<Option<Entry>>,
    used: bool,
}

impl PathMtus {
    pub(crate) fn new(capacity: u16) -> PathMtus {
        let sets = (capacity as usize).div_ceil(WAYS).next_power_of_two();
        PathMtus { entries: alloc::vec![None; sets * WAYS], used: false }
    }

    /// The MTU of the path to `remote`, if a smaller one than the link's was learned.
    #[inline(always)]
    pub(crate) fn lookup(&self, remote: Addr, millis: u32) -> Option<u16> {
        // Nearly every machine never learns one.
        if !self.used {
            return None;
        }
        self.lookup_learned(remote, millis)
    }

    #[inline(never)]
    fn lookup_learned(&self, remote: Addr, millis: u32) -> Option<u16> {
        let from = self.set_of(remote);
        let set = self.entries.get(from..from + WAYS)?;
        let found = set.iter().flatten().find(|entry| entry.remote == remote)?;
        (millis.wrapping_sub(found.learned_at) < AGE_MS).then_some(found.mtu)
    }

    /// Learns what a router said; returns the MTU now in force.
    pub(crate) fn learn(&mut self, remote: Addr, mtu: u32, millis: u32) -> u16 {
        let least = if remote.is_v4() { V4_MIN } else { V6_MIN };
        let mtu = mtu.clamp(least as u32, u16::MAX as u32) as u16;
        let mtu = self.lookup(remote, millis).map_or(mtu, |known| known.min(mtu));
        self.used = true;
        let from = self.set_of(remote);
        let set = &mut self.entries[from..from + WAYS];
        let same = set.iter().position(|entry| entry.is_some_and(|e| e.remote == remote));
        let oldest = (0..WAYS).max_by_key(|&way| {
            set[way].map_or(u32::MAX, |entry| millis.wrapping_sub(entry.learned_at))
        });
        set[same.or(oldest).unwrap_or(0)] = Some(Entry { remote, mtu, learned_at: millis });
        mtu
    }

    fn set_of(&self, remote: Addr) -> usize {
        let mixed = (remote.hi ^ remote.lo).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        mixed as usize % (self.entries.len() / WAYS) * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_is_bounded_and_is_forgotten() {
        let mut paths = PathMtus::new(8);
        let far = Addr::v4(0x0a01_0203);
        assert_eq!(paths.lookup(far, 0), None);
        assert_eq!(paths.learn(far, 1400, 0), 1400);
        assert_eq!(paths.learn(far, 1450, 10), 1400, "it never grows before it is forgotten");
        assert_eq!(paths.learn(far, 68, 20), V4_MIN);
        assert_eq!(paths.learn(Addr { hi: 1, lo: 2 }, 68, 20), V6_MIN);
        assert_eq!(paths.lookup(far, 20 + AGE_MS - 1), Some(V4_MIN));
        assert_eq!(paths.lookup(far, 20 + AGE_MS), None);
    }

    #[test]
    fn a_flood_of_destinations_stays_within_its_memory() {
        let mut paths = PathMtus::new(8);
        for number in 0..10_000 {
            paths.learn(Addr::v4(number), 1300, number);
        }
        assert_eq!(paths.entries.len(), 8);
        assert_eq!(paths.lookup(Addr::v4(9_999), 10_000), Some(1300));
    }
}
