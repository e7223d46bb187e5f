//! `ip=`: an address, or how to come by one, in Linux's full form or shorter.
//!
//! ```text
//!   ip=10.0.0.2/24                                             one address
//!   ip=fd00::2/64
//!   ip=dhcp                                                    DHCP and router advertisements
//!   ip=auto6                                                   router advertisements alone
//!   ip=off                                                     nothing
//!   ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>:<ntp0>
//!   ip=10.0.0.2::10.0.0.1:255.255.255.0:web1:eth0:off          (Documentation/admin-guide/nfs/nfsroot)
//!   ip=::::web1:eth1:dhcp                                      one device, with a name to tell
//!   ip=10.0.0.2/24::10.0.0.1:::eth1                            the mask with the address
//!   ip=[fd00::2]::[fd00::1]:64:web1:eth0                       IPv6 in brackets, as dracut has it
//! ```
//! It may be given once for each address and each device. Fields left empty, and those at the end left
//! out, mean nothing said. An address beside `dhcp` is the one that is asked for first.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use penstock_wire::Addr;

use crate::machine::{DONE, Outcome};

/// One address of the machine or the way to one, and what was said with it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ip {
    /// The address, and how many bits of it name the network; beside [`Autoconf::Dhcp`] the one to
    /// ask for.
    pub addr: Option<(Addr, u8)>,
    /// What the device finds out by itself.
    pub autoconf: Autoconf,
    /// The next hop to everywhere else.
    pub gateway: Option<Addr>,
    /// The machine's name.
    pub hostname: Option<String>,
    /// Which card: `eth0` is the first one found. `None` is the first too for an address, and every
    /// card that no other `ip=` speaks of for what is automatic.
    pub device: Option<String>,
    /// Name servers.
    pub dns: Vec<Addr>,
    /// A time server.
    pub ntp: Option<Addr>,
}

/// How a device comes by addresses beside those given by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Autoconf {
    /// Not at all.
    #[default]
    Off,
    /// IPv4 from a DHCP server, IPv6 by router advertisements, as Linux does.
    Dhcp,
    /// IPv6 by router advertisements alone.
    Auto6,
}

impl Autoconf {
    fn of(word: &str) -> Result<Autoconf, &'static str> {
        match word {
            "off" | "none" => Ok(Autoconf::Off),
            "dhcp" | "on" | "any" | "both" | "bootp" => Ok(Autoconf::Dhcp),
            "auto6" => Ok(Autoconf::Auto6),
            _ => Err(EXPECTED),
        }
    }
}

/// Adds what `value` says.
pub(crate) fn set(ips: &mut Vec<Ip>, value: &str) -> Outcome {
    ips.push(match (Autoconf::of(value), cidr(value)) {
        (Ok(autoconf), _) => Ip { autoconf, ..Ip::default() },
        (_, Some(addr)) => Ip { addr: Some(addr), ..Ip::default() },
        _ => full(value)?,
    });
    DONE
}

impl Ip {
    /// The address given by hand.
    pub fn fixed(&self) -> Option<(Addr, u8)> {
        self.addr.filter(|_| self.autoconf != Autoconf::Dhcp)
    }

    /// Whether `other` is in its network.
    pub(crate) fn is_on_link(&self, other: Addr) -> bool {
        self.fixed().is_some_and(|(addr, prefix_bits)| addr.shares_prefix(other, prefix_bits))
    }
}

/// An address without a mask: `10.0.0.1`, `fd00::1`, `[fd00::1]`.
pub(crate) fn addr(text: &str) -> Option<Addr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    text_addr(inner.unwrap_or(text))
}

/// An address of a host and the length of its network's prefix.
fn cidr(text: &str) -> Option<(Addr, u8)> {
    let (host, bits) = text.split_once('/')?;
    let addr = addr(host)?;
    Some((addr, prefix_bits(addr, bits)?))
}

