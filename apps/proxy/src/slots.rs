//! Slots that all cores share: every `maxconn`, and every limit of clients a second.
//!
//! Each pool of slots has a home, one of the cores, which knows how many it has given to whom. A core
//! uses what it holds without a word to anybody. Only when it holds none does it ask, and only when
//! somebody waits does the home ask others for what they do not use:
//!
//! ```text
//!   core a                 home                  core b
//!     │ wants 1 more ───────▶│                      │ holds one that is idle
//!     │                      │─ others wait ───────▶│
//!     │                      │◀────── gives back 1 ─│
//!     │◀──────────── has 1 ──│                      │
//! ```
//! Four words by mail, so nobody queues while a slot is free elsewhere for longer than that takes. As
//! long as others wait, a core gives back whatever it is done with: slots go around, and nobody is
//! starved.
//!
//! What is said is not "one more" but how many there were since the beginning, on a ring of 2^32: a
//! word that is lost in a full mailbox is made good by the next, and the same word twice does no
//! harm. What a core believes to hold is never more than what the home has given it, so all cores
//! together never exceed the pool.
//!
//! **Of so many a second** slots are the same thing, only that they do not come back from whoever used
//! them: time brings new ones, as HAProxy reckons it ([`Rate`]), and the home gives them to those who
//! wait, in turn. Nobody begins with any or keeps one in hand, so each client that comes to another
//! core than the home costs two words.

use alloc::vec::Vec;

use penstock_stack::{Duration, Instant};

use crate::rate::Rate;
use crate::sound::Pool;

/// How much there is of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supply {
    /// So many, which come back.
    Slots(u32),
    /// So many in each second, which do not.
    PerSecond(u32),
}

/// A pool: of the process, a frontend, a listener or a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(pub(crate) u16);

/// What has to be told, to which core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) to: u16,
    pub(crate) words: [u32; 3],
}

/// The slots of one core, and the pools that have their home here.
#[derive(Debug)]
pub(crate) struct Slots {
    core: u16,
    cores: u16,
    hands: Vec<Hand>,
    homes: Vec<Option<Home>>,
    /// Pools of which something may have to be told, each once.
    untold: Vec<u16>,
    /// Pools of which a slot may be idle while a session of this core waits, each once.
    ready: Vec<u16>,
    /// Pools of so many a second with their home here, for which somebody waits, each once.
    metered: Vec<u16>,
}

/// What this core holds of a pool.
#[derive(Clone, Copy, Debug, Default)]
struct Hand {
    /// Slots given to this core, since the beginning.
    given: u32,
    /// Slots that it gave back, since the beginning.
    returned: u32,
    /// In use; of so many a second, used since the beginning.
    in_use: u32,
    /// Sessions of this core that wait for one.
    waiting: u32,
    /// A session went elsewhere because none was idle here: one is wanted in reserve.
    is_short: bool,
    /// Other cores wait for one.
    others_wait: bool,
    /// What the home was told last: wants, returned.
    told: [u32; 2],
    /// It stands in [`Slots::untold`], in [`Slots::ready`].
    is_untold: bool,
    is_ready: bool,
}

/// A pool at its home.
#[derive(Clone, Debug)]
struct Home {
    supply: Supply,
    meter: Meter,
    guests: Vec<Guest>,
    /// Whose turn it is.
    next: u16,
}

/// What a home knows of slots that time brings.
#[derive(Clone, Debug, Default)]
struct Meter {
    /// How many it has given.
    rate: Rate,
    /// Those that nobody used in the end, and that the rate is to forget.
    came_back: u32,
    /// It stands in [`Slots::metered`].
    is_listed: bool,
}

/// A core, as a pool's home sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Guest {
    given: u32,
    returned: u32,
    /// What it was given, and what it waits for besides.
    wants: u32,
    others_wait: bool,
    is_untold: bool,
}

impl Hand {
    fn idle(&self) -> u32 {
        // A pool that shrinks may leave more in use than is held for a moment: never less than none.
        let idle = self.given.wrapping_sub(self.returned).wrapping_sub(self.in_use);
        (idle as i32).max(0) as u32
    }

    /// Gives back what nobody here needs, if others do.
    fn return_surplus(&mut self) {
        if self.others_wait {
            let surplus = self.idle().saturating_sub(self.waiting);
            self.returned = self.returned.wrapping_add(surplus);
        }
    }

    fn words(&self) -> [u32; 2] {
        let wanted = self.waiting.max(self.is_short.into());
        [self.given.wrapping_add(wanted.saturating_sub(self.idle())), self.returned]
    }
}

