//! How often an end may speak: what two of them answer each other must come to rest.
//!
//! A segment without content is earned by one that was heard with content, or with a RST; content is
//! repeated a few times at most; and beside that there is what timers send, so much in a second. Frames
//! that a network doubled count for nothing.

use penstock_wire::tcp::{Flags, Segment};

/// What one end has heard and said, over all connections between the same two ports.
#[derive(Clone, Copy, Default)]
pub(super) struct Pace {
    since_us: Option<u64>,
    /// Segments heard that ask for an answer, and all but RSTs.
    asked: u64,
    heard: u64,
    /// Segments said without content, and with a RST; bytes of content, new and again.
    bare: u64,
    resets: u64,
    new_bytes: u64,
    repeated_bytes: u64,
}

impl Pace {
    pub(super) fn hear(&mut self, segment: &Segment, now_us: u64) {
        self.since_us.get_or_insert(now_us);
        let is_reset = segment.flags.has(Flags::RST);
        self.asked += u64::from(!segment.is_empty() || is_reset);
        self.heard += u64::from(!is_reset);
    }

    /// A segment is said.
    pub(super) fn say(&mut self, segment: &Segment, now_us: u64) -> Result<(), String> {
        let seconds = self.seconds(now_us);
        if segment.flags.has(Flags::RST) {
            self.resets += 1;
            return at_most(self.resets, FREE + self.heard, "RSTs", self.heard);
        }
        self.bare += u64::from(segment.is_empty());
        // An acknowledgement, and the news of a window that opened.
        let most = FREE + 2 * self.asked + BARE_PER_SECOND * seconds;
        at_most(self.bare, most, "segments without content", self.asked)
    }

    /// Content is said: so many bytes for the first time, and so many again.
    pub(super) fn content(&mut self, new: u64, again: u64, now_us: u64) -> Result<(), String> {
        self.new_bytes += new;
        self.repeated_bytes += again;
        let most = REPEATED_FREE
            + REPEATS_MAX * self.new_bytes
            + REPEATED_PER_SECOND * self.seconds(now_us);
        at_most(self.repeated_bytes, most, "bytes said again", self.new_bytes)
    }

    fn seconds(&mut self, now_us: u64) -> u64 {
        (now_us - *self.since_us.get_or_insert(now_us)) / 1_000_000
    }
}

fn at_most(count: u64, most: u64, of: &str, cause: u64) -> Result<(), String> {
    match count <= most {
        true => Ok(()),
        false => Err(format!("it never comes to rest: {count} {of}, after {cause}")),
    }
}

/// So many of a kind are nobody's answer.
const FREE: u64 = 8;
/// Challenges are limited to two in a second, keep-alives and their answers come less often.
const BARE_PER_SECOND: u64 = 5;
/// A network that loses a third of all frames makes nobody say more than that.
const REPEATS_MAX: u64 = 8;
const REPEATED_FREE: u64 = 4 * 1460;
/// A timer that begins at 200 ms and doubles.
const REPEATED_PER_SECOND: u64 = 9_000;
