//! A stick table of one core: counters by key, in bounded memory and bounded time.
//!
//! ```text
//!   hash of the key ─▶ a set of 8 places ─▶ the place of the key, or the one that was used longest ago
//! ```
//! A key can only stand in the places of its set, so that whoever chooses keys badly, or well, makes
//! nobody look further than 8 places and drives out nobody but his neighbours. HAProxy drives out the
//! oldest of the whole table. A place that is tracked stays.
//!
//! Each core has all keys, and counts what happens on it; what it has counted since it last said so
//! it tells the others ([`Table::news`]), who add it to theirs. So a rate is the sum over all cores,
//! at most some milliseconds late, and nothing is shared.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use penstock_config::haproxy::{Counter, HashFunction, Key, StickTable, Stored};
use penstock_stack::{Duration, Instant};

use crate::limits;
use crate::line::Line;
use crate::rate::Rate;
use crate::sample::{Room, Value};

/// A place in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId(u32);

/// Bytes that name an entry: shorter ones end in zeroes, longer ones are cut.
pub(crate) type KeyBytes = [u8; limits::KEY_BYTES];

/// What another core is told, or tells: so much more of a counter of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) key: KeyBytes,
    /// Which of the counters that the table stores.
    pub(crate) counter: u8,
    pub(crate) more: i32,
    /// It is so much, whatever it was.
    pub(crate) is_absolute: bool,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    kind: Key,
    stored: Box<[Stored]>,
    expire_ms: Option<u32>,
    no_purge: bool,
    places: Box<[Place]>,
    /// By place, then by counter: a rate, or of it the count alone.
    cells: Box<[Rate]>,
    untold: Box<[i32]>,
    /// Places with something untold, each once; empty where there is only one core.
    changed: Vec<u32>,
    is_alone: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    key: KeyBytes,
    /// Milliseconds on a ring of 2^32.
    used_at: u32,
    /// Connections of this core that track it.
    holds: u32,
    /// Counters that were set and of which nobody was told, a bit for each.
    sets: u64,
    /// The core that last said which server it is, when, and when others were told last.
    author: u16,
    set_at: u32,
    told_at: u32,
    is_taken: bool,
    is_changed: bool,
}

impl Place {
    const EMPTY: Place = Place {
        key: [0; _],
        used_at: 0,
        holds: 0,
        sets: 0,
        author: 0,
        set_at: 0,
        told_at: 0,
        is_taken: false,
        is_changed: false,
    };
}

impl Table {
    /// An empty table, of one of `cores` cores.
    pub(crate) fn new(table: &StickTable, cores: u16) -> Table {
        let places = Table::places(table);
        let is_alone = cores == 1;
        let told = if is_alone { 0 } else { places };
        Table {
            kind: table.key,
            stored: table.counters.clone().into(),
            expire_ms: table.expire.map(|expire| expire.millis().min(1 << 30) as u32),
            no_purge: table.no_purge,
            places: vec![Place::EMPTY; places].into(),
            cells: vec![Rate::default(); places * table.counters.len()].into(),
            untold: vec![0; told * table.counters.len()].into(),
            changed: Vec::with_capacity(told),
            is_alone,
        }
    }

    /// What a table takes of the memory of one of `cores` cores.
    pub(crate) fn bytes(table: &StickTable, cores: u16) -> usize {
        let counters = table.counters.len();
        let told = if cores == 1 { 0 } else { counters * size_of::<i32>() + size_of::<u32>() };
        let counted = counters * size_of::<Rate>();
        Table::places(table) * (size_of::<Place>() + counted + told)
    }

    fn places(table: &StickTable) -> usize {
        let size = (table.size as usize).clamp(WAYS, limits::TABLE_KEYS);
        size.div_ceil(WAYS).next_power_of_two() * WAYS
    }

