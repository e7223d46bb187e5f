//! What is broken about a card and its wire: in fields, in words, and by the clock.
//!
//! ```text
//!   # time since the driver came, then what changes; a fault stays until it is changed
//!   0s      loss=1% delay=5ms
//!   10s     no-light
//!   12s     no-light=off late-write-back=50us
//!   20s     none
//!   30s     repeat
//! ```

use crate::wire::WireFaults;

/// What is broken about a card. Faults of the wire are [`WireFaults`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The EEPROM's checksum is wrong.
    pub bad_eeprom_checksum: bool,
    /// No module is in the cage.
    pub module_absent: bool,
    /// The far end sends no light.
    pub no_light: bool,
    /// The light goes and comes each time this has passed; 0 for never.
    pub flap_us: u64,
    /// STATUS never says that DMA has stopped.
    pub stuck_master_disable: bool,
    /// Transmit queues stand still.
    pub transmit_hang: bool,
    /// Flow Director has room for no filter.
    pub director_full: bool,
    /// Every so many messages one is swallowed; 0 for none.
    pub lost_message_every: u64,
    /// Every so many accesses to memory one finds nobody there; 0 for none.
    pub dma_fault_every: u64,
    /// How long descriptors of frames sent and received wait to be written back.
    pub late_write_back_us: u64,
}

/// Everything that is broken at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultSet {
    /// About the card.
    pub card: Faults,
    /// About the wire, in both directions.
    pub wire: WireFaults,
}

impl FaultSet {
    /// Changes what `word` names: `loss=1%`, `tx-hang`, `tx-hang=off`, or `none` for everything. The
    /// error is one line that says what was expected.
    pub fn change(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if word == "none" {
            *self = FaultSet::default();
            return Ok(());
        }
        let expected = if let Some(expected) = self.set(name, value) {
            expected
        } else {
            return Err(format!("{word}: no fault is called {name}; they are {NAMES}"));
        };
        match expected {
            "" => Ok(()),
            expected => Err(format!("{word}: expected {name}{expected} or {name}=off")),
        }
    }

    /// Sets a fault; `None` if there is no such fault, else what its value should have been, or
    /// nothing if it was that.
    fn set(&mut self, name: &str, value: &str) -> Option<&'static str> {
        let (card, wire) = (&mut self.card, &mut self.wire);
        Some(match name {
            "loss" => put(&mut wire.loss_ppm, ppm(value), "=PERCENT%"),
            "duplicate" => put(&mut wire.duplicate_ppm, ppm(value), "=PERCENT%"),
            "corrupt" => put(&mut wire.corrupt_ppm, ppm(value), "=PERCENT%"),
            "reorder" => {
                wire.reorder_us = REORDER_US;
                put(&mut wire.reorder_ppm, ppm(value), "=PERCENT%")
            }
            "delay" => put(&mut wire.delay_us, micros(value), "=TIME"),
            "jitter" => put(&mut wire.jitter_us, micros(value), "=TIME"),
            "rate" => put(&mut wire.rate, bytes_per_second(value), "=RATE, such as 100mbit,"),
            "bad-eeprom-checksum" => put(&mut card.bad_eeprom_checksum, flag(value), ""),
            "module-absent" => put(&mut card.module_absent, flag(value), ""),
            "no-light" => put(&mut card.no_light, flag(value), ""),
            "flap" => put(&mut card.flap_us, micros(value), "=TIME"),
            "stuck-master-disable" => put(&mut card.stuck_master_disable, flag(value), ""),
            "tx-hang" => put(&mut card.transmit_hang, flag(value), ""),
            "fdir-full" => put(&mut card.director_full, flag(value), ""),
            "lost-interrupt" => put(&mut card.lost_message_every, every(value), "=EVERY"),
            "dma-fault" => put(&mut card.dma_fault_every, every(value), "=EVERY"),
            "late-write-back" => put(&mut card.late_write_back_us, micros(value), "=TIME"),
            _ => return None,
        })
    }
}

