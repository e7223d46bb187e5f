//! The section `global`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::known;
use super::listener::{deprecated_process, processes};
use super::logs;
use super::nearest::nearest;
use super::number::{self, NoTime, Unit};
use super::option::Prefix;
use super::text::{leading_int, leading_number, readable};
use super::variables;
use super::words::Words;
use crate::haproxy::{AccessLevel, BindAddress, Global, StatsSocket};

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct GlobalDraft {
    pub(super) global: Global,
    /// `log-send-hostname` was said.
    pub(super) hostname_in_logs: bool,
}

type Parse = fn(&mut Cx<'_>, &Words, Prefix);

/// A line of the section.
pub(super) fn line(cx: &mut Cx<'_>, words: &Words, prefix: Prefix) {
    let keyword = &words[0];
    if let Some((_, parse)) = KEYWORDS.iter().find(|(known, _)| *known == keyword) {
        return parse(cx, words, prefix);
    }
    if let Some((_, why)) = GONE.iter().find(|(gone, _)| *gone == keyword) {
        return cx.alert_tight(&format!("option '{keyword}' is not supported any more {why}"));
    }
    if let Some(&(_, shape, why)) = MEANINGLESS.iter().find(|(known, ..)| *known == keyword) {
        return meaningless(cx, words, shape, why);
    }
    let known = known::SUGGESTED_IN_GLOBAL;
    if known.contains(&keyword)
        || ["fd-hard-limit", "h2-workaround-bogus-websocket-clients"].contains(&keyword)
    {
        return cx.alert(&format!("keyword '{keyword}' in 'global' section is not supported yet."));
    }
    let best = nearest(keyword, known.iter().copied());
    known::unknown(cx, keyword, "global", best);
}

const KEYWORDS: &[(&str, Parse)] = &[
    ("description", |cx, words, _| {
        if !words.has(1) {
            return cx.alert_tight("'description' expects a string argument.");
        }
        cx.global.global.description = Some(readable(&words.rest(1).join(" ")));
    }),
    ("grace", |cx, words, _| delay(cx, words, |global| &mut global.grace)),
    ("hard-stop-after", |cx, words, _| delay(cx, words, |global| &mut global.hard_stop_after)),
    ("log", |cx, words, prefix| logs::in_global(cx, words, prefix)),
    ("log-send-hostname", log_send_hostname),
    ("log-tag", |cx, words, _| {
        if !cx.at_most(words, 1, 0) {
            return;
        }
        if !words.has(1) {
            return cx.alert("'log-tag' expects a tag for use in syslog.");
        }
        cx.global.global.log_tag = readable(&words[1]);
    }),
    ("max-spread-checks", max_spread_checks),
    ("maxconn", |cx, words, _| once(cx, words, "maxconn", |it| &mut it.maxconn)),
    ("maxconnrate", |cx, words, _| {
        once(cx, words, "maxconnrate", |it| &mut it.connection_rate_max)
    }),
    ("maxsessrate", |cx, words, _| once(cx, words, "maxsessrate", |it| &mut it.session_rate_max)),
    ("nbproc", |cx, _, _| {
        cx.alert(
            "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be \
             used on multi-processor machines if available.",
        );
    }),
    ("nbthread", nbthread),
    ("node", node),
    ("presetenv", environment),
    ("resetenv", |cx, words, _| cx.environment.change(words)),
    ("set-var", |cx, words, _| variables::in_global(cx, words)),
    ("set-var-fmt", |cx, words, _| variables::in_global(cx, words)),
    ("setenv", environment),
    ("spread-checks", spread_checks),
    ("stats", stats),
    ("tune.bufsize", |cx, words, _| positive(cx, words, |it| &mut it.tune.buffer_bytes)),
    ("tune.maxaccept", |cx, words, _| {
        once(cx, words, "tune.maxaccept", |it| &mut it.tune.accept_max);
    }),
    ("tune.maxrewrite", |cx, words, _| at_least(0, cx, words, |it| &mut it.tune.rewrite_bytes)),
    ("unsetenv", |cx, words, _| {
        if !words.has(1) {
            return cx.alert_tight("'unsetenv' expects at least one variable name.");
        }
        cx.environment.change(words);
    }),
    ("zero-warning", |cx, words, _| {
        if cx.at_most(words, 0, 0) {
            cx.global.global.zero_warning = true;
        }
    }),
];

/// Keywords that HAProxy had once.
const GONE: &[(&str, &str)] = &[("tune.chksize", "(tune.bufsize is used instead).")];

/// What a keyword without meaning takes; in texts, `{}` is the keyword.
#[derive(Clone, Copy)]
enum Shape {
    /// Nothing.
    Alone,
    /// One word, or none.
    Optional,
    /// One word; what HAProxy says without it.
    One(&'static str),
    /// The same, and it is a complaint to say it twice.
    Once(&'static str),
    /// A number from the first to the second; what HAProxy says without one, and of another.
    Number(i32, i32, &'static str, &'static str),
    /// One of these words; what HAProxy says of another, `{1}`, and without one.
    Choice(&'static [&'static str], &'static str, &'static str),
    /// A size in bytes, or nothing.
    Size,
    /// Whatever follows.
    Any,
}

use Shape::{Alone, Any, Choice, Number, Once, One, Optional, Size};

const INTEGER: &str = "'{}' expects an integer argument.";
const INT: Shape = One(INTEGER);
const INT_ONCE: Shape = Once(INTEGER);
const PERCENT: Shape = Number(0, 100, FROM_0_TO_100, FROM_0_TO_100);
const FROM_0_TO_100: &str = "'{}' expects an integer argument between 0 and 100.";
const H2_TABLE: &str = "'{}' expects a numeric value between 4096 and 65536.";
const H2_FRAME: &str = "'{}' expects a numeric value between 16384 and 16777215.";
const FROM_1_TO_9: &str = "'{}' expects a numeric value between 1 and 9";
const MORE_THAN_0: &str = "'{}' expects an integer argument greater than 0.";
const ON_OR_OFF: &str = "'{}' expects either 'on' or 'off' but got '{1}'.";
const SWITCH: Shape = Choice(&["on", "off"], ON_OR_OFF, ON_OR_OFF);
const ON_AUTO_OFF: &str = "'{}' expects either 'on', 'auto', or 'off' but got '{1}'.";
const FOLDER: Shape = One("global statement '{}' expects a directory path as an argument.");
const CIPHERS: Shape = One("global statement '{}' expects a cipher suite as an argument.");
const NO_PROCESS: &str = "this machine has no other processes";
const NO_USERS: &str = "this machine has no users";
const NO_KERNEL: &str = "this machine has no other kernel";
pub(super) const NO_STATE: &str = "how servers stood is not kept over a restart";
const NO_SIZES: &str = "variables have room that is taken at the start";
const VERIFY: Shape =
    Choice(&["none", "required"], "'{}' expects 'none' or 'required' as argument.", INTEGER);
const NO_TLS: &str = "no listener speaks TLS";

/// Keywords about an operating system, or about what cannot be configured here; and why.
const MEANINGLESS: &[(&str, Shape, &str)] = &[
    ("busy-polling", Alone, "idle=poll on the command line does that"),
    ("ca-base", FOLDER, NO_TLS),
    ("chroot", Once("'{}' expects a directory as an argument."), "this machine has no file system"),
    ("cluster-secret", Any, "nothing here is derived from it"),
    ("cpu-map", Any, "each core has its own stack, always"),
    ("crt-base", FOLDER, NO_TLS),
    ("daemon", Alone, NO_PROCESS),
    ("expose-experimental-directives", Alone, "there are none"),
    ("fd-hard-limit", INT_ONCE, "this machine has no file descriptors"),
    ("gid", INT, NO_USERS),
    ("h1-accept-payload-with-any-method", Alone, "HTTP is not spoken yet"),
    ("group", One("'{}' expects a group name."), NO_USERS),
    ("insecure-fork-wanted", Alone, NO_PROCESS),
    ("insecure-setuid-wanted", Alone, NO_USERS),
    ("localpeer", One("'{}' expects a name as an argument."), "this machine has no peers"),
    ("master-worker", Any, NO_PROCESS),
    ("maxcompcpuusage", PERCENT, "nothing is compressed"),
    ("maxcomprate", One("'{}' expects an integer argument in kb/s."), "nothing is compressed"),
    ("maxpipes", INT_ONCE, NO_KERNEL),
    ("maxsslconn", INT, NO_TLS),
    ("maxsslrate", INT_ONCE, NO_TLS),
    ("maxzlibmem", INT, "nothing is compressed"),
    ("noepoll", Alone, NO_KERNEL),
    ("noevports", Alone, NO_KERNEL),
    ("nogetaddrinfo", Alone, "names are resolved by etc/hosts and DNS"),
    ("nokqueue", Alone, NO_KERNEL),
    ("no-memory-trimming", Alone, "memory is taken at the start"),
    ("mworker-max-reloads", INT, NO_PROCESS),
    ("nopoll", Alone, NO_KERNEL),
    ("noreuseport", Alone, NO_KERNEL),
    ("nosplice", Alone, NO_KERNEL),
    ("numa-cpu-mapping", Alone, "each core has its own stack, always"),
    (
        "pidfile",
        Once("'{}' expects a file name as an argument."),
        "this machine has no file system",
    ),
    ("pp2-never-send-local", Alone, "a check's PROXY header says LOCAL"),
    (
        "profiling.tasks",
        Choice(&["on", "auto", "off"], ON_AUTO_OFF, ON_AUTO_OFF),
        "counters are always there",
    ),
    ("quiet", Alone, "loglevel= on the command line does that"),
    ("server-state-base", Once("'{}' expects one argument: a directory path."), NO_STATE),
    ("server-state-file", Once("'{}' expect one argument: a file path."), NO_STATE),
    ("set-dumpable", Alone, NO_PROCESS),
    ("ssl-default-bind-ciphers", CIPHERS, NO_TLS),
    ("ssl-default-bind-ciphersuites", CIPHERS, NO_TLS),
    (
        "ssl-default-bind-curves",
        One("global statement '{}' expects a curves suite as an arguments."),
        NO_TLS,
    ),
    ("ssl-default-bind-options", Any, NO_TLS),
    ("ssl-default-server-ciphers", CIPHERS, NO_TLS),
    ("ssl-default-server-ciphersuites", CIPHERS, NO_TLS),
    ("ssl-default-server-options", Any, NO_TLS),
    ("ssl-dh-param-file", One("'{}' expects a file path as an argument."), NO_TLS),
    ("ssl-load-extra-del-ext", Alone, NO_TLS),
    ("ssl-load-extra-files", Any, NO_TLS),
    ("ssl-mode-async", Alone, NO_TLS),
    ("ssl-server-verify", VERIFY, NO_TLS),
    ("ssl-skip-self-issued-ca", Alone, NO_TLS),
    ("strict-limits", Alone, NO_PROCESS),
    ("tune.buffers.limit", INT, "memory is taken at the start"),
    ("tune.buffers.reserve", INT, "memory is taken at the start"),
    ("tune.comp.maxlevel", Number(1, 9, FROM_1_TO_9, FROM_1_TO_9), "nothing is compressed"),
    ("tune.fd.edge-triggered", Any, NO_KERNEL),
    ("tune.h2.header-table-size", Number(4096, 65536, H2_TABLE, H2_TABLE), "HTTP/2 is not spoken"),
    ("tune.h2.initial-window-size", Optional, "HTTP/2 is not spoken"),
    ("tune.h2.max-concurrent-streams", Optional, "HTTP/2 is not spoken"),
    (
        "tune.h2.max-frame-size",
        Number(16384, 16_777_215, H2_FRAME, H2_FRAME),
        "HTTP/2 is not spoken",
    ),
    ("tune.http.cookielen", INT, "HTTP is not spoken yet"),
    ("tune.http.logurilen", INT, "HTTP is not spoken yet"),
    (
        "tune.http.maxhdr",
        Number(1, 32767, INTEGER, "'{}' expects a numeric value between 1 and 32767"),
        "HTTP is not spoken yet",
    ),
    ("tune.idle-pool.shared", SWITCH, "connections to servers are not shared"),
    ("tune.idletimer", INT, "bytes are not spliced by a kernel"),
    ("tune.listener.multi-queue", SWITCH, "each core accepts its own connections"),
    ("tune.maxpollevents", INT_ONCE, NO_KERNEL),
    ("tune.pattern.cache-size", INT, "patterns have no cache"),
    ("tune.pipesize", INT, NO_KERNEL),
    (
        "tune.peers.max-updates-at-once",
        Number(1, i32::MAX, MORE_THAN_0, MORE_THAN_0),
        "this machine has no peers",
    ),
    ("tune.pool-high-fd-ratio", PERCENT, "this machine has no file descriptors"),
    ("tune.pool-low-fd-ratio", PERCENT, "this machine has no file descriptors"),
    ("tune.rcvbuf.client", INT_ONCE, "sysctl.net.ipv4.tcp_rmem= on the command line does that"),
    ("tune.rcvbuf.server", INT_ONCE, "sysctl.net.ipv4.tcp_rmem= on the command line does that"),
    ("tune.recv_enough", INT, "bytes are taken as they come"),
    ("tune.runqueue-depth", INT_ONCE, "there is no scheduler"),
    ("tune.sched.low-latency", SWITCH, "there is no scheduler"),
    ("tune.sndbuf.client", INT_ONCE, "sysctl.net.ipv4.tcp_wmem= on the command line does that"),
    ("tune.sndbuf.server", INT_ONCE, "sysctl.net.ipv4.tcp_wmem= on the command line does that"),
    ("tune.ssl.cachesize", INT, NO_TLS),
    ("tune.ssl.capture-buffer-size", INT, NO_TLS),
    ("tune.ssl.capture-cipherlist-size", INT, NO_TLS),
    (
        "tune.ssl.default-dh-param",
        Number(1024, i32::MAX, INTEGER, "'{}' expects a value >= 1024."),
        NO_TLS,
    ),
    ("tune.ssl.force-private-cache", Alone, NO_TLS),
    ("tune.ssl.hard-maxrecord", INT, NO_TLS),
    ("tune.ssl.keylog", SWITCH, NO_TLS),
    ("tune.ssl.lifetime", INT, NO_TLS),
    ("tune.ssl.maxrecord", INT, NO_TLS),
    ("tune.ssl.ssl-ctx-cache-size", INT, NO_TLS),
    ("tune.vars.check-max-size", Size, NO_SIZES),
    ("tune.vars.global-max-size", Size, NO_SIZES),
    ("tune.vars.proc-max-size", Size, NO_SIZES),
    ("tune.vars.reqres-max-size", Size, NO_SIZES),
    ("tune.vars.sess-max-size", Size, NO_SIZES),
    ("tune.vars.txn-max-size", Size, NO_SIZES),
    ("uid", INT, NO_USERS),
    ("ulimit-n", INT_ONCE, "this machine has no file descriptors"),
    ("unix-bind", Any, "this machine has no such sockets"),
    ("user", One("'{}' expects a user name."), NO_USERS),
];

fn meaningless(cx: &mut Cx<'_>, words: &Words, shape: Shape, why: &str) {
    let keyword = words[0].to_owned();
    let most = match shape {
        Alone => 0,
        Any => usize::MAX / 2,
        _ => 1,
    };
    // What is wrong with a size is said before what is too many.
    if !matches!(shape, Size) && !cx.at_most(words, most, 0) {
        return;
    }
    let value = &words[1];
    let number = leading_int(value);
    let wrong = match shape {
        Once(_) if cx.noticed.contains(&keyword) => {
            return cx.complain(&format!("'{keyword}' already specified. Continuing."));
        }
        One(missing) | Once(missing) | Number(_, _, missing, _) if value.is_empty() => missing,
        Number(least, most, _, wrong) if !(least..=most).contains(&number) => wrong,
        Choice(_, _, missing) if value.is_empty() => missing,
        Choice(known, wrong, _) if !known.contains(&value) => wrong,
        Size if !value.is_empty() && super::arguments::int(value).is_none() => {
            let name = &words[0];
            return cx.alert(&format!("{name}: '{value}' is an invalid size"));
        }
        _ => "",
    };
    if wrong.is_empty() && matches!(shape, Size) && !cx.at_most(words, 1, 0) {
        return;
    }
    if !wrong.is_empty() {
        return cx.alert(&wrong.replace("{}", &keyword).replace("{1}", value));
    }
    cx.notice(&keyword, &format!("'{keyword}' has no effect: {why}."));
}

/// An integer that must be said once.
fn once(
    cx: &mut Cx<'_>,
    words: &Words,
    keyword: &'static str,
    field: fn(&mut Global) -> &mut Option<u32>,
) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if field(&mut cx.global.global).is_some() {
        return cx.complain(&format!("'{keyword}' already specified. Continuing."));
    }
    if !words.has(1) {
        return cx.alert(&format!("'{keyword}' expects an integer argument."));
    }
    let number = leading_int(&words[1]);
    *field(&mut cx.global.global) = (number > 0).then_some(number as u32);
}

fn positive(cx: &mut Cx<'_>, words: &Words, field: fn(&mut Global) -> &mut u32) {
    at_least(1, cx, words, field);
}

fn at_least(least: i32, cx: &mut Cx<'_>, words: &Words, field: fn(&mut Global) -> &mut u32) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    let keyword = &words[0];
    if !words.has(1) {
        return cx.alert(&format!("'{keyword}' expects an integer argument."));
    }
    match leading_int(&words[1]) {
        number if number < least => {
            cx.alert(&format!("'{keyword}' expects a positive integer argument."));
        }
        number => *field(&mut cx.global.global) = number as u32,
    }
}

fn delay(
    cx: &mut Cx<'_>,
    words: &Words,
    field: fn(&mut Global) -> &mut Option<penstock_stack::Duration>,
) {
    let (keyword, value) = (&words[0], &words[1]);
    if value.is_empty() {
        return cx.alert(&format!("'{keyword}' expects <time> as argument.\n"));
    }
    match cx.time(value, Unit::Milliseconds) {
        Ok(ms) => *field(&mut cx.global.global) = number::limit(ms),
        Err(NoTime::Over) => cx.alert(&format!(
            "timer overflow in argument '{value}' to '{keyword}' (maximum value is 2147483647 ms or ~24.8 days)"
        )),
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            cx.alert(&format!("unexpected character '{at}' in argument to <{keyword}>.\n"));
        }
    }
}

