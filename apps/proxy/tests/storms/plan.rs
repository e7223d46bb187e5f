//! What a storm is made of, drawn from its seed.

use std::fmt::Write;

use penstock_config::haproxy::grammar::{File, Input, read};
use penstock_fault::Rng;
use penstock_world::Weather;

use crate::world::server::Ways;
use crate::world::{Plan, World};

/// What a storm is made of.
#[derive(Clone, Debug)]
pub(crate) struct Storm {
    pub(crate) seed: u64,
    /// The configuration.
    pub(crate) text: String,
    pub(crate) weather: Weather,
    pub(crate) cores: u16,
    pub(crate) chunks: u32,
    pub(crate) servers: Vec<Ways>,
    pub(crate) visits: u64,
    pub(crate) upsets: Vec<(u64, Upset)>,
    /// Clients begin with a PROXY header; servers are told one, of this version.
    pub(crate) header_in: Option<u8>,
    pub(crate) header_out: Option<u8>,
    /// How many may be in the frontend, or wait at a server, if that is bounded.
    pub(crate) is_narrow: bool,
    pub(crate) is_queue_short: bool,
    /// So many slots each server has (`maxconn`), at most or however many sessions there are.
    pub(crate) slots: Option<u32>,
    pub(crate) is_elastic: bool,
    pub(crate) aborts_on_close: bool,
    /// So many come in a second.
    pub(crate) rate: Option<u32>,
    /// Whose source port leaves the same when it is divided by this has the same server.
    pub(crate) sticks_by: Option<u16>,
    pub(crate) response: Response,
    /// Who connects is let in with his first word.
    pub(crate) defers: bool,
    /// Servers are checked, and have an agent who says how they are.
    pub(crate) is_checked: bool,
    pub(crate) has_agents: bool,
    /// The frontend counts what each source does.
    pub(crate) tracks: bool,
}

/// What happens before so many clients have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upset {
    /// A server is gone without a word; it is cut off for some seconds.
    Kill(usize),
    Cut(usize),
    /// It resets everybody; listens no more, and again.
    Break(usize),
    Refuse(usize),
    /// It is taken out, and is back.
    TakeOut(usize),
    /// Its agent says something else from now on.
    Say(usize, &'static str),
    /// All clients reset.
    Flee,
}

/// What rules make of what servers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// There are none.
    Passes,
    /// They wait for more than so much.
    Waits(u32),
    /// They refuse, or end after it, what the first server says.
    Refused,
    Closed,
}

/// The first of all servers.
pub(crate) const FIRST: u8 = 3;

impl Storm {
    pub(crate) fn new(seed: u64) -> Storm {
        let mut rng = Rng::new(seed, "storm");
        let rng = &mut rng;
        // Half of all storms are no storms: then everything has to come out as it should.
        let is_calm = rng.percent(35);
        let weather = Weather {
            loss_ppm: rng.pick(&[0, 10_000, 50_000]),
            damage_ppm: rng.pick(&[0, 5_000]),
            repeat_ppm: rng.pick(&[0, 10_000]),
            delay_us: rng.pick(&[0, 500, 20_000]),
        };
        let weather = match is_calm {
            true => Weather { loss_ppm: 0, damage_ppm: 0, ..weather },
            false => weather,
        };
        let header_out = rng.pick(&[None, None, None, Some(1), Some(2)]);
        let ways = |rng: &mut Rng| Ways {
            refuses: rng.percent(10),
            is_mute: rng.percent(5),
            after_ms: rng.pick(&[0, 0, 3, 50]),
            closes: rng.percent(5),
            shuts: rng.percent(10),
            resets_after: rng.percent(5).then(|| rng.pick(&[1, 1_000, 30_000])),
            header: header_out,
        };
        let count = rng.range(1, 4) as usize;
        let servers: Vec<Ways> = (0..count)
            .map(|_| match is_calm {
                true => Ways {
                    after_ms: rng.pick(&[0, 0, 3, 50]),
                    header: header_out,
                    ..Ways::default()
                },
                false => ways(rng),
            })
            .collect();
        let visits = rng.range(5, 60);
        let is_checked = rng.percent(30);
        let has_agents = rng.percent(20);
        let upset = |rng: &mut Rng| {
            let server = rng.below(count as u64) as usize;
            let word = rng.pick(&["drain", "maint", "down", "up 50%", "ready"]);
            let upset = rng.pick(&[
                Upset::Kill(server),
                Upset::Cut(server),
                Upset::Break(server),
                Upset::Refuse(server),
                Upset::TakeOut(server),
                Upset::Flee,
                if has_agents { Upset::Say(server, word) } else { Upset::Refuse(server) },
            ]);
            (rng.below(visits), upset)
        };
        // Servers that are looked after come and go.
        let often = if is_checked || has_agents { 10 } else { 4 };
        let upsets = if is_calm { 0 } else { rng.below(often) };
        let upsets = (0..upsets).map(|_| upset(rng)).collect();
        let slots = rng.pick(&[None, None, Some(1), Some(3)]);
        let storm = Storm {
            seed,
            text: String::new(),
            weather,
            cores: rng.pick(&[1, 2, 4]),
            chunks: if is_calm { 8192 } else { rng.pick(&[96, 256, 4096]) },
            servers,
            visits,
            upsets,
            header_in: rng.percent(20).then(|| rng.pick(&[1, 2])),
            header_out,
            is_narrow: rng.percent(30),
            is_queue_short: slots.is_some() && rng.percent(15),
            slots,
            is_elastic: slots == Some(3) && rng.percent(30),
            aborts_on_close: rng.percent(30),
            rate: rng.percent(20).then(|| rng.pick(&[5, 10, 30])),
            sticks_by: rng.percent(25).then(|| rng.pick(&[1, 4, 16])),
            response: match rng.percent(25) {
                false => Response::Passes,
                true => rng.pick(&[
                    Response::Waits(0),
                    Response::Waits(3_000),
                    Response::Waits(12_000),
                    Response::Refused,
                    Response::Closed,
                ]),
            },
            is_checked,
            has_agents,
            tracks: rng.percent(40),
            defers: rng.percent(20),
        };
        let text = storm.configuration(rng);
        Storm { text, ..storm }
    }

