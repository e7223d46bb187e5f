//! Questions to name servers and their answers, as bytes (RFC 1035 section 4). smoltcp reads the format,
//! and follows pointers backwards only, so no name is a loop. What an answer means is here: it must
//! repeat our question, and an alias leads on within the same answer.

use penstock_wire::Addr;
use smoltcp::wire::{DnsFlags, DnsPacket, DnsQueryType as Type, DnsQuestion, DnsRcode, DnsRecord};
use smoltcp::wire::{DnsOpcode, DnsRecordData as Data};

use crate::limits;

/// A name as the format has it: labels behind their lengths, in lower case, and a 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireName {
    bytes: [u8; NAME_BYTES_MAX],
    length: u8,
}

impl WireName {
    const EMPTY: WireName = WireName { bytes: [0; NAME_BYTES_MAX], length: 0 };

    /// A name such as `www.example`; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<WireName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut name = WireName::EMPTY;
        for label in text.split('.') {
            name.push(label.as_bytes())?;
        }
        name.end()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        let at = self.length as usize;
        let room = self.bytes.get_mut(at..at + 1 + label.len())?;
        room[0] = label.len() as u8;
        room[1..].copy_from_slice(label);
        room[1..].make_ascii_lowercase();
        self.length += 1 + label.len() as u8;
        Some(())
    }

    fn end(mut self) -> Option<WireName> {
        *self.bytes.get_mut(self.length as usize)? = 0;
        self.length += 1;
        (self.length > 1).then_some(self)
    }

    /// A name of a packet, whole.
    fn of(packet: &DnsPacket<&[u8]>, bytes: &[u8]) -> Option<WireName> {
        let mut name = WireName::EMPTY;
        for label in packet.parse_name(bytes) {
            name.push(label.ok()?)?;
        }
        name.end()
    }

    /// Whether a name of a packet is this one.
    fn is(&self, packet: &DnsPacket<&[u8]>, bytes: &[u8]) -> bool {
        let mut rest = self.as_slice();
        for label in packet.parse_name(bytes) {
            let (Ok(label), Some((&length, after))) = (label, rest.split_first()) else {
                return false;
            };
            let Some((own, after)) = after.split_at_checked(length as usize) else { return false };
            if !own.eq_ignore_ascii_case(label) {
                return false;
            }
            rest = after;
        }
        rest == [0]
    }
}

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Addresses and for how many seconds they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Addresses {
    pub(crate) list: [Addr; limits::ADDRESSES_PER_NAME],
    pub(crate) count: usize,
    pub(crate) ttl_seconds: u32,
}

impl Addresses {
    pub(crate) fn as_slice(&self) -> &[Addr] {
        &self.list[..self.count.min(limits::ADDRESSES_PER_NAME)]
    }

