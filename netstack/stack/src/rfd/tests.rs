//! Worlds of 1, 2, 3, 5, 6 and 8 cores: what a core chooses comes back to it, by every mechanism.

use super::{Cores, PortAllocator, PortRange, Rfd, SteeringError, Wanted, steering};
use crate::config::Steering;
use alloc::vec::Vec;
use penstock_queue::{PortMask, RETA_ENTRIES, RSS_KEY_BYTES, Rss, SteerRule};
use penstock_wire::{Addr, toeplitz};
use proptest::prelude::*;
use std::collections::HashSet;

const WORLDS: [u16; 6] = [1, 2, 3, 5, 6, 8];

fn cores(count: u16) -> Cores {
    Cores::new(count).expect("a count of cores")
}

fn range(first: u16, last: u16) -> PortRange {
    PortRange::new(first, last).expect("a range of ports")
}

fn rules(cores: Cores, queues: u16, range: PortRange) -> (PortMask, Vec<SteerRule>) {
    let (mask, rules) = steering(cores, queues, range).expect("steerable");
    (mask, rules.collect())
}

/// The queue a card with these filters picks.
fn filtered((mask, rules): &(PortMask, Vec<SteerRule>), port: u16) -> Option<u16> {
    let mut hits = rules.iter().filter(|rule| port & mask.0 == rule.value);
    let queue = hits.next().map(|rule| rule.queue);
    assert_eq!(hits.next(), None, "two filters for port {port}");
    queue
}

/// Every port has one owner, the low bits name it, and bits that name no core fall back on one.
#[test]
fn every_port_of_the_range_has_an_owner() {
    for count in WORLDS {
        let cores = cores(count);
        assert_eq!(cores.low_bits() + 1, count.next_power_of_two());
        for port in 0..=u16::MAX {
            let core = cores.core_of(port);
            assert!(core < count);
            assert_eq!(core, (port & cores.low_bits()) % count);
            let expected = (port >= 32_768).then_some(core);
            assert_eq!(cores.owner(PortRange::DEFAULT, port, false), expected);
            assert_eq!(cores.owner(PortRange::DEFAULT, port, true), None, "a listener's port");
        }
    }
    assert_eq!((Cores::new(0), Cores::new(129)), (None, None));
    assert_eq!((PortRange::new(0, 9), PortRange::new(9, 8)), (None, None));
}

/// The filters send each port of the range to its owner's queue and leave all others to RSS.
#[test]
fn filters_agree_with_the_owner() {
    for count in WORLDS {
        let cores = cores(count);
        let filters = rules(cores, count, PortRange::DEFAULT);
        assert_eq!(filters.1.len(), count.next_power_of_two() as usize);
        for port in 0..=u16::MAX {
            let owner = cores.owner(PortRange::DEFAULT, port, false);
            assert_eq!(filtered(&filters, port), owner, "port {port} of {count} cores");
        }
    }
}

/// A range that is no block is steered as the block around it; fewer queues than cores share them.
#[test]
fn the_mask_covers_the_block_around_a_range() {
    let filters = rules(cores(3), 2, range(36_000, 38_000));
    assert_eq!(filters.0, PortMask(0xe000 | 3), "32768-36863 and 36864-40959 make 32768-40959");
    for (port, queue) in [(36_000, 0), (36_001, 1), (36_002, 0), (36_003, 0), (32_769, 1)] {
        assert_eq!(filtered(&filters, port), Some(queue), "port {port}");
    }
    assert_eq!(filtered(&filters, 40_961), None);
}

#[test]
fn ranges_that_no_mask_can_tell_are_refused_by_name() {
    let refused =
        |count, queues, first, last| steering(cores(count), queues, range(first, last)).err();
    assert_eq!(refused(2, 2, 1024, 65_535), Some(SteeringError::RangeTooWide));
    assert_eq!(refused(2, 2, 1024, 4999), Some(SteeringError::RangeTooWide));
    assert_eq!(refused(8, 8, 40_000, 40_003), Some(SteeringError::RangeTooNarrow));
    assert_eq!(refused(8, 0, 32_768, 65_535), Some(SteeringError::NoQueues));
    assert_eq!(refused(8, 8, 40_000, 40_007), None);
}

