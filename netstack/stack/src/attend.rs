//! What stands beneath an application: frames that belong to no connection and no socket, on their way
//! to the one core that decides about addresses, and back.
//!
//! A machine that asks for its address is answered before it has one, and hears of conflicts and
//! routers in frames of its own kind. Cards bring those to any core; a worker that attends passes them
//! to core 0, by mail from elsewhere, and there they are an upcall. They are picked out where all that
//! is not TCP goes anyway, so segments pay nothing for it.

use penstock_queue::QueuePair;
use penstock_wire::icmp::Message;
use penstock_wire::{Addr, arp, ethernet, ip};

use crate::app::App;
use crate::core::Core;
use crate::cx::Cx;
use crate::limits;
use crate::packet::Queued;
use crate::refusal::UdpError;
use crate::time::Instant;
use crate::worker::Worker;

/// What a worker looks out for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attention {
    /// Somebody attends.
    on: bool,
    /// Addresses that we want to have and that may be another's.
    tentative: [Option<(u8, Addr)>; limits::TENTATIVE_MAX],
}

impl Attention {
    fn is_tentative(&self, interface: u8, addr: Addr) -> bool {
        self.tentative.contains(&Some((interface, addr)))
    }
}

impl Cx<'_> {
    /// From now on [`App::on_frame`](crate::App::on_frame) is called on core 0 with what this worker
    /// receives and an application of the usual kind has no use for: answers to a DHCP client, router
    /// advertisements, and whatever says that one of our addresses, tentative ones among them, is
    /// another's. Called on every core.
    pub fn attend(&mut self) {
        self.core.attention.on = true;
    }

    /// Looks out for others that have `addr`, or does so no more. False: too many already.
    pub fn set_tentative(&mut self, interface: u8, addr: Addr, tentative: bool) -> bool {
        let list = &mut self.core.attention.tentative;
        let entry = Some((interface, addr));
        let from = if tentative { None } else { entry };
        if tentative && list.contains(&entry) {
            return true;
        }
        match list.iter_mut().find(|place| **place == from) {
            Some(place) => *place = if tentative { entry } else { None },
            None => return !tentative,
        }
        true
    }

    /// Sends a frame, Ethernet header included, from an interface at the end of the turn.
    ///
    /// # Errors
    /// See [`UdpError`].
    pub fn send_frame(&mut self, interface: u8, frame: &[u8]) -> Result<(), UdpError> {
        self.core.queue_frame(interface, frame)
    }

    /// Asks for [`App::on_tend`](crate::App::on_tend) at `at`, as [`wake_at`](Self::wake_at) does: the
    /// timer of what stands beneath an application.
    pub fn tend_at(&mut self, at: Option<Instant>) {
        self.core.tend_at = at.map(|at| self.core.tick_of(at));
    }
}

impl Core {
    fn queue_frame(&mut self, interface: u8, frame: &[u8]) -> Result<(), UdpError> {
        let most = ethernet::HEADER_BYTES + self.interfaces.mtu(interface) as usize;
        if frame.len() < ethernet::HEADER_BYTES || frame.len() > most {
            return Err(UdpError::TooLong);
        }
        if self.datagrams.len() == self.datagrams.capacity() {
            return Err(UdpError::NoMemory);
        }
        let chunk = self.chunks.alloc().ok_or(UdpError::NoMemory)?;
        let Some(room) = self.chunks.bytes_mut(chunk).get_mut(..frame.len()) else {
            self.chunks.free(chunk);
            return Err(UdpError::TooLong);
        };
        room.copy_from_slice(frame);
        let bytes = frame.len() as u16;
        self.datagrams.push_back(Queued { interface, hop: None, chunk, bytes });
        Ok(())
    }
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// An ARP packet that somebody beneath may want to see.
    pub(crate) fn attend_arp(&mut self, interface: u8, packet: &arp::Packet, mailed: bool) {
        let Core { attention, interfaces, .. } = &self.core;
        let arp::Packet { sender_mac, sender, target, .. } = *packet;
        let about_us = interfaces.find(interface, sender).is_some()
            || attention.is_tentative(interface, sender)
            || sender.is_unspecified() && attention.is_tentative(interface, target);
        if attention.on && about_us && sender_mac != interfaces.mac(interface) {
            self.hand_over(interface, mailed);
        }
    }

    /// Whether an IP packet is for somebody beneath, who has it now.
    pub(crate) fn attend_ip(&mut self, interface: u8, packet: &ip::Packet, mailed: bool) -> bool {
        if !self.core.attention.on || packet.protocol != ip::UDP || !packet.dst.is_v4() {
            return false;
        }
        let body = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let is_dhcp = packet.payload(body).get(2..4) == Some(&DHCP_CLIENT_PORT.to_be_bytes());
        if is_dhcp {
            self.hand_over(interface, mailed);
        }
        is_dhcp
    }

    /// A message of neighbour discovery that somebody beneath may want to see; whether nobody else
    /// does.
    pub(crate) fn attend_ndp(
        &mut self,
        interface: u8,
        packet: &ip::Packet,
        message: &Message,
        mailed: bool,
    ) -> bool {
        let Core { attention, interfaces, .. } = &self.core;
        let is_own = |addr| interfaces.find(interface, addr).is_some();
        let (wanted, alone) = match *message {
            Message::RouterAdvertisement(_) => (true, true),
            Message::NeighbourAdvertisement { target, .. } => {
                let tentative = attention.is_tentative(interface, target);
                (tentative || is_own(target), tentative)
            }
            Message::NeighbourSolicitation { target, .. } => {
                let tentative = attention.is_tentative(interface, target);
                (tentative && packet.src.is_unspecified(), tentative)
            }
            _ => (false, false),
        };
        let wanted = wanted && attention.on;
        if wanted {
            self.hand_over(interface, mailed);
        }
        wanted && alone
    }

    /// Whether a packet to `group` is one that somebody beneath may want to see.
    pub(crate) fn attends_group(&self, interface: u8, group: Addr) -> bool {
        let of = |entry: &Option<(u8, Addr)>| {
            entry.is_some_and(|(on, addr)| on == interface && addr.solicited_node() == group)
        };
        self.core.attention.tentative.iter().any(of)
    }

    /// The frame in the scratch buffer goes to core 0.
    #[cold]
    fn hand_over(&mut self, interface: u8, mailed: bool) {
        let frame = &self.scratch[..self.scratch_bytes];
        if self.core.number == 0 {
            self.app.on_frame(&mut Cx::new(&mut self.core), interface, frame);
        } else if !mailed && let Err(reason) = self.mail_on(0, interface) {
            self.core.drop(reason);
        }
    }
}

const DHCP_CLIENT_PORT: u16 = 68;
