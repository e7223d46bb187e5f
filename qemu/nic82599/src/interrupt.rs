//! The interrupt block: causes, masks, throttles and messages (7.3, 8.2.3.5).
//!
//! ```text
//!   queue ──IVAR──▶ cause 0-63 ─┐                       ┌─▶ auto-clear (EIAC)
//!   link, misses ──▶ cause 16-30 ┴─ mask ─ throttle ─ message
//!                      (IVAR_MISC names their vector)   └─▶ auto-mask (EIAM, GPIE.EIAME)
//! ```
//!
//! A message is sent once per cause: a cause that stays pending sends no second one until it was
//! cleared, or until its mask is written open again. Auto-clear and auto-mask happen at the moment
//! of the message.

use crate::storage::Storage;
use penstock_ixgbe_regs::bits::{eicr, eitr, gpie, ivar};
use penstock_ixgbe_regs::{self as regs, Reg, VECTORS};

/// What the card asks of the bus since it was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Vectors whose MSI-X message is due, with GPIE.MSIX set: bit n is vector n.
    pub vectors: u64,
    /// One message for everything, with GPIE.MSIX clear: MSI, or vector 0 of MSI-X.
    pub single: bool,
    /// Level of the INTx line, with GPIE.MSIX clear.
    pub line: bool,
}

pub(crate) struct Interrupts {
    /// Bits 0-63 are queue causes by vector, kept apart from the others.
    queues: Causes<u64>,
    /// Bits 16-30 of EICR.
    others: Causes<u32>,
    /// When each vector may send again.
    open_us: [u64; VECTORS as usize],
    due: Messages,
}

