//! Neighbour discovery messages (RFC 4861 section 4), with the validation of sections 6.1 and 7.1.

use super::{Message, v6};
use crate::address::{Addr, Mac};
use crate::fields::{array_at, u16_at, u32_at};
use crate::malformed::Malformed;

/// What a router advertisement says (RFC 4861 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Advertised {
    /// The hop limit to send with; 0: not said.
    pub hop_limit: u8,
    /// Addresses come from DHCPv6.
    pub managed: bool,
    /// Other configuration comes from DHCPv6.
    pub other: bool,
    /// Seconds for which it is a default router; 0: it is none.
    pub lifetime_seconds: u16,
    /// Milliseconds for which a confirmed neighbour is reachable; 0: not said.
    pub reachable_ms: u32,
    /// Milliseconds between solicitations; 0: not said.
    pub retransmit_ms: u32,
    /// The router's station.
    pub source_mac: Option<Mac>,
    /// The link's MTU in bytes.
    pub mtu: Option<u32>,
    /// The first prefix it tells of; further ones are not read.
    pub prefix: Option<Prefix>,
}

/// A prefix of the link (RFC 4861 section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its address; bits beyond `bits` mean nothing.
    pub addr: Addr,
    /// Its length, at most 128.
    pub bits: u8,
    /// Addresses in it are neighbours.
    pub on_link: bool,
    /// Hosts may make their own addresses in it.
    pub autonomous: bool,
    /// Seconds for which it is valid; `u32::MAX` without end.
    pub valid_seconds: u32,
    /// Seconds for which addresses in it are preferred.
    pub preferred_seconds: u32,
}

/// Reads a message of 133 to 136 whose checksum is good.
pub(super) fn parse(bytes: &[u8], src: Addr, dst: Addr) -> Result<Message, Malformed> {
    let Some(header) = bytes.first_chunk::<8>() else {
        return Err(Malformed::Ndp);
    };
    if header[1] != 0 {
        return Err(Malformed::Ndp);
    }
    match header[0] {
        v6::ROUTER_SOLICITATION => {
            let Options { source_mac, .. } = options(bytes, 8)?;
            //= rfc4861#6.1.1
            //# If the IP source address is the unspecified address, there is no source link-layer
            //# address option in the message.
            if src.is_unspecified() && source_mac.is_some() {
                return Err(Malformed::Ndp);
            }
            Ok(Message::RouterSolicitation { source_mac })
        }
        v6::ROUTER_ADVERTISEMENT => router_advertisement(bytes, src),
        v6::NEIGHBOUR_SOLICITATION => {
            let target = target(bytes)?;
            let Options { source_mac, .. } = options(bytes, 24)?;
            //= rfc4861#7.1.1
            //# If the IP source address is the unspecified address, the IP destination address is a
            //# solicited-node multicast address.
            let asked_of_group = dst == target.solicited_node();
            if src.is_unspecified() && (source_mac.is_some() || !asked_of_group) {
                return Err(Malformed::Ndp);
            }
            Ok(Message::NeighbourSolicitation { target, source_mac })
        }
        v6::NEIGHBOUR_ADVERTISEMENT => {
            let target = target(bytes)?;
            let Options { target_mac, .. } = options(bytes, 24)?;
            let flags = header[4];
            let solicited = flags & 0x40 != 0;
            //= rfc4861#7.1.2
            //# If the IP Destination Address is a multicast address the Solicited flag is zero.
            if dst.is_group() && solicited {
                return Err(Malformed::Ndp);
            }
            Ok(Message::NeighbourAdvertisement {
                target,
                target_mac,
                router: flags & 0x80 != 0,
                solicited,
                override_: flags & 0x20 != 0,
            })
        }
        _ => Err(Malformed::Ndp),
    }
}

