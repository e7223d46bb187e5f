//! Slots that all cores share: every `maxconn`.
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

use alloc::vec::Vec;

/// A pool: the process, a frontend, a listener or a server with a `maxconn`.
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
}

/// What this core holds of a pool.
#[derive(Clone, Copy, Debug, Default)]
struct Hand {
    /// Slots given to this core, since the beginning.
    given: u32,
    /// Slots that it gave back, since the beginning.
    returned: u32,
    in_use: u32,
    /// Sessions of this core that wait for one.
    waiting: u32,
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
    limit: u32,
    guests: Vec<Guest>,
    /// Whose turn it is.
    next: u16,
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
        self.given.wrapping_sub(self.returned).saturating_sub(self.in_use)
    }

    /// Gives back what nobody here needs, if others do.
    fn return_surplus(&mut self) {
        if self.others_wait {
            let surplus = self.idle().saturating_sub(self.waiting);
            self.returned = self.returned.wrapping_add(surplus);
        }
    }

    fn words(&self) -> [u32; 2] {
        [self.given.wrapping_add(self.waiting), self.returned]
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

impl Slots {
    /// What a pool of slots takes on a core, its home's part of it spread over all.
    pub(crate) const POOL_BYTES: usize =
        size_of::<Hand>() + size_of::<Option<Home>>() + 2 * size_of::<u16>() + size_of::<Guest>();

    /// For core `core` of `cores`, with pools of so many slots. Each core begins with an equal part.
    pub(crate) fn new(core: u16, cores: u16, limits: &[u32]) -> Slots {
        let hand = |&limit: &u32| {
            let given = limit / cores as u32;
            Hand { given, told: [given, 0], ..Hand::default() }
        };
        let home = |(pool, &limit): (u16, &u32)| {
            let given = limit / cores as u32;
            let guest = Guest { given, wants: given, ..Guest::default() };
            let guests = alloc::vec![guest; cores as usize];
            (pool % cores == core).then_some(Home { limit, guests, next: 0 })
        };
        Slots {
            core,
            cores,
            hands: limits.iter().map(hand).collect(),
            homes: (0..).zip(limits).map(home).collect(),
            untold: Vec::with_capacity(limits.len()),
            ready: Vec::with_capacity(limits.len()),
        }
    }

    /// Whether somebody may be served, or something has to be told.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.is_empty() || !self.untold.is_empty()
    }

    /// Takes a slot, if one is idle here.
    pub(crate) fn take(&mut self, pool: PoolId) -> bool {
        let hand = &mut self.hands[pool.0 as usize];
        let is_there = hand.idle() > 0;
        hand.in_use += is_there as u32;
        is_there
    }

    /// Whether a slot is idle here.
    pub(crate) fn has_idle(&self, pool: PoolId) -> bool {
        self.hands[pool.0 as usize].idle() > 0
    }

    /// Gives a slot up.
    pub(crate) fn release(&mut self, pool: PoolId) {
        let hand = &mut self.hands[pool.0 as usize];
        hand.in_use = hand.in_use.saturating_sub(1);
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
        if let Some(home) = &mut self.homes[pool.0 as usize]
            && home.limit != limit
        {
            home.limit = limit;
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
            let guest = &mut home.guests[from as usize];
            (guest.wants, guest.returned) = (words[1], words[2]);
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
        hand.return_surplus();
        self.report(pool);
    }

    /// What this core wants or has returned may be another: its home hears of it.
    fn report(&mut self, pool: PoolId) {
        let hand = &mut self.hands[pool.0 as usize];
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
                let guest = &mut home.guests[self.core as usize];
                [guest.wants, guest.returned] = words;
                self.settle(pool);
            }
            None => self.note(pool),
        }
    }

    /// At the home of `pool`: gives what is free to those who wait, in turn, and asks the others for
    /// what they do not use.
    fn settle(&mut self, pool: PoolId) {
        let core = self.core as usize;
        let Some(home) = &mut self.homes[pool.0 as usize] else { return };
        let held: u32 = home.guests.iter().map(Guest::held).sum();
        let mut free = home.limit.saturating_sub(held);
        let is_over = held > home.limit;
        let mut idle_rounds = 0;
        while free > 0 && idle_rounds < self.cores {
            let guest = &mut home.guests[home.next as usize];
            home.next = if home.next + 1 == self.cores { 0 } else { home.next + 1 };
            if guest.is_waiting() {
                guest.given = guest.given.wrapping_add(1);
                guest.is_untold = true;
                free -= 1;
                idle_rounds = 0;
            } else {
                idle_rounds += 1;
            }
        }
        let waiting = home.guests.iter().filter(|guest| guest.is_waiting()).count();
        let mut any_untold = false;
        for guest in &mut home.guests {
            let others_wait = is_over || waiting > guest.is_waiting() as usize;
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

#[cfg(test)]
mod tests;
