//! Proves transmit offloads by what the receiving card verifies.

use crate::frames::{self, tcp};
use crate::mock::Port;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{rxdctl, vlnctrl};
use penstock_ixgbe_regs::descriptor::{
    packet_type, rx_status, tx_command, tx_lengths, tx_options, tx_segment, tx_types,
};
use penstock_nic82599::Loss;

/// A context for TCP over IPv4 in slot `slot`.
fn context(port: &mut Port, slot: u32, mss: u32, tag: u32) {
    port.push(
        0,
        [
            tag << tx_lengths::VLAN_SHIFT | 14 << tx_lengths::MACLEN_SHIFT | 20,
            0,
            tx_command::DEXT
                | tx_command::DTYP_CONTEXT << tx_command::DTYP_SHIFT
                | tx_types::L4T_TCP << tx_types::L4T_SHIFT
                | tx_types::IPV4,
            mss << tx_segment::MSS_SHIFT
                | 20 << tx_segment::L4LEN_SHIFT
                | slot << tx_segment::INDEX_SHIFT,
        ],
    );
}

const SUMS: u32 = tx_options::IXSM | tx_options::TXSM;
const VERIFIED: u32 = rx_status::IPCS | rx_status::L4I;
const BAD: u32 = rx_status::IPE | rx_status::TCPE;

#[test]
fn inserted_sums_verify() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    context(&mut first, 0, 0, 0);
    for payload in [0, 1, 6, 7, 1460] {
        let frame = tcp((80, 90), &vec![0x5A; payload], false);
        // The parts' boundary must not matter, odd or even.
        for cut in [14, 33, 54] {
            let parts = [&frame[..cut], &frame[cut..]];
            let parts: &[&[u8]] = if frame.len() == cut { &parts[..1] } else { &parts };
            first.send_with(0, parts, tx_command::RS, SUMS, frame.len());
            first.step(&mut cable.end(0));
            second.step(&mut cable.end(1));
            let received = second.recv(0).expect("arrived");
            assert_eq!(
                received.status & (VERIFIED | BAD),
                VERIFIED,
                "{payload} bytes, cut at {cut}"
            );
            assert_eq!(received.types & 0xFFF0, packet_type::IPV4 | packet_type::TCP);
            let padded = tcp((80, 90), &vec![0x5A; payload], true);
            assert_eq!(received.bytes[..padded.len()], padded);
        }
    }
    let mut broken = tcp((80, 90), b"broken", true);
    broken[55] ^= 1;
    cable.put(0, &broken);
    second.step(&mut cable.end(1));
    let received = second.recv(0).expect("delivered all the same");
    assert_eq!(received.status & (VERIFIED | BAD), VERIFIED | rx_status::TCPE);
    assert_eq!(second.get(regs::XEC), 1);
}

#[test]
fn segments_verify_and_carry_every_byte() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    let payload: Vec<u8> = (0..40_000u32).map(|at| (at * 7) as u8).collect();
    let whole = tcp((80, 90), &[], false);
    let mut header = whole[..54].to_vec();
    // Without the length, as segmentation wants the sum.
    let pseudo = frames::fold(frames::sum(&header[26..34]) + 6);
    header[50..52].copy_from_slice(&pseudo.to_be_bytes());
    context(&mut first, 1, 1460, 0);
    let mut parts = vec![header.as_slice()];
    parts.extend(payload.chunks(2000));
    let options = SUMS | 1 << tx_options::INDEX_SHIFT;
    first.send_with(0, &parts, tx_command::RS | tx_command::TSE, options, payload.len());
    first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    let mut joined = Vec::new();
    while let Some(received) = second.recv(0) {
        assert_eq!(received.status & (VERIFIED | BAD), VERIFIED);
        let total = usize::from(u16::from_be_bytes([received.bytes[16], received.bytes[17]]));
        joined.extend_from_slice(&received.bytes[54..14 + total]);
    }
    assert_eq!(joined, payload);
    assert_eq!(first.get(regs::GPTC), 28);
    assert_eq!(first.clean(0), 22, "only the last of the 22 descriptors asked for DD");
    assert_eq!(first.descriptor(0, 1, 21)[3] & tx_options::DD, 1);
}

#[test]
fn tags_are_inserted_and_stripped() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    let frame = tcp((80, 90), b"tagged", true);
    context(&mut first, 0, 0, 0x2064);
    first.send_with(0, &[&frame], tx_command::RS | tx_command::VLE, 0, frame.len());
    first.step(&mut cable.end(0));
    let on_wire = cable.take(0).expect("sent");
    assert_eq!(on_wire[12..16], [0x81, 0x00, 0x20, 0x64]);
    assert_eq!(on_wire[16..], frame[12..]);

    cable.put(0, &on_wire);
    second.step(&mut cable.end(1));
    let received = second.recv(0).expect("not stripped");
    assert_eq!(
        (received.bytes.len(), received.status & rx_status::VP),
        (on_wire.len(), rx_status::VP)
    );
    second.set(regs::RXDCTL.at(0), rxdctl::ENABLE | rxdctl::VME);
    second.set(regs::VLNCTRL, vlnctrl::VFE | 0x8100);
    cable.put(0, &on_wire);
    second.step(&mut cable.end(1));
    assert_eq!(second.card.losses().of(Loss::VlanFilter), 1);
    second.set(regs::VFTA.at(3), 1 << 4);
    cable.put(0, &on_wire);
    second.step(&mut cable.end(1));
    let received = second.recv(0).expect("stripped");
    assert_eq!((received.bytes, received.tag), (frame, 0x2064));
    assert_eq!(received.status & (VERIFIED | BAD), VERIFIED);
}
