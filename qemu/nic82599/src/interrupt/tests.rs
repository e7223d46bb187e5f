//! Proves the rules drivers lean on: a pending cause fires when its mask opens, one message per
//! cause, auto-clear and auto-mask at message time, throttling, and the modes without MSI-X.
use super::*;

fn msix(control: u32) -> (Interrupts, Storage) {
    let mut storage = Storage::new();
    storage.set(regs::GPIE, gpie::MSIX | control);
    // Queue 0 receives on vector 0 and sends on vector 1; other causes use vector 5.
    storage.set(regs::IVAR.at(0), 0x8180);
    storage.set(regs::IVAR_MISC, 0x8500);
    (Interrupts::new(), storage)
}

fn vectors(interrupts: &mut Interrupts, storage: &Storage, now_us: u64) -> u64 {
    interrupts.poll(now_us, storage);
    interrupts.take().vectors
}

#[test]
fn a_pending_cause_fires_when_its_mask_opens() {
    let (mut interrupts, storage) = msix(0);
    interrupts.raise_queue(&storage, 0, 0);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 0, "masked");
    interrupts.write(regs::EIMS, 1);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 1);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 0, "one message per cause");
    interrupts.write(regs::EIMS_EX.at(0), 1);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 1, "opened again while pending");
}

#[test]
fn messages_clear_and_mask_their_causes() {
    let (mut interrupts, mut storage) = msix(gpie::EIAME);
    storage.set(regs::EIAC, 0xFFFF);
    storage.set(regs::EIAM_EX.at(0), !0);
    interrupts.write(regs::EIMS, 3);
    interrupts.raise_queue(&storage, 0, 1);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 2);
    assert_eq!(interrupts.causes(), 0, "auto-clear");
    assert_eq!(interrupts.enabled(), 1, "auto-mask");
    interrupts.raise_queue(&storage, 0, 1);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 0);
    interrupts.write(regs::EIMS_EX.at(0), 2);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 2, "raised while masked is not lost");
}

#[test]
fn other_causes_stay_until_software_clears_them() {
    let (mut interrupts, mut storage) = msix(gpie::OCD);
    storage.set(regs::EIAC, 0xFFFF);
    interrupts.write(regs::EIMS, eicr::LSC | 1);
    interrupts.raise(eicr::LSC);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 1 << 5);
    interrupts.raise(eicr::LSC);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 0, "still pending, already told");
    assert_eq!(interrupts.causes(), eicr::LSC, "EICS reads without clearing");
    interrupts.clear(&storage, eicr::LSC);
    interrupts.raise(eicr::LSC);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 1 << 5);
    interrupts.write(regs::EICS, 0x8001);
    assert_eq!(interrupts.read_causes(&storage), eicr::LSC | 0x8001);
    assert_eq!(interrupts.causes(), 0x8001, "under OCD a read clears only the others");
}

#[test]
fn a_throttled_vector_waits() {
    let (mut interrupts, mut storage) = msix(0);
    storage.set(regs::EIAC, 0xFFFF);
    storage.set(regs::EITR.at(0), 49 << eitr::INTERVAL_SHIFT);
    interrupts.write(regs::EIMS, 1);
    interrupts.raise_queue(&storage, 0, 0);
    assert_eq!(vectors(&mut interrupts, &storage, 1000), 1);
    interrupts.raise_queue(&storage, 0, 0);
    assert_eq!(vectors(&mut interrupts, &storage, 1099), 0);
    assert_eq!(interrupts.deadline_us(&storage), Some(1100));
    assert_eq!(vectors(&mut interrupts, &storage, 1100), 1);
    interrupts.raise_queue(&storage, 0, 0);
    interrupts.write_throttle(1101, 0, 49 << eitr::INTERVAL_SHIFT | eitr::CNT_WDIS);
    assert_eq!(vectors(&mut interrupts, &storage, 1101), 0, "the counter was left alone");
    interrupts.write_throttle(1101, 0, 49 << eitr::INTERVAL_SHIFT);
    assert_eq!(vectors(&mut interrupts, &storage, 1101), 1, "the counter was loaded with 0");
}

#[test]
fn without_msix_there_is_one_line_and_a_read_lowers_it() {
    let mut storage = Storage::new();
    storage.set(regs::IVAR.at(0), 0x8180);
    storage.set(regs::EIAM, 0xFFFF);
    let mut interrupts = Interrupts::new();
    interrupts.write(regs::EIMS, eicr::LSC | 0xFFFF);
    interrupts.raise_queue(&storage, 0, 0);
    interrupts.poll(0, &storage);
    assert_eq!(interrupts.take(), Messages { vectors: 0, single: true, line: true });
    interrupts.poll(0, &storage);
    assert_eq!(interrupts.take(), Messages { vectors: 0, single: false, line: true });
    assert_eq!(interrupts.read_causes(&storage), 1);
    assert_eq!(interrupts.enabled(), eicr::LSC | 0xFFFE, "EIAM masks what the read showed");
    interrupts.poll(0, &storage);
    assert_eq!(interrupts.take(), Messages::default());
}

#[test]
fn vectors_above_31_have_their_own_words() {
    let (mut interrupts, mut storage) = msix(0);
    storage.set(regs::IVAR.at(63), 0xBF00_0000);
    interrupts.raise_queue(&storage, 127, 1);
    assert_eq!(interrupts.vector_causes(1), 1 << 31);
    interrupts.write(regs::EIMS_EX.at(1), 1 << 31);
    assert_eq!(interrupts.enabled_vectors(1), 1 << 31);
    assert_eq!(vectors(&mut interrupts, &storage, 0), 1 << 63);
    assert_eq!(interrupts.vector_causes(1), 0, "no EIAC bit: always cleared");
    interrupts.write(regs::EIMC_EX.at(1), 1 << 31);
    assert_eq!(interrupts.enabled_vectors(1), 0);
}
