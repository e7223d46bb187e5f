//! From text to a [`Script`].

use penstock_stack::{Close, Drop, Duration, Event, SocketOptions, State};

use super::config;
use super::cursor::{Cursor, Read, SyntaxError};
use super::oddity::Oddity;
use super::script::{
    Act, Complaint, Downcall, Fact, Kind, Peer, Script, Setting, Step, Table, Trouble, Upcall, When,
};
use super::segment::{ACK, FIN, FLAG_LETTERS, Number, SYN, Segment, TcpOption};

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first place that is not understood, with what was expected there.
    pub fn parse(text: &str) -> Result<Script, SyntaxError> {
        let mut script =
            Script { setting: Setting::default(), steps: Vec::new(), families: [true; 2] };
        for (number, line) in (1u32..).zip(text.lines()) {
            let code = without_comment(line);
            let mut cursor = Cursor::new(code, number);
            if cursor.is_done() {
                continue;
            }
            cursor.space();
            if code.trim_start().starts_with(|c: char| c.is_ascii_alphabetic()) {
                directive(&mut cursor, &mut script)?;
            } else {
                let step = step(&mut cursor, number, code, &script.setting)?;
                script.steps.push(step);
            }
            cursor.done()?;
        }
        Ok(script)
    }
}

/// The line up to a `#` at its beginning or behind white space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

/// A line without a time: what holds from the beginning.
fn directive(cursor: &mut Cursor<'_>, script: &mut Script) -> Read<()> {
    let start = *cursor;
    if !script.steps.is_empty() {
        return start.error("a time: config, listen and only stand before the first step");
    }
    match cursor.word("config, listen, only or a time")? {
        "config" => config::settings(cursor, &mut script.setting),
        "listen" => {
            script.setting.listens.push(cursor.number("a port", u16::MAX as u64)? as u16);
            Ok(())
        }
        "only" => {
            script.families =
                cursor.one_of("a family", &[("v4", [true, false]), ("v6", [false, true])])?;
            Ok(())
        }
        _ => start.error("config, listen, only or a time"),
    }
}

fn step(cursor: &mut Cursor<'_>, line: u32, code: &str, setting: &Setting) -> Read<Step> {
    let when = when(cursor)?;
    if !cursor.space() {
        return cursor.error("a space");
    }
    let peer = peer(cursor)?;
    let act = act(cursor, setting)?;
    if when == When::Whenever && !matches!(act, Act::Expect(_) | Act::Upcall(_)) {
        return cursor.error("'>' or 'upcall' behind '*'");
    }
    Ok(Step { line, text: code.trim().to_owned(), when, peer, act })
}

fn when(cursor: &mut Cursor<'_>) -> Read<When> {
    if cursor.eat("*") {
        return Ok(When::Whenever);
    }
    let expected = "a time ('+0.2', '1.5' or '*') or a directive";
    if cursor.eat("+") {
        return Ok(When::After(cursor.seconds(expected)?));
    }
    Ok(When::At(cursor.seconds(expected)?))
}

/// `[2]` or `[2:81]`: peer 2 (talking to local port 81).
fn peer(cursor: &mut Cursor<'_>) -> Read<Peer> {
    if !cursor.eat("[") {
        return Ok(Peer { number: 1, local_port: None });
    }
    let number = cursor.number("the number of a peer", PEERS_MAX)? as u16;
    if number == 0 {
        return cursor.error("the number of a peer, from 1");
    }
    let local_port = match cursor.eat(":") {
        true => Some(cursor.number("a local port", u16::MAX as u64)? as u16),
        false => None,
    };
    cursor.expect("]")?;
    cursor.space();
    Ok(Peer { number, local_port })
}

