//! What both threads share: the card, its bus and its port, behind one lock.

use crate::arguments::Options;
use crate::guest_memory::GuestMemory;
use crate::vectors::Vectors;
use penstock_nic82599::{Card, ConfigSpace, Faults, Progress, Reset, Wire};
use rustix::event::EventfdFlags;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The port of the card: any wire that may change threads.
pub(crate) type Port = Box<dyn Wire + Send>;

/// The card with everything around it.
pub(crate) struct Machine {
    pub(crate) card: Card,
    pub(crate) config: ConfigSpace,
    pub(crate) memory: GuestMemory,
    pub(crate) vectors: Vectors,
    port: Port,
    started: Instant,
    faults: Faults,
    flap: Flap,
}

/// A link that comes and goes.
struct Flap {
    every_us: u64,
    next_us: u64,
}

impl Machine {
    pub(crate) fn new(card: Card, config: ConfigSpace, port: Port, options: &Options) -> Machine {
        let mut machine = Machine {
            card,
            config,
            memory: GuestMemory::default(),
            vectors: Vectors::default(),
            port,
            started: Instant::now(),
            faults: options.card_faults.clone(),
            flap: Flap { every_us: options.flap_us, next_us: options.flap_us },
        };
        machine.card.set_bus_master(false);
        machine
    }

    /// Moves everything that can be moved now and sends the messages. Says when to come back.
    pub(crate) fn run(&mut self) -> Progress {
        let now_us = self.started.elapsed().as_micros() as u64;
        self.flap(now_us);
        let mut progress = Progress { more: true, deadline_us: None };
        for _ in 0..STEPS_PER_RUN {
            progress = self.card.step(now_us, &mut self.memory, &mut self.port);
            let mut messages = self.card.take_messages();
            self.config.show_line(messages.line);
            messages.line &= self.config.line_allowed();
            self.vectors.send(messages);
            if !progress.more {
                break;
            }
        }
        if self.flap.every_us > 0 {
            let next_us = self.flap.next_us;
            progress.deadline_us =
                Some(progress.deadline_us.map_or(next_us, |due| due.min(next_us)));
        }
        progress
    }

    /// Microseconds from now to `deadline_us`.
    pub(crate) fn until(&self, deadline_us: u64) -> u64 {
        deadline_us.saturating_sub(self.started.elapsed().as_micros() as u64)
    }

    fn flap(&mut self, now_us: u64) {
        if self.flap.every_us > 0 && self.flap.next_us <= now_us {
            self.flap.next_us = now_us + self.flap.every_us;
            self.faults.no_light = !self.faults.no_light;
            self.card.set_faults(self.faults.clone());
        }
    }

    /// A function level reset, or the reset of the whole guest.
    pub(crate) fn reset(&mut self) {
        self.config.reset();
        self.card.reset(Reset::Function);
        self.apply_config();
    }

    /// Takes over what configuration space says about the bus.
    pub(crate) fn apply_config(&mut self) {
        self.card.set_bus_master(self.config.bus_master() && self.config.powered());
    }

    /// The client has gone, and its memory and eventfds with it.
    pub(crate) fn disconnect(&mut self) {
        self.memory.clear();
        self.vectors = Vectors::default();
        self.reset();
    }
}

/// The machine and the bell that wakes the worker.
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    bell: OwnedFd,
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> rustix::io::Result<Shared> {
        let bell = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Shared { machine: Mutex::new(machine), bell })
    }

    /// The machine. A thread that panicked has already ended the process.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker's own descriptor to wait on.
    pub(crate) fn bell(&self) -> &OwnedFd {
        &self.bell
    }

    /// Makes the worker look again at what it waits for.
    pub(crate) fn ring(&self) {
        // Full means that it rings already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

/// Steps that one holder of the lock makes before the other thread gets a turn.
const STEPS_PER_RUN: usize = 64;
