//! The Internet checksum (RFC 1071), for the client's own frames and for checking the stack's.

/// The sum of `bytes` as 16-bit words, unfolded: good for 64 KB and many additions.
pub fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let total: u64 = words.iter().map(|word| u16::from_be_bytes(*word) as u64).sum();
    total + rest.first().map_or(0, |last| (*last as u64) << 8)
}

/// Folds a sum and complements it: the value of a checksum field. 0 when `sum` covered a correct
/// field already.
#[inline]
pub fn finish(sum: u64) -> u16 {
    let folded = (sum & 0xffff_ffff) + (sum >> 32);
    let folded = (folded & 0xffff) + (folded >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
    #[test]
    fn rfc1071_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(finish(sum(&bytes)), !0xddf2);
    }
}
