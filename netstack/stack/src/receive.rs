//! From a frame to the connection it belongs to.
//!
//! A burst is gone through twice. First every frame is parsed into numbers, its tuple hashed and
//! the table's word read: the cache misses of a whole burst overlap. Then each segment is served,
//! in order, one call chain from here to the upcall and back out through
//! [`crate::transmit`].

use penstock_queue::{BURST_MAX, Checksums, QueuePair, RxFrame};
use penstock_wire::tcp::{Flags, Segment};
use penstock_wire::{ethernet, ip, plain, tcp};

use crate::app::App;
use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::hash::{AddrId, Tuple};
use crate::interface::Own;
use crate::listen::Found;
use crate::mail;
use crate::rfd::Wanted;
use crate::table::Kind;
use crate::tcp::State;
use crate::timewait;
use crate::transmit;
use crate::worker::Worker;

/// Where the bytes of the segment being served lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the receive ring of an interface: the frame's place in the burst.
    Ring { interface: u8, index: u8 },
    /// In the worker's scratch buffer: it came by mail from another core, or in parts.
    Scratch { interface: u8, mailed: bool },
}

impl Source {
    pub(crate) fn interface(self) -> u8 {
        match self {
            Source::Ring { interface, .. } | Source::Scratch { interface, .. } => interface,
        }
    }
}

/// A TCP segment for one of our addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) tuple: Tuple,
    pub(crate) hash: u64,
    /// What the table said in the first pass. Nobody reads it: it was read for its effect on the
    /// cache, and to keep it here costs less than to tell the compiler why.
    touched: u64,
    pub(crate) seg: Segment,
    /// Where the payload begins in the frame.
    pub(crate) payload_at: u16,
    kind: FrameKind,
    /// Why, if it is refused.
    reason: Drop,
}

impl Arrival {
    /// Nothing yet.
    pub(crate) fn blank() -> Arrival {
        let seg = Segment::default();
        Arrival {
            tuple: Tuple::NONE,
            hash: 0,
            touched: 0,
            seg,
            payload_at: 0,
            kind: FrameKind::Other,
            reason: Drop::InHdrErrors,
        }
    }
}

/// The frames of a burst.
pub(crate) type Burst = [Arrival; BURST_MAX];

/// What the first pass makes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    /// TCP for us.
    Segment,
    /// Something for the control plane: parsed again there.
    Other,
    /// In parts: to be put together first.
    Parts,
    /// A SYN that came at a bad time: counted already.
    Shed,
    /// Refused: for [`Arrival::reason`].
    Refused,
}

/// An interface, as the first pass sees it: what each frame of a burst is held against.
#[derive(Clone, Copy)]
struct Here<'a> {
    core: &'a Core,
    own: &'a Own,
}

/// A frame of the first pass. A call for each, so that the compiler keeps the registers for one
/// frame's numbers and does not fill them, and the stack, with what all frames have in common: most
/// bursts are short.
#[inline(never)]
fn read_frame<Q: QueuePair>(
    core: &Core,
    own: &Own,
    queue: &Q,
    index: usize,
    arrival: &mut Arrival,
) {
    let (here, frame) = (Here { core, own }, queue.frame(index));
    if frame.checksums == Checksums::Good {
        classify(here, frame, Some((false, false)), arrival);
    } else {
        classify_unchecked(here, frame, arrival);
    }
}

/// The same of a frame whose checksums no card has found good: apart, so that where one has, nothing
/// is asked twice.
#[inline(never)]
fn classify_unchecked(here: Here<'_>, frame: RxFrame<'_>, arrival: &mut Arrival) {
    let verify = match frame.checksums {
        Checksums::Good => Some((false, false)),
        Checksums::IpGood => Some((false, true)),
        Checksums::Unverified => Some((true, true)),
        Checksums::IpBad | Checksums::L4Bad => None,
    };
    classify(here, frame, verify, arrival);
}

/// One frame: bytes to numbers, and a first touch of the table; `verify` asks for the IPv4 and the
/// TCP checksum. Plain IPv4 is read here, with the numbers in registers; everything else apart.
#[inline(always)]
fn classify(
    here: Here<'_>,
    frame: RxFrame<'_>,
    verify: Option<(bool, bool)>,
    arrival: &mut Arrival,
) {
    let RxFrame { bytes, parts, checksums, hash: _, vlan } = frame;
    let whole = parts == 0 && vlan.is_none();
    if whole
        && let Some((ip, tcp)) = verify
        && let Some(plain) = plain::find_v4(bytes, here.own.mac, ip, tcp)
        && let Some(local) = here.own.find(plain.packet.dst)
    {
        place(here, &plain, local, arrival);
        arrival.kind = FrameKind::Segment;
    } else {
        // Put together anew: only then need it not lie in memory for the way above.
        classify_slowly(here, RxFrame { bytes, parts, checksums, hash: None, vlan }, arrival);
    }
}

