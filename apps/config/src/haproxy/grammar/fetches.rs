//! Sample fetches that are here, and where each may be used.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::arguments::{Kind as Is, Shape};
use super::sample::Scope;
use super::text::{binary, bytes, leading_number};
use crate::haproxy::{
    Counter, End, Fetch, FetchKind, PayloadBegin, TableId, TimeUnit, TimeoutOf, Transport, Way,
};
use penstock_wire::Addr;

/// A fetch: its name, what it takes, what it gives, and where it may be used.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) kind: FetchKind,
    pub(super) places: u32,
    /// What it looks at, in HAProxy's words.
    pub(super) source: &'static str,
    pub(super) make: Make,
}

type Make = fn(&mut Scope<'_, '_>, &str, &[String]) -> Result<Fetch, String>;

/// Places where a sample may be used, in HAProxy's order; a place is a bit.
pub(super) const PLACES: [&str; 22] = [
    "frontend tcp-request connection rule",
    "frontend tcp-request session rule",
    "frontend tcp-request content rule",
    "frontend http-request header rule",
    "frontend http-request body rule",
    "frontend use-backend rule",
    "backend tcp-request content rule",
    "backend http-request header rule",
    "backend http-request body rule",
    "backend use-server, balance or stick-match rule",
    "server source selection",
    "backend tcp-response content rule",
    "backend http-response header rule",
    "backend http-response body rule",
    "backend stick-store rule",
    "frontend tcp-response content rule",
    "frontend http-response header rule",
    "frontend http-response body rule",
    "logs",
    "backend tcp-check rule",
    "configuration parser",
    "CLI parser",
];

pub(super) const FE_CONNECTION: u32 = 1 << 0;
pub(super) const FE_SESSION: u32 = 1 << 1;
pub(super) const FE_CONTENT: u32 = 1 << 2;
pub(super) const FE_SET_BACKEND: u32 = 1 << 5;
pub(super) const BE_CONTENT: u32 = 1 << 6;
pub(super) const BE_SET_SERVER: u32 = 1 << 9;
pub(super) const BE_RESPONSE: u32 = 1 << 11;
pub(super) const BE_STORE: u32 = 1 << 14;
pub(super) const FE_RESPONSE: u32 = 1 << 15;
pub(super) const LOGS: u32 = 1 << 18;
pub(super) const CHECK: u32 = 1 << 19;
pub(super) const PARSER: u32 = 1 << 20;

/// Bits from `first` to `last`.
const fn span(first: u32, last: u32) -> u32 {
    (1 << (last + 1)) - (1 << first)
}

const ALWAYS: u32 = span(0, 21);
const INTERNAL: u32 = ALWAYS & !(1 << 20);
const CLIENT: u32 = span(0, 19);
const LISTENER: u32 = span(0, 18);
const REQUEST: u32 = span(2, 10);
const RESPONSE: u32 = span(11, 17) | CHECK;
const HTTP: u32 = span(2, 18);
const BACKEND: u32 = span(6, 19);
const SERVER: u32 = span(10, 19);
const SERVER_SIDE: u32 = span(11, 19);
const TRACKED: u32 = CLIENT | 1 << 21;

/// The name of the first of these places.
pub(super) fn place_name(places: u32) -> &'static str {
    PLACES.get(places.trailing_zeros() as usize).copied().unwrap_or("logs")
}

const NONE: Shape = Shape { least: 0, kinds: &[] };

macro_rules! entry {
    ($name:literal, $shape:expr, $kind:ident, $places:expr, $source:literal, $make:expr) => {
        Entry {
            name: $name,
            shape: $shape,
            kind: FetchKind::$kind,
            places: $places,
            source: $source,
            make: $make,
        }
    };
}

const ONE_BACKEND: Shape = Shape { least: 1, kinds: &[Is::Backend] };
const ONE_FRONTEND: Shape = Shape { least: 1, kinds: &[Is::Frontend] };
const ONE_SERVER: Shape = Shape { least: 1, kinds: &[Is::Server] };
const ONE_TEXT: Shape = Shape { least: 1, kinds: &[Is::Text] };
const MAYBE_TEXT: Shape = Shape { least: 0, kinds: &[Is::Text] };
const ONE_TABLE: Shape = Shape { least: 1, kinds: &[Is::Table] };
const TWO_INTS: Shape = Shape { least: 2, kinds: &[Is::Int, Is::Int] };
const LV: Shape = Shape { least: 2, kinds: &[Is::Int, Is::Int, Is::Text] };

