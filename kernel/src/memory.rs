//! The five functions that a compiler expects of a C library.
//!
//! Under their real names they exist in the image only; under ours everywhere, so that they are
//! tested where the tests run.
#![allow(unsafe_code)]

use core::arch::global_asm;

global_asm!(include_str!("asm/memory.s"));

#[cfg(panic = "abort")]
global_asm!(
    ".global memcpy, memmove, memset, memcmp, bcmp",
    ".set memcpy, penstock_memmove",
    ".set memmove, penstock_memmove",
    ".set memset, penstock_memset",
    ".set memcmp, penstock_memcmp",
    ".set bcmp, penstock_memcmp",
);

#[cfg(test)]
mod tests {
    //! Every length to beyond each branch, at every overlap, against the standard library.

    use std::vec::Vec;

    unsafe extern "C" {
        fn penstock_memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8;
        fn penstock_memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8;
        fn penstock_memcmp(a: *const u8, b: *const u8, bytes: usize) -> i32;
    }

    const LENGTHS: [usize; 28] = [
        0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 511,
        512, 513, 519, 520, 700,
    ];

    fn pattern() -> Vec<u8> {
        (0..2000u32).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    #[test]
    fn bytes_move_over_every_overlap() {
        for length in LENGTHS {
            for shift in [0, 1, 3, 8, 15, 16, 17, 33, 63, 64, 65, 100, 500, 701] {
                for (from, to) in [(100, 100 + shift), (100 + shift, 100)] {
                    let mut ours = pattern();
                    let mut expected = pattern();
                    expected.copy_within(from..from + length, to);
                    let base = ours.as_mut_ptr();
                    // SAFETY: both ranges lie in the vector, whose 2000 bytes are beyond 801 + 700.
                    let returned =
                        unsafe { penstock_memmove(base.add(to), base.add(from), length) };
                    assert_eq!(returned as usize, base as usize + to);
                    assert!(ours == expected, "{length} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn bytes_are_set() {
        for length in LENGTHS {
            let mut ours = pattern();
            let mut expected = pattern();
            expected[9..9 + length].fill(0xa5);
            let to = ours[9..].as_mut_ptr();
            // SAFETY: the range lies in the vector.
            let returned = unsafe { penstock_memset(to, 0x1a5, length) };
            assert_eq!(returned, to);
            assert!(ours == expected, "{length} bytes");
        }
    }

    #[test]
    fn the_first_difference_decides() {
        for length in LENGTHS {
            let a = pattern();
            // SAFETY: both ranges lie in their vectors.
            let compare = |b: &[u8]| unsafe { penstock_memcmp(a.as_ptr(), b.as_ptr(), length) };
            assert_eq!(compare(&a), 0);
            for at in 0..length {
                let mut b = a.clone();
                b[at] ^= 0x80;
                b[length] ^= 1;
                let expected = a[..length].cmp(&b[..length]) as i32;
                assert_eq!(compare(&b).signum(), expected, "{length} bytes, different at {at}");
            }
        }
    }
}
