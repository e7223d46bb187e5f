//! The final page tables.
//!
//! Memory is mapped where it is: virtual and physical address are the same number, with the largest
//! pages that fit. Nothing is both writable and executable; data is never executable; page 0 and the
//! page below each stack are in no table. Device registers are mapped uncached, when asked for.
#![allow(unsafe_code)]

use core::ops::Range;
use core::ptr::NonNull;
use penstock_hw::Window;
use spin::Mutex;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags};
use x86_64::structures::paging::mapper::{MapToError, Translate, TranslateResult};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size1GiB, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::firmware::ranges::Ranges;
use crate::{frames, layout};

static MAP: Mutex<Option<OffsetPageTable<'static>>> = Mutex::new(None);

/// What a range of addresses may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read.
    Constants,
    /// Read and execute.
    Code,
    /// Read and write.
    Data,
    /// Read and write past every cache.
    Registers,
}

/// Builds the tables for this memory and the image, and changes to them.
///
/// # Errors
/// One sentence, when memory for tables runs out or ranges contradict each other.
pub(crate) fn build(memory: &Ranges) -> Result<(), &'static str> {
    let root = frames::take(layout::PAGE_BYTES, layout::PAGE_BYTES, EARLY_LIMIT);
    let root = root.ok_or("paging: no memory for tables")?;
    // SAFETY: the frame was just taken, is zero and mapped, and becomes the tables' root for good;
    // physical memory is at offset 0.
    let map = unsafe { OffsetPageTable::new(&mut *(root as *mut PageTable), VirtAddr::zero()) };
    *MAP.lock() = Some(map);

    let mut data = memory.clone();
    data.remove(0..layout::PAGE_BYTES);
    data.remove(layout::image());
    for range in data.iter() {
        let whole =
            range.start.next_multiple_of(layout::PAGE_BYTES)..range.end & !(layout::PAGE_BYTES - 1);
        map_range(whole, Use::Data)?;
    }
    map_range(layout::constants(), Use::Constants)?;
    map_range(layout::code(), Use::Code)?;
    map_range(layout::data(), Use::Data)?;
    map_range(layout::boot_stack(), Use::Data)?;
    map_range(layout::symbols(), Use::Constants)?;
    enter(root);
    Ok(())
}

/// The root of the tables, for cores that start.
pub(crate) fn root() -> u64 {
    Cr3::read().0.start_address().as_u64()
}

/// Maps the registers of a device, uncached. The same ones may be asked for twice.
///
/// # Errors
/// One sentence, when the range is memory or has no place in the address space.
pub fn map_registers(physical: u64, bytes: u64) -> Result<NonNull<u32>, &'static str> {
    let end = physical.checked_add(bytes).filter(|&end| end <= PHYSICAL_LIMIT);
    let end = end.ok_or("paging: a device beyond the address space")?;
    let whole = physical & !(layout::PAGE_BYTES - 1)..end.next_multiple_of(layout::PAGE_BYTES);
    map_range(whole, Use::Registers)?;
    NonNull::new(physical as *mut u32).ok_or("paging: a device at address 0")
}

/// Maps the registers of a device and makes them a value.
///
/// # Errors
/// As [`map_registers`], and when the window is no multiple of words or larger than 4 GB.
pub fn map_window(physical: u64, bytes: u64) -> Result<Window, &'static str> {
    let words = physical.is_multiple_of(4) && bytes.is_multiple_of(4);
    let size = u32::try_from(bytes).ok().filter(|_| words);
    let size = size.ok_or("paging: a window that is not made of words")?;
    let base = map_registers(physical, bytes)?;
    // SAFETY: the range is mapped, uncached, for good, and is no memory: a page that already was
    // mapped in another way is refused.
    Ok(unsafe { Window::new(base, size) })
}

/// Maps fresh memory at an address of our choice, away from the identity map: a stack.
pub(crate) fn map_fresh(addresses: Range<u64>) -> Result<(), &'static str> {
    for at in addresses.step_by(layout::PAGE_BYTES as usize) {
        let frame = frames::take(layout::PAGE_BYTES, layout::PAGE_BYTES, u64::MAX);
        map_page::<Size4KiB>(at, frame.ok_or("paging: no memory for a stack")?, flags(Use::Data))?;
    }
    Ok(())
}

