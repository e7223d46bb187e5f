//! Converters that are here: what each takes, and what it gives.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{self, Kind as Is, Shape};
use super::fetches;
use super::sample::Scope;
use super::text::{bytes, leading_number};
use crate::haproxy::{
    Base64, Converter, Counter, Digest, FetchKind, HashFunction, HmacKey, JsonInput, Operand,
    Operation, TableId, VariableId, XxHash, Zone,
};

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
const CHUNKS: Shape = Shape { least: 1, kinds: &[Is::Text, Is::Int, Is::Int] };
const THREE_TEXTS: Shape = Shape { least: 1, kinds: &[Is::Text, Is::Text, Is::Text] };
const SET_VARIABLE: Shape =
    Shape { least: 1, kinds: &[Is::Text, Is::Text, Is::Text, Is::Text, Is::Text] };
const MAP: Shape = Shape { least: 1, kinds: &[Is::Text, Is::Text] };
const TIME: Shape = Shape { least: 1, kinds: &[Is::Text, Is::Int] };
const MAYBE_INT: Shape = Shape { least: 0, kinds: &[Is::Int] };

/// All but the counters of stick tables: [`counter`].
#[rustfmt::skip]
pub(super) const CONVERTERS: &[Entry] = &[
    entry!("lower", NONE, Text => Text, |_, _, _| Ok(Converter::Lower)),
    entry!("upper", NONE, Text => Text, |_, _, _| Ok(Converter::Upper)),
    entry!("length", NONE, Text => Int, |_, _, _| Ok(Converter::Length)),
    entry!("hex", NONE, Binary => Text, |_, _, _| Ok(Converter::Hex)),
    entry!("base64", NONE, Binary => Text, |_, _, _| Ok(Converter::Base64(Base64::Standard))),
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
        let v6 = it.get(1).and_then(|mask| super::address::mask6(mask));
        Ok(Converter::Mask { v4, v6 })
    }),
    entry!("bool", NONE, Int => Bool, |_, _, _| Ok(Converter::Bool)),
    entry!("not", NONE, Int => Bool, |_, _, _| Ok(Converter::Not)),
    entry!("odd", NONE, Int => Bool, |_, _, _| Ok(Converter::Odd)),
    entry!("even", NONE, Int => Bool, |_, _, _| Ok(Converter::Even)),
    entry!("neg", NONE, Int => Int, |_, _, _| Ok(Converter::Negate)),
    entry!("cpl", NONE, Int => Int, |_, _, _| Ok(Converter::Complement)),
    entry!("add", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Add)),
    entry!("sub", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Subtract)),
    entry!("mul", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Multiply)),
    entry!("div", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Divide)),
    entry!("mod", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Modulo)),
    entry!("and", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::And)),
    entry!("or", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Or)),
    entry!("xor", TEXT, Int => Int, |scope, _, it| arithmetic(scope, it, Operation::Xor)),
    entry!("sdbm", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Sdbm))),
    entry!("djb2", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Djb2))),
    entry!("wt6", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Wt6))),
    entry!("crc32", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Crc32))),
    entry!("crc32c", MAYBE_INT, Binary => Int, |_, _, it| Ok(hash(it, HashFunction::Crc32c))),
    entry!("xxh32", MAYBE_INT, Binary => Int, |_, _, it| Ok(Converter::XxHash(XxHash::Bits32, seed(it)))),
    entry!("xxh64", MAYBE_INT, Binary => Int, |_, _, it| Ok(Converter::XxHash(XxHash::Bits64, seed(it)))),
    entry!("xxh3", MAYBE_INT, Binary => Int, |_, _, it| Ok(Converter::XxHash(XxHash::Xxh3, seed(it)))),
    entry!("sha1", NONE, Binary => Binary, |_, _, _| Ok(Converter::Digest(Digest::Sha1))),
    entry!("sha2", MAYBE_INT, Binary => Binary, |_, _, it| match it.first().map_or(0, |bits| leading_number(bits)) {
        224 => Ok(Converter::Digest(Digest::Sha224)),
        0 | 256 => Ok(Converter::Digest(Digest::Sha256)),
        384 => Ok(Converter::Digest(Digest::Sha384)),
        512 => Ok(Converter::Digest(Digest::Sha512)),
        bits => Err(format!("Unsupported number of bits: '{bits}'")),
    }),
    entry!("digest", TEXT, Binary => Binary, |_, _, it| digest(&it[0]).map(Converter::Digest)),
    entry!("hmac", Shape { least: 2, kinds: &[Is::Text, Is::Text] }, Binary => Binary, |scope, _, it| {
        Ok(Converter::Hmac(digest(&it[0])?, hmac_key(scope, &it[1])?))
    }),
    entry!("ltime", TIME, Int => Text, |_, _, it| Ok(time(it, Zone::Local))),
    entry!("utime", TIME, Int => Text, |_, _, it| Ok(time(it, Zone::Greenwich))),
    entry!("http_date", Shape { least: 0, kinds: &[Is::Int, Is::Text] }, Int => Text, |_, _, it| {
        let offset = it.first().map_or(0, |offset| leading_number(offset));
        Ok(Converter::HttpDate { offset, unit: fetches::time_unit(it.get(1))? })
    }),
    entry!("b64dec", NONE, Text => Binary, |_, _, _| Ok(Converter::FromBase64(Base64::Standard))),
    entry!("ub64dec", NONE, Text => Binary, |_, _, _| Ok(Converter::FromBase64(Base64::Url))),
    entry!("ub64enc", NONE, Binary => Text, |_, _, _| Ok(Converter::Base64(Base64::Url))),
    entry!("hex2i", NONE, Text => Int, |_, _, _| Ok(Converter::FromHex)),
    entry!("be2dec", CHUNKS, Binary => Text, |_, _, it| match chunks(it) {
        (_, size, _) if !(1..=8).contains(&size) => Err(format!("chunk_size out of [1..8] range ({size})")),
        (_, _, whole) if !(0..=1).contains(&whole) => Err(format!("Unsupported truncate value ({whole})")),
        (separator, size, whole) => Ok(Converter::ChunksToNumbers { separator, size: size as u8, whole: whole == 1 }),
    }),
    entry!("be2hex", CHUNKS, Binary => Text, |_, _, it| match chunks(it) {
        (separator, size, whole) if size <= 0 && (!separator.is_empty() || whole != 0) => {
            Err(format!("chunk_size out of [1..16384] range ({size})"))
        }
        (_, _, whole) if !(0..=1).contains(&whole) => Err(format!("Unsupported truncate value ({whole})")),
        (separator, size, whole) => Ok(Converter::ChunksToHex {
            size: if separator.is_empty() && whole == 0 { None } else { Some(size.clamp(1, 1 << 16) as u32) },
            separator,
            whole: whole == 1,
        }),
    }),
    entry!("json", TEXT, Text => Text, |_, _, it| match it[0].as_str() {
        "" | "ascii" => Ok(Converter::Json(JsonInput::Ascii)),
        "utf8" => Ok(Converter::Json(JsonInput::Utf8 { skips: false, is_permissive: false })),
        "utf8s" => Ok(Converter::Json(JsonInput::Utf8 { skips: true, is_permissive: false })),
        "utf8p" => Ok(Converter::Json(JsonInput::Utf8 { skips: false, is_permissive: true })),
        "utf8ps" => Ok(Converter::Json(JsonInput::Utf8 { skips: true, is_permissive: true })),
        _ => Err("Unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'".to_owned()),
    }),
    entry!("url_dec", MAYBE_INT, Text => Text, |_, _, it| {
        Ok(Converter::FromUrl { in_form: it.first().is_some_and(|it| leading_number(it) != 0) })
    }),
    entry!("url_enc", TEXT, Text => Text, |_, _, it| match it[0].as_str() {
        "" | "query" => Ok(Converter::Url),
        _ => Err("Unexpected encode type. Allowed value is 'query'".to_owned()),
    }),
    entry!("host_only", NONE, Text => Text, |_, _, _| Ok(Converter::HostOnly)),
    entry!("port_only", NONE, Text => Int, |_, _, _| Ok(Converter::PortOnly)),
    entry!("concat", THREE_TEXTS, Text => Text, |scope, _, it| {
        let variable = maybe_variable(scope, it.get(1))?;
        Ok(Converter::Concatenate { begin: text(it, 0), variable, end: text(it, 2) })
    }),
    entry!("add_item", Shape { least: 2, ..THREE_TEXTS }, Text => Text, |scope, _, it| {
        let (variable, end) = (maybe_variable(scope, it.get(1))?, text(it, 2));
        if variable.is_none() && end.is_empty() {
            return Err("one of the optional arguments has to be nonempty".to_owned());
        }
        Ok(Converter::AddItem { delimiter: text(it, 0), variable, end })
    }),
    entry!("strcmp", TEXT, Text => Int, |scope, _, it| match maybe_variable(scope, it.first())? {
        Some(variable) => Ok(Converter::Compare(variable)),
        None => Err(format!("failed to register variable name '{}'", it[0])),
    }),
    entry!("secure_memcmp", TEXT, Binary => Bool, |scope, _, it| match maybe_variable(scope, it.first())? {
        Some(variable) => Ok(Converter::IsSame(variable)),
        None => Err(format!("failed to register variable name '{}'", it[0])),
    }),
    entry!("set-var", SET_VARIABLE, Any => Any, |scope, _, it| {
        let variable = scope.cx.variables.named(&it[0])?;
        let provisos = super::variables::provisos(it[1..].iter().map(String::as_str))?;
        Ok(Converter::SetVariable(variable, provisos))
    }),
    entry!("unset-var", TEXT, Any => Any, |scope, _, it| {
        scope.cx.variables.named(&it[0]).map(Converter::UnsetVariable)
    }),
    entry!("fix_is_valid", NONE, Binary => Bool, |_, _, _| Ok(Converter::FixIsValid)),
    entry!("fix_tag_value", TEXT, Binary => Binary, |_, _, it| super::messages::fix(&it[0])),
    entry!("mqtt_is_valid", NONE, Binary => Bool, |_, _, _| Ok(Converter::MqttIsValid)),
    entry!("mqtt_field_value", Shape { least: 2, kinds: &[Is::Text, Is::Text] }, Binary => Text, |_, _, it| {
        super::messages::mqtt(&it[0], &it[1])
    }),
    entry!("nbsrv", NONE, Text => Int, |_, _, _| Ok(Converter::UsableServers)),
    entry!("srv_queue", NONE, Text => Int, |_, _, _| Ok(Converter::ServerQueue)),
    entry!("map", MAP, Text => Text, super::maps::make),
    entry!("map_str", MAP, Text => Text, super::maps::make),
    entry!("map_str_int", MAP, Text => Int, super::maps::make),
    entry!("map_str_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_beg", MAP, Text => Text, super::maps::make),
    entry!("map_beg_int", MAP, Text => Int, super::maps::make),
    entry!("map_beg_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_sub", MAP, Text => Text, super::maps::make),
    entry!("map_sub_int", MAP, Text => Int, super::maps::make),
    entry!("map_sub_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_dir", MAP, Text => Text, super::maps::make),
    entry!("map_dir_int", MAP, Text => Int, super::maps::make),
    entry!("map_dir_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_dom", MAP, Text => Text, super::maps::make),
    entry!("map_dom_int", MAP, Text => Int, super::maps::make),
    entry!("map_dom_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_end", MAP, Text => Text, super::maps::make),
    entry!("map_end_int", MAP, Text => Int, super::maps::make),
    entry!("map_end_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_reg", MAP, Text => Text, super::maps::make),
    entry!("map_reg_int", MAP, Text => Int, super::maps::make),
    entry!("map_reg_ip", MAP, Text => Addr, super::maps::make),
    entry!("map_int", MAP, Int => Text, super::maps::make),
    entry!("map_int_int", MAP, Int => Int, super::maps::make),
    entry!("map_int_ip", MAP, Int => Addr, super::maps::make),
    entry!("map_ip", MAP, Addr => Text, super::maps::make),
    entry!("map_ip_int", MAP, Addr => Int, super::maps::make),
    entry!("map_ip_ip", MAP, Addr => Addr, super::maps::make),
    entry!("in_table", Shape { least: 1, kinds: &[Is::Table] }, Any => Bool, |scope, _, it| {
        // What is not there was remembered, and ends everything later.
        Ok(Converter::InTable(scope.table(&it[0], 0).unwrap_or(TableId(0))))
    }),
    entry!("iif", Shape { least: 2, kinds: &[Is::Text, Is::Text] }, Bool => Text, |_, _, it| {
        Ok(Converter::Choose { yes: bytes(&it[0]), no: bytes(&it[1]) })
    }),
];

