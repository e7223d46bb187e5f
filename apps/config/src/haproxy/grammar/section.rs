//! Line after line: which section it belongs to, and what it inherits.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::environment::Environment;
use super::global::{self, GlobalDraft};
use super::lines::{self, Entry, Spot};
use super::message::{Messages, Severity};
use super::names::Names;
use super::option::Prefix;
use super::text::invalid_in_name;
use super::variables::VariableNames;
use super::words::Words;
use super::{Input, Reading, finish, known, peers, proxy, resolvers, users};
use crate::haproxy::Mode;

/// Where lines go.
enum Current {
    /// No section has begun.
    Nothing,
    Global,
    /// A section of proxies whose keyword was wrong, before any right one.
    NoProxy,
    Defaults(usize),
    Proxy(usize),
    /// A section that is not supported: its lines are passed over.
    Unsupported,
    Resolvers,
    Peers,
    Users,
}

struct Sections {
    current: Current,
    /// Each `defaults` section; the last is the one that is inherited from.
    defaults: Vec<Draft>,
    /// The one that lines without `from` inherit from.
    last: Option<usize>,
    proxies: Vec<Draft>,
    /// Of a line that had more than one, those beyond the first.
    extra_mistakes: u32,
    /// Of each `defaults` with rules, which kind of section has inherited them.
    heirs: Vec<Option<Kind>>,
    /// Which `defaults` were named by `from`, and which were inherited from without.
    references: Vec<(bool, bool)>,
}

pub(super) fn read(input: &Input<'_>) -> Reading {
    let entries = lines::cut(input);
    let nowhere = Spot { file: Rc::from(""), line: 0 };
    let mut cx = Cx {
        input,
        environment: Environment::of(input),
        names: Names::of(&entries),
        variables: VariableNames::default(),
        resolvers: Vec::new(),
        counts_rates: false,
        peers: Vec::new(),
        users: Vec::new(),
        messages: Messages { lenient: input.lenient, ..Messages::default() },
        spot: nowhere.clone(),
        section: "",
        global: GlobalDraft::default(),
        unresolved: BTreeMap::new(),
        used_ids: BTreeMap::new(),
        tables: BTreeMap::new(),
        head: String::new(),
        noticed: Vec::new(),
    };
    let mut sections = Sections {
        current: Current::Nothing,
        defaults: Vec::new(),
        last: None,
        proxies: Vec::new(),
        extra_mistakes: 0,
        references: Vec::new(),
        heirs: Vec::new(),
    };
    sections.read_all(&mut cx, entries);
    if !cx.messages.fatal {
        users::finish(&mut cx);
    }
    if cx.messages.fatal {
        hint(&mut cx.messages);
        if !cx.messages.abort {
            cx.messages.alert(FATAL.into());
        }
        return Reading { proxies: None, messages: cx.messages.said };
    }
    let proxies = finish::finish(&mut cx, sections.proxies);
    if cx.messages.fatal {
        hint(&mut cx.messages);
        cx.messages.alert(FATAL.into());
    } else if cx.global.global.zero_warning && cx.messages.has_warnings() {
        cx.messages.alert("Some warnings were found and 'zero-warning' is set. Aborting.".into());
    }
    let proxies = (!cx.messages.fatal).then_some(proxies);
    Reading { proxies, messages: cx.messages.said }
}

/// Tells whoever cannot wait for what is missing what he can do.
fn hint(messages: &mut Messages) {
    if messages.missing && !messages.lenient {
        messages.notice(HINT.into());
    }
}

const HINT: &str = "conf.lenient=1 on this command line leaves out what is not supported yet, and all of 'mode http'.";
const FATAL: &str = "Fatal errors found in configuration.";

/// HAProxy stops after so many mistakes in a file.
const MISTAKES_MAX: u32 = 50;

impl Sections {
    fn read_all(&mut self, cx: &mut Cx<'_>, entries: Vec<Entry>) {
        let (mut mistakes, mut skips, mut is_wrong) = (0, false, false);
        for entry in entries {
            if let Entry::End(file) = &entry {
                if is_wrong {
                    let text = format!("Error(s) found in configuration file : {file}");
                    cx.messages.alert(text);
                }
                if cx.messages.abort {
                    return;
                }
                (mistakes, skips, is_wrong) = (0, false, false);
                self.current = Current::Nothing;
                continue;
            }
            if skips || cx.messages.abort {
                continue;
            }
            let was_fatal = core::mem::take(&mut cx.messages.fatal);
            match entry {
                Entry::Line(spot, words) => {
                    cx.spot = spot;
                    cx.head.clear();
                    if mistakes >= MISTAKES_MAX {
                        let text = format!("too many fatal errors ({mistakes}), stopping now.");
                        cx.alert_tight(&text);
                        skips = true;
                    } else {
                        self.line(cx, words);
                    }
                }
                Entry::Say(Severity::Alert, text) => cx.messages.alert(text),
                Entry::Say(severity, text) | Entry::Remark(severity, text) => match severity {
                    Severity::Warning => cx.messages.warn(text),
                    _ => cx.messages.notice(text),
                },
                Entry::Stop { text, aborts } => {
                    cx.messages.alert(text);
                    cx.messages.abort |= aborts;
                    skips = true;
                }
                Entry::End(_) => {}
            }
            mistakes += u32::from(cx.messages.fatal) + core::mem::take(&mut self.extra_mistakes);
            is_wrong |= cx.messages.fatal;
            cx.messages.fatal |= was_fatal;
        }
    }

