//! Any application of the image, with the control plane beneath it.

use alloc::string::String;
use core::fmt;

use penstock_control::{Application, Severity, WithControl};
use penstock_kernel::log::{self, Level};
use penstock_stack::{Counters, Cx, Instant};

use crate::serve::{Served, Service};

impl<A: Service + Application> Service for WithControl<A> {
    type Done = A::Done;

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        self.begin(cx);
        self.app_mut().start(cx)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.app_mut().stop(cx);
        self.retire(cx);
    }

    fn has_stopped(&self) -> bool {
        self.app().has_stopped()
    }

    fn is_watched(&self) -> bool {
        self.app().is_watched()
    }

    fn done(&self, counters: &Counters) -> A::Done {
        self.app().done(counters)
    }

    fn since(now: &A::Done, before: &A::Done) -> A::Done {
        A::since(now, before)
    }

    #[inline]
    fn has_console_line(&self) -> bool {
        self.app().has_console_line()
    }

    fn console_line(&mut self) -> Option<&[u8]> {
        self.app_mut().console_line()
    }
}

/// Prints what the control plane has to say.
#[cold]
pub(crate) fn say<A: Service + Application>(worker: &mut Served<WithControl<A>>, now: Instant) {
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
pub(crate) fn tell<A: Service + Application>(
    worker: &mut Served<WithControl<A>>,
    now: Instant,
    text: fmt::Arguments<'_>,
) {
    log::line(Level::Info, text);
    worker.with(now, |app, cx| app.log(cx, Severity::Info, text));
}
