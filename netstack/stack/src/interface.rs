//! Our interfaces and addresses.
//!
//! The host model is the strong one (RFC 1122 section 3.3.4.2): a packet is ours when its
//! destination is an address of the interface it came in by. So an address names its interface, and
//! one number names both.

use alloc::vec::Vec;
use core::fmt;

use penstock_wire::plain::Sender;
use penstock_wire::{Addr, Mac};

use crate::config::{self, Config};
use crate::hash::AddrId;
use crate::limits;

/// Why a configuration cannot work: one line for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Interfaces and queue pairs differ in number, or there are none, or more than 16.
    Interfaces,
    /// An MTU below 576, or below 1280 with an IPv6 address, or above 9216.
    Mtu(u8, u16),
    /// A station address that is zero or names a group.
    Mac(u8, Mac),
    /// An address that no host may have, or that occurs twice.
    Address(Addr),
    /// A prefix longer than the address.
    Prefix(Addr, u8),
    /// A route to an interface that is not there, or over a gateway of the other family.
    Route(Addr),
    /// More workers than [`rfd::CORES_MAX`](crate::rfd::CORES_MAX), or this worker is none of them.
    Cores(u16),
    /// The ephemeral ports are empty or hold port 0.
    EphemeralPorts(u16, u16),
    /// A receive window outside the bounds of [`crate::RECEIVE_WINDOW_BYTES_MIN`] and `_MAX`.
    ReceiveWindow(u32),
    /// A capacity that is zero or beyond 2^29.
    Capacity,
    /// The card cannot steer the ephemeral ports.
    Steering(crate::rfd::SteeringError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Interfaces => {
                f.write_str("interfaces: expected one queue pair for each of 1 to 16 interfaces")
            }
            ConfigError::Mtu(interface, mtu) => write!(
                f,
                "mtu of interface {interface}: {mtu}, expected 576 to 9216, from 1280 with IPv6"
            ),
            ConfigError::Mac(interface, mac) => {
                write!(f, "mac of interface {interface}: {mac}, expected a station's address")
            }
            ConfigError::Address(addr) => {
                write!(f, "address {addr}: expected a host's address, given once")
            }
            ConfigError::Prefix(addr, bits) => {
                write!(f, "address {addr}/{bits}: expected at most 32 bits (IPv4) or 128 (IPv6)")
            }
            ConfigError::Route(network) => write!(
                f,
                "route to {network}: expected an interface that exists and a gateway on its link"
            ),
            ConfigError::Cores(cores) => write!(f, "cores: {cores}, expected 1 to 128"),
            ConfigError::EphemeralPorts(first, last) => {
                write!(f, "ip_local_port_range: {first}-{last}, expected two ports in order")
            }
            ConfigError::ReceiveWindow(bytes) => write!(
                f,
                "tcp_rmem: {bytes} bytes, expected {} to {}",
                limits::RECEIVE_WINDOW_BYTES_MIN,
                limits::RECEIVE_WINDOW_BYTES_MAX
            ),
            ConfigError::Capacity => f.write_str("capacity: expected numbers from 1 to 2^29"),
            ConfigError::Steering(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigError {}

#[derive(Clone, Debug)]
struct Interface {
    mac: Mac,
    mtu: u16,
    /// Its addresses: `[first, end)` of the list.
    first: u16,
    end: u16,
    own: Own,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    addr: Addr,
    /// The bits of the prefix, the marks of an IPv4 address among them.
    mask: Addr,
    prefix_bits: u8,
    station: Station,
}

/// What frames from one of our addresses say of us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    pub(crate) addr: Addr,
    /// Of no meaning for IPv6.
    pub(crate) sender: Sender,
    pub(crate) mtu: u16,
    pub(crate) interface: u8,
}

/// The addresses of one interface, as every frame is held against them: its station, and what it
/// has above.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) mac: Mac,
    first: u32,
    addresses: Vec<Addr>,
}

impl Own {
    /// Our address `dst`.
    #[inline(always)]
    pub(crate) fn find(&self, dst: Addr) -> Option<AddrId> {
        // The first is what nearly every frame is for.
        if self.addresses.first() == Some(&dst) {
            return Some(AddrId(self.first));
        }
        self.find_other(dst)
    }

    #[inline(never)]
    fn find_other(&self, dst: Addr) -> Option<AddrId> {
        let at = self.addresses.iter().position(|&addr| addr == dst)?;
        Some(AddrId(self.first + at as u32))
    }
}

impl Station {
    /// The MSS option we send from here.
    #[inline]
    pub(crate) fn mss(&self) -> u16 {
        self.mtu - limits::headers_bytes(self.addr)
    }
}

