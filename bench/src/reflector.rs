//! The least server there can be: no state, no memory, no limits, no retransmission.
//!
//! It answers a SYN with SYN,ACK, a request with response and FIN, a FIN with ACK, each from the
//! segment alone. It shows what of a measurement is the harness itself, and how far any server
//! could get under overload.

use penstock_wire::tcp::Flags;

use crate::card::{Card, ChecksumBy};
use crate::frames::{self, RESPONSE};
use crate::subject::{Population, Subject};

/// A server that reflects.
pub struct Reflector {
    card: Card,
}

impl Reflector {
    /// A reflector with checksums left to the card.
    pub fn new() -> Reflector {
        Reflector { card: Card::new(ChecksumBy::Card) }
    }
}

impl Default for Reflector {
    fn default() -> Reflector {
        Reflector::new()
    }
}

impl Subject for Reflector {
    fn card(&mut self) -> &mut Card {
        &mut self.card
    }

    fn poll(&mut self, _now_us: u64) {
        for _ in 0..penstock_queue::BURST_MAX {
            let Some((frame, departure)) = self.card.take() else {
                return;
            };
            // IPv4 only, and the harness sends no options but in a SYN.
            let Some(segment) = frames::parse(frame).filter(|_| frame[12] == 8) else {
                continue;
            };
            let (flags, seq, payload): (Flags, u32, &[u8]) = match segment.flags {
                flags if flags.has(Flags::RST) => continue,
                flags if flags.has(Flags::SYN) => (Flags::SYN.with(Flags::ACK), 1, &[]),
                flags if flags.has(Flags::FIN) => (Flags::ACK, segment.ack, &[]),
                _ if segment.payload > 0 => (Flags::ACK.with(Flags::FIN), segment.ack, RESPONSE),
                _ => continue,
            };
            let more = segment.payload
                + segment.flags.has(Flags::SYN) as u32
                + segment.flags.has(Flags::FIN) as u32;
            let ack = segment.seq.wrapping_add(more);
            let length = 54 + payload.len();
            departure.send(length, |reply| {
                reply[..14].copy_from_slice(&frame[..14]);
                reply[14..34].copy_from_slice(&frame[14..34]);
                reply[16..18].copy_from_slice(&(length as u16 - 14).to_be_bytes());
                reply[26..30].copy_from_slice(&frame[30..34]);
                reply[30..34].copy_from_slice(&frame[26..30]);
                reply[34..36].copy_from_slice(&frame[36..38]);
                reply[36..38].copy_from_slice(&frame[34..36]);
                reply[38..42].copy_from_slice(&seq.to_be_bytes());
                reply[42..46].copy_from_slice(&ack.to_be_bytes());
                reply[46..54].copy_from_slice(&[0x50, flags.0, 0xff, 0xff, 0, 0, 0, 0]);
                reply[54..].copy_from_slice(payload);
            });
        }
    }

    fn population(&self) -> Population {
        Population::default()
    }
}
