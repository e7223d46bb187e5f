//! Where connections to servers leave from: `source` of a backend or of a server.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::haproxy::{Backend, Source};
use penstock_stack::Cx;
use penstock_stack::rfd::PortRange;

use crate::setup::Setup;

impl Setup {
    /// What `source` says of a server, or of its backend.
    pub(crate) fn source_of(&self, server: u16) -> Option<&Source> {
        let backend = || self.backend(self.backend_of(server)).source.as_ref();
        self.server(server).source.as_ref().or_else(backend)
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

    /// Every `source`, with its backend.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&Backend, &Source)> {
        self.proxies().backends.iter().flat_map(|backend| {
            let sources = backend.servers.iter().filter_map(|server| server.source.as_ref());
            sources.chain(&backend.source).map(move |source| (backend, source))
        })
    }
}

pub(crate) fn ports_of(source: &Source) -> Option<PortRange> {
    let ports = source.ports.as_ref()?;
    PortRange::new(*ports.start(), *ports.end())
}
