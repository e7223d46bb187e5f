//! Receive: from the wire to a ring in memory (7.1).
//!
//! ```text
//!   wire ─▶ length, address, VLAN ─▶ checksums, Flow Director, RSS ─▶ packet buffer ─▶ ring
//!                                                                    (512 KB, in order)
//! ```
//!
//! The packet buffer is a queue for the whole port: a frame whose ring has no descriptor holds up
//! every frame behind it, unless its queue has DROP_EN.

use crate::card::Card;
use crate::filter;
use crate::flow_director::table_bytes;
use crate::loss::Loss;
use crate::memory::Memory;
use crate::packet::{Packet, Protocol};
use crate::ring::{self, Ring};
use crate::rss;
use crate::{crc, wire};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{eicr, fdirctrl, hlreg0, rxcsum, rxctrl, rxdctl, srrctl, vlnctrl};
use penstock_ixgbe_regs::descriptor::{packet_type, rss_type, rx_legacy, rx_status};
use std::collections::VecDeque;

pub(crate) struct PacketBuffer {
    frames: VecDeque<Arrived>,
    bytes: usize,
}

/// A frame that waits for its ring, and what its descriptor will say.
struct Arrived {
    bytes: Vec<u8>,
    /// Not before: when a planted fault is over for this frame.
    due_us: u64,
    queue: u32,
    /// First word of an advanced write-back: packet and RSS types.
    types: u32,
    /// Second word: RSS hash, Flow Director report or IP identification.
    hash: u32,
    /// Third word, without DD and EOP.
    status: u32,
    tag: u16,
}

impl PacketBuffer {
    pub(crate) fn new() -> PacketBuffer {
        PacketBuffer { frames: VecDeque::new(), bytes: 0 }
    }

    /// When a frame that a planted fault holds up is due.
    pub(crate) fn deadline_us(&self, now_us: u64) -> Option<u64> {
        self.frames.front().map(|frame| frame.due_us).filter(|&due_us| due_us > now_us)
    }

    /// Bytes of the frames that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics if the buffer's books disagree.
    pub(crate) fn check(&self) {
        let bytes: usize = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        assert_eq!(self.bytes, bytes);
        assert!(bytes <= BUFFER_BYTES, "{bytes} bytes");
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.bytes.len();
        }
    }
}

impl Card {
    /// A frame reaches the MAC: filters, steering, packet buffer.
    pub(crate) fn admit(&mut self, frame: &[u8]) {
        if let Err(loss) = self.try_admit(frame) {
            self.losses.count(loss);
        }
    }

    fn try_admit(&mut self, frame: &[u8]) -> Result<(), Loss> {
        if self.storage.at(regs::RXCTRL) & rxctrl::RXEN == 0 {
            return Err(Loss::ReceiveOff);
        }
        let mut bytes = frame.to_vec();
        // No frame on a wire is shorter: the far MAC has padded it.
        bytes.resize(bytes.len().max(wire::FRAME_MIN), 0);
        self.storage.count(regs::RXNFGPC, 1);
        let tag_type = self.storage.at(regs::VLNCTRL) & vlnctrl::VET;
        let packet = Packet::parse(&bytes, tag_type as u16);
        self.filter(&bytes, &packet)?;
        let arrived = self.steer(bytes, &packet)?;
        let room = self.storage.at(regs::RXPBSIZE.at(0)) as usize;
        let room = room.min(BUFFER_BYTES).saturating_sub(table_bytes(&self.storage));
        if self.buffer.bytes + arrived.bytes.len() > room {
            self.storage.count(regs::MPC.at(0), 1);
            self.interrupts.raise(eicr::RX_MISS);
            return Err(Loss::PacketBufferFull);
        }
        self.buffer.bytes += arrived.bytes.len();
        self.buffer.frames.push_back(arrived);
        Ok(())
    }

    fn filter(&mut self, bytes: &[u8], packet: &Packet) -> Result<(), Loss> {
        let jumbo = self.storage.at(regs::HLREG0) & hlreg0::JUMBOEN != 0;
        let limit = if jumbo { self.storage.at(regs::MAXFRS) >> 16 } else { 1518 } as usize;
        let tag_bytes = if packet.tag.is_some() { 4 } else { 0 };
        if bytes.len() + CRC_BYTES > limit + tag_bytes {
            self.storage.count(regs::ROC, 1);
            return Err(Loss::ReceiveTooLong);
        }
        let address = *bytes.first_chunk().ok_or(Loss::AddressFilter)?;
        if !filter::takes_address(&self.storage, address) {
            return Err(Loss::AddressFilter);
        }
        if !filter::takes_vlan(&self.storage, packet.tag) {
            return Err(Loss::VlanFilter);
        }
        self.count_received(bytes);
        Ok(())
    }

