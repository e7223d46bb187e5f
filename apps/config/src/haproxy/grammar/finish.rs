//! The sections as a whole: names to numbers, and each section as what runs.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::cx::Cx;
use super::draft::{Draft, LogText};
use super::fetches::{BE_SET_SERVER, FE_SET_BACKEND, LOGS};
use super::format::{self, How};
use super::number::limit;
use super::sample::{self, Context, Scope};
use super::{peers, validity};
use crate::haproxy::{
    Algorithm, Backend, BackendOptions, BackendTimeouts, Counter, Frontend, FrontendOptions,
    FrontendTimeouts, Goal, LogFormat, Mode, Persistence, Place, Probes, Proxies, Redispatch,
    Retries, Route, Server, ServerId, ServerName, Stored, UseServer,
};

/// Makes a configuration of the sections, or says why there is none.
pub(super) fn finish(cx: &mut Cx<'_>, mut drafts: Vec<Draft>) -> Proxies {
    number(&mut drafts);
    leave_http_out(cx, &mut drafts);
    let mut proxies = Proxies { global: cx.global.global.clone(), ..Proxies::default() };
    for draft in &drafts {
        if let Some(table) = &draft.table {
            proxies.tables.push(table.clone());
        }
    }
    for at in 0..drafts.len() {
        let draft = &drafts[at];
        cx.messages.left_out = cx.messages.lenient && draft.mode == Mode::Http;
        let mut frontend = Frontend::default();
        let mut backend = Backend::default();
        if !draft.disabled {
            validity::before(cx, &drafts, at);
            route(cx, draft, &drafts, &mut frontend);
            use_servers(cx, draft, &mut backend);
            stick(cx, draft, &drafts, &mut backend);
            validity::tracks(cx, draft, &drafts);
            peers::of_table(cx, draft);
            log_formats(cx, draft, &mut frontend);
            balance(cx, draft, &mut backend);
            validity::after(cx, draft);
            track(cx, draft, &drafts, &mut backend);
            validity::last(cx, draft, &frontend);
        }
        if draft.is_frontend() {
            proxies.frontends.push(fill_frontend(cx, draft, frontend));
        }
        if draft.is_backend() {
            proxies.backends.push(fill_backend(cx, draft, backend));
        }
    }
    proxies.counts_rates = cx.counts_rates;
    proxies.resolvers = core::mem::take(&mut cx.resolvers);
    proxies.variables = cx.variables.finished();
    cx.messages.left_out = false;
    store_servers(&mut proxies);
    for (draft, backend) in drafts.iter().filter(|draft| draft.is_backend()).zip(&proxies.backends)
    {
        if !draft.disabled {
            validity::check_ports(cx, draft, backend);
        }
    }
    proxies
}

/// Where somebody asked for it, what listens for HTTP is as if it were disabled.
fn leave_http_out(cx: &mut Cx<'_>, drafts: &mut [Draft]) {
    if !cx.messages.lenient {
        return;
    }
    let listens = |draft: &&mut Draft| !draft.disabled && !draft.binds.is_empty();
    for draft in drafts.iter_mut().filter(listens) {
        if draft.mode == Mode::Http {
            validity::no_http(cx, draft);
            draft.disabled = true;
        }
    }
}

/// Numbers for sections that were given none, from 2 on.
fn number(drafts: &mut [Draft]) {
    let taken: Vec<u32> = drafts.iter().filter_map(|draft| draft.id).collect();
    let mut next = 2;
    for draft in drafts {
        if draft.id.is_none() {
            while taken.contains(&next) {
                next += 1;
            }
            draft.id = Some(next);
        }
        next += 1;
    }
}

fn place(draft: &Draft) -> Place {
    Place { file: super::text::readable(&draft.spot.file), line: draft.spot.line }
}

