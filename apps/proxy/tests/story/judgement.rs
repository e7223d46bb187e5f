//! What is to be said of a story that is over.

use std::collections::BTreeMap;

use penstock_proxy::proxy_protocol::Reader;

use super::Story;
use super::puppet::Voice;
use crate::world::server::Ways;

/// A session's line of the log.
#[derive(Debug)]
struct Line {
    end: String,
    said: usize,
    told: usize,
    /// Its server's number and the port that it was asked from, if it came to that.
    at: Option<(usize, u16)>,
}

impl Story {
    /// Returns how many sessions went well.
    pub(super) fn judge(&self) -> u64 {
        let remains = self
            .world
            .left_behind(|core| (core.app().is_idle(), core.app().statistics().to_string()));
        assert_eq!(remains, "", "left behind");
        for core in &self.world.cores {
            assert_eq!(core.app().believed_sessions(), 0, "a core believes in sessions elsewhere");
        }
        let lines = self.lines();
        let mut whole = 0;
        let mut clients: BTreeMap<u16, Vec<(&Voice, &[u8])>> = BTreeMap::new();
        for voice in &self.world.clients.app().voices {
            let (port, says) = self.without_header(voice);
            clients.entry(port).or_default().push((voice, says));
        }
        for (port, clients) in clients {
            // Who says that he is another cannot be told from him.
            let [(client, says)] = clients[..] else { continue };
            match lines.get(&port).map(Vec::as_slice) {
                None => assert!(client.heard.is_empty(), "no line of who heard: {client:?}"),
                Some([line]) => whole += u64::from(self.judge_session(client, says, line)),
                Some(lines) => panic!("one session, several lines: {lines:?}"),
            }
        }
        let mut asked: Vec<_> = lines.values().flatten().filter_map(|line| line.at).collect();
        asked.sort_unstable();
        for (number, server) in self.world.servers.iter().enumerate() {
            for voice in server.iter().flat_map(|server| &server.app().voices) {
                let is_known = asked.binary_search(&(number, voice.port)).is_ok();
                let heard = self.payload(voice);
                assert!(is_known || heard.is_empty(), "no session's, and heard: {voice:?}");
            }
        }
        whole
    }

    /// The sessions' lines by the client's port; as many as were let in.
    fn lines(&self) -> BTreeMap<u16, Vec<Line>> {
        let mut told = 0;
        let mut lines: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        for text in self.log.borrow().iter() {
            let Some(session) = text.strip_prefix("= ") else {
                told += u64::from(self.site.has_header && text.contains("/1: "));
                continue;
            };
            told += 1;
            let words: Vec<&str> = session.split_whitespace().collect();
            let number = |at: usize| words[at].parse().expect("a number");
            let server = words[4].strip_prefix('s').and_then(|number| number.parse().ok());
            let line = Line {
                end: words[1].to_owned(),
                said: number(2),
                told: number(3),
                at: server.zip(words[5].parse().ok()),
            };
            lines.entry(words[0].parse().expect("a port")).or_default().push(line);
        }
        let accepted = self.world.cores.iter().map(|core| core.app().statistics().accepted);
        let accepted = accepted.sum::<u64>();
        let fits = told == accepted || self.site.dismisses && told <= accepted;
        assert!(fits, "{told} lines, {accepted} were let in");
        lines
    }

    /// What a client heard is the beginning of what its server said, and the other way round. Returns
    /// whether both said something, and heard all.
    fn judge_session(&self, client: &Voice, says: &[u8], line: &Line) -> bool {
        let known =
            ["--", "CC", "CQ", "CR", "CD", "cC", "cQ", "cR", "cD", "SC", "SQ", "SD", "sC", "sQ"];
        let others = ["sD", "RC", "PR", "PD", "D-", "DC", "DD", "K-", "KC", "KD", "KQ", "KR"];
        let is_known = known.iter().chain(&others).any(|end| *end == line.end);
        assert!(is_known, "what is this? {line:?}");
        let told = || format!("{line:?}, said {} of {client:?}", says.len());
        assert!(line.said <= says.len(), "more is told than was said: {}", told());
        assert!(line.told >= client.heard.len(), "more was heard than told: {}", told());
        let Some((number, port)) = line.at else {
            assert!(client.heard.is_empty() && line.told == 0, "told by nobody: {}", told());
            return false;
        };
        // One that was killed is not asked any more.
        let Some(server) = self.world.servers.get(number).and_then(Option::as_ref) else {
            return false;
        };
        let Some(voice) = server.app().voices.iter().find(|voice| voice.port == port) else {
            assert!(client.heard.is_empty() && line.told == 0, "told by nobody: {}", told());
            return false;
        };
        let heard = self.payload(voice);
        let both = || format!("{} at {voice:?}", told());
        assert!(says.starts_with(heard), "a server hears what is not its client's: {}", both());
        assert!(line.said >= heard.len(), "more was heard than told: {}", both());
        assert!(voice.said.starts_with(&client.heard), "a client hears another's: {}", both());
        assert!(line.told <= voice.said.len(), "more is told than was said: {}", both());
        let is_whole = (heard.len(), client.heard.len()) == (says.len(), voice.said.len());
        let is_certain = line.end == "--" && !self.is_rough && !self.site.cuts_short;
        let may_differ = !is_certain || !client.was_patient() || !voice.was_patient();
        assert!(is_whole || may_differ, "a part is missing: {}", both());
        is_whole && line.end == "--" && !says.is_empty() && !voice.said.is_empty()
    }

    /// What a server heard behind the PROXY header that it was told.
    fn payload<'v>(&self, voice: &'v Voice) -> &'v [u8] {
        let ways = Ways { header: self.site.header_out, ..Ways::default() };
        let len = ways.header_bytes(&voice.heard).unwrap_or(usize::MAX);
        voice.heard.get(len..).unwrap_or_default()
    }

    /// The port that a client says is its own, and what it says behind that.
    fn without_header<'v>(&self, client: &'v Voice) -> (u16, &'v [u8]) {
        let mut reader = Reader::new();
        match reader.advance(&client.said) {
            _ if !self.site.has_header => (client.port, &client.said),
            Ok((len, Some(header))) => {
                let port = header.endpoints.map_or(client.port, |ends| ends.source.port);
                (port, &client.said[len..])
            }
            _ => (client.port, &[]),
        }
    }
}
