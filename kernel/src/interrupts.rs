//! What happens when something interrupts.
//!
//! Interrupts are off except while a core halts: their only purpose is to end the halt. Exceptions
//! are bugs and end in `stop`. An NMI is another core asking where this one is.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use x86_64::structures::DescriptorTablePointer;
use x86_64::{PrivilegeLevel, VirtAddr};

use crate::segments::stack_number;
use crate::stacks::Kind;
use crate::{apic, layout, stop, watch};

#[cfg(panic = "abort")]
core::arch::global_asm!(include_str!("asm/interrupts.s"));

/// Registers as `interrupts.s` leaves them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Frame {
    xmm: [[u64; 2]; 16],
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rbp: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rbx: u64,
    pub(crate) rax: u64,
    pub(crate) vector: u64,
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

/// The local timer: a deadline is here.
pub(crate) const TIMER: u8 = 0x20;
/// Another core has something for this one.
pub(crate) const WAKE: u8 = 0x21;
/// First of the vectors for devices.
pub(crate) const DEVICE_FIRST: u8 = 0x30;
/// Last of them.
pub(crate) const DEVICE_LAST: u8 = 0xdf;
/// Where the old interrupt controllers are moved to, masked as they are.
pub(crate) const LEGACY_FIRST: u8 = 0xe0;
/// What the local APIC says when it has nothing to say.
pub(crate) const SPURIOUS: u8 = 0xff;

const NMI: u64 = 2;
const EXCEPTIONS: u64 = 32;

/// A gate of the interrupt table (Intel SDM volume 3, section 7.14.1).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    /// An interrupt gate: interrupts are off behind it.
    const fn to(handler: u64, stack: u8) -> Gate {
        const PRESENT_INTERRUPT: u64 = 0x8e00;
        let low = handler & 0xffff
            | (CODE_SELECTOR as u64) << 16
            | (stack as u64) << 32
            | PRESENT_INTERRUPT << 32
            | (handler >> 16 & 0xffff) << 48;
        Gate { low, high: handler >> 32 }
    }
}

/// The first selector of every table of segments here.
const CODE_SELECTOR: u16 = 8 | PrivilegeLevel::Ring0 as u16;

/// The table, shared by all cores: core 0 writes it before another core runs.
struct Table(UnsafeCell<[Gate; 256]>);

// SAFETY: written by one core while it is alone, and read by processors.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate { low: 0, high: 0 }; 256]));

/// Fills the table, without stacks of their own until `segments` has them.
pub(crate) fn open(stacks: bool) {
    // SAFETY: core 0 is alone, and interrupts are off.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let kind = match vector {
            2 => Kind::Nmi,
            8 => Kind::DoubleFault,
            14 => Kind::PageFault,
            18 => Kind::MachineCheck,
            0..32 => Kind::Exception,
            _ => Kind::Interrupt,
        };
        let handler = layout::vectors() + 16 * vector as u64;
        *gate = Gate::to(handler, if stacks { stack_number(kind) } else { 0 });
    }
}

/// This core uses the table.
pub(crate) fn load() {
    let base = VirtAddr::from_ptr(TABLE.0.get());
    let pointer = DescriptorTablePointer { limit: 256 * 16 - 1, base };
    // SAFETY: the table is static and complete; its handlers keep every register.
    unsafe { x86_64::instructions::tables::lidt(&pointer) };
}

/// Moves the old interrupt controllers away from the exceptions and masks all of their lines.
pub(crate) fn silence_legacy() {
    use x86_64::instructions::port::Port;
    let words: [(u16, u8); 10] = [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, LEGACY_FIRST),
        (0xa1, LEGACY_FIRST + 8),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ];
    for (port, word) in words {
        // SAFETY: the 8259's ports, in the order of its data sheet: ICW1 to ICW4, then the masks.
        unsafe { Port::new(port).write(word) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn kernel_interrupt(frame: &Frame) {
    match frame.vector {
        NMI => watch::on_nmi(frame),
        ..EXCEPTIONS => stop::exception(frame),
        vector if vector == u64::from(SPURIOUS) => {}
        vector if (u64::from(LEGACY_FIRST)..=u64::from(LEGACY_FIRST) + 15).contains(&vector) => {}
        _ => apic::end_of_interrupt(),
    }
}
