//! The local listen table: who listens on a port, here and on the other cores.
//!
//! Every worker that serves a port has its own listener; there is no shared accept queue. Listeners
//! hang in chains from buckets indexed by the port, so a lookup walks only those that share the
//! port's low bits.
//!
//! A listener of one interface hears the clients that come in there, and goes before one of the same
//! address that hears all.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use penstock_wire::Addr;

use crate::mail::{Message, Post, Refused};
use crate::refusal::ListenError;
use crate::rfd::CORES_MAX;

const NONE: u16 = u16::MAX;

#[derive(Clone, Copy, Debug)]
struct Listener {
    /// One address, 0.0.0.0 or `::` for those of a family, `None` for every one.
    addr: Option<Addr>,
    /// `None` for every one.
    interface: Option<u8>,
    port: u16,
    profile: u8,
    /// Whether this worker listens.
    here: Here,
    next: u16,
    /// The other workers that do.
    elsewhere: u128,
    /// The other workers that have yet to hear whether this one does.
    untold: u128,
}

/// Whether a worker listens, and on what: one question for [`Listeners::lookup_only`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    No,
    OneInterface,
    EveryInterface,
}

impl Listener {
    fn is_here(&self) -> bool {
        self.here != Here::No
    }
}

/// The listeners of one core.
#[derive(Debug)]
pub(crate) struct Listeners {
    buckets: Box<[u16]>,
    listeners: Vec<Listener>,
    capacity: u16,
    /// Every worker but this one.
    others: u128,
}

/// What a listener found by [`Listeners::lookup`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This worker listens: the listener's number and its options' profile.
    Here(u16, u8),
    /// Only these other workers do.
    Elsewhere(u128),
}

// A line of the cache.
const _: () = assert!(size_of::<Listener>() <= 64);

/// How well a listener fits an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Any,
    Family,
    Address,
}

/// What a listener for the whole family of `addr` has for an address.
#[inline(always)]
fn family(addr: Addr) -> Addr {
    if addr.is_v4() { Addr::v4(0) } else { Addr::UNSPECIFIED }
}

impl Listeners {
    /// The table of worker `number` of `cores`.
    pub(crate) fn new(capacity: u16, number: u16, cores: u16) -> Listeners {
        let buckets = (capacity.max(1) as usize * 2).next_power_of_two();
        Listeners {
            buckets: vec![NONE; buckets].into_boxed_slice(),
            listeners: Vec::with_capacity(capacity as usize),
            capacity,
            others: u128::MAX >> (u128::BITS - cores as u32) & !(1 << number),
        }
    }

    /// Listens here.
    ///
    /// # Errors
    /// This place is taken, or the table is full.
    pub(crate) fn open(
        &mut self,
        addr: Option<Addr>,
        port: u16,
        interface: Option<u8>,
        profile: u8,
    ) -> Result<u16, ListenError> {
        let index = self.entry(addr, port, interface).ok_or(ListenError::TooMany)?;
        let listener = &mut self.listeners[index as usize];
        if listener.is_here() {
            return Err(ListenError::InUse);
        }
        let is_one = interface.is_some();
        listener.here = if is_one { Here::OneInterface } else { Here::EveryInterface };
        listener.profile = profile;
        listener.untold = self.others;
        Ok(index)
    }

    /// Stops listening here.
    pub(crate) fn close(&mut self, index: u16) {
        let listener = self.listeners.get_mut(index as usize);
        if let Some(listener) = listener.filter(|listener| listener.is_here()) {
            listener.here = Here::No;
            listener.untold = self.others;
        }
    }

