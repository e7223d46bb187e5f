//! One scripted connection: what the client says next, given what the server said.
//!
//! ```text
//!   Opening ── SYN,ACK ──▶ Asking ── response, FIN ──▶ Closing ── ACK of our FIN ──▶ Closed
//!      │                     (idle scripts stay here)                                  ▲
//!      └──────────────────────────── RST ──────────────────────────────────────────────┘
//! ```
//! It is not a TCP: it follows one script and takes segments in order only, which is all that a
//! lossless ring delivers. Where frames do get lost (see `overload`), [`Conversation::again`] says
//! what a real client would retransmit, and an old segment is answered as a real client would.

use penstock_wire::tcp::Flags;

use crate::frames::{Kind, Outgoing, Personality, REQUEST, RESPONSE, Reply, Tuple};

/// What a client wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Ask, read the answer, close.
    Request(Personality),
    /// Complete the handshake and say no more.
    Idle,
}

/// Where a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// Not begun, or over.
    #[default]
    Closed,
    /// SYN sent.
    Opening,
    /// Request sent.
    Asking,
    /// FIN sent.
    Closing,
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As scripted.
    Complete,
    /// The server sent a RST.
    Reset,
    /// The server closed before the whole response had arrived.
    Short,
}

/// One connection of the client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conversation {
    tuple: Tuple,
    /// Sequence number of the SYN.
    iss: u32,
    /// Next byte to send.
    nxt: u32,
    /// Next byte expected.
    rcv: u32,
    /// Payload received.
    received: u32,
    echo: u32,
    state: State,
}

/// What follows from a segment: up to two frames, and perhaps the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// To be sent, in order.
    pub frames: [Option<Kind>; 2],
    /// The end, if this was it.
    pub end: Option<End>,
}

