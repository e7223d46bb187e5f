//! Proves the table against what Linux 6.1 wrote for `ethtool -N` (a recorded trace), and the rules
//! around it: wrong buckets, removal, limits.
use super::*;

/// The set-up of the trace: 64 KB table, perfect match, destination port bits 15 and 2:0 compared.
fn traced() -> (FlowDirector, Storage) {
    let mut storage = Storage::new();
    for (reg, value) in [
        (regs::FDIRHKEY, 0x3DAD_14E2),
        (regs::FDIRSKEY, 0x174D_3614),
        (regs::FDIRM, 0x37),
        (regs::FDIRTCPM, 0x1FFE_FFFF),
        (regs::FDIRUDPM, 0x1FFE_FFFF),
        (regs::FDIRSIP4M, !0),
        (regs::FDIRDIP4M, !0),
    ] {
        storage.set(reg, value);
    }
    let mut director = FlowDirector::new();
    director.write_control(&mut storage, 0x4A06_7F11);
    for (port, hash, command) in TRACE {
        storage.set(regs::FDIRPORT, port);
        storage.set(regs::FDIRHASH, hash);
        assert!(!director.write_command(&mut storage, command, false));
        assert_eq!(storage.at(regs::FDIRCMD) & fdircmd::CMD, 0, "done");
    }
    (director, storage)
}

const TRACE: [(u32, u32, u32); 3] = [
    (0x8000_0000, 0x07FD_1FEE, 0x0000_8849),
    (0x8001_0000, 0x07FC_11BF, 0x0001_8849),
    (0x8002_0000, 0x07FB_034C, 0x007F_8A49),
];

fn frame(source: u16, destination: u16) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame
        .extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 168, 7, 9, 10, 1, 2, 3]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend([0; 16]);
    frame
}

fn find(director: &FlowDirector, storage: &mut Storage, frame: &[u8]) -> Option<Target> {
    let packet = Packet::parse(frame, 0x8100);
    director.find(storage, frame, &packet)
}

#[test]
fn the_traced_filters_match_their_ports() {
    let (director, mut storage) = traced();
    for port in (0x8000..=0xFFFFu16).step_by(37) {
        let target = find(&director, &mut storage, &frame(443, port));
        match port & 7 {
            0 => assert_eq!(target.and_then(|target| target.queue), Some(0), "port {port}"),
            1 => assert_eq!(target.and_then(|target| target.queue), Some(1), "port {port}"),
            2 => assert!(target.is_some_and(|target| target.drop), "port {port}"),
            _ => assert_eq!(target, None, "port {port}"),
        }
    }
    assert_eq!(find(&director, &mut storage, &frame(443, 0x7FF8)), None, "bit 15 is compared");
    let target = find(&director, &mut storage, &frame(1, 0xFFF9)).expect("filter 1");
    assert_eq!(target.report, 0x11BF_07FC, "bucket and software index");
    assert!(storage.read(regs::FDIRMATCH) > 0 && storage.read(regs::FDIRMISS) > 0);
    assert_eq!(storage.read(regs::FDIRUSTAT), 3);
}

#[test]
fn a_filter_in_a_wrong_bucket_never_matches() {
    let (mut director, mut storage) = traced();
    storage.set(regs::FDIRPORT, 0x8003_0000);
    storage.set(regs::FDIRHASH, 0x0001_0000);
    director.write_command(&mut storage, 0x0003_8849, false);
    assert_eq!(find(&director, &mut storage, &frame(443, 0x8003)), None);
    assert_eq!(storage.at(regs::FDIRUSTAT), 4, "it was stored all the same");
}

#[test]
fn udp_other_protocols_and_ipv6_do_not_match_a_tcp_filter() {
    let (director, mut storage) = traced();
    let mut other = frame(443, 0x8001);
    other[23] = 17;
    assert_eq!(find(&director, &mut storage, &other), None);
    other[23] = 1;
    assert_eq!(find(&director, &mut storage, &other), None);
    other[12..14].copy_from_slice(&[0x86, 0xDD]);
    other[14] = 0x60;
    other.resize(100, 0);
    assert_eq!(find(&director, &mut storage, &other), None);
}

#[test]
fn query_and_remove_go_by_bucket_and_index() {
    let (mut director, mut storage) = traced();
    storage.set(regs::FDIRHASH, TRACE[1].1);
    director.write_command(&mut storage, fdircmd::QUERY, false);
    assert_eq!(storage.at(regs::FDIRCMD), fdircmd::VALID);
    director.write_command(&mut storage, fdircmd::REMOVE, false);
    director.write_command(&mut storage, fdircmd::QUERY, false);
    assert_eq!(storage.at(regs::FDIRCMD), 0);
    assert_eq!(find(&director, &mut storage, &frame(443, 0x8001)), None);
    assert!(find(&director, &mut storage, &frame(443, 0x8000)).is_some());
    director.write_command(&mut storage, fdircmd::REMOVE, false);
    assert_eq!(storage.at(regs::FDIRFSTAT), 1 << 8, "removing nothing is a failure");
    assert_eq!(storage.at(regs::FDIRFREE), 2044);
}

#[test]
fn the_table_is_bounded_and_says_when_it_fills() {
    let (mut director, mut storage) = traced();
    let mut warned_at = None;
    for filter in 0..3000u32 {
        storage.set(regs::FDIRIPSA, filter + 1);
        storage.set(regs::FDIRHASH, filter & 0x1FFF);
        if director.write_command(&mut storage, 0x8849, false) {
            warned_at.get_or_insert(filter);
        }
    }
    assert_eq!(director.filters, 2046);
    assert_eq!(warned_at, Some(2046 - 3 - 64), "64 free is the threshold of the trace");
    assert_eq!(storage.at(regs::FDIRFSTAT), 0xFF, "957 failures saturate their field");
    director.write_command(&mut storage, fdircmd::CLEARHT, false);
    assert_eq!((director.filters, storage.at(regs::FDIRFREE)), (0, 2046));
}

#[test]
fn without_perfect_mode_nothing_is_steered() {
    let (mut director, mut storage) = traced();
    director.write_control(&mut storage, 0x4A06_7F01);
    storage.set(regs::FDIRHASH, TRACE[0].1);
    director.write_command(&mut storage, TRACE[0].2, false);
    assert_eq!(find(&director, &mut storage, &frame(443, 0x8000)), None);
    assert_eq!(storage.at(regs::FDIRMISS), 0);
}
