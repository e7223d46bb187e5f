//! The card as a vfio-user client sees it: regions, interrupts, memory.

use crate::doorbells::Doorbells;
use crate::machine::{Machine, Shared};
use penstock_ixgbe_regs::BAR0_BYTES;
use penstock_nic82599::{ConfigSpace, Loss};
use std::fs::File;
use std::io;
use std::sync::Arc;
use vfio_bindings::bindings::vfio::{self as numbers, vfio_region_info};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

/// The backend of the protocol.
pub(crate) struct Device {
    shared: Arc<Shared>,
    strict: bool,
    /// The I/O region's address register (8.1.1).
    io_address: u32,
}

impl Device {
    pub(crate) fn new(shared: Arc<Shared>, strict: bool) -> Device {
        Device { shared, strict, io_address: 0 }
    }

    /// Runs `access` on the machine, lets the card act on it, and wakes the worker if the card now
    /// waits for something.
    fn with<T>(&self, access: impl FnOnce(&mut Machine) -> T) -> T {
        let (result, progress) = {
            let mut machine = self.shared.lock();
            machine.arrive();
            // What the guest wrote by itself came before this.
            machine.collect();
            (access(&mut machine), machine.run())
        };
        if progress.more || progress.deadline_us.is_some() {
            self.shared.ring();
        }
        result
    }

    /// The client has gone: says what was lost and starts over.
    pub(crate) fn disconnect(&mut self) {
        self.shared.lock().disconnect();
        let machine = self.shared.lock();
        for (loss, count) in machine.card.losses().iter() {
            eprintln!("penstock-nic82599: {count} times {}", loss.text());
        }
        // One line for each run of neighbours.
        let mut runs: Vec<(u32, u32, u64)> = Vec::new();
        for (offset, count) in machine.card.unknown() {
            match runs.last_mut() {
                Some((_, last, times)) if *last + 4 == offset => {
                    (*last, *times) = (offset, *times + count);
                }
                _ => runs.push((offset, offset, count)),
            }
        }
        for (first, last, times) in runs {
            let run = if first == last { String::new() } else { format!(" to {last:#07x}") };
            eprintln!("penstock-nic82599: {times} times at {first:#07x}{run}, no register");
        }
    }

    fn read_registers(&self, offset: u64, data: &mut [u8]) {
        for (index, part) in data.chunks_mut(4).enumerate() {
            let at = offset.saturating_add(index as u64 * 4);
            let Ok(at) = u32::try_from(at) else { return part.fill(0) };
            // A read changes nothing that the worker must know of, so the card is not stepped.
            let word = {
                let mut machine = self.shared.lock();
                machine.collect();
                machine.card.read32(at).to_le_bytes()
            };
            let from = (at & 3) as usize;
            for (byte, place) in part.iter_mut().enumerate() {
                *place = word.get(from + byte).copied().unwrap_or(0);
            }
        }
    }

    fn write_registers(&self, offset: u64, data: &[u8]) {
        // The card takes whole words (8.1); 64-bit accesses are two of them, low word first.
        let (words, _) = data.as_chunks::<4>();
        let Ok(offset) = u32::try_from(offset) else { return };
        self.with(|machine| {
            for (index, word) in words.iter().enumerate() {
                let at = offset.saturating_add(index as u32 * 4);
                machine.card.write32(at, u32::from_le_bytes(*word));
            }
        });
    }

