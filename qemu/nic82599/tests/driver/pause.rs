//! Proves pause frames: a far end that stops us is obeyed for as long as it says, and a packet buffer
//! that fills stops the far end before anything is lost.

use crate::frames::{self, SECOND, numbered};
use crate::mock::{Port, RING};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fccfg, fcrth, fcrtl, mflcn, srrctl, tfcs};
use penstock_nic82599::{Cable, Loss};

fn pause(to: [u8; 6], quanta: u16) -> Vec<u8> {
    let mut frame = [&to[..], &SECOND, &[0x88, 0x08, 0, 1], &quanta.to_be_bytes()].concat();
    frame.resize(60, 0);
    frame
}

/// Runs a port until it has nothing to do now; says when it next has.
fn run(port: &mut Port, cable: &mut Cable, side: usize) -> Option<u64> {
    loop {
        let progress = port.step(&mut cable.end(side));
        if !progress.more {
            return progress.deadline_us;
        }
    }
}

#[test]
fn a_far_end_that_stops_us_is_obeyed() {
    let (mut port, _, mut cable) = frames::pair(1);
    let group = [0x01, 0x80, 0xC2, 0, 0, 1];
    cable.put(1, &pause(group, 1000));
    port.send(0, &numbered(0, 60));
    run(&mut port, &mut cable, 0);
    assert!(cable.take(0).is_some(), "nobody has asked for flow control");

    port.set(regs::MFLCN, mflcn::RFCE | mflcn::DPF);
    for to in [group, frames::FIRST] {
        let begin_us = port.now_us;
        cable.put(1, &pause(to, 1000));
        run(&mut port, &mut cable, 0);
        assert_eq!(port.get(regs::LXOFFRXCNT), 1);
        assert_eq!(port.get(regs::TFCS) & tfcs::TC0_XON, 0, "a driver can see why");
        port.send(0, &numbered(1, 60));
        let deadline_us = run(&mut port, &mut cable, 0);
        assert_eq!(deadline_us, Some(begin_us + 52), "a thousand times 51.2 ns");
        assert_eq!(cable.take(0), None);
        port.now_us += 52;
        run(&mut port, &mut cable, 0);
        assert!(cable.take(0).is_some());
        assert_eq!(port.get(regs::TFCS), tfcs::TC_XON);
    }

    cable.put(1, &pause(group, 0xFFFF));
    run(&mut port, &mut cable, 0);
    port.send(0, &numbered(2, 60));
    cable.put(1, &pause(group, 0));
    run(&mut port, &mut cable, 0);
    assert!(cable.take(0).is_some(), "let go before its time");
    assert_eq!((port.get(regs::LXOFFRXCNT), port.get(regs::LXONRXCNT)), (1, 1));
    assert_eq!(port.recv(0), None, "none of them reaches the host");
}

#[test]
fn a_buffer_that_fills_stops_the_far_end_and_nothing_is_lost() {
    const FRAMES: u32 = 5000;
    let (mut first, mut second, mut cable) = frames::pair(1);
    for port in [&mut first, &mut second] {
        port.set(regs::MFLCN, mflcn::RFCE | mflcn::DPF);
        port.set(regs::FCCFG, fccfg::TFCE_LINK);
        port.set(regs::FCTTV.at(0), 0x8000_8000);
        port.set(regs::FCRTV, 0x4000);
        port.set(regs::FCRTL.at(0), 0x1_0000 | fcrtl::XONE);
        port.set(regs::FCRTH.at(0), 0x4_0000 | fcrth::FCEN);
    }
    second.start_receive(0, 1 << srrctl::DESCTYPE_SHIFT | 2);
    let (mut sent, mut received) = (0, 0);
    for turn in 0u64.. {
        assert!(turn < 100_000, "{received} of {sent} arrived");
        while first.clean(0) < RING - 2 && sent < FRAMES {
            first.send(0, &numbered(sent, 1500));
            sent += 1;
        }
        run(&mut first, &mut cable, 0);
        run(&mut second, &mut cable, 1);
        // A host that looks seldom, and takes a frame at a time.
        if turn.is_multiple_of(4)
            && let Some(frame) = second.recv(0)
        {
            assert_eq!(frame.bytes, numbered(received, 1500));
            received += 1;
        }
        if received == FRAMES {
            break;
        }
        first.now_us += 10;
        second.now_us += 10;
    }
    assert_eq!(second.card.losses().of(Loss::PacketBufferFull), 0);
    let (stops, goes) = (second.get(regs::LXOFFTXC), second.get(regs::LXONTXC));
    assert!(stops > goes && goes > 0, "{stops} and {goes}: a long stop is said again");
    assert_eq!(first.get(regs::LXOFFRXCNT), stops);
    assert_eq!(second.get(regs::PTC.at(0)), stops + goes, "counted among what the MAC sends");

    // Thresholds that contradict each other stop nobody for ever.
    second.set(regs::FCRTH.at(0), fcrth::FCEN);
    run(&mut second, &mut cable, 1);
    assert_eq!(second.get(regs::LXOFFTXC), 0);
}
