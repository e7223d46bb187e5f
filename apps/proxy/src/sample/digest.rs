//! Hashes that are not HAProxy's own: the xxHash family, SHA-1 and SHA-2 (FIPS 180-4), and what signs
//! with a key (RFC 2104).

use hmac::{Mac, SimpleHmac};
use penstock_config::haproxy::{Digest, XxHash};
use sha1::digest::Digest as Function;
use sha1::digest::core_api::BlockSizeUser;
use twox_hash::{XxHash3_64, XxHash32, XxHash64};

use super::{Room, Value};

/// `xxh32`, `xxh64`, `xxh3`, with a seed.
pub(super) fn xxhash<'a>(function: XxHash, seed: u64, bytes: &[u8]) -> Value<'a> {
    let number = match function {
        XxHash::Bits32 => XxHash32::oneshot(seed as u32, bytes).into(),
        XxHash::Bits64 => XxHash64::oneshot(seed, bytes),
        XxHash::Xxh3 => XxHash3_64::oneshot_with_seed(seed, bytes),
    };
    Value::Int(number as i64)
}

/// `hmac`.
pub(super) fn hmac<'a>(
    function: Digest,
    key: &[u8],
    bytes: &[u8],
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    match function {
        Digest::Sha1 => signed::<sha1::Sha1>(key, bytes, room),
        Digest::Sha224 => signed::<sha2::Sha224>(key, bytes, room),
        Digest::Sha256 => signed::<sha2::Sha256>(key, bytes, room),
        Digest::Sha384 => signed::<sha2::Sha384>(key, bytes, room),
        Digest::Sha512 => signed::<sha2::Sha512>(key, bytes, room),
    }
}

fn signed<'a, D: Function + BlockSizeUser>(
    key: &[u8],
    bytes: &[u8],
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    // A key can have any length.
    let mac = SimpleHmac::<D>::new_from_slice(key).ok()?.chain_update(bytes).finalize();
    Some(Value::Binary(room.write(|line| line.push(&mac.into_bytes()))))
}

/// `sha1`, `sha2`, `digest`.
pub(super) fn digest<'a>(function: Digest, bytes: &[u8], room: &mut Room<'a>) -> Value<'a> {
    let write = |digest: &[u8], room: &mut Room<'a>| room.write(|line| line.push(digest));
    Value::Binary(match function {
        Digest::Sha1 => write(&sha1::Sha1::digest(bytes), room),
        Digest::Sha224 => write(&sha2::Sha224::digest(bytes), room),
        Digest::Sha256 => write(&sha2::Sha256::digest(bytes), room),
        Digest::Sha384 => write(&sha2::Sha384::digest(bytes), room),
        Digest::Sha512 => write(&sha2::Sha512::digest(bytes), room),
    })
}