fn full(value: &str) -> Result<Ip, &'static str> {
    let fields = fields(value).ok_or(EXPECTED)?;
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let name = |at: usize| Some(field(at)).filter(|name| !name.is_empty()).map(str::to_owned);
    let at = |at: usize| match field(at) {
        "" => Ok(None),
        text => addr(text).map(Some).ok_or(EXPECTED),
    };
    if fields.len() < 2 || fields.len() > FIELDS {
        return Err(EXPECTED);
    }
    let addr = match (field(CLIENT), cidr(field(CLIENT))) {
        ("", _) => None,
        (_, Some(both)) if field(NETMASK).is_empty() => Some(both),
        (_, Some(_)) => return Err(EXPECTED),
        (client, None) => {
            let client = addr(client).ok_or(EXPECTED)?;
            Some((client, netmask(client, field(NETMASK)).ok_or(EXPECTED)?))
        }
    };
    let autoconf = match field(AUTOCONF) {
        // An address needs no more; without one, Linux tries what there is.
        "" if addr.is_some() => Autoconf::Off,
        "" => Autoconf::Dhcp,
        word => Autoconf::of(word)?,
    };
    at(SERVER)?;
    let gateway = at(GATEWAY)?;
    let family = gateway.zip(addr);
    let asked_for = addr.is_some_and(|(addr, _)| addr.is_v4()) || autoconf != Autoconf::Dhcp;
    if family.is_some_and(|(gateway, (addr, _))| gateway.is_v4() != addr.is_v4())
        || addr.is_some() && !asked_for
    {
        return Err(EXPECTED);
    }
    let dns = [at(DNS_0)?, at(DNS_1)?].into_iter().flatten().collect();
    let (hostname, device, ntp) = (name(HOSTNAME), name(DEVICE), at(NTP)?);
    if hostname.as_deref().is_some_and(|name| !is_host_name(name)) {
        return Err(EXPECTED);
    }
    Ok(Ip { addr, autoconf, gateway, hostname, device, dns, ntp })
}

/// Letters, digits, hyphens and dots, at most 63 bytes (RFC 1123 section 2.1).
fn is_host_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    name.len() <= 63 && name.bytes().all(known)
}

