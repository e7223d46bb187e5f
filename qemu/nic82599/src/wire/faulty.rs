//! A wire with faults: loss, delay, jitter, reordering, duplicates, corruption, a rate.
//!
//! Faults apply to both directions alike, in the order of a real path: the rate spaces frames out,
//! then each is lost, damaged, doubled and delayed. Chance comes from a seed.

use super::{FRAME_MAX, Wire};
use std::collections::BTreeMap;

/// What goes wrong on a wire. Chances are in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireFaults {
    /// Chance that a frame is lost.
    pub loss_ppm: u32,
    /// Chance that a frame arrives twice.
    pub duplicate_ppm: u32,
    /// Chance that one bit of a frame flips, past its addresses. The card sees a frame whose frame
    /// check sequence is right: this is damage that only higher checksums find.
    pub corrupt_ppm: u32,
    /// Chance that a frame is held back for [`WireFaults::reorder_us`] more.
    pub reorder_ppm: u32,
    /// How long a reordered frame is held back.
    pub reorder_us: u64,
    /// Delay of each frame.
    pub delay_us: u64,
    /// Random addition to the delay, up to this.
    pub jitter_us: u64,
    /// Bytes per second; 0 for no limit.
    pub rate: u64,
}

/// A wire behind [`WireFaults`].
pub struct Faulty<W> {
    inner: W,
    faults: WireFaults,
    chance: u64,
    sequence: u64,
    out: Lane,
    back: Lane,
    landing: Vec<u8>,
}

#[derive(Default)]
struct Lane {
    /// Frames under way, by when they arrive.
    frames: BTreeMap<(u64, u64), (u32, Vec<u8>)>,
    /// When the line is free again.
    free_us: u64,
}

impl<W: Wire> Faulty<W> {
    /// Puts `faults` on `inner`.
    pub fn new(inner: W, faults: WireFaults, seed: u64) -> Faulty<W> {
        let (out, back) = (Lane::default(), Lane::default());
        Faulty { inner, faults, chance: seed, sequence: 0, out, back, landing: vec![0; FRAME_MAX] }
    }

    /// Changes what goes wrong from now on; frames under way keep their fate.
    pub fn set_faults(&mut self, faults: WireFaults) {
        self.faults = faults;
    }

    /// A number from the seed (SplitMix64).
    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.chance;
        value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ value >> 31
    }

    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.random() % 1_000_000 < u64::from(ppm)
    }

    /// Puts a frame on a lane, or not.
    fn travel(&mut self, outward: bool, now_us: u64, queue: u32, frame: &[u8]) {
        let faults = self.faults;
        let lane = if outward { &mut self.out } else { &mut self.back };
        let busy_us = (frame.len() as u64 * 1_000_000).checked_div(faults.rate).unwrap_or(0);
        lane.free_us = lane.free_us.max(now_us).saturating_add(busy_us);
        let sent_us = lane.free_us;
        if self.happens(faults.loss_ppm) {
            return;
        }
        let copies = 1 + u32::from(self.happens(faults.duplicate_ppm));
        for _ in 0..copies {
            let mut bytes = frame.to_vec();
            if self.happens(faults.corrupt_ppm) && bytes.len() > 12 {
                let bit = self.random() as usize % ((bytes.len() - 12) * 8);
                bytes[12 + bit / 8] ^= 1 << (bit % 8);
            }
            let jitter_us = self.random() % faults.jitter_us.saturating_add(1).max(1);
            let held_us = if self.happens(faults.reorder_ppm) { faults.reorder_us } else { 0 };
            let delay_us = faults.delay_us.saturating_add(jitter_us).saturating_add(held_us);
            let due_us = sent_us.saturating_add(delay_us);
            self.sequence += 1;
            let lane = if outward { &mut self.out } else { &mut self.back };
            if lane.frames.len() < FRAMES_MAX {
                lane.frames.insert((due_us, self.sequence), (queue, bytes));
            }
        }
    }

    /// Moves what is due to the inner wire, and what the inner wire holds onto the lane back.
    fn pump(&mut self, now_us: u64) {
        while let Some((queue, frame)) = self.out.due(now_us) {
            self.inner.send(now_us, queue, &frame);
        }
        for _ in 0..FRAMES_PER_PUMP {
            let mut landing = core::mem::take(&mut self.landing);
            let length = self.inner.recv(now_us, &mut landing);
            if let Some(frame) = length.and_then(|length| landing.get(..length)) {
                self.travel(false, now_us, 0, frame);
            }
            self.landing = landing;
            if length.is_none() {
                return;
            }
        }
    }
}

impl Lane {
    fn due(&mut self, now_us: u64) -> Option<(u32, Vec<u8>)> {
        let first = self.frames.first_entry()?;
        (first.key().0 <= now_us).then(|| first.remove())
    }
}

