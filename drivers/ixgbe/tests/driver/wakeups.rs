//! Proves the messages that wake sleeping cores: one per sleep, none lost, none while awake, no
//! closer than asked.

use penstock_ixgbe::{Config, Interrupts, Link};
use penstock_nic82599::{Faults, Reset};
use penstock_queue::QueuePair;

use crate::frames::numbered;
use crate::machine::{Machine, pair, rss, until};

const MODERATION_US: u32 = 100;

fn config(queues: u16) -> Config {
    let interrupts = Some(Interrupts { moderation_us: MODERATION_US });
    Config { interrupts, ..Config::new(queues, rss(queues)) }
}

#[test]
fn a_sleeping_core_is_woken_once() {
    let (world, [_, mut second]) = pair(config(2));
    let arrive = |number| {
        world.borrow_mut().cable.put(0, &numbered(number, 60));
        world.borrow_mut().advance(10);
        world.borrow_mut().sides[1].card.take_messages().vectors
    };
    world.borrow_mut().sides[1].card.take_messages();
    assert_eq!(arrive(0), 0, "a core that polls is left alone");
    assert!(second.queues[0].has_work());
    second.recv(0);
    assert!(!second.queues[0].has_work());
    // The frame came while the mask was closed: opening it asks again.
    second.queues[0].arm_interrupt();
    world.borrow_mut().advance(10);
    let first = world.borrow_mut().sides[1].card.take_messages().vectors;
    assert!(first <= 1);
    second.queues[0].arm_interrupt();
    world.borrow_mut().advance(2 * u64::from(MODERATION_US));
    world.borrow_mut().sides[1].card.take_messages();
    assert_eq!(arrive(1), 1);
    world.borrow_mut().advance(10 * u64::from(MODERATION_US));
    assert_eq!(arrive(2), 0, "the message closed the mask, not only the throttle");
    assert_eq!(second.recv(0).len(), 2);
    assert!(!second.queues[1].has_work());
}

#[test]
fn messages_keep_their_distance() {
    let (world, [_, mut second]) = pair(config(1));
    let mut last_us = 0;
    for number in 0..500 {
        second.queues[0].arm_interrupt();
        world.borrow_mut().cable.put(0, &numbered(number, 60));
        world.borrow_mut().advance(7);
        let now_us = world.borrow().now_us;
        if world.borrow_mut().sides[1].card.take_messages().vectors != 0 {
            assert!(now_us - last_us >= u64::from(MODERATION_US) - 2, "{} us", now_us - last_us);
            last_us = now_us;
            second.recv(0);
        }
    }
    assert!(last_us > 0);
}

#[test]
fn each_queue_has_its_vector_and_the_link_the_last() {
    let (world, mut machines) = pair(config(2));
    world.borrow_mut().sides[1].card.take_messages();
    machines[1].queues[1].arm_interrupt();
    let mut frame = packet([10, 0, 0, 1]);
    // Sources are tried until one hashes to queue 1.
    let woken = (0..64).any(|last| {
        frame = packet([10, 0, 0, last]);
        world.borrow_mut().cable.put(0, &frame);
        world.borrow_mut().advance(500);
        world.borrow_mut().sides[1].card.take_messages().vectors == 2
    });
    assert!(woken);
    // A cause that nobody has looked at sends no second message: the link coming up was one.
    machines[1].nic.on_interrupt();
    let dark = Faults { no_light: true, ..Faults::default() };
    world.borrow_mut().sides[1].card.set_faults(dark);
    world.borrow_mut().advance(500);
    assert_eq!(world.borrow_mut().sides[1].card.take_messages().vectors, 1 << 63);
    let Machine { nic, .. } = &mut machines[1];
    nic.on_interrupt();
    let now_us = world.borrow().now_us;
    assert_eq!(nic.poll(now_us).link, Some(Link::Down), "at once, not when the next look is due");
    world.borrow_mut().sides[1].card.set_faults(Faults::default());
    until(&world, &mut machines, 200, |[_, second]| second.nic.link() != Link::Down);
}

/// Rings are armed on the cores that own them, so a reset must reach those that sleep.
#[test]
fn a_reset_wakes_every_core() {
    let (world, [_, mut second]) = pair(config(3));
    world.borrow_mut().sides[1].card.take_messages();
    world.borrow_mut().sides[1].card.reset(Reset::Function);
    let mut turns = [0; 3];
    for _ in 0..2_000 {
        world.borrow_mut().advance(1000);
        let now_us = world.borrow().now_us;
        second.nic.poll(now_us);
        // A core takes a turn when it is told to, and not before.
        let vectors = world.borrow_mut().sides[1].card.take_messages().vectors;
        for (number, turns) in
            turns.iter_mut().enumerate().filter(|(number, _)| vectors >> number & 1 != 0)
        {
            second.queues[number].reclaim(&mut second.chunks[number]);
            second.queues[number].flush();
            *turns += 1;
        }
        if second.nic.is_running() && turns == [1; 3] {
            return;
        }
    }
    panic!("turns: {turns:?}");
}

/// An IPv4 packet of a protocol without ports from `source` to machine 1.
fn packet(source: [u8; 4]) -> Vec<u8> {
    let mut frame = numbered(0, 60);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34]
        .copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 253, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame[26..30].copy_from_slice(&source);
    frame
}
