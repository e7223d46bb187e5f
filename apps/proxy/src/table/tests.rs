//! Rates slide, keys come and go in bounded room, and the parts of cores add up.

use super::*;
use penstock_wire::Addr;
use std::collections::BTreeMap;

fn spec(size: u32, expire_s: u64) -> StickTable {
    let stored =
        |counter, period: Option<u64>| Stored { counter, period: period.map(Duration::from_secs) };
    StickTable {
        name: "t".into(),
        key: Key::Ip,
        size,
        no_purge: false,
        expire: Some(Duration::from_secs(expire_s)),
        counters: [
            stored(Counter::ConnRate, Some(10)),
            stored(Counter::ConnCnt, None),
            stored(Counter::ConnCur, None),
        ]
        .into(),
    }
}

fn key(number: u32) -> KeyBytes {
    let table = Table::new(&spec(1, 1), 1);
    table.key(Value::Addr(Addr::v4(number))).expect("an address")
}

fn at(millis: u64) -> Instant {
    Instant(millis * 1_000)
}

#[test]
fn a_rate_slides() {
    let mut table = Table::new(&spec(100, 100), 1);
    let entry = table.take(&key(1), at(50_000)).expect("room");
    for n in 0..100 {
        table.add(entry, Counter::ConnRate, 1, at(50_000 + n * 100));
    }
    let rate = |table: &Table, millis| table.read(entry, Counter::ConnRate, at(millis));
    assert_eq!(rate(&table, 59_900), Some(100));
    assert_eq!(rate(&table, 65_000), Some(50), "half of the last period");
    assert_eq!(rate(&table, 69_900), Some(1));
    assert_eq!(rate(&table, 90_000), Some(0));
    table.add(entry, Counter::ConnRate, 1, at(200_000));
    assert_eq!(rate(&table, 209_000), Some(1));
    assert_eq!(rate(&table, 215_000), Some(1), "one event is there for all of its period");
    assert_eq!(rate(&table, 230_000), Some(0));
}

#[test]
fn counters_count_and_others_are_not_there() {
    let mut table = Table::new(&spec(100, 100), 1);
    let entry = table.take(&key(1), at(0)).expect("room");
    table.add(entry, Counter::ConnCnt, 3, at(0));
    table.add(entry, Counter::ConnCur, 1, at(0));
    table.add(entry, Counter::ConnCur, -1, at(0));
    table.add(entry, Counter::ConnCur, -1, at(0));
    table.add(entry, Counter::Gpc0, 1, at(0));
    assert_eq!(table.read(entry, Counter::ConnCnt, at(0)), Some(3));
    assert_eq!(table.read(entry, Counter::ConnCur, at(0)), Some(0), "never below 0");
    assert_eq!(table.read(entry, Counter::Gpc0, at(0)), None);
    table.hold(entry);
    assert_eq!(table.read(entry, Counter::Trackers, at(0)), Some(1));
}

#[test]
fn keys_expire_unless_they_are_tracked() {
    let mut table = Table::new(&spec(100, 10), 1);
    let entry = table.take(&key(1), at(0)).expect("room");
    assert!(table.find(&key(1), at(9_999)).is_some());
    assert!(table.find(&key(1), at(10_000)).is_none());
    table.add(entry, Counter::ConnCnt, 1, at(0));
    let again = table.take(&key(1), at(20_000)).expect("room");
    assert_eq!(table.read(again, Counter::ConnCnt, at(20_000)), Some(0), "all is forgotten");
    table.hold(again);
    assert!(table.find(&key(1), at(90_000)).is_some());
    table.release(again, at(90_000));
    assert!(table.find(&key(1), at(99_000)).is_some());
    assert!(table.find(&key(1), at(100_000)).is_none());
}

#[test]
fn a_full_table_drives_out_the_oldest_and_nobody_who_is_tracked() {
    let mut table = Table::new(&spec(64, 1_000), 1);
    let held = table.take(&key(0), at(0)).expect("room");
    table.hold(held);
    for number in 1..10_000 {
        assert!(table.take(&key(number), at(u64::from(number))).is_some());
    }
    assert!(table.find(&key(0), at(10_000)).is_some());
    assert!(table.find(&key(9_999), at(10_000)).is_some());
    assert!(table.find(&key(1), at(10_000)).is_none());
    let (known, free) = table.usage(at(10_000));
    assert_eq!(known + free, 64);
    let mut strict = Table::new(&StickTable { no_purge: true, ..spec(64, 1_000) }, 1);
    let taken = (0..1_000).filter(|n| strict.take(&key(*n), at(0)).is_some()).count();
    assert!((33..=64).contains(&taken), "{taken}");
}

