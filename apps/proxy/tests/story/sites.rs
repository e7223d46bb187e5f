//! Configurations, each frozen once.

use std::sync::OnceLock;

use penstock_proxy::{Cards, Proxy, Setup};
use penstock_stack::Capacity;

use crate::world::proxies;

/// A configuration, and what it says that matters to a judge.
pub(crate) struct Site {
    setup: &'static Setup,
    cards: &'static Cards,
    /// Clients begin with a PROXY header; servers are told one, of this version.
    pub(crate) has_header: bool,
    pub(crate) header_out: Option<u8>,
    /// Whoever waits for a slot gets the next one: no server is taken out.
    pub(crate) waits_are_short: bool,
    /// Some are let in and sent away without a word, and without a line.
    pub(crate) dismisses: bool,
    /// A good end is not always all that was said.
    pub(crate) cuts_short: bool,
}

impl Site {
    pub(crate) fn proxy(&self, core: u16, cores: u16, capacity: &Capacity) -> Proxy {
        Proxy::new(self.setup, self.cards, core, cores, capacity)
    }
}

/// One of all.
pub(crate) fn choose(number: u8) -> &'static Site {
    static SITES: [OnceLock<Site>; TEXTS.len()] = [const { OnceLock::new() }; TEXTS.len()];
    let number = usize::from(number) % TEXTS.len();
    SITES[number].get_or_init(|| {
        let text = format!("{DEFAULTS}{}", TEXTS[number]);
        let is_watched = text.contains(" check");
        let setup = Setup::freeze(proxies(&text)).expect("a good configuration");
        Site {
            setup,
            cards: setup.cards(|_| None).unwrap_or_else(|lines| panic!("{lines:?}")),
            has_header: text.contains("accept-proxy"),
            header_out: match (text.contains("send-proxy-v2"), text.contains("send-proxy")) {
                (true, _) => Some(2),
                (false, true) => Some(1),
                (false, false) => None,
            },
            waits_are_short: !is_watched,
            dismisses: text.contains("connection reject") || text.contains("silent-drop"),
            cuts_short: text.contains("nolinger") || text.contains("content close"),
        }
    })
}

/// A PROXY header of a client that says its own port, or nothing of itself.
pub(crate) fn header(version: u8, port: u16) -> Vec<u8> {
    match version % 4 {
        0 => format!("PROXY TCP4 192.0.2.7 192.0.2.200 {port} 80\r\n").into_bytes(),
        1 => b"PROXY UNKNOWN\r\n".to_vec(),
        2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(),
        _ => {
            let ends = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\xc8";
            [&ends[..], &port.to_be_bytes(), b"\0\x50"].concat()
        }
    }
}

const DEFAULTS: &str = "\
defaults
    mode tcp
    log stdout format raw local0
    log-format \"= %cp %ts %U %B %s %bp\"
    timeout connect 500ms
    timeout client 3s
    timeout server 3s
    timeout queue 1s
";

const TEXTS: &[&str] = &[
    "listen be
    bind :80
    server s0 10.0.0.3:80
    server s1 10.0.0.4:80
",
    "listen be
    bind :80
    balance leastconn
    retries 2
    option redispatch 1
    server s0 10.0.0.3:80 maxconn 1
    server s1 10.0.0.4:80 maxconn 2 maxqueue 3
",
    "listen be
    bind :80 accept-proxy
    balance source
    server s0 10.0.0.3:80 send-proxy
    server s1 10.0.0.4:80 send-proxy
",
    "frontend fe
    bind :80
    timeout client-fin 1s
    tcp-request inspect-delay 1s
    tcp-request content reject if { req.payload(0,1) -m bin 61 }
    tcp-request content accept if { req.len gt 4000 }
    use_backend other if { req.payload(1,2) -m str bc }
    default_backend be
backend be
    timeout server-fin 1s
    server s0 10.0.0.3:80
    server s1 10.0.0.4:80
backend other
    server s0 10.0.0.3:80 maxconn 1
",
    "frontend fe
    bind :80 defer-accept
    maxconn 3
    rate-limit sessions 20
    option abortonclose
    default_backend be
backend be
    option abortonclose
    server s0 10.0.0.3:80 maxconn 2 send-proxy-v2
    server s1 10.0.0.4:80 send-proxy-v2 backup
",
    "listen be
    bind :80
    timeout tunnel 2s
    option nolinger
    tcp-response inspect-delay 1s
    tcp-response content reject if { res.payload(0,1) -m bin 61 }
    tcp-response content close if { res.payload(0,1) -m bin 62 }
    tcp-response content accept if { res.len gt 2000 }
    server s0 10.0.0.3:80
    server s1 10.0.0.4:80
",
    "listen be
    bind :80
    option redispatch
    option tcp-check
    tcp-check connect
    tcp-check expect string x
    balance first
    server s0 10.0.0.3:80 maxconn 1 check inter 1s fall 1 rise 1 on-marked-down shutdown-sessions
    server s1 10.0.0.4:80 minconn 1 maxconn 3 slowstart 2s
",
    "listen be
    bind :80
    tcp-request connection track-sc0 src
    tcp-request connection reject if { sc0_conn_cur gt 6 }
    tcp-request session set-var(sess.a) src_port
    stick-table type ip size 2 expire 5s store conn_cur,conn_rate(1s),bytes_out_cnt,gpc0
    tcp-request content sc-inc-gpc0(0) if { req.len gt 10 }
    stick on src_port,mod(2) table keys
    server s0 10.0.0.3:80
    server s1 10.0.0.4:80 check inter 2s observe layer4 error-limit 1 on-error mark-down
backend keys
    stick-table type integer size 2 expire 2s
",
];
