//! Stick tables at work: which keys connections track, and what conditions read of them.
//!
//! Rules only look at a session, but `track-sc0` and its kin count while they do: so the tables are
//! the one thing of a core behind a [`RefCell`], borrowed for a moment at a time.
//!
//! What is counted here is told to the other cores a millisecond later, key by key. A word that one
//! of them has no room for is kept in hand until he has, since whoever heard it twice would count it
//! twice; meanwhile counting goes on, and what gathers is told in one word.

use core::cell::RefCell;

use alloc::boxed::Box;
use alloc::vec;

use penstock_config::haproxy::{Counter, StickTable, TableId};
use penstock_stack::{Cx, Instant};

use crate::limits;
use crate::proxy::Proxy;
use crate::sample::Value;
use crate::session::SessionId;
use crate::table::{EntryId, KeyBytes, News, Table};

/// The stick tables of a core.
#[derive(Debug)]
pub(crate) struct Counters(RefCell<Tables>);

#[derive(Debug)]
struct Tables {
    tables: Box<[Table]>,
    /// What each session tracks: by its number, then by `sc0`, `sc1`, `sc2`.
    held: Box<[[Option<Hold>; SLOTS]]>,
    /// Keys of each session for which its server is to be remembered: by its number, so many each.
    kept: Box<[Option<(TableId, KeyBytes)>]>,
    kept_each: usize,
    /// What some cores have yet to hear, a bit for each.
    in_hand: Option<(TableId, News, u128)>,
}

/// A key that a session tracks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    table: u16,
    entry: EntryId,
}

impl Hold {
    /// What a session takes to know the keys that it tracks.
    pub(crate) const SESSION_BYTES: usize = size_of::<[Option<Hold>; SLOTS]>();
}

impl Counters {
    /// `kept_each`: of how many keys a session's server is remembered.
    pub(crate) fn new(
        tables: &[StickTable],
        cores: u16,
        sessions: usize,
        kept_each: usize,
    ) -> Counters {
        let held = if tables.is_empty() { 0 } else { sessions };
        Counters(RefCell::new(Tables {
            tables: tables.iter().map(|table| Table::new(table, cores)).collect(),
            held: vec![[None; SLOTS]; held].into(),
            kept: vec![None; held * kept_each].into(),
            kept_each,
            in_hand: None,
        }))
    }

    /// A session tracks this key from now on, unless it tracks one in this slot already.
    pub(crate) fn track(
        &self,
        id: SessionId,
        slot: u8,
        table: Option<TableId>,
        key: Value<'_>,
        now: Instant,
    ) {
        let tables = &mut *self.0.borrow_mut();
        let Some(TableId(number)) = table else { return };
        let Some(table) = tables.tables.get_mut(usize::from(number)) else { return };
        let Some(held) = tables.held.get_mut(id.0 as usize) else { return };
        let Some(slot) = held.get_mut(usize::from(slot)).filter(|slot| slot.is_none()) else {
            return;
        };
        let Some(entry) = table.key(key).and_then(|key| table.take(&key, now)) else { return };
        table.hold(entry);
        for counter in [Counter::ConnCnt, Counter::ConnRate, Counter::ConnCur] {
            table.add(entry, counter, 1, now);
        }
        *slot = Some(Hold { table: number, entry });
    }

    /// The session of a connection begins.
    pub(crate) fn begin(&self, id: SessionId, now: Instant) {
        self.count(id, &[(Counter::SessCnt, 1), (Counter::SessRate, 1)], now);
    }

    /// A session is over, after so many bytes from its client, and to it.
    pub(crate) fn end(&self, id: SessionId, (up, down): (u64, u64), now: Instant) {
        let (up, down) = (bytes(up), bytes(down));
        let counts = [
            (Counter::BytesInCnt, up),
            (Counter::BytesInRate, up),
            (Counter::BytesOutCnt, down),
            (Counter::BytesOutRate, down),
        ];
        self.count(id, &counts, now);
    }

