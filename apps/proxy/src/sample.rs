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
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub use value::{Room, Value};

use penstock_config::haproxy::{Counter, Fetch, Sample, TableId, Way};

use crate::hello::Scratch;
use crate::known::Known;

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
}

/// Room for what has to be put together; one for each core.
#[derive(Debug)]
pub struct Workspace {
    hello: Scratch,
    text: [u8; TEXT_BYTES],
}

impl Workspace {
    /// An empty one.
    pub fn new() -> Workspace {
        Workspace { hello: Scratch::new(), text: [0; TEXT_BYTES] }
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
    let Workspace { hello, text } = work;
    let mut room = Room::new(text);
    let (value, may_change) = first(&sample.fetch, view, hello);
    let value = value.and_then(|value| {
        let made = sample.converters.iter().try_fold(value, |value, converter| {
            convert::convert(converter, value, view, &mut room)
        });
        made.into()
    });
    Fetched { value, may_change, room }
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
