//! From a decision to a frame: the headers of a segment, its payload by reference, its checksums.
//!
//! ```text
//!   slot of the transmit ring              chunks of the connection
//!   ┌──────────┬────┬─────┬─────────┐      ┌───────────────┐
//!   │ Ethernet │ IP │ TCP │ (small) │  +   │ lent range(s) │
//!   └──────────┴────┴─────┴─────────┘      └───────────────┘
//! ```
//! A frame whose next hop is not resolved yet is built in a chunk instead and waits with the
//! neighbour: it holds no slot meanwhile.

mod plain;

pub(crate) use plain::{Outcome, Whole, first_syn_ack, syn, syn_ack, whole};
use plain::{plain, send_plain, short};

use penstock_queue::{CHUNK_BYTES, ChunkId, LENT_MAX, Lent, Offload, QueuePair, SLOT_BYTES};
use penstock_wire::checksum::Sum;
use penstock_wire::tcp::{self, Flags, Options, SackBlocks, Syn, Timestamps};
use penstock_wire::{Addr, Mac, SeqNum, ethernet, ip};

use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::hash::{AddrId, Tuple};
use crate::limits;
use crate::neighbour::HopId;
use crate::tcp::{Bits, Emit, Env, Flight, Range, State, Tcb};

/// No range.
const NO_LENT: Lent = Lent { chunk: ChunkId::NONE, from: 0, len: 0 };

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It left, or waits for its neighbour.
    Gone,
    /// No transmit slot is free: ask again.
    NoSlot,
}

/// A segment's headers as numbers.
pub(crate) struct Outgoing<'a> {
    pub(crate) local: AddrId,
    pub(crate) remote: Addr,
    pub(crate) hop: HopId,
    pub(crate) flow_label: u32,
    pub(crate) header: tcp::Header,
    pub(crate) options: &'a Options,
    /// The card is to cut the payload into segments of this size.
    pub(crate) segment_bytes: u16,
}

/// Sends what connection `index` has to send now, whatever it takes.
pub(crate) fn due<Q: QueuePair>(core: &mut Core, queues: &mut [Q], index: u32) -> Outcome {
    let outcome = short(core, queues, index);
    if outcome != Outcome::Unsent {
        return outcome;
    }
    connection(core, queues, index);
    Outcome::Sent
}

/// The same segment by segment, at most a visit's worth.
fn connection<Q: QueuePair>(core: &mut Core, queues: &mut [Q], index: u32) {
    let Some(station) = core.interfaces.station(core.conns[index].tuple.local) else { return };
    let station = *station;
    let Some(queue) = queues.get_mut(station.interface as usize) else { return };
    let capabilities = queue.capabilities();
    let burst_bytes = if capabilities.segmentation {
        // A range may begin and end within chunks: two more than full ones are needed.
        let gathered = capabilities.lent_max.saturating_sub(2) * CHUNK_BYTES;
        limits::SEGMENTATION_BYTES_MAX.min(gathered as u32)
    } else {
        0
    };
    for _ in 0..limits::SEGMENTS_PER_VISIT {
        if queue.slots() == 0 {
            core.await_slot(index);
            return;
        }
        let tcb = &mut core.conns[index];
        let mut flight = core.flights.at_mut(tcb.flight);
        let emit = tcb.next_segment(flight.as_deref_mut(), burst_bytes, &core.env);
        let Some(emit) = emit else { return };
        if core.duplicate.is_none()
            && let Some(plain) = plain(tcb, flight.as_deref(), &emit, &station, &core.env)
            && let Some(to) = core.neighbours.mac_word(HopId(tcb.hop), core.env.millis)
        {
            let sent = send_plain(queue, &mut core.chunks, &station, to, &plain);
            debug_assert!(sent == Sent::Gone, "a slot was free");
            core.counters.event(sent_event(&emit));
            core.counters.event(Event::OutFrames);
        } else {
            segment(core, queue, index, &emit);
        }
        if emit.last {
            return;
        }
    }
    core.enlist(index);
}

