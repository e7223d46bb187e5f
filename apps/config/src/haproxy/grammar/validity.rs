//! What fits together and what does not, section by section, in the order in which HAProxy looks.

use alloc::collections::BTreeMap;
use alloc::format;

use super::cx::Cx;
use super::draft::{Draft, LogText};
use crate::haproxy::{
    Address, Backend, BackendId, CheckStep, FetchKind, Frontend, Key, LogFormat, Mode, Port,
};

/// What is looked at first.
pub(super) fn before(cx: &mut Cx<'_>, drafts: &[Draft], at: usize) {
    let draft = &drafts[at];
    let (noun, name) = (draft.kind.noun(), &draft.name);
    match draft.mode {
        Mode::Tcp => without_http(cx, draft),
        Mode::Http if !draft.binds.is_empty() => no_http(cx, draft),
        Mode::Http => {}
    }
    if draft.is_frontend() && draft.binds.is_empty() {
        cx.messages.warn(format!(
            "{noun} '{name}' has no 'bind' directive. Please declare it as a backend if this was intended."
        ));
    }
    if draft.check.unused_http {
        cx.messages.warn(format!(
            "{noun} '{name}' uses http-check rules without 'option httpchk', so the rules are ignored."
        ));
    }
    for (said, option) in
        [(draft.check.disable_on_404, "disable-on-404"), (draft.check.send_state, "send-state")]
    {
        if said && draft.check.is_in_force() && !draft.check.is_http() {
            cx.messages.warn(format!(
                "'{option}' will be ignored for {noun} '{name}' (requires 'option httpchk')."
            ));
        }
    }
}

/// Nobody listens for HTTP.
pub(super) fn no_http(cx: &mut Cx<'_>, draft: &Draft) {
    let (noun, name, spot) = (draft.kind.noun(), &draft.name, &draft.spot);
    cx.messages.alert(format!(
        "{noun} '{name}' ({}:{}) : 'mode http' is not supported yet.",
        spot.file, spot.line
    ));
}

/// What is said of HTTP and means nothing in mode `tcp`.
fn without_http(cx: &mut Cx<'_>, draft: &Draft) {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    for said in ["cookie", "monitor-uri"] {
        if draft.http_only.contains(&said) {
            cx.messages
                .warn(format!("{said} will be ignored for {noun} '{name}' (needs 'mode http')."));
        }
    }
    if draft.http_only.contains(&"balance") {
        cx.messages.warn(format!(
            "Layer 7 hash not possible for {noun} '{name}' (needs 'mode http'). Falling back to \
             round robin."
        ));
    }
    let Some((text, spot)) = &draft.log_format else { return };
    let option = match text {
        LogText::Http | LogText::HttpClf => "option httplog",
        LogText::Https => "option httpslog",
        LogText::Tcp | LogText::Text(_) => return,
    };
    cx.messages.warn(format!(
        "parsing [{}:{}] : '{option}' not usable with {noun} '{name}' (needs 'mode http'). Falling \
         back to 'option tcplog'.",
        spot.file, spot.line
    ));
}

/// The backend that sessions go to when nothing else is said.
pub(super) fn default_backend(
    cx: &mut Cx<'_>,
    draft: &Draft,
    drafts: &[Draft],
    wanted: &str,
) -> Option<BackendId> {
    let (name, mode) = (&draft.name, draft.mode);
    let target = drafts.iter().find(|other| other.is_backend() && other.name == wanted);
    let Some(target) = target else {
        let text = format!("Proxy '{name}': unable to find required default_backend: '{wanted}'.");
        cx.messages.alert(text);
        return None;
    };
    if is_itself(draft, target) {
        cx.messages
            .alert(format!("Proxy '{name}': loop detected for default_backend: '{wanted}'."));
        return None;
    }
    if target.mode != mode {
        incompatible(cx, draft, target, "as its default backend");
        return None;
    }
    if !draft.servers.is_empty() {
        cx.messages.warn(format!(
            "In proxy '{name}', the 'default_backend' rule always has precedence over the servers, \
             which will never be used."
        ));
    }
    cx.names.backend(wanted)
}

