//! The client of DHCP (RFC 2131), one for each interface that has one.
//!
//! ```text
//!             DISCOVER            offer            ACK                 free
//!   [Selecting] ─────▶ (waits) ────────▶ [Requesting] ──▶ [Checking] ──────▶ [Bound]
//!       ▲  ▲                                  │ NAK           │ another's      │ T1
//!       │  └──────────────────────────────────┴── DECLINE, 10 s ┘              ▼
//!       └──────────── NAK, or the lease is over ◀── [Rebinding] ◀── T2 ── [Renewing]
//! ```
//! Numbers and messages only: whoever calls sends, looks for duplicates, and changes addresses. A
//! message counts when it answers our transaction, names our station, and comes from a server's port;
//! one that says nonsense (no mask, a lease of nothing, an address that no host can have) is as good as
//! lost. smoltcp reads and writes the format.

use penstock_stack::{Duration, Instant};
use penstock_wire::{Addr, Mac};
use smoltcp::wire::{
    DhcpMessageType as Kind, DhcpOption, DhcpPacket, EthernetAddress, Ipv4Address,
};

use crate::limits;
use crate::random::Random;

/// Where servers listen, and clients.
pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;

/// What a server has said that we may be and should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) addr: Addr,
    pub(crate) prefix_bits: u8,
    pub(crate) server: Addr,
    pub(crate) router: Option<Addr>,
    pub(crate) dns: [Option<Addr>; limits::SERVERS_MAX],
    pub(crate) ntp: [Option<Addr>; limits::SERVERS_MAX],
    pub(crate) mtu: Option<u16>,
    /// For how long, and when to ask for more: the server itself, then any.
    pub(crate) seconds: u32,
    renew_seconds: u32,
    rebind_seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting(Lease),
    Checking(Lease),
    Bound(Lease),
    Renewing(Lease),
    Rebinding(Lease),
}

/// The client of one interface.
#[derive(Debug)]
pub(crate) struct Client {
    mac: Mac,
    /// The address to ask for first.
    wanted: Option<Addr>,
    state: State,
    transaction: u32,
    began_at: Instant,
    /// When the first request of this transaction left: a lease counts from there, because which of
    /// them was answered cannot be told.
    asked_at: Instant,
    tries: u32,
    next_at: Instant,
    renew_at: Instant,
    rebind_at: Instant,
    expire_at: Instant,
}

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Send this message to everybody.
    Broadcast(Kind),
    /// Send this message to the server, from the leased address.
    Unicast(Kind, Addr, Addr),
    /// Nobody has renewed it: the address is not ours any more.
    Expired(Addr),
    /// The server is silent, or so it seems: a line for people.
    Silent(Silence),
}

/// Who is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nobody offers an address.
    NoOffer,
    /// The server of the lease does not answer: any other is asked.
    NotRenewed {
        /// The address.
        addr: Addr,
        /// The server.
        server: Addr,
    },
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing that counts.
    Nothing,
    /// The address may be ours: it is to be looked at for duplicates.
    Granted(Lease),
    /// The lease goes on, with what is new in it.
    Renewed(Lease),
    /// A server refuses; the lease that we had is over.
    Refused(Option<Lease>),
}

impl Client {
    pub(crate) fn new(mac: Mac, wanted: Option<Addr>, now: Instant, random: &mut Random) -> Client {
        let mut client = Client {
            mac,
            wanted: wanted.filter(|addr| addr.is_v4()),
            state: State::Selecting,
            transaction: 0,
            began_at: now,
            asked_at: now,
            tries: 0,
            next_at: now,
            renew_at: now,
            rebind_at: now,
            expire_at: now,
        };
        client.begin(now, Duration(0), random);
        client
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        (!matches!(self.state, State::Checking(_))).then_some(self.next_at)
    }

