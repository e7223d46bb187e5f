//! Statistics under the names that `ethtool -S` shows for Linux's driver, and two that it has not.

use core::fmt::Arguments;

use penstock_hw::Device;
use penstock_ixgbe_regs::{self as regs, RegArray};

use crate::registers::Registers;
use crate::shared::{Count, Shared};

/// Sums of the card's counters, which forget what they are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    sums: [u64; COUNTERS.len()],
    read_us: u64,
    pub(crate) lsc_int: u64,
    pub(crate) tx_timeouts: u64,
    pub(crate) resets: u64,
}

impl Statistics {
    /// Adds what the card has counted since the last time: now, if it was long ago.
    pub(crate) fn refresh<D: Device>(&mut self, now_us: u64, card: &Registers<D>) {
        if now_us.saturating_sub(self.read_us) >= REFRESH_US {
            self.read_us = now_us;
            self.read(card);
        }
    }

    /// Adds what the card has counted since the last time.
    pub(crate) fn read<D: Device>(&mut self, card: &Registers<D>) {
        if card.is_absent() {
            return;
        }
        for (sum, (_, counter)) in self.sums.iter_mut().zip(COUNTERS) {
            let ones = |array: &RegArray| {
                (0..array.count()).map(|at| u64::from(card.read(array.at(at)))).sum::<u64>()
            };
            *sum += match counter {
                Counter::Ones(array) => ones(array),
                // The upper word is latched by the read of the lower.
                Counter::Bytes(low, high) => ones(low) | (ones(high) & 0xF) << 32,
            };
        }
    }

    /// Names and values, in Linux's order.
    pub(crate) fn visit(&self, shared: &Shared, each: &mut impl FnMut(Arguments<'_>, u64)) {
        let total = |count: Count| -> u64 {
            (0..shared.queues()).map(|queue| shared.count(queue, count)).sum()
        };
        let of = |name: &str| -> u64 {
            let sums = COUNTERS.iter().zip(&self.sums);
            sums.filter(|((known, _), _)| *known == name).map(|(_, &sum)| sum).sum()
        };
        each(format_args!("rx_packets"), total(Count::ReceivedPackets));
        each(format_args!("tx_packets"), total(Count::SentPackets));
        each(format_args!("rx_bytes"), total(Count::ReceivedBytes));
        each(format_args!("tx_bytes"), total(Count::SentBytes));
        each(format_args!("lsc_int"), self.lsc_int);
        each(format_args!("non_eop_descs"), total(Count::LongFrames));
        each(format_args!("rx_errors"), of("rx_crc_errors") + of("rx_length_errors"));
        each(format_args!("rx_csum_offload_errors"), total(Count::ChecksumErrors));
        each(format_args!("rx_impossible_descs"), total(Count::Impossible));
        each(format_args!("tx_timeout_count"), self.tx_timeouts);
        each(format_args!("resets"), self.resets);
        for ((name, _), &sum) in COUNTERS.iter().zip(&self.sums) {
            each(format_args!("{name}"), sum);
        }
        for queue in 0..shared.queues() {
            let count = |count| shared.count(queue, count);
            each(format_args!("tx_queue_{queue}_packets"), count(Count::SentPackets));
            each(format_args!("tx_queue_{queue}_bytes"), count(Count::SentBytes));
            each(format_args!("rx_queue_{queue}_packets"), count(Count::ReceivedPackets));
            each(format_args!("rx_queue_{queue}_bytes"), count(Count::ReceivedBytes));
        }
    }
}

/// How the card counts something.
enum Counter {
    /// The sum of these.
    Ones(RegArray),
    /// 36 bits in two words.
    Bytes(RegArray, RegArray),
}

const fn one(reg: regs::Reg) -> Counter {
    Counter::Ones(RegArray::new(reg.0, 4, 1))
}

const fn bytes(low: regs::Reg, high: regs::Reg) -> Counter {
    Counter::Bytes(RegArray::new(low.0, 4, 1), RegArray::new(high.0, 4, 1))
}

/// What the card counts, and Linux's name for it.
const COUNTERS: &[(&str, Counter)] = &[
    ("rx_pkts_nic", one(regs::GPRC)),
    ("tx_pkts_nic", one(regs::GPTC)),
    ("rx_bytes_nic", bytes(regs::GORCL, regs::GORCH)),
    ("tx_bytes_nic", bytes(regs::GOTCL, regs::GOTCH)),
    ("multicast", one(regs::MPRC)),
    ("broadcast", one(regs::BPRC)),
    ("rx_no_buffer_count", Counter::Ones(regs::RNBC)),
    ("rx_crc_errors", one(regs::CRCERRS)),
    ("rx_length_errors", one(regs::RLEC)),
    ("rx_missed_errors", Counter::Ones(regs::MPC)),
    ("rx_long_length_errors", one(regs::ROC)),
    ("rx_short_length_errors", one(regs::RUC)),
    ("fdir_match", one(regs::FDIRMATCH)),
    ("fdir_miss", one(regs::FDIRMISS)),
    ("tx_flow_control_xon", one(regs::LXONTXC)),
    ("rx_flow_control_xon", one(regs::LXONRXCNT)),
    ("tx_flow_control_xoff", one(regs::LXOFFTXC)),
    ("rx_flow_control_xoff", one(regs::LXOFFRXCNT)),
    ("rx_no_dma_resources", Counter::Ones(regs::QPRDC)),
];

/// The counters are read at least this often. At full rate the first would be full after 288 s.
const REFRESH_US: u64 = 10_000_000;
