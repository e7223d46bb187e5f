//! RFC 4861's table and state machine row by row; that names are safe, frames are not lost track of,
//! and a wrong station heals.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::vec;
use std::vec::Vec;

const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);
const ANSWER: How = How::Reply { solicited: true, override_: true };
const GOSSIP: How = How::Reply { solicited: false, override_: true };

fn addr(number: u32) -> Addr {
    Addr::v4(0x0a00_0000 + number)
}

fn chunk(number: u32) -> ChunkId {
    ChunkId::from_bits(number)
}

fn solicit(to: Option<Mac>) -> Option<Action> {
    Some(Action::Solicit { interface: 0, addr: addr(1), to })
}

/// A table in which neighbour 1 is in `state` by a quarter of a second after the returned time, with
/// station A where that has one.
fn in_state(state: State) -> (Neighbours, HopId, u32) {
    let mut neighbours = Neighbours::new(8);
    let hop = neighbours.resolve(0, 0, addr(1)).expect("room");
    assert_eq!(neighbours.expire(0), solicit(None));
    let mut now = 100;
    match state {
        State::Free | State::Incomplete => {}
        State::Reachable => {
            neighbours.learn(now, 0, addr(1), A, ANSWER);
        }
        State::Stale | State::Delay | State::Probe => {
            neighbours.learn(now, 0, addr(1), A, How::Request);
        }
        State::Failed => {
            for at in [1000, 2000, 3000] {
                now = at;
                assert!(neighbours.expire(now).is_some());
            }
        }
    }
    if matches!(state, State::Delay | State::Probe) {
        assert_eq!(neighbours.mac(hop, now), Some(A));
    }
    if state == State::Probe {
        now += DELAY_MS;
        assert_eq!(neighbours.expire(now), solicit(Some(A)));
    }
    assert_eq!(state_of(&neighbours, hop), state);
    (neighbours, hop, now)
}

fn state_of(neighbours: &Neighbours, hop: HopId) -> State {
    let slot = neighbours.entries.slot(hop.0).expect("a name in use");
    neighbours.entries.hot[slot as usize].state
}

fn station_of(neighbours: &Neighbours, hop: HopId) -> Mac {
    let slot = neighbours.entries.slot(hop.0).expect("a name in use");
    neighbours.entries.hot[slot as usize].mac()
}

