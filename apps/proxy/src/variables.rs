//! Variables at work: what rules have kept, of the process and of each session.
//!
//! A session has room for one value of each variable that the configuration names; texts lie in
//! blocks that all sessions of a core share, and what finds none free is not set, as with HAProxy's
//! `tune.vars` limits. A variable of the process is on every core: whoever sets one tells the
//! others, and where two set it at once, the later version counts everywhere, or the higher core's.

use core::cell::RefCell;

use alloc::boxed::Box;
use alloc::vec;

use penstock_config::haproxy::{
    self, Assignment, Counter, Fetch, Provisos, Scope, TableId, VariableId, VariableValue, Way,
};
use penstock_stack::Cx;
use penstock_wire::Addr;

use crate::cores;
use crate::known::Known;
use crate::limits;
use crate::line::Line;
use crate::log::{Record, Spaces, write_session};
use crate::proxy::Proxy;
use crate::sample::{Room, Value, View, Workspace, fetch};
use crate::session::SessionId;

/// The variables of a core.
#[derive(Debug)]
pub(crate) struct Variables {
    /// The scope of each that sessions have.
    scopes: &'static [Scope],
    process_count: usize,
    store: RefCell<Store>,
}

#[derive(Debug)]
struct Store {
    core: u16,
    process: Box<[Shared]>,
    /// By session, then by number.
    values: Box<[Kept]>,
    /// How far each session has come.
    stages: Box<[Stage]>,
    texts: Texts,
}

/// A variable of the process.
#[derive(Clone, Copy, Debug)]
struct Shared {
    value: Kept,
    /// How often it was set, and who set it last.
    version: (u32, u16),
    /// Cores that have yet to hear of it, a bit for each.
    owed: u128,
}

/// Which scopes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A connection that is not a session yet.
    Connection,
    /// Until a server is connected to.
    Request,
    /// From then on.
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It does not exist.
    Absent,
    /// It exists and has no value.
    Unset,
    Bool(bool),
    Int(i64),
    Addr(Addr),
    Text(Piece),
    Binary(Piece),
}

impl Variables {
    pub(crate) fn new(named: &'static haproxy::Variables, core: u16, sessions: usize) -> Variables {
        let unset = Shared { value: Kept::Unset, version: (0, 0), owed: 0 };
        let count = named.session.len();
        let process_count = usize::from(named.process);
        let has_any = count + process_count > 0;
        let stages = if count > 0 { sessions } else { 0 };
        Variables {
            scopes: &named.session,
            process_count,
            store: RefCell::new(Store {
                core,
                process: vec![unset; process_count].into(),
                values: vec![Kept::Absent; sessions * count].into(),
                stages: vec![Stage::Connection; stages].into(),
                texts: Texts::new(if has_any { limits::VARIABLE_BLOCKS.max(sessions) } else { 0 }),
            }),
        }
    }

    /// Does what the section `global` sets.
    pub(crate) fn assign(&self, assignments: &[Assignment], work: &mut Workspace) {
        let view = Beginning(self);
        for Assignment { variable, value, provisos } in assignments {
            match value {
                VariableValue::Sample(sample) => {
                    if let Known::Is(value) = fetch(sample, &view, work).value {
                        view.set_variable(*variable, value, *provisos);
                    }
                }
                VariableValue::Format(format) => {
                    let mut room = core::mem::take(&mut work.line);
                    let mut line = Line::new(&mut room);
                    write_session(format, Spaces::Kept, &Record::NOBODY, &view, work, &mut line);
                    view.set_variable(*variable, Value::Text(line.as_bytes()), *provisos);
                    work.line = room;
                }
            }
        }
    }

    /// A session looks at its client's bytes from now on.
    #[inline]
    pub(crate) fn begin(&self, id: SessionId) {
        if !self.scopes.is_empty() {
            self.store.borrow_mut().stages[id.0 as usize] = Stage::Request;
        }
    }

