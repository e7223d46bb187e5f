//! The card: its blocks, its resets and the step that moves frames.

use crate::eeprom::{self, Eeprom};
use crate::faults::Faults;
use crate::flow_director::FlowDirector;
use crate::interrupt::{Interrupts, Messages};
use crate::link::{Link, Wanted};
use crate::loss::{Loss, Losses};
use crate::memory::{Failing, Memory};
use crate::module::Module;
use crate::pause::Pause;
use crate::receive::PacketBuffer;
use crate::storage::Storage;
use crate::transmit::Transmitter;
use crate::wire::{FRAME_MAX, Wire};
use core::cell::Cell;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{ctrl, eec, eicr, esdp, hlreg0, rah};
use std::collections::BTreeMap;

/// An emulated 82599 port.
pub struct Card {
    pub(crate) config: CardConfig,
    pub(crate) faults: Faults,
    pub(crate) now_us: u64,
    pub(crate) storage: Storage,
    pub(crate) interrupts: Interrupts,
    pub(crate) eeprom: Eeprom,
    pub(crate) module: Module,
    pub(crate) link: Link,
    pub(crate) director: FlowDirector,
    pub(crate) buffer: PacketBuffer,
    pub(crate) transmitter: Transmitter,
    pub(crate) pause: Pause,
    pub(crate) losses: Losses,
    unknown: BTreeMap<u32, u64>,
    bus_master: bool,
    messages_lost: u64,
    /// Accesses to memory, counted while a fault fails some of them.
    accesses: u64,
    /// Where a frame from the wire lands before it is judged.
    landing: Vec<u8>,
}

/// What a card is made with.
#[derive(Clone, Debug)]
pub struct CardConfig {
    /// The factory address, loaded into RAL0 and RAH0 at each reset.
    pub mac: [u8; 6],
    /// Which of the two ports of a card this is: 0 or 1.
    pub port: u8,
    /// How long the link trains.
    pub link_delay_us: u64,
    /// Faults from the first moment on.
    pub faults: Faults,
}

impl Default for CardConfig {
    fn default() -> CardConfig {
        CardConfig {
            mac: [0x52, 0, 0, 0, 0, 1],
            port: 0,
            link_delay_us: 1000,
            faults: Faults::default(),
        }
    }
}

/// Which reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Power, or a function level reset: everything but the EEPROM.
    Function,
    /// CTRL.RST: everything but the link and the semaphores.
    Software,
    /// CTRL.LNK_RST: the same, and the link. Drivers use it alone when the link is down.
    Link,
}

/// What a step left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// A bound was reached and there is more to do now.
    pub more: bool,
    /// When the card next has something to do by itself.
    pub deadline_us: Option<u64>,
}

impl Card {
    /// A card that has just been powered on.
    pub fn new(config: CardConfig) -> Card {
        let mut card = Card {
            now_us: 0,
            storage: Storage::new(),
            interrupts: Interrupts::new(),
            eeprom: Eeprom::new(),
            module: Module::new(!config.faults.module_absent),
            link: Link::new(config.link_delay_us),
            director: FlowDirector::new(),
            buffer: PacketBuffer::new(),
            transmitter: Transmitter::new(),
            pause: Pause::default(),
            losses: Losses::new(),
            unknown: BTreeMap::new(),
            bus_master: true,
            messages_lost: 0,
            accesses: 0,
            landing: vec![0; FRAME_MAX],
            faults: Faults::default(),
            config,
        };
        card.set_faults(card.config.faults.clone());
        card.reset(Reset::Function);
        card
    }

    /// Breaks and mends; a module or a cable that changes is an event a driver hears of.
    pub fn set_faults(&mut self, faults: Faults) {
        if faults.bad_eeprom_checksum != self.faults.bad_eeprom_checksum {
            self.eeprom.spoil(faults.bad_eeprom_checksum);
        }
        if self.module.plugged() == faults.module_absent {
            self.module.plug(!faults.module_absent);
            self.interrupts.raise(eicr::SDP2);
        }
        self.faults = faults;
    }