    /// A sample as a key of this table; `None` when it cannot be one.
    pub(crate) fn key(&self, value: Value<'_>) -> Option<KeyBytes> {
        let mut key = [0; limits::KEY_BYTES];
        let mut line = Line::new(&mut key);
        let mut text = [0; limits::KEY_BYTES];
        let mut room = Room::new(&mut text);
        match self.kind {
            Key::Ip => line.push(&value.addr().filter(|addr| addr.is_v4())?.bytes()),
            Key::Ipv6 => line.push(&value.addr()?.bytes()),
            Key::Integer => line.push(&(value.int()? as u32).to_be_bytes()),
            Key::Text(most) => {
                let text = value.text(&mut room);
                line.push(&text[..text.len().min(most as usize)]);
            }
            Key::Binary(most) => {
                let bytes = value.bytes(&mut room);
                line.push(&bytes[..bytes.len().min(most as usize)]);
            }
        }
        Some(key)
    }

    /// The place of a key that is known.
    pub(crate) fn find(&self, key: &KeyBytes, now: Instant) -> Option<EntryId> {
        let set = self.set_of(key);
        let known = |place: &Place| place.is_taken && place.key == *key;
        let at = set.start + self.places[set].iter().position(known)?;
        let place = &self.places[at];
        let is_there = place.holds > 0 || !self.is_expired(place, now.millis());
        is_there.then_some(EntryId(at as u32))
    }

    /// The place of a key, which is used now; `None` when everybody in its set is tracked, or nobody
    /// may be driven out.
    pub(crate) fn take(&mut self, key: &KeyBytes, now: Instant) -> Option<EntryId> {
        let now_ms = now.millis();
        if let Some(entry) = self.find(key, now) {
            self.places[entry.0 as usize].used_at = now_ms;
            return Some(entry);
        }
        let set = self.set_of(key);
        let age = |place: &Place| now_ms.wrapping_sub(place.used_at);
        let is_free =
            |place: &Place| !place.is_taken || place.key == *key || self.is_expired(place, now_ms);
        let unheld = || set.clone().filter(|&at| self.places[at].holds == 0);
        let free = unheld().find(|&at| is_free(&self.places[at]));
        let oldest = || unheld().max_by_key(|&at| age(&self.places[at])).filter(|_| !self.no_purge);
        let at = free.or_else(oldest)?;
        // What was not told of whom it drives out is lost with him.
        let is_changed = self.places[at].is_changed;
        self.places[at] =
            Place { key: *key, used_at: now_ms, is_taken: true, is_changed, ..Place::EMPTY };
        let cells = self.cells_of(at);
        self.cells[cells.clone()].fill(Rate::default());
        if !self.is_alone {
            self.untold[cells].fill(0);
        }
        Some(EntryId(at as u32))
    }

    /// A connection tracks it from now on.
    pub(crate) fn hold(&mut self, entry: EntryId) {
        self.places[entry.0 as usize].holds += 1;
    }

    /// A connection does no more.
    pub(crate) fn release(&mut self, entry: EntryId, now: Instant) {
        let place = &mut self.places[entry.0 as usize];
        place.holds = place.holds.saturating_sub(1);
        place.used_at = now.millis();
    }

    /// Counts, here and for all other cores.
    pub(crate) fn add(&mut self, entry: EntryId, counter: Counter, more: i32, now: Instant) {
        let Some(which) = self.which(counter) else { return };
        self.count(entry, which, more, now);
        if self.is_alone {
            return;
        }
        let at = entry.0 as usize;
        let untold = &mut self.untold[at * self.stored.len() + which];
        *untold = untold.saturating_add(more);
        self.note(entry);
    }

    /// Counts one, in the rate of this counter too.
    pub(crate) fn increment(&mut self, entry: EntryId, counter: Counter, now: Instant) {
        let counters = [Some(counter), counter.rate()];
        counters.into_iter().flatten().for_each(|counter| self.add(entry, counter, 1, now));
    }

    /// What was counted, or if only a rate is, in its present period; `None` when neither is stored.
    pub(crate) fn counted(&self, entry: EntryId, counter: Counter) -> Option<i64> {
        let which = self.which(counter).or_else(|| self.which(counter.rate()?))?;
        let cells = &self.cells[self.cells_of(entry.0 as usize)];
        Some(cells[which].count as i64)
    }

