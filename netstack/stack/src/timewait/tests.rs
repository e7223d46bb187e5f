//! TIME-WAIT as a peer sees it, and the ring against a list.

use super::{Answer, Refusal, Remains, Successor, TimeWait, Verdict};
use crate::table::{Kind, Reference, Table};
use alloc::vec::Vec;
use penstock_wire::SeqNum;
use penstock_wire::tcp::{Flags, Options, Segment, Timestamps};
use proptest::prelude::*;

const MINUTE: u32 = 60_000;
const HASH: u64 = 0x1234_5678_9abc_def0;

/// The peer's FIN was 4999, ours 7999; its last timestamp was 100; our window is 1000 << 2.
fn remains(timestamps: bool) -> Remains {
    Remains {
        hash: HASH,
        rcv_nxt: SeqNum(5000),
        snd_nxt: SeqNum(8000),
        ts_recent: timestamps.then_some(100),
        window: 1000,
        window_scale: 2,
    }
}

struct World {
    waiting: TimeWait,
    table: Table,
}

impl World {
    fn new(capacity: u32) -> World {
        World { waiting: TimeWait::new(capacity, MINUTE, true), table: Table::new(64) }
    }

    fn enter(&mut self, remains: &Remains, now: u32) -> bool {
        let entered = self.waiting.enter(remains, now, &mut self.table);
        assert_eq!(self.table.insert(remains.hash, entered.reference), Ok(()));
        entered.evicted
    }

    fn find(&self, hash: u64) -> Option<u32> {
        let is_it = |found: Reference| {
            found.kind() == Kind::TimeWait && self.waiting.is(found.index(), hash)
        };
        self.table.lookup(hash, is_it).map(Reference::index)
    }

    fn on(&mut self, segment: &Segment, now: u32) -> Verdict {
        match self.find(HASH) {
            Some(index) => self.waiting.on_segment(index, segment, now),
            None => Verdict::Expired,
        }
    }
}

/// A world with one record, entered at tick 0.
fn one(timestamps: bool) -> World {
    let mut world = World::new(4);
    assert!(!world.enter(&remains(timestamps), 0));
    world
}

fn segment(flags: Flags, seq: u32, payload_bytes: u16) -> Segment {
    Segment { seq: SeqNum(seq), ack: SeqNum(8000), flags, payload_bytes, ..Segment::default() }
}

fn stamped(flags: Flags, seq: u32, value: u32) -> Segment {
    let timestamps = Some(Timestamps { value, echo: 0 });
    Segment { options: Options { timestamps, ..Options::default() }, ..segment(flags, seq, 0) }
}

const FIN_ACK: Flags = Flags(Flags::FIN.0 | Flags::ACK.0);

fn answer(echo: Option<u32>) -> Answer {
    Answer { seq: SeqNum(8000), ack: SeqNum(5000), window: 1000, echo }
}

fn successor(ts_recent: Option<u32>) -> Successor {
    Successor { isn_after: SeqNum(8000 + 0x1_0000), ts_recent }
}

//= rfc9293#3.10.7.4
//= type=test
//# The only thing that can arrive in this state is a
//# retransmission of the remote FIN.  Acknowledge it, and restart
//# the 2 MSL timeout.
#[test]
fn a_fin_that_comes_again_is_acknowledged_and_restarts_the_time() {
    let mut world = one(false);
    assert_eq!(world.on(&segment(FIN_ACK, 4999, 0), 59_000), Verdict::Acknowledge(answer(None)));
    assert_eq!(world.waiting.expire(MINUTE, 10, &mut world.table), 0);
    assert_eq!(
        world.on(&segment(FIN_ACK, 4989, 10), 118_999),
        Verdict::Acknowledge(answer(None)),
        "the FIN may come with the last data"
    );
    assert_eq!(world.on(&segment(FIN_ACK, 4999, 0), 118_999 + MINUTE), Verdict::Expired);
    assert_eq!(world.waiting.expire(119_000 + MINUTE, 10, &mut world.table), 1);
    assert_eq!((world.waiting.live(), world.table.len()), (0, 0));
}