/// The rule of a core with one interface, whose card can do nothing.
fn plain(cores: Cores, core: u16, range: PortRange) -> Rfd {
    Rfd::new(cores, core, range, [Steering::Unknown].iter())
}

/// Every core can choose 32768 / roundup_pow2(cores) ports for a destination, each once, all of
/// them its own, and then says that there are no more.
#[test]
fn a_core_chooses_all_its_ports_and_no_others() {
    let [four, six] = destinations();
    for count in WORLDS {
        for core in 0..count {
            let rfd = plain(cores(count), core, PortRange::DEFAULT);
            let mut ports = PortAllocator::new(12_345);
            let mut used = HashSet::new();
            while let Some(port) =
                ports.choose(&rfd, &four, u32::MAX - 9, |port| !used.contains(&port))
            {
                assert!(rfd.is_active(port));
                assert_eq!((rfd.owner(port), rfd.owner_of(&six, port)), (Some(core), Some(core)));
                assert_eq!(port & cores(count).low_bits(), core, "bits that name the core itself");
                used.insert(port);
            }
            assert_eq!(used.len() as u32, 32_768 / u32::from(count.next_power_of_two()));
        }
    }
}

/// Ports in use are asked about and skipped, odd ranges are kept to, and a core outside the world or
/// without a port in the range has none.
#[test]
fn what_is_not_free_is_skipped() {
    let [four, _] = destinations();
    let rfd = plain(cores(2), 1, range(40_000, 40_006));
    let mut ports = PortAllocator::new(0);
    let mut chosen: Vec<u16> =
        (0..3).filter_map(|_| ports.choose(&rfd, &four, 7, |_| true)).collect();
    chosen.sort_unstable();
    assert_eq!(chosen, [40_001, 40_003, 40_005]);
    assert_eq!(ports.choose(&rfd, &four, 7, |port| port == 40_003), Some(40_003));
    let mut asked = 0;
    let refuse = |_| {
        asked += 1;
        false
    };
    assert_eq!(ports.choose(&rfd, &four, 7, refuse), None);
    assert_eq!(asked, 3, "one full round");
    for (core, first, last) in [(2, 40_000, 40_006), (1, 40_002, 40_002)] {
        let rfd = plain(cores(2), core, range(first, last));
        assert_eq!(ports.choose(&rfd, &four, 0, |_| true), None);
    }
    assert_eq!(plain(cores(1), 0, range(1, 65_535)).own_ports(), (1, 65_535));
}

/// Microsoft's verification key, which most drivers program.
const KEY: [u8; RSS_KEY_BYTES] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

fn rss(key: [u8; RSS_KEY_BYTES], queues: u16) -> Rss {
    Rss { key, reta: core::array::from_fn(|entry| (entry % queues as usize) as u8) }
}

fn destinations() -> [Wanted; 2] {
    let four = |number: u32| Addr::v4(0x0a00_0000 + number);
    let six = |lo| Addr { hi: 0x2001_0db8_0000_0000, lo };
    [
        Wanted { interface: 0, own: four(1), remote: four(2), remote_port: 443 },
        Wanted { interface: 0, own: six(1), remote: six(2), remote_port: 443 },
    ]
}

