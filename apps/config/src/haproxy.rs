//! An HAProxy configuration as data: what HAProxy 2.6 reads from `haproxy.cfg`.
//!
//! ```text
//!   global, defaults ──▶ applied to what follows them, and gone
//!   frontend ──────────▶ Frontend ──routes, default──▶ BackendId
//!   backend ───────────▶ Backend ──▶ its Servers, with every default-server applied
//!   listen ────────────▶ a Frontend and a Backend of one name
//! ```
//! Everything here is plain data, made once before the cores start: names are resolved to numbers,
//! sections that were inherited from are applied, and what can be refused has been. Whoever runs a
//! [`Proxies`] has nothing to look up in a text.
//!
//! Units: every time is a [`Duration`](penstock_stack::Duration) (microseconds; the grammar's own
//! unit is the millisecond), and a time that was not set, or set to 0, is `None`: for ever. Sizes are
//! bytes. A `Vec<u8>` is text as it was written, which need not be UTF-8.
//!
//! | file | holds |
//! |---|---|
//! | `proxies.rs` | the whole: global settings, frontends, backends, stick tables |
//! | `frontend.rs` | a frontend, its listeners and limits |
//! | `backend.rs` | a backend: balance, retries, limits, checks of its servers |
//! | `server.rs` | a server and how it is checked |
//! | `bind.rs` | a listener's address and options |
//! | `check.rs` | what a health check sends and expects |
//! | `rule.rs` | rules on connections and content, and where sessions go |
//! | `condition.rs` | ACLs and the conditions made of them |
//! | `fetch.rs` | what a condition or a log line looks at |
//! | `converter.rs` | what is made of samples |
//! | `expression.rs` | regular expressions, compiled |
//! | `map.rs` | maps of files, ready to be asked |
//! | `stick.rs` | stick tables and what they count |
//! | `variable.rs` | variables, and what sets them |
//! | `log.rs` | where logs go and what a line of them holds |
//! | `grammar.rs` | the text of a configuration |
//! | `delivery.rs` | files that came along with an image |

mod backend;
mod bind;
mod check;
mod condition;
mod converter;
mod delivery;
mod expression;
mod fetch;
mod frontend;
pub mod grammar;
mod log;
mod map;
mod proxies;
mod resolvers;
mod rule;
mod server;
mod stick;
mod variable;

pub use backend::{
    Algorithm, Backend, BackendOptions, BackendTimeouts, HashFunction, HashType, Persistence,
    Redispatch, Retries,
};
pub use bind::{Bind, BindAddress};
pub use check::{
    CheckStatus, CheckStep, Connect, Expect, ExpectMatch, HeaderMatch, HttpSend, ProxyCheck, Reply,
    TextMatch,
};
pub use condition::{Acl, AclId, Condition, Matching, Network, Range, Term, Test, stands_between};
pub use converter::{
    Base64, Converter, Digest, HmacKey, JsonInput, MqttField, MqttPacket, Operand, Operation,
    XxHash, Zone,
};
pub use delivery::{CONFIGURATION, Delivery};
pub use expression::{Expression, ExpressionError};
pub use fetch::{Fetch, FetchKind, PayloadBegin, Sample, TimeUnit, TimeoutOf, Transport, Way};
pub use frontend::{Frontend, FrontendOptions, FrontendTimeouts, Probes};
pub use log::{
    Facility, Format, Item, ItemOptions, Level, LogFormat, LogTarget, LogTo, Style, Variable,
};
pub use map::{Keys, Map, MapValue};
pub use proxies::{
    AccessLevel, BackendId, FrontendId, Global, Mode, Place, Proxies, ServerId, StatsSocket, Tune,
};
pub use resolvers::{InitAddr, Nameless, Patience, Resolvers};
pub use rule::{Action, Capture, End, Goal, PersistRule, Route, Rule, ServerName, UseServer};
pub use server::{
    Address, AgentCheck, Observe, OnError, OnMarkedDown, OnMarkedUp, Port, ProxyHeader, Server,
    ServerCheck, Source,
};
pub use stick::{Counter, Key, StickTable, Stored, TableId};
pub use variable::{Assignment, Provisos, Scope, VariableId, VariableValue, Variables};