/// All but the counters of stick tables, which are made of parts: [`counter`].
#[rustfmt::skip]
pub(super) const FETCHES: &[Entry] = &[
    entry!("always_true", NONE, Bool, ALWAYS, "internal state", |_, _, _| Ok(Fetch::Bool(true))),
    entry!("always_false", NONE, Bool, ALWAYS, "internal state", |_, _, _| Ok(Fetch::Bool(false))),
    entry!("bool", ONE_TEXT, Bool, ALWAYS, "internal state", |_, _, it| match it[0].to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Fetch::Bool(true)),
        "false" | "0" => Ok(Fetch::Bool(false)),
        _ => Err("Expects 'true', 'false', '0' or '1'".to_owned()),
    }),
    entry!("int", Shape { least: 1, kinds: &[Is::Int] }, Int, ALWAYS, "internal state", |_, _, it| Ok(Fetch::Int(leading_number(&it[0])))),
    entry!("str", ONE_TEXT, Text, ALWAYS, "internal state", |_, _, it| Ok(Fetch::Text(bytes(&it[0])))),
    entry!("bin", ONE_TEXT, Binary, ALWAYS, "internal state", |_, _, it| binary(&it[0]).map(Fetch::Binary)),
    entry!("ipv4", Shape { least: 1, kinds: &[Is::Ipv4] }, Addr, ALWAYS, "internal state", |_, _, it| Ok(Fetch::Addr(addr(&it[0])))),
    entry!("ipv6", Shape { least: 1, kinds: &[Is::Ipv6] }, Addr, ALWAYS, "internal state", |_, _, it| Ok(Fetch::Addr(addr(&it[0])))),
    entry!("rand", Shape { least: 0, kinds: &[Is::Int] }, Int, ALWAYS, "internal state", |_, _, it| {
        Ok(Fetch::Random(it.first().map_or(0, |range| leading_number(range) as u32)))
    }),
    entry!("date", Shape { least: 0, kinds: &[Is::Int, Is::Text] }, Int, ALWAYS, "internal state", |_, _, it| {
        let offset = it.first().map_or(0, |offset| leading_number(offset));
        Ok(Fetch::Date(offset, time_unit(it.get(1))?))
    }),
    entry!("hostname", NONE, Text, ALWAYS, "internal state", |_, _, _| Ok(Fetch::HostName)),
    entry!("thread", NONE, Int, ALWAYS, "internal state", |_, _, _| Ok(Fetch::Thread)),
    entry!("stopping", NONE, Bool, INTERNAL, "internal state", |_, _, _| Ok(Fetch::Stopping)),
    entry!("env", ONE_TEXT, Text, ALWAYS, "internal state", |scope, _, it| {
        let found = scope.cx.input.environment.iter().find(|(name, _)| *name == it[0]);
        Ok(Fetch::Text(found.map(|(_, value)| value.clone().into_bytes()).unwrap_or_default()))
    }),
    entry!("var", Shape { least: 1, kinds: &[Is::Text, Is::Text] }, Any, ALWAYS, "internal state", |scope, _, it| {
        let id = scope.cx.variables.named(&it[0])?;
        Ok(Fetch::Variable { id, default: it.get(1).map(|default| bytes(default)) })
    }),
    entry!("nbsrv", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::UsableServers(scope.backend(&it[0], 0)))),
    entry!("be_conn", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::BackendConnections(scope.backend(&it[0], 0)))),
    entry!("be_conn_free", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::BackendFree(scope.backend(&it[0], 0)))),
    entry!("connslots", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::BackendSlots(scope.backend(&it[0], 0)))),
    entry!("srv_conn_free", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerFree)),
    entry!("date_us", NONE, Int, ALWAYS, "internal state", |_, _, _| Ok(Fetch::DateMicros)),
    entry!("nbproc", NONE, Int, ALWAYS, "internal state", |_, _, _| Ok(Fetch::Int(1))),
    entry!("proc", NONE, Int, ALWAYS, "internal state", |_, _, _| Ok(Fetch::Int(1))),
    entry!("prio_class", NONE, Int, INTERNAL, "internal state", |_, _, _| Ok(Fetch::PriorityClass)),
    entry!("prio_offset", NONE, Int, INTERNAL, "internal state", |_, _, _| Ok(Fetch::PriorityOffset)),
    entry!("uuid", Shape { least: 0, kinds: &[Is::Int] }, Text, ALWAYS, "internal state", |_, _, it| match it {
        [] => Ok(Fetch::Uuid),
        [version] if version == "4" => Ok(Fetch::Uuid),
        _ => Err("Unsupported UUID version".to_owned()),
    }),
    entry!("fe_client_timeout", NONE, Int, LISTENER, "frontend", |_, _, _| Ok(Fetch::Timeout(TimeoutOf::Client))),
    entry!("be_server_timeout", NONE, Int, BACKEND, "backend", |_, _, _| Ok(Fetch::Timeout(TimeoutOf::Server))),
    entry!("be_tunnel_timeout", NONE, Int, BACKEND, "backend", |_, _, _| Ok(Fetch::Timeout(TimeoutOf::Tunnel))),
    entry!("cur_server_timeout", NONE, Int, BACKEND, "backend", |_, _, _| Ok(Fetch::Timeout(TimeoutOf::Server))),
    entry!("cur_tunnel_timeout", NONE, Int, BACKEND, "backend", |_, _, _| Ok(Fetch::Timeout(TimeoutOf::Tunnel))),
    entry!("queue", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::Queue(scope.backend(&it[0], 0)))),
    entry!("avg_queue", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::AverageQueue(scope.backend(&it[0], 0)))),
    entry!("fe_conn", ONE_FRONTEND, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::FrontendConnections(scope.frontend(&it[0], 0)))),
    entry!("fe_sess_rate", ONE_FRONTEND, Int, INTERNAL, "internal state", |scope, _, it| {
        scope.cx.counts_rates = true;
        Ok(Fetch::FrontendRate(scope.frontend(&it[0], 0)))
    }),
    entry!("be_sess_rate", ONE_BACKEND, Int, INTERNAL, "internal state", |scope, _, it| {
        scope.cx.counts_rates = true;
        Ok(Fetch::BackendRate(scope.backend(&it[0], 0)))
    }),
    entry!("srv_sess_rate", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| {
        scope.cx.counts_rates = true;
        of_server(scope, it, Fetch::ServerRate)
    }),
    entry!("srv_conn", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerConnections)),
    entry!("srv_is_up", ONE_SERVER, Bool, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerIsUp)),
    entry!("srv_queue", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerQueue)),
    entry!("srv_weight", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerWeight)),
    entry!("srv_uweight", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerWeight)),
    entry!("srv_iweight", ONE_SERVER, Int, INTERNAL, "internal state", |scope, _, it| of_server(scope, it, Fetch::ServerInitialWeight)),
    entry!("table_avl", ONE_TABLE, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::TableEntries { table: scope.table(&it[0], 0), available: true })),
    entry!("table_cnt", ONE_TABLE, Int, INTERNAL, "internal state", |scope, _, it| Ok(Fetch::TableEntries { table: scope.table(&it[0], 0), available: false })),
    entry!("src", NONE, Addr, CLIENT, "client address", |_, _, _| Ok(Fetch::Source)),
    entry!("src_port", NONE, Int, CLIENT, "client address", |_, _, _| Ok(Fetch::SourcePort)),
    entry!("dst", NONE, Addr, CLIENT, "client address", |_, _, _| Ok(Fetch::Destination)),
    entry!("dst_port", NONE, Int, CLIENT, "client address", |_, _, _| Ok(Fetch::DestinationPort)),
    entry!("dst_conn", NONE, Int, LISTENER, "frontend", |_, _, _| Ok(Fetch::ListenerConnections)),
    entry!("fc_src", NONE, Addr, CLIENT, "client address", |_, _, _| Ok(Fetch::Original(End::Source))),
    entry!("fc_src_port", NONE, Int, CLIENT, "client address", |_, _, _| Ok(Fetch::Original(End::SourcePort))),
    entry!("fc_dst", NONE, Addr, CLIENT, "client address", |_, _, _| Ok(Fetch::Original(End::Destination))),
    entry!("fc_dst_port", NONE, Int, CLIENT, "client address", |_, _, _| Ok(Fetch::Original(End::DestinationPort))),
    entry!("src_is_local", NONE, Bool, CLIENT, "client address", |_, _, _| Ok(Fetch::IsLocal { end: End::Source, original: false })),
    entry!("dst_is_local", NONE, Bool, CLIENT, "client address", |_, _, _| Ok(Fetch::IsLocal { end: End::Destination, original: false })),
    entry!("fc_src_is_local", NONE, Bool, CLIENT, "client address", |_, _, _| Ok(Fetch::IsLocal { end: End::Source, original: true })),
    entry!("fc_dst_is_local", NONE, Bool, CLIENT, "client address", |_, _, _| Ok(Fetch::IsLocal { end: End::Destination, original: true })),
    entry!("fc_rtt", MAYBE_TEXT, Int, CLIENT, "client address", |_, _, it| Ok(Fetch::Transport(Transport::RoundTrip(round_trip_unit(it)?)))),
    entry!("fc_rttvar", MAYBE_TEXT, Int, CLIENT, "client address", |_, _, it| Ok(Fetch::Transport(Transport::Variation(round_trip_unit(it)?)))),
    entry!("fc_unacked", MAYBE_TEXT, Int, CLIENT, "client address", |scope, _, it| transport(scope, it, Transport::Unacknowledged)),
    entry!("fc_sacked", MAYBE_TEXT, Int, CLIENT, "client address", |scope, _, it| transport(scope, it, Transport::Sacked)),
    entry!("fc_lost", MAYBE_TEXT, Int, CLIENT, "client address", |scope, _, it| transport(scope, it, Transport::Lost)),
    entry!("fc_retrans", MAYBE_TEXT, Int, CLIENT, "client address", |scope, _, it| transport(scope, it, Transport::Resent)),
    entry!("fc_pp_authority", NONE, Text, CLIENT, "client address", |scope, _, _| {
        Ok(Fetch::Variable { id: scope.cx.variables.authority(), default: None })
    }),
    entry!("fc_pp_unique_id", NONE, Text, CLIENT, "client address", |scope, _, _| {
        Ok(Fetch::Variable { id: scope.cx.variables.unique_id(), default: None })
    }),
    entry!("fc_rcvd_proxy", NONE, Bool, CLIENT, "client address", |_, _, _| Ok(Fetch::ReceivedProxy)),
    entry!("bc_src", NONE, Addr, SERVER_SIDE, "server address", |_, _, _| Ok(Fetch::Server(End::Source))),
    entry!("bc_src_port", NONE, Int, SERVER_SIDE, "server address", |_, _, _| Ok(Fetch::Server(End::SourcePort))),
    entry!("bc_dst", NONE, Addr, SERVER_SIDE, "server address", |_, _, _| Ok(Fetch::Server(End::Destination))),
    entry!("bc_dst_port", NONE, Int, SERVER_SIDE, "server address", |_, _, _| Ok(Fetch::Server(End::DestinationPort))),
    entry!("fe_id", NONE, Int, LISTENER, "frontend", |_, _, _| Ok(Fetch::FrontendNumber)),
    entry!("fe_name", NONE, Text, LISTENER, "frontend", |_, _, _| Ok(Fetch::FrontendName)),
    entry!("fe_defbe", NONE, Text, LISTENER, "frontend", |_, _, _| Ok(Fetch::DefaultBackendName)),
    entry!("be_id", NONE, Int, BACKEND, "backend", |_, _, _| Ok(Fetch::BackendNumber)),
    entry!("be_name", NONE, Text, BACKEND, "backend", |_, _, _| Ok(Fetch::BackendName)),
    entry!("srv_id", NONE, Int, SERVER, "server", |_, _, _| Ok(Fetch::ServerNumber)),
    entry!("srv_name", NONE, Text, SERVER, "server", |_, _, _| Ok(Fetch::ServerName)),
    entry!("so_id", NONE, Int, LISTENER, "listener", |_, _, _| Ok(Fetch::ListenerNumber)),
    entry!("so_name", NONE, Text, LISTENER, "listener", |_, _, _| Ok(Fetch::ListenerName)),
    entry!("ssl_fc", NONE, Bool, CLIENT, "client-side connection", |_, _, _| Ok(Fetch::NoTls)),
    entry!("ssl_bc", NONE, Bool, SERVER_SIDE, "server-side connection", |_, _, _| Ok(Fetch::NoTls)),
    entry!("capture.req.hdr", Shape { least: 1, kinds: &[Is::Int] }, Text, HTTP, "HTTP request", |scope, _, it| {
        let number = leading_number(&it[0]);
        let number = u16::try_from(number).ok().filter(|&number| number < CAPTURES_MAX);
        let number = number.ok_or_else(|| format!("there are no more than {CAPTURES_MAX} captures"))?;
        Ok(Fetch::Variable { id: scope.cx.variables.capture(number), default: None })
    }),
    entry!("req.len", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::Length(Way::Request))),
    entry!("req_len", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::Length(Way::Request))),
    entry!("res.len", NONE, Int, RESPONSE, "response buffer", |_, _, _| Ok(Fetch::Length(Way::Response))),
    entry!("payload", TWO_INTS, Binary, REQUEST | RESPONSE, "request buffer,response buffer", |_, _, it| payload(Way::Either, it)),
    entry!("req.payload", TWO_INTS, Binary, REQUEST, "request buffer", |_, _, it| payload(Way::Request, it)),
    entry!("res.payload", TWO_INTS, Binary, RESPONSE, "response buffer", |_, _, it| payload(Way::Response, it)),
    entry!("payload_lv", LV, Binary, REQUEST | RESPONSE, "request buffer,response buffer", |_, _, it| payload_lv(Way::Either, it)),
    entry!("req.payload_lv", LV, Binary, REQUEST, "request buffer", |_, _, it| payload_lv(Way::Request, it)),
    entry!("res.payload_lv", LV, Binary, RESPONSE, "response buffer", |_, _, it| payload_lv(Way::Response, it)),
    entry!("req.ssl_hello_type", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsHelloType(Way::Request))),
    entry!("req_ssl_hello_type", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsHelloType(Way::Request))),
    entry!("res.ssl_hello_type", NONE, Int, RESPONSE, "response buffer", |_, _, _| Ok(Fetch::TlsHelloType(Way::Response))),
    entry!("rep_ssl_hello_type", NONE, Int, RESPONSE, "response buffer", |_, _, _| Ok(Fetch::TlsHelloType(Way::Response))),
    entry!("req.ssl_sni", NONE, Text, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsServerName)),
    entry!("req_ssl_sni", NONE, Text, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsServerName)),
    entry!("req.ssl_ver", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsVersion)),
    entry!("req_ssl_ver", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsVersion)),
    entry!("req.ssl_alpn", NONE, Text, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsAlpn)),
    entry!("req.ssl_ec_ext", NONE, Bool, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsEcExtension)),
    entry!("req.ssl_st_ext", NONE, Int, REQUEST, "request buffer", |_, _, _| Ok(Fetch::TlsTicketExtension)),
    entry!("req.rdp_cookie", MAYBE_TEXT, Text, REQUEST, "request buffer", |_, _, it| Ok(rdp_cookie(it))),
    entry!("req_rdp_cookie", MAYBE_TEXT, Text, REQUEST, "request buffer", |_, _, it| Ok(rdp_cookie(it))),
    entry!("rdp_cookie", MAYBE_TEXT, Text, REQUEST, "request buffer", |_, _, it| Ok(rdp_cookie(it))),
    entry!("req.rdp_cookie_cnt", MAYBE_TEXT, Int, REQUEST, "request buffer", |_, _, it| Ok(rdp_cookie_count(it))),
    entry!("rdp_cookie_cnt", MAYBE_TEXT, Int, REQUEST, "request buffer", |_, _, it| Ok(rdp_cookie_count(it))),
    entry!("req.proto_http", NONE, Bool, HTTP, "HTTP request", |_, _, _| Ok(Fetch::LooksLikeHttp)),
    entry!("req_proto_http", NONE, Bool, HTTP, "HTTP request", |_, _, _| Ok(Fetch::LooksLikeHttp)),
    entry!("wait_end", NONE, Bool, INTERNAL, "internal state", |_, _, _| Ok(Fetch::WaitEnd)),
];