/// With RSS alone a core finds exactly the ports that a search of the whole range finds, those whose
/// low bits agree before all others.
#[test]
fn solving_finds_what_searching_finds() {
    for count in WORLDS {
        let card = Steering::Rss(rss(KEY, count));
        for (core, wanted) in (0..count).zip(destinations().into_iter().cycle()) {
            let rfd = Rfd::new(cores(count), core, PortRange::DEFAULT, [&card].into_iter());
            let searched: HashSet<u16> = (32_768..=u16::MAX)
                .filter(|&port| rfd.owner_of(&wanted, port) == Some(core))
                .collect();
            let mut ports = PortAllocator::new(99);
            let mut found = HashSet::new();
            let mut disagreed = false;
            while found.len() < 2_500
                && let Some(port) =
                    ports.choose(&rfd, &wanted, 0x1234_5678, |port| !found.contains(&port))
            {
                let agrees = port & cores(count).low_bits() == core;
                assert!(!(agrees && disagreed), "an agreeing port was left for later");
                disagreed |= !agrees;
                found.insert(port);
            }
            assert!(found.is_subset(&searched), "a port the card sends elsewhere");
            assert_eq!(found.len(), searched.len().min(2_500));
            assert!(count == 1 || disagreed || found.len() == 2_500);
        }
    }
}

/// Each interface has its own way, and a card that filters IPv4 hashes IPv6 all the same.
#[test]
fn every_interface_and_family_has_its_way() {
    let cards = [
        Steering::Unknown,
        Steering::FlowDirector(rss(KEY, 4)),
        Steering::Rss(Rss { key: KEY, reta: [3; RETA_ENTRIES] }),
    ];
    let rfd = Rfd::new(cores(4), 3, PortRange::DEFAULT, cards.iter());
    let [four, six] = destinations();
    let on = |interface, wanted| Wanted { interface, ..wanted };
    let by_hash = |wanted: &Wanted| {
        (32_768..=u16::MAX).any(|port| rfd.owner_of(wanted, port) != rfd.owner(port))
    };
    let ways = [on(0, four), on(0, six), on(1, four), on(1, six), on(2, four), on(9, six)];
    assert_eq!(ways.map(|wanted| by_hash(&wanted)), [false, false, false, true, true, false]);
    assert_eq!(rfd.owner_of(&on(2, four), 40_000), Some(3), "all entries name core 3");
    assert_eq!(rfd.owner_of(&on(2, four), 80), None, "not a port of ours");
    assert!(PortAllocator::new(1).choose(&rfd, &on(2, four), 0, |_| true).is_some());
}

/// A poor key (all zeros), a table without our queue, and a range that is no block: fewer ports or
/// none, never a wrong one.
#[test]
fn poor_circumstances_give_fewer_ports() {
    let [wanted, _] = destinations();
    let choose = |rss: Rss, core: u16, range: PortRange| {
        let rfd = Rfd::new(cores(2), core, range, [&Steering::Rss(rss)].into_iter());
        PortAllocator::new(0).choose(&rfd, &wanted, 0, |_| true)
    };
    let silent = || rss([0; RSS_KEY_BYTES], 2);
    assert_eq!(choose(silent(), 0, PortRange::DEFAULT).map(|port| port & 1), Some(0));
    assert_eq!(choose(silent(), 1, PortRange::DEFAULT), None, "all hashes are 0");
    let absent = Rss { key: KEY, reta: [5; RETA_ENTRIES] };
    assert_eq!(choose(absent, 0, PortRange::DEFAULT), None);
    let odd = range(40_000, 40_020);
    for core in [0, 1] {
        assert!(choose(rss(KEY, 2), core, odd).is_none_or(|port| odd.contains(port)));
    }
}

