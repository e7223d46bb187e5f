//! Proves the rings: wrap, order, write-back where RS asks, starvation, jumbo frames, legacy
//! descriptors, loopback, counters, link and interrupts.

use crate::frames::{self, FIRST, SECOND, numbered};
use crate::mock::RING;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{self, eicr, gpie, hlreg0, srrctl};
use penstock_ixgbe_regs::descriptor::{rx_legacy, tx_command, tx_legacy, tx_options};
use penstock_nic82599::{Faults, Loss};

#[test]
fn forty_thousand_frames_arrive_in_order_and_whole() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    let mut received = 0u32;
    let mut sent = 0u32;
    while received < 40_000 {
        while first.clean(0) < RING - 2 && sent < 40_000 {
            first.send(0, &numbered(sent, 60 + sent as usize % 1455));
            sent += 1;
        }
        first.step(&mut cable.end(0));
        second.step(&mut cable.end(1));
        while let Some(frame) = second.recv(0) {
            assert_eq!(frame.bytes, numbered(received, 60 + received as usize % 1455));
            received += 1;
        }
    }
    assert_eq!(first.get(regs::GPTC), 40_000);
    assert_eq!(second.get(regs::GPRC), 40_000);
    assert_eq!(second.get(regs::GPRC), 0, "a read clears");
    assert_eq!(second.card.losses().iter().collect::<Vec<_>>(), []);
}

#[test]
fn only_descriptors_with_rs_are_written_back() {
    let (mut port, _, mut cable) = frames::pair(1);
    for number in 0..8 {
        let report = if number == 3 || number == 7 { tx_command::RS } else { 0 };
        port.send_with(0, &[&numbered(number, 60)], report, 0, 60);
    }
    port.step(&mut cable.end(0));
    let done: Vec<u32> =
        (0..8).filter(|&index| port.descriptor(0, 1, index)[3] & tx_options::DD != 0).collect();
    assert_eq!(done, [3, 7]);
    assert_eq!(port.get(regs::TDH.at(0)), 8);
}

#[test]
fn a_frame_without_its_end_waits_for_it() {
    let (mut port, _, mut cable) = frames::pair(1);
    let frame = numbered(1, 100);
    let always =
        tx_command::DEXT | tx_command::IFCS | tx_command::DTYP_DATA << tx_command::DTYP_SHIFT;
    let [low, high] = port.stage(0, &frame[..40]);
    port.push(0, [low, high, always | 40, 0]);
    port.doorbell(0);
    port.step(&mut cable.end(0));
    assert_eq!(cable.take(0), None);
    let [low, high] = port.stage(0, &frame[40..]);
    port.push(0, [low, high, always | tx_command::EOP | 60, 0]);
    port.doorbell(0);
    port.step(&mut cable.end(0));
    assert_eq!(cable.take(0), Some(frame));
}

#[test]
fn an_empty_ring_drops_or_holds_up_the_port() {
    let (_, mut port, mut cable) = frames::pair(2);
    for number in 0..RING {
        cable.put(0, &numbered(number, 60));
    }
    port.step(&mut cable.end(1));
    assert_eq!(port.card.losses().of(Loss::RingEmpty), 1, "one descriptor is never the card's");
    assert_eq!(port.get(regs::QPRDC.at(0)), 1);

    // Without DROP_EN the next frame waits, and so does everything behind it.
    port.set(regs::SRRCTL.at(0), 1 << srrctl::DESCTYPE_SHIFT | 2);
    for number in 100..110 {
        cable.put(0, &numbered(number, 60));
    }
    port.step(&mut cable.end(1));
    assert_eq!(port.card.losses().of(Loss::RingEmpty), 1);
    for number in (0..RING - 1).chain(100..110) {
        let frame = port.recv(0).expect("waited in the packet buffer");
        assert_eq!(frame.bytes, numbered(number, 60));
        port.step(&mut cable.end(1));
    }
}

#[test]
fn a_full_packet_buffer_counts_missed_frames() {
    let (_, mut port, mut cable) = frames::pair(1);
    port.set(regs::SRRCTL.at(0), 1 << srrctl::DESCTYPE_SHIFT | 2);
    for number in 0..1000 {
        cable.put(0, &numbered(number, 1500));
    }
    while port.step(&mut cable.end(1)).more {}
    let missed = port.get(regs::MPC.at(0));
    assert_eq!(missed, 1000 - (RING - 1) - (512 * 1024 / 1500), "ring, then 512 KB, then loss");
    assert_eq!(port.get(regs::EICS) & eicr::RX_MISS, eicr::RX_MISS);
}

