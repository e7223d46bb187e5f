//! What a server's answer is worth: a step is taken, more is waited for, or the check is over.

use penstock_config::haproxy::{CheckStep, Expect, ExpectMatch, Format, Reply};
use penstock_stack::Instant;

use super::agent::{self, Orders};
use super::expect::{self, Input, Text, Verdict};
use super::header;
use super::plan::Kind;
use super::reply::{self, Heard};
use super::report::{INFO_BYTES_MAX, Report, Status};
use super::response::{self, Reading};
use super::run::Check;
use super::subject::{self, Asked, Desk, Subject};
use super::todo::Finished;
use crate::line::Line;

impl Check {
    /// Whether an expectation is fulfilled; or the check is over, since it never will be.
    pub(super) fn judge(
        &mut self,
        subject: &Subject<'_>,
        expect: &Expect,
        desk: &mut Desk,
        now: Instant,
    ) -> Result<bool, Finished> {
        let plan = subject.plan;
        let is_full = self.input_bytes == self.input.len();
        let input =
            Input { bytes: &self.input[..self.input_bytes], is_last: self.has_ended || is_full };
        if input.bytes.is_empty() && !input.is_last {
            return Ok(false);
        }
        if input.bytes.is_empty() && plan.kind != Kind::Http {
            let status = expect.error_status.map_or(Status::Layer7Response, Status::from);
            let number = plan.number(self.at);
            return Err(self.finish(subject, now, status, 0, |line| {
                line.push(b"TCPCHK got an empty response at step ");
                line.number(number as u64);
                subject::write_comment(&expect.comment, true, line);
            }));
        }
        if expect.matching == ExpectMatch::Reply(Reply::Agent) {
            return self.judge_agent(subject, now).map_or(Ok(false), Err);
        }
        if let ExpectMatch::Reply(reply) = expect.matching {
            return self.judge_reply(subject, reply, now);
        }
        let Desk { work, made, scratch, .. } = desk;
        let asked = Asked { subject, input: input.bytes };
        let mut wanted = Line::new(made);
        if let Some(format) = expect::format(expect) {
            subject::write_format(format, &asked, work, &mut wanted);
        }
        let step = &plan.steps[self.at];
        let expression = step.expression.as_ref();
        let wanted = expect::made(expect, wanted);
        let (verdict, code) = match plan.kind {
            Kind::Http => {
                let is_head = subject::asks_for_head(plan, self.at);
                let make = |format: &Format, line: &mut Line<'_>| {
                    subject::write_format(format, &asked, work, line);
                };
                let has_field = match &expect.matching {
                    ExpectMatch::Header(wanted) => {
                        header::has_field(wanted, step, input.bytes, make, scratch)
                    }
                    _ => Ok(false),
                };
                let reading = response::read(input.bytes, is_head, scratch);
                if self.is_stopping_404(subject, &reading) {
                    (Verdict::Fulfilled, NOT_FOUND)
                } else {
                    expect::http(expect, expression, wanted, has_field, (reading, input.is_last))
                }
            }
            Kind::Tcp | Kind::ReadyMade | Kind::Layer4 => {
                (expect::tcp(expect, expression, wanted, input, scratch), 0)
            }
        };
        let (status, is_unwanted, text) = match verdict {
            Verdict::Fulfilled => {
                self.report.code = code;
                return Ok(true);
            }
            Verdict::Wait => return Ok(false),
            Verdict::Failed { status, is_unwanted, text } => (status, is_unwanted, text),
        };
        let mut info = [0; INFO_BYTES_MAX];
        let mut line = Line::new(&mut info);
        match (&expect.on_error, text) {
            (_, Text::Impossible(text)) | (None, Text::Fixed(text)) => line.push(text.as_bytes()),
            (Some(format), _) => subject::write_format(format, &asked, work, &mut line),
            (None, Text::Reason) => line.push(expect::reason(input.bytes)),
            (None, Text::None) if plan.kind == Kind::Tcp => {
                subject::write_mismatch(expect, is_unwanted, plan.number(self.at), &mut line);
            }
            (None, Text::None) => {}
        }
        subject::write_comment(&expect.comment, false, &mut line);
        let code = match &expect.status_code {
            Some(sample) => {
                let number = subject::number(sample, &asked, work).unwrap_or(0);
                u16::try_from(number).unwrap_or(0)
            }
            None => code,
        };
        let info = line.into_bytes();
        Err(self.finish(subject, now, status, code, |line| line.push(info)))
    }

    /// `disable-on-404`: a server that is up and answers 404 wants no new sessions.
    fn is_stopping_404(&self, subject: &Subject<'_>, reading: &Reading<'_>) -> bool {
        subject.backend.options.disable_on_404
            && !self.health.is_stopped()
            && matches!(reading, Reading::Response(response) if response.status == NOT_FOUND)
    }

    /// The same for a message of a protocol. HAProxy counts twice what it passes as the last step.
    fn judge_reply(
        &mut self,
        subject: &Subject<'_>,
        reply: Reply,
        now: Instant,
    ) -> Result<bool, Finished> {
        let bytes = &self.input[..self.input_bytes];
        let is_last = self.has_ended || bytes.len() == self.input.len();
        let (status, code, words) = match reply::read(reply, Input { bytes, is_last }) {
            Heard::Wait => return Ok(false),
            Heard::Well(_) if self.at + 1 < subject.plan.steps.len() => return Ok(true),
            Heard::Well(words) => (Status::Layer7Ok, 0, words),
            Heard::Error(code, words) => (Status::Layer7Status, code, words),
            Heard::Invalid(words) => (Status::Layer7Response, 0, words),
        };
        let mut info = [0; INFO_BYTES_MAX];
        let mut line = Line::new(&mut info);
        line.push(words);
        let info = line.into_bytes();
        let finished = self.finish(subject, now, status, code, |line| line.push(info));
        Err(Finished { repeats: status == Status::Layer7Ok, ..finished })
    }

    /// The same for the line of an agent, which always ends the check.
    fn judge_agent(&mut self, subject: &Subject<'_>, now: Instant) -> Option<Finished> {
        let bytes = &self.input[..self.input_bytes];
        let is_last = self.has_ended || bytes.len() == self.input.len();
        let line = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let line = line.filter(|at| bytes[*at] != 0).map(|at| &bytes[..at]);
        let mut info = [0; INFO_BYTES_MAX];
        let mut words = Line::new(&mut info);
        let (status, orders) = match line {
            Some(line) => agent::read(line, subject, &mut words),
            None if is_last => {
                words.push(b"Ignoring incomplete line from agent");
                (Status::Checked, Orders::default())
            }
            None => return None,
        };
        let info = words.into_bytes();
        let finished = self.finish(subject, now, status, 0, |line| line.push(info));
        Some(Finished { orders, ..finished })
    }

    /// The outcome of a check that [`repeats`](Finished::repeats), once more and without its words.
    pub fn repeat(&mut self, subject: &Subject<'_>, now: Instant) -> Finished {
        let Report { status, code, duration_ms, .. } = self.report;
        let finished = self.finish(subject, now, status, code, |_| {});
        self.report.duration_ms = duration_ms;
        finished
    }

    /// Every step was taken.
    pub(super) fn succeed(
        &mut self,
        subject: &Subject<'_>,
        desk: &mut Desk,
        now: Instant,
    ) -> Finished {
        let plan = subject.plan;
        let code = self.report.code;
        let mut info = [0; INFO_BYTES_MAX];
        let mut line = Line::new(&mut info);
        let asked = Asked { subject, input: &self.input[..self.input_bytes] };
        let (status, code) = match plan.steps.last().map(|step| &step.what) {
            Some(CheckStep::Connect(connect)) => {
                if !connect.implicit {
                    line.push(b"(tcp-check)");
                }
                (Status::Layer4Ok, 0)
            }
            Some(CheckStep::Expect(_))
                if code == NOT_FOUND
                    && subject.backend.options.disable_on_404
                    && !self.health.is_stopped() =>
            {
                (Status::Layer7OkConditionally, code)
            }
            Some(CheckStep::Expect(expect)) => {
                match &expect.on_success {
                    Some(format) => {
                        subject::write_format(format, &asked, &mut desk.work, &mut line);
                    }
                    None if plan.kind == Kind::Tcp => line.push(b"(tcp-check)"),
                    None => {}
                }
                let number = expect
                    .status_code
                    .as_ref()
                    .and_then(|sample| subject::number(sample, &asked, &mut desk.work));
                let code = number.map_or(code, |number| u16::try_from(number).unwrap_or(0));
                (expect.ok_status.map_or(Status::Layer7Ok, Status::from), code)
            }
            _ => {
                line.push(b"(tcp-check)");
                (Status::Layer7Ok, 0)
            }
        };
        let info = line.into_bytes();
        self.finish(subject, now, status, code, |line| line.push(info))
    }
}

/// RFC 9110 section 15.5.5.
const NOT_FOUND: u16 = 404;
