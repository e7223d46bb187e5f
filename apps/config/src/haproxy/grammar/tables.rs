//! `stick-table` and `stick`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::acl;
use super::cx::Cx;
use super::draft::{Draft, Kind, StickDraft};
use super::fetches::{BE_SET_SERVER, BE_STORE};
use super::number::{self, NoTime, Unit};
use super::proxy::{not_in_defaults, warn_misplaced};
use super::sample::{self, Context, Scope};
use super::text::leading_int;
use super::words::Words;
use crate::haproxy::{Counter, Key, StickTable, Stored};

/// What can be stored, and whether it is a rate over some time.
const STORED: &[(&str, Counter, bool)] = &[
    ("server_id", Counter::ServerId, false),
    ("gpt0", Counter::Gpt0, false),
    ("gpc0", Counter::Gpc0, false),
    ("gpc0_rate", Counter::Gpc0Rate, true),
    ("conn_cnt", Counter::ConnCnt, false),
    ("conn_rate", Counter::ConnRate, true),
    ("conn_cur", Counter::ConnCur, false),
    ("sess_cnt", Counter::SessCnt, false),
    ("sess_rate", Counter::SessRate, true),
    ("http_req_cnt", Counter::HttpReqCnt, false),
    ("http_req_rate", Counter::HttpReqRate, true),
    ("http_err_cnt", Counter::HttpErrCnt, false),
    ("http_err_rate", Counter::HttpErrRate, true),
    ("bytes_in_cnt", Counter::BytesInCnt, false),
    ("bytes_in_rate", Counter::BytesInRate, true),
    ("bytes_out_cnt", Counter::BytesOutCnt, false),
    ("bytes_out_rate", Counter::BytesOutRate, true),
    ("gpc1", Counter::Gpc1, false),
    ("gpc1_rate", Counter::Gpc1Rate, true),
    ("http_fail_cnt", Counter::HttpFailCnt, false),
    ("http_fail_rate", Counter::HttpFailRate, true),
];

/// Which counter an element of an array is.
type Element = fn(u8) -> Counter;

/// Arrays: of what each element is, and whether it is a rate.
const ARRAYS: &[(&str, Element, bool)] = &[
    ("gpt", Counter::Gpt, false),
    ("gpc", Counter::Gpc, false),
    ("gpc_rate", Counter::GpcRate, true),
];

/// Arrays and the counters that their first elements stand for, in HAProxy's words.
const EXCLUSIVE: &[(Counter, [Counter; 2], &str, &str)] = &[
    (Counter::Gpt(0), [Counter::Gpt0, Counter::Gpt0], "gpt", "gpt0"),
    (Counter::Gpc(0), [Counter::Gpc0, Counter::Gpc1], "gpc", "gpc[0/1]"),
    (Counter::GpcRate(0), [Counter::Gpc0Rate, Counter::Gpc1Rate], "gpc_rate", "gpc[0/1]_rate"),
];

/// Elements of an array.
const ELEMENTS_MAX: i32 = 100;

/// Counters of a table, elements among them; the number of a server may come to them.
const COUNTERS_MAX: usize = 63;

/// What HAProxy can store beside these.
const UNSUPPORTED: &[&str] = &["server_key"];