#[test]
fn jumbo_frames_span_descriptors() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    second.set(regs::MAXFRS, 9728 << 16);
    let parts: Vec<Vec<u8>> = numbered(9, 9000).chunks(1500).map(<[u8]>::to_vec).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    first.send_with(0, &parts, tx_command::RS, 0, 9000);
    first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    assert_eq!(second.recv(0), None, "JUMBOEN is clear");
    assert_eq!(second.get(regs::ROC), 1);
    second.set(regs::HLREG0, hlreg0::JUMBOEN | hlreg0::RXCRCSTRP);
    first.send_with(0, &parts, tx_command::RS, 0, 9000);
    first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    let frame = second.recv(0).expect("taken now");
    assert_eq!((frame.parts, frame.bytes), (5, numbered(9, 9000)));
}

#[test]
fn the_frame_check_sequence_is_kept_when_not_stripped() {
    let (_, mut port, mut cable) = frames::pair(1);
    port.set(regs::HLREG0, 0);
    cable.put(0, &numbered(0, 60));
    port.step(&mut cable.end(1));
    assert_eq!(port.recv(0).map(|frame| frame.bytes.len()), Some(64));
}

#[test]
fn legacy_descriptors_work_both_ways() {
    let (mut port, _, mut cable) = frames::pair(1);
    port.start_receive(0, 2);
    let frame = frames::tcp((1, 2), b"legacy", true);
    let command = tx_legacy::EOP | tx_legacy::IFCS | tx_legacy::RS;
    let [low, high] = port.stage(0, &frame);
    port.push(0, [low, high, command << 24 | frame.len() as u32, 0]);
    port.doorbell(0);
    port.step(&mut cable.end(0));
    assert_eq!(cable.take(0), Some(frame.clone()));
    assert_eq!(port.descriptor(0, 1, 0)[3] & 1, 1, "DD");

    let mut back = frame;
    back[..6].copy_from_slice(&FIRST);
    cable.put(1, &back);
    port.step(&mut cable.end(0));
    let words = port.descriptor(0, 0, 0);
    assert_eq!(words[2] & 0xFFFF, back.len() as u32);
    let expected = rx_legacy::DD | rx_legacy::EOP | rx_legacy::IPCS | rx_legacy::L4CS;
    assert_eq!(words[3] & 0xFFFF, expected);
}

/// As Linux's offline test of the card does it: 64 broadcast frames of 1024 bytes around the MAC.
#[test]
fn loopback_returns_what_is_sent() {
    let (mut port, _, mut cable) = frames::pair(1);
    port.set(regs::HLREG0, hlreg0::LPBK | hlreg0::RXCRCSTRP | hlreg0::TXPADEN);
    for round in 0..4 {
        for _ in 0..32 {
            port.send(0, &[0xFF; 1024]);
        }
        // The wire is not heard meanwhile, or the test would find frames that are not its own.
        cable.put(1, &[0xFF; 100]);
        while port.step(&mut cable.end(0)).more {}
        for _ in 0..32 {
            let frame = port.recv(0).expect("came back");
            assert_eq!(frame.bytes, [0xFF; 1024], "round {round}");
        }
        assert_eq!((port.clean(0), port.recv(0), cable.take(0)), (0, None, None));
    }
    assert_eq!(port.card.losses().of(Loss::ReceiveLooped), 4);
}

