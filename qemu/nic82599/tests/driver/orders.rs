//! Proves that a port comes up in another order than ours: OpenBSD's, which moves tails before their
//! queues run, opens transmit before the rings, changes running rings, and has one message for all.

use crate::frames::{self, numbered};
use crate::mock::{Port, RING};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{
    self, dmatxctl, eicr, eitr, fctrl, rxctrl, rxdctl, srrctl, txdctl,
};
use penstock_ixgbe_regs::descriptor::BYTES;
use penstock_nic82599::Cable;

/// Buffers that the first turn posts: OpenBSD fills a ring as far as traffic asks for it.
const POSTED: u32 = 16;

fn bring_up(port: &mut Port) {
    for (reg, value) in [
        (regs::TDBAL.at(0), port.ring(0, 1) as u32),
        (regs::TDBAH.at(0), 0),
        (regs::TDLEN.at(0), RING * BYTES as u32),
        (regs::TDH.at(0), 0),
        (regs::TDT.at(0), 0),
        (regs::DMATXCTL, 0x8100_0000 | dmatxctl::TE),
        (regs::RTTDCS, 1 << 6),
        (regs::MTQC, 0),
        (regs::RTTDCS, 0),
        (regs::RXCTRL, 0),
        (regs::FCTRL, fctrl::BAM),
        (regs::RDBAL.at(0), port.ring(0, 0) as u32),
        (regs::RDBAH.at(0), 0),
        (regs::RDLEN.at(0), RING * BYTES as u32),
        (regs::SRRCTL.at(0), 1 << srrctl::DESCTYPE_SHIFT | 2),
        (regs::RDH.at(0), 0),
        (regs::RDT.at(0), 0),
        (regs::GPIE, 0x7 << 1 | 0xF << 7),
        // Prefetch and write back in bursts: nothing that a ring's owner can see.
        (regs::TXDCTL.at(0), txdctl::ENABLE | 8 << 16 | 1 << 8 | 16),
        (regs::RXDCTL.at(0), rxdctl::ENABLE),
        (regs::RDT.at(0), POSTED - 1),
        (regs::RXDCTL.at(0), rxdctl::ENABLE | rxdctl::VME),
        (regs::RXCTRL, rxctrl::RXEN),
        (regs::IVAR.at(0), 0x8080),
        (regs::EIAM, eicr::RTXQ),
        (regs::EITR.at(0), 62 << eitr::INTERVAL_SHIFT | eitr::CNT_WDIS),
        (regs::EIMS, eicr::LSC),
        (regs::EIMS_EX.at(0), 1),
    ] {
        port.set(reg, value);
    }
}

/// What an interrupt says, and the frames that are there; its mask is open again afterwards.
fn interrupted(port: &mut Port) -> (u32, Vec<u32>) {
    let causes = port.get(regs::EICR);
    let frames = core::iter::from_fn(|| port.recv(0))
        .map(|frame| u32::from_be_bytes([14, 15, 16, 17].map(|at| frame.bytes[at])))
        .collect();
    port.set(regs::EIMS_EX.at(0), 1);
    (causes, frames)
}

fn run(port: &mut Port, cable: &mut Cable) -> bool {
    while port.step(&mut cable.end(0)).more {}
    port.card.take_messages().single
}

#[test]
fn openbsd_comes_up() {
    let (mut port, _, mut cable) = frames::pair(1);
    // Its own reset leaves the link alone; posted buffers are those of the ring before.
    port.start_receive(0, srrctl::DROP_EN);
    port.set(regs::CTRL, bits::ctrl::RST);
    bring_up(&mut port);
    run(&mut port, &mut cable);
    interrupted(&mut port);

    // To our port, so that its filter takes them.
    let coming = |number: u32| {
        let mut frame = numbered(number, 60);
        frame[..6].copy_from_slice(&frames::FIRST);
        frame
    };
    for number in 0..POSTED - 1 {
        cable.put(1, &coming(number));
    }
    port.now_us += 1000;
    assert!(run(&mut port, &mut cable), "one message for them all");
    assert!(!run(&mut port, &mut cable), "and no second");
    let (causes, received) = interrupted(&mut port);
    assert_eq!(causes & eicr::RTXQ, 1);
    assert_eq!(received, (0..POSTED - 1).collect::<Vec<_>>());

    cable.put(1, &coming(99));
    assert!(!run(&mut port, &mut cable), "not before the throttle opens");
    port.now_us += 127;
    assert!(run(&mut port, &mut cable));
    let (_, received) = interrupted(&mut port);
    assert_eq!(received, [99]);

    port.send(0, &numbered(7, 60));
    port.now_us += 1000;
    assert!(run(&mut port, &mut cable), "sent, and said");
    assert_eq!(cable.take(0), Some(numbered(7, 60)));
    assert_eq!(interrupted(&mut port).0 & eicr::RTXQ, 1);
}
