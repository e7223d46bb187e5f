//! The table against a map, under churn, collision and exhaustion.

use super::{DISTANCE, Full, Kind, Reference, Table, mark_of};
use alloc::vec::Vec;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn connection(index: u32) -> Reference {
    Reference::new(Kind::Connection, index)
}

/// Checks the order that lookups rely on: every entry is reachable from its home without crossing a
/// gap or an entry nearer to its own home, and its distance is what its tag says.
fn assert_ordered(table: &Table) {
    for (position, &mark) in table.marks.iter().enumerate() {
        if mark == 0 {
            continue;
        }
        let tag = table.slot(position) as u32;
        let walked = position.wrapping_sub(tag as usize) & (table.slots.len() - 1);
        assert_eq!(mark, mark_of(tag, walked as u8 + 1), "a mark that is not the entry's");
        assert!(walked < DISTANCE as usize, "an entry {walked} from its home");
        if walked > 0 {
            let before = table.mark(position.wrapping_sub(1)) & DISTANCE;
            assert_ne!(before, 0, "a gap between an entry and its home");
            assert!(before as usize >= walked);
        }
    }
    assert_eq!(table.iter().count() as u32, table.len());
}

#[test]
fn a_reference_keeps_its_kind_and_index() {
    for kind in [Kind::Connection, Kind::TimeWait] {
        for index in [0, 1, Reference::INDEX_LIMIT - 1] {
            let reference = Reference::new(kind, index);
            assert_eq!((reference.kind(), reference.index()), (kind, index));
        }
    }
}

#[test]
fn equal_hashes_are_told_apart_by_the_caller() {
    let mut table = Table::new(4);
    for index in 0..4 {
        assert_eq!(table.insert(99, connection(index)), Ok(()));
    }
    assert_eq!(table.lookup(99, |found| found.index() == 2), Some(connection(2)));
    assert!(table.remove(99, connection(1)));
    assert!(!table.remove(99, connection(1)));
    assert_eq!(table.lookup(99, |found| found.index() == 1), None);
    assert_eq!(table.lookup(99, |found| found.index() == 3), Some(connection(3)));
}

#[test]
fn a_hash_of_zero_is_no_empty_position() {
    let mut table = Table::new(1);
    assert_eq!(table.touch(0, false), 0);
    assert_eq!(table.lookup(0, |_| true), None);
    assert_eq!(table.insert(0, connection(0)), Ok(()));
    assert_ne!(table.touch(0, false), 0);
    assert_eq!(table.lookup(0, |_| true), Some(connection(0)));
}

#[test]
fn a_slot_changes_its_kind_in_place() {
    let mut table = Table::new(2);
    let waiting = Reference::new(Kind::TimeWait, 9);
    assert_eq!(table.insert(5, connection(1)), Ok(()));
    assert!(table.replace(5, connection(1), waiting));
    assert!(!table.replace(5, connection(1), waiting));
    assert_eq!(table.lookup(5, |_| true), Some(waiting));
    assert_eq!(table.len(), 1);
}

/// The capacity asked for is the capacity given, and not one entry more.
#[test]
fn a_full_table_refuses_and_is_unchanged() {
    let mut table = Table::new(12);
    for index in 0..12 {
        assert_eq!(table.insert(u64::from(index) * 0x9e37_79b9, connection(index)), Ok(()));
    }
    assert_eq!(table.insert(1, connection(12)), Err(Full));
    assert_eq!(table.len(), 12);
    assert_ordered(&table);
    assert_eq!(Table::new(0).insert(1, connection(0)), Err(Full));
}

/// Entries that all want one home are refused at the probe limit, however empty the table is, and
/// so is a newcomer that would push one of them beyond it.
#[test]
fn a_flood_of_one_home_meets_the_limit() {
    let mut table = Table::new(10_000);
    let home = |i: u32| u64::from(i) << 16 | 3;
    for index in 0..DISTANCE as u32 {
        assert_eq!(table.insert(home(index), connection(index)), Ok(()));
    }
    assert_eq!(table.insert(home(9_000), connection(9_000)), Err(Full));
    assert_eq!(table.insert(2, connection(9_001)), Ok(()), "an empty home before the run");
    assert_eq!(table.insert(2, connection(9_002)), Err(Full), "it would push the run on");
    assert_eq!(table.lookup(home(9_000), |_| true), None);
    assert_ordered(&table);
    for index in 0..DISTANCE as u32 {
        assert!(table.remove(home(index), connection(index)));
    }
    assert_eq!(table.len(), 1);
    assert_ordered(&table);
}

