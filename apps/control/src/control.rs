//! The control plane itself, on core 0: its parts, brought together.
//!
//! ```text
//!   frames ──▶ on_frame ─┬─▶ dhcp ─────┐                    ┌─▶ this core's stack
//!                        ├─▶ slaac ────┼─▶ dad ─▶ ours ─────┤
//!                        └─▶ conflicts ┘         │          └─▶ journal ─▶ the other cores
//!   datagrams ──────────────▶ resolver, sntp ◀───┘ servers
//!   time ──▶ step ──▶ every part does what is due
//! ```
//! Everything runs in upcalls of core 0's worker: a few steps in a turn, never a wait.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::haproxy::Patience;
use penstock_stack::{ConnId, Cx, Duration, Endpoint, Instant, UdpId};
use penstock_wire::{Addr, Mac};

use crate::clock::{Clock, Corrected};
use crate::dad::Checks;
use crate::date::Date;
use crate::dhcp::{self, Client};
use crate::hosts::Hosts;
use crate::journal::{Journal, News};
use crate::limits;
use crate::lines::{Lines, Severity};
use crate::plan::Plan;
use crate::random::Random;
use crate::resolver::{self, Resolver};
use crate::slaac::Routers;
use crate::sntp::{self, Sntp};

/// Addresses of servers, by rank.
type Servers<T> = [Option<T>; limits::SERVERS_MAX];

/// The control plane.
pub(crate) struct Control {
    plan: Plan,
    links: Vec<Link>,
    checks: Checks,
    pub(crate) resolver: Resolver,
    sntp: Sntp,
    clock: Clock,
    random: Random,
    pub(crate) lines: Lines,
    pub(crate) journal: Journal,
    /// Whence the client of DHCP asks for more of its lease.
    dhcp_socket: Option<UdpId>,
    dns: Servers<Endpoint>,
}

/// An interface.
struct Link {
    mac: Mac,
    dhcp: Option<Client>,
    routers: Option<Routers>,
    gateways: [Option<Addr>; 2],
    /// When somebody last claimed an address of ours.
    claimed_at: Option<Instant>,
}

/// A line for people.
macro_rules! say {
    ($control:ident, $severity:ident, $($text:tt)*) => {
        $control.lines.say($crate::lines::Severity::$severity, format_args!($($text)*))
    };
}

mod numbering;

// Entries are never inlined: the image compiles this package for size and what calls it for speed, and a
// function is compiled as its caller is.
impl Control {
    /// The control plane of a machine whose application wants to know `names`.
    #[inline(never)]
    pub(crate) fn new(
        plan: Plan,
        names: &[String],
        patience: impl Iterator<Item = Option<Patience>>,
    ) -> Control {
        let begin = Instant(0);
        let hosts = Hosts::parse(&plan.hosts);
        // The last name is our own: where lines go.
        let mut names = names.to_vec();
        names.extend(plan.log.iter().map(|log| log.host.clone()));
        Control {
            links: Vec::with_capacity(plan.links.len()),
            checks: Checks::default(),
            resolver: Resolver::new(&names, patience, &hosts, begin),
            sntp: Sntp::new(),
            clock: Clock::new(begin, None),
            random: Random::new(&plan.seed),
            lines: Lines::new(),
            journal: Journal::new(names.len()),
            dhcp_socket: None,
            dns: [None; limits::SERVERS_MAX],
            plan,
        }
    }

