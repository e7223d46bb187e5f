//! What shedding a SYN costs: where the part of a served frame that [`crate::overload`] charges for
//! it comes from.

use crate::card::RING_SLOTS;
use crate::client::{PORT_COUNT, PORT_FIRST};
use crate::frames::{CLIENT_FIRST, Family, Kind, Outgoing, Personality, Templates, Tuple};
use crate::subject::{LISTEN_FIRST, Subject};
use crate::world::{Meter, World};

/// SYNs that wait before each turn of a calm run: half a burst.
const CALM: usize = penstock_queue::BURST_MAX / 2;
/// Turns before the meter is switched on: by then a stack knows whether it is behind, and its
/// half-open connections are at their bound even in a calm run.
const TURNS_BEFORE: u32 = 512;
/// Turns under the meter.
const TURNS: u32 = 256;

/// How many SYNs wait for the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Few: every SYN is answered, with a cookie.
    Calm,
    /// As many as the ring holds.
    Full,
}

/// SYNs under the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syns {
    /// Taken from the ring.
    pub taken: u64,
    /// Of those, shed.
    pub shed: u64,
}

/// Sends SYNs and nothing else.
pub fn run<S: Subject>(subject: S, pressure: Pressure) -> Syns {
    let waiting = match pressure {
        Pressure::Calm => CALM,
        Pressure::Full => RING_SLOTS,
    };
    let templates = Templates::new(Family::V4, Personality::Min, LISTEN_FIRST);
    let mut world = World::new(subject, Family::V4);
    let mut number = 0;
    let (mut shed, mut taken) = (0, 0);
    for turn in 0..TURNS_BEFORE + TURNS {
        while world.subject.card().waiting() < waiting {
            let tuple = Tuple {
                client: CLIENT_FIRST + number / PORT_COUNT,
                port: PORT_FIRST + (number % PORT_COUNT) as u16,
            };
            let frame = Outgoing { kind: Kind::Syn, tuple, seq: number << 8, ack: 0, echo: 0 };
            world.subject.input(|slot| templates.write(slot, &frame, 0));
            number += 1;
        }
        if turn == TURNS_BEFORE {
            (shed, taken) = (world.subject.shed(), world.subject.card().taken());
        }
        world.turn(if turn < TURNS_BEFORE { Meter::Off } else { Meter::Instructions });
        world.subject.drain(|_| {});
    }
    Syns { taken: world.subject.card().taken() - taken, shed: world.subject.shed() - shed }
}