/// Faults that come and go with time.
#[derive(Clone, Debug, Default)]
pub struct FaultScript {
    /// What holds before the first line.
    start: FaultSet,
    /// What holds from a time on, in order of time.
    lines: Vec<(u64, FaultSet)>,
    /// When the script starts again, if it does.
    period_us: Option<u64>,
}

impl FaultScript {
    /// A script that is always in `start`.
    pub fn constant(start: FaultSet) -> FaultScript {
        FaultScript { start, ..FaultScript::default() }
    }

    /// Reads the lines of a script on top of `start`; the error is one line that names the line.
    pub fn parse(start: FaultSet, text: &str) -> Result<FaultScript, String> {
        let mut script = FaultScript::constant(start.clone());
        let mut current = start;
        let mut latest_us = 0;
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: String| format!("line {}: {what}", index + 1);
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace().flat_map(|word| word.split(','));
            let Some(time) = words.next() else { continue };
            let at_us = micros(time)
                .ok_or_else(|| wrong(format!("{time}: expected a time such as 500ms")))?;
            if at_us < latest_us || script.period_us.is_some() {
                return Err(wrong(format!("{time} comes after a later time")));
            }
            latest_us = at_us;
            for word in words.filter(|word| !word.is_empty()) {
                match word {
                    "repeat" if at_us > 0 => script.period_us = Some(at_us),
                    "repeat" => return Err(wrong("repeat needs a time above zero".into())),
                    _ => current.change(word).map_err(wrong)?,
                }
            }
            script.lines.push((at_us, current.clone()));
        }
        Ok(script)
    }

    /// What is broken once `elapsed_us` have passed.
    pub fn at(&self, elapsed_us: u64) -> &FaultSet {
        let now_us = self.within(elapsed_us);
        let passed = self.lines.partition_point(|(at_us, _)| *at_us <= now_us);
        passed.checked_sub(1).map_or(&self.start, |last| &self.lines[last].1)
    }

    /// When that changes next.
    pub fn next_us(&self, elapsed_us: u64) -> Option<u64> {
        let now_us = self.within(elapsed_us);
        let passed = self.lines.partition_point(|(at_us, _)| *at_us <= now_us);
        let next_us = self.lines.get(passed).map(|line| line.0).or(self.period_us)?;
        Some(elapsed_us.saturating_add(next_us - now_us))
    }

    fn within(&self, elapsed_us: u64) -> u64 {
        self.period_us.map_or(elapsed_us, |period_us| elapsed_us % period_us)
    }
}

