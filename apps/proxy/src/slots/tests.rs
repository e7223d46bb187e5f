//! Whatever cores do, and whatever words are lost in full mailboxes: never more slots are in use
//! than there are, or than time has brought, and in the end nobody waits while one is free.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

struct World {
    slots: Vec<Slots>,
    waiting: Vec<u32>,
    using: Vec<u32>,
    mail: Vec<VecDeque<(u16, [u32; 3])>>,
    limit: u32,
    room: usize,
    now: Instant,
}

const POOL: PoolId = PoolId(0);

impl World {
    fn new(cores: u16, limit: u32, room: usize) -> World {
        World::of(cores, Supply::Slots(limit), limit, room)
    }

    /// Where so many come in a second, and the limit moves.
    fn metered(cores: u16, most: u32, room: usize) -> World {
        World::of(cores, Supply::PerSecond(most), most, room)
    }

    fn of(cores: u16, supply: Supply, limit: u32, room: usize) -> World {
        let slots = (0..cores).map(|core| Slots::new(core, cores, &[supply])).collect();
        let (waiting, using) = (vec![0; cores as usize], vec![0; cores as usize]);
        let mail = vec![VecDeque::new(); cores as usize];
        World { slots, waiting, using, mail, limit, room, now: Instant(60_000_000) }
    }

    fn come(&mut self, core: usize) {
        if self.slots[core].take(POOL) {
            self.using[core] += 1;
        } else {
            self.waiting[core] += 1;
            self.slots[core].set_waiting(POOL, self.waiting[core]);
        }
    }

    /// Somebody comes who goes elsewhere if he would have to wait.
    fn come_or_pass(&mut self, core: usize) {
        if self.slots[core].take(POOL) {
            self.using[core] += 1;
        } else {
            self.slots[core].want_one_more(POOL);
        }
    }

    fn leave(&mut self, core: usize) {
        if self.using[core] > 0 {
            self.using[core] -= 1;
            self.slots[core].release(POOL);
        }
    }

    fn give_up(&mut self, core: usize) {
        if self.waiting[core] > 0 {
            self.waiting[core] -= 1;
            self.slots[core].set_waiting(POOL, self.waiting[core]);
        }
    }

    /// The end of a turn: whoever waits is served, and what there is to say is said.
    fn settle(&mut self, core: usize) {
        self.slots[core].measure(self.now);
        while let Some(pool) = self.slots[core].next_ready() {
            while self.waiting[core] > 0 && self.slots[core].take(pool) {
                self.waiting[core] -= 1;
                self.using[core] += 1;
                self.slots[core].set_waiting(POOL, self.waiting[core]);
            }
        }
        let mut refused = Vec::new();
        while let Some(notice) = self.slots[core].next_notice() {
            let mail = &mut self.mail[notice.to as usize];
            if mail.len() < self.room {
                mail.push_back((core as u16, notice.words));
            } else {
                refused.push(notice);
            }
        }
        refused.into_iter().for_each(|notice| self.slots[core].untell(notice));
        assert!(self.using.iter().sum::<u32>() <= self.limit, "more than there are");
    }

    fn read(&mut self, core: usize) -> bool {
        let Some((from, words)) = self.mail[core].pop_front() else { return false };
        self.slots[core].on_told(from, words);
        true
    }

    /// Until nobody has anything to say; how many rounds that took.
    fn calm(&mut self) -> usize {
        for round in 0..1000 {
            let mut is_calm = true;
            for core in 0..self.slots.len() {
                while self.read(core) {
                    is_calm = false;
                }
                self.settle(core);
            }
            if is_calm && self.mail.iter().all(VecDeque::is_empty) {
                return round;
            }
        }
        panic!("they never stop talking");
    }
}

#[test]
fn who_was_passed_over_for_want_of_a_slot_has_one_the_next_time() {
    for cores in [1, 4] {
        let mut world = World::new(cores, 100, 8);
        // A server that starts slowly: its limit falls, all give back, and it rises again.
        for limit in [4, 100] {
            world.slots[0].set_limit(POOL, limit);
            world.limit = limit;
            world.calm();
        }
        for core in 0..usize::from(cores) {
            world.come_or_pass(core);
            world.calm();
            world.come_or_pass(core);
            assert_eq!(world.using[core], 1, "on core {core} of {cores}");
        }
        // Whoever waits takes what others hold in reserve.
        (0..200).for_each(|_| world.come(0));
        world.calm();
        assert_eq!(world.using.iter().sum::<u32>(), 100);
    }
}

