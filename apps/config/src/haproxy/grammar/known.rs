//! What HAProxy 2.6 knows beside what is here: named when it is used, and suggested when something
//! like it is.

use alloc::format;

use super::cx::Cx;
use super::nearest::nearest;
use super::words::Words;

/// A keyword of a proxy that has no function here.
pub(super) fn in_proxy(cx: &mut Cx<'_>, words: &Words) {
    let (keyword, section) = (&words[0], cx.section);
    if let Some((_, why)) = GONE.iter().find(|(gone, _)| gone.split(' ').any(|it| it == keyword)) {
        return cx.alert(&why.replace("{}", keyword).replace("{1}", &words[1]));
    }
    if keyword == "grace" {
        return cx.alert_tight(
            "the 'grace' keyword is not supported any more since HAProxy version 2.5.",
        );
    }
    if PROXY.contains(&keyword) {
        return cx
            .alert(&format!("keyword '{keyword}' in '{section}' section is not supported yet."));
    }
    let known = SUGGESTED_IN_PROXY.iter().copied();
    unknown(cx, keyword, section, nearest(keyword, known));
}

/// The message about a word that HAProxy does not know either.
pub(super) fn unknown(cx: &mut Cx<'_>, keyword: &str, section: &str, best: Option<&str>) {
    let text = format!("unknown keyword '{keyword}' in '{section}' section");
    match best {
        Some(best) => cx.alert(&format!("{text}; did you mean '{best}' maybe ?")),
        None => cx.alert(&text),
    }
}

/// Keywords that HAProxy had once, and what it says of them now.
const GONE: &[(&str, &str)] = &[
    ("appsession", "'{}' is not supported anymore since HAProxy 1.6."),
    (
        "block",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax.",
    ),
    (
        "monitor-net",
        "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if { src {1} }' instead.",
    ),
    (
        "redispatch redisp",
        "keyword '{}' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
    ),
    ("usesrc", "'usesrc' only allowed after a 'source' statement."),
    (
        "cliexp reqrep",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead.",
    ),
    (
        "reqdel reqidel",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request del-header' instead.",
    ),
    (
        "reqdeny",
        "The '{}' not supported anymore since HAProxy 2.1. Use 'http-request deny' instead.",
    ),
    (
        "reqideny",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' instead.",
    ),
    ("reqpass", "The '{}' not supported anymore since HAProxy 2.1."),
    ("reqipass", "The '{}' directive is not supported anymore since HAProxy 2.1."),
    (
        "reqallow reqiallow",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request allow' instead.",
    ),
    (
        "reqtarpit reqitarpit",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request tarpit' instead.",
    ),
    (
        "reqirep",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-header' instead.",
    ),
    (
        "reqadd",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead.",
    ),
    (
        "srvexp rsprep rspirep",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-response replace-header' instead.",
    ),
    (
        "rspdel",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' .",
    ),
    (
        "rspidel",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' instead.",
    ),
    (
        "rspdeny rspideny",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-response deny' instead.",
    ),
    (
        "rspadd",
        "The '{}' directive is not supported anymore since HAProxy 2.1. Use 'http-response add-header' instead.",
    ),
];

/// Keywords of proxies.
#[rustfmt::skip]
pub(super) const PROXY: &[&str] = &[
    "email-alert", "errorfiles", "external-check", "filter", "http-after-response", "http-error",
    "http-request", "http-response", "log-format-sd", "redirect", "transparent", "use-fcgi-app",
];

/// What is suggested for a keyword of a proxy, in HAProxy's order.
#[rustfmt::skip]
pub(super) const SUGGESTED_IN_PROXY: &[&str] = &[
    "clitcpka-cnt", "clitcpka-idle", "clitcpka-intvl", "clitimeout", "compression", "contimeout",
    "declare", "errorfile", "errorfiles", "errorloc", "errorloc302", "errorloc303",
    "external-check", "filter", "http-check", "http-error", "max-keep-alive-queue", "rate-limit",
    "retry-on", "srvtcpka-cnt", "srvtcpka-idle", "srvtcpka-intvl", "srvtimeout", "tcp-check",
    "tcp-request", "tcp-response", "timeout", "use-fcgi-app", "listen", "frontend", "backend",
    "defaults", "server", "default-server", "server-template", "bind", "monitor-net", "monitor-uri",
    "mode", "id", "description", "disabled", "enabled", "bind-process", "acl", "dynamic-cookie-key",
    "cookie", "email-alert", "persist", "appsession", "load-server-state-from-file",
    "server-state-file-name", "max-session-srv-conns", "capture", "retries", "http-request",
    "http-response", "http-after-response", "http-send-name-header", "block", "redirect",
    "use_backend", "use-server", "force-persist", "ignore-persist", "stick-table", "stick", "stats",
    "option", "default_backend", "http-reuse", "monitor", "transparent", "maxconn", "backlog",
    "fullconn", "dispatch", "balance", "hash-type", "hash-balance-factor", "unique-id-format",
    "unique-id-header", "log-format", "log-format-sd", "log-tag", "log", "source", "usesrc",
    "error-log-format",
];

