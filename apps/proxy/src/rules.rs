//! What the rules of a configuration make of a connection.
//!
//! Rules look at a session and at the bytes that its client has said, and give a verdict. Nothing
//! changes but counters and variables, where a rule is there to change one.

use penstock_config::haproxy::{
    Action, Algorithm, Assignment, Capture, End, Fetch, Format, Goal, Provisos, Rule, Sample,
    ServerName, VariableValue,
};

use penstock_stack::Endpoint;
use penstock_wire::Addr;

use crate::Known;
use crate::acl::{Acls, Answer};
use crate::balance;
use crate::hash::hash;
use crate::line::Line;
use crate::log::write_session;
use crate::proxy::Proxy;
use crate::record::Ending;
use crate::sample::{self, Value, View, Workspace};
use crate::session::{Phase, Session};
use crate::view::SessionView;

/// What rules say of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it in.
    Accept,
    /// Let it in when its PROXY header has come.
    ExpectHeader,
    /// End it.
    Reject,
    /// End its server's side; what was said still reaches the client.
    Close,
    /// End it, and tell nobody.
    Drop,
    /// That depends on bytes that may come.
    Wait,
}

/// Whether there may be more than the bytes that rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    MayCome,
    Never,
}

/// What becomes of a session whose client has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It waits for more, for the rules of its frontend, or of this backend.
    Wait(Phase, Option<u16>),
    /// It ends.
    End(Verdict),
    /// There is no backend for it.
    NoBackend,
    /// It goes to a server of this backend.
    Go {
        backend: u16,
        /// The server, among all, that a rule named.
        directed: Option<u16>,
        /// Whether it keeps to that one, whatever happens.
        is_forced: bool,
        /// What a hash has to place.
        key: Option<u32>,
    },
}

impl Proxy {
    /// The verdict of rules of which each is asked once, in order.
    pub(crate) fn judge(
        &self,
        rules: &[Rule],
        acls: &Acls,
        view: &SessionView<'_>,
        work: &mut Workspace,
    ) -> Verdict {
        let mut passed = Verdict::Accept;
        let resumed = view.session.resume.take();
        for (at, rule) in (0..).zip(rules).skip(resumed.map_or(0, usize::from)) {
            if resumed != Some(at) {
                match acls.hold(rule.condition.as_ref(), view, work) {
                    Answer::No => continue,
                    Answer::NotYet => return Verdict::Wait,
                    Answer::Yes => {}
                }
            }
            match &rule.action {
                Action::Accept => return passed,
                Action::Reject => return Verdict::Reject,
                Action::Close => return Verdict::Close,
                Action::SilentDrop => return Verdict::Drop,
                Action::ExpectProxy => passed = Verdict::ExpectHeader,
                deed => {
                    if !self.act(deed, view, work) {
                        view.session.resume.set(Some(at));
                        return Verdict::Wait;
                    }
                }
            }
        }
        passed
    }

    /// What a rule does that decides nothing; whether it has all that it needs for that.
    fn act(&self, action: &Action, view: &SessionView<'_>, work: &mut Workspace) -> bool {
        match action {
            Action::Track { slot, key, table } => {
                if self.counters.is_tracked(view.id, *slot) {
                    return true;
                }
                let fetched = sample::fetch(key, view, work);
                if !view.is_final && (fetched.may_change || fetched.value == Known::NotYet) {
                    return false;
                }
                if let Known::Is(key) = fetched.value {
                    let table = table.or(view.table);
                    self.counters.track(view.id, *slot, table, key, view.now);
                }
            }
            Action::IncrementCounter { slot, counter } => {
                self.counters.increment(view.id, *slot, *counter, view.now);
            }
            Action::SetTag { slot, tag, value } => {
                if let Some(value) = number(value, view, work) {
                    self.counters.tag(view.id, *slot, *tag, value as u32);
                }
            }
            Action::SetVariable(assignment) => self.assign_variable(assignment, view, work),
            Action::UnsetVariable(variable) => {
                view.unset_variable(*variable);
            }
            Action::SetAddress { which, value, of_connection } => {
                if let Known::Is(value) = sample::fetch(value, view, work).value {
                    set_address(view.session, *which, *of_connection, value);
                }
            }
            Action::Capture(Capture { variable, length }, value) => {
                let mut fetched = sample::fetch(value, view, work);
                if !view.is_final && (fetched.may_change || fetched.value == Known::NotYet) {
                    return false;
                }
                if let Known::Is(value) = fetched.value {
                    let text = value.text(&mut fetched.room);
                    let text = Value::Text(&text[..text.len().min(*length as usize)]);
                    view.set_variable(*variable, text, Provisos::default());
                }
            }
            Action::SetLogLevel(level) => view.session.log_level.set(Some(*level)),
            Action::SetPriorityClass(value) => {
                if let Some(class) = number(value, view, work) {
                    let (_, offset) = view.session.priority.get();
                    view.session.priority.set((class.clamp(-2047, 2047) as i16, offset));
                }
            }
            Action::SetPriorityOffset(value) => {
                if let Some(offset) = number(value, view, work) {
                    let (class, _) = view.session.priority.get();
                    let offset = offset.clamp(-524_287, 524_287) as i32;
                    view.session.priority.set((class, offset));
                }
            }
            Action::Nothing
            | Action::Accept
            | Action::Reject
            | Action::Close
            | Action::SilentDrop
            | Action::ExpectProxy => {}
        }
        true
    }