    /// A connection is gone: it tracks nothing any more.
    pub(crate) fn release(&self, id: SessionId, now: Instant) {
        let tables = &mut *self.0.borrow_mut();
        let begin = id.0 as usize * tables.kept_each;
        tables
            .kept
            .get_mut(begin..begin + tables.kept_each)
            .into_iter()
            .flatten()
            .for_each(|it| *it = None);
        let Some(held) = tables.held.get_mut(id.0 as usize) else { return };
        for Hold { table, entry } in held.iter_mut().filter_map(Option::take) {
            let table = &mut tables.tables[usize::from(table)];
            table.add(entry, Counter::ConnCur, -1, now);
            table.release(entry, now);
        }
    }

    /// A rule counts by itself: `sc-inc-gpc0`.
    pub(crate) fn increment(&self, id: SessionId, slot: u8, counter: Counter, now: Instant) {
        let tables = &mut *self.0.borrow_mut();
        if let Some(Hold { table, entry }) = tables.hold(id, slot) {
            tables.tables[usize::from(table)].increment(entry, counter, now);
        }
    }

    /// A rule marks a key: `sc-set-gpt0`.
    pub(crate) fn tag(&self, id: SessionId, slot: u8, tag: Counter, value: u32) {
        let tables = &mut *self.0.borrow_mut();
        if let Some(Hold { table, entry }) = tables.hold(id, slot) {
            tables.tables[usize::from(table)].set(entry, tag, value);
        }
    }

    /// `src_conn_rate` and its kin: a key that is not known has counted nothing.
    pub(crate) fn of_key(
        &self,
        table: Option<TableId>,
        counter: Counter,
        key: Value<'_>,
        now: Instant,
    ) -> Option<i64> {
        let tables = self.0.borrow();
        let table = tables.tables.get(usize::from(table?.0))?;
        let Some(entry) = table.find(&table.key(key)?, now) else { return Some(0) };
        table.read(entry, counter, now)
    }

    /// The number of the server that a key had before; the key is used now.
    pub(crate) fn recall(&self, table: TableId, key: Value<'_>, now: Instant) -> Option<u32> {
        let tables = &mut *self.0.borrow_mut();
        let table = tables.tables.get_mut(usize::from(table.0))?;
        let key = table.key(key)?;
        table.recall(&key, now)
    }

    /// Whether a session has a key in this table for which its server is to be remembered.
    pub(crate) fn keeps(&self, id: SessionId, table: TableId) -> bool {
        let tables = &*self.0.borrow();
        tables.kept_of(id).iter().flatten().any(|(kept, _)| *kept == table)
    }

    /// A session's server is to be remembered for this key.
    pub(crate) fn keep(&self, id: SessionId, table: TableId, key: Value<'_>) {
        let tables = &mut *self.0.borrow_mut();
        let Some(key) = tables.tables.get(usize::from(table.0)).and_then(|it| it.key(key)) else {
            return;
        };
        let begin = id.0 as usize * tables.kept_each;
        let places = tables.kept.get_mut(begin..begin + tables.kept_each);
        if let Some(place) = places.into_iter().flatten().find(|place| place.is_none()) {
            *place = Some((table, key));
        }
    }

    /// A session has this server, by its number; nothing is remembered of one without.
    pub(crate) fn remember(&self, id: SessionId, server: Option<u32>, core: u16, now: Instant) {
        let tables = &mut *self.0.borrow_mut();
        let begin = id.0 as usize * tables.kept_each;
        let kept = tables.kept.get_mut(begin..begin + tables.kept_each);
        for (table, key) in kept.into_iter().flatten().filter_map(Option::take) {
            let Some(server) = server else { continue };
            let table = &mut tables.tables[usize::from(table.0)];
            if let Some(entry) = table.take(&key, now) {
                table.remember(entry, server, core, now);
            }
        }
    }

