//! The counters that a frame moves when it passes (8.2.3.23).

use crate::card::Card;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::Reg;

/// Bytes of the frame check sequence, which the card's byte counters include.
const CRC_BYTES: usize = 4;

impl Card {
    /// A frame that passed the filters.
    pub(crate) fn count_received(&mut self, frame: &[u8]) {
        let bytes = (frame.len() + CRC_BYTES) as u64;
        self.storage.count(regs::TPR, 1);
        self.storage.count_bytes(regs::TORL, regs::TORH, bytes);
        self.storage.count(regs::GPRC, 1);
        self.storage.count_bytes(regs::GORCL, regs::GORCH, bytes);
        self.storage.count(regs::PRC.at(size_class(bytes)), 1);
        self.count_group(frame, regs::BPRC, regs::MPRC);
    }

    /// A frame written to memory by `queue`.
    pub(crate) fn count_delivered(&mut self, queue: u32, bytes: usize) {
        let bytes = bytes as u64;
        self.storage.count(regs::RXDGPC, 1);
        self.storage.count_bytes(regs::RXDGBC.at(0), regs::RXDGBC.at(1), bytes);
        let counter = self.counter_of(regs::RQSMR.at(queue / 4), queue);
        self.storage.count(regs::QPRC.at(counter), 1);
        let (low, high) = (regs::QBRC_L.at(counter), regs::QBRC_H.at(counter));
        self.storage.count_bytes(low, high, bytes);
    }

    /// A frame that found no descriptor.
    pub(crate) fn count_no_descriptor(&mut self, queue: u32) {
        let counter = self.counter_of(regs::RQSMR.at(queue / 4), queue);
        self.storage.count(regs::QPRDC.at(counter), 1);
    }

    /// A frame that left the MAC, from wherever.
    pub(crate) fn count_left(&mut self, frame: &[u8]) {
        let bytes = (frame.len() + CRC_BYTES) as u64;
        self.storage.count(regs::TPT, 1);
        self.storage.count(regs::GPTC, 1);
        self.storage.count_bytes(regs::GOTCL, regs::GOTCH, bytes);
        self.storage.count(regs::PTC.at(size_class(bytes)), 1);
        self.count_group(frame, regs::BPTC, regs::MPTC);
    }

    /// A frame that left `queue`.
    pub(crate) fn count_sent(&mut self, queue: u32, frame: &[u8]) {
        self.count_left(frame);
        let bytes = (frame.len() + CRC_BYTES) as u64;
        self.storage.count(regs::TXDGPC, 1);
        self.storage.count_bytes(regs::TXDGBC.at(0), regs::TXDGBC.at(1), bytes);
        let counter = self.counter_of(regs::TQSM.at(queue / 4), queue);
        self.storage.count(regs::QPTC.at(counter), 1);
        let (low, high) = (regs::QBTC.at(counter * 2), regs::QBTC.at(counter * 2 + 1));
        self.storage.count_bytes(low, high, bytes);
    }

    fn count_group(&mut self, frame: &[u8], broadcast: Reg, multicast: Reg) {
        match frame.first_chunk::<6>() {
            Some([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) => self.storage.count(broadcast, 1),
            Some([first, ..]) if first & 1 != 0 => self.storage.count(multicast, 1),
            _ => {}
        }
    }

    /// Which of the 16 counters `queue` counts in: one byte per queue in a map register.
    fn counter_of(&self, map: Reg, queue: u32) -> u32 {
        self.storage.at(map) >> (queue % 4 * 8) & 0xF
    }
}

/// Which of the six size counters a frame of `bytes` moves: 64, 127, 255, 511, 1023, more.
fn size_class(bytes: u64) -> u32 {
    match bytes {
        0..=64 => 0,
        65..=127 => 1,
        128..=255 => 2,
        256..=511 => 3,
        512..=1023 => 4,
        _ => 5,
    }
}
