//! The cards that a configuration names: `interface` of a listener, and of where connections to servers
//! leave from. Which number a card has is known when it is there, after the configuration was read.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use penstock_config::haproxy::{Bind, BindAddress, Frontend, Place, Source};
use penstock_stack::Origin;

use crate::origin::ports_of;
use crate::setup::Setup;

/// A configuration's listeners and servers on the cards of its machine. It lives as long as that, and
/// all cores read it.
#[derive(Debug)]
pub struct Cards {
    /// By listener: the one whose clients it hears; `None` for all.
    pub(crate) doors: Box<[Option<u8>]>,
    /// By server: where connections to it leave from.
    pub(crate) origins: Box<[Origin]>,
}

impl Setup {
    /// Finds the cards that the configuration names; `find` knows the number of each.
    ///
    /// # Errors
    /// A line in HAProxy's words for each listener and `source` whose card is not there. HAProxy only
    /// warns of it, and then listens on all: more than anybody wanted.
    pub fn cards(&self, find: impl Fn(&str) -> Option<u8>) -> Result<&'static Cards, Vec<String>> {
        let is_missing = |name: &&String| find(name).is_none();
        let mut lines = Vec::new();
        for frontend in &self.proxies().frontends {
            for bind in &frontend.binds {
                let Some(card) = bind.interface.as_ref().filter(is_missing) else { continue };
                let what = format_args!("receiver to device '{card}' (No such device)");
                lines.push(self.cannot_bind(frontend, bind, what));
            }
        }
        for (backend, Source { addr, interface, .. }) in self.sources() {
            let Some(card) = interface.as_ref().filter(is_missing) else { continue };
            let name = &backend.name;
            lines.push(format!(
                "backend '{name}' : 'source' {addr} : cannot bind to device '{card}' (No such \
                 device)"
            ));
        }
        if !lines.is_empty() {
            return Err(lines);
        }
        let number = |name: &Option<String>| name.as_ref().and_then(|name| find(name));
        let doors =
            self.doors.iter().map(|door| number(&self.bind(door.frontend, door.bind).interface));
        let origin = |server| match self.source_of(server) {
            Some(source) => Origin {
                addr: Some(source.addr).filter(|addr| !addr.is_unspecified()),
                interface: number(&source.interface),
                ports: ports_of(source),
            },
            None => Origin::default(),
        };
        let origins = (0..self.servers_count()).map(origin).collect();
        Ok(Box::leak(Box::new(Cards { doors: doors.collect(), origins })))
    }

    /// HAProxy's line about a listener that cannot be, for want of `what`.
    pub(crate) fn cannot_bind(
        &self,
        frontend: &Frontend,
        bind: &Bind,
        what: fmt::Arguments<'_>,
    ) -> String {
        let kind = if self.is_listen(frontend) { "proxy" } else { "frontend" };
        let Bind { place: Place { file, line, .. }, at: BindAddress { addr, port }, .. } = bind;
        let name = &frontend.name;
        format!("Binding [{file}:{line}] for {kind} {name}: cannot bind {what} for [{addr}:{port}]")
    }
}
