//! What shedding a SYN costs: [`crate::overload`] charges a part of a served frame for it, and this
//! is where that part comes from.

use crate::card::RING_SLOTS;
use crate::client::{PORT_COUNT, PORT_FIRST};
use crate::frames::{CLIENT_FIRST, Family, Kind, Outgoing, Personality, Templates, Tuple};
use crate::subject::{LISTEN_FIRST, Subject};
use crate::world::{Meter, World};

/// Turns before the meter is switched on: by then a stack knows that it is behind.
const TURNS_BEFORE: u32 = 256;
/// Turns under the meter.
const TURNS: u32 = 256;

/// Keeps the receive ring full of SYNs and returns how many were shed under the meter.
///
/// # Errors
/// When not every SYN was.
pub fn run<S: Subject>(subject: S) -> Result<u64, String> {
    let templates = Templates::new(Family::V4, Personality::Min, LISTEN_FIRST);
    let mut world = World::new(subject, Family::V4);
    let mut number = 0;
    let (mut shed, mut taken) = (0, 0);
    for turn in 0..TURNS_BEFORE + TURNS {
        while world.subject.card().waiting() < RING_SLOTS {
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
    let shed = world.subject.shed() - shed;
    let taken = world.subject.card().taken() - taken;
    if shed == taken {
        Ok(shed)
    } else {
        Err(format!("of {taken} SYNs in a full ring, {shed} were shed"))
    }
}