/// A restarted record does not hold up those behind it, and is over at its own time even while it
/// waits behind younger ones.
#[test]
fn a_restarted_record_moves_to_the_tail() {
    let mut world = World::new(3);
    for (index, now) in [(0, 0), (1, 10), (2, 20)] {
        world.enter(&Remains { hash: HASH + index, ..remains(false) }, now);
    }
    assert!(matches!(world.on(&segment(FIN_ACK, 4999, 0), 15), Verdict::Acknowledge(_)));
    assert_eq!(world.waiting.next_deadline(), Some(15), "moving it is due at once");
    assert_eq!(world.waiting.expire(MINUTE + 10, 10, &mut world.table), 1);
    assert_eq!(world.find(HASH + 1), None);
    assert!(world.find(HASH).is_some() && world.find(HASH + 2).is_some());
    let keep = segment(Flags::ACK, 5000, 0);
    assert_eq!(world.on(&keep, MINUTE + 14), Verdict::Drop(Refusal::Silent));
    assert_eq!(world.on(&keep, MINUTE + 15), Verdict::Expired);
    assert_eq!(world.waiting.expire(MINUTE + 20, 10, &mut world.table), 2);
    assert_eq!((world.waiting.next_deadline(), world.table.len()), (None, 0));
}

//= rfc1337#3
//= type=test
//# (F1)  Ignore RST segments in TIME-WAIT state.
#[test]
fn a_reset_does_not_end_time_wait() {
    let mut world = one(false);
    for seq in [4999, 5000, 5001, 1] {
        let reset = segment(Flags::RST, seq, 0);
        assert_eq!(world.on(&reset, 1), Verdict::Drop(Refusal::Reset));
    }
    assert_eq!(world.waiting.live(), 1);
}

//= rfc9293#3.10.7.4
//= type=test
//# If an incoming segment is not acceptable, an acknowledgment
//# should be sent in reply (unless the RST bit is set, if so drop
//# the segment and return):
#[test]
fn an_unacceptable_segment_is_challenged_once_in_a_while() {
    let mut world = one(false);
    for (now, seq, bytes) in [(0, 4999, 0), (512, 4990, 10), (1024, 9000, 0), (1536, 9000, 5)] {
        let refused = Verdict::Challenge(answer(None), Refusal::OutOfWindow);
        assert_eq!(world.on(&segment(Flags::ACK, seq, bytes), now), refused, "seq {seq}");
        let again = world.on(&segment(Flags::ACK, seq, bytes), now + 511);
        assert_eq!(again, Verdict::Drop(Refusal::Throttled));
    }
}

/// What is in the window is quiet, unless it says something that cannot be.
#[test]
fn an_acceptable_segment_is_not_answered() {
    let mut world = one(false);
    assert_eq!(world.on(&segment(Flags::ACK, 5000, 0), 1), Verdict::Drop(Refusal::Silent));
    assert_eq!(world.on(&segment(Flags::ACK, 8999, 0), 1), Verdict::Drop(Refusal::Silent));
    let unacknowledging = segment(Flags::PSH, 5000, 1);
    assert_eq!(world.on(&unacknowledging, 1), Verdict::Drop(Refusal::Acknowledgement));
    let unsent = Segment { ack: SeqNum(8001), ..segment(Flags::ACK, 5000, 0) };
    let refused = Verdict::Challenge(answer(None), Refusal::Acknowledgement);
    assert_eq!(world.on(&unsent, 1), refused);
    let refused = Verdict::Challenge(answer(None), Refusal::Data);
    assert_eq!(world.on(&segment(Flags::ACK, 5000, 1), 600), refused);
}