    /// A session is connected to a server: what was the request's is forgotten.
    #[inline]
    pub(crate) fn respond(&self, id: SessionId) {
        if !self.scopes.is_empty() {
            let store = &mut *self.store.borrow_mut();
            store.stages[id.0 as usize] = Stage::Response;
            store.forget(id, self.scopes, |scope| scope == Scope::Request);
        }
    }

    /// A session is over.
    #[inline]
    pub(crate) fn release(&self, id: SessionId) {
        if !self.scopes.is_empty() {
            let store = &mut *self.store.borrow_mut();
            store.stages[id.0 as usize] = Stage::Connection;
            store.forget(id, self.scopes, |_| true);
        }
    }

    /// A variable's value; texts are copied into `room`.
    pub(crate) fn value<'a>(
        &self,
        id: Option<SessionId>,
        variable: VariableId,
        room: &mut Room<'a>,
    ) -> Option<Value<'a>> {
        let store = &*self.store.borrow();
        let kept = match variable.scope {
            Scope::Process => store.process.get(usize::from(variable.index))?.value,
            _ => store.values[self.place(store, id?, variable)?],
        };
        Some(match kept {
            Kept::Absent | Kept::Unset => return None,
            Kept::Bool(value) => Value::Bool(value),
            Kept::Int(number) => Value::Int(number),
            Kept::Addr(addr) => Value::Addr(addr),
            Kept::Text(piece) => Value::Text(store.texts.copy(piece, room)?),
            Kept::Binary(piece) => Value::Binary(store.texts.copy(piece, room)?),
        })
    }

    /// Sets a variable, if `provisos` hold; whether that was done.
    pub(crate) fn set(
        &self,
        id: Option<SessionId>,
        variable: VariableId,
        value: Value<'_>,
        provisos: Provisos,
        others: u128,
    ) -> bool {
        let store = &mut *self.store.borrow_mut();
        if variable.scope == Scope::Process {
            return store.set_shared(usize::from(variable.index), value, provisos, others);
        }
        let Some(at) = id.and_then(|id| self.place(store, id, variable)) else { return false };
        store.texts.replace(&mut store.values[at], value, provisos)
    }

    /// Forgets a variable; whether there can be one.
    pub(crate) fn unset(&self, id: Option<SessionId>, variable: VariableId, others: u128) -> bool {
        let store = &mut *self.store.borrow_mut();
        if variable.scope == Scope::Process {
            let Some(shared) = store.process.get_mut(usize::from(variable.index)) else {
                return false;
            };
            store.texts.give(core::mem::replace(&mut shared.value, Kept::Unset));
            shared.change(store.core, others);
            return true;
        }
        let Some(at) = id.and_then(|id| self.place(store, id, variable)) else { return false };
        store.texts.give(core::mem::replace(&mut store.values[at], Kept::Absent));
        true
    }

    /// Whether other cores have something to hear.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.process_count > 0 && self.store.borrow().process.iter().any(|shared| shared.owed != 0)
    }

    /// Where a session's value stands, if its scope is there now.
    fn place(&self, store: &Store, id: SessionId, variable: VariableId) -> Option<usize> {
        let stage = *store.stages.get(id.0 as usize)?;
        let is_there = match variable.scope {
            Scope::Session => true,
            Scope::Transaction => stage >= Stage::Request,
            Scope::Request => stage == Stage::Request,
            Scope::Response => stage == Stage::Response,
            Scope::Process | Scope::Check => false,
        };
        let index = usize::from(variable.index);
        (is_there && index < self.scopes.len()).then(|| id.0 as usize * self.scopes.len() + index)
    }
}

impl Store {
    fn forget(&mut self, id: SessionId, scopes: &[Scope], goes: impl Fn(Scope) -> bool) {
        let first = id.0 as usize * scopes.len();
        for (value, scope) in self.values[first..].iter_mut().zip(scopes) {
            if goes(*scope) {
                self.texts.give(core::mem::replace(value, Kept::Absent));
            }
        }
    }

