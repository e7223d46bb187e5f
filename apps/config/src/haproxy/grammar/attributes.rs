//! Options of `server` and `default-server` (configuration manual, section 5.2).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::draft::Draft;
use super::known;
use super::nearest::nearest;
use super::number::{self, NoTime, Unit};
use super::server::{ServerDraft, alert, complain, head, source};
use super::text::{bytes, leading_int, leading_number, readable};
use super::words::Words;
use crate::haproxy::{InitAddr, Nameless, Observe, OnError, OnMarkedDown, OnMarkedUp};

/// One option of a server.
struct Line<'l> {
    words: &'l Words,
    at: usize,
    /// The server's name without its backend, as some messages repeat it.
    name: &'l str,
    draft: &'l Draft,
    /// How many words behind the option's name it took.
    taken: usize,
}

impl Line<'_> {
    fn value(&self) -> &str {
        &self.words[self.at + 1]
    }

    fn option(&self) -> &str {
        &self.words[self.at]
    }
}

type Set = fn(&mut Cx<'_>, &mut ServerDraft, &mut Line<'_>) -> Result<(), String>;

/// Reads options from word `at` on. Returns whether all were good.
pub(super) fn options(
    cx: &mut Cx<'_>,
    draft: &Draft,
    server: &mut ServerDraft,
    words: &Words,
    mut at: usize,
    full: &str,
    is_default: bool,
) -> bool {
    cx.head = head(cx, full);
    let name = if is_default { "default-server".into() } else { server.server.name.clone() };
    let hint = if is_default { " Hint: no address was expected for this server." } else { "" };
    while words.has(at) {
        let option = &words[at];
        let Some(&(_, values, in_default, set)) =
            OPTIONS.iter().find(|(known, ..)| *known == option)
        else {
            if known::SERVER.contains(&option) {
                alert(cx, full, &format!("'{option}' is not supported yet."));
                return false;
            }
            let all = OPTIONS.iter().map(|(known, ..)| *known);
            match nearest(option, known::SERVER.iter().copied().chain(all)) {
                Some(best) => alert(
                    cx,
                    full,
                    &format!("unknown keyword '{option}'; did you mean '{best}' maybe ?{hint}"),
                ),
                None => alert(cx, full, &format!("unknown keyword '{option}'.{hint}")),
            }
            return false;
        };
        if is_default && !in_default {
            let text = format!("'{option}' option is not accepted in default-server sections");
            complain(cx, full, &text);
            at += 1 + values;
            continue;
        }
        let mut line = Line { words, at, name: &name, draft, taken: values };
        if let Err(wrong) = set(cx, server, &mut line) {
            let wrong = wrong.split('\0').next().unwrap_or_default();
            alert(cx, full, &format!("{wrong}."));
            return false;
        }
        at += 1 + line.taken;
    }
    true
}