impl Conversation {
    /// Begins; the caller says [`Kind::Syn`].
    pub fn open(tuple: Tuple, iss: u32) -> Conversation {
        Conversation { tuple, iss, state: State::Opening, ..Conversation::default() }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// The client's end.
    pub fn tuple(&self) -> Tuple {
        self.tuple
    }

    /// How much of the response has arrived, in bytes.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Says `kind`: the frame to send, and the state after it.
    pub fn say(&mut self, kind: Kind) -> Outgoing {
        let request = self.iss.wrapping_add(1);
        let fin = request.wrapping_add(REQUEST.len() as u32);
        let (seq, nxt) = match kind {
            Kind::Syn => (self.iss, request),
            Kind::Get => (request, fin),
            Kind::FinAck => (fin, fin.wrapping_add(1)),
            Kind::Ack | Kind::Reset => (self.nxt, self.nxt),
        };
        self.nxt = nxt;
        if kind == Kind::FinAck {
            self.state = State::Closing;
        }
        let ack = if kind == Kind::Syn { 0 } else { self.rcv };
        Outgoing { kind, tuple: self.tuple, seq, ack, echo: self.echo }
    }

    /// What is retransmitted when the server stays silent.
    pub fn again(&self) -> Option<Kind> {
        match self.state {
            State::Closed => None,
            State::Opening => Some(Kind::Syn),
            State::Asking => Some(Kind::Get),
            State::Closing => Some(Kind::FinAck),
        }
    }

    /// Takes a segment of the server.
    pub fn receive(&mut self, reply: &Reply, script: Script) -> Answer {
        if self.state == State::Closed {
            return Answer::default();
        }
        if reply.flags.has(Flags::RST) {
            return self.end(End::Reset);
        }
        self.echo = reply.timestamp;
        if reply.flags.has(Flags::SYN) {
            return self.receive_syn(reply, script);
        }
        match self.state {
            State::Closed | State::Opening => Answer::default(),
            State::Asking => self.receive_response(reply, script),
            State::Closing if reply.ack == self.iss.wrapping_add(2 + REQUEST.len() as u32) => {
                self.end(End::Complete)
            }
            // The server did not see our FIN, or it would not say this again.
            State::Closing if reply.seq != self.rcv => send(Kind::FinAck),
            State::Closing => Answer::default(),
        }
    }

    fn receive_syn(&mut self, reply: &Reply, script: Script) -> Answer {
        if self.state != State::Opening {
            // Our acknowledgement was lost; the request carries one too.
            return match self.again() {
                Some(kind) => send(kind),
                None => Answer::default(),
            };
        }
        if reply.ack != self.iss.wrapping_add(1) {
            return Answer::default();
        }
        self.rcv = reply.seq.wrapping_add(1);
        match script {
            Script::Idle => {
                self.state = State::Closed;
                Answer { frames: [Some(Kind::Ack), None], end: Some(End::Complete) }
            }
            Script::Request(Personality::Min) => {
                self.state = State::Asking;
                send(Kind::Get)
            }
            Script::Request(Personality::Linux) => {
                self.state = State::Asking;
                Answer { frames: [Some(Kind::Ack), Some(Kind::Get)], end: None }
            }
        }
    }

    fn receive_response(&mut self, reply: &Reply, script: Script) -> Answer {
        let fin = reply.flags.has(Flags::FIN);
        if reply.payload == 0 && !fin {
            return Answer::default();
        }
        if reply.seq != self.rcv {
            return send(Kind::Ack);
        }
        self.rcv = self.rcv.wrapping_add(reply.payload + fin as u32);
        self.received += reply.payload;
        let acknowledges = script == Script::Request(Personality::Linux);
        let ack = acknowledges.then_some(Kind::Ack);
        if !fin {
            return Answer { frames: [ack, None], end: None };
        }
        if self.received != RESPONSE.len() as u32 {
            return self.end(End::Short);
        }
        Answer { frames: [ack, Some(Kind::FinAck)], end: None }
    }

    fn end(&mut self, end: End) -> Answer {
        self.state = State::Closed;
        Answer { frames: [None, None], end: Some(end) }
    }
}

fn send(kind: Kind) -> Answer {
    Answer { frames: [Some(kind), None], end: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(seq: u32, ack: u32, flags: Flags, payload: u32) -> Reply {
        Reply { tuple: Tuple::default(), seq, ack, flags, payload, timestamp: 0 }
    }

    fn talk(personality: Personality) -> Vec<(Kind, u32, u32)> {
        let mut conversation = Conversation::open(Tuple::default(), 1000);
        let mut said = vec![(Kind::Syn, conversation.say(Kind::Syn).seq, 0)];
        let replies = [
            reply(500, 1001, Flags::SYN.with(Flags::ACK), 0),
            reply(501, 1067, Flags::ACK.with(Flags::FIN), 122),
            reply(624, 1068, Flags::ACK, 0),
        ];
        let mut end = None;
        for segment in replies {
            let answer = conversation.receive(&segment, Script::Request(personality));
            for kind in answer.frames.into_iter().flatten() {
                let frame = conversation.say(kind);
                said.push((kind, frame.seq, frame.ack));
            }
            end = answer.end;
        }
        assert_eq!(end, Some(End::Complete));
        said
    }

    /// The frugal client needs three frames for a connection.
    #[test]
    fn the_frugal_client_sends_three_frames() {
        let expected = [(Kind::Syn, 1000, 0), (Kind::Get, 1001, 501), (Kind::FinAck, 1067, 624)];
        assert_eq!(talk(Personality::Min), expected);
    }

    /// The Linux-like client acknowledges the handshake and the response on their own.
    #[test]
    fn the_linux_client_sends_five_frames() {
        let expected = [
            (Kind::Syn, 1000, 0),
            (Kind::Ack, 1001, 501),
            (Kind::Get, 1001, 501),
            (Kind::Ack, 1067, 624),
            (Kind::FinAck, 1067, 624),
        ];
        assert_eq!(talk(Personality::Linux), expected);
    }

    /// A server that closes early is not counted as an answer.
    #[test]
    fn a_short_response_is_not_complete() {
        let mut conversation = Conversation::open(Tuple::default(), 1000);
        let script = Script::Request(Personality::Min);
        conversation.receive(&reply(500, 1001, Flags::SYN.with(Flags::ACK), 0), script);
        let answer =
            conversation.receive(&reply(501, 1067, Flags::ACK.with(Flags::FIN), 9), script);
        assert_eq!(answer.end, Some(End::Short));
    }
}
