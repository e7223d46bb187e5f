//! Pause frames of the whole link (3.7.7, 802.3 annex 31B): a packet buffer that fills stops the far
//! end, and the far end stops our transmitter.
//!
//! ```text
//!   packet buffer ▲ FCRTH ─── XOFF, again before its time is over ───┐
//!                 ▼ FCRTL ─── XON ───────────────────────────────────┴──▶ wire
//!   wire ──▶ XOFF, XON ──▶ transmit waits, TFCS says so
//! ```
//!
//! Priority flow control is not modelled.

use crate::card::Card;
use crate::wire::{FRAME_MIN, Wire};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{fccfg, fcrth, fcrtl, mflcn, tfcs};

#[derive(Default)]
pub(crate) struct Pause {
    /// The far end takes nothing before.
    stopped_until_us: u64,
    /// The far end was stopped: when it is told again.
    again_us: Option<u64>,
}

impl Pause {
    /// Whether the transmitter waits.
    pub(crate) fn stops(&self, now_us: u64) -> bool {
        now_us < self.stopped_until_us
    }

    /// When there is something to do: to send again if `waiting`, or to stop the far end again.
    pub(crate) fn deadline_us(&self, now_us: u64, waiting: bool) -> Option<u64> {
        let sent = (waiting && self.stops(now_us)).then_some(self.stopped_until_us);
        [sent, self.again_us].into_iter().flatten().min()
    }
}

impl Card {
    /// TFCS: whether the transmitter may send (8.2.3.3.6).
    pub(crate) fn flow_status(&self) -> u32 {
        if self.pause.stops(self.now_us) { tfcs::TC_XON & !tfcs::TC0_XON } else { tfcs::TC_XON }
    }

    /// A frame from the wire. True if it ends here: the MAC has taken it, and MFLCN.DPF keeps it from
    /// the host.
    pub(crate) fn take_pause(&mut self, frame: &[u8]) -> bool {
        let control = self.storage.at(regs::MFLCN);
        let Some(quanta) = self.quanta(frame).filter(|_| control & mflcn::RFCE != 0) else {
            return false;
        };
        self.storage.count(if quanta == 0 { regs::LXONRXCNT } else { regs::LXOFFRXCNT }, 1);
        self.pause.stopped_until_us = self.now_us + us(quanta);
        control & mflcn::DPF != 0
    }

    /// The pause that `frame` asks for, if it is a pause frame to the group or to us.
    fn quanta(&self, frame: &[u8]) -> Option<u16> {
        let (to, rest) = frame.split_first_chunk::<6>()?;
        let [kind @ .., high, low] = rest.get(6..)?.first_chunk::<6>()?;
        let ours = *to == GROUP || *to == self.station();
        (ours && *kind == KIND).then_some(u16::from_be_bytes([*high, *low]))
    }

    /// The first receive address.
    fn station(&self) -> [u8; 6] {
        let [a, b, c, d] = self.storage.at(regs::RAL.at(0)).to_le_bytes();
        let [e, f, ..] = self.storage.at(regs::RAH.at(0)).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Stops the far end when the packet buffer fills, and lets it go when there is room.
    pub(crate) fn control_flow<W: Wire>(&mut self, wire: &mut W) {
        let high = self.storage.at(regs::FCRTH.at(0));
        let enabled = self.storage.at(regs::FCCFG) & fccfg::TFCE == fccfg::TFCE_LINK;
        if !enabled || high & fcrth::FCEN == 0 || !self.link.up() {
            self.pause.again_us = None;
            return;
        }
        let low = self.storage.at(regs::FCRTL.at(0));
        let held = self.buffer.bytes() as u32;
        let room = held <= low & fcrtl::RTL;
        match self.pause.again_us {
            None if held >= high & fcrth::RTH && !room => self.stop_far_end(wire),
            Some(_) if room => {
                self.pause.again_us = None;
                if low & fcrtl::XONE != 0 {
                    self.send_pause(0, wire);
                }
            }
            Some(again_us) if again_us <= self.now_us => self.stop_far_end(wire),
            None | Some(_) => {}
        }
    }

    fn stop_far_end<W: Wire>(&mut self, wire: &mut W) {
        let quanta = self.storage.at(regs::FCTTV.at(0)) as u16;
        let left = (self.storage.at(regs::FCRTV) as u16).min(quanta);
        self.pause.again_us = Some(self.now_us + us(quanta - left).max(AGAIN_MIN_US));
        self.send_pause(quanta, wire);
    }

    fn send_pause<W: Wire>(&mut self, quanta: u16, wire: &mut W) {
        let mut frame = [&GROUP[..], &self.station(), &KIND, &quanta.to_be_bytes()].concat();
        frame.resize(FRAME_MIN, 0);
        self.storage.count(if quanta == 0 { regs::LXONTXC } else { regs::LXOFFTXC }, 1);
        self.count_left(&frame);
        wire.send(self.now_us, 0, &frame);
    }
}

/// How long a pause is, at 10 Gb/s.
fn us(quanta: u16) -> u64 {
    (u64::from(quanta) * 512).div_ceil(10_000)
}

/// How soon the far end is told again, whatever a guest asks for.
const AGAIN_MIN_US: u64 = 10;

/// The group that no bridge forwards (802.3 annex 31B.1).
const GROUP: [u8; 6] = [0x01, 0x80, 0xC2, 0, 0, 1];

/// MAC control, and the operation that pauses.
const KIND: [u8; 4] = [0x88, 0x08, 0, 1];