    fn configuration(&self, rng: &mut Rng) -> String {
        let mut text = String::new();
        let rate = self.rate.unwrap_or_default();
        let rate_of = rng.pick(&["maxconnrate", "maxsessrate", "rate-limit sessions"]);
        let is_of_frontend = rate_of.starts_with("rate-limit");
        if self.rate.is_some() && !is_of_frontend {
            let _ = writeln!(text, "global\n    {rate_of} {rate}");
        }
        self.defaults(&mut text, rng);
        let _ = writeln!(text, "frontend fe\n    default_backend be");
        let header = if self.header_in.is_some() { "accept-proxy" } else { "" };
        let defers = if self.defers { "defer-accept" } else { "" };
        let _ = writeln!(text, "    bind :80 {header} {defers}");
        if self.is_narrow {
            let _ = writeln!(text, "    maxconn 4");
        }
        if self.rate.is_some() && is_of_frontend {
            let _ = writeln!(text, "    {rate_of} {rate}");
        }
        if self.tracks {
            let _ = writeln!(
                text,
                "    tcp-request connection track-sc0 src
    stick-table type ip size 100 expire 10m store conn_cur,conn_cnt,sess_cnt,conn_rate(10s)"
            );
        }
        if rng.percent(40) {
            // Wants what no client says; so it waits for as long, for so much, or for the end.
            let _ = writeln!(
                text,
                "    tcp-request inspect-delay {}\n    tcp-request content accept if {{ req.len gt {} }}",
                rng.pick(&["50ms", "2s"]),
                rng.pick(&[0, 1, 3_000, 12_000]),
            );
        }
        self.backend(&mut text, rng);
        text
    }

    fn defaults(&self, text: &mut String, rng: &mut Rng) {
        let is_calm = self.is_calm();
        text.push_str(
            "defaults
    mode tcp
    log stdout format raw local0
    log-format \"= %cp %ci %ts %U %B %s %Tw %Tc %Tt %rc\"
    timeout connect 2s
    timeout client 20s
    timeout server 20s
",
        );
        let options = [
            (is_calm && self.slots.is_some(), "timeout queue 10m"),
            (!is_calm && self.slots.is_some() && rng.percent(50), "timeout queue 3s"),
            (rng.percent(20), "timeout tunnel 30s"),
            (rng.percent(20), "timeout client-fin 5s"),
            (rng.percent(20), "timeout server-fin 5s"),
            (rng.percent(50), "option redispatch 1"),
            (self.aborts_on_close, "option abortonclose"),
            (!is_calm && rng.percent(10), "option nolinger"),
        ];
        for (_, option) in options.iter().filter(|(is_there, _)| *is_there) {
            let _ = writeln!(text, "    {option}");
        }
    }

