//! The time of day from a server (SNTP: RFC 4330, RFC 5905 section 14).
//!
//! ```text
//!   T1 our question leaves      T2 it arrives       offset = ((T2 − T1) + (T3 − T4)) / 2
//!   T4 the answer arrives       T3 it leaves        delay  =  (T4 − T1) − (T3 − T2)
//! ```
//! The time stamp that goes out as T1 is a random number: the server returns it, nobody beside the path
//! can guess it, and it tells nothing of our clock. Each measurement but the first is the best of three
//! exchanges, by delay. The format is 48 bytes read here: the crates for it want to own a socket and to wait.

use penstock_stack::{Cx, Duration, Endpoint, Instant, UdpId};
use penstock_wire::Addr;

use crate::limits;
use crate::random::Random;

/// The client.
#[derive(Debug)]
pub(crate) struct Sntp {
    servers: [Option<Addr>; limits::SERVERS_MAX],
    /// Which is asked.
    at: usize,
    question: Option<Question>,
    best: Option<Sample>,
    exchanges: u8,
    silent: u32,
    next_at: Option<Instant>,
    interval: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    socket: UdpId,
    server: Addr,
    nonce: u64,
    sent_at: Instant,
    deadline: Instant,
}

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) server: Addr,
    pub(crate) stratum: u8,
    pub(crate) delay_us: u64,
    /// The server's time of day at `at`, since 1970.
    pub(crate) then: Duration,
    pub(crate) at: Instant,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing yet.
    Nothing,
    /// It is this late.
    Time(Sample),
    /// A server has not answered, several times.
    Silent(Addr),
}

impl Sntp {
    pub(crate) fn new() -> Sntp {
        Sntp {
            servers: [None; limits::SERVERS_MAX],
            at: 0,
            question: None,
            best: None,
            exchanges: 0,
            silent: 0,
            next_at: None,
            interval: INTERVAL_FIRST,
        }
    }

    /// Asks these from now on, once the neighbour that leads to them has had time to answer.
    pub(crate) fn set_servers(
        &mut self,
        servers: [Option<Addr>; limits::SERVERS_MAX],
        now: Instant,
    ) {
        if servers != self.servers {
            self.servers = servers;
            (self.at, self.interval, self.exchanges, self.best) = (0, INTERVAL_FIRST, 0, None);
            self.next_at = servers.iter().any(Option::is_some).then_some(now + FIRST_PAUSE);
        }
    }

    /// Asks nobody any more.
    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>) {
        if let Some(question) = self.question.take() {
            cx.udp_unbind(question.socket);
        }
        (self.servers, self.next_at) = ([None; limits::SERVERS_MAX], None);
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.question.map(|question| question.deadline).or(self.next_at)
    }

    pub(crate) fn owns(&self, socket: UdpId) -> bool {
        self.question.is_some_and(|question| question.socket == socket)
    }

    /// Asks, if it is time to, or gives up waiting.
    pub(crate) fn step(&mut self, cx: &mut Cx<'_>, random: &mut Random) -> Told {
        let now = cx.now();
        if let Some(question) = self.question {
            if question.deadline > now {
                return Told::Nothing;
            }
            cx.udp_unbind(question.socket);
            self.question = None;
            return self.finish_exchange(now, Some(question.server));
        }
        if self.next_at.is_none_or(|at| at > now) {
            return Told::Nothing;
        }
        let Some(server) = self.pick() else {
            self.next_at = None;
            return Told::Nothing;
        };
        let nonce = random.draw();
        let mut message = [0; MESSAGE_BYTES];
        message[0] = VERSION << 3 | MODE_CLIENT;
        message[40..48].copy_from_slice(&nonce.to_be_bytes());
        let to = Endpoint { addr: server, port: PORT };
        match cx.udp_bind_ephemeral(random.draw()) {
            Ok(socket) => {
                // One that cannot leave is like one that is not answered.
                let _ = cx.udp_send(socket, None, to, &message);
                let deadline = now + TIMEOUT;
                self.question = Some(Question { socket, server, nonce, sent_at: now, deadline });
            }
            Err(_) => self.next_at = Some(now + TIMEOUT),
        }
        Told::Nothing
    }

    /// An answer, perhaps.
    pub(crate) fn on_datagram(&mut self, cx: &mut Cx<'_>, from: Endpoint, bytes: &[u8]) -> Told {
        let now = cx.now();
        let Some(question) = self.question else { return Told::Nothing };
        if from != (Endpoint { addr: question.server, port: PORT }) {
            return Told::Nothing;
        }
        let Some(answer) = read(bytes, &question, now) else { return Told::Nothing };
        cx.udp_unbind(question.socket);
        self.question = None;
        match answer {
            Answer::Time(sample) => {
                self.silent = 0;
                if self.best.is_none_or(|best| sample.delay_us < best.delay_us) {
                    self.best = Some(sample);
                }
                self.finish_exchange(now, None)
            }
            // It does not want to be asked: another, or much later.
            Answer::Kiss => {
                self.at += 1;
                self.interval = INTERVAL_MAX;
                self.exchanges = EXCHANGES;
                self.finish_exchange(now, None)
            }
        }
    }

    fn finish_exchange(&mut self, now: Instant, silent: Option<Addr>) -> Told {
        self.exchanges += 1;
        // The very first answer is better than what there was, if it came straight.
        let is_straight = self.best.is_some_and(|best| best.delay_us < STRAIGHT_US);
        let is_first = self.interval == INTERVAL_FIRST && is_straight;
        if self.exchanges < EXCHANGES && !is_first {
            self.next_at = Some(now + BETWEEN_EXCHANGES);
            return Told::Nothing;
        }
        self.exchanges = 0;
        let best = self.best.take();
        match best {
            Some(sample) => {
                self.interval = Duration((self.interval.0 * 2).min(INTERVAL_MAX.0));
                self.next_at = Some(now + self.interval);
                Told::Time(sample)
            }
            None => {
                self.at += 1;
                self.silent += 1;
                self.next_at = Some(now + INTERVAL_FIRST);
                match silent {
                    Some(server) if self.silent == 1 => Told::Silent(server),
                    _ => Told::Nothing,
                }
            }
        }
    }

    fn pick(&self) -> Option<Addr> {
        let count = self.servers.iter().flatten().count();
        self.servers.iter().flatten().nth(self.at.checked_rem(count)?).copied()
    }
}

