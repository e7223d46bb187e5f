//! Where connections to servers leave from: `source` of a backend or of a server.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::haproxy::{Backend, Server, Source};
use penstock_stack::Cx;
use penstock_stack::rfd::PortRange;
use penstock_wire::Addr;

use crate::setup::Setup;

impl Setup {
    /// The address and the ports that connections to a server leave from; `None`: as the stack
    /// chooses.
    pub(crate) fn origin(&self, server: u16) -> (Option<Addr>, Option<PortRange>) {
        let backend = self.backend(self.backend_of(server));
        let Some(source) = source_of(backend, self.server(server)) else { return (None, None) };
        (Some(source.addr).filter(|addr| !addr.is_unspecified()), ports_of(source))
    }

    /// Tells a core of all ports that connections leave from.
    pub(crate) fn claim_ports(&self, cx: &mut Cx<'_>) {
        self.sources().filter_map(|(_, source)| ports_of(source)).for_each(|it| cx.claim_ports(it));
    }

    /// Whether so many cores can run this configuration.
    ///
    /// # Errors
    /// A line for each `source` whose ports leave a core without one.
    pub fn check(&self, cores: u16) -> Result<(), Vec<String>> {
        // As many in a row hold one at least for each core, whatever the first is.
        let least = cores.next_power_of_two();
        let lines: Vec<String> = self
            .sources()
            .filter_map(|(backend, Source { addr, ports, .. })| {
                let (first, last) = ports.clone()?.into_inner();
                let there = u32::from(last.saturating_sub(first)) + 1;
                (there < u32::from(least)).then(|| {
                    let name = &backend.name;
                    format!(
                        "backend '{name}' : 'source' {addr} ports {first}-{last} : expected {least} \
                         ports or more with {cores} cores, each of which needs its own"
                    )
                })
            })
            .collect();
        if lines.is_empty() { Ok(()) } else { Err(lines) }
    }

    fn sources(&self) -> impl Iterator<Item = (&Backend, &Source)> {
        self.proxies().backends.iter().flat_map(|backend| {
            let sources = backend.servers.iter().filter_map(|server| server.source.as_ref());
            sources.chain(&backend.source).map(move |source| (backend, source))
        })
    }
}

fn source_of<'a>(backend: &'a Backend, server: &'a Server) -> Option<&'a Source> {
    server.source.as_ref().or(backend.source.as_ref())
}

fn ports_of(source: &Source) -> Option<PortRange> {
    let ports = source.ports.as_ref()?;
    PortRange::new(*ports.start(), *ports.end())
}