fn pieces(arguments: &[String]) -> Result<(i32, Vec<u8>, u32), String> {
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

fn arithmetic(
    scope: &mut Scope<'_, '_>,
    arguments: &[String],
    operation: Operation,
) -> Result<Converter, String> {
    // No number at all is zero.
    let text = if arguments[0].is_empty() { "0" } else { &arguments[0] };
    let operand = match (scope.cx.variables.named(text), arguments::int(text)) {
        (Ok(variable), _) => Operand::Variable(variable),
        (Err(_), Some(number)) => Operand::Number(number),
        (Err(_), None) => return Err("expects an integer or a variable name".to_owned()),
    };
    Ok(Converter::Arithmetic(operation, operand))
}

/// An argument that names a variable, or is empty.
fn maybe_variable(
    scope: &mut Scope<'_, '_>,
    name: Option<&String>,
) -> Result<Option<VariableId>, String> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) => match scope.cx.variables.named(name) {
            Ok(variable) => Ok(Some(variable)),
            Err(_) => Err(format!("failed to register variable name '{name}'")),
        },
    }
}

fn text(arguments: &[String], at: usize) -> Vec<u8> {
    arguments.get(at).map(|text| bytes(text)).unwrap_or_default()
}

/// `be2dec`, `be2hex`: what stands between chunks, their size, and whether one that is not whole
/// counts.
fn chunks(arguments: &[String]) -> (Vec<u8>, i64, i64) {
    let number = |at: usize| arguments.get(at).map_or(0, |text| leading_number(text));
    (text(arguments, 0), number(1), number(2))
}

