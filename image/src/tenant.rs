//! What a core serves: one of the applications, which the boot string names.
//!
//! One type, so that the image holds stack, driver and loop once, and not once for each application. An
//! upcall is still an ordinary call: a comparison finds whose.

use alloc::string::String;
use core::fmt;

use penstock_config::haproxy::Patience;
use penstock_control::{Absence, Application, NameId};
use penstock_proxy::Proxy;
use penstock_server::Server;
use penstock_stack::{App, Close, ConnId, Counters, Cx, Datagram, Endpoint, ListenerId, UdpId};
use penstock_wire::Addr;

/// The application of a core.
#[expect(clippy::large_enum_variant, reason = "there is one on a core")]
pub(crate) enum Tenant {
    Server(Server),
    Proxy(Proxy),
}

/// The same of whichever it is.
macro_rules! of {
    ($tenant:expr, $app:ident => $call:expr) => {
        match $tenant {
            Tenant::Server($app) => $call,
            Tenant::Proxy($app) => $call,
        }
    };
}

impl Tenant {
    /// Begins: listens.
    ///
    /// # Errors
    /// A line for a person.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        of!(self, app => app.start(cx))
    }

    /// Lets nobody new in; who is there may finish.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        of!(self, app => app.stop(cx));
    }

    /// Whether it has done what there is to do about that, whoever is still there.
    pub(crate) fn has_stopped(&self) -> bool {
        match self {
            Tenant::Server(_) => true,
            Tenant::Proxy(proxy) => proxy.has_stopped(),
        }
    }

    /// Whether somebody wants to see it work, each second.
    pub(crate) fn is_watched(&self) -> bool {
        match self {
            Tenant::Server(server) => server.arguments().verbose,
            Tenant::Proxy(_) => false,
        }
    }

    /// What was done so far.
    pub(crate) fn done(&self, counters: &Counters) -> Done {
        match self {
            Tenant::Server(server) => Done::Server(server.statistics(counters)),
            Tenant::Proxy(proxy) => Done::Proxy(proxy.statistics()),
        }
    }

    /// Whether it has a line for the console.
    #[inline]
    pub(crate) fn has_console_line(&self) -> bool {
        matches!(self, Tenant::Proxy(proxy) if proxy.has_line())
    }

    /// The next such line.
    pub(crate) fn console_line(&mut self) -> Option<&[u8]> {
        match self {
            Tenant::Server(_) => None,
            Tenant::Proxy(proxy) => proxy.take_line(),
        }
    }
}

/// What was done, in a line that costs no memory.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Done {
    Server(penstock_server::Statistics),
    Proxy(penstock_proxy::Statistics),
}

impl Done {
    /// What was done since.
    pub(crate) fn since(self, before: Done) -> Done {
        match (self, before) {
            (Done::Server(now), Done::Server(before)) => Done::Server(now.since(&before)),
            (Done::Proxy(now), Done::Proxy(before)) => Done::Proxy(now.since(&before)),
            (now, _) => now,
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Done::Server(statistics) => statistics.fmt(f),
            Done::Proxy(statistics) => statistics.fmt(f),
        }
    }
}

// An upcall that is not handed on would be one that nobody hears.
#[warn(clippy::missing_trait_methods)]
impl App for Tenant {
    #[inline]
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        of!(self, app => app.on_accept(cx, conn, listener));
    }

    #[inline]
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        of!(self, app => app.on_connected(cx, conn));
    }

    #[inline]
    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        of!(self, app => app.on_connect_failed(cx, conn, reason));
    }

    #[inline]
    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        of!(self, app => app.on_data(cx, conn, bytes))
    }

    #[inline]
    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, acked: u32) {
        of!(self, app => app.on_acknowledged(cx, conn, acked));
    }

    #[inline]
    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        of!(self, app => app.on_remote_closed(cx, conn));
    }

    #[inline]
    fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        of!(self, app => app.on_remote_closing(cx, conn));
    }

    #[inline]
    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        of!(self, app => app.on_closed(cx, conn, reason));
    }

    #[inline]
    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        of!(self, app => app.on_timer(cx, conn));
    }

    fn on_told(&mut self, cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        of!(self, app => app.on_told(cx, from, words));
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        of!(self, app => app.on_wake(cx));
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, interface: u8, frame: &[u8]) {
        of!(self, app => app.on_frame(cx, interface, frame));
    }

    fn on_tend(&mut self, cx: &mut Cx<'_>) {
        of!(self, app => app.on_tend(cx));
    }

    fn on_datagram(&mut self, cx: &mut Cx<'_>, socket: UdpId, datagram: Datagram<'_>) {
        of!(self, app => app.on_datagram(cx, socket, datagram));
    }
}

#[warn(clippy::missing_trait_methods)]
impl Application for Tenant {
    fn names(&self) -> &[String] {
        of!(self, app => app.names())
    }

    fn name_servers(&self) -> &[Endpoint] {
        of!(self, app => app.name_servers())
    }

    fn patience(&self, name: NameId) -> Option<Patience> {
        of!(self, app => app.patience(name))
    }

    fn on_nameless(&mut self, cx: &mut Cx<'_>, name: NameId, why: Absence) {
        of!(self, app => app.on_nameless(cx, name, why));
    }

    fn on_name(&mut self, cx: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        of!(self, app => app.on_name(cx, name, addresses));
    }
}
