//! The frame that nearly all frames are, written in one go: IPv4, no TCP options but timestamps and
//! those of a SYN, a neighbour that is known, and payload that lies in one piece and fits behind its
//! headers. Everything else goes the long way in [`super`].

use penstock_queue::{Chunks, Lent, Offload, QueuePair};
use penstock_wire::checksum::Sum;
use penstock_wire::tcp::{self, Flags, Syn, Timestamps};
use penstock_wire::{Addr, ip, plain};

use super::{Headers, Outgoing, Sent, control, flow_label, sent_event, syn_of};
use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::hash::Tuple;
use crate::interface::Station;
use crate::limits;
use crate::neighbour::HopId;
use crate::tcp::{Bits, Emit, Env, Flight, State, Tcb};

/// What [`whole`] is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// All that is queued, with the acknowledgement that is owed.
    Queued,
    /// The acknowledgement alone.
    Acknowledgement,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was sent: somebody has to look who takes everything into account.
    Unsent,
    /// It was sent.
    Sent,
    /// It was sent, and this is the connection's only deadline.
    Timed(u32),
}

/// Sends what connection `index` has to send, where one plain frame holds it all.
#[inline(always)]
pub(crate) fn whole<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    index: u32,
    what: Whole,
) -> Outcome {
    let tcb = &mut core.conns[index];
    if what == Whole::Queued && tcb.has(Bits(Bits::UNREAD.0 | Bits::ABORT.0)) {
        // [`deliver`](crate::deliver) comes first.
        return Outcome::Unsent;
    }
    let Some(station) = core.interfaces.station(tcb.tuple.local) else { return Outcome::Unsent };
    let Some(queue) = queues.get_mut(station.interface as usize) else { return Outcome::Unsent };
    let millis = core.env.millis;
    if !station.is_v4 || queue.slots() == 0 {
        return Outcome::Unsent;
    }
    let Some(to) = core.neighbours.mac_word(HopId(tcb.hop), millis) else { return Outcome::Unsent };
    let mut payload = None;
    let mut outcome = Outcome::Sent;
    let emit = match (core.flights.at_mut(tcb.flight), what) {
        (Some(flight), Whole::Queued) => {
            if !flight.send.is_empty() {
                payload = flight.send.whole();
                let len = flight.send.bytes();
                if len > limits::INLINE_BYTES as u32 || payload.is_none() {
                    return Outcome::Unsent;
                }
            }
            let emit = tcb.whole_segment(flight, &core.env);
            if tcb.is_timed_by(flight, &core.env) {
                outcome = Outcome::Timed(flight.timer_at);
            }
            emit
        }
        (flight, _) => tcb.emit_acknowledgement(flight.as_deref(), &core.env),
    };
    let Some(emit) = emit else { return Outcome::Unsent };
    let header = tcp::Header {
        src_port: tcb.tuple.local_port,
        dst_port: tcb.tuple.remote_port,
        seq: emit.seq,
        ack: tcb.rcv_nxt,
        flags: emit.flags,
        window: emit.window,
    };
    let timestamps = tcb
        .has(Bits::TIMESTAMPS)
        .then(|| Timestamps { value: tcb.timestamp(millis), echo: tcb.ts_recent });
    let plain = Plain { remote: tcb.tuple.remote, header, timestamps, syn: None, payload };
    let sent = send_plain(queue, &mut core.chunks, station, to, &plain);
    debug_assert!(sent == Sent::Gone, "a slot was free");
    core.counters.event(Event::TcpOutSegs);
    core.counters.event(Event::OutFrames);
    outcome
}

/// Sends what connection `index` has to send, where nothing is in flight and one plain frame holds it
/// all: what a short connection says at once.
#[inline(never)]
pub(super) fn short<Q: QueuePair>(core: &mut Core, queues: &mut [Q], index: u32) -> Outcome {
    let tcb = &core.conns[index];
    let is_first = core.flights.at(tcb.flight).is_none_or(|flight| flight.max == tcb.una);
    if !is_first || core.duplicate.is_some() {
        return Outcome::Unsent;
    }
    whole(core, queues, index, Whole::Queued)
}

/// Sends the SYN of connection `index`, where a plain frame holds it.
#[inline(never)]
pub(crate) fn syn<Q: QueuePair>(core: &mut Core, queues: &mut [Q], index: u32) -> Outcome {
    let tcb = &mut core.conns[index];
    let Some(station) = core.interfaces.station(tcb.tuple.local) else { return Outcome::Unsent };
    let Some(queue) = queues.get_mut(station.interface as usize) else { return Outcome::Unsent };
    let Some(flight) = core.flights.at_mut(tcb.flight) else { return Outcome::Unsent };
    if !station.is_v4 || queue.slots() == 0 || tcb.state != State::SynSent {
        return Outcome::Unsent;
    }
    let Some(to) = core.neighbours.mac_word(HopId(tcb.hop), core.env.millis) else {
        return Outcome::Unsent;
    };
    let emit = tcb.emit_syn(flight, &core.env);
    let Some(plain) = plain(tcb, None, &emit, station, &core.env) else { return Outcome::Unsent };
    let sent = send_plain(queue, &mut core.chunks, station, to, &plain);
    debug_assert!(sent == Sent::Gone, "a slot was free");
    core.counters.event(sent_event(&emit));
    core.counters.event(Event::OutFrames);
    Outcome::Sent
}

/// Answers the SYN of a half-open connection.
#[inline(never)]
pub(crate) fn syn_ack<Q: QueuePair>(core: &mut Core, queues: &mut [Q], half: &Tcb) -> Sent {
    first_syn_ack(core, queues, half, None)
}

