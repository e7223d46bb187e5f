//! Any bytes as a story of a whole proxy: who comes, says what in which pieces, falls silent, closes or
//! breaks off; which server answers, is mute, dies or is cut off; how the weather is, and how much time
//! passes. The first bytes choose the configuration and the machine.
//!
//! After each step the books of each core agree, nobody waits for longer than he may, or for a slot that is
//! free. In the end nothing is left, each session is in the log once, and its line names the connection
//! at its server: what came out at either end is the beginning of what went in at the other, and all of it
//! where nobody was disturbed.

mod judgement;
mod puppet;
mod sites;

use std::cell::RefCell;
use std::rc::Rc;

use penstock_config::haproxy::{BackendId, ServerId};
use penstock_fault::mix;
use penstock_proxy::Standing;
use penstock_stack::{Capacity, Instant, SocketOptions, Worker};
use penstock_world::{BEGIN, Cable, Weather, Wire, config, workers};

use crate::world::keeping;
use puppet::{Puppet, Voice};
use sites::Site;

/// Plays the story in `bytes`. Returns how many sessions went well: both ends said something, and each
/// heard all of what the other said.
///
/// # Panics
/// When something does not hold: a defect of the proxy or of what it stands on.
pub(crate) fn play(bytes: &[u8]) -> u64 {
    let mut script = Script { bytes };
    let mut story = Story::begin(&mut script);
    for _ in 0..STEPS_MAX {
        if script.bytes.is_empty() {
            break;
        }
        story.step(&mut script);
    }
    story.end()
}

/// What is left of the bytes.
struct Script<'b> {
    bytes: &'b [u8],
}

impl<'b> Script<'b> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    fn take(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// A length: exact where it is small, anything up to 60,000 and something.
    fn length(&mut self) -> usize {
        match self.byte() {
            small @ 0..=127 => usize::from(small),
            large => (usize::from(large) - 127) * 469,
        }
    }
}

type World = penstock_world::World<Puppet, penstock_proxy::Proxy, Puppet>;

/// A story under way.
struct Story {
    site: &'static Site,
    world: World,
    log: Rc<RefCell<Vec<String>>>,
    /// Somebody was cut off, killed or lost a frame: not all that was said must have come.
    is_rough: bool,
}

impl Story {
    fn begin(script: &mut Script<'_>) -> Story {
        let site = sites::choose(script.byte());
        let knobs = script.byte();
        let cores = [1, 1, 2, 4][usize::from(knobs & 3)];
        let chunks = [1_024, 1_024, 256, 96][usize::from(knobs >> 2 & 3)];
        let log = Rc::new(RefCell::new(Vec::new()));
        let machine = config(2, cores, CONNECTIONS, chunks);
        let proxy = |core, capacity: &Capacity| site.proxy(core, cores, capacity);
        let mut cores = workers(&machine, proxy);
        for core in &mut cores {
            core.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
        }
        let guest = |last, puppet: fn(bool) -> Puppet| {
            let puppet = |_, _: &Capacity| puppet(knobs & 16 == 0);
            workers(&config(last, 1, CONNECTIONS, GUEST_CHUNKS), puppet).remove(0)
        };
        let servers = (FIRST..FIRST + SERVERS).map(|last| {
            let mut server = guest(last, |_| Puppet::default());
            let ways = script.byte();
            server.with(BEGIN, |app, cx| app.serve(cx, ways));
            Some(server)
        });
        let servers = servers.collect();
        let world = World {
            clients: guest(1, Puppet::clients),
            cores,
            servers,
            wire: Wire::new(u64::from(knobs), Weather::default()),
            chunks,
            now: BEGIN,
            judge: Box::new(keeping(site.waits_are_short, log.clone())),
        };
        let mut story = Story { site, world, log, is_rough: chunks < 1_024 };
        // A cold neighbour's first frames may be lost.
        story.come();
        story.world.pass_ms(100);
        story
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() {
            0..=39 => {
                self.come();
                self.world.pass_ms(u64::from(script.byte() & 1));
            }
            40..=79 => self.client(script, |voice, script| voice.say(script.length())),
            80..=99 => self.client(script, |voice, script| {
                let count = usize::from(script.byte() & 127);
                voice.say_exactly(script.take(count));
            }),
            100..=109 => self.client(script, |voice, script| {
                let version = script.byte();
                voice.say_exactly(&sites::header(version, voice.port));
            }),
            110..=124 => self.client(script, |voice, _| voice.shuts = true),
            125..=129 => self.client(script, |voice, _| voice.breaks = true),
            130..=134 => self.client(script, |voice, _| voice.leaves = true),
            135..=144 => self.client(script, |voice, _| voice.is_deaf = !voice.is_deaf),
            145..=164 => self.server(script, |voice, script| voice.say(script.length())),
            165..=174 => self.server(script, |voice, _| voice.shuts = true),
            175..=179 => self.server(script, |voice, _| voice.breaks = true),
            180..=184 => self.server(script, |voice, _| voice.leaves = true),
            185..=194 => self.server(script, |voice, _| voice.is_deaf = !voice.is_deaf),
            195..=204 => self.upset(script),
            205..=209 => self.change_the_weather(script.byte()),
            _ => {
                let shift = script.byte() % 10;
                self.world.pass_ms(u64::from(script.byte() & 15) << shift);
            }
        }
    }

