//! The downcalls: what an application asks of its worker.
//!
//! They change state and mark connections; they never send and never upcall. What they asked for
//! happens when the upcall has returned, or at the end of the turn.

use penstock_queue::CHUNK_BYTES;
use penstock_wire::Addr;

use crate::app::{ConnId, Endpoint, ListenerId, UdpId};
use crate::config::SocketOptions;
use crate::core::Core;
use crate::counters::{Counters, Event};
use crate::departure::{Departure, Origin};
use crate::forward::Forwarded;
use crate::hash::Tuple;
use crate::limits;
use crate::mail::{Message, Refused, Words};
use crate::neighbour::HopId;
use crate::refusal::{ConnectError, ListenError, UdpError};
use crate::rfd::{PortRange, Wanted};
use crate::scarcity;
use crate::table::Kind;
use crate::tcp::{Bits, NO_FLIGHT, State, Tcb};
use crate::time::{Duration, Instant, Wall};
use crate::timewait::Successor;

/// The worker, as an application sees it during an upcall.
pub struct Cx<'a> {
    pub(crate) core: &'a mut Core,
}

/// What Linux's `tcp_info` tells, as far as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// The state.
    pub state: State,
    /// Our end.
    pub local: Endpoint,
    /// The peer's.
    pub remote: Endpoint,
    /// Smoothed round trip in microseconds; 0 before the first sample.
    pub rtt_us: u32,
    /// Its variation in microseconds.
    pub rttvar_us: u32,
    /// The retransmission timeout in milliseconds.
    pub rto_ms: u32,
    /// The congestion window in bytes.
    pub cwnd: u32,
    /// The slow start threshold in bytes.
    pub ssthresh: u32,
    /// Payload bytes of a full segment to the peer.
    pub mss: u16,
    /// The peer's window in bytes.
    pub send_window: u32,
    /// Our window in bytes.
    pub receive_window: u32,
    /// Bytes sent and not acknowledged.
    pub unacknowledged: u32,
    /// Of these, bytes that the peer has said to hold.
    pub sacked: u32,
    /// Of these, bytes believed to be lost.
    pub lost: u32,
    /// Of these, bytes that were sent again.
    pub resent: u32,
    /// Bytes queued, sent or not.
    pub queued: u32,
    /// Bytes received and not taken by the application.
    pub unread: u32,
    /// Retransmission timeouts since the peer last made progress.
    pub retransmits: u8,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// Window scales of the peer and of ours.
    pub window_scale: (u8, u8),
}

impl<'a> Cx<'a> {
    pub(crate) fn new(core: &'a mut Core) -> Cx<'a> {
        Cx { core }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.core.env.now
    }

    /// This worker's number.
    pub fn core(&self) -> u16 {
        self.core.number
    }

    /// How many cores there are, each with a worker and a clone of this application.
    pub fn cores(&self) -> u16 {
        self.core.config.cores
    }

    /// Tells the application of core `to` a few words: [`App::on_told`](crate::App::on_told) there,
    /// in one of its next turns, in the order they were told.
    ///
    /// # Errors
    /// See [`Refused`]: the words are lost. A core that does not read its mail for long is no reason to
    /// wait for it: say it again later, or say what makes it unnecessary.
    pub fn tell(&mut self, to: u16, words: &[u64]) -> Result<(), Refused> {
        let words = Words::new(words).ok_or(Refused::TooLong)?;
        self.core.post.send(to, &Message::Told(words))
    }

    /// Asks for [`App::on_wake`](crate::App::on_wake) at `at`, rounded up to the next millisecond, in
    /// place of what was asked before; `None`: never. A worker has one such timer: whoever has more to
    /// wait for asks for the nearest. What is further away than twelve days is woken early.
    pub fn wake_at(&mut self, at: Option<Instant>) {
        self.core.wake_at = at.map(|at| self.core.tick_of(at));
    }

    /// The time of day now; `None` while nobody has said it.
    pub fn wall(&self) -> Option<Duration> {
        self.core.wall.at(self.core.env.now)
    }

    /// This is how the time of day runs, on this core.
    pub fn set_wall(&mut self, wall: Wall) {
        self.core.wall = wall;
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Listens on `port` of `addr`, where 0.0.0.0 and `::` are every address of their family and of
    /// no other, or of every address. A service that all workers share is listened for on each.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn listen(
        &mut self,
        addr: Option<Addr>,
        port: u16,
        options: SocketOptions,
    ) -> Result<ListenerId, ListenError> {
        self.listen_on(None, addr, port, options)
    }

    /// The same on one interface (`SO_BINDTODEVICE`), whose clients it hears before any that
    /// [listens](Self::listen) there without one.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn listen_on(
        &mut self,
        interface: Option<u8>,
        addr: Option<Addr>,
        port: u16,
        options: SocketOptions,
    ) -> Result<ListenerId, ListenError> {
        let core = &mut *self.core;
        let is_there = |addr: Addr| {
            addr.is_unspecified()
                || match interface {
                    Some(interface) => core.interfaces.find(interface, addr).is_some(),
                    None => core.interfaces.is_ours(addr),
                }
        };
        let exists = interface.is_none_or(|interface| interface < core.interfaces.count());
        if !exists || !addr.is_none_or(is_there) || port == 0 {
            return Err(ListenError::NoSuchAddress);
        }
        let profile = core.env.profiles.intern(options).ok_or(ListenError::TooMany)?;
        let index = core.listeners.open(addr, port, interface, profile)?;
        core.tell_of_listeners();
        Ok(ListenerId(index))
    }

