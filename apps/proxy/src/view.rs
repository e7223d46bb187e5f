//! A session as conditions, keys and log lines see it.

use penstock_config::haproxy::{
    Counter, End, Fetch, Provisos, ServerId, TableId, TimeUnit, TimeoutOf, Transport, VariableId,
    Way,
};
use penstock_stack::{Cx, Instant};

use crate::proxy::Proxy;
use crate::sample::{Room, Value, View, Workspace};
use crate::session::{Session, SessionId};

/// A session, and the bytes of its client that are there.
pub(crate) struct SessionView<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) id: SessionId,
    pub(crate) session: &'a Session,
    /// The stick table of the section whose rules look.
    pub(crate) table: Option<TableId>,
    pub(crate) now: Instant,
    pub(crate) bytes: &'a [u8],
    /// What its server has said, as long as rules look at it.
    pub(crate) response: &'a [u8],
    /// No more bytes are waited for.
    pub(crate) is_final: bool,
    /// The stack: the time of day, and what is known of the client's connection.
    pub(crate) cx: &'a Cx<'a>,
    /// Something that nobody has to guess.
    pub(crate) random: u64,
}

impl<'a> SessionView<'a> {
    /// A session of which no more is waited for.
    pub(crate) fn whole(
        proxy: &'a Proxy,
        cx: &'a Cx<'_>,
        id: SessionId,
        random: u64,
    ) -> Option<Self> {
        let session = proxy.session(id)?;
        Some(SessionView {
            proxy,
            id,
            session,
            table: proxy.setup.frontend(session.frontend).table,
            now: cx.now(),
            bytes: &[],
            response: &[],
            is_final: true,
            cx,
            random,
        })
    }
}

impl Proxy {
    /// Has `look` look at a session and at `bytes` of it, or what is kept of them: all that there will
    /// be, unless it makes the view another.
    pub(crate) fn look<T>(
        &mut self,
        cx: &Cx<'_>,
        id: SessionId,
        bytes: &[u8],
        look: impl FnOnce(&mut SessionView<'_>, &mut Workspace) -> T,
    ) -> Option<T> {
        let random = self.draw();
        let mut work = self.work.take()?;
        let seen = SessionView::whole(self, cx, id, random).map(|mut view| {
            view.bytes = view.session.kept.map_or(bytes, |buffer| self.kept.bytes(buffer));
            look(&mut view, &mut work)
        });
        self.work = Some(work);
        seen
    }
}

impl View for SessionView<'_> {
    fn bytes(&self, way: Way) -> &[u8] {
        match way {
            Way::Request => self.bytes,
            Way::Response => self.response,
            // Of the two there is one: rules look at a response with none of the request's bytes left.
            Way::Either if self.response.is_empty() => self.bytes,
            Way::Either => self.response,
        }
    }

    fn bytes_max(&self) -> usize {
        self.proxy.kept.size()
    }