    /// What converters read: nothing of a key that is not known. Without a counter: that it is.
    pub(crate) fn looked_up(
        &self,
        table: TableId,
        counter: Option<Counter>,
        key: Value<'_>,
        now: Instant,
    ) -> Option<i64> {
        let tables = self.0.borrow();
        let table = tables.tables.get(usize::from(table.0))?;
        let entry = table.find(&table.key(key)?, now)?;
        match counter {
            None => Some(1),
            Some(counter) => table.read(entry, counter, now),
        }
    }

    /// `sc0_conn_rate` and its kin; nothing where nothing is tracked. With a table: what that one
    /// counts for the same key.
    pub(crate) fn of_tracked(
        &self,
        id: SessionId,
        slot: u8,
        table: Option<TableId>,
        counter: Counter,
        now: Instant,
    ) -> Option<i64> {
        let tables = self.0.borrow();
        let Hold { table: tracked, entry } = tables.hold(id, slot)?;
        let own = &tables.tables[usize::from(tracked)];
        match table.filter(|table| table.0 != tracked) {
            None => own.read(entry, counter, now),
            Some(other) => {
                let other = tables.tables.get(usize::from(other.0))?;
                let Some(entry) = other.find(own.key_of(entry), now) else { return Some(0) };
                other.read(entry, counter, now)
            }
        }
    }

    /// Whether anything is tracked in a slot.
    pub(crate) fn is_tracked(&self, id: SessionId, slot: u8) -> bool {
        self.0.borrow().hold(id, slot).is_some()
    }

    /// `src_inc_gpc0`, `sc0_clr_gpc0` and their kin: what a counter is after one more, or was before
    /// it became 0. `key` is for those without a slot; those with one may look for what they track in
    /// another table.
    pub(crate) fn change(
        &self,
        (id, slot): (SessionId, Option<u8>),
        table: Option<TableId>,
        key: Value<'_>,
        (counter, clear): (Counter, bool),
        now: Instant,
    ) -> Option<i64> {
        let tables = &mut *self.0.borrow_mut();
        let (table, entry) = match slot {
            Some(slot) => {
                let Hold { table: tracked, entry } = tables.hold(id, slot)?;
                match table.filter(|table| table.0 != tracked) {
                    None => (&mut tables.tables[usize::from(tracked)], entry),
                    Some(other) => {
                        let key = *tables.tables[usize::from(tracked)].key_of(entry);
                        let other = tables.tables.get_mut(usize::from(other.0))?;
                        let Some(entry) = other.find(&key, now) else { return Some(0) };
                        (other, entry)
                    }
                }
            }
            None => {
                let table = tables.tables.get_mut(usize::from(table?.0))?;
                let entry = table.key(key).and_then(|key| table.take(&key, now))?;
                (table, entry)
            }
        };
        // Of those of general purpose, one that is not stored is 0.
        let otherwise = (counter != Counter::ConnCnt).then_some(0);
        if clear {
            let before = table.read(entry, counter, now);
            table.set(entry, counter, 0);
            return before.or(otherwise);
        }
        table.increment(entry, counter, now);
        table.counted(entry, counter).or(otherwise)
    }

    /// Keys that a table knows, or could know beside them.
    pub(crate) fn usage(
        &self,
        table: Option<TableId>,
        available: bool,
        now: Instant,
    ) -> Option<i64> {
        let tables = self.0.borrow();
        let (known, free) = tables.tables.get(usize::from(table?.0))?.usage(now);
        Some(i64::from(if available { free } else { known }))
    }

    /// Whether other cores have something to hear.
    pub(crate) fn has_news(&self) -> bool {
        let tables = self.0.borrow();
        tables.in_hand.is_some() || tables.tables.iter().any(Table::has_news)
    }