    /// Stops listening. Connections live on.
    pub fn unlisten(&mut self, listener: ListenerId) {
        self.core.listeners.close(listener.0);
        self.core.tell_of_listeners();
    }

    /// Opens a connection to `remote`, from `local` or an address that suits, and from a port
    /// whose replies arrive at this core. [`App::on_connected`](crate::App::on_connected) or
    /// [`on_connect_failed`](crate::App::on_connect_failed) follows.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(
        &mut self,
        remote: Endpoint,
        local: Option<Addr>,
        options: SocketOptions,
    ) -> Result<ConnId, ConnectError> {
        self.open(remote, Origin { addr: local, interface: None, ports: None }, options)
    }

    /// What of the origin is said is known where this is called: the ordinary way pays nothing for it.
    #[inline(always)]
    pub(crate) fn open(
        &mut self,
        remote: Endpoint,
        origin: Origin,
        options: SocketOptions,
    ) -> Result<ConnId, ConnectError> {
        let core = &mut *self.core;
        let departure = match origin.interface {
            None => core.departure(remote, origin.addr)?,
            by => core.departure_by(remote, origin.addr, by)?,
        };
        if core.is_full() {
            return Err(ConnectError::TooManyConnections);
        }
        let profile = core.env.profiles.intern(options).ok_or(ConnectError::NoMemory)?;
        let millis = core.env.millis;
        let hop = core.neighbours.resolve(millis, departure.interface, departure.next);
        let hop = hop.map_err(|_| ConnectError::NoMemory)?;
        let Some((tuple, successor)) = core.choose_port(&departure, remote, origin.ports) else {
            core.counters.event(Event::TcpNoPortsLeft);
            return Err(ConnectError::PortsExhausted);
        };
        core.begin_active(tuple, successor, hop, profile).ok_or(ConnectError::NoMemory)
    }

    /// Queues bytes; returns how many were taken. Fewer than given: the send buffer is full, the
    /// worker's memory is short, or nothing may be sent any more. In the first two cases
    /// [`on_acknowledged`](crate::App::on_acknowledged) tells when it is worth trying again.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) -> usize {
        let core = &mut *self.core;
        let exhausted = core.is_exhausted();
        let tcb = core.conns.at_mut(conn.index).filter(|tcb| tcb.generation == conn.generation);
        let Some(tcb) = tcb.filter(|tcb| tcb.may_send() && !bytes.is_empty()) else { return 0 };
        let refused = exhausted && !scarcity::may_queue(&core.chunks, &core.flights, tcb);
        let flight = if refused { None } else { core.flights.of(tcb, conn.index) };
        let Some(flight) = flight else {
            core.await_memory(conn.index);
            return 0;
        };
        let most = if exhausted { CHUNK_BYTES as u32 } else { u32::MAX };
        let room = core.config.capacity.send_buffer_bytes.saturating_sub(flight.send.bytes());
        let room = room.min(most);
        let taken = flight.send.push(&mut core.chunks, bytes, room);
        if taken < bytes.len() && taken < room as usize {
            core.await_memory(conn.index);
        }
        core.mark_ready(conn.index);
        taken
    }

    /// How many bytes [`send`](Self::send) would take now, memory permitting.
    pub fn send_room(&self, conn: ConnId) -> usize {
        let Some(tcb) = self.core.find(conn).filter(|tcb| tcb.may_send()) else { return 0 };
        let queued = self.core.flights.at(tcb.flight).map_or(0, |flight| flight.send.bytes());
        self.core.config.capacity.send_buffer_bytes.saturating_sub(queued) as usize
    }

    /// Whether the peer has sent its FIN, and the application has taken all that came before it:
    /// [`App::on_remote_closed`](crate::App::on_remote_closed) was called or is about to be.
    pub fn has_ended(&self, conn: ConnId) -> bool {
        let Some(tcb) = self.core.find(conn).filter(|tcb| tcb.fin_received()) else { return false };
        self.core.flights.at(tcb.flight).is_none_or(|flight| flight.store.unread() == 0)
    }

    /// Sends to `to` what `from` has received and the application has refused, as far as there is
    /// room. When all of it is on its way, `from` is paused no more. Not to be called for the
    /// connection whose [`on_data`](crate::App::on_data) this is.
    pub fn forward(&mut self, from: ConnId, to: ConnId) -> Forwarded {
        self.core.forward(from, to)
    }

    /// Takes bytes that `conn` has received and that nobody was told of, because it is paused; stays
    /// paused.
    pub fn read(&mut self, conn: ConnId, into: &mut [u8]) -> usize {
        self.core.read(conn, into)
    }

    /// No more will be sent: the FIN follows what is queued. Reading goes on.
    pub fn shutdown(&mut self, conn: ConnId) {
        let core = &mut *self.core;
        let Some(tcb) = core.find_mut(conn) else { return };
        if tcb.may_send() {
            core.queue_fin(conn.index);
            core.mark_ready(conn.index);
        } else if matches!(tcb.state, State::SynSent | State::SynReceived) {
            self.close(conn);
        }
    }

    /// The application is done with it: no upcalls any more. What is queued is still sent, with
    /// the FIN behind it; what arrives is refused with a RST.
    pub fn close(&mut self, conn: ConnId) {
        let Some(tcb) = self.core.find(conn) else { return };
        let unread = self.core.flights.at(tcb.flight).map_or(0, |flight| flight.store.unread());
        let opening = matches!(tcb.state, State::SynSent | State::SynReceived);
        //= rfc9293#3.6.1
        //# If such a host issues a CLOSE call while received data is still pending in the TCP
        //# connection, or if new data is received after CLOSE is called, its TCP implementation
        //# SHOULD send a RST to show that data was lost (SHLD-3).
        //= rfc9293#3.10.4 type=exception
        //= reason=Nobody has used it yet: a RST ends it at once, and leaves no TIME-WAIT.
        //# If no SENDs have been issued and there is no pending data to send, then form a FIN
        //# segment and send it, and enter FIN-WAIT-1 state; otherwise, queue for processing after
        //# entering ESTABLISHED state.
        if unread > 0 || opening {
            if unread > 0 {
                self.core.counters.event(Event::TcpAbortOnClose);
            }
            self.abort(conn);
            return;
        }
        if tcb.may_send() {
            self.core.queue_fin(conn.index);
        }
        let tcb = &mut self.core.conns[conn.index];
        tcb.set(Bits::ORPHAN);
        tcb.clear(Bits(Bits::APP_TIMER.0 | Bits::PAUSED.0));
        if tcb.awaits_flight() {
            tcb.watch_orphan(&self.core.env);
        }
        self.core.mark_ready(conn.index);
    }

    /// Ends it with a RST; nothing queued is sent, no upcall follows.
    pub fn abort(&mut self, conn: ConnId) {
        if self.core.find(conn).is_some() {
            let tcb = &mut self.core.conns[conn.index];
            tcb.set(Bits::ABORT);
            tcb.set(Bits::ORPHAN);
            // Of an orphan it would be the end of its patience, and the peer would not be told.
            tcb.clear(Bits::APP_TIMER);
            self.core.mark_ready(conn.index);
        }
    }

    /// Forgets it: nothing is sent any more, no upcall follows, and the peer is left to find out by
    /// itself. What comes from it later is answered as what belongs to no connection.
    pub fn forsake(&mut self, conn: ConnId) {
        if self.core.find(conn).is_some() {
            // What is closed has nobody to reset.
            self.core.conns[conn.index].state = State::Closed;
            self.abort(conn);
        }
    }

    /// No data for now: it is kept, and the window closes.
    pub fn pause(&mut self, conn: ConnId) {
        if self.core.find(conn).is_some() {
            self.core.conns[conn.index].set(Bits::PAUSED);
        }
    }

    /// Data again, beginning with what was kept.
    pub fn resume(&mut self, conn: ConnId) {
        if self.core.find(conn).is_some_and(|tcb| tcb.has(Bits::PAUSED)) {
            self.core.conns[conn.index].clear(Bits::PAUSED);
            self.core.mark_ready(conn.index);
        }
    }

    /// Sets its options; `false` when it is gone, or when too many different sets are in use.
    pub fn set_options(&mut self, conn: ConnId, options: SocketOptions) -> bool {
        if self.core.find(conn).is_none() {
            return false;
        }
        let Some(profile) = self.core.env.profiles.intern(options) else { return false };
        self.core.conns[conn.index].profile = profile;
        self.core.mark_ready(conn.index);
        true
    }

    /// Sets or clears the application's timer of this connection
    /// ([`App::on_timer`](crate::App::on_timer)). To the millisecond; at most 24 days.
    #[inline]
    pub fn set_timer(&mut self, conn: ConnId, after: Option<Duration>) {
        let Some(tcb) = self.core.find_mut(conn).filter(|tcb| !tcb.has(Bits::ORPHAN)) else {
            return;
        };
        match after {
            None => tcb.clear(Bits::APP_TIMER),
            Some(after) => self.core.start_timer(conn.index, after),
        }
    }

    /// Both its ends, ours first.
    pub fn endpoints(&self, conn: ConnId) -> Option<(Endpoint, Endpoint)> {
        let Tuple { remote, remote_port, local_port, local } = self.core.find(conn)?.tuple;
        let local = Endpoint { addr: self.core.interfaces.addr(local), port: local_port };
        Some((local, Endpoint { addr: remote, port: remote_port }))
    }

    /// Whether an address is one of this machine's.
    pub fn is_ours(&self, addr: Addr) -> bool {
        self.core.interfaces.is_ours(addr)
    }

    /// What is known of it.
    pub fn info(&self, conn: ConnId) -> Option<Info> {
        let core = &*self.core;
        let tcb = core.find(conn)?;
        let flight = core.flights.at(tcb.flight);
        let (local, remote) = self.endpoints(conn)?;
        Some(Info {
            state: tcb.state,
            local,
            remote,
            rtt_us: tcb.srtt_us,
            rttvar_us: tcb.rttvar_us,
            rto_ms: tcb.rto_ms(flight.map_or(0, |flight| flight.backoff), &core.env),
            cwnd: tcb.cwnd,
            ssthresh: tcb.ssthresh,
            mss: tcb.mss,
            send_window: tcb.wnd,
            receive_window: tcb.rcv_edge - tcb.rcv_nxt,
            unacknowledged: flight.map_or(0, |flight| flight.max - tcb.una),
            sacked: flight.map_or(0, |flight| flight.sacked.overlap(tcb.una, flight.max)),
            lost: flight.map_or(0, |flight| tcb.lost(flight)),
            resent: flight.map_or(0, |flight| tcb.resent(flight)),
            queued: flight.map_or(0, |flight| flight.send.bytes()),
            unread: flight.map_or(0, |flight| flight.store.unread()),
            retransmits: flight.map_or(0, |flight| flight.retries),
            timestamps: tcb.has(Bits::TIMESTAMPS),
            sack: tcb.has(Bits::SACK),
            window_scale: (tcb.peer_scale(), tcb.our_scale()),
        })
    }

    /// Binds a UDP port of `addr`, or of every address, on this worker.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn udp_bind(&mut self, addr: Option<Addr>, port: u16) -> Result<UdpId, ListenError> {
        if addr.is_some_and(|addr| !self.core.interfaces.is_ours(addr)) || port == 0 {
            return Err(ListenError::NoSuchAddress);
        }
        self.core.udp.bind(addr, port)
    }

    /// Binds a port of every address whose answers arrive at this core, chosen by `random` from the
    /// ephemeral ones. What a card brings to another core all the same comes by mail.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn udp_bind_ephemeral(&mut self, random: u64) -> Result<UdpId, ListenError> {
        let core = &mut *self.core;
        let (first, last) = core.config.ephemeral_ports;
        let count = last as u64 - first as u64 + 1;
        let ports = (0..count).map(|step| first + ((random % count + step) % count) as u16);
        let mut own = ports.filter(|&port| core.rfd.owner(port) == Some(core.number));
        let port = own.find(|&port| !core.udp.is_bound(port)).ok_or(ListenError::InUse)?;
        core.udp.bind(None, port)
    }

    /// Lets a port go: what arrives there from now on is refused.
    pub fn udp_unbind(&mut self, socket: UdpId) {
        self.core.udp.unbind(socket);
    }

    /// Sends a datagram from a bound port.
    ///
    /// # Errors
    /// See [`UdpError`].
    pub fn udp_send(
        &mut self,
        socket: UdpId,
        from: Option<Addr>,
        to: Endpoint,
        bytes: &[u8],
    ) -> Result<(), UdpError> {
        self.core.queue_datagram(socket, from, to, bytes)
    }
}