    /// The key that stands there.
    pub(crate) fn key_of(&self, entry: EntryId) -> &KeyBytes {
        &self.places[entry.0 as usize].key
    }

    /// Makes a counter this much, here and on all other cores.
    pub(crate) fn set(&mut self, entry: EntryId, counter: Counter, value: u32) {
        let Some(which) = self.which(counter) else { return };
        self.cell(entry, which).count = value.into();
        if !self.is_alone {
            let at = entry.0 as usize;
            self.untold[at * self.stored.len() + which] = 0;
            self.places[at].sets |= 1 << which;
            self.note(entry);
        }
    }

    /// The server of a key is this one, by its number, as a session of core `core` has it. Where
    /// cores say different things within the time that a word takes, the lowest is right.
    pub(crate) fn remember(&mut self, entry: EntryId, server: u32, core: u16, now: Instant) {
        if self.adopt(entry, server, core, now) {
            self.places[entry.0 as usize].told_at = now.millis();
            self.set(entry, Counter::ServerId, server);
        }
    }

    /// The server of a key; it is used now.
    pub(crate) fn recall(&mut self, key: &KeyBytes, now: Instant) -> Option<u32> {
        let entry = self.find(key, now)?;
        let now_ms = now.millis();
        let place = &mut self.places[entry.0 as usize];
        place.used_at = now_ms;
        let server = self.read(entry, Counter::ServerId, now).filter(|&server| server > 0)? as u32;
        // Or others would forget it while it is used here.
        let told_at = self.places[entry.0 as usize].told_at;
        if self.expire_ms.is_some_and(|expire| now_ms.wrapping_sub(told_at) >= expire / 4) {
            self.places[entry.0 as usize].told_at = now_ms;
            self.set(entry, Counter::ServerId, server);
        }
        Some(server)
    }

    fn adopt(&mut self, entry: EntryId, server: u32, core: u16, now: Instant) -> bool {
        let Some(which) = self.which(Counter::ServerId) else { return false };
        let before = self.cell(entry, which).count;
        let place = &mut self.places[entry.0 as usize];
        let is_contested = now.millis().wrapping_sub(place.set_at) < limits::CONTEST_MS;
        if before > 0 && before != u64::from(server) && is_contested && place.author < core {
            return false;
        }
        (place.author, place.set_at) = (core, now.millis());
        true
    }

    /// Others have something to hear of it.
    fn note(&mut self, entry: EntryId) {
        if !core::mem::replace(&mut self.places[entry.0 as usize].is_changed, true) {
            self.changed.push(entry.0);
        }
    }

    /// What a counter says; `None` when the table has no such counter.
    pub(crate) fn read(&self, entry: EntryId, counter: Counter, now: Instant) -> Option<i64> {
        let place = &self.places[entry.0 as usize];
        let idle_ms = now.millis().wrapping_sub(place.used_at);
        match (counter, self.expire_ms) {
            (Counter::Trackers, _) => return Some(place.holds.into()),
            // As with HAProxy, of a table that forgets nothing.
            (Counter::Expire | Counter::Idle, None) => return Some(0),
            (Counter::Expire, Some(expire)) => return Some(expire.saturating_sub(idle_ms).into()),
            (Counter::Idle, Some(expire)) => return Some(idle_ms.min(expire).into()),
            _ => {}
        }
        let which = self.which(counter)?;
        let cell = &self.cells[entry.0 as usize * self.stored.len() + which];
        let value = match self.stored[which].period {
            Some(period) => cell.within(period_ms(period), now.millis()),
            None => cell.count,
        };
        let is_bytes = matches!(counter, Counter::BytesInCnt | Counter::BytesOutCnt);
        Some((if is_bytes { value >> 10 } else { value }) as i64)
    }

    /// What all keys have of a counter (a check, for tests).
    pub(crate) fn sum_of(&self, counter: Counter, now: Instant) -> i64 {
        let known = (0..).zip(&self.places).filter(|(_, place)| place.is_taken);
        known.filter_map(|(at, _)| self.read(EntryId(at), counter, now)).sum()
    }

