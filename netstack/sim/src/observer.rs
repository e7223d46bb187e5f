//! An observer at every host's door: what the host says in TCP must agree with what it was sent.
//!
//! It keeps a few numbers for each end of each connection, from segments that really reached the
//! host and segments that really left it, and so needs to believe neither stack. A sequence number
//! is kept as its distance from the end's initial one.

mod pace;

use std::collections::HashMap;
use std::rc::Rc;

use penstock_wire::SeqNum;
use penstock_wire::icmp::{Message, Quote};
use penstock_wire::tcp::{Flags, Segment};

use crate::frame::{Flow, Inside, View, dissect, segment_text};
use crate::scene::{Check, Scene};
use penstock_fault::Rng;

use pace::Pace;

/// All ends that live on one host.
pub(crate) struct Observer {
    scene: Rc<Scene>,
    host: usize,
    ends: HashMap<Flow, End>,
    limits: Limits,
    pub(crate) resent: u64,
    /// Frames that reached the host though a checksum or a length in them is wrong.
    pub(crate) damaged: u64,
    /// Segments that reached over the edge of the window that the host had offered, and those with a FIN.
    pub(crate) beyond: (u64, u64),
}

/// A connection as a blind attacker with good luck would guess it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    /// In the direction of the attack.
    pub(crate) flow: Flow,
    /// A sequence number within the victim's window, and not the next one it expects.
    pub(crate) seq: SeqNum,
}

/// One end, as seen at its host's door. `Flow` is in the direction it sends.
#[derive(Default)]
struct End {
    /// Initial sequence number it sent.
    isn: Option<SeqNum>,
    /// SYNs without ACK that were delivered to it.
    syns: Vec<Syn>,
    /// Initial sequence number it was sent.
    remote_isn: Option<SeqNum>,
    scale: Option<u8>,
    remote_scale: Option<u8>,
    remote_mss: u64,
    /// End of what it has sent.
    sent_end: u64,
    fin_at: Option<u64>,
    /// End of what the other end acknowledged, as delivered here.
    acked: u64,
    /// Right edge of the window it was offered.
    offered_edge: u64,
    /// Right edge of the window it offers.
    own_edge: u64,
    own_ack: u64,
    /// End of the other end's FIN, once delivered: behind it a window means nothing.
    remote_fin: Option<u64>,
    /// What was delivered to it: disjoint, sorted `[from, to)`.
    delivered: Vec<(u64, u64)>,
    /// What was delivered to it more than once, likewise.
    again: Vec<(u64, u64)>,
    /// The last segment with content that repeated earlier content.
    repeat: Option<Repeat>,
    /// When a segment was last delivered to it.
    heard_us: u64,
    /// The latest segments with content that left.
    left: Vec<Left>,
    timestamp: Option<u32>,
    /// The latest timestamp it was sent.
    remote_timestamp: Option<u32>,
    is_reset: bool,
    heard_reset: bool,
    /// Segments heard that acknowledge no more than the SYN, but the first.
    duplicates: u64,
    /// It answered several SYNs.
    is_ambiguous: bool,
    /// What its IPv6 packets carry.
    flow_label: Option<u32>,
    pace: Pace,
}

/// What matters of a SYN.
#[derive(Clone, Copy)]
struct Syn {
    isn: SeqNum,
    scale: Option<u8>,
    mss: u64,
    window: u64,
}

/// A segment with content that left.
#[derive(Clone, Copy)]
struct Left {
    from: u64,
    to: u64,
    at_us: u64,
    /// It repeated another because of something heard: the timer runs since some time before.
    is_prompted: bool,
}

#[derive(Clone, Copy)]
struct Repeat {
    from: u64,
    at_us: u64,
    gap_us: u64,
}

impl Observer {
    pub(crate) fn new(scene: &Rc<Scene>, host: usize, limits: Limits) -> Observer {
        Observer {
            scene: Rc::clone(scene),
            host,
            ends: HashMap::new(),
            limits,
            resent: 0,
            damaged: 0,
            beyond: (0, 0),
        }
    }

