//! Segments and task state: what long mode still wants of them. One of each per core.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use crate::stacks::{self, Kind};

/// The stacks that the interrupt table may ask for, in the order of its numbers (from 1 on).
const STACKS: [Kind; 6] = [
    Kind::Nmi,
    Kind::DoubleFault,
    Kind::MachineCheck,
    Kind::PageFault,
    Kind::Exception,
    Kind::Interrupt,
];

/// The number by which the interrupt table asks for this stack.
pub(crate) const fn stack_number(kind: Kind) -> u8 {
    match kind {
        Kind::Main => 0,
        Kind::Nmi => 1,
        Kind::DoubleFault => 2,
        Kind::MachineCheck => 3,
        Kind::PageFault => 4,
        Kind::Exception => 5,
        Kind::Interrupt => 6,
    }
}

/// Gives this core its segments, and stacks for what interrupts it.
///
/// # Errors
/// One sentence, when there is no memory for stacks.
pub(crate) fn load(core: usize) -> Result<(), &'static str> {
    let mut tss = TaskStateSegment::new();
    for kind in STACKS {
        let top = VirtAddr::new(stacks::map(core, kind)?);
        tss.interrupt_stack_table[usize::from(stack_number(kind)) - 1] = top;
    }
    enter(Box::leak(Box::new(tss)), Box::leak(Box::new(GlobalDescriptorTable::new())));
    Ok(())
}

fn enter(tss: &'static TaskStateSegment, gdt: &'static mut GlobalDescriptorTable) {
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: the selectors are those of the table just loaded, whose segments are flat as the
    // loader's were; table and task state live for ever.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task);
    }
}
