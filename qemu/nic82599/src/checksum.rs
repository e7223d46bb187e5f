//! The Internet checksum (RFC 1071), folded as the card's DMA engine folds it.

/// The ones' complement sum of `bytes`, added to `sum`. An odd last byte counts as the high half.
pub(crate) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| sum + u64::from(u16::from_be_bytes(*pair)));
    sum + rest.first().map_or(0, |&last| u64::from(last) << 8)
}

/// Folds a sum to 16 bits, not complemented.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

/// The sum of an IPv4 or IPv6 pseudo-header: addresses, protocol and length.
pub(crate) fn pseudo(source: &[u8], destination: &[u8], protocol: u8, length: usize) -> u64 {
    add(add(u64::from(protocol) + length as u64, source), destination)
}

#[cfg(test)]
mod tests {
    //! Proves the sum against RFC 1071's own example and the odd byte's place.
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(fold(add(0, &[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7])), 0xDDF2);
        assert_eq!(fold(add(0, &[0x12])), 0x1200);
        assert_eq!(fold(0x1_FFFF), 1);
    }
}
