//! A plan as a person reads it.

use std::fmt;

use penstock_stack::Steering;

use super::{HostKind, HostPlan, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {}: {}", self.seed, self.name)?;
        for (number, host) in self.hosts.iter().enumerate() {
            describe(f, number, host)?;
        }
        for (number, (router, faults)) in self.routers.iter().enumerate() {
            let ports: Vec<String> = router
                .ports
                .iter()
                .map(|port| format!("LAN {} MTU {}", port.lan, port.mtu))
                .collect();
            writeln!(f, "router {number}: {}; cables {faults:?}", ports.join(", "))?;
        }
        if self.is_hub {
            writeln!(f, "every LAN is a hub")?;
        }
        if let Some((lan, every_us)) = self.heckler {
            writeln!(f, "a heckler on LAN {lan}, every {every_us} us or so")?;
        }
        for incident in &self.incidents {
            writeln!(f, "at {:.6} s: {:?}", incident.at_us as f64 / 1e6, incident.what)?;
        }
        for (number, conversation) in self.conversations.iter().enumerate() {
            let crate::ledger::Conversation { at_us, from, to, initiator, acceptor, .. } =
                conversation;
            writeln!(
                f,
                "conversation {number} at {:.6} s, host {} core {} to host {to}: {initiator} / {acceptor}",
                *at_us as f64 / 1e6,
                from.0,
                from.1
            )?;
        }
        writeln!(
            f,
            "{} conversations, {} questions; faults stop at {:.1} s; clean: {}, complete: {}",
            self.conversations.len(),
            self.questions.len(),
            self.faults_end_us as f64 / 1e6,
            self.is_clean,
            self.must_complete
        )
    }
}

fn describe(f: &mut fmt::Formatter<'_>, number: usize, host: &HostPlan) -> fmt::Result {
    let config = &host.config;
    let kind = match host.kind {
        HostKind::Penstock => "",
        HostKind::Smoltcp => " (smoltcp)",
    };
    let HostPlan { listening, .. } = host;
    let ports = config.ephemeral_ports;
    writeln!(
        f,
        "host {number}{kind}: {} cores, {listening} listen, ports {ports:?}",
        config.cores
    )?;
    for (position, interface) in config.interfaces.iter().enumerate() {
        let addresses: Vec<String> =
            interface.addresses.iter().map(|(addr, bits)| format!("{addr}/{bits}")).collect();
        let steering = match interface.steering {
            Steering::FlowDirector(_) => "Flow Director",
            Steering::Rss(_) => "RSS",
            Steering::Unknown => "unknown steering",
        };
        writeln!(
            f,
            "  LAN {}: {}, MTU {}, {steering}",
            host.lans[position],
            addresses.join(" "),
            interface.mtu
        )?;
        writeln!(f, "    {:?}", host.cards[position])?;
        writeln!(f, "    {:?}", host.faults[position])?;
    }
    writeln!(f, "  {:?}", config.capacity)?;
    writeln!(f, "  {:?}", config.tcp)
}
