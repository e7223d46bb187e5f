//! PCI functions: found, and given to drivers.
//!
//! Configuration space is memory (ECAM, where the MCFG says); a machine without it has no PCI Express
//! and no 82599. Bridges were given their buses by firmware, and are walked. What a function is and
//! where its registers lie its driver reads through `penstock_hw::Function`.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use penstock_hw::{Message, Mmio, Window};

use crate::firmware::acpi::mcfg::{BUS_SHIFT, Segment};
use crate::{apic, cores, interrupts, paging};

/// Where a function is, as `lspci -D` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Segment group.
    pub segment: u16,
    /// Bus.
    pub bus: u8,
    /// Device, 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { segment, bus, device, function } = self;
        write!(out, "{segment:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

/// A function that is no bridge.
#[derive(Clone, Debug)]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// Its configuration space: 4 KB.
    pub config: Window,
}

/// Finds all functions of these segments, in the order of their addresses.
///
/// # Errors
/// One sentence, when configuration space cannot be mapped.
pub(crate) fn functions<'s>(
    segments: impl Iterator<Item = &'s Segment>,
) -> Result<Vec<Function>, &'static str> {
    let mut found = Vec::new();
    for segment in segments {
        let first = segment.base + (u64::from(segment.bus_first) << BUS_SHIFT);
        let buses = u64::from(segment.bus_last - segment.bus_first) + 1;
        paging::map_registers(first, buses << BUS_SHIFT)?;
        walk_bus(segment, segment.bus_first, &mut found, 0);
    }
    Ok(found)
}

fn walk_bus(segment: &Segment, bus: u8, found: &mut Vec<Function>, depth: usize) {
    for device in 0..32 {
        for number in 0..8 {
            let address = Address { segment: segment.group, bus, device, function: number };
            let header = look(segment, address).map(|config| (config.read32(HEADER), config));
            let Some((header, config)) = header else {
                // Without function 0 there is no device.
                if number == 0 { break } else { continue }
            };
            let kind = header >> 16 & 0x7f;
            if kind == BRIDGE && depth < DEPTH_MAX {
                let below = (config.read32(BRIDGE_BUSES) >> 8) as u8;
                if below > bus && below <= segment.bus_last {
                    walk_bus(segment, below, found, depth + 1);
                }
            } else if kind == ENDPOINT && found.len() < FUNCTIONS_MAX {
                found.push(Function { address, config });
            }
            if number == 0 && header & MULTIPLE_FUNCTIONS == 0 {
                break;
            }
        }
    }
}

/// The configuration space of the function at this address, if something answers there.
fn look(segment: &Segment, address: Address) -> Option<Window> {
    let offset = u64::from(address.bus) << BUS_SHIFT
        | u64::from(address.device) << 15
        | u64::from(address.function) << 12;
    let space = core::ptr::NonNull::new((segment.base + offset) as *mut u32)?;
    // SAFETY: `functions` has mapped the buses of the segment, uncached, for good; the 4 KB of a
    // function are within its bus.
    let config = unsafe { Window::new(space, SPACE_BYTES) };
    (config.read32(0) as u16 != 0xffff).then_some(config)
}

/// What a device is to write, and where, to end a core's halt. Each call hands out another vector,
/// until they are used up and are shared.
pub fn interrupt_message(core: usize) -> Message {
    const COUNT: u8 = interrupts::DEVICE_LAST - interrupts::DEVICE_FIRST + 1;
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let next = NEXT.load(Ordering::Relaxed);
    NEXT.store((next + 1) % COUNT, Ordering::Relaxed);
    let apic_id = cores::record(core).apic_id.load(Ordering::Relaxed);
    apic::message(apic_id, interrupts::DEVICE_FIRST + next)
}

/// Registers of configuration space (PCI Local Bus 3.0, section 6.1; bridges: 3.2.5).
const HEADER: u32 = 0x0c;
const MULTIPLE_FUNCTIONS: u32 = 1 << 23;
const ENDPOINT: u32 = 0;
const BRIDGE: u32 = 1;
const BRIDGE_BUSES: u32 = 0x18;
const SPACE_BYTES: u32 = 4096;

/// Bridges below bridges; more than any machine has.
const DEPTH_MAX: usize = 16;
const FUNCTIONS_MAX: usize = 1024;
