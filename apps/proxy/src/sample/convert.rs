//! Converters: what is made of a sample, as HAProxy's configuration manual has them in section
//! 7.3.1. One that cannot be made of what came ends in no sample.

use penstock_config::haproxy::{Base64, Converter, HmacKey, Keys, MapValue, Operand, Operation};
use penstock_wire::Addr;

use super::{Room, Value, View, digest, fix, mqtt, text, time};
use crate::hash;
use crate::known::Known;

/// Makes the next value. What looks at messages may want to see more.
pub(super) fn convert<'a>(
    converter: &'a Converter,
    value: Value<'a>,
    view: &impl View,
    room: &mut Room<'a>,
) -> Known<Value<'a>> {
    match converter {
        Converter::FixIsValid => is_valid(fix::judge(value.bytes(room))),
        Converter::FixValue(tag) => fix::value(value.bytes(room), *tag).map(Value::Binary),
        Converter::MqttIsValid => is_valid(mqtt::judge(value.bytes(room))),
        Converter::MqttValue(packet, field) => {
            mqtt::value(value.bytes(room), *packet, *field).map(|found| match found {
                mqtt::Found::Number(number) => Value::Int(number.into()),
                mqtt::Found::Text(text) => Value::Text(text),
            })
        }
        _ => made(converter, value, view, room).into(),
    }
}

/// Whether it says itself that what it gives can no more become another.
pub(super) fn is_sure(converter: &Converter) -> bool {
    matches!(
        converter,
        Converter::FixIsValid
            | Converter::FixValue(_)
            | Converter::MqttIsValid
            | Converter::MqttValue(..)
    )
}