impl Guest {
    fn held(&self) -> u32 {
        self.given.wrapping_sub(self.returned)
    }

    fn is_waiting(&self) -> bool {
        self.wants.wrapping_sub(self.given) as i32 > 0
    }
}

impl Supply {
    /// What each of so many cores begins with, and whether it gives back what it does not use.
    fn first_part(self, cores: u16) -> (u32, bool) {
        match self {
            Supply::Slots(limit) => (limit.min(LIMIT_MAX) / u32::from(cores), false),
            Supply::PerSecond(_) => (0, true),
        }
    }
}

impl Home {
    fn held(&self) -> u32 {
        self.guests.iter().map(Guest::held).sum()
    }

    fn waiting(&self) -> usize {
        self.guests.iter().filter(|guest| guest.is_waiting()).count()
    }

    /// Gives at most `free` slots to those who wait, in turn; how many it gave.
    fn give(&mut self, free: u32) -> u32 {
        let mut given = 0;
        let mut idle_rounds = 0;
        while given < free && idle_rounds < self.guests.len() {
            let at = self.next as usize;
            self.next = if at + 1 == self.guests.len() { 0 } else { self.next + 1 };
            let guest = &mut self.guests[at];
            if guest.is_waiting() {
                guest.given = guest.given.wrapping_add(1);
                guest.is_untold = true;
                given += 1;
                idle_rounds = 0;
            } else {
                idle_rounds += 1;
            }
        }
        given
    }

    /// Has whoever was just given a slot hold a core's part of those that nobody waits for: for the next
    /// it need not ask.
    fn endow(&mut self, free: u32) {
        if self.waiting() > 0 {
            return;
        }
        let part = free / self.guests.len() as u32;
        for guest in self.guests.iter_mut().filter(|guest| guest.is_untold) {
            guest.given = guest.given.wrapping_add(part);
        }
    }

    /// What a guest wants, and what it has returned.
    fn hear(&mut self, from: u16, wants: u32, returned: u32) {
        let guest = &mut self.guests[from as usize];
        let back = returned.wrapping_sub(guest.returned) as i32;
        (guest.wants, guest.returned) = (wants, returned);
        if let Supply::PerSecond(_) = self.supply {
            self.meter.came_back = self.meter.came_back.saturating_add(back.max(0) as u32);
        }
    }

    /// Gives what time has brought. After how many milliseconds to look again, if somebody waits on.
    fn measure(&mut self, most: u32, now_ms: u32) -> Option<u32> {
        let back = core::mem::take(&mut self.meter.came_back);
        self.meter.rate.add(-(back.min(LIMIT_MAX) as i32), SECOND_MS, now_ms);
        let given = self.give(self.meter.rate.room(most, SECOND_MS, now_ms).min(LIMIT_MAX));
        let rate = &mut self.meter.rate;
        rate.add(given as i32, SECOND_MS, now_ms);
        let delay_ms = rate.delay_ms(most, SECOND_MS, now_ms);
        (self.waiting() > 0).then_some(delay_ms)
    }
}

impl Slots {
    /// What a pool of slots takes on a core, its home's part of it spread over all.
    pub(crate) const POOL_BYTES: usize =
        size_of::<Hand>() + size_of::<Option<Home>>() + 3 * size_of::<u16>() + size_of::<Guest>();

    /// For core `core` of `cores`, with these pools. Of slots that come back, each core begins with an
    /// equal part.
    pub(crate) fn new(core: u16, cores: u16, supplies: &[Supply]) -> Slots {
        let hand = |supply: &Supply| {
            let (given, others_wait) = supply.first_part(cores);
            Hand { given, told: [given, 0], others_wait, ..Hand::default() }
        };
        let home = |(pool, &supply): (u16, &Supply)| {
            let (given, others_wait) = supply.first_part(cores);
            let guest = Guest { given, wants: given, others_wait, ..Guest::default() };
            let guests = alloc::vec![guest; cores as usize];
            let home = Home { supply, meter: Meter::default(), guests, next: 0 };
            (pool % cores == core).then_some(home)
        };
        let list = || Vec::with_capacity(supplies.len());
        Slots {
            core,
            cores,
            hands: supplies.iter().map(hand).collect(),
            homes: (0..).zip(supplies).map(home).collect(),
            untold: list(),
            ready: list(),
            metered: list(),
        }
    }

