//! One direction of a cable, and everything that can happen to a frame on it.

use penstock_fault::{Rng, damage};

use crate::frame::{Frame, raise_window};

/// What a link does to frames. Chained setters begin at [`Faults::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Propagation delay.
    pub delay_us: u64,
    /// A random addition to the delay of each frame; order is kept.
    pub jitter_us: u64,
    /// Frames lost, each on its own.
    pub loss_ppm: u32,
    /// Loss in bursts.
    pub burst: Option<Burst>,
    /// Frames held back so that later ones overtake them.
    pub reorder_ppm: u32,
    /// How long, at most, a frame is held back.
    pub reorder_us: u64,
    /// Frames that arrive twice.
    pub duplicate_ppm: u32,
    /// Frames in which one burst of at most 15 bits is flipped.
    pub corrupt_ppm: u32,
    /// Segments in which a larger window stands than was offered, so that text comes, and a FIN within
    /// it, for which there is no room.
    pub raise_ppm: u32,
    /// Bytes a millisecond; 0 is unlimited.
    pub rate_bytes_per_ms: u64,
    /// Bytes that may wait for a limited rate.
    pub queue_bytes: u64,
}

/// Two-state loss (Gilbert and Elliott): in the bad state frames are lost with `loss_ppm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Chance a frame to enter the bad state.
    pub enter_ppm: u32,
    /// Chance a frame to leave it.
    pub leave_ppm: u32,
    /// Loss within it.
    pub loss_ppm: u32,
}

impl Faults {
    /// A perfect cable of 10 µs.
    pub const NONE: Faults = Faults {
        delay_us: 10,
        jitter_us: 0,
        loss_ppm: 0,
        burst: None,
        reorder_ppm: 0,
        reorder_us: 0,
        duplicate_ppm: 0,
        corrupt_ppm: 0,
        raise_ppm: 0,
        rate_bytes_per_ms: 0,
        queue_bytes: 0,
    };

    /// With a propagation delay.
    pub fn delay(self, delay_us: u64) -> Faults {
        Faults { delay_us, ..self }
    }

    /// With jitter that keeps the order.
    pub fn jitter(self, jitter_us: u64) -> Faults {
        Faults { jitter_us, ..self }
    }

    /// With independent loss.
    pub fn loss(self, loss_ppm: u32) -> Faults {
        Faults { loss_ppm, ..self }
    }

    /// With bursts of loss.
    pub fn bursts(self, burst: Burst) -> Faults {
        Faults { burst: Some(burst), ..self }
    }

    /// With frames overtaken by later ones.
    pub fn reorder(self, reorder_ppm: u32, reorder_us: u64) -> Faults {
        Faults { reorder_ppm, reorder_us, ..self }
    }

    /// With duplicates.
    pub fn duplicate(self, duplicate_ppm: u32) -> Faults {
        Faults { duplicate_ppm, ..self }
    }

    /// With flipped bits.
    pub fn corrupt(self, corrupt_ppm: u32) -> Faults {
        Faults { corrupt_ppm, ..self }
    }

    /// With windows that say too much.
    pub fn raise(self, raise_ppm: u32) -> Faults {
        Faults { raise_ppm, ..self }
    }

    /// With a bounded rate and a bounded queue in front of it.
    pub fn rate(self, rate_bytes_per_ms: u64, queue_bytes: u64) -> Faults {
        Faults { rate_bytes_per_ms, queue_bytes, ..self }
    }

    /// What remains when faults stop: delay and rate.
    pub fn calmed(self) -> Faults {
        Faults { delay_us: self.delay_us, ..Faults::NONE }
            .rate(self.rate_bytes_per_ms, self.queue_bytes)
    }

    /// Whether every frame arrives, once, intact and in order.
    pub fn is_lossless(&self) -> bool {
        self.loss_ppm == 0
            && self.burst.is_none()
            && self.corrupt_ppm == 0
            && self.raise_ppm == 0
            && self.duplicate_ppm == 0
            && self.reorder_ppm == 0
            && self.rate_bytes_per_ms == 0
    }
}

/// What became of the frames on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkCounters {
    pub(crate) carried: u64,
    pub(crate) lost: u64,
    pub(crate) queue_full: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) raised: u64,
    pub(crate) cut: u64,
}

/// A link in one direction.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) faults: Faults,
    /// Frames vanish: a partition.
    pub(crate) is_cut: bool,
    pub(crate) counters: LinkCounters,
    rng: Rng,
    in_burst: bool,
    /// When the last byte accepted will have left.
    busy_until_us: u64,
    /// The latest arrival so far: jitter does not overtake.
    last_arrival_us: u64,
}

