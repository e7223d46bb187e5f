//! What the cores of a machine tell each other for the page at `/`: a line of words for each, written
//! by its core alone, once a second, and read by whoever is asked. Nothing on the way of a packet
//! touches it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::Statistics;

/// The machine, in facts that do not change, and its cores, in numbers that do.
#[derive(Debug)]
pub struct Board {
    pub(crate) facts: Vec<(String, String)>,
    lines: Box<[Line]>,
}

/// The numbers of one core, apart from every other core's cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line {
    words: [AtomicU64; COLUMNS.len()],
}

/// What is told of a core, from left to right.
pub(crate) const COLUMNS: [&str; 9] = [
    "open",
    "per second",
    "accepted",
    "requests",
    "refused",
    "resent",
    "dropped",
    "replies home",
    "by mail",
];

/// The column of what a core has accepted in the last second.
pub(crate) const PER_SECOND: usize = 1;

impl Board {
    /// A machine of so many cores, and what is worth knowing of it: names and values.
    pub fn new(cores: u16, facts: Vec<(String, String)>) -> Board {
        Board { facts, lines: (0..cores).map(|_| Line::default()).collect() }
    }

    /// How many cores there are.
    pub(crate) fn cores(&self) -> usize {
        self.lines.len()
    }

    /// Core `core` has done this, and accepted so many in the last second.
    pub(crate) fn publish(&self, core: u16, statistics: &Statistics, per_second: u64) {
        let &Statistics {
            accepted,
            requests,
            active,
            refused,
            timeouts: _,
            retransmits,
            drops,
            rfd_hits,
            rfd_misdirected,
        } = statistics;
        let values = [
            active,
            per_second,
            accepted,
            requests,
            refused,
            retransmits,
            drops,
            rfd_hits,
            rfd_misdirected,
        ];
        let Some(line) = self.lines.get(core as usize) else { return };
        for (word, value) in line.words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// What core `core` told last.
    pub(crate) fn line(&self, core: usize) -> [u64; COLUMNS.len()] {
        self.lines[core].words.each_ref().map(|word| word.load(Ordering::Relaxed))
    }
}
