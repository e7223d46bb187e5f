//! The receive side: filter, steering, checksum verdicts, parts.

use penstock_queue::{Checksums, RETA_ENTRIES};
use penstock_wire::checksum::{Sum, pseudo_header};
use penstock_wire::{ethernet, ip, toeplitz};

use super::Card;
use crate::frame::{Frame, Inside, View, dissect};

/// A frame in a ring.
#[derive(Debug)]
pub(super) struct Received {
    /// Never empty.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) checksums: Checksums,
    pub(super) hash: Option<u32>,
}

/// What the card did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in the ring of this queue.
    Queue(usize),
    /// It is for another station, or its check sequence is wrong.
    Filtered,
    /// The ring was full.
    Missed,
}

impl Card {
    /// A frame arrives from the wire.
    pub(crate) fn accept(&mut self, frame: Frame) -> Accepted {
        let Ok(view) = dissect(&frame, false) else {
            self.counters.damaged += 1;
            return Accepted::Filtered;
        };
        let is_ours = view.ethernet.dst == self.mac || view.ethernet.dst.is_group();
        let is_fit = frame.len() <= self.plan.mtu as usize + ethernet::HEADER_BYTES;
        if !is_fit || !(is_ours || self.plan.is_promiscuous) {
            self.counters.filtered += 1;
            return Accepted::Filtered;
        }
        let (queue, hash) = self.steer(&view);
        let ring = &mut self.rings[queue];
        let needed = frame.len().div_ceil(self.plan.part_bytes);
        if ring.credits < needed {
            self.counters.missed += 1;
            return Accepted::Missed;
        }
        ring.credits -= needed;
        let checksums =
            if self.plan.receive_checksums { judge(&frame, &view) } else { Checksums::Unverified };
        let parts = frame.chunks(self.plan.part_bytes).map(<[u8]>::to_vec).collect();
        ring.filled.push_back(Received { parts, checksums, hash });
        self.counters.delivered += 1;
        Accepted::Queue(queue)
    }

    /// The queue of a frame, and its RSS hash: Flow Director first, then RSS, then queue 0 (82599
    /// datasheet section 7.1.2).
    fn steer(&mut self, view: &View) -> (usize, Option<u32>) {
        let Some(packet) = view.ip else { return (0, None) };
        let key = &self.rss.key;
        let hash = match &view.inside {
            Inside::Tcp(segment) => {
                toeplitz::tcp_tuple(key, packet.src, packet.dst, segment.src_port, segment.dst_port)
            }
            _ => toeplitz::ip_pair(key, packet.src, packet.dst),
        };
        if let (Some((mask, rules)), Inside::Tcp(segment)) = (&self.rules, &view.inside)
            && packet.src.is_v4()
        {
            let value = segment.dst_port & mask.0;
            if let Some(rule) = rules.iter().find(|rule| rule.value == value) {
                self.counters.matched += 1;
                return (rule.queue as usize % self.rings.len(), Some(hash));
            }
        }
        let queue = self.rss.reta[hash as usize % RETA_ENTRIES] as usize % self.rings.len();
        (queue, Some(hash))
    }
}

/// The card's verdict, as an 82599 gives it.
fn judge(frame: &[u8], view: &View) -> Checksums {
    let rest = &frame[ethernet::HEADER_BYTES..];
    if view.ethernet.ether_type == ethernet::IPV4 {
        let header = rest.first().map_or(0, |first| (first & 0x0f) as usize * 4);
        let is_good = rest.get(..header).is_some_and(|header| Sum::of(header).is_good());
        if !is_good {
            return Checksums::IpBad;
        }
    }
    let Some(packet) = view.ip else {
        let is_ip = matches!(view.ethernet.ether_type, ethernet::IPV4 | ethernet::IPV6);
        return if is_ip { Checksums::IpGood } else { Checksums::Unverified };
    };
    let payload = packet.payload(rest);
    if !matches!(packet.protocol, ip::TCP | ip::UDP) {
        return Checksums::IpGood;
    }
    let sum = pseudo_header(packet.src, packet.dst, packet.protocol, packet.payload_bytes);
    if sum.add_bytes(payload).is_good() { Checksums::Good } else { Checksums::L4Bad }
}