fn act(cursor: &mut Cursor<'_>, setting: &Setting) -> Read<Act> {
    if cursor.eat("<") {
        if cursor.eat_word("icmp") {
            return complaint(cursor).map(Act::Complain);
        }
        let segment = segment(cursor)?;
        let is_odd = cursor.eat_word("with");
        let oddity = if is_odd { Some(cursor.one_of("an oddity", ODDITIES)?) } else { None };
        return Ok(Act::Inject(segment, oddity));
    }
    if cursor.eat(">") {
        return segment(cursor).map(Act::Expect);
    }
    let start = *cursor;
    let verbs =
        "'<', '>', app, within, upcall, none, drop, event, state, census, info, fresh or quick";
    Ok(match cursor.word(verbs)? {
        "app" => Act::Downcall(downcall(cursor, setting)?),
        "within" => {
            let kind = cursor.one_of("a kind of upcall", KINDS)?;
            Act::Within(kind, downcall(cursor, setting)?)
        }
        "upcall" if cursor.eat_word("none") => Act::NoUpcall,
        "upcall" => Act::Upcall(upcall(cursor)?),
        "none" => Act::Nothing,
        "drop" => count(cursor, "a reason to drop", Drop::ALL.iter().map(|d| format!("{d:?}")))?,
        "event" => count(cursor, "an event", Event::ALL.iter().map(|e| format!("{e:?}")))?,
        "state" => Act::State(cursor.one_of("a state", STATES)?),
        "census" => Act::Census(pairs(cursor, "a table", TABLES, u32::MAX as u64, |n| n as u32)?),
        "info" => Act::Info(pairs(cursor, "a number of info", FACTS, u64::MAX, |n| n)?),
        "fresh" => Act::Fresh(cursor.seq("by how much the peer's numbers move on")?),
        "quick" => Act::Quick,
        _ => return start.error(verbs),
    })
}

/// `FLAGS FROM:TO(BYTES) ack N win N urg N <OPTIONS>`.
fn segment(cursor: &mut Cursor<'_>) -> Read<Segment> {
    let flags = flags(cursor)?;
    let seq = cursor.seq("the first sequence number")?;
    cursor.expect(":")?;
    let end_at = *cursor;
    let end = cursor.seq("the last sequence number")?;
    cursor.expect("(")?;
    let payload_bytes = cursor.number("the payload's bytes", u16::MAX as u64)? as u32;
    cursor.expect(")")?;
    if seq.wrapping_add(payload_bytes) != end {
        let right = seq.wrapping_add(payload_bytes);
        return end_at.error(format!("{right}, which is the first number plus {payload_bytes}"));
    }
    let mut segment = Segment { flags, seq, payload_bytes, ..Segment::default() };
    if cursor.eat_word("ack") {
        segment.ack = Some(cursor.seq("an acknowledgement number")?);
    }
    if segment.has(ACK) != segment.ack.is_some() {
        return cursor.error("'ack' with a number where the flags have '.', and nowhere else");
    }
    if cursor.eat_word("win") {
        segment.window = Some(cursor.number("a window field", u16::MAX as u64)? as u16);
    }
    if cursor.eat_word("urg") {
        segment.urgent = Some(cursor.number("an urgent pointer", u16::MAX as u64)? as u16);
    }
    cursor.space();
    if cursor.eat("<") {
        segment.options = Some(options(cursor)?);
    }
    Ok(segment)
}

fn flags(cursor: &mut Cursor<'_>) -> Read<u8> {
    cursor.space();
    if cursor.eat("-") {
        return Ok(0);
    }
    let mut flags = 0;
    while let Some((bit, letter)) =
        FLAG_LETTERS.char_indices().find(|(_, letter)| cursor.rest().starts_with(*letter))
    {
        cursor.eat(letter.encode_utf8(&mut [0; 4]));
        flags |= 1 << bit;
    }
    if flags == 0 {
        cursor.error(format!("flags of {FLAG_LETTERS}, or '-' for none"))
    } else {
        Ok(flags)
    }
}

fn options(cursor: &mut Cursor<'_>) -> Read<Vec<TcpOption>> {
    let mut options = Vec::new();
    cursor.space();
    if cursor.eat(">") {
        return Ok(options);
    }
    loop {
        options.push(option(cursor)?);
        cursor.space();
        if cursor.eat(">") {
            return Ok(options);
        }
        if !cursor.eat(",") {
            return cursor.error("',' or '>' behind an option");
        }
    }
}

fn option(cursor: &mut Cursor<'_>) -> Read<TcpOption> {
    let start = {
        cursor.space();
        *cursor
    };
    let names = "an option: mss, wscale, sackOK, sack, TS, nop, eol or raw";
    Ok(match cursor.word(names)? {
        "mss" => TcpOption::Mss(number(cursor, "a segment size", u16::MAX as u64, "own")?),
        "wscale" => TcpOption::WindowScale(cursor.number("a shift", u8::MAX as u64)? as u8),
        "sackOK" => TcpOption::SackPermitted,
        "sack" => TcpOption::Sack(blocks(cursor)?),
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::End,
        "TS" => {
            if !cursor.eat_word("val") {
                return cursor.error("'val'");
            }
            let value = number(cursor, "a timestamp", u32::MAX as u64, "own")?;
            if !cursor.eat_word("ecr") {
                return cursor.error("'ecr'");
            }
            TcpOption::Timestamps {
                value,
                echo: number(cursor, "an echo", u32::MAX as u64, "own")?,
            }
        }
        "raw" => TcpOption::Raw(hex(cursor)?),
        _ => return start.error(names),
    })
}