    /// Chooses the queue and composes the descriptor (7.1.2: Flow Director goes before RSS).
    fn steer(&mut self, bytes: Vec<u8>, packet: &Packet) -> Result<Arrived, Loss> {
        let mut arrived = Arrived {
            due_us: self.now_us.saturating_add(self.faults.late_write_back_us),
            queue: 0,
            types: types(packet),
            hash: 0,
            status: self.verdicts(packet),
            tag: packet.tag.unwrap_or(0),
            bytes,
        };
        if let Some(hash) = rss::hash(&self.storage, &arrived.bytes, packet) {
            arrived.queue = hash.queue(&self.storage);
            arrived.types |= hash.kind;
            arrived.hash = hash.value;
        }
        if self.storage.at(regs::RXCSUM) & rxcsum::PCSD == 0 {
            arrived.types &= !0xF;
            arrived.hash = packet.ip.as_ref().map_or(0, |ip| u32::from(ip.id));
        }
        let Some(target) = self.director.find(&mut self.storage, &arrived.bytes, packet) else {
            return Ok(arrived);
        };
        if target.drop {
            return Err(Loss::FlowDirectorDrop);
        }
        arrived.queue = target.queue.unwrap_or(arrived.queue);
        let control = self.storage.at(regs::FDIRCTRL);
        if control & (fdirctrl::REPORT | fdirctrl::REPORT_ALWAYS) != 0 {
            arrived.types = arrived.types & !0xF | rss_type::FLOW_DIRECTOR;
            arrived.hash = target.report;
            arrived.status |= rx_status::FLM;
        }
        Ok(arrived)
    }

    /// What was checked and what was wrong, as bits of the status word.
    fn verdicts(&mut self, packet: &Packet) -> u32 {
        let mut status = if packet.tag.is_some() { rx_status::VP } else { 0 };
        if let Some(good) = packet.ip.as_ref().and_then(|ip| ip.sum_good) {
            status |= rx_status::IPCS | if good { 0 } else { rx_status::IPE };
        }
        if let Some((transport, good)) =
            packet.transport.and_then(|transport| Some((transport, transport.sum_good?)))
        {
            status |= rx_status::L4I | if good { 0 } else { rx_status::TCPE };
            if transport.protocol == Protocol::Udp {
                status |= rx_status::UDPCS;
            }
        }
        if status & (rx_status::IPE | rx_status::TCPE) != 0 {
            self.storage.count(regs::XEC, 1);
        }
        status
    }

    /// Writes waiting frames to their rings, until the first that has to wait.
    pub(crate) fn deliver<M: Memory>(&mut self, memory: &mut M) {
        while let Some(arrived) = self.buffer.frames.front_mut() {
            if arrived.due_us > self.now_us {
                return;
            }
            let mut arrived = Arrived { bytes: core::mem::take(&mut arrived.bytes), ..*arrived };
            let outcome = self.place(&mut arrived, memory);
            match outcome {
                // Nothing was taken from the frame: it goes back and waits.
                Err(Refusal::Wait) => {
                    if let Some(front) = self.buffer.frames.front_mut() {
                        front.bytes = arrived.bytes;
                    }
                    return;
                }
                Err(Refusal::Lose(loss)) => self.losses.count(loss),
                Ok(()) => {}
            }
            self.buffer.bytes -= arrived.bytes.len();
            self.buffer.pop();
        }
    }

