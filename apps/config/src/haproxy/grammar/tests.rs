//! A configuration becomes the data that it says, and no bytes at all make the reader fail in
//! another way than with a message.

use std::string::ToString;
use std::{format, vec};

use penstock_stack::Duration;
use penstock_wire::Addr;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::*;
use crate::haproxy::{
    Action, Address, Algorithm, CheckStep, Converter, ExpectMatch, Fetch, Goal, Item, LogFormat,
    LogTo, Matching, Mode, OnMarkedDown, Port, ProxyCheck, ProxyHeader, Redispatch, Source,
    Variable,
};

const NONE: &[File<'_>] = &[];

fn read_with(text: &str, delivered: &[File<'_>]) -> Reading {
    let file = File { name: "t.cfg", bytes: text.as_bytes() };
    let environment = [("PORT".to_string(), "8443".to_string())];
    super::read(&Input { environment: &environment, delivered: &delivered, ..Input::of(&[file]) })
}

fn said(text: &str) -> Vec<String> {
    read_with(text, NONE).messages.into_iter().map(|message| message.text).collect()
}

fn good(text: &str) -> Proxies {
    let reading = read_with(text, NONE);
    let said: Vec<_> = reading.messages.iter().map(|it| it.line(0).to_string()).collect();
    reading.proxies.unwrap_or_else(|| panic!("{}", said.join("\n")))
}

const DEFAULTS: &str = "defaults\n timeout client 1m\n timeout connect 1s\n timeout server 1m\n";

#[test]
fn a_listen_is_a_frontend_and_a_backend() {
    let proxies = good(&format!(
        "{DEFAULTS} retries 2\n option redispatch\nlisten web\n bind :80,[::]:\"$PORT\" name x accept-proxy\n \
         balance leastconn\n default-server check inter 3s fall 4\n server a 10.0.0.3:80 weight 2\n \
         server b 10.0.0.4:+1000 backup no-check send-proxy-v2 proxy-v2-options crc32c\n"
    ));
    let [frontend] = &proxies.frontends[..] else { panic!("{proxies:?}") };
    let [backend] = &proxies.backends[..] else { panic!("{proxies:?}") };
    assert_eq!((&*frontend.name, &*backend.name, frontend.mode), ("web", "web", Mode::Tcp));
    assert_eq!(frontend.default_backend, proxies.backend_named("web"));
    let ports: Vec<_> = frontend.binds.iter().map(|bind| (bind.id, bind.at.port)).collect();
    assert_eq!(ports, [(1, 80), (2, 8443)]);
    assert!(frontend.binds.iter().all(|bind| bind.accept_proxy && bind.name.is_some()));
    assert_eq!(frontend.timeouts.client, Some(Duration::from_secs(60)));
    assert_eq!((backend.algorithm.clone(), backend.retries.0), (Algorithm::LeastConn, 2));
    assert_eq!(backend.redispatch, Some(Redispatch::FromLast(1)));
    let [a, b] = &backend.servers[..] else { panic!("{backend:?}") };
    assert_eq!(
        (a.weight, &a.address, a.port),
        (2, &Address::Addr(Addr::v4(0x0a00_0003)), Port::Fixed(80))
    );
    let check = a.check.as_ref().expect("a check");
    assert_eq!((check.inter, check.fall, check.rise), (Duration::from_secs(3), 4, 2));
    assert_eq!((b.backup, b.check.is_none(), b.port), (true, true, Port::Offset(1000)));
    let header = ProxyHeader::V2 { crc32c: true, unique_id: false, authority: false };
    assert_eq!(b.send_proxy, Some(header));
}

#[test]
fn a_wildcard_is_of_a_family_or_of_both() {
    let (every_v4, every_v6) = (Addr::v4(0), Addr::UNSPECIFIED);
    for (bind, addr, both) in [
        (":80", every_v4, false),
        ("*:80", every_v4, false),
        ("0.0.0.0:80 v4v6", every_v4, false),
        (":::80", every_v6, true),
        ("[::]:80 v4v6", every_v6, true),
        ("ipv6@:80", every_v6, true),
        ("ipv6@:80 v6only", every_v6, false),
        (":::80 v6only v4v6", every_v6, false),
        ("::1:80", Addr { hi: 0, lo: 1 }, false),
    ] {
        let proxies = good(&format!("{DEFAULTS}listen l\n bind {bind}\n server a 10.0.0.1:80\n"));
        let [bound] = &proxies.frontends[0].binds[..] else { panic!("{bind}") };
        assert_eq!((bound.at.addr, bound.both_families), (addr, both), "{bind}");
    }
}

#[test]
fn conditions_are_trees() {
    let proxies = good(&format!(
        "{DEFAULTS}frontend f\n bind :443\n tcp-request inspect-delay 5s\n acl tls req.ssl_hello_type 1\n \
         acl inner src 10.0.0.0/8 192.168.0.0/16\n acl inner src_port lt 1024\n \
         tcp-request content accept if tls || WAIT_END\n \
         use_backend b if tls !inner {{ req.ssl_sni,lower -m end .example }} or {{ nbsrv(b) ge 2 }}\n \
         use_backend %[req.ssl_sni] if tls\n default_backend b\nbackend b\n server s 10.0.0.1:443\n"
    ));
    let frontend = &proxies.frontends[0];
    let [tls, inner, ..] = &frontend.acls[..] else { panic!("{frontend:?}") };
    assert_eq!((&*tls.name, tls.tests.len()), ("tls", 1));
    assert_eq!((&*inner.name, inner.tests.len()), ("inner", 2));
    let Matching::Ip(networks) = &inner.tests[0].matching else { panic!("{inner:?}") };
    assert!(
        networks[1].contains(Addr::v4(0xc0a8_0102)) && !networks[1].contains(Addr::v4(0xc0a9_0102))
    );
    let Matching::Int(ranges) = &inner.tests[1].matching else { panic!("{inner:?}") };
    assert!(ranges[0].contains(1023) && !ranges[0].contains(1024));
    let [by_name, by_sample] = &frontend.routes[..] else { panic!("{frontend:?}") };
    let condition = by_name.condition.as_ref().expect("a condition");
    let shape: Vec<_> = condition.any_of.iter().map(|all| all.len()).collect();
    assert_eq!(shape, [3, 1]);
    assert!(condition.any_of[0][1].negated && !condition.unless);
    let sni = &frontend.acls[usize::from(condition.any_of[0][2].acl.0)].tests[0];
    assert_eq!(sni.sample.fetch, Fetch::TlsServerName);
    assert_eq!(sni.sample.converters, [Converter::Lower]);
    assert_eq!(sni.matching, Matching::Ends(vec![b".example".to_vec()]));
    let Goal::Named(format) = &by_sample.goal else { panic!("{by_sample:?}") };
    assert!(matches!(&format.0[..], [Item::Sample(..)]));
    let [rule] = &frontend.content_rules[..] else { panic!("{frontend:?}") };
    assert_eq!(
        (&rule.action, frontend.inspect_delay),
        (&Action::Accept, Some(Duration::from_secs(5)))
    );
}

/// Most published configurations log to a syslog server beside haproxy: here is none.
#[test]
fn a_log_to_this_machine_goes_to_the_console() {
    let of = |target: &str, route_localnet| {
        let text = format!("{DEFAULTS}listen l\n bind :1\n log {target} local0\n");
        let files = [File { name: "t.cfg", bytes: text.as_bytes() }];
        let reading = super::read(&Input { route_localnet, ..Input::of(&files) });
        let said: String =
            reading.messages.iter().map(|message| message.line(1).to_string()).collect();
        let proxies = reading.proxies.expect("a configuration");
        (proxies.frontends[0].logs[0].to.clone(), said)
    };
    for target in ["127.0.0.1", "127.0.0.1:514", "localhost:514", "[::1]:514"] {
        let (to, said) = of(target, false);
        assert_eq!(to, LogTo::Console, "{target}");
        assert!(
            said.contains("goes to the console: no syslog server is on this machine"),
            "{said}"
        );
        assert!(matches!(of(target, true).0, LogTo::Udp { port: 514, .. }), "{target}");
    }
    assert!(matches!(of("10.0.0.9", false).0, LogTo::Udp { .. }));
}

/// A word that names a converter is one, and a pattern, too: so HAProxy reads `req.payload(0,0), mqtt_is_valid`.
#[test]
fn converters_may_be_words_of_their_own() {
    let proxies = good(&format!(
        "{DEFAULTS}frontend f\n bind :1\n acl mqtt req.payload(0,0), mqtt_is_valid\n \
         acl name req.ssl_sni lower example.org\n tcp-request content accept if mqtt or name\n"
    ));
    let [mqtt, name] = &proxies.frontends[0].acls[..] else { panic!("{proxies:?}") };
    let ([mqtt], [name]) = (&mqtt.tests[..], &name.tests[..]) else { panic!("{proxies:?}") };
    assert_eq!(mqtt.sample.converters, [Converter::MqttIsValid]);
    assert_eq!(mqtt.matching, Matching::Bool);
    assert_eq!(name.sample.converters, [Converter::Lower]);
    assert_eq!(name.matching, Matching::Text(vec![b"lower".to_vec(), b"example.org".to_vec()]));
}

#[test]
fn checks_are_steps() {
    let of = |lines: &str| {
        good(&format!("{DEFAULTS}backend b\n server s 10.0.0.1:80 check\n{lines}")).backends[0]
            .check
            .clone()
    };
    assert_eq!(of(""), ProxyCheck::Layer4);
    let ProxyCheck::Http(steps) = of(" option httpchk /health\n") else { panic!() };
    let [CheckStep::Connect(connect), CheckStep::HttpSend(send), CheckStep::Expect(expect)] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert!(connect.implicit);
    assert_eq!((&*send.method, &*send.version), ("OPTIONS", "HTTP/1.0"));
    assert_eq!(expect.matching, ExpectMatch::Status(vec![200..=399]));
    let merged = of(
        " option httpchk\n http-check send meth GET uri /h ver HTTP/1.1 hdr Host x\n http-check expect ! status 500\n",
    );
    let ProxyCheck::Http(steps) = merged else { panic!() };
    let [_, CheckStep::HttpSend(send), CheckStep::Expect(expect)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!((&*send.method, send.headers.len(), expect.negated), ("GET", 1, true));
    let ProxyCheck::Tcp(steps) = of(
        " option tcp-check\n tcp-check comment hello\n tcp-check send a\\r\\n\n tcp-check expect rstring ^b\n",
    ) else {
        panic!()
    };
    let [_, CheckStep::Send { comment, .. }, CheckStep::Expect(expect)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(comment.as_deref(), Some("hello"));
    assert_eq!(expect.matching, ExpectMatch::Regex("^b".into()));
    let ProxyCheck::ReadyMade(steps) = of(" option redis-check\n") else { panic!() };
    assert_eq!(steps.len(), 3);
}

#[test]
fn logs_are_items() {
    let proxies = good(&format!(
        "global\n log /dev/log local0\n log 10.0.0.9 local1 notice\n{DEFAULTS} log global\n option tcplog\n\
         listen l\n bind :80\n server s 10.0.0.1:80 on-marked-down shutdown-sessions\n"
    ));
    let frontend = &proxies.frontends[0];
    let [console, udp] = &frontend.logs[..] else { panic!("{frontend:?}") };
    assert_eq!(console.to, LogTo::Console);
    assert_eq!(
        (udp.to.clone(), udp.most.0),
        (LogTo::Udp { addr: Addr::v4(0x0a00_0009), port: 514 }, 5)
    );
    let LogFormat::Items(format) = &frontend.log_format else { panic!("{frontend:?}") };
    let [Item::Variable(Variable::Client, _), Item::Text(colon), ..] = &format.0[..] else {
        panic!("{format:?}")
    };
    assert_eq!(colon, b":");
    assert_eq!(proxies.backends[0].servers[0].on_marked_down, OnMarkedDown::ShutdownSessions);
}

#[test]
fn names_are_looked_up_in_what_was_delivered() {
    let hosts = [File { name: "etc/hosts", bytes: b"10.0.0.7 db\n" }];
    let text = format!("{DEFAULTS}listen l\n bind :1\n server a db:1\n server b web.example:1\n");
    let proxies = read_with(&text, &hosts).proxies.expect("good");
    let servers = &proxies.backends[0].servers;
    assert_eq!(servers[0].address, Address::Addr(Addr::v4(0x0a00_0007)));
    assert_eq!(servers[1].address, Address::Name("web.example".into()));
}

#[test]
fn a_distributions_file_boots() {
    let debian = include_str!("../../../tests/haproxy/packaged.cfg");
    let proxies = good(debian);
    assert_eq!(proxies.frontends.len(), 1);
    assert_eq!(proxies.global.stats_sockets.len(), 1);
    let said = said(debian).join("\n");
    for what in ["'chroot' has no effect", "'stats socket", "/dev/log", "ssl-default-bind-ciphers"]
    {
        assert!(said.contains(what), "{what} in\n{said}");
    }
}

#[test]
fn cards_are_named_by_listeners_and_sources() {
    let proxies = good(&format!(
        "{DEFAULTS}frontend f\n bind :80,:81 interface eth1\n bind :82\n default_backend b\n\
         backend b\n source 10.0.0.2 interface eth0 interface eth1\n server a 10.0.0.3:80\n \
         server c 10.0.0.4:80 source 10.0.0.2:7-9 interface eth2 weight 7\n"
    ));
    let cards: Vec<_> =
        proxies.frontends[0].binds.iter().map(|it| it.interface.as_deref()).collect();
    assert_eq!(cards, [Some("eth1"), Some("eth1"), None]);
    let backend = &proxies.backends[0];
    let card = |source: &Option<Source>| source.as_ref().and_then(|it| it.interface.clone());
    assert_eq!(card(&backend.source).as_deref(), Some("eth1"), "the last one counts");
    let [a, c] = &backend.servers[..] else { panic!("{backend:?}") };
    assert_eq!((card(&a.source), card(&c.source).as_deref(), c.weight), (None, Some("eth2"), 7));
    for (line, wrong) in [
        ("bind :81 interface", "'interface' : missing interface name"),
        ("source 10.0.0.2 interface", "'source' : missing interface name."),
        ("source 10.0.0.2 interface x eth0", "'source' only supports optional keywords"),
        ("server x 10.0.0.1 source 10.0.0.2 interface", "'server' : missing interface name"),
    ] {
        let text = format!("{DEFAULTS}listen l\n bind :80\n server a 10.0.0.1:80\n {line}\n");
        let said = said(&text).join("\n");
        assert!(said.contains(wrong), "{line}: {said}");
    }
}

#[test]
fn what_is_not_here_yet_is_named() {
    for (line, named) in [
        ("mode http", "'mode http' is not supported yet"),
        ("http-request deny", "'http-request'"),
        ("option external-check", "'option external-check'"),
        ("acl x path /", "'path' is not supported yet"),
        ("source 10.0.0.2 usesrc clientip", "'source .. usesrc' is not supported yet"),
        ("source 10.0.0.2 interface eth0 usesrc client", "'source .. usesrc' is not"),
        ("server x 10.0.0.1 source 10.0.0.2:9 interface eth0 usesrc client", "'source .. usesrc'"),
        ("filter trace", "'filter'"),
        ("server x _web._tcp.example", "SRV records of name servers are not supported yet"),
        (
            "server-template x 3 _web._tcp.example",
            "SRV records of name servers are not supported yet",
        ),
        ("server x 10.0.0.1:443 ssl verify none", "'ssl' is not supported yet"),
        ("tcp-request content use-service lua.x", "use-service"),
    ] {
        let text = format!("{DEFAULTS}listen l\n bind :80\n server a 10.0.0.1:80\n {line}\n");
        let said = said(&text).join("\n");
        assert!(said.contains(named) && said.contains("Fatal errors"), "{line}: {said}");
    }
    let said = said("cache c\n total-max-size 4\n").join("\n");
    assert!(said.contains("section 'cache' is not supported yet"), "{said}");
}

/// As [`said`], where what is missing is left out; and what is left.
fn lenient(text: &str) -> (Option<Proxies>, String) {
    let files = [File { name: "f", bytes: text.as_bytes() }];
    let reading = super::read(&Input { lenient: true, ..Input::of(&files) });
    let said: Vec<_> = reading.messages.iter().map(|message| message.line(1).to_string()).collect();
    (reading.proxies, said.join("\n"))
}

#[test]
fn who_asks_for_it_goes_without_what_is_missing() {
    let text = format!(
        "{DEFAULTS}cache c\n total-max-size 4\n\
         listen web\n mode http\n bind :8404\n stats enable\n http-request deny if nothing\n\
         frontend l\n bind :80\n bind :443 ssl crt /x\n bind :81 namespace x\n acl api path /api\n acl own src 10.0.0.0/8\n\
         tcp-request content reject if api own\n tcp-request content reject if !own\n\
         use_backend web if own\n default_backend b\n\
         backend b\n server s 10.0.0.3:80\n server t 10.0.0.3:443 ssl verify none\n"
    );
    assert!(said(&text).iter().any(|line| line.contains("conf.lenient=1")));
    let (proxies, said) = lenient(&text);
    let proxies = proxies.unwrap_or_else(|| panic!("{said}"));
    assert!(!said.contains("ALERT"), "{said}");
    let [web, l] = &proxies.frontends[..] else { panic!("{said}") };
    assert!(web.disabled && !l.disabled);
    assert_eq!((l.binds.len(), l.content_rules.len(), l.routes.len()), (1, 1, 0));
    let b = l.default_backend.map(|id| &proxies.backends[usize::from(id.0)]);
    assert_eq!(b.map(|b| b.servers.len()), Some(1));
}

#[test]
fn a_mistake_is_one_for_whoever_goes_without() {
    for line in ["acl x src nowhere", "bind :81 sssl", "use_backend web if x", "maxcon 1"] {
        let text = format!("{DEFAULTS}listen l\n bind :80\n server a 10.0.0.1:80\n {line}\n");
        let (proxies, said) = lenient(&text);
        assert!(proxies.is_none() && said.contains("ALERT"), "{line}: {said}");
    }
}

#[test]
fn several_files_are_one() {
    let files = [
        File { name: "a", bytes: DEFAULTS.as_bytes() },
        File { name: "b", bytes: b"listen l\n bind :80\n server a 10.0.0.1:80\n" },
    ];
    let reading = super::read(&Input::of(&files));
    assert!(reading.proxies.is_some() && !reading.has_warnings(), "{reading:?}");
}

/// Lines that are nearly right.
fn line() -> impl Strategy<Value = String> {
    let keyword = prop_oneof![
        Just("global"),
        Just("defaults x"),
        Just("frontend f"),
        Just("backend b"),
        Just("listen l"),
        Just("bind"),
        Just("server"),
        Just("acl a"),
        Just("use_backend b if"),
        Just("timeout client"),
        Just("option"),
        Just("tcp-check"),
        Just("http-check"),
        Just("tcp-request content reject if"),
        Just("tcp-request connection track-sc0"),
        Just("stick-table type"),
        Just("stick on"),
        Just("log"),
        Just("log-format"),
        Just("balance"),
        Just("hash-type"),
        Just("stats socket"),
        Just("default-server"),
        Just("source"),
        Just(".if"),
        Just(".else"),
        Just(".endif"),
        Just("no"),
    ];
    let word = prop_oneof![
        Just("src"),
        Just("{"),
        Just("}"),
        Just("if"),
        Just("!"),
        Just("or"),
        Just("127.0.0.1:80"),
        Just("%[src,"),
        Just("req.payload(0"),
        Just("\"${A"),
        Just("check"),
        Just("inter"),
        Just("5s"),
        Just("-m"),
        Just("reg"),
        Just("expect"),
        Just("string"),
        Just("connect"),
        Just("port"),
        Just("999999999999999999999"),
        Just("-1"),
        Just("size"),
        Just("store"),
        Just("conn_rate("),
        Just("ip"),
        Just(":1-65535"),
        Just("sample"),
        Just("1-:"),
        Just("nbsrv(b)"),
        Just("sc_conn_rate(9)"),
        Just("weight"),
        Just("redispatch"),
        Just("tcplog"),
        Just("()"),
    ];
    (keyword, proptest::collection::vec(word, 0..6))
        .prop_map(|(keyword, words)| format!("{keyword} {}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(bytes in any::<Vec<u8>>()) {
        let file = File { name: "t.cfg", bytes: &bytes };
        let reading = super::read(&Input::of(&[file]));
        reading.messages.iter().for_each(|message| drop(message.line(1).to_string()));
    }

    #[test]
    fn any_lines_are_read(lines in proptest::collection::vec(line(), 0..20)) {
        let reading = read_with(&lines.join("\n"), NONE);
        assert!(reading.proxies.is_some() || reading.messages.iter().any(|it| it.severity == Severity::Alert));
    }
}

#[test]
fn a_template_is_many_servers() {
    let text = format!(
        "{DEFAULTS}listen l\n bind :80\n server-template web 2-4 10.0.0.1:90 weight 7\n \
         server-template x 2 10.0.0.2:91\n"
    );
    let servers = &good(&text).backends[0].servers;
    let names: Vec<_> = servers.iter().map(|it| (it.name.as_str(), it.id, it.weight)).collect();
    assert_eq!(names, [("web2", 1, 7), ("web3", 2, 7), ("web4", 3, 7), ("x1", 4, 1), ("x2", 5, 1)]);
    for (line, wanted) in [
        ("y 2-1 127.0.0.1:90", "[t.cfg:6] : Wrong server-template number or range arg '2-1'."),
        ("z abc 127.0.0.1:90", "[t.cfg:6] : Wrong server-template number or range arg 'abc'."),
        (
            "z",
            "[t.cfg:6] : 'server-template' expects <prefix> <nb | range> <addr>[:<port>] as \
             arguments.",
        ),
    ] {
        let text = format!("{DEFAULTS}listen l\n server-template {line}\n");
        assert_eq!(said(&text)[0], wanted);
    }
}

#[test]
fn a_section_may_have_one_address_and_no_server() {
    let with = |lines: &str| format!("{DEFAULTS}listen l\n bind :80\n dispatch {lines}\n");
    let backend = &good(&with("10.0.0.1:90")).backends[0];
    let server = &backend.servers[0];
    assert_eq!((server.name.as_str(), server.is_dispatch), ("<NOSRV>", true));
    assert!(good(&with("10.0.0.1:90\n balance leastconn")).backends[0].servers.is_empty());
    for (lines, wanted) in [
        ("10.0.0.2", "parsing [t.cfg:7] : 'dispatch' : missing port specification in '10.0.0.2'"),
        (
            "10.0.0.2:1\n server a 10.0.0.1:90",
            "proxy 'l' : 'dispatch' beside servers is not supported yet.",
        ),
        (
            "10.0.0.2:1\n balance source",
            "dispatch address of proxy 'l' will be ignored in balance mode.",
        ),
    ] {
        assert_eq!(said(&with(lines))[0], wanted);
    }
}