    /// The host went down; its ends know nothing any more.
    pub(crate) fn forget(&mut self) {
        self.ends.clear();
        self.damaged = 0;
    }

    /// A guess at one of the host's connections that is nearly right.
    pub(crate) fn hint(&self, rng: &mut Rng) -> Option<Hint> {
        let is_open = |end: &&(&Flow, &End)| {
            !end.1.is_reset && end.1.own_ack > 0 && end.1.own_edge - end.1.own_ack > HINT_WINDOW_MIN
        };
        let mut open: Vec<(&Flow, &End)> = self.ends.iter().filter(|end| is_open(&end)).collect();
        // The order of a hash map is not the seed's.
        open.sort_by_key(|(flow, _)| **flow);
        if open.is_empty() {
            return None;
        }
        let (flow, end) = rng.pick(&open);
        let ahead = end.own_ack + (end.own_edge - end.own_ack) / 2 + rng.below(HINT_WINDOW_MIN / 4);
        Some(Hint { flow: flow.reversed(), seq: end.remote_isn? + ahead as u32 })
    }

    /// A frame was put into a ring of the host.
    pub(crate) fn delivered(&mut self, frame: &[u8]) {
        let view = match dissect(frame, true) {
            Ok(View { inside: Inside::Malformed(_), .. }) | Err(_) => {
                self.damaged += 1;
                return;
            }
            Ok(view) => view,
        };
        let now_us = self.scene.now_us();
        if let Inside::Icmp(Message::TooBig { quote, .. } | Message::Unreachable { quote, .. }) =
            view.inside
        {
            let Quote { src, src_port, dst, dst_port, .. } = quote;
            if let Some(end) = self.ends.get_mut(&Flow { src, src_port, dst, dst_port }) {
                end.heard_us = now_us;
            }
        }
        let Some((flow, segment)) = tcp_of(&view) else { return };
        let end = self.ends.entry(flow.reversed()).or_default();
        if end.reaches_beyond(&segment) {
            self.beyond.0 += 1;
            self.beyond.1 += u64::from(segment.flags.has(Flags::FIN));
        }
        end.hear(&segment, now_us);
    }

    /// A frame left the host.
    pub(crate) fn sent(&mut self, frame: &[u8], mtu: u16) {
        let text = match dissect(frame, true) {
            Err(malformed) => Some(format!("{malformed:?}")),
            Ok(View { inside: Inside::Malformed(malformed), .. }) => Some(format!("{malformed:?}")),
            Ok(view) => {
                if let Some((flow, segment)) = tcp_of(&view) {
                    self.segment_sent(flow, &segment);
                    self.label_sent(flow, frame);
                }
                let bytes =
                    view.ip.map_or(0, |ip| ip.header_bytes as usize + ip.payload_bytes as usize);
                (bytes > mtu as usize).then(|| format!("{bytes} bytes exceed the MTU of {mtu}"))
            }
        };
        if let Some(text) = text {
            let line = crate::frame::line(frame);
            self.scene.violate(Check::Frame, format!("host {} sent {line}: {text}", self.host));
        }
    }

    /// A flow has one label, so that its packets take one path (RFC 6437 section 2).
    fn label_sent(&mut self, flow: Flow, frame: &[u8]) {
        let Some(&[first, high, middle, low]) = frame.get(14..).and_then(<[u8]>::first_chunk)
        else {
            return;
        };
        if first >> 4 != 6 {
            return;
        }
        let label = u32::from_be_bytes([0, high & 15, middle, low]);
        let end = self.ends.entry(flow).or_default();
        let known = *end.flow_label.get_or_insert(label);
        if label == 0 || label != known {
            let text = format!("host {}, {flow}: label {label:#x} after {known:#x}", self.host);
            self.scene.violate(Check::Wire, text);
        }
    }

