//! Which queue a received frame goes to: Flow Director first, then receive-side scaling (7.1.2).
//!
//! ```text
//!   TCP over IPv4, port bits as a rule says ──▶ Flow Director ──▶ any of 128 queues
//!   every other TCP, UDP or IP packet ─────────▶ RSS: RETA[toeplitz & 127] ──▶ any of 16
//!   what is no IP ─────────────────────────────▶ queue 0
//! ```
//! Flow Director compares every filter under one set of masks. A filter lies in a bucket whose
//! number software computes; the card looks into the bucket of the frame and nowhere else.

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fdircmd, fdirctrl, fdirhash, fdirm, mrqc, rxcsum};
use penstock_queue::{PortMask, Rss};

use crate::config::Steer;
use crate::error::{Error, Wait};
use crate::limits::STEER_RULES_MAX;
use crate::registers::Registers;

/// Receive-side scaling (7.1.2.8).
pub(crate) fn program_rss<D: Device>(card: &Registers<D>, rss: &Rss) {
    for (index, word) in rss.key.as_chunks::<4>().0.iter().enumerate() {
        card.write(regs::RSSRK.at(index as u32), u32::from_le_bytes(*word));
    }
    for (index, word) in rss.reta.as_chunks::<4>().0.iter().enumerate() {
        card.write(regs::RETA.at(index as u32), u32::from_le_bytes(*word));
    }
    // Descriptors carry the hash instead of a fragment's checksum.
    card.change(regs::RXCSUM, 0, rxcsum::PCSD);
    // UDP by addresses alone: its fragments stay together.
    let kinds = mrqc::TCP_IPV4 | mrqc::IPV4 | mrqc::TCP_IPV6 | mrqc::IPV6;
    card.write(regs::MRQC, MODE_RSS | kinds);
}

/// Flow Director with perfect filters (7.1.2.7). Before the receive path is enabled: the table takes
/// its memory from the packet buffer.
pub(crate) fn program_filters<D: Device>(card: &Registers<D>, steer: &Steer) -> Result<(), Error> {
    card.write(regs::FDIRHKEY, BUCKET_KEY);
    card.write(regs::FDIRSKEY, SIGNATURE_KEY);
    card.write(regs::FDIRCTRL, CONTROL);
    let done = fdirctrl::INIT_DONE;
    card.wait(Wait::FlowDirectorInit, regs::FDIRCTRL, done, done)?;
    let ignored = fdirm::VLAN_ID | fdirm::VLAN_PRIORITY | fdirm::POOL | fdirm::FLEX | fdirm::DIPV6;
    card.write(regs::FDIRM, ignored);
    let ports = ports_mask(steer.mask);
    card.write(regs::FDIRTCPM, ports);
    card.write(regs::FDIRUDPM, ports);
    card.write(regs::FDIRSIP4M, !0);
    card.write(regs::FDIRDIP4M, !0);
    for (index, rule) in steer.rules.iter().enumerate() {
        let port = rule.value & steer.mask.0;
        (0..regs::FDIRSIPV6.count()).for_each(|word| card.write(regs::FDIRSIPV6.at(word), 0));
        card.write(regs::FDIRIPSA, 0);
        card.write(regs::FDIRIPDA, 0);
        card.write(regs::FDIRPORT, u32::from(port) << 16);
        card.write(regs::FDIRVLAN, 0);
        // Software's name for the filter counts down from the last, as Linux's do.
        let name = (STEER_RULES_MAX - index) as u32;
        card.write(regs::FDIRHASH, name << fdirhash::INDEX_SHIFT | bucket(port));
        let queue = u32::from(rule.queue) << fdircmd::QUEUE_SHIFT;
        card.write(regs::FDIRCMD, ADD_TCP_IPV4 | queue);
        card.wait(Wait::FlowDirectorCommand, regs::FDIRCMD, fdircmd::CMD, 0)?;
    }
    Ok(())
}

/// FDIRTCPM: ones ignore; each half has its bits in reverse; the source port is ignored.
fn ports_mask(mask: PortMask) -> u32 {
    u32::from(!mask.0.reverse_bits()) << 16 | 0xFFFF
}

/// The bucket of a TCP segment over IPv4 to masked port `port`, everything else masked
/// (7.1.2.7.6): the key's bits select shifts of the input, which is what is compared and, under it,
/// the kind of flow.
fn bucket(port: u16) -> u32 {
    let flow = FLOW_TCP_IPV4 << 16;
    let input = u32::from(port);
    let high = input ^ flow ^ flow >> 16;
    let mut low = input.rotate_left(16);
    let mut hash = 0;
    for shift in 0..16 {
        if BUCKET_KEY >> shift & 1 != 0 {
            hash ^= low >> shift;
        }
        if BUCKET_KEY >> (shift + 16) & 1 != 0 {
            hash ^= high >> shift;
        }
        if shift == 0 {
            // The kind of flow counts in the lower word from the second bit of the key on.
            low ^= flow ^ flow << 16;
        }
    }
    hash & fdirhash::BUCKET
}

/// MRQC: receive-side scaling, no traffic classes, no pools.
const MODE_RSS: u32 = 1;

/// Keys as every driver of the card uses them: chosen by its maker to spread filters.
const BUCKET_KEY: u32 = 0x3DAD_14E2;
const SIGNATURE_KEY: u32 = 0x174D_3614;

/// 64 KB of filters, perfect, queue 127 for those that drop, flexible bytes at word 6, buckets of
/// ten at most before it is an error, FLOW_DIR when fewer than 64 are free.
const CONTROL: u32 = 1
    | fdirctrl::PERFECT
    | 0x7F << fdirctrl::DROP_QUEUE_SHIFT
    | 6 << fdirctrl::FLEX_SHIFT
    | 0xA << 24
    | 4 << fdirctrl::FULL_SHIFT;

/// The kind of flow, as the bucket's hash wants it.
const FLOW_TCP_IPV4: u32 = 2;

const ADD_TCP_IPV4: u32 =
    fdircmd::ADD | fdircmd::UPDATE | 2 << fdircmd::L4TYPE_SHIFT | fdircmd::LAST | fdircmd::QUEUE_EN;

/// What the table takes from the packet buffer, in bytes.
pub(crate) const TABLE_BYTES: u32 = 64 * 1024;
