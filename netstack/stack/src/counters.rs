//! What is counted: every frame that dies, by reason, and the events that Linux counts too.

use penstock_wire::Malformed;

/// Defines an enum of counters with the name each is shown under.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every variant, in the order of the counters.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name it is shown under.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

counters! {
    /// Why a received frame, or one that was to be sent, was dropped. Where Linux counts the same,
    /// the name is Linux's; otherwise it says what it means.
    Drop {
        /// Shorter than its headers, or an impossible length in the Ethernet or IP header.
        InHdrErrors = "IpInHdrErrors",
        /// Not for our station address.
        OtherStation = "EthInOtherStation",
        /// A VLAN tag where none is configured.
        Vlan = "EthInVlan",
        /// An EtherType nobody here speaks.
        EtherType = "EthInUnknownProtos",
        /// The IPv4 header checksum is wrong.
        IpChecksum = "IpInCsumErrors",
        /// A fragment: not reassembled.
        Fragment = "IpReasmFails",
        /// An extension header chain that is malformed or too long.
        Extension = "Ip6InExtHdrErrors",
        /// A source address that no packet may have.
        IpSource = "IpInMartianSource",
        /// Not one of our addresses.
        InAddrErrors = "IpInAddrErrors",
        /// Sent to a group or broadcast address that is none of ours.
        NotMember = "IpInNotMember",
        /// A transport protocol nobody here speaks.
        UnknownProtocol = "IpInUnknownProtos",
        /// No route to the destination.
        NoRoute = "IpOutNoRoutes",
        /// A malformed TCP header.
        TcpHeader = "TcpInErrs",
        /// The TCP checksum is wrong.
        TcpChecksum = "TcpInCsumErrors",
        /// A SYN, RST or other segment with an impossible combination of flags.
        TcpFlags = "TcpInBadFlags",
        /// No connection and no listener; answered with RST within the limit.
        TcpNoPort = "TcpInNoPort",
        /// Sent to a group address.
        TcpGroup = "TcpInGroup",
        /// Outside the window.
        TcpOutOfWindow = "TcpExtTCPOutOfWindow",
        /// An old timestamp (RFC 7323 PAWS).
        TcpPaws = "TcpExtPAWSEstab",
        /// An acknowledgement of what was never sent, or long ago (RFC 5961 section 5).
        TcpAckInvalid = "TcpExtTCPACKSkippedSeq",
        /// A RST or SYN that calls for a challenge (RFC 5961 sections 3 and 4).
        TcpChallenge = "TcpExtTCPChallengeACK",
        /// Data for a connection the application has closed.
        TcpDataAfterClose = "TcpExtTCPAbortOnData",
        /// A segment without ACK where one is required.
        TcpNoAck = "TcpInNoAck",
        /// An acknowledgement that no half-open connection and no cookie matches.
        SynCookiesFailed = "TcpExtSyncookiesFailed",
        /// The half-open ring is full and cookies are off.
        ReqQFullDrop = "TcpExtTCPReqQFullDrop",
        /// No room for another connection: the handshake is not completed.
        ListenOverflow = "TcpExtListenOverflows",
        /// A SYN shed because the worker is behind.
        SynOverload = "TcpExtTCPSynShed",
        /// A segment for a TIME-WAIT record that changes nothing.
        TimeWait = "TcpExtTCPTimeWaitIgnored",
        /// Out-of-order or refused data beyond the memory there is.
        ReceiveMemory = "TcpExtTCPRcvQDrop",
        /// No flight record for data that needs one.
        FlightMemory = "TcpExtTCPMemoryPressures",
        /// More out-of-order ranges than a connection keeps.
        OutOfOrderLimit = "TcpExtTCPOFODrop",
        /// A malformed UDP header.
        UdpHeader = "UdpInErrors",
        /// The UDP checksum is wrong.
        UdpChecksum = "UdpInCsumErrors",
        /// Nobody is bound to the port; answered with ICMP within the limit.
        UdpNoPort = "UdpNoPorts",
        /// A malformed ARP packet.
        ArpMalformed = "ArpInErrors",
        /// An ARP packet that does not concern us.
        ArpIgnored = "ArpInIgnored",
        /// A malformed ICMP message.
        IcmpMalformed = "IcmpInErrors",
        /// The ICMP checksum is wrong.
        IcmpChecksum = "IcmpInCsumErrors",
        /// An ICMP message nobody here acts on.
        IcmpIgnored = "IcmpInIgnored",
        /// An ICMP error that quotes no connection of ours, or sequence numbers not in flight
        /// (RFC 5927).
        IcmpOutOfWindow = "TcpExtOutOfWindowIcmps",
        /// An echo request, or an answer of ours, beyond the rate limit.
        IcmpRateLimit = "IcmpOutRateLimitGlobal",
        /// A malformed neighbour discovery message, or one from beyond the link.
        NdpMalformed = "Icmp6InErrors",
        /// A neighbour discovery message that does not concern us.
        NdpIgnored = "Icmp6InIgnored",
        /// A misdirected frame whose mailbox is full.
        MailFull = "RfdMailFull",
        /// A misdirected frame that no core owns.
        MailStray = "RfdMailStray",
        /// A frame larger than a mailbox slot.
        MailTooLong = "RfdMailTooLong",
        /// Waited in vain for a neighbour.
        NeighbourFailed = "NeighUnresolvedDiscards",
        /// Too many frames wait for one neighbour.
        NeighbourQueueFull = "NeighQueueFullDiscards",
        /// No room for another neighbour.
        NeighbourTableFull = "NeighTableFulls",
        /// No transmit slot was free for a frame that is not kept.
        NoSlot = "IfOutDiscards",
        /// Longer than the MTU and not ours to cut.
        TooLong = "IpFragFails",
    }
}