    fn segment_sent(&mut self, flow: Flow, segment: &Segment) {
        let now_us = self.scene.now_us();
        let end = self.ends.entry(flow).or_default();
        let repeated_before = end.repeat.map(|repeat| repeat.at_us);
        let verdict = end.say(segment, now_us, &self.limits);
        if end.repeat.map(|repeat| repeat.at_us) != repeated_before {
            self.resent += 1;
            let host = self.host;
            self.scene.tell(|| format!("host {host} repeats {}", segment_text(segment)));
        }
        if let Err(text) = verdict {
            let host = self.host;
            let sent = segment_text(segment);
            let text = format!("host {host}, {flow}: {sent}: {text}");
            self.scene.violate(Check::Wire, text);
        }
    }
}

/// What a host's configuration allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Lower bound of the retransmission timeout; 0 where segments may have to wait for a slot, so
    /// that what is seen leaving says nothing of timers.
    pub(crate) rto_min_us: u64,
    /// Segments of an initial window.
    pub(crate) initial_window: u64,
    /// Connections may begin without a record of their SYN.
    pub(crate) makes_cookies: bool,
}

fn tcp_of(view: &View) -> Option<(Flow, Segment)> {
    let (Some(packet), Inside::Tcp(segment)) = (view.ip, &view.inside) else { return None };
    let flow = Flow {
        src: packet.src,
        src_port: segment.src_port,
        dst: packet.dst,
        dst_port: segment.dst_port,
    };
    Some((flow, *segment))
}

impl End {
    /// Whether there is no room for the end of what a segment carries.
    fn reaches_beyond(&self, segment: &Segment) -> bool {
        let Some(remote_isn) = self.remote_isn else { return false };
        let from = distance(segment.seq, remote_isn);
        let is_known = from < FAR && self.own_edge > 0 && !segment.flags.has(Flags::SYN);
        is_known && segment.payload_bytes > 0 && from + u64::from(segment.len()) > self.own_edge
    }

    /// A segment reached this end.
    fn hear(&mut self, segment: &Segment, now_us: u64) {
        self.heard_us = now_us;
        self.pace.hear(segment, now_us);
        self.heard_reset |= segment.flags.has(Flags::RST);
        if let Some(timestamps) = segment.options.timestamps {
            let is_later = |latest| (timestamps.value.wrapping_sub(latest) as i32) > 0;
            if self.remote_timestamp.is_none_or(is_later) {
                self.remote_timestamp = Some(timestamps.value);
            }
        }
        if segment.flags.has(Flags::SYN) {
            let syn = Syn {
                isn: segment.seq,
                scale: segment.options.window_scale.map(|scale| scale.min(14)),
                mss: segment.options.mss as u64,
                window: segment.window as u64,
            };
            let answers = self.isn.is_some_and(|isn| segment.ack == isn + 1);
            if !segment.flags.has(Flags::ACK) {
                // It counts once this end answers it. Two at once make two handshakes.
                let is_other = self.remote_isn.is_some_and(|isn| isn != syn.isn);
                self.is_ambiguous |= is_other && self.own_ack <= 1;
                self.syns.retain(|heard| heard.isn != syn.isn);
                self.syns.push(syn);
            } else if answers && self.remote_isn.is_none() {
                self.adopt(syn);
            }
        }
        let Some(remote_isn) = self.remote_isn else { return };
        let from = distance(segment.seq, remote_isn);
        let to = from.wrapping_add(segment.len() as u64);
        if to > from && to < FAR && !segment.flags.has(Flags::SYN) {
            for range in &self.delivered {
                let (from, to) = (from.max(range.0), to.min(range.1));
                if from < to {
                    add_range(&mut self.again, from, to);
                }
            }
            add_range(&mut self.delivered, from, to);
            if segment.flags.has(Flags::FIN) {
                self.remote_fin = Some(to);
            }
        }
        if let (true, Some(isn)) = (segment.flags.has(Flags::ACK), self.isn) {
            let acked = distance(segment.ack, isn);
            self.duplicates += (acked == 1 && self.acked == 1) as u64;
            if acked <= self.sent_end {
                self.acked = self.acked.max(acked);
                let scale = self.scale_in(segment);
                self.offered_edge =
                    self.offered_edge.max(acked + ((segment.window as u64) << scale));
            }
        }
    }

