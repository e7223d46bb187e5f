//! What is to be said of a storm: of its bytes, its log and its books.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use penstock_config::haproxy::Counter;
use penstock_proxy::Proxy;
use penstock_stack::{Close, Instant, Worker};
use penstock_world::Cable;

use crate::Guest;
use crate::plan::{FIRST, Response, Storm, Upset};
use crate::world::client::Client;
use crate::world::server::Ways;
use crate::world::{Scene, World, keeping};

/// A session's line of the log.
#[derive(Debug)]
struct Line {
    source: String,
    end: String,
    said: u64,
    told: u64,
    server: String,
    /// Until it had a server, until that had answered, and in all; -1 where it did not come to that.
    queued_ms: i64,
    connected_ms: i64,
    total_ms: i64,
    retries: u64,
}

/// What servers heard of each client: who heard it, and how much.
type Heard = BTreeMap<u16, u64>;

impl Storm {
    pub(crate) fn judge(&self, world: &World, guests: &[Guest], log: &[String]) {
        let heard = self.judge_bytes(world, guests);
        self.judge_log(world, guests, log, &heard);
        self.judge_sticking(world, guests);
        assert_eq!(world.remains(), "", "left behind");
        self.judge_slots(world);
        self.judge_loads(world);
        self.judge_counters(world, guests);
    }

    fn judge_bytes(&self, world: &World, guests: &[Guest]) -> Heard {
        for guest in guests {
            let client = world.client(guest.conn);
            if let Some((&name, rest)) = client.heard.split_first() {
                let names = FIRST..FIRST + self.servers.len() as u8;
                assert!(names.contains(&name), "no server's name");
                assert!(guest.says.starts_with(rest), "a client hears what is not its own");
                let is_refused = name == FIRST && self.response == Response::Refused;
                assert!(!is_refused || !self.is_calm(), "a client hears what was refused");
            }
            let is_whole = client.heard.len() == 1 + guest.says.len();
            let is_heard = is_whole
                || self.may_end_early(guest, client)
                || self.may_be_refused(client)
                || !self.is_calm();
            assert!(is_heard, "a part is missing: {} {client:?}", guest.port);
        }
        let mut heard_of = Heard::new();
        for server in world.servers.iter().flatten() {
            for heard in server.app().heard.values() {
                let (source, heard) = self.without_header(heard);
                let Some(number) = heard.first_chunk() else { continue };
                let number = u16::from_be_bytes(*number);
                let guest = guests.get(number as usize).expect("a server hears what nobody said");
                assert!(guest.says.starts_with(heard), "a server hears what is not one client's");
                let is_own = source.is_none_or(|source| source == guest.source);
                assert!(is_own, "it was told another's address");
                let is_first = heard_of.insert(number, heard.len() as u64).is_none();
                assert!(is_first, "two servers hear a client");
            }
        }
        heard_of
    }

    /// A client may end unheard: it left, or closed before a server had answered, having said nothing
    /// or taken at its word.
    fn may_end_early(&self, guest: &Guest, client: &Client) -> bool {
        guest.has_left || client.shuts && (guest.says.is_empty() || self.aborts_on_close)
    }

    /// A client may have had the server whose answers are refused.
    fn may_be_refused(&self, client: &Client) -> bool {
        match self.response {
            Response::Passes | Response::Waits(_) => false,
            Response::Refused => client.heard.is_empty(),
            // Who still speaks is reset, and may not have listened until then.
            Response::Closed => client.heard.first().is_none_or(|name| *name == FIRST),
        }
    }

