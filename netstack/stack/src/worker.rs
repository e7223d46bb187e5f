//! One core's stack: queue pairs below, tables inside, an application on top, and the turn that
//! moves all three.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use penstock_queue::{BURST_MAX, CHUNK_BYTES, Checksums, Chunks, QueuePair, SLOT_BYTES};
use penstock_wire::ethernet;

use crate::app::App;
use crate::config::{Config, Steering};
use crate::core::{Core, Parts};
use crate::counters::{Counters, Event};
use crate::cx::Cx;
use crate::interface::{ConfigError, Interfaces};
use crate::limits;
use crate::mail::{self, Message, Post};
use crate::neighbour::How;
use crate::receive::{Arrival, Burst};
use crate::rfd::{self, Cores, PortRange, Rfd};
use crate::route::Routes;
use crate::time::Instant;
use crate::wheel::Wheel;

/// The stack of one core, with its application.
pub struct Worker<Q, A> {
    pub(crate) queues: Vec<Q>,
    pub(crate) core: Core,
    pub(crate) app: A,
    /// The frames of a burst, as numbers; lent out while they are served.
    pub(crate) burst: Option<Box<Burst>>,
    /// A frame that lies in no ring: mailed, or put together from parts.
    pub(crate) scratch: Box<[u8]>,
    pub(crate) scratch_bytes: usize,
    /// A piece of stored payload on its way to the application.
    pub(crate) piece: Box<[u8]>,
    mail: Box<mail::Buffer>,
    /// A receive ring is crowded ([`QueuePair::crowded`]). Then every second SYN, on average, is
    /// dropped at a glance, for a fraction of what serving it would cost: clients that are not ours
    /// yet have to wait for those that are. Not all of them: each that is refused comes back several
    /// times.
    pub(crate) behind: bool,
    stopping: bool,
    /// The tick up to which all timers have fired.
    fired_at: u32,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Turn {
    /// Frames received.
    pub received: u32,
    /// Frames sent.
    pub sent: u32,
    /// Another turn would find work now.
    pub more: bool,
    /// Another core asked this one to stop.
    pub stop: bool,
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// The worker of core `number`; `queues[i]` is its queue pair on `config.interfaces[i]`. All
    /// memory it will ever use is taken here.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn new(
        config: Config,
        number: u16,
        queues: Vec<Q>,
        chunks: Chunks,
        post: Post,
        app: A,
    ) -> Result<Worker<Q, A>, ConfigError> {
        check(&config, number, queues.len())?;
        let cores = Cores::new(config.cores).ok_or(ConfigError::Cores(config.cores))?;
        let (first, last) = config.ephemeral_ports;
        let range = PortRange::new(first, last).ok_or(ConfigError::EphemeralPorts(first, last))?;
        let mut interfaces = Interfaces::new(&config)?;
        for (interface, queue) in (0u8..).zip(&queues) {
            let capabilities = queue.capabilities();
            interfaces.limit_mtu(interface, capabilities.mtu);
            if capabilities.lent_max == 0 {
                let slot = SLOT_BYTES - ethernet::HEADER_BYTES;
                interfaces.limit_mtu(interface, slot as u16);
            }
        }
        // Any frame may have to cross by mail, however a card steers: its connection may live where
        // somebody listened, on another core than the hash says. A longer one could never arrive.
        let crossing = post.frame_bytes_max() - ethernet::HEADER_BYTES;
        for (number, interface) in (0u8..).zip(&config.interfaces) {
            interfaces.limit_mtu(number, crossing as u16);
            if matches!(interface.steering, Steering::FlowDirector(_)) {
                let rules = rfd::steering(cores, config.cores, range);
                rules.map_err(ConfigError::Steering)?.1.for_each(drop);
            }
        }
        let routes = Routes::new(&config, &interfaces)?;
        let steering = config.interfaces.iter().map(|interface| &interface.steering);
        let rfd = Rfd::new(cores, number, range, steering);
        let parts = Parts { interfaces, routes, rfd, chunks, post };
        Ok(Worker {
            queues,
            core: Core::new(config, number, parts),
            app,
            burst: Some(Box::new([Arrival::blank(); BURST_MAX])),
            scratch: vec![0; limits::SCRATCH_BYTES].into_boxed_slice(),
            scratch_bytes: 0,
            piece: vec![0; CHUNK_BYTES].into_boxed_slice(),
            mail: Box::new([0; mail::FRAME_BYTES_MAX]),
            behind: false,
            stopping: false,
            fired_at: 0,
        })
    }

