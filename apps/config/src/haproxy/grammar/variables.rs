//! Names of variables, and `set-var` wherever it stands.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::fetches::PARSER;
use super::format::{self, How};
use super::lines::Spot;
use super::sample::{self, Context, Scope as Asking};
use super::words::Words;
use crate::haproxy::{Assignment, Provisos, Scope, VariableId, VariableValue, Variables};

/// The names that were met. Each stands at the number that it has.
#[derive(Debug, Default)]
pub(super) struct VariableNames {
    process: Vec<String>,
    session: Vec<(Scope, String)>,
    check: Vec<String>,
    authority: Option<VariableId>,
    unique_id: Option<VariableId>,
}

impl VariableNames {
    /// What there are, for whoever keeps them.
    pub(super) fn finished(&self) -> Variables {
        Variables {
            process: self.process.len() as u16,
            session: self.session.iter().map(|(scope, _)| *scope).collect(),
            check: self.check.len() as u16,
            authority: self.authority,
            unique_id: self.unique_id,
        }
    }

    /// What a session keeps of the authority in a PROXY header.
    pub(super) fn authority(&mut self) -> VariableId {
        *self.authority.get_or_insert_with(|| of_header(&mut self.session, "authority"))
    }

    /// What a session keeps of the unique identifier in a PROXY header.
    pub(super) fn unique_id(&mut self) -> VariableId {
        *self.unique_id.get_or_insert_with(|| of_header(&mut self.session, "unique id"))
    }

    /// What a session keeps in the capture of this number.
    pub(super) fn capture(&mut self, number: u16) -> VariableId {
        // No name has a space.
        let name = (Scope::Transaction, format!("capture {number}"));
        VariableId { scope: Scope::Transaction, index: number_of(&mut self.session, name) as u16 }
    }

    /// The variable of this name, `sess.x`.
    ///
    /// # Errors
    /// HAProxy's words.
    pub(super) fn named(&mut self, name: &str) -> Result<VariableId, String> {
        if name.is_empty() {
            return Err("Empty variable name cannot be accepted".to_owned());
        }
        let known = |(scope, text): (&str, Scope)| {
            let rest = name.strip_prefix(scope)?.strip_prefix('.')?;
            (!rest.is_empty()).then_some((text, rest))
        };
        let Some((scope, rest)) = SCOPES.into_iter().find_map(known) else {
            return Err(format!(
                "invalid variable name '{name}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'"
            ));
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if !rest.chars().all(good) {
            return Err(format!("invalid syntax at char '{}'", rest.trim_start_matches(good)));
        }
        let index = match scope {
            Scope::Process => number_of(&mut self.process, rest.to_owned()),
            Scope::Check => number_of(&mut self.check, rest.to_owned()),
            _ => number_of(&mut self.session, (scope, rest.to_owned())),
        };
        let index = u16::try_from(index).ok().filter(|&index| index < VARIABLES_MAX);
        let index = index.ok_or_else(|| format!("more than {VARIABLES_MAX} variables"))?;
        Ok(VariableId { scope, index })
    }
}

fn of_header(names: &mut Vec<(Scope, String)>, what: &str) -> VariableId {
    // No name has a space.
    let name = (Scope::Session, format!("header {what}"));
    VariableId { scope: Scope::Session, index: number_of(names, name) as u16 }
}

/// Where a name stands, or from now on does.
fn number_of<T: PartialEq>(names: &mut Vec<T>, name: T) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

/// The words behind the name of a variable that is to be set.
///
/// # Errors
/// HAProxy's words.
pub(super) fn provisos<'t>(words: impl Iterator<Item = &'t str>) -> Result<Provisos, String> {
    words.filter(|word| !word.is_empty()).try_fold(Provisos::default(), |so_far, word| {
        let found = Provisos::NAMES.iter().find(|(known, _)| *known == word);
        match found {
            Some(&(_, proviso)) => Ok(so_far.and(proviso)),
            None => Err(format!("unknown condition \"{word}\"")),
        }
    })
}

