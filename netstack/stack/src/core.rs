//! Everything a worker owns besides its queue pairs and its application.
//!
//! The split has a purpose: an upcall runs with the application, a downcall context over this, and
//! a slice of a frame that still lies in a queue pair's ring: three parts of the worker, borrowed
//! apart.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;

use penstock_queue::Chunks;
use penstock_wire::Addr;
use penstock_wire::tcp::Segment;

use crate::app::ConnId;
use crate::attend::Attention;
use crate::config::Config;
use crate::cookie::Cookies;
use crate::counters::{Counters, Drop, Event};
use crate::departure::Departures;
use crate::halfopen::HalfOpens;
use crate::hash::{AddrId, Tuple, TupleHash};
use crate::interface::Interfaces;
use crate::limits;
use crate::listen::{Found, Listeners};
use crate::mail::Post;
use crate::neighbour::Neighbours;
use crate::packet::Queued;
use crate::pmtu::PathMtus;
use crate::ratelimit::{RateLimit, SecretQuota};
use crate::ready::{Hungry, Row};
use crate::rfd::{PortAllocator, Rfd};
use crate::route::Routes;
use crate::secret::Secrets;
use crate::slab::Slab;
use crate::sweep::Sweep;
use crate::table::{Kind, Reference, Table};
use crate::tcp::{Bits, Env, FREE, Flight, Flights, GENERATION_MIN, NO_FLIGHT, Range, State, Tcb};
use crate::time::{Duration, Instant, Wall};
use crate::timewait::{Remains, TimeWait};
use crate::udp::UdpPorts;
use crate::wheel::{Node, Wheel};

/// The tables, pools and clocks of one worker.
pub(crate) struct Core {
    pub(crate) config: Config,
    /// This worker's number.
    pub(crate) number: u16,
    /// The time, and what else the engine wants to know.
    pub(crate) env: Env,
    /// When the tick of `env.millis` is over, in microseconds.
    tick_end_us: u64,

    pub(crate) hash: TupleHash,
    /// Tuples of connections, half-open or not, and TIME-WAIT records: one lookup a segment.
    pub(crate) table: Table,
    /// Connections, the half-open ones among them.
    pub(crate) conns: Slab<Tcb>,
    pub(crate) flights: Flights,
    pub(crate) half_open: HalfOpens,
    pub(crate) time_wait: TimeWait,
    pub(crate) listeners: Listeners,
    pub(crate) wheel: Wheel,
    pub(crate) chunks: Chunks,

    pub(crate) interfaces: Interfaces,
    pub(crate) routes: Routes,
    pub(crate) departures: Departures,
    pub(crate) neighbours: Neighbours,
    pub(crate) path_mtus: PathMtus,
    pub(crate) udp: UdpPorts,

    pub(crate) secrets: Secrets,
    pub(crate) cookies: Cookies,
    pub(crate) rfd: Rfd,
    pub(crate) ports: PortAllocator,
    pub(crate) post: Post,
    /// Datagrams that leave at the end of the turn.
    pub(crate) datagrams: VecDeque<Queued>,

    pub(crate) challenges: SecretQuota,
    pub(crate) resets: RateLimit,
    pub(crate) errors: RateLimit,
    pub(crate) counters: Counters,

    /// The connection whose segment, timer or turn is being served: it needs no place in the
    /// ready list.
    pub(crate) current: u32,
    /// What the segment being served brought a second time: for the next acknowledgement to tell.
    pub(crate) duplicate: Option<Range>,
    /// Connections to be visited, and for each interface those that wait for a transmit slot.
    pub(crate) ready: Row,
    pub(crate) slot_rows: Box<[Row]>,
    /// Connections that wait for memory.
    pub(crate) hungry: Hungry,
    /// Somebody waits for a slot or for memory, or the other cores have yet to hear who listens; or
    /// so it was in the last turn.
    pub(crate) waits: bool,
    /// The tick at which the application wants to be woken.
    pub(crate) wake_at: Option<u32>,
    /// The tick at which what stands beneath it wants to be woken.
    pub(crate) tend_at: Option<u32>,
    /// Where the search for connections that cannot go on is.
    pub(crate) sweep: Sweep,
    pub(crate) attention: Attention,
    /// The time of day, as far as anybody has said.
    pub(crate) wall: Wall,

    generation: u16,
}