    fn line(&mut self, cx: &mut Cx<'_>, mut words: Words) {
        let prefix = match &words[0] {
            "no" => Prefix::No,
            "default" => Prefix::Default,
            _ => Prefix::None,
        };
        match prefix {
            Prefix::None => {}
            Prefix::No => words.shift(),
            Prefix::Default => words.shift_but_last(),
        }
        if prefix != Prefix::None && !MAY_BE_NEGATED.contains(&&words[0]) {
            self.extra_mistakes += 1;
            cx.alert_tight(
                "negation/default currently supported only for options, log, busy-polling, \
                     set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.",
            );
        }
        if let Some(&section) = super::SECTIONS.iter().find(|&&known| known == &words[0]) {
            cx.section = section;
            match section {
                "resolvers" => {
                    self.current = Current::Resolvers;
                    resolvers::begin(cx, &words);
                }
                "peers" => {
                    self.current = Current::Peers;
                    peers::begin(cx, &words);
                }
                "userlist" => {
                    self.current = Current::Users;
                    users::begin(cx, &words);
                }
                "global" => {
                    self.current = Current::Global;
                    cx.at_most(&words, 0, 0);
                }
                "defaults" => self.begin(cx, Kind::Defaults, &words),
                "frontend" => self.begin(cx, Kind::Frontend, &words),
                "backend" => self.begin(cx, Kind::Backend, &words),
                "listen" => self.begin(cx, Kind::Listen, &words),
                _ => {
                    self.current = Current::Unsupported;
                    cx.alert(&format!("section '{section}' is not supported yet."));
                }
            }
            return;
        }
        match self.current {
            Current::Nothing => {
                let word = words[0].to_owned();
                cx.alert_tight(&format!("unknown keyword '{word}' out of section."));
            }
            Current::Unsupported => {}
            Current::Resolvers => resolvers::line(cx, &words),
            Current::Peers => peers::line(cx, &words),
            Current::Users => users::line(cx, &words),
            Current::NoProxy => cx.alert("'listen' or 'defaults' expected."),
            Current::Global => global::line(cx, &words, prefix),
            Current::Defaults(at) => Self::proxy_line(cx, &mut self.defaults[at], &words, prefix),
            Current::Proxy(at) => Self::proxy_line(cx, &mut self.proxies[at], &words, prefix),
        }
    }

    fn proxy_line(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, prefix: Prefix) {
        cx.messages.left_out = cx.messages.lenient && draft.mode == Mode::Http;
        let missed = core::mem::take(&mut cx.messages.missing);
        match proxy::KEYWORDS.iter().find(|(known, _)| *known == &words[0]) {
            Some((_, parse)) => parse(cx, draft, words, prefix),
            None => known::in_proxy(cx, words),
        }
        if cx.messages.missing && &words[0] == "acl" {
            draft.missing_acls.push(words[1].to_owned());
        }
        cx.messages.missing |= missed;
        cx.messages.left_out = false;
    }

    /// A section of proxies.
    fn begin(&mut self, cx: &mut Cx<'_>, kind: Kind, words: &Words) {
        let name = words[1].to_owned();
        if kind != Kind::Defaults && !self.is_good_head(cx, kind, &name, words) {
            return;
        }
        let unnamed = &words[1] == "from" && words.has(2) && !words.has(3);
        let (name, from_at) = match kind {
            Kind::Defaults if unnamed => (String::new(), 1),
            _ => (name, 2),
        };
        let mut parent = if kind == Kind::Defaults { None } else { self.last };
        if &words[from_at] == "from" {
            match self.named_parent(cx, kind, &name, &words[from_at + 1]) {
                Some(found) => parent = Some(found),
                None => return,
            }
            if let Some(parent) = parent {
                self.references[parent].0 = true;
            }
        } else if let Some(parent) = parent {
            self.references[parent].1 = true;
        }
        if let Some(parent) = parent
            && self.references[parent] == (true, true)
        {
            let Draft { name, spot, .. } = &self.defaults[parent];
            let text = format!(
                "defaults section '{name}' (declared at {}:{}) is explicitly referenced by another \
                 proxy and implicitly used here. To avoid any ambiguity don't mix both usage. Add a \
                 last defaults section not explicitly used or always use explicit references.",
                spot.file, spot.line
            );
            cx.complain(&text);
        }
        let draft = match parent {
            Some(parent) => self.defaults[parent].heir(kind, &name, &cx.spot),
            None => Draft::preset(&cx.spot).heir(kind, &name, &cx.spot),
        };
        if !self.may_inherit_rules(cx, kind, parent) {
            return;
        }
        if kind == Kind::Defaults {
            self.defaults.push(draft);
            self.references.push((false, false));
            self.heirs.push(None);
            self.last = Some(self.defaults.len() - 1);
            self.current = Current::Defaults(self.defaults.len() - 1);
        } else {
            self.proxies.push(draft);
            self.current = Current::Proxy(self.proxies.len() - 1);
        }
    }