    /// What a server heard behind the PROXY header that it was told, and whose address stands there.
    fn without_header<'h>(&self, heard: &'h [u8]) -> (Option<(String, u16)>, &'h [u8]) {
        let ways = Ways { header: self.header_out, ..Ways::default() };
        let len = match ways.header_bytes(heard) {
            Some(len) if len <= heard.len() => len,
            _ => return (None, &[]),
        };
        let (header, rest) = heard.split_at(len);
        if rest.is_empty() {
            // A check's, perhaps.
            return (None, rest);
        }
        let source = match self.header_out {
            None => None,
            Some(1) => {
                let line = str::from_utf8(header).expect("a header first");
                let line = line.strip_prefix("PROXY TCP4 ").expect("a header first");
                let words: Vec<&str> = line.split(' ').collect();
                Some((words[0].to_owned(), words[2].parse().expect("a port")))
            }
            Some(_) => {
                assert_eq!(header[..14], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "no header first");
                let [a, b, c, d] = header[16..20].try_into().expect("four bytes");
                let port = u16::from_be_bytes([header[24], header[25]]);
                Some((format!("{a}.{b}.{c}.{d}"), port))
            }
        };
        (source, rest)
    }

    fn judge_log(&self, world: &World, guests: &[Guest], log: &[String], heard: &Heard) {
        let mut lines: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        // Whoever is let in is told of once: as a session, or as one without its header.
        let mut told = 0;
        for text in log {
            let Some(session) = text.strip_prefix("= ") else {
                told += u64::from(self.judge_other(text));
                continue;
            };
            told += 1;
            let mut words = session.split_whitespace();
            let mut word = || words.next().expect("as many words as in the format").to_owned();
            let port = word().parse().expect("a port");
            let line = Line {
                source: word(),
                end: word(),
                said: word().parse().expect("a number"),
                told: word().parse().expect("a number"),
                server: word(),
                queued_ms: word().parse().expect("a number"),
                connected_ms: word().parse().expect("a number"),
                total_ms: word().parse().expect("a number"),
                retries: word().trim_start_matches('+').parse().expect("a number"),
            };
            lines.entry(port).or_default().push(line);
        }
        let accepted = world.cores.iter().map(|core| core.app().statistics().accepted).sum::<u64>();
        assert_eq!(told, accepted, "lines, and those who were let in");
        for (number, guest) in (0..).zip(guests) {
            let client = world.client(guest.conn);
            let own = lines.remove(&guest.source.1).unwrap_or_default();
            assert!(own.len() <= 1, "one session, two lines: {own:?}");
            let is_alone = !self.is_narrow && self.header_in.is_none() && self.rate.is_none();
            let is_certain = self.is_calm() && is_alone || !client.heard.is_empty();
            let Some(line) = own.first() else {
                assert!(
                    !is_certain || client.connected_at.is_none(),
                    "no line of {}: {client:?}",
                    guest.port
                );
                continue;
            };
            self.judge_end(guest, client, line);
            let at_server = heard.get(&number).copied().unwrap_or_default();
            self.judge_numbers(guest, client, line, at_server);
        }
        assert!(lines.is_empty(), "lines of nobody: {lines:?}");
    }

    /// A line that is not a session's; whether it is one of a wrong header.
    fn judge_other(&self, text: &str) -> bool {
        let of_a_header = self.header_in.is_some() && text.contains("fe/1: ");
        let of_an_end = text.contains("Stopping ") || text.contains(" stopped (cumulated conns");
        let of_a_server = ["Server be/s", "backend be "].iter().any(|word| text.contains(word));
        let is_watched = self.is_checked || self.has_agents;
        let fits = of_a_header || of_an_end || of_a_server && is_watched && !self.is_calm();
        assert!(fits, "what is this? {text}");
        of_a_header
    }

    /// The letters fit what happened.
    fn judge_end(&self, guest: &Guest, client: &Client, line: &Line) {
        let told = format!("{line:?} of {} {client:?}", guest.port);
        let is_rough = self.is_rough();
        let any = |is: fn(&Ways) -> bool| self.servers.iter().any(is);
        let upset = |is: fn(&Upset) -> bool| self.upsets.iter().any(|(_, upset)| is(upset));
        let is_silent = any(|ways| ways.is_mute)
            || upset(|upset| matches!(upset, Upset::Kill(_) | Upset::Cut(_)));
        let is_broken = any(|ways| ways.refuses || ways.resets_after.is_some())
            || self.text.contains("nolinger")
            || upset(|upset| !matches!(upset, Upset::Flee));
        let is_refused = line.server == "s0" && self.response == Response::Refused;
        let fits = match line.end.as_str() {
            "--" => true,
            "CC" | "CQ" => self.may_end_early(guest, client) || is_rough,
            "CR" | "CD" => guest.has_left || client.leaves_after.is_some() || is_rough,
            // Who waits for one that is silent says nothing meanwhile.
            "cD" => is_silent || is_rough || is_broken || any(|ways| ways.shuts),
            "cR" | "cC" | "cQ" => guest.says.is_empty() || is_rough || is_silent,
            "sD" | "sC" => is_silent || is_rough || is_broken,
            // The RST of one that has closed, for what came after, may overtake what it said.
            "SD" => is_silent || is_broken || is_rough || any(|ways| ways.closes),
            "SC" => is_silent || is_broken || is_rough,
            "sQ" => self.slots.is_some(),
            "SQ" => self.is_queue_short,
            "RC" => self.chunks < 1_000,
            "PD" => is_refused,
            "D-" | "DC" => self.text.contains("shutdown-sessions") && !self.is_calm(),
            _ => false,
        };
        assert!(fits, "why? {told}");
        if self.is_calm() && !guest.has_left && line.end != "--" {
            let may_leave = client.leaves_after.is_some() || self.may_end_early(guest, client);
            assert!(may_leave || line.end == "PD", "in a calm: {told}");
        }
    }

    /// The numbers fit each other, and what both ends know; `at_server`: so much was heard there.
    fn judge_numbers(&self, guest: &Guest, client: &Client, line: &Line, at_server: u64) {
        let told = format!("{line:?} of {} {client:?}", guest.port);
        assert_eq!(line.source, guest.source.0, "another's address: {told}");
        assert!(line.told >= client.heard.len() as u64, "more was heard than told: {told}");
        assert!(line.told <= 1 + guest.says.len() as u64, "more is told than there was: {told}");
        assert!(line.said <= guest.says.len() as u64, "more is told than was said: {told}");
        assert!(line.said >= at_server, "a server heard {at_server}: {told}");
        if line.end == "--" && client.end == Some(Close::Finished) && !guest.has_left {
            assert_eq!(line.told, client.heard.len() as u64, "{told}");
        }
        if let Some(name) = client.heard.first() {
            assert_eq!(line.server, format!("s{}", name - FIRST), "another server: {told}");
        }
        let &Line { queued_ms, connected_ms, total_ms, .. } = line;
        let were_there = connected_ms >= 0 && queued_ms >= 0;
        assert!(total_ms >= queued_ms.max(0) + connected_ms.max(0), "{told}");
        assert!(connected_ms < 0 || were_there, "connected without a server: {told}");
        assert!(line.told == 0 || were_there, "told by nobody: {told}");
        match line.end.as_str() {
            "SD" | "sD" | "PD" | "D-" => assert!(were_there, "no server: {told}"),
            "CC" | "cC" | "SC" | "sC" | "CQ" | "cQ" | "sQ" | "SQ" | "CR" | "DC" | "cR" => {
                assert!(!were_there && line.told == 0, "a server: {told}");
            }
            _ => {}
        }
        assert!(line.retries <= 3, "{told}");
    }

    /// Whose key has a server gets that one, where nothing is wrong with it.
    fn judge_sticking(&self, world: &World, guests: &[Guest]) {
        let Some(by) = self.sticks_by.filter(|_| self.is_calm()) else { return };
        for (at, guest) in guests.iter().enumerate() {
            let key = |guest: &Guest| guest.source.1 % by;
            let before: Vec<&Client> = guests[..at]
                .iter()
                .filter(|other| key(other) == key(guest))
                .map(|other| world.client(other.conn))
                .collect();
            // All of them were answered, and cores had time to hear of it.
            let is_settled = |client: &&Client| {
                client.heard_at.is_some_and(|heard| heard.0 + SETTLED_US < guest.came_at.0)
            };
            if before.is_empty() || !before.iter().all(is_settled) {
                continue;
            }
            let client = world.client(guest.conn);
            let Some(name) = client.heard.first() else { continue };
            let last = before.iter().filter_map(|client| client.heard_at).max();
            let lately = before.iter().filter(|client| {
                client.heard_at.zip(last).is_some_and(|(at, last)| at.0 + SETTLED_US >= last.0)
            });
            let mut names = lately.filter_map(|client| client.heard.first());
            assert!(names.any(|other| other == name), "{} does not stick to {name}", guest.port);
        }
    }

    /// All slots are there again, and everybody knows that there are no sessions.
    fn judge_slots(&self, world: &World) {
        let mut sums = vec![(0, 0); world.cores[0].app().pools().len()];
        for core in &world.cores {
            assert_eq!(core.app().believed_sessions(), 0, "a core believes in sessions elsewhere");
            for (pool, sum) in core.app().pools().iter().zip(&mut sums) {
                assert_eq!((pool.in_use, pool.waiting), (0, 0), "{pool:?}");
                *sum = (pool.limit, sum.1 + pool.held + pool.at_home.unwrap_or(0));
            }
        }
        for (limit, there) in sums {
            assert!(there == limit || self.is_elastic, "{there} of {limit} slots are left");
        }
    }

    /// On a wire that keeps the order of frames, what a server sees at once is within its `maxconn`: a
    /// slot is given to the next when the last frame to the one before has left. Frames of two cores
    /// have no order. A check takes no slot, and is a connection.
    fn judge_loads(&self, world: &World) {
        let keeps_order = self.weather.delay_us == 0 && self.cores == 1;
        let Some(slots) = self.slots.filter(|_| self.is_calm() && keeps_order) else { return };
        let may_be = slots + u32::from(self.is_checked);
        for server in world.servers.iter().flatten() {
            let most = server.app().open_max;
            assert!(most <= may_be, "{most} were at a server at once, and {may_be} may");
        }
    }

    /// All cores count the same, and nobody is there any more.
    fn judge_counters(&self, world: &World, guests: &[Guest]) {
        if !self.tracks {
            return;
        }
        let all = |counter| {
            let cores = world.cores.iter().map(|core| core.app().counted(counter, world.now));
            let mut counts: Vec<i64> = cores.collect();
            counts.dedup();
            assert_eq!(counts.len(), 1, "cores do not agree on {counter:?}: {counts:?}");
            counts[0]
        };
        assert_eq!(all(Counter::ConnCur), 0, "somebody is still there");
        let (came, began) = (all(Counter::ConnCnt), all(Counter::SessCnt));
        assert!(began <= came && came <= guests.len() as i64, "{began} of {came} began");
        let heard = guests.iter().filter(|guest| !world.client(guest.conn).heard.is_empty());
        assert!(began >= heard.count() as i64, "{began} began");
    }
}