/// What [`Core::new`] takes that it does not make itself.
pub(crate) struct Parts {
    pub(crate) interfaces: Interfaces,
    pub(crate) routes: Routes,
    pub(crate) rfd: Rfd,
    pub(crate) chunks: Chunks,
    pub(crate) post: Post,
}

impl Core {
    pub(crate) fn new(config: Config, number: u16, parts: Parts) -> Core {
        let capacity = config.capacity;
        let secrets = Secrets::new(&config.seed);
        let port_seed = secrets.port_offset(AddrId(u16::MAX as u32), Addr::UNSPECIFIED, number);
        let neighbour_secret = secrets.table()[0].rotate_left(number as u32 + 1);
        let challenge_secret = secrets.table()[1].rotate_left(number as u32 + 1);
        let entries = capacity.connections + capacity.time_wait;
        let time_wait_ms = config.tcp.time_wait.millis() as u32;
        let mut core = Core {
            number,
            hash: TupleHash::new(secrets.table()),
            table: Table::new(entries),
            conns: Slab::new(capacity.connections),
            flights: Flights::new(capacity.flights),
            half_open: HalfOpens::new(capacity.half_open, limits::SYN_ACK_FIRST_MS),
            time_wait: TimeWait::new(capacity.time_wait, time_wait_ms, config.tcp.timestamps),
            listeners: Listeners::new(capacity.listeners, number, config.cores),
            env: Env::new(&config),
            tick_end_us: 0,
            wheel: Wheel::new(0),
            chunks: parts.chunks,
            neighbours: Neighbours::new(capacity.neighbours)
                .keyed(neighbour_secret)
                .without(3 * parts.interfaces.room()),
            interfaces: parts.interfaces,
            routes: parts.routes,
            departures: Departures::new(),
            path_mtus: PathMtus::new(limits::PATH_MTUS),
            udp: UdpPorts::new(capacity.udp),
            cookies: Cookies::new(secrets.cookie()),
            secrets,
            rfd: parts.rfd,
            ports: PortAllocator::new(port_seed),
            post: parts.post,
            datagrams: VecDeque::with_capacity(limits::DATAGRAMS_PER_TURN),
            challenges: SecretQuota::new(config.tcp.challenge_ack_limit, challenge_secret),
            resets: RateLimit::new(config.tcp.reset_limit),
            errors: RateLimit::new(config.tcp.reset_limit),
            counters: Counters::new(),
            current: NO_FLIGHT,
            duplicate: None,
            ready: Row::EMPTY,
            slot_rows: vec![Row::EMPTY; config.interfaces.len()].into_boxed_slice(),
            hungry: Hungry::new(capacity.connections),
            waits: false,
            wake_at: None,
            tend_at: None,
            sweep: Sweep::default(),
            attention: Attention::default(),
            wall: Wall::UNKNOWN,

            generation: 0,
            config,
        };
        core.neighbours.exclude(core.interfaces.nobodies());
        core
    }

    /// Moves the clock. Time never goes back, whatever the caller says.
    pub(crate) fn set_now(&mut self, now: Instant) {
        if now > self.env.now {
            self.env.now = now;
            if now.0 >= self.tick_end_us {
                self.env.millis = now.millis();
                self.tick_end_us = (now.0 / 1000 + 1).saturating_mul(1000);
            }
        }
    }

    /// The connection (half-open or not) or TIME-WAIT record of a tuple.
    #[inline(always)]
    pub(crate) fn lookup(&self, hash: u64, tuple: &Tuple) -> Option<Reference> {
        self.table.lookup(hash, |reference| {
            let found = match reference.kind() {
                Kind::Connection => &self.conns[reference.index()].tuple,
                Kind::TimeWait => return self.time_wait.is(reference.index(), hash),
            };
            found == tuple
        })
    }

