//! Variables at work: what rules have kept, of the process and of each session.
//!
//! A session has room for one value of each variable that the configuration names; texts lie in
//! blocks that all sessions of a core share, and what finds none free is not set, as with HAProxy's
//! `tune.vars` limits. A variable of the process is on every core: whoever sets one tells the
//! others, and where two set it at once, the later version counts everywhere, or the higher core's.

mod told;

use core::cell::RefCell;

use alloc::boxed::Box;
use alloc::vec;

use penstock_config::haproxy::{
    self, Assignment, Counter, Fetch, Provisos, Scope, TableId, VariableId, VariableValue, Way,
};
use penstock_wire::Addr;

use crate::known::Known;
use crate::limits;
use crate::line::Line;
use crate::log::{Record, write_session};
use crate::proxy_protocol::Header;
use crate::sample::{Room, Value, View, Workspace, fetch};
use crate::session::SessionId;
use told::TOLD_BYTES;

/// The variables of a core.
#[derive(Debug)]
pub(crate) struct Variables {
    /// The scope of each that sessions have.
    scopes: &'static [Scope],
    /// Where what a PROXY header says is kept, if the configuration asks for it.
    of_header: [Option<VariableId>; 2],
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
            of_header: [named.authority, named.unique_id],
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

    /// What a session takes for its variables.
    pub(crate) fn session_bytes(named: &haproxy::Variables) -> usize {
        let block = limits::VARIABLE_BLOCK_BYTES + size_of::<u32>();
        match named.session.len() {
            0 => 0,
            count => count * size_of::<Kept>() + size_of::<Stage>() + block,
        }
    }

    /// What texts of variables take, with few sessions.
    pub(crate) fn bytes(named: &haproxy::Variables) -> usize {
        let has_any = named.process > 0 || !named.session.is_empty();
        let block = limits::VARIABLE_BLOCK_BYTES + size_of::<u32>();
        if has_any { limits::VARIABLE_BLOCKS * block } else { 0 }
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
                    write_session(format, &Record::NOBODY, &view, work, &mut line);
                    view.set_variable(*variable, Value::Text(line.as_bytes()), *provisos);
                    work.line = room;
                }
            }
        }
    }

    /// Keeps what the PROXY header of a connection says.
    pub(crate) fn keep_header(&self, id: SessionId, header: &Header<'_>) {
        for (variable, bytes) in self.of_header.iter().zip([header.authority, header.unique_id]) {
            if let (Some(variable), Some(bytes)) = (variable, bytes) {
                self.set(Some(id), *variable, Value::Text(bytes), Provisos::default(), 0);
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

#[cfg(test)]
mod tests;