    /// Connections of this core that track a key (a check, for tests).
    pub(crate) fn trackers(&self) -> i64 {
        self.places.iter().map(|place| i64::from(place.holds)).sum()
    }

    /// Keys that are known, and how many more could be.
    pub(crate) fn usage(&self, now: Instant) -> (u32, u32) {
        let is_known = |place: &&Place| {
            place.is_taken && (place.holds > 0 || !self.is_expired(place, now.millis()))
        };
        let known = self.places.iter().filter(is_known).count();
        (known as u32, (self.places.len() - known) as u32)
    }

    /// Whether other cores have something to hear.
    pub(crate) fn has_news(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The next word for all other cores.
    pub(crate) fn news(&mut self) -> Option<News> {
        loop {
            let at = *self.changed.last()? as usize;
            let cells = self.cells_of(at);
            let begin = cells.start;
            let place = &mut self.places[at];
            if place.sets != 0 {
                let which = place.sets.trailing_zeros();
                place.sets &= place.sets - 1;
                let cell = begin + which as usize;
                // What was counted since is told behind it.
                let since = self.untold[cell];
                let value = self.cells[cell].count.saturating_add_signed(-i64::from(since));
                let key = place.key;
                let more = value.min(u32::MAX.into()) as u32 as i32;
                return Some(News { key, counter: which as u8, more, is_absolute: true });
            }
            if let Some(which) = self.untold[cells].iter().position(|more| *more != 0) {
                let more = core::mem::take(&mut self.untold[begin + which]);
                let key = self.places[at].key;
                return Some(News { key, counter: which as u8, more, is_absolute: false });
            }
            self.places[at].is_changed = false;
            self.changed.pop();
        }
    }

    /// Core `from` has counted this.
    pub(crate) fn on_news(&mut self, news: &News, from: u16, now: Instant) {
        let which = usize::from(news.counter);
        if which >= self.stored.len() {
            return;
        }
        if news.is_absolute {
            let Some(entry) = self.take(&news.key, now) else { return };
            let value = news.more as u32;
            let is_server = self.stored[which].counter == Counter::ServerId;
            if !is_server || self.adopt(entry, value, from, now) {
                self.cell(entry, which).count = value.into();
                self.places[entry.0 as usize].told_at = now.millis();
            }
            return;
        }
        // Who is gone here needs no end.
        let entry =
            if news.more > 0 { self.take(&news.key, now) } else { self.find(&news.key, now) };
        if let Some(entry) = entry {
            self.count(entry, which, news.more, now);
        }
    }

    fn count(&mut self, entry: EntryId, which: usize, more: i32, now: Instant) {
        let period = self.stored[which].period;
        let cell = self.cell(entry, which);
        match period {
            Some(period) => cell.add(more, period_ms(period), now.millis()),
            None => cell.count = cell.count.saturating_add_signed(more.into()),
        }
    }

    fn cell(&mut self, entry: EntryId, which: usize) -> &mut Rate {
        &mut self.cells[entry.0 as usize * self.stored.len() + which]
    }

    fn which(&self, counter: Counter) -> Option<usize> {
        let at = |counter| self.stored.iter().position(|stored| stored.counter == counter);
        at(counter).or_else(|| at(counter.element()?))
    }

    fn cells_of(&self, at: usize) -> core::ops::Range<usize> {
        at * self.stored.len()..(at + 1) * self.stored.len()
    }

    /// The places where a key may stand.
    fn set_of(&self, key: &KeyBytes) -> core::ops::Range<usize> {
        let sets = self.places.len() / WAYS;
        let hash = crate::hash::mix(crate::hash::hash(HashFunction::Crc32, key));
        let begin = hash as usize % sets * WAYS;
        begin..begin + WAYS
    }

    fn is_expired(&self, place: &Place, now_ms: u32) -> bool {
        self.expire_ms.is_some_and(|expire| now_ms.wrapping_sub(place.used_at) >= expire)
    }
}

fn period_ms(period: Duration) -> u32 {
    period.millis().clamp(1, 1 << 30) as u32
}

/// Places of a set.
const WAYS: usize = 8;

#[cfg(test)]
mod tests;
