//! Linux's loopback as a network that our stack is in.
//!
//! ```text
//!   Linux's processes ── 127.0.0.1 ──┐
//!                                Linux's stack ── 169.254.x.y+1 ══ TAP ══ 169.254.x.y+2 ── our stack
//! ```
//! Linux has two ends: 127.0.0.1, where its processes listen, and a link-local address, which is our
//! gateway. To 127.0.0.1 we connect like to any host behind a gateway, and see it refuse, reset or
//! end as it does (`route_localnet` on both sides). Everything is gone with the TAP.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use penstock_wire::Mac;

/// The link between Linux and this process.
#[derive(Debug)]
pub(crate) struct Link {
    /// The TAP's name.
    pub(crate) name: String,
    /// Linux's end.
    linux: Ipv4Addr,
    /// Ours.
    pub(crate) own: Ipv4Addr,
}

impl Link {
    /// One that no other process of this machine uses.
    pub(crate) fn of_process(pid: u32) -> Link {
        let network = FIRST + pid % LINKS * 4;
        let (linux, own) = (Ipv4Addr::from_bits(network + 1), Ipv4Addr::from_bits(network + 2));
        Link { name: format!("pst{pid}"), linux, own }
    }

    /// The boot string of a stack at our end.
    pub(crate) fn boot_string(&self) -> String {
        let Link { linux, own, .. } = self;
        format!("ip={own}/30 gateway={linux} sysctl.net.ipv4.conf.all.route_localnet=1")
    }

    /// Sets up Linux's end of the TAP, which is there. `station` is ours.
    ///
    /// # Errors
    /// What is missing, for a person.
    pub(crate) fn join(&self, station: Mac) -> Result<(), String> {
        let Link { name, linux, own } = self;
        for (knob, value) in [("route_localnet", "1"), ("rp_filter", "0")] {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/{knob}");
            fs::write(&path, value).map_err(|error| format!("{path}: {error}"))?;
        }
        // Nobody needs to be asked, or to answer, before the first connection; and the windows of many
        // at once find room while this process has other things to do.
        ip(&format!(
            "address add {linux}/30 dev {name}\n\
             neighbour replace {own} lladdr {station} dev {name} nud permanent\n\
             link set dev {name} txqueuelen {QUEUE_FRAMES}\n"
        ))
    }
}

/// Has `ip` carry out some lines.
fn ip(lines: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("ip: {error}; install it: apt-get install iproute2");
    let mut command = Command::new("ip");
    let mut child = command.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().map_err(told)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes()).map_err(told)?;
    }
    match child.wait().map_err(told)?.success() {
        true => Ok(()),
        false => Err(format!("ip refused: {lines}")),
    }
}

/// 169.254.1.0, and how many networks of four addresses there are up to 169.254.254.255.
const FIRST: u32 = 0xa9fe_0100;
const LINKS: u32 = 254 * 64;

/// Frames that Linux keeps for us in each queue of the TAP. Of its 1,000, thirty connections at full
/// speed lose some all the time, and nobody is told.
const QUEUE_FRAMES: u32 = 10_000;

#[cfg(test)]
mod tests {
    //! The two ends are in one network, of the addresses that RFC 3927 gives to hosts.

    use super::*;

    #[test]
    fn ends() {
        for pid in [0, 1, LINKS - 1, LINKS, u32::MAX] {
            let Link { linux, own, name } = Link::of_process(pid);
            assert_eq!(linux.to_bits() + 1, own.to_bits());
            assert_eq!(linux.to_bits() & !3, own.to_bits() & !3);
            assert!(linux.is_link_local() && !matches!(own.octets()[2], 0 | 255), "{own}");
            assert!(name.len() < 16, "{name}: the kernel takes 15 bytes");
        }
        let boot = penstock_config::Boot::parse(&Link::of_process(7).boot_string());
        assert_eq!(boot.errors, []);
    }
}
