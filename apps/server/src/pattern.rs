//! Bytes that anyone can check: what `/bytes/N` sends.
//!
//! The byte at position p is the top byte of (p mod 65521) × 2654435761 mod 2^32. The period is a
//! prime near 2^16, so that blocks of any usual size that change places are noticed. In Python:
//! `bytes((i % 65521 * 2654435761 & 0xffffffff) >> 24 for i in range(n))`.

use alloc::boxed::Box;

/// After how many bytes it begins again.
pub const PATTERN_BYTES: u32 = 65_521;

/// The byte at a position.
pub fn pattern_byte(position: u64) -> u8 {
    ((position % PATTERN_BYTES as u64) as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]
}

/// One period, made once.
pub(crate) fn period() -> Box<[u8]> {
    (0..PATTERN_BYTES as u64).map(pattern_byte).collect()
}

/// The lines of RFC 864: 72 of the 95 printing characters, beginning one further each time.
pub(crate) fn lines() -> Box<[u8]> {
    let line = |first: usize| {
        let text = (first..first + 72).map(|at| b' ' + (at % 95) as u8);
        text.chain(*b"\r\n")
    };
    (0..95).flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_rfc() {
        let lines = lines();
        assert_eq!(lines.len(), 95 * 74);
        assert!(lines.starts_with(br##" !"#$%&'()*+,-./0123456789:;<=>?@ABC"##));
        assert_eq!(&lines[74..76], b"!\"");
        assert!(lines.chunks(74).all(|line| line.ends_with(b"\r\n")));
    }

    #[test]
    fn neighbouring_blocks_differ() {
        let period = period();
        let at = |position: usize| &period[position..position + 16];
        assert!((0..60_000).step_by(1448).skip(1).all(|position| at(position) != at(0)));
    }
}