#[test]
fn receive_and_link_send_their_messages() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    second.set(regs::GPIE, gpie::MSIX | gpie::OCD | gpie::EIAME | gpie::PBA);
    second.set(regs::IVAR.at(0), 0x8080);
    second.set(regs::IVAR_MISC, 0x8100);
    second.set(regs::EIAC, 0xFFFF);
    second.set(regs::EIAM_EX.at(0), !0);
    second.get(regs::EICR);
    second.set(regs::EIMS, eicr::LSC | 1);
    first.send(0, &numbered(0, 60));
    first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    assert_eq!(second.card.take_messages().vectors, 1);
    assert_eq!(second.card.take_messages().vectors, 0);
    first.send(0, &numbered(1, 60));
    first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    assert_eq!(second.card.take_messages().vectors, 0, "masked by its first message");
    second.set(regs::EIMS_EX.at(0), 1);
    assert_eq!(second.card.take_messages().vectors, 1, "the mask opens on a pending cause");

    second.card.set_faults(Faults { no_light: true, ..Faults::default() });
    second.step(&mut cable.end(1));
    assert_eq!(second.card.take_messages().vectors, 2);
    assert_eq!(second.get(regs::EICS) & eicr::LSC, eicr::LSC);
    assert_eq!(second.get(regs::LINKS) & bits::links::UP, 0);
    cable.put(0, &numbered(2, 60));
    second.step(&mut cable.end(1));
    assert_eq!(second.card.losses().of(Loss::ReceiveLinkDown), 1);
    second.set(regs::EICR, eicr::LSC);
    second.card.set_faults(Faults::default());
    second.train(&mut cable.end(1));
    assert_eq!(second.card.take_messages().vectors, 2);
}

#[test]
fn planted_faults_do_what_they_say() {
    let (mut first, mut second, mut cable) = frames::pair(1);
    first.card.set_faults(Faults { late_write_back_us: 50, ..Faults::default() });
    first.send(0, &numbered(0, 60));
    let progress = first.step(&mut cable.end(0));
    second.step(&mut cable.end(1));
    assert!(second.recv(0).is_some(), "the frame has left");
    assert_eq!(first.clean(0), 1, "its descriptor is not written back");
    assert_eq!(progress.deadline_us, Some(first.now_us + 50));
    first.now_us += 50;
    first.step(&mut cable.end(0));
    assert_eq!(first.clean(0), 0);

    first.card.set_faults(Faults { transmit_hang: true, ..Faults::default() });
    first.send(0, &numbered(1, 60));
    first.step(&mut cable.end(0));
    assert_eq!((cable.take(0), first.get(regs::TDH.at(0))), (None, 1));

    second.card.set_faults(Faults { lost_message_every: 2, ..Faults::default() });
    second.set(regs::GPIE, gpie::MSIX);
    second.set(regs::IVAR.at(0), 0x80);
    second.set(regs::EIAC, 0xFFFF);
    second.set(regs::EIMS, 1);
    let mut messages = 0;
    for number in 0..10 {
        cable.put(0, &numbered(number, 60));
        second.step(&mut cable.end(1));
        messages += second.card.take_messages().vectors;
    }
    assert_eq!(messages, 5);
}

#[test]
fn a_reset_in_mid_traffic_leaves_a_card_that_can_be_started_again() {
    let (mut first, _, mut cable) = frames::pair(1);
    for number in 0..20 {
        first.send(0, &numbered(number, 60));
        cable.put(1, &numbered(number, 60));
    }
    first.set(regs::CTRL, bits::ctrl::RST);
    first.step(&mut cable.end(0));
    assert_eq!(cable.take(0), None, "what was queued is forgotten");
    first.start(1);
    first.train(&mut cable.end(0));
    first.send(0, &numbered(7, 60));
    first.step(&mut cable.end(0));
    assert_eq!(cable.take(0), Some(numbered(7, 60)));
}

#[test]
fn without_bus_master_nothing_moves() {
    let (mut first, _, mut cable) = frames::pair(1);
    first.card.set_bus_master(false);
    first.send(0, &numbered(0, 60));
    first.step(&mut cable.end(0));
    assert_eq!(cable.take(0), None);
    first.card.set_bus_master(true);
    first.step(&mut cable.end(0));
    assert!(cable.take(0).is_some());
}

#[test]
fn frames_for_others_are_refused() {
    let (_, mut port, mut cable) = frames::pair(1);
    let mut frame = numbered(0, 60);
    frame[5] = 9;
    cable.put(0, &frame);
    frame[..6].copy_from_slice(&[0xFF; 6]);
    cable.put(0, &frame);
    frame[..6].copy_from_slice(&SECOND);
    cable.put(0, &frame[..20]);
    port.step(&mut cable.end(1));
    assert_eq!(port.card.losses().of(Loss::AddressFilter), 1);
    assert_eq!(port.recv(0).map(|frame| frame.bytes[0]), Some(0xFF));
    assert_eq!(port.recv(0).map(|frame| frame.bytes.len()), Some(60), "padded by the far MAC");
    assert_eq!(port.get(regs::BPRC), 1);
}
