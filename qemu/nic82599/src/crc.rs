//! The two reflected CRCs of the card: Ethernet's frame check sequence and SCTP's CRC32c.

const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

static ETHERNET: [u32; 256] = table(0xEDB8_8320);
static CASTAGNOLI: [u32; 256] = table(0x82F6_3B78);

fn crc(table: &[u32; 256], parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |crc, &byte| table[(crc as u8 ^ byte) as usize] ^ crc >> 8)
}

/// The frame check sequence of a frame (IEEE 802.3, 3.2.9); it is sent little end first.
pub(crate) fn frame_check(frame: &[u8]) -> u32 {
    crc(&ETHERNET, &[frame])
}

/// The checksum of an SCTP packet (RFC 9260, appendix A), its own field counted as zero; stored
/// little end first. `packet` holds at least the common header of 12 bytes.
pub(crate) fn sctp(packet: &[u8]) -> Option<u32> {
    Some(crc(&CASTAGNOLI, &[packet.get(..8)?, &[0; 4], packet.get(12..)?]))
}

#[cfg(test)]
mod tests {
    //! Proves both polynomials against their published check values.
    use super::*;

    #[test]
    fn check_values() {
        assert_eq!(crc(&ETHERNET, &[b"123456789"]), 0xCBF4_3926);
        assert_eq!(crc(&CASTAGNOLI, &[b"123456789"]), 0xE306_9283);
        assert_eq!(sctp(&[0; 11]), None);
    }
}
