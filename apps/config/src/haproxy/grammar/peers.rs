//! `peers`: machines that keep the same stick tables. Nothing is told to other machines yet: a section
//! is read, and a table may name one in which there is nobody else.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::address::{self, Allowed};
use super::cx::Cx;
use super::draft::Draft;
use super::lines::Spot;
use super::text::invalid_in_name;
use super::words::Words;

/// A section.
#[derive(Debug)]
pub(super) struct Peers {
    name: String,
    spot: Spot,
    /// How many have an address, whoever they are.
    others: u32,
    has_peer: bool,
    has_bind: bool,
}

/// A section begins.
pub(super) fn begin(cx: &mut Cx<'_>, words: &Words) {
    let name = &words[1];
    if !words.has(1) {
        cx.alert("missing name for peers section.");
        cx.messages.abort = true;
        return;
    }
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if let Some(wrong) = invalid_in_name(name) {
        cx.alert(&format!("character '{wrong}' is not permitted in 'peers' name '{name}'."));
        cx.messages.abort = true;
        return;
    }
    if let Some(other) = cx.peers.iter().find(|other| other.name == name) {
        let (own, other) = (&cx.spot, &other.spot);
        let text = format!(
            "Parsing [{}:{}]: peers section '{name}' has the same name as another peers section \
             declared at {}:{}.",
            own.file, own.line, other.file, other.line
        );
        cx.messages.alert(text);
    }
    cx.notice("peers", "'peers' has no effect: tables are not told to other machines yet.");
    cx.peers.push(Peers {
        name: name.to_owned(),
        spot: cx.spot.clone(),
        others: 0,
        has_peer: false,
        has_bind: false,
    });
}

/// A line of it.
pub(super) fn line(cx: &mut Cx<'_>, words: &Words) {
    let keyword = &words[0];
    let (address, is_peer) = match keyword {
        "bind" => (&words[1], false),
        "peer" | "server" => (&words[2], true),
        "default-bind" | "default-server" | "log" | "disabled" | "enabled" => return,
        "table" => return cx.alert("'table' in 'peers' section is not supported yet."),
        _ => return cx.alert(&format!("unknown keyword '{keyword}' in 'peers' section")),
    };
    let Some(section) = cx.peers.last_mut() else { return };
    section.has_bind |= !is_peer;
    section.has_peer |= keyword == "peer";
    section.others += u32::from(is_peer && !address.is_empty());
    if section.has_bind && section.has_peer {
        return cx.alert("mixing \"peer\" and \"bind\" line is forbidden");
    }
    // Whoever has none is this machine.
    if is_peer && address.is_empty() {
        return;
    }
    let allowed = Allowed { name: true, port_mandatory: !is_peer, ..Allowed::default() };
    if let Err(wrong) = address::parse(&cx.environment, address, allowed) {
        let wrong = wrong.trim_end_matches('\n');
        if is_peer {
            let text = format!("'server (null)/{}' : {wrong}\n", &words[1]);
            return super::server::alert(cx, "", &text);
        }
        cx.alert(&format!("'bind {address}' : {wrong}"));
    }
}

/// Whom a section's table is told to.
pub(super) fn of_table(cx: &mut Cx<'_>, draft: &Draft) {
    let Some(wanted) = &draft.table_peers else { return };
    let name = &draft.name;
    match cx.peers.iter().find(|known| known.name == *wanted) {
        None => cx
            .messages
            .alert(format!("Proxy '{name}': unable to find sync peers '{wanted}'.")),
        // With a `bind`, this machine is none of those that have an address.
        Some(known) if known.others > u32::from(!known.has_bind) => cx.messages.alert(format!(
            "Proxy '{name}': a stick-table that others in 'peers {wanted}' keep too is not supported yet."
        )),
        Some(_) => {}
    }
}
