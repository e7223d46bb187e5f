//! Conditions hold as in HAProxy: `recorded.txt` has conditions, and what HAProxy 2.6.12 found for a
//! client on 127.0.0.1 that had sent `abc`, at once or when `inspect-delay` was over.

use super::*;
use crate::sample::tests::{Bytes, parse};
use penstock_config::haproxy::{AclId, Fetch, Network, Range, Way};
use penstock_wire::Addr;
use std::net::IpAddr;
use std::vec::Vec;

#[test]
fn conditions_hold_as_recorded() {
    let mut count = 0;
    for line in include_str!("recorded.txt").lines() {
        let (text, wanted) = line.split_once(" => ").expect("an arrow");
        let (wanted, when) = wanted.split_once(' ').expect("two words");
        let acls = [Acl { name: String::new(), tests: [test(text)].into() }];
        let acls = Acls::compile(&acls).expect("good");
        let condition = row(&[(0, false)]);
        let mut work = Workspace::new();
        let mut hold = |is_final| {
            let view = Bytes { request: b"abc", is_final };
            acls.hold(Some(&condition), &view, &mut work)
        };
        assert_eq!(hold(false) == Answer::NotYet, when == "later", "{text}");
        assert_eq!(hold(true), Answer::from(wanted == "yes"), "{text}");
        count += 1;
    }
    assert!(count > 60, "{count} lines");
}

/// A condition, as in a configuration.
fn test(text: &str) -> Test {
    let mut words = text.split(' ').peekable();
    let sample = parse(words.next().expect("a sample"));
    let ignore_case = words.next_if_eq(&"-i").is_some();
    let kind = match words.next_if_eq(&"-m") {
        Some(_) => words.next().expect("a kind"),
        None => match sample.fetch {
            Fetch::Source => "ip",
            Fetch::Bool(_) | Fetch::WaitEnd => "bool",
            _ => "int",
        },
    };
    let patterns: Vec<&str> = words.collect();
    let texts = || patterns.iter().map(|text| text.as_bytes().to_vec()).collect();
    let matching = match kind {
        "found" => Matching::Found,
        "bool" => Matching::Bool,
        "int" => Matching::Int(ranges(&patterns)),
        "len" => Matching::Length(ranges(&patterns)),
        "ip" => Matching::Ip(patterns.iter().map(|text| network(text)).collect()),
        "bin" => Matching::Binary(
            patterns
                .iter()
                .map(|text| {
                    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
                    (0..text.len()).step_by(2).map(|at| digit(at).expect("digits")).collect()
                })
                .collect(),
        ),
        "str" => Matching::Text(texts()),
        "beg" => Matching::Begins(texts()),
        "end" => Matching::Ends(texts()),
        "sub" => Matching::Contains(texts()),
        "dir" => Matching::Directory(texts()),
        "dom" => Matching::Domain(texts()),
        "reg" => Matching::Regex(patterns.iter().map(|text| String::from(*text)).collect()),
        _ => panic!("-m {kind}"),
    };
    Test { sample, matching, ignore_case }
}

fn ranges(patterns: &[&str]) -> Vec<Range> {
    let number = |text: &str| text.parse::<i64>().expect("a number");
    if let [operator @ ("lt" | "gt" | "eq"), limit] = patterns {
        let limit = number(limit);
        let (least, most) = match *operator {
            "lt" => (i64::MIN, limit - 1),
            "gt" => (limit + 1, i64::MAX),
            _ => (limit, limit),
        };
        return [Range { least, most }].into();
    }
    let range = |text: &&str| {
        let (least, most) = text.split_once(':').unwrap_or((text, text));
        Range { least: number(least), most: number(most) }
    };
    patterns.iter().map(range).collect()
}

fn network(text: &str) -> Network {
    let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
    let address: IpAddr = address.parse().expect("an address");
    let bits: u32 = bits.parse().expect("bits");
    let bits = if address.is_ipv4() { 96 + bits.min(32) } else { bits };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let mask = Addr { hi: (mask >> 64) as u64, lo: mask as u64 };
    Network { addr: address.into(), mask }
}

/// A condition of one row: ACLs, and whether each is negated.
fn row(terms: &[(u16, bool)]) -> Condition {
    let terms = terms.iter().map(|(acl, negated)| Term { negated: *negated, acl: AclId(*acl) });
    Condition { unless: false, any_of: [terms.collect()].into() }
}

/// The ACLs 0, 1 and 2, which are no, not yet, and yes.
fn three() -> Acls {
    let tests = ["always_false", "req.payload(0,9) -m found", "always_true"];
    let acls = tests.map(|text| Acl { name: String::new(), tests: [test(text)].into() });
    Acls::compile(&acls).expect("good")
}

fn answer(condition: &Condition) -> Answer {
    let view = Bytes { request: b"", is_final: false };
    three().hold(Some(condition), &view, &mut Workspace::new())
}

#[test]
fn a_row_is_as_sure_as_its_least_sure_acl() {
    for (first, second, wanted) in [
        (0, 1, Answer::No),
        (1, 0, Answer::NotYet),
        (2, 1, Answer::NotYet),
        (2, 0, Answer::No),
        (2, 2, Answer::Yes),
    ] {
        assert_eq!(answer(&row(&[(first, false), (second, false)])), wanted, "{first} {second}");
    }
    assert_eq!(answer(&row(&[(0, true), (2, false)])), Answer::Yes);
    assert_eq!(answer(&row(&[(1, true)])), Answer::NotYet);
}

#[test]
fn a_condition_is_as_sure_as_its_surest_row() {
    let rows = |rows: &[u16], unless| Condition {
        unless,
        any_of: rows.iter().flat_map(|acl| row(&[(*acl, false)]).any_of).collect(),
    };
    assert_eq!(answer(&rows(&[0, 1], false)), Answer::NotYet);
    assert_eq!(answer(&rows(&[1, 2], false)), Answer::Yes);
    assert_eq!(answer(&rows(&[0, 0], false)), Answer::No);
    assert_eq!(answer(&rows(&[0, 0], true)), Answer::Yes);
    assert_eq!(answer(&rows(&[0, 1], true)), Answer::NotYet);
    let view = Bytes { request: b"", is_final: false };
    assert_eq!(three().hold(None, &view, &mut Workspace::new()), Answer::Yes);
}

#[test]
fn an_acl_is_true_when_any_of_its_lines_is() {
    let tests = ["always_false", "req.len gt 9", "src 127.0.0.1"].map(test).into();
    let acls = Acls::compile(&[Acl { name: "a".into(), tests }]).expect("good");
    let view = Bytes { request: b"", is_final: false };
    let condition = row(&[(0, false)]);
    assert_eq!(acls.hold(Some(&condition), &view, &mut Workspace::new()), Answer::Yes);
}

#[test]
fn an_expression_that_cannot_be_compiled_is_named() {
    let tests = [Test {
        sample: Fetch::Length(Way::Request).into(),
        matching: Matching::Regex(["a(?=b)".into()].into()),
        ignore_case: false,
    }];
    let acls = [Acl { name: "ahead".into(), tests: tests.into() }];
    let error = Acls::compile(&acls).expect_err("look-around");
    let said = std::string::ToString::to_string(&error);
    assert!(said.starts_with("acl 'ahead': regex 'a(?=b)' is invalid: look-around"), "{said}");
}
