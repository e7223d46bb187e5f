//! ACLs and conditions: whether a rule applies, with three answers.
//!
//! ```text
//!   Condition  any_of: [[local, !late], [anonymous]]      yes when all of any row are
//!                         │
//!   Acl        tests: [src ip 10.0.0.0/8, src_port int ..]   yes when any is
//!                         │
//!   Test       sample ─cast─▶ what the matching wants ─▶ any of its patterns
//! ```
//! "Not yet" is between no and yes: a row is as sure as its least sure ACL, a condition as its surest
//! row, and "not" turns yes into no and leaves "not yet" as it is. Once the view is final there is
//! no "not yet". Configuration manual, section 7.

mod pattern;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use penstock_config::haproxy::{
    Acl, Condition, Expression, ExpressionError, Matching, Sample, Term, Test,
};

use crate::known::Known;
use crate::sample::{View, Workspace, fetch};

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It does not.
    No,
    /// That depends on bytes that may come.
    NotYet,
    /// It does.
    Yes,
}

impl Answer {
    /// The opposite.
    pub fn negated(self) -> Answer {
        match self {
            Answer::No => Answer::Yes,
            Answer::NotYet => Answer::NotYet,
            Answer::Yes => Answer::No,
        }
    }
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Answer {
        if holds { Answer::Yes } else { Answer::No }
    }
}

/// The ACLs of a section, ready to be asked; frozen before the cores start, and shared by them.
#[derive(Debug, Default)]
pub struct Acls(Box<[Box<[Ready]>]>);

/// A test with its expressions compiled.
#[derive(Debug)]
struct Ready {
    sample: Sample,
    matching: Matching,
    ignore_case: bool,
    /// For [`Matching::Regex`].
    expressions: Box<[Expression]>,
}

/// An expression of an ACL that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The ACL; empty for one in braces.
    pub acl: String,
    /// The expression.
    pub expression: String,
    /// Why.
    pub error: ExpressionError,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acl '{}': regex '{}' is invalid: {}", self.acl, self.expression, self.error)
    }
}

impl Acls {
    /// Prepares the ACLs of a section.
    ///
    /// # Errors
    /// The first regular expression that cannot be compiled.
    pub fn compile(acls: &[Acl]) -> Result<Acls, CompileError> {
        let ready = |acl: &Acl| acl.tests.iter().map(|test| Ready::new(acl, test)).collect();
        acls.iter().map(ready).collect::<Result<_, _>>().map(Acls)
    }

    /// Whether a condition of the section holds; a rule without one always applies.
    pub fn hold(
        &self,
        condition: Option<&Condition>,
        view: &impl View,
        work: &mut Workspace,
    ) -> Answer {
        let Some(Condition { unless, any_of }) = condition else { return Answer::Yes };
        let mut surest = Answer::No;
        for row in any_of {
            surest = surest.max(self.all(row, view, work));
            if surest == Answer::Yes {
                break;
            }
        }
        if *unless { surest.negated() } else { surest }
    }

    fn all(&self, row: &[Term], view: &impl View, work: &mut Workspace) -> Answer {
        for term in row {
            let answer = self.any(usize::from(term.acl.0), view, work);
            let answer = if term.negated { answer.negated() } else { answer };
            if answer != Answer::Yes {
                return answer;
            }
        }
        Answer::Yes
    }

    fn any(&self, acl: usize, view: &impl View, work: &mut Workspace) -> Answer {
        let mut surest = Answer::No;
        for test in self.0.get(acl).into_iter().flatten() {
            surest = surest.max(test.answer(view, work));
            if surest == Answer::Yes {
                break;
            }
        }
        surest
    }
}

impl Ready {
    fn new(acl: &Acl, test: &Test) -> Result<Ready, CompileError> {
        let texts = match &test.matching {
            Matching::Regex(texts) => &texts[..],
            _ => &[],
        };
        let compile = |text: &String| {
            Expression::compile(text, test.ignore_case).map_err(|error| CompileError {
                acl: acl.name.clone(),
                expression: text.clone(),
                error,
            })
        };
        Ok(Ready {
            sample: test.sample.clone(),
            matching: test.matching.clone(),
            ignore_case: test.ignore_case,
            expressions: texts.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    fn answer(&self, view: &impl View, work: &mut Workspace) -> Answer {
        let mut fetched = fetch(&self.sample, view, work);
        let fits = match fetched.value {
            Known::Is(value) => {
                let expressions = &self.expressions;
                let room = &mut fetched.room;
                pattern::fits(&self.matching, self.ignore_case, expressions, value, room)
            }
            Known::Never => return Answer::No,
            Known::NotYet => return undecided(view),
        };
        match fits {
            true => Answer::Yes,
            false if fetched.may_change => undecided(view),
            false => Answer::No,
        }
    }
}

fn undecided(view: &impl View) -> Answer {
    if view.is_final() { Answer::No } else { Answer::NotYet }
}
