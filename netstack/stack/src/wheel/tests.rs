//! The wheel against a sorted list, over jumps, wraps, postponements and budgets.

use super::{HORIZON, LEVELS, Node, Nodes, WAIT_MAX, Wheel, after};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Records that are nothing but a timer, and a count of how often one was reached.
struct Timers {
    nodes: Vec<Node>,
    touched: u32,
}

impl Nodes for Timers {
    fn node(&mut self, index: u32) -> &mut Node {
        self.touched += 1;
        &mut self.nodes[index as usize]
    }
}

fn timers(count: usize) -> Timers {
    Timers { nodes: vec![Node::UNARMED; count], touched: 0 }
}

/// Everything due at `now`, without a bound, in order of index.
fn drain(wheel: &mut Wheel, timers: &mut Timers, now: u32) -> Vec<u32> {
    let mut budget = u32::MAX;
    let mut fired: Vec<u32> =
        core::iter::from_fn(|| wheel.expire(timers, now, &mut budget)).collect();
    fired.sort_unstable();
    fired
}

#[test]
fn a_timer_fires_at_its_tick_and_not_before() {
    for start in [0, 1, 63, 4095, u32::MAX - 5, u32::MAX / 2] {
        for wait in [1, 2, 63, 64, 65, 4096, 262_144, 1 << 24, WAIT_MAX, WAIT_MAX + 1, 1 << 30] {
            let (mut wheel, mut timers) = (Wheel::new(start), timers(1));
            let at = start.wrapping_add(wait);
            wheel.arm(&mut timers, 0, at);
            assert_eq!(timers.nodes[0].due(), Some(at));
            assert!(drain(&mut wheel, &mut timers, at.wrapping_sub(1)).is_empty());
            assert_eq!(drain(&mut wheel, &mut timers, at), [0], "from {start}, {wait} ahead");
            assert_eq!((timers.nodes[0].due(), wheel.armed()), (None, 0));
            assert_eq!(wheel.next_deadline(), None);
        }
    }
}

/// Following `next_deadline` alone reaches every timer, in few steps.
#[test]
fn sleeping_until_the_deadline_is_enough() {
    let (mut wheel, mut timers) = (Wheel::new(77), timers(1));
    for wait in [1, 40, 200, 60_000, 7_200_000, 90_000_000] {
        let mut now = wheel.elapsed;
        let at = now.wrapping_add(wait);
        wheel.arm(&mut timers, 0, at);
        let mut steps = 0;
        while drain(&mut wheel, &mut timers, now).is_empty() {
            now = wheel.next_deadline().expect("armed");
            assert!(!after(now, at), "asked to sleep past the timer");
            steps += 1;
        }
        assert_eq!(now, at);
        assert!(steps <= LEVELS, "{steps} wake-ups for one timer");
    }
}

/// A tick that is over means the next one: a timer cannot fire again in the turn that armed it.
#[test]
fn the_past_is_the_next_tick() {
    let (mut wheel, mut timers) = (Wheel::new(100), timers(1));
    for at in [0, 99, 100] {
        let now = wheel.elapsed;
        wheel.arm(&mut timers, 0, at);
        assert!(drain(&mut wheel, &mut timers, now).is_empty());
        assert_eq!(drain(&mut wheel, &mut timers, now + 1), [0]);
    }
}

/// Putting a timer off reaches no record but its own; bringing it forward moves it.
#[test]
fn putting_off_touches_one_record() {
    let (mut wheel, mut timers) = (Wheel::new(0), timers(3));
    for index in 0..3 {
        wheel.arm(&mut timers, index, 200);
    }
    timers.touched = 0;
    wheel.arm(&mut timers, 1, 300);
    assert_eq!(timers.touched, 1);
    assert_eq!(drain(&mut wheel, &mut timers, 299), [0, 2]);
    assert_eq!(drain(&mut wheel, &mut timers, 300), [1]);
    wheel.arm(&mut timers, 1, 900);
    wheel.arm(&mut timers, 1, 400);
    assert_eq!(drain(&mut wheel, &mut timers, 400), [1]);
}

/// A hundred days without timers, or with one far away, are no work.
#[test]
fn idle_time_costs_nothing() {
    let (mut wheel, mut timers) = (Wheel::new(0), timers(1));
    for day in 1..100_u32 {
        assert!(drain(&mut wheel, &mut timers, day.wrapping_mul(86_400_000)).is_empty());
    }
    wheel.arm(&mut timers, 0, wheel.elapsed.wrapping_add(HORIZON));
    timers.touched = 0;
    let armed_at = wheel.elapsed;
    for hour in 1..=298_u32 {
        let now = armed_at.wrapping_add(hour * 3_600_000);
        assert!(drain(&mut wheel, &mut timers, now).is_empty());
    }
    assert!(timers.touched < 40, "{} records reached over twelve days", timers.touched);
    assert_eq!(drain(&mut wheel, &mut timers, armed_at.wrapping_add(HORIZON)), [0]);
}