fn hash(arguments: &[String], function: HashFunction) -> Converter {
    let avalanche = arguments.first().is_some_and(|it| leading_number(it) != 0);
    Converter::Hash { function, avalanche }
}

fn time(arguments: &[String], zone: Zone) -> Converter {
    let offset = arguments.get(1).map_or(0, |offset| leading_number(offset));
    Converter::Time { format: text(arguments, 0), zone, offset }
}

/// The function of a name of OpenSSL's.
fn digest(name: &str) -> Result<Digest, String> {
    let lower = name.to_ascii_lowercase();
    let found = match lower.strip_prefix("rsa-").unwrap_or(&lower) {
        "sha1" => Digest::Sha1,
        "sha224" => Digest::Sha224,
        "sha256" => Digest::Sha256,
        "sha384" => Digest::Sha384,
        "sha512" => Digest::Sha512,
        other if OTHER_DIGESTS.contains(&other) => {
            return Err(format!("algorithm '{name}' is not supported yet"));
        }
        _ => return Err("algorithm must be a valid OpenSSL message digest name.".to_owned()),
    };
    Ok(found)
}

/// OpenSSL's others.
const OTHER_DIGESTS: &[&str] = &[
    "blake2b512",
    "blake2s256",
    "md4",
    "md5",
    "md5-sha1",
    "ripemd",
    "ripemd160",
    "rmd160",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "sha512-224",
    "sha512-256",
    "shake128",
    "shake256",
    "sm3",
    "ssl3-md5",
    "ssl3-sha1",
    "whirlpool",
];

