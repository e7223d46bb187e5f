//! Our interfaces and addresses.
//!
//! The host model is the strong one (RFC 1122 section 3.3.4.2): a packet is ours when its
//! destination is an address of the interface it came in by. So an address names its interface, and
//! one number names both.
//!
//! Addresses come and go while the worker runs. One that goes keeps its number for as long as any
//! other is free, because records of its connections name it until they are swept; whoever still
//! sends from it sends what it always said.

use alloc::vec::Vec;
use core::fmt;

use penstock_wire::plain::Sender;
use penstock_wire::{Addr, Mac};

use crate::config::Config;
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
    /// More addresses than a worker keeps.
    Addresses,
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
            ConfigError::Addresses => {
                write!(f, "addresses: expected at most {} that come and go", limits::ADDRESSES_MAX)
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

#[derive(Debug)]
struct Interface {
    mtu: u16,
    /// The largest packet that the card and we can carry.
    mtu_max: u16,
    own: Own,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    addr: Addr,
    /// When it went: a count of those that have; 0 while it is ours.
    lost: u32,
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
    /// The MSS option we send from here: the interface's MTU without the headers.
    pub(crate) mss: u16,
    pub(crate) interface: u8,
    /// It speaks IPv4, and so does every peer of one of its connections.
    pub(crate) is_v4: bool,
}

/// The addresses of one interface, as every frame is held against them: its station, and what it
/// has above.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) mac: Mac,
    /// What nearly every frame is for.
    first: Option<(Addr, AddrId)>,
    others: Vec<(Addr, AddrId)>,
}

impl Own {
    /// Our address `dst`.
    #[inline(always)]
    pub(crate) fn find(&self, dst: Addr) -> Option<AddrId> {
        match self.first {
            Some((first, id)) if first == dst => Some(id),
            _ => self.find_other(dst),
        }
    }

    #[inline(never)]
    fn find_other(&self, dst: Addr) -> Option<AddrId> {
        self.others.iter().find(|(addr, _)| *addr == dst).map(|&(_, id)| id)
    }

    fn add(&mut self, addr: Addr, id: AddrId) {
        match self.first {
            None => self.first = Some((addr, id)),
            Some(_) => self.others.push((addr, id)),
        }
    }

    fn remove(&mut self, addr: Addr) {
        self.others.retain(|(other, _)| *other != addr);
        if self.first.is_some_and(|(first, _)| first == addr) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        }
    }
}

