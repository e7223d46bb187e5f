//! What the cores tell each other: who needs a slot, how many sessions there are, how servers stand.
//!
//! The first word of a message says what it is, the others are its own:
//!
//! ```text
//!   kind << 56 | ..                  slots.rs: pool and flag; given or wanted, returned
//!   kind << 56 | count  words..      gauges.rs: a gauge and its value in each
//!   kind << 56 | server  standing    server.rs
//!   kind << 56 | server  address     resolve.rs, in two words; unspecified for none
//!   kind << 56 | server  failures    observe.rs, to core 0; 0 for a connection that came about
//!   kind << 56 | section  count      farewell.rs
//!   kind << 56 | ..      more  key..  counters.rs: a table's counter, and for which key
//!   kind << 56 | ..      version  value..  variables.rs: what a variable of the process is now
//! ```

use penstock_stack::{Cx, Instant};
use penstock_wire::Addr;

use crate::gauges::Counted;
use crate::limits;
use crate::pools::Owner;
use crate::proxy::Proxy;
use crate::server::Standing;

const SLOTS: u64 = 1;
const GAUGES: u64 = 2;
const STANDING: u64 = 3;
const COUNTS: u64 = 4;
const VARIABLE: u64 = 5;
const OBSERVED: u64 = 6;
const ENDS: u64 = 7;
const ADDRESS: u64 = 8;
const KIND: u32 = 56;
const WORDS_MAX: usize = 8;

impl Proxy {
    /// After anything happened: whoever waits for what is free now is served, and what there is to
    /// tell is told.
    #[inline]
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.has_cuts {
            self.cut_sessions(cx);
        }
        if self.slots.is_busy() {
            self.serve_slots(cx);
        }
        let has_news =
            self.gauges.has_news() || self.setup.has_tables() && self.counters.has_news();
        let has_news = has_news || self.variables.has_news();
        if has_news && self.tell_at.is_none() {
            self.tell_later(cx, cx.now() + limits::NEWS_AFTER);
        }
    }

    #[inline(never)]
    fn serve_slots(&mut self, cx: &mut Cx<'_>) {
        loop {
            // Whoever was served may wait at another gate now.
            let look_at = self.slots.measure(cx.now());
            if look_at != self.look_at {
                self.look_at = look_at;
                self.alarm(cx);
            }
            let Some(pool) = self.slots.next_ready() else { break };
            match self.setup.pools.owners[pool.0 as usize] {
                Owner::Entrance => self.serve_entrance(cx, pool),
                Owner::Server(server) => self.serve_queues(cx, pool, server),
            }
        }
        while let Some(notice) = self.slots.next_notice() {
            let [first, second, third] = notice.words.map(u64::from);
            let words = [SLOTS << KIND | first, second << 32 | third];
            if cx.tell(notice.to, &words).is_err() {
                self.slots.untell(notice);
                self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
                return;
            }
        }
    }

    pub(crate) fn tell_later(&mut self, cx: &mut Cx<'_>, at: Instant) {
        if self.tell_at.is_none_or(|before| at < before) {
            self.tell_at = Some(at);
            self.alarm(cx);
        }
    }

    /// The time has come to tell what has gathered.
    pub(crate) fn wake(&mut self, cx: &mut Cx<'_>) {
        if self.tell_at.is_some_and(|at| at <= cx.now()) {
            self.tell_at = None;
            self.tell_gauges(cx);
            self.tell_counts(cx);
            self.tell_variables(cx);
            self.tell_standings_again(cx);
            self.tell_failures_again(cx);
            self.tell_ends(cx);
        }
        self.next_step(cx);
        // Whether somebody waits on is seen when all is settled.
        self.look_at = self.look_at.filter(|&at| at > cx.now());
        self.run_checks(cx);
        self.warm_up(cx);
        self.alarm(cx);
    }

    /// Sets the one alarm of this core to whatever comes first.
    pub(crate) fn alarm(&mut self, cx: &mut Cx<'_>) {
        let check_at = self.watch.as_ref().and_then(|watch| watch.due_at());
        let others = [self.look_at, check_at, self.warmups.due_at, self.farewell.due_at];
        cx.wake_at(others.into_iter().chain([self.tell_at]).flatten().min());
    }

    fn tell_gauges(&mut self, cx: &mut Cx<'_>) {
        while self.gauges.has_news() {
            let mut words = [0; WORDS_MAX];
            let count = self.gauges.news(&mut words[1..]);
            words[0] = GAUGES << KIND | count as u64;
            let others = (0..cx.cores()).filter(|&core| core != self.core);
            let mut is_refused = false;
            for core in others {
                is_refused |= cx.tell(core, &words[..=count]).is_err();
            }
            if is_refused {
                self.gauges.take_back(&words[1..=count]);
                self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
                return;
            }
        }
    }

    /// Core `from` said something.
    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        let Some((&first, rest)) = words.split_first() else { return };
        match (first >> KIND, rest) {
            (SLOTS, &[second]) => {
                self.slots.on_told(from, [first as u32, (second >> 32) as u32, second as u32]);
            }
            (GAUGES, gauges) => {
                for &word in gauges {
                    let gauge = self.gauges.on_told(from, word, cx.now());
                    match gauge.and_then(|gauge| self.gauges.owner(gauge)) {
                        Some(Counted::Backend(backend)) => self.load_of_backend_changed(backend),
                        Some(Counted::Server(server)) => self.load_changed(server),
                        None => {}
                    }
                }
            }
            (STANDING, &[word]) => {
                self.apply_standing(cx, first as u16, Standing::of_word(word));
            }
            (ADDRESS, &[high, low]) => {
                let addr = Addr::v6((u128::from(high) << 64 | u128::from(low)).to_be_bytes());
                if let Some(server) = self.servers.get_mut(usize::from(first as u16)) {
                    server.addr = (!addr.is_unspecified()).then_some(addr);
                }
            }
            (OBSERVED, &[failures]) if self.core == 0 => {
                self.observed(cx, first as u16, failures as u16);
            }
            (ENDS, &[count]) => self.hear_end(cx, first as u16, count),
            (COUNTS, rest) => self.hear_counts(from, first, rest, cx.now()),
            (VARIABLE, rest) => self.hear_variable(from, first, rest),
            _ => {}
        }
    }

    /// Tells core `to` how a server stands.
    pub(crate) fn tell_standing(
        &mut self,
        cx: &mut Cx<'_>,
        to: u16,
        server: u16,
        standing: Standing,
    ) {
        let words = [STANDING << KIND | server as u64, standing.word()];
        if cx.tell(to, &words).is_err() {
            self.told_late(cx, to);
        }
    }

    /// A core has missed something about servers.
    pub(crate) fn told_late(&mut self, cx: &mut Cx<'_>, core: u16) {
        self.behind |= 1 << core;
        self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
    }

    /// Tells the cores that have missed something how all servers stand.
    fn tell_standings_again(&mut self, cx: &mut Cx<'_>) {
        let behind = core::mem::take(&mut self.behind);
        for core in (0..cx.cores()).filter(|core| behind >> core & 1 != 0) {
            for server in 0..self.servers.len() as u16 {
                let standing = self.servers[server as usize].standing;
                self.tell_standing(cx, core, server, standing);
                let state = &self.servers[server as usize];
                if state.is_resolved && cx.tell(core, &address_words(server, state.addr)).is_err() {
                    self.told_late(cx, core);
                }
                if self.behind >> core & 1 != 0 {
                    break;
                }
            }
        }
    }
}