pub(super) fn stick_table(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return cx.alert("'stick-table' is not supported in 'defaults' section.");
    }
    let name = &draft.name;
    if let Some((noun, at)) = cx.tables.get(name) {
        return cx.alert(&format!(
            "stick-table name '{name}' conflicts with table declared in {noun} '{name}' at {at}."
        ));
    }
    let mut table = StickTable {
        name: draft.name.clone(),
        key: Key::Ip,
        size: 0,
        no_purge: false,
        expire: None,
        counters: Vec::new(),
    };
    let mut key = None;
    let mut at = 1;
    while words.has(at) {
        let (name, value) = (&words[at], &words[at + 1]);
        if matches!(name, "size" | "expire") && value.is_empty() {
            return cx.alert(&format!("stick-table: missing argument after '{name}'."));
        }
        at += 2;
        match name {
            "size" => match number::size(value) {
                Ok(size) => table.size = size,
                Err(wrong) => return unexpected(cx, wrong, name),
            },
            "expire" => match cx.time(value, Unit::Milliseconds) {
                Ok(ms) => table.expire = number::limit(ms),
                Err(NoTime::At(wrong)) => return unexpected(cx, wrong, name),
                Err(NoTime::Over) => {
                    return cx.alert_tight(&format!(
                        "stick-table: timer overflow in argument <{value}> to <{name}>, maximum \
                         value is 2147483647 ms (~24.8 days)."
                    ));
                }
            },
            "nopurge" => {
                table.no_purge = true;
                at -= 1;
            }
            "type" => {
                let has_length = matches!(value, "string" | "binary") && &words[at] == "len";
                let length = if has_length { leading_int(&words[at + 1]) } else { 32 };
                if has_length {
                    at += 2;
                }
                key = match value {
                    "ip" => Some(Key::Ip),
                    "ipv6" => Some(Key::Ipv6),
                    "integer" => Some(Key::Integer),
                    "string" if length > 0 => Some(Key::Text(length as u32)),
                    "binary" if length > 0 => Some(Key::Binary(length as u32)),
                    _ => return cx.alert(&format!("stick-table: unknown type '{value}'.")),
                };
            }
            "store" => {
                for stored in split(value) {
                    if !store(cx, &mut table.counters, stored) {
                        return;
                    }
                }
                if !stand_together(cx, &table.counters) {
                    return;
                }
            }
            "peers" if value.is_empty() => {
                return cx.alert("stick-table: missing argument after 'peers'.");
            }
            "peers" => draft.table_peers = Some(value.to_owned()),
            // Which server it is, is kept by its number.
            "srvkey" => match value {
                "name" => {}
                "addr" => return cx.alert("stick-table: 'srvkey addr' is not supported yet."),
                _ => return cx.alert(&format!("stick-table : unknown server key type '{value}'.")),
            },
            _ => return cx.alert(&format!("stick-table: unknown argument '{name}'.")),
        }
    }
    if table.size == 0 {
        return cx.alert("stick-table: missing size.");
    }
    match key {
        Some(key) => {
            draft.table = Some(StickTable { key, ..table });
            let at = format!("{}:{}", cx.spot.file, cx.spot.line);
            cx.tables.insert(draft.name.clone(), (draft.kind.noun(), at));
        }
        None => cx.alert("stick-table: missing type."),
    }
}

fn unexpected(cx: &mut Cx<'_>, wrong: Option<char>, name: &str) {
    let wrong = wrong.unwrap_or_default();
    cx.alert(&format!("stick-table: unexpected character '{wrong}' in argument of '{name}'."));
}

/// At commas outside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .filter(|part| !part.is_empty())
}

fn store(cx: &mut Cx<'_>, counters: &mut Vec<Stored>, text: &str) -> bool {
    let (name, argument) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => match rest.split_once(')') {
            Some((argument, _)) => (name, Some(argument)),
            None => {
                cx.alert(&format!(
                    "stick-table: missing closing parenthesis after store option '{name}'."
                ));
                return false;
            }
        },
    };
    if let Some(&(_, element, is_rate)) = ARRAYS.iter().find(|(known, ..)| *known == name) {
        return array(cx, counters, (name, element, is_rate), argument);
    }
    let Some(&(_, counter, is_rate)) = STORED.iter().find(|(known, ..)| *known == name) else {
        let what = if UNSUPPORTED.contains(&name) { "unsupported" } else { "unknown" };
        cx.alert(&format!("stick-table: {what} store option '{name}'."));
        return false;
    };
    if counters.iter().any(|stored| stored.counter == counter) {
        cx.warn_tight(&format!("stick-table: store option '{name}' already enabled, ignored."));
        return true;
    }
    let period = match (is_rate, argument) {
        (false, None) => None,
        (false, Some(_)) => {
            cx.alert(&format!("stick-table: unexpected argument to store option '{name}'."));
            return false;
        }
        (true, None) => {
            cx.alert(&format!("stick-table: missing argument to store option '{name}'."));
            return false;
        }
        (true, Some(argument)) => match cx.time(argument, Unit::Milliseconds) {
            Ok(ms) => number::limit(ms),
            Err(_) => {
                cx.alert(&format!("stick-table: error when processing store option '{name}'."));
                return false;
            }
        },
    };
    counters.push(Stored { counter, period });
    true
}

