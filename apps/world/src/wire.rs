//! What everybody hangs on, and the weather there.

use std::collections::BTreeMap;

use penstock_fault::{Rng, damage, mix};
use penstock_stack::Instant;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Frames that are lost, in a million.
    pub loss_ppm: u32,
    /// Frames that are damaged, in a million.
    pub damage_ppm: u32,
    /// Frames that come twice, in a million.
    pub repeat_ppm: u32,
    /// The longest time a frame is on its way.
    pub delay_us: u64,
}

/// Frames on their way. A sender is known by the last number of its address.
pub struct Wire {
    /// May change at any time, for frames not sent yet.
    pub weather: Weather,
    /// Nothing comes from there, and nothing gets there.
    pub cut: Vec<usize>,
    /// By when they arrive, and in which order they were sent.
    on_the_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    rng: Rng,
}

impl Wire {
    /// An empty wire; what happens on it follows from `seed`.
    pub fn new(seed: u64, weather: Weather) -> Wire {
        let (cut, on_the_way) = (Vec::new(), BTreeMap::new());
        Wire { weather, cut, on_the_way, sent: 0, rng: Rng::new(seed, "wire") }
    }

    /// Whether the host whose address ends in `last` is cut off.
    pub fn is_cut(&self, last: usize) -> bool {
        self.cut.contains(&last)
    }

    /// Takes a frame, and does to it what the weather is like.
    pub fn carry(&mut self, now: Instant, from: usize, mut frame: Vec<u8>) {
        let Wire { weather, cut, on_the_way, sent, rng } = self;
        if rng.chance(weather.loss_ppm) || cut.contains(&from) {
            return;
        }
        if rng.chance(weather.damage_ppm) {
            damage(&mut frame, rng);
        }
        for _ in 0..1 + u64::from(rng.chance(weather.repeat_ppm)) {
            let at = Instant(now.0 + 20 + rng.below(weather.delay_us + 1));
            *sent += 1;
            on_the_way.insert((at, *sent), (from, frame.clone()));
        }
    }

    /// When the next frame arrives.
    pub fn arrival(&self) -> Option<Instant> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// The next frame that has arrived by `now`, and who sent it.
    pub fn arrived(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let first = self.on_the_way.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

/// The core of `cores` that a card brings an IPv4 flow to, by a hash that the stack does not know;
/// `None` for everything else.
pub fn core_of(frame: &[u8], cores: usize) -> Option<usize> {
    let ports = frame.get(34..38).filter(|_| frame[12..14] == [8, 0])?;
    let word = u32::from_be_bytes(ports.try_into().expect("four bytes"));
    Some((mix(u64::from(word)) % cores as u64) as usize)
}
