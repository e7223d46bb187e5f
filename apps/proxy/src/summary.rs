//! What an operator is told when a proxy begins: a line for each frontend, and what it all comes to.
//!
//! ```text
//!   proxy: frontend tls: *:443 -> www (2 servers, 2 checked), mail (1 server)
//!   proxy: listen db: 10.0.0.2:5432, [::]:5432 -> 3 servers (3 checked, 1 backup)
//!   proxy: 2 frontends, 3 listeners, 3 backends, 6 servers, 5 checked
//! ```

use core::fmt;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use penstock_config::haproxy::{Backend, Bind, Frontend, Goal};

use crate::limits;
use crate::setup::Setup;

impl Setup {
    /// Lines for whoever starts this machine: however large the configuration, a screen at most.
    pub fn summary(&self) -> Vec<String> {
        let proxies = self.proxies();
        let frontends = proxies.frontends.iter().filter(|frontend| !frontend.binds.is_empty());
        let count = frontends.clone().count();
        let shown = frontends.take(limits::FRONTENDS_SHOWN);
        let mut lines: Vec<String> = shown.map(|frontend| self.line_of(frontend)).collect();
        if count > lines.len() {
            lines.push(format!("proxy: and {} frontends more", count - lines.len()));
        }
        let listens = proxies.frontends.iter().filter(|frontend| !frontend.disabled);
        let doors = listens.map(|frontend| frontend.binds.len()).sum();
        let backends = &proxies.backends;
        let servers = backends.iter().flat_map(|backend| &backend.servers);
        let checked = servers.clone().filter(|server| server.check.is_some()).count();
        let (count, servers) = (Count(count, "frontend"), Count(servers.count(), "server"));
        let (doors, backends) = (Count(doors, "listener"), Count(backends.len(), "backend"));
        lines.push(format!("proxy: {count}, {doors}, {backends}, {servers}, {checked} checked"));
        lines
    }

    fn line_of(&self, frontend: &Frontend) -> String {
        let Frontend { name, binds, routes, default_backend, disabled, .. } = frontend;
        let own = default_backend.map(|id| self.backend(id.0));
        let kind = if self.is_listen(frontend) { "listen" } else { "frontend" };
        if *disabled {
            return format!("proxy: {kind} {name}: disabled");
        }
        let mut behind: Vec<String> =
            own.iter().map(|backend| self.behind(backend, name)).collect();
        for route in routes {
            let Goal::Backend(id) = route.goal else { continue };
            let text = self.behind(self.backend(id.0), name);
            if !behind.contains(&text) {
                behind.push(text);
            }
        }
        if behind.is_empty() {
            behind.push("nobody".to_string());
        }
        format!("proxy: {kind} {name}: {} -> {}", few(&addresses(binds)), few(&behind))
    }

    fn behind(&self, backend: &Backend, frontend: &str) -> String {
        let Backend { name, servers, .. } = backend;
        let checked = servers.iter().filter(|server| server.check.is_some()).count();
        let backups = servers.iter().filter(|server| server.backup).count();
        let servers = Count(servers.len(), "server").to_string();
        let parts = [(checked, "checked"), (backups, "backup")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        // A listen's own servers need no name.
        let head = if name == frontend {
            servers
        } else {
            parts.insert(0, servers);
            name.clone()
        };
        if parts.is_empty() { head } else { format!("{head} ({})", parts.join(", ")) }
    }
}

/// So many of something, with an s where English has one.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Count(count, what) = self;
        write!(f, "{count} {what}{}", if count == 1 { "" } else { "s" })
    }
}

/// Where it listens, as `ss` has it: `*%eth0:80` is one card's; ports of an address that follow each other as one range.
fn addresses(binds: &[Bind]) -> Vec<String> {
    let follows = |a: &Bind, b: &Bind| {
        (a.at.addr, &a.interface) == (b.at.addr, &b.interface)
            && a.at.port.checked_add(1) == Some(b.at.port)
    };
    binds
        .chunk_by(follows)
        .filter_map(|run| {
            let (first, last) = (run.first()?.at, run.last()?.at);
            let card = run.first()?.interface.as_ref().map(|name| format!("%{name}"));
            let card = card.unwrap_or_default();
            let address = match first.addr {
                addr if addr.is_v4() && addr.is_unspecified() => "*".to_string(),
                addr if addr.is_v4() => addr.to_string(),
                addr => format!("[{addr}]"),
            };
            let until = if run.len() > 1 { format!("-{}", last.port) } else { String::new() };
            Some(format!("{address}{card}:{}{until}", first.port))
        })
        .collect()
}

/// The first few of these, and how many more there are.
fn few(texts: &[String]) -> String {
    let shown = &texts[..texts.len().min(limits::NAMES_SHOWN)];
    match texts.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    //! A line says where, and who is behind it; a large configuration is a screen.

    use super::*;

    use penstock_config::haproxy::grammar::{File, Input};

    fn summary(text: &str) -> Vec<String> {
        let text = format!(
            "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n{text}"
        );
        let file = File { name: "a.cfg", bytes: text.as_bytes() };
        let read = crate::read(&Input::of(&[file]));
        read.setup.map(Setup::summary).unwrap_or_else(|| panic!("{:?}", read.messages))
    }

    #[test]
    fn a_line_for_each_frontend() {
        let said = summary(
            "frontend tls\n bind :443\n use_backend mail if { src 10.0.0.0/8 }\n \
             use_backend mail if { src 10.1.0.0/16 }\n default_backend www\n\
             frontend none\n bind :1-2 interface eth0\n bind :3\n\
             frontend off\n disabled\n bind :2\n\
             backend www\n server a 10.0.0.3:80 check\n server b 10.0.0.4:80 check backup\n\
             backend mail\n server a 10.0.0.5:80\n\
             listen db\n bind 10.0.0.2:5000-5009,[::]:5432\n server a 10.0.0.6:80\n server b 10.0.0.7:80\n",
        );
        assert_eq!(
            said,
            [
                "proxy: frontend tls: *:443 -> www (2 servers, 2 checked, 1 backup), mail (1 server)",
                "proxy: frontend none: *%eth0:1-2, *:3 -> nobody",
                "proxy: frontend off: disabled",
                "proxy: listen db: 10.0.0.2:5000-5009, [::]:5432 -> 2 servers",
                "proxy: 4 frontends, 15 listeners, 3 backends, 5 servers, 2 checked",
            ]
        );
    }

    #[test]
    fn a_thousand_are_a_screen() {
        let lines =
            (0..1000).map(|at| format!("listen l{at}\n bind :{}\n server a 10.0.0.3:80\n", at + 1));
        let said = summary(&lines.collect::<String>());
        assert_eq!(said.len(), 18);
        assert_eq!(said[16], "proxy: and 984 frontends more");
        assert_eq!(
            said[17],
            "proxy: 1000 frontends, 1000 listeners, 1000 backends, 1000 servers, 0 checked"
        );
    }

    #[test]
    fn many_backends_are_a_few_names() {
        let routes: String =
            (0..40).map(|at| format!(" use_backend b{at} if {{ src 10.0.{at}.1 }}\n")).collect();
        let backends: String =
            (0..40).map(|at| format!("backend b{at}\n server a 10.0.0.3:80\n")).collect();
        let said = summary(&format!("frontend f\n bind :80\n{routes}{backends}"));
        let four = "b0 (1 server), b1 (1 server), b2 (1 server), b3 (1 server) and 36 more";
        assert_eq!(said[0], format!("proxy: frontend f: *:80 -> {four}"));
    }
}
