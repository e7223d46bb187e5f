//! Over all cores a server has its share to within fewer sessions than there are cores; what goes in
//! turn skips who is full or has failed, and hashes are HAProxy's.

use std::vec;
use std::vec::Vec;

use penstock_config::haproxy::{Algorithm, Backend, BackendOptions, HashFunction, HashType};
use proptest::prelude::*;

use super::*;
use crate::hash::hash;

fn shares(weights: &[u32]) -> Vec<Share> {
    let share = |(id, &weight)| Share { id, weight, warmth: 16, is_up: true, is_backup: false };
    (1..).zip(weights).map(share).collect()
}

fn backend(algorithm: Algorithm) -> Backend {
    Backend { algorithm, ..Backend::default() }
}

fn ask(key: u32, loads: &[u32]) -> Question<'_, fn(u16) -> bool> {
    Question { key: Some(key), avoid: None, has_room: |_| true, loads, random: key.into() }
}

fn next(balancer: &mut Balancer) -> u16 {
    match balancer.next(&ask(0, &[0; 64])) {
        Answer::Server(server) => server,
        other => panic!("{other:?}"),
    }
}

fn sequence(algorithm: Algorithm, weights: &[u32], len: usize) -> Vec<u16> {
    let mut balancer = Balancer::new(&backend(algorithm), &shares(weights), 0);
    (0..len).map(|_| next(&mut balancer)).collect()
}

