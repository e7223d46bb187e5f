//! Neighbour discovery: what to make of a message, and the messages we send (RFC 4861 section 7).
//!
//! Nothing is kept here. What a message says of its sender goes to
//! [`Neighbours::learn`](crate::neighbour::Neighbours::learn); the fields were validated when the
//! message was parsed, all but the hop limit, which stands in the IP header and is checked here.

use crate::counters::Drop;
use crate::neighbour::How;
use penstock_wire::ethernet::{self, HEADER_BYTES};
use penstock_wire::icmp::{self, Message, NDP_HOP_LIMIT, Outgoing};
use penstock_wire::ip::{self, HeaderV6, ICMPV6, V6_HEADER_BYTES};
use penstock_wire::{Addr, Mac};

/// Who is where: an address, its station unless the message trusts us to know, and how we heard.
pub(crate) type Heard = (Addr, Option<Mac>, How);

/// An advertisement to be written, in answer to a solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Our address, which was asked for.
    pub(crate) own: Addr,
    /// To whom; all nodes where the asker has no address yet.
    pub(crate) to: Addr,
    /// The station to send it to.
    pub(crate) to_mac: Mac,
}

/// What to do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer with [`write_advertisement`]; where the message says who asks, learn that too.
    Reply {
        /// The answer.
        answer: Answer,
        /// The asker.
        learn: Option<Heard>,
    },
    /// Learn of a neighbour.
    Learn {
        /// The neighbour.
        learn: Heard,
    },
    /// Count it and forget it.
    Drop(Drop),
}

/// Judges a message that came from `src` by the station `src_mac`. `is_own` knows the addresses of the
/// interface it came in on.
pub(crate) fn on_message(
    is_own: impl Fn(Addr) -> bool,
    src: Addr,
    src_mac: Mac,
    hop_limit: u8,
    message: &Message,
) -> Verdict {
    //= rfc4861#7.1.1
    //# The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been
    //# forwarded by a router.
    if hop_limit != NDP_HOP_LIMIT {
        return Verdict::Drop(Drop::NdpMalformed);
    }
    match *message {
        Message::NeighbourSolicitation { target, source_mac } if is_own(target) && !is_own(src) => {
            if src.is_unspecified() {
                //= rfc4861#7.2.4
                //# If the source of the solicitation is the unspecified address, the node MUST set
                //# the Solicited flag to zero and multicast the advertisement to the all-nodes
                //# address.
                let to = Addr::ALL_NODES;
                let answer = Answer { own: target, to, to_mac: Mac::from_group(to) };
                return Verdict::Reply { answer, learn: None };
            }
            // Who asks without saying where it is asked from where the frame came from. RFC 4861
            // would have us ask in turn, which nobody who knows our station needs.
            let to_mac = source_mac.unwrap_or(src_mac);
            if to_mac.is_group() {
                return Verdict::Drop(Drop::NdpIgnored);
            }
            let answer = Answer { own: target, to: src, to_mac };
            let learn = source_mac.map(|mac| (src, Some(mac), How::Request));
            Verdict::Reply { answer, learn }
        }
        // That of one of ours is a conflict, which nothing is done about, or our own come back.
        Message::NeighbourAdvertisement { target, target_mac, solicited, override_, .. }
            if !is_own(target) =>
        {
            Verdict::Learn { learn: (target, target_mac, How::Reply { solicited, override_ }) }
        }
        _ => Verdict::Drop(Drop::NdpIgnored),
    }
}

/// Writes an answer; returns the frame's length, 0 where `slot` is too small.
pub(crate) fn write_advertisement(slot: &mut [u8], mac: Mac, answer: &Answer) -> usize {
    let advertisement = Outgoing::NeighbourAdvertisement {
        target: answer.own,
        target_mac: Some(mac),
        router: false,
        solicited: !answer.to.is_group(),
        override_: true,
    };
    write(slot, (mac, answer.own), (answer.to_mac, answer.to), &advertisement)
}

/// Writes a question for `target` to its group, or to the station that had it; returns the frame's
/// length, 0 where `slot` is too small.
pub(crate) fn write_solicitation(
    slot: &mut [u8],
    mac: Mac,
    own: Addr,
    target: Addr,
    to: Option<Mac>,
) -> usize {
    //= rfc4861#7.2.2
    //# If the solicitation is being sent to a solicited-node multicast address, the sender MUST
    //# include its link-layer address (if it has one) as a Source Link-Layer Address option.
    let solicitation = Outgoing::NeighbourSolicitation { target, source_mac: Some(mac) };
    let group = target.solicited_node();
    let to = to.map_or((Mac::from_group(group), group), |station| (station, target));
    write(slot, (mac, own), to, &solicitation)
}

/// Writes the announcement to all nodes that `own` is at `mac` (RFC 4861 section 7.2.6); returns the
/// frame's length, 0 where `slot` is too small.
pub(crate) fn write_announcement(slot: &mut [u8], mac: Mac, own: Addr) -> usize {
    let to = Addr::ALL_NODES;
    write_advertisement(slot, mac, &Answer { own, to, to_mac: Mac::from_group(to) })
}

/// Writes a frame from and to a station and an address.
fn write(slot: &mut [u8], from: (Mac, Addr), to: (Mac, Addr), message: &Outgoing<'_>) -> usize {
    let Some(body) = slot.get_mut(HEADERS_BYTES..) else { return 0 };
    let payload_bytes = icmp::emit(body, message, from.1, to.1);
    if payload_bytes == 0 {
        return 0;
    }
    ethernet::emit(slot, to.0, from.0, ethernet::IPV6);
    let header = HeaderV6 {
        src: from.1,
        dst: to.1,
        protocol: ICMPV6,
        payload_bytes: payload_bytes as u16,
        hop_limit: NDP_HOP_LIMIT,
        traffic_class: 0,
        flow_label: 0,
    };
    ip::emit_v6(&mut slot[HEADER_BYTES..], &header);
    HEADERS_BYTES + payload_bytes
}

const HEADERS_BYTES: usize = HEADER_BYTES + V6_HEADER_BYTES;

#[cfg(test)]
mod tests;