    /// Somebody connects.
    fn come(&mut self) {
        let options = SocketOptions { nodelay: true, ..SocketOptions::default() };
        if self.world.clients.app().voices.len() < CLIENTS_MAX
            && let Some(conn) = self.world.connect(80, options)
        {
            self.world.act(|puppet, cx| puppet.meet(cx, conn));
        }
    }

    /// A client does something; mostly the last that came.
    fn client(&mut self, script: &mut Script<'_>, act: fn(&mut Voice, &mut Script<'_>)) {
        let which = usize::from(script.byte());
        self.world.act(|puppet, cx| puppet.act(cx, which, |voice| act(voice, script)));
    }

    /// A server does something to one of its connections.
    fn server(&mut self, script: &mut Script<'_>, act: fn(&mut Voice, &mut Script<'_>)) {
        let which = usize::from(script.byte());
        let now = self.world.now;
        let servers = self.world.servers.len();
        if let Some(server) = &mut self.world.servers[which % servers] {
            let which = which / servers;
            server.with(now, |puppet, cx| puppet.act(cx, which, |voice| act(voice, script)));
        }
    }

    /// Something happens to a server as a whole.
    fn upset(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let which = usize::from(what >> 4) % self.world.servers.len();
        let now = self.world.now;
        match what & 15 {
            0 => {
                self.world.kill(which);
                self.is_rough = true;
            }
            1..=3 => {
                self.world.wire.cut.push(usize::from(FIRST) + which);
                self.is_rough = true;
            }
            4..=6 => self.world.wire.cut.clear(),
            7..=9 if !self.site.waits_are_short => {
                let id = ServerId { backend: BackendId(0), index: which as u16 };
                self.world.cores[0].with(now, |app, cx| {
                    let standing = app.standing(id);
                    let is_in_maintenance = !standing.is_in_maintenance;
                    app.set_server(cx, id, Standing { is_in_maintenance, ..standing });
                });
            }
            _ => {
                let ways = script.byte();
                if let Some(server) = &mut self.world.servers[which] {
                    server.with(now, |puppet, cx| puppet.serve(cx, ways));
                }
            }
        }
    }

    fn change_the_weather(&mut self, what: u8) {
        self.world.wire.weather = Weather {
            loss_ppm: [0, 0, 20_000, 200_000][usize::from(what & 3)],
            damage_ppm: [0, 0, 0, 20_000][usize::from(what >> 2 & 3)],
            repeat_ppm: [0, 0, 20_000, 200_000][usize::from(what >> 4 & 3)],
            delay_us: [0, 100, 2_000, 50_000][usize::from(what >> 6)],
        };
        // What is only late may be taken for lost.
        self.is_rough |= what != 0;
    }

    fn sessions(&self) -> u32 {
        self.world.cores.iter().map(|core| core.app().statistics().active).sum()
    }

    /// Nobody does anything any more: whatever is there has its time, and then it is over.
    fn end(mut self) -> u64 {
        let end = Instant(self.world.now.0 + LONGEST_S * 1_000_000);
        while self.world.now < end && self.sessions() > 0 {
            self.world.pass_ms(500);
        }
        assert_eq!(self.sessions(), 0, "sessions outlive every timeout");
        self.world.wire.weather = Weather::default();
        self.world.wire.cut.clear();
        let now = self.world.now;
        self.world.cores.iter_mut().for_each(|core| core.with(now, |app, cx| app.stop(cx)));
        self.world.clients.with(now, Puppet::leave);
        for server in self.world.servers.iter_mut().flatten() {
            server.with(now, Puppet::leave);
        }
        let has_open = |core: &Worker<Cable, _>| core.census().connections > 0;
        let end = Instant(self.world.now.0 + ORPHANS_S * 1_000_000);
        while self.world.now < end && self.world.cores.iter().any(has_open) {
            self.world.pass_ms(1_000);
        }
        // A word between cores, and a frame that waits for its neighbour, have their time too.
        self.world.pass_ms(4_000);
        self.judge()
    }
}

/// Bytes that nobody else says: the `at`th of the voice with this number.
fn own_byte(number: u64, at: usize) -> u8 {
    mix(number << 32 | at as u64) as u8
}

/// The last number of the first server's address.
const FIRST: u8 = 3;
const SERVERS: u8 = 2;
/// Connections of each core, and of the clients and servers.
const CONNECTIONS: u32 = 64;
const GUEST_CHUNKS: u32 = 1_024;
const CLIENTS_MAX: usize = 24;
/// Of a story that goes on and on, the rest is not played.
const STEPS_MAX: usize = 200;
/// Longer than all timeouts of a session together, and than many in a line.
const LONGEST_S: u64 = 300;
/// Eight tries of a connection that everybody has left, from three seconds on, are nine minutes.
const ORPHANS_S: u64 = 700;