    fn is_final(&self) -> bool {
        self.is_final
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        let (proxy, session) = (self.proxy, self.session);
        let gauges = &proxy.gauges;
        let backend = |named: &Option<penstock_config::haproxy::BackendId>| {
            named.map(|id| id.0).or(session.backend)
        };
        let number = |count: u32| Some(Value::Int(count.into()));
        let text = |text: &'a str| Some(Value::Text(text.as_bytes()));
        match fetch {
            Fetch::Random(below) => {
                let below = if *below == 0 { 1 << 32 } else { u64::from(*below) };
                let drawn = (self.random >> 32) * below;
                Some(Value::Int((drawn >> 32) as i64))
            }
            Fetch::Date(offset, unit) => {
                let number = unit.of_micros(self.cx.wall()?.0 as i64);
                Some(Value::Int(number.saturating_add(*offset)))
            }
            Fetch::Thread => number(u32::from(proxy.core)),
            Fetch::Stopping => Some(Value::Bool(proxy.is_stopping)),
            Fetch::HostName => proxy.setup.proxies().global.node.as_deref().and_then(text),

            Fetch::UsableServers(named) => number(proxy.usable_in(backend(named)?)),
            Fetch::BackendConnections(named) => {
                number(gauges.total(gauges.backend(backend(named)?)))
            }
            Fetch::FrontendConnections(named) => {
                let frontend = named.map_or(session.frontend, |id| id.0);
                number(gauges.total(gauges.frontend(frontend)))
            }
            Fetch::FrontendRate(named) => {
                let frontend = named.map_or(session.frontend, |id| id.0);
                Some(Value::Int(gauges.rate(gauges.frontend(frontend), self.now) as i64))
            }
            Fetch::BackendRate(named) => {
                let gauge = gauges.backend(backend(named)?);
                Some(Value::Int(gauges.rate(gauge, self.now) as i64))
            }
            Fetch::ServerRate(id) => {
                let gauge = gauges.server(self.server(*id));
                Some(Value::Int(gauges.rate(gauge, self.now) as i64))
            }
            Fetch::Queue(named) => number(proxy.waiting_in(backend(named)?)),
            Fetch::AverageQueue(named) => {
                let backend = backend(named)?;
                let usable = proxy.usable_in(backend);
                let waiting = proxy.waiting_in(backend);
                number(if usable == 0 { waiting * 2 } else { waiting.div_ceil(usable) })
            }
            Fetch::BackendFree(named) => self.free_in(backend(named)?, false).map(Value::Int),
            Fetch::BackendSlots(named) => self.free_in(backend(named)?, true).map(Value::Int),
            Fetch::ServerFree(id) => {
                let server = self.server(*id);
                let most = proxy.setup.server(server).maxconn;
                let used = gauges.total(gauges.server(server));
                Some(Value::Int(most.map_or(-1, |most| most.saturating_sub(used).into())))
            }
            Fetch::PriorityClass => Some(Value::Int(session.priority.get().0.into())),
            Fetch::PriorityOffset => Some(Value::Int(session.priority.get().1.into())),
            Fetch::Timeout(which) => {
                let backend = || session.backend.map(|at| &proxy.setup.backend(at).timeouts);
                let timeout = match which {
                    TimeoutOf::Client => proxy.setup.frontend(session.frontend).timeouts.client,
                    TimeoutOf::Server => backend()?.server,
                    TimeoutOf::Tunnel => backend()?.tunnel,
                };
                Some(Value::Int(timeout.map_or(0, |timeout| timeout.millis() as i64)))
            }
            Fetch::DateMicros => Some(Value::Int((self.cx.wall()?.0 % 1_000_000) as i64)),
            Fetch::ServerConnections(id) => number(gauges.total(gauges.server(self.server(*id)))),
            Fetch::ServerQueue(id) => number(proxy.servers[self.server(*id) as usize].queue.len()),
            Fetch::ServerIsUp(id) => {
                let standing = &proxy.servers[self.server(*id) as usize].standing;
                Some(Value::Bool(standing.is_running()))
            }
            Fetch::ServerWeight(id) => {
                number(proxy.servers[self.server(*id) as usize].standing.weight.into())
            }
            Fetch::ServerInitialWeight(id) => {
                number(proxy.setup.server(self.server(*id)).weight.into())
            }

            Fetch::Source => Some(Value::Addr(session.source.get().addr)),
            Fetch::SourcePort => number(session.source.get().port.into()),
            Fetch::Destination => Some(Value::Addr(session.destination.get().addr)),
            Fetch::DestinationPort => number(session.destination.get().port.into()),
            Fetch::Original(end) => Some(match end {
                End::Source => Value::Addr(session.peer.get().addr),
                End::SourcePort => Value::Int(session.peer.get().port.into()),
                End::Destination => Value::Addr(session.local.get().addr),
                End::DestinationPort => Value::Int(session.local.get().port.into()),
            }),
            Fetch::Server(end) => {
                let ours = session.outgoing?;
                let server = || proxy.server_endpoint(session.destination.get(), session.server?);
                Some(match end {
                    End::Source => Value::Addr(ours.addr),
                    End::SourcePort => Value::Int(ours.port.into()),
                    End::Destination => Value::Addr(server()?.addr),
                    End::DestinationPort => Value::Int(server()?.port.into()),
                })
            }
            Fetch::ListenerConnections => number(gauges.total(gauges.frontend(session.frontend))),
            Fetch::IsLocal { end, original } => {
                let endpoint = match (end, original) {
                    (End::Source | End::SourcePort, false) => session.source.get(),
                    (End::Source | End::SourcePort, true) => session.peer.get(),
                    (End::Destination | End::DestinationPort, false) => session.destination.get(),
                    (End::Destination | End::DestinationPort, true) => session.local.get(),
                };
                Some(Value::Bool(self.cx.is_ours(endpoint.addr)))
            }
            Fetch::Transport(what) => self.transport(*what).map(Value::Int),
            Fetch::ReceivedProxy => Some(Value::Bool(session.has(Session::HEADER_CAME))),
            Fetch::FrontendNumber => number(proxy.setup.frontend(session.frontend).id),
            Fetch::FrontendName => text(&proxy.setup.frontend(session.frontend).name),
            Fetch::DefaultBackendName => {
                let default = proxy.setup.frontend(session.frontend).default_backend?;
                text(&proxy.setup.backend(default.0).name)
            }
            Fetch::BackendNumber => number(proxy.setup.backend(session.backend?).id),
            Fetch::BackendName => text(&proxy.setup.backend(session.backend?).name),
            Fetch::ServerNumber => number(proxy.setup.server(session.server?).id),
            Fetch::ServerName => text(&proxy.setup.server(session.server?).name),
            Fetch::ListenerNumber => number(proxy.setup.bind(session.frontend, session.bind).id),
            Fetch::ListenerName => {
                text(proxy.setup.bind(session.frontend, session.bind).name.as_deref()?)
            }
            Fetch::SourceCounter { counter, table } => {
                let source = Value::Addr(session.source.get().addr);
                let table = table.or(self.table);
                proxy.counters.of_key(table, *counter, source, self.now).map(Value::Int)
            }
            Fetch::TrackedCounter { slot, counter, table } => {
                let counters = &proxy.counters;
                counters.of_tracked(self.id, *slot, *table, *counter, self.now).map(Value::Int)
            }
            Fetch::Tracked(slot) => Some(Value::Bool(proxy.counters.is_tracked(self.id, *slot))),
            Fetch::IncrementedCounter { slot, counter, clear, table } => {
                let source = Value::Addr(session.source.get().addr);
                let what = (*counter, *clear);
                let number =
                    proxy.counters.change((self.id, *slot), *table, source, what, self.now);
                number.map(Value::Int)
            }
            Fetch::TableEntries { table, available } => {
                let table = table.or(self.table);
                proxy.counters.usage(table, *available, self.now).map(Value::Int)
            }

            Fetch::NoTls => Some(Value::Bool(false)),
            _ => None,
        }
    }