/// After every step: what holds of all worlds, and no more come than may.
pub(crate) fn watching(
    storm: &Storm,
    log: Rc<RefCell<Vec<String>>>,
) -> impl FnMut(&mut [Worker<Cable, Proxy>], Instant) + use<> {
    let rate = storm.rate;
    let mut admitted = VecDeque::new();
    let mut keep = keeping(storm.waits_are_short(), log);
    move |cores, now| {
        keep(cores, now);
        if let Some(rate) = rate {
            judge_rate(rate, &mut admitted, cores, now);
        }
    }
}

/// HAProxy takes what came in the second before to have been spread evenly, so that in any span there
/// may be those of a second more; and it rounds in favour of whoever comes.
fn judge_rate(
    rate: u32,
    admitted: &mut VecDeque<(Instant, u64)>,
    cores: &[Worker<Cable, Proxy>],
    now: Instant,
) {
    let all = cores.iter().map(|core| core.app().statistics().accepted).sum::<u64>();
    admitted.push_back((now, all));
    // The first is the last before the span begins.
    while admitted.get(1).is_some_and(|(at, _)| at.0 + 5_000_000 < now.0) {
        admitted.pop_front();
    }
    for span_s in [1, 5] {
        let most = (span_s + 1) * u64::from(rate + 1);
        let before = admitted.partition_point(|(at, _)| at.0 + span_s * 1_000_000 < now.0);
        let came = all - before.checked_sub(1).map_or(0, |at| admitted[at].1);
        assert!(came <= most, "{came} came in {span_s} s, at {rate} a second");
    }
}

/// So much later, every core knows which server a key has.
const SETTLED_US: u64 = 200_000;