fn hmac_key(scope: &mut Scope<'_, '_>, argument: &str) -> Result<HmacKey, String> {
    if let Ok(variable) = scope.cx.variables.named(argument) {
        return Ok(HmacKey::Variable(variable));
    }
    match super::text::base64(argument) {
        Some(bytes) => Ok(HmacKey::Bytes(bytes)),
        None => {
            Err("failed to parse key : argument needs to be base64 encoded, and can either be a \
                     string or a variable"
                .to_owned())
        }
    }
}

fn seed(arguments: &[String]) -> u64 {
    arguments.first().map_or(0, |seed| leading_number(seed)) as u64
}

/// Counters of stick tables, of arrays, and those that can say something of a key that is not there.
static COUNTER_ENTRIES: [Entry; 3] = [
    Entry {
        name: "table_",
        shape: Shape { least: 1, kinds: &[Is::Table] },
        takes: FetchKind::Any,
        gives: FetchKind::Int,
        make: |scope, name, it| Ok(of_table(scope, name, 0, (&it[0], 0), Some(0))),
    },
    Entry {
        name: "table_",
        shape: Shape { least: 2, kinds: &[Is::Int, Is::Table] },
        takes: FetchKind::Any,
        gives: FetchKind::Int,
        make: |scope, name, it| {
            Ok(of_table(scope, name, fetches::element(&it[0]), (&it[1], 1), Some(0)))
        },
    },
    Entry {
        name: "table_",
        shape: Shape { least: 1, kinds: &[Is::Table, Is::Int] },
        takes: FetchKind::Any,
        gives: FetchKind::Int,
        make: |scope, name, it| {
            let unknown = it.get(1).map(|number| leading_number(number));
            Ok(of_table(scope, name, 0, (&it[0], 0), unknown))
        },
    },
];