//= rfc7323#5.3
//= type=test
//# R1)  If there is a Timestamps option in the arriving segment,
//# SEG.TSval < TS.Recent, TS.Recent is valid
#[test]
fn a_timestamp_from_the_past_is_challenged() {
    let mut world = one(true);
    let refused = Verdict::Challenge(answer(Some(100)), Refusal::Paws);
    assert_eq!(world.on(&stamped(FIN_ACK, 4999, 99), 1), refused);
    assert_eq!(
        world.on(&stamped(FIN_ACK, 4999, 101), 2),
        Verdict::Acknowledge(answer(Some(101))),
        "the echo is the timestamp just seen"
    );
    assert_eq!(
        world.on(&segment(FIN_ACK, 4999, 0), 3),
        Verdict::Drop(Refusal::NoTimestamp),
        "every segment of such a connection has one"
    );
}

//= rfc6191#2
//= type=test
//# If TCP Timestamps would be enabled for the new incarnation of
//# the connection, and the timestamp contained in the incoming SYN
//# segment is greater than the last timestamp seen on the previous
//# incarnation of the connection (for the same direction of the
//# data transfer), honor the incoming connection request (creating
//# a connection in the SYN-RECEIVED state).
#[test]
fn a_syn_with_a_later_timestamp_reopens() {
    let reopen = Verdict::Reopen(successor(Some(100)));
    let challenge = Verdict::Challenge(answer(Some(100)), Refusal::Syn);
    for (seq, value, expected) in [
        (1, 101, reopen),
        (6000, 101, reopen),
        (5000, 100, reopen),
        (4999, 100, challenge),
        (6000, 99, challenge),
    ] {
        assert_eq!(one(true).on(&stamped(Flags::SYN, seq, value), 5), expected, "{seq} {value}");
    }
}

/// Without timestamps on either side of the comparison the sequence number decides.
#[test]
fn a_syn_without_a_timestamp_reopens_beyond_the_last_sequence_number() {
    for timestamps in [false, true] {
        let echo = timestamps.then_some(100);
        let later = one(timestamps).on(&segment(Flags::SYN, 5000, 0), 5);
        assert_eq!(later, Verdict::Reopen(successor(echo)));
        let earlier = one(timestamps).on(&segment(Flags::SYN, 4999, 0), 5);
        assert_eq!(earlier, Verdict::Challenge(answer(echo), Refusal::Syn));
    }
    let first_stamp = one(false).on(&stamped(Flags::SYN, 1, 7), 5);
    assert_eq!(first_stamp, Verdict::Reopen(successor(None)));
    let mut switched_off = one(false);
    switched_off.waiting.timestamps = false;
    let refused = Verdict::Challenge(answer(None), Refusal::Syn);
    assert_eq!(switched_off.on(&stamped(Flags::SYN, 1, 7), 5), refused);
}

#[test]
fn a_syn_with_ack_reopens_nothing() {
    let refused = Verdict::Challenge(answer(None), Refusal::Syn);
    assert_eq!(one(false).on(&segment(Flags::SYN.with(Flags::ACK), 6000, 0), 5), refused);
}

/// Our own connection takes the tuple again with timestamps and after a second of silence.
#[test]
fn our_own_connection_may_reuse_after_a_second() {
    let mut world = one(true);
    let index = world.find(HASH).expect("entered");
    assert_eq!(world.waiting.may_reuse(index, 999), None);
    assert_eq!(world.waiting.may_reuse(index, 1000), Some(successor(Some(100))));
    assert!(matches!(world.on(&stamped(FIN_ACK, 4999, 101), 1500), Verdict::Acknowledge(_)));
    assert_eq!(world.waiting.may_reuse(index, 2000), None);
    assert_eq!(world.waiting.may_reuse(index, 2500), Some(successor(Some(101))));
    let world = one(false);
    let index = world.find(HASH).expect("entered");
    assert_eq!(world.waiting.may_reuse(index, MINUTE - 1), None);
    assert_eq!(world.waiting.may_reuse(index, MINUTE), Some(successor(None)));
}