/// The parts between colons, those within brackets apart.
fn fields(value: &str) -> Option<Vec<&str>> {
    let mut fields = Vec::new();
    let (mut from, mut inside) = (0, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'[' if !inside => inside = true,
            b']' if inside => inside = false,
            b'[' | b']' => return None,
            b':' if !inside => {
                fields.push(&value[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&value[from..]);
    (!inside).then_some(fields)
}

/// The mask in dots, or as a number of bits; none is that of a host alone.
fn netmask(client: Addr, text: &str) -> Option<u8> {
    let most = if client.is_v4() { 32 } else { 128 };
    if text.is_empty() {
        return Some(most);
    }
    if !text.contains('.') {
        return prefix_bits(client, text);
    }
    let mask = text_addr(text).filter(|mask| mask.is_v4() && client.is_v4())?.v4_number();
    (mask.leading_ones() + mask.trailing_zeros() == 32).then_some(mask.leading_ones() as u8)
}

fn prefix_bits(addr: Addr, text: &str) -> Option<u8> {
    let most = if addr.is_v4() { 32 } else { 128 };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bits = text.parse::<u8>().ok().filter(|_| digits)?;
    (bits > 0 && bits <= most).then_some(bits)
}

/// An address a host may have or be asked by.
fn text_addr(text: &str) -> Option<Addr> {
    // One that carries an IPv4 address inside an IPv6 one would be the same number in two families.
    let ip = text.parse::<IpAddr>().ok()?;
    let is_mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let addr = Addr::from(ip);
    let is_host = !addr.is_group() && !addr.is_unspecified() && !addr.is_loopback();
    (!is_mapped && is_host).then_some(addr)
}

const EXPECTED: &str = "dhcp, auto6, off, an address such as 10.0.0.2/24 or fd00::2/64, or \
     <client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>:<ntp0>, \
     with [IPv6] in brackets";

const CLIENT: usize = 0;
const SERVER: usize = 1;
const GATEWAY: usize = 2;
const NETMASK: usize = 3;
const HOSTNAME: usize = 4;
const DEVICE: usize = 5;
const AUTOCONF: usize = 6;
const DNS_0: usize = 7;
const DNS_1: usize = 8;
const NTP: usize = 9;
const FIELDS: usize = 10;

#[cfg(test)]
mod tests {
    //! Both forms, both families, and every near miss that would become another address.

    use super::*;
    use crate::Boot;
    use std::string::ToString;

    fn good(value: &str) -> Ip {
        let boot = Boot::parse(&alloc::format!("ip={value}"));
        assert_eq!(boot.errors, [], "{value}");
        boot.machine.ips[0].clone()
    }

    fn shown(ip: &Ip) -> String {
        let (addr, prefix_bits) = ip.fixed().expect("an address");
        alloc::format!("{addr}/{prefix_bits}")
    }

    #[test]
    fn in_cidr_notation() {
        for value in ["10.0.0.2/24", "fd00::2/64", "192.0.2.1/32", "fe80::1/10"] {
            assert_eq!(good(value), Ip { addr: cidr(value), ..Ip::default() });
            assert_eq!(shown(&good(value)), value);
        }
        assert_eq!(shown(&good("[fd00::2]/64")), "fd00::2/64");
    }

    #[test]
    fn in_linuxs_full_form() {
        let text = "10.0.0.2::10.0.0.1:255.255.255.0:web1:eth0:off:10.0.0.3:10.0.0.4:10.0.0.5";
        let ip = good(text);
        assert_eq!(shown(&ip), "10.0.0.2/24");
        assert_eq!(ip.gateway.map(|addr| addr.to_string()).as_deref(), Some("10.0.0.1"));
        assert_eq!((ip.hostname.as_deref(), ip.device.as_deref()), (Some("web1"), Some("eth0")));
        assert_eq!(
            (ip.dns.len(), ip.ntp.map(|addr| addr.to_string()).as_deref()),
            (2, Some("10.0.0.5"))
        );
        assert_eq!(shown(&good("10.0.0.2:::8")), "10.0.0.2/8");
        assert_eq!(shown(&good("10.0.0.2::")), "10.0.0.2/32");
        let ip = good("10.0.0.2/16::10.0.0.1:::eth1");
        assert_eq!((shown(&ip).as_str(), ip.device.as_deref()), ("10.0.0.2/16", Some("eth1")));
        let ip = good("[fd00::2]::[fd00::1]:64:web1:eth0:none:[fd00::3]");
        assert_eq!((shown(&ip).as_str(), ip.dns.len()), ("fd00::2/64", 1));
    }

    #[test]
    fn off_and_automatic() {
        for (value, autoconf) in [
            ("off", Autoconf::Off),
            ("none", Autoconf::Off),
            ("dhcp", Autoconf::Dhcp),
            ("on", Autoconf::Dhcp),
            ("any", Autoconf::Dhcp),
            ("auto6", Autoconf::Auto6),
        ] {
            assert_eq!(good(value), Ip { autoconf, ..Ip::default() });
            let ip = good(&alloc::format!("::::web1:eth1:{value}"));
            assert_eq!((ip.autoconf, ip.device.as_deref()), (autoconf, Some("eth1")), "{value}");
            assert_eq!((ip.addr, ip.hostname.as_deref()), (None, Some("web1")));
        }
        assert_eq!(good(":::::eth1").autoconf, Autoconf::Dhcp, "Linux's any");
        let asked = good("10.0.0.7::::::dhcp");
        assert_eq!((asked.fixed(), asked.addr.map(|(_, bits)| bits)), (None, Some(32)));
    }

    #[test]
    fn near_misses() {
        for value in [
            "",
            "10.0.0.2",
            "10.0.0.2/",
            "10.0.0.2/33",
            "10.0.0.2/0",
            "10.0.0.2/+8",
            "10.0.0/24",
            "fd00::2",
            "fd00::2/129",
            "224.0.0.1/4",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "::1/128",
            "::ffff:10.0.0.2/120",
            "10.0.0.2:::255.0.255.0",
            "10.0.0.2::fd00::1:24",
            "10.0.0.2::[fd00::1]:24",
            "[fd00::2",
            "[[fd00::2]]::",
            "10.0.0.2/24:::24",
            "10.0.0.2::::::maybe",
            "rarp",
            "dhcp6",
            "[fd00::7]::::::dhcp",
            "::::not_a_name:eth0:dhcp",
            "1.0.0.1:::8:::off::::",
            "10.0.0.2:x",
        ] {
            let boot = Boot::parse(&alloc::format!("ip={value}"));
            assert_eq!(boot.errors.len(), 1, "{value}: {:?}", boot.machine.ips);
        }
    }
}
