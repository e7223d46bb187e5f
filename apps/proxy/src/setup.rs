//! What is frozen before the cores start: the configuration, and numbers for what in it is counted.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use penstock_config::haproxy::{
    Action, Address, Algorithm, Backend, BackendId, Bind, BindAddress, Fetch, Format, Frontend,
    Goal, Item, LogFormat, Mode, Patience, Port, Probes, Proxies, ProxyHeader, Rule, Server,
    Variable,
};
use penstock_control::NAMES_MAX;
use penstock_relay::{Manners, Timeouts};
use penstock_stack::{Duration, Endpoint, KeepAlive, SocketOptions};

use crate::acl::{Acls, CompileError};
use crate::check::Plan;
use crate::limits;
use crate::pools::{Gate, Pools};
use crate::proxy::OPTIONS;

/// A configuration, with everything numbered. It lives as long as the machine, and all cores read it.
#[derive(Debug)]
pub struct Setup {
    pub(crate) proxies: Proxies,
    /// Where the servers of each backend begin among all; one more at the end.
    first_servers: Vec<u16>,
    /// Names of servers that are not known yet, each once, and the servers of that name.
    pub(crate) names: Vec<String>,
    pub(crate) named: Vec<Vec<u16>>,
    /// Who is asked for them, before the machine's own name servers.
    pub(crate) name_servers: Vec<Endpoint>,
    /// The listeners.
    pub(crate) doors: Vec<Door>,
    /// Where the listeners of each frontend begin among all.
    first_doors: Vec<u16>,
    pub(crate) pools: Pools,
    /// Some format asks for our end of connections to servers.
    pub(crate) wants_outgoing: bool,
    /// Some backend looks at what servers say, or remembers servers.
    pub(crate) has_responses: bool,
    /// Some frontend logs sessions before they end.
    pub(crate) logs_early: bool,
    /// Some server's sessions count towards its health.
    pub(crate) observes: bool,
    /// The ACLs of each frontend, and of each backend.
    pub(crate) frontend_acls: Vec<Acls>,
    pub(crate) backend_acls: Vec<Acls>,
    /// Of each frontend: the backend to which all sessions go, where no rule of either has a say.
    sole_backends: Vec<Option<u16>>,
    /// How connections to each server are opened.
    approaches: Vec<Approach>,
    /// Backends that sessions can be sent to, in the order of their names.
    backends_by_name: Vec<u16>,
    /// How the servers of each backend are checked.
    pub(crate) plans: Vec<Plan>,
    /// What the agents of servers are asked.
    agent_plans: Vec<(u16, Plan)>,
    /// Sessions at which the servers of each backend have their `maxconn`; none where it does not
    /// depend on load.
    pub(crate) fullconns: Vec<Option<u32>>,
    /// How sessions of each frontend and backend are treated: `frontend * backends + backend`.
    manners_of: Vec<u16>,
    pub(crate) manners: Vec<Manners>,
}

/// How connections to a server are opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approach {
    pub(crate) backend: u16,
    /// Its number in that.
    pub(crate) index: u16,
    /// The server has no address of its own: it is wherever a client thought it was.
    pub(crate) is_where_clients_went: bool,
    pub(crate) port: Port,
    pub(crate) options: SocketOptions,
    /// What it hears before its client's words.
    pub(crate) header: Option<ProxyHeader>,
}

/// A listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) frontend: u16,
    /// Its number in that.
    pub(crate) bind: u16,
    /// Clients come in when they speak (`defer-accept`).
    pub(crate) defers: bool,
}