fn router_advertisement(bytes: &[u8], src: Addr) -> Result<Message, Malformed> {
    //= rfc4861#6.1.2
    //# IP Source Address is a link-local address.
    let Some(header) = bytes.first_chunk::<16>().filter(|_| src.is_link_local_v6()) else {
        return Err(Malformed::Ndp);
    };
    let Options { source_mac, mtu, prefix, .. } = options(bytes, 16)?;
    Ok(Message::RouterAdvertisement(Advertised {
        hop_limit: header[4],
        managed: header[5] & 0x80 != 0,
        other: header[5] & 0x40 != 0,
        lifetime_seconds: u16_at(header, 6),
        reachable_ms: u32_at(header, 8),
        retransmit_ms: u32_at(header, 12),
        source_mac,
        mtu,
        prefix,
    }))
}

/// The target of a solicitation or an advertisement: an address that someone can have.
fn target(bytes: &[u8]) -> Result<Addr, Malformed> {
    let Some(header) = bytes.first_chunk::<24>() else {
        return Err(Malformed::Ndp);
    };
    let target = Addr::v6(array_at(header, 8));
    if target.is_group() || target.is_v4() || target.is_unspecified() {
        return Err(Malformed::Ndp);
    }
    Ok(target)
}

#[derive(Default)]
struct Options {
    source_mac: Option<Mac>,
    target_mac: Option<Mac>,
    mtu: Option<u32>,
    prefix: Option<Prefix>,
}

/// The options behind a message's fixed part. Unknown ones, and known ones of a length not theirs,
/// are stepped over; of several alike the first counts.
fn options(bytes: &[u8], from: usize) -> Result<Options, Malformed> {
    let mut options = Options::default();
    let mut rest = bytes.get(from..).unwrap_or(&[]);
    // Bounded by the message: each turn moves on by at least eight bytes.
    while !rest.is_empty() {
        //= rfc4861#6.1.1
        //# All included options have a length that is greater than zero.
        let &[kind, eights @ 1..=u8::MAX, ..] = rest else {
            return Err(Malformed::Ndp);
        };
        let Some((option, next)) = rest.split_at_checked(eights as usize * 8) else {
            return Err(Malformed::Ndp);
        };
        read(kind, option, &mut options);
        rest = next;
    }
    Ok(options)
}

fn read(kind: u8, option: &[u8], options: &mut Options) {
    match kind {
        SOURCE_MAC => options.source_mac = options.source_mac.or(station(option)),
        TARGET_MAC => options.target_mac = options.target_mac.or(station(option)),
        MTU => {
            if let Ok(option) = <&[u8; 8]>::try_from(option) {
                options.mtu = options.mtu.or(Some(u32_at(option, 4)));
            }
        }
        PREFIX => options.prefix = options.prefix.or(prefix(option)),
        _ => {}
    }
}

/// A link-layer address that can be one station's: to believe a group would send our frames to all.
fn station(option: &[u8]) -> Option<Mac> {
    let option = <&[u8; 8]>::try_from(option).ok()?;
    let mac = Mac(array_at(option, 2));
    (!mac.is_group()).then_some(mac)
}

fn prefix(option: &[u8]) -> Option<Prefix> {
    let option = <&[u8; 32]>::try_from(option).ok()?;
    let addr = Addr::v6(array_at(option, 16));
    let bits = option[2];
    //= rfc4861#6.3.4
    //# If the prefix is the link-local prefix, silently ignore the Prefix Information option.
    if bits > 128 || addr.is_group() || addr.is_v4() || addr.is_link_local_v6() {
        return None;
    }
    Some(Prefix {
        addr,
        bits,
        on_link: option[3] & 0x80 != 0,
        autonomous: option[3] & 0x40 != 0,
        valid_seconds: u32_at(option, 4),
        preferred_seconds: u32_at(option, 8),
    })
}

// Kinds of option (RFC 4861 section 4.6).
pub(super) const SOURCE_MAC: u8 = 1;
pub(super) const TARGET_MAC: u8 = 2;
pub(super) const PREFIX: u8 = 3;
pub(super) const MTU: u8 = 5;