fn of_table(
    scope: &mut Scope<'_, '_>,
    name: &str,
    element: u8,
    (table, at): (&str, usize),
    unknown: Option<i64>,
) -> Converter {
    // What is not there was remembered, and ends everything later.
    let table = scope.table(table, at).unwrap_or(TableId(0));
    let counter = counter_of(name, element).unwrap_or(Counter::ConnCnt);
    Converter::TableCounter { counter, table, unknown }
}

fn counter_of(name: &str, element: u8) -> Option<Counter> {
    match name.strip_prefix("table_")? {
        "expire" => Some(Counter::Expire),
        "idle" => Some(Counter::Idle),
        "server_id" => Some(Counter::ServerId),
        name @ ("gpc" | "gpc0" | "gpc1" | "gpt" | "gpt0") => {
            fetches::counter_of(&format!("get_{name}"), element)
        }
        name if name.starts_with("get_") => None,
        name => fetches::counter_of(name, element),
    }
}

/// `table_conn_rate` and its kin.
pub(super) fn counter(name: &str) -> Option<&'static Entry> {
    let [plain, of_array, of_place] = &COUNTER_ENTRIES;
    match counter_of(name, 0)? {
        Counter::Expire | Counter::Idle => Some(of_place),
        _ if fetches::is_array(name) => Some(of_array),
        _ => Some(plain),
    }
}

/// HAProxy's others.
#[rustfmt::skip]
pub(super) const UNSUPPORTED: &[&str] = &[
    "aes_gcm_dec", "capture-req", "capture-res", "debug", "json_query", "jwt_header_query", "jwt_payload_query", "jwt_verify",
    "language", "map_regm", "protobuf", "regsub",
    "ungrpc",
];
