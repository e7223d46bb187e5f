//! The link: a cable, a module, a laser and a MAC that want the same thing (3.7.4, 8.2.3.22.19).
//!
//! ```text
//!   down ──everything present──▶ training ──link_delay_us──▶ up
//!     ▲                              │                        │
//!     └──── cable, module, laser, LINK_DISABLE, AN_RESTART ───┘
//! ```
//!
//! Both edges raise LSC.

use penstock_ixgbe_regs::bits::{autoc, autoc2, links};

pub(crate) struct Link {
    state: State,
    delay_us: u64,
    /// The far end sends light.
    pub(crate) cable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Training { until_us: u64 },
    Up,
}

/// What the card's own registers and pins say.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) autoc: u32,
    pub(crate) autoc2: u32,
    pub(crate) module: bool,
    pub(crate) laser: bool,
}

impl Link {
    pub(crate) fn new(delay_us: u64) -> Link {
        Link { state: State::Down, delay_us, cable: true }
    }

    pub(crate) fn up(&self) -> bool {
        self.state == State::Up
    }

    /// Lets time pass; true if the link changed.
    pub(crate) fn poll(&mut self, now_us: u64, wanted: Wanted) -> bool {
        let forced = wanted.autoc & autoc::FLU != 0;
        let present = self.cable && wanted.module && wanted.laser;
        let possible = (present || forced) && wanted.autoc2 & autoc2::LINK_DISABLE == 0;
        let was = self.up();
        self.state = match self.state {
            _ if !possible => State::Down,
            State::Down => State::Training { until_us: now_us + self.delay_us },
            state => state,
        };
        if let State::Training { until_us } = self.state
            && until_us <= now_us
        {
            self.state = State::Up;
        }
        was != self.up()
    }

    /// Starts over, as AN_RESTART and a link reset do; true if the link was up.
    pub(crate) fn restart(&mut self) -> bool {
        core::mem::replace(&mut self.state, State::Down) == State::Up
    }

    /// When training ends.
    pub(crate) fn deadline_us(&self) -> Option<u64> {
        match self.state {
            State::Training { until_us } => Some(until_us),
            State::Down | State::Up => None,
        }
    }

    /// LINKS as it reads.
    pub(crate) fn links(&self, control: u32) -> u32 {
        if !self.up() {
            return DOWN;
        }
        let mode = control >> autoc::LMS_SHIFT & autoc::LMS_MASK;
        let speed = if matches!(mode, 0 | 2) { 2 } else { 3 };
        links::UP | SIGNAL | speed << links::SPEED_SHIFT
    }
}

/// Signal and alignment indications that come with a 10G link.
const SIGNAL: u32 = 0x0D08_0000;
const DOWN: u32 = 0;

#[cfg(test)]
mod tests {
    //! Proves that the link needs all of its parts, takes its time, and reports both edges.
    use super::*;

    const READY: Wanted = Wanted { autoc: 0xC09C_6004, autoc2: 0, module: true, laser: true };

    #[test]
    fn the_link_trains_and_falls() {
        let mut link = Link::new(100);
        assert!(!link.poll(0, READY));
        assert_eq!(link.deadline_us(), Some(100));
        assert!(!link.poll(99, READY));
        assert!(link.poll(100, READY), "up is an edge");
        assert_eq!(link.links(READY.autoc), 0x7D08_0000);
        assert_eq!(link.links(0), 0x6D08_0000, "1G");
        for broken in [
            Wanted { module: false, ..READY },
            Wanted { laser: false, ..READY },
            Wanted { autoc2: autoc2::LINK_DISABLE, ..READY },
        ] {
            assert!(link.poll(200, broken), "down is an edge");
            assert_eq!(link.links(READY.autoc) & links::UP, 0);
            link.poll(200, READY);
            assert!(link.poll(300, READY));
        }
        assert!(link.restart());
        link.cable = false;
        link.poll(400, READY);
        assert!(!link.poll(500, READY));
        assert!(!link.restart(), "it was down already");
        let forced = Wanted { autoc: autoc::FLU, ..READY };
        link.poll(600, forced);
        assert!(link.poll(700, forced), "forced up without a cable");
    }
}
