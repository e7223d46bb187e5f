//! The application on every simulated worker: it plays the scripts of the ledger's conversations,
//! judges every byte it is given, and notes whatever the stack tells it.

use std::rc::Rc;

use penstock_stack::{App, Close, ConnId, Cx, Datagram, Duration, Endpoint, ListenerId, UdpId};

use crate::ledger::{
    End, Ending, HEADER_BYTES, Opening, Reading, Script, Side, differs, named_by, say,
};
use crate::memory::permit;
use crate::scene::{Check, Scene};
use penstock_fault::Rng;

/// The application of one worker.
pub(crate) struct Traffic {
    scene: Rc<Scene>,
    host: usize,
    core: u16,
    /// By [`ConnId::index`].
    talkers: Vec<Option<Talker>>,
    /// Connections whose readers wait for an acknowledgement, anybody's.
    owing: Vec<ConnId>,
    rng: Rng,
    pub(crate) udp: Vec<UdpId>,
    /// Datagrams echoed and echoes received.
    pub(crate) echoed: u64,
    pub(crate) answered: u64,
}

/// One connection's part.
#[derive(Debug)]
struct Talker {
    conn: ConnId,
    side: Side,
    /// Known from the start, or once the header has been read.
    conversation: Option<u32>,
    script: Option<Script>,
    header: Vec<u8>,
    sent: u64,
    received: u64,
    is_shut: bool,
    saw_end: bool,
    has_paused: bool,
    /// A second connection out of the same conversation: a delayed duplicate met a cookie.
    is_ghost: bool,
}

/// How long a connection that cannot be named may live.
const UNNAMED: Duration = Duration::from_secs(150);

/// How long a reader waits for an acknowledgement.
const OWING_MAX: Duration = Duration::from_secs(2);

impl Traffic {
    pub(crate) fn new(scene: &Rc<Scene>, host: usize, core: u16, rng: Rng) -> Traffic {
        Traffic {
            scene: Rc::clone(scene),
            host,
            core,
            talkers: Vec::new(),
            owing: Vec::new(),
            rng,
            udp: Vec::new(),
            echoed: 0,
            answered: 0,
        }
    }

    /// Connections the application holds.
    pub(crate) fn open_count(&self) -> usize {
        self.talkers.iter().flatten().count()
    }

    /// Begins a conversation.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>, conversation: u32) {
        permit(|| {
            let plan = self.scene.ledger.borrow().records[conversation as usize].plan.clone();
            let remote = Endpoint { addr: plan.addr, port: plan.port };
            let outcome = cx.connect(remote, None, plan.options);
            let mut ledger = self.scene.ledger.borrow_mut();
            let record = ledger.record(conversation);
            record.is_started = true;
            match outcome {
                Ok(conn) => {
                    let local = cx.info(conn).map(|info| info.local);
                    if let Some(local) = local {
                        ledger.connects(conversation, local, remote);
                    }
                    drop(ledger);
                    let script = Some(plan.initiator);
                    self.settle(Talker::new(conn, Side::Initiator, Some(conversation), script));
                    self.tell(conversation, || format!("connects to {remote:?} from {local:?}"));
                }
                Err(error) => {
                    record.initiator.end = Some(End::NotConnected(error));
                    drop(ledger);
                    self.tell(conversation, || format!("cannot connect: {error:?}"));
                }
            }
        });
    }

    /// The host went down: whatever was open has ended.
    pub(crate) fn bury(&mut self) {
        for talker in self.talkers.drain(..).flatten() {
            note_end(&self.scene, &talker, End::HostDied);
        }
    }

    fn settle(&mut self, talker: Talker) {
        let index = talker.conn.index();
        if self.talkers.len() <= index {
            self.talkers.resize_with(index + 1, || None);
        }
        if let Some(old) = &self.talkers[index] {
            let text = format!("{:?} was given out while {:?} is open", talker.conn, old.conn);
            self.scene.violate(Check::Upcall, text);
        }
        self.talkers[index] = Some(talker);
    }

    fn is_owing(&self, conn: ConnId) -> bool {
        let talker = self.talkers.get(conn.index()).and_then(Option::as_ref);
        talker.is_some_and(|talker| talker.conn == conn && talker.is_owing())
    }

    fn tell(&self, conversation: u32, text: impl FnOnce() -> String) {
        let (host, core) = (self.host, self.core);
        self.scene
            .tell(|| format!("host {host} core {core}: conversation {conversation} {}", text()));
    }

    /// Runs `work` with the talker of `conn`, and lets it go where `work` says so.
    fn with(
        &mut self,
        cx: &mut Cx<'_>,
        conn: ConnId,
        upcall: &str,
        work: impl FnOnce(&Scene, &mut Rng, &mut Talker, &mut Cx<'_>) -> Option<End>,
    ) {
        let known = self.talkers.get_mut(conn.index()).and_then(Option::as_mut);
        let Some(talker) = known.filter(|talker| talker.conn == conn) else {
            self.scene.violate(Check::Upcall, format!("{upcall} for {conn:?}, which is not open"));
            return;
        };
        let Some(end) = work(&self.scene, &mut self.rng, talker, cx) else { return };
        note_end(&self.scene, talker, end);
        let conversation = talker.conversation;
        self.talkers[conn.index()] = None;
        if let Some(conversation) = conversation {
            self.tell(conversation, || format!("ends: {end:?}"));
        }
    }
}