#[inline]
fn sent_event(emit: &Emit) -> Event {
    if emit.again { Event::TcpRetransSegs } else { Event::TcpOutSegs }
}

/// Sends one segment of connection `index`, whatever it takes. A slot is free.
#[inline(never)]
fn segment<Q: QueuePair>(core: &mut Core, queue: &mut Q, index: u32, emit: &Emit) {
    let tcb = &core.conns[index];
    let flight = core.flights.at(tcb.flight);
    let options = options_of(core, tcb, flight, emit);
    let told = core.duplicate.filter(|known| options.sack.blocks[0] == (known.from, known.to));
    let tuple = tcb.tuple;
    let mut outgoing = Outgoing {
        local: tuple.local,
        remote: tuple.remote,
        hop: HopId(tcb.hop),
        flow_label: flow_label(tcb.ts_offset),
        header: tcp::Header {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: emit.seq,
            ack: if emit.flags.has(Flags::ACK) { tcb.rcv_nxt } else { SeqNum(0) },
            flags: emit.flags,
            window: emit.window,
        },
        options: &options,
        segment_bytes: emit.segment_bytes,
    };
    core.counters.event(sent_event(emit));
    if let Some(known) = told {
        let old = known.from.before(outgoing.header.ack);
        core.counters.event(if old { Event::TcpDsackOldSent } else { Event::TcpDsackOfoSent });
        core.duplicate = None;
    }
    let sent = if emit.len == 0 {
        send(core, queue, &mut outgoing, &[], 0)
    } else {
        let (offset, number) = (emit.seq - tcb.una, tcb.flight);
        let mut lent = [NO_LENT; LENT_MAX];
        let count = match core.flights.at_mut(number) {
            Some(flight) => flight.send.ranges(&core.chunks, offset, emit.len, &mut lent),
            None => 0,
        };
        send(core, queue, &mut outgoing, &lent[..count], emit.len)
    };
    core.conns[index].hop = outgoing.hop.0;
    debug_assert!(sent == Sent::Gone, "a slot was free");
}

/// The options of a connection's segment.
fn options_of(core: &Core, tcb: &Tcb, flight: Option<&Flight>, emit: &Emit) -> Options {
    let echo = if emit.flags.has(Flags::ACK) { tcb.ts_recent } else { 0 };
    let timestamps = tcb
        .has(Bits::TIMESTAMPS)
        .then(|| Timestamps { value: tcb.timestamp(core.env.millis), echo });
    if emit.flags.has(Flags::SYN) {
        return syn_of(tcb, core.own_mss(tcb.tuple.local), &core.env).options(timestamps);
    }
    if !tcb.has(Bits::SACK) || !emit.flags.has(Flags::ACK) {
        return Options { timestamps, ..Options::default() };
    }
    let held = flight.filter(|flight| !flight.held.is_empty());
    // Text was cut to leave room for what is held, and for no more.
    let room = tcb.mss as u32 >= emit.len + DUPLICATE_BYTES && emit.segment_bytes == 0;
    let fits = emit.len == 0 || held.is_none() && room;
    let sack = sack_blocks(held, core.duplicate.filter(|_| fits));
    Options { timestamps, sack, ..Options::default() }
}

/// The options of a SYN, and of the SYN-ACK of a simultaneous open, from a station that can
/// offer an MSS of `mss`.
fn syn_of(tcb: &Tcb, mss: u16, env: &Env) -> Syn {
    // A SYN-ACK answers what the peer offered, a SYN offers what is configured.
    let scaling = env.tcp.window_scaling
        && (tcb.state == State::SynSent || tcb.our_scale() > 0 || tcb.peer_scale() > 0);
    let window_scale = scaling.then_some(env.window_scale);
    let mss = env.bounded_mss(mss, tcb.profile);
    Syn { mss, window_scale, sack_permitted: tcb.has(Bits::SACK) }
}

/// What a SACK option with one block takes, padded.
const DUPLICATE_BYTES: u32 = 12;