impl Address {
    fn new(addr: Addr, prefix_bits: u8, number: u8, interface: &config::Interface) -> Address {
        let bits = prefix_bits as u32 + if addr.is_v4() { 96 } else { 0 };
        let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
        let mask = Addr { hi: (mask >> 64) as u64, lo: mask as u64 };
        let &config::Interface { mac, mtu, .. } = interface;
        let station = Station { addr, sender: Sender::new(mac, addr), mtu, interface: number };
        Address { addr, mask, prefix_bits, station }
    }

    /// Whether `dst` lies in its network.
    #[inline]
    fn covers(&self, dst: Addr) -> bool {
        (self.addr.hi ^ dst.hi) & self.mask.hi == 0
            && (self.addr.lo ^ dst.lo) & self.mask.lo == 0
            && (self.mask.hi != 0 || self.addr.is_v4() == dst.is_v4())
    }
}

/// Every interface and address of the machine, the same on all its workers.
#[derive(Clone, Debug)]
pub(crate) struct Interfaces {
    interfaces: Vec<Interface>,
    addresses: Vec<Address>,
}

/// More interfaces than any machine we know has ports.
const INTERFACES_MAX: usize = 16;
/// The largest jumbo frame, less its header (9,728 for an 82599; 9,216 is what switches agree on).
const MTU_MAX: u16 = 9_216;

impl Interfaces {
    /// Checks and numbers what the configuration says.
    pub(crate) fn new(config: &Config) -> Result<Interfaces, ConfigError> {
        if config.interfaces.is_empty() || config.interfaces.len() > INTERFACES_MAX {
            return Err(ConfigError::Interfaces);
        }
        let mut interfaces = Vec::with_capacity(config.interfaces.len());
        let mut addresses: Vec<Address> = Vec::new();
        for (number, interface) in (0u8..).zip(&config.interfaces) {
            let has_v6 = interface.addresses.iter().any(|(addr, _)| !addr.is_v4());
            let mtu_min = if has_v6 { 1280 } else { 576 };
            if !(mtu_min..=MTU_MAX).contains(&interface.mtu) {
                return Err(ConfigError::Mtu(number, interface.mtu));
            }
            if interface.mac == Mac::default() || interface.mac.is_group() {
                return Err(ConfigError::Mac(number, interface.mac));
            }
            let first = addresses.len() as u16;
            let mut own = interface.addresses.clone();
            let has_link_local = own.iter().any(|(addr, _)| addr.is_link_local_v6());
            if has_v6 && !has_link_local {
                own.push((link_local(interface.mac), 64));
            }
            for (addr, prefix_bits) in own {
                let bits = if addr.is_v4() { 32 } else { 128 };
                if prefix_bits > bits {
                    return Err(ConfigError::Prefix(addr, prefix_bits));
                }
                let known = addresses.iter().any(|other| {
                    other.addr == addr
                        && (other.station.interface == number || !addr.is_link_local_v6())
                });
                if known || addr.is_group() || addr.is_unspecified() || addr.is_loopback() {
                    return Err(ConfigError::Address(addr));
                }
                addresses.push(Address::new(addr, prefix_bits, number, interface));
            }
            let (mac, mtu) = (interface.mac, interface.mtu);
            let above = addresses[first as usize..].iter().map(|address| address.addr).collect();
            let own = Own { mac, first: first as u32, addresses: above };
            interfaces.push(Interface { mac, mtu, first, end: addresses.len() as u16, own });
        }
        Ok(Interfaces { interfaces, addresses })
    }

    /// Our address `dst` on an interface.
    pub(crate) fn find(&self, interface: u8, dst: Addr) -> Option<AddrId> {
        self.interfaces.get(interface as usize)?.own.find(dst)
    }

    /// What [`find`](Self::find) looks through, for whoever looks more than once.
    #[inline]
    pub(crate) fn own_of(&self, interface: u8) -> Option<&Own> {
        self.interfaces.get(interface as usize).map(|interface| &interface.own)
    }

    /// The addresses of an interface.
    fn own(&self, interface: u8) -> &[Address] {
        let Some(own) = self.interfaces.get(interface as usize) else { return &[] };
        &self.addresses[own.first as usize..own.end as usize]
    }

    /// Whether `addr` is ours on any interface.
    pub(crate) fn is_ours(&self, addr: Addr) -> bool {
        self.addresses.iter().any(|address| address.addr == addr)
    }

    #[inline]
    pub(crate) fn addr(&self, id: AddrId) -> Addr {
        self.addresses.get(id.0 as usize).map_or(Addr::UNSPECIFIED, |address| address.addr)
    }

    #[inline]
    pub(crate) fn interface_of(&self, id: AddrId) -> u8 {
        self.addresses.get(id.0 as usize).map_or(0, |address| address.station.interface)
    }

    /// What frames from an address say of us.
    #[inline]
    pub(crate) fn station(&self, id: AddrId) -> Option<&Station> {
        self.addresses.get(id.0 as usize).map(|address| &address.station)
    }