/// Writes an end into the ledger.
fn note_end(scene: &Scene, talker: &Talker, end: End) {
    let (Some(conversation), false) = (talker.conversation, talker.is_ghost) else { return };
    let mut ledger = scene.ledger.borrow_mut();
    ledger.record(conversation).side_mut(talker.side).end = Some(end);
}

impl App for Traffic {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, _listener: ListenerId) {
        permit(|| {
            let info = cx.info(conn);
            let guess =
                info.and_then(|info| self.scene.ledger.borrow().guess(info.remote, info.local));
            let mut talker = Talker::new(conn, Side::Acceptor, None, None);
            cx.set_timer(conn, Some(UNNAMED));
            if guess.is_none() {
                self.scene.violate(Check::Upcall, format!("a stranger was accepted: {info:?}"));
            }
            // Whoever speaks first has to trust the guess; the header will say whether it was right.
            if let Some(conversation) = guess {
                let plan = self.scene.ledger.borrow().records[conversation as usize].plan.clone();
                if plan.acceptor.opening == Opening::AtOnce {
                    talker.name(&self.scene, conversation, plan.acceptor, cx);
                }
            }
            self.settle(talker);
            self.with(cx, conn, "on_accept", |scene, rng, talker, cx| talker.pump(scene, rng, cx));
        });
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        permit(|| {
            self.with(cx, conn, "on_connected", |scene, rng, talker, cx| {
                if let Some(conversation) = talker.conversation {
                    scene.ledger.borrow_mut().record(conversation).initiator.is_open = true;
                }
                talker.pump(scene, rng, cx)
            });
        });
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        permit(|| {
            self.with(cx, conn, "on_connect_failed", |_, _, _, _| Some(End::Closed(reason)));
        });
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        permit(|| {
            let mut taken = bytes.len();
            self.with(cx, conn, "on_data", |scene, rng, talker, cx| {
                let (count, end) = talker.hear(scene, rng, cx, bytes);
                taken = count;
                end
            });
            if taken < bytes.len() && self.is_owing(conn) && !self.owing.contains(&conn) {
                self.owing.push(conn);
            }
            taken
        })
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        permit(|| {
            // As a proxy does: room on one side is what the reader of another has waited for.
            if let Some(reader) = self.owing.pop() {
                cx.resume(reader);
            }
            self.with(cx, conn, "on_acknowledged", |scene, rng, talker, cx| {
                if talker.is_owing() {
                    // It waits no more: from here on the worker alone sees to it that it reads.
                    cx.resume(conn);
                    cx.set_timer(conn, None);
                }
                talker.pump(scene, rng, cx)
            });
        });
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        permit(|| {
            self.with(cx, conn, "on_remote_closed", |scene, rng, talker, cx| {
                talker.hear_end(scene);
                talker.pump(scene, rng, cx)
            });
        });
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        permit(|| {
            self.with(cx, conn, "on_closed", |scene, _, talker, _| {
                if reason == Close::Finished && !(talker.is_shut && talker.saw_end) {
                    let text = format!("{conn:?} finished, though a side has not: {talker:?}");
                    scene.violate(Check::Upcall, text);
                }
                Some(End::Closed(reason))
            });
        });
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        permit(|| {
            self.with(cx, conn, "on_timer", |scene, rng, talker, cx| {
                if talker.conversation.is_none() || talker.is_ghost {
                    cx.abort(conn);
                    return Some(End::Aborted);
                }
                cx.resume(conn);
                talker.pump(scene, rng, cx)
            });
        });
    }

    fn on_datagram(&mut self, cx: &mut Cx<'_>, socket: UdpId, datagram: Datagram<'_>) {
        permit(|| crate::datagrams::hear(self, cx, socket, &datagram));
    }
}

