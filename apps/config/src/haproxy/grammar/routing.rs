//! `use_backend`, `default_backend`, `use-server`.

use alloc::borrow::ToOwned;
use alloc::format;

use super::acl;
use super::cx::Cx;
use super::draft::{Draft, RouteDraft};
use super::fetches::{BE_CONTENT, BE_SET_SERVER, FE_SET_BACKEND};
use super::proxy::{not_in_defaults, wants_backend, wants_frontend};
use super::text::bytes;
use super::words::Words;
use crate::haproxy::PersistRule;

pub(super) fn default_backend(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_frontend(cx, draft, &words[0]);
    if !words.has(1) {
        return cx.alert("'default_backend' expects a backend name.");
    }
    draft.default_backend = Some(words[1].to_owned());
    cx.at_most(words, 1, 0);
}

pub(super) fn use_backend(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !not_in_defaults(cx, draft, "use_backend") {
        return;
    }
    wants_frontend(cx, draft, "use_backend");
    if !words.has(1) {
        return cx.alert("'use_backend' expects a backend name.");
    }
    let condition = match &words[2] {
        "if" | "unless" => match acl::condition(cx, draft, words.rest(2)) {
            Ok(condition) => {
                if let Some(text) = acl::conflict(draft, &condition, FE_SET_BACKEND, None) {
                    cx.warn(&text);
                }
                Some(condition)
            }
            Err(wrong) => {
                return cx
                    .alert(&format!("error detected while parsing switching rule : {wrong}."));
            }
        },
        "" => None,
        other => {
            return cx.alert(&format!(
                "unexpected keyword '{other}' after switching rule, only 'if' and 'unless' are allowed."
            ));
        }
    };
    let (name, spot) = (words[1].to_owned(), cx.spot.clone());
    draft.routes.push(RouteDraft { name, condition, spot });
}

pub(super) fn use_server(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !not_in_defaults(cx, draft, "use-server") {
        return;
    }
    wants_backend(cx, draft, "use-server");
    if !words.has(1) {
        return cx.alert("'use-server' expects a server name.");
    }
    if !matches!(&words[2], "if" | "unless") {
        return cx.alert("'use-server' requires either 'if' or 'unless' followed by a condition.");
    }
    match acl::condition(cx, draft, words.rest(2)) {
        Ok(condition) => {
            if let Some(text) = acl::conflict(draft, &condition, BE_SET_SERVER, None) {
                cx.warn(&text);
            }
            let (name, spot) = (words[1].to_owned(), cx.spot.clone());
            draft.use_servers.push(RouteDraft { name, condition: Some(condition), spot });
        }
        Err(wrong) => cx.alert(&format!("error detected while parsing switching rule : {wrong}.")),
    }
}

/// `force-persist`, `ignore-persist`.
pub(super) fn persist_rule(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let keyword = words[0].to_owned();
    if !not_in_defaults(cx, draft, &keyword) {
        return;
    }
    wants_backend(cx, draft, &keyword);
    if !matches!(&words[1], "if" | "unless") {
        return cx.alert(&format!(
            "'{keyword}' requires either 'if' or 'unless' followed by a condition."
        ));
    }
    match acl::condition(cx, draft, words.rest(1)) {
        Ok(condition) => {
            if let Some(text) = acl::conflict(draft, &condition, BE_CONTENT, None) {
                cx.warn(&text);
            }
            let forces = keyword == "force-persist";
            draft.persist_rules.push(PersistRule { forces, condition: Some(condition) });
        }
        Err(wrong) => {
            cx.alert(&format!("error detected while parsing a '{keyword}' rule : {wrong}."));
        }
    }
}

/// `persist rdp-cookie[(NAME)]`.
pub(super) fn persist(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let Some(behind) = words[1].strip_prefix("rdp-cookie") else {
        return match &words[1] {
            "" => cx.alert("missing persist method."),
            _ => cx.alert("unknown persist method."),
        };
    };
    if !cx.at_most(words, 1, 0) {
        return;
    }
    let name = match behind.strip_prefix('(').map(|inner| inner.split_once(')')) {
        None if behind.is_empty() => "msts",
        Some(Some((name, _))) if !name.is_empty() => name,
        _ => return cx.alert("persist rdp-cookie(name)' requires an rdp cookie name."),
    };
    draft.persist_rdp_cookie = Some(bytes(name));
}