    /// Begins: says what is known, and asks for the rest.
    #[inline(never)]
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        for at in 0..self.plan.links.len().min(limits::INTERFACES_MAX) {
            let (interface, mac) = (at as u8, cx.mac(at as u8));
            let crate::plan::Link { dhcp, router_advertisements, wanted, .. } = self.plan.links[at];
            let random = &mut self.random;
            let dhcp = dhcp.then(|| Client::new(mac, wanted, now, random));
            let routers = router_advertisements.then(|| Routers::new(mac));
            let link_local = routers.as_ref().map(Routers::link_local);
            self.links.push(Link { mac, dhcp, routers, gateways: [None; 2], claimed_at: None });
            let name = &self.plan.links[at].name;
            let mut has_link_local = false;
            for (addr, prefix_bits) in cx.addresses(interface) {
                has_link_local |= Some(addr) == link_local;
                if !addr.is_link_local_v6() {
                    say!(self, Info, "ip {addr}/{prefix_bits} on {name}");
                }
                if !addr.is_v4() {
                    // Given by hand: used at once, and told of if it is another's.
                    self.checks.begin(interface, addr, now);
                }
            }
            match link_local {
                Some(addr) if !has_link_local => self.check(cx, interface, addr),
                _ => self.begin_routers(interface, now),
            }
        }
        self.start_clock(cx);
        if self.links.iter().any(|link| link.dhcp.is_some()) {
            self.dhcp_socket = cx.udp_bind(None, dhcp::CLIENT_PORT).ok();
        }
        self.refresh_servers(now);
        self.step(cx);
    }

    fn start_clock(&mut self, cx: &mut Cx<'_>) {
        let then = self.plan.clock.map(|(then, _)| then);
        self.clock = Clock::new(cx.now(), then);
        self.set_wall(cx);
        match self.plan.clock {
            Some((then, source)) => say!(self, Info, "clock: {source}, {}", Moment(then)),
            None => say!(self, Notice, "clock: nothing tells the time of day yet"),
        }
    }

    /// The machine is to stop: nobody is asked about names and the time any more.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        self.resolver.stop(cx);
        self.sntp.stop(cx);
    }

    /// Does everything that is due, and says when something is next.
    #[inline(never)]
    pub(crate) fn step(&mut self, cx: &mut Cx<'_>) {
        for at in 0..self.links.len() {
            self.step_dhcp(cx, at);
            self.step_routers(cx, at);
        }
        self.step_checks(cx);
        let told = self.resolver.step(cx, &mut self.random);
        self.tell_resolved(told);
        let told = self.sntp.step(cx, &mut self.random);
        self.tell_time(cx, told);
    }

    /// When something is next to be done.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let links = self.links.iter().flat_map(|link| {
            let dhcp = link.dhcp.as_ref().and_then(Client::next_at);
            [dhcp, link.routers.as_ref().and_then(Routers::next_at)]
        });
        let others = [self.checks.next_at(), self.resolver.next_at(), self.sntp.next_at()];
        let untold = (!self.journal.is_empty()).then(|| now + UNTOLD_PAUSE);
        links.chain(others).chain([untold]).flatten().min()
    }

    pub(crate) fn owns(&self, socket: UdpId) -> bool {
        self.dhcp_socket == Some(socket) || self.resolver.owns(socket) || self.sntp.owns(socket)
    }

    #[inline]
    pub(crate) fn owns_conn(&self, conn: ConnId) -> bool {
        self.resolver.owns_conn(conn)
    }

    /// A datagram for one of our sockets.
    #[inline(never)]
    pub(crate) fn on_datagram(
        &mut self,
        cx: &mut Cx<'_>,
        socket: UdpId,
        from: Endpoint,
        bytes: &[u8],
    ) {
        if self.sntp.owns(socket) {
            let told = self.sntp.on_datagram(cx, from, bytes);
            self.tell_time(cx, told);
        } else {
            let told = self.resolver.on_datagram(cx, socket, from, bytes, &mut self.random);
            self.tell_resolved(told);
        }
    }

    /// Gathers name and time servers: those that were named, those of leases, those of routers.
    fn refresh_servers(&mut self, now: Instant) {
        let leases = || self.links.iter().filter_map(|link| link.dhcp.as_ref()?.lease());
        let leased = leases().flat_map(|lease| lease.dns).flatten();
        let advertised = self.links.iter().filter_map(|link| link.routers.as_ref());
        let told = leased.chain(advertised.flat_map(Routers::dns));
        let told = told.map(|addr| Endpoint { addr, port: resolver::PORT });
        let dns = gather(self.plan.dns.iter().copied().chain(told));
        let ntp =
            self.plan.ntp.iter().copied().chain(leases().flat_map(|lease| lease.ntp).flatten());
        let ntp = gather(ntp);
        if dns != self.dns {
            self.dns = dns;
            say!(self, Info, "dns {}", List(&dns));
        }
        self.resolver.set_servers(dns, now);
        self.sntp.set_servers(ntp, now);
    }

    fn tell_resolved(&mut self, told: resolver::Told) {
        match told {
            resolver::Told::Nothing => {}
            resolver::Told::Silent(name) => {
                let name = self.resolver.text_of(name);
                self.lines.say(Severity::Warning, format_args!("dns: no answer about {name}"));
            }
            resolver::Told::Nobody(name) => {
                let name = self.resolver.text_of(name);
                self.lines.say(
                    Severity::Warning,
                    format_args!("dns: nobody to ask about {name}: no name server is known"),
                );
            }
            resolver::Told::Answering(server) => say!(self, Notice, "dns: {server} answers again"),
        }
    }

    /// A name has no address.
    pub(crate) fn tell_missing(&mut self, name: u16) {
        let name = self.resolver.text_of(name);
        self.lines.say(Severity::Warning, format_args!("dns: {name} has no address"));
    }

    fn tell_time(&mut self, cx: &mut Cx<'_>, told: sntp::Told) {
        let sample = match told {
            sntp::Told::Nothing => return,
            sntp::Told::Silent(server) => {
                say!(self, Warning, "clock: {server} does not answer");
                return;
            }
            sntp::Told::Time(sample) => sample,
        };
        let now = cx.now();
        let offset_us = match self.clock.wall.at(sample.at) {
            Some(then) => sample.then.0 as i64 - then.0 as i64,
            // Nobody knew: what it is now.
            None => (sample.then.0 + (now - sample.at).0) as i64,
        };
        let is_first = !self.clock.is_synchronised();
        let corrected = self.clock.correct(now, offset_us);
        let sntp::Sample { server, stratum, delay_us, .. } = sample;
        let ms = Millis(offset_us);
        match corrected {
            Corrected::Refused => {
                say!(self, Warning, "clock: {server} says {ms} ms off: not believed");
                return;
            }
            Corrected::Stepped => say!(
                self,
                Info,
                "clock: time server {server}, stratum {stratum}, {} us away: set by {ms} ms, {}",
                delay_us,
                Moment(sample.then)
            ),
            Corrected::Slewed if is_first || offset_us.abs() > TOLD_OFFSET_US => say!(
                self,
                Info,
                "clock: time server {server}, stratum {stratum}, {} us away: slewed by {ms} ms",
                delay_us
            ),
            Corrected::Slewed => {}
        }
        self.set_wall(cx);
    }

    fn set_wall(&mut self, cx: &mut Cx<'_>) {
        cx.set_wall(self.clock.wall);
        self.journal.post(cx, News::Clock(self.clock.wall));
    }

    pub(crate) fn is_synchronised(&self) -> bool {
        self.clock.is_synchronised()
    }

    /// Checks that an address that was not given by hand is covered by a lease or a prefix.
    pub(crate) fn assert_sound(&self, cx: &Cx<'_>) {
        for (interface, link) in (0..).zip(&self.links) {
            for (addr, _) in cx.addresses(interface) {
                let leased = link.dhcp.as_ref().and_then(|client| client.lease_at(cx.now()));
                let routers = link.routers.as_ref();
                let covered = leased.is_some_and(|lease| lease.addr == addr)
                    || routers.is_some_and(|routers| routers.covers(addr, cx.now()));
                assert!(
                    covered || (link.dhcp.is_none() && link.routers.is_none()),
                    "{addr} is nobody's"
                );
            }
        }
    }

    /// The name and port of where lines go, as a name of the resolver.
    pub(crate) fn log_port(&self) -> Option<u16> {
        self.plan.log.as_ref().map(|log| log.port)
    }
}