impl Traffic {
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }
}

impl Talker {
    fn new(conn: ConnId, side: Side, conversation: Option<u32>, script: Option<Script>) -> Talker {
        Talker {
            conn,
            side,
            conversation,
            script,
            header: Vec::new(),
            sent: 0,
            received: 0,
            is_shut: false,
            saw_end: false,
            has_paused: false,
            is_ghost: false,
        }
    }

    /// The accepting side learns which conversation it holds.
    fn name(&mut self, scene: &Scene, conversation: u32, script: Script, cx: &mut Cx<'_>) {
        self.conversation = Some(conversation);
        let mut ledger = scene.ledger.borrow_mut();
        let record = ledger.record(conversation);
        if record.acceptor.is_open {
            record.ghosts += 1;
            self.is_ghost = true;
            return;
        }
        record.acceptor.is_open = true;
        self.script = Some(script);
        drop(ledger);
        cx.set_timer(self.conn, None);
    }

    /// Bytes came; returns how many were taken.
    fn hear(
        &mut self,
        scene: &Scene,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
        bytes: &[u8],
    ) -> (usize, Option<End>) {
        if bytes.is_empty() {
            scene.violate(Check::Upcall, "on_data without data");
        }
        if self.side == Side::Acceptor && self.header.len() < HEADER_BYTES as usize {
            let missing = HEADER_BYTES as usize - self.header.len();
            self.header.extend_from_slice(&bytes[..missing.min(bytes.len())]);
            if let Ok(header) = <[u8; 8]>::try_from(&self.header[..]) {
                self.introduce(scene, header, cx);
            }
        }
        let mut taken = bytes.len();
        let is_named = self.side == Side::Initiator || self.header.len() == HEADER_BYTES as usize;
        if let Some(script) = self.script.filter(|_| is_named) {
            taken = self.appetite(script, rng, cx, bytes.len());
        }
        if let Some(conversation) = self.conversation {
            self.judge(scene, conversation, &bytes[..taken]);
        }
        self.received += taken as u64;
        (taken, self.pump(scene, rng, cx))
    }

    fn introduce(&mut self, scene: &Scene, header: [u8; 8], cx: &mut Cx<'_>) {
        let Some(conversation) = named_by(header) else {
            scene.violate(Check::Prefix, format!("{:?} begins with {header:02x?}", self.conn));
            return;
        };
        if self.conversation == Some(conversation) {
            return;
        }
        if let Some(guess) = self.conversation {
            // An old duplicate reached a cookie behind a newer connection of the same ends.
            scene.tell(|| format!("conversation {conversation} came back in place of {guess}"));
            if !self.is_ghost {
                scene.ledger.borrow_mut().record(guess).acceptor = Default::default();
            }
            self.conversation = Some(conversation);
            self.is_ghost = true;
            self.script = None;
            cx.set_timer(self.conn, Some(UNNAMED));
            return;
        }
        let plan = scene.ledger.borrow().records[conversation as usize].plan.clone();
        self.name(scene, conversation, plan.acceptor, cx);
    }

    /// How many of `count` bytes are taken now.
    fn appetite(&mut self, script: Script, rng: &mut Rng, cx: &mut Cx<'_>, count: usize) -> usize {
        match script.reading {
            Reading::Refusing { ppm, pause_us } if rng.chance(ppm) => {
                cx.set_timer(self.conn, Some(Duration::from_micros(1 + rng.below(pause_us))));
                rng.below(count as u64) as usize
            }
            Reading::Owing { ppm } if rng.chance(ppm) => {
                let info = cx.info(self.conn);
                if info.is_none_or(|info| info.unacknowledged == 0) {
                    return count;
                }
                // Should no acknowledgement come: the peer's application may wait for one as well.
                cx.set_timer(self.conn, Some(OWING_MAX));
                rng.below(count as u64) as usize
            }
            Reading::Pausing { after, pause_us }
                if !self.has_paused && self.received + count as u64 >= after =>
            {
                self.has_paused = true;
                cx.pause(self.conn);
                cx.set_timer(self.conn, Some(Duration::from_micros(pause_us)));
                count
            }
            _ => count,
        }
    }

    fn is_owing(&self) -> bool {
        self.script.is_some_and(|script| matches!(script.reading, Reading::Owing { .. }))
    }

