//! Fields of messages that converters name: of FIX and MQTT.

use alloc::format;
use alloc::string::String;

use super::text::{digits, leading_number};
use crate::haproxy::{Converter, MqttField, MqttPacket};

/// `fix_tag_value(TAG)`: a number, or one of some names.
///
/// # Errors
/// HAProxy's words.
pub(super) fn fix(name: &str) -> Result<Converter, String> {
    let named = TAGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|it| it.1);
    match (digits(name), named) {
        ((number, ""), None) if number > 0 => Ok(Converter::FixValue(number)),
        (_, Some(number)) => Ok(Converter::FixValue(number)),
        _ => Err(format!("Unknown FIX tag name '{name}'")),
    }
}

const TAGS: [(&str, u32); 6] = [
    ("BeginString", 8),
    ("BodyLength", 9),
    ("CheckSum", 10),
    ("MsgType", 35),
    ("SenderCompID", 49),
    ("TargetCompID", 56),
];

/// `mqtt_field_value(PACKET,FIELD)`.
///
/// # Errors
/// HAProxy's words.
pub(super) fn mqtt(packet: &str, field: &str) -> Result<Converter, String> {
    let number = usize::try_from(leading_number(packet)).ok();
    let number = number.filter(|number| (1..=PACKETS.len()).contains(number));
    let named = || PACKETS.iter().position(|known| known.eq_ignore_ascii_case(packet));
    let Some(number) = number.or_else(|| named().map(|at| at + 1)) else {
        return Err(format!("Unknown MQTT type '{packet}'"));
    };
    let named = FIELDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(field));
    let named = named.map(|&(_, field, packets)| (field, packets));
    let property = || {
        let known = |id: u8| PROPERTIES.iter().find(|(known, _)| *known == id);
        let id: u8 = field.parse().ok().filter(|_| !field.starts_with(['0', '+']))?;
        known(id).map(|&(id, packets)| (MqttField::Property(id), packets))
    };
    match named.or_else(property) {
        Some((field, packets)) if packets & 1 << number != 0 => Ok(Converter::MqttValue(
            match number {
                1 => MqttPacket::Connect,
                2 => MqttPacket::ConnAck,
                _ => MqttPacket::Other,
            },
            field,
        )),
        _ => Err(format!("Unknown MQTT field name '{field}' for packet type '{packet}'")),
    }
}

/// By number, from 1.
#[rustfmt::skip]
const PACKETS: [&str; 15] = [
    "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "suback",
    "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth",
];

const CONNECT: u16 = 1 << 1;
const CONNACK: u16 = 1 << 2;
const PUBLISH: u16 = 1 << 3;
/// `puback`, `pubrec`, `pubrel`, `pubcomp`.
const ANSWERS: u16 = 0xf << 4;
const SUBSCRIBE: u16 = 1 << 8;
const SUBACK: u16 = 1 << 9;
const UNSUBSCRIBE: u16 = 1 << 10;
const UNSUBACK: u16 = 1 << 11;
const DISCONNECT: u16 = 1 << 14;
const AUTH: u16 = 1 << 15;

/// In which packets a field is.
const FIELDS: [(&str, MqttField, u16); 10] = [
    ("flags", MqttField::Flags, CONNECT | CONNACK),
    ("reason_code", MqttField::ReasonCode, CONNACK | ANSWERS | DISCONNECT),
    ("protocol_name", MqttField::ProtocolName, CONNECT),
    ("protocol_version", MqttField::ProtocolVersion, CONNECT | CONNACK),
    ("client_identifier", MqttField::ClientIdentifier, CONNECT),
    ("will_topic", MqttField::WillTopic, CONNECT),
    ("will_payload", MqttField::WillPayload, CONNECT),
    ("username", MqttField::Username, CONNECT),
    ("password", MqttField::Password, CONNECT),
    ("keepalive", MqttField::KeepAlive, CONNECT),
];

/// And a property of version 5.
#[rustfmt::skip]
const PROPERTIES: [(u8, u16); 27] = [
    (1, CONNECT | PUBLISH), (2, CONNECT | PUBLISH), (3, CONNECT | PUBLISH),
    (8, CONNECT | PUBLISH), (9, CONNECT | PUBLISH), (11, PUBLISH | SUBSCRIBE),
    (17, CONNECT | CONNACK | DISCONNECT), (18, CONNACK), (19, CONNACK),
    (21, CONNECT | CONNACK | AUTH), (22, CONNECT | CONNACK | AUTH), (23, CONNECT), (24, CONNECT),
    (25, CONNECT), (26, CONNACK), (28, CONNACK | DISCONNECT),
    (31, CONNACK | ANSWERS | SUBACK | UNSUBACK | DISCONNECT | AUTH), (33, CONNECT | CONNACK),
    (34, CONNECT | CONNACK), (35, PUBLISH), (36, CONNACK), (37, CONNACK),
    (38, CONNECT | CONNACK | PUBLISH | ANSWERS | SUBSCRIBE | SUBACK | UNSUBSCRIBE | UNSUBACK | DISCONNECT | AUTH),
    (39, CONNECT | CONNACK), (40, CONNACK), (41, CONNACK), (42, CONNACK),
];