/// A clock that steps back stops time; nothing fires twice or is lost.
#[test]
fn a_clock_that_steps_back_is_harmless() {
    let (mut wheel, mut timers) = (Wheel::new(1000), timers(2));
    wheel.arm(&mut timers, 0, 1500);
    assert!(drain(&mut wheel, &mut timers, 1400).is_empty());
    assert!(drain(&mut wheel, &mut timers, 200).is_empty());
    wheel.arm(&mut timers, 1, 1450);
    assert!(drain(&mut wheel, &mut timers, 1410).is_empty());
    assert_eq!(drain(&mut wheel, &mut timers, 1500), [0, 1]);
}

/// Ten thousand timers of one slot are dealt and fired a budget at a time; meanwhile what was due
/// stays due, and no call exceeds its budget.
#[test]
fn a_budget_bounds_every_call() {
    const COUNT: u32 = 10_000;
    const BUDGET: u32 = 64;
    let (mut wheel, mut timers) = (Wheel::new(0), timers(COUNT as usize));
    for index in 0..COUNT {
        wheel.arm(&mut timers, index, 70_000 + index % 50);
    }
    let mut fired = 0;
    let mut calls = 0;
    while fired < COUNT {
        timers.touched = 0;
        let mut budget = BUDGET;
        while wheel.expire(&mut timers, 80_000, &mut budget).is_some() {
            fired += 1;
        }
        assert!(timers.touched <= 8 * BUDGET, "{} records reached in one call", timers.touched);
        assert!(fired == COUNT || wheel.next_deadline().is_some_and(|at| !after(at, 80_000)));
        calls += 1;
    }
    assert!(calls <= (LEVELS as u32) * COUNT / BUDGET + 1, "{calls} calls");
}

#[derive(Clone, Debug)]
enum Step {
    Arm(u32, u32),
    Disarm(u32),
    Advance(u32, u32),
}

const RECORDS: u32 = 24;

/// Waits of every magnitude, so that every level and the far slot are met.
fn wait() -> impl Strategy<Value = u32> {
    (0..31_u32).prop_flat_map(|bits| 0..(1_u32 << bits))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..RECORDS, wait()).prop_map(|(index, wait)| Step::Arm(index, wait)),
        1 => (0..RECORDS).prop_map(Step::Disarm),
        3 => (wait(), prop_oneof![Just(u32::MAX), 1..4_u32]).prop_map(|(by, budget)| Step::Advance(by, budget)),
    ]
}

proptest! {
    /// Whatever is armed, put off, disarmed and however time jumps: a timer fires exactly when its
    /// tick has come, once; with a small budget it may be late, never early and never lost.
    #[test]
    fn the_wheel_agrees_with_a_list(start in any::<u32>(), steps in prop::collection::vec(step(), 1..200)) {
        let (mut wheel, mut timers) = (Wheel::new(start), timers(RECORDS as usize));
        let mut now = start;
        // Index to true time, which does not wrap.
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        let mut time = 0_u64;
        for step in steps {
            match step {
                Step::Arm(index, wait) => {
                    let at = now.wrapping_add(wait);
                    wheel.arm(&mut timers, index, at);
                    // Behind on its budget, the wheel still counts from where it is.
                    let least = u64::from(after(wheel.elapsed.wrapping_add(1), now));
                    model.insert(index, time + u64::from(wait).max(least));
                }
                Step::Disarm(index) => {
                    wheel.disarm(&mut timers, index);
                    model.remove(&index);
                }
                Step::Advance(by, mut budget) => {
                    // Stay within half the ring of the oldest timer, as a polling worker does.
                    let oldest = model.values().min().copied().unwrap_or(time);
                    let by = if oldest < time { 0 } else { by };
                    now = now.wrapping_add(by);
                    time += u64::from(by);
                    while let Some(index) = wheel.expire(&mut timers, now, &mut budget) {
                        let at = model.remove(&index);
                        prop_assert!(at.is_some_and(|at| at <= time), "fired at {time}: {at:?}");
                    }
                    if budget > 0 {
                        let late = model.values().find(|&&at| at <= time);
                        prop_assert_eq!(late, None, "still armed at {}", time);
                    }
                }
            }
            prop_assert_eq!(wheel.armed() as usize, model.len());
            let first = model.values().min().map(|at| now.wrapping_add((at.wrapping_sub(time)) as u32));
            match (wheel.next_deadline(), first) {
                (None, None) => {}
                (Some(deadline), Some(first)) => prop_assert!(!after(deadline, first)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
