//! Packets of our own that are not TCP segments: built in a chunk, so that they can wait for their
//! neighbour, or for the end of the turn.

use penstock_queue::{ChunkId, QueuePair};
use penstock_wire::{Addr, Mac, ethernet, ip, udp};

use crate::app::{App, Endpoint, UdpId};
use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::departure::Departure;
use crate::hash::AddrId;
use crate::neighbour::HopId;
use crate::refusal::UdpError;
use crate::transmit;
use crate::worker::Worker;

/// Builds an IP packet in a chunk and sends it, now or when the neighbour is known. `write` writes
/// the IP payload and returns its length, 0 if it does not fit.
pub(crate) fn send_packet<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    interface: u8,
    src: Addr,
    dst: Addr,
    protocol: u8,
    write: impl FnOnce(&mut [u8]) -> usize,
) -> Result<(), Drop> {
    let (_, next) = core.routes.lookup_on(&core.interfaces, interface, dst).ok_or(Drop::NoRoute)?;
    let hop = core.neighbours.resolve(core.env.millis, interface, next)?;
    let chunk = core.chunks.alloc().ok_or(Drop::NoSlot)?;
    let own = core.interfaces.mac(interface);
    let mtu = core.interfaces.mtu(interface) as usize;
    let frame = core.chunks.bytes_mut(chunk);
    let room = frame.len().min(ethernet::HEADER_BYTES + mtu);
    let bytes = write_packet(&mut frame[..room], own, src, dst, protocol, write);
    if bytes == 0 {
        core.chunks.free(chunk);
        return Err(Drop::TooLong);
    }
    post_frame(core, queues, interface, hop, chunk, bytes as u16);
    Ok(())
}

/// Sends a frame built in a chunk, or leaves it with the neighbour it waits for.
fn post_frame<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    interface: u8,
    hop: HopId,
    chunk: ChunkId,
    bytes: u16,
) {
    match (core.neighbours.mac(hop, core.env.millis), queues.get_mut(interface as usize)) {
        (Some(mac), Some(queue)) => transmit::released(core, queue, chunk, bytes, mac),
        (Some(_), None) => core.chunks.free(chunk),
        (None, _) => {
            if let Some(evicted) = core.neighbours.enqueue(hop, chunk, bytes) {
                core.chunks.free(evicted);
                core.drop(Drop::NeighbourQueueFull);
            }
        }
    }
}

/// Writes Ethernet and IP headers around what `write` writes; the station is filled in later.
fn write_packet(
    frame: &mut [u8],
    own: Mac,
    src: Addr,
    dst: Addr,
    protocol: u8,
    write: impl FnOnce(&mut [u8]) -> usize,
) -> usize {
    let v4 = dst.is_v4();
    let ip_bytes = if v4 { ip::V4_HEADER_BYTES } else { ip::V6_HEADER_BYTES };
    let at = ethernet::HEADER_BYTES + ip_bytes;
    let Some(room) = frame.get_mut(at..) else { return 0 };
    let payload_bytes = write(room);
    if payload_bytes == 0 {
        return 0;
    }
    let ether_type = if v4 { ethernet::IPV4 } else { ethernet::IPV6 };
    ethernet::emit(frame, Mac::default(), own, ether_type);
    let header = &mut frame[ethernet::HEADER_BYTES..];
    if v4 {
        let numbers = ip::HeaderV4 {
            src,
            dst,
            protocol,
            payload_bytes: payload_bytes as u16,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        ip::emit_v4(header, &numbers);
    } else {
        let numbers = ip::HeaderV6 {
            src,
            dst,
            protocol,
            payload_bytes: payload_bytes as u16,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            flow_label: 0,
        };
        ip::emit_v6(header, &numbers);
    }
    at + payload_bytes
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Sends the datagrams that the application queued.
    #[inline(never)]
    pub(crate) fn send_datagrams(&mut self) {
        while let Some(queued) = self.core.datagrams.pop_front() {
            let core = &mut self.core;
            let Queued { interface, hop, chunk, bytes } = queued;
            match (hop, self.queues.get_mut(interface as usize)) {
                (Some(hop), _) => {
                    post_frame(core, &mut self.queues, interface, hop, chunk, bytes);
                    core.counters.event(Event::UdpOutDatagrams);
                }
                (None, Some(queue)) => {
                    let to = ethernet::parse(core.chunks.bytes(chunk));
                    let to = to.map_or(Mac::BROADCAST, |header| header.dst);
                    transmit::released(core, queue, chunk, bytes, to);
                }
                (None, None) => core.chunks.free(chunk),
            }
        }
    }
}

/// A datagram, or a whole frame, that waits for the end of the turn: a downcall never sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    pub(crate) interface: u8,
    /// Whose station is to be filled in; `None`: it is there.
    pub(crate) hop: Option<HopId>,
    pub(crate) chunk: ChunkId,
    pub(crate) bytes: u16,
}

impl Core {
    /// The interface, the neighbour and the address of ours by which datagrams go to an address that
    /// no connection can go to.
    #[cold]
    fn find_way(&self, to: Addr, from: Option<Addr>) -> Result<(u8, Addr, AddrId), UdpError> {
        let (interface, next) =
            self.routes.lookup(&self.interfaces, to).ok_or(UdpError::NoRoute)?;
        let local = match from {
            Some(own) => self.interfaces.find(interface, own),
            None => self.interfaces.source_for(interface, to),
        };
        Ok((interface, next, local.ok_or(UdpError::NoAddress)?))
    }

    /// Builds a datagram in a chunk and queues it.
    pub(crate) fn queue_datagram(
        &mut self,
        socket: UdpId,
        from: Option<Addr>,
        to: Endpoint,
        bytes: &[u8],
    ) -> Result<(), UdpError> {
        let (bound, port) = self.udp.bound(socket).ok_or(UdpError::NotBound)?;
        let from = from.or(bound);
        let (interface, next, local) = match self.departure(to, from) {
            Ok(Departure { interface, next, local, .. }) => (interface, next, local),
            // Groups have no connections, and datagrams may go there.
            Err(_) => self.find_way(to.addr, from)?,
        };
        let src = self.interfaces.addr(local);
        if self.datagrams.len() == self.datagrams.capacity() {
            return Err(UdpError::NoMemory);
        }
        let hop = self.neighbours.resolve(self.env.millis, interface, next);
        let hop = hop.map_err(|_| UdpError::NoMemory)?;
        let chunk = self.chunks.alloc().ok_or(UdpError::NoMemory)?;
        let own = self.interfaces.mac(interface);
        let mtu = self.interfaces.mtu(interface) as usize;
        let frame = self.chunks.bytes_mut(chunk);
        let room = frame.len().min(ethernet::HEADER_BYTES + mtu);
        let payload_bytes = bytes.len() as u16;
        let numbers = udp::Datagram { src_port: port, dst_port: to.port, payload_bytes };
        let length = write_packet(&mut frame[..room], own, src, to.addr, ip::UDP, |room| {
            let total = udp::HEADER_BYTES + bytes.len();
            let Some(room) = room.get_mut(..total) else { return 0 };
            room[udp::HEADER_BYTES..].copy_from_slice(bytes);
            udp::emit(room, &numbers);
            udp::fill_checksum(room, src, to.addr, penstock_wire::checksum::Sum::ZERO, 0);
            total
        });
        if length == 0 {
            self.chunks.free(chunk);
            return Err(UdpError::TooLong);
        }
        let hop = Some(hop);
        self.datagrams.push_back(Queued { interface, hop, chunk, bytes: length as u16 });
        Ok(())
    }
}
