//! IPv6 addresses and routers from router advertisements (RFC 4861 section 6.3, RFC 4862), and name
//! servers (RFC 8106), for one interface.
//!
//! Only a router on the link can be heard: a hop limit of 255 proves that nobody has forwarded its
//! message. Everything it says is bounded all the same, and no advertisement shortens the life of an
//! address below two hours, so that a forged one does little harm (RFC 4862 section 5.5.3).

use penstock_stack::{Duration, Instant};
use penstock_wire::icmp::Advertised;
use penstock_wire::{Addr, Mac};

use crate::limits;

/// What is known from routers.
#[derive(Debug)]
pub(crate) struct Routers {
    mac: Mac,
    asked: u8,
    ask_at: Option<Instant>,
    routers: [Option<(Addr, Instant)>; limits::ROUTERS_MAX],
    prefixes: [Option<Prefix>; limits::PREFIXES_MAX],
    dns: [Option<(Addr, Instant)>; limits::SERVERS_MAX],
}

/// An address of ours in an advertised prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) addr: Addr,
    /// The bits of the link, or those of the address alone where its prefix is no link.
    pub(crate) prefix_bits: u8,
    valid_until: Instant,
    pub(crate) is_ours: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ask for routers.
    Solicit,
    /// Look whether the address is another's.
    Check(Addr),
    /// The address is ours no more: its time is over.
    Expired(Addr),
    /// The routers have changed.
    Gateway,
    /// The name servers have.
    Servers,
}

impl Routers {
    pub(crate) fn new(mac: Mac) -> Routers {
        Routers {
            mac,
            asked: 0,
            ask_at: None,
            routers: [None; limits::ROUTERS_MAX],
            prefixes: [None; limits::PREFIXES_MAX],
            dns: [None; limits::SERVERS_MAX],
        }
    }

    /// fe80:: with the station address (RFC 4291 appendix A).
    pub(crate) fn link_local(&self) -> Addr {
        Addr { hi: 0xfe80_0000_0000_0000, lo: self.interface_id() }
    }

    fn interface_id(&self) -> u64 {
        let [a, b, c, d, e, f] = self.mac.0;
        u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The link-local address is ours: routers can be asked.
    pub(crate) fn begin(&mut self, now: Instant) {
        (self.asked, self.ask_at) = (0, Some(now));
    }

    /// The router to go by.
    pub(crate) fn gateway(&self) -> Option<Addr> {
        self.routers.iter().flatten().map(|(addr, _)| *addr).next()
    }

    pub(crate) fn dns(&self) -> impl Iterator<Item = Addr> + '_ {
        self.dns.iter().flatten().map(|(addr, _)| *addr)
    }

    /// The prefix that `addr` was made of.
    pub(crate) fn prefix_of(&mut self, addr: Addr) -> Option<&mut Prefix> {
        self.prefixes.iter_mut().flatten().find(|prefix| prefix.addr == addr)
    }

    /// Whether `addr` is ours to have at `now`.
    pub(crate) fn covers(&self, addr: Addr, now: Instant) -> bool {
        let mut prefixes = self.prefixes.iter().flatten();
        // A millisecond is what a timer takes.
        let holds = |prefix: &Prefix| now.0 <= prefix.valid_until.0.saturating_add(1000);
        addr == self.link_local() || prefixes.any(|prefix| prefix.addr == addr && holds(prefix))
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let routers = self.routers.iter().chain(&self.dns).flatten().map(|(_, until)| *until);
        let prefixes = self.prefixes.iter().flatten().map(|prefix| prefix.valid_until);
        routers.chain(prefixes).chain(self.ask_at).min()
    }