const OPTIONS: &[(&str, usize, bool, Set)] = &[
    ("addr", 1, true, |cx, it, line| {
        if line.value().is_empty() {
            return Err("'addr' expects <ipv4|ipv6> as argument.".to_owned());
        }
        let allowed = Allowed::default();
        let parsed = address::parse(&cx.environment, line.value(), allowed)
            .map_err(|wrong| format!("'addr' : {}", wrong.trim_end_matches('\n')))?;
        if let Host::Addr(addr) = parsed.host {
            it.check.addr = Some(addr);
        }
        if parsed.port > 0 {
            it.check.port = it.check.port.or(Some(parsed.port as u16));
        }
        Ok(())
    }),
    ("agent-addr", 1, true, |cx, it, line| {
        if line.value().is_empty() {
            return Err("'agent-addr' expects an address as argument.".to_owned());
        }
        let wrong = || {
            let value = line.value();
            format!("parsing agent-addr failed. Check if '{value}' is correct address.")
        };
        let parsed = address::parse(&cx.environment, line.value(), Allowed::default())
            .map_err(|_| wrong())?;
        let Host::Addr(addr) = parsed.host else { return Err(wrong()) };
        it.agent.check.addr = Some(addr);
        Ok(())
    }),
    ("agent-check", 0, true, |_, it, _| {
        it.has_agent = true;
        Ok(())
    }),
    ("agent-inter", 1, true, |cx, it, line| {
        it.agent_inter = number::limit(interval(cx, line)?);
        Ok(())
    }),
    ("agent-port", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'agent-port' expects a port number as argument.".to_owned());
        }
        let port = leading_int(line.value()) as u16;
        it.agent.check.port = (port > 0).then_some(port);
        Ok(())
    }),
    ("agent-send", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'agent-send' expects a string as argument.".to_owned());
        }
        it.agent.send = bytes(line.value());
        Ok(())
    }),
    ("backup", 0, true, |_, it, _| {
        it.server.backup = true;
        Ok(())
    }),
    ("check", 0, true, |_, it, _| {
        it.is_checked = true;
        Ok(())
    }),
    ("check-send-proxy", 0, true, |_, it, _| {
        it.check.send_proxy = true;
        Ok(())
    }),
    ("cookie", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'cookie' expects <value> as argument.".to_owned());
        }
        it.server.cookie = Some(readable(line.value()));
        Ok(())
    }),
    ("disabled", 0, true, |_, it, _| {
        it.server.disabled = true;
        Ok(())
    }),
    ("downinter", 1, true, |cx, it, line| {
        it.check.down_inter = number::limit(interval(cx, line)?);
        Ok(())
    }),
    ("enabled", 0, true, |_, it, _| {
        it.server.disabled = false;
        Ok(())
    }),
    ("error-limit", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'error-limit' expects an integer argument.".to_owned());
        }
        match leading_int(line.value()) {
            ..1 => Err("error-limit has to be > 0.".to_owned()),
            limit => {
                it.server.error_limit = limit.min(i32::from(u16::MAX)) as u16;
                Ok(())
            }
        }
    }),
    ("fall", 1, true, |_, it, line| {
        it.check.fall = times(line)?;
        Ok(())
    }),
    ("fastinter", 1, true, |cx, it, line| {
        it.check.fast_inter = number::limit(interval(cx, line)?);
        Ok(())
    }),
    ("id", 1, false, id),
    ("init-addr", 1, true, init_addr),
    ("inter", 1, true, |cx, it, line| {
        let ms = interval(cx, line)?;
        it.check.inter = penstock_stack::Duration::from_millis(u64::from(ms));
        Ok(())
    }),
    ("max-reuse", 1, true, reuse),
    ("maxconn", 1, true, |_, it, line| {
        it.server.maxconn = bound(line);
        Ok(())
    }),
    ("maxqueue", 1, true, |_, it, line| {
        it.server.maxqueue = bound(line);
        Ok(())
    }),
    ("minconn", 1, true, |_, it, line| {
        it.server.minconn = bound(line);
        Ok(())
    }),
    ("no-agent-check", 0, true, |_, it, _| {
        it.has_agent = false;
        Ok(())
    }),
    ("no-backup", 0, true, |_, it, _| {
        it.server.backup = false;
        Ok(())
    }),
    ("no-check", 0, true, |_, it, _| {
        it.is_checked = false;
        Ok(())
    }),
    ("no-check-send-proxy", 0, true, |_, it, _| {
        it.check.send_proxy = false;
        Ok(())
    }),
    ("no-send-proxy", 0, true, |_, it, _| {
        it.proxy_v1 = false;
        Ok(())
    }),
    ("no-send-proxy-v2", 0, true, |_, it, _| {
        it.proxy_v2 = false;
        Ok(())
    }),
    ("no-tfo", 0, true, |_, it, _| {
        it.server.fast_open = false;
        Ok(())
    }),
    ("non-stick", 0, true, |_, it, _| {
        it.server.non_stick = true;
        Ok(())
    }),
    ("observe", 1, true, observe),
    ("on-error", 1, true, |_, it, line| {
        it.server.on_error = match line.value() {
            "fastinter" => OnError::FastInter,
            "fail-check" => OnError::FailCheck,
            "sudden-death" => OnError::SuddenDeath,
            "mark-down" => OnError::MarkDown,
            value => {
                return Err(format!(
                    "'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or \
                     'mark-down' but got '{value}'"
                ));
            }
        };
        Ok(())
    }),
    ("on-marked-down", 1, true, |_, it, line| match line.value() {
        "shutdown-sessions" => {
            it.server.on_marked_down = OnMarkedDown::ShutdownSessions;
            Ok(())
        }
        value => Err(format!("'on-marked-down' expects 'shutdown-sessions' but got '{value}'")),
    }),
    ("on-marked-up", 1, true, |_, it, line| match line.value() {
        "shutdown-backup-sessions" => {
            it.server.on_marked_up = OnMarkedUp::ShutdownBackupSessions;
            Ok(())
        }
        value => {
            Err(format!("'on-marked-up' expects 'shutdown-backup-sessions' but got '{value}'"))
        }
    }),
    ("pool-low-conn", 1, true, reuse),
    ("pool-max-conn", 1, true, reuse),
    ("pool-purge-delay", 1, true, reuse),
    ("port", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'port' expects a port number as argument.".to_owned());
        }
        let port = leading_int(line.value()) as u16;
        it.check.port = (port > 0).then_some(port);
        Ok(())
    }),
    ("proxy-v2-options", 1, true, |_, it, line| {
        for option in line.value().split(',') {
            let which = match option {
                "crc32c" => 0,
                "unique-id" => 1,
                "authority" => 2,
                "ssl" | "cert-cn" | "cert-key" | "cert-sig" | "ssl-cipher" => {
                    return Err(format!("'{option}' : proxy v2 option is not supported yet"));
                }
                _ => return Err(format!("'{option}' : proxy v2 option not implemented")),
            };
            it.proxy_options[which] = true;
        }
        Ok(())
    }),
    ("resolve-opts", 1, true, |_, it, line| {
        for option in line.value().split(',') {
            match option {
                "allow-dup-ip" => it.server.shares_address = true,
                "prevent-dup-ip" => it.server.shares_address = false,
                // Of SRV records, which are not asked for.
                "ignore-weight" => {}
                other => {
                    return Err(format!(
                        "'resolve-opts' : unknown resolve-opts option '{other}', supported methods are \
                         'allow-dup-ip', 'ignore-weight', and 'prevent-dup-ip'."
                    ));
                }
            }
        }
        Ok(())
    }),
    ("resolvers", 1, true, |_, it, line| {
        it.resolvers = Some(line.value().to_owned());
        Ok(())
    }),
    ("resolve-prefer", 1, true, |_, _, line| match line.value() {
        "ipv4" | "ipv6" => Ok(()),
        _ => Err("'resolve-prefer' expects either ipv4 or ipv6 as argument.".to_owned()),
    }),
    ("rise", 1, true, |_, it, line| {
        it.check.rise = times(line)?;
        Ok(())
    }),
    ("send-proxy", 0, true, |_, it, _| {
        it.proxy_v1 = true;
        Ok(())
    }),
    ("send-proxy-v2", 0, true, |_, it, _| {
        it.proxy_v2 = true;
        Ok(())
    }),
    ("slowstart", 1, true, slowstart),
    ("source", 1, true, server_source),
    ("stick", 0, true, |_, it, _| {
        it.server.non_stick = false;
        Ok(())
    }),
    ("tcp-ut", 1, true, |cx, it, line| {
        let ms = super::listener::user_timeout_ms(cx, line.option(), line.value())?;
        it.server.user_timeout = number::limit(ms);
        Ok(())
    }),
    ("tfo", 0, true, |_, it, _| {
        it.server.fast_open = true;
        Ok(())
    }),
    ("track", 1, true, |_, it, line| {
        if line.value().is_empty() {
            return Err("'track' expects [<proxy>/]<server> as argument.".to_owned());
        }
        it.track = Some(line.value().to_owned());
        Ok(())
    }),
    ("usesrc", 0, true, |_, _, _| {
        Err("'usesrc' only allowed after a 'source' statement.".to_owned())
    }),
    ("weight", 1, true, |_, it, line| match leading_number(line.value()) {
        weight @ 0..=256 => {
            it.server.weight = weight as u16;
            Ok(())
        }
        weight => {
            let name = line.name;
            Err(format!("weight of server {name} is not within 0 and 256 ({weight})."))
        }
    }),
];