impl Address {
    fn new(addr: Addr, prefix_bits: u8, number: u8, interface: &Interface) -> Address {
        let bits = prefix_bits as u32 + if addr.is_v4() { 96 } else { 0 };
        let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
        let mask = Addr { hi: (mask >> 64) as u64, lo: mask as u64 };
        let (mac, mtu) = (interface.own.mac, interface.mtu);
        let (sender, is_v4) = (Sender::new(mac, addr), addr.is_v4());
        let mss = mtu - limits::headers_bytes(addr);
        let station = Station { addr, sender, mss, interface: number, is_v4 };
        Address { addr, lost: 0, mask, prefix_bits, station }
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
#[derive(Debug)]
pub(crate) struct Interfaces {
    interfaces: Vec<Interface>,
    /// By [`AddrId`], those that went included.
    addresses: Vec<Address>,
    /// How many have gone.
    lost: u32,
}

/// More interfaces than any machine we know has ports.
const INTERFACES_MAX: usize = 16;
/// The largest jumbo frame, less its header (9,728 for an 82599; 9,216 is what switches agree on).
const MTU_MAX: u16 = 9_216;

impl Interfaces {
    /// Checks and numbers what the configuration says. Memory for all that may come is taken here.
    pub(crate) fn new(config: &Config) -> Result<Interfaces, ConfigError> {
        if config.interfaces.is_empty() || config.interfaces.len() > INTERFACES_MAX {
            return Err(ConfigError::Interfaces);
        }
        let room = limits::ADDRESSES_MAX
            + config
                .interfaces
                .iter()
                .map(|interface| interface.addresses.len() + 1)
                .sum::<usize>();
        let mut all = Interfaces {
            interfaces: Vec::with_capacity(config.interfaces.len()),
            addresses: Vec::with_capacity(room),
            lost: 0,
        };
        for (number, interface) in (0u8..).zip(&config.interfaces) {
            let has_v6 = interface.addresses.iter().any(|(addr, _)| !addr.is_v4());
            let mtu_min = if has_v6 { 1280 } else { 576 };
            if !(mtu_min..=MTU_MAX).contains(&interface.mtu) {
                return Err(ConfigError::Mtu(number, interface.mtu));
            }
            if interface.mac == Mac::default() || interface.mac.is_group() {
                return Err(ConfigError::Mac(number, interface.mac));
            }
            let others = Vec::with_capacity(room);
            let own = Own { mac: interface.mac, first: None, others };
            let (mtu, mtu_max) = (interface.mtu, interface.mtu);
            all.interfaces.push(Interface { mtu, mtu_max, own });
            for &(addr, prefix_bits) in &interface.addresses {
                all.add(number, addr, prefix_bits)?;
            }
            let has_link_local = all.own(number).any(|own| own.addr.is_link_local_v6());
            if has_v6 && !has_link_local {
                all.add(number, link_local(interface.mac), 64)?;
            }
        }
        Ok(all)
    }

    /// `addr` is ours from now on.
    pub(crate) fn add(
        &mut self,
        number: u8,
        addr: Addr,
        prefix_bits: u8,
    ) -> Result<(), ConfigError> {
        let Some(interface) = self.interfaces.get(number as usize) else {
            return Err(ConfigError::Interfaces);
        };
        if prefix_bits > if addr.is_v4() { 32 } else { 128 } {
            return Err(ConfigError::Prefix(addr, prefix_bits));
        }
        let known = self.live().any(|(_, other)| {
            other.addr == addr && (other.station.interface == number || !addr.is_link_local_v6())
        });
        if known || addr.is_group() || addr.is_unspecified() || addr.is_loopback() {
            return Err(ConfigError::Address(addr));
        }
        let address = Address::new(addr, prefix_bits, number, interface);
        let id = self.place(address).ok_or(ConfigError::Addresses)?;
        if let Some(interface) = self.interfaces.get_mut(number as usize) {
            interface.own.add(addr, id);
        }
        Ok(())
    }

    /// A number for an address: the one that it had, one that no address had, or that of the one
    /// that has been gone for longest.
    fn place(&mut self, address: Address) -> Option<AddrId> {
        let had = self.addresses.iter().position(|old| {
            let station = (old.addr, old.station.interface);
            old.lost != 0 && station == (address.addr, address.station.interface)
        });
        if had.is_none() && self.addresses.len() < self.addresses.capacity() {
            self.addresses.push(address);
            return Some(AddrId(self.addresses.len() as u32 - 1));
        }
        let lost = self.addresses.iter().enumerate().filter(|(_, old)| old.lost != 0);
        let oldest = lost.min_by_key(|(_, old)| old.lost).map(|(at, _)| at);
        let at = had.or(oldest)?;
        *self.addresses.get_mut(at)? = address;
        Some(AddrId(at as u32))
    }

    /// `addr` is ours no more. Whether it was.
    pub(crate) fn remove(&mut self, number: u8, addr: Addr) -> bool {
        let Some(id) = self.find(number, addr) else { return false };
        self.lost += 1;
        if let Some(address) = self.addresses.get_mut(id.0 as usize) {
            address.lost = self.lost;
        }
        if let Some(interface) = self.interfaces.get_mut(number as usize) {
            interface.own.remove(addr);
        }
        true
    }

    /// Whether an address has gone.
    pub(crate) fn is_lost(&self, id: AddrId) -> bool {
        self.addresses.get(id.0 as usize).is_none_or(|address| address.lost != 0)
    }

    /// Those that are ours, with their numbers.
    fn live(&self) -> impl Iterator<Item = (usize, &Address)> + Clone {
        self.addresses.iter().enumerate().filter(|(_, address)| address.lost == 0)
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
    fn own(&self, interface: u8) -> impl Iterator<Item = &Address> {
        let own = self.live().filter(move |(_, own)| own.station.interface == interface);
        own.map(|(_, own)| own)
    }

    /// Whether `addr` is ours on any interface.
    pub(crate) fn is_ours(&self, addr: Addr) -> bool {
        self.live().any(|(_, address)| address.addr == addr)
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
        self.interfaces.get(interface as usize).map_or(Mac::default(), |here| here.own.mac)
    }

    #[inline]
    pub(crate) fn mtu(&self, interface: u8) -> u16 {
        self.interfaces.get(interface as usize).map_or(576, |own| own.mtu)
    }

    /// A card that cannot gather carries no more than fits in a slot.
    pub(crate) fn limit_mtu(&mut self, interface: u8, mtu: u16) {
        if let Some(own) = self.interfaces.get_mut(interface as usize) {
            own.mtu_max = own.mtu_max.min(mtu);
            let mtu = own.mtu.min(mtu);
            self.set_mtu(interface, mtu);
        }
    }

    /// The link carries packets of `mtu` bytes, as far as the card does.
    pub(crate) fn set_mtu(&mut self, interface: u8, mtu: u16) {
        let Some(own) = self.interfaces.get_mut(interface as usize) else { return };
        own.mtu = mtu.min(own.mtu_max);
        let mtu = own.mtu;
        for address in &mut self.addresses {
            if address.station.interface == interface {
                address.station.mss = mtu.saturating_sub(limits::headers_bytes(address.addr));
            }
        }
    }

    /// How many addresses there can be.
    pub(crate) fn room(&self) -> usize {
        self.addresses.capacity()
    }

    pub(crate) fn count(&self) -> u8 {
        self.interfaces.len() as u8
    }

    /// Every address of an interface.
    pub(crate) fn addresses(&self, interface: u8) -> impl Iterator<Item = Addr> + '_ {
        self.own(interface).map(|address| address.addr)
    }

    /// Every address of an interface, with the bits of its prefix.
    pub(crate) fn links(&self, interface: u8) -> impl Iterator<Item = (Addr, u8)> + '_ {
        self.own(interface).map(|address| (address.addr, address.prefix_bits))
    }

    /// Whether there is an address of one family that others than neighbours can answer.
    pub(crate) fn has(&self, is_v4: bool) -> bool {
        let is_wanted = |addr: Addr| addr.is_v4() == is_v4 && !addr.is_link_local_v6();
        self.live().any(|(_, own)| is_wanted(own.addr))
    }

    /// The addresses that nobody else can have: ours, and the two of each network that stand for all
    /// of it (RFC 1122 section 3.2.1.3; all zeros is 4.2BSD's).
    pub(crate) fn nobodies(&self) -> impl Iterator<Item = Addr> + '_ {
        self.live().flat_map(|(_, own)| {
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

    /// The interface on whose link `dst` lies, by the longest prefix of our addresses; of several that
    /// are as long the first, as with Linux.
    pub(crate) fn on_link(&self, dst: Addr) -> Option<(u8, u8)> {
        let matching = self.live().map(|(_, own)| own);
        let matching = matching.filter(|own| own.covers(dst) && !own.addr.is_link_local_v6());
        let links = matching.map(|own| (own.station.interface, own.prefix_bits));
        links.max_by_key(|&(interface, bits)| (bits, core::cmp::Reverse(interface)))
    }

    /// Whether `dst` lies on the link of `interface`.
    pub(crate) fn is_on_link(&self, interface: u8, dst: Addr) -> bool {
        self.own(interface).any(|address| address.covers(dst)) || dst.is_link_local_v6()
    }

    /// The address to talk to `dst` from (RFC 6724 section 5, as far as it applies to one
    /// interface): of its family and scope, with the longest common prefix.
    pub(crate) fn source_for(&self, interface: u8, dst: Addr) -> Option<AddrId> {
        let fits = |address: &Address| {
            address.station.interface == interface
                && address.addr.is_v4() == dst.is_v4()
                && address.addr.is_link_local_v6() == dst.is_link_local_v6()
        };
        let numbered = self.live().filter(|(_, address)| fits(address));
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
        self.own(interface).any(|own| {
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