    /// The lease, if it is in force.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease) => Some(lease),
            State::Selecting | State::Requesting(_) | State::Checking(_) => None,
        }
    }

    /// The lease, if it still runs at `now`.
    pub(crate) fn lease_at(&self, now: Instant) -> Option<Lease> {
        // A millisecond is what a timer takes.
        self.lease().filter(|_| now.0 <= self.expire_at.0.saturating_add(1000))
    }

    /// The next thing to be done by `now`; to be called until `None`.
    pub(crate) fn poll(&mut self, now: Instant, random: &mut Random) -> Option<Act> {
        if self.next_at > now {
            return None;
        }
        match self.state {
            State::Checking(_) => None,
            State::Selecting => {
                self.tries += 1;
                self.transaction = random.draw() as u32;
                self.wait(now, random);
                let silent = self.tries == TRIES_UNTIL_TOLD;
                // The line instead of one message, which is repeated anyway.
                if silent {
                    Some(Act::Silent(Silence::NoOffer))
                } else {
                    Some(Act::Broadcast(Kind::Discover))
                }
            }
            State::Requesting(_) if self.tries >= REQUESTS_MAX => {
                self.begin(now, Duration(0), random);
                self.poll(now, random)
            }
            State::Requesting(_) => {
                if self.tries == 0 {
                    self.asked_at = now;
                }
                self.tries += 1;
                self.wait(now, random);
                Some(Act::Broadcast(Kind::Request))
            }
            State::Bound(lease) => {
                self.state = State::Renewing(lease);
                self.transaction = random.draw() as u32;
                self.asked_at = now;
                self.wait_until(now, self.rebind_at, lease);
                Some(Act::Unicast(Kind::Request, lease.server, lease.addr))
            }
            State::Renewing(lease) if now >= self.rebind_at => {
                self.state = State::Rebinding(lease);
                self.next_at = now;
                let Lease { addr, server, .. } = lease;
                Some(Act::Silent(Silence::NotRenewed { addr, server }))
            }
            State::Renewing(lease) => {
                self.wait_until(now, self.rebind_at, lease);
                Some(Act::Unicast(Kind::Request, lease.server, lease.addr))
            }
            State::Rebinding(lease) if now >= self.expire_at => {
                self.wanted = Some(lease.addr);
                self.begin(now, Duration(0), random);
                Some(Act::Expired(lease.addr))
            }
            State::Rebinding(lease) => {
                self.wait_until(now, self.expire_at, lease);
                Some(Act::Broadcast(Kind::Request))
            }
        }
    }

    /// Takes in what a server's port sent.
    pub(crate) fn on_message(&mut self, now: Instant, bytes: &[u8], random: &mut Random) -> Heard {
        let Some(message) = Message::read(bytes) else { return Heard::Nothing };
        if message.transaction != self.transaction || message.mac != self.mac {
            return Heard::Nothing;
        }
        match (self.state, message.kind) {
            (State::Selecting, Kind::Offer) => {
                let Some(lease) = message.lease else { return Heard::Nothing };
                self.state = State::Requesting(lease);
                (self.tries, self.next_at) = (0, now);
                Heard::Nothing
            }
            (State::Requesting(offer), Kind::Ack) => match message.lease {
                // Another address than the one that was offered is nobody's promise.
                Some(lease) if lease.addr == offer.addr && lease.server == offer.server => {
                    self.state = State::Checking(lease);
                    Heard::Granted(lease)
                }
                _ => Heard::Nothing,
            },
            (State::Requesting(offer), Kind::Nak) if message.server == Some(offer.server) => {
                self.begin(now, NAK_PAUSE, random);
                Heard::Refused(None)
            }
            (State::Renewing(old) | State::Rebinding(old), Kind::Ack) => match message.lease {
                Some(lease) if lease.addr == old.addr => {
                    self.bind(lease);
                    Heard::Renewed(lease)
                }
                _ => Heard::Nothing,
            },
            // Who is asked by one server alone is refused by that one alone.
            (State::Renewing(old), Kind::Nak) if message.server == Some(old.server) => {
                self.wanted = None;
                self.begin(now, NAK_PAUSE, random);
                Heard::Refused(Some(old))
            }
            (State::Rebinding(old), Kind::Nak) => {
                self.wanted = None;
                self.begin(now, NAK_PAUSE, random);
                Heard::Refused(Some(old))
            }
            _ => Heard::Nothing,
        }
    }

    /// Nobody else has the address that was granted: it is ours.
    pub(crate) fn accept(&mut self) -> Option<Lease> {
        let State::Checking(lease) = self.state else { return None };
        self.bind(lease);
        Some(lease)
    }

    /// Somebody else has it: the server is told, and asked for another after a while.
    //= rfc2131#3.1
    //# The client SHOULD wait a minimum of ten seconds before restarting the configuration process
    //# to avoid excessive network traffic in case of looping.
    pub(crate) fn decline(&mut self, now: Instant, random: &mut Random) -> Option<(Lease, Act)> {
        let lease = match self.state {
            State::Checking(lease) => lease,
            _ => self.lease()?,
        };
        self.wanted = None;
        self.begin(now, Duration::from_secs(10), random);
        self.transaction = random.draw() as u32;
        Some((lease, Act::Broadcast(Kind::Decline)))
    }

    /// Writes a message that [`poll`](Self::poll) or [`decline`](Self::decline) asked for; `lease` is
    /// the one declined.
    pub(crate) fn write(
        &self,
        kind: Kind,
        now: Instant,
        hostname: &str,
        declined: Option<Lease>,
    ) -> [u8; MESSAGE_BYTES] {
        let mut bytes = [0; MESSAGE_BYTES];
        let mut packet = DhcpPacket::new_unchecked(&mut bytes[..]);
        packet.set_opcode(smoltcp::wire::DhcpOpCode::Request);
        packet.set_hardware_type(smoltcp::wire::ArpHardware::Ethernet);
        packet.set_hardware_len(6);
        packet.set_transaction_id(self.transaction);
        packet.set_client_hardware_address(EthernetAddress(self.mac.0));
        packet.set_secs((now.0.saturating_sub(self.began_at.0) / 1_000_000).min(0xffff) as u16);
        packet.set_magic_number(MAGIC);
        if let Some(lease) = self.lease() {
            packet.set_client_ip(Ipv4Address::from_bits(lease.addr.v4_number()));
        }
        let (asked, server) = match (self.state, declined) {
            (_, Some(lease)) => (Some(lease.addr), Some(lease.server)),
            (State::Requesting(offer), None) => (Some(offer.addr), Some(offer.server)),
            (State::Selecting, None) => (self.wanted, None),
            _ => (None, None),
        };
        // The room is that of all of them together: nothing fails.
        let mut options = packet.options_mut();
        let mut put = |kind, data: &[u8]| {
            let _ = options.emit(DhcpOption { kind, data });
        };
        put(MESSAGE_TYPE, &[kind.into()]);
        let [a, b, c, d, e, f] = self.mac.0;
        put(CLIENT_IDENTIFIER, &[1, a, b, c, d, e, f]);
        if let Some(addr) = asked {
            put(REQUESTED_ADDRESS, &addr.v4_number().to_be_bytes());
        }
        if let Some(addr) = server {
            put(SERVER_IDENTIFIER, &addr.v4_number().to_be_bytes());
        }
        if kind != Kind::Decline {
            put(PARAMETERS, &[MASK, ROUTER, DNS, MTU, NTP, LEASE_TIME, RENEW_TIME, REBIND_TIME]);
            put(MAX_SIZE, &1500_u16.to_be_bytes());
            if !hostname.is_empty() {
                put(HOSTNAME, &hostname.as_bytes()[..hostname.len().min(63)]);
            }
        }
        let _ = options.end();
        bytes
    }

    fn begin(&mut self, now: Instant, pause: Duration, random: &mut Random) {
        self.state = State::Selecting;
        self.tries = 0;
        self.began_at = now;
        self.transaction = random.draw() as u32;
        self.next_at = now + pause;
    }

    fn bind(&mut self, lease: Lease) {
        self.state = State::Bound(lease);
        let after = |seconds: u32| self.asked_at + Duration::from_secs(seconds.into());
        self.renew_at = after(lease.renew_seconds);
        self.rebind_at = after(lease.rebind_seconds);
        self.expire_at = match lease.seconds {
            u32::MAX => Instant(u64::MAX),
            seconds => after(seconds),
        };
        if lease.seconds == u32::MAX {
            (self.renew_at, self.rebind_at) = (self.expire_at, self.expire_at);
        }
        self.next_at = self.renew_at;
    }

    /// Twice as long each time, give or take a little: from a second, where RFC 2131 section 4.1 has
    /// four for a network of 10 Mb/s, to 64.
    fn wait(&mut self, now: Instant, random: &mut Random) {
        let seconds = 1 << self.tries.saturating_sub(1).min(6);
        let spread = random.below(500_000);
        self.next_at = now + Duration(seconds * 1_000_000 - 250_000 + spread);
    }

    /// Half of what is left until then; not oftener than once a minute, or eight times in a lease.
    //= rfc2131#4.4.5
    //# In both RENEWING and REBINDING states, if the client receives no response to its DHCPREQUEST
    //# message, the client SHOULD wait one-half of the remaining time until T2 (in RENEWING state)
    //# and one-half of the remaining lease time (in REBINDING state), down to a minimum of 60
    //# seconds, before retransmitting the DHCPREQUEST message.
    fn wait_until(&mut self, now: Instant, end: Instant, lease: Lease) {
        let half = end.0.saturating_sub(now.0) / 2;
        let least = (lease.seconds as u64 * 1_000_000 / 8).clamp(500_000, 60_000_000);
        self.next_at = Instant(now.0.saturating_add(half.max(least)).min(end.0.max(now.0 + 1)));
    }
}

