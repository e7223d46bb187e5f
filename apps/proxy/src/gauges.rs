//! How many sessions there are, over all cores.
//!
//! Each core counts its own, and tells the others what has changed since it last did, some
//! milliseconds later: what `leastconn`, logs and conditions look at. A sum that decides nothing may
//! be that much behind; what may not be exceeded is in `slots.rs`.
//! Arrivals a second are known in the same way, where somebody asks for them.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use penstock_stack::Instant;

use crate::rate::Rate;

/// One of the things that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauge(u16);

/// Whose sessions decide something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A backend's.
    Backend(u16),
    /// A server's, among all.
    Server(u16),
}

/// What this core has of one.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    now: u32,
    /// Those that came since the beginning.
    ever: u64,
    /// Those that came since the others were told.
    untold: u16,
}

/// The gauges of one core.
#[derive(Debug)]
pub(crate) struct Gauges {
    frontends: u16,
    backends: u16,
    own: Box<[Own]>,
    /// Over all cores, as far as is known.
    totals: Box<[u32]>,
    /// What each other core has said: by core, then by gauge.
    heard: Box<[u32]>,
    is_changed: Box<[bool]>,
    /// What has changed since the last word about it, each once.
    changed: Vec<u16>,
    cores: u16,
    /// Arrivals over all cores; none where nobody asks.
    rates: Box<[Rate]>,
}

impl Gauges {
    /// What one gauge takes.
    pub(crate) fn bytes(cores: u16, counts_rates: bool) -> usize {
        let heard = if cores > 1 { usize::from(cores) } else { 0 };
        let rate = if counts_rates { size_of::<Rate>() } else { 0 };
        let own = size_of::<Own>() + size_of::<bool>() + size_of::<u16>();
        (1 + heard) * size_of::<u32>() + own + rate
    }

    /// For so many of each, on one of `cores` cores.
    pub(crate) fn new(frontends: usize, backends: usize, servers: usize, cores: u16) -> Gauges {
        let count = 1 + frontends + backends + servers;
        let heard = if cores > 1 { count * cores as usize } else { 0 };
        Gauges {
            frontends: frontends as u16,
            backends: backends as u16,
            own: vec![Own::default(); count].into(),
            totals: vec![0; count].into(),
            heard: vec![0; heard].into(),
            is_changed: vec![false; count].into(),
            changed: Vec::with_capacity(count),
            cores,
            rates: Box::default(),
        }
    }

    /// Counts arrivals too.
    pub(crate) fn count_rates(&mut self) {
        self.rates = vec![Rate::default(); self.own.len()].into();
    }

    /// How many came in the last second, over all cores.
    pub(crate) fn rate(&self, gauge: Gauge, now: Instant) -> u64 {
        let rate = self.rates.get(usize::from(gauge.0));
        rate.map_or(0, |rate| rate.within(SECOND_MS, now.millis()))
    }

    pub(crate) const fn process(&self) -> Gauge {
        Gauge(0)
    }

    pub(crate) fn frontend(&self, number: u16) -> Gauge {
        Gauge(1 + number)
    }

    pub(crate) fn backend(&self, number: u16) -> Gauge {
        Gauge(1 + self.frontends + number)
    }

    pub(crate) fn server(&self, number: u16) -> Gauge {
        Gauge(1 + self.frontends + self.backends + number)
    }

    /// Those of this core.
    pub(crate) fn own(&self, gauge: Gauge) -> u32 {
        self.own[gauge.0 as usize].now
    }

    /// Everything that this core counts or has heard of (a check, for tests).
    pub(crate) fn sum(&self) -> u32 {
        self.totals.iter().sum()
    }

    pub(crate) fn total(&self, gauge: Gauge) -> u32 {
        self.totals[gauge.0 as usize]
    }

    /// How many came to a section on this core, counted as frontends and then backends are.
    pub(crate) fn ever(&self, section: u16) -> u64 {
        self.own[1 + section as usize].ever
    }

    /// The sessions of servers that stand beside each other.
    pub(crate) fn of_servers(&self, servers: core::ops::Range<u16>) -> &[u32] {
        let first = self.server(servers.start).0 as usize;
        &self.totals[first..first + servers.len()]
    }

