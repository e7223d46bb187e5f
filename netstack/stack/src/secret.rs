//! Numbers that leave the machine and must not be guessed: initial sequence numbers, timestamp
//! offsets, port choice.
//!
//! All come from SipHash-2-4, a pseudo-random function, under one 128-bit key per purpose; the keys
//! are drawn from the 32-byte seed of the configuration, which every core shares (a SYN may be
//! answered by one core and its ACK checked by another). A new seed comes with every boot.
//!
//! ```text
//!   tuple ──▶ SipHash(connection key) ──▶ 64 bits ─┬─ low 32:  F of RFC 6528
//!                                                  └─ high 32: timestamp offset of RFC 7323
//! ```
//! Our end comes first in what is hashed, and the state behind it is kept ([`crate::sip`]): the next
//! client of the same service finds it there. One hash serves both: the halves of a pseudo-random function's output are as independent as two
//! functions are, so a peer that learns its offset (it sees timestamps) learns nothing of F, and
//! neither tells anything of another tuple. Both are fixed per tuple, so a tuple's sequence numbers
//! and timestamps only go forward: a peer in TIME-WAIT accepts the tuple's next connection.

use siphasher::sip::SipHasher24;
use siphasher::sip128;

use penstock_wire::{Addr, SeqNum};

use crate::hash::{AddrId, Tuple};
use crate::sip::Sip;

/// Bytes of the seed.
pub(crate) const SEED_BYTES: usize = 32;

/// The keys of one machine.
#[derive(Clone)]
pub(crate) struct Secrets {
    /// Before our end, and behind [`Self::near`].
    connection: (Sip, Sip),
    /// Our end of the connection hashed last, as a word.
    near: u64,
    port: SipHasher24,
    cookie: SipHasher24,
    table: [u64; 4],
}

/// What a tuple's numbers count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    isn: u32,
    timestamp: u32,
}

impl Origin {
    /// The initial sequence number at `now_us` microseconds.
    #[inline]
    pub(crate) fn isn(self, now_us: u64) -> SeqNum {
        //= rfc9293#3.4.1
        //# ISN = M + F(localip, localport, remoteip, remoteport, secretkey)
        //#
        //# where M is the 4 microsecond timer, and F() is a pseudorandom
        //# function (PRF) of the connection's identifying parameters
        SeqNum(self.isn.wrapping_add((now_us / 4) as u32))
    }

    /// The timestamp clock (TSval) at `now_ms` milliseconds, with an offset of its own for each
    /// tuple (RFC 7323 section 5.4), so that it does not tell how long the machine has been up.
    #[inline]
    pub(crate) fn timestamp(self, now_ms: u32) -> u32 {
        now_ms.wrapping_add(self.timestamp)
    }

    /// The offset alone, for whoever keeps it.
    #[inline]
    pub(crate) fn timestamp_offset(self) -> u32 {
        self.timestamp
    }
}

impl Secrets {
    /// The keys drawn from `seed`.
    pub(crate) fn new(seed: &[u8; SEED_BYTES]) -> Secrets {
        let key = |purpose| {
            let (low, high) = draw(seed, purpose);
            SipHasher24::new_with_keys(low, high)
        };
        let (table_a, table_b) = (draw(seed, b"table a "), draw(seed, b"table b "));
        let connection = Sip::begin(draw(seed, b"connect "));
        Secrets {
            connection: (connection, connection.absorb(0)),
            near: 0,
            port: key(b"port off"),
            cookie: key(b"syn cook"),
            table: [table_a.0, table_a.1, table_b.0, table_b.1],
        }
    }

    /// What the numbers of `tuple` count from. One hash: keep it where both are needed.
    #[inline(always)]
    pub(crate) fn origin(&mut self, tuple: &Tuple) -> Origin {
        let near = near_word(tuple);
        if near != self.near {
            self.near = near;
            self.connection.1 = self.connection.0.absorb(near);
        }
        origin_behind(self.connection.1, tuple)
    }

    /// The same, for a tuple whose end of ours is not the next one's: that of a connection we open.
    #[inline(always)]
    pub(crate) fn origin_once(&self, tuple: &Tuple) -> Origin {
        origin_behind(self.connection.0.absorb(near_word(tuple)), tuple)
    }

    /// Where the search for a local port towards a destination begins: F of RFC 6056 section
    /// 3.3.3. The caller adds its counter.
    pub(crate) fn port_offset(&self, local: AddrId, remote: Addr, remote_port: u16) -> u32 {
        let tuple = Tuple { remote, remote_port, local_port: 0, local };
        self.port.hash(&message(&tuple)) as u32
    }

    /// The function behind SYN cookies.
    pub(crate) fn cookie(&self) -> SipHasher24 {
        self.cookie
    }

    /// The key of the tables' hash.
    pub(crate) fn table(&self) -> [u64; 4] {
        self.table
    }
}

/// Our end of a tuple.
#[inline(always)]
fn near_word(tuple: &Tuple) -> u64 {
    (tuple.local.0 as u64) << 16 | tuple.local_port as u64
}