/// `set-var(name[,proviso]..) SAMPLE`, `set-var-fmt(..) FORMAT`: the word itself and what follows it
/// at `at`, which moves behind that.
///
/// # Errors
/// HAProxy's words.
pub(super) fn assignment(
    cx: &mut Cx<'_>,
    draft: &Draft,
    words: &[String],
    at: &mut usize,
    (context, places): (Context, u32),
) -> Result<Assignment, String> {
    let word = words[*at - 1].as_str();
    let inner = argument(word)?;
    let mut parts = inner.split(',');
    let name = parts.next().unwrap_or_default();
    let provisos = provisos(parts)?;
    let variable = cx.variables.named(name)?;
    let value = if word.starts_with("set-var-fmt") {
        let how = How { context, places };
        let text = words.get(*at).map_or("", String::as_str);
        *at += 1;
        VariableValue::Format(format::read(cx, draft, text, how)?)
    } else {
        let mut asking = Asking::new(cx, draft, context);
        let parsed = sample::words(&mut asking, words, at)?;
        if parsed.places & places == 0 {
            let source = parsed.source;
            return Err(format!(
                "fetch method '{word}' extracts information from '{source}', none of which is \
                 available here"
            ));
        }
        VariableValue::Sample(parsed.sample)
    };
    Ok(Assignment { variable, value, provisos })
}

/// `unset-var(name)`.
///
/// # Errors
/// HAProxy's words.
pub(super) fn forgotten(cx: &mut Cx<'_>, word: &str) -> Result<VariableId, String> {
    let inner = argument(word)?;
    match inner.split_once(',') {
        Some((_, rest)) if !rest.is_empty() => Err(
            "unset-var does not expect parameters after the variable name. Only \"set-var\" and \
             \"set-var-fmt\" manage conditions"
                .to_owned(),
        ),
        _ => cx.variables.named(inner.split(',').next().unwrap_or_default()),
    }
}

fn argument(word: &str) -> Result<&str, String> {
    let expected = "Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or \
                    'unset-var(<var-name>)'";
    let Some((_, inner)) = word.split_once('(') else {
        return Err(format!("invalid or incomplete action '{word}'. {expected}"));
    };
    inner
        .strip_suffix(')')
        .ok_or_else(|| format!("incomplete argument after action '{word}'. {expected}"))
}

/// `set-var` and `set-var-fmt` of the section `global`.
pub(super) fn in_global(cx: &mut Cx<'_>, words: &Words) {
    let (keyword, name) = (words[0].to_owned(), words[1].to_owned());
    let is_format = keyword == "set-var-fmt";
    if !words.has(2) {
        let what = if is_format { "a format string." } else { "a sample expression." };
        return cx.alert(&format!(
            "'{keyword}' requires a process-wide variable name ('proc.<name>') and {what}"
        ));
    }
    let mut draft = Draft::preset(&Spot { file: cx.spot.file.clone(), line: cx.spot.line });
    (draft.kind, draft.name) = (Kind::Listen, "CFG".to_owned());
    let mut action = words.0.clone();
    action[1] = format!("{keyword}({name})");
    match assignment(cx, &draft, &action, &mut 2, (Context::Parser, PARSER)) {
        Ok(assignment) if assignment.variable.scope != Scope::Process => cx.alert(&format!(
            "'{keyword}': cannot set variable '{name}', only scope 'proc' is permitted in the \
             global section."
        )),
        Ok(assignment) => cx.global.global.assignments.push(assignment),
        Err(wrong) => cx.alert(&wrong),
    }
}

const SCOPES: [(&str, Scope); 6] = [
    ("proc", Scope::Process),
    ("sess", Scope::Session),
    ("txn", Scope::Transaction),
    ("req", Scope::Request),
    ("res", Scope::Response),
    ("check", Scope::Check),
];

/// Of each kind: a session has room for one value of each.
const VARIABLES_MAX: u16 = 64;
