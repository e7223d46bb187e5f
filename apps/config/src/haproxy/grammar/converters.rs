//! Converters that are here: what each takes, and what it gives.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::arguments::{self, Kind as Is, Shape};
use super::fetches::COUNTERS;
use super::sample::Scope;
use super::text::{bytes, leading_number};
use crate::haproxy::{Converter, Counter, FetchKind, HashFunction, Operation, TableId};

/// A converter.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) takes: FetchKind,
    pub(super) gives: FetchKind,
    pub(super) make: Make,
}

type Make = fn(&mut Scope<'_, '_>, &str, &[String]) -> Result<Converter, String>;

macro_rules! entry {
    ($name:literal, $shape:expr, $takes:ident => $gives:ident, $make:expr) => {
        Entry {
            name: $name,
            shape: $shape,
            takes: FetchKind::$takes,
            gives: FetchKind::$gives,
            make: $make,
        }
    };
}

const NONE: Shape = Shape { least: 0, kinds: &[] };
const TEXT: Shape = Shape { least: 1, kinds: &[Is::Text] };
const PIECES: Shape = Shape { least: 2, kinds: &[Is::Int, Is::Text, Is::Int] };
const MAYBE_INT: Shape = Shape { least: 0, kinds: &[Is::Int] };

/// All but the counters of stick tables: [`counter`].
#[rustfmt::skip]
pub(super) const CONVERTERS: &[Entry] = &[
    entry!("lower", NONE, Text => Text, |_, _, _| Ok(Converter::Lower)),
    entry!("upper", NONE, Text => Text, |_, _, _| Ok(Converter::Upper)),
    entry!("length", NONE, Text => Int, |_, _, _| Ok(Converter::Length)),
    entry!("hex", NONE, Binary => Text, |_, _, _| Ok(Converter::Hex)),
    entry!("base64", NONE, Binary => Text, |_, _, _| Ok(Converter::Base64)),
    entry!("cut_crlf", NONE, Text => Text, |_, _, _| Ok(Converter::CutLine)),
    entry!("ltrim", TEXT, Text => Text, |_, _, it| Ok(Converter::TrimStart(bytes(&it[0])))),
    entry!("rtrim", TEXT, Text => Text, |_, _, it| Ok(Converter::TrimEnd(bytes(&it[0])))),
    entry!("htonl", NONE, Int => Binary, |_, _, _| Ok(Converter::NetworkOrder)),
    entry!("bytes", Shape { least: 1, kinds: &[Is::Int, Is::Int] }, Binary => Binary, |_, _, it| {
        let number = |text: &String| leading_number(text).clamp(0, i64::from(u32::MAX)) as u32;
        Ok(Converter::Bytes { offset: number(&it[0]), length: it.get(1).map(number) })
    }),
    entry!("field", PIECES, Text => Text, |_, _, it| {
        let (index, delimiters, count) = pieces(it)?;
        Ok(Converter::Field { index, delimiters, count })
    }),
    entry!("word", PIECES, Text => Text, |_, _, it| {
        let (index, delimiters, count) = pieces(it)?;
        Ok(Converter::Word { index, delimiters, count })
    }),
    entry!("ipmask", Shape { least: 1, kinds: &[Is::Mask4, Is::Mask6] }, Addr => Addr, |_, _, it| {
        let v4 = super::address::mask4(&it[0]).unwrap_or(u32::MAX);
        let v6 = it.get(1).and_then(|mask| super::address::mask6(mask)).unwrap_or(u128::MAX);
        Ok(Converter::Mask { v4, v6 })
    }),
    entry!("bool", NONE, Int => Bool, |_, _, _| Ok(Converter::Bool)),
    entry!("not", NONE, Int => Bool, |_, _, _| Ok(Converter::Not)),
    entry!("odd", NONE, Int => Bool, |_, _, _| Ok(Converter::Odd)),
    entry!("even", NONE, Int => Bool, |_, _, _| Ok(Converter::Even)),
    entry!("neg", NONE, Int => Int, |_, _, _| Ok(Converter::Negate)),
    entry!("cpl", NONE, Int => Int, |_, _, _| Ok(Converter::Complement)),
    entry!("add", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Add)),
    entry!("sub", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Subtract)),
    entry!("mul", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Multiply)),
    entry!("div", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Divide)),
    entry!("mod", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Modulo)),
    entry!("and", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::And)),
    entry!("or", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Or)),
    entry!("xor", TEXT, Int => Int, |_, _, it| arithmetic(it, Operation::Xor)),
    entry!("sdbm", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Sdbm))),
    entry!("djb2", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Djb2))),
    entry!("wt6", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Wt6))),
    entry!("crc32", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Crc32))),
    entry!("in_table", Shape { least: 1, kinds: &[Is::Table] }, Any => Bool, |scope, _, it| {
        Ok(Converter::InTable(table(scope, &it[0])))
    }),
    entry!("iif", Shape { least: 2, kinds: &[Is::Text, Is::Text] }, Bool => Text, |_, _, it| {
        Ok(Converter::Choose { yes: bytes(&it[0]), no: bytes(&it[1]) })
    }),
];

