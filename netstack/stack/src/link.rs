//! Our neighbours on the links: what ARP and NDP tell of them goes to [`crate::neighbour`], what it
//! wants asked and answered leaves from here, and what is learned goes to the other cores.

use penstock_queue::{Offload, QueuePair};
use penstock_wire::icmp::Message;
use penstock_wire::{Addr, Mac, ethernet, ip};

use crate::app::App;
use crate::arp;
use crate::counters::{Drop, Event};
use crate::limits;
use crate::mail;
use crate::ndp;
use crate::neighbour::{Action, HopId, How};
use crate::transmit;
use crate::worker::Worker;

impl<Q: QueuePair, A: App> Worker<Q, A> {
    pub(crate) fn on_arp(
        &mut self,
        interface: u8,
        packet: &penstock_wire::arp::Packet,
    ) -> Result<(), Drop> {
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let is_own = |addr| interfaces.find(interface, addr).is_some();
        let learn = match arp::on_packet(is_own, packet) {
            arp::Verdict::Reply { learn } => {
                self.send_frame(interface, |slot| arp::write_reply(slot, own, packet));
                learn
            }
            arp::Verdict::Learn { learn } => Some(learn),
            arp::Verdict::Drop(reason) => return Err(reason),
        };
        if let Some((addr, mac, how)) = learn {
            self.learn(interface, addr, Some(mac), how);
        }
        Ok(())
    }

    pub(crate) fn on_ndp(
        &mut self,
        interface: u8,
        packet: &ip::Packet,
        message: &Message,
    ) -> Result<(), Drop> {
        let src_mac = ethernet::parse(&self.scratch[..self.scratch_bytes])?.src;
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let is_own = |addr| interfaces.find(interface, addr).is_some();
        let hops = packet.hop_limit;
        let learn = match ndp::on_message(is_own, packet.src, src_mac, hops, message) {
            ndp::Verdict::Reply { answer, learn } => {
                self.send_frame(interface, |slot| ndp::write_advertisement(slot, own, &answer));
                learn
            }
            ndp::Verdict::Learn { learn } => Some(learn),
            ndp::Verdict::Drop(reason) => return Err(reason),
        };
        if let Some((addr, mac, how)) = learn {
            self.learn(interface, addr, mac, how);
        }
        Ok(())
    }

    /// A neighbour's station address was learned: here, or by another core.
    pub(crate) fn learn(&mut self, interface: u8, addr: Addr, mac: Option<Mac>, how: How) {
        let core = &mut self.core;
        let learned = core.neighbours.learn(core.env.millis, interface, addr, mac, how);
        let mac = learned.mac;
        if learned.moved {
            core.counters.event(Event::NeighbourMoves);
        }
        if learned.changed && how != How::Mail {
            core.post.broadcast(&mail::Message::Neighbour { interface, addr, mac });
        }
        if let Some(hop) = learned.hop {
            while let Some((chunk, bytes)) = core.neighbours.take_waiting(hop) {
                if let Some(queue) = self.queues.get_mut(interface as usize) {
                    transmit::released(core, queue, chunk, bytes, mac);
                }
            }
        }
    }

    /// Asks for a neighbour, from an address it can answer to.
    fn solicit(&mut self, interface: u8, addr: Addr, to: Option<Mac>) {
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let Some(source) = interfaces.source_for(interface, addr) else { return };
        let source = interfaces.addr(source);
        self.core.counters.event(Event::NeighbourSolicits);
        self.send_frame(interface, |slot| {
            if addr.is_v4() {
                arp::write_request(slot, own, source, addr, to)
            } else {
                ndp::write_solicitation(slot, own, source, addr, to)
            }
        });
    }

    /// Tells every link of our addresses.
    pub(crate) fn announce(&mut self) {
        for interface in 0..self.core.interfaces.count() {
            let own = self.core.interfaces.mac(interface);
            let mut number = 0;
            loop {
                let addr = self.core.interfaces.addresses(interface).nth(number);
                let Some(addr) = addr else { break };
                number += 1;
                self.send_frame(interface, |slot| {
                    if addr.is_v4() {
                        arp::write_announcement(slot, own, addr)
                    } else {
                        ndp::write_announcement(slot, own, addr)
                    }
                });
            }
        }
    }

    /// Writes a frame straight into a slot.
    fn send_frame(&mut self, interface: u8, write: impl FnOnce(&mut [u8]) -> usize) {
        let Some(queue) = self.queues.get_mut(interface as usize) else { return };
        let Some(slot) = queue.slot() else {
            self.core.drop(Drop::NoSlot);
            return;
        };
        let bytes = write(slot);
        if bytes > 0 {
            queue.send(bytes, &[], Offload::NONE, &mut self.core.chunks);
            self.core.counters.event(Event::OutFrames);
        }
    }

    /// Asks for neighbours that are wanted or doubted, and gives up those that do not answer.
    #[inline(never)]
    pub(crate) fn serve_neighbours(&mut self) {
        for _ in 0..limits::TIMERS_PER_TURN {
            let millis = self.core.env.millis;
            match self.core.neighbours.expire(millis) {
                None => return,
                Some(Action::Solicit { interface, addr, to }) => self.solicit(interface, addr, to),
                Some(Action::Failed { hop, is_wanted }) => self.neighbour_failed(hop, is_wanted),
            }
        }
    }

    /// Frames that waited are lost. Connections that are being opened end with
    /// [`Close::NoNeighbour`](crate::Close::NoNeighbour), as with Linux; others find out by their own
    /// timers.
    fn neighbour_failed(&mut self, hop: HopId, is_wanted: bool) {
        let core = &mut self.core;
        if is_wanted {
            core.begin_sweep();
        }
        while let Some((chunk, _)) = core.neighbours.take_waiting(hop) {
            core.chunks.free(chunk);
            core.drop(Drop::NeighbourFailed);
        }
    }
}
