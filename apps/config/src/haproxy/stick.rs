//! Stick tables: what is remembered of a key.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;

/// A position in [`super::Proxies::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

/// `stick-table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickTable {
    /// The section that declares it.
    pub name: String,
    /// `type`.
    pub key: Key,
    /// `size`: entries at most.
    pub size: u32,
    /// `nopurge`: a full table takes nothing new; else the oldest entries give way.
    pub no_purge: bool,
    /// `expire`: an entry that is not used is forgotten; `None`: never.
    pub expire: Option<Duration>,
    /// `store`: what is counted; beside it the server's number, for stick rules.
    pub counters: Vec<Stored>,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is counted.
    pub counter: Counter,
    /// Over how long, if it is a rate.
    pub period: Option<Duration>,
}

/// `type` of a table's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `ip`.
    Ip,
    /// `ipv6`: IPv4 too, mapped.
    Ipv6,
    /// `integer`: 32 bits.
    Integer,
    /// `string`, cut to this many bytes.
    Text(u32),
    /// `binary`, cut or filled to this many bytes.
    Binary(u32),
}

/// What a table counts, as `store` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// `server_id`.
    ServerId,
    /// `gpt(n)`: an element of the array, from 0.
    Gpt(u8),
    /// `gpc(n)`: likewise.
    Gpc(u8),
    /// `gpc_rate(n,period)`: likewise.
    GpcRate(u8),
    /// `gpt0`.
    Gpt0,
    /// `gpc0`.
    Gpc0,
    /// `gpc0_rate`.
    Gpc0Rate,
    /// `gpc1`.
    Gpc1,
    /// `gpc1_rate`.
    Gpc1Rate,
    /// `conn_cnt`.
    ConnCnt,
    /// `conn_cur`.
    ConnCur,
    /// `conn_rate`.
    ConnRate,
    /// `sess_cnt`.
    SessCnt,
    /// `sess_rate`.
    SessRate,
    /// `bytes_in_cnt`; read as `kbytes_in`.
    BytesInCnt,
    /// `bytes_in_rate`.
    BytesInRate,
    /// `bytes_out_cnt`; read as `kbytes_out`.
    BytesOutCnt,
    /// `bytes_out_rate`.
    BytesOutRate,
    /// `http_req_cnt` and its kin count nothing before there is HTTP.
    HttpReqCnt,
    /// `http_req_rate`.
    HttpReqRate,
    /// `http_err_cnt`.
    HttpErrCnt,
    /// `http_err_rate`.
    HttpErrRate,
    /// `http_fail_cnt`.
    HttpFailCnt,
    /// `http_fail_rate`.
    HttpFailRate,
    /// Not stored: how many connections track the key now.
    Trackers,
    /// Not stored: milliseconds until the key is forgotten.
    Expire,
    /// Not stored: milliseconds since the key was used.
    Idle,
}

impl Counter {
    /// What counts how often this one does: `gpc0_rate` for `gpc0`.
    pub fn rate(self) -> Option<Counter> {
        match self {
            Counter::Gpc0 => Some(Counter::Gpc0Rate),
            Counter::Gpc1 => Some(Counter::Gpc1Rate),
            Counter::Gpc(element) => Some(Counter::GpcRate(element)),
            _ => None,
        }
    }

    /// The element of an array that stands for it in a table which has that array.
    pub fn element(self) -> Option<Counter> {
        match self {
            Counter::Gpt0 => Some(Counter::Gpt(0)),
            Counter::Gpc0 => Some(Counter::Gpc(0)),
            Counter::Gpc1 => Some(Counter::Gpc(1)),
            Counter::Gpc0Rate => Some(Counter::GpcRate(0)),
            Counter::Gpc1Rate => Some(Counter::GpcRate(1)),
            _ => None,
        }
    }
}
