//! Some thousand stories, as random as a fuzzer's first guesses, leave the worker sound; and they
//! get far enough to be worth telling.

use std::vec::Vec;

use super::{Input, World, receive};
use crate::Event;

/// A story of `length` bytes.
fn story(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn stories_at_random_leave_the_worker_sound() {
    receive(&[]);
    for seed in 0..2000 {
        receive(&story(seed, 1000));
    }
}

#[test]
fn stories_reach_the_deeper_states() {
    let deep = [
        Event::TcpPassiveOpens,
        Event::TcpActiveOpens,
        Event::TimeWaits,
        Event::TimeWaitOverflow,
        Event::TcpTimeouts,
        Event::TcpOfoQueue,
        Event::TcpWinProbe,
        Event::SynCookiesRecv,
        Event::PmtuLearned,
    ];
    let mut reached = deep.map(|event| (event, 0));
    for seed in 0..2000 {
        let bytes = story(seed, 1000);
        let mut input = Input { bytes: &bytes };
        let mut world = World::new(&mut input);
        while !input.bytes.is_empty() {
            world.step(&mut input);
        }
        for (event, count) in &mut reached {
            *count += world.worker.counters().count(*event);
        }
    }
    assert!(reached.iter().all(|(_, count)| *count > 0), "{reached:?}");
}

#[test]
fn a_fin_half_a_circle_away_is_not_in_the_window() {
    receive(&[
        0x80, 0x00, 0x0a, 0x00, 0x40, 0x0a, 0x09, 0xff, 0x80, 0x00, 0x2f, 0xeb, 0xa0, 0x01, 0x00,
        0x80, 0x00, 0x0a, 0x00, 0x40, 0x0a, 0x09, 0xff, 0x00, 0x00, 0xfe, 0x00, 0x8e, 0x22, 0x85,
        0x07, 0x00, 0x22, 0x6b, 0x2f, 0xf3,
    ]);
}