/// The backend of a rule.
pub(super) fn use_backend(
    cx: &mut Cx<'_>,
    draft: &Draft,
    drafts: &[Draft],
    wanted: &str,
) -> Option<BackendId> {
    let name = &draft.name;
    let target = drafts.iter().find(|other| other.is_backend() && other.name == wanted);
    let Some(target) = target else {
        let text = format!("Proxy '{name}': unable to find required use_backend: '{wanted}'.");
        cx.messages.alert(text);
        return None;
    };
    if is_itself(draft, target) {
        cx.messages.alert(format!("Proxy '{name}': loop detected for use_backend: '{wanted}'."));
        return None;
    }
    if target.mode != draft.mode {
        incompatible(cx, draft, target, "in a 'use_backend' rule");
        return None;
    }
    cx.names.backend(wanted)
}

/// Whether a backend that was found by name is the section that asked for it: a `frontend` and the
/// `backend` of its name are two.
fn is_itself(draft: &Draft, target: &Draft) -> bool {
    draft.is_backend() && target.name == draft.name
}

fn incompatible(cx: &mut Cx<'_>, draft: &Draft, target: &Draft, how: &str) {
    let mode = |draft: &Draft| if draft.mode == Mode::Http { "http" } else { "tcp" };
    let show = |draft: &Draft| {
        let (noun, name, spot) = (draft.kind.noun(), &draft.name, &draft.spot);
        format!("{} {noun} '{name}' ({}:{})", mode(draft), spot.file, spot.line)
    };
    let (this, other) = (show(draft), show(target));
    if draft.mode == Mode::Tcp {
        // There, such sessions become HTTP's on the way.
        return cx
            .messages
            .alert(format!("{this} leads to {other}: 'mode http' is not supported yet."));
    }
    cx.messages.alert(format!("{this} tries to use incompatible {other} {how} (see 'mode')."));
}

/// The type of a table's keys.
pub(super) fn key_of(drafts: &[Draft], name: &str) -> Option<Key> {
    let tables = drafts.iter().filter_map(|draft| draft.table.as_ref());
    tables.into_iter().find(|table| table.name == name).map(|table| table.key)
}

/// Whether a sample can be a key of a table.
pub(super) fn fits(kind: FetchKind, key: Key) -> bool {
    super::sample::can_cast(
        kind,
        match key {
            Key::Ip | Key::Ipv6 => FetchKind::Addr,
            Key::Integer => FetchKind::Int,
            Key::Text(_) => FetchKind::Text,
            Key::Binary(_) => FetchKind::Binary,
        },
    )
}

/// Tables that `track-sc0` and its kin name.
pub(super) fn tracks(cx: &mut Cx<'_>, draft: &Draft, drafts: &[Draft]) {
    for track in &draft.tracks {
        let (noun, name) = (draft.kind.noun(), &draft.name);
        let (table, action) = (&track.table, &track.action);
        match key_of(drafts, table) {
            None => cx.messages.alert(format!(
                "Proxy '{name}': unable to find table '{table}' referenced by {action}."
            )),
            Some(key) if !fits(track.kind, key) => cx.messages.alert(format!(
                "Proxy '{name}': stick-table '{table}' uses a type incompatible with the '{action}' rule."
            )),
            Some(_) if track.needs_bytes && draft.inspect_delay == 0 => cx.messages.warn(format!(
                "{noun} '{name}' : a 'tcp-request content track-sc*' rule explicitly depending on \
                 request contents without any 'tcp-request inspect-delay' setting. This means that \
                 this rule will randomly find its contents. This can be fixed by setting the \
                 tcp-request inspect-delay."
            )),
            Some(_) => {}
        }
    }
}

