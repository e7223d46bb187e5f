//! A script, step by step, against a worker.

use std::fmt::{self, Write};

use penstock_wire::icmp::Outgoing;
use penstock_wire::{ethernet, ip, tcp};

use super::parse::PEERS_MAX;
use super::player::{PEER_PORT, stream_byte};
use super::script::{Act, Complaint, Fact, Peer, Script, Step, Table, Trouble, When};
use super::segment::{ACK, Number, PSH, RST, SYN, Segment, TcpOption};
use super::stage::{self, Stage, address};
use crate::frame::{Frame, dissect};

/// How far from its time a segment may be sent: timers tick in milliseconds, and round up.
const TOLERANCE_US: u64 = 2_000;
/// How long `*` waits.
const WHENEVER_US: u64 = 3_600_000_000;
/// Segments that are acknowledged at once at the start of a connection.
const QUICK_ACKS: u32 = 16;
/// The first sequence number of every peer.
const PEER_ISN: u32 = u32::MAX - 511;

/// A step that did not go as the script says.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its line.
    pub line: u32,
    /// What went wrong.
    pub what: String,
    /// Everything that happened until then.
    pub transcript: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}line {}: {}", self.transcript, self.line, self.what)
    }
}

impl std::error::Error for Failure {}

impl Script {
    /// Whether the script is about a family: 0 is IPv4, 1 is IPv6.
    pub fn is_about(&self, family: usize) -> bool {
        self.families.get(family).is_some_and(|&runs| runs)
    }

    /// Runs the script over a family, and returns the transcript.
    ///
    /// # Errors
    /// The first step that did not go as written.
    pub fn run(&self, family: usize) -> Result<String, Failure> {
        let mut transcript = String::new();
        let fail = |line, what, transcript| Failure { line, what, transcript };
        let stage = match Stage::new(&self.setting, family) {
            Ok(stage) => stage,
            Err(what) => return Err(fail(1, what, transcript)),
        };
        let mut run = Run {
            stage,
            family,
            wires: vec![Wire::new(); PEERS_MAX as usize + 1],
            own_mss: self.setting.mtu as u32 - [40, 60][family],
            first_port: self.setting.listens.first().copied().unwrap_or(80),
            at: 0,
        };
        for step in &self.steps {
            let outcome = run.step(step);
            let seconds = run.stage.now as f64 / 1e6;
            let _ = writeln!(transcript, "{:5} {seconds:11.6}  {}", step.line, step.text);
            match outcome {
                Ok(Some(seen)) => {
                    let _ = writeln!(transcript, "{:17}  = {seen}", "");
                }
                Ok(None) => {}
                Err(what) => return Err(fail(step.line, what, transcript)),
            }
        }
        match run.unexpected() {
            Some(what) => {
                Err(fail(self.steps.last().map_or(1, |step| step.line), what, transcript))
            }
            None => Ok(transcript),
        }
    }
}

/// A script under way.
struct Run {
    stage: Stage,
    family: usize,
    wires: Vec<Wire>,
    own_mss: u32,
    first_port: u16,
    /// When the last step happened.
    at: u64,
}

/// What a peer knows of its connection.
#[derive(Clone, Debug)]
struct Wire {
    peer_isn: u32,
    /// Ours, once a SYN of ours was seen.
    own_isn: Option<u32>,
    local_port: Option<u16>,
    window: u16,
    /// Our timestamps minus the script's milliseconds.
    stamp_base: Option<u32>,
    stamp_last: u32,
    /// The peer's last timestamp.
    peer_stamp: Option<u32>,
    /// The last packet of ours, from the IP header on.
    last: Vec<u8>,
}

impl Wire {
    fn new() -> Wire {
        Wire {
            peer_isn: PEER_ISN,
            own_isn: None,
            local_port: None,
            window: u16::MAX,
            stamp_base: None,
            stamp_last: 0,
            peer_stamp: None,
            last: Vec::new(),
        }
    }
}

