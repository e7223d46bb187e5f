//! Proves the steering: what is written for it, and that no frame of an active connection reaches a
//! core that does not own it, with stacks on top.

use penstock_ixgbe::{Config, Steer};
use penstock_ixgbe_regs as regs;
use penstock_queue::{PortMask, SteerRule};
use penstock_stack::{Close, Event};

use crate::frames::tcp_headers;
use crate::machine::{World, bring_up, pair, rss};
use crate::stacks::{Family, LISTENED, Stacks};

/// What Linux writes for `ethtool -N eth0 flow-type tcp4 dst-port 0x8000 m 0x7ff8 action 0` and its
/// successor, as recorded from its driver: control, keys, masks, then port, bucket and command of
/// each filter.
#[test]
fn filters_are_written_as_linux_writes_them() {
    let world = World::new();
    world.borrow_mut().sides[0].trace = Some(Vec::new());
    let rules = (0..8).map(|low| SteerRule { value: 0x8000 | low, queue: low }).collect();
    let steer = Some(Steer { mask: PortMask(0x8007), rules });
    bring_up(&world, 0, Config { steer, ..Config::new(8, rss(8)) }).expect("in order");
    let trace = world.borrow_mut().sides[0].trace.take().expect("traced");
    let written = |reg: regs::Reg| {
        let values = trace.iter().filter(move |&&(at, _)| at == reg.0).map(|&(_, value)| value);
        values.collect::<Vec<u32>>()
    };
    assert_eq!(written(regs::FDIRCTRL), [0x4A06_7F11]);
    assert_eq!(written(regs::FDIRHKEY), [0x3DAD_14E2]);
    assert_eq!(written(regs::FDIRSKEY), [0x174D_3614]);
    assert_eq!(written(regs::FDIRM), [0x0000_0037]);
    assert_eq!(written(regs::FDIRTCPM), [0x1FFE_FFFF]);
    assert_eq!(written(regs::FDIRUDPM), [0x1FFE_FFFF]);
    assert_eq!(written(regs::FDIRSIP4M), [!0]);
    assert_eq!(written(regs::FDIRDIP4M), [!0]);
    assert_eq!(written(regs::FDIRPORT)[..3], [0x8000_0000, 0x8001_0000, 0x8002_0000]);
    // The third is Linux's filter that drops: the same port, so the same bucket and name.
    assert_eq!(written(regs::FDIRHASH)[..3], [0x07FD_1FEE, 0x07FC_11BF, 0x07FB_034C]);
    assert_eq!(written(regs::FDIRCMD)[..2], [0x0000_8849, 0x0001_8849]);
    assert_eq!(written(regs::FDIRCMD).len(), 8);
}

/// 128 queues: Flow Director names every one, receive-side scaling the first sixteen.
#[test]
fn a_hundred_and_twenty_eight_queues() {
    let rules = (0..128).map(|low| SteerRule { value: 0x8000 | low, queue: low }).collect();
    let steer = Some(Steer { mask: PortMask(0x807F), rules });
    let rings = Config { receive_ring: 128, transmit_ring: 128, ..Config::new(128, rss(128)) };
    let (world, [_, mut second]) = pair(Config { steer, ..rings });
    let mut arrived_at = |port: u16| {
        world.borrow_mut().cable.put(0, &tcp_headers(false, port, 6, false));
        world.borrow_mut().advance(10);
        let full = (0..128).filter(|&number| !second.recv(number).is_empty());
        full.collect::<Vec<usize>>()
    };
    for low in 0..128u16 {
        // Whatever the bits between say.
        let between = low.wrapping_mul(37) & 0xFF;
        assert_eq!(arrived_at(0x8000 | between << 7 | low), [usize::from(low)]);
        let [queue] = arrived_at(between << 7 | low)[..] else { panic!("one queue") };
        assert!(queue < 16, "a port that servers listen on");
    }
    assert_eq!(world.borrow().losses(1), []);
}

fn every_segment_reaches_its_core(cores: u16, family: Family) {
    let mut stacks = Stacks::new(cores, 3000);
    for port in LISTENED {
        stacks.connect_from_every_core(family, port, 12);
    }
    stacks.run(20_000);
    let clients = &stacks.sides[0];
    for worker in &clients.workers {
        assert_eq!(worker.app().ended, [Close::Finished; 24], "active connections on every core");
        assert!(worker.counters().count(Event::RfdHits) > 24);
    }
    for side in &mut stacks.sides {
        let misdirected = side.count(Event::RfdMisdirected);
        assert_eq!(misdirected, 0, "{cores} cores, {family:?}");
        side.assert_nothing_left();
    }
    let matches = stacks.sides[0].statistic("fdir_match");
    let hits = stacks.sides[0].count(Event::RfdHits);
    match family {
        // Half-open connections are not hits yet: their SYN-ACK matched too.
        Family::V4 => assert!(matches >= hits && hits > 0, "{matches} matches, {hits} segments"),
        Family::V6 => assert_eq!(matches, 0, "ports were chosen by hash"),
    }
    let served = stacks.sides[1].workers.iter().filter(|worker| !worker.app().ended.is_empty());
    assert_eq!(served.count(), cores.into(), "passive connections on every core");
}

#[test]
fn ipv4_segments_reach_their_cores() {
    [1, 2, 3, 5, 8].into_iter().for_each(|cores| every_segment_reaches_its_core(cores, Family::V4));
}

#[test]
fn ipv6_segments_reach_their_cores() {
    [1, 2, 3, 5, 8].into_iter().for_each(|cores| every_segment_reaches_its_core(cores, Family::V6));
}

/// The test above is one that can fail: filters that send flows to the next core are noticed.
#[test]
fn a_wrong_rule_would_be_seen() {
    let mut stacks = Stacks::with_rules(4, 500, |rules| {
        rules.iter_mut().for_each(|rule| rule.queue = (rule.queue + 1) % 4);
    });
    stacks.connect_from_every_core(Family::V4, LISTENED[0], 4);
    stacks.run(20_000);
    assert!(stacks.sides[0].count(Event::RfdMisdirected) > 0);
}
