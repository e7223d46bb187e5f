//! `server`, `default-server` and `source`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::address::{self, Allowed, Host, Parsed};
use super::attributes;
use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::lines::Spot;
use super::text::{invalid_in_name, leading_int, readable};
use super::words::Words;
use crate::haproxy::{Address, AgentCheck, Port, ProxyHeader, Server, ServerCheck, Source};
use penstock_stack::Duration;
use penstock_wire::Addr;

/// A server while its line is read.
#[derive(Clone, Debug)]
pub(super) struct ServerDraft {
    pub(super) server: Server,
    pub(super) spot: Spot,
    /// `id`, where it was said.
    pub(super) has_id: bool,
    pub(super) is_checked: bool,
    pub(super) check: ServerCheck,
    pub(super) has_agent: bool,
    /// Who is asked; without an interval of its own, the check's.
    pub(super) agent: AgentCheck,
    pub(super) agent_inter: Option<Duration>,
    /// `send-proxy`, and `send-proxy-v2` with what its header holds.
    pub(super) proxy_v1: bool,
    pub(super) proxy_v2: bool,
    /// `proxy-v2-options`: crc32c, unique-id, authority.
    pub(super) proxy_options: [bool; 3],
    /// `resolvers`, as it was written.
    pub(super) resolvers: Option<String>,
    /// `track`, as it was written.
    pub(super) track: Option<String>,
}

impl ServerDraft {
    /// A server that nothing was said of.
    pub(super) fn preset(spot: &Spot) -> ServerDraft {
        ServerDraft {
            server: Server::new("", Address::Client, Port::Fixed(0)),
            spot: spot.clone(),
            has_id: false,
            is_checked: false,
            check: ServerCheck::default(),
            has_agent: false,
            agent: AgentCheck {
                check: ServerCheck { rise: 1, fall: 1, ..ServerCheck::default() },
                send: Vec::new(),
            },
            agent_inter: None,
            proxy_v1: false,
            proxy_v2: false,
            proxy_options: [false; 3],
            resolvers: None,
            track: None,
        }
    }

    /// The server, as far as its own line says.
    pub(super) fn finished(&self) -> Server {
        let [crc32c, unique_id, authority] = self.proxy_options;
        let mut server = self.server.clone();
        server.send_proxy = match (self.proxy_v2, self.proxy_v1) {
            (true, _) => Some(ProxyHeader::V2 { crc32c, unique_id, authority }),
            (false, true) => Some(ProxyHeader::V1),
            (false, false) => None,
        };
        let own_port = self.check.port.is_none() && self.check.addr.is_none();
        let send_proxy = self.check.send_proxy || own_port && server.send_proxy.is_some();
        server.check = self.is_checked.then(|| ServerCheck { send_proxy, ..self.check.clone() });
        server.agent = self.has_agent.then(|| {
            let mut agent = self.agent.clone();
            agent.check.inter = self.agent_inter.unwrap_or(self.check.inter);
            agent
        });
        server
    }
}

/// Says what is wrong with a server, as HAProxy does: with the file in front and the server's name.
pub(super) fn alert(cx: &mut Cx<'_>, server: &str, text: &str) {
    let text = format!("{}{text}", head(cx, server));
    cx.messages.alert(text);
}

/// The same of a mistake that HAProxy passes over.
pub(super) fn complain(cx: &mut Cx<'_>, server: &str, text: &str) {
    let text = format!("{}{text}", head(cx, server));
    cx.messages.complain(text);
}

/// What stands before a message about a server.
pub(super) fn head(cx: &Cx<'_>, server: &str) -> String {
    let (file, line) = (&cx.spot.file, cx.spot.line);
    match server {
        "" => format!("[{file}:{line}] : "),
        _ => format!("[{file}:{line}] : 'server {server}' : "),
    }
}

pub(super) fn server(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return alert(cx, "", "'server' not allowed in 'defaults' section.");
    }
    if !is_backend(cx, draft, "server") {
        return;
    }
    if !words.has(2) {
        return alert(cx, "", "'server' expects <name> and <addr>[:<port>] as arguments.");
    }
    if let Some(server) = read(cx, draft, words, 2) {
        draft.servers.push(server);
    }
}

/// `server-template`: so many servers like this one, of names that begin alike.
pub(super) fn template(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return alert(cx, "", "'server-template' not allowed in 'defaults' section.");
    }
    if !is_backend(cx, draft, "server-template") {
        return;
    }
    if !words.has(3) {
        let text = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.";
        return alert(cx, "", text);
    }
    let range = &words[2];
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (leading_int(first), leading_int(last)),
        None => (1, leading_int(range)),
    };
    if first < 0 || last < first {
        return alert(cx, "", &format!("Wrong server-template number or range arg '{range}'."));
    }
    let Some(mut server) = read(cx, draft, words, 3) else { return };
    if last - first >= TEMPLATE_MAX {
        let text =
            format!("'server-template' : more than {TEMPLATE_MAX} servers are not supported.");
        return alert(cx, &format!("{}/{}", draft.name, server.server.name), &text);
    }
    let prefix = core::mem::take(&mut server.server.name);
    for number in first..=last {
        server.server.name = format!("{prefix}{number}");
        draft.servers.push(server.clone());
        server.has_id = false;
    }
}

