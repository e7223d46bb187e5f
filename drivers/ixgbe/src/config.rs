//! What a card is brought up with.

use alloc::vec::Vec;

use penstock_hw::FRAME_BYTES;
use penstock_ixgbe_regs as regs;
use penstock_queue::{PortMask, Rss, SteerRule};

use crate::error::Error;
use crate::filters::Filters;
use crate::limits;

/// What a card is brought up with. It is programmed again, whole, after each reset.
#[derive(Clone, Debug)]
pub struct Config {
    /// Queue pairs: one per core that serves the card, 1 to 128.
    pub queues: u16,
    /// The largest IP packet, in bytes: 68 to 9710.
    pub mtu: u16,
    /// Descriptors of each receive ring, each with a frame of 2 KB: a power of two, 128 to 4096.
    pub receive_ring: u32,
    /// Descriptors of each transmit ring, each with a slot of 2 KB: a power of two, 128 to 4096.
    pub transmit_ring: u32,
    /// How frames that no rule steers find their queue: the first 16 queues.
    pub rss: Rss,
    /// Rules for TCP over IPv4, under one mask: any of the queues.
    pub steer: Option<Steer>,
    /// Which frames the card takes.
    pub filters: Filters,
    /// VLAN tags are taken out of received frames and reported beside them.
    pub strip_vlan: bool,
    /// Interrupts for cores that sleep; without, cores must poll.
    pub interrupts: Option<Interrupts>,
}

/// Steering rules and the mask that all of them are under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steer {
    /// The bits of the destination port that are compared.
    pub mask: PortMask,
    /// Where which value of them goes.
    pub rules: Vec<SteerRule>,
}

/// How the card wakes cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// Messages of one queue are at least this many microseconds apart: 0 to 1046, in steps of 2.
    pub moderation_us: u32,
}

impl Config {
    /// A card for `queues` cores: rings of 512, every multicast frame taken, no rules, no
    /// interrupts.
    pub fn new(queues: u16, rss: Rss) -> Config {
        Config {
            queues,
            mtu: 1500,
            receive_ring: 512,
            transmit_ring: 512,
            rss,
            steer: None,
            filters: Filters::default(),
            strip_vlan: false,
            interrupts: None,
        }
    }

    /// The DMA memory that the rings need, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let slot = FRAME_BYTES + regs::descriptor::BYTES;
        let descriptors = self.receive_ring as usize + self.transmit_ring as usize;
        usize::from(self.queues) * descriptors * slot
    }

    /// Whether a card can do this.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.queues == 0 || u32::from(self.queues) > regs::RX_QUEUES {
            return Err(Error::Queues(self.queues));
        }
        for ring in [self.receive_ring, self.transmit_ring] {
            let range = limits::RING_MIN..=limits::RING_MAX;
            if !ring.is_power_of_two() || !range.contains(&ring) {
                return Err(Error::Ring(ring));
            }
        }
        if self.mtu < 68 || u32::from(self.mtu) + limits::FRAMING_BYTES > limits::FRAME_MAX {
            return Err(Error::Mtu(self.mtu));
        }
        let spread = self.queues.min(limits::RSS_QUEUES);
        if let Some(&far) = self.rss.reta.iter().find(|&&queue| u16::from(queue) >= spread) {
            return Err(Error::SteeredNowhere(far.into()));
        }
        let rules = self.steer.as_ref().map_or(&[][..], |steer| &steer.rules);
        if let Some(far) = rules.iter().find(|rule| rule.queue >= self.queues) {
            return Err(Error::SteeredNowhere(far.queue));
        }
        if rules.len() > limits::STEER_RULES_MAX {
            return Err(Error::SteerRules(rules.len()));
        }
        self.filters.check()
    }
}
