//! Sessions that wait, in the order in which they came: each stands in one queue at most.

use alloc::boxed::Box;

use crate::limits;

/// A session's place in a queue: who is before and behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    before: u32,
    behind: u32,
}

/// A queue: its ends, and how many stand in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    first: u32,
    last: u32,
    len: u32,
    /// How many had their turn.
    served: u32,
}

/// The places of all sessions of a core, in all its queues.
#[derive(Debug)]
pub(crate) struct Places(Box<[Place]>);

const NONE: u32 = u32::MAX;

impl Queue {
    pub(crate) const EMPTY: Queue = Queue { first: NONE, last: NONE, len: 0, served: 0 };

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// How many had their turn, on a ring of 2^32.
    pub(crate) fn served(&self) -> u32 {
        self.served
    }
}

impl Places {
    pub(crate) fn new(sessions: usize) -> Places {
        Places(alloc::vec![Place { before: NONE, behind: NONE }; sessions].into())
    }

    /// Puts `session` at the end of `queue`.
    pub(crate) fn join(&mut self, queue: &mut Queue, session: u32) {
        self.join_by(queue, session, |_| false);
    }

    /// Puts `session` in `queue` before those at its end that `are_after` it; at most so many.
    pub(crate) fn join_by(
        &mut self,
        queue: &mut Queue,
        session: u32,
        is_after: impl Fn(u32) -> bool,
    ) {
        let mut behind = NONE;
        let mut before = queue.last;
        for _ in 0..limits::OVERTAKEN {
            if before == NONE || !is_after(before) {
                break;
            }
            (behind, before) = (before, self.0[before as usize].before);
        }
        self.0[session as usize] = Place { before, behind };
        match before {
            NONE => queue.first = session,
            before => self.0[before as usize].behind = session,
        }
        match behind {
            NONE => queue.last = session,
            behind => self.0[behind as usize].before = session,
        }
        queue.len += 1;
    }

    /// Takes the first out, because it is its turn.
    pub(crate) fn serve(&mut self, queue: &mut Queue) -> Option<u32> {
        let session = queue.first()?;
        self.leave(queue, session);
        queue.served = queue.served.wrapping_add(1);
        Some(session)
    }

    /// Takes `session` out of `queue`, in which it stands.
    pub(crate) fn leave(&mut self, queue: &mut Queue, session: u32) {
        let Place { before, behind } = self.0[session as usize];
        match before {
            NONE => queue.first = behind,
            before => self.0[before as usize].behind = behind,
        }
        match behind {
            NONE => queue.last = before,
            behind => self.0[behind as usize].before = before,
        }
        queue.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    //! Who came first is first, and anybody may leave.

    use super::*;

    #[test]
    fn who_came_first_is_first() {
        let mut places = Places::new(4);
        let mut queue = Queue::EMPTY;
        (0..4).for_each(|session| places.join(&mut queue, session));
        places.leave(&mut queue, 2);
        places.leave(&mut queue, 0);
        assert_eq!((queue.first(), queue.len()), (Some(1), 2));
        places.leave(&mut queue, 3);
        places.join(&mut queue, 0);
        places.leave(&mut queue, 1);
        assert_eq!((queue.first(), queue.len()), (Some(0), 1));
        places.leave(&mut queue, 0);
        assert_eq!((queue.first(), queue.len()), (None, 0));
    }

    #[test]
    fn who_is_more_urgent_overtakes() {
        let mut places = Places::new(8);
        let mut queue = Queue::EMPTY;
        let urgency = [3, 1, 2, 1, 3, 0];
        for session in 0..6u32 {
            let own = urgency[session as usize];
            places.join_by(&mut queue, session, |other| urgency[other as usize] > own);
        }
        let order: std::vec::Vec<_> = core::iter::from_fn(|| places.serve(&mut queue)).collect();
        assert_eq!(order, [5, 1, 3, 2, 0, 4]);
    }
}
