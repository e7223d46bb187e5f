//! What every keyword's function works with.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Input;
use super::environment::Environment;
use super::global::GlobalDraft;
use super::lines::Spot;
use super::message::Messages;
use super::names::Names;
use super::number::{self, NoTime, Unit};
use super::peers::Peers;
use super::users::UserList;
use super::variables::VariableNames;
use super::words::Words;
use crate::haproxy::{BindAddress, Place};

/// The state of reading.
pub(super) struct Cx<'i> {
    /// What is read.
    pub(super) input: &'i Input<'i>,
    /// What `$NAME` stands for at this line.
    pub(super) environment: Environment,
    /// All names.
    pub(super) names: Names,
    /// Variables that were named.
    pub(super) variables: VariableNames,
    /// What was said.
    pub(super) messages: Messages,
    /// `resolvers` sections.
    pub(super) resolvers: Vec<crate::haproxy::Resolvers>,
    /// Somebody asks how many sessions come in a second.
    pub(super) counts_rates: bool,
    /// `peers` sections.
    pub(super) peers: Vec<Peers>,
    /// `userlist` sections.
    pub(super) users: Vec<UserList>,
    /// The line.
    pub(super) spot: Spot,
    /// The name of its section's keyword.
    pub(super) section: &'static str,
    /// The section `global`.
    pub(super) global: GlobalDraft,
    /// By section, names in arguments of samples that stand for nothing: told at the end.
    pub(super) unresolved: BTreeMap<String, Vec<String>>,
    /// Numbers that sections were given: whose, and where it began.
    pub(super) used_ids: BTreeMap<u32, (&'static str, String, Spot)>,
    /// Stick tables by name: what section has it, and where.
    pub(super) tables: BTreeMap<String, (&'static str, String)>,
    /// What stands before warnings of this line: of a server, its name.
    pub(super) head: String,
    /// Keywords of which it was said that they mean nothing here.
    pub(super) noticed: Vec<String>,
}

impl Cx<'_> {
    /// Where the line stands, as HAProxy says it.
    pub(super) fn at(&self) -> String {
        format!("parsing [{}:{}]", self.spot.file, self.spot.line)
    }

    /// Where the line stands.
    pub(super) fn place(&self) -> Place {
        Place { file: super::text::readable(&self.spot.file), line: self.spot.line }
    }

    /// A mistake of this line.
    pub(super) fn alert(&mut self, text: &str) {
        let text = format!("{} : {text}", self.at());
        self.messages.alert(text);
    }

    /// A mistake of this line; HAProxy spells some without the space.
    pub(super) fn alert_tight(&mut self, text: &str) {
        let text = format!("{}: {text}", self.at());
        self.messages.alert(text);
    }

    /// A mistake that does not keep HAProxy from running.
    pub(super) fn complain(&mut self, text: &str) {
        let text = format!("{} : {text}", self.at());
        self.messages.complain(text);
    }

    /// A warning about this line.
    pub(super) fn warn(&mut self, text: &str) {
        let text = format!("{} : {text}", self.at());
        self.messages.warn(text);
    }

    /// A warning about this line, spelled without the space.
    pub(super) fn warn_tight(&mut self, text: &str) {
        let text = format!("{}: {text}", self.at());
        self.messages.warn(text);
    }

    /// Something of this line has no effect here, or another one than in HAProxy. Told once for
    /// each keyword.
    pub(super) fn notice(&mut self, keyword: &str, text: &str) {
        if !self.has_noticed(keyword) {
            self.noticed.push(keyword.into());
            let text = format!("{} : {text}", self.at());
            self.messages.notice(text);
        }
    }

    /// Whether that was told of this keyword.
    pub(super) fn has_noticed(&self, keyword: &str) -> bool {
        self.noticed.iter().any(|known| known == keyword)
    }

    /// Complains when there is more than `most` words behind the first `1 + skipped`.
    ///
    /// Returns whether there is not.
    pub(super) fn at_most(&mut self, words: &Words, most: usize, skipped: usize) -> bool {
        if !words.has(most + skipped + 1) {
            return true;
        }
        let keyword = words.0[..=skipped].join(" ");
        let extra = words[most + skipped + 1].to_owned();
        self.alert(&format!("'{keyword}' cannot handle unexpected argument '{extra}'."));
        false
    }

    /// A time, and the warning about what stands behind its unit.
    pub(super) fn time(&mut self, text: &str, unit: Unit) -> Result<u32, NoTime> {
        let time = number::time(text, unit)?;
        if let Some(behind) = time.behind {
            let head = &self.head;
            self.messages.warn(format!(
                "{head}unexpected character '{behind}' after the timer value '{text}', only \
                 (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. \
                 This will be reported as an error in next versions."
            ));
        }
        Ok(time.count)
    }

    /// The bytes of a file that the configuration names.
    pub(super) fn delivered(&self, path: &str) -> Option<Cow<'_, [u8]>> {
        self.input.delivered.bytes(&super::text::readable(path))
    }

    /// Where an open socket listens, which the process was given.
    pub(super) fn inherited(&self, descriptor: &str) -> Option<BindAddress> {
        self.input.delivered.socket(descriptor)
    }
}
