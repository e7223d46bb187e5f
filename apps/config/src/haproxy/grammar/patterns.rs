//! What an ACL holds its sample against: flags, then patterns (configuration manual, section 7.1).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::address;
use super::cx::Cx;
use super::sample::can_cast;
use super::text::{self, is_space};
use crate::haproxy::{Expression, FetchKind, Matching, Network, Range};

/// How patterns are held against a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Found,
    Bool,
    Int,
    /// Two numbers with a dot between, as one of 32 bits.
    Version,
    Ip,
    Binary,
    Length,
    Text,
    Begins,
    Contains,
    Directory,
    Domain,
    Ends,
    Regex,
}

const METHODS: &[(&str, Match)] = &[
    ("found", Match::Found),
    ("bool", Match::Bool),
    ("int", Match::Int),
    ("ip", Match::Ip),
    ("bin", Match::Binary),
    ("len", Match::Length),
    ("str", Match::Text),
    ("beg", Match::Begins),
    ("sub", Match::Contains),
    ("dir", Match::Directory),
    ("dom", Match::Domain),
    ("end", Match::Ends),
    ("reg", Match::Regex),
    ("regm", Match::Regex),
];

impl Match {
    /// How samples of a kind are matched where nothing is said.
    pub(super) fn of(kind: FetchKind) -> Option<Match> {
        match kind {
            FetchKind::Bool => Some(Match::Bool),
            FetchKind::Int => Some(Match::Int),
            FetchKind::Addr => Some(Match::Ip),
            FetchKind::Text => Some(Match::Text),
            FetchKind::Binary | FetchKind::Any => None,
        }
    }

    fn takes(self) -> FetchKind {
        match self {
            Match::Found | Match::Bool | Match::Int | Match::Version => FetchKind::Int,
            Match::Ip => FetchKind::Addr,
            Match::Binary => FetchKind::Binary,
            _ => FetchKind::Text,
        }
    }
}

/// Reads flags and patterns; `keyword` is the fetch.
///
/// # Errors
/// HAProxy's words.
pub(super) fn read(
    cx: &mut Cx<'_>,
    words: &[String],
    mut way: Option<Match>,
    kind: FetchKind,
    keyword: &str,
) -> Result<(Matching, bool), String> {
    let no_way = || {
        format!(
            "matching method must be specified first (using '-m') when using a sample fetch of this \
             type ('{keyword}')"
        )
    };
    let (mut ignore_case, mut of_map, mut from_files) = (false, false, Vec::new());
    let mut at = 0;
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    while word(at).starts_with('-') {
        match word(at) {
            "-i" => ignore_case = true,
            "-n" => {}
            "-u" => {
                at += 1;
                if !word(at).bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err("the argument of -u must be an integer".to_owned());
                }
            }
            "-f" => {
                if way.is_none() {
                    return Err(no_way());
                }
                at += 1;
                from_files.extend(file(cx, word(at), of_map)?);
            }
            "-m" => {
                at += 1;
                if !from_files.is_empty() {
                    return Err(
                        "'-m' must only be specified before patterns and files in parsing ACL \
                                expression"
                            .to_owned(),
                    );
                }
                let name = word(at);
                let Some(&(_, named)) = METHODS.iter().find(|(known, _)| *known == name) else {
                    return Err(format!(
                        "unknown matching method '{name}' when parsing ACL expression"
                    ));
                };
                if named != Match::Found && !can_cast(kind, named.takes()) {
                    return Err(format!(
                        "matching method '{name}' cannot be used with fetch keyword '{keyword}'"
                    ));
                }
                way = Some(named);
            }
            "-M" => of_map = true,
            "--" => {
                at += 1;
                break;
            }
            _ => {
                return Err(format!(
                    "'{}' is not a valid ACL option. Please use '--' before any pattern beginning \
                     with a '-'",
                    word(at)
                ));
            }
        }
        at += 1;
    }
    let way = way.ok_or_else(no_way)?;
    let patterns = words.get(at..).unwrap_or_default();
    let end = patterns.iter().position(String::is_empty).unwrap_or(patterns.len());
    let patterns = from_files.iter().chain(&patterns[..end]);
    Ok((compile(way, patterns, ignore_case)?, ignore_case))
}

