//! The client against messages that smoltcp writes: the life of a lease, and what is not believed.

use super::*;
use proptest::prelude::*;
use smoltcp::wire::DhcpRepr;
use std::vec::Vec;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const SERVER: u32 = 0x0a00_0001;
const OFFERED: u32 = 0x0a00_004d;

/// A client and its clock.
struct Scene {
    client: Client,
    random: Random,
    now: Instant,
}

fn scene() -> Scene {
    let mut random = Random::new(&[7; 32]);
    let now = Instant(1_000_000);
    Scene { client: Client::new(MAC, None, now, &mut random), random, now }
}

impl Scene {
    fn poll(&mut self) -> Option<Act> {
        self.client.poll(self.now, &mut self.random)
    }

    /// The next thing that is due, when it is.
    fn next(&mut self) -> (u64, Act) {
        let before = self.now;
        for _ in 0..100 {
            if let Some(act) = self.poll() {
                return ((self.now.0 - before.0) / 1_000, act);
            }
            self.now = self.now.max(self.client.next_at().expect("something is due"));
        }
        panic!("nothing happens")
    }

    fn hear(&mut self, kind: Kind, change: impl FnOnce(&mut DhcpRepr<'_>)) -> Heard {
        let bytes = message(self.client.transaction, kind, change);
        self.client.on_message(self.now, &bytes, &mut self.random)
    }

    /// Comes to a lease of `seconds`.
    fn bind(&mut self, seconds: u32) -> Lease {
        assert_eq!(self.next().1, Act::Broadcast(Kind::Discover));
        assert_eq!(self.hear(Kind::Offer, |_| ()), Heard::Nothing);
        assert_eq!(self.next().1, Act::Broadcast(Kind::Request));
        let heard = self.hear(Kind::Ack, |repr| repr.lease_duration = Some(seconds));
        let Heard::Granted(lease) = heard else { panic!("{heard:?}") };
        assert_eq!((self.client.lease(), self.client.next_at()), (None, None), "not yet ours");
        assert_eq!(self.client.accept(), Some(lease));
        lease
    }
}

fn message(transaction: u32, kind: Kind, change: impl FnOnce(&mut DhcpRepr<'_>)) -> Vec<u8> {
    let addr = Ipv4Address::from_bits;
    let mut repr = DhcpRepr {
        message_type: kind,
        transaction_id: transaction,
        secs: 0,
        client_hardware_address: EthernetAddress(MAC.0),
        client_ip: addr(0),
        your_ip: addr(OFFERED),
        server_ip: addr(SERVER),
        router: Some(addr(SERVER)),
        subnet_mask: Some(addr(0xffff_ff00)),
        relay_agent_ip: addr(0),
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(addr(SERVER)),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(3600),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    change(&mut repr);
    let mut bytes = std::vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).expect("room");
    bytes
}

#[test]
fn the_life_of_a_lease() {
    let mut scene = scene();
    let lease = scene.bind(3600);
    assert_eq!((lease.addr, lease.prefix_bits), (Addr::v4(OFFERED), 24));
    assert_eq!(lease.router, Some(Addr::v4(SERVER)));
    // T1 after half, T2 after seven eighths, then anybody until the end.
    let server = Addr::v4(SERVER);
    assert_eq!(scene.next(), (1_800_000, Act::Unicast(Kind::Request, server, lease.addr)));
    assert_eq!(scene.hear(Kind::Ack, |_| ()), Heard::Renewed(lease));
    let mut asked = 0;
    loop {
        match scene.next().1 {
            Act::Unicast(Kind::Request, ..) => asked += 1,
            Act::Silent(Silence::NotRenewed { addr, .. }) if addr == lease.addr => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((3..10).contains(&asked), "asked {asked} times");
    assert!(matches!(scene.next().1, Act::Broadcast(Kind::Request)));
    assert_eq!(scene.client.lease(), Some(lease));
    let mut asked = 0;
    while scene.next().1 != Act::Expired(lease.addr) {
        asked += 1;
    }
    assert!((1..10).contains(&asked), "asked {asked} times");
    assert_eq!(scene.client.lease(), None);
    // Begins anew, with the address that it had.
    assert_eq!(scene.next().1, Act::Broadcast(Kind::Discover));
    let bytes = scene.client.write(Kind::Discover, scene.now, "web1", None);
    let packet = DhcpPacket::new_checked(&bytes[..]).expect("whole");
    let repr = DhcpRepr::parse(&packet).expect("understood");
    assert_eq!(repr.requested_ip, Some(Ipv4Address::from_bits(OFFERED)));
    let name = packet.options().find(|option| option.kind == HOSTNAME).map(|option| option.data);
    assert_eq!(name, Some(&b"web1"[..]));
}

#[test]
fn who_is_silent_is_asked_at_growing_intervals() {
    let mut scene = scene();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let (ms, act) = scene.next();
        match act {
            Act::Broadcast(Kind::Discover) => waits.push(ms),
            Act::Silent(Silence::NoOffer) => assert_eq!(waits.len(), 4, "told once"),
            other => panic!("{other:?}"),
        }
    }
    assert!((700..1300).contains(&waits[1]) && (1700..2300).contains(&waits[2]), "{waits:?}");
    assert!(waits.last().is_some_and(|&ms| (63_000..65_000).contains(&ms)), "{waits:?}");
}

#[test]
fn an_address_of_another_is_declined() {
    let mut scene = scene();
    scene.next();
    scene.hear(Kind::Offer, |_| ());
    scene.next();
    let Heard::Granted(lease) = scene.hear(Kind::Ack, |_| ()) else { panic!("not granted") };
    let declined = scene.client.decline(scene.now, &mut scene.random);
    assert_eq!(declined, Some((lease, Act::Broadcast(Kind::Decline))));
    let bytes = scene.client.write(Kind::Decline, scene.now, "", Some(lease));
    let packet = DhcpPacket::new_checked(&bytes[..]).expect("whole");
    let repr = DhcpRepr::parse(&packet).expect("understood");
    assert_eq!(repr.message_type, Kind::Decline);
    assert_eq!(repr.requested_ip, Some(Ipv4Address::from_bits(OFFERED)));
    assert_eq!(repr.server_identifier, Some(Ipv4Address::from_bits(SERVER)));
    assert_eq!(scene.next(), (10_000, Act::Broadcast(Kind::Discover)));
}

#[test]
fn a_refusal_counts_from_the_one_that_was_asked() {
    let mut scene = scene();
    let lease = scene.bind(100);
    assert!(matches!(scene.next().1, Act::Unicast(..)));
    let other = Some(Ipv4Address::from_bits(SERVER + 1));
    let heard = scene.hear(Kind::Nak, |repr| repr.server_identifier = other);
    assert_eq!((heard, scene.client.lease()), (Heard::Nothing, Some(lease)));
    assert_eq!(scene.hear(Kind::Nak, |_| ()), Heard::Refused(Some(lease)));
    assert_eq!(scene.client.lease(), None);
}

#[test]
fn what_makes_no_sense_is_as_good_as_lost() {
    let addr = Ipv4Address::from_bits;
    type Change = fn(&mut DhcpRepr<'_>);
    let changes: &[(&str, Change)] = &[
        ("another transaction", |repr| repr.transaction_id ^= 1),
        ("another client", |repr| repr.client_hardware_address.0[5] ^= 1),
        ("no mask", |repr| repr.subnet_mask = None),
        ("a mask with a gap", |repr| repr.subnet_mask = Some(Ipv4Address::new(255, 0, 255, 0))),
        ("no mask at all", |repr| repr.subnet_mask = Some(Ipv4Address::new(0, 0, 0, 0))),
        ("no lease", |repr| repr.lease_duration = None),
        ("a lease of nothing", |repr| repr.lease_duration = Some(0)),
        ("no server", |repr| repr.server_identifier = None),
        ("nobody's address", |repr| repr.your_ip = Ipv4Address::new(0, 0, 0, 0)),
        ("a group", |repr| repr.your_ip = Ipv4Address::new(224, 0, 0, 5)),
        ("loopback", |repr| repr.your_ip = Ipv4Address::new(127, 0, 0, 5)),
        ("the network", |repr| repr.your_ip = Ipv4Address::new(10, 0, 0, 0)),
        ("everybody", |repr| repr.your_ip = Ipv4Address::new(10, 0, 0, 255)),
    ];
    for (what, change) in changes {
        let mut scene = scene();
        scene.next();
        let heard = scene.hear(Kind::Offer, change);
        assert_eq!((heard, scene.client.state), (Heard::Nothing, State::Selecting), "{what}");
    }
    // A gateway beyond the link, and times out of order, are left out alone.
    let mut scene = scene();
    scene.next();
    scene.hear(Kind::Offer, |_| ());
    scene.next();
    let heard = scene.hear(Kind::Ack, |repr| repr.router = Some(addr(0x0b00_0001)));
    assert!(matches!(heard, Heard::Granted(Lease { router: None, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A client never asks without pause, whatever it hears and whenever.
    #[test]
    fn any_messages_are_survived(
        steps in prop::collection::vec((0u8..4, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60),
    ) {
        let mut scene = scene();
        for (command, byte, more) in steps {
            let kind = [Kind::Offer, Kind::Ack, Kind::Nak, Kind::Offer][byte as usize % 4];
            let mut bytes = message(scene.client.transaction, kind, |repr| {
                repr.lease_duration = Some(u32::from(byte) << (byte % 24));
            });
            match command {
                0 => scene.now = scene.now + Duration::from_secs(u64::from(byte) << (byte % 8)),
                1 => {
                    bytes.pop();
                    bytes.extend(more);
                }
                2 => more.chunks_exact(2).for_each(|pair| {
                    let at = 236 + pair[0] as usize % (bytes.len() - 236);
                    bytes[at] = pair[1];
                }),
                _ => {}
            }
            if let Heard::Granted(_) = scene.client.on_message(scene.now, &bytes, &mut scene.random)
                && byte % 3 > 0
            {
                scene.client.accept();
            }
            let mut count = 0;
            while scene.poll().is_some() {
                count += 1;
                prop_assert!(count < 8, "it asks without pause");
            }
            if byte % 5 == 0 {
                scene.client.accept();
            }
        }
    }
}