fn log_send_hostname(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    if cx.global.hostname_in_logs {
        return cx.complain("'log-send-hostname' already specified. Continuing.");
    }
    cx.global.hostname_in_logs = true;
    let name = if words.has(1) { readable(&words[1]) } else { String::new() };
    cx.global.global.log_hostname = Some(name);
}

fn spread_checks(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if cx.global.global.spread_checks_percent != 0 {
        let text = format!("{}: spread-checks already specified. Continuing.", cx.at());
        return cx.messages.complain(text);
    }
    if !words.has(1) {
        return cx.alert_tight("'spread-checks' expects an integer argument (0..50).");
    }
    match leading_number(&words[1]) {
        percent @ 0..=50 => cx.global.global.spread_checks_percent = percent as u8,
        _ => cx.alert_tight("'spread-checks' needs a positive value in range 0..50."),
    }
}

fn max_spread_checks(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    let value = &words[1];
    let keyword = "max-spread-checks";
    if value.is_empty() {
        return cx.alert_tight(&format!("'{keyword}' expects an integer argument (0..50)."));
    }
    match cx.time(value, Unit::Milliseconds) {
        Ok(ms) => cx.global.global.spread_checks_max = number::limit(ms),
        Err(NoTime::Over) => cx.alert_tight(&format!(
            "timer overflow in argument <{value}> to <{keyword}>, maximum value is 2147483647 ms (~24.8 days)."
        )),
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            cx.alert_tight(&format!("unsupported character '{at}' in '{keyword}' (wants an integer delay)."));
        }
    }
}