    /// Tells the other workers what they have not heard yet; who has no room for it is told the next
    /// time.
    pub(crate) fn tell(&mut self, post: &mut Post) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.untold != 0) {
            let Listener { addr, port, interface, untold, .. } = *listener;
            let listens = listener.is_here();
            let message = Message::Listening { addr, port, interface, listens };
            let is_behind = |&core: &u16| {
                untold >> core & 1 != 0 && post.send(core, &message) == Err(Refused::Full)
            };
            listener.untold = (0..CORES_MAX).filter(is_behind).fold(0, |set, core| set | 1 << core);
        }
    }

    /// Whether there is something to tell.
    pub(crate) fn has_news(&self) -> bool {
        self.listeners.iter().any(|listener| listener.untold != 0)
    }

    /// Another worker listens, or does so no more.
    pub(crate) fn note(
        &mut self,
        addr: Option<Addr>,
        port: u16,
        interface: Option<u8>,
        core: u16,
        listens: bool,
    ) {
        if core >= CORES_MAX {
            return;
        }
        if let Some(index) = self.entry(addr, port, interface) {
            let elsewhere = &mut self.listeners[index as usize].elsewhere;
            if listens {
                *elsewhere |= 1 << core;
            } else {
                *elsewhere &= !(1 << core);
            }
        }
    }

    /// The listener of `port`, where it is the only one and for any address of the family of
    /// `remote`, on any interface: what nearly every service is.
    #[inline(always)]
    pub(crate) fn lookup_only(&self, port: u16, remote: Addr) -> Option<u16> {
        let first = self.buckets[port as usize & (self.buckets.len() - 1)];
        let listener = self.listeners.get(first as usize)?;
        let only = listener.here == Here::EveryInterface
            && listener.port == port
            && listener.addr.is_none_or(|own| own == family(remote))
            && listener.next == NONE;
        only.then_some(first)
    }

    /// Who listens on `port` of our address `addr` of `interface`: the address itself goes before its
    /// family, that before any address, of those alike the one of this interface, and this worker
    /// before others.
    pub(crate) fn lookup(&self, addr: Addr, port: u16, interface: u8) -> Option<Found> {
        let mut best = None;
        let mut elsewhere = 0;
        let mut index = self.buckets[port as usize & (self.buckets.len() - 1)];
        while let Some(listener) = self.listeners.get(index as usize) {
            let nearness = match listener.addr {
                _ if listener.port != port => None,
                _ if listener.interface.is_some_and(|only| only != interface) => None,
                Some(own) if own == addr => Some(Nearness::Address),
                Some(own) if own == family(addr) => Some(Nearness::Family),
                Some(_) => None,
                None => Some(Nearness::Any),
            };
            if let Some(nearness) = nearness {
                let rank = (nearness, listener.interface.is_some());
                if listener.is_here() && best.is_none_or(|(known, _)| known < rank) {
                    best = Some((rank, Found::Here(index, listener.profile)));
                }
                elsewhere |= listener.elsewhere;
            }
            index = listener.next;
        }
        let here = best.map(|(_, found)| found);
        here.or((elsewhere != 0).then_some(Found::Elsewhere(elsewhere)))
    }

    /// Whether anybody, here or elsewhere, listens on `port` of any address.
    pub(crate) fn is_listening(&self, port: u16) -> bool {
        let mut index = self.buckets[port as usize & (self.buckets.len() - 1)];
        while let Some(listener) = self.listeners.get(index as usize) {
            if listener.port == port && (listener.is_here() || listener.elsewhere != 0) {
                return true;
            }
            index = listener.next;
        }
        false
    }

    /// Whether this worker listens with listener `index`; its profile.
    pub(crate) fn profile(&self, index: u16) -> Option<u8> {
        let listener = self.listeners.get(index as usize)?;
        listener.is_here().then_some(listener.profile)
    }

    /// Listeners of this worker.
    pub(crate) fn live(&self) -> u32 {
        self.listeners.iter().filter(|listener| listener.is_here()).count() as u32
    }

    /// The entry of a place, made if there is none.
    fn entry(&mut self, addr: Option<Addr>, port: u16, interface: Option<u8>) -> Option<u16> {
        let bucket = port as usize & (self.buckets.len() - 1);
        let mut index = self.buckets[bucket];
        while let Some(listener) = self.listeners.get(index as usize) {
            if (listener.port, listener.addr, listener.interface) == (port, addr, interface) {
                return Some(index);
            }
            index = listener.next;
        }
        if self.listeners.len() >= self.capacity as usize {
            return None;
        }
        let index = self.listeners.len() as u16;
        let next = self.buckets[bucket];
        self.listeners.push(Listener {
            addr,
            interface,
            port,
            profile: 0,
            here: Here::No,
            next,
            elsewhere: 0,
            untold: 0,
        });
        self.buckets[bucket] = index;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    //! The most specific listener wins, other cores are known only where this one is not one, and
    //! every core hears of every listener.
    use super::*;
    use crate::mail;
    use crate::rfd::Cores;
    use penstock_queue::Checksums;

    #[test]
    fn the_address_goes_before_any_address() {
        let mut listeners = Listeners::new(8, 0, 4);
        let own = Addr::v4(0x0a00_0001);
        let any = listeners.open(None, 80, None, 1).expect("free");
        let one = listeners.open(Some(own), 80, None, 2).expect("free");
        assert_eq!(listeners.open(None, 80, None, 3), Err(ListenError::InUse));
        assert_eq!(listeners.lookup(own, 80, 0), Some(Found::Here(one, 2)));
        assert_eq!(listeners.lookup(Addr::v4(7), 80, 0), Some(Found::Here(any, 1)));
        assert_eq!(listeners.lookup(own, 81, 0), None);
        listeners.close(one);
        assert_eq!(listeners.lookup(own, 80, 0), Some(Found::Here(any, 1)));
    }

    #[test]
    fn a_family_goes_between_an_address_and_any() {
        let (four, six) = (Addr::v4(0x0a00_0001), Addr { hi: 0xfd00 << 48, lo: 1 });
        let mut listeners = Listeners::new(8, 0, 4);
        let every_v4 = listeners.open(Some(Addr::v4(0)), 80, None, 1).expect("free");
        assert_eq!(listeners.lookup(four, 80, 0), Some(Found::Here(every_v4, 1)));
        assert_eq!(listeners.lookup(six, 80, 0), None);
        assert_eq!(listeners.lookup_only(80, four), Some(every_v4));
        assert_eq!(listeners.lookup_only(80, six), None);
        let every_v6 =
            listeners.open(Some(Addr::UNSPECIFIED), 80, None, 2).expect("another family");
        assert_eq!(listeners.lookup(four, 80, 0), Some(Found::Here(every_v4, 1)));
        assert_eq!(listeners.lookup(six, 80, 0), Some(Found::Here(every_v6, 2)));
        assert_eq!(listeners.open(Some(Addr::v4(0)), 80, None, 3), Err(ListenError::InUse));
        let any = listeners.open(None, 80, None, 3).expect("free");
        let one = listeners.open(Some(six), 80, None, 4).expect("free");
        assert_eq!(listeners.lookup(four, 80, 0), Some(Found::Here(every_v4, 1)));
        assert_eq!(listeners.lookup(six, 80, 0), Some(Found::Here(one, 4)));
        listeners.close(every_v6);
        listeners.close(one);
        assert_eq!(listeners.lookup(six, 80, 0), Some(Found::Here(any, 3)));
        listeners.close(any);
        listeners.note(Some(Addr::UNSPECIFIED), 80, None, 3, true);
        assert_eq!(listeners.lookup(six, 80, 0), Some(Found::Elsewhere(1 << 3)));
    }

    #[test]
    fn an_interface_hears_its_own_clients() {
        let own = Addr::v4(0x0a00_0001);
        let mut listeners = Listeners::new(8, 0, 4);
        let front = listeners.open(None, 80, Some(0), 1).expect("free");
        assert_eq!(listeners.open(None, 80, Some(0), 2), Err(ListenError::InUse));
        assert_eq!(listeners.lookup(own, 80, 0), Some(Found::Here(front, 1)));
        assert_eq!(listeners.lookup(own, 80, 1), None, "nobody's");
        assert_eq!(listeners.lookup_only(80, own), None, "it depends on where a client comes in");
        let back = listeners.open(None, 80, Some(1), 2).expect("another interface");
        assert_eq!(listeners.lookup(own, 80, 0), Some(Found::Here(front, 1)));
        assert_eq!(listeners.lookup(own, 80, 1), Some(Found::Here(back, 2)));
        // Of those alike, that of the interface goes first; the address is nearer still.
        let wide = listeners.open(None, 80, None, 3).expect("every interface");
        assert_eq!(listeners.lookup(own, 80, 1), Some(Found::Here(back, 2)));
        assert_eq!(listeners.lookup(own, 80, 2), Some(Found::Here(wide, 3)));
        let one = listeners.open(Some(own), 80, None, 4).expect("an address");
        assert_eq!(listeners.lookup(own, 80, 1), Some(Found::Here(one, 4)));
        listeners.close(one);
        listeners.close(back);
        assert_eq!(listeners.lookup(own, 80, 1), Some(Found::Here(wide, 3)));
        listeners.close(wide);
        listeners.note(None, 80, Some(1), 3, true);
        assert_eq!(listeners.lookup(own, 80, 1), Some(Found::Elsewhere(1 << 3)));
        assert_eq!(listeners.lookup(own, 80, 2), None);
    }

    #[test]
    fn other_cores_are_second() {
        let mut listeners = Listeners::new(8, 0, 4);
        listeners.note(None, 80, None, 3, true);
        assert_eq!(listeners.lookup(Addr::v4(7), 80, 0), Some(Found::Elsewhere(1 << 3)));
        let here = listeners.open(None, 80, None, 0).expect("free");
        assert_eq!(listeners.lookup(Addr::v4(7), 80, 0), Some(Found::Here(here, 0)));
        listeners.close(here);
        listeners.note(None, 80, None, 3, false);
        assert_eq!(listeners.lookup(Addr::v4(7), 80, 0), None);
        assert!(!listeners.is_listening(80));
    }

    #[test]
    fn ports_that_share_a_bucket_do_not_mix() {
        let mut listeners = Listeners::new(2, 0, 1);
        let low = listeners.open(None, 80, None, 0).expect("free");
        let high = listeners.open(None, 80 + 4, None, 0).expect("free");
        assert_eq!(listeners.lookup(Addr::v4(7), 80, 0), Some(Found::Here(low, 0)));
        assert_eq!(listeners.lookup(Addr::v4(7), 84, 0), Some(Found::Here(high, 0)));
        assert_eq!(listeners.open(None, 99, None, 0), Err(ListenError::TooMany));
    }

    #[test]
    fn a_worker_behind_with_its_mail_hears_in_the_end() {
        let cores = Cores::new(3).expect("valid");
        let mut posts = mail::network(cores, 1);
        let [mut own, mut idle, mut busy] = [posts.remove(0), posts.remove(0), posts.remove(0)];
        let frame = vec![0; own.frame_bytes_max()];
        while own.send_frame(2, 0, Checksums::Good, &frame).is_ok() {}
        while own.send(2, &Message::Stop).is_ok() {}
        let mut listeners = Listeners::new(8, 0, 3);
        let index = listeners.open(None, 80, None, 0).expect("free");
        listeners.tell(&mut own);
        assert!(listeners.has_news(), "a ring is full");
        let mut buffer = [0; mail::FRAME_BYTES_MAX];
        let heard = |listens| {
            let (addr, port, interface) = (None, 80, None);
            Some((0, Message::Listening { addr, port, interface, listens }))
        };
        assert_eq!(idle.receive(&mut buffer), heard(true));
        // What it missed meanwhile is of no interest any more.
        listeners.close(index);
        while busy.receive(&mut buffer).is_some() {}
        listeners.tell(&mut own);
        assert_eq!(busy.receive(&mut buffer), heard(false));
        assert_eq!(idle.receive(&mut buffer), heard(false));
        assert!(!listeners.has_news());
        listeners.tell(&mut own);
        assert_eq!(busy.receive(&mut buffer), None);
    }
}
