//! `balance`, `hash-type` and `hash-balance-factor`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::cx::Cx;
use super::draft::Draft;
use super::proxy::wants_backend;
use super::text::{leading_int, leading_number};
use super::words::Words;
use crate::haproxy::{Algorithm, Fetch, HashFunction, HashType};

pub(super) fn balance(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    let (name, keyword) = (&words[1], &words[0]);
    draft.balance_sample = None;
    draft.http_only.retain(|&said| said != "balance");
    draft.algorithm = Some(match name {
        "" | "roundrobin" => Algorithm::RoundRobin,
        "static-rr" => Algorithm::StaticRoundRobin,
        "first" => Algorithm::First,
        "leastconn" => Algorithm::LeastConn,
        "source" => Algorithm::Source,
        "hash" => {
            if !words.has(2) {
                return cx.alert(&format!("{keyword} {name} requires a sample expression."));
            }
            draft.balance_sample = Some(words[2].to_owned());
            if words.has(3) {
                let extra = &words[3];
                return cx
                    .alert(&format!("{keyword} {name} takes no other argument (got '{extra}')."));
            }
            // Looked into when the section is whole.
            Algorithm::Hash(Fetch::Source.into())
        }
        _ if name.starts_with("random") => match draws(&name["random".len()..]) {
            Ok(draws) => Algorithm::Random { draws },
            Err(wrong) => return cx.alert(&format!("{keyword} random : {wrong}")),
        },
        _ if matches!(name, "uri" | "url_param") || name.starts_with("hdr(") => {
            if let Err(wrong) = of_http(words) {
                return cx.alert(&format!("{keyword} {wrong}"));
            }
            draft.belongs_to_http("balance");
            Algorithm::RoundRobin
        }
        _ if name.starts_with("rdp-cookie") => match cookie(&name["rdp-cookie".len()..]) {
            Some(cookie) => Algorithm::Hash(Fetch::RdpCookie(Some(cookie.into())).into()),
            None => return cx.alert(&format!("{keyword} rdp-cookie : missing cookie name.")),
        },
        _ => {
            return cx.alert(&format!(
                "{keyword} only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', \
                 'url_param', 'hdr(name)' and 'rdp-cookie(name)' options."
            ));
        }
    });
}

/// What is hashed of a request: nothing, in mode `tcp`.
///
/// # Errors
/// HAProxy's words.
fn of_http(words: &Words) -> Result<(), String> {
    let (name, first) = (&words[1], &words[2]);
    match name {
        "uri" => {
            let mut at = 2;
            while words.has(at) {
                let (option, value) = (&words[at], &words[at + 1]);
                match option {
                    "len" | "depth" if leading_int(value) <= 0 => {
                        return Err(format!(
                            "uri : '{option}' expects a positive integer (got '{value}')."
                        ));
                    }
                    "len" | "depth" => at += 2,
                    "whole" | "path-only" => at += 1,
                    _ => {
                        return Err(format!(
                            "uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' \
                             (got '{option}')."
                        ));
                    }
                }
            }
        }
        "url_param" if !words.has(2) => {
            return Err("url_param requires an URL parameter name.".to_owned());
        }
        "url_param" => {
            let third = &words[3];
            if !matches!(third, "" | "check_post") {
                return Err(format!(
                    "url_param only accepts 'check_post' modifier (got '{third}')."
                ));
            }
        }
        _ if matches!(name["hdr(".len()..].find(')'), None | Some(0)) => {
            return Err("hdr requires an http header field name.".to_owned());
        }
        _ if !matches!(first, "" | "use_domain_only") => {
            return Err(format!("{name} only accepts 'use_domain_only' modifier (got '{first}')."));
        }
        _ => {}
    }
    Ok(())
}

/// The number in `random(2)`.
fn draws(text: &str) -> Result<u32, String> {
    let Some(inner) = text.strip_prefix('(').filter(|inner| !inner.starts_with(')')) else {
        return Ok(2);
    };
    let end = inner.find(|c: char| !c.is_ascii_digit()).unwrap_or(inner.len());
    match inner[end..].chars().next() {
        Some(')') => {}
        None => return Err("missing closing parenthesis.".to_owned()),
        Some(other) => return Err(format!("unexpected character '{other}' after argument.")),
    }
    // As an int of C.
    match leading_number(&inner[..end]) as i32 {
        ..1 => Err("number of draws must be at least 1.".to_owned()),
        draws => Ok(draws as u32),
    }
}

/// The name in `rdp-cookie(name)`.
fn cookie(text: &str) -> Option<&str> {
    if text.is_empty() {
        return Some("mstshash");
    }
    let (name, _) = text.strip_prefix('(')?.split_once(')')?;
    (!name.is_empty()).then_some(name)
}

pub(super) fn hash_type(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let keyword = &words[0];
    wants_backend(cx, draft, keyword);
    let consistent = match &words[1] {
        "consistent" => true,
        "map-based" => false,
        "avalanche" => {
            return cx.alert(&format!(
                "experimental feature '{keyword} avalanche' is not supported anymore, please use \
                 '{keyword} map-based sdbm avalanche' instead."
            ));
        }
        _ => return cx.alert(&format!("'{keyword}' only supports 'consistent' and 'map-based'.")),
    };
    // A consistent hash that names no function is mixed once more.
    let mut avalanche = consistent && !words.has(2);
    let function = match &words[2] {
        "" | "sdbm" => HashFunction::Sdbm,
        "djb2" => HashFunction::Djb2,
        "wt6" => HashFunction::Wt6,
        "crc32" => HashFunction::Crc32,
        _ => {
            return cx.alert(&format!(
                "'{keyword}' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions."
            ));
        }
    };
    match &words[3] {
        "" => {}
        "avalanche" => avalanche = true,
        _ => {
            return cx.alert(&format!(
                "'{keyword}' only supports 'avalanche' as a modifier for hash functions."
            ));
        }
    }
    draft.hash_type = HashType { consistent, function, avalanche };
}

pub(super) fn factor(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let keyword = &words[0];
    if !words.has(1) {
        return cx.alert(&format!("'{keyword}' expects an integer argument."));
    }
    draft.hash_balance_percent = leading_int(&words[1]);
    if draft.hash_balance_percent != 0 && draft.hash_balance_percent <= 100 {
        cx.alert(&format!("'{keyword}' must be 0 or greater than 100."));
    }
}