    /// The server that a `use-server` names, among all.
    fn use_server(
        &self,
        backend: u16,
        acls: &Acls,
        view: &SessionView<'_>,
        work: &mut Workspace,
        forces: bool,
    ) -> Option<u16> {
        let description = self.setup.backend(backend);
        for rule in &description.use_servers {
            if acls.hold(rule.condition.as_ref(), view, work) != Answer::Yes {
                continue;
            }
            let server = match &rule.server {
                ServerName::Server(id) => self.setup.server_number(backend, id.index),
                // A name that nobody has ends the search.
                ServerName::Named(format) => self
                    .with_text(format, view, work, |name| self.setup.server_named(backend, name))?,
            };
            if forces || self.servers[server as usize].standing.is_running() {
                return Some(server);
            }
        }
        None
    }

    /// Whether who belongs to a server is sent to it though it is down, and to no other.
    fn forces_persistence(
        &self,
        backend: u16,
        acls: &Acls,
        view: &SessionView<'_>,
        work: &mut Workspace,
    ) -> bool {
        let mut rules = self.setup.backend(backend).persist_rules.iter();
        let rule = rules.find(|rule| acls.hold(rule.condition.as_ref(), view, work) == Answer::Yes);
        rule.is_some_and(|rule| rule.forces)
    }

    /// The server that a stick table knows for a key of the session; the first one counts. Keys for
    /// which the server that it will have is to be remembered are kept.
    fn stick(
        &self,
        backend: u16,
        acls: &Acls,
        view: &SessionView<'_>,
        work: &mut Workspace,
        forces: bool,
    ) -> Option<u16> {
        let mut found = None;
        let description = self.setup.backend(backend);
        for rule in description.persistence.iter().filter(|rule| !rule.is_response) {
            let has_one = rule.stores && self.counters.keeps(view.id, rule.table);
            if has_one || acls.hold(rule.condition.as_ref(), view, work) != Answer::Yes {
                continue;
            }
            let Known::Is(key) = sample::fetch(&rule.key, view, work).value else { continue };
            if rule.matches {
                let known = self.counters.recall(rule.table, key, view.now);
                let server = known.and_then(|number| self.setup.server_numbered(backend, number));
                let is_there =
                    |server: &u16| forces || self.servers[*server as usize].standing.is_running();
                found = found.or(server.filter(is_there));
            }
            if rule.stores {
                self.counters.keep(view.id, rule.table, key);
            }
        }
        found
    }

    /// The server whose address an RDP cookie holds: its IPv4 address as a number, the lowest byte
    /// first, and its port, the bytes swapped.
    fn rdp_server(
        &self,
        backend: u16,
        view: &SessionView<'_>,
        work: &mut Workspace,
    ) -> Option<u16> {
        let description = self.setup.backend(backend);
        let name = description.persist_rdp_cookie.as_ref()?;
        let wanted = Fetch::RdpCookie(Some(name.clone())).into();
        let Known::Is(Value::Text(cookie)) = sample::fetch(&wanted, view, work).value else {
            return None;
        };
        let mut parts = str::from_utf8(cookie).ok()?.splitn(3, '.');
        let addr: u32 = parts.next()?.parse().ok()?;
        let port: u16 = parts.next()?.parse().ok()?;
        parts.next()?;
        let wanted = Endpoint { addr: Addr::v4(addr.swap_bytes()), port: port.swap_bytes() };
        let destination = view.session.destination.get();
        let mut servers = self.setup.servers_of(backend);
        let found =
            servers.find(|&server| self.server_endpoint(destination, server) == Some(wanted))?;
        let running = self.servers[found as usize].standing.is_running();
        (running || description.options.persist).then_some(found)
    }

    /// A session is connected to its server: that is remembered for its keys.
    pub(crate) fn remember_server(&self, view: &SessionView<'_>, work: &mut Workspace) {
        let (Some(backend), Some(server)) = (view.session.backend, view.session.server) else {
            return;
        };
        let acls = &self.setup.backend_acls[backend as usize];
        let description = self.setup.backend(backend);
        for rule in description.persistence.iter().filter(|rule| rule.is_response) {
            if self.counters.keeps(view.id, rule.table)
                || acls.hold(rule.condition.as_ref(), view, work) != Answer::Yes
            {
                continue;
            }
            if let Known::Is(key) = sample::fetch(&rule.key, view, work).value {
                self.counters.keep(view.id, rule.table, key);
            }
        }
        let server = self.setup.server(server);
        let number = (!server.non_stick).then_some(server.id);
        self.counters.remember(view.id, number, self.core, view.now);
    }