/// Every row of the table for advertisements (RFC 4861 section 7.2.5 and appendix C), every cell.
#[test]
fn advertisements_do_what_the_table_says() {
    //= rfc4861#7.2.5 type=test
    //# If the advertisement's Solicited flag is set, the state of the entry is set to REACHABLE;
    //# otherwise, it is set to STALE.
    use State::{Delay, Incomplete, Probe, Reachable, Stale};
    const ANY: &[bool] = &[false, true];
    const NO: &[bool] = &[false];
    const YES: &[bool] = &[true];
    const SAME: &[Option<Mac>] = &[Some(A), None];
    const OTHER: &[Option<Mac>] = &[Some(B)];
    const KNOWN: &[State] = &[Reachable, Stale, Delay, Probe];
    const DOUBTED: &[State] = &[Stale, Delay, Probe];
    // States, stations heard, Solicited, Override; the state after (none: unchanged), the station.
    type Row = (
        &'static [State],
        &'static [Option<Mac>],
        &'static [bool],
        &'static [bool],
        Option<State>,
        Mac,
    );
    let rows: [Row; 11] = [
        (&[Incomplete], &[None], ANY, ANY, None, Mac([0; 6])),
        (&[Incomplete], &[Some(B)], NO, ANY, Some(Stale), B),
        (&[Incomplete], &[Some(B)], YES, ANY, Some(Reachable), B),
        (&[Incomplete], &[Some(A)], NO, ANY, Some(Stale), A),
        (&[Incomplete], &[Some(A)], YES, ANY, Some(Reachable), A),
        (KNOWN, SAME, YES, ANY, Some(Reachable), A),
        (KNOWN, SAME, NO, ANY, None, A),
        (&[Reachable], OTHER, ANY, NO, Some(Stale), A),
        (DOUBTED, OTHER, ANY, NO, None, A),
        (KNOWN, OTHER, YES, YES, Some(Reachable), B),
        (KNOWN, OTHER, NO, YES, Some(Stale), B),
    ];
    let mut cells = 0;
    for (states, heard, solicited, overrides, after, station) in rows {
        for &before in states {
            for &mac in heard {
                for &solicited in solicited {
                    for &override_ in overrides {
                        let (mut neighbours, hop, now) = in_state(before);
                        let how = How::Reply { solicited, override_ };
                        let learned = neighbours.learn(now + 250, 0, addr(1), mac, how);
                        let case = (before, mac, solicited, override_);
                        assert_eq!(state_of(&neighbours, hop), after.unwrap_or(before), "{case:?}");
                        assert_eq!(station_of(&neighbours, hop), station, "{case:?}");
                        assert_eq!(learned.moved, before != Incomplete && station == B, "{case:?}");
                        assert_eq!(learned.hop, None, "nothing waits: {case:?}");
                        cells += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cells, 5 * 3 * 4);
}

/// Who solicits is stale when its station is news, and as before when it is not.
#[test]
fn solicitations_teach_stations() {
    //= rfc4861#7.2.3 type=test
    //# If an entry already exists, and the cached link-layer address differs from the one in the
    //# received Source Link-Layer option, the cached address should be replaced by the received
    //# address, and the entry's reachability state MUST be set to STALE.
    for before in [State::Reachable, State::Stale, State::Delay, State::Probe] {
        let (mut neighbours, hop, now) = in_state(before);
        let learned = neighbours.learn(now, 0, addr(1), A, How::Request);
        assert_eq!((state_of(&neighbours, hop), learned.changed), (before, false));
        let learned = neighbours.learn(now, 0, addr(1), B, How::Request);
        assert_eq!((state_of(&neighbours, hop), station_of(&neighbours, hop)), (State::Stale, B));
        assert!(learned.changed && learned.moved);
        assert_eq!(neighbours.next_deadline(), None, "nothing is asked any more");
    }
    let mut neighbours = Neighbours::new(8);
    assert!(neighbours.learn(0, 0, addr(1), A, How::Request).changed);
    let hop = neighbours.resolve(0, 0, addr(1)).expect("room");
    assert_eq!((state_of(&neighbours, hop), station_of(&neighbours, hop)), (State::Stale, A));
    assert_eq!(neighbours.expire(0), None, "what is known is not asked for");
}

/// A question that was asked before there was a link is asked again when there is one.
#[test]
fn a_link_asks_again() {
    let mut neighbours = Neighbours::new(8);
    let hop = neighbours.resolve(0, 0, addr(1)).expect("room");
    assert_eq!(neighbours.mac(hop, 0), None);
    assert_eq!(neighbours.expire(0), solicit(None));
    assert_eq!(neighbours.expire(20), None);
    neighbours.ask_again(20);
    assert_eq!(neighbours.next_deadline(), Some(20));
    assert_eq!(neighbours.expire(20), solicit(None));
    assert_eq!(neighbours.next_deadline(), Some(1020), "and again in its turn");
}

fn failed(hop: HopId) -> Action {
    Action::Failed { hop, is_wanted: false }
}

/// Three questions a second apart, then failure; the next use begins again.
#[test]
fn resolution_asks_three_times_and_gives_up() {
    let mut neighbours = Neighbours::new(8);
    let hop = neighbours.resolve(7, 0, addr(1)).expect("room");
    for round in [7, 10_007] {
        assert_eq!(neighbours.resolve(round, 0, addr(1)), Ok(hop));
        for at in [0, 1000, 2000] {
            let now = round + at;
            assert_eq!(neighbours.mac(hop, now), None);
            assert_eq!(neighbours.next_deadline(), Some(now));
            assert_eq!(neighbours.expire(now.wrapping_sub(1)), None);
            assert_eq!(neighbours.expire(now), solicit(None));
            assert_eq!(neighbours.expire(now), None);
            neighbours.confirm(hop, now);
            assert_eq!(state_of(&neighbours, hop), State::Incomplete, "traffic proves nothing");
        }
        assert_eq!(neighbours.expire(round + 3000), Some(failed(hop)));
        assert_eq!((neighbours.expire(round + 3000), neighbours.next_deadline()), (None, None));
        assert_eq!(neighbours.mac(hop, round + 3000), None);
    }
}

/// Who waits for a neighbour in vain is told so once, and whoever comes after that is not.
#[test]
fn what_a_failure_is_for() {
    for start in [7, u32::MAX - 1000] {
        let mut neighbours = Neighbours::new(8);
        let hop = neighbours.resolve(start, 0, addr(1)).expect("room");
        assert!(!neighbours.has_failed_since(hop, start));
        neighbours.want(hop);
        let mut now = start;
        for is_wanted in [true, false] {
            for _ in 0..3 {
                assert_eq!(neighbours.expire(now), solicit(None));
                now = now.wrapping_add(1000);
            }
            assert_eq!(neighbours.expire(now), Some(Action::Failed { hop, is_wanted }));
            assert!(neighbours.has_failed_since(hop, start));
            assert!(neighbours.has_failed_since(hop, now.wrapping_sub(1)));
            assert!(!neighbours.has_failed_since(hop, now));
            assert!(!neighbours.has_failed_since(HopId(0), start));
            assert_eq!(neighbours.resolve(now, 0, addr(1)), Ok(hop));
        }
        neighbours.learn(now, 0, addr(1), A, ANSWER);
        assert!(!neighbours.has_failed_since(hop, start), "it is there");
    }
}

/// Reachable for 30 s, then doubted when used, then asked at its station, then at large; each step
/// at its time, across the end of the millisecond ring.
#[test]
fn doubt_grows_step_by_step() {
    //= rfc4861#7.3.3 type=test
    //# If the entry is still in the DELAY state when the timer expires, the entry's state changes to
    //# PROBE.
    let start = u32::MAX - 31_000;
    let mut neighbours = Neighbours::new(8);
    let hop = neighbours.resolve(start, 0, addr(1)).expect("room");
    neighbours.learn(start, 0, addr(1), A, ANSWER);
    assert_eq!(neighbours.mac(hop, start + REACHABLE_MS - 1), Some(A));
    assert_eq!((state_of(&neighbours, hop), neighbours.next_deadline()), (State::Reachable, None));
    let doubted = start + REACHABLE_MS;
    assert_eq!(neighbours.mac(hop, doubted), Some(A), "in doubt, and used all the same");
    assert_eq!(state_of(&neighbours, hop), State::Delay);
    let probed = doubted.wrapping_add(DELAY_MS);
    assert_eq!(neighbours.next_deadline(), Some(probed));
    assert_eq!(neighbours.expire(probed.wrapping_sub(1)), None);
    for second in 0..3_u32 {
        let now = probed.wrapping_add(second * 1000);
        assert_eq!(neighbours.expire(now), solicit(Some(A)));
        assert_eq!(neighbours.mac(hop, now), Some(A));
        assert_eq!(neighbours.expire(now), None);
    }
    for second in 3..6_u32 {
        assert_eq!(neighbours.expire(probed.wrapping_add(second * 1000)), solicit(None));
        assert_eq!(neighbours.mac(hop, probed), None);
    }
    assert_eq!(neighbours.expire(probed.wrapping_add(6000)), Some(failed(hop)));
}

/// A neighbour whose connections make progress is never asked; one doubted is trusted again.
#[test]
fn traffic_confirms() {
    for state in [State::Reachable, State::Stale, State::Delay, State::Probe] {
        let (mut neighbours, hop, start) = in_state(state);
        for step in 0..100 {
            let now = start + step * 29_000;
            neighbours.confirm(hop, now);
            assert_eq!(neighbours.mac(hop, now), Some(A));
            assert_eq!((neighbours.next_deadline(), neighbours.expire(now)), (None, None));
        }
        assert_eq!(state_of(&neighbours, hop), State::Reachable);
    }
}

/// ARP has no checksum: a damaged station brings no progress, hence no confirmation, is asked in vain,
/// and is replaced by what everyone is asked for.
#[test]
fn a_damaged_station_heals() {
    let mut neighbours = Neighbours::new(8);
    let hop = neighbours.resolve(0, 0, addr(1)).expect("room");
    assert_eq!(neighbours.expire(0), solicit(None));
    neighbours.learn(1, 0, addr(1), B, ANSWER);
    let (mut healed_at, mut asked_all) = (None, false);
    for now in (0..60_000).step_by(200) {
        // A connection sends again and again.
        if neighbours.mac(hop, now).is_none() {
            neighbours.enqueue(hop, chunk(now), 60);
        }
        // Only station A is there to answer, a moment later.
        if core::mem::take(&mut asked_all) {
            let learned = neighbours.learn(now, 0, addr(1), A, ANSWER);
            assert!(learned.moved && learned.changed);
            assert_eq!(learned.hop, Some(hop), "what waited can go");
            assert!(neighbours.take_waiting(hop).is_some());
            healed_at = healed_at.or(Some(now));
        }
        while let Some(action) = neighbours.expire(now) {
            let station = if healed_at.is_some() { A } else { B };
            asked_all = action == (Action::Solicit { interface: 0, addr: addr(1), to: None });
            assert!(asked_all || Some(action) == solicit(Some(station)));
        }
        // Station A's answers to frames that reach it are progress.
        if neighbours.mac(hop, now) == Some(A) {
            neighbours.confirm(hop, now);
        }
    }
    assert_eq!(neighbours.mac(hop, 60_000), Some(A));
    let bound = 1 + REACHABLE_MS + DELAY_MS + 3 * RETRANSMIT_MS + 1000;
    assert!(healed_at.expect("it healed") <= bound, "{healed_at:?}");
}

/// Three frames wait at most, the oldest makes room, and they leave in order; a name that is void
/// and a neighbour that is known take none.
#[test]
fn frames_wait_in_order_and_within_bounds() {
    let (mut neighbours, hop, now) = in_state(State::Incomplete);
    for number in 0..3 {
        assert_eq!(neighbours.enqueue(hop, chunk(number), 60 + number as u16), None);
    }
    //= rfc4861#7.2.2 type=test
    //# When a queue overflows, the new arrival SHOULD replace the oldest entry.
    assert_eq!(neighbours.enqueue(hop, chunk(3), 63), Some(chunk(0)));
    assert_eq!(neighbours.waiting(), 3);
    let learned = neighbours.learn(now, 0, addr(1), A, ANSWER);
    assert_eq!((learned.hop, learned.mac), (Some(hop), A));
    for number in 1..4 {
        assert_eq!(neighbours.take_waiting(hop), Some((chunk(number), 60 + number as u16)));
    }
    assert_eq!((neighbours.take_waiting(hop), neighbours.waiting()), (None, 0));
    assert_eq!(neighbours.enqueue(hop, chunk(9), 60), Some(chunk(9)), "nothing to wait for");
    assert_eq!(neighbours.enqueue(HopId(0), chunk(9), 60), Some(chunk(9)), "nobody's name");
}

/// A frame for a neighbour that failed has it asked for again, and dies with the next failure.
#[test]
fn a_frame_revives_a_failed_neighbour() {
    let (mut neighbours, hop, now) = in_state(State::Failed);
    assert_eq!(neighbours.mac(hop, now + 500), None);
    assert_eq!(neighbours.enqueue(hop, chunk(1), 60), None);
    assert_eq!(neighbours.next_deadline(), Some(now + 500));
    for at in [500, 1500, 2500] {
        assert_eq!(neighbours.expire(now + at), solicit(None));
    }
    assert_eq!(neighbours.expire(now + 3500), Some(failed(hop)));
    assert_eq!(neighbours.take_waiting(hop), Some((chunk(1), 60)));
    assert_eq!((neighbours.take_waiting(hop), neighbours.waiting()), (None, 0));
}

/// A full table gives up those unused for ten minutes and nobody sooner; the old name is then void,
/// and the old neighbour gets a new one.
#[test]
fn names_in_use_are_never_given_away() {
    let mut neighbours = Neighbours::new(4);
    let hops: Vec<HopId> = (0..4)
        .map(|number| {
            let hop = neighbours.resolve(0, 0, addr(number + 1)).expect("room");
            neighbours.learn(0, 0, addr(number + 1), A, ANSWER);
            hop
        })
        .collect();
    for hop in &hops[1..] {
        assert_eq!(neighbours.mac(*hop, 1000), Some(A));
        neighbours.confirm(*hop, 1000);
    }
    let full = Err(Drop::NeighbourTableFull);
    assert_eq!(neighbours.resolve(RECLAIM_MS - 1, 0, addr(9)), full);
    assert_eq!(neighbours.live(), 4);
    let new = neighbours.resolve(RECLAIM_MS, 0, addr(9)).expect("the first is long unused");
    assert_eq!(neighbours.resolve(RECLAIM_MS, 0, addr(10)), full);
    neighbours.learn(RECLAIM_MS, 0, addr(9), B, ANSWER);
    assert_eq!(neighbours.mac(new, RECLAIM_MS), Some(B));
    assert_eq!(neighbours.mac(hops[0], RECLAIM_MS), None, "not the stranger's station");
    assert!(neighbours.is(new, 0, addr(9)) && !neighbours.is(hops[0], 0, addr(1)));
    assert!(!neighbours.is(new, 1, addr(9)) && neighbours.is(hops[1], 0, addr(2)));
    neighbours.confirm(hops[0], RECLAIM_MS);
    assert_eq!(neighbours.take_waiting(hops[0]), None);
}

/// Of neighbours learned unasked, those whose name nobody was told give way, oldest first; the others
/// stay.
#[test]
fn the_unnamed_give_way_first() {
    let mut neighbours = Neighbours::new(4);
    for number in 1..=4 {
        neighbours.learn(0, 0, addr(number), A, How::Request);
    }
    let named = neighbours.resolve(0, 0, addr(1)).expect("known");
    for number in 5..=7 {
        neighbours.learn(1, 0, addr(number), B, How::Mail);
    }
    assert_eq!(neighbours.mac(named, 1), Some(A));
    let hop = neighbours.resolve(1, 0, addr(6)).expect("known");
    assert_eq!(neighbours.mac(hop, 1), Some(B));
    assert!(neighbours.resolve(1, 0, addr(8)).is_ok() && neighbours.resolve(1, 0, addr(9)).is_ok());
    assert_eq!(neighbours.resolve(1, 0, addr(10)), Err(Drop::NeighbourTableFull));
    assert!(neighbours.is(named, 0, addr(1)) && neighbours.is(hop, 0, addr(6)));
}

/// Forged sources fill half of the table at most: whoever is known, or tells of itself, has room.
#[test]
fn a_flood_of_strangers_leaves_room() {
    let mut neighbours = Neighbours::new(64);
    let known = neighbours.resolve(0, 0, addr(1)).expect("room");
    neighbours.learn(0, 0, addr(1), A, ANSWER);
    let mut refused = 0;
    for number in 0..10_000 {
        let now = number;
        refused += neighbours.resolve(now, 0, addr(1000 + number)).is_err() as u32;
        while neighbours.expire(now).is_some() {}
        if number % 100 == 0 {
            let friend = addr(100_000 + number);
            neighbours.learn(now, 0, friend, B, How::Request);
            let hop = neighbours.resolve(now, 0, friend);
            if number < 2_000 {
                assert_eq!(neighbours.mac(hop.expect("room for a friend"), now), Some(B));
            }
        }
        neighbours.confirm(known, now);
        assert_eq!(neighbours.mac(known, now), Some(A));
        assert!(neighbours.live() <= 64);
    }
    assert!(refused > 5_000, "{refused}");
}

/// What one core hears serves all: answers are told on, even of strangers; mail is believed where
/// something was asked, ends doubt, and is not told on; gossip of strangers is nothing.
#[test]
fn cores_hear_for_each_other() {
    let mut hearing = Neighbours::new(8);
    let stranger = hearing.learn(0, 0, addr(1), A, ANSWER);
    assert!(stranger.changed && !stranger.moved);
    assert!(hearing.learn(0, 0, addr(1), A, ANSWER).changed, "another core may have asked");
    assert!(!hearing.learn(0, 0, addr(1), A, GOSSIP).changed, "no news");
    assert!(hearing.learn(0, 0, addr(1), B, GOSSIP).changed);
    assert!(!hearing.learn(0, 0, addr(2), B, GOSSIP).changed);
    assert_eq!(hearing.live(), 1);

    for state in [State::Incomplete, State::Probe] {
        let (mut asking, hop, now) = in_state(state);
        let learned = asking.learn(now, 0, addr(1), A, How::Mail);
        assert!(!learned.changed);
        assert_eq!((state_of(&asking, hop), asking.next_deadline()), (State::Reachable, None));
    }
    for state in [State::Reachable, State::Stale, State::Delay, State::Failed] {
        let (mut asking, hop, now) = in_state(state);
        assert!(!asking.learn(now, 0, addr(1), B, How::Mail).changed);
        assert_eq!((state_of(&asking, hop), station_of(&asking, hop)), (State::Stale, B));
    }
}

/// However many answers come, the others are told of a bounded number a second.
#[test]
fn telling_is_bounded() {
    let mut neighbours = Neighbours::new(8);
    let mut told = 0;
    for number in 0..100_000_u32 {
        told += neighbours.learn(number / 100, 0, addr(1), A, ANSWER).changed as u32;
    }
    assert!((512..=512 * 16).contains(&told), "{told}");
}

/// Stations and addresses that no neighbour can have are not learned.
#[test]
fn impossible_neighbours_are_refused() {
    let mut neighbours = Neighbours::new(8);
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    for mac in [Mac::BROADCAST, group, Mac::default()] {
        assert_eq!(neighbours.learn(0, 0, addr(1), mac, How::Request), Learned::NOTHING);
    }
    for addr in [Addr::UNSPECIFIED, Addr::v4(0), Addr::v4(u32::MAX), Addr::ALL_NODES] {
        assert_eq!(neighbours.learn(0, 0, addr, A, How::Request), Learned::NOTHING);
    }
    assert_eq!(neighbours.resolve(0, 0, Addr::UNSPECIFIED), Err(Drop::NeighbourTableFull));
    assert_eq!(neighbours.live(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Resolve(u32),
    Send(usize),
    Confirm(usize),
    Learn(u32, u8, u8),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..12_u32).prop_map(Step::Resolve),
        any::<usize>().prop_map(Step::Send),
        any::<usize>().prop_map(Step::Confirm),
        (1..12_u32, 0..4_u8, 0..6_u8).prop_map(|(who, mac, how)| Step::Learn(who, mac, how)),
        prop_oneof![0..2_000_u32, 0..2_000_000_u32].prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    /// Whatever happens: a name never leads to a station that its neighbour never had, each waiting
    /// frame comes back exactly once, and the counts are true.
    #[test]
    fn names_and_frames_are_safe(steps in steps(), secret in any::<u64>()) {
        let mut neighbours = Neighbours::new(4).keyed(secret);
        let mut now = u32::MAX - 1_000_000;
        let mut names: Vec<(HopId, Addr)> = vec![];
        let mut stations: HashMap<Addr, HashSet<Mac>> = HashMap::new();
        let (mut frames, mut waiting) = (0, HashSet::new());
        for step in steps {
            match step {
                Step::Resolve(who) => if let Ok(hop) = neighbours.resolve(now, 0, addr(who)) {
                    prop_assert!(neighbours.is(hop, 0, addr(who)));
                    names.push((hop, addr(who)));
                },
                Step::Send(which) if !names.is_empty() => {
                    let (hop, who) = names[which % names.len()];
                    match neighbours.mac(hop, now) {
                        Some(mac) => prop_assert!(stations[&who].contains(&mac)),
                        None => {
                            frames += 1;
                            waiting.insert(chunk(frames));
                            if let Some(back) = neighbours.enqueue(hop, chunk(frames), 60) {
                                prop_assert!(waiting.remove(&back));
                            }
                        }
                    }
                }
                Step::Confirm(which) if !names.is_empty() => {
                    neighbours.confirm(names[which % names.len()].0, now);
                }
                Step::Send(_) | Step::Confirm(_) => {}
                Step::Learn(who, mac, how) => {
                    // Stations tell their owners: one that leaks to another neighbour is noticed.
                    let mac = (mac > 0).then_some(Mac([2, 0, 0, 0, who as u8, mac]));
                    stations.entry(addr(who)).or_default().extend(mac);
                    let how = match how {
                        0 => How::Request,
                        1 => How::Mail,
                        how => How::Reply { solicited: how & 1 != 0, override_: how & 2 != 0 },
                    };
                    if let Some(hop) = neighbours.learn(now, 0, addr(who), mac, how).hop {
                        prop_assert!(neighbours.mac(hop, now).is_some());
                        while let Some((frame, _)) = neighbours.take_waiting(hop) {
                            prop_assert!(waiting.remove(&frame));
                        }
                    }
                }
                Step::Wait(ms) => now = now.wrapping_add(ms),
            }
            let mut actions = 0;
            while let Some(action) = neighbours.expire(now) {
                if let Action::Failed { hop, .. } = action {
                    while let Some((frame, _)) = neighbours.take_waiting(hop) {
                        prop_assert!(waiting.remove(&frame));
                    }
                }
                actions += 1;
                prop_assert!(actions <= 4, "one action for each slot");
            }
            prop_assert!(neighbours.next_deadline().is_none_or(|at| !is_reached(now, at)));
            prop_assert_eq!(neighbours.waiting() as usize, waiting.len());
            let incomplete =
                neighbours.entries.hot.iter().filter(|hot| hot.state == State::Incomplete).count();
            prop_assert_eq!(neighbours.entries.incomplete as usize, incomplete);
        }
    }
}