/// `gpc(3)`, `gpc_rate(3,10s)`.
fn array(
    cx: &mut Cx<'_>,
    counters: &mut Vec<Stored>,
    (name, element, is_rate): (&str, Element, bool),
    argument: Option<&str>,
) -> bool {
    if counters.iter().any(|stored| stored.counter == element(0)) {
        cx.warn_tight(&format!("stick-table: store option '{name}' already enabled, ignored."));
        return true;
    }
    let argument =
        argument.map(|text| text.split_once(',').map_or((text, None), |(n, t)| (n, Some(t))));
    let wrong = match argument {
        None => format!("missing argument to store option '{name}'"),
        Some((elements, _)) if !(1..=ELEMENTS_MAX).contains(&leading_int(elements)) => format!(
            "array size is out of allowed range (1-{ELEMENTS_MAX}) for store option '{name}'"
        ),
        Some((_, None)) if is_rate => format!("missing argument to store option '{name}'"),
        Some((_, Some(_))) if !is_rate => format!("unexpected argument to store option '{name}'"),
        Some((elements, period)) => match period.map(|text| cx.time(text, Unit::Milliseconds)) {
            Some(Err(_)) => format!("error when processing store option '{name}'"),
            period => {
                let period = period.and_then(Result::ok).and_then(number::limit);
                let elements = 0..leading_int(elements) as u8;
                counters.extend(elements.map(|at| Stored { counter: element(at), period }));
                return true;
            }
        },
    };
    cx.alert(&format!("stick-table: {wrong}."));
    false
}

/// Whether all of these can stand in one table.
fn stand_together(cx: &mut Cx<'_>, counters: &[Stored]) -> bool {
    let has = |counter: Counter| counters.iter().any(|stored| stored.counter == counter);
    let both = EXCLUSIVE
        .iter()
        .find(|(array, others, ..)| has(*array) && others.iter().any(|&it| has(it)));
    if let Some((_, _, array, others)) = both {
        cx.alert(&format!(
            "stick-table: simultaneous usage of '{array}' and '{others}' in a same table is not \
             permitted as '{array}' overrides '{others}'."
        ));
        return false;
    }
    if counters.len() > COUNTERS_MAX {
        cx.alert(&format!("stick-table: more than {COUNTERS_MAX} counters are not supported yet."));
        return false;
    }
    true
}

pub(super) fn stick(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !not_in_defaults(cx, draft, "stick") {
        return;
    }
    if !draft.is_backend() {
        return warn_misplaced(cx, draft, "stick", false, true, "");
    }
    let (matches, stores, is_response) = match &words[1] {
        "store" | "store-request" => (false, true, false),
        "store-response" => (false, true, true),
        "match" => (true, false, false),
        "on" => (true, true, false),
        _ => return cx.alert("'stick' expects 'on', 'match', or 'store'."),
    };
    if !words.has(2) {
        return cx.alert("'stick' expects a fetch method.");
    }
    let mut at = 2;
    let mut scope = Scope::new(cx, draft, Context::Stick);
    let parsed = match sample::words(&mut scope, &words.0, &mut at) {
        Ok(parsed) => parsed,
        Err(wrong) => return cx.alert(&format!("'stick': {wrong}")),
    };
    let place = if is_response { BE_STORE } else { BE_SET_SERVER };
    if parsed.places & place == 0 {
        let (keyword, source) = (&parsed.keyword, parsed.source);
        return cx.alert(&format!(
            "'stick': fetch method '{keyword}' extracts information from '{source}', none of which \
             is available {}.",
            if is_response { "for 'store-response'" } else { "during request" }
        ));
    }
    let mut table = None;
    if &words[at] == "table" {
        table = Some(words[at + 1].to_owned());
        at += 2;
    }
    let condition = match &words[at] {
        "if" | "unless" => match acl::condition(cx, draft, words.rest(at)) {
            Ok(condition) => {
                if let Some(text) = acl::conflict(draft, &condition, place, None) {
                    cx.warn(&text);
                }
                Some(condition)
            }
            Err(wrong) => {
                return cx.alert(&format!(
                    "'stick': error detected while parsing sticking condition : {wrong}."
                ));
            }
        },
        "" => None,
        other => return cx.alert(&format!("'stick': unknown keyword '{other}'.")),
    };
    draft.sticks.push(StickDraft {
        key: parsed.sample,
        kind: parsed.kind,
        table,
        matches,
        stores,
        is_response,
        condition,
    });
}
