//! Headers of HAProxy and of another library are read and written byte for byte, in any pieces;
//! wrong ones are refused by name.

use super::*;
use core::net::{IpAddr, SocketAddr};
use proptest::prelude::*;
use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader, Tlv};
use std::string::String;
use std::vec::Vec;

/// What HAProxy 2.6.12 sent for a client at 40000..40005 on loopback, in hexadecimal: plain,
/// `crc32c`, `crc32c,unique-id,authority` with `unique-id-format id-%ci`, `unique-id` alone.
const RECORDED: [(&str, &str, u16, Tlvs<'static>); 6] = [
    ("0d0a0d0a000d0a515549540a2111000c7f0000017f0000019c411bbd", "127.0.0.1", 1, PLAIN),
    (
        "0d0a0d0a000d0a515549540a21210024000000000000000000000000000000010000000000000000000000000\
         00000019c411bbd",
        "::1",
        1,
        PLAIN,
    ),
    ("0d0a0d0a000d0a515549540a211100137f0000017f0000019c421bbe030004c665dffd", "127.0.0.1", 2, CRC),
    (
        "0d0a0d0a000d0a515549540a2121002b000000000000000000000000000000010000000000000000000000000\
         00000019c421bbe03000489aad1b1",
        "::1",
        2,
        CRC,
    ),
    (
        "0d0a0d0a000d0a515549540a211100227f0000017f0000019c431bbf03000429f0b74c05000c69642d3132372\
         e302e302e31",
        "127.0.0.1",
        3,
        Tlvs { unique_id: Some(b"id-127.0.0.1"), ..CRC },
    ),
    (
        "0d0a0d0a000d0a515549540a2111000f7f0000017f0000019c441bc0050000",
        "127.0.0.1",
        4,
        Tlvs { unique_id: Some(b""), ..PLAIN },
    ),
];

const PLAIN: Tlvs<'static> = Tlvs { has_crc32c: false, authority: None, unique_id: None };
const CRC: Tlvs<'static> = Tlvs { has_crc32c: true, ..PLAIN };

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.chars().filter_map(|c| Some(c.to_digit(16)? as u8)).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn endpoint(address: &str, port: u16) -> Endpoint {
    Endpoint { addr: address.parse::<IpAddr>().expect("an address").into(), port }
}

fn between(source: (&str, u16), destination: (&str, u16)) -> Endpoints {
    Endpoints {
        source: endpoint(source.0, source.1),
        destination: endpoint(destination.0, destination.1),
    }
}

fn read(bytes: &[u8]) -> Result<Option<(usize, Option<Endpoints>)>, Refusal> {
    let mut reader = Reader::new();
    let (used, header) = reader.advance(bytes)?;
    Ok(header.map(|header| (used, header.endpoints)))
}

#[test]
fn version_2_is_written_and_read_as_by_haproxy() {
    for (recorded, address, client, tlvs) in RECORDED {
        let recorded = bytes(recorded);
        let ends = between((address, 40_000 + client), (address, 7100 + client));
        let mut out = [0; V2_BYTES_MAX];
        assert_eq!(write_v2(Some(&ends), tlvs, &mut out), recorded, "{address} {client}");
        let mut reader = Reader::new();
        let (used, header) = reader.advance(&recorded).expect("good");
        let header = header.expect("whole");
        assert_eq!((used, header.endpoints), (recorded.len(), Some(ends)));
        assert_eq!(header.unique_id, tlvs.unique_id);
    }
}

#[test]
fn an_authority_is_handed_on_as_by_haproxy() {
    let recorded = bytes(
        "0d0a0d0a000d0a515549540a21110021c0000207c63364019c4001bb0300044aa37fd902000b6578616d706c\
         652e6f7267",
    );
    let mut reader = Reader::new();
    let (_, header) = reader.advance(&recorded).expect("good");
    let header = header.expect("whole");
    assert_eq!(header.authority, Some(&b"example.org"[..]));
    let tlvs = Tlvs { authority: header.authority, ..CRC };
    let mut out = [0; V2_BYTES_MAX];
    assert_eq!(write_v2(header.endpoints.as_ref(), tlvs, &mut out), recorded);
}

#[test]
fn version_1_is_written_and_read_as_by_haproxy() {
    let lines = [
        (("127.0.0.1", 40_000), ("127.0.0.1", 7100), "TCP4 127.0.0.1 127.0.0.1 40000 7100"),
        (("::1", 40_000), ("::1", 7100), "TCP6 ::1 ::1 40000 7100"),
        (("192.0.2.1", 1), ("2001:db8::1", 65_535), "TCP6 ::ffff:192.0.2.1 2001:db8::1 1 65535"),
    ];
    for (source, destination, text) in lines {
        let ends = between(source, destination);
        let line = std::format!("PROXY {text}\r\n");
        let mut out = [0; V1_BYTES_MAX];
        assert_eq!(write_v1(Some(&ends), &mut out), line.as_bytes());
        assert_eq!(read(line.as_bytes()), Ok(Some((line.len(), Some(ends)))));
    }
    let mut out = [0; V1_BYTES_MAX];
    assert_eq!(write_v1(None, &mut out), b"PROXY UNKNOWN\r\n");
    assert_eq!(read(b"PROXY UNKNOWN\r\n"), Ok(Some((15, None))));
    assert_eq!(read(b"PROXY UNKNOWN ff:: :: 1 2 anything\r\nX"), Ok(Some((36, None))));
}

#[test]
fn what_is_wrong_has_a_name() {
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 94]].concat();
    let cases: [(&[u8], Refusal); 16] = [
        (b"GET / HTTP/1.1\r\n", Refusal::NotHeader),
        (b"PROXI", Refusal::NotHeader),
        (b"\r\n\r\n\0\r\nQUIS", Refusal::NotHeader),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0", Refusal::NotHeader),
        (b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0", Refusal::Invalid),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b", Refusal::Invalid),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Refusal::UnknownProtocol),
        (b"PROXY \r\n", Refusal::UnknownProtocol),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Refusal::Invalid),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Refusal::Invalid),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Refusal::Invalid),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Refusal::Invalid),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Refusal::Invalid),
        (b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", Refusal::Invalid),
        (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n", Refusal::Invalid),
        (&long, Refusal::Invalid),
    ];
    for (bytes, refusal) in cases {
        assert_eq!(read(bytes), Err(refusal), "{:?}", String::from_utf8_lossy(bytes));
    }
    let flipped = |at: usize| {
        let mut header = bytes(RECORDED[2].0);
        header[at] ^= 1;
        read(&header)
    };
    assert_eq!(flipped(17), Err(Refusal::Invalid), "an address that the checksum covers");
    assert_eq!(flipped(34), Err(Refusal::Invalid), "the checksum");
    assert_eq!(flipped(30), Err(Refusal::Invalid), "a TLV of 260 bytes in a header of 19");
}

