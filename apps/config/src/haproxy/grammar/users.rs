//! `userlist`: who may see what in HTTP. Read, and of no effect before that is spoken.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::text::invalid_in_name;
use super::words::Words;

/// A section.
#[derive(Debug)]
pub(super) struct UserList {
    name: String,
    /// Each with the groups that it is in, as they were written.
    users: Vec<(String, String)>,
    /// Each with its users.
    groups: Vec<(String, String)>,
}

/// A section begins.
pub(super) fn begin(cx: &mut Cx<'_>, words: &Words) {
    let name = &words[1];
    if !words.has(1) {
        return cx.alert_tight("'userlist' expects <name> as arguments.");
    }
    if !cx.at_most(words, 1, 0) || !is_name(cx, words) {
        return;
    }
    if cx.users.iter().any(|other| other.name == name) {
        return cx.warn_tight(&format!("ignoring duplicated userlist '{name}'."));
    }
    cx.notice("userlist", "'userlist' has no effect: HTTP is not spoken yet.");
    cx.users.push(UserList { name: name.to_owned(), users: Vec::new(), groups: Vec::new() });
}

fn is_name(cx: &mut Cx<'_>, words: &Words) -> bool {
    let (keyword, name) = (&words[0], &words[1]);
    let wrong = invalid_in_name(name);
    if let Some(wrong) = wrong {
        cx.alert_tight(&format!(
            "character '{wrong}' is not permitted in '{keyword}' name '{name}'."
        ));
    }
    wrong.is_none()
}

/// A line of it.
pub(super) fn line(cx: &mut Cx<'_>, words: &Words) {
    let (keyword, name) = (&words[0], &words[1]);
    let options: &[&str] = match keyword {
        "group" => &["users"],
        "user" => &["password", "insecure-password", "groups"],
        _ => return cx.alert_tight(&format!("unknown keyword '{keyword}' in 'users' section")),
    };
    if !words.has(1) {
        return cx.alert_tight(&format!("'{keyword}' expects <name> as arguments."));
    }
    if keyword == "group" && !is_name(cx, words) {
        return;
    }
    let Some(list) = cx.users.last_mut() else { return };
    let known = if keyword == "group" { &mut list.groups } else { &mut list.users };
    if known.iter().any(|(other, _)| other == name) {
        let list = &list.name;
        let text = format!("ignoring duplicated {keyword} '{name}' in userlist '{list}'.");
        return cx.warn_tight(&text);
    }
    known.push((name.to_owned(), String::new()));
    let mut at = 2;
    while words.has(at) {
        let (option, value) = (&words[at], &words[at + 1]);
        if !options.contains(&option) {
            return cx.alert_tight(match keyword {
                "group" => "'group' only supports 'users' option.",
                _ => "'user' only supports 'password', 'insecure-password' and 'groups' options.",
            });
        }
        if matches!(option, "users" | "groups")
            && let Some((_, others)) = known_of(cx, keyword).and_then(|known| known.last_mut())
        {
            value.clone_into(others);
        }
        at += 2;
    }
}

fn known_of<'c>(cx: &'c mut Cx<'_>, keyword: &str) -> Option<&'c mut Vec<(String, String)>> {
    let list = cx.users.last_mut()?;
    Some(if keyword == "group" { &mut list.groups } else { &mut list.users })
}

/// Users and groups that name each other.
pub(super) fn finish(cx: &mut Cx<'_>) {
    let lists = core::mem::take(&mut cx.users);
    for UserList { name: list, users, groups } in &lists {
        for (each, others, kind, other_kind) in
            [(users, groups, "user", "group"), (groups, users, "group", "user")]
        {
            for (own, wanted) in each {
                let mut wanted = wanted.split(',').filter(|name| !name.is_empty());
                if let Some(missing) =
                    wanted.find(|name| !others.iter().any(|(known, _)| known == name))
                {
                    return cx.messages.alert(format!(
                        "userlist '{list}': no such {other_kind} '{missing}' specified in {kind} '{own}'"
                    ));
                }
            }
        }
    }
}
