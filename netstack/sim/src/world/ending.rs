//! The end of a world: everything must be over, accounted for, and given back.

use penstock_stack::{Counters, Drop, Event as Counted, Steering};

use super::{Outcome, Station, World};
use crate::card::{CardCounters, SimQueue};
use crate::host::Host;
use crate::ledger::{Conversation, End, Reading, Record};
use crate::plan::What;
use crate::scene::Check;

impl World {
    /// Judges what is left, and takes the world apart.
    pub(super) fn conclude(mut self) -> Outcome {
        self.judge_conversations();
        if !self.scene.is_violated() {
            self.settle();
        }
        if !self.scene.is_violated() {
            self.judge_hosts();
        }
        let ledger = self.scene.ledger.borrow();
        let completed = ledger.records.iter().filter(|record| record.is_complete()).count();
        let all = ledger.records.len();
        drop(ledger);
        Outcome {
            violations: self.scene.take_violations(),
            digest: self.trace.digest(),
            frames: self.trace.frames(),
            elapsed_us: self.scene.now_us(),
            completed: (completed, all),
            log: self.scene.take_log(),
            counters: self.counters(),
            plan: self.plan,
        }
    }

    fn judge_conversations(&self) {
        let ledger = self.scene.ledger.borrow();
        for (number, record) in ledger.records.iter().enumerate() {
            if self.scene.is_violated() {
                return;
            }
            if !record.is_over() {
                let (initiator, acceptor) = (record.initiator, record.acceptor);
                let text = format!("conversation {number}: {initiator:?} / {acceptor:?}");
                self.violate(Check::Ends, text);
            } else if self.plan.must_complete
                && record.plan.is_orderly()
                && !record.is_complete()
                && !is_unheard(record)
            {
                let (initiator, acceptor) = (record.initiator, record.acceptor);
                let text = format!("conversation {number}: {initiator:?} / {acceptor:?}");
                self.violate(Check::Completes, text);
            }
            self.judge_ghosts(number, record);
        }
        let is_open = !self.is_over();
        if is_open && !self.scene.is_violated() {
            self.violate(Check::Ends, "a connection that belongs to no conversation".into());
        }
    }

    /// Only a cookie, or a host that forgot, makes two connections out of one.
    fn judge_ghosts(&self, number: usize, record: &Record) {
        let to = &self.plan.hosts[record.plan.to];
        let keeps_state = to.config.tcp.syncookies == penstock_stack::SynCookies::Never;
        let forgets = self
            .plan
            .incidents
            .iter()
            .any(|incident| matches!(incident.what, What::Reboot { .. } | What::Die { .. }));
        if record.ghosts > 0 && keeps_state && !forgets {
            let text = format!("conversation {number} was accepted {} times", record.ghosts + 1);
            self.violate(Check::Upcall, text);
        }
    }

