//! A ladder can fail: what the worker does not do is told, and what is not understood is named with
//! its place.

use super::Script;

const OPENING: &str = "\
listen 80
+0 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1
+0 < . 1:1(0) ack 1
";

/// Why the script, behind an opening, does not hold.
fn complaint(steps: &str) -> String {
    let script = Script::parse(&format!("{OPENING}{steps}\n")).expect("it is understood");
    match script.run(0) {
        Ok(transcript) => panic!("it held:\n{transcript}"),
        Err(failure) => {
            assert!(failure.transcript.contains("S. 0:0(0) ack 1 win 65535 <mss 1460>"));
            format!("line {}: {}", failure.line, failure.what)
        }
    }
}

#[test]
fn a_script_that_is_right_holds_over_both_families() {
    let text = format!("{OPENING}+0.1 app send 10\n+0 > P. 1:11(10) ack 1\n");
    let script = Script::parse(&text).expect("it is understood");
    for family in [0, 1] {
        assert!(script.is_about(family));
        script.run(family).expect("it holds");
    }
}

#[test]
fn what_differs_is_named() {
    let cases = [
        ("+0 > . 1:1(0) ack 1", "line 5: nothing was sent"),
        ("+0 app send 10\n+1 > P. 1:11(10) ack 1", "line 6: sent 1.000 s early"),
        ("+0 app send 10\n+1 none", "line 6: sent unexpectedly at 0.000000: [1] P. 1:11(10)"),
        ("+0 app send 10", "line 5: sent unexpectedly"),
        ("+0 app send 10\n+0 > F. 1:11(10) ack 1", "line 6: not the expected flags"),
        ("+0 app send 10\n+0 > . 2:12(10) ack 1", "line 6: not the expected sequence number"),
        ("+0 app send 10\n+0 > . 1:10(9) ack 1", "line 6: not the expected length"),
        ("+0 app send 10\n+0 > . 1:11(10) ack 2", "line 6: not the expected acknowledgement"),
        ("+0 app send 10\n+0 > . 1:11(10) ack 1 win 1", "line 6: not the expected window"),
        ("+0 app send 10\n+0 > . 1:11(10) ack 1 <nop>", "line 6: not the expected options"),
        ("+0 app send 10\n+0 [2] > . 1:11(10) ack 1", "line 6: sent to another peer"),
        ("+0 app send 10 takes 9", "line 5: send took 10 bytes"),
        ("+0 upcall data 10", "line 5: the application heard [1] Accept"),
        ("+0 upcall none", "line 5: the application heard [1] Accept"),
        ("+0 state FinWait1", "line 5: it is Established"),
        ("+0 state Gone", "line 5: it is Established"),
        ("+0 [2] state Established", "line 5: it is gone"),
        ("+0 census connections=2", "line 5: Connections is 1, not 2"),
        ("+0 info cwnd=1", "line 5: Cwnd is 10000, not 1"),
        ("+0 drop TcpPaws 1", "line 5: TcpPaws is 0, not 1"),
        ("+0 event TcpPassiveOpens 0", "line 5: TcpPassiveOpens is 1, not 0"),
        ("1 none\n0.5 none", "line 6: its time has passed"),
    ];
    for (steps, expected) in cases {
        let complaint = complaint(steps);
        assert!(complaint.starts_with(expected), "{steps}: {complaint}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_place() {
    let cases = [
        ("bananas", "line 1, column 1: expected config, listen, only or a time"),
        ("+0none", "line 1, column 3: expected a space"),
        ("+x none", "line 1, column 2: expected a time"),
        ("\n  +0 dance", "line 2, column 6: expected '<', '>', app,"),
        ("+0 < X 0:0(0)", "line 1, column 6: expected flags of FSRP.UEW, or '-' for none"),
        ("+0 < S 0:5(0)", "line 1, column 10: expected 0, which is the first number plus 0"),
        ("+0 < . 0:0(0)", "line 1, column 14: expected 'ack' with a number"),
        ("+0 < S 0:0(0) ack 1", "line 1, column 20: expected 'ack' with a number"),
        ("+0 < S 0:0(0) win 65536", "line 1, column 19: expected a window field, at most 65535"),
        ("+0 < S 0:0(0) <moss 1>", "line 1, column 16: expected an option: mss,"),
        ("+0 < S 0:0(0) <mss 1", "line 1, column 21: expected ',' or '>' behind an option"),
        ("+0 < S 0:0(0) <raw 0g>", "line 1, column 20: expected up to 40 bytes in hexadecimal"),
        ("+0 < S 0:0(0) <mss 1> x", "line 1, column 23: expected the end of the line"),
        ("+0 [0] none", "line 1, column 6: expected the number of a peer, from 1"),
        ("+0 app dance", "line 1, column 8: expected send, close,"),
        ("+0 state Happy", "line 1, column 10: expected a state: SynSent,"),
        ("+0 drop Nothing 1", "line 1, column 9: expected a reason to drop"),
        ("* none", "line 1, column 7: expected '>' or 'upcall' behind '*'"),
        ("config sack=2", "line 1, column 13: expected one of: 0, 1"),
        ("config colour=1", "line 1, column 8: expected a knob"),
        ("+0 none\nlisten 80", "line 2, column 1: expected a time: config, listen and only stand"),
        ("+0.1234567 none", "line 1, column 4: expected one to six decimals"),
        ("only v5", "line 1, column 6: expected a family: v4, v6"),
    ];
    for (text, expected) in cases {
        let error = Script::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

/// The comments of a line do not count, and neither does a `#` within a word.
#[test]
fn comments_are_passed_over() {
    let script = Script::parse("# all\n+0 none # half\n\n   # more\n").expect("understood");
    assert_eq!(script.steps.len(), 1);
}