    /// The next thing to be done by `now`; to be called until `None`.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Act> {
        if self.ask_at.is_some_and(|at| at <= now) {
            self.asked += 1;
            let again = self.asked < SOLICITATIONS_MAX;
            self.ask_at = again.then_some(now + SOLICITATION_INTERVAL);
            return Some(Act::Solicit);
        }
        let expired =
            |place: &Option<(Addr, Instant)>| place.is_some_and(|(_, until)| until <= now);
        if self.routers.iter().any(expired) {
            self.routers.iter_mut().filter(|place| expired(place)).for_each(|place| *place = None);
            return Some(Act::Gateway);
        }
        if self.dns.iter().any(expired) {
            self.dns.iter_mut().filter(|place| expired(place)).for_each(|place| *place = None);
            return Some(Act::Servers);
        }
        let old =
            |place: &&mut Option<Prefix>| place.is_some_and(|prefix| prefix.valid_until <= now);
        let prefix = self.prefixes.iter_mut().find(old)?.take()?;
        Some(Act::Expired(prefix.addr))
    }

    /// Takes in an advertisement of `router`: `options` stand behind its fixed part, and their lengths
    /// have been checked. `act` is told what is to be done about it.
    pub(crate) fn on_advertisement(
        &mut self,
        now: Instant,
        router: Addr,
        said: &Advertised,
        options: &[u8],
        mut act: impl FnMut(Act),
    ) {
        self.ask_at = None;
        let gateway = self.gateway();
        let lifetime = said.lifetime_seconds as u32;
        keep(&mut self.routers, router, until(now, lifetime), lifetime > 0);
        if self.gateway() != gateway {
            act(Act::Gateway);
        }
        let before = self.dns.map(|place| place.map(|(addr, _)| addr));
        let mut rest = options;
        // Bounded by the message: each turn moves on by at least eight bytes.
        while let &[kind, eights @ 1..=u8::MAX, ..] = rest {
            let Some((option, next)) = rest.split_at_checked(eights as usize * 8) else { return };
            match kind {
                PREFIX => self.on_prefix(now, option, &mut act),
                DNS => self.on_dns(now, option),
                _ => {}
            }
            rest = next;
        }
        if self.dns.map(|place| place.map(|(addr, _)| addr)) != before {
            act(Act::Servers);
        }
    }

    fn on_prefix(&mut self, now: Instant, option: &[u8], act: &mut impl FnMut(Act)) {
        let Ok(option) = <&[u8; 32]>::try_from(option) else { return };
        let word = |at: usize| {
            u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]])
        };
        let [on_link, autonomous] = [0x80, 0x40].map(|bit| option[3] & bit != 0);
        let (valid, preferred) = (word(4), word(8));
        let hi = (word(16) as u64) << 32 | word(20) as u64;
        let network = Addr { hi, lo: 0 };
        let is_unicast =
            network.hi >> 61 != 0 && !network.is_group() && !network.is_link_local_v6();
        //= rfc4862#5.5.3
        //# If the sum of the prefix length and interface identifier length does not equal 128 bits,
        //# the Prefix Information option MUST be ignored.
        if !autonomous || option[2] != 64 || preferred > valid || !is_unicast {
            return;
        }
        let addr = Addr { hi, lo: self.interface_id() };
        if let Some(prefix) = self.prefix_of(addr) {
            //= rfc4862#5.5.3
            //# If RemainingLifetime is less than or equal to 2 hours, ignore the Prefix Information
            //# option with regards to the valid lifetime, unless the Router Advertisement from which
            //# this option was obtained has been authenticated
            let new = until(now, valid);
            let floor = now + TWO_HOURS;
            if new > prefix.valid_until || new > floor {
                prefix.valid_until = new;
            } else if prefix.valid_until > floor {
                prefix.valid_until = floor;
            }
            return;
        }
        let Some(place) = self.prefixes.iter_mut().find(|place| place.is_none()) else { return };
        if valid == 0 {
            return;
        }
        let prefix_bits = if on_link { 64 } else { 128 };
        *place = Some(Prefix { addr, prefix_bits, valid_until: until(now, valid), is_ours: false });
        act(Act::Check(addr));
    }

    fn on_dns(&mut self, now: Instant, option: &[u8]) {
        let Some((head, servers)) = option.split_first_chunk::<8>() else { return };
        let seconds = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let (servers, _) = servers.as_chunks::<16>();
        for addr in servers.iter().map(|bytes| Addr::v6(*bytes)) {
            if !addr.is_group() && !addr.is_v4() && !addr.is_unspecified() && !addr.is_loopback() {
                keep(&mut self.dns, addr, until(now, seconds), seconds > 0);
            }
        }
    }
}

/// Keeps `addr` in its place until then, or in a free one; or lets it go.
fn keep<const N: usize>(
    list: &mut [Option<(Addr, Instant)>; N],
    addr: Addr,
    until: Instant,
    counts: bool,
) {
    let known = list.iter().position(|place| place.is_some_and(|(known, _)| known == addr));
    match (known, counts) {
        (Some(at), true) => list[at] = Some((addr, until)),
        (Some(at), false) => list[at] = None,
        (None, true) => {
            if let Some(place) = list.iter_mut().find(|place| place.is_none()) {
                *place = Some((addr, until));
            }
        }
        (None, false) => {}
    }
}

fn until(now: Instant, seconds: u32) -> Instant {
    match seconds {
        u32::MAX => Instant(u64::MAX),
        seconds => now + Duration::from_secs(seconds.into()),
    }
}

const TWO_HOURS: Duration = Duration::from_secs(7200);
/// RFC 4861 section 10.
const SOLICITATIONS_MAX: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

// Kinds of option (RFC 4861 section 4.6, RFC 8106 section 5.1).
const PREFIX: u8 = 3;
const DNS: u8 = 25;

#[cfg(test)]
mod tests;