fn nbthread(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    let value = &words[1];
    if words.has(2) {
        let extra = &words[2];
        return cx.alert(&format!("'nbthread' cannot handle unexpected argument '{extra}'."));
    }
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return cx.alert(&format!(
            "'nbthread' passed a missing or unparsable integer value in '{value}'"
        ));
    }
    match leading_number(value) {
        count @ 1..=64 => cx.global.global.threads = Some(count as u16),
        count => cx.alert(&format!("'nbthread' value must be between 1 and 64 (was {count})")),
    }
}

fn node(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    let name = &words[1];
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(good) {
        return cx.alert_tight(
            "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, \
             a-z), dot(.), hyphen(-) or underscode(_).",
        );
    }
    cx.global.global.node = Some(name.to_owned());
}

/// Done for the words of later lines when these were cut; here for what addresses among them stand for.
fn environment(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    cx.environment.change(words);
    if cx.at_most(words, 3, 0) && !words.has(2) {
        cx.alert_tight(&format!("'{}' expects a name and a value.", &words[0]));
    }
}

/// `stats socket`, `stats timeout`.
fn stats(cx: &mut Cx<'_>, words: &Words, _: Prefix) {
    match &words[1] {
        "socket" => stats_socket(cx, words),
        "timeout" => stats_timeout(cx, &words[2]),
        "maxconn" => match leading_int(&words[2]) {
            ..1 => cx.alert("'stats maxconn' expects a positive value"),
            _ => cx.notice("stats maxconn", "'stats maxconn' has no effect: control ports have their own bound."),
        },
        "bind-process" => {}
        other => cx.alert(&format!("'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{other}')")),
    }
}

