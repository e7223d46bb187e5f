//! `acl`, and conditions: `if local !late || { nbsrv eq 0 }` (configuration manual, section 7).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::patterns::{self, Match};
use super::sample::{self, Context, Parsed, Scope};
use super::text::invalid_in_name;
use super::words::Words;
use crate::haproxy::{Acl, AclId, Condition, FetchKind, Term, Test};

/// The line `acl`.
pub(super) fn acl(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let name = &words[1];
    if draft.kind == Kind::Defaults && draft.name.is_empty() {
        return cx.alert("'acl' not allowed in anonymous 'defaults' section.");
    }
    if let Some(wrong) = invalid_in_name(name) {
        return cx.alert(&format!("character '{wrong}' is not permitted in acl name '{name}'."));
    }
    if name.eq_ignore_ascii_case("or") {
        return cx.alert(&format!(
            "acl name '{name}' will never match. 'or' is used to express a logical disjunction \
             within a condition."
        ));
    }
    if let Err(wrong) = add(cx, draft, name, words.rest(2)) {
        cx.alert(&format!("error detected while parsing ACL '{name}' : {wrong}."));
    }
}

/// Adds a test to the ACL of this name, or makes one.
fn add(cx: &mut Cx<'_>, draft: &mut Draft, name: &str, words: &[String]) -> Result<AclId, String> {
    let (test, use_) = test(cx, draft, words)?;
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    if !word(0).contains('(') && word(1).starts_with('(') {
        let (what, pattern) = (word(0), word(1));
        cx.messages.warn(format!(
            "parsing acl '{name}' :\n  matching '{what}' for pattern '{pattern}' is likely a mistake \
             and probably\n  not what you want. Maybe you need to remove the extraneous space before \
             '('.\n  If you are really sure this is not an error, please insert '--' between the\n  \
             match and the pattern to make this warning message disappear."
        ));
    }
    let known = draft.acls.iter().position(|acl| !name.is_empty() && acl.name == name);
    let at = known.unwrap_or_else(|| {
        draft.acls.push(Acl { name: name.to_owned(), tests: Vec::new() });
        draft.acl_uses.push(Vec::new());
        draft.acls.len() - 1
    });
    draft.acls[at].tests.push(test);
    draft.acl_uses[at].push(use_);
    u16::try_from(at).map(AclId).map_err(|_| "too many ACLs".to_owned())
}

/// Reads what is looked at, and what it is held against.
fn test(cx: &mut Cx<'_>, draft: &Draft, words: &[String]) -> Result<(Test, (String, u32)), String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let first = word(0);
    let mut scope = Scope::new(cx, draft, Context::Acl);
    let mut own = None;
    let parsed = match keyword(first) {
        Some((name, whole, matches)) => {
            let fetch = format!("{whole}{}", &first[name.len()..]);
            let (mut parsed, rest) = sample::prefix(&mut scope, &fetch).map_err(|wrong| {
                let invalid = format!("invalid args in fetch method '{whole}' : ");
                if let Some(wrong) = wrong.strip_prefix(&invalid) {
                    return format!("in argument to '{name}', {wrong}");
                }
                match wrong.strip_prefix(&format!("fetch method '{whole}' : ")) {
                    Some(wrong) => format!("ACL keyword '{name}' : {wrong}"),
                    None if wrong.contains("fetch method") => {
                        format!("ACL keyword '{name}' : {wrong}")
                    }
                    // HAProxy ends the sentence about a converter, and then the line.
                    None => format!("ACL keyword '{name}' : {wrong}."),
                }
            })?;
            let has_converters = !parsed.sample.converters.is_empty();
            parsed.keyword = if has_converters { whole } else { name }.to_owned();
            if !rest.is_empty() {
                return Err(format!("ACL keyword '{name}' : missing comma after fetch keyword."));
            }
            // A converter takes the keyword's own way to match away.
            own = (!has_converters).then_some(matches);
            parsed
        }
        None => {
            // As in HAProxy, words behind it that name converters are converters, and patterns too.
            sample::words(&mut scope, words, &mut 0)
                .map_err(|wrong| format!("{wrong} in ACL expression '{first}'"))?
        }
    };
    let Parsed { sample, kind, places, keyword, .. } = parsed;
    let way = own.or_else(|| Match::of(kind));
    if way.is_some() && kind != FetchKind::Bool && word(1).is_empty() {
        cx.messages.warn(format!(
            "parsing acl keyword '{first}' :\n  no pattern to match against were provided, so this \
             ACL will never match.\n  If this is what you intended, please add '--' to get rid of \
             this warning.\n  If you intended to match only for existence, please use '-m found'.\n  \
             If you wanted to force an int to match as a bool, please use '-m bool'.\n"
        ));
    }
    let (matching, ignore_case) =
        patterns::read(cx, &words[1.min(words.len())..], way, kind, &keyword)?;
    Ok((Test { sample, matching, ignore_case }, (keyword, places)))
}

/// Names that are ACLs of their own: the fetch's real name, and how it is matched.
fn keyword(text: &str) -> Option<(&'static str, &'static str, Match)> {
    let end = text.find(|c| !sample::is_of_name(c)).unwrap_or(text.len());
    KEYWORDS.iter().find(|(known, ..)| *known == &text[..end]).copied()
}

