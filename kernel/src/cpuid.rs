//! What the processor says of itself, and its few registers without a name in the crate `x86_64`.
#![allow(unsafe_code)]

use core::arch::x86_64::{__cpuid_count, _rdtsc};

pub(crate) use core::arch::x86_64::CpuidResult;
use core::fmt;

use crate::firmware::bytes::until_zero;

/// One leaf; zeros when the processor has none of that number.
pub(crate) fn leaf(number: u32) -> CpuidResult {
    let last = __cpuid_count(number & 0xc000_0000, 0).eax;
    if number > last {
        return CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    }
    __cpuid_count(number, 0)
}

/// Sub-leaf 0 of leaf 7: extended features.
pub(crate) fn has_rdseed() -> bool {
    leaf(7).ebx & 1 << 18 != 0
}

/// Whether RDRAND is there.
pub(crate) fn has_rdrand() -> bool {
    leaf(1).ecx & 1 << 30 != 0
}

/// Whether the local APIC can be driven through MSRs.
pub(crate) fn has_x2apic() -> bool {
    leaf(1).ecx & 1 << 21 != 0
}

/// Whether the time stamp counter runs at one rate in every state of power.
pub(crate) fn has_invariant_tsc() -> bool {
    leaf(0x8000_0007).edx & 1 << 8 != 0
}

/// Whether a core may be sent its start-up message at once after INIT: every processor since the
/// Pentium 4 and the K8 (Linux's `smp_set_init_udelay` draws the same line).
pub(crate) fn starts_without_delay() -> bool {
    let vendor = leaf(0);
    let signature = leaf(1).eax;
    let family = match signature >> 8 & 0xf {
        0xf => 0xf + (signature >> 20 & 0xff),
        family => family,
    };
    match &letters([vendor.ebx, vendor.edx, vendor.ecx]) {
        b"GenuineIntel" => family == 6 || family > 0xf,
        b"AuthenticAMD" | b"HygonGenuine" => family >= 0xf,
        _ => false,
    }
}

/// Whether this is a guest of some hypervisor.
pub(crate) fn is_guest() -> bool {
    leaf(1).ecx & 1 << 31 != 0
}

/// The hypervisor's twelve letters, zeros on a bare machine.
pub(crate) fn hypervisor() -> [u8; 12] {
    if !is_guest() {
        return [0; 12];
    }
    let leaf = __cpuid_count(HYPERVISOR, 0);
    letters([leaf.ebx, leaf.ecx, leaf.edx])
}

/// Leaves of the hypervisor have no bit in common with the others' numbering.
pub(crate) const HYPERVISOR: u32 = 0x4000_0000;

/// The processor's own name for people, without what pads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brand([u8; 48]);

impl fmt::Display for Brand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = until_zero(&self.0);
        out.write_str(core::str::from_utf8(name).unwrap_or("an unnamed processor").trim())
    }
}

/// What it calls itself.
pub(crate) fn brand() -> Brand {
    let mut name = [0; 48];
    for (index, part) in name.chunks_exact_mut(16).enumerate() {
        let leaf = leaf(0x8000_0002 + index as u32);
        for (bytes, register) in
            part.chunks_exact_mut(4).zip([leaf.eax, leaf.ebx, leaf.ecx, leaf.edx])
        {
            bytes.copy_from_slice(&register.to_le_bytes());
        }
    }
    Brand(name)
}

/// The time stamp counter.
pub(crate) fn tsc() -> u64 {
    // SAFETY: every x86-64 processor has it, and ring 0 may always read it.
    unsafe { _rdtsc() }
}

fn letters(registers: [u32; 3]) -> [u8; 12] {
    let mut letters = [0; 12];
    for (bytes, register) in letters.chunks_exact_mut(4).zip(registers) {
        bytes.copy_from_slice(&register.to_le_bytes());
    }
    letters
}
