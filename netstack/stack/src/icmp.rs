//! ICMP for both families: what an error means for a connection, and what is answered.
//!
//! An error proves nothing: anybody can send one. It is believed only when it quotes a connection
//! of ours and a sequence number that is in flight (RFC 5927 section 4.1).

use penstock_wire::Addr;
use penstock_wire::icmp::{Message, Quote, is_hard, is_port};

/// What an ICMP error says of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The packet was larger than a link on the way carries.
    TooBig { mtu: u32 },
    /// Nobody listens there.
    NoPort,
    /// The destination cannot be reached, and trying again is pointless.
    Hard,
    /// It may be reached later (RFC 1122 section 4.2.3.9).
    Soft,
}

/// The trouble a message tells of, and the packet of ours that it quotes.
pub(crate) fn trouble(message: &Message) -> Option<(Trouble, Quote)> {
    match *message {
        Message::TooBig { mtu, quote } => {
            let mtu = if quote.dst.is_v4() { guess(mtu, &quote) } else { mtu };
            Some((Trouble::TooBig { mtu }, quote))
        }
        Message::Unreachable { code, quote } if is_port(code, &quote) => {
            Some((Trouble::NoPort, quote))
        }
        Message::Unreachable { code, quote } if is_hard(code, &quote) => {
            Some((Trouble::Hard, quote))
        }
        Message::Unreachable { quote, .. }
        | Message::TimeExceeded { quote, .. }
        | Message::ParameterProblem { quote, .. } => Some((Trouble::Soft, quote)),
        Message::EchoRequest { .. }
        | Message::EchoReply { .. }
        | Message::RouterSolicitation { .. }
        | Message::RouterAdvertisement(_)
        | Message::NeighbourSolicitation { .. }
        | Message::NeighbourAdvertisement { .. }
        | Message::Other { .. } => None,
    }
}

/// The next hop's MTU, or, from a router older than RFC 1191, the next plateau below the packet's
/// size (RFC 1191 section 7.1).
fn guess(mtu: u32, quote: &Quote) -> u32 {
    const PLATEAUS: [u32; 8] = [17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296];
    if mtu > 0 {
        return mtu;
    }
    PLATEAUS.into_iter().find(|&plateau| plateau < quote.total_bytes).unwrap_or(68)
}

/// Whether an error may be sent about a packet (RFC 1122 section 3.2.2, RFC 4443 section 2.4): not
/// to or from a group.
pub(crate) fn may_complain(src: Addr, dst: Addr) -> bool {
    !dst.is_group() && !src.is_group() && !src.is_unspecified()
}

#[cfg(test)]
mod tests {
    //! Old routers name no MTU; the plateau below the packet's size is taken.
    use super::*;
    use penstock_wire::SeqNum;

    #[test]
    fn an_mtu_of_zero_is_guessed() {
        let quote = Quote {
            src: Addr::v4(1),
            dst: Addr::v4(2),
            protocol: 6,
            src_port: 1,
            dst_port: 2,
            seq: SeqNum(0),
            total_bytes: 1500,
        };
        assert_eq!(guess(0, &quote), 1_492);
        assert_eq!(guess(1_300, &quote), 1_300);
        assert_eq!(guess(0, &Quote { total_bytes: 100, ..quote }), 68);
        assert!(!may_complain(Addr::v4(2), Addr::v4(u32::MAX)));
    }
}