/// The same, part of its only caller: what a client's SYN is answered with. `to` is the station it
/// goes to, where that is at hand.
#[inline(always)]
pub(crate) fn first_syn_ack<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    half: &Tcb,
    to: Option<u64>,
) -> Sent {
    let Tuple { local, remote, remote_port, local_port } = half.tuple;
    let Some(station) = core.interfaces.station(local) else { return Sent::Gone };
    let Some(queue) = queues.get_mut(station.interface as usize) else { return Sent::Gone };
    let millis = core.env.millis;
    let timestamps = half
        .has(Bits::TIMESTAMPS)
        .then(|| Timestamps { value: half.timestamp(millis), echo: half.ts_recent });
    let window_scale = half.scales_windows().then_some(core.env.window_scale);
    let mss = core.client_mss(station.mss, half.listener());
    let syn = Syn { mss, window_scale, sack_permitted: half.has(Bits::SACK) };
    let header = tcp::Header {
        src_port: local_port,
        dst_port: remote_port,
        seq: half.una - 1,
        ack: half.rcv_nxt,
        flags: Flags::SYN.with(Flags::ACK),
        window: core.env.window_bytes.min(limits::WINDOW_UNSCALED_MAX) as u16,
    };
    if station.is_v4
        && let Some(to) = match to {
            Some(to) => Some(to),
            None => core.neighbours.mac_word(HopId(half.hop), millis),
        }
    {
        let plain = Plain { remote, header, timestamps, syn: Some(syn), payload: None };
        let sent = send_plain(queue, &mut core.chunks, station, to, &plain);
        core.counters.event(Event::TcpOutSegs);
        match sent {
            Sent::Gone => core.counters.event(Event::OutFrames),
            Sent::NoSlot => core.drop(Drop::NoSlot),
        }
        return sent;
    }
    let (hop, flow_label) = (HopId(half.hop), flow_label(half.ts_offset));
    let options = &syn.options(timestamps);
    let mut outgoing =
        Outgoing { local, remote, hop, flow_label, header, options, segment_bytes: 0 };
    control(core, queues, &mut outgoing)
}

/// A frame of the kind that nearly all are: IPv4, no TCP options but timestamps and those of a SYN, a
/// neighbour that is known, and payload that lies in one piece and fits behind its headers.
pub(super) struct Plain {
    remote: Addr,
    header: tcp::Header,
    timestamps: Option<Timestamps>,
    /// The other options, if it is a SYN.
    syn: Option<Syn>,
    payload: Option<Lent>,
}

/// A connection's segment, if it is plain.
#[inline]
pub(super) fn plain(
    tcb: &Tcb,
    flight: Option<&Flight>,
    emit: &Emit,
    station: &Station,
    env: &Env,
) -> Option<Plain> {
    let tuple = &tcb.tuple;
    if !station.is_v4 {
        return None;
    }
    let mut payload = None;
    if let Some(flight) = flight {
        if !flight.held.is_empty() || emit.len > limits::INLINE_BYTES as u32 {
            return None;
        }
        if emit.len > 0 {
            payload = Some(flight.send.range(emit.seq - tcb.una, emit.len)?);
        }
    }
    let header = tcp::Header {
        src_port: tuple.local_port,
        dst_port: tuple.remote_port,
        seq: emit.seq,
        // A SYN acknowledges nothing: there both are 0 still.
        ack: tcb.rcv_nxt,
        flags: emit.flags,
        window: emit.window,
    };
    let timestamps = tcb
        .has(Bits::TIMESTAMPS)
        .then(|| Timestamps { value: tcb.timestamp(env.millis), echo: tcb.ts_recent });
    let syn = emit.flags.has(Flags::SYN).then(|| syn_of(tcb, station.mss, env));
    Some(Plain { remote: tuple.remote, header, timestamps, syn, payload })
}

/// Writes a plain frame and hands it to the card. Inlined everywhere, or the numbers would have to
/// go through memory.
#[inline(always)]
pub(super) fn send_plain<Q: QueuePair>(
    queue: &mut Q,
    chunks: &mut Chunks,
    station: &Station,
    to: u64,
    plain: &Plain,
) -> Sent {
    let checksums_by_card = queue.capabilities().tx_checksums;
    let Some(slot) = queue.slot() else { return Sent::NoSlot };
    let numbers = plain::Outgoing {
        to,
        sender: &station.sender,
        dst: plain.remote,
        header: plain.header,
        timestamps: plain.timestamps,
        payload_bytes: plain.payload.map_or(0, |range| range.len),
        checksums_by_card,
    };
    let l4_bytes = match plain.syn {
        Some(syn) => plain::emit_syn_v4(slot, &numbers, syn),
        None => plain::emit_v4(slot, &numbers),
    };
    let Some(l4_bytes) = l4_bytes else { return Sent::NoSlot };
    let headers = Headers { ip_bytes: ip::V4_HEADER_BYTES as u8, l4_bytes: l4_bytes as u8 };
    let mut bytes = headers.bytes();
    if let Some(range) = plain.payload {
        let payload = chunks.range(range);
        slot[bytes..bytes + payload.len()].copy_from_slice(payload);
        bytes += payload.len();
    }
    let mut offload = Offload::NONE;
    if checksums_by_card {
        offload = headers.offload(true, 0);
    } else {
        let l4 = &mut slot[headers.l4_at()..bytes];
        tcp::fill_checksum(l4, station.addr, plain.remote, Sum::ZERO, 0);
    }
    queue.send(bytes, &[], offload, chunks);
    Sent::Gone
}