    /// `set-var`, `set-var-fmt`. What cannot be set is not, and nothing else happens.
    fn assign_variable(
        &self,
        assignment: &Assignment,
        view: &SessionView<'_>,
        work: &mut Workspace,
    ) {
        let Assignment { variable, value, provisos } = assignment;
        match value {
            VariableValue::Sample(wanted) => {
                if let Known::Is(value) = sample::fetch(wanted, view, work).value {
                    view.set_variable(*variable, value, *provisos);
                }
            }
            VariableValue::Format(format) => {
                self.with_text(format, view, work, |text| {
                    view.set_variable(*variable, Value::Text(text), *provisos)
                });
            }
        }
    }

    /// Has `format` written for a session, and gives it to `look`.
    fn with_text<T>(
        &self,
        format: &Format,
        view: &SessionView<'_>,
        work: &mut Workspace,
        look: impl FnOnce(&[u8]) -> T,
    ) -> T {
        let mut room = core::mem::take(&mut work.line);
        let record = self.record(view, Ending::UNDER_WAY);
        let mut line = Line::new(&mut room);
        write_session(format, &record, view, work, &mut line);
        let result = look(line.as_bytes());
        work.line = room;
        result
    }

    /// Where a session goes, which is in the phase that `view` shows; a final view is of one that has
    /// waited there long enough.
    pub(crate) fn decide(&self, view: &mut SessionView<'_>, work: &mut Workspace) -> Decision {
        let setup = self.setup;
        let frontend = view.session.frontend;
        let description = setup.frontend(frontend);
        let acls = &setup.frontend_acls[frontend as usize];
        let is_final = view.is_final;
        let chosen = if view.session.phase == Phase::BackendRules {
            view.session.backend
        } else {
            view.is_final = is_final || description.inspect_delay.is_none();
            match self.judge(&description.content_rules, acls, view, work) {
                Verdict::Accept | Verdict::ExpectHeader | Verdict::Close => {}
                Verdict::Wait => return Decision::Wait(Phase::FrontendRules, None),
                end @ (Verdict::Reject | Verdict::Drop) => return Decision::End(end),
            }
            // Whatever is not known by now is not so.
            view.is_final = true;
            let mut routes = description.routes.iter();
            let route =
                routes.find(|route| acls.hold(route.condition.as_ref(), view, work) == Answer::Yes);
            let matching = route.and_then(|route| match &route.goal {
                Goal::Backend(id) => Some(id.0),
                Goal::Named(format) => {
                    self.with_text(format, view, work, |name| setup.backend_named(name))
                }
            });
            matching.or(description.default_backend.map(|id| id.0))
        };
        let Some(backend) = chosen else { return Decision::NoBackend };
        let description = setup.backend(backend);
        view.table = description.table;
        let acls = &setup.backend_acls[backend as usize];
        // A session that comes here only now has all the time that this section gives.
        view.is_final = description.inspect_delay.is_none()
            || is_final
                && (view.session.phase == Phase::BackendRules || view.session.has(Session::ENDED));
        match self.judge(&description.content_rules, acls, view, work) {
            Verdict::Accept | Verdict::ExpectHeader | Verdict::Close => {}
            Verdict::Wait => return Decision::Wait(Phase::BackendRules, Some(backend)),
            end @ (Verdict::Reject | Verdict::Drop) => return Decision::End(end),
        }
        view.is_final = true;
        let is_forced = self.forces_persistence(backend, acls, view, work);
        let forces = is_forced || description.options.persist;
        let named = self.use_server(backend, acls, view, work, forces);
        let stuck = self.stick(backend, acls, view, work, forces);
        let by_cookie = self.rdp_server(backend, view, work);
        let directed = by_cookie.or(named).or(stuck);
        let key = match &description.algorithm {
            Algorithm::Source => Some(balance::source_key(view.session.source.get().addr)),
            Algorithm::Hash(wanted) => {
                let mut fetched = sample::fetch(wanted, view, work);
                match fetched.value {
                    Known::Is(value) => {
                        let bytes = value.bytes(&mut fetched.room);
                        Some(hash(description.hash_type.function, bytes))
                    }
                    Known::Never | Known::NotYet => None,
                }
            }
            _ => None,
        };
        Decision::Go { backend, directed, is_forced, key }
    }
}

fn number(wanted: &Sample, view: &SessionView<'_>, work: &mut Workspace) -> Option<i64> {
    match sample::fetch(wanted, view, work).value {
        Known::Is(value) => value.int(),
        Known::Never | Known::NotYet => None,
    }
}

/// `set-src` and its kin: the other half of the end stays as it is.
fn set_address(session: &Session, which: End, of_connection: bool, value: Value<'_>) {
    let is_source = matches!(which, End::Source | End::SourcePort);
    let (own, connections) = match is_source {
        true => (&session.source, &session.peer),
        false => (&session.destination, &session.local),
    };
    let mut end = own.get();
    match which {
        End::Source | End::Destination => match value.addr() {
            Some(addr) => end.addr = addr,
            None => return,
        },
        End::SourcePort | End::DestinationPort => match value.int() {
            Some(port) => end.port = port as u16,
            None => return,
        },
    }
    own.set(end);
    if of_connection {
        connections.set(end);
    }
}