    /// Core `from` has counted this.
    pub(crate) fn hear(&self, from: u16, table: u16, news: &News, now: Instant) {
        if let Some(table) = self.0.borrow_mut().tables.get_mut(usize::from(table)) {
            table.on_news(news, from, now);
        }
    }

    /// Tells all others what has gathered; false when one of them has no room for it.
    pub(crate) fn tell(
        &self,
        mut tell: impl FnMut(u16, TableId, &News) -> bool,
        others: u128,
    ) -> bool {
        let tables = &mut *self.0.borrow_mut();
        loop {
            let next = |tables: &mut Tables| {
                (0..).zip(&mut tables.tables).find_map(|(number, table)| {
                    table.news().map(|news| (TableId(number), news, others))
                })
            };
            let Some((table, news, mut left)) = tables.in_hand.take().or_else(|| next(tables))
            else {
                return true;
            };
            while left != 0 && tell(left.trailing_zeros() as u16, table, &news) {
                left &= left - 1;
            }
            if left != 0 {
                tables.in_hand = Some((table, news, left));
                return false;
            }
        }
    }

    /// What all keys of all tables have of `counter` (a check, for tests).
    pub(crate) fn sum_of(&self, counter: Counter, now: Instant) -> i64 {
        self.0.borrow().tables.iter().map(|table| table.sum_of(counter, now)).sum()
    }

    /// As many track a key as there are sessions that do (a check, for tests).
    pub(crate) fn holds_agree(&self) -> bool {
        let tables = self.0.borrow();
        let held = tables.held.iter().flatten().flatten().count();
        held as i64 == tables.tables.iter().map(Table::trackers).sum::<i64>()
    }

    fn count(&self, id: SessionId, counts: &[(Counter, i32)], now: Instant) {
        let tables = &mut *self.0.borrow_mut();
        let Some(held) = tables.held.get(id.0 as usize) else { return };
        for &Hold { table, entry } in held.iter().flatten() {
            for &(counter, more) in counts {
                tables.tables[usize::from(table)].add(entry, counter, more, now);
            }
        }
    }
}

impl Tables {
    fn hold(&self, id: SessionId, slot: u8) -> Option<Hold> {
        *self.held.get(id.0 as usize)?.get(usize::from(slot))?
    }

    fn kept_of(&self, id: SessionId) -> &[Option<(TableId, KeyBytes)>] {
        let begin = id.0 as usize * self.kept_each;
        self.kept.get(begin..begin + self.kept_each).unwrap_or_default()
    }
}

impl Proxy {
    /// Tells what tables have counted.
    pub(crate) fn tell_counts(&mut self, cx: &mut Cx<'_>) {
        let own = self.core;
        let others = (0..cx.cores()).filter(|&core| core != own);
        let others = others.fold(0u128, |bits, core| bits | 1 << core);
        let is_told = self.counters.tell(
            |core, TableId(table), news| {
                let mut words = [0; 2 + limits::KEY_BYTES / 8];
                words[0] = crate::cores::counts_word(table, news.counter, news.is_absolute);
                words[1] = news.more as u32 as u64;
                for (word, bytes) in words[2..].iter_mut().zip(news.key.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
                cx.tell(core, &words).is_ok()
            },
            others,
        );
        if !is_told {
            self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
        }
    }

    /// Another core's tables have counted.
    pub(crate) fn hear_counts(&self, from: u16, first: u64, rest: &[u64], now: Instant) {
        let Some((more, words)) = rest.split_first() else { return };
        let mut key = [0; limits::KEY_BYTES];
        for (bytes, word) in key.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        let (table, counter, is_absolute) = crate::cores::counts_of(first);
        let news = News { key, counter, more: *more as u32 as i32, is_absolute };
        self.counters.hear(from, table, &news, now);
    }
}

/// Bytes of a session as a counter takes them at once.
fn bytes(count: u64) -> i32 {
    count.min(i32::MAX as u64) as i32
}

/// `sc0` to `sc2`.
const SLOTS: usize = 3;