fn addr(text: &str) -> Addr {
    let v4 = text.parse::<core::net::Ipv4Addr>().map(|addr| Addr::v4(addr.to_bits()));
    let v6 = text.parse::<core::net::Ipv6Addr>().map(|addr| Addr::v6(addr.octets()));
    v4.or(v6).unwrap_or(Addr::UNSPECIFIED)
}

fn of_server(
    scope: &mut Scope<'_, '_>,
    arguments: &[String],
    make: fn(crate::haproxy::ServerId) -> Fetch,
) -> Result<Fetch, String> {
    // What is not there was remembered, and ends everything later.
    Ok(scope.server(&arguments[0], 0).map_or(Fetch::Bool(false), make))
}

/// The unit that an argument names: seconds, if there is none.
///
/// # Errors
/// HAProxy's words.
pub(super) fn time_unit(argument: Option<&String>) -> Result<TimeUnit, String> {
    match argument.map(String::as_str) {
        None | Some("s") => Ok(TimeUnit::Seconds),
        Some("ms") => Ok(TimeUnit::Milliseconds),
        Some("us") => Ok(TimeUnit::Microseconds),
        Some(other) => Err(format!("expects 's', 'ms' or 'us', got '{other}'")),
    }
}

fn round_trip_unit(arguments: &[String]) -> Result<TimeUnit, String> {
    match arguments.first().map(String::as_str) {
        None | Some("ms") => Ok(TimeUnit::Milliseconds),
        Some("us") => Ok(TimeUnit::Microseconds),
        Some(other) => Err(format!("expects 'us' or 'ms', got '{other}'")),
    }
}

