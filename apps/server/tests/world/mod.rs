//! Visitors, a server of one or two cores with little memory, and backends.

use penstock_server::{Arguments, Server};
use penstock_stack::{ConnId, SocketOptions, Worker};
use penstock_world::{BEGIN, Cable, Weather, Wire, config, workers};

use crate::visitor::{Visitor, Visitors};

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) options: String,
    pub(crate) cores: u16,
    /// Payload chunks of each of the server's cores.
    pub(crate) chunks: u32,
    /// Options of each backend, from 10.0.0.3 on.
    pub(crate) backends: Vec<String>,
    /// They die while visitors are there.
    pub(crate) backends_die: bool,
}

pub(crate) type World = penstock_world::World<Visitors, Server, Server>;

impl Plan {
    /// The world of that plan, and nobody there yet.
    pub(crate) fn world(&self) -> World {
        let backends = (3..).zip(&self.backends);
        World {
            clients: workers(&config(1, 1, CONNECTIONS, ROOMY), |_, _| Visitors::default())
                .remove(0),
            cores: serving(2, self.cores, self.chunks, &self.options),
            servers: backends.map(|(last, text)| serving(last, 1, ROOMY, text).pop()).collect(),
            wire: Wire::new(self.seed, self.weather),
            chunks: self.chunks,
            now: BEGIN,
            judge: Box::new(|_, _| {}),
        }
    }
}

/// Somebody comes.
pub(crate) fn visit(world: &mut World, port: u16, visitor: Visitor) -> Option<ConnId> {
    let conn = world.connect(port, SocketOptions::default())?;
    world.clients.app_mut().by_conn.insert(conn, visitor);
    Some(conn)
}

/// What is left behind, in words; empty when nothing is.
pub(crate) fn remains(world: &World) -> String {
    world.left_behind(|core| {
        let statistics = core.app().statistics(core.counters());
        let is_idle = statistics.active == 0 && core.app().heads_in_use() == 0;
        (is_idle, statistics.to_string())
    })
}

fn serving(last: u8, cores: u16, chunks: u32, options: &str) -> Vec<Worker<Cable, Server>> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let arguments = Arguments::parse(&words).expect("good options");
    let app = |_, capacity: &_| Server::new(arguments.clone(), capacity);
    let mut servers = workers(&config(last, cores, CONNECTIONS, chunks), app);
    for server in &mut servers {
        server.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
    }
    servers
}

const CONNECTIONS: u32 = 256;
/// Chunks of those who are not tested.
const ROOMY: u32 = 8192;