/// Reads a plain segment for our address `local`.
#[inline(always)]
fn place(here: Here<'_>, plain: &plain::Plain<'_>, local: AddrId, arrival: &mut Arrival) {
    let (remote_port, local_port) = plain.ports;
    let tuple = Tuple { remote: plain.packet.src, remote_port, local_port, local };
    plain.read(&mut arrival.seg);
    note(here, &plain.packet, tuple, arrival);
}

/// Notes whose segment it is and where its payload begins, and has a first look at the table: at a
/// SYN's place nobody is expected.
#[inline(always)]
fn note(here: Here<'_>, packet: &ip::Packet, tuple: Tuple, arrival: &mut Arrival) {
    let headers = ethernet::HEADER_BYTES as u16 + packet.header_bytes;
    arrival.payload_at = headers + arrival.seg.header_bytes as u16;
    arrival.tuple = tuple;
    arrival.hash = here.core.hash.hash(&tuple);
    let expected = !arrival.seg.is_first();
    arrival.touched = here.core.table.touch(arrival.hash, expected);
}

/// What is not plain IPv4 for us.
#[inline(never)]
fn classify_slowly(here: Here<'_>, frame: RxFrame<'_>, arrival: &mut Arrival) {
    arrival.kind = if frame.parts > 0 {
        FrameKind::Parts
    } else {
        parse(here, frame, arrival).unwrap_or_else(|reason| {
            arrival.reason = reason;
            // The control plane tells the sender of a header that is unknown here.
            if reason == Drop::Extension { FrameKind::Other } else { FrameKind::Refused }
        })
    };
}

fn parse(here: Here<'_>, frame: RxFrame<'_>, arrival: &mut Arrival) -> Result<FrameKind, Drop> {
    let verify = match frame.checksums {
        Checksums::Good => false,
        Checksums::Unverified | Checksums::IpGood => true,
        Checksums::IpBad | Checksums::L4Bad => return parse_slowly(here, frame, arrival),
    };
    if frame.vlan.is_none()
        && let Some(plain) = plain::find_v6(frame.bytes, here.own.mac, verify)
        && let Some(local) = here.own.find(plain.packet.dst)
    {
        place(here, &plain, local, arrival);
        return Ok(FrameKind::Segment);
    }
    parse_slowly(here, frame, arrival)
}

