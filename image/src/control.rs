//! The application with the control plane beneath it: how both begin and stop, and what is printed for it.

use alloc::string::String;
use core::fmt;

use penstock_control::{Severity, WithControl};
use penstock_kernel::log::{self, Level};
use penstock_stack::{Cx, Instant};

use crate::serve::Served;
use crate::tenant::Tenant;

/// Begins: what is beneath, then the application.
///
/// # Errors
/// A line for a person.
pub(crate) fn start(app: &mut WithControl<Tenant>, cx: &mut Cx<'_>) -> Result<(), String> {
    app.begin(cx);
    app.app_mut().start(cx)
}

/// Lets nobody new in; who is there may finish.
pub(crate) fn stop(app: &mut WithControl<Tenant>, cx: &mut Cx<'_>) {
    app.app_mut().stop(cx);
    app.retire(cx);
}

/// Prints what the control plane has to say.
#[cold]
pub(crate) fn say(worker: &mut Served, now: Instant) {
    while let Some(line) = worker.with(now, |app, cx| app.take_line(cx)) {
        let level = match line.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Notice => Level::Notice,
            Severity::Info => Level::Info,
        };
        log::line(level, format_args!("{}", line.as_str()));
    }
}

/// Prints a line of the application's, and sends it to the syslog server, if there is one.
pub(crate) fn tell(worker: &mut Served, now: Instant, text: fmt::Arguments<'_>) {
    log::line(Level::Info, text);
    worker.with(now, |app, cx| app.log(cx, Severity::Info, text));
}
