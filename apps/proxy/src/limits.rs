//! Every bound of the proxy on one core.

use penstock_stack::Duration;

/// After this long, other cores hear of sessions that have come or gone.
pub(crate) const NEWS_AFTER: Duration = Duration::from_millis(1);

/// What could not be told, because a mailbox was full, is told again this much later.
pub(crate) const TELL_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Before the same server is tried again (HAProxy: a second, or `timeout connect` if that is less).
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// A machine that has no address yet, or no answer about a name, checks nobody for so long after its
/// start: about as long as a silent DHCP server is given before an operator hears of it.
pub(crate) const CHECKS_WAIT: Duration = Duration::from_secs(15);

/// Meanwhile it looks again this often whether it has.
pub(crate) const CHECKS_LOOK: Duration = Duration::from_millis(50);

/// Who does not say anything for so long comes in all the same (`defer-accept`; Linux: when its SYN-ACK
/// has been sent twice).
pub(crate) const DEFERRED: Duration = Duration::from_secs(1);

/// A client that was turned away may say as much as it likes for this long.
pub(crate) const LEAVE_AFTER: Duration = Duration::from_secs(5);

/// Sessions of a backend's queue that are asked a slot for at each of its servers at a time: enough
/// to use all slots that come free while a word goes from core to core.
pub(crate) const ASK_AHEAD: u32 = 8;

/// Sessions that one of a lower priority class overtakes at most when it joins a queue.
pub(crate) const OVERTAKEN: usize = 4096;

/// Clients of whose bytes rules wait to see more.
pub(crate) const KEPT: u16 = 256;

/// PROXY headers under way.
pub(crate) const HEADERS: usize = 1024;

/// A wait without an end, where ends are compared on a ring of 2^32 milliseconds.
pub(crate) const FOR_EVER: Duration = Duration::from_millis(1 << 30);

/// The longest log line.
pub(crate) const LINE_BYTES: usize = 4096;

/// What a session is called; what is longer is cut off.
pub(crate) const UNIQUE_ID_BYTES: usize = 128;

/// Log lines that wait for the console.
pub(crate) const CONSOLE_BYTES: usize = 32 * 1024;

/// The port that log lines come from.
pub(crate) const LOG_PORT: u16 = 514;

/// Keys of a stick table on each core; one that wants more has as many.
pub(crate) const TABLE_KEYS: usize = 65_536;

/// Blocks for texts of variables, on each core.
pub(crate) const VARIABLE_BLOCKS: usize = 8192;

/// Bytes of such a block.
pub(crate) const VARIABLE_BLOCK_BYTES: usize = 64;

/// Words of cores that cross within so many milliseconds are about the same time.
pub(crate) const CONTEST_MS: u32 = 20;

/// Keys of a session that wait for its server to be stored, at most: HAProxy's.
pub(crate) const STICK_KEYS: usize = 8;

/// Bytes of a key of a stick table.
pub(crate) const KEY_BYTES: usize = 32;

/// Frontends of which an operator is told in a line each when the proxy begins.
pub(crate) const FRONTENDS_SHOWN: usize = 16;

/// Addresses, and backends, named in such a line.
pub(crate) const NAMES_SHOWN: usize = 4;