fn transport(
    scope: &mut Scope<'_, '_>,
    arguments: &[String],
    what: Transport,
) -> Result<Fetch, String> {
    if !arguments.is_empty() {
        let text = "no argument supported for 'fc_*' sample expressions returning counters.";
        scope.cx.messages.warn(text.to_owned());
    }
    Ok(Fetch::Transport(what))
}

fn payload(way: Way, arguments: &[String]) -> Result<Fetch, String> {
    let number = |at: usize| leading_number(&arguments[at]);
    match (number(0), number(1)) {
        (..0, _) => Err("payload offset must be positive".to_owned()),
        (_, ..0) => Err("payload length must be positive".to_owned()),
        (offset, length) => Ok(Fetch::Payload {
            way,
            offset: offset.min(i64::from(u32::MAX)) as u32,
            length: length.min(i64::from(u32::MAX)) as u32,
        }),
    }
}

fn payload_lv(way: Way, arguments: &[String]) -> Result<Fetch, String> {
    let number = |at: usize| leading_number(&arguments[at]);
    let (offset, width) = (number(0), number(1));
    if offset < 0 {
        return Err("payload offset1 must be positive".to_owned());
    }
    if !(1..=8).contains(&width) {
        return Err("payload length must be > 0".to_owned());
    }
    let begin = match arguments.get(2).map(String::as_str) {
        None | Some("") => None,
        Some(text) => {
            let relative = text.starts_with(['+', '-']);
            let begin = super::arguments::int(text).ok_or("payload offset2 is not a number")?;
            if offset.saturating_add(width).saturating_add(begin) < 0 {
                return Err("payload offset2 too negative".to_owned());
            }
            Some(match relative {
                true => PayloadBegin::Relative(begin as i32),
                false => PayloadBegin::At(begin as u32),
            })
        }
    };
    let offset = offset.min(i64::from(u32::MAX)) as u32;
    Ok(Fetch::PayloadByLength { way, offset, width: width as u32, begin })
}