/// A message of a server, as far as it counts.
struct Message {
    kind: Kind,
    transaction: u32,
    mac: Mac,
    server: Option<Addr>,
    lease: Option<Lease>,
}

impl Message {
    fn read(bytes: &[u8]) -> Option<Message> {
        let packet = DhcpPacket::new_checked(bytes).ok()?;
        if packet.opcode() != smoltcp::wire::DhcpOpCode::Reply || packet.magic_number() != MAGIC {
            return None;
        }
        if packet.hardware_len() != 6 {
            return None;
        }
        let mut kind = None;
        let (mut server, mut mask, mut router, mut mtu) = (None, None, None, None);
        let (mut seconds, mut renew, mut rebind) = (None, None, None);
        let (mut dns, mut ntp) = ([None; limits::SERVERS_MAX], [None; limits::SERVERS_MAX]);
        for option in packet.options() {
            let data = option.data;
            let number = data.first_chunk().map(|word| u32::from_be_bytes(*word));
            let addr = number.map(Addr::v4).filter(is_host);
            match option.kind {
                MESSAGE_TYPE => kind = data.first().map(|&kind| Kind::from(kind)),
                SERVER_IDENTIFIER => server = addr,
                MASK => {
                    mask = number.filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32)
                }
                ROUTER => router = addr,
                DNS => dns = servers(data),
                NTP => ntp = servers(data),
                MTU => mtu = data.first_chunk().map(|half| u16::from_be_bytes(*half)),
                LEASE_TIME => seconds = number,
                RENEW_TIME => renew = number,
                REBIND_TIME => rebind = number,
                _ => {}
            }
        }
        let yours = packet.your_ip().to_bits();
        let lease = || {
            let (addr, mask, server) = (Addr::v4(yours), mask?, server?);
            let seconds = seconds.filter(|&seconds| seconds > 0)?;
            let prefix_bits = mask.leading_ones() as u8;
            let hosts = !mask;
            // Neither all of a network nor its broadcast address is a host's.
            let is_taken = hosts > 1 && (yours & hosts == 0 || yours & hosts == hosts);
            if !is_host(&addr) || prefix_bits == 0 || is_taken {
                return None;
            }
            //= rfc2131#4.4.5
            //# T1 defaults to (0.5 * duration_of_lease).  T2 defaults to (0.875 *
            //# duration_of_lease).
            let rebind_default = (seconds as u64 * 7 / 8) as u32;
            let rebind_seconds =
                rebind.filter(|&at| at > 0 && at < seconds).unwrap_or(rebind_default);
            let renew_default = (seconds / 2).min(rebind_seconds);
            let renew_seconds =
                renew.filter(|&at| at > 0 && at <= rebind_seconds).unwrap_or(renew_default);
            // A router beyond the link would be no use.
            let on_link =
                |router: &Addr| (router.v4_number() ^ yours) & mask == 0 && *router != addr;
            let router = router.filter(on_link);
            let mtu = mtu.filter(|mtu| *mtu >= MTU_MIN);
            Some(Lease {
                addr,
                prefix_bits,
                server,
                router,
                dns,
                ntp,
                mtu,
                seconds,
                renew_seconds,
                rebind_seconds,
            })
        };
        let mac = Mac(packet.client_hardware_address().0);
        Some(Message {
            kind: kind?,
            transaction: packet.transaction_id(),
            mac,
            server,
            lease: lease(),
        })
    }
}

