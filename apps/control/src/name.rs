//! What is known of a name, and for how long it counts when nobody tells of it any more.

use alloc::string::String;
use core::net::IpAddr;

use penstock_config::haproxy::Patience;
use penstock_stack::{Duration, Instant};
use penstock_wire::Addr;

use crate::application::Absence;
use crate::dns::{Addresses, Family, WireName};
use crate::hosts::Hosts;
use crate::limits;

#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) wire: Option<WireName>,
    pub(crate) patience: Option<Patience>,
    /// IPv4 and IPv6.
    pub(crate) known: [Known; 2],
    /// When an address was last told of.
    pub(crate) valid_at: Option<Instant>,
    /// Why it has no address, if it has none.
    pub(crate) absence: Absence,
    /// Somebody has answered, ever.
    pub(crate) is_answered: bool,
    pub(crate) has_news: bool,
    /// What was told last.
    pub(crate) told: Option<Addresses>,
}

/// What is known of a name in one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) addresses: Addresses,
    /// When each of them was last told of.
    pub(crate) told_at: [Instant; limits::ADDRESSES_PER_NAME],
    /// Why none was told of, the last time.
    pub(crate) absence: Option<Absence>,
    /// Somebody has answered, or nobody will for now.
    pub(crate) is_settled: bool,
    pub(crate) is_asked: bool,
    pub(crate) failures: u32,
    /// When to ask; `None`: never.
    pub(crate) ask_at: Option<Instant>,
}

impl Name {
    pub(crate) fn new(text: &str, patience: Option<Patience>, hosts: &Hosts, now: Instant) -> Name {
        let mut fixed = Addresses::default();
        match text.parse::<IpAddr>() {
            Ok(addr) => fixed.push(addr.into()),
            Err(_) => hosts.of(text).for_each(|addr| fixed.push(addr)),
        }
        let wire = WireName::parse(text);
        let is_fixed = fixed.count > 0 || wire.is_none();
        let unknown = Known {
            addresses: Addresses::default(),
            told_at: [now; limits::ADDRESSES_PER_NAME],
            absence: None,
            is_settled: is_fixed,
            is_asked: false,
            failures: 0,
            ask_at: (!is_fixed).then_some(now),
        };
        let known = [Known { addresses: fixed, ..unknown }, unknown];
        Name {
            text: text.into(),
            wire,
            patience,
            known,
            valid_at: None,
            absence: Absence::NoSuchName,
            is_answered: is_fixed,
            has_news: is_fixed,
            told: is_fixed.then_some(fixed),
        }
    }

    /// How long it is not asked for after it was.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.patience.map(|patience| patience.pause.max(SHORT))
    }

    /// Everything that is known, IPv4 first.
    pub(crate) fn addresses(&self) -> Addresses {
        let mut all = Addresses::default();
        let known = self.known.iter().flat_map(|known| known.addresses.as_slice());
        known.for_each(|&addr| all.push(addr));
        all
    }

    /// Takes in what was found out in a family, or why nothing was. Whether there is something to tell: not
    /// before both families have been asked once.
    pub(crate) fn settle(
        &mut self,
        family: Family,
        found: Result<Addresses, Absence>,
        now: Instant,
        ask_at: Instant,
    ) -> bool {
        let known = &mut self.known[family as usize];
        known.is_asked = false;
        known.is_settled = true;
        known.ask_at = Some(ask_at);
        known.absence = found.err();
        match found {
            Ok(found) => {
                let obsolete = self.patience.map(|patience| patience.hold_obsolete);
                known.renew(found, now, obsolete);
                self.valid_at = Some(now);
            }
            Err(Absence::Silence | Absence::Refusal | Absence::Failure) => known.failures += 1,
            Err(absence @ (Absence::NoSuchName | Absence::NoAddress)) => {
                known.failures = 0;
                if self.patience.is_none() {
                    known.addresses = Addresses::default();
                    self.absence = absence;
                }
            }
        }
        self.is_answered |= known.failures == 0;
        if let Some(patience) = self.patience
            && !self.hold(&patience, now, ask_at)
        {
            return false;
        }
        let is_settled = self.known.iter().all(|known| known.is_settled);
        // That nobody has ever said anything is no news.
        let all = self.addresses();
        let is_told = self.told.is_some_and(|told| is_same_set(told.as_slice(), all.as_slice()));
        let news = is_settled && self.is_answered && !is_told;
        if news {
            (self.told, self.has_news) = (Some(all), true);
        }
        news
    }

    /// Lets go what has counted for long enough. Both families are asked for together, and the one that is
    /// settled last decides: false for the first.
    fn hold(&mut self, patience: &Patience, now: Instant, ask_at: Instant) -> bool {
        if self.known.iter().any(|known| known.is_asked || known.ask_at.is_some_and(|at| at <= now))
        {
            return false;
        }
        self.known.iter_mut().for_each(|known| known.ask_at = Some(ask_at));
        // Of two reasons the one in which a server has answered.
        let Some(absence) = self.known.map(|known| known.absence).into_iter().min().flatten()
        else {
            for known in &mut self.known {
                let has_none =
                    matches!(known.absence, Some(Absence::NoSuchName | Absence::NoAddress));
                known.addresses = if has_none { Addresses::default() } else { known.addresses };
            }
            return true;
        };
        let held = match absence {
            Absence::NoSuchName => patience.hold_nx,
            Absence::NoAddress | Absence::Failure => patience.hold_other,
            Absence::Silence => patience.hold_timeout,
            Absence::Refusal => patience.hold_refused,
        };
        if self.valid_at.is_none_or(|at| at + held <= now) {
            self.known.iter_mut().for_each(|known| known.addresses = Addresses::default());
            self.absence = absence;
        }
        true
    }
}

