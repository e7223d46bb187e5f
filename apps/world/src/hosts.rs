//! Workers of a host, and their turns.

use assert_no_alloc::{assert_no_alloc, violation_count};
use penstock_queue::Chunks;
use penstock_stack::{App, Capacity, Config, Instant, Interface, Steering, Tcp, Worker, mail, rfd};
use penstock_wire::{Addr, Mac};

use crate::Cable;

/// When worlds begin.
pub const BEGIN: Instant = Instant(1_000_000);

/// 10.0.0.`last`.
pub fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

/// The host at 10.0.0.`last`, with this much on each core.
pub fn config(last: u8, cores: u16, connections: u32, chunks: u32) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addr(last.into()), 24)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (1_024, 65_535),
        capacity: Capacity {
            connections,
            flights: connections,
            half_open: connections,
            time_wait: connections,
            chunks,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [last; 32],
    }
}

/// Gives a host a second card, at 10.0.0.(100 + `last`), on the same wire as all others.
pub fn second_card(config: &mut Config, last: u8) {
    config.interfaces.push(Interface {
        mac: Mac([2, 0, 0, 0, 1, last]),
        mtu: 1500,
        addresses: vec![(addr(100 + u32::from(last)), 24)],
        steering: Steering::Unknown,
    });
}

/// A worker for each core of that host, started; `app` makes the application of a core.
///
/// # Panics
/// The stack refuses `config`.
pub fn workers<A: App>(
    config: &Config,
    app: impl Fn(u16, &Capacity) -> A,
) -> Vec<Worker<Cable, A>> {
    let posts = mail::network(rfd::Cores::new(config.cores).expect("a number of cores"), 64);
    let worker = |(core, post)| {
        let app = app(core, &config.capacity);
        let chunks = Chunks::new(config.capacity.chunks);
        let queues = config.interfaces.iter().map(|_| Cable::new()).collect();
        let mut worker =
            Worker::new(config.clone(), core, queues, chunks, post, app).expect("valid");
        worker.start(BEGIN);
        worker
    };
    (0..config.cores).zip(posts).map(worker).collect()
}

/// A turn of a core under test; whether it has more to do at once.
///
/// # Panics
/// It allocated, or left the stack unsound.
pub fn watched_turn<A: App>(core: &mut Worker<Cable, A>, now: Instant) -> bool {
    let before = violation_count();
    let is_busy = assert_no_alloc(|| core.turn(now)).more;
    assert_eq!(violation_count(), before, "a turn of the machine allocated");
    core.check().expect("sound");
    is_busy
}

/// When something happens next, `end` at the latest.
pub fn later(
    now: Instant,
    is_busy: bool,
    deadlines: impl Iterator<Item = Option<Instant>>,
    end: Instant,
) -> Instant {
    let soon = Instant(now.0 + 20);
    if is_busy {
        return soon;
    }
    deadlines.flatten().min().unwrap_or(end).max(soon).min(end)
}

#[cfg(test)]
mod tests {
    //! The watch sees an allocation.

    use penstock_stack::Cx;

    use super::*;

    struct Wasteful;

    impl App for Wasteful {
        fn on_wake(&mut self, _: &mut Cx<'_>) {
            std::hint::black_box(vec![0u8; 100]);
        }
    }

    #[test]
    #[should_panic(expected = "allocated")]
    fn a_turn_that_allocates_is_found() {
        let mut worker = workers(&config(2, 1, 16, 64), |_, _| Wasteful).remove(0);
        worker.with(BEGIN, |_, cx| cx.wake_at(Some(BEGIN)));
        for ms in 0..10 {
            watched_turn(&mut worker, Instant(BEGIN.0 + ms * 1000));
        }
    }
}
