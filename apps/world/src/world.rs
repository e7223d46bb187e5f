//! The whole scene.

use penstock_stack::{App, ConnId, Cx, Endpoint, Instant, SocketOptions, Worker};

use crate::{Cable, Wire, addr, core_of, later, watched_turn};

/// Clients, the cores of a machine under test, and servers.
pub struct World<C: App, A: App, S: App> {
    /// At 10.0.0.1.
    pub clients: Worker<Cable, C>,
    /// The machine at 10.0.0.2.
    pub cores: Vec<Worker<Cable, A>>,
    /// From 10.0.0.3 on; those that have died leave their place.
    pub servers: Vec<Option<Worker<Cable, S>>>,
    /// Between them.
    pub wire: Wire,
    /// Payload chunks that each core of the machine was given.
    pub chunks: u32,
    /// Virtual time.
    pub now: Instant,
    /// Looks at the machine after every step.
    pub judge: Judge<A>,
}

/// What must hold of the cores of a machine at any time; it panics where it does not.
pub type Judge<A> = Box<dyn FnMut(&mut [Worker<Cable, A>], Instant)>;

impl<C: App, A: App, S: App> World<C, A, S> {
    /// A client connects to `port` of the machine; `None` when none of its own is free.
    pub fn connect(&mut self, port: u16, options: SocketOptions) -> Option<ConnId> {
        self.connect_to(Endpoint { addr: addr(2), port }, options)
    }

    /// The same to any address.
    pub fn connect_to(&mut self, remote: Endpoint, options: SocketOptions) -> Option<ConnId> {
        self.clients.with(self.now, |_, cx| cx.connect(remote, None, options)).ok()
    }

    /// Does something as a client.
    pub fn act(&mut self, act: impl FnOnce(&mut C, &mut Cx<'_>)) {
        self.clients.with(self.now, act);
    }

    /// The server at `10.0.0.(3 + index)` is gone, without a word.
    pub fn kill(&mut self, index: usize) {
        self.servers[index] = None;
    }

    /// Lets time pass until nothing is open any more, or `span_s` are over.
    pub fn pass(&mut self, span_s: u64) {
        let end = Instant(self.now.0 + span_s * 1_000_000);
        while self.now < end && !self.is_over() {
            self.step(end);
        }
    }

    /// Lets `span_ms` pass.
    pub fn pass_ms(&mut self, span_ms: u64) {
        let end = Instant(self.now.0 + span_ms * 1000);
        while self.now < end {
            self.step(end);
        }
    }

    /// Nobody holds anything.
    pub fn is_over(&self) -> bool {
        let open = self.cores.iter().map(|core| core.census().connections).sum::<u32>();
        open + self.clients.census().connections == 0
    }

    /// What is left behind, in words; empty when nothing is. A frame may still wait for a neighbour.
    /// `application` says whether a core's application is idle, and what it has counted.
    pub fn left_behind(&self, application: impl Fn(&Worker<Cable, A>) -> (bool, String)) -> String {
        let mut text = String::new();
        for (number, core) in self.cores.iter().enumerate() {
            let (census, (is_idle, counted)) = (core.census(), application(core));
            let is_clean = (census.connections, census.flights) == (0, 0)
                && census.chunks_free + census.waiting == self.chunks
                && is_idle;
            if !is_clean {
                text += &format!("core {number}: {census:?} {counted}\n");
            }
        }
        text
    }

    fn step(&mut self, end: Instant) {
        self.deliver();
        let mut is_busy = self.clients.turn(self.now).more;
        for core in &mut self.cores {
            is_busy |= watched_turn(core, self.now);
        }
        for server in self.servers.iter_mut().flatten() {
            is_busy |= server.turn(self.now).more;
        }
        (self.judge)(&mut self.cores, self.now);
        self.collect();
        is_busy |= self.cores.iter_mut().any(Worker::has_mail);
        let cores = self.cores.iter().map(Worker::next_deadline);
        let servers = self.servers.iter().flatten().map(Worker::next_deadline);
        let rest = [self.clients.next_deadline(), self.wire.arrival()];
        self.now = later(self.now, is_busy, cores.chain(servers).chain(rest), end);
    }

    /// Gives what everybody sent to the wire.
    fn collect(&mut self) {
        let World { clients, cores, servers, wire, now, .. } = self;
        let mut send = |from: usize, queue: Option<&mut Cable>| {
            let frames = queue.into_iter().flat_map(Cable::take);
            frames.for_each(|frame| wire.carry(*now, from, frame));
        };
        send(1, clients.queue_mut(0));
        for core in cores {
            (0..CARDS_MAX).for_each(|card| send(2, core.queue_mut(card)));
        }
        for (last, server) in (3..).zip(servers) {
            send(last, server.as_mut().and_then(|server| server.queue_mut(0)));
        }
    }

    /// What has arrived by now goes to everybody but the sender, and at the machine to one core.
    fn deliver(&mut self) {
        while let Some((from, frame)) = self.wire.arrived(self.now) {
            let feed = |queue: Option<&mut Cable>| {
                if let Some(queue) = queue {
                    queue.feed(frame.clone());
                }
            };
            if from != 1 {
                feed(self.clients.queue_mut(0));
            }
            if from != 2 {
                let core = core_of(&frame, self.cores.len());
                let cores = core.map_or(0..self.cores.len(), |core| core..core + 1);
                for core in &mut self.cores[cores] {
                    (0..CARDS_MAX).for_each(|card| feed(core.queue_mut(card)));
                }
            }
            for (last, server) in (3..).zip(&mut self.servers) {
                if from != last && !self.wire.is_cut(last) {
                    feed(server.as_mut().and_then(|server| server.queue_mut(0)));
                }
            }
        }
    }
}

/// Cards of the machine: those that it does not have get and send nothing.
const CARDS_MAX: usize = 2;
