//! What an application is woken for besides frames: words from other cores, and its own timer.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::mail::{self, Refused, TOLD_WORDS_MAX};
use penstock_stack::rfd::Cores;
use penstock_stack::{
    App, Capacity, Config, Cx, Duration, Instant, Interface, Steering, Tcp, Worker,
};
use penstock_wire::{Addr, Mac};

/// Writes down what it is woken for; asks to be woken again as often as told.
#[derive(Default)]
struct Listener {
    heard: Vec<(u16, Vec<u64>)>,
    woken_at: Vec<Instant>,
    again: u32,
}

impl App for Listener {
    fn on_told(&mut self, _cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        self.heard.push((from, words.to_vec()));
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.woken_at.push(cx.now());
        if self.again > 0 {
            self.again -= 1;
            // In the past: the next millisecond, not this one for ever.
            cx.wake_at(Some(Instant(0)));
        }
    }
}

type Lonely = Worker<MemoryQueue, Listener>;

/// The workers of `count` cores.
fn workers(count: u16) -> Vec<Lonely> {
    let cores = Cores::new(count).expect("a count of cores");
    let posts = mail::network(cores, 1);
    let worker = |(number, post)| {
        let config = Config {
            interfaces: vec![Interface {
                mac: Mac([2, 0, 0, 0, 0, 1]),
                mtu: 1500,
                addresses: vec![(Addr::v4(0x0a00_0001), 24)],
                steering: Steering::Unknown,
            }],
            routes: Vec::new(),
            cores: count,
            ephemeral_ports: (32768, 65535),
            capacity: Capacity { connections: 16, ..Capacity::default() },
            tcp: Tcp::default(),
            seed: [7; 32],
        };
        let queues = vec![MemoryQueue::new(1500)];
        let (chunks, app) = (Chunks::new(64), Listener::default());
        let mut worker = Worker::new(config, number, queues, chunks, post, app).expect("valid");
        worker.start(NOW);
        worker
    };
    (0..).zip(posts).map(worker).collect()
}

const NOW: Instant = Instant(1_000_000);

#[test]
fn words_arrive_in_order_at_the_core_they_were_told_to() {
    let mut workers = workers(3);
    let longest = [u64::MAX; TOLD_WORDS_MAX];
    workers[0].with(NOW, |_, cx| {
        assert_eq!(cx.cores(), 3);
        assert_eq!(cx.tell(2, &[1, 2]), Ok(()));
        assert_eq!(cx.tell(2, &longest), Ok(()));
        assert_eq!(cx.tell(2, &[0; TOLD_WORDS_MAX + 1]), Err(Refused::TooLong));
        assert_eq!(cx.tell(0, &[]), Err(Refused::NoSuchCore));
        assert_eq!(cx.tell(3, &[]), Err(Refused::NoSuchCore));
    });
    assert_eq!(workers[0].take_mailed(), 0b100);
    for worker in &mut workers {
        worker.turn(NOW);
    }
    assert_eq!(workers[1].app().heard, []);
    assert_eq!(workers[2].app().heard, [(0, vec![1, 2]), (0, longest.to_vec())]);
}

#[test]
fn an_application_is_woken_when_it_asked_to_be() {
    let mut workers = workers(1);
    let worker = &mut workers[0];
    assert_eq!(worker.next_deadline(), None);
    let at = NOW + Duration(2_500);
    worker.with(NOW, |_, cx| cx.wake_at(Some(at)));
    worker.turn(NOW);
    let due = NOW + Duration(3_000);
    assert_eq!(worker.next_deadline(), Some(due));
    worker.turn(at);
    assert_eq!(worker.app().woken_at, []);
    worker.app_mut().again = 1;
    assert!(!worker.turn(due).more);
    assert!(
        !worker.turn(due).more,
        "what is asked for in the past comes with the next millisecond"
    );
    assert_eq!(worker.app().woken_at, [due]);
    let next = due + Duration(1_000);
    assert_eq!(worker.next_deadline(), Some(next));
    worker.turn(next);
    assert_eq!(worker.app().woken_at, [due, next]);
    assert_eq!(worker.next_deadline(), None);

    worker.with(next, |_, cx| cx.wake_at(Some(next)));
    worker.with(next, |_, cx| cx.wake_at(None));
    assert_eq!(worker.next_deadline(), None);
}