    /// The other end's SYN is the one this connection goes on with.
    fn adopt(&mut self, syn: Syn) {
        self.remote_isn = Some(syn.isn);
        self.remote_scale = syn.scale;
        self.remote_mss = syn.mss;
        self.delivered = vec![(0, 1)];
        self.again.clear();
        self.remote_fin = None;
        self.own_ack = 0;
        self.own_edge = 0;
        self.offered_edge = self.offered_edge.max(syn.window);
    }

    /// The scale of a window that this end was sent.
    fn scale_in(&self, segment: &Segment) -> u8 {
        match (segment.flags.has(Flags::SYN), self.scale, self.remote_scale) {
            (false, Some(_), Some(scale)) => scale,
            _ => 0,
        }
    }

    /// A segment left this end.
    fn say(&mut self, segment: &Segment, now_us: u64, limits: &Limits) -> Result<(), String> {
        self.pace.say(segment, now_us)?;
        if segment.flags.has(Flags::RST) {
            self.is_reset = true;
            return Ok(());
        }
        if segment.flags.has(Flags::SYN) {
            let mut heard_before = None;
            // A cookie may answer a late SYN just as it answered the first.
            let is_begun = segment.flags.has(Flags::ACK) && self.own_ack > 1;
            if self.isn != Some(segment.seq) || is_begun {
                // A new connection between these ends, or a new answer to a SYN (a cookie).
                // Two handshakes at once: what comes next may belong to either.
                let is_ambiguous = segment.flags.has(Flags::ACK)
                    && (self.is_ambiguous || self.isn.is_some() && self.own_ack <= 1);
                let End { ref mut syns, ref mut delivered, remote_isn, pace, .. } = *self;
                let (syns, delivered) = (std::mem::take(syns), std::mem::take(delivered));
                heard_before = remote_isn.zip(Some(delivered));
                *self = End { syns, heard_us: now_us, is_ambiguous, pace, ..End::default() };
                self.isn = Some(segment.seq);
                self.scale = segment.options.window_scale;
            }
            let answered = segment.ack - 1;
            if segment.flags.has(Flags::ACK) && self.remote_isn != Some(answered) {
                let Some(&syn) = self.syns.iter().find(|syn| syn.isn == answered) else {
                    return Err("answers a SYN that was not delivered".into());
                };
                self.adopt(syn);
                // The same SYN again, and what follows it may have come before it was answered.
                if let Some((_, delivered)) = heard_before.filter(|(isn, _)| *isn == answered) {
                    self.delivered = delivered;
                }
            }
        }
        if self.isn.is_none() || self.is_reset || self.is_ambiguous {
            // A segment for a connection that is gone, or that began before the observer did.
            return Ok(());
        }
        let checked = self.check_acknowledgement(segment, limits.makes_cookies);
        let content = self.check_content(segment, now_us, limits);
        checked.and(content).and(self.check_timestamp(segment))
    }