/// `dispatch`: one address for all that have no server, which is no server in the log.
pub(super) fn dispatch(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return cx.alert("'dispatch' not allowed in 'defaults' section.");
    }
    super::proxy::wants_backend(cx, draft, "dispatch");
    let allowed = Allowed { name: true, port_mandatory: true, ..Allowed::default() };
    let parsed = match address::parse(&cx.environment, &words[1], allowed) {
        Ok(parsed) => parsed,
        Err(wrong) => return cx.alert(&format!("'dispatch' : {wrong}")),
    };
    if let Host::Name(name) = &parsed.host
        && !address::is_name(name)
    {
        return cx.alert(&format!("'dispatch' : invalid address: '{name}' in '{}'\n", &words[1]));
    }
    if !cx.at_most(words, 1, 0) {
        return;
    }
    let mut server = ServerDraft::preset(&cx.spot);
    server.server.place = cx.place();
    set_address(cx, &mut server, parsed);
    server.server.name = NO_SERVER.to_owned();
    server.server.is_dispatch = true;
    draft.dispatch = Some(server);
}

/// What the log calls a server that is none.
const NO_SERVER: &str = "<NOSRV>";

/// Servers of one template.
const TEMPLATE_MAX: i32 = 4096;

fn set_address(cx: &Cx<'_>, server: &mut ServerDraft, parsed: Parsed) {
    server.server.address = match parsed.host {
        Host::Addr(addr) if addr.is_unspecified() || addr == Addr::v4(0) => Address::Client,
        Host::Addr(addr) => Address::Addr(addr),
        Host::Name(name) => super::hosts::resolve(cx, &name),
        Host::Local(_) => Address::Client,
    };
    server.server.port = match parsed.relative {
        true => Port::Offset(parsed.port),
        false => Port::Fixed(parsed.port as u16),
    };
}

/// A server's line: its name, its address in word `at`, its options behind.
fn read(cx: &mut Cx<'_>, draft: &Draft, words: &Words, at: usize) -> Option<ServerDraft> {
    let name = words[1].to_owned();
    if let Some(wrong) = invalid_in_name(&name) {
        let text = format!("character '{wrong}' is not permitted in server name '{name}'.");
        alert(cx, "", &text);
        return None;
    }
    let full = format!("{}/{name}", draft.name);
    let allowed = Allowed { offset: true, name: true, ..Allowed::default() };
    let parsed = match address::parse(&cx.environment, &words[at], allowed) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            alert(cx, &full, &wrong);
            return None;
        }
    };
    if let Host::Name(name) = &parsed.host {
        if name.starts_with('_') {
            // Asked as an address it would never be there.
            let text = format!("'{name}' : SRV records of name servers are not supported yet.");
            alert(cx, &full, &text);
            return None;
        }
        if !address::is_name(name) {
            alert(cx, &full, &format!("could not resolve address '{name}'."));
            return None;
        }
    }
    let mut server = draft.default_server.clone();
    server.spot = cx.spot.clone();
    server.server.name = name;
    server.server.place = cx.place();
    set_address(cx, &mut server, parsed);
    if !attributes::options(cx, draft, &mut server, words, at + 1, &full, false) {
        return None;
    }
    if server.is_checked && server.track.is_some() {
        alert(cx, &full, "unable to enable checks and tracking at the same time!");
        return None;
    }
    if server.has_agent && server.agent.check.port.is_none() {
        let name = &server.server.name;
        let text =
            format!("server {name} does not have agent port. Agent check has been disabled.");
        alert(cx, &full, &text);
        return None;
    }
    Some(server)
}

pub(super) fn default_server(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !is_backend(cx, draft, "default-server") {
        return;
    }
    let mut server = draft.default_server.clone();
    attributes::options(cx, draft, &mut server, words, 1, "", true);
    draft.default_server = server;
}

fn is_backend(cx: &mut Cx<'_>, draft: &Draft, keyword: &str) -> bool {
    if !draft.is_backend() {
        let (at, noun, name) = (cx.at(), draft.kind.noun(), &draft.name);
        let why = format!("{noun} '{name}' has no backend capability.");
        alert(cx, "", &format!("{at} : '{keyword}' not allowed because {why}"));
    }
    draft.is_backend()
}

/// An address of this machine, and ports: one, or a range.
pub(super) fn source(cx: &Cx<'_>, text: &str, range: bool) -> Result<Source, String> {
    let parsed = address::parse(&cx.environment, text, Allowed { range, ..Allowed::default() })?;
    let Host::Addr(addr) = parsed.host else {
        return Err(format!("invalid address: '{text}' in '{text}'"));
    };
    let (first, last) = (parsed.port as u16, parsed.last as u16);
    let ports = (first > 0).then_some(first..=last);
    Ok(Source { addr, ports, interface: None })
}

/// The keyword `source` of a backend.
pub(super) fn proxy_source(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    super::proxy::wants_backend(cx, draft, "source");
    if !words.has(1) {
        return cx.alert(
            "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.",
        );
    }
    let mut source = match source(cx, &words[1], false) {
        Ok(source) => source,
        Err(wrong) => return cx.alert(&format!("'source {}' : {wrong}", &words[1])),
    };
    let mut at = 2;
    while words.has(at) {
        match &words[at] {
            "interface" if !words.has(at + 1) => {
                return cx.alert("'source' : missing interface name.");
            }
            "interface" => source.interface = Some(readable(&words[at + 1])),
            "usesrc" => return cx.alert("'source .. usesrc' is not supported yet."),
            _ => {
                return cx
                    .alert("'source' only supports optional keywords 'interface' and 'usesrc'.");
            }
        }
        at += 2;
    }
    draft.source = Some(source);
}