fn rdp_cookie_count(arguments: &[String]) -> Fetch {
    let name = arguments.first().filter(|name| !name.is_empty());
    Fetch::RdpCookieCount(name.map(|name| bytes(name)))
}

fn rdp_cookie(arguments: &[String]) -> Fetch {
    Fetch::RdpCookie(arguments.first().filter(|name| !name.is_empty()).map(|name| bytes(name)))
}

/// What stick tables count, as fetches and converters name it.
pub(super) const COUNTERS: &[(&str, Counter)] = &[
    ("bytes_in_rate", Counter::BytesInRate),
    ("bytes_out_rate", Counter::BytesOutRate),
    ("conn_cnt", Counter::ConnCnt),
    ("conn_cur", Counter::ConnCur),
    ("conn_rate", Counter::ConnRate),
    ("get_gpc0", Counter::Gpc0),
    ("get_gpc1", Counter::Gpc1),
    ("get_gpt0", Counter::Gpt0),
    ("gpc0_rate", Counter::Gpc0Rate),
    ("gpc1_rate", Counter::Gpc1Rate),
    ("http_err_cnt", Counter::HttpErrCnt),
    ("http_err_rate", Counter::HttpErrRate),
    ("http_fail_cnt", Counter::HttpFailCnt),
    ("http_fail_rate", Counter::HttpFailRate),
    ("http_req_cnt", Counter::HttpReqCnt),
    ("http_req_rate", Counter::HttpReqRate),
    ("kbytes_in", Counter::BytesInCnt),
    ("kbytes_out", Counter::BytesOutCnt),
    ("sess_cnt", Counter::SessCnt),
    ("sess_rate", Counter::SessRate),
    ("trackers", Counter::Trackers),
];