fn route(cx: &mut Cx<'_>, draft: &Draft, drafts: &[Draft], frontend: &mut Frontend) {
    if let Some(name) = &draft.default_backend {
        frontend.default_backend = validity::default_backend(cx, draft, drafts, name);
    } else if draft.is_backend() {
        // A `listen` is its own.
        frontend.default_backend = cx.names.backend(&draft.name);
    }
    for rule in &draft.routes {
        let goal = if rule.name.contains('%') {
            cx.spot = rule.spot.clone();
            let how = How { context: Context::UseBackend, places: FE_SET_BACKEND };
            match format::read(cx, draft, &rule.name, how) {
                Ok(format) => Goal::Named(format),
                Err(wrong) => {
                    let (name, spot) = (&rule.name, &rule.spot);
                    cx.messages.alert(format!(
                        "Parsing [{}:{}]: failed to parse use_backend rule '{name}' : {wrong}.",
                        spot.file, spot.line
                    ));
                    continue;
                }
            }
        } else {
            match validity::use_backend(cx, draft, drafts, &rule.name) {
                Some(id) => Goal::Backend(id),
                None => continue,
            }
        };
        frontend.routes.push(Route { goal, condition: rule.condition.clone() });
    }
}

fn use_servers(cx: &mut Cx<'_>, draft: &Draft, backend: &mut Backend) {
    for rule in &draft.use_servers {
        if rule.name.contains('%') {
            cx.spot = rule.spot.clone();
            let how = How { context: Context::Balance, places: BE_SET_SERVER };
            match format::read(cx, draft, &rule.name, how) {
                Ok(format) => backend.use_servers.push(UseServer {
                    server: ServerName::Named(format),
                    condition: rule.condition.clone(),
                }),
                Err(wrong) => {
                    let (name, spot) = (&rule.name, &rule.spot);
                    cx.messages.alert(format!(
                        "Parsing [{}:{}]; use-server rule failed to parse log-format '{name}' : {wrong}.",
                        spot.file, spot.line
                    ));
                }
            }
            continue;
        }
        let own = cx.names.backend(&draft.name);
        let found = own.and_then(|own| cx.names.server(own, &rule.name));
        match found {
            Some(server) => {
                let server = ServerName::Server(server);
                backend.use_servers.push(UseServer { server, condition: rule.condition.clone() });
            }
            None => {
                let (noun, section, name) = (draft.kind.noun(), &draft.name, &rule.name);
                cx.messages.alert(format!(
                    "{noun} '{section}' : unable to find server '{name}' referenced in a 'use-server' rule."
                ));
            }
        }
    }
}

fn stick(cx: &mut Cx<'_>, draft: &Draft, drafts: &[Draft], backend: &mut Backend) {
    for rule in &draft.sticks {
        let name = rule.table.as_ref().unwrap_or(&draft.name);
        if let Some(key) = validity::key_of(drafts, name)
            && !validity::fits(rule.kind, key)
        {
            let section = &draft.name;
            cx.messages.alert(format!(
                "Proxy '{section}': type of fetch not usable with type of stick-table '{name}'."
            ));
        }
        match cx.names.table(name) {
            Some(table) => backend.persistence.push(Persistence {
                key: rule.key.clone(),
                table,
                matches: rule.matches,
                stores: rule.stores,
                is_response: rule.is_response,
                condition: rule.condition.clone(),
            }),
            None => {
                let section = &draft.name;
                cx.messages
                    .alert(format!("Proxy '{section}': unable to find stick-table '{name}'."));
            }
        }
    }
}

/// Tables of stick rules hold numbers of servers, whether they say so or not.
fn store_servers(proxies: &mut Proxies) {
    for rule in proxies.backends.iter().flat_map(|backend| &backend.persistence) {
        let Some(table) = proxies.tables.get_mut(usize::from(rule.table.0)) else { continue };
        let is_it = |stored: &Stored| stored.counter == Counter::ServerId;
        if !table.counters.iter().any(is_it) {
            table.counters.push(Stored { counter: Counter::ServerId, period: None });
        }
    }
}