    fn check_acknowledgement(&mut self, segment: &Segment, may_return: bool) -> Result<(), String> {
        let (true, Some(remote_isn)) = (segment.flags.has(Flags::ACK), self.remote_isn) else {
            return Ok(());
        };
        if self.syns.iter().any(|syn| syn.isn != remote_isn && syn.isn + 1 == segment.ack) {
            // It speaks of another SYN than the one this connection began with.
            return Ok(());
        }
        let ack = distance(segment.ack, remote_isn);
        let is_over = self.remote_fin.is_some_and(|fin| self.own_ack >= fin);
        let is_before = ack < self.own_ack || ack >= FAR;
        if is_before && (is_over || self.heard_reset) && may_return {
            // An old segment met a cookie: a ghost of the connection, or of one before it.
            self.is_ambiguous = true;
            return Ok(());
        }
        let heard_end = match self.delivered.first() {
            Some(&(0, to)) => to,
            _ => 0,
        };
        if ack > heard_end {
            return Err(format!("acknowledges {ack}, but only {heard_end} were delivered"));
        }
        let is_scaled = !segment.flags.has(Flags::SYN) && self.remote_scale.is_some();
        let scale = if is_scaled { self.scale.unwrap_or(0) } else { 0 };
        let edge = ack + ((segment.window as u64) << scale);
        if ack < self.own_ack {
            return Err(format!("acknowledges {ack} after {}", self.own_ack));
        }
        let is_over = self.remote_fin.is_some_and(|fin| ack >= fin);
        // A SYN's window is not scaled, so one that is repeated may say a little less.
        let is_syn = segment.flags.has(Flags::SYN);
        if edge < self.own_edge && !is_over && !is_syn {
            return Err(format!("shrinks its window from {} to {edge}", self.own_edge));
        }
        self.own_ack = ack;
        self.own_edge = self.own_edge.max(edge);
        for (number, (from, to)) in segment.options.sack.iter().enumerate() {
            let (from, to) = (distance(from, remote_isn), distance(to, remote_isn));
            // What came twice may be told in the first block, below the acknowledgement too.
            let is_told = number == 0 && is_within(&self.again, from, to);
            if !is_within(&self.delivered, from, to) || from < ack && !is_told {
                let delivered = &self.delivered;
                return Err(format!("SACK {from}..{to} beyond {ack} of {delivered:?}"));
            }
        }
        Ok(())
    }

    fn check_content(
        &mut self,
        segment: &Segment,
        now_us: u64,
        limits: &Limits,
    ) -> Result<(), String> {
        let Some(isn) = self.isn else { return Ok(()) };
        let from = distance(segment.seq, isn);
        let length = segment.len() as u64;
        let to = from + length;
        if from >= FAR {
            // A keep-alive stands one before.
            return if length <= 1 { Ok(()) } else { Err(format!("sends {from}..{to}")) };
        }
        if length == 0 {
            return Ok(());
        }
        if let Some(fin_at) = self.fin_at
            && to > fin_at
        {
            return Err(format!("sends up to {to} behind its FIN at {fin_at}"));
        }
        if segment.flags.has(Flags::FIN) {
            self.fin_at = Some(to);
        }
        let mss = if self.remote_mss == 0 { MSS_DEFAULT } else { self.remote_mss };
        if segment.payload_bytes as u64 > mss {
            return Err(format!("{} bytes exceed the MSS of {mss}", segment.payload_bytes));
        }
        let is_probe = segment.payload_bytes <= 1;
        if to > self.offered_edge + fin_and_syn(segment) && !is_probe && self.acked > 0 {
            return Err(format!("sends up to {to} beyond the offered {}", self.offered_edge));
        }
        let first_flight = (limits.initial_window * mss).max(2 * mss);
        // Duplicates add to it (RFC 3042, RFC 6582), so only what follows none is judged.
        if self.acked <= 1 && to > first_flight + 2 && self.duplicates == 0 {
            return Err(format!("sends {to} in its first flight of {first_flight}"));
        }
        let repeated_bytes = to.min(self.sent_end).saturating_sub(from);
        self.pace.content(length - repeated_bytes, repeated_bytes, now_us)?;
        let earlier = self.left.iter().rev().find(|left| left.from == from).copied();
        let repeated = self.check_repeat(from, to, now_us, limits, earlier);
        let is_prompted = earlier.is_some_and(|left| self.heard_us + NOTICED_US >= left.at_us);
        self.note_left(Left { from, to, at_us: now_us, is_prompted });
        self.sent_end = self.sent_end.max(to);
        repeated
    }

