//! Proxy mode: what goes in at one end comes out at the other, whoever ends first, whoever is not
//! there; and nothing stays behind.

mod street;

use penstock_server::Statistics;
use penstock_stack::Close;
use street::{Street, Visitor};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const ONE: &str = "-x 10.0.0.3:80";

/// What the backend at 10.0.0.(3 + `index`) has counted.
fn backend(street: &Street, index: usize) -> Statistics {
    let server = street.world.servers[index].as_ref().expect("alive");
    server.app().statistics(server.counters())
}

#[test]
fn a_short_connection_goes_through() {
    let mut street = Street::new(ONE, &[""]);
    let visitor = street.alone(Visitor::saying(GET), 1000);
    assert!(visitor.text().ends_with("Hello from Penstock.\n"), "{}", visitor.text());
    assert_eq!((visitor.saw_end, visitor.closed), (true, Some(Close::Finished)));
    street.is_clean();
}

#[test]
fn backends_are_asked_in_turn() {
    let mut street = Street::new("-x 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80", &["", "", ""]);
    for _ in 0..9 {
        assert!(street.alone(Visitor::saying(GET), 100).saw_end);
    }
    for index in 0..3 {
        assert_eq!(backend(&street, index).accepted, 3);
    }
    street.is_clean();
}

#[test]
fn many_bytes_go_through_in_both_directions() {
    let data: Vec<u8> = (0..1_500_000u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
    let mut street = Street::new("-x 10.0.0.3:7", &["services=echo"]);
    let visitor = street.alone(Visitor { shuts: true, ..Visitor::saying(&data) }, 60_000);
    assert_eq!(visitor.heard.len(), data.len());
    assert!(visitor.heard == data);
    assert_eq!(visitor.closed, Some(Close::Finished));
    street.is_clean();
}

#[test]
fn each_direction_ends_by_itself() {
    // The client ends at once, the server speaks long after.
    let mut street = Street::new(ONE, &["-k"]);
    let text = "GET /delay/2000 HTTP/1.1\r\nHost: x\r\n\r\n";
    let visitor = street.alone(Visitor { shuts: true, ..Visitor::saying(text) }, 5000);
    assert!(visitor.text().ends_with("Hello from Penstock.\n"));
    assert_eq!(visitor.closed, Some(Close::Finished));
    street.is_clean();
    // The server ends at once, the client speaks on: discard reads to the end.
    let mut street = Street::new("-x 10.0.0.3:9", &["services=discard"]);
    let data = vec![b'x'; 700_000];
    let visitor = street.alone(Visitor { shuts: true, ..Visitor::saying(&data) }, 20_000);
    assert_eq!(visitor.closed, Some(Close::Finished));
    street.is_clean();
}

#[test]
fn a_client_that_says_nothing_never_reaches_a_backend() {
    let mut street = Street::new(ONE, &[""]);
    let silent = street.visit(80, Visitor::default());
    let shut = street.visit(80, Visitor { shuts: true, ..Visitor::default() });
    street.pass(11_000);
    assert!(street.take(silent).saw_end && street.take(shut).saw_end);
    assert_eq!(backend(&street, 0).accepted, 0);
    street.is_clean();
}

#[test]
fn a_backend_that_is_not_there_is_told_of() {
    // A closed port, an address without a machine, an address without a route.
    for (backend, status, wait_ms) in
        [("10.0.0.3:81", "502", 1000), ("10.0.0.9:80", "50", 20_000), ("192.0.2.1:80", "502", 1000)]
    {
        let mut street = Street::new(&format!("-x {backend}"), &[""]);
        for text in [GET.to_owned(), format!("POST / HTTP/1.0\r\n\r\n{}", "x".repeat(50_000))] {
            let visitor = street.alone(Visitor::saying(text), wait_ms);
            let expected = format!("HTTP/1.1 {status}");
            assert!(visitor.text().starts_with(&expected), "{backend}: {}", visitor.text());
            assert!(visitor.saw_end, "{backend}");
        }
        street.is_clean();
    }
}

#[test]
fn whoever_breaks_takes_the_other_along() {
    // The backend resets an echo that is cut short: so does the proxy.
    let mut street = Street::new(ONE, &["-k"]);
    let text = "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nhalf";
    let visitor = street.alone(Visitor { shuts: true, ..Visitor::saying(text) }, 1000);
    assert_eq!(visitor.closed, Some(Close::Reset));
    street.is_clean();
    // The client resets in the middle of an answer.
    let mut street = Street::new(ONE, &["-k"]);
    let text = "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n";
    let conn = street.visit(80, Visitor { is_deaf: true, ..Visitor::saying(text) });
    street.pass(500);
    assert_eq!(backend(&street, 0).active, 1);
    street.world.act(|_, cx| cx.abort(conn));
    street.pass(500);
    assert_eq!(backend(&street, 0).active, 0);
    street.is_clean();
}

#[test]
fn a_deaf_client_shuts_the_backend_up_and_is_sent_away_in_the_end() {
    let mut street = Street::new(ONE, &["-k"]);
    let text = "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n";
    let conn = street.visit(80, Visitor { is_deaf: true, ..Visitor::saying(text) });
    street.pass(5000);
    let used = 4096 - street.world.cores[0].census().chunks_free;
    // A send buffer and a window, of 256 KB each, and their indices.
    assert!((100..270).contains(&used), "{used} chunks");
    street.pass(100_000);
    assert!(street.take(conn).closed.is_some());
    street.is_clean();
}

#[test]
fn a_client_that_leaves_before_the_backend_has_answered_leaves_nothing() {
    let mut street = Street::new("-x 10.0.0.9:80", &[]);
    let conn = street.visit(80, Visitor::saying(GET));
    street.pass(200);
    street.world.act(|_, cx| cx.abort(conn));
    street.is_clean();
}
