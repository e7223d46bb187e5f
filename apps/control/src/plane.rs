//! An application with the control plane beneath it: what a core's worker calls.
//!
//! Every upcall of the application is handed on as it is; those that a connection's segments cause are
//! not even looked at. So what the control plane costs is what it does, on core 0, in turns of its own.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use core::fmt;

use penstock_stack::{App, Close, ConnId, Cx, Datagram, Endpoint, ListenerId, UdpId};
use penstock_wire::Addr;

use crate::application::{Application, NameId};
use crate::control::Control;
use crate::dns::Addresses;
use crate::journal::{ADDRESSES_PER_NEWS, News};
use crate::limits;
use crate::lines::{Line, Severity};
use crate::plan::Plan;
use crate::syslog::Logger;

/// An application, and on core 0 the control plane beneath it.
pub struct WithControl<A> {
    app: A,
    control: Option<Box<Control>>,
    /// Gateways by interface, of IPv6 and IPv4: one may be told of before its network is.
    gateways: [[Option<Addr>; 2]; limits::INTERFACES_MAX],
    /// Addresses of names, by [`NameId`], as far as they have been told.
    names: Box<[Addresses]>,
    logger: Logger,
    hostname: String,
    tag: String,
}

impl<A: Application> WithControl<A> {
    /// `app` on core `core`. All memory that the control plane will ever use is taken here.
    pub fn new(app: A, core: u16, plan: &Plan) -> WithControl<A> {
        let count = app.names().len();
        let control = (core == 0).then(|| {
            let mut plan = plan.clone();
            plan.dns.splice(..0, app.name_servers().iter().copied());
            let patience = (0..count).map(|name| app.patience(NameId(name as u16)));
            Box::new(Control::new(plan, app.names(), patience))
        });
        let facility = plan.log.as_ref().map_or(0, |log| log.facility);
        WithControl {
            control,
            gateways: [[None; 2]; limits::INTERFACES_MAX],
            names: vec![Addresses::default(); count].into_boxed_slice(),
            logger: Logger::new(facility),
            hostname: plan.hostname.clone(),
            tag: plan.tag.clone(),
            app,
        }
    }

    /// Begins. Once, on every core, before the first turn; the application begins apart.
    pub fn begin(&mut self, cx: &mut Cx<'_>) {
        cx.attend();
        if let Some(control) = &mut self.control {
            control.start(cx);
        }
        self.settle(cx);
    }

    /// The machine is to stop, when whoever is served has left: nothing new is asked. The application
    /// stops apart.
    pub fn retire(&mut self, cx: &mut Cx<'_>) {
        if let Some(control) = &mut self.control {
            control.stop(cx);
        }
        self.settle(cx);
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// The application, to be changed.
    pub fn app_mut(&mut self) -> &mut A {
        &mut self.app
    }

    /// Whether there is a line to be printed.
    #[inline]
    pub fn has_lines(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.lines.is_waiting())
    }

    /// The next line to be printed, which has been logged.
    pub fn take_line(&mut self, cx: &mut Cx<'_>) -> Option<Line> {
        let line = self.control.as_mut()?.lines.take()?;
        self.log(cx, line.severity, format_args!("{}", line.as_str()));
        Some(line)
    }

    /// Sends a line to the machine's syslog server, if there is one.
    pub fn log(&mut self, cx: &mut Cx<'_>, severity: Severity, text: fmt::Arguments<'_>) {
        self.logger.log(cx, severity, (&self.hostname, &self.tag), text);
    }

    /// Checks what is promised of leases and prefixes: for tests.
    pub(crate) fn assert_sound(&self, cx: &Cx<'_>) {
        if let Some(control) = &self.control {
            control.assert_sound(cx);
        }
    }