    /// Whether the bus lets the card reach memory (bus master enable); true in a new card.
    pub fn set_bus_master(&mut self, on: bool) {
        if on && !self.bus_master {
            self.ring_all_doorbells();
        }
        self.bus_master = on;
    }

    /// Whether the link is up.
    pub fn link_up(&self) -> bool {
        self.link.up()
    }

    /// What was lost, by name.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Offsets that are no register, with how often each was used.
    pub fn unknown(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.unknown.iter().map(|(&offset, &count)| (offset, count))
    }

    /// The messages that are due since the last call.
    pub fn take_messages(&mut self) -> Messages {
        self.interrupts.poll(self.now_us, &self.storage);
        let mut due = self.interrupts.take();
        if let every @ 1.. = self.faults.lost_message_every {
            self.lose_messages(every, &mut due);
        }
        due
    }

    fn lose_messages(&mut self, every: u64, due: &mut Messages) {
        let mut rest = due.vectors;
        while rest != 0 {
            let vector = rest & rest.wrapping_neg();
            rest &= !vector;
            self.messages_lost += 1;
            if self.messages_lost.is_multiple_of(every) {
                due.vectors &= !vector;
                self.losses.count(Loss::LostInterrupt);
            }
        }
    }

    /// Resets part of the card.
    pub fn reset(&mut self, kind: Reset) {
        match kind {
            Reset::Software => {
                self.storage.reset(|reg| !is_link(reg) && !is_semaphore(reg));
                self.reset_data_path();
            }
            Reset::Link => {
                self.storage.reset(|reg| !is_semaphore(reg));
                self.reset_data_path();
                self.restart_link();
            }
            Reset::Function => {
                self.storage.reset(|_| true);
                self.module.plug(!self.faults.module_absent);
                self.reset_data_path();
                self.restart_link();
            }
        }
    }

    fn reset_data_path(&mut self) {
        self.interrupts = Interrupts::new();
        self.director = FlowDirector::new();
        self.buffer = PacketBuffer::new();
        self.transmitter = Transmitter::new();
        self.pause = Pause::default();
        let [a, b, c, d, e, f] = self.config.mac;
        self.storage.set(regs::RAL.at(0), u32::from_le_bytes([a, b, c, d]));
        self.storage.set(regs::RAH.at(0), u32::from(u16::from_le_bytes([e, f])) | rah::AV);
        let part = eec::PRES | eec::ARD | eec::ADDR_SIZE | eeprom::SIZE << eec::SIZE_SHIFT;
        self.storage.set(regs::EEC, part);
        self.storage.set(regs::RXPBSIZE.at(0), 0x8_0000);
        self.storage.set(regs::TXPBSIZE.at(0), 0x2_8000);
    }

    pub(crate) fn restart_link(&mut self) {
        if self.link.restart() {
            self.interrupts.raise(eicr::LSC);
        }
    }

    /// Moves what can be moved at `now_us`: frames out, frames in, timers. Bounded; call again
    /// while it says [`Progress::more`], then after the next access, the next frame or the deadline.
    /// Time never runs backwards: an earlier `now_us` counts as the latest seen.
    pub fn step<M: Memory, W: Wire>(
        &mut self,
        now_us: u64,
        memory: &mut M,
        wire: &mut W,
    ) -> Progress {
        self.now_us = self.now_us.max(now_us);
        self.poll_link();
        // The accesses that a planted fault fails are counted across steps.
        let every = self.faults.dma_fault_every;
        let mut memory = Failing { inner: memory, every, count: Cell::new(self.accesses) };
        let (mut more, stopped) = (false, self.pause.stops(self.now_us));
        if self.reaches_memory() {
            self.write_back_late(&mut memory);
            more |= self.transmit(&mut memory, wire);
        }
        more |= self.listen(wire);
        // What was just let go has not been looked at.
        more |= stopped && !self.pause.stops(self.now_us) && self.transmitter.rung();
        if self.reaches_memory() {
            self.deliver(&mut memory);
        }
        self.control_flow(wire);
        self.accesses = memory.count.get();
        self.interrupts.poll(self.now_us, &self.storage);
        Progress { more, deadline_us: self.deadline_us(wire) }
    }