    fn table(&self, table: TableId, counter: Option<Counter>, key: Value<'_>) -> Option<i64> {
        self.proxy.counters.looked_up(table, counter, key, self.now)
    }

    fn random(&self) -> Option<u64> {
        Some(self.random)
    }

    fn variable<'a>(&self, variable: VariableId, room: &mut Room<'a>) -> Option<Value<'a>> {
        self.proxy.variables.value(Some(self.id), variable, room)
    }

    fn set_variable(&self, variable: VariableId, value: Value<'_>, provisos: Provisos) -> bool {
        let others = self.proxy.others();
        self.proxy.variables.set(Some(self.id), variable, value, provisos, others)
    }

    fn unset_variable(&self, variable: VariableId) -> bool {
        self.proxy.variables.unset(Some(self.id), variable, self.proxy.others())
    }

    fn usable_servers(&self, name: &[u8]) -> Option<i64> {
        let backend = self.proxy.setup.backend_named(name)?;
        Some(self.proxy.usable_in(backend).into())
    }

    fn server_queue(&self, name: &[u8]) -> Option<i64> {
        let slash = name.iter().rposition(|byte| *byte == b'/');
        let (backend, server) = match slash {
            Some(at) => (self.proxy.setup.backend_named(&name[..at])?, &name[at + 1..]),
            None => (self.session.backend?, name),
        };
        let server = self.proxy.setup.server_named(backend, server)?;
        Some(self.proxy.servers[server as usize].queue.len().into())
    }
}

impl SessionView<'_> {
    /// What the stack knows of the client's connection, once its session has begun.
    fn transport(&self, what: Transport) -> Option<i64> {
        if !self.session.has(Session::BEGUN) {
            return None;
        }
        let info = self.cx.info(self.session.client)?;
        let time = |micros: u32, unit| match unit {
            TimeUnit::Microseconds => micros,
            _ => micros.saturating_add(500) / 1000,
        };
        let segments = |bytes: u32| bytes.div_ceil(info.mss.max(1).into());
        let number = match what {
            Transport::RoundTrip(unit) => time(info.rtt_us, unit),
            Transport::Variation(unit) => time(info.rttvar_us, unit),
            Transport::Unacknowledged => segments(info.unacknowledged),
            Transport::Sacked => segments(info.sacked),
            Transport::Lost => segments(info.lost),
            Transport::Resent => segments(info.resent),
        };
        Some(number.into())
    }

    /// How many more sessions the servers of a backend take, and with `queues` how many may wait
    /// there; -1 where one has no limit.
    fn free_in(&self, backend: u16, queues: bool) -> Option<i64> {
        let proxy = self.proxy;
        let mut free = 0i64;
        for server in proxy.setup.servers_of(backend) {
            let description = proxy.setup.server(server);
            if !proxy.servers[server as usize].standing.is_running() {
                continue;
            }
            let used = proxy.gauges.total(proxy.gauges.server(server));
            let Some(most) = description.maxconn else { return Some(-1) };
            free += i64::from(most.saturating_sub(used));
            if queues {
                let Some(most) = description.maxqueue else { return Some(-1) };
                let waiting = proxy.servers[server as usize].queue.len();
                free += i64::from(most.saturating_sub(waiting));
            }
        }
        Some(free)
    }

    fn server(&self, id: ServerId) -> u16 {
        self.proxy.setup.server_number(id.backend.0, id.index)
    }
}