    /// Whether the time of day is a time server's, and only slewed from now on.
    pub(crate) fn has_stepped(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.is_synchronised())
    }

    /// Hands on what core 0 has found out, and asks to be woken when there is more to do. One copy for all
    /// who end with it.
    #[inline(never)]
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let Some(control) = &mut self.control else { return };
        while let Some((name, addresses, absence)) = control.resolver.take_news() {
            if addresses.as_slice().is_empty() {
                control.tell_missing(name);
            }
            if let Some(place) = self.names.get_mut(name as usize) {
                *place = addresses;
                for (from, part) in parts(&addresses) {
                    let total = addresses.as_slice().len() as u8;
                    control.journal.post(cx, News::Name { name, from, total, addresses: part });
                }
                match addresses.as_slice() {
                    [] => self.app.on_nameless(cx, NameId(name), absence),
                    some => self.app.on_name(cx, NameId(name), some),
                }
            } else {
                let addr = addresses.as_slice().first();
                let server = addr.copied().zip(control.log_port());
                control.journal.post(cx, News::Log { server });
                self.logger.set_server(server.map(|(addr, port)| Endpoint { addr, port }));
            }
        }
        control.journal.tell(cx);
        cx.tend_at(control.next_at(cx.now()));
    }

    /// Core 0 has something to say.
    fn on_news(&mut self, cx: &mut Cx<'_>, news: News) {
        match news {
            News::Address { interface, addr, prefix_bits: Some(bits) } => {
                // It was good on core 0, and this core has the same tables.
                let _ = cx.add_address(interface, addr, bits);
                self.set_gateways(cx, interface);
            }
            News::Address { interface, addr, prefix_bits: None } => {
                cx.remove_address(interface, addr);
            }
            News::Tentative { interface, addr, tentative } => {
                cx.set_tentative(interface, addr, tentative);
            }
            News::Gateway { interface, is_v4, gateway } => {
                if let Some(both) = self.gateways.get_mut(interface as usize) {
                    both[usize::from(is_v4)] = gateway;
                }
                let _ = cx.set_gateway(interface, is_v4, gateway);
            }
            News::Mtu { interface, mtu } => cx.set_mtu(interface, mtu),
            News::Clock(wall) => cx.set_wall(wall),
            News::Log { server } => {
                self.logger.set_server(server.map(|(addr, port)| Endpoint { addr, port }));
            }
            News::Name { name, from, total, addresses } => {
                let Some(known) = self.names.get_mut(name as usize) else { return };
                for (at, addr) in (from..total).zip(addresses) {
                    if let Some(place) = known.list.get_mut(at as usize) {
                        *place = addr;
                    }
                }
                // The parts come in order: the last one makes it whole.
                if from as usize + ADDRESSES_PER_NEWS >= total as usize {
                    known.count = (total as usize).min(limits::ADDRESSES_PER_NAME);
                    let known = *known;
                    self.app.on_name(cx, NameId(name), known.as_slice());
                }
            }
        }
    }

    /// A gateway that was told of before its network was is taken now.
    fn set_gateways(&mut self, cx: &mut Cx<'_>, interface: u8) {
        let Some(both) = self.gateways.get(interface as usize) else { return };
        for (is_v4, gateway) in [false, true].into_iter().zip(both) {
            if gateway.is_some() {
                let _ = cx.set_gateway(interface, is_v4, *gateway);
            }
        }
    }

    fn is_own(&self, conn: ConnId) -> bool {
        self.control.as_ref().is_some_and(|control| control.owns_conn(conn))
    }
}

/// The addresses of a name in parts that fit a message, each with where it begins; one at least.
fn parts(addresses: &Addresses) -> impl Iterator<Item = (u8, [Addr; ADDRESSES_PER_NEWS])> + '_ {
    let all = addresses.as_slice();
    (0..all.len().max(1)).step_by(ADDRESSES_PER_NEWS).map(|from| {
        let mut part = [Addr::UNSPECIFIED; ADDRESSES_PER_NEWS];
        part.iter_mut().zip(&all[from..]).for_each(|(place, addr)| *place = *addr);
        (from as u8, part)
    })
}

impl<A: Application> App for WithControl<A> {
    #[inline]
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        self.app.on_accept(cx, conn, listener);
    }

    #[inline]
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.is_own(conn) {
            if let Some(control) = &mut self.control {
                control.resolver.on_connected(cx, conn);
            }
            return;
        }
        self.app.on_connected(cx, conn);
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if self.is_own(conn) {
            return self.on_closed(cx, conn, reason);
        }
        self.app.on_connect_failed(cx, conn, reason);
    }

    // Our own connection is paused from its first moment: neither data nor a FIN is an upcall.
    #[inline]
    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        self.app.on_data(cx, conn, bytes)
    }

    #[inline]
    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, acked: u32) {
        if !self.is_own(conn) {
            self.app.on_acknowledged(cx, conn, acked);
        }
    }

    #[inline]
    fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.app.on_remote_closing(cx, conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.app.on_remote_closed(cx, conn);
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if !self.is_own(conn) {
            return self.app.on_closed(cx, conn, reason);
        }
        if let Some(control) = &mut self.control {
            control.resolver.on_closed(cx.now());
            control.step(cx);
        }
        self.settle(cx);
    }

    #[inline]
    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.app.on_timer(cx, conn);
    }

    fn on_datagram(&mut self, cx: &mut Cx<'_>, socket: UdpId, datagram: Datagram<'_>) {
        let Some(control) = self.control.as_mut().filter(|control| control.owns(socket)) else {
            return self.app.on_datagram(cx, socket, datagram);
        };
        control.on_datagram(cx, socket, datagram.from, datagram.bytes);
        control.step(cx);
        self.settle(cx);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, interface: u8, frame: &[u8]) {
        if let Some(control) = &mut self.control {
            control.on_frame(cx, interface, frame);
            control.step(cx);
            self.settle(cx);
        }
    }

    fn on_told(&mut self, cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        match News::read(words).filter(|_| from == 0) {
            Some(news) => self.on_news(cx, news),
            None => self.app.on_told(cx, from, words),
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.app.on_wake(cx);
    }

    fn on_tend(&mut self, cx: &mut Cx<'_>) {
        if let Some(control) = &mut self.control {
            control.step(cx);
        }
        self.settle(cx);
    }
}