fn number(cursor: &mut Cursor<'_>, expected: &str, most: u64, own: &str) -> Read<Number> {
    if cursor.eat_word("any") {
        return Ok(Number::Any);
    }
    if cursor.eat_word(own) {
        return Ok(Number::Own);
    }
    Ok(Number::Exact(cursor.number(&format!("{expected}, 'any' or '{own}'"), most)? as u32))
}

fn blocks(cursor: &mut Cursor<'_>) -> Read<Vec<(u32, u32)>> {
    let mut blocks = Vec::new();
    loop {
        let from = cursor.seq("a SACK block")?;
        cursor.expect(":")?;
        blocks.push((from, cursor.seq("the end of a SACK block")?));
        cursor.space();
        let is_last = cursor.rest().starts_with(['>', ',']);
        if is_last {
            return Ok(blocks);
        }
        if blocks.len() == BLOCKS_MAX {
            return cursor.error(format!("no more than {BLOCKS_MAX} SACK blocks"));
        }
    }
}

fn hex(cursor: &mut Cursor<'_>) -> Read<Vec<u8>> {
    let start = {
        cursor.space();
        *cursor
    };
    let word = cursor.word("bytes in hexadecimal")?;
    let digits: Option<Vec<u8>> =
        word.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) && digits.len() <= 80 => {
            Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => start.error("up to 40 bytes in hexadecimal, two digits each"),
    }
}

/// `icmp toobig mtu 1300 quote 1`.
fn complaint(cursor: &mut Cursor<'_>) -> Read<Complaint> {
    let trouble = match cursor.one_of("a kind of error", TROUBLES)? {
        Trouble::TooBig(_) => {
            if !cursor.eat_word("mtu") {
                return cursor.error("'mtu'");
            }
            Trouble::TooBig(cursor.number("bytes", u16::MAX as u64)? as u32)
        }
        other => other,
    };
    if !cursor.eat_word("quote") {
        return cursor.error("'quote'");
    }
    Ok(Complaint { trouble, seq: cursor.seq("the sequence number of the quoted segment")? })
}

fn downcall(cursor: &mut Cursor<'_>, setting: &Setting) -> Read<Downcall> {
    let start = {
        cursor.space();
        *cursor
    };
    let verbs = "send, close, shutdown, abort, forsake, pause, resume, take, connect, set, timer or unlisten";
    Ok(match cursor.word(verbs)? {
        "send" => {
            let bytes = cursor.number("bytes", SEND_MAX)? as u32;
            let taken = match cursor.eat_word("takes") {
                true => cursor.number("the bytes that are taken", bytes as u64)? as u32,
                false => bytes,
            };
            Downcall::Send(bytes, taken)
        }
        "close" => Downcall::Close,
        "shutdown" => Downcall::Shutdown,
        "abort" => Downcall::Abort,
        "forsake" => Downcall::Forsake,
        "pause" => Downcall::Pause,
        "resume" => Downcall::Resume,
        "take" => Downcall::Take(cursor.number("bytes", SEND_MAX)? as u32),
        "connect" => Downcall::Connect,
        "timer" => Downcall::Timer(Duration(cursor.seconds("a time")?)),
        "unlisten" => Downcall::Unlisten,
        "set" => {
            let mut options: SocketOptions = setting.tcp.options;
            config::options(cursor, &mut options)?;
            Downcall::Options(options)
        }
        _ => return start.error(verbs),
    })
}

fn upcall(cursor: &mut Cursor<'_>) -> Read<Upcall> {
    let start = {
        cursor.space();
        *cursor
    };
    let names = "accept, connected, connect_failed, data, acknowledged, remote_closed, closed, timer or none";
    Ok(match cursor.word(names)? {
        "accept" => Upcall::Accept,
        "connected" => Upcall::Connected,
        "connect_failed" => Upcall::ConnectFailed(cursor.one_of("a reason", REASONS)?),
        "data" => Upcall::Data(cursor.number("bytes", u32::MAX as u64)? as u32),
        "acknowledged" => Upcall::Acknowledged(cursor.number("bytes", u32::MAX as u64)? as u32),
        "remote_closed" => Upcall::RemoteClosed,
        "closed" => Upcall::Closed(cursor.one_of("a reason", REASONS)?),
        "timer" => Upcall::Timer,
        _ => return start.error(names),
    })
}