fn log_formats(cx: &mut Cx<'_>, draft: &Draft, frontend: &mut Frontend) {
    if !draft.is_frontend() {
        return;
    }
    let how = How { context: Context::Log, places: LOGS };
    let text = match &draft.log_format {
        None => None,
        Some((LogText::Text(text), spot)) => Some((text.clone(), spot.clone())),
        // Without HTTP, its formats are the one of TCP, and a warning has said so.
        Some((_, spot)) => Some((format::TCP.to_owned(), spot.clone())),
    };
    let texts = [("log-format", text), ("error-log-format", draft.error_log_format.clone())];
    for (name, text) in texts {
        let Some((text, spot)) = text else { continue };
        cx.spot = spot;
        let (format, read) = format::read_on(cx, draft, &text, how);
        if let Err(wrong) = &read {
            let (file, line) = (&cx.spot.file, cx.spot.line);
            let text = format!("Parsing [{file}:{line}]: failed to parse {name} : {wrong}.");
            cx.messages.alert(text);
        }
        // What was read before a mistake is there, for what is said later.
        let is_there = read.is_ok() || !format.0.is_empty();
        let items = LogFormat::Items(format.with_spaces_merged());
        match name {
            _ if !is_there => {}
            "log-format" => frontend.log_format = items,
            _ => frontend.error_log_format = Some(items),
        }
    }
    if let Some((text, spot)) = &draft.unique_id_format {
        cx.spot = spot.clone();
        let how = How { context: Context::UniqueId, places: super::fetches::FE_CONTENT | LOGS };
        match format::read(cx, draft, text, how) {
            Ok(format) => frontend.unique_id_format = Some(format.with_spaces_merged()),
            Err(wrong) => {
                let (file, line) = (&spot.file, spot.line);
                cx.messages.alert(format!(
                    "Parsing [{file}:{line}]: failed to parse unique-id : {wrong}."
                ));
            }
        }
    }
}

fn balance(cx: &mut Cx<'_>, draft: &Draft, backend: &mut Backend) {
    backend.algorithm = draft.algorithm.clone().unwrap_or_default();
    let (noun, name) = (draft.kind.noun(), &draft.name);
    match (&draft.dispatch, draft.algorithm.is_some()) {
        (Some(_), true) => cx
            .messages
            .warn(format!("dispatch address of {noun} '{name}' will be ignored in balance mode.")),
        (Some(_), false) if !draft.servers.is_empty() => cx
            .messages
            .alert(format!("{noun} '{name}' : 'dispatch' beside servers is not supported yet.")),
        _ => {}
    }
    let Some(text) = &draft.balance_sample else { return };
    cx.spot = draft.spot.clone();
    let (noun, name, spot) = (draft.kind.noun(), &draft.name, &draft.spot);
    let at = format!("{noun} '{name}' [{}:{}]", spot.file, spot.line);
    let mut scope = Scope::new(cx, draft, Context::Balance);
    match sample::words(&mut scope, core::slice::from_ref(text), &mut 0) {
        Ok(parsed) if parsed.places & BE_SET_SERVER == 0 => {
            let source = parsed.source;
            cx.messages.alert(format!(
                "{at}: error detected while parsing 'balance hash' expression '{text}' which \
                 requires information from {source}, which is not available here."
            ));
        }
        Ok(parsed) => backend.algorithm = Algorithm::Hash(parsed.sample),
        Err(wrong) => cx.messages.alert(format!(
            "{at}: failed to parse 'balance hash' expression '{text}' in : {wrong}."
        )),
    }
}