    pub(crate) fn push(&mut self, addr: Addr) {
        if self.count < self.list.len() && !self.as_slice().contains(&addr) {
            self.list[self.count] = addr;
            self.count += 1;
        }
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The name has these addresses, or none.
    Addresses(Addresses),
    /// There is no such name.
    NoSuchName,
    /// It did not fit: to be asked for over TCP.
    Truncated,
    /// This server will not say.
    Refused,
    /// It cannot, or what it says is nonsense.
    Failed,
}

/// Writes a question; returns its length.
pub(crate) fn write(
    bytes: &mut [u8; QUESTION_BYTES_MAX],
    id: u16,
    name: &WireName,
    family: Family,
) -> usize {
    let question = DnsQuestion { name: name.as_slice(), type_: type_of(family) };
    let length = HEADER_BYTES + question.buffer_len();
    let mut packet = DnsPacket::new_unchecked(&mut bytes[..length]);
    packet.set_transaction_id(id);
    packet.set_flags(DnsFlags::RECURSION_DESIRED);
    packet.set_opcode(DnsOpcode::Query);
    packet.set_question_count(1);
    packet.set_answer_record_count(0);
    packet.set_authority_record_count(0);
    packet.set_additional_record_count(0);
    question.emit(packet.payload_mut());
    length
}

/// Reads an answer to the question with that id. `None`: it is none, and the right one may yet come.
pub(crate) fn read(bytes: &[u8], id: u16, name: &WireName, family: Family) -> Option<Answer> {
    let packet = DnsPacket::new_checked(bytes).ok()?;
    let is_answer = packet.flags().contains(DnsFlags::RESPONSE)
        && packet.opcode() == DnsOpcode::Query
        && packet.transaction_id() == id
        && packet.question_count() == 1;
    let (mut rest, question) = DnsQuestion::parse(packet.payload()).ok().filter(|_| is_answer)?;
    if question.type_ != type_of(family) || !name.is(&packet, question.name) {
        return None;
    }
    match packet.rcode() {
        DnsRcode::NoError => {}
        DnsRcode::NXDomain => return Some(Answer::NoSuchName),
        DnsRcode::Refused => return Some(Answer::Refused),
        _ => return Some(Answer::Failed),
    }
    if packet.flags().contains(DnsFlags::TRUNCATED) {
        return Some(Answer::Truncated);
    }
    let mut records = [None; limits::RECORDS_MAX];
    let count = (packet.answer_record_count() as usize).min(limits::RECORDS_MAX);
    for place in &mut records[..count] {
        // Half an answer is none: whoever sends nonsense is not believed in part.
        let Ok((after, record)) = DnsRecord::parse(rest) else { return Some(Answer::Failed) };
        let (target, addr) = match record.data {
            Data::A(addr) if family == Family::V4 => (None, Some(Addr::from(addr))),
            Data::Aaaa(addr) if family == Family::V6 => (None, Some(Addr::from(addr))),
            Data::Cname(target) => (Some(target), None),
            _ => (None, None),
        };
        *place =
            Some(Record { name: record.name, ttl: record.ttl, target, addr: addr.filter(is_host) });
        rest = after;
    }
    Some(Answer::Addresses(follow(&packet, name, &records[..count])))
}

/// A record that may count.
#[derive(Clone, Copy)]
struct Record<'a> {
    name: &'a [u8],
    ttl: u32,
    target: Option<&'a [u8]>,
    addr: Option<Addr>,
}

/// From a name over its aliases to its addresses.
fn follow(packet: &DnsPacket<&[u8]>, name: &WireName, records: &[Option<Record<'_>>]) -> Addresses {
    let (mut name, mut ttl) = (*name, TTL_SECONDS_MAX);
    for _ in 0..=limits::ALIASES_MAX {
        let own = records.iter().flatten().filter(|record| name.is(packet, record.name));
        let mut addresses = Addresses { ttl_seconds: ttl, ..Addresses::default() };
        let mut alias = None;
        for record in own {
            if let Some(addr) = record.addr {
                addresses.push(addr);
                addresses.ttl_seconds = addresses.ttl_seconds.min(seconds(record.ttl));
            }
            alias = alias.or(record.target.map(|target| (target, record.ttl)));
        }
        if addresses.count > 0 {
            return addresses;
        }
        let Some((target, alias_ttl)) = alias else { break };
        let Some(next) = WireName::of(packet, target) else { break };
        (name, ttl) = (next, ttl.min(seconds(alias_ttl)));
    }
    nothing()
}

fn nothing() -> Addresses {
    Addresses { ttl_seconds: TTL_SECONDS_NEGATIVE, ..Addresses::default() }
}

/// Not so short that we would ask without pause, not so long that nobody could mend it. The top bit is
/// nonsense (RFC 2181 section 8).
fn seconds(ttl: u32) -> u32 {
    if ttl >> 31 != 0 { TTL_SECONDS_MIN } else { ttl.clamp(TTL_SECONDS_MIN, TTL_SECONDS_MAX) }
}

/// Whether a server can have it: a name does not point us at ourselves, or at everybody.
fn is_host(addr: &Addr) -> bool {
    !addr.is_group() && !addr.is_unspecified() && !addr.is_loopback()
}

fn type_of(family: Family) -> Type {
    match family {
        Family::V4 => Type::A,
        Family::V6 => Type::Aaaa,
    }
}

const HEADER_BYTES: usize = 12;
/// RFC 1035 section 2.3.4, the 0 at the end included.
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
pub(crate) const QUESTION_BYTES_MAX: usize = HEADER_BYTES + NAME_BYTES_MAX + 4;

const TTL_SECONDS_MIN: u32 = 2;
const TTL_SECONDS_MAX: u32 = 86_400;
/// How long it holds that there is nothing: few answers carry a SOA that would say it.
pub(crate) const TTL_SECONDS_NEGATIVE: u32 = 30;

#[cfg(test)]
mod tests;