/// The blocks we report: what was received twice (RFC 2883 section 4), then the one that changed
/// last, then those reported before, then the rest (RFC 2018 section 4).
fn sack_blocks(flight: Option<&Flight>, duplicate: Option<Range>) -> SackBlocks {
    let mut sack = SackBlocks::default();
    if let Some(known) = duplicate {
        sack.blocks[0] = (known.from, known.to);
        sack.count = 1;
    }
    let Some(flight) = flight else { return sack };
    //= rfc2883#4
    //# If the D-SACK block reports a duplicate contiguous sequence from a
    //# (possibly larger) block of data in the receiver's data queue above the
    //# cumulative acknowledgement, then the second SACK block in that SACK
    //# option should specify that (possibly larger) block of data.
    let first = sack.count as usize;
    let around = duplicate.and_then(|known| flight.held.containing(known.from));
    let recent = flight.recent.iter().filter_map(|&seq| flight.held.containing(seq));
    for range in around.into_iter().chain(recent).chain(flight.held.as_slice().iter().copied()) {
        let block = (range.from, range.to);
        let count = sack.count as usize;
        if count == sack.blocks.len() {
            break;
        }
        if !sack.blocks[first..count].contains(&block) {
            sack.blocks[count] = block;
            sack.count += 1;
        }
    }
    sack
}

/// Sends a segment without payload that belongs to no connection record: a RST, or an
/// acknowledgement on behalf of a TIME-WAIT or half-open record.
pub(crate) fn bare<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    tuple: &Tuple,
    header: tcp::Header,
    timestamps: Option<Timestamps>,
) -> Sent {
    let interface = core.interfaces.interface_of(tuple.local);
    let Some((_, next)) = core.routes.lookup_on(&core.interfaces, interface, tuple.remote) else {
        core.drop(Drop::NoRoute);
        return Sent::Gone;
    };
    let hop = match core.neighbours.resolve(core.env.millis, interface, next) {
        Ok(hop) => hop,
        Err(reason) => {
            core.drop(reason);
            return Sent::Gone;
        }
    };
    if header.flags.has(Flags::RST) {
        core.counters.event(Event::TcpOutRsts);
    }
    let options = Options { timestamps, ..Options::default() };
    let (local, remote) = (tuple.local, tuple.remote);
    // That of the connection, whatever became of it.
    let flow_label =
        if remote.is_v4() { 0 } else { flow_label(core.secrets.origin(tuple).timestamp_offset()) };
    let options = &options;
    let mut outgoing =
        Outgoing { local, remote, hop, flow_label, header, options, segment_bytes: 0 };
    control(core, queues, &mut outgoing)
}

/// Sends a segment without payload; without a slot it is lost, and counted.
fn control<Q: QueuePair>(core: &mut Core, queues: &mut [Q], outgoing: &mut Outgoing<'_>) -> Sent {
    let interface = core.interfaces.interface_of(outgoing.local) as usize;
    let Some(queue) = queues.get_mut(interface) else { return Sent::Gone };
    core.counters.event(Event::TcpOutSegs);
    let sent = send(core, queue, outgoing, &[], 0);
    if sent == Sent::NoSlot {
        core.drop(Drop::NoSlot);
    }
    sent
}

