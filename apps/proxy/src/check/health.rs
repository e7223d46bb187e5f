//! Rise and fall: how many checks it takes until a server is believed to be up, or down.

use core::num::NonZeroU16;

use super::report::Outcome;

/// What is believed of a server.
///
/// ```text
///   0 .. rise - 1        down: successes so far
///   rise .. full         up: full is rise + fall - 1; failures so far are what is missing
/// ```
/// A failure while down begins again at 0, a success while up makes it full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    value: u32,
    rise: u32,
    fall: u32,
    state: State,
}

/// What the server was last said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Up, but asked for no new sessions.
    Stopping,
    Stopped,
}

/// That a server is something else now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It serves.
    Up,
    /// It serves whom it has.
    Stopping,
    /// It does not.
    Down,
}

impl Health {
    /// A server that is up, until its first check fails.
    pub fn new(rise: u16, fall: u16) -> Health {
        let at_least_one =
            |count| u32::from(NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN).get());
        let (rise, fall) = (at_least_one(rise), at_least_one(fall));
        Health { value: rise, rise, fall, state: State::Running }
    }

    /// What a check's outcome does to it: whether it moved, and whether the server is something else.
    pub fn apply(&mut self, outcome: Outcome) -> (bool, Option<Change>) {
        let before = self.value;
        match outcome {
            Outcome::Failed => {
                self.value = self.value.saturating_sub(1);
                if self.value < self.rise {
                    self.value = 0;
                }
            }
            Outcome::Neutral => {}
            Outcome::Passed | Outcome::Conditional => {
                if self.value < self.full() {
                    self.value += 1;
                    if self.value >= self.rise {
                        self.value = self.full();
                    }
                }
            }
        }
        let (state, change) = match outcome {
            Outcome::Failed if self.value == 0 => (State::Stopped, Change::Down),
            Outcome::Passed if self.is_up() => (State::Running, Change::Up),
            Outcome::Conditional if self.is_up() => (State::Stopping, Change::Stopping),
            _ => return (self.value != before, None),
        };
        let is_new = core::mem::replace(&mut self.state, state) != state;
        (self.value != before, is_new.then_some(change))
    }

    /// Who is up is from here on no further than so many failures, and one, from being down.
    pub fn weaken(&mut self, left: u32) {
        self.value = self.value.min(self.rise + left);
    }

    /// It is taken out by hand, and not checked.
    pub fn take_out(&mut self) {
        self.value = 0;
        self.state = State::Stopped;
    }

    /// It is put back by hand, and believed to be up until a check fails.
    pub fn put_back(&mut self) {
        self.value = self.rise;
        self.state = State::Running;
    }

    /// Whether so many checks have passed that it is up.
    pub fn is_up(&self) -> bool {
        self.value >= self.rise
    }

    /// Nothing is missing.
    pub fn is_full(&self) -> bool {
        self.value == self.full()
    }

    /// It is down, and no check has passed since.
    pub fn is_dead(&self) -> bool {
        self.value == 0 && self.state == State::Stopped
    }

    /// It was last said to want no new sessions.
    pub fn is_stopping(&self) -> bool {
        self.state == State::Stopping
    }

    /// It was last said to be down.
    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// As HAProxy writes it: 2 of 3 until it falls, or 1 of 2 until it rises.
    pub fn fraction(&self) -> (u32, u32) {
        if self.is_up() { (self.value - self.rise + 1, self.fall) } else { (self.value, self.rise) }
    }

    fn full(&self) -> u32 {
        self.rise + self.fall - 1
    }
}

#[cfg(test)]
mod tests {
    //! The numbers of HAProxy's own lines.

    use super::Outcome::{Conditional, Failed, Passed};
    use super::*;

    #[test]
    fn a_server_falls_and_rises() {
        let mut health = Health::new(2, 3);
        assert_eq!(health.apply(Passed), (true, None));
        assert_eq!((health.fraction(), health.is_full()), ((3, 3), true));
        assert_eq!(health.apply(Passed), (false, None));
        for (outcome, fraction, change) in [
            (Failed, (2, 3), None),
            (Failed, (1, 3), None),
            (Failed, (0, 2), Some(Change::Down)),
            (Passed, (1, 2), None),
            (Failed, (0, 2), None),
            (Passed, (1, 2), None),
            (Passed, (3, 3), Some(Change::Up)),
        ] {
            assert_eq!(health.apply(outcome), (true, change), "{outcome:?}");
            assert_eq!(health.fraction(), fraction);
        }
    }

    #[test]
    fn the_first_failure_takes_down_who_never_passed() {
        let mut health = Health::new(2, 3);
        assert_eq!(health.apply(Failed), (true, Some(Change::Down)));
        assert_eq!((health.is_dead(), health.apply(Failed)), (true, (false, None)));
    }

    #[test]
    fn a_condition_stops_new_sessions() {
        let mut health = Health::new(1, 1);
        assert_eq!(health.apply(Conditional), (false, Some(Change::Stopping)));
        assert_eq!(health.apply(Conditional), (false, None));
        assert_eq!(health.apply(Passed), (false, Some(Change::Up)));
    }

    #[test]
    fn who_is_put_back_is_up_until_a_check_fails() {
        let mut health = Health::new(2, 3);
        health.take_out();
        assert!(health.is_dead());
        health.put_back();
        assert!(health.is_up() && !health.is_full());
        assert_eq!(health.apply(Failed), (true, Some(Change::Down)));
        assert_eq!(Health::new(0, 0).fraction(), (1, 1), "counts of 0 are 1");
    }
}