/// All others; `None` where there is no value.
fn made<'a>(
    converter: &'a Converter,
    value: Value<'a>,
    view: &impl View,
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    let value = match converter {
        Converter::Lower => map_text(value, room, u8::to_ascii_lowercase),
        Converter::Upper => map_text(value, room, u8::to_ascii_uppercase),
        Converter::Length => Value::Int(value.text(room).len() as i64),
        Converter::Hex => {
            let bytes = value.bytes(room);
            Value::Text(room.write(|line| bytes.iter().for_each(|byte| line.hex_byte(*byte))))
        }
        Converter::CutLine => {
            let text = value.text(room);
            let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            Value::Text(&text[..end.unwrap_or(text.len())])
        }
        Converter::TrimStart(these) => {
            let text = value.text(room);
            let begin = text.iter().position(|byte| !these.contains(byte));
            Value::Text(&text[begin.unwrap_or(text.len())..])
        }
        Converter::TrimEnd(these) => {
            let text = value.text(room);
            let last = text.iter().rposition(|byte| !these.contains(byte));
            Value::Text(&text[..last.map_or(0, |last| last + 1)])
        }
        Converter::NetworkOrder => {
            let number = value.int()? as u32;
            let bytes = number.to_be_bytes();
            Value::Binary(room.write(|line| bytes.iter().for_each(|&byte| line.byte(byte))))
        }
        Converter::Base64(alphabet) => text::base64(*alphabet, value.bytes(room), room)?,
        Converter::FromBase64(alphabet) => text::from_base64(*alphabet, value.text(room), room)?,
        Converter::FromHex => text::from_hex(value.text(room))?,
        Converter::ChunksToNumbers { separator, size, whole } => {
            text::chunks(value.bytes(room), separator, (*size).into(), *whole, true, room)
        }
        Converter::ChunksToHex { separator, size, whole } => {
            let bytes = value.bytes(room);
            let size = size.map_or(bytes.len(), |size| size as usize);
            text::chunks(bytes, separator, size, *whole, false, room)
        }
        Converter::Json(input) => text::json(*input, value.text(room), room)?,
        Converter::FromUrl { in_form } => text::from_url(value.text(room), *in_form, room)?,
        Converter::Url => text::to_url(value.text(room), room),
        Converter::HostOnly => {
            let (host, _) = text::host_and_port(value.text(room));
            map_text(Value::Text(host), room, u8::to_ascii_lowercase)
        }
        Converter::PortOnly => {
            let (_, port) = text::host_and_port(value.text(room));
            // Whatever stands there is taken for digits, as HAProxy does.
            let number = port.unwrap_or_default().iter().fold(0u32, |number, byte| {
                number.wrapping_mul(10).wrapping_add(u32::from(*byte)).wrapping_sub(0x30)
            });
            Value::Int(number.into())
        }
        Converter::Concatenate { begin, variable, end } => {
            let text = value.text(room);
            let variable = variable.and_then(|variable| view.variable(variable, room));
            join(&[text, begin], variable, end, room)
        }
        Converter::AddItem { delimiter, variable, end } => {
            let text = value.text(room);
            let variable = variable.and_then(|variable| view.variable(variable, room));
            let added = variable.map(|value| Value::Text(value.text(room)));
            let adds = !end.is_empty() || added.is_some_and(|it| it != Value::Text(b""));
            let delimiter: &[u8] = if adds && !text.is_empty() { delimiter } else { b"" };
            join(&[text, delimiter], added, end, room)
        }
        Converter::Compare(variable) => {
            let text = value.text(room);
            let other = view.variable(*variable, room)?;
            Value::Int(compare(text, other.text(room)))
        }
        Converter::IsSame(variable) => {
            let bytes = value.bytes(room);
            let other = view.variable(*variable, room)?;
            Value::Bool(is_same(bytes, other.bytes(room)))
        }
        Converter::XxHash(function, seed) => digest::xxhash(*function, *seed, value.bytes(room)),
        Converter::Digest(function) => digest::digest(*function, value.bytes(room), room),
        Converter::Hmac(function, key) => {
            let bytes = value.bytes(room);
            let key: &[u8] = match key {
                HmacKey::Bytes(key) => key,
                HmacKey::Variable(variable) => {
                    let spelled = view.variable(*variable, room)?.text(room);
                    text::from_base64(Base64::Standard, spelled, room)?.bytes(room)
                }
            };
            digest::hmac(*function, key, bytes, room)?
        }
        Converter::Time { format, zone, offset } => {
            time::time(value.int()?, *offset, *zone, format, room)?
        }
        Converter::HttpDate { offset, unit } => {
            time::http_date(value.int()?, *offset, *unit, room)?
        }
        Converter::FixIsValid
        | Converter::FixValue(_)
        | Converter::MqttIsValid
        | Converter::MqttValue(..) => return None,
        Converter::UsableServers => Value::Int(view.usable_servers(value.text(room))?),
        Converter::ServerQueue => Value::Int(view.server_queue(value.text(room))?),
        Converter::Map { map, default } => {
            let found = match &map.keys {
                Keys::Int(_) => map.of_int(value.int()?),
                Keys::Ip(_) => map.of_addr(value.addr()?),
                _ => map.of_text(value.text(room)),
            };
            match found.or(default.as_ref())? {
                MapValue::Text(text) => Value::Text(text),
                MapValue::Int(number) => Value::Int(*number),
                MapValue::Addr(addr) => Value::Addr(*addr),
            }
        }
        Converter::SetVariable(variable, provisos) => {
            view.set_variable(*variable, value, *provisos).then_some(value)?
        }
        Converter::UnsetVariable(variable) => view.unset_variable(*variable).then_some(value)?,
        Converter::Bytes { offset, length } => {
            let bytes = value.bytes(room);
            let rest = bytes.get(*offset as usize..).unwrap_or_default();
            let length = length.map_or(rest.len(), |length| rest.len().min(length as usize));
            Value::Binary(&rest[..length])
        }
        Converter::Field { index, delimiters, count } => {
            Value::Text(field(value.text(room), *index, delimiters, *count)?)
        }
        Converter::Word { index, delimiters, count } => {
            Value::Text(word(value.text(room), *index, delimiters, *count))
        }
        Converter::Mask { v4, v6 } => Value::Addr(mask(value.addr()?, *v4, *v6)?),
        Converter::Bool => Value::Bool(value.int()? != 0),
        Converter::Not => Value::Bool(value.int()? == 0),
        Converter::Odd => Value::Bool(value.int()? & 1 == 1),
        Converter::Even => Value::Bool(value.int()? & 1 == 0),
        Converter::Negate => Value::Int(value.int()?.checked_neg().unwrap_or(i64::MAX)),
        Converter::Complement => Value::Int(!value.int()?),
        Converter::Arithmetic(operation, operand) => {
            let operand = match operand {
                Operand::Number(number) => *number,
                Operand::Variable(variable) => view.variable(*variable, room)?.int()?,
            };
            Value::Int(calculate(*operation, value.int()?, operand))
        }
        Converter::Hash { function, avalanche } => {
            let number = hash::hash(*function, value.bytes(room));
            Value::Int(i64::from(if *avalanche { hash::mix(number) } else { number }))
        }
        Converter::InTable(table) => Value::Bool(view.table(*table, None, value).is_some()),
        Converter::TableCounter { counter, table, unknown } => {
            Value::Int(view.table(*table, Some(*counter), value).or(*unknown)?)
        }
        Converter::Choose { yes, no } => Value::Text(if value.int()? != 0 { yes } else { no }),
    };
    Some(value)
}

fn is_valid<'a>(verdict: fix::Verdict) -> Known<Value<'a>> {
    match verdict {
        fix::Verdict::Valid => Known::Is(Value::Bool(true)),
        fix::Verdict::Invalid => Known::Is(Value::Bool(false)),
        fix::Verdict::Short => Known::NotYet,
    }
}

fn map_text<'a>(value: Value<'a>, room: &mut Room<'a>, map: fn(&u8) -> u8) -> Value<'a> {
    let text = value.text(room);
    Value::Text(room.write(|line| text.iter().for_each(|byte| line.byte(map(byte)))))
}