#[derive(Clone, Copy, Default)]
struct Causes<T> {
    pending: T,
    mask: T,
    /// Causes that have sent their message.
    told: T,
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts {
            queues: Causes::default(),
            others: Causes::default(),
            open_us: [0; VECTORS as usize],
            due: Messages::default(),
        }
    }

    /// A queue has something to say; `byte` is 0 for receive and 1 for transmit.
    pub(crate) fn raise_queue(&mut self, storage: &Storage, queue: u32, byte: u32) {
        let shift = (queue & 1) * 16 + byte * 8;
        let entry = storage.at(regs::IVAR.at(queue / 2)) >> shift;
        if entry & ivar::VALID != 0 {
            self.queues.pending |= 1 << (entry & ivar::VECTOR);
        }
    }

    /// A cause that is no queue.
    pub(crate) fn raise(&mut self, cause: u32) {
        self.others.pending |= cause & eicr::OTHERS;
    }

    /// EICR as it stands.
    pub(crate) fn causes(&self) -> u32 {
        self.others.pending | self.queues.pending as u32 & eicr::RTXQ
    }

    /// A read of EICR: what it shows, and what it clears and masks.
    pub(crate) fn read_causes(&mut self, storage: &Storage) -> u32 {
        let causes = self.causes();
        let control = storage.at(regs::GPIE);
        let cleared = if control & gpie::OCD != 0 { eicr::CLEARED_UNDER_OCD } else { !0 };
        self.clear(storage, cleared);
        causes
    }

    /// A write of ones to EICR.
    pub(crate) fn clear(&mut self, storage: &Storage, causes: u32) {
        let queues = u64::from(causes & eicr::RTXQ);
        if storage.at(regs::GPIE) & gpie::MSIX == 0 {
            let mask = storage.at(regs::EIAM) & self.causes() & causes;
            self.mask(u64::from(mask & eicr::RTXQ), mask & eicr::OTHERS);
        }
        self.queues.pending &= !queues;
        self.queues.told &= !queues;
        self.others.pending &= !causes;
        self.others.told &= !causes;
    }

    /// A write of EICS, EIMS or EIMC (`half` 0, with the other causes), or of an `_EX` register.
    pub(crate) fn write(&mut self, reg: Reg, value: u32) {
        let queues = u64::from(value & eicr::RTXQ);
        let others = value & eicr::OTHERS;
        match reg {
            regs::EICS => {
                self.queues.pending |= queues;
                self.others.pending |= others;
            }
            regs::EIMS => self.unmask(queues, others),
            regs::EIMC => self.mask(queues, others),
            _ => self.write_vectors(reg, value),
        }
    }

    fn write_vectors(&mut self, reg: Reg, value: u32) {
        if let Some(half) = regs::EICS_EX.index_of(reg) {
            self.queues.pending |= u64::from(value) << (half * 32);
        } else if let Some(half) = regs::EIMS_EX.index_of(reg) {
            self.unmask(u64::from(value) << (half * 32), 0);
        } else if let Some(half) = regs::EIMC_EX.index_of(reg) {
            self.mask(u64::from(value) << (half * 32), 0);
        }
    }

    /// EIMS as it reads.
    pub(crate) fn enabled(&self) -> u32 {
        self.others.mask | self.queues.mask as u32 & eicr::RTXQ
    }

    /// EIMS_EX as it reads.
    pub(crate) fn enabled_vectors(&self, half: u32) -> u32 {
        (self.queues.mask >> (half % 2 * 32)) as u32
    }

    /// EICS_EX as it reads.
    pub(crate) fn vector_causes(&self, half: u32) -> u32 {
        (self.queues.pending >> (half % 2 * 32)) as u32
    }

    fn unmask(&mut self, queues: u64, others: u32) {
        self.queues.mask |= queues;
        self.others.mask |= others;
        // Opening a mask asks again: what is pending sends its message now.
        self.queues.told &= !queues;
        self.others.told &= !others;
    }

    fn mask(&mut self, queues: u64, others: u32) {
        self.queues.mask &= !queues;
        self.others.mask &= !others;
        self.queues.told &= !queues;
        self.others.told &= !others;
    }

    /// A write of EITR: unless told not to, it loads the vector's counter.
    pub(crate) fn write_throttle(&mut self, now_us: u64, vector: u32, value: u32) {
        if let Some(open_us) = self.open_us.get_mut(vector as usize)
            && value & eitr::CNT_WDIS == 0
        {
            let counter = u64::from(value >> eitr::COUNTER_SHIFT & 0x7F) << 5;
            *open_us = now_us + counter * 2;
        }
    }

    /// Sends what may be sent now.
    pub(crate) fn poll(&mut self, now_us: u64, storage: &Storage) {
        if storage.at(regs::GPIE) & gpie::MSIX == 0 {
            return self.poll_single(now_us, storage);
        }
        let mut wanting = self.wanting(storage);
        while wanting != 0 {
            let vector = wanting.trailing_zeros();
            wanting &= wanting - 1;
            if self.open_us[vector as usize] <= now_us {
                self.send(now_us, storage, vector);
            }
        }
    }

    /// Vectors that have something new to say.
    fn wanting(&self, storage: &Storage) -> u64 {
        let fresh = self.others.pending & self.others.mask & !self.others.told;
        let misc = storage.at(regs::IVAR_MISC);
        let mut wanting = self.queues.pending & self.queues.mask & !self.queues.told;
        for (causes, entry) in [(eicr::TCP_TIMER, misc), (!eicr::TCP_TIMER, misc >> 8)] {
            if fresh & causes != 0 && entry & ivar::VALID != 0 {
                wanting |= 1 << (entry & ivar::VECTOR);
            }
        }
        wanting
    }

    fn send(&mut self, now_us: u64, storage: &Storage, vector: u32) {
        self.due.vectors |= 1 << vector;
        self.open_us[vector as usize] = now_us + interval_us(storage, vector);
        let misc = storage.at(regs::IVAR_MISC);
        let mut others = 0;
        for (causes, entry) in [(eicr::TCP_TIMER, misc), (!eicr::TCP_TIMER, misc >> 8)] {
            if entry & ivar::VALID != 0 && entry & ivar::VECTOR == vector {
                others |= self.others.pending & self.others.mask & causes;
            }
        }
        let queue = self.queues.pending & self.queues.mask & 1 << vector;
        self.queues.told |= queue;
        self.others.told |= others;
        // Causes above bit 15 have no EIAC bit: they are always cleared by their message.
        let clear = storage.at(regs::EIAC);
        let clear_queue = queue & (u64::from(clear & eicr::RTXQ) | !u64::from(eicr::RTXQ));
        self.queues.pending &= !clear_queue;
        self.queues.told &= !clear_queue;
        self.others.pending &= !(others & clear);
        self.others.told &= !(others & clear);
        if storage.at(regs::GPIE) & gpie::EIAME != 0 {
            let plain = storage.at(regs::EIAM);
            let vectors = u64::from(storage.at(regs::EIAM_EX.at(1))) << 32
                | u64::from(storage.at(regs::EIAM_EX.at(0)))
                | u64::from(plain & eicr::RTXQ);
            self.mask(queue & vectors, others & plain);
        }
    }

    /// INTx, MSI and single-vector MSI-X: every cause shares one message and one throttle.
    fn poll_single(&mut self, now_us: u64, storage: &Storage) {
        let enabled = self.causes() & self.enabled();
        let told = self.others.told | self.queues.told as u32 & eicr::RTXQ;
        let open = self.open_us[0] <= now_us;
        self.due.line = enabled != 0 && (open || told & enabled != 0);
        if enabled & !told != 0 && open {
            self.due.single = true;
            self.open_us[0] = now_us + interval_us(storage, 0);
            self.others.told |= enabled & eicr::OTHERS;
            self.queues.told |= u64::from(enabled & eicr::RTXQ);
        }
    }

    /// When a throttled vector may send, if one waits.
    pub(crate) fn deadline_us(&self, storage: &Storage) -> Option<u64> {
        if storage.at(regs::GPIE) & gpie::MSIX == 0 {
            let told = self.others.told | self.queues.told as u32 & eicr::RTXQ;
            return (self.causes() & self.enabled() & !told != 0).then_some(self.open_us[0]);
        }
        let wanting = self.wanting(storage);
        (0..VECTORS as usize)
            .filter(|vector| wanting >> vector & 1 != 0)
            .map(|vector| self.open_us[vector])
            .min()
    }

    /// Hands over the messages; the level of the line stays.
    pub(crate) fn take(&mut self) -> Messages {
        let due = self.due;
        self.due = Messages { line: due.line, ..Messages::default() };
        due
    }
}

/// Microseconds between two messages of `vector`.
fn interval_us(storage: &Storage, vector: u32) -> u64 {
    let reg = if vector < 24 { regs::EITR.at(vector) } else { regs::EITR_HIGH.at(vector - 24) };
    let units = storage.at(reg) >> eitr::INTERVAL_SHIFT & eitr::INTERVAL_MASK;
    u64::from(units) * 2048 / 1000
}

#[cfg(test)]
mod tests;