/// Where a server is.
pub(crate) fn address_words(server: u16, addr: Option<Addr>) -> [u64; 3] {
    let number = u128::from_be_bytes(addr.unwrap_or(Addr::UNSPECIFIED).bytes());
    [ADDRESS << KIND | u64::from(server), (number >> 64) as u64, number as u64]
}

/// What core 0 is told of a server's connections.
pub(crate) fn observed_words(server: u16, failures: u16) -> [u64; 2] {
    [OBSERVED << KIND | u64::from(server), failures.into()]
}

/// What to tell of a section that has ended.
pub(crate) fn end_words(section: u16, count: u64) -> [u64; 2] {
    [ENDS << KIND | u64::from(section), count]
}

/// The first word about a counter of a table.
pub(crate) fn counts_word(table: u16, counter: u8, is_absolute: bool) -> u64 {
    COUNTS << KIND | u64::from(is_absolute) << 24 | u64::from(counter) << 16 | u64::from(table)
}

/// The table and counter of such a word, and whether it says how much there is.
pub(crate) fn counts_of(word: u64) -> (u16, u8, bool) {
    (word as u16, (word >> 16) as u8, word >> 24 & 1 != 0)
}

/// The first word about a variable of the process.
pub(crate) fn variable_word(index: u16, kind: u8) -> u64 {
    VARIABLE << KIND | u64::from(kind) << 16 | u64::from(index)
}

/// The variable of such a word, and of what kind its value is.
pub(crate) fn variable_of(word: u64) -> (u16, u8) {
    (word as u16, (word >> 16) as u8)
}

const _: () = assert!(2 + limits::KEY_BYTES / 8 <= WORDS_MAX);
