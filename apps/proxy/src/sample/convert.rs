//! Converters: what is made of a sample, as HAProxy's configuration manual has them in section
//! 7.3.1. One that cannot be made of what came ends in no sample.

use penstock_config::haproxy::{Converter, Operation};
use penstock_wire::Addr;

use super::{Room, Value, View};
use crate::hash;

/// Makes the next value; `None` where there is none.
pub(super) fn convert<'a>(
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
        Converter::Base64 => base64(value.bytes(room), room)?,
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
        Converter::Mask { v4, v6 } => Value::Addr(mask(value.addr()?, *v4, *v6)),
        Converter::Bool => Value::Bool(value.int()? != 0),
        Converter::Not => Value::Bool(value.int()? == 0),
        Converter::Odd => Value::Bool(value.int()? & 1 == 1),
        Converter::Even => Value::Bool(value.int()? & 1 == 0),
        Converter::Negate => Value::Int(value.int()?.checked_neg().unwrap_or(i64::MAX)),
        Converter::Complement => Value::Int(!value.int()?),
        Converter::Arithmetic(operation, number) => {
            Value::Int(calculate(*operation, value.int()?, *number))
        }
        Converter::Hash { function, avalanche } => {
            let number = hash::hash(*function, value.bytes(room));
            Value::Int(i64::from(if *avalanche { hash::mix(number) } else { number }))
        }
        Converter::InTable(table) => Value::Bool(view.table(*table, None, value).is_some()),
        Converter::TableCounter(counter, table) => {
            Value::Int(view.table(*table, Some(*counter), value).unwrap_or(0))
        }
        Converter::Choose { yes, no } => Value::Text(if value.int()? != 0 { yes } else { no }),
    };
    Some(value)
}

fn map_text<'a>(value: Value<'a>, room: &mut Room<'a>, map: fn(&u8) -> u8) -> Value<'a> {
    let text = value.text(room);
    Value::Text(room.write(|line| text.iter().for_each(|byte| line.byte(map(byte)))))
}

/// RFC 4648 section 4; `None` when it does not fit.
fn base64<'a>(bytes: &[u8], room: &mut Room<'a>) -> Option<Value<'a>> {
    if bytes.len().div_ceil(3) * 4 > room.len() {
        return None;
    }
    let text = room.write(|line| {
        for chunk in bytes.chunks(3) {
            let at = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for digit in 0..4 {
                let is_padding = digit > chunk.len();
                let index = (bits >> (18 - 6 * digit)) as usize & 0x3f;
                line.byte(if is_padding { b'=' } else { BASE64[index] });
            }
        }
    });
    Some(Value::Text(text))
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

fn mask(addr: Addr, v4: u32, v6: u128) -> Addr {
    if addr.is_v4() {
        return Addr::v4(addr.v4_number() & v4);
    }
    Addr::v6((u128::from_be_bytes(addr.bytes()) & v6).to_be_bytes())
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

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