    fn set_shared(
        &mut self,
        index: usize,
        value: Value<'_>,
        provisos: Provisos,
        others: u128,
    ) -> bool {
        // What is longer could not be told in one word.
        let fits = match value {
            Value::Text(bytes) | Value::Binary(bytes) => bytes.len() <= TOLD_BYTES,
            Value::Bool(_) | Value::Int(_) | Value::Addr(_) => true,
        };
        let Some(shared) = self.process.get_mut(index).filter(|_| fits || others == 0) else {
            return false;
        };
        let is_set = self.texts.replace(&mut shared.value, value, provisos);
        if is_set {
            shared.change(self.core, others);
        }
        is_set
    }
}

impl Shared {
    fn change(&mut self, core: u16, others: u128) {
        self.version = (self.version.0.wrapping_add(1), core);
        self.owed = others;
    }
}

/// A text that lies in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    first: u32,
    len: u32,
}

/// Blocks of bytes, each in a chain: of a text, or of those that are free.
#[derive(Debug)]
struct Texts {
    blocks: Box<[[u8; limits::VARIABLE_BLOCK_BYTES]]>,
    next: Box<[u32]>,
    free: u32,
    free_count: usize,
}

impl Texts {
    fn new(count: usize) -> Texts {
        Texts {
            blocks: vec![[0; limits::VARIABLE_BLOCK_BYTES]; count].into(),
            next: (1..=count as u32).collect(),
            free: 0,
            free_count: count,
        }
    }

    /// Replaces a value, if `provisos` hold.
    fn replace(&mut self, kept: &mut Kept, value: Value<'_>, provisos: Provisos) -> bool {
        let exists = *kept != Kept::Absent;
        if exists && provisos.has(Provisos::IF_NOT_EXISTS)
            || !exists && provisos.has(Provisos::IF_EXISTS)
        {
            return false;
        }
        if !exists {
            *kept = Kept::Unset;
        }
        let is_set = *kept != Kept::Unset;
        if is_set && provisos.has(Provisos::IF_NOT_SET) || !is_set && provisos.has(Provisos::IF_SET)
        {
            return false;
        }
        let emptiness = match value {
            Value::Text(bytes) | Value::Binary(bytes) => Some(bytes.is_empty()),
            Value::Bool(_) | Value::Int(_) | Value::Addr(_) => None,
        };
        if emptiness == Some(true) && provisos.has(Provisos::IF_NOT_EMPTY)
            || emptiness != Some(true) && provisos.has(Provisos::IF_EMPTY)
        {
            return false;
        }
        if let (Kept::Int(old), Value::Int(new)) = (*kept, value)
            && (provisos.has(Provisos::IF_GREATER) && old <= new
                || provisos.has(Provisos::IF_LESS) && old >= new)
        {
            return false;
        }
        self.give(core::mem::replace(kept, Kept::Unset));
        let Some(new) = self.keep(value) else { return false };
        *kept = new;
        true
    }

