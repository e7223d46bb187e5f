//! `mqtt_is_valid` and `mqtt_field_value`: the first packet of each side of MQTT 3.1, 3.1.1 and 5.0
//! (the OASIS standard's sections 2 and 3), CONNECT and CONNACK; HAProxy looks at no others.

use penstock_config::haproxy::{MqttField, MqttPacket};

use super::fix::Verdict;
use crate::known::Known;

/// Something that a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Number(u32),
    Text(&'a [u8]),
}

/// Whether `bytes` begin with a packet that is whole and as it should be.
pub(super) fn judge(bytes: &[u8]) -> Verdict {
    walk(bytes, &mut |_, _, _| {})
}

/// A field of a packet of this kind. A number that the packet could have and has not is 0.
pub(super) fn value(bytes: &[u8], packet: MqttPacket, wanted: MqttField) -> Known<Found<'_>> {
    let (mut found, mut kind, mut is_5, mut has_will) = (None, None, false, false);
    let verdict = walk(bytes, &mut |its, field, value| {
        kind = Some(its);
        match (field, value) {
            (MqttField::ProtocolVersion, Found::Number(version)) => is_5 = version == VERSION_5,
            (MqttField::WillTopic, _) => has_will = true,
            _ => {}
        }
        if field == wanted {
            found = Some(value);
        }
    });
    match verdict {
        Verdict::Valid if kind == Some(packet) => {}
        Verdict::Valid | Verdict::Invalid => return Known::Never,
        Verdict::Short => return Known::NotYet,
    }
    let absent = || {
        let MqttField::Property(id) = wanted else { return None };
        let property = PROPERTIES.iter().find(|property| property.id == id)?;
        let is_there = is_5 && (has_will || property.places & WILL == 0);
        (is_there && matches!(property.shape, Shape::Number(_))).then_some(Found::Number(0))
    };
    found.or_else(absent).filter(|found| *found != Found::Text(b"")).into()
}

type See<'s, 'a> = &'s mut dyn FnMut(MqttPacket, MqttField, Found<'a>);

/// Reads a packet, and tells `see` what it holds.
fn walk<'a>(bytes: &'a [u8], see: See<'_, 'a>) -> Verdict {
    let [first, _, ..] = *bytes else { return Verdict::Short };
    let flags = match first >> 4 {
        0 => return Verdict::Invalid,
        3 => 0x0f,
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if first & 0x0f != flags {
        return Verdict::Invalid;
    }
    let mut rest = Reader(&bytes[1..]);
    let Some(length) = rest.length() else { return Verdict::Invalid };
    let Some(body) = rest.0.get(..length) else { return Verdict::Short };
    // What stands behind the packet is no part of it, and none may.
    let is_alone = rest.0.len() == length;
    let mut rest = Reader(body);
    let read = match first >> 4 {
        1 => connect(&mut rest, see),
        2 => connack(&mut rest, is_alone, see),
        _ => None,
    };
    match read {
        Some(()) if rest.0.is_empty() => Verdict::Valid,
        _ => Verdict::Invalid,
    }
}

fn connect<'a>(rest: &mut Reader<'a>, see: See<'_, 'a>) -> Option<()> {
    let mut see = |field, value| see(MqttPacket::Connect, field, value);
    let name = rest.text()?;
    if !name.eq_ignore_ascii_case(b"MQTT") && !name.eq_ignore_ascii_case(b"MQIsdp") {
        return None;
    }
    see(MqttField::ProtocolName, Found::Text(name));
    let version = rest.number(1)?;
    if !matches!(version, 3..=5) {
        return None;
    }
    see(MqttField::ProtocolVersion, Found::Number(version));
    let flags = rest.number(1)?;
    // The lowest is reserved; a quality of a will needs a will.
    if flags & RESERVED != 0 || flags & (HAS_WILL | WILL_QOS | WILL_RETAIN) == WILL_QOS {
        return None;
    }
    see(MqttField::Flags, Found::Number(flags));
    see(MqttField::KeepAlive, Found::Number(rest.number(2)?));
    if version == VERSION_5 {
        properties(rest, CONNECT, &mut see)?;
    }
    see(MqttField::ClientIdentifier, Found::Text(rest.text()?));
    if flags & HAS_WILL != 0 {
        if version == VERSION_5 {
            properties(rest, WILL, &mut see)?;
        }
        see(MqttField::WillTopic, Found::Text(rest.text()?));
        see(MqttField::WillPayload, Found::Text(rest.text()?));
    }
    for (flag, field) in [(USERNAME, MqttField::Username), (PASSWORD, MqttField::Password)] {
        if flags & flag != 0 {
            see(field, Found::Text(rest.text()?));
        }
    }
    Some(())
}

