//! The event queue: ordered by time, then by when they were scheduled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::frame::Frame;
use crate::plan::What;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A frame reaches a LAN from the port `from`.
    Arrive { lan: usize, from: usize, frame: Frame },
    /// A station runs.
    Run(usize),
    /// A station's alarm goes off, unless it was set to another time since.
    Wake(usize),
    /// A conversation begins.
    Start(u32),
    /// A question is asked.
    Ask(u32),
    /// An incident begins.
    Begin(What),
    /// An incident is over.
    Finish(What),
    /// Faults stop.
    Calm,
    /// The heckler sends.
    Heckle,
}

/// All events to come.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Scheduled>,
    count: u64,
    alarms: Vec<Option<u64>>,
    /// Events other than alarms.
    work: usize,
}

#[derive(Debug)]
struct Scheduled {
    at_us: u64,
    number: u64,
    event: Event,
}

impl Events {
    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        if !matches!(event, Event::Wake(_) | Event::Heckle) {
            self.work += 1;
        }
        self.count += 1;
        self.heap.push(Scheduled { at_us, number: self.count, event });
    }

    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        let Scheduled { at_us, event, .. } = self.heap.pop()?;
        if !matches!(event, Event::Wake(_) | Event::Heckle) {
            self.work -= 1;
        }
        Some((at_us, event))
    }

    /// Whether anything but alarms is to come.
    pub(super) fn has_work(&self) -> bool {
        self.work > 0
    }

    /// The alarm of a station.
    pub(super) fn alarm(&self, station: usize) -> Option<u64> {
        self.alarms.get(station).copied().flatten()
    }

    pub(super) fn set_alarm(&mut self, station: usize, at_us: Option<u64>) {
        if self.alarms.len() <= station {
            self.alarms.resize(station + 1, None);
        }
        if self.alarms[station] == at_us {
            return;
        }
        self.alarms[station] = at_us;
        if let Some(at_us) = at_us {
            self.at(at_us, Event::Wake(station));
        }
    }

    pub(super) fn set_alarm_earlier(&mut self, station: usize, at_us: u64) {
        if self.alarm(station).is_none_or(|alarm| at_us < alarm) {
            self.set_alarm(station, Some(at_us));
        }
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The heap gives its greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Scheduled) -> Ordering {
        (other.at_us, other.number).cmp(&(self.at_us, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Events};

    #[test]
    fn events_come_in_order_of_time_and_then_of_scheduling() {
        let mut events = Events::default();
        for (at_us, number) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            events.at(at_us, Event::Start(number));
        }
        let order: Vec<u32> = std::iter::from_fn(|| events.next())
            .map(|(_, event)| match event {
                Event::Start(number) => number,
                other => panic!("{other:?} was never scheduled"),
            })
            .collect();
        assert_eq!(order, [1, 3, 0, 2]);
        assert!(!events.has_work());
    }
}
