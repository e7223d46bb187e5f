//! Any application of this host, with the control plane beneath it.

use penstock_control::{Application, Severity, WithControl};
use penstock_stack::{Counters, Cx};

use crate::core_loop::Service;

impl<A: Service + Application> Service for WithControl<A> {
    type Seen = A::Seen;

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

    fn watches(&self) -> bool {
        self.app().watches()
    }

    fn second(&self, counters: &Counters, seen: &mut A::Seen) -> String {
        self.app().second(counters, seen)
    }

    #[inline]
    fn has_lines(&self) -> bool {
        WithControl::has_lines(self)
    }

    fn line(&mut self, cx: &mut Cx<'_>) -> Option<String> {
        self.take_line(cx).map(|line| match line.severity {
            Severity::Error => format!("error: {}", line.as_str()),
            Severity::Warning => format!("warning: {}", line.as_str()),
            Severity::Notice | Severity::Info => line.as_str().to_owned(),
        })
    }

    #[inline]
    fn has_console_line(&self) -> bool {
        self.app().has_console_line()
    }

    fn console_line(&mut self) -> Option<&[u8]> {
        self.app_mut().console_line()
    }

    fn log(&mut self, cx: &mut Cx<'_>, line: &str) {
        WithControl::log(self, cx, Severity::Info, format_args!("{line}"));
    }
}
