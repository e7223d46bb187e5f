//! ARP: what to make of a packet, and the packets we send (RFC 826, RFC 5227).
//!
//! Nothing is kept here. What a packet says of its sender goes to
//! [`Neighbours::learn`](crate::neighbour::Neighbours::learn); frames are written whole, and the card
//! pads them.

use crate::counters::Drop;
use crate::neighbour::How;
use penstock_wire::arp::{self, Operation, Packet};
use penstock_wire::ethernet::{self, HEADER_BYTES};
use penstock_wire::{Addr, Mac};

/// What to do about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer with [`write_reply`]; where it comes from is known, learn that too.
    Reply {
        /// The sender; none that only probes for duplicates.
        learn: Option<(Addr, Mac, How)>,
    },
    /// Learn where its sender is.
    Learn {
        /// The sender.
        learn: (Addr, Mac, How),
    },
    /// Count it and forget it.
    Drop(Drop),
}

/// Judges a packet. `is_own` knows the addresses of the interface it came in on.
pub(crate) fn on_packet(is_own: impl Fn(Addr) -> bool, packet: &Packet) -> Verdict {
    let Packet { operation, sender_mac, sender, target, .. } = *packet;
    // Someone claims an address of ours, or a switch returns our own frame: neither is believed.
    if sender_mac == Mac::default() || sender.is_loopback() || is_own(sender) {
        return Verdict::Drop(Drop::ArpIgnored);
    }
    let for_us = is_own(target);
    let told = How::Reply { solicited: for_us, override_: true };
    match operation {
        Operation::Request if for_us => {
            //= rfc5227#2.1.1
            //# this is to avoid polluting ARP caches in other hosts on the same link in the case
            //# where the address turns out to be already in use by another host.
            let learn = (!sender.is_unspecified()).then_some((sender, sender_mac, How::Request));
            Verdict::Reply { learn }
        }
        _ if sender.is_unspecified() => Verdict::Drop(Drop::ArpIgnored),
        // Announcements, and what others ask each other, correct what is known (RFC 826's merge).
        Operation::Request | Operation::Reply => {
            Verdict::Learn { learn: (sender, sender_mac, told) }
        }
    }
}

/// Writes the answer to a request that [`on_packet`] wants answered; returns the frame's length, 0
/// where `slot` is too small.
pub(crate) fn write_reply(slot: &mut [u8], mac: Mac, request: &Packet) -> usize {
    let reply = Packet {
        operation: Operation::Reply,
        sender_mac: mac,
        sender: request.target,
        target_mac: request.sender_mac,
        target: request.sender,
    };
    write(slot, request.sender_mac, &reply)
}

/// Writes a question for `target` to everyone, or to the station that had it; returns the frame's
/// length, 0 where `slot` is too small.
//= rfc1122#2.3.2.1
//# Unicast Poll -- Actively poll the remote host by periodically sending a point-to-point ARP
//# Request to it, and delete the entry if no ARP Reply is received from N successive polls.
pub(crate) fn write_request(
    slot: &mut [u8],
    mac: Mac,
    own: Addr,
    target: Addr,
    to: Option<Mac>,
) -> usize {
    let request = Packet {
        operation: Operation::Request,
        sender_mac: mac,
        sender: own,
        target_mac: Mac::default(),
        target,
    };
    write(slot, to.unwrap_or(Mac::BROADCAST), &request)
}

/// Writes the announcement that `own` is at `mac` (gratuitous ARP); returns the frame's length, 0
/// where `slot` is too small.
//= rfc5227#2.3
//# An ARP Announcement is identical to the ARP Probe described above, except that now the sender and
//# target IP addresses are both set to the host's newly selected IPv4 address.
pub(crate) fn write_announcement(slot: &mut [u8], mac: Mac, own: Addr) -> usize {
    write_request(slot, mac, own, own, None)
}