    /// The name of a proxy, and that nothing else has it.
    fn is_good_head(&mut self, cx: &mut Cx<'_>, kind: Kind, name: &str, words: &Words) -> bool {
        let keyword = kind.keyword();
        if name.is_empty() {
            self.current = Current::NoProxy;
            cx.alert(&format!("'{keyword}' expects an <id> argument"));
            cx.messages.abort = true;
            return false;
        }
        if let Some(wrong) = invalid_in_name(name) {
            cx.alert(&format!(
                "character '{wrong}' is not permitted in '{keyword}' name '{name}'."
            ));
        }
        let looks_for_frontend = kind != Kind::Backend;
        let other = self.proxies.iter().find(|other| {
            other.name == name
                && if looks_for_frontend { other.is_frontend() } else { other.is_backend() }
        });
        if let Some(Draft { kind: other, name, spot, .. }) = other {
            let text = format!(
                "Parsing [{}:{}]: {} '{name}' has the same name as {} '{name}' declared at {}:{}.",
                cx.spot.file,
                cx.spot.line,
                kind.noun(),
                other.noun(),
                spot.file,
                spot.line
            );
            cx.messages.alert(text);
        }
        let wrong = words.has(2) && (!words.has(3) || &words[2] != "from");
        if wrong || !cx.at_most(words, 3, 0) {
            if looks_for_frontend {
                cx.alert("please use the 'bind' keyword for listening addresses.");
            }
            self.current = Current::NoProxy;
            return false;
        }
        true
    }

    fn named_parent(&self, cx: &mut Cx<'_>, kind: Kind, name: &str, from: &str) -> Option<usize> {
        let mut found = self.defaults.iter().enumerate().filter(|(_, other)| other.name == from);
        let noun = kind.noun();
        let Some((first, draft)) = found.next() else {
            cx.alert(&format!("defaults section '{from}' not found for {noun} '{name}'."));
            cx.messages.abort = true;
            return None;
        };
        if let Some((_, second)) = found.next() {
            cx.alert(&format!(
                "ambiguous defaults section name '{from}' referenced by {noun} '{name}' exists at \
                 least at {}:{} and {}:{}.",
                draft.spot.file, draft.spot.line, second.spot.file, second.spot.line
            ));
        }
        if let Some(wrong) = invalid_in_name(from) {
            cx.alert(&format!(
                "character '{wrong}' is not permitted in defaults section name '{from}' when \
                 designated by its name (section found at {}:{}).",
                draft.spot.file, draft.spot.line
            ));
        }
        Some(first)
    }

    /// Rules in `defaults` are inherited by few: where it is said, by sections of one kind.
    fn may_inherit_rules(&mut self, cx: &mut Cx<'_>, kind: Kind, parent: Option<usize>) -> bool {
        let Some(at) = parent else { return true };
        let parent = &self.defaults[at];
        let early = !parent.connection_rules.is_empty() || !parent.session_rules.is_empty();
        let late = !parent.response_rules.is_empty();
        if !early && !late && parent.content_rules.is_empty() {
            return true;
        }
        let place = format!("(defaults section at {}:{})", parent.spot.file, parent.spot.line);
        let complaint = match kind {
            Kind::Defaults => format!(
                "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules {place}."
            ),
            Kind::Listen => {
                "a listen section cannot inherit from a defaults section defining TCP/HTTP rules."
                    .into()
            }
            _ if self.heirs[at].is_some_and(|other| other != kind) => format!(
                "frontends and backends cannot inherit from the same defaults section if it defines \
                 TCP/HTTP rules {place}."
            ),
            Kind::Backend if early => format!(
                "a backend section cannot inherit from a defaults section defining 'tcp-request \
                 connection' or 'tcp-request session' rules {place}."
            ),
            Kind::Frontend if late => format!(
                "a frontend section cannot inherit from a defaults section defining 'tcp-response \
                 content' rules {place}."
            ),
            Kind::Frontend | Kind::Backend => {
                self.heirs[at] = Some(kind);
                return true;
            }
        };
        cx.alert_tight(&complaint);
        cx.messages.abort = true;
        false
    }
}

const MAY_BE_NEGATED: &[&str] = &[
    "option",
    "log",
    "busy-polling",
    "set-dumpable",
    "strict-limits",
    "insecure-fork-wanted",
    "numa-cpu-mapping",
];