/// Every frame that is not plain: with IP options, for others, malformed.
#[cold]
#[inline(never)]
fn parse_slowly(
    here: Here<'_>,
    frame: RxFrame<'_>,
    arrival: &mut Arrival,
) -> Result<FrameKind, Drop> {
    if frame.vlan.is_some() {
        return Err(Drop::Vlan);
    }
    let bytes = frame.bytes;
    let header = ethernet::parse(bytes)?;
    if header.dst != here.own.mac {
        let group = header.dst.is_group();
        return if group { Ok(FrameKind::Other) } else { Err(Drop::OtherStation) };
    }
    let packet_bytes = &bytes[ethernet::HEADER_BYTES..];
    let packet = match header.ether_type {
        ethernet::IPV4 if frame.checksums == Checksums::IpBad => return Err(Drop::IpChecksum),
        ethernet::IPV4 => ip::parse_v4(packet_bytes, frame.checksums == Checksums::Unverified)?,
        ethernet::IPV6 => ip::parse_v6(packet_bytes)?,
        ethernet::VLAN => return Err(Drop::Vlan),
        _ => return Ok(FrameKind::Other),
    };
    if packet.protocol != ip::TCP {
        return Ok(FrameKind::Other);
    }
    let verify = match frame.checksums {
        Checksums::Good => false,
        Checksums::L4Bad => return Err(Drop::TcpChecksum),
        Checksums::Unverified | Checksums::IpGood | Checksums::IpBad => true,
    };
    here.core.config.admit(packet.src)?;
    let payload = packet.payload(packet_bytes);
    tcp::parse_into(&mut arrival.seg, payload, packet.src, packet.dst, verify)?;
    let Some(local) = here.own.find(packet.dst) else {
        return Err(if packet.dst.is_group() { Drop::TcpGroup } else { Drop::InAddrErrors });
    };
    note(here, &packet, Core::tuple_of(local, packet.src, &arrival.seg), arrival);
    Ok(FrameKind::Segment)
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Takes one burst from an interface; returns how many frames there were.
    #[inline(always)]
    pub(crate) fn receive(&mut self, interface: usize) -> usize {
        let queue = &mut self.queues[interface];
        queue.reclaim(&mut self.core.chunks);
        let count = queue.recv(BURST_MAX).min(BURST_MAX);
        if count == 0 {
            return 0;
        }
        // Lent out for the turn, so that the worker can be changed while it is read.
        let Some(mut burst) = self.burst.take() else { return 0 };
        if self.behind {
            self.read_some(interface, &mut burst[..count]);
        } else if let Some(own) = self.core.interfaces.own_of(interface as u8) {
            for (index, arrival) in burst[..count].iter_mut().enumerate() {
                read_frame(&self.core, own, queue, index, arrival);
            }
        }
        for (index, arrival) in burst[..count].iter().enumerate() {
            let source = Source::Ring { interface: interface as u8, index: index as u8 };
            if arrival.kind == FrameKind::Segment {
                self.on_arrival(arrival, source);
            } else if arrival.kind != FrameKind::Shed {
                self.on_rare(arrival, source);
            }
        }
        self.burst = Some(burst);
        self.queues[interface].recycle();
        self.core.counters.events(Event::InFrames, count as u64);
        count
    }

    /// The first pass of a worker that is behind: every second frame is glanced at, and shed if it is
    /// a SYN. What that costs decides what is left for the others, so nothing else is done here.
    #[inline(never)]
    fn read_some(&mut self, interface: usize, burst: &mut [Arrival]) {
        let (core, queue) = (&self.core, &self.queues[interface]);
        let Some(own) = core.interfaces.own_of(interface as u8) else { return };
        let (mut index, mut shed) = (0, 0);
        let (pairs, last) = burst.as_chunks_mut();
        for [first, second] in pairs {
            if plain::looks_like_syn(queue.frame(index).bytes) {
                first.kind = FrameKind::Shed;
                shed += 1;
            } else {
                read_frame(core, own, queue, index, first);
            }
            read_frame(core, own, queue, index + 1, second);
            index += 2;
        }
        if let [last] = last {
            read_frame(core, own, queue, index, last);
        }
        self.core.counters.drops_of(Drop::SynOverload, shed);
    }

    /// A frame that is not a segment for us: apart, so that segments are asked for first.
    #[inline(never)]
    fn on_rare(&mut self, arrival: &Arrival, source: Source) {
        match (arrival.kind, source) {
            (FrameKind::Other, source) => self.on_other(source),
            (FrameKind::Parts, Source::Ring { interface, index }) => {
                self.on_parts(interface, index as usize);
            }
            (FrameKind::Refused, _) => self.core.drop(arrival.reason),
            // Neither comes here: a segment is served, what lies in the scratch buffer is whole.
            (FrameKind::Segment | FrameKind::Shed, _)
            | (FrameKind::Parts, Source::Scratch { .. }) => {}
        }
    }

    /// A frame over several descriptors: put together in the scratch buffer.
    #[cold]
    fn on_parts(&mut self, interface: u8, index: usize) {
        let queue = &self.queues[interface as usize];
        let frame = queue.frame(index);
        let (mut bytes, parts) = (0, frame.parts);
        for part in 0..=parts {
            let piece = if part == 0 { frame.bytes } else { queue.part(index, part) };
            let Some(room) = self.scratch.get_mut(bytes..bytes + piece.len()) else {
                self.core.drop(Drop::TooLong);
                return;
            };
            room.copy_from_slice(piece);
            bytes += piece.len();
        }
        self.scratch_bytes = bytes;
        let checksums = frame.checksums;
        self.on_scratch(interface, checksums, false);
    }

    /// A frame in the scratch buffer: from another core, or put together from parts.
    pub(crate) fn on_scratch(&mut self, interface: u8, checksums: Checksums, mailed: bool) {
        let bytes = &self.scratch[..self.scratch_bytes];
        let frame = RxFrame { bytes, parts: 0, checksums, hash: None, vlan: None };
        let source = Source::Scratch { interface, mailed };
        let mut arrival = Arrival::blank();
        let core = &self.core;
        let Some(own) = core.interfaces.own_of(interface) else { return };
        classify_unchecked(Here { core, own }, frame, &mut arrival);
        match arrival.kind {
            FrameKind::Segment => self.on_arrival(&arrival, source),
            _ => self.on_rare(&arrival, source),
        }
    }

    /// The whole frame that is being served, with the card's verdict.
    pub(crate) fn frame(&self, source: Source) -> (&[u8], Checksums) {
        match source {
            Source::Ring { interface, index } => {
                let frame = self.queues[interface as usize].frame(index as usize);
                (frame.bytes, frame.checksums)
            }
            // What reached the scratch buffer was checked, or will be, from the bytes themselves.
            Source::Scratch { .. } => (&self.scratch[..self.scratch_bytes], Checksums::Unverified),
        }
    }

    /// The second pass: one segment to its connection, half-open connection or TIME-WAIT record.
    #[inline(always)]
    fn on_arrival(&mut self, arrival: &Arrival, source: Source) {
        let core = &mut self.core;
        core.counters.event(Event::TcpInSegs);
        if arrival.seg.is_first() {
            // Its tuple is nobody's, nearly always: to read its slot would be a miss in vain.
            if core.table.is_vacant(arrival.hash) {
                return self.on_unknown(arrival, source);
            }
        } else if let Some(reference) = core.table.near(arrival.hash) {
            let index = reference.index();
            match reference.kind() {
                Kind::Connection => {
                    if let Some(tcb) = core.conns.at(index).filter(|tcb| tcb.is(&arrival.tuple)) {
                        let half_open = tcb.is_half_open();
                        return self.on_connection(index, half_open, arrival, source);
                    }
                }
                Kind::TimeWait => {
                    if core.time_wait.is(index, arrival.hash) {
                        return self.on_time_wait(index, arrival, source);
                    }
                }
            }
        }
        self.on_elsewhere(arrival, source);
    }

    /// The same where no place near home tells.
    #[inline(never)]
    fn on_elsewhere(&mut self, arrival: &Arrival, source: Source) {
        match self.core.lookup(arrival.hash, &arrival.tuple) {
            Some(reference) => match reference.kind() {
                Kind::Connection => {
                    let index = reference.index();
                    let half_open = self.core.conns[index].is_half_open();
                    self.on_connection(index, half_open, arrival, source);
                }
                Kind::TimeWait => self.on_time_wait(reference.index(), arrival, source),
            },
            None => self.on_unknown(arrival, source),
        }
    }

    #[inline(always)]
    fn on_connection(&mut self, index: u32, half_open: bool, arrival: &Arrival, source: Source) {
        if self.core.rfd.is_active(arrival.tuple.local_port) {
            self.core.counters.event(Event::RfdHits);
        }
        if half_open {
            self.on_half_open(index, arrival, source);
        } else if !self.serve_predicted(index, arrival, source) {
            self.serve(index, arrival, source);
        }
    }

    /// No connection here: a client, a stray, or a segment that belongs to another core.
    #[inline(always)]
    fn on_unknown(&mut self, arrival: &Arrival, source: Source) {
        let Tuple { local_port, remote, .. } = arrival.tuple;
        let listener = self.core.listeners.lookup_only(local_port, remote);
        match listener {
            Some(listener) if arrival.seg.flags == Flags::SYN => {
                self.on_syn(listener, arrival, None);
            }
            _ => self.on_stranger(arrival, source),
        }
    }

    /// The same for all but the nearly only kind: a SYN to the one listener of its port.
    #[inline(never)]
    fn on_stranger(&mut self, arrival: &Arrival, source: Source) {
        let mailed = matches!(source, Source::Scratch { mailed: true, .. });
        match self.core.listener_of(&arrival.tuple) {
            Some(Found::Here(listener, profile)) => {
                self.on_listener(listener, profile, arrival, source);
            }
            Some(Found::Elsewhere(cores)) if !mailed => {
                let core = pick(cores, arrival.hash);
                self.misdirected(core, source);
            }
            Some(Found::Elsewhere(_)) => self.core.drop(Drop::MailStray),
            None => match self.owner(arrival) {
                Some(owner) if owner != self.core.number && !mailed => {
                    self.misdirected(owner, source);
                }
                _ => self.refuse(arrival, Drop::TcpNoPort),
            },
        }
    }

    /// The core that opened the connection of a segment, if it is one of ours at all.
    fn owner(&self, arrival: &Arrival) -> Option<u16> {
        let tuple = &arrival.tuple;
        let wanted = Wanted {
            interface: self.core.interfaces.interface_of(tuple.local),
            own: self.core.interfaces.addr(tuple.local),
            remote: tuple.remote,
            remote_port: tuple.remote_port,
        };
        self.core.rfd.owner_of(&wanted, tuple.local_port)
    }

    /// Sends the frame being served to the core that owns it.
    pub(crate) fn misdirected(&mut self, core: u16, source: Source) {
        let (bytes, checksums) = match source {
            Source::Ring { interface, index } => {
                let frame = self.queues[interface as usize].frame(index as usize);
                (frame.bytes, frame.checksums)
            }
            Source::Scratch { .. } => (&self.scratch[..self.scratch_bytes], Checksums::Unverified),
        };
        let interface = source.interface();
        match self.core.post.send(core, &mail::Message::Frame { interface, checksums, bytes }) {
            Ok(()) => self.core.counters.event(Event::RfdMisdirected),
            Err(mail::Refused::Full) => self.core.drop(Drop::MailFull),
            Err(mail::Refused::TooLong) => self.core.drop(Drop::MailTooLong),
            Err(mail::Refused::NoSuchCore) => self.core.drop(Drop::MailStray),
        }
    }

    /// A segment to nobody: RFC 9293 section 3.10.7.1, within the limit.
    pub(crate) fn refuse(&mut self, arrival: &Arrival, reason: Drop) {
        self.core.drop(reason);
        if !arrival.seg.flags.has(Flags::RST) && self.core.resets.take(self.core.env.millis) {
            self.reset(&arrival.tuple, &arrival.seg);
        }
    }

    /// The RST that answers a segment.
    pub(crate) fn reset(&mut self, tuple: &Tuple, seg: &Segment) {
        //= rfc9293#3.10.7.1
        //# If the ACK bit is off, sequence number zero is used,
        //# <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
        //# If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>
        let (seq, ack, flags) = if seg.flags.has(Flags::ACK) {
            (seg.ack, penstock_wire::SeqNum(0), Flags::RST)
        } else {
            (penstock_wire::SeqNum(0), seg.seq + seg.len(), Flags::RST.with(Flags::ACK))
        };
        let header = tcp::Header {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq,
            ack,
            flags,
            window: 0,
        };
        transmit::bare(&mut self.core, &mut self.queues, tuple, header, None);
    }

    #[inline(never)]
    fn on_time_wait(&mut self, index: u32, arrival: &Arrival, source: Source) {
        let core = &mut self.core;
        let answer = match core.time_wait.on_segment(index, &arrival.seg, core.env.millis) {
            timewait::Verdict::Expired => {
                core.time_wait.remove(index, &mut core.table);
                self.on_unknown(arrival, source);
                return;
            }
            timewait::Verdict::Reopen(successor) => {
                let Some(Found::Here(listener, _)) = core.listener_of(&arrival.tuple) else {
                    core.drop(Drop::TimeWait);
                    return;
                };
                core.time_wait.remove(index, &mut core.table);
                core.counters.event(Event::TimeWaitRecycled);
                self.on_syn(listener, arrival, Some(successor));
                return;
            }
            timewait::Verdict::Acknowledge(answer) => answer,
            timewait::Verdict::Challenge(answer, _) => {
                core.drop(Drop::TimeWait);
                answer
            }
            timewait::Verdict::Drop(_) => {
                core.drop(Drop::TimeWait);
                return;
            }
        };
        let tuple = &arrival.tuple;
        let header = tcp::Header {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: answer.seq,
            ack: answer.ack,
            flags: Flags::ACK,
            window: answer.window,
        };
        let millis = core.env.millis;
        let timestamps = answer.echo.map(|echo| tcp::Timestamps {
            value: core.secrets.origin(tuple).timestamp(millis),
            echo,
        });
        transmit::bare(core, &mut self.queues, tuple, header, timestamps);
    }

    /// Whether connection `index` has yet to hear from its peer.
    pub(crate) fn is_opening(&self, index: u32) -> bool {
        self.core.conns[index].state == State::SynSent
    }
}

/// One of a set of cores, the same for every segment of a connection.
fn pick(cores: u128, hash: u64) -> u16 {
    let count = cores.count_ones().max(1);
    let mut rest = cores;
    for _ in 0..hash % count as u64 {
        rest &= rest - 1;
    }
    rest.trailing_zeros() as u16
}

#[cfg(test)]
mod tests {
    use super::pick;

    #[test]
    fn every_core_of_a_set_is_picked() {
        let set = 1 << 2 | 1 << 5 | 1 << 127;
        let mut seen = 0u128;
        for hash in 0..9 {
            seen |= 1 << pick(set, hash);
        }
        assert_eq!(seen, set);
    }
}
