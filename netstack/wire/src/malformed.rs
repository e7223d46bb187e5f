//! Why bytes were not what they claimed to be: one name for each way a parser refuses.

/// A refusal. Every parser of this crate returns one of these, and the stack counts each under its
/// own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Fewer bytes than an Ethernet header.
    EthernetShort,
    /// An EtherType that nobody here speaks. Named for the caller, who matches on the type.
    EtherType,
    /// Not the IP version that the EtherType promised.
    IpVersion,
    /// An IP header that is cut short, or an IPv4 header length below 20.
    IpHeaderLength,
    /// A total length below the header's, or beyond the frame.
    IpTotalLength,
    /// The IPv4 header checksum is wrong.
    IpChecksum,
    /// A fragment of a larger packet; nothing is reassembled here.
    IpFragment,
    /// An IPv6 extension header that is cut short, out of place, or one too many.
    IpExtension,
    /// An IPv6 option or routing header that is unknown and asks for the packet's refusal.
    IpOption,
    /// A source that no packet may have: a group, loopback, an unspecified address where the
    /// protocol needs an answer, or an IPv4-mapped address in an IPv6 header.
    IpSource,
    /// A destination that no packet may have: an IPv4-mapped address in an IPv6 header.
    IpDestination,
    /// Fewer bytes than a TCP header, or more than an IP packet holds.
    TcpShort,
    /// A TCP data offset below 20 bytes, or beyond the packet.
    TcpOffset,
    /// The TCP checksum is wrong.
    TcpChecksum,
    /// Fewer bytes than a UDP header.
    UdpShort,
    /// A UDP length below the header's, or beyond the packet.
    UdpLength,
    /// The UDP checksum is wrong, or missing over IPv6.
    UdpChecksum,
    /// ARP for other hardware or protocols, of an unknown operation, cut short, or from a sender
    /// that cannot be.
    Arp,
    /// An ICMP message that is cut short, or that quotes nothing that can be found again.
    Icmp,
    /// The ICMP checksum is wrong.
    IcmpChecksum,
    /// A neighbour discovery message that fails RFC 4861's validation. The hop limit is part of
    /// that and is the caller's to check.
    Ndp,
}