/// Writes the headers and hands the frame to the card, or to the neighbour it waits for.
fn send<Q: QueuePair>(
    core: &mut Core,
    queue: &mut Q,
    outgoing: &mut Outgoing<'_>,
    lent: &[Lent],
    payload_bytes: u32,
) -> Sent {
    let mac = core.neighbours.mac(outgoing.hop, core.env.millis);
    let Some(mac) = mac.or_else(|| find_neighbour(core, outgoing)) else {
        return wait_for_neighbour(core, outgoing, lent, payload_bytes);
    };
    let capabilities = queue.capabilities();
    let checksums = if capabilities.tx_checksums { Checksums::ByCard } else { Checksums::Here };
    let Some(slot) = queue.slot() else { return Sent::NoSlot };
    let headers = write_headers(core, slot, outgoing, mac, payload_bytes, checksums);
    let inline = payload_bytes as usize <= limits::INLINE_BYTES
        || lent.len() > capabilities.lent_max && capabilities.lent_max > 0;
    let mut bytes = headers.bytes();
    if inline {
        for &range in lent {
            let payload = core.chunks.range(range);
            slot[bytes..bytes + payload.len()].copy_from_slice(payload);
            bytes += payload.len();
        }
    }
    let rest = if inline { &[] } else { lent };
    let mut offload = Offload::NONE;
    match checksums {
        Checksums::ByCard => {
            offload = headers.offload(outgoing.remote.is_v4(), outgoing.segment_bytes)
        }
        Checksums::Here => {
            finish_checksum(core, &mut slot[headers.l4_at()..bytes], outgoing, rest);
        }
    }
    queue.send(bytes, rest, offload, &mut core.chunks);
    core.counters.event(Event::OutFrames);
    Sent::Gone
}

/// The neighbour's name is void, or it is silent: it is looked for anew.
#[cold]
fn find_neighbour(core: &mut Core, outgoing: &mut Outgoing<'_>) -> Option<Mac> {
    let interface = core.interfaces.interface_of(outgoing.local);
    let (_, next) = core.routes.lookup_on(&core.interfaces, interface, outgoing.remote)?;
    let hop = core.neighbours.resolve(core.env.millis, interface, next).ok()?;
    outgoing.hop = hop;
    core.neighbours.mac(hop, core.env.millis)
}

/// Who computes checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksums {
    ByCard,
    Here,
}

/// Where the headers of a frame end.
#[derive(Clone, Copy, Debug)]
struct Headers {
    ip_bytes: u8,
    l4_bytes: u8,
}

impl Headers {
    fn l4_at(self) -> usize {
        ethernet::HEADER_BYTES + self.ip_bytes as usize
    }

    fn bytes(self) -> usize {
        self.l4_at() + self.l4_bytes as usize
    }

    fn offload(self, v4: bool, segment_bytes: u16) -> Offload {
        Offload {
            mac_bytes: ethernet::HEADER_BYTES as u8,
            ip_bytes: self.ip_bytes as u16,
            l4_bytes: self.l4_bytes,
            ip_checksum: v4,
            l4_checksum: penstock_queue::L4::Tcp,
            segment_bytes,
        }
    }
}

/// Writes Ethernet, IP and TCP headers to the front of `frame`.
#[inline]
fn write_headers(
    core: &Core,
    frame: &mut [u8],
    outgoing: &Outgoing<'_>,
    mac: Mac,
    payload_bytes: u32,
    checksums: Checksums,
) -> Headers {
    let src = core.interfaces.addr(outgoing.local);
    let dst = outgoing.remote;
    let own = core.interfaces.mac(core.interfaces.interface_of(outgoing.local));
    let l4_bytes = tcp::header_bytes(outgoing.header.flags, outgoing.options);
    // A frame that the card cuts may be longer than a length field says: the card writes its own.
    let length = (l4_bytes as u32 + payload_bytes).min(u16::MAX as u32 - 40) as u16;
    let ip_bytes = if dst.is_v4() {
        ethernet::emit(frame, mac, own, ethernet::IPV4);
        let header = ip::HeaderV4 {
            src,
            dst,
            protocol: ip::TCP,
            payload_bytes: length,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            // An atomic datagram: its identification means nothing (RFC 6864 section 4.1).
            identification: 0,
            dont_fragment: true,
            checksum: checksums == Checksums::Here,
        };
        ip::emit_v4(&mut frame[ethernet::HEADER_BYTES..], &header)
    } else {
        ethernet::emit(frame, mac, own, ethernet::IPV6);
        let header = ip::HeaderV6 {
            src,
            dst,
            protocol: ip::TCP,
            payload_bytes: length,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            flow_label: outgoing.flow_label,
        };
        ip::emit_v6(&mut frame[ethernet::HEADER_BYTES..], &header)
    };
    let l4 = &mut frame[ethernet::HEADER_BYTES + ip_bytes..];
    let written = tcp::emit(l4, &outgoing.header, outgoing.options);
    debug_assert_eq!(written, l4_bytes);
    if checksums == Checksums::ByCard {
        let length = if outgoing.segment_bytes > 0 { 0 } else { length };
        tcp::fill_partial_checksum(l4, src, dst, length);
    }
    Headers { ip_bytes: ip_bytes as u8, l4_bytes: l4_bytes as u8 }
}

