//! Requests of a connection, one after the other.
//!
//! ```text
//!            ┌──────────────────────── kept ─────────────────────────┐
//!   Idle ────┼─▶ whole head ─┬─▶ Body (unwanted) ─┬─▶ Delay ─▶ Answer ┴─▶ Linger ─▶ Gone
//!     └─▶ Head (in pieces) ──┘                    └──────────────▲
//!                            └─▶ Answer (echo, as the body comes) ┘
//! ```
//! Where nothing stands in the way, all of that happens within one upcall and nothing is noted.

use penstock_http::{Framing, Gather, Parser, Request, Status};
use penstock_stack::{ConnId, Cx, Duration};

use crate::answer::{Answer, Matter, Matters};
use crate::client::Stage;
use crate::limits;
use crate::page::Form;
use crate::path::{Manner, Wish, page_of};
use crate::server::Server;

/// What is left of a request when its head has been read.
#[derive(Clone, Copy)]
struct Ask {
    wish: Wish,
    manner: Manner,
    framing: Framing,
    expects_continue: bool,
    head_bytes: usize,
}

impl Ask {
    #[inline]
    fn of(request: &Request<'_>, keep_alive: bool, has_page: bool) -> Ask {
        let mut wish = Wish::of(request);
        if has_page && wish == Wish::Greeting {
            wish = page_of(request).map_or(wish, Wish::Page);
        }
        Ask {
            wish,
            manner: Manner::of(&request.facts, keep_alive),
            framing: request.facts.framing,
            expects_continue: request.facts.expects_continue,
            head_bytes: request.bytes().len(),
        }
    }
}

/// Where the head of a request lies.
enum Place<'a> {
    Frame(&'a [u8]),
    Buffer(Gather),
}

