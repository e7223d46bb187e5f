//! HAProxy's hash functions, bit for bit: a client stays with its server when we take over.

use penstock_config::haproxy::HashFunction;

/// `key` under `function`.
pub(crate) fn hash(function: HashFunction, key: &[u8]) -> u32 {
    match function {
        HashFunction::Sdbm => sdbm(key),
        HashFunction::Djb2 => djb2(key),
        HashFunction::Wt6 => wt6(key),
        HashFunction::Crc32 => crc32(key),
        HashFunction::Crc32c => crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(key),
    }
}

/// `avalanche`: Bob Jenkins' full avalanche of 32 bits, and a factor that spreads it once more.
pub(crate) fn mix(number: u32) -> u32 {
    let mut mixed = number.wrapping_add(0x7ed5_5d16).wrapping_add(number << 12);
    mixed = mixed ^ 0xc761_c23c ^ (mixed >> 19);
    mixed = mixed.wrapping_add(0x1656_67b1).wrapping_add(mixed << 5);
    mixed = mixed.wrapping_add(0xd3a2_646c) ^ (mixed << 9);
    mixed = mixed.wrapping_add(0xfd70_46c5).wrapping_add(mixed << 3);
    mixed = mixed ^ 0xb55a_4f09 ^ (mixed >> 16);
    mixed.wrapping_mul(3_221_225_473)
}

fn sdbm(key: &[u8]) -> u32 {
    key.iter().fold(0u32, |hash, &byte| {
        (byte as u32).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash)
    })
}

fn djb2(key: &[u8]) -> u32 {
    key.iter().fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(byte as u32))
}

fn wt6(key: &[u8]) -> u32 {
    let (mut low, mut high) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut step_low, mut step_high) = (6, 18);
    for &byte in key {
        low = !(low ^ byte as u32);
        high = !high.wrapping_add(byte as u32);
        (low, high) = (high.rotate_left(step_low), low.rotate_left(step_high));
        let steps = ((low >> 16) ^ high) & 0xffff;
        (step_low, step_high) = (steps & 0x1f, steps >> 11);
    }
    low ^ high
}

fn crc32(key: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(key)
}
