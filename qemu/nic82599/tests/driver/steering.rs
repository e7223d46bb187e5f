//! Proves that frames reach the queues that RSS and Flow Director name.

use crate::frames::{self, tcp};
use crate::mock::Port;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::mrqc;
use penstock_ixgbe_regs::descriptor::{rss_type, rx_status};
use penstock_nic82599::{Cable, Loss};

/// The key of Microsoft's verification suite.
const KEY: [u32; 10] = [
    0xDA56_5A6D,
    0xC20E_5B25,
    0x3D25_6741,
    0xB08F_A343,
    0xCB2B_CAD0,
    0xB430_7BAE,
    0xA32D_CB77,
    0x0CF2_3080,
    0x3BB7_426A,
    0xFA01_ACBE,
];

fn rss(port: &mut Port) {
    port.fill(regs::RSSRK, &KEY);
    port.fill(regs::RETA, &[0x0302_0100; 32]);
    port.set(regs::MRQC, 1 | mrqc::TCP_IPV4 | mrqc::IPV4);
}

fn arrive(
    port: &mut Port,
    cable: &mut Cable,
    frame: &[u8],
) -> Option<(u32, crate::mock::Received)> {
    cable.put(0, frame);
    port.step(&mut cable.end(1));
    (0..4).find_map(|queue| port.recv(queue).map(|received| (queue, received)))
}

#[test]
fn rss_spreads_flows_and_keeps_each_on_its_queue() {
    let (_, mut port, mut cable) = frames::pair(4);
    rss(&mut port);
    let mut used = [0; 4];
    for flow in 0..200u16 {
        let frame = tcp((40_000 + flow, 80), b"x", true);
        let (queue, received) = arrive(&mut port, &mut cable, &frame).expect("arrived");
        assert_eq!(queue, received.hash & 3, "the table is 0, 1, 2, 3, 0, ...");
        assert_eq!(received.types & 0xF, rss_type::TCP_IPV4);
        let (again, _) = arrive(&mut port, &mut cable, &frame).expect("arrived");
        assert_eq!(again, queue);
        used[queue as usize] += 1;
    }
    assert!(used.iter().all(|&flows| flows > 25), "{used:?}");
}

/// The program of a per-core stack: four filters over port bits {15, 1, 0}.
#[test]
fn flow_director_takes_active_flows_and_leaves_the_rest_to_rss() {
    let (_, mut port, mut cable) = frames::pair(4);
    rss(&mut port);
    port.set(regs::FDIRHKEY, 0x3DAD_14E2);
    port.set(regs::FDIRM, 0x37);
    port.set(regs::FDIRSIP4M, !0);
    port.set(regs::FDIRDIP4M, !0);
    // Destination port bits 15, 2, 1 and 0, each half of the register bit-reversed.
    port.set(regs::FDIRTCPM, 0x1FFE_FFFF);
    port.set(regs::FDIRCTRL, 0x4A06_7F11 | 1 << 5);
    for (queue, bucket) in [(0u32, 0x1FEE), (1, 0x11BF)] {
        port.set(regs::FDIRPORT, (0x8000 | queue) << 16);
        port.set(regs::FDIRHASH, queue << 16 | bucket);
        // Queue 3 for port bits 0, queue 2 for port bits 1: nothing RSS would do by chance.
        port.set(regs::FDIRCMD, 0x8849 | (3 - queue) << 16);
        assert_eq!(port.get(regs::FDIRCMD) & 3, 0);
    }
    for port_number in (0x8000..0x9000u16).step_by(8) {
        for low in 0..2u16 {
            let frame = tcp((80, port_number | low), b"reply", true);
            let (queue, received) = arrive(&mut port, &mut cable, &frame).expect("arrived");
            assert_eq!(queue, 3 - u32::from(low));
            assert_eq!(received.status & rx_status::FLM, rx_status::FLM);
            assert_eq!(received.types & 0xF, rss_type::FLOW_DIRECTOR);
        }
    }
    let (queue, received) =
        arrive(&mut port, &mut cable, &tcp((1234, 80), b"", true)).expect("rss");
    assert_eq!((queue, received.types & 0xF), (received.hash & 3, rss_type::TCP_IPV4));
    assert_eq!(port.get(regs::FDIRMATCH), 1024);
    assert_eq!(port.get(regs::FDIRMISS), 1);
}

#[test]
fn a_queue_that_does_not_run_loses_its_frames() {
    let (_, mut port, mut cable) = frames::pair(4);
    port.fill(regs::RETA, &[0x0707_0707; 32]);
    port.fill(regs::RSSRK, &KEY);
    port.set(regs::MRQC, 1 | mrqc::IPV4);
    assert_eq!(arrive(&mut port, &mut cable, &tcp((1, 2), b"", true)), None);
    assert_eq!(port.card.losses().of(Loss::QueueDisabled), 1);
}

#[test]
fn the_upper_half_of_the_queues_works() {
    let (_, mut port, mut cable) = frames::pair(128);
    port.set(regs::FDIRHKEY, 0x3DAD_14E2);
    port.set(regs::FDIRM, 0x37);
    port.set(regs::FDIRSIP4M, !0);
    port.set(regs::FDIRDIP4M, !0);
    port.set(regs::FDIRTCPM, 0x1FFE_FFFF);
    port.set(regs::FDIRCTRL, 0x4A06_7F11);
    port.set(regs::FDIRPORT, 0x8000_0000);
    port.set(regs::FDIRHASH, 0x1FEE);
    port.set(regs::FDIRCMD, 0x8849 | 127 << 16);
    cable.put(0, &tcp((80, 0x8000), b"last", true));
    port.step(&mut cable.end(1));
    assert!(port.recv(127).is_some());
    port.send(127, &tcp((80, 0x8000), b"last", true));
    port.step(&mut cable.end(1));
    assert!(cable.take(1).is_some());
}
