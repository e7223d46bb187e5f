//! Variables: values that rules keep for rules that come later, and for logs.

use alloc::vec::Vec;

use super::{Format, Sample};

/// A variable: where it lives, and which of those that live there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableId {
    /// How long it lives.
    pub scope: Scope,
    /// Its number: among those of the process, of checks, or of sessions of whatever scope.
    pub index: u16,
}

/// How long a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `proc.`: as long as the process, the same for everybody.
    Process,
    /// `sess.`: as long as its client's connection.
    Session,
    /// `txn.`: from the first `content` rule to the log line.
    Transaction,
    /// `req.`: from the first `content` rule until a server is connected to.
    Request,
    /// `res.`: from then on to the log line.
    Response,
    /// `check.`: during a check.
    Check,
}

/// Which variables a configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Variables {
    /// How many of the process.
    pub process: u16,
    /// The scope of each of those that sessions have.
    pub session: Vec<Scope>,
    /// How many of checks.
    pub check: u16,
    /// `fc_pp_authority`: where what a PROXY header says is kept, if somebody asks.
    pub authority: Option<VariableId>,
    /// `fc_pp_unique_id`.
    pub unique_id: Option<VariableId>,
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum VariableValue {
    /// `set-var`.
    Sample(Sample),
    /// `set-var-fmt`.
    Format(Format),
}

/// `set-var`, `set-var-fmt`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// What is set.
    pub variable: VariableId,
    /// To what; to nothing new where this is not there.
    pub value: VariableValue,
    /// If what.
    pub provisos: Provisos,
}

/// Conditions that stand behind the name of a variable that is to be set: all must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Provisos(u8);

impl Provisos {
    /// `ifexists`: it was set before, or is the process's.
    pub const IF_EXISTS: Provisos = Provisos(1);
    /// `ifnotexists`.
    pub const IF_NOT_EXISTS: Provisos = Provisos(1 << 1);
    /// `ifempty`: the new value is empty.
    pub const IF_EMPTY: Provisos = Provisos(1 << 2);
    /// `ifnotempty`.
    pub const IF_NOT_EMPTY: Provisos = Provisos(1 << 3);
    /// `ifset`: it has a value.
    pub const IF_SET: Provisos = Provisos(1 << 4);
    /// `ifnotset`.
    pub const IF_NOT_SET: Provisos = Provisos(1 << 5);
    /// `ifgt`: its number is greater than the new one.
    pub const IF_GREATER: Provisos = Provisos(1 << 6);
    /// `iflt`: its number is less than the new one.
    pub const IF_LESS: Provisos = Provisos(1 << 7);

    /// The words, and what they mean.
    pub const NAMES: [(&str, Provisos); 8] = [
        ("ifexists", Provisos::IF_EXISTS),
        ("ifnotexists", Provisos::IF_NOT_EXISTS),
        ("ifempty", Provisos::IF_EMPTY),
        ("ifnotempty", Provisos::IF_NOT_EMPTY),
        ("ifset", Provisos::IF_SET),
        ("ifnotset", Provisos::IF_NOT_SET),
        ("ifgt", Provisos::IF_GREATER),
        ("iflt", Provisos::IF_LESS),
    ];

    /// Whether this one is among them.
    pub const fn has(self, one: Provisos) -> bool {
        self.0 & one.0 != 0
    }

    /// These, and those.
    #[must_use]
    pub const fn and(self, more: Provisos) -> Provisos {
        Provisos(self.0 | more.0)
    }
}