impl Setup {
    /// Numbers everything, for good: what this takes is never given back.
    ///
    /// # Errors
    /// A line for a person, where there is more than numbers suffice for.
    pub fn freeze(proxies: Proxies) -> Result<&'static Setup, String> {
        Ok(Box::leak(Box::new(Setup::number(proxies)?)))
    }

    /// The same, not for good.
    pub(crate) fn number(proxies: Proxies) -> Result<Setup, String> {
        let servers: usize = proxies.backends.iter().map(|backend| backend.servers.len()).sum();
        let listeners: usize = proxies.frontends.iter().map(|frontend| frontend.binds.len()).sum();
        if servers + listeners + proxies.frontends.len() + proxies.backends.len() > NUMBERS_MAX {
            let most = "more servers, listeners and sections than the proxy can number";
            return Err(format!("{most} ({NUMBERS_MAX})"));
        }
        let (first_servers, approaches) = approaches(&proxies);
        let (names, named) = names(&proxies);
        if names.len() > NAMES_MAX {
            return Err(format!(
                "{} names of servers, of which {NAMES_MAX} can be asked for",
                names.len()
            ));
        }
        let name_servers = proxies.resolvers.iter().flat_map(|section| &section.servers);
        let name_servers =
            name_servers.map(|&(_, BindAddress { addr, port })| Endpoint { addr, port }).collect();
        let (first_doors, doors) = doors(&proxies);
        let told = |error: CompileError| error.to_string();
        let frontend_acls = proxies.frontends.iter().map(|frontend| Acls::compile(&frontend.acls));
        let frontend_acls = frontend_acls.collect::<Result<_, _>>().map_err(told)?;
        let backend_acls = proxies.backends.iter().map(|backend| Acls::compile(&backend.acls));
        let backend_acls = backend_acls.collect::<Result<_, _>>().map_err(told)?;
        let plans = proxies.backends.iter().map(|backend| Plan::compile(&backend.check));
        let plans = plans.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let all = proxies.backends.iter().flat_map(|backend| &backend.servers);
        let agents = (0..).zip(all).filter_map(|(number, it)| Some((number, it.agent.as_ref()?)));
        let agent_plans = agents.map(|(number, it)| (number, Plan::agent(&it.send))).collect();
        let pools = Pools::of(&proxies);
        let sole_backends = proxies.frontends.iter().map(|it| sole_backend(&proxies, it)).collect();
        let numbered = (0..).zip(&proxies.backends);
        let fullconns = numbered.map(|(number, backend)| fullconn(&proxies, number, backend));
        let fullconns = fullconns.collect();
        let (manners_of, manners) = manners(&proxies);
        let is_here = |&at: &u16| proxies.backends[at as usize].mode == Mode::Tcp;
        let mut backends_by_name: Vec<u16> =
            (0..proxies.backends.len() as u16).filter(is_here).collect();
        backends_by_name.sort_by_key(|&at| &proxies.backends[at as usize].name);
        Ok(Setup {
            wants_outgoing: proxies.frontends.iter().any(wants_outgoing),
            observes: proxies
                .backends
                .iter()
                .any(|backend| backend.servers.iter().any(|server| server.observe.is_some())),
            has_responses: proxies.backends.iter().any(|backend| {
                !backend.response_rules.is_empty() || !backend.persistence.is_empty()
            }),
            logs_early: proxies.frontends.iter().any(|frontend| frontend.options.log_asap),
            proxies,
            first_servers,
            names,
            named,
            name_servers,
            doors,
            first_doors,
            pools,
            frontend_acls,
            backend_acls,
            sole_backends,
            approaches,
            backends_by_name,
            plans,
            agent_plans,
            fullconns,
            manners_of,
            manners,
        })
    }

    /// How a name is asked for, where its servers say who is asked.
    pub(crate) fn patience(&self, name: u16) -> Option<Patience> {
        let first = *self.named.get(usize::from(name))?.first()?;
        let section = self.server(first).resolvers?;
        self.proxies.resolvers.get(usize::from(section)).map(|section| section.patience)
    }

    /// The configuration.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Whether anything is counted by key.
    pub(crate) fn has_tables(&self) -> bool {
        !self.proxies.tables.is_empty()
    }

    /// Of how many keys a session's server may have to be remembered.
    pub(crate) fn stick_keys(&self) -> usize {
        let stores = |backend: &Backend| backend.persistence.iter().filter(|it| it.stores).count();
        let most = self.proxies.backends.iter().map(stores).max();
        most.unwrap_or_default().min(limits::STICK_KEYS)
    }

    /// Whether rules may wait for bytes of clients.
    pub(crate) fn looks_at_bytes(&self) -> bool {
        let frontends =
            self.proxies.frontends.iter().any(|frontend| !frontend.content_rules.is_empty());
        let is_inspected = |backend: &Backend| {
            !backend.content_rules.is_empty() || !backend.response_rules.is_empty()
        };
        frontends || self.proxies.backends.iter().any(is_inspected)
    }

    /// Whether servers may have to be told what sessions are called.
    pub(crate) fn tells_unique_ids(&self) -> bool {
        let is_told = |header| matches!(header, Some(ProxyHeader::V2 { unique_id: true, .. }));
        let servers = || self.proxies.backends.iter().flat_map(|backend| &backend.servers);
        self.proxies.frontends.iter().any(|frontend| frontend.unique_id_format.is_some())
            && servers().any(|server| is_told(server.send_proxy))
    }

    /// Whether clients may have to begin with a PROXY header.
    pub(crate) fn expects_headers(&self) -> bool {
        self.proxies.frontends.iter().any(|frontend| {
            let expects = |rule: &Rule| rule.action == Action::ExpectProxy;
            frontend.binds.iter().any(|bind| bind.accept_proxy)
                || frontend.connection_rules.iter().any(expects)
        })
    }

    pub(crate) fn frontend(&self, number: u16) -> &Frontend {
        &self.proxies.frontends[number as usize]
    }

    pub(crate) fn backend(&self, number: u16) -> &Backend {
        &self.proxies.backends[number as usize]
    }

    pub(crate) fn bind(&self, frontend: u16, number: u16) -> &Bind {
        &self.frontend(frontend).binds[number as usize]
    }

    /// The number of a listener among all.
    pub(crate) fn door(&self, frontend: u16, bind: u16) -> u16 {
        self.first_doors[frontend as usize] + bind
    }

    /// The pools of which a client of this listener needs a slot each, in this order.
    pub(crate) fn gates(&self, frontend: u16, bind: u16) -> &[Gate] {
        &self.pools.gates[usize::from(self.door(frontend, bind))]
    }

    /// The number of a server among all.
    pub(crate) fn server_number(&self, backend: u16, index: u16) -> u16 {
        self.first_servers[backend as usize] + index
    }

    /// The servers of a backend, by their numbers among all.
    pub(crate) fn servers_of(&self, backend: u16) -> core::ops::Range<u16> {
        self.first_servers[backend as usize]..self.first_servers[backend as usize + 1]
    }

    /// How many there are in all backends.
    pub(crate) fn servers_count(&self) -> u16 {
        self.approaches.len() as u16
    }

    /// Whether a frontend and its backend are one section.
    pub(crate) fn is_listen(&self, frontend: &Frontend) -> bool {
        let own = frontend.default_backend.map(|id| self.backend(id.0));
        own.is_some_and(|backend| backend.name == frontend.name)
    }

    /// The backend of a server.
    pub(crate) fn backend_of(&self, server: u16) -> u16 {
        self.approach(server).backend
    }

    /// The backend of this name.
    pub(crate) fn backend_named(&self, name: &[u8]) -> Option<u16> {
        let name_of = |at: &u16| self.backend(*at).name.as_bytes();
        let found = self.backends_by_name.binary_search_by(|at| name_of(at).cmp(name)).ok()?;
        Some(self.backends_by_name[found])
    }

    /// The server of this name in a backend, by its number among all.
    pub(crate) fn server_named(&self, backend: u16, name: &[u8]) -> Option<u16> {
        let servers = &self.backend(backend).servers;
        let at = servers.iter().position(|it| it.name.as_bytes() == name)?;
        Some(self.server_number(backend, at as u16))
    }

    /// The server of this `id` in a backend, by its number among all.
    pub(crate) fn server_numbered(&self, backend: u16, id: u32) -> Option<u16> {
        let servers = &self.backend(backend).servers;
        // Numbers that were not given are places, from 1.
        let usual = (id as usize).wrapping_sub(1);
        let is_usual = servers.get(usual).is_some_and(|server| server.id == id);
        let at = if is_usual { Some(usual) } else { servers.iter().position(|it| it.id == id) };
        at.map(|at| self.server_number(backend, at as u16))
    }

    pub(crate) fn server(&self, number: u16) -> &Server {
        let &Approach { backend, index, .. } = self.approach(number);
        &self.backend(backend).servers[index as usize]
    }

    pub(crate) fn approach(&self, server: u16) -> &Approach {
        &self.approaches[server as usize]
    }

    /// The backend to which all sessions of a frontend go, where nothing has to be looked at to know
    /// that, and to know what becomes of them there.
    pub(crate) fn sole_backend(&self, frontend: u16) -> Option<u16> {
        self.sole_backends[frontend as usize]
    }

    /// What the agent of a server is asked, if it has one.
    pub(crate) fn agent_plan(&self, number: u16) -> Option<&Plan> {
        self.agent_plans.iter().find(|(server, _)| *server == number).map(|(_, plan)| plan)
    }

    /// The server that this one tracks.
    pub(crate) fn leader_of(&self, number: u16) -> Option<u16> {
        let id = self.server(number).track?;
        Some(self.server_number(id.backend.0, id.index))
    }

    /// How the relay treats sessions of these.
    pub(crate) fn manners_of(&self, frontend: u16, backend: u16) -> u16 {
        self.manners_of[frontend as usize * self.proxies.backends.len() + backend as usize]
    }
}