#[test]
fn equals_go_in_the_order_of_the_file() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRoundRobin] {
        assert_eq!(sequence(algorithm, &[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    }
}

#[test]
fn a_weight_of_0_gets_nothing() {
    assert_eq!(sequence(Algorithm::RoundRobin, &[0, 3], 3), [1, 1, 1]);
    let none = &mut Balancer::new(&backend(Algorithm::RoundRobin), &shares(&[0, 0]), 0);
    assert_eq!(none.next(&ask(0, &[0; 2])), Answer::Nobody);
}

#[test]
fn least_conn_looks_at_sessions_by_weight() {
    let mut balancer = Balancer::new(&backend(Algorithm::LeastConn), &shares(&[1, 2]), 0);
    let mut loads = [0, 0];
    for _ in 0..30 {
        let server = next(&mut balancer);
        loads[server as usize] += 1;
        balancer.set_load(server, loads[server as usize]);
    }
    assert_eq!(loads, [10, 20]);
    balancer.set_load(1, 0);
    assert_eq!(next(&mut balancer), 1);
}

#[test]
fn backups_stand_in_for_all_others() {
    let mut shares = shares(&[1, 1, 1, 1]);
    shares[2].is_backup = true;
    shares[3].is_backup = true;
    let all = BackendOptions { all_backups: true, ..BackendOptions::default() };
    for (options, expected) in [(BackendOptions::default(), [2, 2]), (all, [2, 3])] {
        let backend = Backend { options, ..backend(Algorithm::RoundRobin) };
        let mut balancer = Balancer::new(&backend, &shares, 0);
        assert_eq!([next(&mut balancer), next(&mut balancer)], [0, 1]);
        let mut down = shares.clone();
        down[0].is_up = false;
        balancer.update(&down);
        assert_eq!([next(&mut balancer), next(&mut balancer)], [1, 1]);
        down[1].is_up = false;
        balancer.update(&down);
        assert_eq!([next(&mut balancer), next(&mut balancer)], expected);
    }
}

#[test]
fn who_is_full_or_has_failed_is_passed_over() {
    for algorithm in
        [Algorithm::RoundRobin, Algorithm::StaticRoundRobin, Algorithm::LeastConn, Algorithm::First]
    {
        let mut balancer = Balancer::new(&backend(algorithm.clone()), &shares(&[1, 1, 1]), 0);
        let loads = [0; 3];
        let mut ask = |avoid, full: fn(u16) -> bool| {
            let has_room = move |server| !full(server);
            balancer.next(&Question { key: Some(0), avoid, has_room, loads: &loads, random: 7 })
        };
        assert_eq!(ask(Some(0), |server| server == 1), Answer::Server(2), "{algorithm:?}");
        assert_eq!(ask(Some(1), |server| server != 1), Answer::Server(1), "{algorithm:?}");
        assert_eq!(ask(None, |_| true), Answer::AnyLater, "{algorithm:?}");
    }
}

#[test]
fn known_hashes() {
    // Computed by HAProxy 2.6's own functions.
    let all = |key: &[u8]| {
        [HashFunction::Sdbm, HashFunction::Djb2, HashFunction::Wt6, HashFunction::Crc32]
            .map(|function| hash(function, key))
    };
    assert_eq!(all(b""), [0, 5381, 4_187_620_192, 0]);
    assert_eq!(all(b"a"), [97, 177_670, 1_900_802_597, 3_904_355_907]);
    let expected = [756_071_229, 1_077_173_516, 3_826_003_744, 2_937_512_684];
    assert_eq!(all(b"penstock"), expected);
    let expected = [1_116_530_796, 3_072_504_995, 1_561_707_554, 2_420_771_480];
    assert_eq!(all(b"10.0.0.1:80"), expected);
    let mixed = [0, 4097, 0x0a00_0001].map(mix);
    assert_eq!(mixed, [2_874_071_335, 2_761_370_759, 715_288_146]);
}

proptest! {
    /// However many sessions come to each of the cores, a server's share of them all is exact to
    /// within a few for each core.
    #[test]
    fn weights_are_exact_over_all_cores(
        weights in prop::collection::vec(1u32..=256, 1..8),
        counts in prop::collection::vec(0usize..2000, 1..8),
        is_static: bool,
    ) {
        let algorithm = if is_static { Algorithm::StaticRoundRobin } else { Algorithm::RoundRobin };
        let mut given = vec![0u64; weights.len()];
        for (core, &count) in (0..).zip(&counts) {
            let mut balancer = Balancer::new(&backend(algorithm.clone()), &shares(&weights), core);
            for _ in 0..count {
                given[next(&mut balancer) as usize] += 1;
            }
        }
        let sessions = counts.iter().sum::<usize>() as f64;
        let total = weights.iter().sum::<u32>() as f64;
        for (server, &weight) in weights.iter().enumerate() {
            let part = weight as f64 / total;
            let off = (given[server] as f64 - sessions * part).abs();
            // Both ends of each core's stretch are off by one at most, or by what the others are.
            let bound = f64::max(2.0, 1.0 + part * (weights.len() as f64 - 2.0));
            prop_assert!(off <= bound * counts.len() as f64, "{weights:?} {counts:?}: {given:?}");
        }
    }

    /// A whole lap gives each server exactly its weight, wherever it begins.
    #[test]
    fn a_lap_is_exact(weights in prop::collection::vec(0u32..=32, 1..8), core in 0u16..64) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let mut balancer = Balancer::new(&backend(Algorithm::RoundRobin), &shares(&weights), core);
        let total: u32 = weights.iter().sum();
        let mut given = vec![0; weights.len()];
        for _ in 0..10 * total {
            given[next(&mut balancer) as usize] += 1;
        }
        for (given, weight) in given.into_iter().zip(&weights) {
            prop_assert!((given as i64 - 10 * *weight as i64).abs() <= 1, "{weights:?}");
        }
    }

    /// A server that goes takes only its own clients along where hashing is consistent.
    #[test]
    fn a_consistent_hash_moves_few(count in 2usize..8, gone in 0usize..8, keys: [u32; 32]) {
        let consistent = HashType { consistent: true, avalanche: true, ..HashType::default() };
        let backend = Backend { hash_type: consistent, ..backend(Algorithm::Source) };
        let mut shares = shares(&vec![1; count]);
        let mut balancer = Balancer::new(&backend, &shares, 0);
        let loads = vec![0; count];
        let before = keys.map(|key| balancer.next(&ask(key, &loads)));
        shares[gone % count].is_up = false;
        balancer.update(&shares);
        for (key, before) in keys.into_iter().zip(before) {
            let after = balancer.next(&ask(key, &loads));
            let its_own = before == Answer::Server((gone % count) as u16);
            prop_assert!(its_own || after == before);
        }
    }
}

#[test]
fn who_has_no_key_goes_in_turn() {
    for consistent in [false, true] {
        let hash_type = HashType { consistent, ..HashType::default() };
        let backend = Backend { hash_type, ..backend(Algorithm::Source) };
        let mut balancer = Balancer::new(&backend, &shares(&[1, 2, 5]), 0);
        let mut asked = [0; 3];
        let ask = Question { key: None, ..ask(0, &[0; 3]) };
        for _ in 0..8 * 16 {
            let Answer::Server(server) = balancer.next(&ask) else { panic!("nobody") };
            asked[server as usize] += 1;
        }
        assert_eq!(asked, [16, 32, 80], "consistent: {consistent}");
    }
}

#[test]
fn cores_begin_at_different_places() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRoundRobin, Algorithm::LeastConn] {
        let first = |core| {
            let mut balancer =
                Balancer::new(&backend(algorithm.clone()), &shares(&[1, 1, 1, 1]), core);
            next(&mut balancer)
        };
        let mut firsts: Vec<u16> = (0..4).map(first).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2, 3], "{algorithm:?}");
    }
}

#[test]
fn an_avalanche_mixes_the_key() {
    for consistent in [false, true] {
        let servers = |avalanche| {
            let hash_type = HashType { consistent, avalanche, function: HashFunction::Sdbm };
            let backend = Backend { hash_type, ..backend(Algorithm::Source) };
            let mut balancer = Balancer::new(&backend, &shares(&[1; 5]), 0);
            let at = |key| match balancer.next(&ask(key, &[0; 5])) {
                Answer::Server(server) => server,
                other => panic!("{other:?}"),
            };
            (0..50).map(at).collect::<Vec<u16>>()
        };
        assert_ne!(servers(true), servers(false));
    }
}