fn stats_timeout(cx: &mut Cx<'_>, value: &str) {
    match cx.time(value, Unit::Milliseconds) {
        Ok(0) => cx.alert("'stats timeout' expects a positive value"),
        Ok(ms) => cx.global.global.stats_timeout = number::limit(ms),
        Err(NoTime::Over) => cx.alert(&format!(
            "timer overflow in argument '{value}' to 'stats timeout' (maximum value is 2147483647 ms or ~24.8 days)"
        )),
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            cx.alert(&format!("'stats timeout' : unexpected character '{at}'"));
        }
    }
}

fn stats_socket(cx: &mut Cx<'_>, words: &Words) {
    if !words.has(2) {
        return cx.alert(
            "'stats socket' in global section expects an address or a path to a UNIX socket",
        );
    }
    let allowed = Allowed { port_mandatory: true, local: true, ..Allowed::default() };
    let address = match address::parse(&cx.environment, &words[2], allowed) {
        Ok(parsed) => match parsed.host {
            Host::Addr(addr) => Some(BindAddress { addr, port: parsed.port as u16 }),
            Host::Local(_) | Host::Name(_) => None,
        },
        Err(wrong) => return cx.alert(&format!("{} : 'stats socket' : {wrong}\n", cx.at())),
    };
    let mut level = AccessLevel::default();
    let mut at = 3;
    while words.has(at) {
        let (name, value) = (&words[at], &words[at + 1]);
        match name {
            "level" => {
                level = match value {
                    "user" => AccessLevel::User,
                    "operator" => AccessLevel::Operator,
                    "admin" => AccessLevel::Admin,
                    "" => return cx.alert("'stats socket' : ''level' : missing level'"),
                    _ => {
                        return cx.alert(&format!(
                            "'stats socket' : ''level' only supports 'user', 'operator', and 'admin' (got '{value}')'"
                        ));
                    }
                };
            }
            "process" => {
                if let Err(wrong) = processes(value) {
                    return cx.alert(&format!("'stats socket' : ''process' : {wrong}'"));
                }
                cx.warn(&format!("'stats socket' : {}", deprecated_process(value)));
            }
            "mode" | "user" | "group" | "uid" | "gid" | "expose-fd" | "severity-output"
            | "name" | "interface" => {}
            _ if known::BIND.contains(&name) => {
                return cx.alert(&format!("'stats socket' : '{name}' is not supported yet."));
            }
            _ => {
                let best = nearest(name, STATS_SOCKET.iter().chain(known::BIND).copied());
                let hint = best.map(|best| format!(" Did you mean '{best}' maybe ?"));
                return cx.alert(&format!(
                    "'stats socket' : unknown keyword '{name}'.{}",
                    hint.unwrap_or_default()
                ));
            }
        }
        at += 2;
    }
    let path = &words[2];
    let why = match address {
        Some(_) => "no port is open, because there are no commands to give",
        None => "there are no commands to give",
    };
    cx.notice("stats socket", &format!("'stats socket {path}' has no effect yet: {why}."));
    cx.global.global.stats_sockets.push(StatsSocket { address, level });
}

const STATS_SOCKET: &[&str] = &[
    "level",
    "mode",
    "user",
    "group",
    "uid",
    "gid",
    "expose-fd",
    "severity-output",
    "name",
    "interface",
    "process",
];
