//! Proves that no guest upsets the card: absurd rings, wild pointers, random registers and random
//! memory end in counted losses, each step stays bounded, and the same calls give the same result.

use crate::frames;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::BAR0_BYTES;
use penstock_ixgbe_regs::descriptor::{tx_command, tx_options};
use penstock_nic82599::{Cable, Card, CardConfig, FlatMemory, Loss, Memory};
use proptest::prelude::*;

#[test]
fn rings_outside_memory_and_tails_outside_rings_are_counted() {
    let (mut port, _, mut cable) = frames::pair(1);
    port.set(regs::TDT.at(0), 0xFFFF);
    port.step(&mut cable.end(0));
    assert_eq!(port.card.losses().of(Loss::BadRing), 1);
    port.set(regs::TDBAH.at(0), !0);
    port.set(regs::TDT.at(0), 5);
    port.step(&mut cable.end(0));
    assert_eq!(port.card.losses().of(Loss::DmaFault), 1);
    assert_eq!(port.get(regs::EICS) & 1 << 18, 1 << 18, "a PCI cause");
    port.set(regs::RDBAH.at(0), !0);
    cable.put(1, &[0xFF; 60]);
    port.step(&mut cable.end(0));
    assert!(port.card.losses().of(Loss::DmaFault) > 1);
}

#[test]
fn a_ring_of_enormous_packets_is_one_bounded_step() {
    let (mut port, _, mut cable) = frames::pair(1);
    let [low, high] = port.stage(0, &[0; 64]);
    for _ in 0..60 {
        let words = [low, high, tx_command::DEXT | 0x30_0000 | 0xFFFF, 0];
        port.push(0, words);
    }
    port.push(0, [low, high, tx_command::DEXT | tx_command::EOP | 0x30_FFFF, 0]);
    port.doorbell(0);
    port.step(&mut cable.end(0));
    assert_eq!(cable.take(0), None);
    assert_eq!(port.card.losses().of(Loss::TransmitTooLong), 1);
    assert_eq!(port.get(regs::TDH.at(0)), 61, "the ring goes on behind it");
}

/// Thirty packets of two thousand segments each are not one step's work.
#[test]
fn segments_count_against_a_step() {
    let (mut port, _, mut cable) = frames::pair(1);
    port.push(0, [14 << 9 | 20, 0, 0x2020_0C00, 1 << 16 | 20 << 8]);
    for _ in 0..30 {
        let [low, high] = port.stage(0, &[0; 2048]);
        let command = tx_command::DEXT | tx_command::EOP | tx_command::IFCS | tx_command::TSE;
        let payload = (2048 - 54) << tx_options::PAYLEN_SHIFT;
        port.push(0, [low, high, command | 0x30_0000 | 2048, payload]);
    }
    port.doorbell(0);
    let progress = port.step(&mut cable.end(0));
    assert!(progress.more);
    assert_eq!(port.get(regs::TDH.at(0)), 2, "one packet and its context");
    let mut steps = 1;
    while port.step(&mut cable.end(0)).more {
        steps += 1;
    }
    assert!(steps >= 29, "{steps}");
    assert_eq!(port.get(regs::GPTC), 30 * (2048 - 54));
}

#[test]
fn a_frame_with_a_hole_does_not_reach_the_wire() {
    let (mut port, _, mut cable) = frames::pair(1);
    let command = tx_command::DEXT | tx_command::EOP | tx_command::IFCS | 0x30_0000;
    port.push(0, [0, 0xFFFF_FFFF, command | 100, 100 << tx_options::PAYLEN_SHIFT]);
    port.doorbell(0);
    port.step(&mut cable.end(0));
    assert_eq!(cable.take(0), None);
    assert_eq!(port.card.losses().of(Loss::DmaFault), 1);
    assert_eq!(port.card.losses().of(Loss::TransmitHole), 1);
}

/// A guest that writes what it likes where it likes: the offsets are drawn so that rings, filters
/// and masks are hit often.
fn accesses() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let offset = prop_oneof![
        3 => 0x1000u32..0x1100,
        3 => 0x6000u32..0x6100,
        1 => 0xEE00u32..0xEE80,
        1 => 0x5000u32..0x5400,
        1 => 0u32..BAR0_BYTES,
    ];
    let value = prop_oneof![
        any::<u32>(),
        0u32..0x2000,
        Just(0x0200_0000u32),
        Just(0x0000_0400u32),
        Just(!0u32),
    ];
    proptest::collection::vec((offset, value), 0..200)
}

/// What happened to the card, as far as anyone can see.
fn play(accesses: &[(u32, u32)], memory: &[u8]) -> (Vec<(Loss, u64)>, Vec<u32>, Vec<u8>) {
    let mut card = Card::new(CardConfig { link_delay_us: 0, ..CardConfig::default() });
    let mut cable = Cable::default();
    let mut flat = FlatMemory::new(0, memory.len());
    flat.write(0, memory).expect("same size");
    for (reg, value) in [
        (regs::DMATXCTL, 0x8100_0001),
        (regs::RXCTRL, 1),
        (regs::FCTRL, 0x700),
        (regs::TDLEN.at(0), 0x800),
        (regs::RDLEN.at(0), 0x800),
        (regs::TXDCTL.at(0), 1 << 25),
        (regs::RXDCTL.at(0), 1 << 25),
        (regs::TDT.at(0), 100),
        (regs::RDT.at(0), 100),
    ] {
        card.write32(reg.0, value);
    }
    let mut seen = Vec::new();
    for (now_us, &(offset, value)) in accesses.iter().enumerate() {
        card.write32(offset, value);
        cable.put(1, &memory[..now_us.min(200)]);
        card.step(now_us as u64, &mut flat, &mut cable.end(0));
        let messages = card.take_messages();
        seen.extend([card.read32(offset), messages.vectors as u32]);
    }
    let mut after = vec![0; memory.len()];
    flat.read(0, &mut after).expect("same size");
    (card.losses().iter().collect(), seen, after)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_guest_is_survived_and_replays(
        accesses in accesses(),
        memory in proptest::collection::vec(any::<u8>(), 4096..8192),
    ) {
        let first = play(&accesses, &memory);
        let second = play(&accesses, &memory);
        prop_assert_eq!(first, second);
    }
}