    fn place<M: Memory>(&mut self, arrived: &mut Arrived, memory: &mut M) -> Result<(), Refusal> {
        let queue = arrived.queue;
        let control = self.storage.at(regs::RXDCTL.at(queue));
        if control & rxdctl::ENABLE == 0 {
            return Err(Refusal::Lose(Loss::QueueDisabled));
        }
        let ring =
            Ring::new(&self.storage, &ring::RECEIVE, queue).ok_or(Refusal::Lose(Loss::BadRing))?;
        let split = self.storage.at(regs::SRRCTL.at(queue));
        // Zero is reserved; the card must do something, and the smallest buffer is the safest.
        let buffer = (split & srrctl::BSIZEPKT).max(1) as usize * 1024;
        let strip = control & rxdctl::VME != 0 && arrived.status & rx_status::VP != 0;
        let crc_bytes = if self.keeps_crc() { CRC_BYTES } else { 0 };
        let length = arrived.bytes.len() + crc_bytes - if strip { 4 } else { 0 };
        let needed = length.div_ceil(buffer) as u32;
        if ring.available() < needed {
            if needed >= ring.count {
                return Err(Refusal::Lose(Loss::ReceiveTooLong));
            }
            if split & srrctl::DROP_EN == 0 {
                return Err(Refusal::Wait);
            }
            self.count_no_descriptor(queue);
            return Err(Refusal::Lose(Loss::RingEmpty));
        }
        let mut bytes = arrived.bytes.clone();
        if crc_bytes != 0 {
            bytes.extend_from_slice(&crc::frame_check(&bytes).to_le_bytes());
        }
        if strip {
            bytes.drain(12..16);
        }
        let legacy = split & srrctl::DESCTYPE == 0;
        let mut head = ring.head;
        for (index, part) in bytes.chunks(buffer).enumerate() {
            let last = index as u32 + 1 == needed;
            let at = ring.address(head);
            self.write_buffer(at, part, memory);
            self.write_back(at, arrived, part.len(), last, legacy, memory);
            head = (head + 1) % ring.count;
        }
        self.storage.set(regs::RDH.at(queue), head);
        self.count_delivered(queue, length);
        self.interrupts.raise_queue(&self.storage, queue, 0);
        Ok(())
    }

    fn keeps_crc(&self) -> bool {
        self.storage.at(regs::HLREG0) & hlreg0::RXCRCSTRP == 0
    }

    fn write_buffer<M: Memory>(&mut self, at: u64, part: &[u8], memory: &mut M) {
        let mut address = [0; 8];
        let written = memory
            .read(at, &mut address)
            .and_then(|()| memory.write(u64::from_le_bytes(address), part));
        if written.is_err() {
            self.dma_fault();
        }
    }

    fn write_back<M: Memory>(
        &mut self,
        at: u64,
        arrived: &Arrived,
        length: usize,
        last: bool,
        legacy: bool,
        memory: &mut M,
    ) {
        let length = length as u32;
        let written = if legacy {
            memory
                .write(at.wrapping_add(8), &length.to_le_bytes())
                .and_then(|()| memory.publish(at.wrapping_add(12), legacy_status(arrived, last)))
        } else {
            let end = if last { rx_status::EOP } else { 0 };
            let first = u64::from(arrived.hash) << 32 | u64::from(arrived.types);
            let lengths = u32::from(arrived.tag) << 16 | length;
            memory
                .write(at, &first.to_le_bytes())
                .and_then(|()| memory.write(at.wrapping_add(12), &lengths.to_le_bytes()))
                .and_then(|()| {
                    memory.publish(at.wrapping_add(8), arrived.status | end | rx_status::DD)
                })
        };
        if written.is_err() {
            self.dma_fault();
        }
    }
}

/// Why a frame did not reach its ring.
enum Refusal {
    Wait,
    Lose(Loss),
}

fn types(packet: &Packet) -> u32 {
    let Some(ip) = &packet.ip else { return 0 };
    let (plain, extended) = if ip.v6 {
        (packet_type::IPV6, packet_type::IPV6_EXTENSIONS)
    } else {
        (packet_type::IPV4, packet_type::IPV4_OPTIONS)
    };
    let transport = match packet.transport.map(|transport| transport.protocol) {
        Some(Protocol::Tcp) => packet_type::TCP,
        Some(Protocol::Udp) => packet_type::UDP,
        Some(Protocol::Sctp) => packet_type::SCTP,
        None => 0,
    };
    plain | transport | if ip.extended { extended } else { 0 }
}

/// The last word of a legacy write-back: status, errors, tag.
fn legacy_status(arrived: &Arrived, last: bool) -> u32 {
    let mut status = rx_legacy::DD | if last { rx_legacy::EOP } else { 0 };
    let mut errors = 0;
    for (from, to) in [
        (rx_status::VP, rx_legacy::VP),
        (rx_status::UDPCS, rx_legacy::UDPCS),
        (rx_status::L4I, rx_legacy::L4CS),
        (rx_status::IPCS, rx_legacy::IPCS),
    ] {
        if arrived.status & from != 0 {
            status |= to;
        }
    }
    for (from, to) in
        [(rx_status::TCPE, rx_legacy::ERROR_L4), (rx_status::IPE, rx_legacy::ERROR_IP)]
    {
        if arrived.status & from != 0 {
            errors |= to;
        }
    }
    status | errors << 8 | u32::from(arrived.tag) << 16
}

/// The receive packet buffer of a port.
const BUFFER_BYTES: usize = 512 * 1024;

const CRC_BYTES: usize = 4;