impl Core {
    /// A FIN follows what connection `index` has queued.
    #[inline]
    fn queue_fin(&mut self, index: u32) {
        let tcb = &mut self.conns[index];
        tcb.set(Bits::FIN_QUEUED);
        if tcb.flight == NO_FLIGHT && self.want_flight(index).is_none() {
            // The FIN needs a flight, or there is no way to see it through: it waits for one.
            self.await_memory(index);
        }
    }

    /// The tick of a moment ahead.
    pub(crate) fn tick_of(&self, at: Instant) -> u32 {
        let now_ms = self.env.now.0 / 1000;
        at.0.div_ceil(1000).clamp(now_ms + 1, now_ms + limits::WAKE_MS_MAX) as u32
    }

    /// A free port of this core towards `remote`, with what its TIME-WAIT record asks of the new
    /// connection. A port in TIME-WAIT is free when `tcp_tw_reuse` says so.
    #[inline(always)]
    fn choose_port(
        &mut self,
        departure: &Departure,
        remote: Endpoint,
        within: Option<PortRange>,
    ) -> Option<(Tuple, Option<Successor>)> {
        let Departure { interface, local, port_offset, .. } = *departure;
        let tuple =
            |port| Tuple { remote: remote.addr, remote_port: remote.port, local_port: port, local };
        let reuse = self.config.tcp.tw_reuse;
        let own = self.interfaces.addr(local);
        let (table, conns, time_wait) = (&self.table, &self.conns, &self.time_wait);
        let (hash, listeners, millis) = (&self.hash, &self.listeners, self.env.millis);
        let entry = |port| {
            let tuple = tuple(port);
            let hash = hash.hash(&tuple);
            table.lookup(hash, |reference| match reference.kind() {
                Kind::Connection => conns[reference.index()].tuple == tuple,
                Kind::TimeWait => time_wait.is(reference.index(), hash),
            })
        };
        // What was last found in the table.
        let mut found = None;
        let is_free = |port| {
            if listeners.is_listening(port) {
                return false;
            }
            found = entry(port);
            found.is_none_or(|reference| {
                reuse
                    && reference.kind() == Kind::TimeWait
                    && time_wait.may_reuse(reference.index(), millis).is_some()
            })
        };
        let wanted = Wanted { interface, own, remote: remote.addr, remote_port: remote.port };
        let (ports, rfd) = (&mut self.ports, &self.rfd);
        let port = match within {
            None => ports.choose(rfd, &wanted, port_offset, is_free)?,
            Some(range) => ports.choose_within(rfd, &wanted, range, port_offset, is_free)?,
        };
        let successor = found.and_then(|reference| {
            let successor = self.time_wait.may_reuse(reference.index(), millis);
            self.time_wait.remove(reference.index(), &mut self.table);
            self.counters.event(Event::TimeWaitRecycled);
            successor
        });
        Some((tuple(port), successor))
    }

    /// Makes the record of an active open; its SYN leaves when the connection is visited.
    #[inline(always)]
    fn begin_active(
        &mut self,
        tuple: Tuple,
        successor: Option<Successor>,
        hop: HopId,
        profile: u8,
    ) -> Option<ConnId> {
        let origin = self.secrets.origin_once(&tuple);
        let mut iss = origin.isn(self.env.now.0);
        if let Some(successor) = successor
            && iss.at_or_before(successor.isn_after)
        {
            iss = successor.isn_after + 1;
        }
        let mut tcb = Tcb::active(tuple, iss, origin.timestamp_offset(), &self.env);
        tcb.hop = hop.0;
        tcb.profile = profile;
        let hash = self.hash.hash(&tuple);
        let index = self.insert(hash, tcb)?;
        if self.want_flight(index).is_none() {
            self.remove(index, false);
            return None;
        }
        self.counters.event(Event::TcpActiveOpens);
        self.mark_ready(index);
        Some(self.name(index))
    }
}