    #[inline]
    pub(crate) fn mac(&self, interface: u8) -> Mac {
        self.interfaces.get(interface as usize).map_or(Mac::default(), |own| own.mac)
    }

    #[inline]
    pub(crate) fn mtu(&self, interface: u8) -> u16 {
        self.interfaces.get(interface as usize).map_or(576, |own| own.mtu)
    }

    /// A card that cannot gather carries no more than fits in a slot.
    pub(crate) fn limit_mtu(&mut self, interface: u8, mtu: u16) {
        if let Some(own) = self.interfaces.get_mut(interface as usize) {
            own.mtu = own.mtu.min(mtu);
            for address in &mut self.addresses[own.first as usize..own.end as usize] {
                address.station.mtu = own.mtu;
            }
        }
    }

    pub(crate) fn count(&self) -> u8 {
        self.interfaces.len() as u8
    }

    /// Every address of an interface.
    pub(crate) fn addresses(&self, interface: u8) -> impl Iterator<Item = Addr> + '_ {
        self.own(interface).iter().map(|address| address.addr)
    }

    /// Every address of an interface, with the bits of its prefix.
    pub(crate) fn links(&self, interface: u8) -> impl Iterator<Item = (Addr, u8)> + '_ {
        self.own(interface).iter().map(|address| (address.addr, address.prefix_bits))
    }

    /// The addresses that nobody else can have: ours, and the two of each network that stand for all
    /// of it (RFC 1122 section 3.2.1.3; all zeros is 4.2BSD's).
    pub(crate) fn nobodies(&self) -> impl Iterator<Item = Addr> + '_ {
        self.addresses.iter().flat_map(|own| {
            let hosts = if own.addr.is_v4() { host_mask(own.prefix_bits) } else { 0 };
            // A prefix of 31 or 32 bits has no room for them (RFC 3021).
            let is_network = hosts > 1;
            let number = own.addr.v4_number();
            let all = [Addr::v4(number | hosts), Addr::v4(number & !hosts)];
            core::iter::once(own.addr).chain(all.into_iter().filter(move |_| is_network))
        })
    }

    /// Whether nobody else can have `addr`.
    pub(crate) fn is_nobody(&self, addr: Addr) -> bool {
        self.nobodies().any(|nobody| nobody == addr)
    }

    /// The interface on whose link `dst` lies, by the longest prefix of our addresses.
    pub(crate) fn on_link(&self, dst: Addr) -> Option<(u8, u8)> {
        let matching =
            self.addresses.iter().filter(|own| own.covers(dst) && !own.addr.is_link_local_v6());
        matching.map(|own| (own.station.interface, own.prefix_bits)).max_by_key(|&(_, bits)| bits)
    }

    /// Whether `dst` lies on the link of `interface`.
    pub(crate) fn is_on_link(&self, interface: u8, dst: Addr) -> bool {
        self.own(interface).iter().any(|address| address.covers(dst)) || dst.is_link_local_v6()
    }

    /// The address to talk to `dst` from (RFC 6724 section 5, as far as it applies to one
    /// interface): of its family and scope, with the longest common prefix.
    pub(crate) fn source_for(&self, interface: u8, dst: Addr) -> Option<AddrId> {
        let fits = |address: &Address| {
            address.station.interface == interface
                && address.addr.is_v4() == dst.is_v4()
                && address.addr.is_link_local_v6() == dst.is_link_local_v6()
        };
        let numbered = self.addresses.iter().enumerate().filter(|(_, address)| fits(address));
        let best = numbered
            .max_by_key(|(at, address)| (common_bits(address.addr, dst), core::cmp::Reverse(*at)));
        best.map(|(at, _)| AddrId(at as u32))
    }

    /// Whether a packet to `group` on `interface` is for us too: all nodes, the solicited-node
    /// groups of our addresses, the broadcast addresses of our networks.
    pub(crate) fn is_group_member(&self, interface: u8, group: Addr) -> bool {
        if group == Addr::ALL_NODES || group == Addr::v4(u32::MAX) {
            return true;
        }
        self.addresses.iter().filter(|own| own.station.interface == interface).any(|own| {
            if own.addr.is_v4() {
                own.prefix_bits < 31
                    && group == Addr::v4(own.addr.v4_number() | host_mask(own.prefix_bits))
            } else {
                group == own.addr.solicited_node()
            }
        })
    }
}

/// fe80:: with the station address (RFC 4291 appendix A).
fn link_local(mac: Mac) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    let low = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Addr { hi: 0xfe80_0000_0000_0000, lo: low }
}

fn host_mask(prefix_bits: u8) -> u32 {
    u32::MAX.checked_shr(prefix_bits as u32).unwrap_or(0)
}

fn common_bits(one: Addr, other: Addr) -> u32 {
    let high = (one.hi ^ other.hi).leading_zeros();
    if high < 64 { high } else { 64 + (one.lo ^ other.lo).leading_zeros() }
}

#[cfg(test)]
mod tests;
