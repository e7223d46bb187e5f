//! Health checks: what a server is asked, what its answer means, and what is said of it.
//!
//! ```text
//!            time ─▶ open ─▶ connected ─▶ send ─▶ data, close ─▶ verdict ─▶ UP, DOWN
//!            next start ◀──────────── interval ◀───────────────────┘
//! ```
//! A [`Check`] is one server's: it takes what happens to its connection and says what is to be done
//! next ([`Todo`]); whoever holds the connection does it. All checks run on core 0, and what they
//! decide is told to the other cores. HAProxy's steps, statuses, times and texts; configuration
//! manual, sections 4.2 (`option httpchk`, `tcp-check`, `http-check`) and 5.2.
//!
//! | file | holds |
//! |---|---|
//! | `plan.rs` | the steps of a backend's checks, ready to run |
//! | `run.rs` | a check: the state machine |
//! | `judge.rs` | what an answer is worth |
//! | `expect.rs` | what came, held against what was expected |
//! | `header.rs` | the fields of a response, likewise |
//! | `response.rs` | a response of HTTP, as far as checks look at it |
//! | `reply.rs` | a message of MySQL or LDAP, likewise |
//! | `agent.rs` | what an agent says |
//! | `request.rs` | what is sent |
//! | `subject.rs` | whose check it is, what formats see of it, and words for its steps |
//! | `todo.rs` | what a check wants done |
//! | `health.rs` | rise and fall |
//! | `report.rs` | statuses, and the lines of the log |

mod agent;
mod expect;
mod header;
mod health;
mod judge;
mod plan;
mod reply;
mod report;
mod request;
mod response;
mod run;
mod subject;
#[cfg(test)]
mod tests;
mod todo;

pub use agent::{Admin, Orders};
pub use health::{Change, Health};
pub use plan::{Plan, PlanError};
pub use report::{
    Cause, Names, Outcome, Prober, Report, Status, Step, Tally, Teller, write_address, write_check,
    write_no_server, write_ready, write_step, write_transition,
};
pub use run::{Check, first_at};
pub(crate) use subject::INPUT_BYTES_MAX;
pub use subject::{Desk, Load, Subject};
pub use todo::{Ending, Finished, Todo};