/// Stores `value`, or says what was `expected`.
fn put<T>(place: &mut T, value: Option<T>, expected: &'static str) -> &'static str {
    match value {
        Some(value) => {
            *place = value;
            ""
        }
        // A flag takes no value; a space keeps the answer from being empty.
        None if expected.is_empty() => " alone",
        None => expected,
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "" | "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A share like `1%` or `0.5%` in parts per million.
fn ppm(text: &str) -> Option<u32> {
    if text == "off" {
        return Some(0);
    }
    let share: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&share).then_some((share * 10_000.0) as u32)
}

/// A time like `5ms`, `50us` or `2s`.
fn micros(text: &str) -> Option<u64> {
    if text == "off" {
        return Some(0);
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// A rate like `100mbit` or `10gbit`.
fn bytes_per_second(text: &str) -> Option<u64> {
    if text == "off" {
        return Some(0);
    }
    let units = [("kbit", 125), ("mbit", 125_000), ("gbit", 125_000_000)];
    units.iter().find_map(|(suffix, bytes)| {
        text.strip_suffix(suffix)?.parse::<u64>().ok()?.checked_mul(*bytes)
    })
}

fn every(text: &str) -> Option<u64> {
    if text == "off" { Some(0) } else { text.parse().ok().filter(|&every| every > 0) }
}

/// How long a reordered frame is held back when only its chance was named.
const REORDER_US: u64 = 1000;

const NAMES: &str = "loss, duplicate, corrupt, reorder, delay, jitter, rate, bad-eeprom-checksum, \
    module-absent, no-light, flap, stuck-master-disable, tx-hang, fdir-full, lost-interrupt, \
    dma-fault, late-write-back";

#[cfg(test)]
mod tests {
    //! Proves what each word becomes, that a wrong one is named with what was expected, and that a
    //! script is where its lines say, again and again.
    use super::*;

    fn set(words: &[&str]) -> Result<FaultSet, String> {
        let mut set = FaultSet::default();
        words.iter().try_for_each(|word| set.change(word))?;
        Ok(set)
    }

    #[test]
    fn words_become_faults() {
        let faults = set(&["loss=0.5%", "delay=5ms", "rate=100mbit", "no-light", "dma-fault=7"]);
        let faults = faults.expect("valid");
        assert_eq!((faults.wire.loss_ppm, faults.wire.delay_us), (5000, 5000));
        assert_eq!((faults.wire.rate, faults.card.dma_fault_every), (12_500_000, 7));
        assert!(faults.card.no_light);
        for name in NAMES.split(", ") {
            let known = ["", "=1%", "=1ms", "=1mbit", "=3"]
                .iter()
                .filter(|value| set(&[&format!("{name}{value}")]).is_ok())
                .count();
            assert!(known >= 1, "{name}");
            assert!(set(&[&format!("{name}=off")]).is_ok(), "{name}=off");
        }
        assert_eq!(set(&["loss=1%", "tx-hang", "none"]), Ok(FaultSet::default()));
    }

    #[test]
    fn wrong_words_are_named() {
        for (word, part) in [
            ("lost=1%", "no fault is called lost"),
            ("loss=101%", "loss=101%: expected loss=PERCENT% or loss=off"),
            ("delay=5", "expected delay=TIME"),
            ("tx-hang=2", "expected tx-hang alone"),
            ("lost-interrupt=0", "=EVERY"),
            ("flap", "expected flap=TIME"),
            ("delay=99999999999999999999s", "expected delay=TIME"),
        ] {
            let message = set(&[word]).expect_err("wrong");
            assert!(message.contains(part) && message.lines().count() == 1, "{message}");
        }
    }

    #[test]
    fn a_script_is_where_its_lines_say() {
        let text =
            "# loss first\n1s loss=1%,delay=5ms\n\n2s no-light  # darkness\n3s none\n4s repeat\n";
        let start = set(&["tx-hang"]).expect("valid");
        let script = FaultScript::parse(start.clone(), text).expect("valid");
        for lap_us in [0, 4_000_000, 400_000_000] {
            assert_eq!(script.at(lap_us + 999_999), &start);
            let lossy = script.at(lap_us + 1_000_000);
            assert_eq!((lossy.wire.loss_ppm, lossy.wire.delay_us), (10_000, 5000));
            assert!(lossy.card.transmit_hang, "what a line does not name stays");
            assert!(script.at(lap_us + 2_500_000).card.no_light);
            assert_eq!(script.at(lap_us + 3_999_999), &FaultSet::default());
            assert_eq!(script.next_us(lap_us), Some(lap_us + 1_000_000));
            assert_eq!(script.next_us(lap_us + 3_000_000), Some(lap_us + 4_000_000));
        }
        let once = FaultScript::parse(FaultSet::default(), "1s loss=1%").expect("valid");
        assert_eq!(once.next_us(1_000_000), None);
    }

    #[test]
    fn wrong_scripts_are_named_by_line() {
        for (text, part) in [
            ("0s loss=1%\nloss=2%", "line 2: loss=2%: expected a time"),
            ("2s none\n1s none", "line 2: 1s comes after a later time"),
            ("1s lost", "line 1: lost: no fault"),
            ("0s repeat", "line 1: repeat needs"),
            ("1s repeat\n2s none", "line 2"),
        ] {
            let message = FaultScript::parse(FaultSet::default(), text).expect_err("wrong");
            assert!(message.contains(part), "{message}");
        }
    }
}