    /// Whether somebody may be served, or something has to be told.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.is_empty() || !self.untold.is_empty() || !self.metered.is_empty()
    }

    /// Gives what time has brought to those who wait for it. When to look again, if somebody does.
    pub(crate) fn measure(&mut self, now: Instant) -> Option<Instant> {
        let mut soonest_ms: Option<u32> = None;
        let mut at = 0;
        while let Some(&pool) = self.metered.get(at) {
            let Some(home) = &mut self.homes[pool as usize] else { break };
            let Supply::PerSecond(most) = home.supply else { break };
            let delay_ms = home.measure(most, now.millis());
            if delay_ms.is_some() {
                soonest_ms = soonest_ms.into_iter().chain(delay_ms).min();
                at += 1;
            } else {
                home.meter.is_listed = false;
                self.metered.swap_remove(at);
            }
            self.publish(PoolId(pool));
        }
        soonest_ms.map(|ms| now + Duration::from_millis(ms.into()))
    }

    /// Takes a slot, if one is idle here.
    pub(crate) fn take(&mut self, pool: PoolId) -> bool {
        let hand = &mut self.hands[pool.0 as usize];
        let is_there = hand.idle() > 0;
        hand.in_use = hand.in_use.wrapping_add(is_there as u32);
        is_there
    }

    /// What there is to say of a pool of `limit` slots.
    pub(crate) fn pool(&self, pool: PoolId, limit: u32) -> Pool {
        let hand = &self.hands[pool.0 as usize];
        let at_home = self.homes[pool.0 as usize].as_ref().map(|home| match home.supply {
            Supply::Slots(limit) => limit.saturating_sub(home.held()),
            Supply::PerSecond(_) => 0,
        });
        Pool {
            limit,
            held: hand.given.wrapping_sub(hand.returned),
            in_use: hand.in_use,
            waiting: hand.waiting,
            at_home,
        }
    }

    /// Whether a slot is idle here.
    pub(crate) fn has_idle(&self, pool: PoolId) -> bool {
        self.hands[pool.0 as usize].idle() > 0
    }

    /// A session of this core goes to another server because no slot is idle here: the next need not.
    /// Without this a core that has given back what it held would never hold any again while another
    /// server has room.
    pub(crate) fn want_one_more(&mut self, pool: PoolId) {
        self.hands[pool.0 as usize].is_short = true;
        self.report(pool);
    }

    /// Gives a slot up. One of so many a second is given up by who did not come to use it.
    pub(crate) fn release(&mut self, pool: PoolId) {
        let hand = &mut self.hands[pool.0 as usize];
        hand.in_use = hand.in_use.wrapping_sub(1);
        if hand.others_wait {
            // Sessions of this core wait their turn like all others.
            hand.returned = hand.returned.wrapping_add(hand.idle());
        }
        self.report(pool);
    }

    /// A pool of which a slot is idle here while a session waits for it.
    pub(crate) fn next_ready(&mut self) -> Option<PoolId> {
        while let Some(pool) = self.ready.pop() {
            let hand = &mut self.hands[pool as usize];
            hand.is_ready = false;
            if hand.waiting > 0 && hand.idle() > 0 {
                return Some(PoolId(pool));
            }
        }
        None
    }

    /// So many of this core's sessions wait for a slot now.
    pub(crate) fn set_waiting(&mut self, pool: PoolId, waiting: u32) {
        let hand = &mut self.hands[pool.0 as usize];
        hand.waiting = waiting;
        // Whom a slot was given for may have left.
        hand.return_surplus();
        self.report(pool);
    }

    /// The pool has another size now. For its home; others take no notice.
    pub(crate) fn set_limit(&mut self, pool: PoolId, limit: u32) {
        let supply = Supply::Slots(limit);
        if let Some(home) = &mut self.homes[pool.0 as usize]
            && home.supply != supply
        {
            home.supply = supply;
            self.settle(pool);
        }
    }

    /// Core `from` said something.
    pub(crate) fn on_told(&mut self, from: u16, words: [u32; 3]) {
        let pool = PoolId((words[0] >> 1) as u16);
        if pool.0 as usize >= self.hands.len() || from >= self.cores {
            return;
        }
        if let Some(home) = &mut self.homes[pool.0 as usize] {
            home.hear(from, words[1], words[2]);
            self.settle(pool);
        } else {
            self.hear(pool, words[1], words[0] & OTHERS_WAIT != 0);
        }
    }

    /// What is to be told next. Put it back with [`untell`](Self::untell) if it cannot be.
    pub(crate) fn next_notice(&mut self) -> Option<Notice> {
        while let Some(&pool) = self.untold.last() {
            let first = (pool as u32) << 1;
            if let Some(home) = &mut self.homes[pool as usize] {
                let guests = (0..).zip(&mut home.guests);
                if let Some((to, guest)) = guests.into_iter().find(|(_, guest)| guest.is_untold) {
                    guest.is_untold = false;
                    let first = first | guest.others_wait as u32;
                    return Some(Notice { to, words: [first, guest.given, 0] });
                }
            } else {
                let hand = &mut self.hands[pool as usize];
                let words = hand.words();
                if words != hand.told {
                    hand.told = words;
                    let words = [first, words[0], words[1]];
                    return Some(Notice { to: pool % self.cores, words });
                }
            }
            self.hands[pool as usize].is_untold = false;
            self.untold.pop();
        }
        None
    }

    /// This could not be told: it has to be told again.
    pub(crate) fn untell(&mut self, notice: Notice) {
        let pool = PoolId((notice.words[0] >> 1) as u16);
        if let Some(home) = &mut self.homes[pool.0 as usize] {
            home.guests[notice.to as usize].is_untold = true;
        } else {
            let hand = &mut self.hands[pool.0 as usize];
            // What was never said differs from what is to be.
            hand.told = hand.words().map(|word| !word);
        }
        self.note(pool);
    }

    /// This core has been given so many.
    fn hear(&mut self, pool: PoolId, given: u32, others_wait: bool) {
        let hand = &mut self.hands[pool.0 as usize];
        (hand.given, hand.others_wait) = (given, others_wait);
        hand.is_short &= hand.idle() == 0;
        hand.return_surplus();
        self.report(pool);
    }

    /// What this core wants or has returned may be another: its home hears of it.
    fn report(&mut self, pool: PoolId) {
        let hand = &mut self.hands[pool.0 as usize];
        hand.is_short &= hand.idle() == 0;
        if hand.waiting > 0 && hand.idle() > 0 && !hand.is_ready {
            hand.is_ready = true;
            self.ready.push(pool.0);
        }
        let words = hand.words();
        if words == hand.told {
            return;
        }
        match &mut self.homes[pool.0 as usize] {
            Some(home) => {
                hand.told = words;
                home.hear(self.core, words[0], words[1]);
                self.settle(pool);
            }
            None => self.note(pool),
        }
    }

    /// At the home of `pool`: gives what is free to those who wait. Of so many a second, who waits is
    /// served when time has been looked at.
    fn settle(&mut self, pool: PoolId) {
        let Some(home) = &mut self.homes[pool.0 as usize] else { return };
        match home.supply {
            Supply::Slots(limit) => {
                let free = limit.min(LIMIT_MAX).saturating_sub(home.held());
                let given = home.give(free);
                if given > 0 {
                    home.endow(free - given);
                }
                self.publish(pool);
            }
            Supply::PerSecond(_) if home.waiting() > 0 => {
                if !core::mem::replace(&mut home.meter.is_listed, true) {
                    self.metered.push(pool.0);
                }
            }
            Supply::PerSecond(_) => {}
        }
    }

    /// Whoever was given something is told, and who holds what others wait for is asked for it.
    fn publish(&mut self, pool: PoolId) {
        let core = self.core as usize;
        let Some(home) = &mut self.homes[pool.0 as usize] else { return };
        let all_give_back = match home.supply {
            Supply::Slots(limit) => home.held() > limit,
            Supply::PerSecond(_) => true,
        };
        let waiting = home.waiting();
        let mut any_untold = false;
        for guest in &mut home.guests {
            let others_wait = all_give_back || waiting > guest.is_waiting() as usize;
            guest.is_untold |= guest.others_wait != others_wait;
            guest.others_wait = others_wait;
            any_untold |= guest.is_untold;
        }
        let own = &mut home.guests[core];
        let heard = core::mem::take(&mut own.is_untold).then_some((own.given, own.others_wait));
        if any_untold {
            self.note(pool);
        }
        if let Some((given, others_wait)) = heard {
            self.hear(pool, given, others_wait);
        }
    }

    fn note(&mut self, pool: PoolId) {
        let hand = &mut self.hands[pool.0 as usize];
        if !hand.is_untold {
            hand.is_untold = true;
            self.untold.push(pool.0);
        }
    }
}

const OTHERS_WAIT: u32 = 1;

/// No pool is larger: sizes are compared on a ring of 2^32.
const LIMIT_MAX: u32 = i32::MAX as u32;

const SECOND_MS: u32 = 1_000;

#[cfg(test)]
mod tests;
