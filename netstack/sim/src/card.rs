//! A network card: receive rings fed through Flow Director and RSS, transmit rings whose descriptors
//! are written back late, checksums and segmentation done by the card.
//!
//! ```text
//!             accept()                                recv() … recycle()
//!   link ──▶ [ filter ▸ Flow Director ▸ RSS ] ──▶ ring 0 ──▶ SimQueue 0 ──▶ worker 0
//!                                            └──▶ ring 1 ──▶ SimQueue 1 ──▶ worker 1
//!   link ◀── [ outbox ] ◀── segmentation, checksums ◀── flush() ◀── send()
//! ```
//! One `Card` is shared by the queues of a host, which one thread polls: hence `Rc<RefCell>`.

mod queue;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use std::collections::VecDeque;

use penstock_queue::{PortMask, Rss, SteerRule};
use penstock_wire::Mac;

use crate::frame::Frame;
pub(crate) use queue::SimQueue;
pub(crate) use receive::Accepted;
use receive::Received;

/// What a card can do and how slow it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPlan {
    /// Descriptors of a receive ring.
    pub receive_ring: usize,
    /// Descriptors of a transmit ring.
    pub transmit_ring: usize,
    /// Judges checksums of received frames.
    pub receive_checksums: bool,
    /// Inserts checksums.
    pub transmit_checksums: bool,
    /// Cuts TCP payload into segments.
    pub segmentation: bool,
    /// Lent ranges of a frame; 0 copies.
    pub lent_max: usize,
    /// Bytes of a receive buffer: longer frames come in parts.
    pub part_bytes: usize,
    /// Descriptors are written back this long after the doorbell, at least and at most.
    pub write_back_us: (u64, u64),
    /// Hands up frames for other stations.
    pub is_promiscuous: bool,
    /// The largest IP packet.
    pub mtu: u16,
}

/// What a card counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CardCounters {
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    pub(crate) filtered: u64,
    pub(crate) damaged: u64,
    pub(crate) sent: u64,
    /// Segments that a Flow Director rule matched.
    pub(crate) matched: u64,
}

/// A card with all its queues.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) plan: CardPlan,
    mac: Mac,
    rss: Rss,
    rules: Option<(PortMask, Vec<SteerRule>)>,
    rings: Vec<ReceiveRing>,
    /// Frames that left; the world carries them away.
    pub(crate) outbox: VecDeque<Frame>,
    pub(crate) counters: CardCounters,
    /// No transmit slot is free before this time: a card that is slow for a while.
    pub(crate) choked_until_us: u64,
    /// When the next descriptor is written back.
    write_back_us: Vec<Option<u64>>,
}

#[derive(Debug)]
struct ReceiveRing {
    filled: VecDeque<Received>,
    /// Descriptors the card may fill.
    credits: usize,
}

impl Card {
    pub(crate) fn new(
        plan: CardPlan,
        mac: Mac,
        rss: Rss,
        rules: Option<(PortMask, Vec<SteerRule>)>,
        queues: usize,
    ) -> Card {
        let credits = plan.receive_ring;
        let ring = || ReceiveRing { filled: VecDeque::with_capacity(credits), credits };
        Card {
            plan,
            mac,
            rss,
            rules,
            rings: (0..queues).map(|_| ring()).collect(),
            outbox: VecDeque::new(),
            counters: CardCounters::default(),
            choked_until_us: 0,
            write_back_us: vec![None; queues],
        }
    }

    /// Whether frames wait in the ring of `queue`.
    pub(crate) fn has_frames(&self, queue: usize) -> bool {
        !self.rings[queue].filled.is_empty()
    }

    /// When the worker of `queue`, should it sleep, is next interrupted for its transmit ring.
    pub(crate) fn next_write_back(&self, queue: usize, now_us: u64) -> Option<u64> {
        let choked_us = self.choked_until_us;
        let next = self.write_back_us[queue].or((choked_us > now_us).then_some(choked_us))?;
        Some(next.max(choked_us))
    }
}
