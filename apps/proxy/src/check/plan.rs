//! The steps of a backend's checks, ready to run.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use penstock_config::haproxy::{
    CheckStep, Connect, Expect, ExpectMatch, Expression, ExpressionError, Format, HeaderMatch,
    Item, ProxyCheck, Reply, TextMatch,
};

use super::report::Prober;

/// How the servers of a backend are checked; frozen before the cores start.
#[derive(Debug)]
pub struct Plan {
    pub(super) kind: Kind,
    pub(super) steps: Box<[Step]>,
}

/// What a report says of a check without a text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Layer4,
    Tcp,
    /// The words of its own, or none.
    ReadyMade,
    Http,
}

/// A step, and its expression where it has one.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: CheckStep,
    pub(super) expression: Option<Expression>,
    /// The one of a field's name; the other is its value's.
    pub(super) name: Option<Expression>,
}

/// An expectation whose regular expression cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The expression.
    pub expression: String,
    /// Why.
    pub error: ExpressionError,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "regex '{}' is invalid: {}", self.expression, self.error)
    }
}

impl Plan {
    /// Prepares the checks of a backend.
    ///
    /// # Errors
    /// The first regular expression that cannot be compiled.
    pub fn compile(check: &ProxyCheck) -> Result<Plan, PlanError> {
        let connection = [CheckStep::Connect(Connect { implicit: true, ..Connect::default() })];
        let (kind, steps) = match check {
            ProxyCheck::Layer4 => (Kind::Layer4, &connection[..]),
            ProxyCheck::Tcp(steps) => (Kind::Tcp, &steps[..]),
            ProxyCheck::ReadyMade(steps) => (Kind::ReadyMade, &steps[..]),
            ProxyCheck::Http(steps) => (Kind::Http, &steps[..]),
        };
        // Whatever comes first needs a connection.
        let begins = matches!(steps.first(), Some(CheckStep::Connect(_)));
        let missing = if begins { &[][..] } else { &connection[..] };
        let steps =
            missing.iter().chain(steps).map(Step::compile).collect::<Result<Vec<_>, _>>()?;
        Ok(Plan { kind, steps: steps.into() })
    }

    /// Asks an agent, which is told this first.
    pub fn agent(send: &[u8]) -> Plan {
        let step = |what| Step { what, expression: None, name: None };
        let bytes = Format(alloc::vec![Item::Text(send.to_vec())]);
        let steps = [
            CheckStep::Connect(Connect { implicit: true, ..Connect::default() }),
            CheckStep::Send { bytes, is_hex: false, comment: None },
            CheckStep::Expect(Expect::of(ExpectMatch::Reply(Reply::Agent))),
        ];
        Plan { kind: Kind::ReadyMade, steps: steps.map(step).into() }
    }

    /// Who is asked.
    pub(super) fn prober(&self) -> Prober {
        let asks_agent = |step: &Step| {
            let CheckStep::Expect(expect) = &step.what else { return false };
            expect.matching == ExpectMatch::Reply(Reply::Agent)
        };
        if self.steps.iter().any(asks_agent) { Prober::Agent } else { Prober::Check }
    }

    /// Whether anything that a server says matters.
    pub fn listens(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.what, CheckStep::Expect(_)))
    }

    /// The number of a step for a person, who did not write an implicit one: 0 is the connection
    /// that nobody wrote.
    pub(super) fn number(&self, at: usize) -> usize {
        let implicit = matches!(
            self.steps.first(),
            Some(Step { what: CheckStep::Connect(Connect { implicit: true, .. }), .. })
        );
        if implicit { at } else { at + 1 }
    }

    /// The first of the expectations that follow each other up to this one.
    pub(super) fn first_expectation(&self, at: usize) -> usize {
        let before = self.steps[..at].iter().rev();
        let count = before.take_while(|step| matches!(step.what, CheckStep::Expect(_))).count();
        at - count
    }
}

impl Step {
    fn compile(step: &CheckStep) -> Result<Step, PlanError> {
        let (text, name) = match step {
            CheckStep::Expect(Expect { matching, .. }) => match matching {
                ExpectMatch::Regex(text)
                | ExpectMatch::HexRegex(text)
                | ExpectMatch::StatusRegex(text) => (Some(text), None),
                ExpectMatch::Header(HeaderMatch { name, value, .. }) => {
                    (value.as_ref().and_then(regex), regex(name))
                }
                ExpectMatch::Bytes(_)
                | ExpectMatch::Format(_)
                | ExpectMatch::HexFormat(_)
                | ExpectMatch::Status(_)
                | ExpectMatch::Reply(_) => (None, None),
            },
            CheckStep::Connect(_) | CheckStep::Send { .. } | CheckStep::HttpSend(_) => (None, None),
        };
        let compile = |text: &String, ignore_case| {
            Expression::compile(text, ignore_case)
                .map_err(|error| PlanError { expression: text.clone(), error })
        };
        Ok(Step {
            what: step.clone(),
            expression: text.map(|text| compile(text, false)).transpose()?,
            name: name.map(|name| compile(name, true)).transpose()?,
        })
    }
}

fn regex(text: &TextMatch) -> Option<&String> {
    match text {
        TextMatch::Regex(text) => Some(text),
        TextMatch::Exact(_) | TextMatch::Begin(_) | TextMatch::End(_) | TextMatch::Contains(_) => {
            None
        }
    }
}