    fn check_strict(&self) -> io::Result<()> {
        if !self.strict {
            return Ok(());
        }
        let machine = self.shared.lock();
        let losses = machine.card.losses();
        if losses.of(Loss::UnknownRead) + losses.of(Loss::UnknownWrite) == 0 {
            return Ok(());
        }
        for (offset, _) in machine.card.unknown() {
            eprintln!("penstock-nic82599: --strict: offset {offset:#07x} is no register");
        }
        std::process::exit(2);
    }
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        data.fill(0);
        match region {
            BAR_REGISTERS => {
                self.read_registers(offset, data);
                self.check_strict()?;
            }
            BAR_IO if offset == 0 => copy(&self.io_address.to_le_bytes(), data),
            BAR_IO if offset == 4 => {
                let word = self.shared.lock().card.read32(self.io_address);
                copy(&word.to_le_bytes(), data);
            }
            CONFIG => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX);
                self.shared.lock().config.read(at, data);
            }
            // The MSI-X table lives in the client; pending bits are never left here.
            _ => {}
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            BAR_REGISTERS => {
                self.write_registers(offset, data);
                self.check_strict()?;
            }
            BAR_IO => {
                let Some(word) = data.first_chunk() else { return Ok(()) };
                let value = u32::from_le_bytes(*word);
                match offset {
                    0 => self.io_address = value,
                    4 => {
                        let address = self.io_address;
                        self.with(|machine| machine.card.write32(address, value));
                    }
                    _ => {}
                }
            }
            CONFIG => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX);
                self.with(|machine| {
                    if machine.config.write(at, data) {
                        machine.reset();
                    }
                    machine.apply_config();
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        // Ranges without a file (ROMs) cannot be reached by DMA; accesses to them are counted.
        let Some(file) = file else { return Ok(()) };
        let writable = flags.contains(DmaMapFlags::WRITE);
        self.shared.lock().memory.map(address, size, file, offset, writable)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let mut machine = self.shared.lock();
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            machine.memory.clear();
        } else {
            machine.memory.unmap(address, size);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.io_address = 0;
        self.with(Machine::reset);
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        self.with(|machine| machine.vectors.configure(index, flags, start, count, fds))
    }
}

fn copy(from: &[u8], into: &mut [u8]) {
    let length = from.len().min(into.len());
    into[..length].copy_from_slice(&from[..length]);
}

/// The nine regions of a PCI device, as the client asks for them, with what of the registers it may
/// map.
pub(crate) fn regions(doorbells: Option<&Doorbells>) -> Vec<ServerRegion> {
    let mut regions: Vec<ServerRegion> = (0..REGIONS)
        .map(|index| {
            let size = match index {
                BAR_REGISTERS => u64::from(BAR0_BYTES),
                BAR_IO => 32,
                BAR_VECTORS => 0x4000,
                CONFIG => ConfigSpace::BYTES as u64,
                _ => 0,
            };
            let access = numbers::VFIO_REGION_INFO_FLAG_READ | numbers::VFIO_REGION_INFO_FLAG_WRITE;
            let region_info = vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                flags: if size > 0 { access } else { 0 },
                index,
                size,
                ..Default::default()
            };
            ServerRegion { region_info, sparse_areas: Vec::new(), mmap_fd: None }
        })
        .collect();
    if let (Some(doorbells), Some(region)) = (doorbells, regions.get_mut(BAR_REGISTERS as usize)) {
        let (areas, file) = doorbells.areas();
        region.region_info.flags |= numbers::VFIO_REGION_INFO_FLAG_MMAP;
        (region.sparse_areas, region.mmap_fd) = (areas, Some(file));
    }
    regions
}

/// The five interrupt kinds of a PCI device. Errors are never reported, but QEMU warns where they
/// could not be.
pub(crate) fn interrupts() -> Vec<IrqInfo> {
    let line = numbers::VFIO_IRQ_INFO_MASKABLE | numbers::VFIO_IRQ_INFO_AUTOMASKED;
    [(1, line), (1, 0), (64, numbers::VFIO_IRQ_INFO_NORESIZE), (1, 0), (0, 0)]
        .into_iter()
        .enumerate()
        .map(|(index, (count, flags))| IrqInfo {
            index: index as u32,
            flags: flags | numbers::VFIO_IRQ_INFO_EVENTFD,
            count,
        })
        .collect()
}

const BAR_REGISTERS: u32 = numbers::VFIO_PCI_BAR0_REGION_INDEX;
const BAR_IO: u32 = numbers::VFIO_PCI_BAR2_REGION_INDEX;
const BAR_VECTORS: u32 = numbers::VFIO_PCI_BAR4_REGION_INDEX;
const CONFIG: u32 = numbers::VFIO_PCI_CONFIG_REGION_INDEX;
const REGIONS: u32 = 9;