/// A number that bounds; 0 is no bound.
fn bound(line: &Line<'_>) -> Option<u32> {
    let number = leading_int(line.value());
    (number > 0).then_some(number as u32)
}

fn times(line: &Line<'_>) -> Result<u16, String> {
    let option = line.option();
    if line.value().is_empty() {
        return Err(format!("'{option}' expects an integer argument."));
    }
    match leading_int(line.value()) {
        ..1 => Err(format!("'{option}' has to be > 0.")),
        number => Ok(number.min(i32::from(u16::MAX)) as u16),
    }
}

fn interval(cx: &mut Cx<'_>, line: &Line<'_>) -> Result<u32, String> {
    let (option, value, name) = (line.option(), line.value(), line.name);
    if value.is_empty() {
        return Err(format!("'{option}' expects a delay as argument."));
    }
    match cx.time(value, Unit::Milliseconds) {
        Ok(0) => Err(format!("invalid value 0 for argument '{option}' of server {name}.")),
        Ok(ms) => Ok(ms),
        Err(NoTime::Over) => Err(format!(
            "timer overflow in argument <{value}> to <{option}> of server {name}, maximum value is \
             2147483647 ms (~24.8 days)."
        )),
        // HAProxy names the same option whichever it was.
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            Err(format!("unexpected character '{at}' in 'agent-inter' argument of server {name}."))
        }
    }
}

fn id(_: &mut Cx<'_>, it: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    if line.value().is_empty() {
        return Err("'id' : expects an integer argument".to_owned());
    }
    let id = leading_number(line.value()) as i32;
    if id <= 0 {
        return Err("'id' : custom id has to be > 0".to_owned());
    }
    let same = |other: &&ServerDraft| other.has_id && other.server.id == id as u32;
    if let Some(other) = line.draft.servers.iter().find(same) {
        let (spot, name) = (&other.spot, &other.server.name);
        return Err(format!(
            "'id' : custom id {id} already used at {}:{} ('server {name}')",
            spot.file, spot.line
        ));
    }
    (it.server.id, it.has_id) = (id as u32, true);
    Ok(())
}