fn gather<T: PartialEq + Copy>(all: impl Iterator<Item = T>) -> Servers<T> {
    let (mut servers, mut count) = ([None; limits::SERVERS_MAX], 0);
    for addr in all {
        if count < servers.len() && !servers.contains(&Some(addr)) {
            servers[count] = Some(addr);
            count += 1;
        }
    }
    servers
}

/// Addresses behind each other, or `none`.
struct List<'a>(&'a Servers<Endpoint>);

impl core::fmt::Display for List<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut separator = "";
        for Endpoint { addr, port } in self.0.iter().flatten() {
            match *port {
                resolver::PORT => write!(f, "{separator}{addr}")?,
                port if addr.is_v4() => write!(f, "{separator}{addr}:{port}")?,
                port => write!(f, "{separator}[{addr}]:{port}")?,
            }
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// A time of day.
struct Moment(Duration);

impl core::fmt::Display for Moment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Date { year, month, day, hour, minute, second, .. } = Date::of(self.0);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Microseconds as milliseconds, with a sign.
struct Millis(i64);

impl core::fmt::Display for Millis {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}.{:03}", self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000)
    }
}

/// Between two tries to tell the other cores.
const UNTOLD_PAUSE: Duration = Duration::from_millis(1);

/// Smaller corrections are nothing to tell of.
const TOLD_OFFSET_US: i64 = 20_000;