const KEYWORDS: &[(&str, &str, Match)] = &[
    ("payload", "req.payload", Match::Binary),
    ("payload_lv", "req.payload_lv", Match::Binary),
    ("req.ssl_ver", "req.ssl_ver", Match::Version),
    ("req_ssl_ver", "req.ssl_ver", Match::Version),
    ("req_rdp_cookie", "req.rdp_cookie", Match::Text),
    ("req_ssl_sni", "req.ssl_sni", Match::Text),
];

/// ACLs that exist without a declaration.
const DEFAULTS: &[(&str, &[&str])] = &[
    ("TRUE", &["always_true"]),
    ("FALSE", &["always_false"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("HTTP", &["req.proto_http"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("WAIT_END", &["wait_end"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("HTTP_URL_ABS", &["url", "-m", "reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url", "-m", "beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
];

/// Reads a condition that begins with `if` or `unless`.
///
/// # Errors
/// HAProxy's words.
pub(super) fn condition(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    words: &[String],
) -> Result<Condition, String> {
    let unless = match words.first().map(String::as_str) {
        Some("if") => false,
        Some("unless") => true,
        _ => return Err("conditions must start with either 'if' or 'unless'".to_owned()),
    };
    let mut condition = Condition { unless, any_of: Vec::new() };
    let (mut suite, mut negated) = (None, false);
    let mut at = 1;
    while let Some(word) = words.get(at).filter(|word| !word.is_empty()) {
        let name = word.trim_start_matches('!');
        negated ^= (word.len() - name.len()) % 2 == 1;
        at += 1;
        if name.is_empty() {
            continue;
        }
        if name.eq_ignore_ascii_case("or") || name == "||" {
            (suite, negated) = (None, false);
            continue;
        }
        let acl = if name == "{" {
            let end = words[at..].iter().position(|word| word == "}");
            let end = at + end.ok_or("missing closing '}' in condition")?;
            let acl = add(cx, draft, "", &words[at..end])?;
            at = end + 1;
            acl
        } else {
            named(cx, draft, name)?
        };
        let any_of = &mut condition.any_of;
        let which = *suite.get_or_insert_with(|| {
            any_of.push(Vec::new());
            any_of.len() - 1
        });
        any_of[which].push(Term { negated, acl });
        negated = false;
    }
    Ok(condition)
}

fn named(cx: &mut Cx<'_>, draft: &mut Draft, name: &str) -> Result<AclId, String> {
    if let Some(at) = draft.acls.iter().position(|acl| acl.name == name) {
        return Ok(AclId(at as u16));
    }
    if draft.missing_acls.iter().any(|missing| missing == name) {
        return Err(format!("ACL '{name}' is not supported yet"));
    }
    let Some((name, words)) = DEFAULTS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("no such ACL : '{name}'"));
    };
    let words = sample::owned(words);
    let id = add(cx, draft, name, &words)?;
    Ok(id)
}

/// The warning about ACLs of `condition` that can match at none of `places`, or not wholly; `rule` is
/// what HAProxy calls such a line in it, if it does.
pub(super) fn conflict(
    draft: &Draft,
    condition: &Condition,
    places: u32,
    rule: Option<&str>,
) -> Option<String> {
    let place = super::fetches::place_name(places);
    let acls = || condition.any_of.iter().flatten().map(|term| usize::from(term.acl.0));
    let never = |at: &usize| draft.acl_uses[*at].iter().all(|(_, uses)| uses & places == 0);
    let within = rule.map_or(String::new(), |rule| format!(" in '{rule}'"));
    if let Some(at) = acls().find(never) {
        let incompatible = format!("incompatible with '{place}'");
        return Some(match draft.acls[at].name.as_str() {
            "" => {
                let keyword = draft.acl_uses[at].first().map_or("", |(keyword, _)| keyword);
                format!(
                    "anonymous acl will never match{within} because it uses keyword '{keyword}' \
                     which is {incompatible}"
                )
            }
            name => format!(
                "acl '{name}' will never match{within} because it only involves keywords that are \
                 {incompatible}"
            ),
        });
    }
    let uses = acls().flat_map(|at| draft.acl_uses[at].iter().map(move |it| (at, it)));
    let (at, (keyword, _)) = uses.into_iter().find(|(_, (_, uses))| uses & places == 0)?;
    let keywords = if rule.is_some() { "keyword" } else { "keywords" };
    let incompatible = format!("which is incompatible with '{place}'");
    Some(match draft.acls[at].name.as_str() {
        "" => format!("anonymous acl involves keyword '{keyword}' {incompatible}"),
        name => format!("acl '{name}' involves {keywords} '{keyword}' {incompatible}"),
    })
}

/// Of these places, those that a section has.
pub(super) fn places(draft: &Draft, frontend: u32, backend: u32) -> u32 {
    let of_frontend = if draft.is_frontend() { frontend } else { 0 };
    of_frontend | if draft.is_backend() { backend } else { 0 }
}