    fn keep(&mut self, value: Value<'_>) -> Option<Kept> {
        Some(match value {
            Value::Bool(value) => Kept::Bool(value),
            Value::Int(number) => Kept::Int(number),
            Value::Addr(addr) => Kept::Addr(addr),
            Value::Text(bytes) => Kept::Text(self.take(bytes)?),
            Value::Binary(bytes) => Kept::Binary(self.take(bytes)?),
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Option<Piece> {
        let count = bytes.len().div_ceil(limits::VARIABLE_BLOCK_BYTES);
        self.free_count = self.free_count.checked_sub(count)?;
        let piece = Piece { first: self.free, len: bytes.len() as u32 };
        for chunk in bytes.chunks(limits::VARIABLE_BLOCK_BYTES) {
            let block = self.free as usize;
            self.blocks[block][..chunk.len()].copy_from_slice(chunk);
            self.free = self.next[block];
        }
        Some(piece)
    }

    fn give(&mut self, kept: Kept) {
        let (Kept::Text(piece) | Kept::Binary(piece)) = kept else { return };
        let count = (piece.len as usize).div_ceil(limits::VARIABLE_BLOCK_BYTES);
        if count == 0 {
            return;
        }
        let last = (1..count).fold(piece.first, |block, _| self.next[block as usize]);
        self.next[last as usize] = self.free;
        self.free = piece.first;
        self.free_count += count;
    }

    fn copy<'a>(&self, piece: Piece, room: &mut Room<'a>) -> Option<&'a [u8]> {
        let (mut left, mut block) = (piece.len as usize, piece.first);
        (left <= room.len()).then(|| {
            room.write(|line| {
                while left > 0 {
                    let count = left.min(limits::VARIABLE_BLOCK_BYTES);
                    line.push(&self.blocks[block as usize][..count]);
                    (left, block) = (left - count, self.next[block as usize]);
                }
            })
        })
    }
}

/// What values of the process begin with is taken from: what the configuration itself says.
struct Beginning<'v>(&'v Variables);

impl View for Beginning<'_> {
    fn bytes(&self, _: Way) -> &[u8] {
        &[]
    }

    fn bytes_max(&self) -> usize {
        0
    }

    fn is_final(&self) -> bool {
        true
    }

    fn fetch<'a>(&'a self, _: &'a Fetch) -> Option<Value<'a>> {
        None
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }

    fn variable<'a>(&self, variable: VariableId, room: &mut Room<'a>) -> Option<Value<'a>> {
        self.0.value(None, variable, room)
    }

    fn set_variable(&self, variable: VariableId, value: Value<'_>, provisos: Provisos) -> bool {
        self.0.set(None, variable, value, provisos, 0)
    }

    fn unset_variable(&self, variable: VariableId) -> bool {
        self.0.unset(None, variable, 0)
    }
}

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
const TOLD_BYTES: usize = 48;

const _: () = assert!(2 + TOLD_BYTES / 8 <= 8, "penstock_stack's words");

#[cfg(test)]
mod tests {
    //! Variables keep what they were given, for as long as their scope, in bounded room.

    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    fn variables(scopes: &[Scope], process: u16) -> Variables {
        let session: Vec<Scope> = scopes.to_vec();
        let named = haproxy::Variables { process, session, check: 0 };
        Variables::new(Box::leak(Box::new(named)), 0, 4)
    }

    fn id(scope: Scope, index: u16) -> VariableId {
        VariableId { scope, index }
    }

    /// What it says, as text.
    fn said(
        variables: &Variables,
        session: u32,
        variable: VariableId,
    ) -> Option<std::string::String> {
        let (mut bytes, mut more) = ([0; 20_000], [0; 64]);
        let mut room = Room::new(&mut bytes);
        let value = variables.value(Some(SessionId(session)), variable, &mut room)?;
        let text = value.text(&mut Room::new(&mut more));
        Some(std::string::String::from_utf8_lossy(text).into_owned())
    }

    fn set(variables: &Variables, variable: VariableId, value: Value<'_>, if_: &str) -> bool {
        let found = Provisos::NAMES.iter().find(|(name, _)| *name == if_);
        let provisos = found.map_or(Provisos::default(), |(_, proviso)| *proviso);
        variables.set(Some(SessionId(1)), variable, value, provisos, 0)
    }

    #[test]
    fn scopes_begin_and_end() {
        let scopes = [Scope::Session, Scope::Transaction, Scope::Request, Scope::Response];
        let variables = variables(&scopes, 0);
        let all = || (0..4).map(|at| id(scopes[at], at as u16));
        let try_all = || all().map(|it| set(&variables, it, Value::Int(7), "")).collect::<Vec<_>>();
        let seen = || all().map(|it| said(&variables, 1, it).is_some()).collect::<Vec<_>>();
        assert_eq!(try_all(), [true, false, false, false], "no session yet");
        variables.begin(SessionId(1));
        assert_eq!(try_all(), [true, true, true, false]);
        variables.respond(SessionId(1));
        assert_eq!(seen(), [true, true, false, false]);
        assert_eq!(try_all(), [true, true, false, true]);
        assert_eq!(said(&variables, 2, id(Scope::Session, 0)), None, "another session's");
        variables.release(SessionId(1));
        variables.begin(SessionId(1));
        assert_eq!(seen(), [false; 4]);
    }

