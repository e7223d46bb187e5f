//! What a value is held against: section 7.1 of the configuration manual.

use alloc::vec::Vec;

use penstock_config::haproxy::{Expression, Matching, stands_between};

use crate::sample::{Room, Value};

/// Whether any of the patterns fits; a value that cannot be cast to what they want fits none.
pub(super) fn fits<'a>(
    matching: &Matching,
    ignore_case: bool,
    expressions: &[Expression],
    value: Value<'a>,
    room: &mut Room<'a>,
) -> bool {
    let same: fn(&[u8], &[u8]) -> bool =
        if ignore_case { |a, b| a.eq_ignore_ascii_case(b) } else { |a, b| a == b };
    let any = |patterns: &Vec<Vec<u8>>, fits: &dyn Fn(&[u8]) -> bool| {
        patterns.iter().any(|pattern| fits(pattern))
    };
    match matching {
        Matching::Found => true,
        Matching::Bool => value.int().is_some_and(|number| number != 0),
        Matching::Int(ranges) => {
            value.int().is_some_and(|number| ranges.iter().any(|range| range.contains(number)))
        }
        Matching::Ip(networks) => {
            value.addr().is_some_and(|addr| networks.iter().any(|network| network.contains(addr)))
        }
        Matching::Binary(patterns) => {
            let bytes = value.bytes(room);
            patterns.iter().any(|pattern| pattern == bytes)
        }
        Matching::Length(ranges) => {
            let len = value.text(room).len() as i64;
            ranges.iter().any(|range| range.contains(len))
        }
        Matching::Text(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| same(text, pattern))
        }
        Matching::Begins(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| {
                text.get(..pattern.len()).is_some_and(|begin| same(begin, pattern))
            })
        }
        Matching::Ends(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| {
                let at = text.len().checked_sub(pattern.len());
                at.is_some_and(|at| same(&text[at..], pattern))
            })
        }
        Matching::Contains(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| {
                pattern.is_empty() || text.windows(pattern.len()).any(|part| same(part, pattern))
            })
        }
        Matching::Directory(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| stands_between(text, pattern, b"/?", same))
        }
        Matching::Domain(patterns) => {
            let text = value.text(room);
            any(patterns, &|pattern| stands_between(text, pattern, b"/?.:", same))
        }
        Matching::Regex(_) => {
            let text = value.text(room);
            expressions.iter().any(|expression| expression.is_match(text))
        }
    }
}