/// Patterns of a delivered file: a line each, without what a `#` begins, and of a map without what it
/// leads to.
fn file(cx: &Cx<'_>, path: &str, of_map: bool) -> Result<Vec<String>, String> {
    let bytes =
        cx.delivered(path).ok_or_else(|| format!("failed to open pattern file <{path}>"))?;
    let lines = bytes.split(|&byte| byte == b'\n' || byte == b'\r').map(text::characters);
    let lines = lines.map(|line| line.trim_start_matches(is_space).to_owned());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    if !of_map {
        return Ok(lines.collect());
    }
    Ok(lines.map(|line| line.split(is_space).next().unwrap_or_default().to_owned()).collect())
}

fn compile<'p>(
    way: Match,
    patterns: impl Iterator<Item = &'p String>,
    ignore_case: bool,
) -> Result<Matching, String> {
    let all = |patterns: &mut dyn Iterator<Item = &'p String>| -> Vec<Vec<u8>> {
        patterns.map(|pattern| text::bytes(pattern)).collect()
    };
    let mut patterns = patterns;
    let patterns = &mut patterns;
    Ok(match way {
        Match::Found => Matching::Found,
        Match::Bool => Matching::Bool,
        Match::Int => Matching::Int(ranges(patterns, number, "")?),
        Match::Length => Matching::Length(ranges(patterns, number, "")?),
        Match::Version => Matching::Int(ranges(patterns, dotted, "dotted ")?),
        Match::Ip => Matching::Ip(patterns.map(network).collect::<Result<_, _>>()?),
        Match::Binary => {
            let read = |pattern: &String| text::binary(pattern);
            Matching::Binary(patterns.map(read).collect::<Result<_, _>>()?)
        }
        Match::Text => Matching::Text(all(patterns)),
        Match::Begins => Matching::Begins(all(patterns)),
        Match::Contains => Matching::Contains(all(patterns)),
        Match::Directory => Matching::Directory(all(patterns)),
        Match::Domain => Matching::Domain(all(patterns)),
        Match::Ends => Matching::Ends(all(patterns)),
        Match::Regex => {
            let read = |pattern: &String| expression(pattern, ignore_case);
            Matching::Regex(patterns.map(read).collect::<Result<_, _>>()?)
        }
    })
}

/// A regular expression, compiled once to see that it can be. Bytes that spell nothing are written
/// as their numbers.
pub(super) fn expression(pattern: &str, ignore_case: bool) -> Result<String, String> {
    let bytes = text::bytes(pattern);
    let text = String::from_utf8(bytes).unwrap_or_else(|wrong| {
        let bytes = wrong.into_bytes().into_iter();
        bytes
            .map(|byte| match byte {
                0..0x80 => String::from(char::from(byte)),
                _ => format!("\\x{byte:02x}"),
            })
            .collect()
    });
    match Expression::compile(&text, ignore_case) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("regex '{pattern}' is invalid: {error}")),
    }
}

/// A number, or a range of numbers.
pub(super) fn numbers(pattern: &str) -> Result<Range, String> {
    range(pattern, number, "")
}

fn network(pattern: &String) -> Result<Network, String> {
    let (addr, mask) = address::network(pattern)
        .ok_or_else(|| format!("'{pattern}' is not a valid IPv4 or IPv6 address"))?;
    Ok(Network { addr, mask })
}

type Number = fn(&str) -> Option<i64>;

/// A number of a pattern: unlike one of an argument, it has no plus.
fn number(text: &str) -> Option<i64> {
    super::arguments::int(text).filter(|_| !text.starts_with('+'))
}