/// `track`: one server's state is another's.
fn track(cx: &mut Cx<'_>, draft: &Draft, drafts: &[Draft], backend: &mut Backend) {
    let mut next = 1;
    let taken: Vec<u32> =
        draft.servers.iter().filter(|it| it.has_id).map(|it| it.server.id).collect();
    let dispatch = draft.dispatch.as_ref().filter(|_| draft.algorithm.is_none());
    for server in draft.servers.iter().chain(dispatch) {
        let mut finished: Server = server.finished();
        if !server.has_id {
            while taken.contains(&next) {
                next += 1;
            }
            finished.id = next;
        }
        next += 1;
        if server.server.fast_open {
            let (spot, name) = (&server.spot, &server.server.name);
            cx.messages.warn(format!(
                "[{}:{}] : 'server {}/{name}' : server has tfo activated, the backend should be \
                 configured with at least 'conn-failure', 'empty-response' and 'response-timeout' or \
                 we wouldn't be able to retry the connection on failure.",
                spot.file, spot.line, draft.name
            ));
        }
        if let Some(wanted) = &server.resolvers {
            let at = cx.resolvers.iter().position(|known| &known.name == wanted);
            finished.resolvers = at.map(|at| at as u16);
            if at.is_none() {
                let (noun, section, name) = (draft.kind.noun(), &draft.name, &server.server.name);
                cx.messages.alert(format!(
                    "{noun} '{section}', server '{name}': unable to find required resolvers \
                     '{wanted}'"
                ));
            }
        }
        if let Some(wanted) = &server.track {
            match tracked(cx, draft, drafts, wanted, &server.server.name) {
                Ok(id) => finished.track = Some(id),
                Err(wrong) => {
                    let (spot, name) = (&server.spot, &server.server.name);
                    cx.messages.alert(format!(
                        "[{}:{}] : 'server {}/{name}' : {wrong}",
                        spot.file, spot.line, draft.name
                    ));
                }
            }
        }
        minmax(&mut finished, draft);
        backend.servers.push(finished);
    }
}

/// `minconn` and `maxconn` make sense only together and in order.
fn minmax(server: &mut Server, draft: &Draft) {
    match (server.minconn, server.maxconn) {
        (Some(least), Some(most)) if least > most => server.maxconn = Some(least),
        // Without a greatest, it is the only bound.
        (Some(least), None) => server.maxconn = Some(least),
        (None, Some(most)) if draft.fullconn == 0 => server.minconn = Some(most),
        _ => {}
    }
    if server.minconn == server.maxconn {
        server.minconn = None;
    }
}

fn tracked(
    cx: &Cx<'_>,
    draft: &Draft,
    drafts: &[Draft],
    wanted: &str,
    own: &str,
) -> Result<ServerId, alloc::string::String> {
    let (proxy, name) = match wanted.rsplit_once('/') {
        Some((proxy, name)) => (proxy, name),
        None => (draft.name.as_str(), wanted),
    };
    let other = drafts.iter().find(|other| other.is_backend() && other.name == proxy);
    let Some(other) = other else {
        return Err(format!("unable to find required proxy '{proxy}' for tracking."));
    };
    let Some(server) = other.servers.iter().find(|server| server.server.name == name) else {
        return Err(format!("unable to find required server '{name}' for tracking."));
    };
    if !server.is_checked && !server.has_agent && server.track.is_none() {
        return Err(format!(
            "unable to use {proxy}/{name} for tracking as it does not have any check nor agent enabled."
        ));
    }
    if server.track.is_some() || proxy == draft.name && name == own {
        return Err(format!(
            "unable to track {proxy}/{name}: a server that tracks another is not supported yet."
        ));
    }
    let id = cx.names.backend(proxy).and_then(|backend| cx.names.server(backend, name));
    id.ok_or_else(|| format!("unable to find required server '{name}' for tracking."))
}

fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}

fn probes(said: [Option<u32>; 3]) -> Probes {
    let [count, idle, interval] = said;
    let seconds = |seconds: u32| penstock_stack::Duration::from_secs(u64::from(seconds));
    Probes {
        count: count.map(|count| count.min(255) as u8),
        idle: idle.map(seconds),
        interval: interval.map(seconds),
    }
}

