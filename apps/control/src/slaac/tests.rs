//! What routers say makes addresses, a gateway and name servers, for as long as they say.

use super::*;
use std::vec::Vec;

const ROUTER: Addr = Addr { hi: 0xfe80 << 48, lo: 1 };
const BEGIN: Instant = Instant(1_000_000);

fn prefix(valid: u32, flags: u8, bits: u8, hi: u64) -> Vec<u8> {
    let mut option = std::vec![3, 4, bits, flags];
    option.extend(valid.to_be_bytes());
    option.extend(valid.to_be_bytes());
    option.extend([0; 4]);
    option.extend(hi.to_be_bytes());
    option.extend([0; 8]);
    option
}

fn dns(seconds: u32, last: u8) -> Vec<u8> {
    let mut option = std::vec![25, 3, 0, 0];
    option.extend(seconds.to_be_bytes());
    option.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    option
}

fn hear(routers: &mut Routers, now: Instant, lifetime_seconds: u16, options: &[u8]) -> Vec<Act> {
    let said = Advertised { lifetime_seconds, ..Advertised::default() };
    let mut acts = Vec::new();
    routers.on_advertisement(now, ROUTER, &said, options, |act| acts.push(act));
    acts
}

#[test]
fn a_router_brings_addresses_and_a_way() {
    let mut routers = Routers::new(Mac([2, 0, 0, 0, 0, 7]));
    routers.begin(BEGIN);
    for wait in [0, 4, 8] {
        assert_eq!(routers.poll(BEGIN + Duration::from_secs(wait)), Some(Act::Solicit));
        assert_eq!(routers.poll(BEGIN + Duration::from_secs(wait)), None);
    }
    assert_eq!(routers.next_at(), None, "three times is enough");
    let own = Addr { hi: 0xfd << 56, lo: 0xff_fe00_0007 };
    let options = [prefix(3600, 0xc0, 64, 0xfd << 56), dns(60, 9)].concat();
    let acts = hear(&mut routers, BEGIN, 1800, &options);
    assert_eq!(acts, [Act::Gateway, Act::Check(own), Act::Servers]);
    assert_eq!(routers.gateway(), Some(ROUTER));
    assert_eq!(hear(&mut routers, BEGIN, 1800, &options), [], "no news");
    let at = |seconds| BEGIN + Duration::from_secs(seconds);
    assert_eq!(routers.poll(at(60)), Some(Act::Servers));
    assert_eq!(routers.poll(at(1800)), Some(Act::Gateway));
    assert_eq!(routers.gateway(), None);
    assert_eq!(routers.poll(at(3599)), None);
    assert_eq!(routers.poll(at(3600)), Some(Act::Expired(own)));
    assert_eq!((routers.poll(at(9999)), routers.next_at()), (None, None));
}

#[test]
fn nobody_shortens_the_life_of_an_address_below_two_hours() {
    let mut routers = Routers::new(Mac([2, 0, 0, 0, 0, 7]));
    hear(&mut routers, BEGIN, 0, &prefix(86_400, 0xc0, 64, 0xfd << 56));
    hear(&mut routers, BEGIN, 0, &prefix(0, 0xc0, 64, 0xfd << 56));
    assert_eq!(routers.next_at(), Some(BEGIN + TWO_HOURS));
    let later = BEGIN + Duration::from_secs(3600);
    hear(&mut routers, later, 0, &prefix(1, 0xc0, 64, 0xfd << 56));
    assert_eq!(routers.next_at(), Some(BEGIN + TWO_HOURS), "ignored");
    hear(&mut routers, later, 0, &prefix(10_000, 0xc0, 64, 0xfd << 56));
    assert_eq!(routers.next_at(), Some(later + Duration::from_secs(10_000)));
    hear(&mut routers, later, 0, &prefix(u32::MAX, 0xc0, 64, 0xfd << 56));
    assert_eq!(routers.next_at(), Some(Instant(u64::MAX)));
}

#[test]
fn what_is_too_much_or_nonsense_is_left_out() {
    let mut routers = Routers::new(Mac([2, 0, 0, 0, 0, 7]));
    for option in [
        prefix(60, 0x80, 64, 0xfd << 56),
        prefix(60, 0x40, 63, 0xfd << 56),
        prefix(60, 0x40, 64, 0xff02 << 48),
        prefix(60, 0x40, 64, 0xfe80 << 48),
        prefix(60, 0x40, 64, 0),
        prefix(0, 0x40, 64, 0xfd << 56),
        std::vec![3, 1, 0, 0, 0, 0, 0, 0],
        std::vec![25, 1, 0, 0, 0, 0, 0, 60],
    ] {
        assert_eq!(hear(&mut routers, BEGIN, 0, &option), [], "{option:?}");
    }
    let many: Vec<u8> = (1..50).flat_map(|n| prefix(60, 0x40, 64, 0xfd << 56 | n)).collect();
    let acts = hear(&mut routers, BEGIN, 0, &many);
    assert_eq!(acts.len(), limits::PREFIXES_MAX);
    let bits = routers.prefixes.iter().flatten().map(|prefix| prefix.prefix_bits);
    assert!(bits.clone().all(|bits| bits == 128), "no link");
    let many: Vec<u8> = (1..50).flat_map(|n| dns(60, n)).collect();
    assert_eq!(hear(&mut routers, BEGIN, 0, &many), [Act::Servers]);
    assert_eq!(routers.dns().count(), limits::SERVERS_MAX);
}
