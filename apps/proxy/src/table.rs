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
    is_taken: bool,
    is_changed: bool,
}

impl Table {
    /// An empty table, of one of `cores` cores.
    pub(crate) fn new(table: &StickTable, cores: u16) -> Table {
        let places = Table::places(table);
        let empty = Place { key: [0; _], used_at: 0, holds: 0, is_taken: false, is_changed: false };
        let is_alone = cores == 1;
        let told = if is_alone { 0 } else { places };
        Table {
            kind: table.key,
            stored: table.counters.clone().into(),
            expire_ms: table.expire.map(|expire| expire.millis().min(1 << 30) as u32),
            no_purge: table.no_purge,
            places: vec![empty; places].into(),
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
            Place { key: *key, used_at: now_ms, holds: 0, is_taken: true, is_changed };
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
        self.untold[at * self.stored.len() + which] += more;
        if !core::mem::replace(&mut self.places[at].is_changed, true) {
            self.changed.push(entry.0);
        }
    }

    /// Counts in `gpc0` or `gpc1`, and its rate.
    pub(crate) fn increment(&mut self, entry: EntryId, counter: u8, now: Instant) {
        let counters = match counter {
            0 => [Counter::Gpc0, Counter::Gpc0Rate],
            _ => [Counter::Gpc1, Counter::Gpc1Rate],
        };
        counters.into_iter().for_each(|counter| self.add(entry, counter, 1, now));
    }

    /// The key that stands there.
    pub(crate) fn key_of(&self, entry: EntryId) -> &KeyBytes {
        &self.places[entry.0 as usize].key
    }

    /// Makes a counter this much, on this core.
    pub(crate) fn set(&mut self, entry: EntryId, counter: Counter, value: u32) {
        if let Some(which) = self.which(counter) {
            self.cell(entry, which).count = value.into();
        }
    }

    /// What a counter says; `None` when the table has no such counter.
    pub(crate) fn read(&self, entry: EntryId, counter: Counter, now: Instant) -> Option<i64> {
        if counter == Counter::Trackers {
            return Some(self.places[entry.0 as usize].holds.into());
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
            if let Some(which) = self.untold[cells].iter().position(|more| *more != 0) {
                let more = core::mem::take(&mut self.untold[begin + which]);
                return Some(News { key: self.places[at].key, counter: which as u8, more });
            }
            self.places[at].is_changed = false;
            self.changed.pop();
        }
    }

    /// Another core has counted this.
    pub(crate) fn on_news(&mut self, news: &News, now: Instant) {
        let which = usize::from(news.counter);
        if which >= self.stored.len() {
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
        self.stored.iter().position(|stored| stored.counter == counter)
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
mod tests {
    //! Rates slide, keys come and go in bounded room, and the parts of cores add up.

    use super::*;
    use penstock_wire::Addr;
    use std::collections::BTreeMap;

    fn spec(size: u32, expire_s: u64) -> StickTable {
        let stored = |counter, period: Option<u64>| Stored {
            counter,
            period: period.map(Duration::from_secs),
        };
        StickTable {
            name: "t".into(),
            key: Key::Ip,
            size,
            no_purge: false,
            expire: Some(Duration::from_secs(expire_s)),
            counters: [
                stored(Counter::ConnRate, Some(10)),
                stored(Counter::ConnCnt, None),
                stored(Counter::ConnCur, None),
            ]
            .into(),
        }
    }

    fn key(number: u32) -> KeyBytes {
        let table = Table::new(&spec(1, 1), 1);
        table.key(Value::Addr(Addr::v4(number))).expect("an address")
    }

    fn at(millis: u64) -> Instant {
        Instant(millis * 1_000)
    }

    #[test]
    fn a_rate_slides() {
        let mut table = Table::new(&spec(100, 100), 1);
        let entry = table.take(&key(1), at(50_000)).expect("room");
        for n in 0..100 {
            table.add(entry, Counter::ConnRate, 1, at(50_000 + n * 100));
        }
        let rate = |table: &Table, millis| table.read(entry, Counter::ConnRate, at(millis));
        assert_eq!(rate(&table, 59_900), Some(100));
        assert_eq!(rate(&table, 65_000), Some(50), "half of the last period");
        assert_eq!(rate(&table, 69_900), Some(1));
        assert_eq!(rate(&table, 90_000), Some(0));
        table.add(entry, Counter::ConnRate, 1, at(200_000));
        assert_eq!(rate(&table, 209_000), Some(1));
        assert_eq!(rate(&table, 215_000), Some(1), "one event is there for all of its period");
        assert_eq!(rate(&table, 230_000), Some(0));
    }

    #[test]
    fn counters_count_and_others_are_not_there() {
        let mut table = Table::new(&spec(100, 100), 1);
        let entry = table.take(&key(1), at(0)).expect("room");
        table.add(entry, Counter::ConnCnt, 3, at(0));
        table.add(entry, Counter::ConnCur, 1, at(0));
        table.add(entry, Counter::ConnCur, -1, at(0));
        table.add(entry, Counter::ConnCur, -1, at(0));
        table.add(entry, Counter::Gpc0, 1, at(0));
        assert_eq!(table.read(entry, Counter::ConnCnt, at(0)), Some(3));
        assert_eq!(table.read(entry, Counter::ConnCur, at(0)), Some(0), "never below 0");
        assert_eq!(table.read(entry, Counter::Gpc0, at(0)), None);
        table.hold(entry);
        assert_eq!(table.read(entry, Counter::Trackers, at(0)), Some(1));
    }

    #[test]
    fn keys_expire_unless_they_are_tracked() {
        let mut table = Table::new(&spec(100, 10), 1);
        let entry = table.take(&key(1), at(0)).expect("room");
        assert!(table.find(&key(1), at(9_999)).is_some());
        assert!(table.find(&key(1), at(10_000)).is_none());
        table.add(entry, Counter::ConnCnt, 1, at(0));
        let again = table.take(&key(1), at(20_000)).expect("room");
        assert_eq!(table.read(again, Counter::ConnCnt, at(20_000)), Some(0), "all is forgotten");
        table.hold(again);
        assert!(table.find(&key(1), at(90_000)).is_some());
        table.release(again, at(90_000));
        assert!(table.find(&key(1), at(99_000)).is_some());
        assert!(table.find(&key(1), at(100_000)).is_none());
    }

    #[test]
    fn a_full_table_drives_out_the_oldest_and_nobody_who_is_tracked() {
        let mut table = Table::new(&spec(64, 1_000), 1);
        let held = table.take(&key(0), at(0)).expect("room");
        table.hold(held);
        for number in 1..10_000 {
            assert!(table.take(&key(number), at(u64::from(number))).is_some());
        }
        assert!(table.find(&key(0), at(10_000)).is_some());
        assert!(table.find(&key(9_999), at(10_000)).is_some());
        assert!(table.find(&key(1), at(10_000)).is_none());
        let (known, free) = table.usage(at(10_000));
        assert_eq!(known + free, 64);
        let mut strict = Table::new(&StickTable { no_purge: true, ..spec(64, 1_000) }, 1);
        let taken = (0..1_000).filter(|n| strict.take(&key(*n), at(0)).is_some()).count();
        assert!((33..=64).contains(&taken), "{taken}");
    }

    #[test]
    fn keys_are_what_the_table_says() {
        let of = |kind, value: Value<'_>| {
            let table = Table::new(&StickTable { key: kind, ..spec(8, 1) }, 1);
            table.key(value)
        };
        let v6 = Addr::v6([0x20; 16]);
        assert_eq!(of(Key::Ip, Value::Addr(v6)), None);
        assert!(of(Key::Ipv6, Value::Addr(v6)).is_some());
        assert!(of(Key::Ip, Value::Text(b"10.0.0.1")).is_some());
        assert_eq!(of(Key::Integer, Value::Binary(b"x")), None);
        assert_eq!(of(Key::Text(2), Value::Text(b"abc")), of(Key::Text(2), Value::Text(b"abd")));
        assert_ne!(of(Key::Text(3), Value::Text(b"abc")), of(Key::Text(3), Value::Text(b"abd")));
    }

    #[test]
    fn the_parts_of_cores_add_up() {
        let mut tables: std::vec::Vec<Table> =
            (0..3).map(|_| Table::new(&spec(1_000, 100), 3)).collect();
        let mut truth = BTreeMap::new();
        for event in 0..3_000u32 {
            let (core, source) = ((event * 7 % 3) as usize, event * event % 17);
            let now = at(u64::from(event));
            let entry = tables[core].take(&key(source), now).expect("room");
            tables[core].add(entry, Counter::ConnCnt, 1, now);
            tables[core].add(entry, Counter::ConnRate, 1, now);
            *truth.entry(source).or_insert(0) += 1;
            if event % 10 > 0 {
                continue;
            }
            for teller in 0..3 {
                while let Some(news) = tables[teller].news() {
                    (0..3).filter(|core| *core != teller).for_each(|core| {
                        tables[core].on_news(&news, now);
                    });
                }
            }
        }
        let now = at(3_000);
        for teller in 0..3 {
            while let Some(news) = tables[teller].news() {
                (0..3).filter(|core| *core != teller).for_each(|core| {
                    tables[core].on_news(&news, now);
                });
            }
            assert!(!tables[teller].has_news());
        }
        for (source, count) in truth {
            for table in &tables {
                let entry = table.find(&key(source), now).expect("known");
                assert_eq!(table.read(entry, Counter::ConnCnt, now), Some(count));
                assert_eq!(table.read(entry, Counter::ConnRate, now), Some(count));
            }
        }
    }
}