fn connack<'a>(rest: &mut Reader<'a>, is_alone: bool, see: See<'_, 'a>) -> Option<()> {
    let mut see = |field, value| see(MqttPacket::ConnAck, field, value);
    // Older ones have no properties, not even none.
    let version = if rest.0.len() == 2 && is_alone { VERSION_3_1_1 } else { VERSION_5 };
    see(MqttField::ProtocolVersion, Found::Number(version));
    let flags = rest.number(1).filter(|flags| flags & !1 == 0)?;
    see(MqttField::Flags, Found::Number(flags));
    see(MqttField::ReasonCode, Found::Number(rest.number(1)?));
    if version == VERSION_5 {
        properties(rest, CONNACK, &mut see)?;
    }
    Some(())
}

/// Properties of version 5 (section 2.2.2 there), each at most once but those of users.
fn properties<'a>(
    rest: &mut Reader<'a>,
    place: u8,
    see: &mut dyn FnMut(MqttField, Found<'a>),
) -> Option<()> {
    let length = rest.length()?;
    let mut list = Reader(rest.take(length)?);
    let (mut seen, mut has_method, mut has_data) = (0u64, false, false);
    while !list.0.is_empty() {
        let id = list.number(1)? as u8;
        let property = PROPERTIES.iter().find(|property| property.id == id)?;
        if property.places & place == 0 || id != USER && seen & 1 << id != 0 {
            return None;
        }
        seen |= 1 << id;
        let value = match property.shape {
            Shape::Number(width) => Found::Number(list.number(width)?),
            Shape::Text => Found::Text(list.text()?),
            Shape::Pair => {
                list.text()?;
                Found::Text(list.text()?)
            }
        };
        let is_good = match (id, value) {
            (33 | 39, Found::Number(number)) => number != 0,
            (_, Found::Number(number)) => property.shape != Shape::Number(1) || number <= 1,
            (18, Found::Text(text)) => !text.is_empty(),
            _ => true,
        };
        if !is_good {
            return None;
        }
        has_method |= id == 21 && value != Found::Text(b"");
        has_data |= id == 22 && value != Found::Text(b"");
        if id != USER {
            see(MqttField::Property(id), value);
        }
    }
    // Data for a way to prove oneself need that way.
    (place != CONNECT || has_method || !has_data).then_some(())
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, width: usize) -> Option<u32> {
        let bytes = self.take(width)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number(2)?;
        self.take(length as usize)
    }

    /// Seven bits in each byte, at most four of them; bytes that are missing are zero.
    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for at in 0..4 {
            let Some(byte) = self.number(1) else { return Some(length) };
            length |= (byte as usize & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Of so many bytes.
    Number(usize),
    Text,
    /// A name and a value.
    Pair,
}

struct Property {
    id: u8,
    shape: Shape,
    /// Where it may be.
    places: u8,
}

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
/// What a client leaves behind.
const WILL: u8 = 4;

const fn property(id: u8, shape: Shape, places: u8) -> Property {
    Property { id, shape, places }
}

/// Table 2-4 of the standard, as far as it concerns these packets.
const PROPERTIES: [Property; 25] = [
    property(1, Shape::Number(1), WILL),
    property(2, Shape::Number(4), WILL),
    property(3, Shape::Text, WILL),
    property(8, Shape::Text, WILL),
    property(9, Shape::Text, WILL),
    property(17, Shape::Number(4), CONNECT | CONNACK),
    property(18, Shape::Text, CONNACK),
    property(19, Shape::Number(2), CONNACK),
    property(21, Shape::Text, CONNECT | CONNACK),
    property(22, Shape::Text, CONNECT | CONNACK),
    property(23, Shape::Number(1), CONNECT),
    property(24, Shape::Number(4), WILL),
    property(25, Shape::Number(1), CONNECT),
    property(26, Shape::Text, CONNACK),
    property(28, Shape::Text, CONNACK),
    property(31, Shape::Text, CONNACK),
    property(33, Shape::Number(2), CONNECT | CONNACK),
    property(34, Shape::Number(2), CONNECT | CONNACK),
    property(36, Shape::Number(1), CONNACK),
    property(37, Shape::Number(1), CONNACK),
    property(38, Shape::Pair, CONNECT | CONNACK | WILL),
    property(39, Shape::Number(4), CONNECT | CONNACK),
    property(40, Shape::Number(1), CONNACK),
    property(41, Shape::Number(1), CONNACK),
    property(42, Shape::Number(1), CONNACK),
];

const USER: u8 = 38;
const VERSION_3_1_1: u32 = 4;
const VERSION_5: u32 = 5;

const RESERVED: u32 = 1;
const HAS_WILL: u32 = 1 << 2;
const WILL_QOS: u32 = 3 << 3;
const WILL_RETAIN: u32 = 1 << 5;
const PASSWORD: u32 = 1 << 6;
const USERNAME: u32 = 1 << 7;

#[cfg(test)]
mod tests {
    //! Packets of real clients and servers, cut everywhere and bent.

    use super::*;
    use std::vec::Vec;

    /// Version 5, with a will and properties of everything.
    const FULL: &[u8] =
        b"\x10\x7e\0\x04MQTT\x05\xee\0\x3c\x18\x27\0\0\0\x14\x17\x01\x26\0\x01a\0\x01b\
        \x26\0\x01c\0\x01d\x21\0\x14\0\x08test_sub\x2a\x03\0\x0atext/plain\x08\0\x0cwillrsptopic\
        \x26\0\x01e\0\x01f\x26\0\x01g\0\x01h\0\x09willtopic\0\x0bwillpayload\0\x04test\0\x06passwd";
    const PLAIN: &[u8] = b"\x10\x14\0\x04MQTT\x04\x02\0\x3c\0\x08test_sub";
    const CONNACK_5: &[u8] = b"\x20\x06\0\0\x03\x21\0\x14";

    fn text(bytes: &[u8], field: MqttField) -> Known<Found<'_>> {
        value(bytes, MqttPacket::Connect, field)
    }

    #[test]
    fn fields_are_found() {
        for (field, expected) in [
            (MqttField::ProtocolVersion, Found::Number(5)),
            (MqttField::Flags, Found::Number(0xee)),
            (MqttField::KeepAlive, Found::Number(60)),
            (MqttField::ClientIdentifier, Found::Text(b"test_sub")),
            (MqttField::WillTopic, Found::Text(b"willtopic")),
            (MqttField::WillPayload, Found::Text(b"willpayload")),
            (MqttField::Username, Found::Text(b"test")),
            (MqttField::Password, Found::Text(b"passwd")),
            (MqttField::Property(39), Found::Number(20)),
            (MqttField::Property(3), Found::Text(b"text/plain")),
            (MqttField::Property(17), Found::Number(0)),
        ] {
            assert_eq!(text(FULL, field), Known::Is(expected), "{field:?}");
        }
        assert_eq!(text(FULL, MqttField::Property(21)), Known::Never, "a text that is not there");
        assert_eq!(
            text(PLAIN, MqttField::Property(39)),
            Known::Never,
            "before there were properties"
        );
        assert_eq!(text(PLAIN, MqttField::ProtocolName), Known::Is(Found::Text(b"MQTT")));
        assert_eq!(text(&PLAIN[..9], MqttField::ProtocolName), Known::NotYet);
        let answer = |field| value(CONNACK_5, MqttPacket::ConnAck, field);
        assert_eq!(answer(MqttField::Property(33)), Known::Is(Found::Number(20)));
        assert_eq!(text(CONNACK_5, MqttField::Flags), Known::Never, "of another packet");
    }

    #[test]
    fn what_is_not_whole_is_short_and_what_is_bent_is_invalid() {
        for packet in [FULL, PLAIN, CONNACK_5, b"\x20\x02\0\0"] {
            assert_eq!(judge(packet), Verdict::Valid);
            for cut in 0..packet.len() {
                assert_eq!(judge(&packet[..cut]), Verdict::Short, "{cut}");
            }
        }
        for bent in [
            &b"\xd0\0"[..],
            b"\x11\x14\0\x04MQTT\x04\x02\0\x3c\0\x08test_sub",
            b"\x10\xff\xff\xff\xff\x14\0\x04MQTT",
            b"\x10\x13\0\x04MQTT\x04\x02\0\x3c\0\x08test_sub",
            b"\x10\x14\0\x04MQTX\x04\x02\0\x3c\0\x08test_sub",
            b"\x10\x14\0\x04MQTT\x04\x03\0\x3c\0\x08test_sub",
            b"\x20\x02\x02\0",
        ] {
            assert_eq!(judge(bent), Verdict::Invalid, "{bent:x?}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        let mut packet = Vec::from(FULL);
        for at in 0..packet.len() {
            for bit in 0..8 {
                packet[at] ^= 1 << bit;
                judge(&packet);
                text(&packet, MqttField::WillTopic);
                packet[at] ^= 1 << bit;
            }
        }
    }
}