fn write(slot: &mut [u8], to: Mac, packet: &Packet) -> usize {
    let Some(frame) = slot.get_mut(..FRAME_BYTES) else { return 0 };
    ethernet::emit(frame, to, packet.sender_mac, ethernet::ARP);
    HEADER_BYTES + arp::emit(&mut frame[HEADER_BYTES..], packet)
}

const FRAME_BYTES: usize = HEADER_BYTES + arp::PACKET_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Addr = Addr::v4(0x0a00_0001);
    const PEER: Addr = Addr::v4(0x0a00_0002);
    const THIRD: Addr = Addr::v4(0x0a00_0003);
    const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn judge(operation: Operation, sender: Addr, target: Addr) -> Verdict {
        let target_mac = Mac::default();
        let packet = Packet { operation, sender_mac: PEER_MAC, sender, target_mac, target };
        on_packet(|addr| addr == OWN, &packet)
    }

    /// Who asks for us is answered and learned; probes are answered only; all that is not for us
    /// corrects what is known; nobody else may have our address.
    #[test]
    fn packets_are_judged_by_whom_they_ask_for() {
        use Operation::{Reply, Request};
        let ignored = Verdict::Drop(Drop::ArpIgnored);
        let reply = |learn| Verdict::Reply { learn };
        let learn = |solicited| Verdict::Learn {
            learn: (PEER, PEER_MAC, How::Reply { solicited, override_: true }),
        };
        assert_eq!(judge(Request, PEER, OWN), reply(Some((PEER, PEER_MAC, How::Request))));
        assert_eq!(judge(Request, Addr::v4(0), OWN), reply(None), "a probe");
        assert_eq!(judge(Reply, PEER, OWN), learn(true));
        assert_eq!(judge(Request, PEER, PEER), learn(false), "an announcement");
        assert_eq!(judge(Reply, PEER, PEER), learn(false), "an announcement of the other kind");
        assert_eq!(judge(Request, PEER, THIRD), learn(false));
        assert_eq!(judge(Request, Addr::v4(0), THIRD), ignored);
        assert_eq!(judge(Reply, Addr::v4(0), OWN), ignored);
        assert_eq!(judge(Request, OWN, OWN), ignored, "an echo of our announcement");
        assert_eq!(judge(Reply, OWN, PEER), ignored, "a thief");
        assert_eq!(judge(Request, Addr::v4(0x7f00_0001), OWN), ignored);
    }

    /// What is written is read back as meant, from whom and to whom included.
    #[test]
    fn frames_are_whole() {
        let mut slot = [0xaa; 64];
        let read = |slot: &[u8; 64], bytes: usize| {
            assert_eq!(bytes, 42);
            let header = ethernet::parse(slot).expect("a header");
            assert_eq!((header.src, header.ether_type), (OWN_MAC, ethernet::ARP));
            (header.dst, arp::parse(&slot[14..bytes]).expect("a packet"))
        };
        let bytes = write_request(&mut slot, OWN_MAC, OWN, PEER, None);
        let (to, request) = read(&slot, bytes);
        assert_eq!(to, Mac::BROADCAST);
        let expected = Packet {
            operation: Operation::Request,
            sender_mac: OWN_MAC,
            sender: OWN,
            target_mac: Mac::default(),
            target: PEER,
        };
        assert_eq!(request, expected);
        let bytes = write_request(&mut slot, OWN_MAC, OWN, PEER, Some(PEER_MAC));
        assert_eq!(read(&slot, bytes), (PEER_MAC, expected));
        let bytes = write_announcement(&mut slot, OWN_MAC, OWN);
        assert_eq!(read(&slot, bytes), (Mac::BROADCAST, Packet { target: OWN, ..expected }));

        let asked = Packet { sender_mac: PEER_MAC, sender: PEER, target: OWN, ..expected };
        let bytes = write_reply(&mut slot, OWN_MAC, &asked);
        let answer = Packet { operation: Operation::Reply, target_mac: PEER_MAC, ..expected };
        assert_eq!(read(&slot, bytes), (PEER_MAC, answer));
        assert_eq!(write_reply(&mut slot[..41], OWN_MAC, &asked), 0);
    }
}
