//! What both threads share: the card, its bus and its port, behind one lock.

use crate::doorbells::Doorbells;
use crate::guest_memory::GuestMemory;
use crate::pcap::Recorded;
use crate::vectors::Vectors;
use penstock_nic82599::{Card, ConfigSpace, FaultScript, FaultSet, Faulty, Progress, Reset, Wire};
use rustix::event::EventfdFlags;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What the port is plugged into: any wire that may change threads.
pub(crate) type Plug = Box<dyn Wire + Send>;

/// The port: a recorder, then what goes wrong, then the wire.
pub(crate) type Port = Recorded<Faulty<Plug>>;

/// The card with everything around it.
pub(crate) struct Machine {
    pub(crate) card: Card,
    pub(crate) config: ConfigSpace,
    pub(crate) memory: GuestMemory,
    pub(crate) vectors: Vectors,
    port: Port,
    /// Queue registers that the guest reaches by itself, if it may.
    doorbells: Option<Doorbells>,
    started: Instant,
    script: FaultScript,
    faults: FaultSet,
    /// When the client came: the script's time begins then.
    arrived_us: Option<u64>,
    /// When the guest last wrote a queue register without us.
    rung_us: u64,
}

impl Machine {
    pub(crate) fn new(
        card: Card,
        config: ConfigSpace,
        port: Port,
        script: FaultScript,
        doorbells: Option<Doorbells>,
    ) -> Machine {
        let mut machine = Machine {
            card,
            config,
            memory: GuestMemory::default(),
            vectors: Vectors::default(),
            port,
            doorbells,
            started: Instant::now(),
            faults: FaultSet::default(),
            script,
            arrived_us: None,
            rung_us: 0,
        };
        machine.card.set_bus_master(false);
        machine.follow_script(0);
        machine
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// A client does something; the first time, it has come.
    pub(crate) fn arrive(&mut self) {
        if self.arrived_us.is_none() {
            self.arrived_us = Some(self.now_us());
        }
    }

    /// Moves everything that can be moved now and sends the messages. Says when to come back.
    pub(crate) fn run(&mut self) -> Progress {
        let now_us = self.now_us();
        let script_us = self.follow_script(now_us);
        if self.collect() {
            self.rung_us = now_us;
        }
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
        let look_us = self.show(now_us);
        progress.deadline_us =
            [progress.deadline_us, script_us, look_us].into_iter().flatten().min();
        progress
    }

    /// Takes over what the guest has written without us.
    pub(crate) fn collect(&mut self) -> bool {
        self.doorbells.as_mut().is_some_and(|doorbells| doorbells.collect(&mut self.card))
    }

    /// Shows the guest what it reads without us; returns when to look again.
    fn show(&mut self, now_us: u64) -> Option<u64> {
        self.doorbells.as_mut()?.show(&self.card);
        // At once while there is something to do, and seldom where nobody is.
        let busy = now_us.saturating_sub(self.rung_us) < BUSY_US;
        self.arrived_us?;
        Some(now_us + if busy { 0 } else { LOOK_US })
    }

    /// Microseconds from now to `deadline_us`.
    pub(crate) fn until(&self, deadline_us: u64) -> u64 {
        deadline_us.saturating_sub(self.now_us())
    }

    /// Breaks and mends what the script says; returns when it says something next.
    fn follow_script(&mut self, now_us: u64) -> Option<u64> {
        let elapsed_us = self.arrived_us.map_or(0, |arrived_us| now_us.saturating_sub(arrived_us));
        let faults = self.script.at(elapsed_us);
        if *faults != self.faults {
            self.faults = faults.clone();
            self.card.set_faults(self.faults.card.clone());
            self.port.inner.set_faults(self.faults.wire);
        }
        let next_us = self.script.next_us(elapsed_us)?;
        self.arrived_us.map(|arrived_us| arrived_us.saturating_add(next_us))
    }

    /// Breaks and mends what `line` says, from now on; what a script would say next is forgotten.
    pub(crate) fn change_faults(&mut self, line: &str) -> Result<(), String> {
        let mut faults = self.faults.clone();
        for word in line.split([',', ' ', '\r', '\n']).filter(|word| !word.is_empty()) {
            faults.change(word)?;
        }
        self.script = FaultScript::constant(faults);
        Ok(())
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
        self.arrived_us = None;
        self.reset();
    }
}

/// The machine and the bell that wakes the worker.
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    bell: OwnedFd,
    /// Whether the client waits for the lock.
    wanted: AtomicBool,
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> rustix::io::Result<Shared> {
        let bell = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Shared { machine: Mutex::new(machine), bell, wanted: AtomicBool::new(false) })
    }

    /// The machine, for the client: a processor of the guest stands still meanwhile, so that the
    /// worker lets it pass.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.wanted.store(true, Ordering::Relaxed);
        let machine = self.locked();
        self.wanted.store(false, Ordering::Relaxed);
        machine
    }

    /// The machine, for everybody else. The lock alone is not fair: who has just let go of it is often
    /// the first to have it again.
    pub(crate) fn lock_last(&self) -> MutexGuard<'_, Machine> {
        while self.wanted.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.locked()
    }

    /// A thread that panicked has already ended the process.
    fn locked(&self) -> MutexGuard<'_, Machine> {
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
const STEPS_PER_RUN: usize = 4;

/// How long shared queue registers are looked at without a pause after the guest wrote one.
const BUSY_US: u64 = 1000;

/// How often they are looked at otherwise.
const LOOK_US: u64 = 100;