impl Approach {
    fn new(number: u16, index: u16, backend: &Backend, server: &Server) -> Approach {
        let patient = backend.options.smart_connect != Some(false);
        let keepalive = keepalive(backend.options.keep_alive, &backend.options.probes);
        Approach {
            backend: number,
            index,
            is_where_clients_went: matches!(server.address, Address::Client),
            port: server.port,
            options: SocketOptions {
                user_timeout: server.user_timeout,
                patient,
                keepalive,
                ..OPTIONS
            },
            header: server.send_proxy,
        }
    }
}

/// How connections to each server are opened, and where the servers of each backend begin among all.
fn approaches(proxies: &Proxies) -> (Vec<u16>, Vec<Approach>) {
    let mut first_servers = alloc::vec![0];
    let mut approaches = Vec::new();
    for (number, backend) in (0..).zip(&proxies.backends) {
        let of = |(index, server)| Approach::new(number, index, backend, server);
        approaches.extend((0..).zip(&backend.servers).map(of));
        first_servers.push(approaches.len() as u16);
    }
    (first_servers, approaches)
}

/// All listeners, and where those of each frontend begin among them.
fn doors(proxies: &Proxies) -> (Vec<u16>, Vec<Door>) {
    let (mut first_doors, mut doors) = (Vec::new(), Vec::new());
    for (frontend, section) in (0..).zip(&proxies.frontends) {
        first_doors.push(doors.len() as u16);
        let door = |(bind, it): (u16, &Bind)| Door { frontend, bind, defers: it.defer_accept };
        doors.extend((0..).zip(&section.binds).map(door));
    }
    (first_doors, doors)
}