fn dotted(text: &str) -> Option<i64> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let (major, minor) = (number(major)?, number(minor)?);
    let fits = |part: i64| (0..65_536).contains(&part);
    (fits(major) && fits(minor)).then_some(major << 16 | minor)
}

/// Numbers and ranges, with the operator in front of them.
fn ranges(
    patterns: &mut dyn Iterator<Item = &String>,
    number: Number,
    what: &str,
) -> Result<Vec<Range>, String> {
    let mut ranges = Vec::new();
    let mut operator = "eq";
    for pattern in patterns {
        if let "eq" | "gt" | "ge" | "lt" | "le" = pattern.as_str() {
            operator = pattern;
            continue;
        }
        let is_range = pattern.contains([':', '-']);
        if operator == "eq" || is_range {
            ranges.push(range(pattern, number, what)?);
            continue;
        }
        let value = number(pattern)
            .ok_or_else(|| format!("'{pattern}' is neither a number nor a supported operator"))?;
        let (least, most) = match operator {
            "gt" => (value.saturating_add(1), i64::MAX),
            "ge" => (value, i64::MAX),
            "lt" => (i64::MIN, value.saturating_sub(1)),
            _ => (i64::MIN, value),
        };
        ranges.push(Range { least, most });
    }
    Ok(ranges)
}

fn range(pattern: &str, number: Number, what: &str) -> Result<Range, String> {
    let invalid = || format!("'{pattern}' is not a valid {what}number range");
    if pattern.is_empty() {
        return Err(invalid());
    }
    let Some(at) = pattern.find([':', '-']) else {
        let value = number(pattern).ok_or_else(|| format!("'{pattern}' is not a {what}number"))?;
        return Ok(Range { least: value, most: value });
    };
    let (first, last) = (&pattern[..at], &pattern[at + 1..]);
    let read = |text: &str| number(text).ok_or_else(invalid);
    let (least, most) = match (first, last) {
        ("", "") => return Err(invalid()),
        ("", last) => (i64::MIN, read(last)?),
        (first, "") => (read(first)?, i64::MAX),
        (first, last) => (read(first)?, read(last)?),
    };
    if least > most {
        return Err(invalid());
    }
    Ok(Range { least, most })
}

#[cfg(test)]
mod tests {
    //! Ranges are read as HAProxy reads them.

    use super::*;
    use crate::haproxy::grammar::sample::owned;

    fn ints(words: &[&str]) -> Result<Vec<(i64, i64)>, String> {
        let words = owned(words);
        let ranges = ranges(&mut words.iter(), number, "")?;
        Ok(ranges.iter().map(|range| (range.least, range.most)).collect())
    }

    #[test]
    fn numbers() {
        let (low, high) = (i64::MIN, i64::MAX);
        assert_eq!(
            ints(&["1", "2:3", ":4", "5:"]),
            Ok(vec_of(&[(1, 1), (2, 3), (low, 4), (5, high)]))
        );
        assert_eq!(ints(&["gt", "1", "le", "0"]), Ok(vec_of(&[(2, high), (low, 0)])));
        assert_eq!(ints(&["lt", "2", "7-9"]), Ok(vec_of(&[(low, 1), (7, 9)])));
        assert_eq!(ints(&["x"]), Err("'x' is not a number".into()));
        assert_eq!(ints(&["3:2"]), Err("'3:2' is not a valid number range".into()));
        assert_eq!(
            ints(&["gt", "x"]),
            Err("'x' is neither a number nor a supported operator".into())
        );
        assert_eq!(
            (dotted("3.1"), dotted("3"), dotted("70000")),
            (Some(0x3_0001), Some(0x3_0000), None)
        );
    }

    fn vec_of(ranges: &[(i64, i64)]) -> Vec<(i64, i64)> {
        ranges.to_vec()
    }
}
