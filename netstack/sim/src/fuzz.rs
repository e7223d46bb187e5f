//! The way in for fuzzers.

use crate::ladder::Script;

/// Reads `bytes` as a ladder script. What is no script must be refused with a place that exists.
///
/// # Panics
/// When the parser does, or names a place beyond the text: defects of this crate.
pub fn ladder(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Script::parse(&text) {
        let line = text.lines().nth(error.line as usize - 1);
        let line = line.expect("the line is there");
        assert!(error.column as usize <= line.chars().count() + 1, "{error} in {line:?}");
    }
}

#[cfg(test)]
mod tests {
    //! Scripts with a few bytes changed, cut or doubled are read or refused.

    use super::ladder;
    use crate::Rng;

    const SCRIPT: &str = "\
# a comment
config sack=0 keepalive=1/2/3 rto_min=1.5s syncookies=full
listen 80
only v4
+0 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7>
+0.1 > S. 0:0(0) ack 1 <mss own,raw 0102>
* > . -1:0(1) ack 1 urg 5 <nop,nop,sack 1:2 3:4>
1.5 [2:81] app send 100 takes 5
+0 within data set nodelay=1
+0 upcall closed Reset
+0 < icmp toobig mtu 1300 quote 1
+0 census connections=1 half_open=2
+0 info cwnd=1
+0 drop TcpPaws 1
+0 fresh -5
";

    #[test]
    fn damaged_scripts_are_read_or_refused() {
        ladder(SCRIPT.as_bytes());
        let mut rng = Rng::new(1, "scripts");
        for _ in 0..20_000 {
            let mut bytes = SCRIPT.as_bytes().to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(4) {
                    0 => bytes[at] = rng.below(256) as u8,
                    1 => bytes.truncate(at + 1),
                    2 => {
                        bytes.remove(at);
                    }
                    _ => bytes.insert(at, b"0123456789.:<>,+*[]() \xff"[rng.below(23) as usize]),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            ladder(&bytes);
        }
    }
}