    /// Content is sent again only because of something heard, or after a timeout that grows.
    fn check_repeat(
        &mut self,
        from: u64,
        to: u64,
        now_us: u64,
        limits: &Limits,
        earlier: Option<Left>,
    ) -> Result<(), String> {
        if from >= self.sent_end || to <= self.acked {
            return Ok(());
        }
        let Some(Left { to: left_to, at_us: left_us, is_prompted, .. }) = earlier else {
            return Ok(());
        };
        if from > 0 && (to - from == 1 || left_to - from == 1) {
            // A probe of a shut window, or what follows one.
            return Ok(());
        }
        let gap_us = now_us - left_us;
        let before = self.repeat.replace(Repeat { from, at_us: now_us, gap_us });
        if is_prompted || self.heard_us + NOTICED_US >= left_us || limits.rto_min_us == 0 {
            return Ok(());
        }
        // Silence since it left: only a timeout explains it. (The timer of a SYN-ACK goes on though
        // a repeated SYN was answered meanwhile.)
        if from > 0 && gap_us + TIMER_SLACK_US < limits.rto_min_us {
            return Err(format!("repeats {from} after {gap_us} µs of silence"));
        }
        if let Some(before) = before
            && before.from == from
            && before.at_us == left_us
            && self.heard_us < before.at_us - before.gap_us
            && gap_us + gap_us / 8 + TIMER_SLACK_US < before.gap_us
        {
            let earlier = before.gap_us;
            return Err(format!("repeats {from} after {gap_us} µs, before after {earlier}"));
        }
        Ok(())
    }

    fn note_left(&mut self, sent: Left) {
        let acked = self.acked;
        self.left.retain(|left| left.from != sent.from && left.from >= acked);
        self.left.push(sent);
    }

    fn check_timestamp(&mut self, segment: &Segment) -> Result<(), String> {
        let Some(timestamps) = segment.options.timestamps else { return Ok(()) };
        let before = self.timestamp.replace(timestamps.value);
        match before {
            Some(before) if (timestamps.value.wrapping_sub(before) as i32) < 0 => {
                Err(format!("timestamp {} after {before}", timestamps.value))
            }
            _ => Ok(()),
        }
    }
}

/// FIN and SYN take sequence numbers but no window that anyone minds here.
fn fin_and_syn(segment: &Segment) -> u64 {
    segment.len() as u64 - segment.payload_bytes as u64
}

/// From `isn` to `seq`; beyond [`FAR`] it lies before.
fn distance(seq: SeqNum, isn: SeqNum) -> u64 {
    (seq - isn) as u64
}

/// Whether `[from, to)` is something, and lies in one of the ranges.
fn is_within(ranges: &[(u64, u64)], from: u64, to: u64) -> bool {
    from < to && ranges.iter().any(|range| range.0 <= from && to <= range.1)
}

/// Adds `[from, to)` to disjoint sorted ranges.
fn add_range(ranges: &mut Vec<(u64, u64)>, from: u64, to: u64) {
    let first = ranges.partition_point(|range| range.1 < from);
    let last = ranges.partition_point(|range| range.0 <= to);
    let joined = ranges[first..last]
        .iter()
        .fold((from, to), |joined, range| (joined.0.min(range.0), joined.1.max(range.1)));
    ranges.splice(first..last, [joined]);
}

/// No world sends this much on one connection, so a larger distance is a negative one.
const FAR: u64 = 1 << 31;
/// RFC 9293 section 3.7.1, for IPv4; larger than for none.
const MSS_DEFAULT: u64 = 1220;
/// A segment in a ring may be noticed this much later.
const NOTICED_US: u64 = 3_000;
/// A hint stays clear of what is on its way.
const HINT_WINDOW_MIN: u64 = 10_000;
/// Timers have a granularity.
const TIMER_SLACK_US: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::add_range;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Vec::new();
        for (from, to) in [(10, 20), (30, 40), (0, 5), (20, 25), (24, 30)] {
            add_range(&mut ranges, from, to);
        }
        assert_eq!(ranges, [(0, 5), (10, 40)]);
        add_range(&mut ranges, 1, 50);
        assert_eq!(ranges, [(0, 50)]);
    }
}