    #[test]
    fn provisos_are_haproxys() {
        let variables = variables(&[Scope::Session], 0);
        let it = id(Scope::Session, 0);
        let (one, text, nothing) = (Value::Int(1), Value::Text(b"x"), Value::Text(b""));
        assert!(!set(&variables, it, one, "ifexists"));
        assert!(!set(&variables, it, one, "ifset"), "but it exists from here on");
        assert!(!set(&variables, it, one, "ifnotexists"));
        assert!(set(&variables, it, one, "ifnotset"));
        assert!(!set(&variables, it, one, "ifnotset"));
        assert!(!set(&variables, it, Value::Int(1), "ifgt"));
        assert!(!set(&variables, it, Value::Int(0), "iflt"));
        assert!(set(&variables, it, Value::Int(5), "iflt"));
        assert!(set(&variables, it, Value::Int(3), "ifgt"));
        assert!(!set(&variables, it, one, "ifempty"), "a number is never empty");
        assert!(!set(&variables, it, text, "ifempty"));
        assert!(!set(&variables, it, nothing, "ifnotempty"));
        assert_eq!(said(&variables, 1, it).as_deref(), Some("3"));
        assert!(set(&variables, it, nothing, "ifempty"));
        assert_eq!(said(&variables, 1, it).as_deref(), Some(""));
        assert!(variables.unset(Some(SessionId(1)), it, 0));
        assert_eq!(said(&variables, 1, it), None);
        assert!(!set(&variables, it, one, "ifexists"));
    }

    #[test]
    fn texts_have_a_bound_and_come_back() {
        let variables = variables(&[Scope::Session, Scope::Session], 0);
        let (a, b) = (id(Scope::Session, 0), id(Scope::Session, 1));
        let most = limits::VARIABLE_BLOCKS * limits::VARIABLE_BLOCK_BYTES;
        let long = std::vec![b'x'; 16_384];
        for round in 0..2 * most / long.len() {
            assert!(set(&variables, a, Value::Text(&long), ""), "{round}");
            assert!(set(&variables, b, Value::Binary(b"\0\x01"), ""));
            assert!(set(&variables, b, Value::Addr(Addr::v4(1)), ""));
        }
        assert_eq!(said(&variables, 1, a).map(|text| text.len()), Some(long.len()));
        let whole = std::vec![b'y'; most];
        assert!(!set(&variables, b, Value::Text(&whole), ""), "more than there is");
        assert_eq!(said(&variables, 1, b), None);
        variables.release(SessionId(1));
        assert_eq!(variables.store.borrow().texts.free_count, limits::VARIABLE_BLOCKS);
        assert!(set(&variables, b, Value::Text(&whole), ""), "all of it is free again");
    }

    #[test]
    fn variables_of_the_process_have_no_session() {
        let variables = variables(&[], 1);
        let it = id(Scope::Process, 0);
        assert!(!set(&variables, it, Value::Int(1), "ifnotexists"), "named is there");
        assert!(set(&variables, it, Value::Int(1), ""));
        assert_eq!(said(&variables, 3, it).as_deref(), Some("1"));
        assert!(!variables.has_news(), "nobody else is there");
        assert!(variables.set(None, it, Value::Text(b"abc"), Provisos::default(), 0b110));
        assert!(variables.has_news());
        let long = [b'x'; TOLD_BYTES + 1];
        assert!(!variables.set(None, it, Value::Text(&long), Provisos::default(), 0b110));
        assert_eq!(said(&variables, 3, it).as_deref(), Some("abc"));
    }
}
