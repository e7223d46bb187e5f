//! The gateway in front of the clients: it introduces itself and answers who it is, over ARP
//! (RFC 826) and neighbour discovery (RFC 4861). Everything else about it is in the templates.

use crate::checksum;
use crate::frames::{
    Family, GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, SERVER_MAC, SERVER_V4, SERVER_V6,
};

/// Writes the gateway's question for the server's station address, which also tells its own.
pub fn introduce(slot: &mut [u8], family: Family) -> usize {
    match family {
        Family::V4 => arp(slot, 1, [0; 6]),
        Family::V6 => neighbour_discovery(slot, 135, 0, SERVER_V6, 1),
    }
}

/// Whether `frame` asks for the gateway's station address, and over which family.
pub fn asks(frame: &[u8]) -> Option<Family> {
    if frame.get(12..14)? == [8, 6] {
        let request = frame.get(20..22)? == [0, 1] && frame.get(38..42)? == GATEWAY_V4;
        return request.then_some(Family::V4);
    }
    let solicitation = frame.get(12..14)? == [0x86, 0xdd]
        && frame.get(20)? == &58
        && frame.get(54)? == &135
        && frame.get(62..78)? == GATEWAY_V6;
    solicitation.then_some(Family::V6)
}

/// Writes the gateway's answer to a question that [`asks`] recognised.
pub fn answer(slot: &mut [u8], family: Family) -> usize {
    match family {
        Family::V4 => arp(slot, 2, SERVER_MAC),
        // Solicited and override.
        Family::V6 => neighbour_discovery(slot, 136, 0x60, GATEWAY_V6, 2),
    }
}

fn arp(slot: &mut [u8], operation: u8, target: [u8; 6]) -> usize {
    let head: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    fill(
        slot,
        &[
            &SERVER_MAC,
            &GATEWAY_MAC,
            &head,
            &GATEWAY_MAC,
            &GATEWAY_V4,
            &target,
            &SERVER_V4,
            &[0; 18],
        ],
    )
}

fn neighbour_discovery(
    slot: &mut [u8],
    kind: u8,
    flags: u8,
    target: [u8; 16],
    option: u8,
) -> usize {
    let ip: [u8; 10] = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255];
    let icmp: [u8; 8] = [kind, 0, 0, 0, flags, 0, 0, 0];
    let link: [u8; 8] = {
        let [a, b, c, d, e, f] = GATEWAY_MAC;
        [option, 1, a, b, c, d, e, f]
    };
    let length = fill(
        slot,
        &[&SERVER_MAC, &GATEWAY_MAC, &ip, &GATEWAY_V6, &SERVER_V6, &icmp, &target, &link],
    );
    let sum = checksum::sum(&slot[22..length]) + 32 + 58;
    slot[56..58].copy_from_slice(&checksum::finish(sum).to_be_bytes());
    length
}

fn fill(slot: &mut [u8], parts: &[&[u8]]) -> usize {
    let mut at = 0;
    for part in parts {
        slot[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gateway recognises a question for itself and not its own answer or introduction.
    #[test]
    fn only_questions_for_the_gateway_are_answered() {
        let mut slot = [0; 128];
        for family in [Family::V4, Family::V6] {
            let length = introduce(&mut slot, family);
            assert_eq!(asks(&slot[..length]), None);
            let length = answer(&mut slot, family);
            assert_eq!(asks(&slot[..length]), None);
        }
        arp(&mut slot, 1, [0; 6]);
        slot[38..42].copy_from_slice(&GATEWAY_V4);
        assert_eq!(asks(&slot[..60]), Some(Family::V4));
        let length = neighbour_discovery(&mut slot, 135, 0, GATEWAY_V6, 1);
        assert_eq!(asks(&slot[..length]), Some(Family::V6));
    }

    /// Neighbour discovery goes out with a correct ICMPv6 checksum.
    #[test]
    fn neighbour_discovery_sums_to_zero() {
        let mut slot = [0; 128];
        let length = answer(&mut slot, Family::V6);
        let pseudo = checksum::sum(&slot[22..54]) + 32 + 58;
        assert_eq!(checksum::finish(pseudo + checksum::sum(&slot[54..length])), 0);
    }
}
