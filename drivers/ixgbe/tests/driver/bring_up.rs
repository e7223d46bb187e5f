//! Proves bring-up and shutdown: the order of the datasheet, waits that end with a name, settings
//! that a card cannot have, link, filters.

use penstock_ixgbe::{Config, Error, Filters, Link, Multicast, Steer, Wait};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::Reg;
use penstock_ixgbe_regs::bits::{ctrl, ctrl_ext, eec, eerd, fdircmd, rxctrl, status};
use penstock_nic82599::{CardConfig, Faults, Loss};
use penstock_queue::{PortMask, QueuePair, SteerRule};

use crate::frames::numbered;
use crate::machine::{MACS, Machine, World, bring_up, pair, rss, settle, until};

fn config() -> Config {
    Config::new(2, rss(2))
}

fn steered() -> Config {
    let rules = vec![SteerRule { value: 0x8000, queue: 0 }, SteerRule { value: 0x8001, queue: 1 }];
    Config { steer: Some(Steer { mask: PortMask(0x8001), rules }), ..config() }
}

#[test]
fn the_order_is_the_datasheets() {
    let world = World::new();
    world.borrow_mut().sides[0].trace = Some(Vec::new());
    let mut machine = Machine::new(&world, 0, steered());
    for _ in 0..10 {
        world.borrow_mut().advance(60_000);
        let now_us = world.borrow().now_us;
        machine.turn(now_us);
    }
    assert!(machine.nic.is_running());
    let trace = world.borrow_mut().sides[0].trace.take().expect("traced");
    let at = |reg: Reg, mask: u32, value: u32| {
        let found =
            trace.iter().position(|&(offset, word)| offset == reg.0 && word & mask == value);
        found.unwrap_or_else(|| panic!("{reg:?} was not written so"))
    };
    let order = [
        at(regs::EIMC, 0x7FFF_FFFF, 0x7FFF_FFFF),
        at(regs::RXCTRL, 1, 0),
        at(regs::CTRL, ctrl::GIO_DIS, ctrl::GIO_DIS),
        at(regs::CTRL, ctrl::RST, ctrl::RST),
        at(regs::CTRL_EXT, ctrl_ext::DRV_LOAD, ctrl_ext::DRV_LOAD),
        at(regs::AUTOC, 0x1000, 0x1000),
        at(regs::RXPBSIZE.at(0), !0, 0x7_0000),
        at(regs::FDIRCTRL, 0x11, 0x11),
        at(regs::FDIRCMD, 3, 1),
        at(regs::FCTRL, 0x400, 0x400),
        at(regs::DMATXCTL, 1, 1),
        at(regs::TDBAL.at(0), 0, 0),
        at(regs::TXDCTL.at(0), 1 << 25, 1 << 25),
        at(regs::RDBAL.at(0), 0, 0),
        at(regs::RXDCTL.at(0), 1 << 25, 1 << 25),
        at(regs::RDT.at(0), !0, 511),
        at(regs::SECRXCTRL, 2, 2),
        at(regs::RXCTRL, rxctrl::RXEN, rxctrl::RXEN),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(world.borrow().losses(0), [], "no write that the card does not know");
}

#[test]
fn a_healthy_card_says_who_it_is() {
    let (_, [first, second]) = pair(config());
    assert_eq!((first.nic.station(), second.nic.station()), (MACS[0], MACS[1]));
    assert_eq!(first.nic.link(), Link::Up { mbps: 10_000 });
}

/// Each wait, with the bit that it waits for held where it must not be.
#[test]
fn every_wait_ends_with_its_name() {
    let stuck = [
        (regs::CTRL, ctrl::RST, ctrl::RST, Wait::Reset),
        (regs::EEC, eec::ARD, 0, Wait::EepromAutoRead),
        (regs::RDRXCTL, 8, 0, Wait::DmaInit),
        (regs::EERD, eerd::DONE, 0, Wait::EepromRead),
        (regs::FDIRCTRL, 8, 0, Wait::FlowDirectorInit),
        (regs::FDIRCMD, fdircmd::CMD, 1, Wait::FlowDirectorCommand),
    ];
    for (reg, mask, forced, wait) in stuck {
        let world = World::new();
        world.borrow_mut().sides[0].stuck = Some((reg, mask, forced));
        let error = bring_up(&world, 0, steered()).expect_err("stuck");
        assert_eq!(error, Error::Timeout(wait));
        assert!(error.to_string().contains("did not happen within"), "{error}");
        assert!(world.borrow().now_us < 1_000_000, "{wait:?} took {} us", world.borrow().now_us);
    }
}

/// What happens after bring-up, on other cores and later: the card is reset and tried again.
#[test]
fn waits_of_the_queues_end_too() {
    for (reg, forced, expected) in [
        (regs::RXDCTL.at(1), 0, None),
        (regs::TXDCTL.at(0), 0, None),
        (regs::SECRXSTAT, 0, Some(Error::Timeout(Wait::ReceivePathEmpty))),
    ] {
        let world = World::new();
        let mask = if reg == regs::SECRXSTAT { 1 } else { 1 << 25 };
        world.borrow_mut().sides[0].stuck = Some((reg, mask, forced));
        let mut machines = [0, 1].map(|side| Machine::new(&world, side, config()));
        until(&world, &mut machines, 5_000, |[first, _]| {
            first.reports.iter().filter(|report| report.reset.is_some()).count() >= 2
        });
        assert!(!machines[0].nic.is_running());
        let errors: Vec<_> = machines[0].reports.iter().filter_map(|report| report.error).collect();
        assert_eq!(errors.first().copied(), expected, "{reg:?}");
        world.borrow_mut().sides[0].stuck = None;
        until(&world, &mut machines, 5_000, |[first, _]| first.nic.is_running());
    }
}

#[test]
fn dma_that_does_not_stop_takes_a_second_reset() {
    let faults = Faults { stuck_master_disable: true, ..Faults::default() };
    let world = World::with(|_| CardConfig { faults: faults.clone(), ..CardConfig::default() });
    world.borrow_mut().sides[0].trace = Some(Vec::new());
    bring_up(&world, 0, config()).expect("two resets are enough");
    let trace = world.borrow_mut().sides[0].trace.take().expect("traced");
    let resets = trace.iter().filter(|&&(at, value)| at == regs::CTRL.0 && value & ctrl::RST != 0);
    assert_eq!(resets.count(), 2);
}

#[test]
fn a_card_that_is_not_there_or_not_itself_is_refused() {
    let world = World::new();
    world.borrow_mut().sides[0].gone = true;
    assert_eq!(bring_up(&world, 0, config()).err(), Some(Error::Absent));
    let faults = Faults { bad_eeprom_checksum: true, ..Faults::default() };
    let world = World::with(|_| CardConfig { faults: faults.clone(), ..CardConfig::default() });
    assert_eq!(bring_up(&world, 0, config()).err(), Some(Error::EepromChecksum));
    let world = World::new();
    world.borrow_mut().sides[0].stuck = Some((regs::RAH.at(0), !0, 0));
    assert_eq!(bring_up(&world, 0, config()).err(), Some(Error::NoStationAddress));
}

#[test]
fn settings_that_a_card_cannot_have_are_named() {
    let refused = |config: Config| bring_up(&World::new(), 0, config).err();
    assert_eq!(refused(Config { queues: 0, ..config() }), Some(Error::Queues(0)));
    assert_eq!(refused(Config { queues: 129, ..config() }), Some(Error::Queues(129)));
    assert_eq!(refused(Config { receive_ring: 500, ..config() }), Some(Error::Ring(500)));
    assert_eq!(refused(Config { transmit_ring: 64, ..config() }), Some(Error::Ring(64)));
    assert_eq!(refused(Config { mtu: 9711, ..config() }), Some(Error::Mtu(9711)));
    assert_eq!(refused(Config { rss: rss(3), ..config() }), Some(Error::SteeredNowhere(2)));
    let rules = vec![SteerRule { value: 1, queue: 2 }];
    let steer = Some(Steer { mask: PortMask(1), rules });
    assert_eq!(refused(Config { steer, ..config() }), Some(Error::SteeredNowhere(2)));
    let filters = Filters { unicast: vec![MACS[0]; 128], ..Filters::default() };
    assert_eq!(refused(Config { filters, ..config() }), Some(Error::UnicastAddresses(128)));
}

#[test]
fn a_card_that_was_shut_down_is_dark_and_silent() {
    let (world, [first, mut second]) = pair(config());
    let Machine { nic, mut queues, mut chunks, .. } = first;
    nic.shut_down().expect("in order");
    world.borrow_mut().advance(10);
    assert!(!world.borrow().sides[0].card.link_up());
    world.borrow_mut().cable.put(1, &[0xFF; 60]);
    world.borrow_mut().advance(10);
    queues[0].reclaim(&mut chunks[0]);
    assert_eq!(queues[0].recv(32), 0);
    assert_eq!(second.recv(0).len(), 0);
    let world = world.borrow();
    assert!(world.sides[0].card.losses().of(Loss::ReceiveLinkDown) > 0);
}

#[test]
fn the_link_is_reported_when_it_changes() {
    let (world, mut machines) = pair(config());
    let dark = Faults { no_light: true, ..Faults::default() };
    world.borrow_mut().sides[0].card.set_faults(dark);
    until(&world, &mut machines, 100, |[first, _]| first.nic.link() == Link::Down);
    world.borrow_mut().sides[0].card.set_faults(Faults::default());
    until(&world, &mut machines, 200, |[first, _]| first.nic.link() != Link::Down);
    let links: Vec<_> = machines[0].reports.iter().filter_map(|report| report.link).collect();
    assert_eq!(links, [Link::Down, Link::Up { mbps: 10_000 }]);
    assert!(machines[0].reports.iter().all(|report| report.reset.is_none()), "no reset for it");
    // One gigabit, as LINKS would say it.
    world.borrow_mut().sides[0].stuck = Some((regs::LINKS, 3 << 28, 2 << 28));
    settle(&world, &mut machines);
    assert_eq!(machines[0].nic.link(), Link::Up { mbps: 1_000 });
    assert_eq!(machines[0].nic.link().to_string(), "up, 1 Gb/s");
    assert_eq!(status::LINK_UP, 1 << 7);
}

#[test]
fn filters_take_what_they_name() {
    let (world, [_, mut second]) = pair(config());
    let arrives = |second: &mut Machine, to: [u8; 6], vlan: Option<u16>| {
        let mut frame = numbered(1, 80);
        frame[..6].copy_from_slice(&to);
        if let Some(vlan) = vlan {
            let [high, low] = vlan.to_be_bytes();
            frame.splice(12..12, [0x81, 0, high, low]);
        }
        world.borrow_mut().cable.put(0, &frame);
        world.borrow_mut().advance(10);
        !second.recv(0).is_empty()
    };
    let (other, group) = ([2, 0, 0, 0, 0, 9], [0x33, 0x33, 0xFF, 0, 0, 2]);
    assert!(arrives(&mut second, MACS[1], None) && arrives(&mut second, [0xFF; 6], None));
    assert!(!arrives(&mut second, other, None));
    assert!(arrives(&mut second, group, None) && arrives(&mut second, MACS[1], Some(5)));
    let filters = Filters {
        unicast: vec![other],
        multicast: Multicast::Groups(vec![group]),
        vlans: Some(vec![7, 4095]),
        ..Filters::default()
    };
    second.nic.set_filters(filters).expect("fits");
    assert!(arrives(&mut second, other, None) && arrives(&mut second, MACS[1], None));
    assert!(arrives(&mut second, group, None));
    assert!(!arrives(&mut second, [0x33, 0x33, 0xFF, 0, 0x10, 2], None));
    assert!(!arrives(&mut second, MACS[1], Some(5)));
    assert!(arrives(&mut second, MACS[1], Some(7)) && arrives(&mut second, MACS[1], Some(0xEFFF)));
    let station = [6, 5, 4, 3, 2, 1];
    let filters = Filters { station: Some(station), promiscuous: true, ..Filters::default() };
    second.nic.set_filters(filters).expect("fits");
    assert_eq!(second.nic.station(), station);
    assert!(arrives(&mut second, other, None) && arrives(&mut second, station, None));
}

#[test]
fn tags_are_stripped_and_reported_where_asked() {
    let (world, [_, mut second]) = pair(Config { strip_vlan: true, ..config() });
    let frame = numbered(1, 80);
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0, 0x20, 0x07]);
    world.borrow_mut().cable.put(0, &tagged);
    world.borrow_mut().advance(10);
    let queue = &mut second.queues[0];
    assert_eq!(queue.recv(32), 1);
    assert_eq!((queue.frame(0).vlan, queue.frame(0).bytes), (Some(0x2007), &frame[..]));
    queue.recycle();
}