    /// The connection that `conn` names, unless it is gone.
    #[inline]
    pub(crate) fn find(&self, conn: ConnId) -> Option<&Tcb> {
        self.conns.at(conn.index).filter(|tcb| tcb.generation == conn.generation)
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn find_mut(&mut self, conn: ConnId) -> Option<&mut Tcb> {
        self.conns.at_mut(conn.index).filter(|tcb| tcb.generation == conn.generation)
    }

    /// The name of connection `index`.
    #[inline]
    pub(crate) fn name(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index].generation }
    }

    /// The connection with all that the engine wants to see with it.
    #[inline]
    pub(crate) fn open(&mut self, index: u32) -> Opened<'_> {
        let tcb = &mut self.conns[index];
        let flight = self.flights.at_mut(tcb.flight);
        Opened { tcb, flight, env: &self.env, chunks: &mut self.chunks }
    }

    /// Whether every record holds a connection that applications know of.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.conns.live() - self.half_open.live() == self.conns.capacity()
    }

    /// Whether a client that sends a SYN now gets no record.
    #[inline]
    pub(crate) fn is_half_open_full(&self) -> bool {
        self.half_open.is_full() || self.conns.live() == self.conns.capacity()
    }

    /// The next generation of a connection.
    #[inline]
    pub(crate) fn next_generation(&mut self) -> u16 {
        self.generation = self.generation.wrapping_add(1).max(GENERATION_MIN);
        self.generation
    }

    /// Takes a connection record; `None` when all are in use. A half-open connection gives way.
    pub(crate) fn insert(&mut self, hash: u64, mut tcb: Tcb) -> Option<u32> {
        tcb.generation = self.next_generation();
        if self.conns.live() == self.conns.capacity()
            && let Some(oldest) = self.half_open.oldest()
        {
            self.counters.event(Event::TcpAttemptFails);
            self.forget_half_open(oldest);
        }
        let index = self.conns.alloc(tcb)?;
        let reference = Reference::new(Kind::Connection, index);
        if self.table.insert(hash, reference).is_err() {
            self.release(index);
            return None;
        }
        Some(index)
    }

    /// Frees a record that the table does not name.
    pub(crate) fn release(&mut self, index: u32) {
        self.conns[index].generation = FREE;
        self.conns.free(index);
    }

    /// Forgets half-open connection `index`.
    pub(crate) fn forget_half_open(&mut self, index: u32) {
        let hash = self.hash.hash(&self.conns[index].tuple);
        self.table.remove(hash, Reference::new(Kind::Connection, index));
        self.half_open.remove(&mut self.conns, index);
        self.release(index);
    }

    /// Makes half-open connection `index`, which `ack` completes, one with the options of `profile`:
    /// its record and its slot in the table stay.
    #[inline(always)]
    pub(crate) fn promote(&mut self, index: u32, ack: &Segment, profile: u8) {
        let generation = self.next_generation();
        self.half_open.remove(&mut self.conns, index);
        let (tcb, env) = (&mut self.conns[index], &self.env);
        // Karn's rule: of a repeated SYN-ACK nobody knows which one was answered.
        let rtt_us = env.now.micros().wrapping_sub(tcb.syn_ack_sent_at());
        let rtt_us = (tcb.kept_backoff() == 0).then_some(rtt_us);
        tcb.complete(ack, rtt_us, profile, generation, env);
    }

    /// Forgets connection `index`, and leaves a TIME-WAIT record where `time_wait` says so.
    pub(crate) fn remove(&mut self, index: u32, time_wait: bool) {
        let hash = self.hash.hash(&self.conns[index].tuple);
        self.wheel.disarm(&mut self.conns, index);
        self.drop_flight(index);
        if self.waits {
            self.forget_waiting(index);
        }
        let reference = Reference::new(Kind::Connection, index);
        if time_wait {
            let remains = remains(&self.conns[index], hash);
            self.leave_time_wait(index, &remains);
        } else {
            self.table.remove(hash, reference);
        }
        self.release(index);
    }

    /// Lets a TIME-WAIT record take the place of connection `index` in the table.
    #[inline(always)]
    fn leave_time_wait(&mut self, index: u32, remains: &Remains) {
        let entered = self.time_wait.enter(remains, self.env.millis, &mut self.table);
        let reference = Reference::new(Kind::Connection, index);
        self.table.replace(remains.hash, reference, entered.reference);
        self.counters.event(Event::TimeWaits);
        if entered.evicted {
            self.counters.event(Event::TimeWaitOverflow);
        }
    }

    /// [`remove`](Self::remove) into TIME-WAIT for a connection whose flight holds nothing.
    #[inline(always)]
    pub(crate) fn retire(&mut self, index: u32, hash: u64) {
        if self.waits {
            self.forget_waiting(index);
        }
        let tcb = &mut self.conns[index];
        let remains = remains(tcb, hash);
        tcb.generation = FREE;
        let timer = core::mem::replace(&mut tcb.timer, Node::UNARMED);
        let flight = core::mem::replace(&mut tcb.flight, NO_FLIGHT);
        self.wheel.forget(&mut self.conns, timer);
        if flight != NO_FLIGHT {
            self.flights.release(flight);
        }
        self.conns.free(index);
        self.leave_time_wait(index, &remains);
    }

    /// The flight of connection `index`, taken from the pool if it has none.
    pub(crate) fn want_flight(&mut self, index: u32) -> Option<&mut Flight> {
        self.flights.of(&mut self.conns[index], index)
    }

    /// Returns the flight of connection `index`, with everything it holds.
    pub(crate) fn drop_flight(&mut self, index: u32) {
        let number = self.conns[index].flight;
        let Some(flight) = self.flights.at_mut(number) else { return };
        if !flight.send.is_empty() {
            flight.send.clear(&mut self.chunks);
        }
        flight.store.clear(&mut self.chunks);
        if flight.ready {
            self.unready(number);
        }
        self.flights.release(number);
        self.conns[index].flight = NO_FLIGHT;
    }

    /// [`settle`](Self::settle) of a connection whose only deadline is `at`.
    #[inline(always)]
    pub(crate) fn settle_at(&mut self, index: u32, at: u32) {
        let armed = self.conns[index].timer.due();
        if armed.is_none_or(|armed| (at.wrapping_sub(armed) as i32) < 0) {
            self.wheel.arm(&mut self.conns, index, at);
        }
    }

    /// When to look at connection `index`, whose SYN has just left: no later than an answer's
    /// acknowledgement may want its timer. Or it would be moved there by nearly every server next door.
    #[inline(always)]
    pub(crate) fn opening_at(&mut self, index: u32) -> u32 {
        let Opened { tcb, flight, env, .. } = self.open(index);
        let at = env.millis.wrapping_add(limits::PATIENCE.millis() as u32);
        let due = tcb.deadline(flight.as_deref(), env);
        due.filter(|due| (due.wrapping_sub(at) as i32) < 0).unwrap_or(at)
    }

    /// Returns the flight if nothing is under way, and puts the timer where the next deadline is.
    #[inline]
    pub(crate) fn settle(&mut self, index: u32) {
        let Opened { tcb, flight, env, .. } = self.open(index);
        let spent = match &flight {
            Some(flight) => flight.is_spent() && tcb.is_quiet() && flight.max == tcb.una,
            None => false,
        };
        let deadline = tcb.deadline(if spent { None } else { flight.as_deref() }, env);
        let number = tcb.flight;
        if spent {
            tcb.keep_backoff(flight.map_or(0, |flight| flight.backoff));
            tcb.flight = NO_FLIGHT;
            self.flights.release(number);
        }
        if let Some(at) = deadline {
            let armed = self.conns[index].timer.due();
            if armed.is_none_or(|armed| (at.wrapping_sub(armed) as i32) < 0) {
                self.wheel.arm(&mut self.conns, index, at);
            }
        }
    }

    /// Starts the application's timer of connection `index`.
    pub(crate) fn start_timer(&mut self, index: u32, after: Duration) {
        let tcb = &mut self.conns[index];
        tcb.set(Bits::APP_TIMER);
        let after_ms = after.millis().clamp(1, i32::MAX as u64) as u32;
        tcb.app_at = self.env.millis.wrapping_add(after_ms);
        // Whoever is about to be visited is settled then.
        let flight = self.flights.at(tcb.flight);
        let is_next = flight.is_some_and(|flight| flight.ready && !flight.awaits_slot);
        if self.current != index && !is_next {
            self.settle(index);
        }
    }

    /// The largest TCP payload, options included, towards `tuple`'s peer.
    #[inline(always)]
    pub(crate) fn path_mss(&self, tuple: &Tuple) -> u16 {
        self.path_mss_of(self.own_mss(tuple.local), tuple.remote)
    }

    /// The same from a station that offers an MSS of `own`.
    #[inline(always)]
    pub(crate) fn path_mss_of(&self, own: u16, remote: Addr) -> u16 {
        match self.path_mtus.lookup(remote, self.env.millis) {
            Some(path) => own.min(path - limits::headers_bytes(remote)),
            None => own,
        }
    }

    /// Who listens where a client's segment arrived.
    pub(crate) fn listener_of(&self, tuple: &Tuple) -> Option<Found> {
        let addr = self.interfaces.addr(tuple.local);
        let interface = self.interfaces.interface_of(tuple.local);
        self.listeners.lookup(addr, tuple.local_port, interface)
    }

    /// The largest segment between a client of `listener` and us, where `mss` is what fits otherwise.
    #[inline(always)]
    pub(crate) fn client_mss(&self, mss: u16, listener: u16) -> u16 {
        // Nearly no machine has such a listener.
        if self.env.profiles.any_mss() { self.client_mss_bounded(mss, listener) } else { mss }
    }

    #[cold]
    #[inline(never)]
    fn client_mss_bounded(&self, mss: u16, listener: u16) -> u16 {
        let profile = self.listeners.profile(listener);
        profile.map_or(mss, |profile| self.env.bounded_mss(mss, profile))
    }

    /// Looks for the way to connection `index`'s peer anew: what is silent may have moved.
    pub(crate) fn find_hop(&mut self, index: u32) {
        let tuple = self.conns[index].tuple;
        let interface = self.interfaces.interface_of(tuple.local);
        if let Some((_, next)) = self.routes.lookup_on(&self.interfaces, interface, tuple.remote)
            && let Ok(hop) = self.neighbours.resolve(self.env.millis, interface, next)
        {
            self.conns[index].hop = hop.0;
        }
    }

    /// The MSS option we send from `local`.
    #[inline]
    pub(crate) fn own_mss(&self, local: AddrId) -> u16 {
        self.interfaces.station(local).map_or(limits::MSS_DEFAULT_V4, |station| station.mss)
    }

    /// Counts a drop.
    #[inline]
    pub(crate) fn drop(&mut self, reason: Drop) {
        self.counters.drop(reason);
    }

    /// Whether memory is so short that nothing new should begin.
    #[inline]
    pub(crate) fn is_memory_short(&self) -> bool {
        self.chunks.free_count() < self.chunks.count() >> limits::RESERVED_SHIFT
            || self.flights.free() <= self.config.capacity.flights >> limits::RESERVED_SHIFT
    }

    /// Whether there is no memory for payload any more but what keeps the rest going.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.chunks.free_count() <= self.chunks.count() >> limits::EXHAUSTED_SHIFT
    }

    /// The same for flights.
    pub(crate) fn is_short_of_flights(&self) -> bool {
        self.flights.free() <= (self.config.capacity.flights >> limits::EXHAUSTED_SHIFT).max(1)
    }

    /// The tuple of a segment that arrived at our address `local`.
    #[inline]
    pub(crate) fn tuple_of(local: AddrId, remote: Addr, seg: &Segment) -> Tuple {
        Tuple { remote, remote_port: seg.src_port, local_port: seg.dst_port, local }
    }

    /// Whether connection `index` may have something to send now.
    #[inline]
    pub(crate) fn has_to_send(&self, index: u32) -> bool {
        let tcb = &self.conns[index];
        match self.flights.at(tcb.flight) {
            Some(flight) => !tcb.is_drained(flight),
            None => tcb.has(Bits::ACK_NOW),
        }
    }

    /// Whether connection `index` is over and the application has read everything.
    #[inline]
    pub(crate) fn is_finished(&self, index: u32) -> bool {
        let tcb = &self.conns[index];
        // A paused application has yet to hear of the end.
        let told = tcb.has(Bits::EOF_TOLD) || tcb.has(Bits::ORPHAN);
        matches!(tcb.state, State::TimeWait | State::Closed)
            && told
            && self.flights.at(tcb.flight).is_none_or(|flight| flight.store.unread() == 0)
    }
}

/// What TIME-WAIT keeps of a connection whose tuple has this hash.
#[inline(always)]
fn remains(tcb: &Tcb, hash: u64) -> Remains {
    Remains {
        hash,
        rcv_nxt: tcb.rcv_nxt,
        snd_nxt: tcb.nxt,
        ts_recent: tcb.has(Bits::TIMESTAMPS).then_some(tcb.ts_recent),
        window: tcb.window_field(),
        window_scale: tcb.our_scale(),
    }
}

/// A connection with its surroundings, borrowed apart.
pub(crate) struct Opened<'a> {
    pub(crate) tcb: &'a mut Tcb,
    pub(crate) flight: Option<&'a mut Flight>,
    pub(crate) env: &'a Env,
    pub(crate) chunks: &'a mut Chunks,
}
