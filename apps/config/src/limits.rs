//! What a boot string may hold at most.

/// Bytes of a boot string. Linux allows 2,048 on x86-64; a whole configuration may stand inline here.
pub const BOOT_BYTES_MAX: usize = 16 * 1024;

/// Errors that are told of one boot string: beyond these, it is another language.
pub const ERRORS_MAX: usize = 32;

/// Bytes of a key or value that an error repeats.
pub(crate) const QUOTED_BYTES_MAX: usize = 80;

/// Bytes of a word for which the nearest known one is looked for: the search is quadratic.
pub(crate) const NEAREST_BYTES_MAX: usize = 64;

const _: () = assert!(QUOTED_BYTES_MAX >= NEAREST_BYTES_MAX);

/// Messages about one configuration. HAProxy stops at fifty grave ones; these are all kinds.
pub(crate) const MESSAGES_MAX: usize = 400;

/// Bytes of a file or archive that comes along: a configuration is kilobytes, with its lists more.
pub(crate) const DELIVERED_BYTES_MAX: usize = 16 << 20;

/// Files that come along.
pub(crate) const DELIVERED_FILES_MAX: usize = 1024;