impl Run {
    /// Does a step; returns what was seen, if that says more than the step itself.
    fn step(&mut self, step: &Step) -> Result<Option<String>, String> {
        let due = match step.when {
            When::After(micros) => self.at + micros,
            When::At(micros) if micros >= self.at => micros,
            When::At(_) => return Err("its time has passed".into()),
            When::Whenever => self.at + WHENEVER_US,
        };
        let peer = step.peer.number;
        if let Act::Expect(expected) = &step.act {
            return self.expect(step, expected, due).map(Some);
        }
        if step.when == When::Whenever {
            self.at = self.stage.now;
        } else {
            self.stage.advance(due, false)?;
            self.at = due;
        }
        // Whoever only looks may do so before the segments sent at the same time are expected.
        let acts = matches!(
            step.act,
            Act::Inject(..)
                | Act::Complain(_)
                | Act::Downcall(_)
                | Act::Fresh(_)
                | Act::Quick
                | Act::Nothing
        );
        if acts && let Some(what) = self.unexpected() {
            return Err(what);
        }
        match &step.act {
            Act::Expect(_) | Act::Nothing => {}
            Act::Inject(segment, oddity) => {
                let mut frame = self.frame(step.peer, segment);
                if let Some(oddity) = oddity {
                    oddity.apply(&mut frame, self.family);
                }
                self.stage.inject(frame)?;
            }
            Act::Complain(complaint) => {
                let frame = self.complaint(peer, complaint)?;
                self.stage.inject(frame)?;
            }
            &Act::Downcall(downcall) => {
                self.stage.with(|player, cx| player.call(cx, peer, downcall))?;
                self.stage.advance(self.stage.now, false)?;
            }
            Act::Quick => self.quick(step.peer)?,
            &Act::Within(kind, downcall) => self.stage.player().plan(peer, kind, downcall),
            &Act::Upcall(upcall) => self.stage.player().hear(peer, upcall)?,
            Act::NoUpcall => self.stage.player().hear_nothing()?,
            Act::Count(name, expected) => equal(name, self.stage.count(name), *expected)?,
            Act::State(expected) => {
                let conn = self.stage.player().conn(peer);
                let state = conn.and_then(|conn| self.stage.info(conn)).map(|info| info.state);
                if state != *expected {
                    return Err(
                        state.map_or("it is gone".into(), |state| format!("it is {state:?}"))
                    );
                }
            }
            Act::Census(pairs) => self.check_census(pairs)?,
            Act::Info(pairs) => self.check_info(peer, pairs)?,
            &Act::Fresh(ahead) => {
                let wire = &mut self.wires[peer as usize];
                let peer_isn = wire.peer_isn.wrapping_add(ahead);
                *wire = Wire { peer_isn, local_port: wire.local_port, ..Wire::new() };
                self.stage.player().renew(peer);
            }
        }
        Ok(None)
    }

    /// Uses up the acknowledgements that are not delayed: bytes 1 to [`QUICK_ACKS`], one by one.
    fn quick(&mut self, peer: Peer) -> Result<(), String> {
        for seq in 1..=QUICK_ACKS {
            let stamps = self.wires[peer.number as usize].peer_stamp.map(|value| {
                TcpOption::Timestamps { value: Number::Exact(value), echo: Number::Own }
            });
            let segment = Segment {
                flags: ACK,
                seq,
                payload_bytes: 1,
                ack: Some(1),
                options: Some(stamps.into_iter().collect()),
                ..Segment::default()
            };
            let frame = self.frame(peer, &segment);
            self.stage.inject(frame)?;
            let Some((at, frame)) = self.stage.sent.pop_front() else {
                return Err(format!("byte {seq} was not acknowledged at once"));
            };
            self.read(&frame, at)?;
        }
        Ok(())
    }

    /// A segment of ours must be sent now.
    fn expect(&mut self, step: &Step, expected: &Segment, due: u64) -> Result<String, String> {
        self.stage.advance(due + TOLERANCE_US, true)?;
        let Some((at, frame)) = self.stage.sent.pop_front() else {
            return Err("nothing was sent".into());
        };
        let (peer, seen) = self.read(&frame, at)?;
        self.at = at;
        let seen_text = format!("[{peer}] {seen}");
        if step.when != When::Whenever && at + TOLERANCE_US < due {
            let early = (due - at) as f64 / 1e6;
            return Err(format!("sent {early:.3} s early: {seen_text}"));
        }
        if peer != step.peer.number {
            return Err(format!("sent to another peer: {seen_text}"));
        }
        match self.difference(expected, &seen) {
            Some(what) => Err(format!("not the expected {what}: {seen_text}")),
            None => Ok(seen.to_string()),
        }
    }

    /// What was sent though no step says so.
    fn unexpected(&mut self) -> Option<String> {
        let (at, frame) = self.stage.sent.pop_front()?;
        let seconds = at as f64 / 1e6;
        Some(match self.read(&frame, at) {
            Ok((peer, seen)) => format!("sent unexpectedly at {seconds:.6}: [{peer}] {seen}"),
            Err(what) => what,
        })
    }

