//! What the control plane holds and sends at most. Whatever others say, it is no more.

/// Interfaces; the stack takes no more.
pub(crate) const INTERFACES_MAX: usize = 16;

/// Name servers, and time servers, that are asked.
pub(crate) const SERVERS_MAX: usize = 4;

/// IPv6 addresses that one interface makes from advertised prefixes.
pub(crate) const PREFIXES_MAX: usize = 4;

/// Routers of one interface that are remembered.
pub(crate) const ROUTERS_MAX: usize = 4;

/// Addresses kept of one name.
pub(crate) const ADDRESSES_PER_NAME: usize = 8;

/// Questions to name servers under way at once.
pub(crate) const QUESTIONS_MAX: usize = 8;

/// Names that an application can have asked for.
pub const NAMES_MAX: usize = 1024;

/// Aliases followed from one name.
pub(crate) const ALIASES_MAX: usize = 8;

/// The longest answer of a name server that is read, over TCP.
pub(crate) const ANSWER_BYTES_MAX: usize = 4096;

/// Records of one answer that are looked at.
pub(crate) const RECORDS_MAX: usize = 64;

/// Lines that wait to be printed, and bytes of each.
pub(crate) const LINES_MAX: usize = 64;
pub(crate) const LINE_BYTES: usize = 200;

/// Bytes of a syslog message (RFC 3164 section 4.1).
pub(crate) const SYSLOG_BYTES: usize = 1024;

/// Syslog messages of one core: so many at once, and so many a second.
pub(crate) const SYSLOG_BURST: u32 = 1000;

/// Addresses being looked at for duplicates.
pub(crate) const CHECKS_MAX: usize = 16;

/// What is done at most in one turn: each thing sends a frame or two.
pub(crate) const STEPS_PER_TURN: usize = 8;
