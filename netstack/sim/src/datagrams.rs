//! UDP in a world: volleys of questions, each echoed as an answer, each byte judged.

use penstock_stack::{Cx, Datagram, Endpoint, UdpId};
use penstock_wire::Addr;

use crate::ledger::{Side, differs, say};
use crate::scene::Check;
use crate::traffic::Traffic;

/// The port that every worker binds.
pub(crate) const PORT: u16 = 7777;

/// A question to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// When.
    pub at_us: u64,
    /// From which host and core.
    pub from: (usize, u16),
    /// To which address.
    pub to: Addr,
    /// Bytes of payload, at least 5.
    pub bytes: usize,
}

/// Bytes with which a datagram begins: what it is, and its number.
pub(crate) const TAG_BYTES: usize = 5;

const QUESTION: u8 = b'Q';
const ANSWER: u8 = b'A';

/// Sends the question of this number.
pub(crate) fn ask(traffic: &mut Traffic, cx: &mut Cx<'_>, number: u32, question: &Question) {
    let Some(&socket) = traffic.udp.first() else { return };
    let bytes = compose(QUESTION, number, question.bytes);
    let to = Endpoint { addr: question.to, port: PORT };
    let outcome = cx.udp_send(socket, None, to, &bytes);
    traffic.scene().tell(|| format!("question {number} to {:?}: {outcome:?}", question.to));
}

/// A datagram came.
pub(crate) fn hear(traffic: &mut Traffic, cx: &mut Cx<'_>, socket: UdpId, datagram: &Datagram<'_>) {
    let bytes = datagram.bytes;
    let Some((&[kind, a, b, c, d], rest)) = bytes.split_first_chunk::<TAG_BYTES>() else {
        // Strangers send what they like, but to this port only hosts of the world do.
        traffic.scene().violate(Check::Prefix, format!("a datagram of {} bytes", bytes.len()));
        return;
    };
    let number = u32::from_le_bytes([a, b, c, d]);
    let side = if kind == QUESTION { Side::Initiator } else { Side::Acceptor };
    if let Some(at) = differs(number, side, TAG_BYTES as u64, rest) {
        let text = format!("datagram {number}: a wrong byte at {at} of {}", bytes.len());
        traffic.scene().violate(Check::Prefix, text);
    }
    if kind == ANSWER {
        traffic.answered += 1;
        return;
    }
    traffic.echoed += 1;
    let answer = compose(ANSWER, number, bytes.len());
    let _ = cx.udp_send(socket, Some(datagram.to.addr), datagram.from, &answer);
}

fn compose(kind: u8, number: u32, count: usize) -> Vec<u8> {
    let side = if kind == QUESTION { Side::Initiator } else { Side::Acceptor };
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&number.to_le_bytes());
    let from = bytes.len();
    bytes.resize(count.max(from), 0);
    say(number, side, from as u64, &mut bytes[from..]);
    bytes
}
