//! Addresses as numbers: one type for IPv4 and IPv6, so that everything above addressing is shared.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The six bytes as one number, the first in the lowest place: how whoever writes many frames
    /// keeps it in a register.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Whether this names a group of stations (broadcast included).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The multicast station for an IPv6 group (RFC 2464 section 7).
    pub fn from_group(group: Addr) -> Mac {
        let low = (group.lo as u32).to_be_bytes();
        Mac([0x33, 0x33, low[0], low[1], low[2], low[3]])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An IPv4 or IPv6 address: IPv4 is kept as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), in host
/// order, so that comparing and hashing are two word operations for either family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Addr {
    /// The first eight bytes.
    pub hi: u64,
    /// The last eight bytes.
    pub lo: u64,
}

/// The upper half of `lo` of every IPv4 address.
const V4_MARK: u64 = 0x0000_ffff_0000_0000;

impl Addr {
    /// `::`, which stands for no address in either family.
    pub const UNSPECIFIED: Addr = Addr { hi: 0, lo: 0 };

    /// ff02::1, all nodes of a link.
    pub const ALL_NODES: Addr = Addr { hi: 0xff02_0000_0000_0000, lo: 1 };

    /// An IPv4 address from its number.
    #[inline]
    pub const fn v4(number: u32) -> Addr {
        Addr { hi: 0, lo: V4_MARK | number as u64 }
    }

    /// An IPv6 address from its bytes.
    #[inline]
    pub const fn v6(bytes: [u8; 16]) -> Addr {
        let number = u128::from_be_bytes(bytes);
        Addr { hi: (number >> 64) as u64, lo: number as u64 }
    }

    /// Whether this is an IPv4 address.
    #[inline]
    pub const fn is_v4(self) -> bool {
        self.hi == 0 && self.lo >> 32 == V4_MARK >> 32
    }

    /// The number of an IPv4 address; meaningless for IPv6.
    #[inline]
    pub const fn v4_number(self) -> u32 {
        self.lo as u32
    }

    /// The sixteen bytes (mapped, for IPv4).
    #[inline]
    pub const fn bytes(self) -> [u8; 16] {
        (((self.hi as u128) << 64) | self.lo as u128).to_be_bytes()
    }

    /// Multicast in either family, or the IPv4 limited broadcast.
    pub const fn is_group(self) -> bool {
        if self.is_v4() {
            let number = self.v4_number();
            number >> 28 == 0xe || number == u32::MAX
        } else {
            self.hi >> 56 == 0xff
        }
    }

    /// `::`, or 0.0.0.0.
    pub const fn is_unspecified(self) -> bool {
        self.hi == 0 && (self.lo == 0 || self.lo == V4_MARK)
    }

    /// 127.0.0.0/8 or ::1.
    pub const fn is_loopback(self) -> bool {
        if self.is_v4() { self.v4_number() >> 24 == 127 } else { self.hi == 0 && self.lo == 1 }
    }

    /// fe80::/10.
    pub const fn is_link_local_v6(self) -> bool {
        self.hi >> 54 == 0xfe80 >> 6
    }

    /// Whether the first `prefix_bits` bits equal those of `other`, which must be of the same
    /// family. `prefix_bits` counts within the family (0..=32 or 0..=128).
    pub const fn shares_prefix(self, other: Addr, prefix_bits: u8) -> bool {
        if self.is_v4() != other.is_v4() {
            return false;
        }
        let bits = if self.is_v4() { prefix_bits as u32 + 96 } else { prefix_bits as u32 };
        let mask = match bits {
            0 => 0,
            1..=127 => u128::MAX << (128 - bits),
            _ => u128::MAX,
        };
        let difference = (((self.hi ^ other.hi) as u128) << 64) | (self.lo ^ other.lo) as u128;
        difference & mask == 0
    }

    /// ff02::1:ffXX:XXXX, the group in which an IPv6 address is asked for (RFC 4291 section 2.7.1).
    pub const fn solicited_node(self) -> Addr {
        Addr { hi: 0xff02_0000_0000_0000, lo: 0x1_ff00_0000 | (self.lo & 0x00ff_ffff) }
    }
}

impl From<IpAddr> for Addr {
    fn from(address: IpAddr) -> Addr {
        match address {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(address: Ipv4Addr) -> Addr {
        Addr::v4(address.to_bits())
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(address: Ipv6Addr) -> Addr {
        Addr::v6(address.octets())
    }
}

impl From<Addr> for IpAddr {
    fn from(address: Addr) -> IpAddr {
        if address.is_v4() {
            IpAddr::V4(Ipv4Addr::from_bits(address.v4_number()))
        } else {
            IpAddr::V6(Ipv6Addr::from(address.bytes()))
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&IpAddr::from(*self), f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn both_families_survive_the_round_trip() {
        for text in ["10.0.0.1", "255.255.255.255", "::1", "fe80::1", "2001:db8::ffff"] {
            assert_eq!(IpAddr::from(addr(text)).to_string(), text);
        }
    }

    #[test]
    fn prefixes_count_within_the_family() {
        assert!(addr("10.0.0.1").shares_prefix(addr("10.0.0.200"), 24));
        assert!(!addr("10.0.0.1").shares_prefix(addr("10.0.1.1"), 24));
        assert!(addr("10.0.0.1").shares_prefix(addr("99.0.1.1"), 0));
        assert!(!addr("10.0.0.1").shares_prefix(addr("::1"), 0));
        assert!(addr("2001:db8::1").shares_prefix(addr("2001:db8::2"), 64));
        assert!(!addr("2001:db8::1").shares_prefix(addr("2001:db8::2"), 128));
    }

    #[test]
    fn groups_are_known_in_both_families() {
        assert!(addr("224.0.0.1").is_group() && addr("ff02::1").is_group());
        assert!(addr("255.255.255.255").is_group() && !addr("10.0.0.1").is_group());
        assert_eq!(addr("fe80::1234:5678").solicited_node(), addr("ff02::1:ff34:5678"));
        assert_eq!(Mac::from_group(addr("ff02::1:ff34:5678")).to_string(), "33:33:ff:34:56:78");
    }
}