impl Known {
    /// These were told of, and others no longer, which go on to count for a while.
    fn renew(&mut self, found: Addresses, now: Instant, obsolete: Option<Duration>) {
        let (before, told_at) = (self.addresses, self.told_at);
        (self.addresses, self.failures) = (found, 0);
        self.told_at = [now; limits::ADDRESSES_PER_NAME];
        let Some(obsolete) = obsolete else { return };
        for (&addr, at) in before.as_slice().iter().zip(told_at) {
            let place = self.addresses.count;
            if at + obsolete > now {
                self.addresses.push(addr);
            }
            if self.addresses.count > place {
                self.told_at[place] = at;
            }
        }
    }
}

/// Servers turn the order of addresses round with each answer: that is no news.
fn is_same_set(one: &[Addr], other: &[Addr]) -> bool {
    one.len() == other.len() && one.iter().all(|addr| other.contains(addr))
}

/// No pause and no wait for an answer is shorter.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    //! How long the last addresses of a name count, by each reason for which nobody tells of them.

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(second: u64) -> Instant {
        Instant(0) + seconds(100 + second)
    }

    fn patience() -> Patience {
        Patience {
            hold_nx: seconds(10),
            hold_timeout: seconds(20),
            hold_refused: seconds(30),
            hold_other: seconds(40),
            hold_obsolete: seconds(5),
            ..Patience::default()
        }
    }

    fn told(last: &[u32]) -> Result<Addresses, Absence> {
        let mut addresses = Addresses::default();
        last.iter().for_each(|&last| addresses.push(Addr::v4(last)));
        Ok(addresses)
    }

    /// Asks for a name in both families, and hears this; whether there is something to tell.
    fn ask(name: &mut Name, now: Instant, heard: [Result<Addresses, Absence>; 2]) -> bool {
        name.known.iter_mut().for_each(|known| known.is_asked = true);
        let [v4, v6] = heard;
        let first = name.settle(Family::V4, v4, now, now + PAUSE);
        let last = name.settle(Family::V6, v6, now, now + PAUSE);
        assert!(name.patience.is_none() || !first, "the last decides");
        assert!(name.known.iter().all(|known| known.ask_at == Some(now + PAUSE)));
        first | last
    }

    fn named(patience: Option<Patience>) -> Name {
        let mut name = Name::new("web.example", patience, &Hosts::parse(""), at(0));
        assert!(ask(&mut name, at(0), [told(&[1]), Err(Absence::NoAddress)]));
        assert_eq!(name.addresses().as_slice(), [Addr::v4(1)]);
        name
    }

    #[test]
    fn what_is_not_told_any_more_counts_for_a_while() {
        let absences = [
            Absence::NoSuchName,
            Absence::Silence,
            Absence::Refusal,
            Absence::NoAddress,
            Absence::Failure,
        ];
        for (absence, held) in absences.into_iter().zip([10, 20, 30, 40, 40]) {
            let mut name = named(Some(patience()));
            for second in 1..held {
                assert!(!ask(&mut name, at(second), [Err(absence); 2]), "{absence:?} at {second}");
                assert_eq!(name.addresses().count, 1);
            }
            assert!(ask(&mut name, at(held), [Err(absence); 2]), "{absence:?}");
            assert_eq!((name.addresses().count, name.absence), (0, absence));
            assert!(!ask(&mut name, at(held + 1), [Err(absence); 2]), "said already");
            assert!(ask(&mut name, at(held + 2), [told(&[1]), Err(Absence::NoAddress)]));
            assert!(!ask(&mut name, at(held + 3), [Err(absence); 2]), "it counts from then on");
        }
    }

    #[test]
    fn one_family_is_enough() {
        let mut name = named(Some(patience()));
        for second in 1..100 {
            let (absence, held) = (Absence::NoAddress, told(&[1]));
            assert!(!ask(&mut name, at(second), [held, Err(absence)]));
        }
        assert!(ask(&mut name, at(100), [Err(Absence::NoAddress), told(&[6])]));
        assert_eq!(name.addresses().as_slice(), [Addr::v4(6)]);
    }

    #[test]
    fn an_address_that_answers_have_no_longer_counts_for_a_while() {
        let mut name = named(Some(patience()));
        let none = Err(Absence::NoAddress);
        assert!(ask(&mut name, at(1), [told(&[2]), none]));
        assert_eq!(name.addresses().as_slice(), [Addr::v4(2), Addr::v4(1)]);
        assert!(!ask(&mut name, at(4), [told(&[2]), none]));
        assert!(ask(&mut name, at(5), [told(&[2]), none]));
        assert_eq!(name.addresses().as_slice(), [Addr::v4(2)]);
    }

    /// That nobody has ever answered is no news; and without patience silence proves nothing.
    #[test]
    fn silence_of_a_name_without_patience_changes_nothing() {
        let mut name = named(None);
        for second in 1..100 {
            assert!(!ask(&mut name, at(second), [Err(Absence::Silence); 2]));
            assert!(!ask(&mut name, at(second), [Err(Absence::Refusal); 2]));
        }
        assert!(ask(&mut name, at(100), [Err(Absence::NoSuchName); 2]));
        assert_eq!((name.addresses().count, name.absence), (0, Absence::NoSuchName));
        let mut name = Name::new("web.example", Some(patience()), &Hosts::parse(""), at(0));
        assert!(!ask(&mut name, at(0), [Err(Absence::Silence); 2]));
        assert!(!ask(&mut name, at(50), [Err(Absence::Silence); 2]));
        assert!(ask(&mut name, at(60), [Err(Absence::NoSuchName); 2]), "nothing was there to hold");
    }
}
