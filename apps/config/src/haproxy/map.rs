//! Maps of a file: from what a sample is to what stands behind it (configuration manual, section
//! 7.3.1, `map`).

use alloc::string::String;
use alloc::vec::Vec;

use penstock_wire::Addr;

use super::condition::stands_between;
use super::{Expression, Network, Range};

/// A map, ready to be asked. Texts that are looked for as they are, and what texts begin with, are
/// found in a number of steps that hardly grows with the file; of all else the first that fits in the
/// order of the file is found, of networks the smallest.
#[derive(Clone, Debug)]
pub struct Map {
    /// The file, as it was named.
    pub file: String,
    /// What it is asked for.
    pub keys: Keys,
    /// What is found, by the number that keys have.
    pub values: Vec<MapValue>,
}

/// What a map is asked for; each with the number of its value.
#[derive(Clone, Debug)]
pub enum Keys {
    /// `map_str`, in order.
    Text(Vec<(Vec<u8>, u32)>),
    /// `map_beg`, in order.
    Begins(Vec<(Vec<u8>, u32)>),
    /// `map_end`.
    Ends(Vec<(Vec<u8>, u32)>),
    /// `map_sub`.
    Contains(Vec<(Vec<u8>, u32)>),
    /// `map_dir`.
    Directory(Vec<(Vec<u8>, u32)>),
    /// `map_dom`.
    Domain(Vec<(Vec<u8>, u32)>),
    /// `map_reg`.
    Regex(Vec<(Expression, u32)>),
    /// `map_int`.
    Int(Vec<(Range, u32)>),
    /// `map_ip`, the smallest networks first.
    Ip(Vec<(Network, u32)>),
}

/// What a map gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapValue {
    /// Text.
    Text(Vec<u8>),
    /// `map_.._int`.
    Int(i64),
    /// `map_.._ip`.
    Addr(Addr),
}

/// Maps of one file that are asked in one way are the same.
impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        let is_alike = core::mem::discriminant(&self.keys) == core::mem::discriminant(&other.keys);
        self.file == other.file && is_alike && self.values == other.values
    }
}

impl Map {
    /// What stands behind a text; for maps of numbers and addresses, nothing.
    pub fn of_text(&self, text: &[u8]) -> Option<&MapValue> {
        let first = |keys: &[(Vec<u8>, u32)], fits: &dyn Fn(&[u8]) -> bool| {
            keys.iter().find(|(key, _)| fits(key)).map(|(_, value)| *value)
        };
        let value = match &self.keys {
            Keys::Text(keys) => exactly(keys, text),
            Keys::Begins(keys) => {
                (0..=text.len()).rev().find_map(|length| exactly(keys, &text[..length]))
            }
            Keys::Ends(keys) => first(keys, &|key| text.ends_with(key)),
            Keys::Contains(keys) => first(keys, &|key| {
                key.is_empty() || text.windows(key.len()).any(|part| part == key)
            }),
            Keys::Directory(keys) => {
                first(keys, &|key| stands_between(text, key, b"/?", |a, b| a == b))
            }
            Keys::Domain(keys) => {
                first(keys, &|key| stands_between(text, key, b"/?.:", |a, b| a == b))
            }
            Keys::Regex(keys) => {
                keys.iter().find(|(key, _)| key.is_match(text)).map(|(_, value)| *value)
            }
            Keys::Int(_) | Keys::Ip(_) => None,
        };
        self.values.get(value? as usize)
    }

    /// What stands behind a number.
    pub fn of_int(&self, number: i64) -> Option<&MapValue> {
        let Keys::Int(keys) = &self.keys else { return None };
        let (_, value) = keys.iter().find(|(range, _)| range.contains(number))?;
        self.values.get(*value as usize)
    }

    /// What stands behind an address.
    pub fn of_addr(&self, addr: Addr) -> Option<&MapValue> {
        let Keys::Ip(keys) = &self.keys else { return None };
        let (_, value) = keys.iter().find(|(network, _)| network.contains(addr))?;
        self.values.get(*value as usize)
    }
}

/// The value of the first of these keys that is this text; keys are in order.
fn exactly(keys: &[(Vec<u8>, u32)], text: &[u8]) -> Option<u32> {
    let at = keys.partition_point(|(key, _)| key.as_slice() < text);
    keys.get(at).filter(|(key, _)| key == text).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    //! What is found is what HAProxy's trees and lists find.

    use super::*;
    use std::string::ToString;

    fn texts(make: fn(Vec<(Vec<u8>, u32)>) -> Keys, keys: &[&str]) -> Map {
        let numbered = keys.iter().zip(0..).map(|(key, at)| (key.as_bytes().to_vec(), at));
        let mut numbered: Vec<_> = numbered.collect();
        if matches!(make(Vec::new()), Keys::Text(_) | Keys::Begins(_)) {
            numbered.sort();
        }
        let values = (0..keys.len() as i64).map(MapValue::Int).collect();
        Map { file: "a.map".to_string(), keys: make(numbered), values }
    }

    fn found(map: &Map, text: &str) -> Option<i64> {
        map.of_text(text.as_bytes()).map(|value| match value {
            MapValue::Int(number) => *number,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn texts_are_found() {
        let map = texts(Keys::Text, &["b", "a", "b", ""]);
        assert_eq!(
            (found(&map, "b"), found(&map, "a"), found(&map, "")),
            (Some(0), Some(1), Some(3))
        );
        assert_eq!(found(&map, "ab"), None);
        let map = texts(Keys::Begins, &["a", "abc", "ab"]);
        assert_eq!(
            (found(&map, "abx"), found(&map, "abcd"), found(&map, "ax")),
            (Some(2), Some(1), Some(0))
        );
        assert_eq!(found(&map, "xa"), None);
        let map = texts(Keys::Ends, &[".example.com", "b.example.com"]);
        assert_eq!(found(&map, "b.example.com"), Some(0), "the first of the file");
        let map = texts(Keys::Domain, &["example", "com"]);
        assert_eq!(
            (found(&map, "www.example.com"), found(&map, "examples.com")),
            (Some(0), Some(1))
        );
    }
}