/// A health check needs a port to go to, and cannot have one that depends on a client's.
pub(super) fn check_ports(cx: &mut Cx<'_>, draft: &Draft, backend: &Backend) {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    for server in &backend.servers {
        let Some(check) = &server.check else { continue };
        let has_port = check.port.is_some() || matches!(server.port, Port::Fixed(_));
        if has_port || check.addr.is_none() && !matches!(server.address, Address::Addr(_)) {
            continue;
        }
        let mut connects = backend.check.steps().iter().filter_map(|step| match step {
            CheckStep::Connect(connect) => Some(connect),
            _ => None,
        });
        let neither = format!(
            "config: {noun} '{name}': server '{}' has neither service port nor check port",
            server.name
        );
        match connects.next() {
            Some(first) if first.port.is_none() => cx
                .messages
                .alert(format!("{neither} nor tcp_check rule 'connect' with port information.")),
            Some(_) if connects.any(|connect| connect.port.is_none()) => cx.messages.alert(
                format!("{neither}, and a tcp_check rule 'connect' with no port information."),
            ),
            Some(_) => {}
            None if draft.check.unused_tcp => {
                cx.messages.alert(format!("{neither}."));
            }
            None => cx
                .messages
                .alert(format!("{neither} nor tcp_check rule 'connect' with port information.")),
        }
    }
}

/// What is looked at when formats and rules are read.
pub(super) fn after(cx: &mut Cx<'_>, draft: &Draft) {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    if let Some(unresolved) = cx.unresolved.remove(name) {
        let text = unresolved.join("\n        ");
        cx.messages.alert(match unresolved.len() {
            1 => text,
            _ => format!("multiple argument resolution errors:\n        {text}"),
        });
    }
    let times = &draft.timeouts;
    let server_forever = times.server == 0 && (draft.mode == Mode::Http || times.tunnel == 0);
    let front = draft.is_frontend() && times.client == 0;
    let back =
        draft.is_backend() && !draft.servers.is_empty() && (times.connect == 0 || server_forever);
    if front || back {
        cx.messages.warn(format!(
            "missing timeouts for {noun} '{name}'.\n   | While not properly invalid, you will \
             certainly encounter various problems\n   | with such a configuration. To fix this, \
             please ensure that all following\n   | timeouts are set to a non-zero value: 'client', \
             'connect', 'server'."
        ));
    }
    if draft.loads_state && draft.is_backend() && !cx.has_noticed("server-state-file") {
        cx.messages.warn(format!(
            "backend '{name}' configured to load server state file from global section \
             'server-state-file' directive. Unfortunately, 'server-state-file' is not set!"
        ));
    }
    if draft.check.unused_tcp {
        cx.messages.warn(format!(
            "{noun} '{name}' uses tcp-check rules without 'option tcp-check', so the rules are ignored."
        ));
    }
    // Where each name stands first. A list would be gone through once for each of ten thousand servers.
    let mut lines = BTreeMap::new();
    for server in draft.servers.iter().filter(|server| !server.has_id) {
        let (spot, own) = (&server.spot, &*server.server.name);
        let Some(first) = lines.get(own) else {
            lines.insert(own, spot.line);
            continue;
        };
        cx.messages.alert(format!(
            "parsing [{}:{}] : {noun} '{name}', another server named '{own}' was already defined \
             at line {first}, please use distinct names.",
            spot.file, spot.line
        ));
    }
}

/// What is looked at last.
pub(super) fn last(cx: &mut Cx<'_>, draft: &Draft, frontend: &Frontend) {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    let has_format = matches!(frontend.log_format, LogFormat::Items(_));
    if draft.is_frontend() && draft.logs.is_empty() && has_format {
        cx.messages
            .warn(format!("log format ignored for {noun} '{name}' since it has no log address."));
    }
    if draft.mode == Mode::Http {
        return;
    }
    for said in ["stats", "capture"] {
        if draft.http_only.contains(&said) {
            cx.messages.warn(format!(
                "'{said}' statement ignored for {noun} '{name}' as it requires HTTP mode."
            ));
        }
    }
    let headers = ["forwardfor", "originalto"].into_iter();
    let headers = headers.filter(|option| draft.http_only.contains(option));
    for option in headers.chain(draft.switches.http_only(draft)) {
        cx.messages.warn(format!(
            "'option {option}' ignored for {noun} '{name}' as it requires HTTP mode."
        ));
    }
    for server in draft.servers.iter().filter(|server| server.server.cookie.is_some()) {
        let own = &server.server.name;
        cx.messages.warn(format!(
            "{noun} '{name}' : ignoring cookie for server '{own}' as HTTP mode is disabled."
        ));
    }
}
