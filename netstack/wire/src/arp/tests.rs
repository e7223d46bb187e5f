//! ARP reads back what it writes, agrees with another implementation, and refuses what would poison
//! a cache.

use super::*;
use crate::samples::{self, A4, B4, MAC};

#[test]
fn a_written_packet_reads_back() {
    for operation in [Operation::Request, Operation::Reply] {
        let packet = Packet { operation, sender_mac: MAC, sender: A4, target_mac: MAC, target: B4 };
        let mut bytes = [0; 60];
        assert_eq!(emit(&mut bytes, &packet), PACKET_BYTES);
        assert_eq!(parse(&bytes), Ok(packet));
        assert_eq!(emit(&mut [0; PACKET_BYTES - 1], &packet), 0);
    }
}

#[test]
fn smoltcp_reads_what_we_write() {
    use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};
    let bytes = samples::request();
    let repr = ArpRepr::parse(&ArpPacket::new_checked(&bytes[..]).expect("a packet"));
    let expected = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(MAC.0),
        source_protocol_addr: [10, 0, 0, 1].into(),
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: [10, 0, 0, 2].into(),
    };
    assert_eq!(repr, Ok(expected));
}

#[test]
fn other_formats_and_senders_that_cannot_be_are_refused() {
    let whole = samples::request();
    for length in 0..whole.len() {
        assert_eq!(parse(&whole[..length]), Err(Malformed::Arp));
    }
    for (at, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 0), (7, 3), (8, 1), (14, 224)] {
        let mut bytes = whole.clone();
        bytes[at] = value;
        assert_eq!(parse(&bytes), Err(Malformed::Arp), "byte {at} = {value}");
    }
}