    /// Tells the links who we are: gratuitous ARP, unsolicited neighbour advertisements.
    pub fn start(&mut self, now: Instant) {
        self.core.set_now(now);
        // The wheel turns from here: the machine's clock may stand anywhere.
        self.core.wheel = Wheel::new(self.core.env.millis);
        if self.core.number == 0 {
            self.announce();
        }
        self.flush();
    }

    /// A link has come up, or its card receives only now: tells who we are, because whoever is behind
    /// it may never have heard, and asks again for neighbours who have not answered. One core says it
    /// for all.
    pub fn on_link(&mut self, now: Instant) {
        self.core.set_now(now);
        self.announce();
        self.core.neighbours.ask_again(self.core.env.millis);
        self.flush();
    }

    /// One bounded turn: a burst from each interface, mail, due timers, connections whose
    /// applications asked for something, and one doorbell for all that was sent.
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.core.set_now(now);
        let sent = self.core.counters.count(Event::OutFrames);
        let mut turn = Turn::default();
        let (mut full, mut crowded) = (false, false);
        for interface in 0..self.queues.len() {
            let received = self.receive(interface);
            turn.received += received as u32;
            if received == BURST_MAX {
                full = true;
                crowded |= self.queues[interface].crowded();
            }
        }
        self.behind = crowded;
        // Most turns have nothing else to look for, so each of the rest is asked for at a glance.
        let mailed = if self.core.post.is_alone() { 0 } else { self.take_mail() };
        // Timers tick in milliseconds.
        if self.fired_at != self.core.env.millis {
            self.fire_timers();
        }
        if self.core.waits {
            self.serve_waiting();
        }
        if self.core.has_ready() {
            self.serve_ready();
        }
        // Whoever was just found missing is asked for at once.
        if self.core.neighbours.has_deadlines() {
            self.serve_neighbours();
        }
        if !self.core.datagrams.is_empty() {
            self.send_datagrams();
        }
        self.flush();
        turn.sent = (self.core.counters.count(Event::OutFrames) - sent) as u32;
        turn.more = full
            || mailed == limits::MAIL_PER_TURN
            || self.core.has_ready()
            || self.fired_at != self.core.env.millis;
        turn.stop = self.stopping;
        turn
    }

    /// When a turn is needed although nothing arrives. Never late; at times early. `None`: nothing
    /// waits for time to pass.
    ///
    /// Now, where [`Turn::more`] says so. Where only a card stands in the way, whose transmit ring
    /// is full or still holds the memory that somebody wants, or another core that does not read its
    /// mail, 50 µs from now: a sleeper looks again then, or sooner if the card tells it of
    /// descriptors written back.
    pub fn next_deadline(&self) -> Option<Instant> {
        let core = &self.core;
        // Datagrams may have been said between two turns, when a proxy that stops takes its leave.
        if core.has_ready() || !core.datagrams.is_empty() {
            return Some(core.env.now);
        }
        let tick = self.next_tick();
        if !core.awaits_others() {
            return tick;
        }
        let look = Instant(core.env.now.0 + limits::LOOK_AGAIN_US);
        Some(tick.map_or(look, |tick| tick.min(look)))
    }

    /// When the nearest timer is due.
    fn next_tick(&self) -> Option<Instant> {
        let core = &self.core;
        let ticks = self.ticks();
        let ahead = ticks.iter().flatten().map(|at| at.wrapping_sub(core.env.millis) as i32);
        // What is due in a tick that has been dealt with comes up in the next.
        let least = (self.fired_at == core.env.millis) as i32;
        let nearest = ahead.min()?.max(least) as u64;
        // A tick begins at its first microsecond.
        Some(Instant((core.env.now.0 / 1000 + nearest) * 1000).max(core.env.now))
    }

    /// The cores to which this one sent mail since the last call, a bit for each: they may sleep
    /// ([`mail::Post::take_mailed`]).
    pub fn take_mailed(&mut self) -> u128 {
        self.core.post.take_mailed()
    }

    /// Whether mail waits: the last look before sleeping.
    pub fn has_mail(&mut self) -> bool {
        self.core.post.has_mail()
    }

    /// The ticks at which the next timers of each kind are due.
    fn ticks(&self) -> [Option<u32>; 6] {
        let core = &self.core;
        [
            core.wheel.next_deadline(),
            core.half_open.next_deadline(&core.conns),
            core.time_wait.next_deadline(),
            core.neighbours.next_deadline(),
            core.wake_at,
            core.tend_at,
        ]
    }

    /// Runs `f` with the application and its downcalls, from outside an upcall. What it asks for
    /// happens in the next turn.
    pub fn with<R>(&mut self, now: Instant, f: impl FnOnce(&mut A, &mut Cx<'_>) -> R) -> R {
        self.core.set_now(now);
        f(&mut self.app, &mut Cx::new(&mut self.core))
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// The application, to be changed.
    pub fn app_mut(&mut self) -> &mut A {
        &mut self.app
    }

    /// The queue pair of an interface.
    pub fn queue(&self, interface: usize) -> Option<&Q> {
        self.queues.get(interface)
    }

    /// The queue pair of an interface, to be changed.
    pub fn queue_mut(&mut self, interface: usize) -> Option<&mut Q> {
        self.queues.get_mut(interface)
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    fn flush(&mut self) {
        for queue in &mut self.queues {
            queue.flush();
        }
    }

    #[inline(never)]
    fn take_mail(&mut self) -> usize {
        for count in 0..limits::MAIL_PER_TURN {
            let Some((from, message)) = self.core.post.receive(&mut self.mail) else {
                return count;
            };
            match message {
                Message::Stop => self.stopping = true,
                Message::Neighbour { interface, addr, mac } => {
                    self.learn(interface, addr, Some(mac), How::Mail);
                }
                Message::PathMtu { interface: _, remote, mtu } => {
                    let millis = self.core.env.millis;
                    self.core.path_mtus.learn(remote, mtu as u32, millis);
                }
                Message::Listening { addr, port, interface, listens } => {
                    self.core.listeners.note(addr, port, interface, from, listens);
                }
                Message::Told(words) => {
                    self.app.on_told(&mut Cx::new(&mut self.core), from, words.as_slice());
                }
                Message::Frame { interface, checksums, bytes } => {
                    let len = bytes.len().min(self.scratch.len());
                    self.scratch[..len].copy_from_slice(&bytes[..len]);
                    self.scratch_bytes = len;
                    self.on_mailed(interface, checksums);
                }
            }
        }
        limits::MAIL_PER_TURN
    }

    fn on_mailed(&mut self, interface: u8, checksums: Checksums) {
        if (interface as usize) < self.queues.len() {
            self.on_scratch(interface, checksums, true);
        }
    }

    #[inline(never)]
    fn fire_timers(&mut self) {
        let mut budget = limits::TIMERS_PER_TURN;
        loop {
            let core = &mut self.core;
            let Some(index) = core.wheel.expire(&mut core.conns, core.env.millis, &mut budget)
            else {
                break;
            };
            self.on_timer(index);
        }
        if self.core.wake_at.is_some_and(|at| self.core.env.millis.wrapping_sub(at) as i32 >= 0) {
            self.core.wake_at = None;
            self.app.on_wake(&mut Cx::new(&mut self.core));
        }
        if self.core.tend_at.is_some_and(|at| self.core.env.millis.wrapping_sub(at) as i32 >= 0) {
            self.core.tend_at = None;
            self.app.on_tend(&mut Cx::new(&mut self.core));
        }
        self.repeat_syn_acks();
        let core = &mut self.core;
        core.time_wait.expire(core.env.millis, limits::TIME_WAITS_PER_TURN, &mut core.table);
        // What the budgets left over is done in the next turn.
        let ticks = self.ticks();
        if !ticks.iter().flatten().any(|at| at.wrapping_sub(self.core.env.millis) as i32 <= 0) {
            self.fired_at = self.core.env.millis;
        }
    }
}

/// What can be checked before anything is built.
fn check(config: &Config, number: u16, queues: usize) -> Result<(), ConfigError> {
    let capacity = &config.capacity;
    let sizes = [
        capacity.connections,
        capacity.flights,
        capacity.half_open,
        capacity.time_wait,
        capacity.chunks,
        capacity.send_buffer_bytes,
        capacity.neighbours as u32,
        capacity.listeners as u32,
    ];
    if sizes.iter().any(|&size| size == 0 || size > limits::CAPACITY_MAX) {
        return Err(ConfigError::Capacity);
    }
    let window = limits::RECEIVE_WINDOW_BYTES_MIN..=limits::RECEIVE_WINDOW_BYTES_MAX;
    if !window.contains(&capacity.receive_window_bytes) {
        return Err(ConfigError::ReceiveWindow(capacity.receive_window_bytes));
    }
    if queues != config.interfaces.len() {
        return Err(ConfigError::Interfaces);
    }
    if number >= config.cores {
        return Err(ConfigError::Cores(number));
    }
    Ok(())
}