#[test]
fn keys_are_what_the_table_says() {
    let of = |kind, value: Value<'_>| {
        let table = Table::new(&StickTable { key: kind, ..spec(8, 1) }, 1);
        table.key(value)
    };
    let v6 = Addr::v6([0x20; 16]);
    assert_eq!(of(Key::Ip, Value::Addr(v6)), None);
    assert!(of(Key::Ipv6, Value::Addr(v6)).is_some());
    assert!(of(Key::Ip, Value::Text(b"10.0.0.1")).is_some());
    assert_eq!(of(Key::Integer, Value::Binary(b"x")), None);
    assert_eq!(of(Key::Text(2), Value::Text(b"abc")), of(Key::Text(2), Value::Text(b"abd")));
    assert_ne!(of(Key::Text(3), Value::Text(b"abc")), of(Key::Text(3), Value::Text(b"abd")));
}

#[test]
fn the_parts_of_cores_add_up() {
    let mut tables: std::vec::Vec<Table> =
        (0..3).map(|_| Table::new(&spec(1_000, 100), 3)).collect();
    let mut truth = BTreeMap::new();
    for event in 0..3_000u32 {
        let (core, source) = ((event * 7 % 3) as usize, event * event % 17);
        let now = at(u64::from(event));
        let entry = tables[core].take(&key(source), now).expect("room");
        tables[core].add(entry, Counter::ConnCnt, 1, now);
        tables[core].add(entry, Counter::ConnRate, 1, now);
        *truth.entry(source).or_insert(0) += 1;
        if event % 10 > 0 {
            continue;
        }
        for teller in 0..3 {
            while let Some(news) = tables[teller].news() {
                (0..3).filter(|core| *core != teller).for_each(|core| {
                    tables[core].on_news(&news, teller as u16, now);
                });
            }
        }
    }
    let now = at(3_000);
    for teller in 0..3 {
        while let Some(news) = tables[teller].news() {
            (0..3).filter(|core| *core != teller).for_each(|core| {
                tables[core].on_news(&news, teller as u16, now);
            });
        }
        assert!(!tables[teller].has_news());
    }
    for (source, count) in truth {
        for table in &tables {
            let entry = table.find(&key(source), now).expect("known");
            assert_eq!(table.read(entry, Counter::ConnCnt, now), Some(count));
            assert_eq!(table.read(entry, Counter::ConnRate, now), Some(count));
        }
    }
}
fn servers(cores: u16) -> std::vec::Vec<Table> {
    let mut spec = spec(1_000, 100);
    spec.counters.push(Stored { counter: Counter::ServerId, period: None });
    (0..cores).map(|_| Table::new(&spec, cores)).collect()
}

fn tell_all(tables: &mut [Table], now: Instant) {
    for teller in 0..tables.len() {
        while let Some(news) = tables[teller].news() {
            for hearer in (0..tables.len()).filter(|hearer| *hearer != teller) {
                tables[hearer].on_news(&news, teller as u16, now);
            }
        }
    }
}

#[test]
fn a_server_is_known_on_every_core() {
    let mut tables = servers(3);
    let entry = tables[1].take(&key(7), at(0)).expect("room");
    tables[1].remember(entry, 4, 1, at(0));
    tell_all(&mut tables, at(1));
    for table in &mut tables {
        assert_eq!(table.recall(&key(7), at(50_000)), Some(4));
    }
    tell_all(&mut tables, at(50_000));
    // Used on one core alone, it is not forgotten on the others.
    for second in (50..400).step_by(20) {
        assert_eq!(tables[0].recall(&key(7), at(second * 1_000)), Some(4), "{second}");
        tell_all(&mut tables, at(second * 1_000));
    }
    assert_eq!(tables[2].recall(&key(7), at(410_000)), Some(4));
    assert_eq!(tables[2].recall(&key(8), at(410_000)), None);
}

#[test]
fn cores_that_say_different_things_end_with_the_same() {
    for order in [[0, 2, 1], [2, 1, 0], [1, 0, 2]] {
        let mut tables = servers(4);
        for core in order {
            let entry = tables[core].take(&key(7), at(0)).expect("room");
            tables[core].remember(entry, 10 + core as u32, core as u16, at(0));
        }
        let mut words = std::vec::Vec::new();
        for teller in order {
            while let Some(news) = tables[teller].news() {
                words.push((teller, news));
            }
        }
        for (teller, news) in words {
            for hearer in (0..4).filter(|hearer| *hearer != teller) {
                tables[hearer].on_news(&news, teller as u16, at(1));
            }
        }
        let known = |table: &mut Table| table.recall(&key(7), at(2));
        let known: std::vec::Vec<_> = tables.iter_mut().map(known).collect();
        assert_eq!(known, [Some(10); 4], "{order:?}");
        let entry = tables[3].take(&key(7), at(1_000)).expect("room");
        tables[3].remember(entry, 99, 3, at(1_000));
        tell_all(&mut tables, at(1_001));
        assert_eq!(tables[0].recall(&key(7), at(1_002)), Some(99), "later is later");
    }
}