/// What a name like `src_conn_rate` or `sc0_inc_gpc0` is made of.
enum Verb {
    Read(Counter),
    Change { counter: Counter, clear: bool },
    Tracked,
}

/// `element` is meant by those that name an array.
fn verb(name: &str, element: u8) -> Option<Verb> {
    let change = |counter, clear| Some(Verb::Change { counter, clear });
    match name {
        "inc_gpc" => change(Counter::Gpc(element), false),
        "inc_gpc0" => change(Counter::Gpc0, false),
        "inc_gpc1" => change(Counter::Gpc1, false),
        "clr_gpc" => change(Counter::Gpc(element), true),
        "clr_gpc0" => change(Counter::Gpc0, true),
        "clr_gpc1" => change(Counter::Gpc1, true),
        "updt_conn_cnt" => change(Counter::ConnCnt, false),
        "tracked" => Some(Verb::Tracked),
        _ => counter_of(name, element).map(Verb::Read),
    }
}

/// What is read by this name.
pub(super) fn counter_of(name: &str, element: u8) -> Option<Counter> {
    match name {
        "get_gpc" => Some(Counter::Gpc(element)),
        "get_gpt" => Some(Counter::Gpt(element)),
        "gpc_rate" => Some(Counter::GpcRate(element)),
        _ => COUNTERS.iter().find(|(known, _)| *known == name).map(|&(_, counter)| counter),
    }
}

