//! Maps: `map(FILE[,DEFAULT])`, `map_beg_int(..)` and their kin.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::address;
use super::patterns;
use super::sample::Scope;
use super::text::{self, bytes, is_space};
use crate::haproxy::{Converter, Expression, Keys, Map, MapValue, Network};

/// Makes the converter of this name.
///
/// # Errors
/// What is wrong with the file or the default.
pub(super) fn make(
    scope: &mut Scope<'_, '_>,
    name: &str,
    arguments: &[String],
) -> Result<Converter, String> {
    let (way, gives) = ways(name);
    let file = &arguments[0];
    let delivered =
        scope.cx.delivered(file).ok_or_else(|| format!("failed to open pattern file <{file}>"))?;
    let mut entries = Vec::new();
    let mut values = Vec::new();
    for (number, line) in (1..).zip(delivered.split(|&byte| byte == b'\n')) {
        let line = text::characters(line);
        let line = line.trim_matches(is_space);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, behind) = line.split_at(line.find(is_space).unwrap_or(line.len()));
        let behind = behind.trim_start_matches(is_space);
        let value = value(gives, behind).ok_or_else(|| {
            format!("failed to parse value '{behind}' at line {number} of file <{file}>")
        })?;
        entries.push((key.to_string(), values.len() as u32));
        values.push(value);
    }
    let keys = keys(way, entries).map_err(|wrong| format!("{wrong} of file <{file}>"))?;
    let default = match arguments.get(1) {
        None => None,
        Some(text) => Some(
            value(gives, text).ok_or_else(|| format!("Cannot convert default value '{text}'"))?,
        ),
    };
    let map = Arc::new(Map { file: file.clone(), keys, values });
    Ok(Converter::Map { map, default })
}

/// What a name says: how keys are held against the sample, and what is given.
fn ways(name: &str) -> (&str, &str) {
    let rest = name.strip_prefix("map").unwrap_or_default().trim_start_matches('_');
    match rest.split_once('_') {
        Some(ways) => ways,
        None => (rest, ""),
    }
}

fn value(gives: &str, text: &str) -> Option<MapValue> {
    match gives {
        "int" => super::arguments::int(text).map(MapValue::Int),
        "ip" => text.parse::<core::net::IpAddr>().ok().map(|addr| MapValue::Addr(addr.into())),
        _ => Some(MapValue::Text(bytes(text))),
    }
}

fn keys(way: &str, entries: Vec<(String, u32)>) -> Result<Keys, String> {
    let texts = || entries.iter().map(|(key, at)| (bytes(key), *at)).collect::<Vec<_>>();
    let sorted = || {
        let mut texts = texts();
        texts.sort();
        texts
    };
    Ok(match way {
        "beg" => Keys::Begins(sorted()),
        "end" => Keys::Ends(texts()),
        "sub" => Keys::Contains(texts()),
        "dir" => Keys::Directory(texts()),
        "dom" => Keys::Domain(texts()),
        "reg" => {
            let compile = |(key, at): &(String, u32)| {
                let text = patterns::expression(key, false)?;
                Expression::compile(&text, false)
                    .map(|expression| (expression, *at))
                    .map_err(|wrong| format!("regex '{key}' is invalid: {wrong}"))
            };
            Keys::Regex(entries.iter().map(compile).collect::<Result<_, _>>()?)
        }
        "int" => {
            let read = |(key, at): &(String, u32)| Ok((patterns::numbers(key)?, *at));
            Keys::Int(entries.iter().map(read).collect::<Result<_, String>>()?)
        }
        "ip" => {
            let read = |(key, at): &(String, u32)| match address::network(key) {
                Some((addr, mask)) => Ok((Network { addr, mask }, *at)),
                None => Err(format!("'{key}' is not a valid IPv4 or IPv6 address")),
            };
            let mut networks = entries.iter().map(read).collect::<Result<Vec<_>, String>>()?;
            let bits =
                |network: &Network| network.mask.hi.count_ones() + network.mask.lo.count_ones();
            networks.sort_by_key(|(network, _)| core::cmp::Reverse(bits(network)));
            Keys::Ip(networks)
        }
        _ => Keys::Text(sorted()),
    })
}