/// Connections that wait for another request: there are none without HTTP.
fn reuse(cx: &mut Cx<'_>, _: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    let (option, value) = (line.option(), line.value());
    match option {
        _ if value.is_empty() => return Err(format!("'{option}' expects <value> as argument.")),
        "pool-max-conn" if leading_int(value) < -1 => {
            return Err(format!("'{option}' must be >= -1"));
        }
        "pool-purge-delay" => {
            cx.time(value, Unit::Milliseconds).map_err(|wrong| match wrong {
                NoTime::Over => format!(
                    "timer overflow in argument '{value}' to '{option}' (maximum value is \
                     2147483647 ms or ~24.8 days)"
                ),
                NoTime::At(at) => {
                    let at = at.unwrap_or_default();
                    format!("unexpected character '{at}' in argument to <{option}>.")
                }
            })?;
        }
        _ => {}
    }
    cx.notice(option, &format!("'{option}' has no effect: connections are not used again."));
    Ok(())
}

/// How a server begins: the first of these methods counts that has something to say.
fn init_addr(_: &mut Cx<'_>, it: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    let mut asks = false;
    let mut otherwise = Nameless::Waits;
    for method in line.value().split(',').filter(|method| !method.is_empty()) {
        let is_first = otherwise == Nameless::Waits;
        match method {
            // There is no file of states.
            "last" => {}
            "libc" => asks |= is_first,
            "none" if is_first => otherwise = Nameless::InMaintenance,
            "none" => {}
            _ => match method.parse::<IpAddr>() {
                Ok(addr) if is_first => otherwise = Nameless::At(addr.into()),
                Ok(_) => {}
                Err(_) => {
                    return Err(format!(
                        "'init-addr' : unknown init-addr method '{method}', supported methods are \
                         'libc', 'last', 'none'."
                    ));
                }
            },
        }
    }
    asks |= otherwise == Nameless::Waits;
    it.server.init_addr = InitAddr { asks, otherwise };
    Ok(())
}

fn observe(cx: &mut Cx<'_>, it: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    it.server.observe = match line.value() {
        "" => return Err("'observe' expects <mode> as argument.".to_owned()),
        "none" => None,
        "layer4" => Some(Observe::Layer4),
        "layer7" if line.draft.mode == crate::haproxy::Mode::Http => Some(Observe::Layer7),
        "layer7" => {
            let text = format!("{}'layer7' can only be used in http proxies..", cx.head);
            cx.messages.complain(text);
            return Ok(());
        }
        value => {
            return Err(format!(
                "'observe' expects one of 'none', 'layer4', 'layer7' but got '{value}'"
            ));
        }
    };
    Ok(())
}

fn slowstart(cx: &mut Cx<'_>, it: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    let (value, name) = (line.value(), line.name);
    let ms = cx.time(value, Unit::Milliseconds).map_err(|wrong| match wrong {
        NoTime::Over => format!(
            "overflow in argument <{value}> to <slowstart> of server {name}, maximum value is \
             2147483647 ms (~24.8 days)."
        ),
        NoTime::At(None) => "unexpected character '".to_owned(),
        NoTime::At(Some(at)) => {
            format!("unexpected character '{at}' in 'slowstart' argument of server {name}.")
        }
    })?;
    // HAProxy counts it in seconds.
    it.server.slowstart = number::limit(ms.div_ceil(1000).saturating_mul(1000));
    Ok(())
}

/// `source` of one server: an address, ports, and a card.
fn server_source(cx: &mut Cx<'_>, it: &mut ServerDraft, line: &mut Line<'_>) -> Result<(), String> {
    if line.value().is_empty() {
        return Err(
            "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and \
                    'interface' <name> as argument."
                .to_owned(),
        );
    }
    let mut source = source(cx, line.value(), true).map_err(|wrong| {
        let value = line.value();
        format!("\n  'source {value}' : {}\n  \n", wrong.trim_end_matches('\n'))
    })?;
    line.taken = 1;
    loop {
        let at = line.at + 1 + line.taken;
        match &line.words[at] {
            "interface" if !line.words.has(at + 1) => {
                return Err("'server' : missing interface name".to_owned());
            }
            "interface" => source.interface = Some(readable(&line.words[at + 1])),
            "usesrc" => return Err("'source .. usesrc' is not supported yet".to_owned()),
            _ => break,
        }
        line.taken += 2;
    }
    it.server.source = Some(source);
    Ok(())
}