/// Ports of a claimed range, in the block that filters hold or not: every one of them comes back, by
/// filter, hash or mail, to the one core that chooses it, and no core chooses another.
#[test]
fn claimed_ports_come_back_to_who_chose_them() {
    for (count, claimed) in WORLDS.into_iter().flat_map(|count| {
        [range(1000, 1063), range(40_000, 40_015), range(32_700, 32_800)].map(|it| (count, it))
    }) {
        let filters = rules(cores(count), count, PortRange::DEFAULT);
        let rss = rss(KEY, count);
        let cards =
            [Steering::Unknown, Steering::FlowDirector(rss.clone()), Steering::Rss(rss.clone())];
        for (interface, mut wanted) in (0..3).flat_map(|at| destinations().map(|to| (at, to))) {
            wanted.interface = interface;
            let by_hash = |port| {
                let &Wanted { remote, remote_port, own, .. } = &wanted;
                let hash = toeplitz::tcp_tuple(&rss.key, remote, own, remote_port, port);
                u16::from(rss.reta[hash as usize % RETA_ENTRIES])
            };
            let mut found = HashSet::new();
            for core in 0..count {
                let mut rfd = Rfd::new(cores(count), core, PortRange::DEFAULT, cards.iter());
                assert_eq!(rfd.owner_of(&wanted, 1000), None, "not claimed");
                rfd.claim(claimed);
                let mut ports = PortAllocator::new(77);
                while let Some(port) =
                    ports.choose_within(&rfd, &wanted, claimed, u32::MAX - 3, |it| {
                        !found.contains(&it)
                    })
                {
                    assert!(claimed.contains(port) && found.insert(port));
                    assert_eq!(rfd.owner_of(&wanted, port), Some(core));
                    let arrives = match interface {
                        _ if count == 1 => 0,
                        0 => core,
                        1 if wanted.remote.is_v4() => {
                            filtered(&filters, port).unwrap_or_else(|| by_hash(port))
                        }
                        _ => by_hash(port),
                    };
                    assert_eq!(arrives, core, "port {port} of {count} cores, card {interface}");
                }
            }
            let all: HashSet<u16> = (claimed.first..=claimed.last).collect();
            assert_eq!(found, all, "a port without an owner, {count} cores, card {interface}");
        }
    }
}

proptest! {
    /// Whatever the key, the table, the range and the destination: a solved port is in the range,
    /// and the card brings it to the queue that was asked for.
    #[test]
    fn a_solved_port_comes_back(
        key in prop::array::uniform(any::<u8>()), reta in prop::array::uniform(0..8_u8),
        addresses in any::<([u64; 4], bool)>(), remote_port in any::<u16>(),
        ends in any::<(u16, u16)>(), count in 2..=8_u16, core in 0..8_u16, offset in any::<u32>(),
    ) {
        let core = core % count;
        let range = range(ends.0.min(ends.1).max(1), ends.0.max(ends.1).max(1));
        let ([a, b, c, d], is_v4) = addresses;
        let (remote, own) = match is_v4 {
            true => (Addr::v4(a as u32), Addr::v4(b as u32)),
            false => (Addr { hi: a, lo: b }, Addr { hi: c, lo: d }),
        };
        let wanted = Wanted { interface: 0, own, remote, remote_port };
        let card = Steering::Rss(Rss { key, reta });
        let rfd = Rfd::new(cores(count), core, range, [&card].into_iter());
        let mut ports = PortAllocator::new(5);
        for _ in 0..20 {
            if let Some(port) = ports.choose(&rfd, &wanted, offset, |_| true) {
                prop_assert!(range.contains(port));
                let hash = toeplitz::tcp_tuple(&key, remote, own, remote_port, port);
                prop_assert_eq!(u16::from(reta[hash as usize & 127]), core);
            }
        }
    }

    /// Whatever the range: filters never disagree with the owner of a port in it.
    #[test]
    fn filters_of_any_range_agree(ends in any::<(u16, u16)>(), count in 1..=8_u16, port in any::<u16>()) {
        let range = range(ends.0.min(ends.1).max(1), ends.0.max(ends.1).max(1));
        let cores = cores(count);
        if let Ok((mask, rules)) = steering(cores, count, range)
            && let Some(owner) = cores.owner(range, port, false)
        {
            prop_assert_eq!(filtered(&(mask, rules.collect()), port), Some(owner));
        }
    }
}