#[test]
fn what_ends_too_early_is_told_from_nothing() {
    let mut reader = Reader::new();
    assert_eq!(reader.close(), Refusal::Empty);
    assert_eq!(reader.advance(b"PRO"), Ok((3, None)));
    assert_eq!(reader.close(), Refusal::Truncated);
    assert!(Refusal::Empty.is_null() && !Refusal::Truncated.is_null());
}

#[test]
fn families_without_addresses_leave_the_connection_its_own() {
    for (command, family) in [(0x20, 0x00), (0x21, 0x00), (0x21, 0x31), (0x20, 0x11), (0x21, 0x12)]
    {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family, 0, 14]);
        header.extend([7; 14]);
        header.extend(b"payload");
        assert_eq!(read(&header), Ok(Some((30, None))));
    }
}

fn any_endpoints() -> impl Strategy<Value = Endpoints> {
    let v4 = any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    // Mapped addresses are IPv4 for us.
    let v6 = any::<([u8; 15], [u8; 15])>().prop_map(|(a, b)| {
        let first = |rest: [u8; 15]| {
            let mut bytes = [0x20; 16];
            bytes[1..].copy_from_slice(&rest);
            IpAddr::from(bytes)
        };
        (first(a), first(b))
    });
    (prop_oneof![v4, v6], any::<(u16, u16)>()).prop_map(|((source, destination), ports)| {
        Endpoints {
            source: Endpoint { addr: source.into(), port: ports.0 },
            destination: Endpoint { addr: destination.into(), port: ports.1 },
        }
    })
}

