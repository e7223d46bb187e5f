//! The card is a card: it steers by the rules, cuts by the rules, and holds what is lent to it.

use std::cell::RefCell;
use std::rc::Rc;

use penstock_queue::{Checksums, Chunks, L4, Lent, Offload, PortMask, QueuePair, Rss, SteerRule};
use penstock_wire::tcp::{self, Flags, Options};
use penstock_wire::{Addr, Mac, SeqNum, checksum, ethernet, ip, toeplitz};

use super::{Accepted, Card, CardPlan, SimQueue};
use crate::frame::{Frame, Inside, dissect};
use crate::ledger::Ledger;
use crate::plan::able_card;
use crate::router::head;
use crate::scene::Scene;
use penstock_fault::Rng;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);
const SRC: Addr = Addr::v4(0x0a00_0001);
const DST: Addr = Addr::v4(0x0a00_0002);

fn rss() -> Rss {
    let mut rng = Rng::new(3, "card test");
    let mut key = [0; 40];
    rng.fill(&mut key);
    let mut reta = [0; 128];
    reta.iter_mut().enumerate().for_each(|(at, queue)| *queue = (at % 4) as u8);
    Rss { key, reta }
}

fn card(plan: CardPlan) -> Card {
    let rules = (0..4).map(|value| SteerRule { value: 0x8000 | value, queue: value }).collect();
    Card::new(plan, OURS, rss(), Some((PortMask(0x8003), rules)), 4)
}

fn segment(dst_port: u16, payload: &[u8]) -> Frame {
    let header = tcp::Header {
        src_port: 80,
        dst_port,
        seq: SeqNum(1000),
        ack: SeqNum(1),
        flags: Flags::ACK.with(Flags::PSH).with(Flags::FIN),
        window: 100,
    };
    let mut body = vec![0; 60];
    let bytes = tcp::emit(&mut body, &header, &Options::default());
    body.truncate(bytes);
    body.extend_from_slice(payload);
    let sum = checksum::pseudo_header(SRC, DST, ip::TCP, body.len() as u16);
    let sum = sum.add_bytes(&body).checksum();
    body[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0; 34];
    head(&mut frame, THEIRS, OURS, SRC, DST, ip::TCP, body.len() as u16);
    frame.extend_from_slice(&body);
    frame
}

fn queue(card: Card) -> (Rc<Scene>, Rc<RefCell<Card>>, SimQueue) {
    let scene = Scene::new(Ledger::new(&[]), false);
    let card = Rc::new(RefCell::new(card));
    let queue = SimQueue::new(&card, &scene, "queue".into(), 0, Rng::new(1, "queue"));
    (scene, card, queue)
}

#[test]
fn a_port_in_the_rules_goes_by_flow_director_and_any_other_by_rss() {
    let mut card = card(able_card());
    assert_eq!(card.accept(segment(0x8002, b"x")), Accepted::Queue(2));
    assert_eq!(card.accept(segment(0xff03, b"x")), Accepted::Queue(3));
    assert_eq!(card.counters.matched, 2);
    let hash = toeplitz::tcp_tuple(&rss().key, SRC, DST, 80, 443);
    assert_eq!(card.accept(segment(443, b"x")), Accepted::Queue(hash as usize % 128 % 4));
    assert_eq!(card.counters.matched, 2);
}

#[test]
fn a_full_ring_misses_frames_until_descriptors_come_back_by_a_flush() {
    let (_, card, mut queue) = queue(card(CardPlan { receive_ring: 2, ..able_card() }));
    let accept = || card.borrow_mut().accept(segment(0x8000, b"x"));
    assert_eq!([accept(), accept(), accept()][2], Accepted::Missed);
    assert_eq!(queue.recv(32), 2);
    queue.recycle();
    assert_eq!(accept(), Accepted::Missed);
    queue.flush();
    assert_eq!(accept(), Accepted::Queue(0));
}

#[test]
fn verdicts_are_those_of_the_bytes() {
    let (_, card, mut queue) = queue(card(able_card()));
    let mut damaged = segment(0x8000, b"payload");
    damaged[60] ^= 1;
    card.borrow_mut().accept(segment(0x8000, b"payload"));
    card.borrow_mut().accept(damaged);
    assert_eq!(queue.recv(32), 2);
    assert_eq!(queue.frame(0).checksums, Checksums::Good);
    assert_eq!(queue.frame(1).checksums, Checksums::L4Bad);
}

#[test]
fn a_large_segment_is_cut_into_valid_ones() {
    let (scene, card, mut queue) = queue(card(able_card()));
    let mut chunks = Chunks::new(4);
    let payload: Vec<u8> = (0..3000u32).map(|at| at as u8).collect();
    let mut lent = Vec::new();
    for piece in payload.chunks(2048) {
        let chunk = chunks.alloc().expect("free");
        chunks.bytes_mut(chunk)[..piece.len()].copy_from_slice(piece);
        lent.push(Lent { chunk, from: 0, len: piece.len() as u16 });
    }
    let mut header = segment(0x8000, b"");
    let sum = checksum::pseudo_header(SRC, DST, ip::TCP, 0).fold();
    header[34 + 16..34 + 18].copy_from_slice(&sum.to_be_bytes());
    let slot = queue.slot().expect("free");
    slot[..header.len()].copy_from_slice(&header);
    let offload = Offload {
        mac_bytes: 14,
        ip_bytes: 20,
        l4_bytes: 20,
        ip_checksum: true,
        l4_checksum: L4::Tcp,
        segment_bytes: 1400,
    };
    queue.send(header.len(), &lent, offload, &mut chunks);
    queue.flush();
    assert!(!scene.is_violated(), "{:?}", scene.take_violations());
    let mut seen = Vec::new();
    for frame in std::mem::take(&mut card.borrow_mut().outbox) {
        let view = dissect(&frame, true).expect("valid");
        let Inside::Tcp(segment) = view.inside else { panic!("{view:?}") };
        assert_eq!(segment.seq, SeqNum(1000 + seen.len() as u32));
        seen.extend_from_slice(&frame[ethernet::HEADER_BYTES + 40..]);
        assert_eq!(segment.flags.has(Flags::FIN), seen.len() == 3000);
    }
    assert_eq!(seen, payload);
}

#[test]
fn lent_bytes_that_change_before_the_write_back_are_noticed() {
    let (scene, _, mut queue) = queue(card(CardPlan { write_back_us: (10, 10), ..able_card() }));
    let mut chunks = Chunks::new(1);
    let chunk = chunks.alloc().expect("free");
    let frame = segment(0x8000, b"");
    queue.slot().expect("free")[..frame.len()].copy_from_slice(&frame);
    queue.send(frame.len(), &[Lent { chunk, from: 0, len: 9 }], Offload::NONE, &mut chunks);
    queue.flush();
    queue.reclaim(&mut chunks);
    assert_eq!(chunks.lent(chunk), 1, "too early");
    chunks.bytes_mut(chunk)[3] ^= 1;
    scene.set_now(10);
    queue.reclaim(&mut chunks);
    assert_eq!(chunks.lent(chunk), 0);
    assert!(scene.is_violated());
}