impl<W: Wire> Wire for Faulty<W> {
    fn send(&mut self, now_us: u64, queue: u32, frame: &[u8]) {
        if self.faults == WireFaults::default() && self.out.frames.is_empty() {
            return self.inner.send(now_us, queue, frame);
        }
        self.travel(true, now_us, queue, frame);
        self.pump(now_us);
    }

    fn recv(&mut self, now_us: u64, into: &mut [u8]) -> Option<usize> {
        let idle = self.out.frames.is_empty() && self.back.frames.is_empty();
        if idle && self.faults == WireFaults::default() {
            return self.inner.recv(now_us, into);
        }
        self.pump(now_us);
        let (_, frame) = self.back.due(now_us)?;
        let length = frame.len().min(into.len());
        into[..length].copy_from_slice(&frame[..length]);
        Some(length)
    }

    fn deadline_us(&self) -> Option<u64> {
        let first = |lane: &Lane| lane.frames.keys().next().map(|&(due_us, _)| due_us);
        [first(&self.out), first(&self.back), self.inner.deadline_us()].into_iter().flatten().min()
    }
}

/// Frames under way in one direction; more are lost.
const FRAMES_MAX: usize = 16_384;

/// Frames taken from the inner wire at a time.
const FRAMES_PER_PUMP: usize = 256;

#[cfg(test)]
mod tests {
    //! Proves each fault by its effect on a thousand frames, and that a seed repeats itself.
    use super::super::Cable;
    use super::*;

    /// Sends a thousand frames from side 0 and returns the arrival time and number of each.
    fn run(faults: WireFaults, seed: u64) -> Vec<(u64, u32, bool)> {
        let mut cable = Cable::default();
        let mut arrived = Vec::new();
        let mut carry = Faulty::new(cable.end(0), faults, seed);
        let mut waiting = 1000u32;
        let mut now_us = 0;
        loop {
            if waiting > 0 {
                let number = 1000 - waiting;
                let mut frame = [0u8; 100];
                frame[..4].copy_from_slice(&number.to_be_bytes());
                carry.send(now_us, 0, &frame);
                waiting -= 1;
            }
            carry.recv(now_us, &mut [0; FRAME_MAX]);
            let sent = core::mem::take(carry.inner_frames());
            for frame in sent {
                let number = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
                arrived.push((now_us, number, frame[4..].iter().any(|&byte| byte != 0)));
            }
            if waiting == 0 && carry.deadline_us().is_none() {
                return arrived;
            }
            now_us += 10;
        }
    }

    impl Faulty<super::super::CableEnd<'_>> {
        fn inner_frames(&mut self) -> &mut std::collections::VecDeque<Vec<u8>> {
            self.inner.sent()
        }
    }

    #[test]
    fn without_faults_everything_arrives_at_once() {
        let arrived = run(WireFaults::default(), 1);
        assert!(arrived.iter().enumerate().all(|(at, &(when, number, damaged))| {
            (when, number, damaged) == (at as u64 * 10, at as u32, false)
        }));
        assert_eq!(arrived.len(), 1000);
    }

    #[test]
    fn loss_duplicates_and_damage_come_at_their_rate() {
        let base = WireFaults::default();
        let lost = run(WireFaults { loss_ppm: 100_000, ..base }, 1).len();
        assert!((850..950).contains(&lost), "{lost}");
        let doubled = run(WireFaults { duplicate_ppm: 100_000, ..base }, 1).len();
        assert!((1050..1150).contains(&doubled), "{doubled}");
        let damaged = run(WireFaults { corrupt_ppm: 100_000, ..base }, 1);
        let damaged = damaged.iter().filter(|frame| frame.2).count();
        assert!((50..150).contains(&damaged), "{damaged}");
    }

    #[test]
    fn delay_rate_and_order() {
        let base = WireFaults::default();
        let delayed = run(WireFaults { delay_us: 500, ..base }, 1);
        assert_eq!(delayed.first().map(|frame| frame.0), Some(500));
        let slow = run(WireFaults { rate: 1_000_000, ..base }, 1);
        assert_eq!(
            slow.last().map(|frame| frame.0),
            Some(100_000),
            "100 bytes at 1 MB/s, 1000 times"
        );
        let in_order = |frames: &[(u64, u32, bool)]| frames.is_sorted_by_key(|frame| frame.1);
        assert!(in_order(&slow));
        assert!(!in_order(&run(WireFaults { reorder_ppm: 100_000, reorder_us: 100, ..base }, 1)));
        assert!(!in_order(&run(WireFaults { jitter_us: 100, ..base }, 1)));
    }

    #[test]
    fn a_seed_repeats_itself() {
        let faults = WireFaults { loss_ppm: 50_000, jitter_us: 90, ..WireFaults::default() };
        assert_eq!(run(faults, 7), run(faults, 7));
        assert_ne!(run(faults, 7), run(faults, 8));
    }
}
