//! Descriptors: 16 bytes each, little endian, in memory that card and driver share.
//!
//! ```text
//!   receive, as the driver writes it     u64 packet buffer             u64 header buffer
//!   receive, legacy write-back (7.1.5)   u64 as it was                 u16 len, u16 sum, u8 status, u8 errors, u16 vlan
//!   receive, advanced write-back (7.1.6) u32 types, u32 hash           u32 status and errors, u16 len, u16 vlan
//!   transmit, legacy (7.2.3.2.2)         u64 buffer                    u16 len, u8 cso, u8 cmd, u8 status, u8 css, u16 vlan
//!   transmit, context (7.2.3.2.3)        u32 lengths and vlan, u32 0   u32 types, u32 mss, l4len and index
//!   transmit, data (7.2.3.2.4)           u64 buffer                    u32 length and command, u32 payload and options
//! ```
//!
//! The word that carries DD is the third of an advanced receive descriptor and the last of every
//! other; a card stores it last.

/// Bytes of a descriptor.
pub const BYTES: usize = 16;

fields! {
    /// Advanced receive write-back, third word (7.1.6.2).
    rx_status {
        DD = 1 << 0, "Descriptor done.";
        EOP = 1 << 1, "End of packet.";
        FLM = 1 << 2, "Flow Director matched.";
        VP = 1 << 3, "A VLAN tag was present.";
        UDPCS = 1 << 4, "UDP checksum checked.";
        L4I = 1 << 5, "TCP or UDP checksum checked.";
        IPCS = 1 << 6, "IPv4 header checksum checked.";
        TCPE = 1 << 30, "TCP or UDP checksum wrong.";
        IPE = 1 << 31, "IPv4 header checksum wrong.";
    }
}
fields! {
    /// Legacy receive write-back: the third and fourth bytes from the end (7.1.5).
    rx_legacy {
        DD = 1 << 0, "Descriptor done.";
        EOP = 1 << 1, "End of packet.";
        VP = 1 << 3, "A VLAN tag was present.";
        UDPCS = 1 << 4, "UDP checksum checked.";
        L4CS = 1 << 5, "TCP or UDP checksum checked.";
        IPCS = 1 << 6, "IPv4 header checksum checked.";
        ERROR_L4 = 1 << 6, "Errors byte: TCP or UDP checksum wrong.";
        ERROR_IP = 1 << 7, "Errors byte: IPv4 header checksum wrong.";
    }
}
fields! {
    /// Packet types, first word of an advanced receive write-back (7.1.6.2).
    packet_type {
        IPV4 = 1 << 4, "IPv4.";
        IPV4_OPTIONS = 1 << 5, "IPv4 with options.";
        IPV6 = 1 << 6, "IPv6.";
        IPV6_EXTENSIONS = 1 << 7, "IPv6 with extension headers.";
        TCP = 1 << 8, "TCP.";
        UDP = 1 << 9, "UDP.";
        SCTP = 1 << 10, "SCTP.";
    }
}
fields! {
    /// RSS types, first word of an advanced receive write-back (7.1.2.8).
    rss_type {
        NONE = 0, "No hash.";
        TCP_IPV4 = 1, "TCP over IPv4.";
        IPV4 = 2, "IPv4.";
        TCP_IPV6 = 3, "TCP over IPv6.";
        IPV6 = 5, "IPv6.";
        UDP_IPV4 = 7, "UDP over IPv4.";
        UDP_IPV6 = 8, "UDP over IPv6.";
        FLOW_DIRECTOR = 15, "The hash field carries what Flow Director reports.";
    }
}
fields! {
    /// Legacy transmit descriptor: command byte (7.2.3.2.2).
    tx_legacy {
        EOP = 1 << 0, "End of packet.";
        IFCS = 1 << 1, "Append the CRC.";
        IC = 1 << 2, "Insert a checksum at CSO over everything from CSS on.";
        RS = 1 << 3, "Report status.";
        DEXT = 1 << 5, "Not a legacy descriptor.";
        VLE = 1 << 6, "Insert the VLAN tag.";
    }
}
fields! {
    /// Advanced transmit descriptor: third word (7.2.3.2.3, 7.2.3.2.4).
    tx_command {
        LENGTH = 0xFFFF, "Bytes of the buffer.";
        DTYP_SHIFT = 20, "2 context, 3 data.";
        DTYP_MASK = 0xF, "The same, before the shift.";
        DTYP_CONTEXT = 2, "A context.";
        DTYP_DATA = 3, "Data.";
        EOP = 1 << 24, "End of packet.";
        IFCS = 1 << 25, "Append the CRC.";
        RS = 1 << 27, "Report status.";
        DEXT = 1 << 29, "An advanced descriptor.";
        VLE = 1 << 30, "Insert the VLAN tag of the context.";
        TSE = 1 << 31, "Segment.";
    }
}
fields! {
    /// Advanced transmit data descriptor: last word (7.2.3.2.4).
    tx_options {
        DD = 1 << 0, "Descriptor done.";
        INDEX_SHIFT = 4, "Which of the two contexts.";
        CC = 1 << 7, "Check the context.";
        IXSM = 1 << 8, "Insert the IPv4 header checksum.";
        TXSM = 1 << 9, "Insert the TCP, UDP or SCTP checksum.";
        PAYLEN_SHIFT = 14, "Bytes of payload: all of the frame, or without headers when segmenting.";
    }
}
fields! {
    /// Transmit context: first word, lengths and VLAN (7.2.3.2.3).
    tx_lengths {
        IPLEN_MASK = 0x1FF, "Bytes of the IP header.";
        MACLEN_SHIFT = 9, "Bytes of the Ethernet header.";
        MACLEN_MASK = 0x7F, "The same, before the shift.";
        VLAN_SHIFT = 16, "VLAN tag.";
    }
}
fields! {
    /// Transmit context: third word (7.2.3.2.3).
    tx_types {
        IPV4 = 1 << 10, "IPv4; else IPv6.";
        L4T_SHIFT = 11, "0 UDP, 1 TCP, 2 SCTP.";
        L4T_MASK = 3, "The same, before the shift.";
        L4T_UDP = 0, "UDP.";
        L4T_TCP = 1, "TCP.";
        L4T_SCTP = 2, "SCTP.";
    }
}
fields! {
    /// Transmit context: last word (7.2.3.2.3).
    tx_segment {
        INDEX_SHIFT = 4, "Which of the two contexts.";
        L4LEN_SHIFT = 8, "Bytes of the TCP or UDP header.";
        L4LEN_MASK = 0xFF, "The same, before the shift.";
        MSS_SHIFT = 16, "Payload bytes of a segment.";
    }
}