/// What a tuple's numbers count from, with our end absorbed already.
#[inline(always)]
fn origin_behind(near: Sip, tuple: &Tuple) -> Origin {
    let (remote, port) = (tuple.remote, tuple.remote_port as u64);
    // The shorter message saves a part of the answer to a SYN; SipHash tells lengths apart.
    let word = if remote.is_v4() {
        near.finish(port << 32 | remote.v4_number() as u64, 14)
    } else {
        near.absorb(remote.hi).absorb(remote.lo).finish(port, 26)
    };
    Origin { isn: word as u32, timestamp: (word >> 32) as u32 }
}

/// A tuple as bytes: 22, so that SipHash takes two words and a tail.
#[inline]
pub(crate) fn message(tuple: &Tuple) -> [u8; 22] {
    let [hi, lo, rest] = tuple.words();
    let mut bytes = [0; 22];
    bytes[..8].copy_from_slice(&hi.to_le_bytes());
    bytes[8..16].copy_from_slice(&lo.to_le_bytes());
    bytes[16..].copy_from_slice(&rest.to_le_bytes()[..6]);
    bytes
}

/// A key for one purpose. Half of the seed is the key of the drawing, the other half part of what
/// is hashed, so all 256 bits count.
fn draw(seed: &[u8; SEED_BYTES], purpose: &[u8; 8]) -> (u64, u64) {
    let (mut key, mut rest) = ([0; 16], [0; 24]);
    key.copy_from_slice(&seed[..16]);
    rest[..16].copy_from_slice(&seed[16..]);
    rest[16..].copy_from_slice(purpose);
    let drawn = sip128::SipHasher24::new_with_key(&key).hash(&rest);
    (drawn.h1, drawn.h2)
}

// The tuple fills the message: 16 bytes of address, 6 of ports and local address, of which there are
// fewer than 2^16.
const _: () = assert!(size_of::<Tuple>() == 16 + 2 + 2 + 4);

#[cfg(test)]
mod tests {
    use super::{Secrets, message};
    use crate::hash::{AddrId, Tuple};
    use penstock_wire::Addr;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn tuple(remote: u32, remote_port: u16) -> Tuple {
        Tuple { remote: Addr::v4(remote), remote_port, local_port: 80, local: AddrId(1) }
    }

    fn secrets() -> Secrets {
        Secrets::new(&[7; 32])
    }

    //= rfc9293#3.4.1
    //= type=test
    //# ISN = M + F(localip, localport, remoteip, remoteport, secretkey)
    #[test]
    fn a_tuples_sequence_numbers_follow_the_clock() {
        let mut secrets = secrets();
        let origin = secrets.origin(&tuple(1, 1));
        let first = origin.isn(0);
        assert_eq!(origin.isn(3), first, "a tick is 4 microseconds");
        assert_eq!(origin.isn(4), first + 1);
        assert_eq!(origin.isn(1_000_000), first + 250_000);
        assert_eq!(origin.isn(4 << 32), first, "round after 4.77 hours");
        assert_eq!(origin.timestamp(10).wrapping_sub(origin.timestamp(7)), 3);
        assert_eq!(origin.timestamp(0), origin.timestamp_offset());
    }

    /// What differs between tuples, purposes and seeds is unrelated: no value comes twice where
    /// chance would not repeat it.
    #[test]
    fn tuples_purposes_and_seeds_are_unrelated() {
        let mut seen = HashSet::new();
        let mut count = 0;
        for seed in [[0; 32], [7; 32]] {
            let mut secrets = Secrets::new(&seed);
            for port in 0..100 {
                let origin = secrets.origin(&tuple(9, port));
                let offset = secrets.port_offset(AddrId(1), Addr::v4(9), port);
                seen.extend([origin.isn(0).0, origin.timestamp_offset(), offset]);
                count += 3;
            }
            seen.extend(secrets.table().map(|word| word as u32));
            count += 4;
        }
        assert_eq!(seen.len(), count);
    }

    /// Every byte of the seed counts.
    #[test]
    fn all_of_the_seed_is_used() {
        let values: HashSet<u32> = (0..32)
            .map(|byte| {
                let mut seed = [0; 32];
                seed[byte] = 1;
                Secrets::new(&seed).origin(&tuple(1, 1)).isn(0).0
            })
            .collect();
        assert_eq!(values.len(), 32);
    }

    proptest! {
        /// Distinct tuples are distinct messages.
        #[test]
        fn a_message_holds_the_whole_tuple(
            a in any::<(u64, u64, u16, u16, u16)>(), b in any::<(u64, u64, u16, u16, u16)>(), same in any::<bool>(),
        ) {
            let make = |(hi, lo, remote_port, local_port, local)| Tuple {
                remote: Addr { hi, lo }, remote_port, local_port, local: AddrId(local as u32),
            };
            let (one, other) = (make(a), if same { make(a) } else { make(b) });
            prop_assert_eq!(message(&one) == message(&other), one == other);
        }
    }
}
