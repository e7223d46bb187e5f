//! What the sections of a configuration are called, known before the first of them is read.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::lines::Entry;
use crate::haproxy::{BackendId, FrontendId, ServerId, TableId};

/// The names of frontends, backends with their servers, and stick tables. Each stands at the number
/// that it will have.
#[derive(Debug, Default)]
pub(super) struct Names {
    frontends: Vec<String>,
    backends: Vec<(String, Vec<String>)>,
    tables: Vec<String>,
}

impl Names {
    /// Looks through all lines.
    pub(super) fn of(entries: &[Entry]) -> Names {
        let mut names = Names::default();
        let (mut section, mut name) = ("", "");
        for entry in entries {
            let Entry::Line(_, words) = entry else { continue };
            if let Some(known) = super::SECTIONS.iter().find(|&&known| known == &words[0]) {
                (section, name) = (*known, &words[1]);
                if matches!(section, "frontend" | "listen") {
                    names.frontends.push(name.to_owned());
                }
                if matches!(section, "backend" | "listen") {
                    names.backends.push((name.to_owned(), Vec::new()));
                }
                continue;
            }
            let is_backend = matches!(section, "backend" | "listen");
            match &words[0] {
                "server" if is_backend && words.has(2) => {
                    if let Some((_, servers)) = names.backends.last_mut() {
                        servers.push(words[1].to_owned());
                    }
                }
                "stick-table"
                    if (is_backend || section == "frontend")
                        && !names.tables.iter().any(|known| known == name) =>
                {
                    names.tables.push(name.to_owned());
                }
                _ => {}
            }
        }
        names
    }

    /// The frontend of this name.
    pub(super) fn frontend(&self, name: &str) -> Option<FrontendId> {
        let at = self.frontends.iter().position(|known| known == name)?;
        Some(FrontendId(at as u16))
    }

    /// The backend of this name.
    pub(super) fn backend(&self, name: &str) -> Option<BackendId> {
        let at = self.backends.iter().position(|(known, _)| known == name)?;
        Some(BackendId(at as u16))
    }

    /// The stick table of this name.
    pub(super) fn table(&self, name: &str) -> Option<TableId> {
        let at = self.tables.iter().position(|known| known == name)?;
        Some(TableId(at as u16))
    }

    /// The server of this name in `backend`.
    pub(super) fn server(&self, backend: BackendId, name: &str) -> Option<ServerId> {
        let (_, servers) = self.backends.get(usize::from(backend.0))?;
        let index = servers.iter().position(|known| known == name)?;
        Some(ServerId { backend, index: index as u16 })
    }
}