    #[inline]
    pub(crate) fn more(&mut self, gauge: Gauge, now: Instant) {
        let own = &mut self.own[gauge.0 as usize];
        own.now += 1;
        own.ever += 1;
        if let Some(rate) = self.rates.get_mut(gauge.0 as usize) {
            own.untold = own.untold.saturating_add(1);
            rate.add(1, SECOND_MS, now.millis());
        }
        self.totals[gauge.0 as usize] += 1;
        self.change(gauge);
    }

    #[inline]
    pub(crate) fn less(&mut self, gauge: Gauge) {
        let own = &mut self.own[gauge.0 as usize];
        if own.now > 0 {
            own.now -= 1;
            self.totals[gauge.0 as usize] -= 1;
            self.change(gauge);
        }
    }

    /// Whether other cores have something to hear.
    pub(crate) fn has_news(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What changed, a word for each, as many as fit; how many there are.
    pub(crate) fn news(&mut self, words: &mut [u64]) -> usize {
        let mut count = 0;
        while count < words.len()
            && let Some(gauge) = self.changed.pop()
        {
            self.is_changed[gauge as usize] = false;
            let own = &mut self.own[gauge as usize];
            let arrived = u64::from(core::mem::take(&mut own.untold));
            words[count] = arrived << 48 | u64::from(gauge) << 32 | u64::from(own.now);
            count += 1;
        }
        count
    }

    /// These could not be told to everybody.
    pub(crate) fn take_back(&mut self, words: &[u64]) {
        for word in words {
            let gauge = Gauge((word >> 32) as u16);
            let untold = &mut self.own[usize::from(gauge.0)].untold;
            *untold = untold.saturating_add((word >> 48) as u16);
            self.change(gauge);
        }
    }

    /// Core `from` said this of a gauge: which one it is.
    pub(crate) fn on_told(&mut self, from: u16, word: u64, now: Instant) -> Option<Gauge> {
        let (gauge, value) = ((word >> 32) as u16, word as u32);
        let at = self.own.len() * from as usize + gauge as usize;
        if gauge as usize >= self.own.len() {
            return None;
        }
        let before = core::mem::replace(self.heard.get_mut(at)?, value);
        let arrived = (word >> 48) as i32;
        if let Some(rate) = self.rates.get_mut(gauge as usize).filter(|_| arrived > 0) {
            rate.add(arrived, SECOND_MS, now.millis());
        }
        let total = &mut self.totals[gauge as usize];
        *total = total.wrapping_sub(before).wrapping_add(value);
        Some(Gauge(gauge))
    }

    /// The backend or the server that a gauge is of.
    pub(crate) fn owner(&self, gauge: Gauge) -> Option<Counted> {
        let behind_frontends = gauge.0.checked_sub(1 + self.frontends)?;
        Some(match behind_frontends.checked_sub(self.backends) {
            None => Counted::Backend(behind_frontends),
            Some(server) => Counted::Server(server),
        })
    }

    #[inline]
    fn change(&mut self, gauge: Gauge) {
        if self.cores > 1 && !core::mem::replace(&mut self.is_changed[gauge.0 as usize], true) {
            self.changed.push(gauge.0);
        }
    }
}

const SECOND_MS: u32 = 1_000;

#[cfg(test)]
mod tests {
    //! What one core counts, the others know.

    use super::*;

    #[test]
    fn arrivals_a_second_are_those_of_all_cores() {
        let mut cores = [0, 1].map(|_| Gauges::new(1, 1, 1, 2));
        cores.iter_mut().for_each(Gauges::count_rates);
        let at = |ms| Instant::default() + penstock_stack::Duration::from_millis(ms);
        let [one, other] = &mut cores;
        let gauge = one.frontend(0);
        for ms in 0..1_000 {
            one.more(gauge, at(ms));
            one.less(gauge);
            if ms % 2 == 0 {
                other.more(gauge, at(ms));
            }
            let mut words = [0; 4];
            let count = one.news(&mut words);
            if ms % 10 == 3 {
                // A full mailbox.
                one.take_back(&words[..count]);
                continue;
            }
            for &word in &words[..count] {
                assert_eq!(other.on_told(0, word, at(ms)), Some(gauge));
            }
        }
        assert_eq!(one.rate(gauge, at(999)), 1_000);
        assert_eq!(other.rate(gauge, at(999)), 1_500);
        assert_eq!((one.total(gauge), other.total(gauge)), (0, 500));
        assert_eq!(other.rate(gauge, at(10_000)), 0);
        assert_eq!(other.rate(other.backend(0), at(999)), 0);
    }
}