    /// Takes frames from the wire, up to a bound.
    fn listen<W: Wire>(&mut self, wire: &mut W) -> bool {
        for _ in 0..FRAMES_PER_STEP {
            let mut landing = core::mem::take(&mut self.landing);
            let length = wire.recv(self.now_us, &mut landing);
            if let Some(frame) = length.and_then(|length| landing.get(..length)) {
                if self.loops_back() {
                    self.losses.count(Loss::ReceiveLooped);
                } else if !self.link.up() {
                    self.losses.count(Loss::ReceiveLinkDown);
                } else if !self.take_pause(frame) {
                    self.admit(frame);
                }
            }
            self.landing = landing;
            if length.is_none() {
                return false;
            }
        }
        true
    }

    fn poll_link(&mut self) {
        let half = self.now_us.checked_div(self.faults.flap_us).unwrap_or(0);
        self.link.cable = !self.faults.no_light && half.is_multiple_of(2);
        let wanted = Wanted {
            autoc: self.storage.at(regs::AUTOC),
            autoc2: self.storage.at(regs::AUTOC2),
            module: self.module.plugged(),
            laser: self.storage.at(regs::ESDP) & esdp::SDP3 == 0,
        };
        if self.link.poll(self.now_us, wanted) {
            self.interrupts.raise(eicr::LSC);
        }
    }

    fn deadline_us<W: Wire>(&self, wire: &W) -> Option<u64> {
        let interrupts = self.interrupts.deadline_us(&self.storage);
        let flap = self.now_us.checked_div(self.faults.flap_us);
        let flap = flap.map(|halves| (halves + 1) * self.faults.flap_us);
        // What waits to be written back waits for the bus as well.
        let sent = self.transmitter.deadline_us().filter(|_| self.reaches_memory());
        let held = self.buffer.deadline_us(self.now_us).filter(|_| self.reaches_memory());
        let pause = self.pause.deadline_us(self.now_us, self.transmitter.rung());
        [self.link.deadline_us(), interrupts, flap, sent, held, pause, wire.deadline_us()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the MAC hears itself and nothing else (HLREG0.LPBK).
    pub(crate) fn loops_back(&self) -> bool {
        self.storage.at(regs::HLREG0) & hlreg0::LPBK != 0
    }

    fn reaches_memory(&self) -> bool {
        self.bus_master && self.storage.at(regs::CTRL) & ctrl::GIO_DIS == 0
    }

    /// An access of the card to an address that nothing answers: counted, and a PCI cause.
    pub(crate) fn dma_fault(&mut self) {
        self.losses.count(Loss::DmaFault);
        self.interrupts.raise(eicr::PCI);
    }

    pub(crate) fn unknown_read(&mut self, offset: u32) -> u32 {
        self.losses.count(Loss::UnknownRead);
        self.note_unknown(offset);
        0
    }

    pub(crate) fn unknown_write(&mut self, offset: u32) {
        self.losses.count(Loss::UnknownWrite);
        self.note_unknown(offset);
    }

    fn note_unknown(&mut self, offset: u32) {
        if self.unknown.len() < UNKNOWN_MAX || self.unknown.contains_key(&offset) {
            *self.unknown.entry(offset).or_default() += 1;
        }
    }
}

fn is_link(reg: regs::Reg) -> bool {
    matches!(reg, regs::AUTOC | regs::AUTOC2 | regs::ESDP)
}

fn is_semaphore(reg: regs::Reg) -> bool {
    matches!(reg, regs::SWSM | regs::SW_FW_SYNC)
}

/// Frames that one step takes from the wire.
const FRAMES_PER_STEP: usize = 256;

/// Offsets of unknown registers that are remembered.
const UNKNOWN_MAX: usize = 1024;