enum Answer {
    Time(Sample),
    Kiss,
}

/// Reads an answer. `None` for what cannot be one (RFC 4330 section 5).
fn read(bytes: &[u8], question: &Question, now: Instant) -> Option<Answer> {
    let message = bytes.first_chunk::<MESSAGE_BYTES>()?;
    let stamp = |at: usize| message[at..at + 8].try_into().map(u64::from_be_bytes).unwrap_or(0);
    let (leap, version, mode) = (message[0] >> 6, message[0] >> 3 & 7, message[0] & 7);
    let (stratum, arrived, left) = (message[1], stamp(32), stamp(40));
    if mode != MODE_SERVER || !(3..=4).contains(&version) || stamp(24) != question.nonce {
        return None;
    }
    if stratum == 0 {
        return Some(Answer::Kiss);
    }
    if leap == 3 || stratum > 15 || arrived == 0 || left == 0 {
        return None;
    }
    let (arrived_us, left_us) = (unix_us(arrived), unix_us(left));
    let within = left_us.checked_sub(arrived_us)?;
    let delay_us = (now.0 - question.sent_at.0).checked_sub(within)?;
    let then = Duration(left_us + delay_us / 2);
    Some(Answer::Time(Sample { server: question.server, stratum, delay_us, then, at: now }))
}

/// Microseconds since 1970 of a time stamp of NTP: seconds since 1900 and their fraction. The era ends
/// in 2036: what lies before 1968 belongs to the next (RFC 4330 section 3).
fn unix_us(stamp: u64) -> u64 {
    let (seconds, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let era = if seconds & 0x8000_0000 == 0 { 1 << 32 } else { 0 };
    (seconds + era).saturating_sub(SECONDS_TO_1970) * 1_000_000 + ((fraction * 1_000_000) >> 32)
}

const MESSAGE_BYTES: usize = 48;
const PORT: u16 = 123;
const VERSION: u8 = 4;
const MODE_CLIENT: u8 = 3;
const MODE_SERVER: u8 = 4;
const SECONDS_TO_1970: u64 = 2_208_988_800;

const EXCHANGES: u8 = 3;
const BETWEEN_EXCHANGES: Duration = Duration::from_millis(250);
const STRAIGHT_US: u64 = 100_000;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_millis(1000);
const INTERVAL_FIRST: Duration = Duration::from_secs(16);
const INTERVAL_MAX: Duration = Duration::from_secs(1024);

#[cfg(test)]
mod tests {
    //! Time stamps are read, and what is no answer to our question is none.

    use super::*;

    const QUESTION: Question = Question {
        socket: UdpId(0),
        server: Addr::v4(0x0a00_0001),
        nonce: 0x0123_4567_89ab_cdef,
        sent_at: Instant(1_000_000),
        deadline: Instant(2_000_000),
    };

    fn answer() -> [u8; 48] {
        let mut message = [0; 48];
        (message[0], message[1]) = (4 << 3 | 4, 2);
        message[24..32].copy_from_slice(&QUESTION.nonce.to_be_bytes());
        let stamp = |unix: u64, half: u64| ((unix + SECONDS_TO_1970) << 32 | half).to_be_bytes();
        message[32..40].copy_from_slice(&stamp(1_795_670_400, 0));
        message[40..48].copy_from_slice(&stamp(1_795_670_400, 1 << 31));
        message
    }

    #[test]
    fn the_time_is_the_servers_and_half_of_the_way() {
        let Some(Answer::Time(sample)) = read(&answer(), &QUESTION, Instant(1_700_000)) else {
            panic!("no time")
        };
        // 700 ms on the way and at the server, where 500 of them passed.
        assert_eq!((sample.delay_us, sample.stratum), (200_000, 2));
        assert_eq!(sample.then, Duration(1_795_670_400_600_000));
        assert_eq!(unix_us(0), ((1 << 32) - SECONDS_TO_1970) * 1_000_000, "2036-02-07 06:28:16");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let is_none = |change: &dyn Fn(&mut [u8; 48])| {
            let mut message = answer();
            change(&mut message);
            read(&message, &QUESTION, Instant(1_700_000)).is_none()
        };
        assert!(is_none(&|message| message[31] ^= 1), "another question's");
        assert!(is_none(&|message| message[0] = 4 << 3 | 3), "a client's");
        assert!(is_none(&|message| message[0] = 1 << 3 | 4), "of a version that is gone");
        assert!(is_none(&|message| message[0] |= 0xc0), "a server that does not know");
        assert!(is_none(&|message| message[1] = 16), "nor this one");
        assert!(is_none(&|message| message[40..48].fill(0)), "no time");
        assert!(is_none(&|message| message[35] += 9), "it left before it arrived");
        assert!(is_none(&|message| message[43] += 9), "longer there than on the way");
        assert!(read(&answer()[..47], &QUESTION, Instant(1_700_000)).is_none());
    }
}