/// A full ring lets the oldest go; a removed record makes room without anyone going.
#[test]
fn a_full_ring_evicts_the_oldest() {
    let mut world = World::new(2);
    let nth = |index| Remains { hash: HASH + index, ..remains(false) };
    assert!(!world.enter(&nth(0), 0) && !world.enter(&nth(1), 1));
    assert!(world.enter(&nth(2), 2));
    assert_eq!((world.find(HASH), world.waiting.live(), world.table.len()), (None, 2, 2));
    let oldest = world.find(HASH + 1).expect("second");
    world.waiting.remove(oldest, &mut world.table);
    world.waiting.remove(oldest, &mut world.table);
    assert_eq!((world.waiting.live(), world.table.len()), (1, 1));
    assert!(!world.enter(&nth(3), 3));
    assert!(world.find(HASH + 2).is_some() && world.find(HASH + 3).is_some());
}

proptest! {
    /// However records enter, restart, are removed and evicted: exactly those whose time is not
    /// over are known, under their own hash, and none is lost in the table.
    #[test]
    fn the_ring_agrees_with_a_list(
        start in any::<u32>(),
        steps in prop::collection::vec((0..4_u8, 0..20_000_u32, any::<u8>(), 1..4_u32), 1..150),
    ) {
        const CAPACITY: u32 = 8;
        let mut world = World::new(CAPACITY);
        let mut now = start;
        // Hash and the tick from which its time runs, oldest entry first.
        let mut model: Vec<(u64, u32)> = Vec::new();
        for (step, (action, wait, pick, budget)) in steps.into_iter().enumerate() {
            now = now.wrapping_add(wait);
            world.waiting.expire(now, budget, &mut world.table);
            let over = |since: u32| now.wrapping_sub(since) >= MINUTE;
            let picked = (!model.is_empty()).then(|| pick as usize % model.len());
            match (action, picked) {
                (0 | 1, _) => {
                    let hash = HASH + step as u64;
                    if world.enter(&Remains { hash, ..remains(false) }, now) {
                        // The one that went is the head, which only the ring knows.
                        let before = model.len();
                        model.retain(|&(hash, _)| world.find(hash).is_some());
                        prop_assert_eq!(before - model.len(), 1, "one newcomer, one eviction");
                    }
                    model.push((hash, now));
                }
                (2, Some(at)) => {
                    let (hash, since) = model[at];
                    if let Some(index) = world.find(hash) {
                        let verdict = world.waiting.on_segment(index, &segment(FIN_ACK, 4999, 0), now);
                        if over(since) {
                            prop_assert_eq!(verdict, Verdict::Expired);
                        } else {
                            prop_assert!(matches!(verdict, Verdict::Acknowledge(_)));
                            model[at].1 = now;
                        }
                    }
                }
                (3, Some(at)) => {
                    let (hash, _) = model.remove(at);
                    if let Some(index) = world.find(hash) {
                        world.waiting.remove(index, &mut world.table);
                    }
                    prop_assert_eq!(world.find(hash), None);
                }
                _ => {}
            }
            for &(hash, since) in &model {
                prop_assert!(over(since) || world.find(hash).is_some(), "a record was lost");
            }
            model.retain(|&(hash, _)| world.find(hash).is_some());
            prop_assert_eq!(world.waiting.live() as usize, model.len());
            prop_assert_eq!(world.table.len() as usize, model.len());
        }
        // Two durations later nothing is left, whatever was restarted.
        now = now.wrapping_add(MINUTE);
        world.waiting.expire(now, 2 * CAPACITY, &mut world.table);
        now = now.wrapping_add(MINUTE);
        world.waiting.expire(now, 2 * CAPACITY, &mut world.table);
        prop_assert_eq!((world.waiting.live(), world.table.len()), (0, 0));
        prop_assert_eq!(world.waiting.next_deadline(), None);
    }
}