#[test]
fn what_is_set_is_set_everywhere() {
    let mut spec = spec(100, 100);
    spec.counters.push(Stored { counter: Counter::Gpc0, period: None });
    let mut tables: std::vec::Vec<Table> = (0..2).map(|_| Table::new(&spec, 2)).collect();
    for table in &mut tables {
        let entry = table.take(&key(1), at(0)).expect("room");
        (0..5).for_each(|_| table.increment(entry, Counter::Gpc0, at(0)));
    }
    tell_all(&mut tables, at(0));
    let entry = tables[0].find(&key(1), at(0)).expect("known");
    tables[0].increment(entry, Counter::Gpc0, at(1));
    tables[0].set(entry, Counter::Gpc0, 0);
    tables[0].increment(entry, Counter::Gpc0, at(1));
    tell_all(&mut tables, at(1));
    for table in &tables {
        let entry = table.find(&key(1), at(1)).expect("known");
        assert_eq!(table.read(entry, Counter::Gpc0, at(1)), Some(1));
    }
}

#[test]
fn an_array_stands_for_the_counters_of_its_first_elements() {
    let mut spec = spec(1, 60);
    let elements = (0..3).map(|at| Stored { counter: Counter::Gpc(at), period: None });
    spec.counters = elements.collect();
    spec.counters
        .push(Stored { counter: Counter::GpcRate(2), period: Some(Duration::from_secs(10)) });
    let mut table = Table::new(&spec, 1);
    let key = table.key(Value::Addr(Addr::v4(1))).expect("a key");
    let entry = table.take(&key, at(0)).expect("room");
    table.increment(entry, Counter::Gpc1, at(0));
    table.increment(entry, Counter::Gpc(2), at(0));
    table.increment(entry, Counter::Gpc(200), at(0));
    let read = |counter| table.read(entry, counter, at(0));
    assert_eq!((read(Counter::Gpc0), read(Counter::Gpc1)), (Some(0), Some(1)));
    assert_eq!((read(Counter::Gpc(1)), read(Counter::Gpc(2))), (Some(1), Some(1)));
    assert_eq!((read(Counter::Gpc(3)), read(Counter::Gpt0)), (None, None));
    assert_eq!((read(Counter::GpcRate(2)), read(Counter::Gpc0Rate)), (Some(1), None));
    assert_eq!(table.counted(entry, Counter::Gpc(5)), None);
}

#[test]
fn sixty_four_counters_reach_every_core() {
    let mut spec = spec(1, 60);
    spec.counters = (0..64).map(|at| Stored { counter: Counter::Gpc(at), period: None }).collect();
    let mut tables = [Table::new(&spec, 2), Table::new(&spec, 2)];
    let key = tables[0].key(Value::Addr(Addr::v4(1))).expect("a key");
    let entry = tables[0].take(&key, at(0)).expect("room");
    tables[0].set(entry, Counter::Gpc(63), 7);
    while let Some(news) = tables[0].news() {
        tables[1].on_news(&news, 0, at(0));
    }
    let entry = tables[1].find(&key, at(0)).expect("known");
    assert_eq!(tables[1].read(entry, Counter::Gpc(63), at(0)), Some(7));
}

#[test]
fn a_key_says_how_long_it_lies_idle() {
    let mut spec = spec(1, 60);
    let mut table = Table::new(&spec, 1);
    let key = table.key(Value::Addr(Addr::v4(1))).expect("a key");
    let entry = table.take(&key, at(1000)).expect("room");
    assert_eq!(table.read(entry, Counter::Idle, at(11_000)), Some(10_000));
    assert_eq!(table.read(entry, Counter::Expire, at(11_000)), Some(50_000));
    assert_eq!(table.read(entry, Counter::Expire, at(90_000)), Some(0));
    spec.expire = None;
    let mut table = Table::new(&spec, 1);
    let entry = table.take(&key, at(1000)).expect("room");
    assert_eq!(table.read(entry, Counter::Idle, at(11_000)), Some(0), "as with HAProxy");
}
