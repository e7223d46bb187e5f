//! Names to addresses: what applications want to know is asked for, kept for as long as it holds, and
//! asked for again.
//!
//! `etc/hosts` and addresses written out come first and need no server. Everything else is asked of the
//! name servers in turn, for A and AAAA, over UDP, each time with another id and from another port, and
//! over TCP where the answer does not fit. Who answers must be the server that was asked, from its port,
//! to ours. When nobody does, what was known goes on to count: for as long as the [`Patience`] of the name
//! says, where it has one, by which it is also asked for, whatever answers say of how long they hold.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use penstock_config::haproxy::Patience;
use penstock_stack::{ConnId, Cx, Duration, Endpoint, Instant, SocketOptions, UdpId};
use penstock_wire::Addr;

use crate::application::Absence;
use crate::dns::{self, Addresses, Answer, Family};
use crate::hosts::Hosts;
use crate::limits;
use crate::name::{Name, SHORT};
use crate::random::Random;

/// All names, and what is asked about them.
#[derive(Debug)]
pub(crate) struct Resolver {
    names: Vec<Name>,
    servers: [Option<Endpoint>; limits::SERVERS_MAX],
    questions: [Option<Question>; limits::QUESTIONS_MAX],
    /// How many may be under way: few until somebody answers, because the first of them wait for the
    /// server's station, and few may wait.
    window: usize,
    stream: Stream,
    /// When the names are next to be looked through.
    look_at: Option<Instant>,
    /// Some name has changed.
    has_news: bool,
    /// Nobody answered lately.
    is_silent: bool,
    /// If there still is no name server then, somebody is told.
    nobody_at: Option<Instant>,
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Question {
    name: u16,
    family: Family,
    id: u16,
    tries: u32,
    /// Why there is no answer: what a server has said last, if one has.
    absence: Absence,
    server: Endpoint,
    socket: Option<UdpId>,
    /// Over TCP, or waiting for it.
    by_stream: bool,
    deadline: Instant,
}

/// The one TCP connection to a name server, and what has come over it.
#[derive(Debug)]
struct Stream {
    conn: Option<ConnId>,
    question: usize,
    /// When it is next to be looked at.
    look_at: Instant,
    bytes: Box<[u8]>,
    count: usize,
}

/// What a step came to, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// No server answers any more; the name that was asked for.
    Silent(u16),
    /// One does again.
    Answering(Addr),
    /// There is no server to ask, about this name for one.
    Nobody(u16),
}

impl Resolver {
    /// Will resolve `names`, `hosts` first.
    pub(crate) fn new(
        names: &[String],
        patience: impl Iterator<Item = Option<Patience>>,
        hosts: &Hosts,
        now: Instant,
    ) -> Resolver {
        let names = names.iter().take(limits::NAMES_MAX);
        let names = names.zip(patience.chain(core::iter::repeat(None)));
        let names = names.map(|(text, patience)| Name::new(text, patience, hosts, now));
        let names: Vec<Name> = names.collect();
        Resolver {
            has_news: names.iter().any(|name| name.has_news),
            look_at: Some(now),
            names,
            servers: [None; limits::SERVERS_MAX],
            questions: [None; limits::QUESTIONS_MAX],
            window: WINDOW_FIRST,
            stream: Stream {
                conn: None,
                question: 0,
                look_at: now,
                bytes: vec![0; 2 + limits::ANSWER_BYTES_MAX].into_boxed_slice(),
                count: 0,
            },
            is_silent: false,
            nobody_at: Some(now + NOBODY_AFTER),
        }
    }

    /// Asks these from now on, and about everything that nobody could tell before.
    pub(crate) fn set_servers(
        &mut self,
        servers: [Option<Endpoint>; limits::SERVERS_MAX],
        now: Instant,
    ) {
        if servers == self.servers {
            return;
        }
        self.servers = servers;
        for known in self.names.iter_mut().flat_map(|name| &mut name.known) {
            if known.failures > 0 && known.ask_at.is_some() {
                known.ask_at = Some(now);
            }
        }
        self.look_at = Some(now);
    }