/// How a quiet connection is probed (`option clitcpka`, `srvtcpka`), if it is; what is not said is
/// Linux's (`tcp_keepalive_time`, `_intvl`, `_probes`).
pub(crate) fn keepalive(is_probed: bool, said: &Probes) -> Option<KeepAlive> {
    is_probed.then(|| KeepAlive {
        idle: said.idle.unwrap_or(Duration::from_secs(7_200)),
        interval: said.interval.unwrap_or(Duration::from_secs(75)),
        probes: said.count.unwrap_or(9),
    })
}

/// See [`Setup::sole_backend`].
fn sole_backend(proxies: &Proxies, frontend: &Frontend) -> Option<u16> {
    let BackendId(number) = frontend.default_backend?;
    let backend = &proxies.backends[number as usize];
    let is_plain = frontend.content_rules.is_empty()
        && frontend.routes.is_empty()
        && backend.content_rules.is_empty()
        && backend.use_servers.is_empty()
        && backend.persistence.is_empty()
        && backend.persist_rdp_cookie.is_none()
        && !matches!(backend.algorithm, Algorithm::Source | Algorithm::Hash(_));
    is_plain.then_some(number)
}

/// The names that servers have in place of addresses, each once for those who ask alike, and who has them.
fn names(proxies: &Proxies) -> (Vec<String>, Vec<Vec<u16>>) {
    let (mut names, mut named) = (Vec::new(), Vec::new());
    let mut numbers = BTreeMap::new();
    let servers = proxies.backends.iter().flat_map(|backend| &backend.servers);
    for (server, description) in (0..).zip(servers) {
        let Address::Name(name) = &description.address else { continue };
        if description.resolvers.is_none() && !description.init_addr.asks {
            continue;
        }
        let asked = (name, description.resolvers);
        let number = *numbers.entry(asked).or_insert(names.len());
        if number == names.len() {
            names.push(name.clone());
            named.push(Vec::new());
        }
        named[number].push(server);
    }
    (names, named)
}