/// Texts behind each other, with a variable's between them.
fn join<'a>(
    begin: &[&[u8]],
    variable: Option<Value<'a>>,
    end: &[u8],
    room: &mut Room<'a>,
) -> Value<'a> {
    let middle = variable.map_or(&b""[..], |value| value.text(room));
    Value::Text(room.write(|line| {
        begin.iter().for_each(|part| line.push(part));
        line.push(middle);
        line.push(end);
    }))
}

/// Below 0, 0 or above 0, as HAProxy has it: C's `strncmp`, and then the lengths.
fn compare(left: &[u8], right: &[u8]) -> i64 {
    let unlike = left.iter().zip(right).find(|(left, right)| left != right);
    match unlike {
        Some((left, right)) => i64::from(*left) - i64::from(*right),
        None => left.len().cmp(&right.len()) as i64,
    }
}

/// Whether both are the same, looking at all of them.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let unlike = left.iter().zip(right).fold(0, |bits, (left, right)| bits | (left ^ right));
    left.len() == right.len() && unlike == 0
}

/// Fields from `index` on, as many as `count`, or the rest of the text for 0. Fields that are empty
/// count. A negative index counts from the end, and the fields then reach towards the beginning.
fn field<'a>(text: &'a [u8], index: i32, delimiters: &[u8], count: u32) -> Option<&'a [u8]> {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let wanted = index.unsigned_abs().checked_sub(1)?;
    let (mut begin, mut end) = (0, text.len());
    if index > 0 {
        for _ in 0..wanted {
            begin += text[begin..].iter().position(is_delimiter)? + 1;
        }
        let mut left = count;
        let last = text[begin..].iter().position(|byte| ends(byte, is_delimiter, &mut left));
        end = last.map_or(end, |at| begin + at);
    } else {
        for _ in 0..wanted {
            end = text[..end].iter().rposition(is_delimiter)?;
        }
        let mut left = count;
        let last = text[..end].iter().rposition(|byte| ends(byte, is_delimiter, &mut left));
        begin = last.map_or(0, |at| at + 1);
    }
    Some(&text[begin..end])
}

/// Whether this byte ends the last of the fields that are `left`; with 0 of them nothing does.
fn ends(byte: &u8, is_delimiter: impl Fn(&u8) -> bool, left: &mut u32) -> bool {
    if *left == 0 || !is_delimiter(byte) {
        return false;
    }
    *left -= 1;
    *left == 0
}

/// The same for words: delimiters next to each other are one, and there is no empty word. One that
/// is not there is empty text.
fn word<'a>(text: &'a [u8], index: i32, delimiters: &[u8], count: u32) -> &'a [u8] {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let bounds = || {
        let starts = (0..text.len())
            .filter(|at| !is_delimiter(&text[*at]) && (*at == 0 || is_delimiter(&text[*at - 1])));
        starts.map(|start| {
            let len = text[start..].iter().position(is_delimiter);
            (start, len.map_or(text.len(), |len| start + len))
        })
    };
    let Some(wanted) = (index.unsigned_abs() as usize).checked_sub(1) else { return &[] };
    let total = bounds().count();
    if wanted >= total {
        return &[];
    }
    // Where there are fewer words than asked for, what is left belongs to them with its delimiters.
    let others = (count as usize).wrapping_sub(1);
    let (mut begin, mut end) = (0, text.len());
    if index > 0 {
        begin = bounds().nth(wanted).map_or(begin, |(begin, _)| begin);
        end = bounds().nth(wanted.saturating_add(others)).map_or(end, |(_, end)| end);
    } else {
        let last = total - 1 - wanted;
        end = bounds().nth(last).map_or(end, |(_, end)| end);
        let first = last.checked_sub(others).and_then(|first| bounds().nth(first));
        begin = first.map_or(begin, |(begin, _)| begin);
    }
    &text[begin..end]
}

/// Without a mask of its own, no address of IPv6 passes.
fn mask(addr: Addr, v4: u32, v6: Option<u128>) -> Option<Addr> {
    if addr.is_v4() {
        return Some(Addr::v4(addr.v4_number() & v4));
    }
    v6.map(|v6| Addr::v6((u128::from_be_bytes(addr.bytes()) & v6).to_be_bytes()))
}

/// Saturates; dividing by 0 gives the largest number, its remainder is 0.
fn calculate(operation: Operation, left: i64, right: i64) -> i64 {
    match operation {
        Operation::Add => left.saturating_add(right),
        Operation::Subtract => left.saturating_sub(right),
        Operation::Multiply => left.saturating_mul(right),
        Operation::Divide if right == 0 => i64::MAX,
        Operation::Divide => left.checked_div(right).unwrap_or(i64::MAX),
        Operation::Modulo => left.checked_rem(right).unwrap_or(0),
        Operation::And => left & right,
        Operation::Or => left | right,
        Operation::Xor => left ^ right,
    }
}