    /// Asks nobody any more.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        self.servers = [None; limits::SERVERS_MAX];
        (self.look_at, self.nobody_at) = (None, None);
        (0..self.questions.len()).for_each(|at| self.end(cx, at));
        if let Some(conn) = self.stream.conn.take() {
            cx.abort(conn);
        }
        self.names.iter_mut().flat_map(|name| &mut name.known).for_each(|it| it.ask_at = None);
    }

    pub(crate) fn text_of(&self, name: u16) -> &str {
        self.names.get(name as usize).map_or("", |name| &name.text)
    }

    /// A name whose addresses have changed, what they are now, and, where there are none, why.
    pub(crate) fn take_news(&mut self) -> Option<(u16, Addresses, Absence)> {
        if !self.has_news {
            return None;
        }
        let at = self.names.iter().position(|name| name.has_news);
        let Some((at, name)) = at.and_then(|at| Some((at, self.names.get_mut(at)?))) else {
            self.has_news = false;
            return None;
        };
        name.has_news = false;
        Some((at as u16, name.addresses(), name.absence))
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let questions = self.questions.iter().flatten().map(|question| question.deadline);
        let stream = self.stream.conn.map(|_| self.stream.look_at);
        questions.chain(self.look_at).chain(stream).chain(self.nobody_at).min()
    }

    pub(crate) fn owns(&self, socket: UdpId) -> bool {
        self.questions.iter().flatten().any(|question| question.socket == Some(socket))
    }

    #[inline]
    pub(crate) fn owns_conn(&self, conn: ConnId) -> bool {
        self.stream.conn == Some(conn)
    }

    /// Does what is due: gives up waiting, asks, and looks what has come over TCP.
    pub(crate) fn step(&mut self, cx: &mut Cx<'_>, random: &mut Random) -> Told {
        let now = cx.now();
        let mut told = self.read_stream(cx, random);
        for at in 0..self.questions.len() {
            let Some(question) = self.questions[at] else { continue };
            if question.deadline <= now {
                told = told.or(self.try_next(cx, at, random));
            }
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(cx, random);
        }
        if self.nobody_at.is_some_and(|at| at <= now) {
            self.nobody_at = None;
            told = told.or(self.miss_servers());
        }
        told
    }

    /// There was time enough to learn of a name server.
    fn miss_servers(&self) -> Told {
        let is_open = |name: &Name| name.known.iter().any(|known| !known.is_settled);
        match self.names.iter().position(is_open) {
            Some(at) if self.servers.iter().all(Option::is_none) => Told::Nobody(at as u16),
            _ => Told::Nothing,
        }
    }

    /// An answer, perhaps.
    pub(crate) fn on_datagram(
        &mut self,
        cx: &mut Cx<'_>,
        socket: UdpId,
        from: Endpoint,
        bytes: &[u8],
        random: &mut Random,
    ) -> Told {
        let is = |question: &Option<Question>| question.is_some_and(|it| it.socket == Some(socket));
        let Some(at) = self.questions.iter().position(is) else { return Told::Nothing };
        let Some(question) = self.questions[at] else { return Told::Nothing };
        if from != question.server {
            return Told::Nothing;
        }
        self.on_answer(cx, at, bytes, random)
    }

    /// The connection to a name server stands: what it says will be read when it is there.
    pub(crate) fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let question = self.questions.get(self.stream.question).copied().flatten();
        let wire = question.and_then(|question| self.names.get(question.name as usize)?.wire);
        let (Some(question), Some(wire)) = (question, wire) else { return cx.abort(conn) };
        let mut bytes = [0; dns::QUESTION_BYTES_MAX];
        let length = dns::write(&mut bytes, question.id, &wire, question.family);
        cx.pause(conn);
        cx.send(conn, &(length as u16).to_be_bytes());
        cx.send(conn, &bytes[..length]);
    }

    /// It does not stand, or no more.
    pub(crate) fn on_closed(&mut self, now: Instant) {
        self.stream.conn = None;
        if let Some(question) =
            self.questions.get_mut(self.stream.question).and_then(Option::as_mut)
        {
            question.deadline = now;
        }
    }

    fn on_answer(&mut self, cx: &mut Cx<'_>, at: usize, bytes: &[u8], random: &mut Random) -> Told {
        let Some(question) = self.questions[at] else { return Told::Nothing };
        let Some(name) = self.names.get_mut(question.name as usize) else { return Told::Nothing };
        let Some(wire) = name.wire else { return Told::Nothing };
        match dns::read(bytes, question.id, &wire, question.family) {
            None => Told::Nothing,
            Some(answer @ (Answer::Addresses(_) | Answer::NoSuchName)) => {
                let (found, seconds) = match answer {
                    Answer::Addresses(found) if found.count > 0 => (Ok(found), found.ttl_seconds),
                    Answer::Addresses(_) => (Err(Absence::NoAddress), dns::TTL_SECONDS_NEGATIVE),
                    _ => (Err(Absence::NoSuchName), dns::TTL_SECONDS_NEGATIVE),
                };
                let pause = name.pause().unwrap_or(Duration::from_secs(seconds.into()));
                let now = cx.now();
                let until = now + pause;
                self.has_news |= name.settle(question.family, found, now, until);
                self.look_at = earlier(self.look_at, Some(until));
                self.end(cx, at);
                self.window = (self.window * 2).min(limits::QUESTIONS_MAX);
                self.look(cx, random);
                match core::mem::take(&mut self.is_silent) {
                    true => Told::Answering(question.server.addr),
                    false => Told::Nothing,
                }
            }
            Some(Answer::Truncated) if !question.by_stream => {
                self.unbind(cx, at);
                if let Some(question) = &mut self.questions[at] {
                    question.by_stream = true;
                    question.deadline = cx.now() + STREAM_TIMEOUT;
                }
                self.open_stream(cx);
                Told::Nothing
            }
            Some(answer @ (Answer::Truncated | Answer::Refused | Answer::Failed)) => {
                if let Some(question) = &mut self.questions[at] {
                    question.absence = match answer {
                        Answer::Refused => Absence::Refusal,
                        _ => Absence::Failure,
                    };
                }
                self.try_next(cx, at, random)
            }
        }
    }

    /// The next server gets the question, or nobody does any more.
    fn try_next(&mut self, cx: &mut Cx<'_>, at: usize, random: &mut Random) -> Told {
        self.unbind(cx, at);
        self.window = WINDOW_FIRST;
        let Some(question) = &mut self.questions[at] else { return Told::Nothing };
        question.tries += 1;
        question.by_stream = false;
        let question = *question;
        self.close_stream(cx, at);
        let count = self.servers.iter().flatten().count() as u32;
        let Some(name) = self.names.get_mut(question.name as usize) else { return Told::Nothing };
        if question.tries >= count * name.patience.map_or(ROUNDS, |patience| patience.tries) {
            let now = cx.now();
            let failures = name.known[question.family as usize].failures;
            let usual = Duration::from_secs(RETRY_SECONDS << failures.min(RETRY_SHIFT_MAX));
            let pause = name.pause().unwrap_or(usual);
            self.has_news |= name.settle(question.family, Err(question.absence), now, now + pause);
            self.look_at = earlier(self.look_at, Some(now + pause));
            self.end(cx, at);
            self.look(cx, random);
            let is_silent = count > 0 && question.absence == Absence::Silence;
            if !is_silent || core::mem::replace(&mut self.is_silent, true) {
                return Told::Nothing;
            }
            return Told::Silent(question.name);
        }
        self.ask(cx, at, random);
        Told::Nothing
    }

    /// Begins questions about names that are due.
    fn look(&mut self, cx: &mut Cx<'_>, random: &mut Random) {
        let now = cx.now();
        let count = self.servers.iter().flatten().count();
        self.look_at = None;
        for at in 0..self.names.len() {
            for family in [Family::V4, Family::V6] {
                let known = &mut self.names[at].known[family as usize];
                let Some(ask_at) = known.ask_at.filter(|_| !known.is_asked) else { continue };
                if ask_at > now {
                    self.look_at = earlier(self.look_at, Some(ask_at));
                    continue;
                }
                let free = self.questions[..self.window].iter().position(Option::is_none);
                let Some(free) = free.filter(|_| count > 0) else {
                    // Whoever comes free or first looks again.
                    continue;
                };
                known.is_asked = true;
                let server = Endpoint { addr: Addr::UNSPECIFIED, port: 0 };
                let name = at as u16;
                let question = Question {
                    name,
                    family,
                    id: 0,
                    tries: 0,
                    absence: Absence::Silence,
                    server,
                    socket: None,
                    by_stream: false,
                    deadline: now,
                };
                self.questions[free] = Some(question);
                self.ask(cx, free, random);
            }
        }
    }

    /// Sends a question to the server whose turn it is, with a new id from a new port.
    fn ask(&mut self, cx: &mut Cx<'_>, at: usize, random: &mut Random) {
        let Some(question) = self.questions.get_mut(at).and_then(Option::as_mut) else { return };
        let count = self.servers.iter().flatten().count().max(1);
        let server = self.servers.iter().flatten().nth(question.tries as usize % count);
        let name = self.names.get(question.name as usize);
        let wire = name.and_then(|name| name.wire);
        let retry = name.and_then(|name| name.patience).map(|patience| patience.retry);
        let timeout = retry.map_or(TIMEOUT, |retry| Duration(retry.0 / count as u64).max(SHORT));
        question.deadline = cx.now() + timeout;
        let (Some(&server), Some(wire)) = (server, wire) else { return };
        question.server = server;
        question.id = random.draw() as u16;
        question.socket = cx.udp_bind_ephemeral(random.draw()).ok();
        let mut bytes = [0; dns::QUESTION_BYTES_MAX];
        let length = dns::write(&mut bytes, question.id, &wire, question.family);
        if let Some(socket) = question.socket {
            // One that cannot leave is like one that is not answered.
            let _ = cx.udp_send(socket, None, server, &bytes[..length]);
        }
    }

    /// Connects for a question that wants it, if no other does.
    fn open_stream(&mut self, cx: &mut Cx<'_>) {
        if self.stream.conn.is_some() {
            return;
        }
        let wants = |question: &Option<Question>| question.is_some_and(|it| it.by_stream);
        let Some(at) = self.questions.iter().position(wants) else { return };
        let Some(question) = &mut self.questions[at] else { return };
        let to = question.server;
        (self.stream.question, self.stream.count) = (at, 0);
        question.deadline = cx.now() + STREAM_TIMEOUT;
        match cx.connect(to, None, SocketOptions::default()) {
            Ok(conn) => {
                self.stream.conn = Some(conn);
                self.stream.look_at = cx.now() + STREAM_LOOK;
            }
            Err(_) => question.deadline = cx.now(),
        }
    }

    /// Takes what has come: a length of two bytes, and a message of that length.
    fn read_stream(&mut self, cx: &mut Cx<'_>, random: &mut Random) -> Told {
        let Some(conn) = self.stream.conn else { return Told::Nothing };
        self.stream.look_at = cx.now() + STREAM_LOOK;
        let Stream { bytes, count, question: at, .. } = &mut self.stream;
        *count += cx.read(conn, &mut bytes[*count..]);
        let Some(head) = bytes[..*count].first_chunk::<2>() else { return Told::Nothing };
        let end = 2 + u16::from_be_bytes(*head) as usize;
        let at = *at;
        if *count < end {
            // One that would not fit is given up when its time is over.
            return Told::Nothing;
        }
        let bytes = core::mem::take(&mut self.stream.bytes);
        let told = self.on_answer(cx, at, &bytes[2..end], random);
        self.stream.bytes = bytes;
        if self.stream.conn == Some(conn) {
            // What it says is no answer, and the server has no other.
            self.close_stream(cx, at);
        }
        told
    }

    fn close_stream(&mut self, cx: &mut Cx<'_>, at: usize) {
        if self.stream.question == at
            && let Some(conn) = self.stream.conn.take()
        {
            cx.abort(conn);
        }
        self.open_stream(cx);
    }

    fn end(&mut self, cx: &mut Cx<'_>, at: usize) {
        self.unbind(cx, at);
        self.questions[at] = None;
        self.close_stream(cx, at);
    }

    fn unbind(&mut self, cx: &mut Cx<'_>, at: usize) {
        if let Some(socket) =
            self.questions[at].as_mut().and_then(|question| question.socket.take())
        {
            cx.udp_unbind(socket);
        }
    }
}

impl Told {
    fn or(self, other: Told) -> Told {
        if self == Told::Nothing { other } else { self }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Where a name server listens, unless something else was said.
pub(crate) const PORT: u16 = 53;
const TIMEOUT: Duration = Duration::from_secs(1);
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);
const STREAM_LOOK: Duration = Duration::from_millis(10);
const WINDOW_FIRST: usize = 2;
/// After so long it is worth a line that nobody can be asked: as long as a silent DHCP server is given.
const NOBODY_AFTER: Duration = Duration::from_secs(15);
/// How often each server is asked before a question is given up.
const ROUNDS: u32 = 3;
/// Then again after a second, and at most 32.
const RETRY_SECONDS: u64 = 1;
const RETRY_SHIFT_MAX: u32 = 5;