/// A table as full as it may be keeps its probes short through ten turnovers of its population, and
/// is as good at the end as at the start.
#[test]
fn churn_does_not_lengthen_probes() {
    const ENTRIES: u32 = 3 << 14;
    let mut table = Table::new(ENTRIES);
    let hash = |i: u32| u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 13;
    let mean = |table: &Table| {
        let total: usize = table.marks.iter().map(|&mark| (mark & DISTANCE) as usize).sum();
        total as f64 / f64::from(table.len())
    };
    for index in 0..ENTRIES {
        assert_eq!(table.insert(hash(index), connection(index)), Ok(()));
    }
    assert_eq!(table.bytes(), (ENTRIES as usize * 4 / 3) * 9);
    let before = mean(&table);
    for index in 0..10 * ENTRIES {
        assert!(table.remove(hash(index), connection(index)));
        assert_eq!(table.insert(hash(index + ENTRIES), connection(index + ENTRIES)), Ok(()));
    }
    let after = mean(&table);
    assert!(after < before * 1.1, "slots read per lookup went from {before} to {after}");
    assert!(after < 3.5, "{after} slots read per lookup");
    assert_ordered(&table);
}

proptest! {
    /// The table holds what a map would hold, whatever is added and removed and however the hashes
    /// collide (`spread` leaves as little as one home for all).
    #[test]
    fn the_table_agrees_with_a_map(
        spread in 0..32_u32,
        steps in prop::collection::vec((0..4_u8, any::<u32>(), any::<u16>()), 1..400),
    ) {
        let mut table = Table::new(90);
        let mut model: HashMap<Reference, u64> = HashMap::new();
        for (index, (step, bits, pick)) in steps.into_iter().enumerate() {
            // The low bits pick the home; the end of the array is crossed often.
            let hash = u64::from((bits & ((1 << spread) - 1)).wrapping_sub(5));
            let reference = Reference::new(Kind::TimeWait, index as u32);
            let mut keys: Vec<Reference> = model.keys().copied().collect();
            keys.sort_by_key(|key| key.index());
            let picked = keys.get(pick as usize % keys.len().max(1)).copied();
            match (step, picked) {
                (0 | 1, _) => {
                    let inserted = table.insert(hash, reference);
                    if inserted.is_ok() {
                        model.insert(reference, hash);
                    } else {
                        prop_assert!(model.len() >= DISTANCE as usize);
                    }
                }
                (2, Some(changing)) => {
                    let hash = model.remove(&changing).expect("in the model");
                    let successor = connection(index as u32);
                    prop_assert!(table.replace(hash, changing, successor));
                    prop_assert!(!table.replace(hash, changing, successor));
                    model.insert(successor, hash);
                }
                (_, Some(victim)) => {
                    let old = model.remove(&victim).expect("in the model");
                    if bits % 2 == 0 {
                        prop_assert!(table.remove(old, victim));
                    } else {
                        table.forget(old, victim);
                    }
                    prop_assert!(!table.remove(old, victim));
                }
                _ => prop_assert!(!table.remove(hash, reference)),
            }
            assert_ordered(&table);
            for (&reference, &hash) in &model {
                prop_assert_eq!(table.lookup(hash, |found| found == reference), Some(reference));
                prop_assert!(!table.is_vacant(hash));
                // What is near may be a ghost; what lives has this hash.
                let found = table.near(hash).and_then(|found| model.get(&found));
                prop_assert!(found.is_none_or(|&found| found as u32 == hash as u32));
            }
            let held: HashSet<Reference> = table.iter().collect();
            prop_assert_eq!(held, model.keys().copied().collect::<HashSet<_>>());
        }
    }
}