counters! {
    /// Events that are not drops, named as Linux names them where it does.
    Event {
        /// Frames received.
        InFrames = "IfInFrames",
        /// Frames sent.
        OutFrames = "IfOutFrames",
        /// TCP segments received.
        TcpInSegs = "TcpInSegs",
        /// TCP segments sent, retransmissions apart.
        TcpOutSegs = "TcpOutSegs",
        /// TCP segments sent again.
        TcpRetransSegs = "TcpRetransSegs",
        /// RSTs sent.
        TcpOutRsts = "TcpOutRsts",
        /// Connections opened by a peer.
        TcpPassiveOpens = "TcpPassiveOpens",
        /// Connections opened by us.
        TcpActiveOpens = "TcpActiveOpens",
        /// Handshakes that failed.
        TcpAttemptFails = "TcpAttemptFails",
        /// Established connections that were reset.
        TcpEstabResets = "TcpEstabResets",
        /// Retransmission timeouts.
        TcpTimeouts = "TcpExtTCPTimeouts",
        /// Recoveries begun with SACK.
        TcpSackRecovery = "TcpExtTCPSackRecovery",
        /// Recoveries begun without SACK.
        TcpRenoRecovery = "TcpExtTCPRenoRecovery",
        /// Segments that lay out of order.
        TcpOfoQueue = "TcpExtTCPOFOQueue",
        /// Bytes beyond a gap that gave way to those that close it, for lack of memory.
        OfoPruned = "TcpExtOfoPruned",
        /// Bytes that came a second time, reported to the peer (RFC 2883).
        TcpDsackOldSent = "TcpExtTCPDSACKOldSent",
        /// The same of bytes beyond a gap.
        TcpDsackOfoSent = "TcpExtTCPDSACKOfoSent",
        /// Acknowledgements delayed.
        TcpDelayedAcks = "TcpExtDelayedACKs",
        /// Challenge acknowledgements sent.
        TcpChallengeAcks = "TcpExtTCPChallengeACKSent",
        /// Cookies sent.
        SynCookiesSent = "TcpExtSyncookiesSent",
        /// Cookies that came back.
        SynCookiesRecv = "TcpExtSyncookiesRecv",
        /// Connections that entered TIME-WAIT.
        TimeWaits = "TcpExtTW",
        /// TIME-WAIT records that gave way to a new connection.
        TimeWaitRecycled = "TcpExtTWRecycled",
        /// TIME-WAIT records evicted because the ring was full.
        TimeWaitOverflow = "TcpExtTCPTimeWaitOverflow",
        /// Connections ended by a timeout.
        TcpAbortOnTimeout = "TcpExtTCPAbortOnTimeout",
        /// Connections ended because data was unread when they were closed.
        TcpAbortOnClose = "TcpExtTCPAbortOnClose",
        /// Connects that found no free port.
        TcpNoPortsLeft = "TcpActivePortsExhausted",
        /// Zero-window probes sent.
        TcpWinProbe = "TcpExtTCPWinProbe",
        /// Keep-alive probes sent.
        TcpKeepAlive = "TcpExtTCPKeepAlive",
        /// Datagrams received.
        UdpInDatagrams = "UdpInDatagrams",
        /// Datagrams sent.
        UdpOutDatagrams = "UdpOutDatagrams",
        /// ICMP messages received.
        IcmpInMsgs = "IcmpInMsgs",
        /// ICMP messages sent.
        IcmpOutMsgs = "IcmpOutMsgs",
        /// Echo requests answered.
        IcmpInEchos = "IcmpInEchos",
        /// Path MTUs learned.
        PmtuLearned = "IpPmtuLearned",
        /// Segments of active connections that arrived at their core.
        RfdHits = "RfdHits",
        /// Frames that arrived at a core that does not own them and crossed by mail.
        RfdMisdirected = "RfdMisdirected",
        /// Neighbours asked for.
        NeighbourSolicits = "NeighSolicits",
        /// A change of a neighbour's station address.
        NeighbourMoves = "NeighMoves",
    }
}