    /// Lets TIME-WAIT, orphans and slow descriptors run out.
    fn settle(&mut self) {
        let limit_us = self.scene.now_us() + SETTLE_US;
        while let Some((at_us, event)) = self.events.next() {
            if at_us > limit_us {
                break;
            }
            self.scene.set_now(at_us);
            self.handle(event);
            if self.scene.is_violated() || (!self.events.has_work() && self.is_empty()) {
                break;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.stations.iter().all(|station| match station {
            Station::Host(host) => {
                (0..host.cores.len()).all(|core| leftovers(host, core).is_none())
            }
            _ => true,
        })
    }

    fn judge_hosts(&self) {
        for station in &self.stations {
            let Station::Host(host) = station else { continue };
            for core in 0..host.cores.len() {
                if let Some(text) = leftovers(host, core) {
                    self.violate(Check::Leak, format!("host {} core {core}: {text}", host.number));
                }
                host.check_worker(core);
            }
            if host.is_up() {
                self.judge_account(host);
                self.judge_steering(host);
                if self.plan.is_clean && !self.found_full(Drop::MailFull) {
                    self.judge_clean(host);
                }
            }
        }
        let is_crowded =
            self.found_full(Drop::MailFull) || self.found_full(Drop::NeighbourQueueFull);
        if self.plan.is_clean && !is_crowded && self.questions_unanswered() > 0 {
            self.violate(Check::Clean, "a question went unanswered".into());
        }
    }

    fn judge_account(&self, host: &Host) {
        let delivered: u64 = host.cards.iter().map(|card| card.borrow().counters.delivered).sum();
        let taken = host.count(Counted::InFrames);
        if delivered != taken {
            let text =
                format!("host {}: {delivered} frames delivered, {taken} counted", host.number);
            self.violate(Check::Account, text);
        }
        let refused: u64 =
            host.cores.iter().map(|core| refused_as_damaged(core.worker.counters())).sum();
        let damaged = host.observer.damaged;
        if refused < damaged && self.plan.heckler.is_none() {
            let text = format!("host {}: {damaged} damaged frames, {refused} dropped", host.number);
            self.violate(Check::Account, text);
        }
        let sent: u64 = host.cards.iter().map(|card| card.borrow().counters.sent).sum();
        let counted = host.count(Counted::OutFrames);
        let cuts = host.plan.cards.iter().any(|card| card.segmentation);
        if sent < counted || (sent > counted && !cuts) {
            let text = format!("host {}: {sent} frames sent, {counted} counted", host.number);
            self.violate(Check::Account, text);
        }
    }

    /// With rules programmed, no frame crosses between cores.
    fn judge_steering(&self, host: &Host) {
        let is_programmed = host
            .plan
            .config
            .interfaces
            .iter()
            .all(|interface| interface.steering != Steering::Unknown)
            && host.plan.listening == host.plan.config.cores;
        let misdirected = host.count(Counted::RfdMisdirected);
        if is_programmed && self.plan.heckler.is_none() && misdirected > 0 {
            let text = format!("host {}: {misdirected} frames reached a wrong core", host.number);
            self.violate(Check::Steering, text);
        }
    }

    /// Frames that had to cross between cores, or to wait for a neighbour, found no room.
    fn found_full(&self, reason: Drop) -> bool {
        self.stations.iter().any(|station| match station {
            Station::Host(host) => {
                let mut cores = host.cores.iter().map(|core| core.worker.counters());
                cores.any(|counters| counters.drops(reason) > 0)
            }
            Station::Foreign(_) | Station::Router(_) => false,
        })
    }

    /// Nothing was in anybody's way.
    fn judge_clean(&self, host: &Host) {
        // Probes of a shut window lie outside of it.
        let is_eager = |conversation: &Conversation| {
            conversation.initiator.reading == Reading::Eager
                && conversation.acceptor.reading == Reading::Eager
        };
        let pauses = !self.plan.conversations.iter().all(is_eager);
        // What found no room to wait for its neighbour is sent again, and may then come twice.
        let is_repeated = self.found_full(Drop::NeighbourQueueFull);
        for (number, core) in host.cores.iter().enumerate() {
            let counters = core.worker.counters();
            for &reason in Drop::ALL.iter().filter(|reason| !EXCUSED.contains(reason)) {
                let count = counters.drops(reason);
                let may_be = reason == Drop::TcpOutOfWindow && (pauses || is_repeated);
                if count > 0 && !may_be {
                    let text =
                        format!("host {} core {number}: {} {count}", host.number, reason.name());
                    self.violate(Check::Clean, text);
                }
            }
        }
        let again = host.observer.resent;
        if again > 0 && !is_repeated {
            let text = format!("host {}: {again} segments sent again", host.number);
            self.violate(Check::Clean, text);
        }
        for card in &host.cards {
            let CardCounters { missed, .. } = card.borrow().counters;
            if missed > 0 {
                self.violate(Check::Clean, format!("host {}: {missed} frames missed", host.number));
            }
        }
        let ledger = self.scene.ledger.borrow();
        let failed = ledger.records.iter().position(|record| {
            let bad = |end: Option<End>| {
                matches!(end, Some(End::Closed(reason)) if reason != penstock_stack::Close::Finished)
            };
            bad(record.initiator.end) || bad(record.acceptor.end)
        });
        if let Some(number) = failed {
            let record = &ledger.records[number];
            let text = format!(
                "conversation {number} ended {:?} / {:?}",
                record.initiator.end, record.acceptor.end
            );
            self.violate(Check::Clean, text);
        }
    }

    fn questions_unanswered(&self) -> u64 {
        let answered: u64 = self
            .stations
            .iter()
            .map(|station| match station {
                Station::Host(host) => {
                    host.cores.iter().map(|core| core.worker.app().answered).sum()
                }
                _ => 0,
            })
            .sum();
        (self.plan.questions.len() as u64).saturating_sub(answered)
    }

    fn counters(&self) -> Vec<(String, Vec<(&'static str, u64)>)> {
        let mut all = Vec::new();
        for station in &self.stations {
            match station {
                Station::Host(host) => host_counters(host, &mut all),
                Station::Router(router) => {
                    let counters = &router.counters;
                    let named = vec![
                        ("forwarded", counters.forwarded),
                        ("answered", counters.answered),
                        ("too_big", counters.too_big),
                        ("expired", counters.expired),
                        ("no_route", counters.no_route),
                        ("damaged", counters.damaged),
                        ("ignored", counters.ignored),
                    ];
                    all.push(("router".to_owned(), named));
                }
                Station::Foreign(_) => {}
            }
        }
        for (number, port) in self.ports.iter().enumerate() {
            let counters = port.link.counters;
            let named = vec![
                ("carried", counters.carried),
                ("lost", counters.lost),
                ("queue_full", counters.queue_full),
                ("duplicated", counters.duplicated),
                ("reordered", counters.reordered),
                ("corrupted", counters.corrupted),
                ("raised", counters.raised),
                ("cut", counters.cut + port.lost_down),
            ];
            all.push((format!("link {number}"), named));
        }
        for (_, counters) in &mut all {
            counters.retain(|(_, count)| *count > 0);
        }
        all
    }
}

fn host_counters(host: &Host, all: &mut Vec<(String, Vec<(&'static str, u64)>)>) {
    for (number, core) in host.cores.iter().enumerate() {
        let owner = format!("host {} core {number}", host.number);
        all.push((owner, core.worker.counters().iter().collect()));
    }
    let (beyond, fins_beyond) = host.observer.beyond;
    let named = vec![("beyond_window", beyond), ("fins_beyond_window", fins_beyond)];
    all.push((format!("host {}", host.number), named));
    for (number, card) in host.cards.iter().enumerate() {
        let counters = card.borrow().counters;
        let named = vec![
            ("delivered", counters.delivered),
            ("missed", counters.missed),
            ("filtered", counters.filtered),
            ("damaged", counters.damaged),
            ("sent", counters.sent),
            ("matched", counters.matched),
        ];
        all.push((format!("host {} card {number}", host.number), named));
    }
}

/// Frames that were dropped for what they are, not for what they mean.
fn refused_as_damaged(counters: &Counters) -> u64 {
    let reasons = [
        Drop::InHdrErrors,
        Drop::OtherStation,
        Drop::Vlan,
        Drop::EtherType,
        Drop::IpChecksum,
        Drop::Fragment,
        Drop::Extension,
        Drop::IpSource,
        Drop::InAddrErrors,
        Drop::UnknownProtocol,
        Drop::TcpHeader,
        Drop::TcpChecksum,
        Drop::TcpGroup,
        Drop::UdpHeader,
        Drop::UdpChecksum,
        Drop::ArpMalformed,
        Drop::IcmpMalformed,
        Drop::IcmpChecksum,
        Drop::NdpMalformed,
        Drop::NdpIgnored,
        Drop::NotMember,
        Drop::ArpIgnored,
        Drop::MailFull,
        Drop::MailTooLong,
        Drop::MailStray,
    ];
    reasons.iter().map(|&reason| counters.drops(reason)).sum()
}

/// Whether it did not come about because every question for a neighbour was lost, or its answer: a network
/// that loses may lose three in a row. In one that does not, [`World::judge_clean`] forgives no such end.
fn is_unheard(record: &Record) -> bool {
    record.initiator.end == Some(End::Closed(penstock_stack::Close::NoNeighbour))
}

/// What a worker still holds that it should not.
fn leftovers(host: &Host, core: usize) -> Option<String> {
    let worker = &host.cores[core].worker;
    let census = worker.census();
    let chunks = host.plan.config.capacity.chunks;
    let outstanding: usize =
        (0..host.cards.len()).filter_map(|at| worker.queue(at)).map(SimQueue::outstanding).sum();
    let is_empty = census.connections == 0
        && census.half_open == 0
        && census.time_wait == 0
        && census.flights == 0
        && census.chunks_free == chunks
        && census.chunks_dying == 0
        && outstanding == 0
        && !host.cards.iter().any(|card| card.borrow().has_frames(core));
    (!is_empty).then(|| format!("{census:?}, {outstanding} descriptors, of {chunks} chunks"))
}

/// What happens on a quiet LAN too: announcements, questions to others, many segments at once to a
/// neighbour not known yet.
const EXCUSED: &[Drop] = &[
    Drop::ArpIgnored,
    Drop::IcmpIgnored,
    Drop::NdpIgnored,
    Drop::NeighbourQueueFull,
    Drop::NotMember,
    Drop::OtherStation,
];

/// TIME-WAIT, FIN-WAIT-2 of orphans, and the last retransmissions of connections nobody answers.
const SETTLE_US: u64 = 2_500_000_000;