fn servers(data: &[u8]) -> [Option<Addr>; limits::SERVERS_MAX] {
    let mut list = [None; limits::SERVERS_MAX];
    let (words, _) = data.as_chunks::<4>();
    let all = words.iter().map(|word| Addr::v4(u32::from_be_bytes(*word))).filter(is_host);
    list.iter_mut().zip(all).for_each(|(place, addr)| *place = Some(addr));
    list
}

fn is_host(addr: &Addr) -> bool {
    let first = addr.v4_number() >> 24;
    first != 0 && first != 127 && first < 224
}

/// Bytes of every message: what BOOTP has at least, and room for all options.
pub(crate) const MESSAGE_BYTES: usize = 400;

const MAGIC: u32 = 0x6382_5363;

/// Lines are not repeated: one when nobody has answered for about half a minute.
const TRIES_UNTIL_TOLD: u32 = 5;
const REQUESTS_MAX: u32 = 4;
const NAK_PAUSE: Duration = Duration::from_secs(1);

/// A link that carries less is no link for IPv6, and a server that says so is not believed.
const MTU_MIN: u16 = 1280;

// Options (RFC 2132).
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const HOSTNAME: u8 = 12;
const MTU: u8 = 26;
const NTP: u8 = 42;
const REQUESTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const PARAMETERS: u8 = 55;
const MAX_SIZE: u8 = 57;
const RENEW_TIME: u8 = 58;
const REBIND_TIME: u8 = 59;
const CLIENT_IDENTIFIER: u8 = 61;

#[cfg(test)]
mod tests;