/// The counters of one worker.
#[derive(Clone, Debug)]
pub struct Counters {
    drops: [u64; Drop::ALL.len()],
    events: [u64; Event::ALL.len()],
}

impl Counters {
    /// All zero.
    pub const fn new() -> Counters {
        Counters { drops: [0; Drop::ALL.len()], events: [0; Event::ALL.len()] }
    }

    /// Counts a drop.
    #[inline]
    pub fn drop(&mut self, reason: Drop) {
        self.drops[reason as usize] += 1;
    }

    /// Counts a drop `count` times.
    #[inline]
    pub(crate) fn drops_of(&mut self, reason: Drop, count: u64) {
        self.drops[reason as usize] += count;
    }

    /// Counts an event.
    #[inline]
    pub fn event(&mut self, event: Event) {
        self.events[event as usize] += 1;
    }

    /// Counts an event `count` times.
    #[inline]
    pub fn events(&mut self, event: Event, count: u64) {
        self.events[event as usize] += count;
    }

    /// How often a frame was dropped for this reason.
    pub fn drops(&self, reason: Drop) -> u64 {
        self.drops[reason as usize]
    }

    /// All drops together.
    pub fn drops_total(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// How often an event was counted.
    pub fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// Every counter with its name, events first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let events = Event::ALL.iter().map(|&event| (event.name(), self.count(event)));
        events.chain(Drop::ALL.iter().map(|&reason| (reason.name(), self.drops(reason))))
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}

impl From<Malformed> for Drop {
    fn from(malformed: Malformed) -> Drop {
        match malformed {
            Malformed::EtherType => Drop::EtherType,
            Malformed::EthernetShort
            | Malformed::IpVersion
            | Malformed::IpHeaderLength
            | Malformed::IpTotalLength => Drop::InHdrErrors,
            Malformed::IpChecksum => Drop::IpChecksum,
            Malformed::IpFragment => Drop::Fragment,
            Malformed::IpExtension | Malformed::IpOption => Drop::Extension,
            Malformed::IpSource | Malformed::IpDestination => Drop::IpSource,
            Malformed::TcpShort | Malformed::TcpOffset => Drop::TcpHeader,
            Malformed::TcpChecksum => Drop::TcpChecksum,
            Malformed::UdpShort | Malformed::UdpLength => Drop::UdpHeader,
            Malformed::UdpChecksum => Drop::UdpChecksum,
            Malformed::Arp => Drop::ArpMalformed,
            Malformed::Icmp => Drop::IcmpMalformed,
            Malformed::IcmpChecksum => Drop::IcmpChecksum,
            Malformed::Ndp => Drop::NdpMalformed,
        }
    }
}
