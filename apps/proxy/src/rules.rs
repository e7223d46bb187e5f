//! What the rules of a configuration make of a connection.
//!
//! Rules look at a session and at the bytes that its client has said, and give a verdict. Nothing
//! changes but counters and variables, where a rule is there to change one.

use penstock_config::haproxy::{Action, Algorithm, Assignment, Format, Goal, Rule, VariableValue};

use crate::Known;
use crate::acl::{Acls, Answer};
use crate::balance;
use crate::hash::hash;
use crate::line::Line;
use crate::log::{Spaces, write_session};
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
    /// End it, and tell nobody.
    Drop,
    /// That depends on bytes that may come.
    Wait,
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
        for rule in rules {
            match acls.hold(rule.condition.as_ref(), view, work) {
                Answer::No => continue,
                Answer::NotYet => return Verdict::Wait,
                Answer::Yes => {}
            }
            match &rule.action {
                Action::Accept => return passed,
                Action::Reject | Action::Close => return Verdict::Reject,
                Action::SilentDrop => return Verdict::Drop,
                Action::ExpectProxy => passed = Verdict::ExpectHeader,
                Action::Track { slot, key, table } => {
                    if let Known::Is(key) = sample::fetch(key, view, work).value {
                        let table = table.or(view.table);
                        self.counters.track(view.id, *slot, table, key, view.now);
                    }
                }
                Action::IncrementCounter { slot, counter } => {
                    self.counters.increment(view.id, *slot, *counter, view.now);
                }
                Action::SetTag { slot, value } => self.counters.tag(view.id, *slot, *value),
                Action::SetVariable(assignment) => self.assign_variable(assignment, view, work),
                Action::UnsetVariable(variable) => {
                    view.unset_variable(*variable);
                }
                Action::SetAddress { .. } => {}
            }
        }
        passed
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
        write_session(format, Spaces::Kept, &record, view, work, &mut line);
        let result = look(line.as_bytes());
        work.line = room;
        result
    }

    /// Where a session goes, which is in the phase that `view` shows; `is_over`: and has waited there
    /// long enough.
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
                Verdict::Accept | Verdict::ExpectHeader => {}
                Verdict::Wait => return Decision::Wait(Phase::FrontendRules, None),
                end @ (Verdict::Reject | Verdict::Drop) => return Decision::End(end),
            }
            // Whatever is not known by now is not so.
            view.is_final = true;
            let mut routes = description.routes.iter();
            let matching = routes.find_map(|route| {
                let holds = acls.hold(route.condition.as_ref(), view, work);
                match &route.goal {
                    Goal::Backend(id) if holds == Answer::Yes => Some(*id),
                    Goal::Backend(_) | Goal::Named(_) => None,
                }
            });
            matching.or(description.default_backend).map(|id| id.0)
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
            Verdict::Accept | Verdict::ExpectHeader => {}
            Verdict::Wait => return Decision::Wait(Phase::BackendRules, Some(backend)),
            end @ (Verdict::Reject | Verdict::Drop) => return Decision::End(end),
        }
        view.is_final = true;
        let directed = description.use_servers.iter().find_map(|rule| {
            let server = setup.server_number(rule.server.backend.0, rule.server.index);
            let is_there =
                self.servers[server as usize].standing.is_running() || description.options.persist;
            let holds = is_there && acls.hold(rule.condition.as_ref(), view, work) == Answer::Yes;
            holds.then_some(server)
        });
        let key = match &description.algorithm {
            Algorithm::Source => Some(balance::source_key(view.session.source.addr)),
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
        Decision::Go { backend, directed, key }
    }
}