/// What is suggested for a keyword of `global`, in HAProxy's order.
#[rustfmt::skip]
pub(super) const SUGGESTED_IN_GLOBAL: &[&str] = &[
    "ca-base", "close-spread-time", "crt-base", "default-path", "grace",
    "h1-accept-payload-with-any-method", "h1-case-adjust", "h1-case-adjust-file", "hard-stop-after",
    "httpclient.resolvers.id", "httpclient.resolvers.prefer", "httpclient.ssl.ca-file",
    "httpclient.ssl.verify", "issuers-chain-path", "lua-load", "lua-load-per-thread",
    "lua-prepend-path", "maxsslconn", "mworker-max-reloads", "nbthread", "no-memory-trimming",
    "pp2-never-send-local", "profiling.tasks", "set-var", "set-var-fmt", "ssl-default-bind-ciphers",
    "ssl-default-bind-ciphersuites", "ssl-default-bind-curves", "ssl-default-bind-options",
    "ssl-default-server-ciphers", "ssl-default-server-ciphersuites", "ssl-default-server-options",
    "ssl-dh-param-file", "ssl-load-extra-del-ext", "ssl-load-extra-files", "ssl-mode-async",
    "ssl-propquery", "ssl-provider", "ssl-provider-path", "ssl-skip-self-issued-ca", "stats",
    "thread-group", "thread-groups", "tune.fail-alloc", "tune.fd.edge-triggered",
    "tune.h2.header-table-size", "tune.h2.initial-window-size", "tune.h2.max-concurrent-streams",
    "tune.h2.max-frame-size", "tune.idle-pool.shared", "tune.listener.multi-queue",
    "tune.lua.forced-yield", "tune.lua.maxmem", "tune.lua.service-timeout",
    "tune.lua.session-timeout", "tune.lua.task-timeout", "tune.peers.max-updates-at-once",
    "tune.pool-high-fd-ratio", "tune.pool-low-fd-ratio", "tune.sched.low-latency",
    "tune.ssl.cachesize", "tune.ssl.capture-buffer-size", "tune.ssl.capture-cipherlist-size",
    "tune.ssl.default-dh-param", "tune.ssl.force-private-cache", "tune.ssl.hard-maxrecord",
    "tune.ssl.keylog", "tune.ssl.lifetime", "tune.ssl.maxrecord", "tune.ssl.ssl-ctx-cache-size",
    "tune.vars.check-max-size", "tune.vars.global-max-size", "tune.vars.proc-max-size",
    "tune.vars.reqres-max-size", "tune.vars.sess-max-size", "tune.vars.txn-max-size", "global",
    "daemon", "master-worker", "noepoll", "nokqueue", "noevports", "nopoll", "busy-polling",
    "set-dumpable", "insecure-fork-wanted", "insecure-setuid-wanted", "nosplice", "nogetaddrinfo",
    "noreuseport", "quiet", "zero-warning", "tune.runqueue-depth", "tune.maxpollevents",
    "tune.maxaccept", "tune.recv_enough", "tune.buffers.limit", "tune.buffers.reserve",
    "tune.bufsize", "tune.maxrewrite", "tune.idletimer", "tune.rcvbuf.client", "tune.rcvbuf.server",
    "tune.sndbuf.client", "tune.sndbuf.server", "tune.pipesize", "tune.http.cookielen",
    "tune.http.logurilen", "tune.http.maxhdr", "tune.comp.maxlevel", "tune.pattern.cache-size",
    "uid", "gid", "external-check", "user", "group", "nbproc", "maxconn", "ssl-server-verify",
    "maxconnrate", "maxsessrate", "maxsslrate", "maxcomprate", "maxpipes", "maxzlibmem",
    "maxcompcpuusage", "ulimit-n", "chroot", "description", "node", "pidfile", "unix-bind", "log",
    "log-send-hostname", "server-state-base", "server-state-file", "log-tag", "spread-checks",
    "max-spread-checks", "cpu-map", "setenv", "presetenv", "unsetenv", "resetenv", "strict-limits",
    "localpeer", "numa-cpu-mapping", "defaults", "listen", "frontend", "backend", "peers",
    "resolvers", "cluster-secret",
];

/// Options of `bind`.
#[rustfmt::skip]
pub(super) const BIND: &[&str] = &[
    "accept-netscaler-cip", "namespace", "proto", "transparent", "allow-0rtt",
    "alpn", "ca-file", "ca-ignore-err", "ca-sign-file", "ca-sign-pass", "ca-verify-file", "ciphers",
    "ciphersuites", "crl-file", "crt", "crt-ignore-err", "crt-list", "curves", "ecdhe",
    "force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13",
    "generate-certificates", "no-ca-names", "no-sslv3", "no-tls-tickets", "no-tlsv10", "no-tlsv11",
    "no-tlsv12", "no-tlsv13", "npn", "prefer-client-ciphers", "ssl-max-ver", "ssl-min-ver",
    "strict-sni", "tls-ticket-keys", "verify", "ssl",
];

/// Options of `server`.
#[rustfmt::skip]
pub(super) const SERVER: &[&str] = &[
    "allow-0rtt", "alpn",
    "ca-file", "check-alpn", "check-proto", "check-sni", "check-ssl", "check-via-socks4", "ciphers",
    "ciphersuites", "crl-file", "crt", "force-sslv3", "force-tlsv10", "force-tlsv11",
    "force-tlsv12", "force-tlsv13", "log-proto", "namespace",
    "no-check-ssl", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn", "no-ssl", "no-ssl-reuse",
    "no-sslv3", "no-tls-tickets", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13", "npn",
    "proto", "redir", "resolve-net",
    "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "sni", "socks4",
    "ssl", "ssl-max-ver", "ssl-min-ver", "ssl-reuse", "tls-tickets", "verify", "verifyhost", "ws",
];