    /// A frame of ours as the script would write it, and to which peer.
    fn read(&mut self, frame: &Frame, at: u64) -> Result<(u16, Segment), String> {
        let other = || format!("sent, and not TCP: {}", crate::frame::line(frame));
        let view = dissect(frame, true).map_err(|why| format!("it sent rubbish: {why:?}"))?;
        let packet = view.ip.filter(|packet| packet.protocol == ip::TCP).ok_or_else(other)?;
        let bytes = &frame[ethernet::HEADER_BYTES..];
        let inside = packet.payload(bytes);
        let (mut segment, payload) = Segment::parse(inside).ok_or_else(other)?;
        let port = u16::from_be_bytes([inside[2], inside[3]]);
        let peer = port.checked_sub(PEER_PORT).filter(|&peer| (peer as usize) < self.wires.len());
        let peer = peer.ok_or_else(other)?;
        let wire = &mut self.wires[peer as usize];
        wire.last = bytes.to_vec();
        wire.local_port = Some(u16::from_be_bytes([inside[0], inside[1]]));
        if segment.has(SYN) && wire.own_isn.is_none() {
            wire.own_isn = Some(segment.seq);
        }
        // A RST that answers a segment without ACK has the number 0, whoever it is for.
        if !(segment.has(RST) && segment.has(ACK) && segment.seq == 0) {
            segment.seq = segment.seq.wrapping_sub(wire.own_isn.unwrap_or(0));
        }
        segment.ack = segment.ack.map(|ack| ack.wrapping_sub(wire.peer_isn));
        for option in segment.options.iter_mut().flatten() {
            match option {
                TcpOption::Sack(blocks) => {
                    for (from, to) in blocks {
                        *from = from.wrapping_sub(wire.peer_isn);
                        *to = to.wrapping_sub(wire.peer_isn);
                    }
                }
                TcpOption::Timestamps { value: Number::Exact(value), .. } => {
                    wire.stamp_last = *value;
                    let base =
                        *wire.stamp_base.get_or_insert(value.wrapping_sub((at / 1000) as u32));
                    *value = value.wrapping_sub(base);
                }
                _ => {}
            }
        }
        let first = segment.seq.wrapping_add(segment.has(SYN) as u32).wrapping_sub(1);
        let is_ours = |(position, &byte): (u32, &u8)| byte == stream_byte(position);
        if !(0u32..).map(|at| first.wrapping_add(at)).zip(payload).all(is_ours) {
            return Err(format!("the payload is not what was given to send: {segment}"));
        }
        Ok((peer, segment))
    }