/// Whether a name, or what it ends in, is that of an array, whose element is an argument.
pub(super) fn is_array(name: &str) -> bool {
    ["gpc", "gpt", "gpc_rate"].iter().any(|array| name.ends_with(array))
}

/// An element of an array: no table has one of the last number.
pub(super) fn element(argument: &str) -> u8 {
    u8::try_from(leading_number(argument)).unwrap_or(u8::MAX)
}

/// Counters of the client's address, of what is tracked, and of what is tracked by number; the same of
/// arrays; and whether something is tracked.
static COUNTER_ENTRIES: [Entry; 6] = [
    Entry {
        name: "src_",
        shape: ONE_TABLE,
        kind: FetchKind::Int,
        places: CLIENT,
        source: "client address",
        make: |scope, name, it| {
            let table = scope.table(&it[0], 0);
            Ok(of_source(name, 0, table))
        },
    },
    Entry {
        name: "src_",
        shape: Shape { least: 2, kinds: &[Is::Int, Is::Table] },
        kind: FetchKind::Int,
        places: CLIENT,
        source: "client address",
        make: |scope, name, it| {
            let table = scope.table(&it[1], 1);
            Ok(of_source(name, element(&it[0]), table))
        },
    },
    Entry {
        name: "scN_",
        shape: Shape { least: 0, kinds: &[Is::Table] },
        kind: FetchKind::Int,
        places: TRACKED,
        source: "track counters",
        make: |scope, name, it| {
            let slot = name.as_bytes()[2] - b'0';
            let table = it.first().and_then(|table| scope.table(table, 0));
            Ok(tracked(&name[4..], 0, slot, table))
        },
    },
    Entry {
        name: "sc_",
        shape: Shape { least: 1, kinds: &[Is::Int, Is::Table] },
        kind: FetchKind::Int,
        places: TRACKED,
        source: "track counters",
        make: |scope, name, it| {
            let table = it.get(1).and_then(|table| scope.table(table, 1));
            Ok(tracked(&name[3..], 0, slot(&it[0]), table))
        },
    },
    Entry {
        name: "sc_",
        shape: Shape { least: 2, kinds: &[Is::Int, Is::Int, Is::Table] },
        kind: FetchKind::Int,
        places: TRACKED,
        source: "track counters",
        make: |scope, name, it| {
            let table = it.get(2).and_then(|table| scope.table(table, 2));
            Ok(tracked(&name[3..], element(&it[0]), slot(&it[1]), table))
        },
    },
    Entry {
        name: "tracked",
        shape: Shape { least: 0, kinds: &[Is::Table] },
        kind: FetchKind::Bool,
        places: TRACKED,
        source: "track counters",
        make: |_, name, _| Ok(Fetch::Tracked(name.as_bytes()[2] - b'0')),
    },
];

/// A set of counters: nothing is ever tracked in others than the first three.
fn slot(argument: &str) -> u8 {
    u8::try_from(leading_number(argument)).unwrap_or(u8::MAX)
}

fn of_source(name: &str, element: u8, table: Option<TableId>) -> Fetch {
    match verb(name.strip_prefix("src_").unwrap_or_default(), element) {
        Some(Verb::Change { counter, clear }) => {
            Fetch::IncrementedCounter { slot: None, counter, clear, table }
        }
        Some(Verb::Read(counter)) => Fetch::SourceCounter { counter, table },
        _ => Fetch::Bool(false),
    }
}

fn tracked(name: &str, element: u8, slot: u8, table: Option<TableId>) -> Fetch {
    match verb(name, element) {
        Some(Verb::Change { counter, clear }) => {
            Fetch::IncrementedCounter { slot: Some(slot), counter, clear, table }
        }
        Some(Verb::Read(counter)) => Fetch::TrackedCounter { slot, counter, table },
        Some(Verb::Tracked) | None => Fetch::Tracked(slot),
    }
}

