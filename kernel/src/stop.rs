//! A bug on one core stops all.
//!
//! The first core to die owns the rest: it says what happened and where, asks every other core by
//! NMI where it is, keeps the text for the next start, and leaves. A second death, also on the same
//! core, changes nothing about that.
#![allow(unsafe_code)]

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use spin::Mutex;

use crate::interrupts::Frame;
use crate::last_panic::Text;
use crate::leave::{self, Outcome};
use crate::{apic, backtrace, clock, console, cores, stacks};

/// The core that died first.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

/// What was said, for the next start.
static TEXT: Mutex<Text> = Mutex::new(Text::new());
static TEXT_IS_KEPT: AtomicBool = AtomicBool::new(false);

/// Panics are kept over a reset from now on.
pub(crate) fn keep_text() {
    TEXT_IS_KEPT.store(true, Ordering::Relaxed);
}

/// Whether a core has died.
pub(crate) fn has_begun() -> bool {
    OWNER.load(Ordering::Acquire) != NOBODY
}

/// Ends everything because of what `what` says, seen at this place.
pub(crate) fn die(what: fmt::Arguments<'_>, frame: Option<&Frame>, rip: u64, rbp: u64) -> ! {
    x86_64::instructions::interrupts::disable();
    let core = cores::current();
    if let Err(owner) = OWNER.compare_exchange(NOBODY, core, Ordering::AcqRel, Ordering::Acquire) {
        if owner == core {
            // A bug in this very file, or a machine that is no more what it was.
            console::seize();
            console::print(format_args!("\ncore {core}: died again, of {what}\n"));
            leave::leave(Outcome::Panic);
        }
        leave::halt();
    }
    console::seize();
    say(format_args!("\npanic: core {core}: {what}\n"));
    if let Some(frame) = frame {
        registers(frame);
    }
    trace(rip, rbp, frame.filter(|frame| is_fetch(frame)).map(|frame| frame.rsp));
    ask_others(core);
    if let Some(text) = TEXT.try_lock() {
        text.keep(TEXT_IS_KEPT.load(Ordering::Relaxed));
    }
    leave::leave(Outcome::Panic)
}

/// An exception: always a bug, of ours or of the machine.
pub(crate) fn exception(frame: &Frame) -> ! {
    let name = NAMES.get(frame.vector as usize).copied().unwrap_or("exception");
    let address = x86_64::registers::control::Cr2::read_raw();
    let (rip, rbp) = (frame.rip, frame.rbp);
    let dies = |what: fmt::Arguments<'_>| die(what, Some(frame), rip, rbp);
    let overflow = stacks::overflowed(address).or_else(|| stacks::overflowed(frame.rsp));
    match (frame.vector, overflow) {
        (PAGE_FAULT | DOUBLE_FAULT, Some((core, stack))) => {
            dies(format_args!("stack overflow: {stack} stack of core {core}, at {rip:#x}"))
        }
        (PAGE_FAULT, None) => {
            let why = if frame.error & 1 == 0 { "not mapped" } else { "not allowed" };
            let how = match frame.error & (FETCH | WRITE) {
                0 => "read",
                WRITE => "written",
                _ => "executed",
            };
            let null = if address < 4096 { " (null)" } else { "" };
            dies(format_args!("page fault: {address:#x}{null} {how}, {why}, at {rip:#x}"))
        }
        (_, _) => dies(format_args!("{name}, error {:#x}, at {rip:#x}", frame.error)),
    }
}

/// On the core that was asked: says where it is.
pub(crate) fn report(frame: &Frame) {
    let core = cores::current();
    say(format_args!("core {core} was at {:#x}:\n", frame.rip));
    trace(frame.rip, frame.rbp, None);
}

/// Whether it was the very fetching of an instruction that faulted.
fn is_fetch(frame: &Frame) -> bool {
    frame.vector == PAGE_FAULT && frame.error & FETCH != 0
}

fn ask_others(owner: usize) {
    for (core, record) in cores::online().filter(|(core, _)| *core != owner) {
        record.reported.store(false, Ordering::Relaxed);
        apic::send_nmi(record.apic_id.load(Ordering::Relaxed));
        // One after the other, so that their lines do not mix; a core that cannot is left out.
        let begin = clock::now_ns();
        while !record.reported.load(Ordering::Acquire) {
            if clock::now_ns() - begin > REPORT_NS {
                say(format_args!("core {core} does not answer\n"));
                break;
            }
            core::hint::spin_loop();
        }
    }
}

fn registers(frame: &Frame) {
    let Frame { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, .. } = *frame;
    let Frame { r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } = *frame;
    say(format_args!(
        "  rax {rax:016x} rbx {rbx:016x} rcx {rcx:016x} rdx {rdx:016x}\n\
         \x20 rsi {rsi:016x} rdi {rdi:016x} rbp {rbp:016x} rsp {rsp:016x}\n\
         \x20 r8  {r8:016x} r9  {r9:016x} r10 {r10:016x} r11 {r11:016x}\n\
         \x20 r12 {r12:016x} r13 {r13:016x} r14 {r14:016x} r15 {r15:016x}\n\
         \x20 rip {rip:016x} rflags {rflags:08x} error {:x} vector {}\n",
        frame.error, frame.vector
    ));
}

fn trace(rip: u64, rbp: u64, called: Option<u64>) {
    // `Both` takes everything.
    let _ = backtrace::write(&mut Both, rip, rbp, called);
}

fn say(text: fmt::Arguments<'_>) {
    let _ = Both.write_fmt(text);
}

/// Console and page.
struct Both;

impl Write for Both {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::print(format_args!("{text}"));
        // One core at a time is here: the owner, or the one that it waits for.
        TEXT.try_lock().map_or(Ok(()), |mut kept| kept.write_str(text))
    }
}

/// Long enough to print thirty lines at 9600 bit/s.
const REPORT_NS: u64 = 3_000_000_000;

const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;

/// Bits of a page fault's error code.
const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// Intel SDM volume 3, table 7-1.
const NAMES: [&str; 22] = [
    "divide error",
    "debug exception",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack-segment fault",
    "general protection fault",
    "page fault",
    "reserved exception",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization exception",
    "control protection exception",
];

#[cfg(panic = "abort")]
#[panic_handler]
fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (rip, rbp): (u64, u64);
    // SAFETY: reads two registers.
    unsafe {
        core::arch::asm!(
            "lea {}, [rip]", "mov {}, rbp", out(reg) rip, out(reg) rbp,
            options(nostack, nomem, preserves_flags)
        );
    }
    die(format_args!("{}", Sentence(info)), None, rip, rbp)
}

/// A panic's message and place in one line.
#[cfg(panic = "abort")]
struct Sentence<'i>(&'i core::panic::PanicInfo<'i>);

#[cfg(panic = "abort")]
impl fmt::Display for Sentence<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.message())?;
        match self.0.location() {
            Some(place) => write!(out, " ({}:{})", place.file(), place.line()),
            None => Ok(()),
        }
    }
}

/// The precompiled libraries were built to unwind and name this; nothing here unwinds.
#[cfg(panic = "abort")]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As above: the end of a landing pad that nothing lands on.
#[cfg(panic = "abort")]
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    panic!("something unwinds")
}