    fn backend(&self, text: &mut String, rng: &mut Rng) {
        let algorithms = ["roundrobin", "static-rr", "leastconn", "source", "first", "random"];
        let _ = writeln!(text, "backend be\n    balance {}", rng.pick(&algorithms));
        if self.is_elastic {
            let _ = writeln!(text, "    fullconn 12");
        }
        if let Some(by) = self.sticks_by {
            let _ = writeln!(
                text,
                "    stick-table type integer size 1k expire 10m\n    stick on src_port,mod({by})"
            );
        }
        let from_first = format!("if {{ res.payload(0,1) -m bin {FIRST:02} }}");
        let rule = match self.response {
            Response::Passes => None,
            Response::Waits(bytes) => Some(format!("accept if {{ res.len gt {bytes} }}")),
            Response::Refused => Some(format!("reject {from_first}")),
            Response::Closed => Some(format!("close {from_first}")),
        };
        if let Some(rule) = rule {
            let delay = rng.pick(&["1s", "5s"]);
            // In a line for slots, nobody is to be mute for too long before it is his turn.
            let waits_in_line = self.slots.is_some() && matches!(self.response, Response::Waits(_));
            let delay = if waits_in_line { "50ms" } else { delay };
            let _ = writeln!(
                text,
                "    tcp-response inspect-delay {delay}\n    tcp-response content {rule}"
            );
        }
        let shuts = self.is_checked && rng.percent(30);
        let words = [
            (self.header_out == Some(1), "send-proxy"),
            (self.header_out == Some(2), "send-proxy-v2"),
            (self.is_elastic, "minconn 1"),
            (self.is_queue_short, "maxqueue 4"),
            (self.is_checked, "check inter 200ms fall 2 rise 2 fastinter 50ms"),
            (shuts, "on-marked-down shutdown-sessions"),
            (self.has_agents, "agent-check agent-port 82 agent-inter 300ms"),
        ];
        let words = words.iter().filter(|(is_there, _)| *is_there).map(|(_, word)| *word);
        let words = words.collect::<Vec<_>>().join(" ");
        let slots = self.slots.map_or(String::new(), |slots| format!("maxconn {slots}"));
        for number in 0..self.servers.len() {
            let (weight, at) = (rng.range(1, 5), usize::from(FIRST) + number);
            let _ = writeln!(
                text,
                "    server s{number} 10.0.0.{at}:80 weight {weight} {slots} {words}"
            );
        }
    }

    pub(crate) fn world(&self) -> World {
        let file = File { name: "haproxy.cfg", bytes: self.text.as_bytes() };
        let reading = read(&Input::of(&[file]));
        let proxies = reading.proxies.unwrap_or_else(|| panic!("{:?}", reading.messages));
        let Storm { seed, weather, cores, chunks, .. } = *self;
        let servers = self.servers.clone();
        let has_two_cards = false;
        let connections = 256;
        Plan { seed, weather, proxies, cores, has_two_cards, connections, chunks, servers }.world()
    }

    /// Nothing goes wrong.
    pub(crate) fn is_calm(&self) -> bool {
        let good = Ways { header: self.header_out, ..Ways::default() };
        let is_good = |ways: &Ways| *ways == Ways { after_ms: ways.after_ms, ..good };
        let Weather { loss_ppm, damage_ppm, .. } = self.weather;
        loss_ppm + damage_ppm == 0
            && self.upsets.is_empty()
            && self.servers.iter().all(is_good)
            && self.chunks > 1_000
            && !self.is_queue_short
    }

    /// Frames are lost, or memory is short.
    pub(crate) fn is_rough(&self) -> bool {
        let Weather { loss_ppm, damage_ppm, .. } = self.weather;
        loss_ppm + damage_ppm > 0 || self.chunks < 1_000
    }

    /// Whether everybody who waits for a slot gets the next one: no server is there that takes nobody
    /// new, and has some who wait for it alone.
    pub(crate) fn waits_are_short(&self) -> bool {
        let takes_out = |upset: &Upset| matches!(upset, Upset::TakeOut(_) | Upset::Say(..));
        let comes_and_goes = self.is_checked && !self.is_calm();
        !comes_and_goes && !self.upsets.iter().any(|(_, upset)| takes_out(upset))
    }
}
