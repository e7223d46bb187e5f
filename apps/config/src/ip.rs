//! `ip=`: an address, in Linux's full form or in CIDR notation.
//!
//! ```text
//!   ip=10.0.0.2/24                                             one address
//!   ip=fd00::2/64
//!   ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>:<ntp0>
//!   ip=10.0.0.2::10.0.0.1:255.255.255.0:web1:eth0:off          (Documentation/admin-guide/nfs/nfsroot)
//!   ip=10.0.0.2/24::10.0.0.1:::eth1                            the mask with the address
//!   ip=[fd00::2]::[fd00::1]:64:web1:eth0                       IPv6 in brackets, as dracut has it
//! ```
//! It may be given once for each address. Fields left empty, and those at the end left out, mean
//! nothing said.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use penstock_wire::Addr;

use crate::machine::{DONE, Outcome};

/// One address of the machine, and what was said with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// The address.
    pub addr: Addr,
    /// How many bits of it name the network.
    pub prefix_bits: u8,
    /// The next hop to everywhere else.
    pub gateway: Option<Addr>,
    /// The machine's name.
    pub hostname: Option<String>,
    /// Which card: `eth0` is the first one found. `None` is the first too.
    pub device: Option<String>,
    /// Name servers.
    pub dns: Vec<Addr>,
    /// A time server.
    pub ntp: Option<Addr>,
}

/// Adds what `value` says.
pub(crate) fn set(ips: &mut Vec<Ip>, value: &str) -> Outcome {
    if matches!(value, "off" | "none") {
        return DONE;
    }
    if AUTOMATIC.contains(&value) {
        return Err(NOT_AUTOMATIC);
    }
    ips.push(match cidr(value) {
        Some((addr, prefix_bits)) => Ip::new(addr, prefix_bits),
        None => full(value)?,
    });
    DONE
}

impl Ip {
    fn new(addr: Addr, prefix_bits: u8) -> Ip {
        let (gateway, hostname, device) = (None, None, None);
        Ip { addr, prefix_bits, gateway, hostname, device, dns: Vec::new(), ntp: None }
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
    if AUTOMATIC.contains(&field(AUTOCONF)) {
        return Err(NOT_AUTOMATIC);
    }
    if fields.len() < 2 || fields.len() > FIELDS || !matches!(field(AUTOCONF), "" | "off" | "none")
    {
        return Err(EXPECTED);
    }
    let (addr, prefix_bits) = match cidr(field(CLIENT)) {
        Some(both) if field(NETMASK).is_empty() => both,
        Some(_) => return Err(EXPECTED),
        None => {
            let client = addr(field(CLIENT)).ok_or(EXPECTED)?;
            (client, netmask(client, field(NETMASK)).ok_or(EXPECTED)?)
        }
    };
    at(SERVER)?;
    let gateway = at(GATEWAY)?;
    if gateway.is_some_and(|gateway| gateway.is_v4() != addr.is_v4()) {
        return Err(EXPECTED);
    }
    let dns = [at(DNS_0)?, at(DNS_1)?].into_iter().flatten().collect();
    let (hostname, device, ntp) = (name(HOSTNAME), name(DEVICE), at(NTP)?);
    Ok(Ip { addr, prefix_bits, gateway, hostname, device, dns, ntp })
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

const EXPECTED: &str = "an address such as 10.0.0.2/24, fd00::2/64, or \
     <client>:<server>:<gateway>:<netmask>:<hostname>:<device>:off, with [IPv6] in brackets";
const NOT_AUTOMATIC: &str =
    "a fixed address such as 10.0.0.2/24: automatic configuration is not supported yet";
const AUTOMATIC: &[&str] = &["dhcp", "on", "any", "both", "bootp", "rarp", "dhcp6", "auto6"];

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
        alloc::format!("{}/{}", ip.addr, ip.prefix_bits)
    }

    #[test]
    fn in_cidr_notation() {
        for value in ["10.0.0.2/24", "fd00::2/64", "192.0.2.1/32", "fe80::1/10"] {
            assert_eq!(good(value), {
                let (addr, bits) = cidr(value).expect("valid");
                Ip::new(addr, bits)
            });
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
        for value in ["off", "none"] {
            assert!(Boot::parse(&alloc::format!("ip={value}")).machine.ips.is_empty());
        }
        for value in ["dhcp", "on", "::::web1:eth0:dhcp", ":::::eth0:dhcp"] {
            let boot = Boot::parse(&alloc::format!("ip={value}"));
            assert_eq!(boot.errors.len(), 1, "{value}");
            assert!(boot.errors[0].to_string().ends_with("not supported yet"), "{value}");
        }
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
            "1.0.0.1:::8:::off::::",
            "10.0.0.2:x",
        ] {
            let boot = Boot::parse(&alloc::format!("ip={value}"));
            assert_eq!(boot.errors.len(), 1, "{value}: {:?}", boot.machine.ips);
        }
    }
}