#[test]
fn one_slot_goes_around() {
    let mut world = World::new(4, 1, 8);
    (0..4).for_each(|core| world.come(core));
    for _ in 0..4 {
        assert!(world.calm() <= 4, "a slot takes few rounds to whoever waits");
        assert_eq!(world.using.iter().sum::<u32>(), 1);
        let user = world.using.iter().position(|&using| using == 1).expect("one");
        world.leave(user);
        world.settle(user);
    }
    world.calm();
    assert_eq!(world.waiting, [0; 4]);
}

#[test]
fn who_has_enough_says_nothing() {
    let mut world = World::new(2, 100, 8);
    for _ in 0..50 {
        world.come(1);
        world.settle(1);
    }
    (0..50).for_each(|_| world.leave(1));
    world.settle(1);
    assert!(world.mail.iter().all(VecDeque::is_empty));
}

#[test]
fn a_pool_that_shrinks_is_called_in() {
    let mut world = World::new(3, 30, 8);
    (0..3).for_each(|core| (0..10).for_each(|_| world.come(core)));
    world.slots[0].set_limit(POOL, 3);
    world.calm();
    for core in 0..3 {
        (0..9).for_each(|_| world.leave(core));
        world.settle(core);
    }
    world.calm();
    world.limit = 3;
    (0..3).for_each(|core| (0..5).for_each(|_| world.come(core)));
    world.calm();
    assert_eq!(world.using.iter().sum::<u32>(), 3);
}

#[test]
fn time_brings_slots_to_whoever_waits() {
    for cores in [1, 4] {
        let mut world = World::metered(cores, 10, 8);
        (0..40).for_each(|at| world.come(at % cores as usize));
        world.calm();
        assert_eq!(world.using.iter().sum::<u32>(), 10, "a second's worth at once");
        let mut millis = 0;
        for count in 11..=40 {
            world.limit = count;
            while world.using.iter().sum::<u32>() < count {
                millis += 1;
                assert!(millis < 5_000, "{count} on {cores} cores");
                world.now = world.now + Duration::from_millis(1);
                world.calm();
            }
        }
        assert!((3_850..4_050).contains(&millis), "thirty more at ten a second: {millis}");
        assert!(world.slots.iter().all(|slots| !slots.is_busy()));
    }
}

#[test]
fn what_nobody_used_is_there_for_others() {
    let mut world = World::metered(3, 10, 8);
    for _ in 0..50 {
        world.come(1);
        world.calm();
        // A rule refused it.
        world.leave(1);
        world.calm();
    }
    assert_eq!((world.waiting[1], world.using[1]), (0, 0));
    (0..10).for_each(|_| world.come(2));
    world.calm();
    assert_eq!(world.using[2], 10);
}

proptest! {
    #[test]
    fn never_faster_than_time_and_never_stuck(
        cores in 1u16..6,
        most in 1u32..9,
        room in 1usize..4,
        deeds in prop::collection::vec((0u8..7, any::<u16>()), 0..300),
    ) {
        let mut world = World::metered(cores, most, room);
        let mut elapsed_ms = 0;
        for (deed, core) in deeds {
            let at = (core % cores) as usize;
            match deed {
                0 | 1 => world.come(at),
                2 => world.give_up(at),
                3 => {
                    let millis = u32::from(core % 500);
                    world.now = world.now + Duration::from_millis(millis.into());
                    elapsed_ms += millis;
                }
                _ => drop(world.read(at)),
            }
            // A burst of a second's worth, and then as time goes.
            world.limit = most + most * elapsed_ms / 1000 + 1;
            world.settle(at);
        }
        world.limit = u32::MAX;
        for _ in 0..400 {
            world.now = world.now + Duration::from_millis(2_000);
            world.calm();
        }
        prop_assert_eq!(world.waiting.iter().sum::<u32>(), 0);
        prop_assert!(world.slots.iter().all(|slots| !slots.is_busy()));
    }

    #[test]
    fn never_too_many_and_never_stuck(
        cores in 1u16..6,
        limit in 1u32..9,
        room in 1usize..4,
        deeds in prop::collection::vec((0u8..8, any::<u16>()), 0..300),
    ) {
        let mut world = World::new(cores, limit, room);
        for (deed, core) in deeds {
            let core = (core % cores) as usize;
            match deed {
                0 | 1 => world.come(core),
                2 => world.leave(core),
                3 => world.give_up(core),
                4 => world.come_or_pass(core),
                _ => drop(world.read(core)),
            }
            world.settle(core);
        }
        world.calm();
        let (using, waiting): (u32, u32) =
            (world.using.iter().sum(), world.waiting.iter().sum());
        prop_assert!(waiting == 0 || using == limit, "{waiting} wait, {using} are in use");
    }
}