/// Whether the log of a frontend, or what it calls sessions, names our end of connections to servers.
fn wants_outgoing(frontend: &Frontend) -> bool {
    let log = match &frontend.log_format {
        LogFormat::Items(format) => Some(format),
        _ => None,
    };
    let formats = log.into_iter().chain(&frontend.unique_id_format);
    formats.flat_map(|Format(items)| items).any(|item| match item {
        Item::Variable(variable, _) => {
            matches!(variable, Variable::BackendSource | Variable::BackendSourcePort)
        }
        Item::Sample(sample, _) => matches!(sample.fetch, Fetch::Server(_)),
        Item::Text(_) => false,
    })
}

/// `fullconn`, or a tenth of what the frontends that lead there may have at once, where it matters.
fn fullconn(proxies: &Proxies, number: u16, backend: &Backend) -> Option<u32> {
    let matters = backend.servers.iter().any(|server| server.minconn.is_some());
    let id = BackendId(number);
    let process = proxies.global.maxconn.unwrap_or(MAXCONN_DEFAULT);
    let leads_there = |frontend: &&Frontend| {
        let mut goals = frontend.routes.iter().map(|route| &route.goal);
        !frontend.disabled
            && (frontend.default_backend == Some(id)
                || goals.any(|goal| *goal == Goal::Backend(id)))
    };
    let frontends = proxies.frontends.iter().filter(leads_there);
    let most = frontends.map(|frontend| frontend.maxconn.unwrap_or(process));
    let all = || most.fold(0, u32::saturating_add);
    matters.then(|| backend.fullconn.unwrap_or_else(|| all().div_ceil(10).max(1)))
}

/// The ways in which sessions are treated, each once, and which of them each pair of a frontend and a
/// backend has.
fn manners(proxies: &Proxies) -> (Vec<u16>, Vec<Manners>) {
    let mut all: Vec<Manners> = Vec::new();
    let mut which = Vec::new();
    for frontend in &proxies.frontends {
        for backend in &proxies.backends {
            let manners = Manners {
                timeouts: Timeouts {
                    connect: backend.timeouts.connect,
                    client: frontend.timeouts.client,
                    server: backend.timeouts.server,
                    client_fin: frontend.timeouts.client_fin,
                    server_fin: backend.timeouts.server_fin,
                    tunnel: backend.timeouts.tunnel,
                },
                abort_on_close: backend.options.abort_on_close,
                ends_softly: true,
                client_no_linger: frontend.options.no_linger,
                server_no_linger: backend.options.no_linger,
            };
            let found = all.iter().position(|known| *known == manners);
            which.push(found.unwrap_or(all.len()) as u16);
            if found.is_none() {
                all.push(manners);
            }
        }
    }
    (which, all)
}

/// Servers, listeners, frontends and backends together: each has a number, and a pool may have it.
const NUMBERS_MAX: usize = 32_767;

/// What a process may have at once where nothing else was said, for arithmetic alone.
const MAXCONN_DEFAULT: u32 = 100_000;
