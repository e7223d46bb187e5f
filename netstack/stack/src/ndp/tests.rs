//! Who is answered and who is learned; that frames are read back as meant.

use super::*;

const OWN: Addr = Addr { hi: 0xfe80_0000_0000_0000, lo: 0x1122_3344 };
const PEER: Addr = Addr { hi: 0xfe80_0000_0000_0000, lo: 0x55_6677 };
const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const FRAME_MAC: Mac = Mac([2, 0, 0, 0, 0, 3]);

fn judge(src: Addr, hop_limit: u8, message: Message) -> Verdict {
    on_message(|addr| addr == OWN, src, FRAME_MAC, hop_limit, &message)
}

fn solicitation(target: Addr, source_mac: Option<Mac>) -> Message {
    Message::NeighbourSolicitation { target, source_mac }
}

fn advertisement(target: Addr, solicited: bool) -> Message {
    let target_mac = Some(PEER_MAC);
    Message::NeighbourAdvertisement {
        target,
        target_mac,
        router: true,
        solicited,
        override_: false,
    }
}

/// What a router may have forwarded is not believed, whatever it says.
#[test]
fn only_messages_of_this_link_count() {
    //= rfc4861#7.1.1 type=test
    //# The IP Hop Limit field has a value of 255, i.e., the packet could not possibly have been
    //# forwarded by a router.
    for message in [solicitation(OWN, Some(PEER_MAC)), advertisement(PEER, true)] {
        for hop_limit in [0, 64, 254] {
            assert_eq!(judge(PEER, hop_limit, message), Verdict::Drop(Drop::NdpMalformed));
        }
        assert_ne!(judge(PEER, 255, message), Verdict::Drop(Drop::NdpMalformed));
    }
}

/// Who asks for us is answered where it says it is, or where its frame came from; one without an
/// address is answered before all.
#[test]
fn solicitations_for_us_are_answered() {
    let answer = |to_mac| Answer { own: OWN, to: PEER, to_mac };
    let learn = Some((PEER, Some(PEER_MAC), How::Request));
    assert_eq!(
        judge(PEER, 255, solicitation(OWN, Some(PEER_MAC))),
        Verdict::Reply { answer: answer(PEER_MAC), learn }
    );
    assert_eq!(
        judge(PEER, 255, solicitation(OWN, None)),
        Verdict::Reply { answer: answer(FRAME_MAC), learn: None }
    );
    //= rfc4861#7.2.4 type=test
    //# If the source of the solicitation is the unspecified address, the node MUST set the
    //# Solicited flag to zero and multicast the advertisement to the all-nodes address.
    let to_mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let answer = Answer { own: OWN, to: Addr::ALL_NODES, to_mac };
    assert_eq!(
        judge(Addr::UNSPECIFIED, 255, solicitation(OWN, None)),
        Verdict::Reply { answer, learn: None }
    );
}

/// Advertisements are learned with their flags; what concerns others, or claims to be us, is not.
#[test]
fn the_rest_is_learned_or_ignored() {
    let ignored = Verdict::Drop(Drop::NdpIgnored);
    for solicited in [false, true] {
        let how = How::Reply { solicited, override_: false };
        let learn = (PEER, Some(PEER_MAC), how);
        assert_eq!(judge(PEER, 255, advertisement(PEER, solicited)), Verdict::Learn { learn });
        assert_eq!(judge(PEER, 255, advertisement(OWN, solicited)), ignored);
    }
    assert_eq!(judge(PEER, 255, solicitation(PEER, Some(PEER_MAC))), ignored);
    assert_eq!(judge(OWN, 255, solicitation(OWN, Some(PEER_MAC))), ignored);
    assert_eq!(judge(PEER, 255, Message::RouterSolicitation { source_mac: None }), ignored);
}

/// A frame's stations, addresses and message; its hop limit must be 255 and its checksum good.
fn read(slot: &[u8], bytes: usize) -> ((Mac, Addr), (Mac, Addr), Message) {
    assert_eq!(bytes, 14 + 40 + 32);
    let header = ethernet::parse(slot).expect("a header");
    assert_eq!(header.ether_type, ethernet::IPV6);
    let packet = ip::parse_v6(&slot[14..bytes]).expect("a packet");
    assert_eq!((packet.hop_limit, packet.protocol), (255, ICMPV6));
    let payload = packet.payload(&slot[14..bytes]);
    let message = icmp::parse_v6(payload, packet.src, packet.dst).expect("a message");
    ((header.src, packet.src), (header.dst, packet.dst), message)
}

/// Questions go to the group of the asked, or to the station alone; announcements to all.
#[test]
fn frames_are_whole() {
    let mut slot = [0xaa; 128];
    let from = (OWN_MAC, OWN);
    let asked = solicitation(PEER, Some(OWN_MAC));

    let bytes = write_solicitation(&mut slot, OWN_MAC, OWN, PEER, None);
    let group = (Mac([0x33, 0x33, 0xff, 0x55, 0x66, 0x77]), PEER.solicited_node());
    assert_eq!(read(&slot, bytes), (from, group, asked));

    let bytes = write_solicitation(&mut slot, OWN_MAC, OWN, PEER, Some(PEER_MAC));
    assert_eq!(read(&slot, bytes), (from, (PEER_MAC, PEER), asked));

    let told = |solicited| Message::NeighbourAdvertisement {
        target: OWN,
        target_mac: Some(OWN_MAC),
        router: false,
        solicited,
        override_: true,
    };
    let answer = Answer { own: OWN, to: PEER, to_mac: PEER_MAC };
    let bytes = write_advertisement(&mut slot, OWN_MAC, &answer);
    assert_eq!(read(&slot, bytes), (from, (PEER_MAC, PEER), told(true)));

    let bytes = write_announcement(&mut slot, OWN_MAC, OWN);
    let all = (Mac([0x33, 0x33, 0, 0, 0, 1]), Addr::ALL_NODES);
    assert_eq!(read(&slot, bytes), (from, all, told(false)));

    for room in [0, 14, 54, 85] {
        assert_eq!(write_announcement(&mut slot[..room], OWN_MAC, OWN), 0);
    }
}