fn pieces(arguments: &[String]) -> Result<(i32, alloc::vec::Vec<u8>, u32), String> {
    let index = leading_number(&arguments[0]) as i32;
    if index == 0 {
        return Err("Unexpected value 0 for index".to_owned());
    }
    if arguments[1].is_empty() {
        return Err("Empty separators list".to_owned());
    }
    // Without a number, one piece.
    let count = arguments.get(2).map_or(1, |count| leading_number(count) as u32);
    Ok((index, bytes(&arguments[1]), count))
}

fn arithmetic(arguments: &[String], operation: Operation) -> Result<Converter, String> {
    let text = &arguments[0];
    match arguments::int(text) {
        Some(number) => Ok(Converter::Arithmetic(operation, number)),
        None if super::fetches::variable(text).is_ok() => {
            Err("variables are not supported yet".to_owned())
        }
        None => Err("expects an integer or a variable name".to_owned()),
    }
}

fn hash(arguments: &[String], function: HashFunction) -> Converter {
    let avalanche = arguments.first().is_some_and(|it| leading_number(it) != 0);
    Converter::Hash { function, avalanche }
}

fn table(scope: &mut Scope<'_, '_>, name: &str) -> TableId {
    // What is not there was remembered, and ends everything later.
    scope.table(name, 0).unwrap_or(TableId(0))
}

static COUNTER: Entry = Entry {
    name: "table_",
    shape: Shape { least: 1, kinds: &[Is::Table] },
    takes: FetchKind::Any,
    gives: FetchKind::Int,
    make: |scope, name, it| {
        let counter = counter_of(name).unwrap_or(Counter::ConnCnt);
        Ok(Converter::TableCounter(counter, table(scope, &it[0])))
    },
};

fn counter_of(name: &str) -> Option<Counter> {
    let name = name.strip_prefix("table_")?;
    let is_it = |known: &str| known == name || known.strip_prefix("get_") == Some(name);
    COUNTERS.iter().find(|(known, _)| is_it(known)).map(|&(_, counter)| counter)
}

/// `table_conn_rate` and its kin.
pub(super) fn counter(name: &str) -> Option<&'static Entry> {
    counter_of(name).map(|_| &COUNTER)
}

/// HAProxy's others.
#[rustfmt::skip]
pub(super) const UNSUPPORTED: &[&str] = &[
    "add_item", "aes_gcm_dec", "b64dec", "be2dec", "be2hex", "capture-req", "capture-res", "concat",
    "crc32c", "debug", "digest", "fix_is_valid", "fix_tag_value", "hex2i", "hmac", "host_only",
    "http_date", "json", "json_query", "jwt_header_query", "jwt_payload_query", "jwt_verify",
    "language", "ltime", "map", "map_beg", "map_beg_int", "map_beg_ip", "map_dir", "map_dir_int",
    "map_dir_ip", "map_dom", "map_dom_int", "map_dom_ip", "map_end", "map_end_int", "map_end_ip",
    "map_int", "map_int_int", "map_int_ip", "map_ip", "map_ip_int", "map_ip_ip", "map_reg",
    "map_reg_int", "map_reg_ip", "map_regm", "map_str", "map_str_int", "map_str_ip", "map_sub",
    "map_sub_int", "map_sub_ip", "mqtt_field_value", "mqtt_is_valid", "nbsrv", "port_only",
    "protobuf", "regsub", "secure_memcmp", "set-var", "sha1", "sha2", "srv_queue", "strcmp",
    "table_expire", "table_gpc", "table_gpc_rate", "table_gpt", "table_idle", "table_server_id",
    "ub64dec", "ub64enc", "ungrpc", "unset-var", "url_dec", "url_enc", "utime", "xxh3", "xxh32",
    "xxh64",
];