/// Changes what one small page may be used for.
pub(crate) fn reuse(page: u64, usage: Use) -> Result<(), &'static str> {
    let mut map = MAP.lock();
    let map = map.as_mut().ok_or("paging: not built yet")?;
    let page = Page::<Size4KiB>::containing_address(VirtAddr::new(page));
    // SAFETY: the caller owns the page; nobody else holds a reference into it.
    let changed = unsafe { map.update_flags(page, flags(usage)) };
    changed.map_err(|_| "paging: no small page there")?.flush();
    Ok(())
}

/// Maps each address of the range to itself.
fn map_range(range: Range<u64>, usage: Use) -> Result<(), &'static str> {
    let flags = flags(usage);
    let gigabytes = has_gigabyte_pages();
    let mut at = range.start;
    while at < range.end {
        let fits = |size: u64| at.is_multiple_of(size) && range.end - at >= size;
        at += if gigabytes && fits(Size1GiB::SIZE) {
            map_page::<Size1GiB>(at, at, flags)?
        } else if fits(Size2MiB::SIZE) {
            map_page::<Size2MiB>(at, at, flags)?
        } else {
            map_page::<Size4KiB>(at, at, flags)?
        };
    }
    Ok(())
}

/// Maps one page and says its size.
fn map_page<S: PageSize + core::fmt::Debug>(
    virtual_start: u64,
    physical: u64,
    flags: PageTableFlags,
) -> Result<u64, &'static str>
where
    OffsetPageTable<'static>: Mapper<S>,
{
    let mut map = MAP.lock();
    let map = map.as_mut().ok_or("paging: not built yet")?;
    let page = Page::<S>::containing_address(VirtAddr::new(virtual_start));
    let frame = PhysFrame::<S>::containing_address(PhysAddr::new(physical));
    let parents = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
    // SAFETY: the page is in no use (a page in use is refused below, not remapped), and a frame is
    // mapped at its own address or, fresh from `frames`, at one other.
    match unsafe { map.map_to_with_table_flags(page, frame, flags, parents, &mut Tables) } {
        Ok(flush) => flush.flush(),
        Err(MapToError::PageAlreadyMapped(mapped)) if mapped == frame => {
            let uncached = flags.contains(PageTableFlags::NO_CACHE);
            match map.translate(page.start_address()) {
                TranslateResult::Mapped { flags, .. }
                    if flags.contains(PageTableFlags::NO_CACHE) == uncached => {}
                _ => return Err("paging: a device's registers lie in memory"),
            }
        }
        Err(MapToError::FrameAllocationFailed) => return Err("paging: no memory for tables"),
        Err(_) => return Err("paging: two uses of one page"),
    }
    Ok(S::SIZE)
}

fn flags(usage: Use) -> PageTableFlags {
    let present = PageTableFlags::PRESENT | PageTableFlags::GLOBAL;
    match usage {
        Use::Constants => present | PageTableFlags::NO_EXECUTE,
        Use::Code => present,
        Use::Data => present | PageTableFlags::NO_EXECUTE | PageTableFlags::WRITABLE,
        Use::Registers => {
            let uncached = PageTableFlags::NO_CACHE | PageTableFlags::WRITE_THROUGH;
            present | PageTableFlags::NO_EXECUTE | PageTableFlags::WRITABLE | uncached
        }
    }
}

fn enter(root: u64) {
    let frame = PhysFrame::containing_address(PhysAddr::new(root));
    // SAFETY: the tables map this code, its data and its stack where they are now.
    unsafe {
        Cr3::write(frame, Cr3Flags::empty());
        Cr4::update(|flags| flags.insert(Cr4Flags::PAGE_GLOBAL));
    }
}

/// Frames for tables: below 4 GB, because the tables are built while only that is mapped.
struct Tables;

// SAFETY: a frame is handed out once, and is not used for anything else.
unsafe impl FrameAllocator<Size4KiB> for Tables {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        let frame = frames::take(layout::PAGE_BYTES, layout::PAGE_BYTES, EARLY_LIMIT)?;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

fn has_gigabyte_pages() -> bool {
    crate::cpuid::leaf(0x8000_0001).edx & 1 << 26 != 0
}

/// What the tables of the entry code map.
const EARLY_LIMIT: u64 = 1 << 32;

/// Addresses from here on are for stacks.
const PHYSICAL_LIMIT: u64 = crate::stacks::BASE;
