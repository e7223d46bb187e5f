//! Lines for people: a time since boot, and one fact.
//!
//! Levels are Linux's numbers, so that `loglevel=` and `quiet` mean what they mean there.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::{clock, console};

/// How urgent a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something does not work.
    Error = 3,
    /// Something is not as it should be, and work goes on.
    Warning = 4,
    /// Worth a look.
    Notice = 5,
    /// A fact.
    Info = 6,
    /// For who changes the code.
    Debug = 7,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Prints lines of this level and more urgent ones from now on.
pub(crate) fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Prints one line; the macros [`info!`](crate::info) and its siblings are for you.
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    if level as u8 > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let now = clock::now_ns();
    let (seconds, micros) = (now / 1_000_000_000, now / 1_000 % 1_000_000);
    let label = match level {
        Level::Error => "error: ",
        Level::Warning => "warning: ",
        Level::Notice | Level::Info | Level::Debug => "",
    };
    console::print(format_args!("[{seconds:5}.{micros:06}] {label}{text}\n"));
}

/// One line: a fact.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::log::line($crate::log::Level::Info, format_args!($($text)*)) };
}

/// One line that is worth a look.
#[macro_export]
macro_rules! notice {
    ($($text:tt)*) => { $crate::log::line($crate::log::Level::Notice, format_args!($($text)*)) };
}

/// One line: something is not as it should be.
#[macro_export]
macro_rules! warning {
    ($($text:tt)*) => { $crate::log::line($crate::log::Level::Warning, format_args!($($text)*)) };
}