    /// The first thing in which a segment is not as expected.
    fn difference(&self, expected: &Segment, seen: &Segment) -> Option<&'static str> {
        let pushed = if expected.has(PSH) { 0 } else { PSH };
        if (expected.flags ^ seen.flags) & !pushed != 0 {
            return Some("flags");
        }
        if expected.seq != seen.seq {
            return Some("sequence number");
        }
        if expected.payload_bytes != seen.payload_bytes {
            return Some("length");
        }
        if expected.ack != seen.ack {
            return Some("acknowledgement");
        }
        if expected.window.is_some() && expected.window != seen.window {
            return Some("window");
        }
        if expected.urgent != seen.urgent {
            return Some("urgent pointer");
        }
        let (Some(wanted), Some(options)) = (&expected.options, &seen.options) else { return None };
        let alike = wanted.len() == options.len()
            && wanted.iter().zip(options).all(|(wanted, option)| self.is_alike(wanted, option));
        if alike { None } else { Some("options") }
    }

    fn is_alike(&self, wanted: &TcpOption, seen: &TcpOption) -> bool {
        let number = |wanted: Number, seen: Number, slack: u32| match (wanted, seen) {
            (Number::Any, _) => true,
            (Number::Own, Number::Exact(seen)) => seen == self.own_mss,
            (Number::Exact(wanted), Number::Exact(seen)) => wanted.abs_diff(seen) <= slack,
            (Number::Own | Number::Exact(_), Number::Any | Number::Own) => false,
        };
        match (wanted, seen) {
            (TcpOption::Mss(wanted), TcpOption::Mss(seen)) => number(*wanted, *seen, 0),
            (
                TcpOption::Timestamps { value, echo },
                TcpOption::Timestamps { value: seen, echo: seen_echo },
            ) => number(*value, *seen, 2) && number(*echo, *seen_echo, 0),
            (wanted, seen) => wanted == seen,
        }
    }

    /// A peer's segment as a frame.
    fn frame(&mut self, peer: Peer, segment: &Segment) -> Frame {
        let wire = &mut self.wires[peer.number as usize];
        if peer.local_port.is_some() {
            wire.local_port = peer.local_port;
        }
        let local_port = wire.local_port.unwrap_or(self.first_port);
        wire.window = segment.window.unwrap_or(wire.window);
        let own_isn = wire.own_isn.unwrap_or(0);
        let mut absolute = segment.clone();
        absolute.seq = segment.seq.wrapping_add(wire.peer_isn);
        absolute.ack = segment.ack.map(|ack| ack.wrapping_add(own_isn));
        absolute.window = Some(wire.window);
        for option in absolute.options.iter_mut().flatten() {
            match option {
                TcpOption::Sack(blocks) => {
                    for (from, to) in blocks {
                        *from = from.wrapping_add(own_isn);
                        *to = to.wrapping_add(own_isn);
                    }
                }
                TcpOption::Timestamps { value, echo } => {
                    if let Number::Exact(value) = value {
                        wire.peer_stamp = Some(*value);
                    }
                    *echo = Number::Exact(match *echo {
                        Number::Exact(number) if segment.has(ACK) => {
                            number.wrapping_add(wire.stamp_base.unwrap_or(0))
                        }
                        Number::Exact(number) => number,
                        Number::Own | Number::Any => wire.stamp_last,
                    });
                }
                _ => {}
            }
        }
        let first = segment.seq.wrapping_add(segment.has(SYN) as u32).wrapping_sub(1);
        let mut bytes = Vec::new();
        absolute.emit(&mut bytes, (PEER_PORT + peer.number, local_port));
        bytes.extend((0..segment.payload_bytes).map(|at| stream_byte(first.wrapping_add(at))));
        let (src, dst) = (address(self.family, 1), address(self.family, 0));
        tcp::fill_checksum(&mut bytes, src, dst, penstock_wire::checksum::Sum::ZERO, 0);
        stage::packet(self.family, ip::TCP, &bytes)
    }

    /// An ICMP error about the last packet to a peer, as if it had had another sequence number.
    fn complaint(&self, peer: u16, complaint: &Complaint) -> Result<Frame, String> {
        let wire = &self.wires[peer as usize];
        let mut offending = wire.last.clone();
        let at = [ip::V4_HEADER_BYTES, ip::V6_HEADER_BYTES][self.family] + 4;
        let Some(field) = offending.get_mut(at..at + 4) else {
            return Err("nothing was sent that could be complained of".into());
        };
        let seq = complaint.seq.wrapping_add(wire.own_isn.unwrap_or(0));
        field.copy_from_slice(&seq.to_be_bytes());
        let offending = offending.as_slice();
        let unreachable =
            |codes: [u8; 2]| Outgoing::Unreachable { code: codes[self.family], offending };
        let message = match complaint.trouble {
            Trouble::TooBig(mtu) => Outgoing::TooBig { mtu, offending },
            Trouble::Host => unreachable([1, 3]),
            Trouble::Port => unreachable([3, 4]),
            Trouble::Prohibited => unreachable([13, 1]),
            Trouble::TimeExceeded => Outgoing::TimeExceeded { code: 0, offending },
        };
        Ok(stage::control(self.family, &message))
    }

    fn check_census(&self, pairs: &[(Table, u32)]) -> Result<(), String> {
        let census = self.stage.census();
        for &(table, expected) in pairs {
            let count = match table {
                Table::Connections => census.connections,
                Table::HalfOpen => census.half_open,
                Table::TimeWait => census.time_wait,
                Table::Flights => census.flights,
                Table::Timers => census.timers,
                Table::Chunks => census.chunks - census.chunks_free,
            };
            equal(&format!("{table:?}"), count as u64, expected as u64)?;
        }
        Ok(())
    }

    fn check_info(&mut self, peer: u16, pairs: &[(Fact, u64)]) -> Result<(), String> {
        let conn = self.stage.player().conn(peer);
        let info = conn.and_then(|conn| self.stage.info(conn)).ok_or("the connection is gone")?;
        for &(fact, expected) in pairs {
            let number = match fact {
                Fact::RttUs => info.rtt_us,
                Fact::RttvarUs => info.rttvar_us,
                Fact::RtoMs => info.rto_ms,
                Fact::Cwnd => info.cwnd,
                Fact::Ssthresh => info.ssthresh,
                Fact::Mss => info.mss as u32,
                Fact::SendWindow => info.send_window,
                Fact::ReceiveWindow => info.receive_window,
                Fact::Unacknowledged => info.unacknowledged,
                Fact::Sacked => info.sacked,
                Fact::Lost => info.lost,
                Fact::Resent => info.resent,
                Fact::Queued => info.queued,
                Fact::Unread => info.unread,
                Fact::Retransmits => info.retransmits as u32,
                Fact::Timestamps => info.timestamps as u32,
                Fact::Sack => info.sack as u32,
            };
            equal(&format!("{fact:?}"), number as u64, expected)?;
        }
        Ok(())
    }
}

fn equal(what: &str, seen: u64, expected: u64) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what} is {seen}, not {expected}")) }
}
