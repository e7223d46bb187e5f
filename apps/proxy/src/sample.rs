//! Samples: what conditions, keys and log lines look at, taken from a session and made into what
//! they need.
//!
//! ```text
//!   Sample { fetch, converters } ──fetch──▶ a Value ──convert──▶ a Value ──▶ Acls, Format, a key
//!                                  │ │
//!                  bytes of a side ┘ └ a View: the session, counters, tables
//! ```
//! What concerns bytes is read here, since it is the same for everyone; all else is asked from the
//! [`View`]. Nothing is allocated: text that has to be made is made in the core's [`Workspace`], and
//! what does not fit there is no sample, as with HAProxy's buffers.

mod bytes;
mod convert;
mod digest;
mod fix;
mod mqtt;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod time;
mod value;

pub use value::{Room, Value};

use penstock_config::haproxy::{Counter, Fetch, Provisos, Sample, TableId, VariableId, Way};

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::Write;

use crate::hello::Scratch;
use crate::known::Known;
use crate::limits;
use crate::log::Clock;

/// What a sample is taken from: a session, or a connection that is not yet one, or a check.
pub trait View {
    /// Bytes of this side that are there to be looked at, from the first.
    fn bytes(&self, way: Way) -> &[u8];

    /// The most that [`bytes`](View::bytes) can ever be: `tune.bufsize`.
    fn bytes_max(&self) -> usize;

    /// Nothing more is waited for: the other side has closed, the bytes are as many as they can be,
    /// or `inspect-delay` is over.
    fn is_final(&self) -> bool;

    /// Whatever is neither a constant nor taken from bytes; `None` when there is none here.
    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>>;

    /// What a table counts for a key; `None` when it does not know the key or counts no such thing.
    /// Without a counter: 1 for a key that is there.
    fn table(&self, table: TableId, counter: Option<Counter>, key: Value<'_>) -> Option<i64>;

    /// Something that nobody has to guess, where there is such a thing.
    fn random(&self) -> Option<u64> {
        None
    }

    /// What a variable is; a text is copied into `room`.
    fn variable<'a>(&self, variable: VariableId, room: &mut Room<'a>) -> Option<Value<'a>> {
        let _ = (variable, room);
        None
    }

    /// Sets a variable, if `provisos` hold; whether that was done.
    fn set_variable(&self, variable: VariableId, value: Value<'_>, provisos: Provisos) -> bool {
        let _ = (variable, value, provisos);
        false
    }

    /// Forgets a variable; whether there can be one here.
    fn unset_variable(&self, variable: VariableId) -> bool {
        let _ = variable;
        false
    }

    /// Usable servers of the backend of this name.
    fn usable_servers(&self, name: &[u8]) -> Option<i64> {
        let _ = name;
        None
    }

    /// Sessions that wait for the server of this name, `backend/server`.
    fn server_queue(&self, name: &[u8]) -> Option<i64> {
        let _ = name;
        None
    }
}

/// Room for what has to be put together; one for each core.
#[derive(Debug)]
pub struct Workspace {
    hello: Scratch,
    text: [u8; TEXT_BYTES],
    /// What a format writes; taken out while it does.
    pub(crate) line: Box<[u8]>,
    /// What lines say of when sessions began.
    pub(crate) clock: Clock,
}

impl Workspace {
    /// An empty one.
    pub fn new() -> Workspace {
        Workspace {
            hello: Scratch::new(),
            text: [0; TEXT_BYTES],
            line: vec![0; limits::LINE_BYTES].into(),
            clock: Clock::new(),
        }
    }
}

impl Default for Workspace {
    fn default() -> Workspace {
        Workspace::new()
    }
}

/// A sample that was taken.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// What it is. `NotYet` although the view is final means that it was not there.
    pub value: Known<Value<'a>>,
    /// It is there and may become another: a number of bytes, all bytes so far.
    pub may_change: bool,
    /// Room for whoever casts the value.
    pub room: Room<'a>,
}

/// Takes a sample.
pub fn fetch<'a>(sample: &'a Sample, view: &'a impl View, work: &'a mut Workspace) -> Fetched<'a> {
    let Workspace { hello, text, line: _, clock: _ } = work;
    let mut room = Room::new(text);
    let (value, may_change) = match &sample.fetch {
        Fetch::Variable { id, default } => {
            let value = view.variable(*id, &mut room);
            (value.or(default.as_deref().map(Value::Text)).into(), false)
        }
        Fetch::Uuid => (view.random().map(|random| uuid(random, &mut room)).into(), false),
        other => first(other, view, hello),
    };
    let value = sample.converters.iter().fold(value, |value, converter| {
        value.and_then(|value| convert::convert(converter, value, view, &mut room))
    });
    let may_change = may_change && !sample.converters.iter().any(convert::is_sure);
    Fetched { value, may_change, room }
}

/// RFC 9562 section 5.4, from a number that nobody has to guess.
fn uuid<'a>(random: u64, room: &mut Room<'a>) -> Value<'a> {
    let step = |number: u64| {
        let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let high = step(random) & !0xf000 | 0x4000;
    let low = step(random.wrapping_add(0x9e37_79b9_7f4a_7c15)) & (u64::MAX >> 2) | 1 << 63;
    Value::Text(room.write(|line| {
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        let (d, e) = (low >> 48, low & 0xffff_ffff_ffff);
        // A Line takes everything, or its beginning: writing never fails.
        let _ = write!(line, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}");
    }))
}

/// Takes it before anything is made of it.
fn first<'a>(
    fetch: &'a Fetch,
    view: &'a impl View,
    hello: &'a mut Scratch,
) -> (Known<Value<'a>>, bool) {
    let value = match fetch {
        Fetch::Bool(value) => Known::Is(Value::Bool(*value)),
        Fetch::Int(value) => Known::Is(Value::Int(*value)),
        Fetch::Addr(value) => Known::Is(Value::Addr(*value)),
        Fetch::Text(value) => Known::Is(Value::Text(value)),
        Fetch::Binary(value) => Known::Is(Value::Binary(value)),
        Fetch::WaitEnd if view.is_final() => Known::Is(Value::Bool(true)),
        Fetch::WaitEnd => Known::NotYet,
        _ => match bytes::fetch(fetch, view, hello) {
            Some(found) => return found,
            None => view.fetch(fetch).into(),
        },
    };
    (value, false)
}

/// Bytes of text that a chain of converters, and the cast behind it, can put together.
const TEXT_BYTES: usize = 16 * 1024;
