//! What cores tell each other of variables of the process: a state with a version, never an event.

use penstock_config::haproxy::Provisos;
use penstock_stack::Cx;
use penstock_wire::Addr;

use super::{Kept, Shared, Texts};
use crate::cores;
use crate::limits;
use crate::proxy::Proxy;
use crate::sample::{Room, Value};

impl Proxy {
    /// The other cores, a bit for each.
    pub(crate) fn others(&self) -> u128 {
        let all = if self.cores < 128 { (1 << self.cores) - 1 } else { u128::MAX };
        all & !(1 << self.core)
    }

    /// Tells others what variables of the process are now.
    pub(crate) fn tell_variables(&mut self, cx: &mut Cx<'_>) {
        let store = self.variables.store.get_mut();
        let texts = &store.texts;
        let mut is_refused = false;
        for (index, shared) in (0..).zip(&mut store.process) {
            let (words, count) = words(index, shared, texts);
            while shared.owed != 0 && !is_refused {
                let core = shared.owed.trailing_zeros() as u16;
                is_refused = cx.tell(core, &words[..count]).is_err();
                if !is_refused {
                    shared.owed &= shared.owed - 1;
                }
            }
        }
        if is_refused {
            self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
        }
    }

    /// Core `from` has set a variable of the process.
    pub(crate) fn hear_variable(&self, from: u16, first: u64, rest: &[u64]) {
        let (index, kind) = cores::variable_of(first);
        let Some((&second, rest)) = rest.split_first() else { return };
        let store = &mut *self.variables.store.borrow_mut();
        let Some(shared) = store.process.get_mut(usize::from(index)) else { return };
        let version = ((second >> 32) as u32, from);
        let is_later = match version.0.wrapping_sub(shared.version.0) as i32 {
            0 => version.1 > shared.version.1,
            by => by > 0,
        };
        if !is_later {
            return;
        }
        let mut bytes = [0; TOLD_BYTES];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(rest) {
            *bytes = word.to_le_bytes();
        }
        let bytes = &bytes[..(second as u32 as usize).min(TOLD_BYTES)];
        let word = |at: usize| rest.get(at).copied().unwrap_or_default();
        let value = match kind {
            BOOL => Some(Value::Bool(word(0) != 0)),
            INT => Some(Value::Int(word(0) as i64)),
            ADDR => Some(Value::Addr(Addr { hi: word(0), lo: word(1) })),
            TEXT => Some(Value::Text(bytes)),
            BINARY => Some(Value::Binary(bytes)),
            _ => None,
        };
        shared.version = version;
        // Whoever has not heard of ours yet hears of this one from who set it.
        shared.owed = 0;
        store.texts.give(core::mem::replace(&mut shared.value, Kept::Unset));
        if let Some(value) = value {
            store.texts.replace(&mut shared.value, value, Provisos::default());
        }
    }
}

/// A variable of the process as words: what it is, its version and length, its value.
fn words(index: u16, shared: &Shared, texts: &Texts) -> ([u64; 2 + TOLD_BYTES / 8], usize) {
    let mut words = [0; 2 + TOLD_BYTES / 8];
    let mut len = 0;
    let (kind, count) = match shared.value {
        Kept::Absent | Kept::Unset => (UNSET, 0),
        Kept::Bool(value) => {
            words[2] = value.into();
            (BOOL, 1)
        }
        Kept::Int(number) => {
            words[2] = number as u64;
            (INT, 1)
        }
        Kept::Addr(addr) => {
            (words[2], words[3]) = (addr.hi, addr.lo);
            (ADDR, 2)
        }
        Kept::Text(piece) | Kept::Binary(piece) => {
            let mut room = [0; TOLD_BYTES];
            let bytes = texts.copy(piece, &mut Room::new(&mut room)).unwrap_or_default();
            len = bytes.len();
            let mut whole = [0; TOLD_BYTES];
            whole[..len].copy_from_slice(bytes);
            for (word, bytes) in words[2..].iter_mut().zip(whole.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            let kind = if matches!(shared.value, Kept::Text(_)) { TEXT } else { BINARY };
            (kind, len.div_ceil(8))
        }
    };
    words[0] = cores::variable_word(index, kind);
    words[1] = u64::from(shared.version.0) << 32 | len as u64;
    (words, 2 + count)
}

const UNSET: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const ADDR: u8 = 3;
const TEXT: u8 = 4;
const BINARY: u8 = 5;

/// Bytes of a text that one word between cores has room for.
pub(super) const TOLD_BYTES: usize = 48;

const _: () = assert!(2 + TOLD_BYTES / 8 <= 8, "penstock_stack's words");