fn fill_frontend(cx: &Cx<'_>, draft: &Draft, made: Frontend) -> Frontend {
    let (times, has) = (draft.timeouts, |name| draft.switches.has(name));
    let mut binds = draft.binds.clone();
    let taken: Vec<u32> = binds.iter().map(|bind| bind.id).filter(|&id| id > 0).collect();
    let mut next = 1;
    for bind in &mut binds {
        if bind.id == 0 {
            while taken.contains(&next) {
                next += 1;
            }
            bind.id = next;
            next += 1;
        }
    }
    Frontend {
        name: draft.name.clone(),
        place: place(draft),
        id: draft.id.unwrap_or(0),
        mode: draft.mode,
        disabled: draft.disabled,
        description: draft.description.clone(),
        binds,
        maxconn: positive(draft.maxconn),
        backlog: positive(draft.backlog),
        session_rate_max: (draft.rate_limit > 0).then_some(draft.rate_limit),
        timeouts: FrontendTimeouts {
            client: limit(times.client),
            client_fin: limit(times.client_fin),
            http_request: limit(times.http_request),
            http_keep_alive: limit(times.http_keep_alive),
            tarpit: limit(times.tarpit).or(limit(times.connect)),
        },
        options: FrontendOptions {
            dont_log_null: has("dontlognull"),
            dont_log_normal: has("dontlog-normal"),
            log_separate_errors: has("log-separate-errors"),
            log_asap: has("logasap"),
            no_linger: has("nolinger"),
            keep_alive: has("clitcpka"),
            smart_accept: draft.switches.said("tcp-smart-accept"),
            socket_stats: has("socket-stats"),
            continuous_stats: has("contstats"),
            probes: probes(draft.probes[0]),
        },
        logs: draft.logs.iter().map(|(target, _)| target.clone()).collect(),
        log_tag: draft.log_tag.clone(),
        acls: draft.acls.clone(),
        table: draft.table.as_ref().and_then(|table| cx.names.table(&table.name)),
        connection_rules: draft.connection_rules.clone(),
        session_rules: draft.session_rules.clone(),
        content_rules: draft.content_rules.clone(),
        inspect_delay: limit(draft.inspect_delay),
        ..made
    }
}

fn fill_backend(cx: &Cx<'_>, draft: &Draft, made: Backend) -> Backend {
    let (times, has) = (draft.timeouts, |name| draft.switches.has(name));
    let redispatch = draft.redispatch.and_then(|number| match number {
        0 => None,
        ..0 => Some(Redispatch::FromLast(number.unsigned_abs().min(0xffff) as u16)),
        1.. => Some(Redispatch::Every(number.min(0xffff) as u16)),
    });
    // A `listen` looks at its content rules once.
    let content_rules = if draft.is_frontend() { Vec::new() } else { draft.content_rules.clone() };
    Backend {
        name: draft.name.clone(),
        place: place(draft),
        id: draft.id.unwrap_or(0),
        mode: draft.mode,
        disabled: draft.disabled,
        description: draft.description.clone(),
        hash_type: draft.hash_type,
        hash_balance_percent: draft.hash_balance_percent.clamp(0, 0xffff) as u16,
        timeouts: BackendTimeouts {
            connect: limit(times.connect),
            server: limit(times.server),
            server_fin: limit(times.server_fin),
            tunnel: limit(times.tunnel),
            queue: limit(times.queue).or(limit(times.connect)),
            check: limit(times.check),
            tarpit: limit(times.tarpit).or(limit(times.connect)),
        },
        options: BackendOptions {
            all_backups: has("allbackups"),
            abort_on_close: has("abortonclose"),
            no_linger: has("nolinger"),
            keep_alive: has("srvtcpka"),
            probes: probes(draft.probes[1]),
            smart_connect: draft.switches.said("tcp-smart-connect"),
            log_health_checks: has("log-health-checks"),
            disable_on_404: draft.check.disable_on_404 && draft.check.is_http(),
            send_state: draft.check.send_state && draft.check.is_http(),
            persist: has("persist"),
        },
        retries: Retries(draft.retries.clamp(0, 0xffff) as u16),
        redispatch,
        fullconn: positive(draft.fullconn),
        source: draft.source.clone(),
        check: draft.check.finished(),
        logs: draft.logs.iter().map(|(target, _)| target.clone()).collect(),
        log_tag: draft.log_tag.clone(),
        acls: draft.acls.clone(),
        table: draft.table.as_ref().and_then(|table| cx.names.table(&table.name)),
        persist_rdp_cookie: draft.persist_rdp_cookie.clone(),
        persist_rules: draft.persist_rules.clone(),
        content_rules,
        inspect_delay: limit(draft.inspect_delay),
        response_rules: draft.response_rules.clone(),
        response_inspect_delay: limit(draft.response_inspect_delay),
        ..made
    }
}