/// The entry of a counter's name.
pub(super) fn counter(name: &str) -> Option<&'static Entry> {
    let [of_source, of_sources, of_slot, of_number, of_numbers, is_tracked] = &COUNTER_ENTRIES;
    let (plain, array, rest) = if let Some(rest) = name.strip_prefix("src_") {
        (of_source, Some(of_sources), rest)
    } else if let Some(rest) = name.strip_prefix("sc_") {
        (of_number, Some(of_numbers), rest)
    } else {
        let rest = name.strip_prefix("sc")?.strip_prefix(['0', '1', '2'])?.strip_prefix('_')?;
        (of_slot, None, rest)
    };
    let is_of_source = name.starts_with("src_");
    match verb(rest, 0)? {
        Verb::Change { counter: Counter::ConnCnt, .. } if !is_of_source => None,
        Verb::Read(Counter::Trackers) | Verb::Tracked if is_of_source => None,
        Verb::Tracked if array.is_none() => Some(is_tracked),
        _ if is_array(rest) => array,
        _ => Some(plain),
    }
}

/// Whether HAProxy knows it, by itself or as what ACLs make of it: `path_beg` is `path -m beg`.
pub(super) fn is_known(name: &str) -> bool {
    let ways = ["_beg", "_dir", "_dom", "_end", "_len", "_reg", "_sub"];
    let base = ways.iter().find_map(|way| name.strip_suffix(way));
    UNSUPPORTED.contains(&name)
        || name.starts_with("ssl_")
        || base.is_some_and(|base| UNSUPPORTED.contains(&base))
}

/// Slots for captures of a frontend that can be read.
const CAPTURES_MAX: u16 = 32;

/// HAProxy's others, but those that begin with `ssl_`.
#[rustfmt::skip]
pub(super) const UNSUPPORTED: &[&str] = &[
    "base", "base32", "base32+src", "baseq", "bc_err", "bc_err_str", "bc_http_major",
    "capture.req.method", "capture.req.uri", "capture.req.ver", "capture.res.hdr",
    "capture.res.ver", "cook", "cook_cnt", "cook_val", "cookie", "cpu_calls", "cpu_ns_avg",
    "cpu_ns_tot", "distcc_body", "distcc_param", "fc_err", "fc_err_str", "fc_fackets",
    "fc_http_major", "fc_reordering", "fcgi.docroot", "fcgi.index", "fe_req_rate", "hdr", "hdr_cnt",
    "hdr_ip", "hdr_val", "http_auth", "http_auth_bearer", "http_auth_group", "http_auth_pass",
    "http_auth_type", "http_auth_user", "http_first_req", "internal.htx.data", "internal.htx.free",
    "internal.htx.free_data", "internal.htx.has_eom", "internal.htx.nbblks", "internal.htx.size",
    "internal.htx.used", "internal.htx_blk.data", "internal.htx_blk.hdrname",
    "internal.htx_blk.hdrval", "internal.htx_blk.size", "internal.htx_blk.start_line",
    "internal.htx_blk.type", "internal.strm.is_htx", "last_rule_file", "last_rule_line",
    "lat_ns_avg", "lat_ns_tot", "meth", "method", "path", "pathq", "query", "req.body",
    "req.body_len", "req.body_param", "req.body_size", "req.cook", "req.cook_cnt", "req.cook_val",
    "req.fhdr", "req.fhdr_cnt", "req.hdr", "req.hdr_cnt", "req.hdr_ip", "req.hdr_names",
    "req.hdr_val", "req.hdrs", "req.hdrs_bin", "req.ver", "req_ver", "res.body", "res.body_len",
    "res.body_size", "res.cache_hit", "res.cache_name", "res.comp", "res.comp_algo", "res.cook",
    "res.cook_cnt", "res.cook_val", "res.fhdr", "res.fhdr_cnt", "res.hdr", "res.hdr_cnt",
    "res.hdr_ip", "res.hdr_names", "res.hdr_val", "res.hdrs", "res.hdrs_bin", "res.ver", "resp_ver",
    "sc1_clr_gpc", "scook", "scook_cnt", "scook_val", "shdr", "shdr_cnt", "shdr_ip", "shdr_val",
    "status", "unique-id", "url", "url32", "url32+src",
    "url_ip", "url_param", "url_port", "urlp", "urlp_val",
];