    fn judge(&self, scene: &Scene, conversation: u32, bytes: &[u8]) {
        let other = self.side.other();
        if let Some(at) = differs(conversation, other, self.received, bytes) {
            let side = self.side;
            let text = format!("conversation {conversation}: {side:?} got a wrong byte at {at}");
            scene.violate(Check::Prefix, text);
        }
        let mut ledger = scene.ledger.borrow_mut();
        let record = ledger.record(conversation);
        let received = self.received + bytes.len() as u64;
        if received > record.side(other).sent {
            let text = format!(
                "conversation {conversation}: {received} bytes received, {} sent",
                record.side(other).sent
            );
            scene.violate(Check::Prefix, text);
        }
        if !self.is_ghost {
            record.side_mut(self.side).received = received;
        }
        if self.saw_end {
            let text = format!("conversation {conversation}: data behind the FIN");
            scene.violate(Check::Upcall, text);
        }
    }

    fn hear_end(&mut self, scene: &Scene) {
        if self.saw_end {
            scene.violate(Check::Upcall, format!("{:?}: the FIN was reported twice", self.conn));
        }
        self.saw_end = true;
        let (Some(conversation), false) = (self.conversation, self.is_ghost) else { return };
        let mut ledger = scene.ledger.borrow_mut();
        let record = ledger.record(conversation);
        let other = *record.side(self.side.other());
        record.side_mut(self.side).saw_end = true;
        if !other.is_shut || other.sent != self.received {
            let text = format!(
                "conversation {conversation}: FIN after {} bytes, {other:?}",
                self.received
            );
            scene.violate(Check::Prefix, text);
        }
    }

    /// Sends what may be sent, and ends what may end.
    fn pump(&mut self, scene: &Scene, rng: &mut Rng, cx: &mut Cx<'_>) -> Option<End> {
        let (Some(conversation), Some(script)) = (self.conversation, self.script) else {
            // A nameless connection whose peer is done will never have a name.
            if self.saw_end {
                cx.abort(self.conn);
                return Some(End::Aborted);
            }
            return None;
        };
        // Whoever has said everything has no reason to stay.
        let has_had_enough =
            |after: u64| self.sent + self.received >= after || self.sent >= script.bytes;
        match script.ending {
            Ending::Abort(after) if has_had_enough(after) => {
                cx.abort(self.conn);
                return Some(End::Aborted);
            }
            Ending::Leave(after) if has_had_enough(after) => {
                self.shut(scene, conversation);
                cx.close(self.conn);
                return Some(End::Left);
            }
            _ => {}
        }
        self.speak(scene, rng, cx, conversation, script);
        if self.sent < script.bytes {
            return None;
        }
        match script.ending {
            Ending::Close if self.saw_end || self.has_heard_all(scene, conversation) => {
                self.shut(scene, conversation);
                cx.close(self.conn);
                Some(End::Left)
            }
            Ending::Shutdown if !self.is_shut => {
                self.shut(scene, conversation);
                cx.shutdown(self.conn);
                None
            }
            _ => None,
        }
    }

    fn has_heard_all(&self, scene: &Scene, conversation: u32) -> bool {
        let ledger = scene.ledger.borrow();
        let plan = &ledger.records[conversation as usize].plan;
        self.received >= plan.script(self.side.other()).bytes
    }

    fn shut(&mut self, scene: &Scene, conversation: u32) {
        self.is_shut = true;
        scene.ledger.borrow_mut().record(conversation).side_mut(self.side).is_shut = true;
    }

    fn speak(
        &mut self,
        scene: &Scene,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
        conversation: u32,
        script: Script,
    ) {
        let mut limit = match script.opening {
            Opening::AtOnce => script.bytes,
            Opening::AfterFirst if self.received > 0 => script.bytes,
            Opening::AfterAll if self.saw_end => script.bytes,
            _ => 0,
        };
        if self.side == Side::Initiator {
            limit = limit.max(HEADER_BYTES.min(script.bytes));
        }
        let mut piece = [0; PIECE_BYTES_MAX];
        while self.sent < limit && !self.is_shut {
            let wanted = rng.range(1, script.piece as u64).min(limit - self.sent);
            let wanted = wanted.min(PIECE_BYTES_MAX as u64) as usize;
            say(conversation, self.side, self.sent, &mut piece[..wanted]);
            // Noted before the stack has it: on this core the other side cannot hear it yet.
            let taken = cx.send(self.conn, &piece[..wanted]);
            self.sent += taken as u64;
            scene.ledger.borrow_mut().record(conversation).side_mut(self.side).sent = self.sent;
            if taken > wanted {
                scene.violate(Check::Upcall, "more bytes were taken than given");
            }
            if taken < wanted {
                break;
            }
        }
    }
}

/// The largest piece handed to one send.
const PIECE_BYTES_MAX: usize = 16 * 1024;