impl Server {
    /// Bytes came; returns how many were taken. The rest waits until the answer under way is out.
    #[inline]
    pub(crate) fn web_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let mut used = 0;
        // Each round takes a byte, or changes the stage on the way to one that does.
        while used < bytes.len() {
            let rest = &bytes[used..];
            let taken = match self.clients[conn.index()].stage {
                Stage::Idle => self.read_head(cx, conn, rest),
                Stage::Head(gather) => self.read_on(cx, conn, gather, rest),
                Stage::Body => self.skip_body(cx, conn, rest),
                Stage::Answer => self.echo_body(cx, conn, rest),
                Stage::Delay => None,
                _ => Some(rest.len()),
            };
            match taken {
                Some(taken) => used += taken,
                None => break,
            }
        }
        used
    }

    #[inline]
    fn read_head(&mut self, cx: &mut Cx<'_>, conn: ConnId, rest: &[u8]) -> Option<usize> {
        let mut parser = Parser::new();
        match parser.advance(rest) {
            Ok(Some(request)) => {
                let ask = Ask::of(&request, self.keep_alive, self.page.is_some());
                let place = Place::Frame(request.bytes());
                self.begin(cx, conn, ask, place, rest.len() - ask.head_bytes);
                Some(ask.head_bytes)
            }
            Ok(None) => {
                let (gather, evicted) = self.heads.begin(conn, parser, rest);
                self.give_up(cx, evicted);
                self.clients[conn.index()].stage = Stage::Head(gather);
                cx.set_timer(conn, Some(limits::HEAD_TIMEOUT));
                Some(rest.len())
            }
            Err(refusal) => {
                self.refuse(cx, conn, refusal.status());
                Some(rest.len())
            }
        }
    }

    fn read_on(
        &mut self,
        cx: &mut Cx<'_>,
        conn: ConnId,
        gather: Gather,
        rest: &[u8],
    ) -> Option<usize> {
        let (keep_alive, has_page) = (self.keep_alive, self.page.is_some());
        match self.heads.advance(gather, rest) {
            Ok((taken, Some(request))) => {
                let ask = Ask::of(&request, keep_alive, has_page);
                self.clients[conn.index()].stage = Stage::Idle;
                self.begin(cx, conn, ask, Place::Buffer(gather), rest.len() - taken);
                Some(taken)
            }
            Ok((taken, None)) => Some(taken),
            Err(refusal) => {
                self.refuse(cx, conn, refusal.status());
                Some(rest.len())
            }
        }
    }

    /// A head is complete; `behind` bytes lie behind it.
    #[inline]
    fn begin(&mut self, cx: &mut Cx<'_>, conn: ConnId, ask: Ask, place: Place<'_>, behind: usize) {
        self.counts.requests += 1;
        if ask.wish == Wish::Greeting && ask.framing == Framing::Length(0) {
            if let Place::Buffer(gather) = place {
                self.heads.end(gather);
            }
            let client = &mut self.clients[conn.index()];
            if client.answer.greet(cx, conn, ask.manner) {
                self.next(cx, conn, ask.manner, behind == 0);
            } else {
                self.wait(cx, conn, Stage::Answer, limits::STALL_TIMEOUT);
            }
            return;
        }
        self.begin_slowly(cx, conn, ask, place, behind);
    }

    fn begin_slowly(
        &mut self,
        cx: &mut Cx<'_>,
        conn: ConnId,
        ask: Ask,
        place: Place<'_>,
        behind: usize,
    ) {
        let matter = match ask.wish {
            Wish::Greeting => Matter::Greeting,
            Wish::Status(status) => Matter::Status(status),
            Wish::Bytes(bytes) => Matter::Pattern(bytes),
            Wish::Echo => Matter::Echo(ask.framing),
            Wish::Delay(delay_ms) => Matter::Later(delay_ms),
            Wish::Drip => Matter::Drip,
            Wish::Page(form) => self.draw(cx, form),
            Wish::Headers => {
                let gather = match place {
                    Place::Buffer(gather) => gather,
                    Place::Frame(head) => {
                        let (gather, evicted) = self.heads.begin(conn, Parser::new(), head);
                        self.give_up(cx, evicted);
                        gather
                    }
                };
                Matter::Head(gather, ask.head_bytes as u16)
            }
        };
        if let (Place::Buffer(gather), false) = (&place, matches!(matter, Matter::Head(..))) {
            self.heads.end(*gather);
        }
        let client = &mut self.clients[conn.index()];
        client.answer = Answer::new(matter, ask.manner);
        client.begin_body(ask.framing);
        let is_done = client.body.is_done();
        if ask.expects_continue && behind == 0 && cx.send(conn, CONTINUE) < CONTINUE.len() {
            // Half an interim answer cannot be mended; nothing has been promised yet.
            self.abandon(cx, conn);
            return;
        }
        if matches!(matter, Matter::Echo(_)) {
            self.wait(cx, conn, Stage::Answer, limits::STALL_TIMEOUT);
            if is_done {
                self.end_echo(cx, conn, behind == 0);
            }
        } else if is_done {
            self.begin_answer(cx, conn, behind == 0);
        } else {
            self.wait(cx, conn, Stage::Body, limits::STALL_TIMEOUT);
        }
    }

    /// The page as it is now.
    fn draw(&mut self, cx: &Cx<'_>, form: Form) -> Matter {
        let Some(page) = &mut self.page else { return Matter::Greeting };
        page.draw(cx.now());
        Matter::Page(form, page.text(form).len() as u32)
    }

    /// The request is over, its body too.
    fn begin_answer(&mut self, cx: &mut Cx<'_>, conn: ConnId, is_last: bool) {
        let answer = &self.clients[conn.index()].answer;
        if let Matter::Later(delay_ms) = answer.matter {
            let delay = Duration::from_millis(delay_ms as u64);
            self.wait(cx, conn, Stage::Delay, delay);
            return;
        }
        let drips = answer.matter == Matter::Drip;
        let timeout = if drips { limits::DRIP_INTERVAL } else { limits::STALL_TIMEOUT };
        self.wait(cx, conn, Stage::Answer, timeout);
        self.pump(cx, conn, is_last);
    }

    /// Reads over a body that nobody wants.
    fn skip_body(&mut self, cx: &mut Cx<'_>, conn: ConnId, rest: &[u8]) -> Option<usize> {
        let client = &mut self.clients[conn.index()];
        client.moved_at = cx.now().millis();
        let mut used = match client.body.skip(rest) {
            Ok(used) => used,
            Err(refusal) => {
                self.refuse(cx, conn, refusal.status());
                return Some(rest.len());
            }
        };
        let ready = client.body.ready(&rest[used..]).len();
        client.body.took(ready);
        used += ready;
        if client.body.is_done() {
            self.begin_answer(cx, conn, used == rest.len());
        }
        Some(used)
    }

    /// Sends back what there is room for. `None` when no more is taken now.
    fn echo_body(&mut self, cx: &mut Cx<'_>, conn: ConnId, rest: &[u8]) -> Option<usize> {
        let client = &mut self.clients[conn.index()];
        if !client.is_echoing() || client.body.is_done() {
            return None;
        }
        client.moved_at = cx.now().millis();
        let mut used = match client.body.skip(rest) {
            Ok(used) => used,
            Err(_) => {
                // An answer is under way: no other can be given.
                self.counts.refused += 1;
                self.abandon(cx, conn);
                return Some(rest.len());
            }
        };
        let ready = client.body.ready(&rest[used..]);
        if !ready.is_empty() {
            let taken = client.answer.echo(cx, conn, ready);
            client.body.took(taken);
            used += taken;
        }
        if client.body.is_done() {
            self.end_echo(cx, conn, used == rest.len());
        } else if used == 0 {
            return None;
        }
        Some(used)
    }

    fn end_echo(&mut self, cx: &mut Cx<'_>, conn: ConnId, is_last: bool) {
        let client = &mut self.clients[conn.index()];
        if client.answer.end_echo(cx, conn) {
            let manner = client.answer.manner;
            self.next(cx, conn, manner, is_last);
        }
    }

    /// Goes on with an answer.
    fn pump(&mut self, cx: &mut Cx<'_>, conn: ConnId, is_last: bool) {
        let client = &mut self.clients[conn.index()];
        let head = client.answer.gather().map_or(&[][..], |gather| self.heads.bytes(gather));
        let page = match client.answer.matter {
            Matter::Page(form, _) => self.page.as_ref().map_or(&[][..], |page| page.text(form)),
            _ => &[],
        };
        let from =
            Matters { pattern: &self.pattern, text: if page.is_empty() { head } else { page } };
        if client.answer.pump(cx, conn, &from) {
            let manner = client.answer.manner;
            self.next(cx, conn, manner, is_last);
        }
    }

    /// An answer is out. `is_last`: nothing that the client has said is left.
    #[inline]
    fn next(&mut self, cx: &mut Cx<'_>, conn: ConnId, manner: Manner, is_last: bool) {
        let client = &mut self.clients[conn.index()];
        if let Some(gather) = client.answer.gather() {
            self.heads.end(gather);
            client.answer = Answer::NONE;
        }
        if manner.keep_alive && !client.is_half_closed {
            client.stage = Stage::Idle;
            cx.set_timer(conn, Some(limits::IDLE_TIMEOUT));
        } else if is_last && (manner.is_final || client.is_half_closed) {
            self.leave(cx, conn);
        } else {
            //= rfc9112#9.6
            //# To avoid the TCP reset problem, servers typically close a connection in stages.
            cx.shutdown(conn);
            self.wait(cx, conn, Stage::Linger, limits::LINGER_TIMEOUT);
        }
    }

    /// Room in the send buffer.
    pub(crate) fn web_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        if client.stage != Stage::Answer {
            return;
        }
        client.moved_at = cx.now().millis();
        if client.is_echoing() {
            if client.body.is_done() {
                self.end_echo(cx, conn, false);
            }
        } else {
            self.pump(cx, conn, false);
            if self.clients[conn.index()].stage == Stage::Answer {
                // What the client has said meanwhile waits on.
                return;
            }
        }
        cx.resume(conn);
    }

    pub(crate) fn web_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        client.is_half_closed = true;
        match client.stage {
            // Of these, an answer will come yet.
            Stage::Delay => {}
            Stage::Answer if !client.is_echoing() || client.body.is_done() => {}
            // The body will never be whole, and what was sent of it must not look so.
            Stage::Answer => self.abandon(cx, conn),
            _ => self.leave(cx, conn),
        }
    }

    pub(crate) fn web_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        match client.stage {
            Stage::Delay => {
                client.answer.matter = Matter::Greeting;
                self.begin_answer(cx, conn, false);
                cx.resume(conn);
            }
            Stage::Answer if client.answer.matter == Matter::Drip => {
                if client.answer.drip(cx, conn) {
                    let manner = client.answer.manner;
                    self.next(cx, conn, manner, false);
                    cx.resume(conn);
                } else {
                    cx.set_timer(conn, Some(limits::DRIP_INTERVAL));
                }
            }
            Stage::Head(_) => {
                self.counts.timeouts += 1;
                self.refuse(cx, conn, Status::REQUEST_TIMEOUT);
            }
            Stage::Idle | Stage::Proxy => {
                self.counts.timeouts += 1;
                self.leave(cx, conn);
            }
            Stage::Linger => self.leave(cx, conn),
            _ => self.watch(cx, conn),
        }
    }

    /// Somebody else needs the buffer of a head that has been long in coming.
    fn give_up(&mut self, cx: &mut Cx<'_>, owner: Option<ConnId>) {
        let Some(conn) = owner else { return };
        let client = &mut self.clients[conn.index()];
        let is_asking = matches!(client.stage, Stage::Head(_));
        // The buffer is another's already.
        client.stage = Stage::Idle;
        client.answer = Answer::NONE;
        if is_asking {
            self.refuse(cx, conn, Status::REQUEST_TIMEOUT);
        } else {
            self.abandon(cx, conn);
        }
    }

    /// Says why not, and hears no more.
    pub(crate) fn refuse(&mut self, cx: &mut Cx<'_>, conn: ConnId, status: Status) {
        self.counts.refused += 1;
        self.release(conn);
        let client = &mut self.clients[conn.index()];
        client.answer = Answer::new(Matter::Status(status), Manner::LAST);
        self.wait(cx, conn, Stage::Answer, limits::STALL_TIMEOUT);
        self.pump(cx, conn, false);
    }
}

//= rfc9110#15.2.1
//# The 100 (Continue) status code indicates that the initial part of a request has been received
//# and has not yet been rejected by the server.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