fn socket(endpoint: Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}

proptest! {
    #[test]
    fn another_library_reads_what_we_write(
        ends in any_endpoints(),
        has_crc32c in any::<bool>(),
        name in prop::option::of("[a-z.]{0,255}"),
        id in prop::option::of(prop::collection::vec(any::<u8>(), 0..=128)),
    ) {
        let tlvs = Tlvs {
            has_crc32c,
            authority: name.as_deref().map(str::as_bytes),
            unique_id: id.as_deref(),
        };
        let mut out = [0; V2_BYTES_MAX];
        let written = write_v2(Some(&ends), tlvs, &mut out);
        let (theirs, used) = ProxyHeader::parse(written, ParseConfig::default()).expect("good");
        prop_assert_eq!(used, written.len());
        let address = theirs.proxied_address().expect("not local");
        prop_assert_eq!(address.source, socket(ends.source));
        prop_assert_eq!(address.destination, socket(ends.destination));
        prop_assert_eq!(theirs.crc32c().is_some(), has_crc32c);
        prop_assert_eq!(theirs.authority(), name.as_deref());
        prop_assert_eq!(theirs.unique_id(), id.as_deref());

        let mut out = [0; V1_BYTES_MAX];
        let written = write_v1(Some(&ends), &mut out);
        let (theirs, used) = ProxyHeader::parse(written, ParseConfig::default()).expect("good");
        prop_assert_eq!(used, written.len());
        prop_assert_eq!(theirs.proxied_address().expect("not unknown").source, socket(ends.source));
    }

    #[test]
    fn what_another_library_writes_is_read_in_any_pieces(
        ends in any_endpoints(),
        name in prop::option::of("[a-z.]{0,255}"),
        alpn in prop::collection::vec(any::<u8>(), 0..300),
        pieces in prop::collection::vec(1..40usize, 1..20),
        version_2 in any::<bool>(),
    ) {
        let address = ProxiedAddress::stream(socket(ends.source), socket(ends.destination));
        let tlvs = [Some(Tlv::Alpn(alpn.into())), name.as_deref().map(|n| Tlv::Authority(n.into()))];
        let mut header = Vec::new();
        if version_2 {
            let theirs = ProxyHeader::with_tlvs(Some(address), tlvs.into_iter().flatten());
            theirs.encode_v2(&mut header).expect("small enough");
        } else {
            ProxyHeader::with_address(address).encode_v1(&mut header).expect("a line");
        }
        let len = header.len();
        header.extend(b"payload");
        let mut reader = Reader::new();
        let (mut at, mut pieces) = (0, pieces.iter().cycle());
        loop {
            let end = (at + pieces.next().expect("endless")).min(header.len());
            let (used, whole) = reader.advance(&header[at..end]).expect("good");
            at += used;
            if let Some(whole) = whole {
                prop_assert_eq!(whole.endpoints, Some(ends));
                let wanted = name.as_deref().filter(|_| version_2).map(str::as_bytes);
                prop_assert_eq!(whole.authority, wanted);
                break;
            }
            prop_assert_eq!(at, end, "all of a piece is taken until the header is complete");
        }
        prop_assert_eq!(at, len);
    }
}