/// Sums header, inline payload and lent payload.
fn finish_checksum(core: &Core, l4: &mut [u8], outgoing: &Outgoing<'_>, lent: &[Lent]) {
    let src = core.interfaces.addr(outgoing.local);
    let (mut beyond, mut bytes) = (Sum::ZERO, 0);
    for &range in lent {
        beyond = beyond.add_bytes(core.chunks.range(range));
        bytes += range.len;
    }
    tcp::fill_checksum(l4, src, outgoing.remote, beyond, bytes);
}

/// Builds the whole frame in a chunk; the neighbour keeps it until its station address is known.
#[cold]
fn wait_for_neighbour(
    core: &mut Core,
    outgoing: &Outgoing<'_>,
    lent: &[Lent],
    payload_bytes: u32,
) -> Sent {
    if outgoing.header.flags.has(Flags::SYN) && !outgoing.header.flags.has(Flags::ACK) {
        core.neighbours.want(outgoing.hop);
    }
    let headers_max = ethernet::HEADER_BYTES + 40 + tcp::HEADER_BYTES_MAX;
    if payload_bytes as usize + headers_max > SLOT_BYTES {
        // Too long to wait: it is lost, and sent again by the retransmission timer.
        core.drop(Drop::NeighbourQueueFull);
        return Sent::Gone;
    }
    let Some(chunk) = core.chunks.alloc() else {
        core.drop(Drop::NeighbourQueueFull);
        return Sent::Gone;
    };
    let mut frame = [0; SLOT_BYTES];
    let mac = Mac::default();
    let headers = write_headers(core, &mut frame, outgoing, mac, payload_bytes, Checksums::Here);
    let mut bytes = headers.bytes();
    for &range in lent {
        let payload = core.chunks.range(range);
        frame[bytes..bytes + payload.len()].copy_from_slice(payload);
        bytes += payload.len();
    }
    finish_checksum(core, &mut frame[headers.l4_at()..bytes], outgoing, &[]);
    core.chunks.bytes_mut(chunk)[..bytes].copy_from_slice(&frame[..bytes]);
    if let Some(evicted) = core.neighbours.enqueue(outgoing.hop, chunk, bytes as u16) {
        core.chunks.free(evicted);
        core.drop(Drop::NeighbourQueueFull);
    }
    Sent::Gone
}

/// Sends a frame that was built in a chunk; the chunk is freed when the card is done with it.
pub(crate) fn released<Q: QueuePair>(
    core: &mut Core,
    queue: &mut Q,
    chunk: ChunkId,
    bytes: u16,
    mac: Mac,
) {
    match queue.slot() {
        Some(slot) => {
            let bytes = bytes as usize;
            slot[..bytes].copy_from_slice(&core.chunks.bytes(chunk)[..bytes]);
            slot[..6].copy_from_slice(&mac.0);
            queue.send(bytes, &[], Offload::NONE, &mut core.chunks);
            core.counters.event(Event::OutFrames);
        }
        None => core.drop(Drop::NoSlot),
    }
    core.chunks.free(chunk);
}

/// A stable flow label (RFC 6437) from a keyed number that the peer may know: 20 bits, not 0.
fn flow_label(ts_offset: u32) -> u32 {
    (ts_offset.wrapping_mul(0x9e37_79b1) >> 12).max(1)
}
