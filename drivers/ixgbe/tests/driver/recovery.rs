//! Proves that a queue comes back, that connections survive, and that nothing leaks, whatever the
//! card does: hangs, resets by others, links that flap, cards that leave the bus for a while.

use penstock_ixgbe::{Link, Reason};
use penstock_ixgbe_regs as regs;
use penstock_nic82599::{Faults, Reset};
use penstock_stack::{Close, Event};

use crate::stacks::{Appliance, Family, LISTENED, Stacks};

/// Four cores with transfers under way in both directions.
fn under_way() -> Stacks {
    let mut stacks = Stacks::new(4, 120_000);
    stacks.connect_from_every_core(Family::V4, LISTENED[0], 3);
    stacks.connect_from_every_core(Family::V6, LISTENED[1], 3);
    let started = stacks.turns(20_000, |stacks| stacks.sides[1].statistic("rx_bytes") > 300_000);
    assert!(started, "nothing moves");
    stacks
}

/// All connections come to their end by themselves, and all that was lent is back.
fn survive(mut stacks: Stacks) -> Stacks {
    stacks.turn_us = 20;
    stacks.run(60_000);
    for side in &stacks.sides {
        assert!(side.ended().all(|reason| reason == Close::Finished));
        assert_eq!(side.ended().count(), 24);
        assert_eq!(side.count(Event::RfdMisdirected), 0, "steering was programmed again");
        side.assert_nothing_left();
    }
    stacks
}

fn resets(side: &Appliance) -> Vec<Reason> {
    side.reports.iter().filter_map(|report| report.reset).collect()
}

#[test]
fn a_whole_run_without_faults_has_no_reset() {
    let stacks = survive(under_way());
    for mut side in stacks.sides {
        assert_eq!(resets(&side), []);
        let (frames, segments) = (side.statistic("tx_packets"), side.statistic("tx_pkts_nic"));
        assert!(segments > frames + 500, "{frames} frames were cut into {segments}: TSO");
        assert_eq!(side.statistic("rx_csum_offload_errors"), 0);
    }
}

#[test]
fn a_reset_by_somebody_else_is_survived() {
    for kind in [Reset::Function, Reset::Software] {
        for side in [0, 1] {
            let stacks = under_way();
            stacks.world.borrow_mut().sides[side].card.reset(kind);
            let stacks = survive(stacks);
            assert_eq!(resets(&stacks.sides[side]), [Reason::Surprise]);
            assert_eq!(resets(&stacks.sides[1 - side]), []);
        }
    }
}

#[test]
fn a_transmit_hang_is_ended_by_a_reset() {
    let mut stacks = under_way();
    let hang = Faults { transmit_hang: true, ..Faults::default() };
    stacks.world.borrow_mut().sides[0].card.set_faults(hang);
    stacks.turn_us = 500;
    let seen = stacks.turns(8_000, |stacks| !resets(&stacks.sides[0]).is_empty());
    assert!(seen, "not noticed within four seconds");
    stacks.world.borrow_mut().sides[0].card.set_faults(Faults::default());
    let mut stacks = survive(stacks);
    assert!(matches!(resets(&stacks.sides[0])[..], [Reason::TransmitHang { .. }]));
    let counted = ["tx_timeout_count", "resets"].map(|name| stacks.sides[0].statistic(name));
    assert_eq!(counted, [1, 1]);
}

#[test]
fn a_link_that_flaps_is_waited_for() {
    let mut stacks = under_way();
    for _ in 0..3 {
        let dark = Faults { no_light: true, ..Faults::default() };
        stacks.world.borrow_mut().sides[1].card.set_faults(dark);
        stacks.turn_us = 200;
        stacks.turns(1_500, |_| false);
        assert_eq!(stacks.sides[1].nic.link(), Link::Down);
        stacks.world.borrow_mut().sides[1].card.set_faults(Faults::default());
        stacks.turns(1_500, |_| false);
    }
    let stacks = survive(stacks);
    let links = stacks.sides[1].reports.iter().filter(|report| report.link.is_some());
    assert_eq!((links.count(), resets(&stacks.sides[1])), (6, vec![]));
}

#[test]
fn a_card_that_leaves_the_bus_and_returns_is_brought_back() {
    let mut stacks = under_way();
    stacks.world.borrow_mut().sides[0].gone = true;
    stacks.turn_us = 500;
    stacks.turns(4_000, |_| false);
    assert_eq!(stacks.sides[0].nic.link(), Link::Down);
    let errors = stacks.sides[0].reports.iter().filter(|report| report.error.is_some()).count();
    assert!((1..=3).contains(&errors), "told of once a second at most: {errors}");
    {
        let side = &mut stacks.world.borrow_mut().sides[0];
        side.gone = false;
        side.card.reset(Reset::Function);
    }
    let stacks = survive(stacks);
    assert!(resets(&stacks.sides[0]).ends_with(&[Reason::Failed]));
}

/// A card that never returns: every connection ends with a reason, and when at last it does return,
/// everything that was lent to it comes back.
#[test]
fn connections_of_a_dead_card_end_with_a_reason() {
    let mut stacks = under_way();
    stacks.world.borrow_mut().sides[0].gone = true;
    stacks.turn_us = 1000;
    let ended = stacks.turns(80_000, |stacks| {
        stacks.sides[0].workers.iter().all(|worker| worker.app().open == 0)
    });
    assert!(ended, "connections wait for a dead card");
    assert!(stacks.sides[0].ended().all(|reason| reason == Close::TimedOut));
    stacks.world.borrow_mut().sides[0].gone = false;
    stacks.run(120_000);
    stacks.turns(2_000, |_| false);
    stacks.sides.iter().for_each(Appliance::assert_nothing_left);
}

/// A reset that gets stuck is tried again until it does not.
#[test]
fn a_reset_that_fails_is_tried_again() {
    let mut stacks = under_way();
    {
        let side = &mut stacks.world.borrow_mut().sides[1];
        side.stuck = Some((regs::EEC, 1 << 9, 0));
        side.card.reset(Reset::Software);
    }
    stacks.turn_us = 500;
    let tried = stacks.turns(16_000, |stacks| resets(&stacks.sides[1]).len() >= 3);
    assert!(tried);
    stacks.world.borrow_mut().sides[1].stuck = None;
    survive(stacks);
}