fn count(
    cursor: &mut Cursor<'_>,
    what: &str,
    mut names: impl Iterator<Item = String>,
) -> Read<Act> {
    let start = {
        cursor.space();
        *cursor
    };
    let name = cursor.word(what)?;
    if !names.any(|known| known == name) {
        return start.error(format!("{what}, as the counters name it"));
    }
    Ok(Act::Count(name.to_owned(), cursor.number("how often", u64::MAX)?))
}

/// `name=number` pairs up to the end of the line.
fn pairs<K: Copy, N>(
    cursor: &mut Cursor<'_>,
    what: &str,
    names: &[(&str, K)],
    most: u64,
    narrow: impl Fn(u64) -> N,
) -> Read<Vec<(K, N)>> {
    let mut pairs = Vec::new();
    while pairs.is_empty() || !cursor.is_done() {
        let name = cursor.one_of(what, names)?;
        cursor.expect("=")?;
        pairs.push((name, narrow(cursor.number("a number", most)?)));
    }
    Ok(pairs)
}

const _: () = assert!(FIN | SYN == 3, "the letters begin with FIN and SYN");

/// Peers of one script.
pub(crate) const PEERS_MAX: u64 = 64;
/// SACK blocks a segment has room for.
const BLOCKS_MAX: usize = 4;
/// The most an application of a script sends at once.
const SEND_MAX: u64 = 1 << 22;

const ODDITIES: &[(&str, Oddity)] = &[
    ("tcpsum", Oddity::TcpChecksum),
    ("ipsum", Oddity::IpChecksum),
    ("options", Oddity::Options),
    ("hopbyhop", Oddity::HopByHop),
    ("fragment", Oddity::Fragment),
    ("atomic", Oddity::Atomic),
    ("broadcast", Oddity::Broadcast),
    ("station", Oddity::Station),
];

const KINDS: &[(&str, Kind)] = &[
    ("accept", Kind::Accept),
    ("connected", Kind::Connected),
    ("data", Kind::Data),
    ("acknowledged", Kind::Acknowledged),
    ("remote_closed", Kind::RemoteClosed),
    ("timer", Kind::Timer),
];

const REASONS: &[(&str, Close)] = &[
    ("Finished", Close::Finished),
    ("Reset", Close::Reset),
    ("Refused", Close::Refused),
    ("TimedOut", Close::TimedOut),
    ("KeepAlive", Close::KeepAlive),
    ("Unreachable", Close::Unreachable),
    ("NoNeighbour", Close::NoNeighbour),
    ("Aborted", Close::Aborted),
    ("AddressLost", Close::AddressLost),
];

const STATES: &[(&str, Option<State>)] = &[
    ("SynSent", Some(State::SynSent)),
    ("SynReceived", Some(State::SynReceived)),
    ("Established", Some(State::Established)),
    ("FinWait1", Some(State::FinWait1)),
    ("FinWait2", Some(State::FinWait2)),
    ("CloseWait", Some(State::CloseWait)),
    ("Closing", Some(State::Closing)),
    ("LastAck", Some(State::LastAck)),
    ("TimeWait", Some(State::TimeWait)),
    ("Closed", Some(State::Closed)),
    ("Gone", None),
];

const TROUBLES: &[(&str, Trouble)] = &[
    ("toobig", Trouble::TooBig(0)),
    ("host", Trouble::Host),
    ("port", Trouble::Port),
    ("prohibited", Trouble::Prohibited),
    ("exceeded", Trouble::TimeExceeded),
];

const TABLES: &[(&str, Table)] = &[
    ("connections", Table::Connections),
    ("half_open", Table::HalfOpen),
    ("time_wait", Table::TimeWait),
    ("flights", Table::Flights),
    ("timers", Table::Timers),
    ("chunks", Table::Chunks),
];

const FACTS: &[(&str, Fact)] = &[
    ("rtt_us", Fact::RttUs),
    ("rttvar_us", Fact::RttvarUs),
    ("rto_ms", Fact::RtoMs),
    ("cwnd", Fact::Cwnd),
    ("ssthresh", Fact::Ssthresh),
    ("mss", Fact::Mss),
    ("send_window", Fact::SendWindow),
    ("receive_window", Fact::ReceiveWindow),
    ("unacknowledged", Fact::Unacknowledged),
    ("sacked", Fact::Sacked),
    ("lost", Fact::Lost),
    ("resent", Fact::Resent),
    ("queued", Fact::Queued),
    ("unread", Fact::Unread),
    ("retransmits", Fact::Retransmits),
    ("timestamps", Fact::Timestamps),
    ("sack", Fact::Sack),
];