impl Link {
    pub(crate) fn new(faults: Faults, rng: Rng) -> Link {
        Link {
            faults,
            is_cut: false,
            counters: LinkCounters::default(),
            rng,
            in_burst: false,
            busy_until_us: 0,
            last_arrival_us: 0,
        }
    }

    /// Takes a frame; `arrive` gets each copy that reaches the other end, with its time.
    pub(crate) fn carry(
        &mut self,
        now_us: u64,
        mut frame: Frame,
        mut arrive: impl FnMut(u64, Frame),
    ) {
        if self.is_cut {
            self.counters.cut += 1;
            return;
        }
        let Some(departure_us) = self.departure(now_us, frame.len() as u64) else {
            self.counters.queue_full += 1;
            return;
        };
        if self.is_lost() {
            self.counters.lost += 1;
            return;
        }
        if frame.len() < crate::frame::FRAME_BYTES_MIN {
            // A card may pad with anything.
            let from = frame.len();
            frame.resize(crate::frame::FRAME_BYTES_MIN, 0);
            self.rng.fill(&mut frame[from..]);
        }
        if self.rng.chance(self.faults.corrupt_ppm) {
            self.counters.corrupted += 1;
            damage(&mut frame, &mut self.rng);
        }
        if self.faults.raise_ppm > 0 && self.rng.chance(self.faults.raise_ppm) {
            self.counters.raised += u64::from(raise_window(&mut frame));
        }
        let mut arrival_us = departure_us + self.faults.delay_us;
        if self.faults.jitter_us > 0 {
            arrival_us += self.rng.below(self.faults.jitter_us + 1);
        }
        if self.rng.chance(self.faults.reorder_ppm) {
            self.counters.reordered += 1;
            arrival_us += self.rng.range(1, self.faults.reorder_us.max(1));
        } else {
            arrival_us = arrival_us.max(self.last_arrival_us);
            self.last_arrival_us = arrival_us;
        }
        if self.rng.chance(self.faults.duplicate_ppm) {
            self.counters.duplicated += 1;
            let later_us = arrival_us + self.rng.below(self.faults.reorder_us.max(1000));
            arrive(later_us, frame.clone());
        }
        self.counters.carried += 1;
        arrive(arrival_us, frame);
    }

    /// When the frame has left, or `None` where the queue is full.
    fn departure(&mut self, now_us: u64, bytes: u64) -> Option<u64> {
        let rate = self.faults.rate_bytes_per_ms;
        if rate == 0 {
            return Some(now_us);
        }
        let waiting_us = self.busy_until_us.saturating_sub(now_us);
        if waiting_us * rate / 1000 > self.faults.queue_bytes {
            return None;
        }
        self.busy_until_us = self.busy_until_us.max(now_us) + (bytes * 1000).div_ceil(rate);
        Some(self.busy_until_us)
    }

    fn is_lost(&mut self) -> bool {
        let mut lost = self.rng.chance(self.faults.loss_ppm);
        if let Some(burst) = self.faults.burst {
            let turn_ppm = if self.in_burst { burst.leave_ppm } else { burst.enter_ppm };
            self.in_burst ^= self.rng.chance(turn_ppm);
            lost |= self.in_burst && self.rng.chance(burst.loss_ppm);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(link: &mut Link, frames: usize) -> Vec<(u64, Frame)> {
        let mut seen = Vec::new();
        for at in 0..frames {
            link.carry(at as u64, vec![at as u8; 100], |time, frame| seen.push((time, frame)));
        }
        seen
    }

    #[test]
    fn a_perfect_cable_delivers_all_in_order() {
        let mut link = Link::new(Faults::NONE, Rng::new(1, "link"));
        let seen = arrivals(&mut link, 50);
        assert_eq!(seen.len(), 50);
        assert!(seen.iter().enumerate().all(|(at, (time, _))| *time == at as u64 + 10));
    }

    #[test]
    fn each_fault_happens() {
        let mut lossy = Link::new(Faults::NONE.loss(500_000), Rng::new(2, "link"));
        assert!((20..80).contains(&arrivals(&mut lossy, 100).len()));
        let mut doubling = Link::new(Faults::NONE.duplicate(1_000_000), Rng::new(2, "link"));
        assert_eq!(arrivals(&mut doubling, 10).len(), 20);
        let mut swapping = Link::new(Faults::NONE.reorder(300_000, 50), Rng::new(2, "link"));
        let seen = arrivals(&mut swapping, 100);
        assert!(seen.windows(2).any(|pair| pair[0].0 > pair[1].0));
        let mut narrow = Link::new(Faults::NONE.rate(100, 1000), Rng::new(2, "link"));
        let seen = arrivals(&mut narrow, 100);
        assert!(seen.len() < 20 && narrow.counters.queue_full > 80);
    }
}
